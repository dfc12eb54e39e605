"""The keys a step has seen, so that a second row with the same key is noticed. Memory stays flat."""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable
from dataclasses import dataclass
from hashlib import blake2b
from types import TracebackType
from typing import Self

DIGEST_BYTES = 16  # two of a billion keys agree by chance with less than one in 10**20


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The row that had a key first."""

    n: int
    line: int | None


class SeenKeys:
    """Digests of keys in a temporary file that SQLite removes by itself; never the keys themselves."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)  # "": temporary, on disk once it grows
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute(
            "CREATE TABLE seen (key BLOB PRIMARY KEY, n INTEGER NOT NULL, line INTEGER) WITHOUT ROWID"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def first(self, key: Hashable, n: int, line: int | None) -> First | None:
        """The earlier row with this key; None where row `n` is the first one, which is remembered.

        `key` is told from others by its `repr`.
        """
        digest = blake2b(repr(key).encode(errors="backslashreplace"), digest_size=DIGEST_BYTES).digest()
        added = self._file.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (digest, n, line))
        if added.rowcount:
            return None
        row = self._file.execute("SELECT n, line FROM seen WHERE key = ?", (digest,)).fetchone()
        return First(n=row[0], line=row[1])
