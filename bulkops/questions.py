"""A filter as the queries that together answer it, each within the conditions that one query may hold. Pure.

One query holds 500 conditions (REST_Thresholds_Limits.htm): values of `in` lists and alternatives of `or`.
More of them are asked for in several queries, whose answers may overlap; nothing is ever cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from bulkops.targets.autotask.query import MAX_CONDITIONS, conditions
from bulkops.targets.base import Filter

TOO_MANY = (
    f"holds more than {MAX_CONDITIONS} conditions that cannot be asked for in turn. The API takes no more in "
    "one query: leave some of them out, or make several steps of it"
)


def questions(where: Filter) -> list[Filter]:
    """Filters whose answers together are what `where` finds. Raises ValueError where there are none such."""
    return _parts(where, MAX_CONDITIONS)


def _parts(clause: Filter, room: int) -> list[Filter]:
    """The clause in parts of at most `room` conditions."""
    if conditions(clause) <= room:
        return [clause]
    if room < 1 or clause["op"] == "notIn":
        raise ValueError(TOO_MANY)
    match clause["op"]:
        case "in":
            return [{**clause, "value": chunk} for chunk in _chunks(clause["value"], room)]
        case "or":
            return [_any(items) for items in _packed(clause["items"], room)]
        case _:
            return [{**clause, "items": list(items)} for items in _combined(clause["items"], room)]


def _chunks(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield list(values[start : start + size])


def _packed(items: Sequence[Filter], room: int) -> Iterator[list[Filter]]:
    """Alternatives in packs. Each costs one condition, beside those that it holds."""
    pack: list[Filter] = []
    used = 0
    for item in items:
        for part in _parts(item, room - 1):
            cost = 1 + conditions(part)
            if pack and used + cost > room:
                yield pack
                pack, used = [], 0
            pack.append(part)
            used += cost
    yield pack


def _any(items: list[Filter]) -> Filter:
    return items[0] if len(items) == 1 else {"op": "or", "items": items}


def _combined(items: Sequence[Filter], room: int) -> Iterator[tuple[Filter, ...]]:
    """What must all hold: every part of one with every part of the others.

    What is small stays whole; the rest of the room is divided evenly among what is not.
    """
    whole = sorted((item for item in items if not _can_be_parted(item)), key=conditions)
    apart = sorted((item for item in items if _can_be_parted(item)), key=conditions)
    room -= sum(map(conditions, whole))
    parts = [[item] for item in whole]
    for left, item in zip(range(len(apart), 0, -1), apart, strict=True):
        share = max(1, room // left)
        parts.append(_parts(item, share))
        room -= max(map(conditions, parts[-1]))
    if room < 0:
        raise ValueError(TOO_MANY)
    return product(*parts)


def _can_be_parted(clause: Filter) -> bool:
    match clause["op"]:
        case "in" | "or":
            return True
        case "and":
            return any(map(_can_be_parted, clause["items"]))
        case _:
            return False
