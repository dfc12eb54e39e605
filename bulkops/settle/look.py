"""Reads the target to find out what became of writes in doubt. Never writes, never guesses.

A create is looked for by its marker or its key, else by its fingerprint; updates and deletes by id. That is
one read for an entity and round (one more, once, to learn how the target keeps our own records).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from bulkops.change import Action, Change, Unknown, equal
from bulkops.record import Value
from bulkops.references import can_be_asked_for, find_by_key, key_of
from bulkops.schema import Entity
from bulkops.settle import fingerprint
from bulkops.settle.knowledge import Knowledge, Known
from bulkops.settle.verdict import ABSENT, LOST, Doubt, Seen, Verdict, listed
from bulkops.targets.base import RecordData, Target

MOST = 5_000  # records that are compared with what was sent; an entity with more like it cannot be told


class Looker:
    """Of one run. `flying` gives the creates of an entity that left and of which nothing is known."""

    def __init__(
        self, target: Target, knowledge: Knowledge, flying: Callable[[str], Sequence[Change]]
    ) -> None:
        self._target = target
        self._knowledge = knowledge
        self._flying = flying

    async def look(self, doubts: Sequence[Doubt]) -> dict[int, Verdict]:
        """What became of each, by its number. Raises what the target's reads raise."""
        verdicts: dict[int, Verdict] = {}
        by_entity: dict[str, list[Doubt]] = defaultdict(list)
        for doubt in doubts:
            by_entity[doubt.change.entity].append(doubt)
        for entity, members in by_entity.items():
            known = await self._knowledge.of(entity)
            creates = [doubt for doubt in members if doubt.change.action is Action.CREATE]
            if creates:
                verdicts |= await self._look_for_creates(known, creates)
            if others := [doubt for doubt in members if doubt.change.action is not Action.CREATE]:
                verdicts |= await self._look_at_records(known.shape, others)
        return verdicts

    async def floor(self, change: Change) -> int | None:
        """The highest id among what its create could be taken for before it was sent; 0 where there is none.

        None where there is too much of it. One read, for the first create of an entity that has no key.
        """
        known = await self._knowledge.of(change.entity)
        where = fingerprint.query(known, [Doubt(change=change)])
        seen = highest = 0
        async for record in self._target.read(change.entity, where, fields=["id"]):
            highest = int(record["id"] or 0)
            seen += 1
            if seen > MOST:
                return None
        return highest

    # --- creates ---

    async def _look_for_creates(self, known: Known, doubts: Sequence[Doubt]) -> dict[int, Verdict]:
        if not known.shape.is_queryable:
            reason = f"{LOST}, and {known.shape.name} cannot be read"
            return {doubt.n: Verdict(seen=Seen.HELD, reason=reason) for doubt in doubts}
        await self._knowledge.learn(known)
        verdicts: dict[int, Verdict] = {}
        by_key: dict[tuple[str, ...], list[Doubt]] = defaultdict(list)
        for doubt in doubts:
            by_key[_searched(known.shape, doubt.change)].append(doubt)
        for names, members in by_key.items():
            look = self._by_key(known, names, members) if names else self._by_fingerprint(known, members)
            verdicts |= await look
        return verdicts

    async def _by_key(
        self, known: Known, names: tuple[str, ...], doubts: Sequence[Doubt]
    ) -> dict[int, Verdict]:
        keys = {doubt.n: tuple(_key(doubt.change)[name] for name in names) for doubt in doubts}
        fields = fingerprint.read_fields(known.shape, [doubt.change for doubt in doubts])
        creator = [known.creator_field] if known.creator_field else []
        found = await find_by_key(
            self._target, known.shape, names, list(keys.values()), fields=[*fields, *creator]
        )
        return {doubt.n: _judged(known, doubt, found.get(key_of(keys[doubt.n]), ())) for doubt in doubts}

    async def _by_fingerprint(self, known: Known, doubts: Sequence[Doubt]) -> dict[int, Verdict]:
        fields = fingerprint.read_fields(known.shape, [doubt.change for doubt in doubts])
        creator = [known.creator_field] if known.creator_field else []
        records: list[RecordData] = []
        where = fingerprint.query(known, doubts)
        async for record in self._target.read(known.shape.name, where, fields=["id", *fields, *creator]):
            records.append(record)
            if len(records) > MOST:
                reason = f"{LOST}, and more than {MOST:,} {known.shape.name} records may be it"
                return {doubt.n: Verdict(seen=Seen.HELD, reason=reason) for doubt in doubts}
        ids = {int(record["id"] or 0) for record in records}
        looked_for = {doubt.n for doubt in doubts}
        ours = self._knowledge.ours(known.shape.name, ids, looked_for) if ids else set()
        # As of now, after the read: what was answered meanwhile is ours, what left meanwhile may be in it.
        flying = [change for change in self._flying(known.shape.name) if change.n not in looked_for]
        return fingerprint.verdicts(known, doubts, records, ours=ours, flying=flying)

    async def twins(self, doubts: Sequence[Doubt], *, is_quiet: bool) -> dict[int, list[int]]:
        """Of creates that were sent again after they were absent for good: the first request's record, late.

        By number, all ids that are its; only where there are several. `is_quiet`: nothing is in flight or in
        doubt, so that a like record of another row is known to be that row's. Raises what reads raise.
        """
        found: dict[int, list[int]] = {}
        groups: dict[tuple[str, tuple[str, ...]], list[Doubt]] = defaultdict(list)
        for doubt in doubts:
            known = await self._knowledge.of(doubt.change.entity)
            groups[doubt.change.entity, _searched(known.shape, doubt.change)].append(doubt)
        for (entity, names), members in groups.items():
            known = await self._knowledge.of(entity)
            if names:
                found |= await self._with_key(known, names, members)
            elif is_quiet:
                found |= await self._alike(known, members)
        return {n: ids for n, ids in found.items() if len(ids) > 1}

    async def _with_key(
        self, known: Known, names: tuple[str, ...], doubts: Sequence[Doubt]
    ) -> dict[int, list[int]]:
        keys = {doubt.n: tuple(_key(doubt.change)[name] for name in names) for doubt in doubts}
        found = await find_by_key(self._target, known.shape, names, list(keys.values()))
        return {n: sorted(int(r["id"] or 0) for r in found.get(key_of(key), ())) for n, key in keys.items()}

    async def _alike(self, known: Known, doubts: Sequence[Doubt]) -> dict[int, list[int]]:
        fields = fingerprint.read_fields(known.shape, [doubt.change for doubt in doubts])
        where = fingerprint.query(known, doubts)
        records = [r async for r in self._target.read(known.shape.name, where, fields=["id", *fields])]
        others = self._knowledge.ours(known.shape.name, {int(r["id"] or 0) for r in records}, ())
        found: dict[int, list[int]] = {}
        for doubt in doubts:
            like = [r for r in records if not fingerprint.different(known, doubt.change, r)]
            stray = sorted({int(record["id"] or 0) for record in like} - others)
            own = self._knowledge.made(doubt.n)
            found[doubt.n] = [*([own] if own is not None else []), *stray]
        return found

    # --- updates and deletes ---

    async def _look_at_records(self, shape: Entity, doubts: Sequence[Doubt]) -> dict[int, Verdict]:
        updates = [doubt.change for doubt in doubts if doubt.change.action is Action.UPDATE]
        sent = {name for change in updates for name in change.fields}
        names = sorted(name for name in sent if _is_readable(shape, name))
        ids = sorted({doubt.change.id for doubt in doubts if doubt.change.id is not None})
        current: dict[int, RecordData] = {}
        for start in range(0, len(ids), 500):
            where = {"op": "in", "field": "id", "value": ids[start : start + 500]}
            async for record in self._target.read(shape.name, where, fields=["id", *names]):
                current[int(record["id"] or 0)] = record
        return {d.n: _on_record(shape, d.change, current.get(d.change.id or 0)) for d in doubts}


def _key(change: Change) -> dict[str, Value]:
    """What tells its record from all others: its marker, else its key."""
    if change.marker:
        return {change.marker: change.fields[change.marker].after}
    return dict(change.key)


def _searched(shape: Entity, change: Change) -> tuple[str, ...]:
    """The fields by which its record can be asked for; none: by its fingerprint."""
    key = _key(change)
    is_askable = bool(key) and can_be_asked_for(shape, key)
    return tuple(key) if is_askable else ()


def _judged(known: Known, doubt: Doubt, records: Sequence[RecordData]) -> Verdict:
    """What the records with its key mean."""
    if not records:
        return ABSENT
    name, ids = known.shape.name, sorted(int(record["id"] or 0) for record in records)
    mine = [record for record in records if fingerprint.could_be(known, doubt, record)]
    if not mine:
        have = "has" if len(ids) == 1 else "have"
        return Verdict(
            seen=Seen.HELD, reason=f"{LOST}, and {name} {listed(ids)} {have} its key and was not made by it"
        )
    if len(mine) > 1:
        return Verdict(seen=Seen.HELD, reason=f"{LOST}, and {name} {listed(ids)} all have its key")
    return _judged_one(known, doubt, mine[0])


def _judged_one(known: Known, doubt: Doubt, record: RecordData) -> Verdict:
    id = int(record["id"] or 0)
    names = fingerprint.different(known, doubt.change, record)
    if doubt.change.marker or known.names_creator(record) or not names:
        return Verdict(seen=Seen.DONE, id=id)
    reason = f"{LOST}, and {known.shape.name} {id} has its key but differs in {', '.join(names)}"
    # What the server makes of our records may be learned while others are created.
    return Verdict(seen=Seen.HELD if known.is_learned else Seen.LATER, reason=reason)


def _on_record(shape: Entity, change: Change, current: RecordData | None) -> Verdict:
    if change.action is Action.DELETE:
        return Verdict(seen=Seen.DONE if current is None else Seen.ABSENT, id=change.id)
    if current is None:
        return Verdict(seen=Seen.ABSENT, id=change.id)
    left = [name for name in change.fields if not _is_there(shape, change, name, current)]
    if not left and any(_is_readable(shape, name) for name in change.fields):
        return Verdict(seen=Seen.DONE, id=change.id)
    if foreign := [name for name in left if _is_foreign(shape, change, name, current)]:
        now = ", ".join(f"{name} is {current.get(name)!r} now" for name in foreign)
        reason = f"the answer to its update was lost, and {now}, neither what it was nor what was sent"
        return Verdict(seen=Seen.HELD, id=change.id, reason=reason)
    return Verdict(seen=Seen.ABSENT, id=change.id, left=tuple(left))


def _is_there(shape: Entity, change: Change, name: str, current: RecordData) -> bool:
    return _is_readable(shape, name) and equal(shape.find(name), current.get(name), change.fields[name].after)


def _is_foreign(shape: Entity, change: Change, name: str, current: RecordData) -> bool:
    """Its value is neither the one before nor the one after."""
    before = change.fields[name].before
    if isinstance(before, Unknown) or not _is_readable(shape, name):
        return False
    return not equal(shape.find(name), current.get(name), before)


def _is_readable(shape: Entity, name: str) -> bool:
    field = shape.find(name)
    return field is not None and field.is_queryable
