"""One step of the way back: its rows from the last to the first, each with what takes it back. Only reads."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from bulkops.change import Action, Change
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
from bulkops.scratch import open_scratch
from bulkops.targets.autotask.rules import Finding
from bulkops.targets.base import RecordData

A_READ = 500  # records that one query can ask for by id


class Needs:
    """Rows of the plan that others needed, and the numbers of those others in the way back: what was made
    first goes last. Memory stays flat.
    """

    def __init__(self) -> None:
        self._file = open_scratch(
            "CREATE TABLE needs (needed INTEGER, place INTEGER, PRIMARY KEY (needed, place)) WITHOUT ROWID"
        )

    def note(self, needed: int, place: int) -> None:
        self._file.execute("INSERT OR IGNORE INTO needs VALUES (?, ?)", (needed, place))

    def of(self, needed: int) -> tuple[int, ...]:
        """By rising number."""
        asked = "SELECT place FROM needs WHERE needed = ? ORDER BY place"
        return tuple(place for (place,) in self._file.execute(asked, (needed,)))

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all steps of the way back have in common.

    `aftermath`: what those before it leave; `fallen`: what cannot be taken back, by its number in the way
    back, with the reason.
    """

    reads: Reads
    aftermath: Aftermath
    judging: Judging
    needs: Needs
    fallen: dict[int, str] = field(default_factory=dict)


class Rows(Protocol):
    """What is to be taken back by one step."""

    def number(self, before: int, needs: Needs) -> None:
        """Gives each its number in the way back, from `before` + 1, and notes what it needed."""
        ...

    def __iter__(self) -> Iterator[Fate]:
        """From the last one to the first."""
        ...

    def place(self, n: int) -> int:
        """The number in the way back of what was number `n`."""
        ...

    def waits_for(self, fate: Fate, change: Change, needs: Needs) -> tuple[int, ...]:
        """Rows of the way back that have to go well before `change`, which takes it back."""
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
        self._before = 0

    def number(self, before: int, needs: Needs) -> None:
        self._before = before
        for place, fate in enumerate(self, before + 1):
            self._places[fate.change.n - self._first] = place
            for needed in fate.change.waits_for:
                needs.note(needed, place)

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

    def waits_for(self, fate: Fate, change: Change, needs: Needs) -> tuple[int, ...]:
        """What needed it, in its own step; for what is deleted, in later ones too: what stays, keeps it."""
        places = needs.of(fate.change.n)
        is_last = change.action is Action.DELETE
        return places if is_last else tuple(place for place in places if place > self._before)

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
        self._rows.number(before, self._shared.needs)
        fates = iter(self._rows)
        while batch := list(islice(fates, A_READ)):
            records = self._met(await self._shared.reads.timed(self._read(batch)))
            changes = await self._taken_back(batch, records)
            for fate, record, change in zip(batch, records, changes, strict=True):
                yield self._rows.row(fate, record), self._placed(fate, change, before), fate

    def _placed(self, fate: Fate, change: Change, before: int) -> Change:
        """With what it waits for. What needs a row that is not taken back is not taken back either."""
        shared = self._shared
        waits_for = self._rows.waits_for(fate, change, shared.needs)
        if change.action.is_write and (fell := next((n for n in waits_for if n in shared.fallen), None)):
            change = unsent(change, f"row {fell}, which it needs, is rejected: {shared.fallen[fell]}")
        if change.action is Action.REJECTED:
            shared.fallen[change.n] = change.reason or ""
        return replace(change, waits_for=waits_for, barrier=before)

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
