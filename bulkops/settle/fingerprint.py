"""Recognises a created record by what was sent, where no key does: a fingerprint. Pure.

The server is asked for what it compares exactly (ids above the floor, parent, creator, whole numbers); text,
dates and fractions are compared here, by the one equality. Rows that are the same in everything are counted:
two of them and one record mean that one of the two was made, whichever.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Any

from bulkops.change import Change, canonical, equal, folded
from bulkops.schema import Entity, Field, FieldType
from bulkops.settle.knowledge import Known
from bulkops.settle.verdict import ABSENT, LATER, LOST, Doubt, Seen, Verdict, listed
from bulkops.targets.base import Filter, RecordData

VALUES = 400  # values of all `in` lists of one query: the API takes 500 conditions
TELLING = 16  # letters that hardly two records share by chance
_NO_WORD = re.compile(r"\W+")


def query(known: Known, doubts: Sequence[Doubt]) -> Filter:
    """Every record that one of `doubts` may have made. All are of one entity."""
    conditions: list[dict[str, Any]] = []
    floors = [doubt.floor for doubt in doubts]
    least = 0 if None in floors or not known.rises else min(floor for floor in floors if floor is not None)
    conditions.append({"op": "gt", "field": "id", "value": least})
    if (creator := known.creator_field) and (by := known.creators([doubt.change for doubt in doubts])):
        conditions.append({"op": "in", "field": creator, "value": sorted(by)})
    left = VALUES - len(conditions)
    for values, name in sorted(_whole_numbers(known, [doubt.change for doubt in doubts])):
        if len(values) <= left:
            conditions.append({"op": "in", "field": name, "value": list(values)})
            left -= len(values)
    return {"op": "and", "items": conditions}


def _whole_numbers(known: Known, changes: Sequence[Change]) -> Iterable[tuple[tuple[int, ...], str]]:
    """The fields in which every change has a whole number, with all their values; fewest values first."""
    for name in read_fields(known.shape, changes):
        shape = known.shape.find(name)
        values = {_sent(known.shape, change, name) for change in changes}
        if shape is not None and _is_trusted(known, shape):
            kept = {canonical(shape, value) for value in values}
            if all(isinstance(value, int) for value in kept):
                yield tuple(sorted(value for value in kept if isinstance(value, int))), shape.name


def _is_trusted(known: Known, field: Field) -> bool:
    """Whether the server keeps the number as it was sent: of references it does, of others it was seen to."""
    is_steady = bool(field.reference) or known.is_learned
    return field.type.is_whole and is_steady and field.name not in known.altered


def read_fields(shape: Entity, changes: Sequence[Change]) -> list[str]:
    """The fields that tell whose record it is."""
    names = {name for change in changes for name in change.fields}
    if shape.parent is not None:
        names.add(shape.parent.field)
    fields = (shape.find(name) for name in sorted(names))
    return [field.name for field in fields if field and field.is_queryable and not field.is_path_only]


def _sent(shape: Entity, change: Change, name: str) -> Any:
    if shape.parent is not None and name == shape.parent.field and change.parent is not None:
        return change.parent
    diff = change.fields.get(name)
    return None if diff is None else diff.after


def print_of(known: Known, change: Change) -> Hashable:
    """Equal for changes whose records nobody could tell apart."""
    names = [name for name in read_fields(known.shape, [change]) if name not in known.altered]
    values = ((name, canonical(known.shape.find(name), _sent(known.shape, change, name))) for name in names)
    return (change.impersonate, tuple((name, value) for name, value in values if value is not None))


def verdicts(
    known: Known,
    doubts: Sequence[Doubt],
    records: Iterable[RecordData],
    *,
    ours: Collection[int],
    flying: Sequence[Change],
) -> dict[int, Verdict]:
    """What became of each, by its number.

    `records` are what `query` found; `ours` the ids that are other rows' records; `flying` the other creates
    of the entity that may have made some of them.
    """
    free = [record for record in records if int(record["id"] or 0) not in ours]
    groups: dict[Hashable, list[Doubt]] = defaultdict(list)
    for doubt in doubts:
        groups[print_of(known, doubt.change)].append(doubt)
    in_flight = {print_of(known, change) for change in flying}
    told: dict[int, Verdict] = {}
    taken: set[int] = set()
    for print_, group in groups.items():
        found = [record for record in free if any(_is_its(known, doubt, record) for doubt in group)]
        taken |= {int(record["id"] or 0) for record in found}
        told |= _of_group(known, group, found, may_be_anothers=print_ in in_flight)
    rest = [record for record in free if int(record["id"] or 0) not in taken]
    return {n: _near(known, doubt, rest) if told[n].seen is Seen.ABSENT else told[n]
            for n, doubt in ((doubt.n, doubt) for doubt in doubts)}  # fmt: skip


def _of_group(
    known: Known, group: Sequence[Doubt], found: Sequence[RecordData], *, may_be_anothers: bool
) -> dict[int, Verdict]:
    ids = sorted(int(record["id"] or 0) for record in found)
    if ids and may_be_anothers:
        return {doubt.n: LATER for doubt in group}
    if ids and not _is_since(known, group):
        reason = f"{LOST}, and {known.shape.name} {listed(ids)} may be it or may have been there before"
        return {doubt.n: Verdict(seen=Seen.HELD, reason=reason) for doubt in group}
    owners = _owners(group, ids)
    if owners is None:
        many = "are all like it" if len(group) == 1 else f"are like it and {len(group) - 1} more of its kind"
        reason = f"{LOST}, and {known.shape.name} {listed(ids)} {many}"
        return {doubt.n: Verdict(seen=Seen.HELD, reason=reason) for doubt in group}
    return {doubt.n: Verdict(seen=Seen.DONE, id=owners[doubt.n]) if doubt.n in owners else ABSENT
            for doubt in group}  # fmt: skip


def _owners(group: Sequence[Doubt], ids: Sequence[int]) -> dict[int, int] | None:
    """Number → id: each of the rising `ids` is the record of a doubt that was open when it was made.

    None where there are more records than such doubts. Of several it goes to the one that was sent first, so
    that those left over are the ones that may still land the longest.
    """
    left = sorted(group, key=lambda doubt: (doubt.absent_at, doubt.n))
    owners: dict[int, int] = {}
    for id in ids:
        owner = next((doubt for doubt in left if (doubt.floor or 0) < id), None)
        if owner is None:
            return None
        left.remove(owner)
        owners[owner.n] = id
    return owners


def _is_since(known: Known, group: Sequence[Doubt]) -> bool:
    """Whether what is found cannot have been there before."""
    return known.rises and all(doubt.floor is not None for doubt in group)


def _is_its(known: Known, doubt: Doubt, record: RecordData) -> bool:
    return could_be(known, doubt, record) and not different(known, doubt.change, record)


def different(known: Known, change: Change, record: RecordData) -> list[str]:
    """The fields in which a record is not what was sent, as far as they tell anything."""
    return [name for name in _compared(known, change) if not _is_same(known, change, name, record)]


def could_be(known: Known, doubt: Doubt, record: RecordData) -> bool:
    """Made since, and by us, as far as that can be told."""
    if known.rises and doubt.floor is not None and int(record["id"] or 0) <= doubt.floor:
        return False
    return known.is_by_us(doubt.change, record)


def _compared(known: Known, change: Change) -> list[str]:
    return [name for name in read_fields(known.shape, [change]) if name not in known.altered]


def _is_same(known: Known, change: Change, name: str, record: RecordData) -> bool:
    sent = _sent(known.shape, change, name)
    return sent is None or equal(known.shape.find(name), record.get(name), sent)


def _near(known: Known, doubt: Doubt, records: Sequence[RecordData]) -> Verdict:
    """Absence, unless a record that nobody explains is nearly what was sent."""
    for record in records:
        if could_be(known, doubt, record) and (names := _nearly(known, doubt.change, record)):
            reason = (
                f"{LOST}, and {known.shape.name} {record['id']} is nearly it: "
                f"it differs in {', '.join(names)} as if the server had changed it"
            )
            return Verdict(seen=Seen.HELD, reason=reason)
    return ABSENT


def _nearly(known: Known, change: Change, record: RecordData) -> list[str]:
    """The fields in which they differ, where the server may have done that; else none.

    It may have changed texts a little, or set a status, a number or a date of its own beside the same texts.
    """
    names = different(known, change, record)
    texts = [name for name in names if is_text(known.shape.find(name))]
    if not all(is_alike(_sent(known.shape, change, name), record.get(name)) for name in texts):
        return []
    others = [known.shape.find(name) for name in names if name not in texts]
    if not others:
        return names
    is_same_text = not texts and _says_something(known, change)
    return names if is_same_text and not any(field is None or field.reference for field in others) else []


def _says_something(known: Known, change: Change) -> bool:
    """Whether its texts tell it from others."""
    texts = [name for name in _compared(known, change) if is_text(known.shape.find(name))]
    return any(
        len(_NO_WORD.sub("", str(_sent(known.shape, change, name) or ""))) >= TELLING for name in texts
    )


def is_text(shape: Field | None) -> bool:
    return shape is not None and shape.type is FieldType.STRING


def is_alike(sent: object, stored: object) -> bool:
    """The same words, or the beginning of them."""
    a, b = (_NO_WORD.sub("", folded(str(text or ""))) for text in (sent, stored))
    short, long = sorted((a, b), key=len)
    return a == b or (len(short) >= TELLING and long.startswith(short))
