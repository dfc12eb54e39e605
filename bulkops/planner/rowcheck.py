"""What is wrong with the rows of a job, as far as can be told without planning them. Only reads.

The mapping's errors, keys that stand twice, references between rows: offline. With a target to ask, what
lookups find as well. So a job that is refused tells its rows' faults too, and `validate` tells them without
a tenant. Rows of steps that are at fault themselves are looked at as far as their fields are in order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from bulkops.change import folded, match_key
from bulkops.errors import Fault, JobError, RowsAtFault, SourceError
from bulkops.grouping import Grouped
from bulkops.job.model import FileSource
from bulkops.job.yamlfile import position
from bulkops.planner.belonging import BONDS
from bulkops.planner.doubtful import Doubtful
from bulkops.planner.kinship import Kinship, Place, cycle_text
from bulkops.planner.links import Links
from bulkops.planner.precheck import Examined, ReadyStep
from bulkops.planner.seen import SeenKeys
from bulkops.planner.sourcefaults import source_place
from bulkops.record import FromStep, Locator, Lookup, Record, Row, RowError, Value
from bulkops.references import References
from bulkops.targets.base import Target

BATCH = 500  # rows at a time

Progress = Callable[[str, int], None]
"""Called after every batch with the step's name and how many of its rows were looked at so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """One thing that is wrong with one row."""

    step: str
    n: int  # of the row, over all steps
    place: Locator
    error: RowError

    def __str__(self) -> str:
        return f"{self.place}: {self.error}"


@dataclass(slots=True, kw_only=True)
class _Row:
    n: int
    row: Row
    record: Record  # what can be told of it
    errors: list[RowError]

    @property
    def place(self) -> Place:
        return self.n, self.row.line


class RowCheck:
    """Looks at every row once. `rows` were read, `at_fault` of them are; `faults` are sources that failed."""

    def __init__(
        self, examined: Examined, target: Target | None = None, *, progress: Progress | None = None
    ) -> None:
        self.rows = 0
        self.faults: list[Fault] = []
        self._examined = examined
        self._target = target
        self._references = References(target) if target else None
        self._progress = progress
        self._at_fault = bytearray()  # one byte a row
        # What no row of these steps has, a row that cannot be read may have, or the tenant.
        self._unsure = {*examined.lost, *(ready.step.name for ready in examined.steps if ready.is_fed_back)}

    @property
    def at_fault(self) -> int:
        return sum(self._at_fault)

    async def found(self) -> AsyncIterator[RowFault]:
        """Every fault of every row, step by step, in the order of the files; cycles come last."""
        with Links(self._examined.steps) as links:
            for ready in self._examined.steps:
                try:
                    async for fault in self._step(ready, links):
                        self._at_fault[fault.n - 1] = 1
                        yield fault
                except SourceError as error:
                    self.faults.append(Fault(where=source_place(ready.step), message=str(error)))

    async def _step(self, ready: ReadyStep, links: Links) -> AsyncIterator[RowFault]:
        if ready.key_cells:
            self._note(ready, links)
        order = Kinship(links.file, ready.step.name)
        with SeenKeys() as seen:
            first = self.rows
            for batch in _batches(ready, first):
                rows = [_mapped(ready, n, row) for n, row in batch]
                self.rows += len(rows)
                self._at_fault.extend(bytes(len(rows)))
                if ready.is_kin:
                    order.ask([(one.place, one.record) for one in rows if not one.errors])
                await self._refer(ready, rows, links)
                _note_keys(ready, rows, seen)
                for one in rows:
                    for error in dict.fromkeys(one.errors):
                        yield _fault(ready, one.place, error)
                if self._progress:
                    self._progress(ready.step.name, self.rows - first)
        if ready.is_kin:
            for fault in _cycles(order, ready):
                yield fault

    def _note(self, ready: ReadyStep, links: Links) -> None:
        """The rows that others can refer to: also one that stands above them, so all are noted first."""
        try:
            for batch in _batches(ready, self.rows):
                links.note_open(ready, [(row, n) for n, row in batch])
        except SourceError:  # the reading proper tells it, and what is wrong with the rows before
            self._unsure.add(ready.step.name)

    async def _refer(self, ready: ReadyStep, rows: Sequence[_Row], links: Links) -> None:
        """What the rows refer to: other rows, and records where there is somebody to ask."""
        linked = links.resolve([one.record for one in rows], later=self._unsure)
        for one, link in zip(rows, linked, strict=True):
            one.errors += link.errors
        if self._references is None or self._target is None:
            return
        # A lookup that is narrowed by its row's project or company is not asked for without it.
        narrowed = BONDS.get(ready.entity.name, {})
        found = await self._references.parts([one.record for one in rows], but=narrowed)
        for one, (record, errors) in zip(rows, found, strict=True):
            one.record = record
            one.errors += errors
        await Doubtful(self._target, ready).judge([(one.record, one.errors) for one in rows])


async def refusal(
    examined: Examined,
    target: Target | None = None,
    *,
    also: Sequence[Fault] = (),
    progress: Progress | None = None,
) -> JobError:
    """The error that tells all that is wrong with a job, and with its rows. `also`: what else is known."""
    check, found = RowCheck(examined, target, progress=progress), Grouped()
    async for fault in check.found():
        found.add(str(fault.place), str(fault.error))
    faults = sorted(dict.fromkeys([*examined.faults, *check.faults, *also]), key=position)
    lines = list(found.lines())
    if found.is_shortened and all(isinstance(ready.step.source, FileSource) for ready in examined.steps):
        lines.append(f"Every one of them: bulkops validate {examined.steps[0].step.file} --json")
    return JobError(faults, rows=RowsAtFault(read=check.rows, at_fault=check.at_fault, lines=tuple(lines)))


def _batches(ready: ReadyStep, before: int) -> Iterator[list[tuple[int, Row]]]:
    """Rows with their numbers; where the file fails, first those that could be read."""
    batch: list[tuple[int, Row]] = []
    try:
        for n, row in enumerate(ready.source.rows(), start=before + 1):
            batch.append((n, row))
            if len(batch) == BATCH:
                yield batch
                batch = []
    except SourceError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _mapped(ready: ReadyStep, n: int, row: Row) -> _Row:
    record, errors = ready.mapper.parts(row)
    return _Row(n=n, row=row, record=record, errors=list(errors))


def _fault(ready: ReadyStep, place: Place, error: RowError) -> RowFault:
    n, line = place
    source = ready.source
    locator = Locator(file=source.file, line=line, sheet=source.sheet or None)
    return RowFault(step=ready.step.name, n=n, place=locator, error=error)


def _note_keys(ready: ReadyStep, rows: Sequence[_Row], seen: SeenKeys) -> None:
    """A second row with a key is at fault, whatever becomes of the first."""
    if not ready.has_key:
        return
    specs = {name.casefold(): spec for name, spec in ready.step.specs().items()}
    columns = [name for key in ready.step.match for name in specs[key.casefold()].source_columns]
    for one in rows:
        values = [one.record.values.get(name) for name in ready.match]
        parts = tuple(_key_part(ready, name, v) for name, v in zip(ready.match, values, strict=True))
        if None in parts:
            continue
        first = seen.first(parts, one.n, one.row.line)
        if first is not None:
            place = f"row {first.n}" if first.line is None else f"{ready.source.display}:{first.line}"
            message = f"{place} has this key too: only the first one is planned"
            shown = " / ".join(_cell(ready, one.row, name) for name in columns) if columns else None
            error = RowError(message=message, column=", ".join(columns), value=shown)
            one.errors.append(replace(error, field=ready.match[0]))


def _key_part(ready: ReadyStep, name: str, value: Value) -> Hashable:
    """What tells one key from another, None where there is none. Like texts are looked up with one result."""
    match value:
        case Lookup():
            return "lookup", *(folded(str(text).strip()) for text in value.values)
        case FromStep():
            return value.step, *(folded(text.strip()) for text in value.key)
        case _:
            return match_key(ready.entity.find(name), value)


def _cell(ready: ReadyStep, row: Row, column: str) -> str:
    return row.cells[ready.source.columns.index(column)].strip()


def _cycles(order: Kinship, ready: ReadyStep) -> Iterator[RowFault]:
    order.close()
    while True:
        while ns := order.ready(BATCH):
            order.settle(ns)
        if not (ring := order.cycle()):
            return
        for place in ring:
            yield _fault(ready, place, RowError(message=cycle_text(ring, ready.source.display)))
        order.settle(n for n, _ in ring)
