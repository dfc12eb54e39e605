"""Of the rows that agree in some columns, one: the first, or the last with the state that counts.

Two readings: the first notes which rows to keep, one bit each; the second gives those. Memory stays flat.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing

from bulkops.change import folded
from bulkops.errors import Fault, JobError, SourceError
from bulkops.job.model import Distinct, Keep
from bulkops.record import Row
from bulkops.scratch import digest, open_scratch
from bulkops.sources.base import Source
from bulkops.wording import did_you_mean, listed, shown

_CACHE = "PRAGMA cache_size = -32768"  # KiB: most keys of a million rows
_TABLE = "CREATE TABLE seen (key BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID"

KeyOf = Callable[[Row], bytes | None]


class DistinctRows:
    """A source without the rows that are not kept. The others keep their order, their line and their cells.

    Keys are compared as `match` compares them: trimmed, case ignored. A row that could not be read whole,
    and one without any key, is kept: it must be seen that it is there.
    """

    def __init__(self, source: Source, distinct: Distinct, *, missing: Collection[str]) -> None:
        self.columns, self.dialect = source.columns, source.dialect
        self.file, self.sheet, self.display = source.file, source.sheet, source.display
        self.is_result = source.is_result
        self.dropped = 0
        self._source = source
        self._keep = distinct.keep
        self._key_of = _key_reader(_places(source, distinct), len(source.columns), missing)
        self._kept: _Bits | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._source.warnings  # a query has some only when it was asked

    def rows(self) -> Iterator[Row]:
        """Raises SourceError also where the file has changed since its first reading."""
        if self._kept is None:
            self._kept = _choose(map(self._key_of, self._source.rows()), self._keep)
            self.dropped = self._kept.size - self._kept.count()
        kept, n = self._kept, -1
        for n, row in enumerate(self._source.rows()):
            if n < kept.size and kept[n]:
                yield row
        if n + 1 != kept.size:
            raise SourceError(f"{self.display}: was changed while it was read. Try again")


def _places(source: Source, distinct: Distinct) -> tuple[int, ...]:
    """Where the columns of `by` stand. Raises JobError with each that is not there, or there twice."""
    faults = [
        Fault(where=distinct.where, message=message, hint=hint)
        for name in distinct.by
        if (told := _unfit(name, source))
        for message, hint in [told]
    ]
    if faults:
        raise JobError(faults)
    return tuple(source.columns.index(name) for name in distinct.by)


def _unfit(name: str, source: Source) -> tuple[str, str] | None:
    """What is wrong with a name in `by`, and what to do."""
    times = source.columns.count(name)
    if times > 1:
        message = f"`by` names {shown(name)}, and {source.display} has {times} columns of that name"
        return message, "Give each its own name in the header"
    if times == 1:
        return None
    hint = did_you_mean(name, source.columns) or f"Its columns are {_some(source.columns)}"
    return f"`by` names {shown(name)}, and {source.display} has no such column", hint


def _some(names: tuple[str, ...]) -> str:
    return listed(names[:20], "and") + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _key_reader(places: tuple[int, ...], width: int, missing: Collection[str]) -> KeyOf:
    """The digest of a row's key; None where it has none."""
    nothing = frozenset(text.strip() for text in missing) | {""}

    def key_of(row: Row) -> bytes | None:
        if row.fault or len(row.cells) != width:
            return None
        key = [row.cells[n].strip() for n in places]
        if nothing.issuperset(key):
            return None
        return digest(tuple(map(folded, key)))

    return key_of


class _Bits:
    """One bit a row: whether it is kept."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.size = 0

    def append(self, bit: bool) -> None:
        if self.size % 8 == 0:
            self._bytes.append(0)
        self._bytes[-1] |= bit << self.size % 8
        self.size += 1

    def clear(self, n: int) -> None:
        self._bytes[n // 8] &= ~(1 << n % 8)

    def __getitem__(self, n: int) -> int:
        return self._bytes[n // 8] >> n % 8 & 1

    def count(self) -> int:
        return int.from_bytes(self._bytes, "little").bit_count()


def _choose(keys: Iterator[bytes | None], keep: Keep) -> _Bits:
    """Which rows to keep, by their keys in file order."""
    kept = _Bits()
    with closing(open_scratch(_CACHE, _TABLE)) as seen:
        for n, key in enumerate(keys):
            is_first = key is None or _is_new(seen, key, n)
            kept.append(is_first or keep is Keep.LAST)
            if not is_first and keep is Keep.LAST:
                ((before,),) = seen.execute("SELECT n FROM seen WHERE key = ?", (key,))
                kept.clear(before)
                seen.execute("UPDATE seen SET n = ? WHERE key = ?", (n, key))
    return kept


def _is_new(seen: sqlite3.Connection, key: bytes, n: int) -> bool:
    return seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, n)).rowcount == 1
