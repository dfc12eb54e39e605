"""Makes the reverse plan of one that was applied: each row taken back, the last one first. Only reads.

It is a plan like any other: shown first, limited, guarded against drift, applied and resumed as one. What
cannot be taken back stands in it as rejected, with the reason.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import bulkops
from bulkops.change import Change
from bulkops.errors import PlanError
from bulkops.kept import kept_text
from bulkops.plan import Fate, Header, Plan, PlanWriter, RowState, StepInfo
from bulkops.plan.shapes import facts_of
from bulkops.planner.aftermath import Aftermath
from bulkops.planner.collision import unsent
from bulkops.planner.judging import Judging, clearing, is_rejected
from bulkops.planner.notices import Notices
from bulkops.planner.stepplan import Reads
from bulkops.planner.totals import Totals
from bulkops.planner.verdicts import noted
from bulkops.record import Row, Scalar
from bulkops.reverse import is_only_cleared, reversal, unknown_before
from bulkops.safety import DEFAULTS, Measured, refusals
from bulkops.schema import Entity
from bulkops.targets.autotask.rules import ENTITIES, Finding
from bulkops.targets.base import RecordData, Target

A_READ = 500  # records that one query can ask for by id


async def build_undo(
    plan: Plan,
    target: Target,
    path: str | Path,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Plan:
    """Writes the plan that takes back what `plan` did to `path`, and returns it as sealed.

    PlanError where nothing was applied, while it is being applied, and where the target is another database;
    besides, what the target's reads raise.
    """
    await _refuse(plan, target)
    reads_before = target.calls.read
    reads, totals = Reads(target), Totals()
    shapes: dict[str, dict[str, Any]] = {}
    warnings: list[str] = []
    steps: list[StepInfo] = []
    ways_back = list(reversed(list(_steps(plan))))
    with (
        PlanWriter(path) as writer,
        Aftermath([step.entity for step, _, _ in ways_back], also=ENTITIES) as aftermath,
    ):
        shared = _Shared(reads=reads, aftermath=aftermath, judging=Judging(target, aftermath))
        n = 0
        for step, first, last in ways_back:
            shape = await reads.timed(target.describe(step.entity))
            shapes[step.entity] = facts_of(shape, shape.fields)
            before, unread = n, 0
            way = _Reversed(plan, shape, shared, step=step, first=first, last=last)
            async for row, change, fate in way.changes(before):
                n += 1
                writer.add(row, change)
                totals.add(change)
                way.notices.add(change)
                aftermath.note(change)
                unread += bool(change.action.is_write and unknown_before(fate.written))
            warnings += way.notices.told()
            if unread:
                warnings.append(
                    f"{step.name}: of {unread} rows some fields could not be read before, they stay"
                )
            if n > before:
                steps.append(replace(step, action="undo", read=n - before, dropped=0, rows=n - before))
        limits = Measured.from_json(plan.header.limits).limits or DEFAULTS
        counted = {entity: await reads.timed(target.count(entity)) for entity in totals.limited(limits)}
        measured = totals.measured(limits, counted)
        writer.seal(
            Header(
                job=f"undo of {plan.header.job}",
                tenant=plan.header.tenant,
                database=plan.header.database,
                url=plan.header.url,
                reason=f"Takes back {plan.path.name}",
                created=clock().astimezone(UTC).isoformat(timespec="seconds"),
                version=bulkops.__version__,
                steps=tuple(steps),
                counts=totals.by_action(),
                calls_read=target.calls.read - reads_before,
                calls_write=totals.writes,
                estimate_s=totals.estimates(target, reads.latency_s),
                warnings=(*warnings, *shared.judging.take_warnings(), *refusals(measured, {})),
                limits=measured.to_json(),
                entities=shapes,
                extra={"labels": plan.header.extra.get("labels", {})},
            )
        )
    return Plan.open(path)


async def _refuse(plan: Plan, target: Target) -> None:
    database = await target.identity()
    if database != plan.header.database:
        raise PlanError(
            f"{plan.path} was applied to database {plan.header.database}, and tenant {plan.header.tenant} is "
            f"database {database} now"
        )
    if plan.is_running():
        raise PlanError(f"{plan.path} is being applied. Stop it first, or wait until it has ended")
    if not plan.progress()["applied"] and not any(is_only_cleared(fate) for fate in plan.fates()):
        told = f"{plan.path}: nothing of it was applied, so there is nothing to undo"
        raise PlanError(". ".join(text for text in (told, kept_text(plan)) if text))


def _steps(plan: Plan) -> Iterator[tuple[StepInfo, int, int]]:
    """Each step with its first and its last change."""
    first = 1
    for step in plan.header.steps:
        if step.rows:
            yield step, first, first + step.rows - 1
        first += step.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What all steps of the way back have in common. `aftermath`: what those before it leave."""

    reads: Reads
    aftermath: Aftermath
    judging: Judging


class _Reversed:
    """One step of the plan, from its last row to its first."""

    def __init__(
        self, plan: Plan, shape: Entity, shared: _Shared, *, step: StepInfo, first: int, last: int
    ) -> None:
        self.notices = Notices(step.name, shape)
        self._plan = plan
        self._shape = shape
        self._shared = shared
        self._first = first
        self._last = last
        aside = plan.header.extra.get("undo", {})
        self._aside: Mapping[str, Scalar] = aside.get(step.name, {})
        self._labels = plan.header.extra.get("labels", {}).get(step.entity, {})
        self._places = array("q", [0]) * (last - first + 1)  # the number in this plan of each of its rows
        self._needed_by: dict[int, list[int]] = {}  # rows of this step that others of it need, and by which

    async def changes(self, before: int) -> AsyncIterator[tuple[Row, Change, Fate]]:
        """What takes each row back, numbered from `before` + 1; every one waits for all steps before it."""
        n = before
        for fate in self._concerned():
            n += 1
            self._places[fate.change.n - self._first] = n
            for needed in fate.change.waits_for:
                if needed >= self._first:
                    self._needed_by.setdefault(needed, []).append(fate.change.n)
        async for fates, changes in self._taken_back():
            for fate, change in zip(fates, changes, strict=True):
                needed_by = self._needed_by.get(fate.change.n, ())
                waits_for = tuple(sorted(self._place(m) for m in needed_by))
                n = self._place(fate.change.n)
                yield fate.row, replace(change, n=n, waits_for=waits_for, barrier=before), fate

    def _place(self, n: int) -> int:
        return self._places[n - self._first]

    def _concerned(self) -> Iterator[Fate]:
        """The rows that did something, or of which nobody knows, from the last one to the first. What is held
        because somebody else was there first was never sent.
        """
        for fate in self._plan.fates_backwards(self._first, self._last):
            is_done = fate.state is RowState.APPLIED or is_only_cleared(fate)
            is_open = fate.state is RowState.HELD and self._plan.sent_at(fate.change.n) is not None
            if is_done or is_open or fate.is_in_doubt:
                yield fate

    async def _taken_back(self) -> AsyncIterator[tuple[Sequence[Fate], Sequence[Change]]]:
        """The rows, and what takes each back as its record is now, with what has to be emptied for that."""
        fates = self._concerned()
        while batch := list(islice(fates, A_READ)):
            records = self._met(await self._shared.reads.timed(self._read(batch)))
            changes = [
                replace(
                    reversal(fate, self._shape, current, self._aside, self._labels),
                    n=self._place(fate.change.n),
                )
                for fate, current in zip(batch, records, strict=True)
            ]
            yield batch, await self._passed(changes, records)

    async def _passed(
        self, changes: Sequence[Change], records: Sequence[RecordData | None]
    ) -> Sequence[Change]:
        """The changes as the API's own rules leave them: rejected, or with what is to be known of them."""
        met = list(zip(changes, records, strict=True))
        judged = [(change, record, change.fields) for change, record in met if change.action.is_write]
        found = await self._shared.reads.timed(self._shared.judging.judged(self._shape, judged))
        return [self._with(change, found.get(change.n, ()), record) for change, record in met]

    def _met(self, records: Sequence[RecordData | None]) -> list[RecordData | None]:
        """The records as the steps taken back before this one leave them."""
        name = self._shape.name
        return [record and self._shared.aftermath.seen(name, [record])[0] for record in records]

    def _with(self, change: Change, findings: Sequence[Finding], before: RecordData | None) -> Change:
        if is_rejected(findings):
            return unsent(change, "; ".join(finding.text for finding in findings))
        change = clearing(change, findings, before)
        self.notices.say(change, findings, before)
        return noted(change, findings)

    async def _read(self, fates: Sequence[Fate]) -> list[RecordData | None]:
        ids = sorted({fate.id for fate in fates if fate.id is not None})
        current: dict[int, RecordData] = {}
        if ids and self._shape.is_queryable:
            where = {"op": "in", "field": "id", "value": ids}
            async for record in self._shared.reads.target.read(self._shape.name, where):
                current[int(record["id"] or 0)] = record
        return [current.get(fate.id) if fate.id is not None else None for fate in fates]
