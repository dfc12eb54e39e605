"""Reads the target to find out what became of writes in doubt. Never writes, never guesses.

A create is looked for by its marker or its key, else by its fingerprint; updates and deletes by id. That is
one read for an entity and round (one more, once, to learn how the target keeps our own records).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

from bulkops.change import Action, Change, Unknown, equal, is_shown
from bulkops.record import Value
from bulkops.references import can_be_asked_for, find_by_key, key_of, record_id
from bulkops.schema import Entity
from bulkops.settle import fingerprint
from bulkops.settle.knowledge import Knowledge, Known
from bulkops.settle.verdict import ABSENT, LOST, Doubt, Seen, Verdict, listed
from bulkops.targets.base import RecordData, Target

LOST_UPDATE = "the answer to its update was lost"
MOST = 5_000  # records that are compared with what was sent; an entity with more like it cannot be told


class Looker:
    """Of one run. `flying` gives the creates of an entity that left and of which nothing is known."""

    def __init__(
        self, target: Target, knowledge: Knowledge, flying: Callable[[str], Sequence[Doubt]]
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
            highest = record_id(record)
            seen += 1
            if seen > MOST:
                return None
        return highest

    # --- creates ---

    async def _look_for_creates(self, known: Known, doubts: Sequence[Doubt]) -> dict[int, Verdict]:
        if not known.shape.is_queryable:
            reason = f"{LOST}, and {known.shape.name} cannot be read"
            return {doubt.n: Verdict(seen=Seen.HELD, reason=reason) for doubt in doubts}
        await self._knowledge.learn(known, doubts)
        verdicts: dict[int, Verdict] = {}
        by_key: dict[tuple[str, ...], list[Doubt]] = defaultdict(list)
        for doubt in doubts:
            by_key[_searched(known, doubt.change)].append(doubt)
        nameless = by_key.pop((), [])
        taken: set[int] = set()  # by those that have a key: of what has their key, nothing else can be
        for names, members in by_key.items():
            for doubt, records in (await self._with_key(known, names, members)).items():
                verdicts[doubt.n] = _judged(known, doubt, records)
                taken |= {record_id(record) for record in records}
        if nameless:
            verdicts |= await self._by_fingerprint(known, nameless, taken)
        return {n: _believed(known, verdict) for n, verdict in verdicts.items()}

    async def _with_key(
        self, known: Known, names: tuple[str, ...], doubts: Sequence[Doubt]
    ) -> dict[Doubt, list[RecordData]]:
        """The records that have the key of each."""
        keys = {doubt: tuple(_key(doubt.change)[name] for name in names) for doubt in doubts}
        fields = _told_by(known, doubts)
        found = await find_by_key(self._target, known.shape, names, list(keys.values()), fields=fields)
        return {doubt: found.get(key_of(key), []) for doubt, key in keys.items()}

    async def _by_fingerprint(
        self, known: Known, doubts: Sequence[Doubt], taken: Collection[int]
    ) -> dict[int, Verdict]:
        records: list[RecordData] = []
        where = fingerprint.query(known, doubts)
        fields = ["id", *_told_by(known, [*doubts, *self._flying(known.shape.name)])]
        async for record in self._target.read(known.shape.name, where, fields=fields):
            records.append(record)
            if len(records) > MOST:
                reason = f"{LOST}, and more than {MOST:,} {known.shape.name} records may be it"
                return {doubt.n: Verdict(seen=Seen.HELD, reason=reason) for doubt in doubts}
        looked_for = {doubt.n for doubt in doubts}
        ids = {record_id(record) for record in records}
        ours = self._knowledge.ours(known.shape.name, ids, looked_for) if ids else set()
        # As of now, after the read: what was answered meanwhile is ours, what left meanwhile may be in it.
        flying = [one for one in self._flying(known.shape.name) if one.n not in looked_for]
        known.is_hidden = known.is_hidden and not ours  # of those that were read back somebody deleted all
        ours |= set(taken)
        told = fingerprint.verdicts(known, doubts, records, ours=ours, flying=flying, read=fields)
        known.held += [doubt for doubt in doubts if told[doubt.n].seen is Seen.HELD]
        return told

    async def twins(self, doubts: Sequence[Doubt], *, is_quiet: bool) -> dict[int, list[int]]:
        """Of creates that were sent again after they were absent for good: the first request's record, late.

        By number, all ids that are its, where there are more than were to be: none of what was refused when
        it was sent again. `is_quiet`: nothing is in flight or in doubt, so that a like record of another row
        is known to be that row's. Raises what reads raise.
        """
        found: dict[int, list[int]] = {}
        groups: dict[tuple[str, tuple[str, ...]], list[Doubt]] = defaultdict(list)
        for doubt in doubts:
            known = await self._knowledge.of(doubt.change.entity)
            groups[doubt.change.entity, _searched(known, doubt.change)].append(doubt)
        for (entity, names), members in groups.items():
            known = await self._knowledge.of(entity)
            if names:
                with_key = await self._with_key(known, names, members)
                found |= {doubt.n: self._its(known, doubt, records) for doubt, records in with_key.items()}
            elif is_quiet:
                found |= await self._alike(known, members)
        return {n: ids for n, ids in found.items() if len(ids) > (self._knowledge.made(n) is not None)}

    def _its(self, known: Known, doubt: Doubt, records: Sequence[RecordData]) -> list[int]:
        own = self._knowledge.made(doubt.n)
        return [id for r in records if (id := record_id(r)) == own or fingerprint.could_be(known, doubt, r)]

    async def _alike(self, known: Known, doubts: Sequence[Doubt]) -> dict[int, list[int]]:
        where = fingerprint.query(known, doubts)
        fields = ["id", *_told_by(known, doubts)]
        records = [r async for r in self._target.read(known.shape.name, where, fields=fields)]
        others = self._knowledge.ours(known.shape.name, {record_id(r) for r in records}, ())
        found: dict[int, list[int]] = {}
        for doubt in doubts:
            stray = [r for r in records if record_id(r) not in others and fingerprint.is_its(known, doubt, r)]
            own = self._knowledge.made(doubt.n)
            found[doubt.n] = [*([own] if own is not None else []), *map(record_id, stray)]
        return found

    # --- updates and deletes ---

    async def _look_at_records(self, shape: Entity, doubts: Sequence[Doubt]) -> dict[int, Verdict]:
        updates = [doubt.change for doubt in doubts if doubt.change.action is Action.UPDATE]
        sent = {name for change in updates for name in change.fields}
        names = sorted(name for name in sent if _is_askable(shape, name))
        # What no query can ask for comes, if at all, where all fields are read.
        asked = ["id", *names] if len(names) == len(sent) else None
        ids = sorted({doubt.change.id for doubt in doubts if doubt.change.id is not None})
        current: dict[int, RecordData] = {}
        for start in range(0, len(ids), 500):
            where = {"op": "in", "field": "id", "value": ids[start : start + 500]}
            async for record in self._target.read(shape.name, where, fields=asked):
                current[record_id(record)] = record
        return {d.n: _on_record(shape, d, current.get(d.change.id or 0)) for d in doubts}


def _key(change: Change) -> dict[str, Value]:
    """What tells its record from all others: its marker, else its key."""
    if change.marker:
        return {change.marker: change.fields[change.marker].after}
    return dict(change.key)


def _searched(known: Known, change: Change) -> tuple[str, ...]:
    """The fields by which its record can be asked for; none: by its fingerprint.

    A key or a mark that the server does not keep as it was sent finds nothing.
    """
    key = _key(change)
    is_askable = bool(key) and can_be_asked_for(known.shape, key) and known.altered.isdisjoint(key)
    return tuple(key) if is_askable else ()


def _told_by(known: Known, doubts: Sequence[Doubt]) -> list[str]:
    """The fields that tell whose record it is."""
    fields = fingerprint.read_fields(known.shape, [doubt.change for doubt in doubts])
    return [*fields, *([known.creator_field] if known.creator_field else [])]


def _believed(known: Known, verdict: Verdict) -> Verdict:
    """Absence says nothing where what is there may not be seen."""
    if verdict.seen is not Seen.ABSENT or not (known.is_hidden or known.shape.is_restricted):
        return verdict
    seen, why = Seen.HELD, f"this API user sees only some {known.shape.name} records"
    if not known.shape.is_restricted:  # or somebody deleted the first ones: more may be known later
        seen, why = Seen.LATER, f"{known.shape.name} that this plan created cannot be read back"
    return Verdict(seen=seen, reason=f"{LOST}, and {why}: that it is not seen proves nothing")


def _judged(known: Known, doubt: Doubt, records: Sequence[RecordData]) -> Verdict:
    """What the records with its key mean."""
    if not records:
        return ABSENT
    name, ids = known.shape.name, sorted(map(record_id, records))
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
    id = record_id(record)
    names = fingerprint.different(known, doubt.change, record)
    if doubt.change.marker or known.names_creator(doubt, record) or not names:
        return Verdict(seen=Seen.DONE, id=id)
    reason = f"{LOST}, and {known.shape.name} {id} has its key but differs in {', '.join(names)}"
    # What the server makes of our records may be learned while others are created.
    return Verdict(seen=Seen.HELD if known.is_learned else Seen.LATER, reason=reason)


def _on_record(shape: Entity, doubt: Doubt, current: RecordData | None) -> Verdict:
    change = doubt.change
    if change.action is Action.DELETE:
        return Verdict(seen=Seen.DONE if current is None else Seen.ABSENT, id=change.id)
    if current is None:
        return Verdict(seen=Seen.ABSENT, id=change.id)
    left = [name for name in change.fields if not _is_there(shape, change, name, current)]
    unseen = [name for name in left if not is_shown(shape.find(name), current)]
    was_other = any(_is_news(shape, change, name) for name in change.fields if name not in left)
    is_whole = not left and any(is_shown(shape.find(name), current) for name in change.fields)
    if is_whole or (doubt.refusal is not None and left == unseen and was_other):
        return Verdict(seen=Seen.DONE, id=change.id)  # a request is done as a whole, or not at all
    cleared = _cleared(shape, change, left, current)
    foreign = [n for n in left if n not in cleared and _is_foreign(shape, change, n, current)]
    if foreign:
        now = ", ".join(f"{name} is {current.get(name)!r} now" for name in foreign)
        how = "it was stopped between its two requests" if doubt.is_sure else LOST_UPDATE
        reason = f"{how}, and {now}, neither what it was nor what was sent"
        return Verdict(seen=Seen.HELD, id=change.id, reason=reason, cleared=cleared)
    return Verdict(seen=Seen.ABSENT, id=change.id, left=tuple(left), cleared=cleared)


def _cleared(shape: Entity, change: Change, left: Sequence[str], current: RecordData) -> tuple[str, ...]:
    """What it empties first and is empty, while the rest was not sent: then that is its own doing."""
    if not any(name not in change.cleared and is_shown(shape.find(name), current) for name in left):
        return ()
    return tuple(
        name
        for name in change.cleared
        if _is_askable(shape, name) and equal(shape.find(name), current.get(name), None)
    )


def _is_there(shape: Entity, change: Change, name: str, current: RecordData) -> bool:
    is_so = equal(shape.find(name), current.get(name), change.fields[name].after)
    return is_so and is_shown(shape.find(name), current)


def _is_news(shape: Entity, change: Change, name: str) -> bool:
    """Whether it was another value before: then it is there because it was sent."""
    diff = change.fields[name]
    return not isinstance(diff.before, Unknown) and not equal(shape.find(name), diff.before, diff.after)


def _is_foreign(shape: Entity, change: Change, name: str, current: RecordData) -> bool:
    """Its value is neither the one before nor the one after."""
    before = change.fields[name].before
    if isinstance(before, Unknown) or not is_shown(shape.find(name), current):
        return False
    return not equal(shape.find(name), current.get(name), before)


def _is_askable(shape: Entity, name: str) -> bool:
    field = shape.find(name)
    return field is not None and field.is_queryable
