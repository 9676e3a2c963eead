"""The inbox of every phone, in SQLite: in a file, or in memory for one run."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    id        TEXT NOT NULL UNIQUE,
    phone     TEXT NOT NULL,
    sender    TEXT NOT NULL,
    text      TEXT NOT NULL,
    status    INTEGER NOT NULL,
    at        TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_phone ON message (phone, number);
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it lies in a phone."""

    id: str
    phone: str
    sender: str
    text: str
    status: int
    at: str


class Store:
    """All messages, newest first when they are read."""

    def __init__(self, path: Path | None) -> None:
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._db.executescript(SCHEMA)

    def add(self, message: Message) -> None:
        """This will keep one message."""
        self._db.execute(
            "INSERT INTO message (id, phone, sender, text, status, at) VALUES (?, ?, ?, ?, ?, ?)",
            (message.id, message.phone, message.sender, message.text, message.status, message.at),
        )

    def read(self, phone: str | None = None, limit: int = 100) -> list[Message]:
        """This will list the newest messages, of one phone or of all."""
        rows = self._db.execute(
            "SELECT id, phone, sender, text, status, at FROM message"
            " WHERE ?1 IS NULL OR phone = ?1 ORDER BY number DESC LIMIT ?2",
            (phone, limit),
        )
        return [Message(*row) for row in rows]

    def clear(self) -> None:
        """This will empty every inbox."""
        self._db.execute("DELETE FROM message")

    def close(self) -> None:
        """This will let go of the file."""
        self._db.close()
