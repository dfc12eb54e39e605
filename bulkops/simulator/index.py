"""Equality in constant time: which records hold a value in one field, kept while records change.

Text is compared as the server does (trimmed, case ignored), dates as the moments they are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

Stored: TypeAlias = Mapping[str, Any]  # a record without its nulls
Key: TypeAlias = Callable[[Any], Hashable]


def fold(value: object) -> str:
    """Text as it is compared."""
    return (value if isinstance(value, str) else str(value)).strip().casefold()


@lru_cache(maxsize=65536)
def moment(text: str) -> datetime | None:
    """A date as text → naive UTC, or None where it is no date. Without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text.strip().upper())
    except ValueError:
        return None
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


def _moment(value: object) -> Hashable:
    text = fold(value)
    return moment(text) or text


def _same(value: Any) -> Hashable:
    return value if isinstance(value, int | float) else fold(value)


def key_of(kind: str) -> Key:
    """How values of an API type become keys; None is never a key."""
    if kind == "datetime":
        return _moment
    return fold if kind in ("string", "byte[]") else _same


class Index:
    """One field's postings: key → the ids that hold it, ascending."""

    __slots__ = ("_get", "_key", "_postings")

    def __init__(self, get: Callable[[Stored], Any], key: Key) -> None:
        self._get = get
        self._key = key
        self._postings: dict[Hashable, int | list[int]] = {}

    def fill(self, rows: Iterable[tuple[int, Stored]]) -> None:
        for row_id, row in rows:
            self.add(row_id, row)

    def add(self, row_id: int, row: Stored) -> None:
        value = self._get(row)
        if value is None:
            return
        key = self._key(value)
        held = self._postings.get(key)
        if held is None:
            self._postings[key] = row_id
        elif isinstance(held, int):
            self._postings[key] = sorted((held, row_id))
        elif row_id > held[-1]:
            held.append(row_id)
        else:
            insort(held, row_id)

    def remove(self, row_id: int, row: Stored) -> None:
        value = self._get(row)
        if value is None:
            return
        key = self._key(value)
        held = self._postings.get(key)
        if isinstance(held, list) and len(held) > 1:
            del held[bisect_left(held, row_id)]
        elif held is not None:
            del self._postings[key]

    def replace(self, row_id: int, before: Stored, after: Stored) -> None:
        """`before` is what the record was; most changes leave most fields as they are."""
        if self._get(before) != self._get(after):
            self.remove(row_id, before)
            self.add(row_id, after)

    def ids(self, value: Any) -> Sequence[int]:
        """The ids that hold a value, ascending; a live view, not to be changed."""
        held = self._postings.get(self._key(value))
        if held is None:
            return ()
        return (held,) if isinstance(held, int) else held
