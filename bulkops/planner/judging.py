"""Asks the API's own rules about a batch of changes, and reads what they want to know. Only reads.

What they want is read in bulk and remembered: one read for 500 values, none for a change no rule is about.
What may not be read costs the rules that need it, never the plan.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeAlias

from bulkops.change import Action, Change
from bulkops.errors import NoRouteError, RefusedError, RejectedError
from bulkops.labels import Labels
from bulkops.naming import name_of
from bulkops.planner.aftermath import Aftermath
from bulkops.references import VALUES_A_CALL
from bulkops.schema import Entity
from bulkops.targets.autotask.rules import (
    COUNTED,
    READS,
    RULES,
    Case,
    Finding,
    Kind,
    Related,
    Wanted,
    judge,
)
from bulkops.targets.base import Filter, RecordData, Target

MOST_NAMES = 2_000  # of an entity's records, in a plan
NARROW = 4  # batches in which pairs are asked for as they are, before all of one side is read at once
WIDE = 5_000  # records that are read at once at most
NOBODY = -1  # who is not known yet, among ids
_UNREADABLE = (RefusedError, RejectedError, NoRouteError)

Judged: TypeAlias = tuple[Change, RecordData | None, Collection[str]]
"""A change, the record as it meets it, None where it creates one, and the fields of which its row speaks."""


class Written:
    """What the rows that were judged so far write. Implements `rules.Planned`."""

    def __init__(self, aftermath: Aftermath) -> None:
        self._aftermath = aftermath
        self._entities: set[str] = set()
        self._created: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))

    def note(self, change: Change) -> None:
        self._entities.add(change.entity)
        if change.action is Action.CREATE and change.entity in COUNTED:
            fields = change.after()
            above, person = fields.get(COUNTED[change.entity]), fields.get("resourceID")
            if isinstance(above, int):
                self._created[change.entity][above].append(person if isinstance(person, int) else NOBODY)

    def expect(self, n: int, findings: Sequence[Finding]) -> None:
        """What row `n` makes the API change besides."""
        self._aftermath.expect(n, [moved for finding in findings for moved in finding.moves])

    def is_written(self, entity: str) -> bool:
        return entity in self._entities

    def left(self, entity: str, records: Sequence[RecordData]) -> Sequence[RecordData]:
        there = [r for r in records if self._aftermath.gone_by(entity, int(r["id"] or 0)) is None]
        return self._aftermath.seen(entity, there)

    def created(self, entity: str, id: int) -> int:
        return len(self.joined(entity, id))

    def joined(self, entity: str, id: int) -> Collection[int]:
        return self._created[entity].get(id, ())

    def made(self, entity: str, change: int) -> RecordData | None:
        return self._aftermath.made(entity, change)


class Judging:
    """Of one plan."""

    def __init__(self, target: Target, aftermath: Aftermath) -> None:
        self._warnings: list[str] = []
        self._target = target
        self._written = Written(aftermath)
        self._related = Related(self._written)
        self._asked_pairs: Counter[tuple[str, str, str]] = Counter()
        self._is_dear: set[tuple[str, str, str]] = set()

    def know(self, question: tuple[str, str], ids: Sequence[int], records: Sequence[RecordData]) -> None:
        """What somebody else has read already: all records for these values."""
        if question in READS:
            self._related.put(question, ids, records)

    async def judged(
        self, entity: Entity, changes: Sequence[Judged], *, looked_up: Collection[str] = ()
    ) -> dict[int, Sequence[Finding]]:
        """What the rules say, by the number of the change. Raises what the target's reads raise."""
        found: dict[int, Sequence[Finding]] = {}
        if entity.name in RULES:
            self._related.begin_batch(entity.name)
            cases = [
                Case(
                    entity=entity,
                    change=change,
                    before=before,
                    related=self._related,
                    looked_up=looked_up,
                    said=said,
                )
                for change, before, said in changes
            ]
            found = await self._settled(cases)
            if entity.name in COUNTED:
                return self._one_by_one(cases)
        for change, _, _ in changes:
            if not is_rejected(found.get(change.n, ())):
                self._written.note(change)
                self._written.expect(change.n, found.get(change.n, ()))
        return found

    async def _settled(self, cases: Sequence[Case]) -> dict[int, Sequence[Finding]]:
        """Judges until nothing is wanted any more. Each round knows what the one before wanted."""
        found: dict[int, Sequence[Finding]] = {}
        while cases:
            found |= (open_ := _Round(cases)).found
            cases = open_.missed
            if wanted := self._related.take_wanted():
                await self._read(wanted)
        return {n: findings for n, findings in found.items() if findings}

    def _one_by_one(self, cases: Sequence[Case]) -> dict[int, Sequence[Finding]]:
        """Each row counts for the next one."""
        found = {}
        for case in cases:
            found[case.change.n] = judge(case)
            if not is_rejected(found[case.change.n]):
                self._written.note(case.change)
                self._written.expect(case.change.n, found[case.change.n])
        return found

    def labelled(self, labels: Labels, shapes: Mapping[str, Mapping[str, Any]]) -> Labels:
        """`labels` with the names of what records refer to, as far as a rule read them.

        `shapes` as a plan's header keeps them.
        """
        found = {entity: dict(fields) for entity, fields in labels.items()}
        names_of = lru_cache(maxsize=None)(self._names)
        for entity, facts in shapes.items():
            for name, field in facts["fields"].items():
                if names := names_of(field.get("reference", "")):
                    own = found.setdefault(entity, {})
                    own[name] = {**names, **own.get(name, {})}
        return found

    def _names(self, entity: str) -> dict[str, str]:
        """Of its records, by id. Where they are very many, nobody reads them one by one."""
        records = list(islice(self._related.read(entity), MOST_NAMES + 1)) if entity else []
        told = {str(record["id"]): name for record in records if (name := name_of(record))}
        return told if len(records) <= MOST_NAMES else {}

    @property
    def unreadable(self) -> Sequence[str]:
        """Entities at which no rule could look."""
        return sorted(self._related.unreadable)

    def take_warnings(self) -> list[str]:
        """What could not be looked at, told once."""
        warnings, self._warnings = self._warnings, []
        return warnings

    # --- reading ---

    async def _read(self, wanted: Wanted) -> None:
        for name in sorted(wanted.shapes):
            try:
                self._related.put_shape(await self._target.describe(name))
            except RefusedError:
                self._lose(name)
        for question, ids in wanted.records.items():
            for chunk in _chunks(sorted(ids), VALUES_A_CALL):
                await self._read_records(question, chunk)
        for pair, asked in wanted.pairs.items():
            await self._read_pairs(pair, asked)

    def _lose(self, entity: str) -> None:
        if entity not in self._related.unreadable:
            self._related.unreadable.add(entity)
            self._warnings.append(
                f"this API user cannot read {entity}, so nobody looked whether Autotask's rules on it hold"
            )

    async def _read_records(self, question: tuple[str, str], ids: Sequence[int]) -> None:
        _, field = question
        records = await self._records(question, {"op": "in", "field": field, "value": list(ids)})
        if records is not None:
            self._related.put(question, ids, records)

    async def _records(self, question: tuple[str, str], where: Filter) -> list[RecordData] | None:
        """The records; None where they may not be read."""
        fields: Sequence[str] | None = READS[question] or None
        try:
            return [record async for record in self._target.read(question[0], where, fields=fields)]
        except _UNREADABLE:
            self._lose(question[0])
            return None

    async def _read_pairs(self, pair: tuple[str, str, str], asked: set[tuple[int, int]]) -> None:
        """A few pairs are asked for as they are; for a job of many rows one side is read at once."""
        entity, field, other = pair
        ids = sorted({id for id, _ in asked})
        self._asked_pairs[pair] += 1
        if self._asked_pairs[pair] > NARROW and await self._is_cheap(pair, ids):
            await self._read_records((entity, field), ids)
            return
        for some in _chunks(ids, VALUES_A_CALL // 2):
            others = sorted({second for first, second in asked if first in some})
            for chunk in _chunks(others, VALUES_A_CALL - len(some)):
                records = await self._records((entity, field), _both(field, some, other, chunk))
                if records is None:
                    return
                held = {(first, second) for first, second in asked if first in some and second in chunk}
                self._related.put_pairs(pair, held, records)

    async def _is_cheap(self, pair: tuple[str, str, str], ids: Sequence[int]) -> bool:
        """Whether all records of one side are few. Where they were not once, nobody asks again."""
        if pair in self._is_dear or len(ids) > VALUES_A_CALL:
            return False
        entity, field, _ = pair
        try:
            count = await self._target.count(entity, {"op": "in", "field": field, "value": list(ids)})
        except _UNREADABLE:
            count = WIDE + 1
        if count > WIDE:
            self._is_dear.add(pair)
        return count <= WIDE


class _Round:
    """Every case judged once: what was found, and which of them wanted what is not known."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.found: dict[int, Sequence[Finding]] = {}
        self.missed: list[Case] = []
        for case in cases:
            case.related.missed = False
            self.found[case.change.n] = judge(case)
            if case.related.missed:
                self.missed.append(case)


def clearing(change: Change, findings: Sequence[Finding], before: RecordData | None) -> Change:
    """The change with what has to be emptied first, so that the rest of it can be written."""
    names = [name for finding in findings for name in finding.clears]
    return change.with_cleared(names, before or {}) if names else change


def is_rejected(findings: Sequence[Finding]) -> bool:
    return any(finding.kind is Kind.REJECT for finding in findings)


def _chunks(values: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for at in range(0, len(values), size):
        yield values[at : at + size]


def _both(field: str, values: Sequence[int], other: str, others: Sequence[int]) -> Mapping[str, Any]:
    clauses = [(field, values), (other, others)]
    items = [{"op": "in", "field": name, "value": list(wanted)} for name, wanted in clauses]
    return {"op": "and", "items": items}
