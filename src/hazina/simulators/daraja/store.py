"""The SQLite file: schema, one writer connection, transactions with after-commit steps.

Invariant: whoever answers the outside does so after the commit. WAL with synchronous=NORMAL
survives kill -9 of the process (a power cut may lose the last commits; this is a simulator).
Leaves out any meaning of the rows: see books.py, stk.py, b2c.py, callbacks.py.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS handsets (
  phone TEXT PRIMARY KEY, name TEXT NOT NULL, pin TEXT NOT NULL,
  auto TEXT NOT NULL, registered INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, balance INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS transactions (
  receipt TEXT PRIMARY KEY, kind TEXT NOT NULL, phone TEXT, amount INTEGER NOT NULL,
  charge INTEGER NOT NULL, reference TEXT NOT NULL, detail TEXT NOT NULL,
  originator_id TEXT, conversation_id TEXT, started_ms INTEGER NOT NULL,
  at_ms INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS transactions_by_phone ON transactions (phone, at_ms);
CREATE INDEX IF NOT EXISTS transactions_by_time ON transactions (at_ms);
CREATE INDEX IF NOT EXISTS transactions_by_kind ON transactions (kind, at_ms);
CREATE TABLE IF NOT EXISTS reversals (
  original TEXT PRIMARY KEY, receipt TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS entries (
  id INTEGER PRIMARY KEY, receipt TEXT NOT NULL, account TEXT NOT NULL,
  amount INTEGER NOT NULL, balance_after INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS entries_by_receipt ON entries (receipt);
CREATE INDEX IF NOT EXISTS entries_by_account ON entries (account, id);
CREATE TABLE IF NOT EXISTS messages (
  id INTEGER PRIMARY KEY, phone TEXT NOT NULL, at_ms INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS messages_by_phone ON messages (phone, id);
CREATE TABLE IF NOT EXISTS prompts (
  checkout_id TEXT PRIMARY KEY, merchant_id TEXT NOT NULL, phone TEXT NOT NULL,
  amount INTEGER NOT NULL, reference TEXT NOT NULL, detail TEXT NOT NULL,
  callback_url TEXT NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
  state TEXT NOT NULL, plan TEXT NOT NULL, result_code TEXT, result_desc TEXT, receipt TEXT,
  paid_amount INTEGER, finished_ms INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS prompts_open ON prompts (phone) WHERE state <> 'done';
CREATE INDEX IF NOT EXISTS prompts_by_phone ON prompts (phone, amount, created_ms);
CREATE TABLE IF NOT EXISTS payouts (
  originator_id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL UNIQUE, phone TEXT NOT NULL,
  amount INTEGER NOT NULL, command TEXT NOT NULL, remarks TEXT NOT NULL, occasion TEXT NOT NULL,
  result_url TEXT NOT NULL, timeout_url TEXT NOT NULL, refusal TEXT, created_ms INTEGER NOT NULL,
  due_ms INTEGER NOT NULL, state TEXT NOT NULL, plan TEXT NOT NULL, result_code TEXT,
  result_desc TEXT, receipt TEXT, finished_ms INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS payouts_by_receipt ON payouts (receipt);
CREATE INDEX IF NOT EXISTS payouts_failed ON payouts (finished_ms) WHERE result_code <> '0';
CREATE TABLE IF NOT EXISTS c2b_urls (
  shortcode TEXT PRIMARY KEY, version TEXT NOT NULL, response_type TEXT NOT NULL,
  confirmation_url TEXT NOT NULL, validation_url TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS paybills (
  receipt TEXT PRIMARY KEY, phone TEXT NOT NULL, amount INTEGER NOT NULL, reference TEXT NOT NULL,
  created_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL, state TEXT NOT NULL, plan TEXT NOT NULL,
  third_party_id TEXT NOT NULL DEFAULT '', result_code TEXT, result_desc TEXT,
  finished_ms INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS paybills_open ON paybills (due_ms) WHERE state <> 'done';
CREATE INDEX IF NOT EXISTS paybills_by_phone ON paybills (phone, created_ms);
CREATE INDEX IF NOT EXISTS paybills_failed ON paybills (finished_ms) WHERE result_code <> '0';
CREATE TABLE IF NOT EXISTS errands (
  conversation_id TEXT PRIMARY KEY, originator_id TEXT NOT NULL UNIQUE, operation TEXT NOT NULL,
  command TEXT NOT NULL, amount INTEGER NOT NULL, original TEXT NOT NULL, phone TEXT,
  party TEXT NOT NULL, remarks TEXT NOT NULL, result_url TEXT NOT NULL, timeout_url TEXT NOT NULL,
  refusal TEXT, created_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL, state TEXT NOT NULL,
  plan TEXT NOT NULL, result_code TEXT, result_desc TEXT, receipt TEXT,
  finished_ms INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS errands_open ON errands (due_ms) WHERE state <> 'done';
CREATE INDEX IF NOT EXISTS errands_by_receipt ON errands (receipt);
CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, expires_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS faults (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, phone TEXT, operation TEXT,
  remaining INTEGER, params TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT NULL,
  url TEXT NOT NULL, body TEXT NOT NULL, created_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL,
  state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, status INTEGER, error TEXT,
  finished_ms INTEGER, forwarded_for TEXT) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_pending ON deliveries (due_ms) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS deliveries_by_subject ON deliveries (subject);
"""

TABLES = (
    "meta", "handsets", "accounts", "transactions", "entries", "messages",
    "prompts", "payouts", "tokens", "faults", "deliveries", "reversals", "c2b_urls", "paybills",
    "errands",
)  # fmt: skip

ADDED = (("deliveries", "forwarded_for", "TEXT"),)
"""Columns that files of earlier versions lack."""


class Store:
    """One connection, one writer; every method is synchronous and short."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(
            str(path) if path else ":memory:", isolation_level=None, check_same_thread=False
        )
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA busy_timeout = 500")
        # Two simulators on one file would both send every callback: the second one must fail.
        self.db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.executescript(SCHEMA)
        self._add_columns()
        self._after: list[Callable[[], None]] = []

    def _add_columns(self) -> None:
        for table, column, kind in ADDED:
            there = {row["name"] for row in self.rows(f"PRAGMA table_info({table})")}
            if column not in there:
                self.run(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """This will commit the block as one, then run what `after_commit` collected."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            self._after.clear()
            raise
        self.db.execute("COMMIT")
        steps, self._after = self._after, []
        for step in steps:
            step()

    def after_commit(self, step: Callable[[], None]) -> None:
        """This will run the step once the open transaction is durable; never after a rollback."""
        self._after.append(step)

    def run(self, sql: str, *values: object) -> sqlite3.Cursor:
        """This will execute one statement."""
        return self.db.execute(sql, values)

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        """This will return the first row, or None."""
        found: sqlite3.Row | None = self.db.execute(sql, values).fetchone()
        return found

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """This will return all rows."""
        return self.db.execute(sql, values).fetchall()

    def number(self, sql: str, *values: object) -> int:
        """This will return the single integer of a query, 0 for NULL or no row."""
        found = self.row(sql, *values)
        return int(found[0]) if found is not None and found[0] is not None else 0

    def get(self, key: str) -> str | None:
        """This will return a meta value, or None."""
        found = self.row("SELECT value FROM meta WHERE key = ?", key)
        return None if found is None else str(found[0])

    def put(self, key: str, value: str) -> None:
        """This will set a meta value inside the open transaction."""
        self.run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value)

    def next_number(self, name: str) -> int:
        """This will count on from 1; a rolled back transaction gives its number back."""
        number = int(self.get(f"count:{name}") or "0") + 1
        self.put(f"count:{name}", str(number))
        return number

    def wipe(self) -> None:
        """This will empty every table inside the open transaction."""
        for table in TABLES:
            self.run(f"DELETE FROM {table}")  # noqa: S608 - names from the tuple above

    def close(self) -> None:
        """This will close the file; WAL is folded in."""
        self.db.close()
