"""Is a physical copy whole: what pg_verifybackup does, by the server's own backup manifest.

Not that program itself: the one in the wheel of binaries dies with a segmentation fault on every
backup. Checked here are the manifest's own checksum, every file's length and SHA-256, files too
many or too few, and that the write-ahead log that makes the files whole can be read to its end.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from hazina.bootstrap.backup.inventory import FileMark
from hazina.bootstrap.backup.tools import run_tool
from hazina.bootstrap.backup.trouble import CopyDamaged

MANIFEST = "backup_manifest"
CHECKSUM_LINE = b'"Manifest-Checksum"'
# Not in the server's manifest: the log has its own checksums, the rest is written by the tools.
APART = ("pg_wal/", MANIFEST, "postgresql.auto.conf", "recovery.signal", "standby.signal")


def check_cluster(cluster: Path, marks: Mapping[str, FileMark], programs: Path) -> None:
    """This will hold ``marks`` (of the files of ``cluster``) against the server's manifest, and
    read its log. Raises: CopyDamaged, ToolFailed."""
    raw = (cluster / MANIFEST).read_bytes()
    body, _, _ = raw.rpartition(CHECKSUM_LINE)
    told = json.loads(raw)
    if hashlib.sha256(body).hexdigest() != told["Manifest-Checksum"]:
        raise CopyDamaged(f"{cluster / MANIFEST} is damaged")
    listed = {file["Path"]: file for file in told["Files"]}
    for path, file in listed.items():
        if path.startswith(APART):
            continue
        if file["Checksum-Algorithm"] != "SHA256":
            raise CopyDamaged(f"{path} has a {file['Checksum-Algorithm']} checksum, not SHA256")
        if marks.get(path) != FileMark(file["Size"], file["Checksum"]):
            raise CopyDamaged(f"{cluster}: {path} is missing, or not what the server sent")
    if extra := sorted(path for path in marks if path not in listed and not path.startswith(APART)):
        raise CopyDamaged(f"{cluster}: {extra[0]} was not sent by the server")
    for part in told["WAL-Ranges"]:
        run_tool(
            programs / "pg_waldump", "--quiet", f"--path={cluster / 'pg_wal'}",
            f"--timeline={part['Timeline']}", f"--start={part['Start-LSN']}",
            f"--end={part['End-LSN']}",
        )  # fmt: skip
