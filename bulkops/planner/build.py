"""Makes a plan: rows → records → what they meet in the target → changes, sealed in a file. Only reads.

Step by step, and within a step in batches, so memory does not grow with the rows: a batch is mapped, its
references and its match keys are each found with as few reads as they fit into, and every row gets its change
(`stepplan`). Rows are numbered over the whole plan, in the order of the steps and of their files.
"""

from __future__ import annotations

import secrets
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import bulkops
from bulkops import marker
from bulkops.change import Action, Change
from bulkops.errors import SourceError
from bulkops.job.model import Job, StepAction
from bulkops.labels import Labels, labels_of
from bulkops.plan import Plan, PlanWriter
from bulkops.plan.seal import Header, StepInfo
from bulkops.plan.shapes import facts_of, merged
from bulkops.planner.aftermath import Aftermath
from bulkops.planner.again import Again
from bulkops.planner.besides import Besides
from bulkops.planner.judging import Judging
from bulkops.planner.links import Links
from bulkops.planner.notices import Notices
from bulkops.planner.precheck import ReadyStep, examine, utc_warnings
from bulkops.planner.queries import Queries, asked, is_about_records
from bulkops.planner.recipe import RecipeRows
from bulkops.planner.rowcheck import refusal
from bulkops.planner.seen import SeenKeys
from bulkops.planner.stepplan import Reads, StepPlanner
from bulkops.planner.totals import Totals
from bulkops.planner.verdicts import Verdicts
from bulkops.recipes.base import Known
from bulkops.record import Row, Scalar
from bulkops.reverse import Coverage
from bulkops.safety import LabelKind, Measured, label_kind, refusals
from bulkops.targets.autotask.rules import ENTITIES
from bulkops.targets.base import Target

Progress = Callable[[str, int], None]
"""Called after every batch with the step's name and how many of its rows were read so far."""


async def build_plan(
    job: Job,
    target: Target,
    path: str | Path,
    *,
    url: str = "",
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Progress | None = None,
) -> Plan:
    """Plans `job` against `target`, writes the plan to `path`, and returns it as sealed.

    `url` is kept for people to read; the database that the plan is for is the target's identity. Raises
    JobError with every fault of the job, its sources and its rows, PlanError where `path` cannot be written,
    and what the target's reads raise; then no plan is left behind.
    """
    reads_before = target.calls.read
    database = await target.identity()
    examined = await examine(job, target)
    reads = Reads(target)
    queries = Queries(examined.steps, reads)
    recipe = RecipeRows(examined, reads)
    lost = [*await queries.resolve(), *await recipe.resolve()]
    if examined.faults or lost:
        raise await refusal(examined, target, also=lost, progress=progress)
    entities = [step.entity.name for step in examined.steps]
    with (
        PlanWriter(path) as writer,
        Links(examined.steps) as links,
        SeenKeys() as created,
        Aftermath(entities, also=ENTITIES) as aftermath,
        queries,
        recipe,
    ):
        plan_id = secrets.token_hex(16)
        planning = _Planning(
            job,
            reads,
            writer,
            links,
            created=created,
            aftermath=aftermath,
            recipe=recipe,
            nonce=plan_id[: marker.NONCE],
            progress=progress,
        )
        if lost := await recipe.read(progress):
            raise await refusal(examined, target, also=lost, progress=progress)
        planning.know(recipe.known())
        try:
            for step in examined.steps:
                await queries.fetch(step, progress)
                await planning.plan_step(step)
        except SourceError as error:  # a file that fails on the way: others may, too
            told = await refusal(examined, target, progress=progress)
            if told.faults:
                raise told from error
            raise
        measured = await planning.measure()
        shapes = await planning.also.facts(target, planning.shapes)
        header = Header(
            job=job.name,
            tenant=job.tenant,
            database=database,
            url=url,
            reason=job.reason,
            created=clock().astimezone(UTC).isoformat(timespec="seconds"),
            version=bulkops.__version__,
            steps=tuple(planning.steps),
            counts=planning.totals.by_action(),
            calls_read=target.calls.read - reads_before,
            plan_id=plan_id,
            calls_write=planning.totals.writes,
            estimate_s=planning.totals.estimates(target, reads.latency_s),
            warnings=tuple(dict.fromkeys((*recipe.warnings(), *planning.warnings, *refusals(measured, {})))),
            limits=measured.to_json(),
            entities=shapes,
            extra={
                "dialects": planning.dialects,
                "labels": recipe.labelled(planning.labelled(shapes)),
                "undo": planning.aside,
                "lasting": [*planning.lasting, *planning.needed(), *recipe.lasting()],
                "altered": [*planning.altered, *planning.unseen()],
                **recipe.extra(),
            },
        )
        writer.seal(header)
    return Plan.open(path)


class _Planning:
    """One plan in the making: what all its steps share."""

    def __init__(
        self,
        job: Job,
        reads: Reads,
        writer: PlanWriter,
        links: Links,
        *,
        created: SeenKeys,
        aftermath: Aftermath,
        recipe: RecipeRows,
        nonce: str,
        progress: Progress | None,
    ) -> None:
        self.totals = Totals()
        self.steps: list[StepInfo] = []
        self.warnings: list[str] = []
        self.dialects: dict[str, str] = {}
        self.labels: dict[str, dict[str, dict[str, str]]] = {}  # entity → field → value → label
        self.shapes: dict[str, dict[str, Any]] = {}  # entity → what apply needs to recognise its records
        self.aside: dict[str, dict[str, Scalar]] = {}  # step → what undo sets where it cannot delete
        self.lasting: list[str] = []  # what undo could not take back
        self.altered: list[str] = []  # and what it could, but not as it was
        self.also = Besides()
        self._needs: list[set[int]] = []  # of each step, by place: the steps that its creates need
        self._stays: list[bool] = []  # whether undo leaves what it creates
        self._goes: list[bool] = []  # or deletes it
        self._job = job
        self._reads = reads
        self._links = links
        self._created = created  # keys of records that the plan creates, over all steps
        self._aftermath = aftermath
        self._recipe = recipe
        self._judging = Judging(reads.target, aftermath)
        self._writer = writer
        self._progress = progress
        self._nonce = nonce
        self._n = 0

    def know(self, known: Sequence[Known]) -> None:
        """What the recipe has read, nobody reads again."""
        for one in known:
            self._judging.know((one.entity, one.field), one.ids, one.records)

    async def plan_step(self, ready: ReadyStep) -> None:
        """Every row of one step gets its change. Raises SourceError where the file fails on the way."""
        first, told = self._n, 0
        labels = [kind for name in self._job.limits if (kind := label_kind(name, ready.entity))]
        notices = Notices(ready.step.name, ready.entity)
        again = Again(ready.step.name)
        ends, needs = list(accumulate(step.rows for step in self.steps)), set[int]()
        coverage = Coverage(ready.entity, has_aside=bool(ready.aside))
        with SeenKeys() as seen:
            planner = StepPlanner(
                self._reads,
                self._links,
                ready,
                seen=seen,
                created=self._created,
                aftermath=self._aftermath,
                verdicts=Verdicts(ready, self._judging, notices),
                before=first,
                nonce=self._nonce,
            )
            async for batch in planner.planned():
                for row, change in batch:
                    self._add(row, self._aftermath.chained(change, ready.entity), labels)
                    notices.add(change)
                    again.add(row, change)
                    coverage.add(change)
                    if change.action is Action.CREATE and change.waits_for:
                        needs.update(bisect_left(ends, n) for n in change.waits_for)
                if self._progress and planner.taken != told:
                    told = planner.taken
                    self._progress(ready.step.name, told)
        self._needs.append(needs)
        self._stays.append(coverage.lasts)
        self._goes.append("delete" in ready.entity.can)
        self._note_step(ready, self._n - first)
        self.lasting += coverage.lasting()
        self.altered += [*coverage.altered(), *notices.altered()]
        told_of_rows = (*notices.told(), *again.told(), *planner.told(), *self._judging.take_warnings())
        self.warnings.extend((*utc_warnings(ready), *told_of_rows))

    def _add(self, row: Row, change: Change, labels: Sequence[LabelKind]) -> None:
        self._writer.add(row, change)
        self._n = change.n
        self.totals.add(change, labels)
        self._aftermath.note(change)
        self.also.note(change)
        self._recipe.note(row, change)

    def _note_step(self, ready: ReadyStep, rows: int) -> None:
        step, source = ready.step, ready.source
        self.warnings.extend(ready.warnings)
        if ready.aside:
            self.aside[step.name] = dict(ready.aside)
        shown = ready.entity.fields if step.action is StepAction.DELETE else step.specs()
        told = (*shown, *asked(ready)) if is_about_records(ready) else shown
        self.labels.setdefault(ready.entity.name, {}).update(labels_of(ready.entity, told))
        entity, used = ready.entity, (*shown, *ready.match, *([step.marker] if step.marker else []))
        self.shapes[entity.name] = merged(self.shapes.get(entity.name), facts_of(entity, used))
        self.warnings.extend(source.warnings)
        if source.dialect is not None:
            self.dialects[step.name] = str(source.dialect)
        self.steps.append(
            StepInfo(
                name=step.name,
                entity=ready.entity.name,
                action=step.action.value,
                match=ready.match,
                file=ready.query.said if ready.query else source.display,
                columns=source.columns,
                read=rows + source.dropped,
                dropped=source.dropped,
                rows=rows,
                left_out=ready.left_out,
            )
        )

    def needed(self) -> list[str]:
        """What undo does not delete, since what refers to it stays, be it by way of others."""
        found: set[int] = set()
        for place in reversed(range(len(self.steps))):  # what is needed stands before, or is the step's own
            if self._needs[place] and (self._stays[place] or place in found):
                found |= self._needs[place]
        steps = sorted(place for place in found if place < len(self.steps) and self._goes[place])
        return [f"the created {self.steps[place].entity} that those refer to" for place in steps]

    def labelled(self, shapes: Mapping[str, Mapping[str, Any]]) -> Labels:
        """The labels of picklists and the names of people; `shapes` as the header keeps them."""
        return self._judging.labelled(self.labels, shapes)

    def unseen(self) -> list[str]:
        """What nobody could look at."""
        entities = self._judging.unreadable
        return [f"what the API does to {name} besides: this user cannot read them" for name in entities]

    async def measure(self) -> Measured:
        """What would change, and of how much: one count for each entity with a limit on its share."""
        limits, count = self._job.limits, self._reads.target.count
        counted = {name: await self._reads.timed(count(name)) for name in self.totals.limited(limits)}
        return self.totals.measured(limits, counted)
