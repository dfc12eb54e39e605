"""The drift guard: reads the records that a batch of changes was planned from, and compares.

What somebody changed since is held, or overwritten where that was asked for; then what was there is kept, so
that undo restores it and not what the plan had seen. One read for all records of an entity. Where changes
rest on what belongs to their records (the open tasks of projects that are closed), these are read as well,
500 a call: for projects with one open task each two calls for 500 rows instead of one.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bulkops.applier.drift import (
    WHO,
    Drift,
    deletable_fields,
    drifted,
    found_in,
    lost_in,
    recounted,
    restated,
    strayed,
)
from bulkops.applier.known import KnownNames
from bulkops.change import BELONGING, OTHERS, Action, Before, Change, Unknown, equal
from bulkops.errors import CallError, NotSentError, RefusedError, StopError
from bulkops.journal import Kind
from bulkops.naming import PEOPLE, RESOURCES, full_name
from bulkops.plan import Plan
from bulkops.progress import OnDrift
from bulkops.record import Held, Scalar, Tally
from bulkops.schema import Entity
from bulkops.settle.knowledge import Knowledge
from bulkops.targets.base import RecordData, Target

logger = logging.getLogger(__name__)

SIZE = 500  # what one query can ask for


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why a change is not sent: held with a reason, or unchanged since it is so already."""

    kind: Kind
    reason: str | None = None
    is_drift: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a read told of some changes, by number."""

    findings: dict[int, Finding] = field(default_factory=dict)  # of those that must not be sent
    before: dict[int, Before] = field(default_factory=dict)  # what records hold, if not what the plan saw


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What a tally asks for."""

    entity: str
    parent: str
    field: str
    unless: Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class _Now:
    """How it is now."""

    shapes: Mapping[str, Entity]
    records: Mapping[str, Mapping[int, RecordData]]
    held: Mapping[_Kind, Mapping[int, Held]]  # what belongs to records, by what was asked for and their id

    def record(self, entity: str, id: int) -> RecordData | None:
        return self.records.get(entity, {}).get(id)

    def belonging(self, tally: Tally, id: int) -> Held:
        return self.held[_kind(tally)].get(id, Held(records={}))


class Guard:
    """Of one run."""

    def __init__(self, plan: Plan, target: Target, knowledge: Knowledge, on_drift: OnDrift) -> None:
        self._target = target
        self._knowledge = knowledge
        self._overwrites = on_drift is OnDrift.OVERWRITE
        self._names = KnownNames(plan)
        self._is_back = any(step.action == "undo" for step in plan.header.steps)
        self._written = {step.entity for step in plan.header.steps}
        self._asked_for: set[int] = set()  # people

    def watches(self, change: Change) -> bool:
        """Whether something may have happened to what it was planned from that a read would tell."""
        return any(True for _ in self._watched(change))

    async def look(self, changes: Sequence[Change]) -> Seen:
        """Raises what the target's reads raise."""
        now = await self._now(changes)
        seen = self._seen(changes, now)
        held = [change for change in changes if (one := seen.findings.get(change.n)) and one.is_drift]
        return self._seen(changes, now) if await self._learn_people(held, now) else seen

    async def look_again(self, changes: Sequence[Change]) -> Seen:
        """The same for what is sent once more: its own fields were looked at when that was decided, and what
        it rests on may be another since.
        """
        now, seen = await self._now(changes), Seen()
        for change in changes:
            if finding := self._unmade(change, now):
                seen.findings[change.n] = finding
            premise = change.premise
            record = now.record(premise.entity, premise.id) if premise is not None else None
            if premise is None or record is None:
                continue
            shape, labels = now.shapes[premise.entity], self._names.labels(premise.entity)
            if _is_own(change) and (before := self._lost(shape, change, record, now)):
                seen.before[change.n] = before
            drift = strayed(shape, change, record, labels, self._names.people)
            reason = self._reason(change, premise.entity, premise.id, drift, now)
            if reason and not self._overwrites:
                seen.findings[change.n] = Finding(kind=Kind.HELD, reason=reason, is_drift=True)
        return seen

    def _seen(self, changes: Sequence[Change], now: _Now) -> Seen:
        seen = Seen()
        for change in changes:
            if finding := self._unmade(change, now):
                seen.findings[change.n] = finding
            for entity, id, _ in self._watched(change):
                if now.record(entity, id) is not None:  # else it is gone: the request is answered
                    self._compare(change, entity, id, now, seen)
        return seen

    async def _learn_people(self, changes: Sequence[Change], now: _Now) -> bool:
        """Asks, once each, for those who are to be named in what is told of these, and have no name yet."""
        found = [
            (entity, record)
            for change in changes
            for entity, id, _ in self._watched(change)
            if (record := now.record(entity, id)) is not None
        ]
        unnamed = {id for one in found for id in self._names.unnamed(*one)} - self._asked_for
        self._asked_for |= unnamed
        ids, people = sorted(unnamed), dict[str, str]()
        try:
            for start in range(0, len(ids), SIZE):
                where = {"op": "in", "field": "id", "value": ids[start : start + SIZE]}
                async for record in self._target.read(RESOURCES, where, fields=["id", *PEOPLE]):
                    people |= {str(record["id"]): name} if (name := full_name(record)) else {}
        except (StopError, NotSentError):
            raise
        except (RefusedError, CallError) as error:
            logger.info("%s cannot be read, so who changed records is told by number: %s", RESOURCES, error)
        return self._names.learn(people)

    def _watched(self, change: Change) -> Iterator[tuple[str, int, Collection[str]]]:
        """The records to be as the plan saw them, and their fields. Who overwrites needs no premise."""
        if change.action is not Action.CREATE and change.id is not None and change.fields:
            yield change.entity, change.id, {*change.fields, *change.loses}
        if change.premise is not None and not self._overwrites:
            yield change.premise.entity, change.premise.id, change.premise.values

    def _made_for(self, change: Change) -> Iterator[tuple[int, str, int]]:
        """What the plan has created so that this may be deleted: number of the row, entity and id. Who
        overwrites needs none.
        """
        if change.action is Action.DELETE and not self._overwrites:
            for n in change.waits_for:
                if (created := self._knowledge.created(n)) is not None:
                    yield n, *created

    # --- how it is now ---

    async def _now(self, changes: Sequence[Change]) -> _Now:
        wanted: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for change in changes:
            for entity, id, names in self._watched(change):
                wanted[entity][id].update(names)
            for _, entity, id in self._made_for(change):
                wanted[entity][id].update(())
        tallies = {tally.entity for change in changes if (tally := self._tally(change))}
        shapes = {entity: (await self._knowledge.of(entity)).shape for entity in {*wanted, *tallies}}
        for change in changes:
            if change.action is Action.DELETE and change.id is not None and change.fields:
                wanted[change.entity][change.id].update(deletable_fields(shapes[change.entity]))
        known = {(change.entity, name) for change in changes for name in _known_before(change)}
        records = {
            entity: await self._current(shapes[entity], ids, known)
            for entity, ids in wanted.items()
            if shapes[entity].is_queryable
        }
        return _Now(shapes=shapes, records=records, held=await self._held(changes, shapes))

    async def _current(
        self, shape: Entity, ids: Mapping[int, Collection[str]], known: Collection[tuple[str, str]]
    ) -> dict[int, RecordData]:
        """`known`: entities and fields of which the plan knew what they held."""
        shapes = [shape.find(name) for name in sorted({name for names in ids.values() for name in names})]
        fields = [field.name for field in shapes if field is not None and field.is_queryable]
        who = [name for name in WHO if shape.find(name) is not None]
        # What no query can ask for comes only where all fields are read.
        hidden = any((shape.name, one.name) in known and not one.is_queryable for one in shapes if one)
        asked = None if hidden else ["id", *fields, *who]
        current: dict[int, RecordData] = {}
        for start in range(0, len(ids), SIZE):
            where = {"op": "in", "field": "id", "value": sorted(ids)[start : start + SIZE]}
            async for record in self._target.read(shape.name, where, fields=asked):
                current[int(record["id"] or 0)] = record
        return current

    async def _held(
        self, changes: Sequence[Change], shapes: Mapping[str, Entity]
    ) -> dict[_Kind, dict[int, Held]]:
        """What belongs to the records that changes rest on."""
        wanted: dict[_Kind, set[int]] = defaultdict(set)
        names: dict[_Kind, set[str]] = defaultdict(set)
        for change in changes:
            if (tally := self._tally(change)) is not None and change.premise is not None:
                wanted[_kind(tally)].add(change.premise.id)
                names[_kind(tally)].update(tally.keeps)
        return {
            kind: await self._belonging(kind, shapes[kind.entity], sorted(ids), names[kind])
            for kind, ids in wanted.items()
        }

    def _tally(self, change: Change) -> Tally | None:
        """Who overwrites has to know only what the API changes with the record, for undo."""
        premise = change.premise
        return None if premise is None or (self._overwrites and not _is_own(change)) else premise.tally

    async def _belonging(
        self, kind: _Kind, shape: Entity, ids: Sequence[int], names: Collection[str]
    ) -> dict[int, Held]:
        fields = [shape.find(name) for name in (kind.parent, *sorted(names))]
        # What no query can ask for comes only where all fields are read.
        can_all = all(field is None or field.is_queryable for field in fields)
        asked = ["id", *(field.name for field in fields if field)] if can_all else None
        found: dict[int, dict[int, Mapping[str, Scalar]]] = defaultdict(dict)
        for start in range(0, len(ids), SIZE):
            is_one = {"op": "noteq", "field": kind.field, "value": kind.unless}
            belongs = {"op": "in", "field": kind.parent, "value": ids[start : start + SIZE]}
            where = {"op": "and", "items": [belongs, is_one]}
            async for record in self._target.read(kind.entity, where, fields=asked):
                kept = {name: record.get(name) for name in names}
                found[int(record[kind.parent] or 0)][int(record["id"] or 0)] = kept
        return {id: Held(records=records) for id, records in found.items()}

    # --- what it means ---

    def _unmade(self, change: Change, now: _Now) -> Finding | None:
        """Whether somebody has taken away what is to be there instead of what is deleted."""
        for n, entity, id in self._made_for(change):
            if entity in now.records and now.record(entity, id) is None:
                hidden = ", or this API user may not see it" if now.shapes[entity].is_restricted else ""
                told = f"{entity} {id}, which row {n} created first, is not there any more{hidden}"
                reason = f"{told}: it was deleted since, so this stays. Plan the job again"
                return Finding(kind=Kind.HELD, reason=reason, is_drift=True)
        return None

    def _compare(self, change: Change, entity: str, id: int, now: _Now, seen: Seen) -> None:
        shape, record = now.shapes[entity], now.records[entity][id]
        labels, who = self._names.labels(entity), self._names.people
        if (entity, id) != (change.entity, change.id):
            drift = strayed(shape, change, record, labels, who)
        else:
            own = {name for name, n in change.moved.items() if self._knowledge.is_applied(n)}
            drift = drifted(shape, change, record, labels, who, own=own)
            if before := {**found_in(shape, change, record), **self._lost(shape, change, record, now)}:
                seen.before[change.n] = before
        if drift.is_done:
            seen.findings[change.n] = Finding(kind=Kind.UNCHANGED)
        elif not self._overwrites and (reason := self._reason(change, entity, id, drift, now)):
            seen.findings[change.n] = Finding(kind=Kind.HELD, reason=reason, is_drift=True)

    def _lost(self, shape: Entity, change: Change, record: RecordData, now: _Now) -> Before:
        """What undo restores beside what is written, instead of what the plan saw."""
        before: Before = lost_in(shape, change, record)
        tally = self._tally(change)
        if tally is None or change.premise is None or not _is_own(change):
            return before
        held = now.belonging(tally, change.premise.id)
        if restated(now.shapes[tally.entity], tally, held):
            before = {**before, BELONGING: held}
        others = self._recounted(change, change.entity, change.premise.id, now) if self._overwrites else ""
        return {**before, OTHERS: others} if others else before

    def _reason(self, change: Change, entity: str, id: int, drift: Drift, now: _Now) -> str:
        """What was changed; of another record than its own, or of what belongs to it, with its name."""
        premise = change.premise
        if premise is not None and premise.tally is not None and premise.tally.held is None:
            return (
                f"an older bulkops made the plan, and did not keep the {premise.tally.word}s. Make it again"
            )
        more = self._recounted(change, entity, id, now)
        if not drift.texts and not more:
            return ""
        told = replace(drift, texts=(*drift.texts, *([more] if more else []))).sentence()
        is_itself = (entity, id) == (change.entity, change.id)
        return told if is_itself and not more else f"{self._names.record(change, entity, id)}: {told}"

    def _recounted(self, change: Change, entity: str, id: int, now: _Now) -> str:
        """What is said where other records belong to a record by now. What the plan itself writes of them is
        nobody's doing, and where the record is so already nothing more happens to them.
        """
        premise = change.premise
        if premise is None or premise.tally is None or (entity, id) != (premise.entity, premise.id):
            return ""
        tally, shape = premise.tally, now.shapes[entity]
        if tally.held is None:  # nobody knows which they were
            return ""
        is_now = now.records[entity][id].get(tally.field)
        is_so = _is_own(change) and equal(shape.find(tally.field), is_now, tally.unless)
        if is_so:
            return ""
        held = now.belonging(tally, id)
        if self._is_back and restated(now.shapes[tally.entity], tally, held):
            # What the way back makes the API change is restored as the plan saw it.
            return recounted(tally, held) or f"what its {tally.word}s hold is other by now"
        others = tally.records.keys() ^ held.records.keys() if tally.entity in self._written else ()
        own = self._knowledge.ours(tally.entity, others, ()) if others else ()
        return recounted(tally, held, own, is_over=self._overwrites)

    def described(self, change: Change) -> str:
        """Row and record: `row 3 (tasks.csv:4), update Tasks 12 "Paint"`."""
        return self._names.row(change)


def _known_before(change: Change) -> set[str]:
    """The fields of its record of which it says what they held, also what the API takes away."""
    written = {name for name, diff in change.fields.items() if not isinstance(diff.before, Unknown)}
    return {*change.loses, *(written if change.action is not Action.CREATE else ())}


def _is_own(change: Change) -> bool:
    """Whether its premise is about the record that it changes."""
    premise = change.premise
    return premise is not None and (premise.entity, premise.id) == (change.entity, change.id)


def _kind(tally: Tally) -> _Kind:
    return _Kind(entity=tally.entity, parent=tally.parent, field=tally.field, unless=tally.unless)
