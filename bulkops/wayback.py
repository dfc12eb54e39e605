"""One step of the way back: its rows from the last to the first, each with what takes it back. Only reads."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from bulkops.change import Change
from bulkops.plan import Fate, Plan, RowState
from bulkops.planner.aftermath import Aftermath
from bulkops.planner.collision import unsent
from bulkops.planner.judging import Judging, clearing, is_rejected
from bulkops.planner.notices import Notices
from bulkops.planner.stepplan import Reads
from bulkops.planner.verdicts import noted, resting
from bulkops.record import Row, Scalar
from bulkops.reverse import is_only_cleared, reversal
from bulkops.schema import Entity
from bulkops.targets.autotask.rules import Finding
from bulkops.targets.base import RecordData

A_READ = 500  # records that one query can ask for by id


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all steps of the way back have in common. `aftermath`: what those before it leave."""

    reads: Reads
    aftermath: Aftermath
    judging: Judging


class Rows(Protocol):
    """What is to be taken back by one step."""

    def number(self, before: int) -> None:
        """Gives each its number in the way back, from `before` + 1."""
        ...

    def __iter__(self) -> Iterator[Fate]:
        """From the last one to the first."""
        ...

    def place(self, n: int) -> int:
        """The number in the way back of what was number `n`."""
        ...

    def waits_for(self, fate: Fate) -> tuple[int, ...]:
        """Rows of the way back that have to go well before it."""
        ...

    def reversal(self, fate: Fate, shape: Entity, current: RecordData | None) -> Change:
        """What takes it back, as its record is now."""
        ...

    def row(self, fate: Fate, current: RecordData | None) -> Row:
        """What is shown of it, and stands in the results."""
        ...


class OwnRows:
    """The rows of a step of the plan, from number `first` to `last`. Implements `Rows`."""

    def __init__(
        self,
        plan: Plan,
        first: int,
        last: int,
        *,
        aside: Mapping[str, Scalar],
        labels: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._plan = plan
        self._first = first
        self._last = last
        self._aside = aside
        self._labels = labels
        self._places = array("q", [0]) * (last - first + 1)
        self._needed_by: dict[int, list[int]] = {}  # rows of this step that others of it need, and by which

    def number(self, before: int) -> None:
        for place, fate in enumerate(self, before + 1):
            self._places[fate.change.n - self._first] = place
            for needed in fate.change.waits_for:
                if needed >= self._first:
                    self._needed_by.setdefault(needed, []).append(fate.change.n)

    def __iter__(self) -> Iterator[Fate]:
        """The rows that did something, or of which nobody knows. What is held because somebody else was
        there first was never sent.
        """
        for fate in self._plan.fates_backwards(self._first, self._last):
            is_done = fate.state is RowState.APPLIED or is_only_cleared(fate)
            is_open = fate.state is RowState.HELD and self._plan.sent_at(fate.change.n) is not None
            if is_done or is_open or fate.is_in_doubt:
                yield fate

    def place(self, n: int) -> int:
        return self._places[n - self._first]

    def waits_for(self, fate: Fate) -> tuple[int, ...]:
        return tuple(sorted(self.place(n) for n in self._needed_by.get(fate.change.n, ())))

    def reversal(self, fate: Fate, shape: Entity, current: RecordData | None) -> Change:
        return reversal(fate, shape, current, self._aside, self._labels)

    def row(self, fate: Fate, current: RecordData | None) -> Row:
        return fate.row


class WayBack:
    """One step."""

    def __init__(self, rows: Rows, shape: Entity, shared: Shared, *, name: str) -> None:
        self.notices = Notices(name, shape)
        self._rows = rows
        self._shape = shape
        self._shared = shared

    async def changes(self, before: int) -> AsyncIterator[tuple[Row, Change, Fate]]:
        """What takes each row back, numbered from `before` + 1; every one waits for all steps before it."""
        self._rows.number(before)
        fates = iter(self._rows)
        while batch := list(islice(fates, A_READ)):
            records = self._met(await self._shared.reads.timed(self._read(batch)))
            for fate, record, change in zip(
                batch, records, await self._taken_back(batch, records), strict=True
            ):
                waits_for = self._rows.waits_for(fate)
                yield self._rows.row(fate, record), replace(change, waits_for=waits_for, barrier=before), fate

    async def _taken_back(
        self, fates: Sequence[Fate], records: Sequence[RecordData | None]
    ) -> Sequence[Change]:
        """The changes as the API's own rules leave them: rejected, or with what is to be known of them."""
        changes = [
            replace(self._rows.reversal(fate, self._shape, record), n=self._rows.place(fate.change.n))
            for fate, record in zip(fates, records, strict=True)
        ]
        met = list(zip(changes, records, strict=True))
        judged = [(change, record, change.fields) for change, record in met if change.action.is_write]
        found = await self._shared.reads.timed(self._shared.judging.judged(self._shape, judged))
        return [self._with(change, found.get(change.n, ()), record) for change, record in met]

    def _with(self, change: Change, findings: Sequence[Finding], before: RecordData | None) -> Change:
        if is_rejected(findings):
            return unsent(change, "; ".join(finding.text for finding in findings))
        change = resting(clearing(change, findings, before), findings)
        self.notices.say(change, findings, before)
        return noted(change, findings)

    def _met(self, records: Sequence[RecordData | None]) -> list[RecordData | None]:
        """The records as the steps taken back before this one leave them."""
        name = self._shape.name
        return [record and self._shared.aftermath.seen(name, [record])[0] for record in records]

    async def _read(self, fates: Sequence[Fate]) -> list[RecordData | None]:
        ids = sorted({fate.id for fate in fates if fate.id is not None})
        current: dict[int, RecordData] = {}
        if ids and self._shape.is_queryable:
            where = {"op": "in", "field": "id", "value": ids}
            async for record in self._shared.reads.target.read(self._shape.name, where):
                current[int(record["id"] or 0)] = record
        return [current.get(fate.id) if fate.id is not None else None for fate in fates]
