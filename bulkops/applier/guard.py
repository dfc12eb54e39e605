"""The drift guard: reads the records that a batch of changes was planned from, and compares.

What somebody changed since is held, or overwritten where that was asked for; then what was there is kept, so
that undo restores it and not what the plan had seen. One read for all records of an entity. Where changes
rest on how much belongs to their records (the open tasks of projects that are closed), one read more a batch,
and one for each further 500 of what is counted: for projects with one open task each two calls for 500 rows
instead of one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bulkops.applier.drift import WHO, Drift, drifted, found_in, recounted, strayed
from bulkops.applier.known import KnownNames
from bulkops.change import Action, Change
from bulkops.journal import Kind
from bulkops.plan import Plan
from bulkops.plan.found import Before
from bulkops.progress import OnDrift
from bulkops.record import Tally
from bulkops.schema import Entity
from bulkops.settle.knowledge import Knowledge
from bulkops.targets.base import RecordData, Target

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
class _Now:
    """How it is now."""

    shapes: Mapping[str, Entity]
    records: Mapping[str, Mapping[int, RecordData]]
    counts: Mapping[tuple[Tally, int], int]

    def record(self, entity: str, id: int) -> RecordData | None:
        return self.records.get(entity, {}).get(id)


class Guard:
    """Of one run."""

    def __init__(self, plan: Plan, target: Target, knowledge: Knowledge, on_drift: OnDrift) -> None:
        self._target = target
        self._knowledge = knowledge
        self._overwrites = on_drift is OnDrift.OVERWRITE
        self._names = KnownNames(plan)

    def watches(self, change: Change) -> bool:
        """Whether something may have happened to what it was planned from that a read would tell."""
        return any(True for _ in self._watched(change))

    async def look(self, changes: Sequence[Change]) -> Seen:
        """Raises what the target's reads raise."""
        now = await self._now(changes)
        seen = Seen()
        for change in changes:
            for entity, id, _ in self._watched(change):
                if now.record(entity, id) is not None:  # else it is gone: the request is answered
                    self._compare(change, entity, id, now, seen)
        return seen

    def _watched(self, change: Change) -> Iterator[tuple[str, int, Collection[str]]]:
        """The records to be as the plan saw them, and their fields. Who overwrites needs no premise."""
        if change.action is not Action.CREATE and change.id is not None and change.fields:
            yield change.entity, change.id, change.fields
        if change.premise is not None and not self._overwrites:
            yield change.premise.entity, change.premise.id, change.premise.values

    # --- how it is now ---

    async def _now(self, changes: Sequence[Change]) -> _Now:
        wanted: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for change in changes:
            for entity, id, names in self._watched(change):
                wanted[entity][id].update(names)
        shapes = {entity: (await self._knowledge.of(entity)).shape for entity in wanted}
        records = {
            entity: await self._current(shapes[entity], ids)
            for entity, ids in wanted.items()
            if shapes[entity].is_queryable
        }
        counts = {} if self._overwrites else await self._counts(changes)
        return _Now(shapes=shapes, records=records, counts=counts)

    async def _current(self, shape: Entity, ids: Mapping[int, Collection[str]]) -> dict[int, RecordData]:
        shapes = [shape.find(name) for name in sorted({name for names in ids.values() for name in names})]
        fields = [field.name for field in shapes if field is not None and field.is_queryable]
        who = [name for name in WHO if shape.find(name) is not None]
        current: dict[int, RecordData] = {}
        for start in range(0, len(ids), SIZE):
            where = {"op": "in", "field": "id", "value": sorted(ids)[start : start + SIZE]}
            async for record in self._target.read(shape.name, where, fields=["id", *fields, *who]):
                current[int(record["id"] or 0)] = record
        return current

    async def _counts(self, changes: Sequence[Change]) -> dict[tuple[Tally, int], int]:
        """How much belongs to the records that changes rest on, by what is counted and id."""
        wanted: dict[Tally, set[int]] = defaultdict(set)
        for change in changes:
            if (premise := change.premise) is not None and premise.tally is not None:
                wanted[_uncounted(premise.tally)].add(premise.id)
        counts: Counter[tuple[Tally, int]] = Counter()
        for what, ids in wanted.items():
            for start in range(0, len(ids), SIZE):
                some = sorted(ids)[start : start + SIZE]
                is_one = {"op": "noteq", "field": what.field, "value": what.unless}
                belongs = {"op": "in", "field": what.parent, "value": some}
                where = {"op": "and", "items": [belongs, is_one]}
                async for record in self._target.read(what.entity, where, fields=["id", what.parent]):
                    counts[what, int(record[what.parent] or 0)] += 1
        return counts

    # --- what it means ---

    def _compare(self, change: Change, entity: str, id: int, now: _Now, seen: Seen) -> None:
        shape, record = now.shapes[entity], now.records[entity][id]
        labels, who = self._names.labels(entity), self._names.people
        if (entity, id) != (change.entity, change.id):
            drift = strayed(shape, change, record, labels, who)
        else:
            drift = drifted(shape, change, record, labels, who)
            if before := found_in(shape, change, record):
                seen.before[change.n] = before
        if drift.is_done:
            seen.findings[change.n] = Finding(kind=Kind.UNCHANGED)
        elif not self._overwrites and (reason := self._reason(change, entity, id, drift, now)):
            seen.findings[change.n] = Finding(kind=Kind.HELD, reason=reason, is_drift=True)

    def _reason(self, change: Change, entity: str, id: int, drift: Drift, now: _Now) -> str:
        """What was changed; of another record than its own, or of what belongs to it, with its name."""
        more, premise = "", change.premise
        if premise is not None and premise.tally is not None and (entity, id) == (premise.entity, premise.id):
            more = recounted(premise.tally, now.counts.get((_uncounted(premise.tally), id), 0))
        if not drift.texts and not more:
            return ""
        told = replace(drift, texts=(*drift.texts, *([more] if more else []))).sentence()
        is_own = (entity, id) == (change.entity, change.id)
        return told if is_own and not more else f"{self._names.record(change, entity, id)}: {told}"

    def described(self, change: Change) -> str:
        """Row and record: `row 3 (tasks.csv:4), update Tasks 12 "Paint"`."""
        return self._names.row(change)


def _uncounted(tally: Tally) -> Tally:
    return replace(tally, count=0)
