"""Makes the reverse plan of one that was applied: each row taken back, the last one first. Only reads.

It is a plan like any other: shown first, limited, guarded against drift, applied and resumed as one. What
cannot be taken back stands in it as rejected, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any, TypeAlias

import bulkops
from bulkops.alongside import Alongside, Done, done_along
from bulkops.errors import PlanError
from bulkops.job.model import StepAction
from bulkops.kept import kept_text
from bulkops.labels import labels_of
from bulkops.plan import Header, Plan, PlanWriter, StepInfo
from bulkops.plan.shapes import facts_of
from bulkops.planner.aftermath import Aftermath
from bulkops.planner.judging import Judging
from bulkops.planner.stepplan import Reads
from bulkops.planner.totals import Totals
from bulkops.recipes.work import FOLLOWED
from bulkops.record import Scalar
from bulkops.reverse import is_only_cleared, unknown_before
from bulkops.safety import DEFAULTS, Limit, Measured, label_kind, refusals
from bulkops.schema import Entity
from bulkops.targets.autotask.rules import ENTITIES
from bulkops.targets.base import Target
from bulkops.wayback import Needs, OwnRows, Rows, Shared, WayBack
from bulkops.wording import counted


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
    reads = Reads(target)
    ways_back = await _in_order(plan, [_way_back(plan, *one) for one in _steps(plan)][::-1], reads)
    entities = [entity for step, _, along in ways_back for entity in (step.entity, *along)]
    with (
        PlanWriter(path) as writer,
        Aftermath(entities, also=ENTITIES, is_back=True) as aftermath,
        closing(Needs()) as needs,
    ):
        shared = Shared(reads=reads, aftermath=aftermath, judging=Judging(target, aftermath), needs=needs)
        limits = Measured.from_json(plan.header.limits).limits or DEFAULTS
        undoing = _Undoing(plan, writer, shared, limits)
        for step, rows, along in ways_back:
            await undoing.take_back(step, rows, along)
        totals = undoing.totals
        sizes = {entity: await reads.timed(target.count(entity)) for entity in totals.limited(limits)}
        measured = totals.measured(limits, sizes)
        writer.seal(
            Header(
                job=f"undo of {plan.header.job}",
                tenant=plan.header.tenant,
                database=plan.header.database,
                url=plan.header.url,
                reason=f"Takes back {plan.path.name}",
                created=clock().astimezone(UTC).isoformat(timespec="seconds"),
                version=bulkops.__version__,
                steps=tuple(undoing.steps),
                counts=totals.by_action(),
                calls_read=target.calls.read - reads_before,
                calls_write=totals.writes,
                estimate_s=totals.estimates(target, reads.latency_s),
                warnings=(
                    *_unfinished(plan),
                    *undoing.warnings,
                    *shared.judging.take_warnings(),
                    *refusals(measured, {}),
                ),
                limits=measured.to_json(),
                entities=undoing.shapes,
                extra={"labels": shared.judging.labelled(undoing.labels, undoing.shapes)},
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


def _unfinished(plan: Plan) -> list[str]:
    """What is not applied yet is not taken back either."""
    pending = plan.progress()["pending"]
    if not pending:
        return []
    still = f"{counted(pending, 'row')} of {plan.path} {'is' if pending == 1 else 'are'} still pending"
    return [
        f"{still}, and no part of this: apply that plan to its end first and undo all of it, or do not apply "
        "it any more"
    ]


def _steps(plan: Plan) -> Iterator[tuple[StepInfo, int, int]]:
    """Each step with its first and its last change."""
    first = 1
    for step in plan.header.steps:
        if step.rows:
            yield step, first, first + step.rows - 1
        first += step.rows


_Way: TypeAlias = tuple[StepInfo, OwnRows, Sequence[str]]
"""A step, its rows, and the entities of what the API changed along with them."""


def _way_back(plan: Plan, step: StepInfo, first: int, last: int) -> _Way:
    aside: Mapping[str, Mapping[str, Scalar]] = plan.header.extra.get("undo", {})
    labels = plan.header.extra.get("labels", {}).get(step.entity, {})
    rows = OwnRows(plan, first, last, aside=aside.get(step.name, {}), labels=labels)
    has_updates = step.action not in (StepAction.CREATE, StepAction.DELETE)
    along = (tally.entity for _, tally in done_along(rows)) if has_updates else ()
    return step, rows, list(dict.fromkeys(along))


async def _in_order(plan: Plan, ways: Sequence[_Way], reads: Reads) -> list[_Way]:
    """From the last step to the first. But people come back on a service call only once its task or ticket is
    theirs again, unless something comes or goes on which such an entry hangs.
    """
    ordered = list(ways)
    letters = {
        (step.entity, one) for step, first, last in _steps(plan) for one in {*plan.actions[first - 1 : last]}
    }
    made = {entity for entity, letter in letters if letter in "cd"}
    for way in reversed(ways):
        step, rows, _ = way
        if (step.entity, "d") not in letters:  # nobody comes back
            continue
        led = [hop.entity for hop in FOLLOWED.get(step.entity, ())]
        places = [place for place, (one, _, _) in enumerate(ordered) if one.entity in led]
        if not places or places[-1] < ordered.index(way):
            continue
        shape = await reads.timed(reads.target.describe(step.entity))
        if not made & {led[0], *(field.reference for field in shape.fields.values())}:
            rows.follow([ordered[place][1] for place in places])
            ordered.insert(places[-1], ordered.pop(ordered.index(way)))
    return ordered


class _Undoing:
    """The way back in the making: what all its steps share."""

    def __init__(self, plan: Plan, writer: PlanWriter, shared: Shared, limits: Mapping[str, Limit]) -> None:
        self.totals = Totals()
        self.steps: list[StepInfo] = []
        self.warnings: list[str] = []
        self.shapes: dict[str, dict[str, Any]] = {}
        self.labels: dict[str, Any] = dict(plan.header.extra.get("labels", {}))
        self._plan = plan
        self._writer = writer
        self._shared = shared
        self._limits = limits
        self._n = 0

    async def take_back(self, step: StepInfo, rows: OwnRows, along: Sequence[str]) -> None:
        """One step of the plan, and after it what the API did along with it, and does along with this."""
        shape = await self._described(step.entity)
        done = await self._plan_step(step, rows, shape)
        for entity in along:
            await self._open_again(step, entity, partial(done_along, rows))
        for entity in dict.fromkeys(tally.entity for _, tally in done):
            await self._open_again(step, entity, partial(iter, done))

    async def _open_again(self, step: StepInfo, entity: str, done: Callable[[], Iterable[Done]]) -> None:
        shape = await self._described(entity)
        self.labels[entity] = {**labels_of(shape, shape.fields), **self.labels.get(entity, {})}
        name = self._free_name(f"{step.name}-{entity}")
        theirs = Alongside(done, shape, name=name, labels=self.labels[entity])
        source = f"what the API completed with {step.entity}"
        info = replace(
            step, name=name, entity=entity, match=("id",), file=source, columns=theirs.columns, left_out=0
        )
        await self._plan_step(info, theirs, shape)

    async def _described(self, entity: str) -> Entity:
        reads = self._shared.reads
        shape = await reads.timed(reads.target.describe(entity))
        self.shapes[entity] = facts_of(shape, shape.fields)
        return shape

    def _free_name(self, name: str) -> str:
        taken = {step.name for step in (*self._plan.header.steps, *self.steps)}
        return next(one for one in chain([name], (f"{name}-{n}" for n in count(2))) if one not in taken)

    async def _plan_step(self, step: StepInfo, rows: Rows, shape: Entity) -> list[Done]:
        """Returns what the API will change along with it."""
        before, unread = self._n, 0
        done: list[Done] = []
        way = WayBack(rows, shape, self._shared, name=step.name)
        labels = [kind for name in self._limits if (kind := label_kind(name, shape))]
        async for row, back, fate in way.changes(before):
            change = self._shared.aftermath.chained(back, shape)
            self._n += 1
            self._writer.add(row, change)
            self.totals.add(change, labels)
            way.notices.add(change)
            self._shared.aftermath.note(change)
            done += [(change.n, change.along)] if change.along is not None else []
            unread += bool(change.action.is_write and unknown_before(fate.written))
        self.warnings += way.notices.told()
        if unread:
            self.warnings.append(
                f"{step.name}: of {unread} rows some fields could not be read before, they stay"
            )
        if read := self._n - before:
            self.steps.append(replace(step, action="undo", read=read, dropped=0, rows=read))
        return done
