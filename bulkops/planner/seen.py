"""The keys a step has seen, so that a second row with the same key is noticed. Memory stays flat."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bulkops.scratch import digest, open_scratch


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The row that had a key first."""

    n: int
    line: int | None
    is_open: bool = True  # it was not rejected when it was seen


class SeenKeys:
    """Digests of keys, and the row that had each first."""

    def __init__(self) -> None:
        self._file = open_scratch(
            "CREATE TABLE seen (key BLOB PRIMARY KEY, n INTEGER NOT NULL, line INTEGER,"
            " is_open INTEGER NOT NULL) WITHOUT ROWID"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def first(self, key: Hashable, n: int, line: int | None, *, is_open: bool = True) -> First | None:
        """The earlier row with this key; None where row `n` is the first one, which is remembered.

        `key` is told from others by its `repr`.
        """
        name = digest(key)
        added = self._file.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", (name, n, line, is_open))
        if added.rowcount:
            return None
        row = self._file.execute("SELECT n, line, is_open FROM seen WHERE key = ?", (name,)).fetchone()
        return First(n=row[0], line=row[1], is_open=bool(row[2]))
