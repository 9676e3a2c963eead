"""Lists as CSV for spreadsheets: lines of text, with cells that no spreadsheet will execute.

A cell that begins with ``=``, ``+``, ``-`` or ``@`` is a formula to a spreadsheet, and what
somebody typed can be in it; an apostrophe in front makes it text. Amounts are therefore written
without a sign, in a column for each direction.
"""

import csv
import io
from collections.abc import Iterable

# Tab and carriage return are skipped by spreadsheets, and the formula after them is not.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")


def defused(cell: str) -> str:
    """This will make ``cell`` harmless where it would be taken for a formula."""
    return f"'{cell}" if cell.startswith(_DANGEROUS) else cell


def csv_lines(rows: Iterable[Iterable[str]]) -> str:
    """This will write rows as CSV (RFC 4180), every cell defused."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([defused(cell) for cell in row] for row in rows)
    return out.getvalue()
