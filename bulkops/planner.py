"""Makes a plan: rows → records → what they meet in the target → changes, sealed in a file. Only reads.

Rows stream through in batches, so memory does not grow with them: a batch is mapped, its references and its
match keys are each found with as few reads as they fit into, and every row gets its change.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

import bulkops
from bulkops.change import Action, Change, match_key
from bulkops.collision import Rules, key_text, reasons, rejected
from bulkops.estimate import ASSUMED_LATENCY_S, Pace, estimate_s
from bulkops.job.model import Job, StepAction
from bulkops.plan import Plan, PlanWriter
from bulkops.planseal import Header, StepInfo
from bulkops.precheck import ReadyStep, prepare
from bulkops.record import Record, Row, RowError
from bulkops.references import References, find_by_key, key_of, name_fields
from bulkops.safety import LabelKind, Measured, Tally, label_kind, refusals
from bulkops.seen import SeenKeys
from bulkops.targets.base import RecordData, Target

BATCH = 500  # rows: as many keys as one query may ask for
SHARES = (0.75, 1.0)  # of the tenant's budget, for which the time is estimated

T = TypeVar("T")
Progress = Callable[[str, int], None]
"""Called after every batch with the step's name and how many of its rows are planned."""


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
    JobError with every fault of the job, SourceError, PlanError where `path` cannot be written, and what
    the target's reads raise; then no plan is left behind.
    """
    reads_before = target.calls.read
    database = await target.identity()
    steps = await prepare(job, target)
    with PlanWriter(path) as writer:
        planning = _Planning(job, target, writer, progress)
        for step in steps:
            await planning.plan_step(step)
        measured = await planning.measure()
        writes = {entity: count for entity, count in planning.writes.items() if count}
        header = Header(
            job=job.name,
            tenant=job.tenant,
            database=database,
            url=url,
            reason=job.reason,
            created=clock().astimezone(UTC).isoformat(timespec="seconds"),
            version=bulkops.__version__,
            steps=tuple(planning.steps),
            counts={action.value: planning.counts[action] for action in Action},
            calls_read=target.calls.read - reads_before,
            calls_write=sum(writes.values()),
            estimate_s=_estimates(target, writes, planning.latency_s),
            warnings=(*planning.warnings, *refusals(measured, {})),
            limits=measured.to_json(),
            extra={"dialects": planning.dialects},
        )
        writer.seal(header)
    return Plan.open(path)


def _estimates(target: Target, writes: Mapping[str, int], latency_s: float | None) -> dict[str, float]:
    """Seconds by share: three quarters, all, and what the tenant's settings say."""
    usage = target.usage()
    pace = Pace(
        requests=usage.requests,
        window_s=usage.window_s,
        others=usage.others,
        per_entity=target.per_entity,
        latency_s=latency_s or ASSUMED_LATENCY_S,
    )
    shares = sorted({*SHARES, usage.share})
    return {str(share): estimate_s(writes, share=share, pace=pace) for share in shares}


class _Planning:
    """One plan in the making: what all its steps share."""

    def __init__(self, job: Job, target: Target, writer: PlanWriter, progress: Progress | None) -> None:
        self.target = target
        self.references = References(target)
        self.counts: Counter[Action] = Counter()
        self.writes: Counter[str] = Counter()  # by entity, in the order of the steps
        self.steps: list[StepInfo] = []
        self.warnings: list[str] = []
        self.dialects: dict[str, str] = {}
        self.latency_s: float | None = None  # of the fastest read
        self._job = job
        self._writer = writer
        self._progress = progress
        self._tally = Tally()
        self._n = 0

    async def plan_step(self, ready: ReadyStep) -> None:
        """Every row of one step gets its change. Raises SourceError where the file fails on the way."""
        step, first = ready.step, self._n
        is_free = step.action is StepAction.CREATE  # creates wait for nothing but what they refer to
        labels = [kind for name in self._job.limits if (kind := label_kind(name, ready.entity))]
        with SeenKeys() as seen:
            planner = _StepPlanner(self, ready, seen, barrier=0 if is_free else first)
            for rows in _batches(ready.source.rows()):
                for row, change in zip(rows, await planner.plan(rows, self._n + 1), strict=True):
                    self._add(row, change, labels)
                if self._progress:
                    self._progress(step.name, self._n - first)
        self._note_step(ready, self._n - first)

    def _add(self, row: Row, change: Change, labels: Sequence[LabelKind]) -> None:
        self._writer.add(row, change)
        self._n = change.n
        self.counts[change.action] += 1
        self.writes[change.entity] += change.action.is_write
        self._tally.add(change, labels)

    def _note_step(self, ready: ReadyStep, rows: int) -> None:
        step, source = ready.step, ready.source
        self.warnings.extend(ready.warnings)
        if source.dialect is not None:
            self.dialects[step.name] = str(source.dialect)
            if source.dialect.warning:
                self.warnings.append(source.dialect.warning)
        self.steps.append(
            StepInfo(
                name=step.name,
                entity=ready.entity.name,
                action=step.action.value,
                match=ready.match,
                file=source.display,
                columns=source.columns,
                read=rows,
                dropped=0,
                rows=rows,
            )
        )

    async def measure(self) -> Measured:
        """What would change, and of how much: one count for each entity with a limit on its share."""
        counts, limits = self._tally.counts(), self._job.limits
        shared = {
            entity: None
            for kind, by_entity in counts.items()
            if kind in limits and limits[kind].percent is not None
            for entity in by_entity
        }
        totals = {entity: await self.timed(self.target.count(entity)) for entity in shared}
        return Measured(counts=counts, totals=totals, limits=limits)

    async def timed(self, reading: Awaitable[T]) -> T:
        """Awaits a read; the fastest call of all reads stands for what a call takes in this tenant."""
        started, calls = time.monotonic(), self.target.calls.read
        result = await reading
        made = self.target.calls.read - calls
        if made:
            seconds = (time.monotonic() - started) / made
            self.latency_s = seconds if self.latency_s is None else min(self.latency_s, seconds)
        return result


class _StepPlanner:
    """One step: batches of rows in, a change for each row out."""

    def __init__(self, planning: _Planning, ready: ReadyStep, seen: SeenKeys, *, barrier: int) -> None:
        self._planning = planning
        self._ready = ready
        self._seen = seen
        self._barrier = barrier
        self._rules = Rules(action=ready.step.action, entity=ready.entity, match=ready.match)
        self._shapes = [ready.entity.fields[name] for name in ready.match]
        self._fields = _fields_to_read(ready)

    async def plan(self, rows: Sequence[Row], n: int) -> list[Change]:
        """The changes of `rows`; the first of them has number `n`."""
        mapped = [self._ready.mapper.map(row) for row in rows]
        records = [item for item in mapped if isinstance(item, Record)]
        resolved = iter(await self._planning.references.resolve(records))
        fates = [next(resolved) if isinstance(item, Record) else item for item in mapped]
        found = await self._find([item for item in fates if isinstance(item, Record)])
        return [self._change(n + i, row, fates[i], found) for i, row in enumerate(rows)]

    async def _find(self, records: Sequence[Record]) -> Mapping[Hashable, list[RecordData]]:
        """What the target has for the keys of `records`."""
        if not self._ready.match:
            return {}
        keys = [tuple(self._rules.key(record).values()) for record in records]
        return await self._planning.timed(
            find_by_key(
                self._planning.target, self._ready.entity, self._ready.match, keys, fields=self._fields
            )
        )

    def _change(
        self,
        n: int,
        row: Row,
        fate: Record | tuple[RowError, ...],
        found: Mapping[Hashable, Sequence[RecordData]],
    ) -> Change:
        change = Change(
            n=n,
            step=self._ready.step.name,
            entity=self._ready.entity.name,
            action=Action.REJECTED,
            line=row.line,
            file=self._ready.source.display,
            key=self._rules.key(fate) if isinstance(fate, Record) else {},
            barrier=self._barrier,
        )
        if not isinstance(fate, Record):
            return rejected(change, reasons(fate))
        if problem := self._key_problem(change):
            return rejected(change, problem)
        return self._rules.decide(change, fate, found.get(key_of(change.key.values()), ()))

    def _key_problem(self, change: Change) -> str | None:
        """Why the row's key cannot be used, or None; from now on the key is taken."""
        if not self._ready.match:
            return None
        if empty := self._rules.empty_part(change.key):
            return f"{empty} is empty, and rows are matched by it"
        values = change.key.values()
        key = tuple(match_key(shape, value) for shape, value in zip(self._shapes, values, strict=True))
        first = self._seen.first(key, change.n, change.line)
        if first is None:
            return None
        place = f"row {first.n}" if first.line is None else f"row {first.n} ({change.file}:{first.line})"
        return f"{place} has {key_text(change.key)} too: only the first one is planned"


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _fields_to_read(ready: ReadyStep) -> list[str]:
    """What the diff, the route and the reasons need of a record; nothing else is asked for."""
    entity = ready.entity
    names = name_fields(entity)
    if ready.step.action is not StepAction.CREATE:
        names += ready.step.specs()
        if entity.parent is not None:
            names.append(entity.parent.field)
    shapes = [entity.find(name) for name in names]
    return list(dict.fromkeys(s.name for s in shapes if s and s.is_queryable and not s.is_path_only))
