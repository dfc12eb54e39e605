"""Recognises a created record by what was sent, where no key does: a fingerprint. Pure.

The server is asked for what it compares exactly (ids above the floor, parent, creator, whole numbers); text,
dates and fractions are compared here, by the one equality. Rows that are the same in everything are counted:
two of them and one record mean that one of the two was made, whichever.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from bulkops.change import Canonical, Change, canonical, equal, folded
from bulkops.references import record_id
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
    by = [known.creators(doubt) for doubt in doubts]
    if (creator := known.creator_field) and all(by):
        conditions.append({"op": "in", "field": creator, "value": sorted(set().union(*by))})
    left = VALUES - len(conditions)
    for values, name in sorted(_whole_numbers(known, [doubt.change for doubt in doubts]), key=_length):
        if len(values) <= left:
            conditions.append({"op": "in", "field": name, "value": list(values)})
            left -= len(values)
    return {"op": "and", "items": conditions}


def _whole_numbers(known: Known, changes: Sequence[Change]) -> Iterable[tuple[tuple[int, ...], str]]:
    """The fields in which every change has a whole number, with all their values."""
    for shape in _telling(known.shape, changes):
        kept = {canonical(shape, _sent(known.shape, change, shape.name)) for change in changes}
        whole = sorted(value for value in kept if isinstance(value, int))
        if _is_trusted(known, shape) and len(whole) == len(kept):
            yield tuple(whole), shape.name


def _is_trusted(known: Known, field: Field) -> bool:
    """Whether the server keeps the number as it was sent: of references it does, of others it was seen to.

    User-defined fields it keeps as text, and lets ask for one of them at a time.
    """
    is_kept = field.name in known.steady or (bool(field.reference) and field.name not in known.altered)
    return field.type.is_whole and not field.is_udf and is_kept


def read_fields(shape: Entity, changes: Sequence[Change]) -> list[str]:
    """The fields that tell whose record it is."""
    return [field.name for field in _telling(shape, changes)]


def _telling(shape: Entity, changes: Sequence[Change]) -> list[Field]:
    names = {name for change in changes for name in change.fields}
    if shape.parent is not None:
        names.add(shape.parent.field)
    fields = (shape.find(name) for name in sorted(names))
    return [field for field in fields if field and field.is_queryable and not field.is_path_only]


def _length(condition: tuple[tuple[int, ...], str]) -> tuple[int, str]:
    return len(condition[0]), condition[1]


def _sent(shape: Entity, change: Change, name: str) -> Any:
    if shape.parent is not None and name == shape.parent.field and change.parent is not None:
        return change.parent
    diff = change.fields.get(name)
    return None if diff is None else diff.after


def verdicts(
    known: Known,
    doubts: Sequence[Doubt],
    records: Iterable[RecordData],
    *,
    ours: Collection[int],
    flying: Sequence[Doubt],
    read: Collection[str],
) -> dict[int, Verdict]:
    """What became of each, by its number.

    `records` are what `query` found; `ours` the ids that are other rows' records; `flying` the other creates
    of the entity that may have made some of them, as far as the fields that were `read` tell.
    """
    free = {id: record for record in records if (id := record_id(record)) not in ours}
    in_flight = {
        id for id, record in free.items() if any(is_its(known, one, record, read=read) for one in flying)
    }
    return _Round(known, doubts, free, flying=flying, in_flight=in_flight, read=read).verdicts()


@dataclass(frozen=True, slots=True)
class _Print:
    """What was sent, as far as it tells anything: equal for changes whose records nobody could tell apart."""

    impersonate: int | None
    values: frozenset[tuple[str, Canonical]]

    @classmethod
    def of(cls, known: Known, change: Change) -> Self:
        kept = (
            (name, canonical(known.shape.find(name), _sent(known.shape, change, name)))
            for name in _compared(known, change)
        )
        return cls(change.impersonate, frozenset((name, value) for name, value in kept if value is not None))

    def outdoes(self, other: Self) -> bool:
        """Whether it says all that `other` says, and more: its records look like those of `other`."""
        return self.impersonate == other.impersonate and self.values > other.values


@dataclass(slots=True, eq=False)
class _Group:
    """Doubts that are the same in everything, and the records that may be theirs."""

    print: _Print
    doubts: list[Doubt] = field(default_factory=list)
    found: set[int] = field(default_factory=set)


class _Round:
    """One look at the records of an entity: each is one row's, and what several may have made is nobody's.

    A row that says more than another one comes first: a record that says as much is its, and not of the one
    that says less.
    """

    def __init__(
        self,
        known: Known,
        doubts: Sequence[Doubt],
        free: dict[int, RecordData],
        *,
        flying: Sequence[Doubt],
        in_flight: set[int],
        read: Collection[str],
    ) -> None:
        """`free`: the records that are nobody's yet; `in_flight`: those whose turn comes later, for what is
        in flight (`flying`) may have made them."""
        self._known = known
        self._doubts = doubts
        self._free = free
        self._flying = flying
        self._read = read
        self._in_flight = in_flight
        self._disputed: set[int] = set()  # of several who may have made it nobody knows which did
        self._told: dict[int, Verdict] = {}

    def verdicts(self) -> dict[int, Verdict]:
        groups = self._grouped(self._doubts)
        for place, group in enumerate(groups):
            self._tell(group, groups[place + 1 :])
        for group in groups:
            if group.found & self._free.keys() - self._disputed - self._in_flight:
                self._hold(group, self._all_like(group), _too_many(group))
        return {doubt.n: self._near(doubt) for doubt in self._doubts}

    def _grouped(self, doubts: Sequence[Doubt]) -> list[_Group]:
        """Those that say the most come first."""
        groups: dict[_Print, _Group] = {}
        for doubt in doubts:
            print_ = _Print.of(self._known, doubt.change)
            groups.setdefault(print_, _Group(print_)).doubts.append(doubt)
        for group in groups.values():
            group.found = {
                id
                for id, record in self._free.items()
                if any(is_its(self._known, doubt, record) for doubt in group.doubts)
            }
        return sorted(groups.values(), key=lambda group: -len(group.print.values))

    def _tell(self, group: _Group, lesser: Sequence[_Group]) -> None:
        """Gives it its records. `lesser`: the groups whose turn comes after it."""
        found = group.found & self._free.keys()
        rivals = [one for one in lesser if one.found & found and not group.print.outdoes(one.print)]
        if found & self._in_flight:
            self._in_flight |= found  # of those that say less it is not known either
            self._told |= dict.fromkeys((doubt.n for doubt in group.doubts), LATER)
        elif found and not _is_since(self._known, group.doubts):
            self._hold(group, sorted(found), "may be it or may have been there before")
        elif rivals or found & self._disputed:
            self._hold(group, sorted(found), "may be it or another row's that is in doubt too")
        else:
            owners = _owners(group.doubts, sorted(found))
            self._free = {id: one for id, one in self._free.items() if id not in owners.values()}
            for doubt in group.doubts:
                done = doubt.n in owners
                self._told[doubt.n] = Verdict(seen=Seen.DONE, id=owners[doubt.n]) if done else ABSENT

    def _all_like(self, group: _Group) -> list[int]:
        """The records that were given to it, and those that are left over."""
        given = {self._told[doubt.n].id for doubt in group.doubts}
        return sorted(id for id in group.found if id in self._free or id in given)

    def _hold(self, group: _Group, ids: list[int], why: str) -> None:
        self._disputed |= set(ids)
        reason = f"{LOST}, and {self._known.shape.name} {listed(ids)} {why}"
        self._told |= dict.fromkeys(
            (doubt.n for doubt in group.doubts), Verdict(seen=Seen.HELD, reason=reason)
        )

    def _near(self, doubt: Doubt) -> Verdict:
        """What was told, unless a record that nobody explains is nearly what was sent."""
        told = self._told[doubt.n]
        if told.seen is not Seen.ABSENT:
            return told
        for id in sorted(self._free.keys() - self._disputed):
            if names := self._nearly(doubt, self._free[id]):
                reason = (
                    f"{LOST}, and {self._known.shape.name} {id} is nearly it: "
                    f"it differs in {', '.join(names)} as if the server or somebody had changed it"
                )
                is_anothers = id in self._in_flight or self._is_nearer(id, self._flying, than=len(names))
                return LATER if is_anothers else Verdict(seen=Seen.HELD, reason=reason)
        return told

    def _nearly(self, doubt: Doubt, record: RecordData) -> list[str]:
        """The fields in which they differ, where it may be its record all the same; else none."""
        if not could_be(self._known, doubt, record):
            return []
        if names := _nearly(self._known, doubt.change, record):
            return names
        names = _mostly(self._known, doubt.change, record)
        others = [other for other in (*self._doubts, *self._known.held) if other is not doubt]
        return [] if self._is_nearer(record_id(record), others, than=len(names) - 1) else names

    def _is_nearer(self, id: int, others: Sequence[Doubt], *, than: int) -> bool:
        """Whether the record differs from what one of the others sent in at most so many fields."""
        record = self._free[id]
        return any(
            could_be(self._known, other, record) and len(different(self._known, other.change, record)) <= than
            for other in others
        )


def _too_many(group: _Group) -> str:
    others = len(group.doubts) - 1
    return f"are like it and {others} more of its kind" if others else "are all like it"


def _owners(group: Sequence[Doubt], ids: Sequence[int]) -> dict[int, int]:
    """Number → id: each of the rising `ids` is the record of a doubt that was open when it was made.

    Of several it goes to the one that was sent first, so that those left over are the ones that may still
    land the longest. A record that is left over is none of theirs, or one too many.
    """
    left = sorted(group, key=lambda doubt: (doubt.absent_at, doubt.n))
    owners: dict[int, int] = {}
    for id in ids:
        owner = next((doubt for doubt in left if (doubt.floor or 0) < id), None)
        if owner is not None:
            left.remove(owner)
            owners[owner.n] = id
    return owners


def _is_since(known: Known, group: Sequence[Doubt]) -> bool:
    """Whether what is found cannot have been there before."""
    return known.rises and all(doubt.floor is not None for doubt in group)


def is_its(known: Known, doubt: Doubt, record: RecordData, *, read: Collection[str] | None = None) -> bool:
    """Whether the record is what was sent, as far as it tells. `read`: the fields that were; None: all."""
    names = different(known, doubt.change, record)
    return could_be(known, doubt, record) and not any(read is None or name in read for name in names)


def different(known: Known, change: Change, record: RecordData) -> list[str]:
    """The fields in which a record is not what was sent, as far as they tell anything."""
    return [name for name in _compared(known, change) if not _is_same(known, change, name, record)]


def could_be(known: Known, doubt: Doubt, record: RecordData) -> bool:
    """Made since, and by us, as far as that can be told."""
    if known.rises and doubt.floor is not None and record_id(record) <= doubt.floor:
        return False
    return known.is_by_us(doubt, record)


def _compared(known: Known, change: Change) -> list[str]:
    return [name for name in read_fields(known.shape, [change]) if name not in known.altered]


def _is_same(known: Known, change: Change, name: str, record: RecordData) -> bool:
    sent = _sent(known.shape, change, name)
    return sent is None or equal(known.shape.find(name), record.get(name), sent)


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


def _mostly(known: Known, change: Change, record: RecordData) -> list[str]:
    """The fields in which they differ, where most agree, a text too: somebody may have edited it since."""
    names = different(known, change, record)
    same = [name for name in _compared(known, change)
            if name not in names and _sent(known.shape, change, name) is not None]  # fmt: skip
    is_told = any(is_text(known.shape.find(name)) for name in same)
    return names if is_told and len(same) > len(names) else []


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
