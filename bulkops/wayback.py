"""One step of the way back: its rows from the last to the first, each with what takes it back. Only reads."""

from __future__ import annotations

from array import array
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Protocol

from bulkops.applier.drift import strayed
from bulkops.change import Action, Change, equal
from bulkops.plan import Fate, Plan, RowState
from bulkops.plan.encoding import change_from_json
from bulkops.plan.seal import CHUNK
from bulkops.planner.aftermath import Aftermath
from bulkops.planner.collision import unsent
from bulkops.planner.judging import Judging, clearing, is_rejected
from bulkops.planner.notices import Notices
from bulkops.planner.stepplan import Reads
from bulkops.planner.verdicts import noted, resting
from bulkops.record import Created, Row, Scalar
from bulkops.references import find_by_key, key_of, record_id
from bulkops.reverse import is_only_cleared, reversal, with_lost
from bulkops.schema import Entity
from bulkops.scratch import open_scratch
from bulkops.targets.autotask.rules import Finding
from bulkops.targets.base import RecordData

_FOLLOW = ("departmentID",)  # what the API sets with a task's primary resource (TaskEntity.htm)
_FALLEN = ", which it needs, is rejected: "
A_READ = 500  # records that one query can ask for by id


class Needs:
    """Rows of the plan that others needed, and the numbers of those others in the way back: what was made
    first goes last. And which of those cannot be taken back. Memory stays flat.
    """

    def __init__(self) -> None:
        self._file = open_scratch(
            "CREATE TABLE needs (needed INTEGER, place INTEGER, PRIMARY KEY (needed, place)) WITHOUT ROWID",
            "CREATE TABLE fallen (place INTEGER PRIMARY KEY, reason TEXT, is_so INTEGER)",
        )

    def note(self, needed: int, place: int) -> None:
        self._file.execute("INSERT OR IGNORE INTO needs VALUES (?, ?)", (needed, place))

    def of(self, needed: int) -> tuple[int, ...]:
        """By rising number."""
        asked = "SELECT place FROM needs WHERE needed = ? ORDER BY place"
        return tuple(place for (place,) in self._file.execute(asked, (needed,)))

    def fell(self, place: int, reason: str, *, is_so: bool) -> None:
        """It is not taken back. `is_so`: what others need of it is so all the same."""
        self._file.execute("INSERT OR REPLACE INTO fallen VALUES (?, ?, ?)", (place, reason, is_so))

    def first_fallen(self, places: Iterable[int]) -> tuple[int, str] | None:
        """The first one of these without which others cannot go, with the reason."""
        asked = "SELECT place, reason FROM fallen WHERE place = ? AND NOT is_so"
        found = (self._file.execute(asked, (place,)).fetchone() for place in places)
        return next((one for one in found if one), None)

    def is_so(self, place: int) -> bool:
        """Whether it is not taken back, and does not have to be."""
        asked = "SELECT 1 FROM fallen WHERE place = ? AND is_so"
        return self._file.execute(asked, (place,)).fetchone() is not None

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all steps of the way back have in common. `aftermath`: what those before it leave."""

    reads: Reads
    aftermath: Aftermath
    judging: Judging
    needs: Needs


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
        self._made: array[int] | None = None  # by number in the plan, the record of each row
        self._before = 0
        self._led: Sequence[OwnRows] = ()
        self._stored = lru_cache(maxsize=4)(plan.stored)  # chunks that are looked at again and again

    def follow(self, led: Sequence[OwnRows]) -> None:
        """These are taken back before it, and what rested on their rows rests on what takes those back."""
        self._led = led

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
                yield self._resolved(fate) if fate.change.waits_for else fate

    def _resolved(self, fate: Fate) -> Fate:
        """With ids where the change referred to what the plan was to create."""
        created = {name: diff.after for name, diff in fate.change.fields.items()}
        numbers = {name: after.change for name, after in created.items() if isinstance(after, Created)}
        if not numbers or fate.change.action is not Action.UPDATE:
            return fate
        if self._made is None:
            self._made = array("q", (id or 0 for _, _, _, id in self._plan.endings()))
        made = self._made
        fields = {
            name: replace(diff, after=made[numbers[name] - 1] or diff.after) if name in numbers else diff
            for name, diff in fate.change.fields.items()
        }
        return replace(fate, change=replace(fate.change, fields=fields))

    def place(self, n: int) -> int:
        return self._places[n - self._first]

    def waits_for(self, fate: Fate, change: Change, needs: Needs) -> tuple[int, ...]:
        """What needed it, in its own step; where a record comes or goes, in later ones too: what stays keeps
        what it rests on, and what comes back finds it.
        """
        places = needs.of(fate.change.n)
        is_there_or_not = change.action in (Action.DELETE, Action.CREATE)
        own = places if is_there_or_not else tuple(place for place in places if place > self._before)
        return (*self._followed(fate), *own) if self._led else own

    def _followed(self, fate: Fate) -> Sequence[int]:
        """The rows of the way back on which it rests as it rested on those that they take back, be it by way
        of another.
        """
        found, unseen = set[int](), deque(fate.change.waits_for)
        while unseen:
            n = unseen.popleft()
            rows = next((one for one in self._led if one._first <= n <= one._last), None)
            if rows is None:
                chunk, place = divmod(n - 1, CHUNK)
                unseen += change_from_json(n, self._stored(chunk)[place]).waits_for
            else:
                found.add(rows.place(n))
        return sorted(found - {0})

    def reversal(self, fate: Fate, shape: Entity, current: RecordData | None) -> Change:
        back = reversal(fate, shape, current, self._aside, self._labels)
        written = fate.written
        if written.premise is not None and fate.state is RowState.APPLIED and current is not None:
            by, held = written.premise.lost_by, written.loses
            back = with_lost(back, written, shape, current, by=by, held=held)
        if back.action is not Action.UPDATE or current is None:
            return back
        return replace(back, notes=(*back.notes, *self._moved_on(fate, shape, current)))

    def _moved_on(self, fate: Fate, shape: Entity, current: RecordData) -> tuple[str, ...]:
        """What of its own premise is other by now: work that was finished since goes back all the same."""
        premise = fate.change.premise
        if premise is None or (premise.entity, premise.id) != (fate.change.entity, fate.change.id):
            return ()
        follows = {*fate.change.loses, *(_FOLLOW if "assignedResourceID" in fate.change.fields else ())}
        own = {
            name: value
            for name, value in premise.values.items()
            if name not in follows and _is_told(shape, name)
        }
        change = replace(fate.change, premise=replace(premise, values=own))
        return tuple(f"since then: {text}" for text in strayed(shape, change, current, self._labels).texts)

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
                yield self._rows.row(fate, record), self._placed(fate, change, record, before), fate

    def _placed(self, fate: Fate, change: Change, current: RecordData | None, before: int) -> Change:
        """With what it waits for."""
        needs = self._shared.needs
        change = self._unless_fallen(fate, change)
        if change.action is Action.REJECTED:
            root = (change.reason or "").rpartition(_FALLEN)[2]  # a chain is told by what it begins with
            needs.fell(change.n, root, is_so=_is_open(fate, self._shape, current))
        return replace(change, waits_for=self._rows.waits_for(fate, change, needs), barrier=before)

    def _unless_fallen(self, fate: Fate, change: Change) -> Change:
        """What needs a row that is not taken back is not taken back either."""
        needs = self._shared.needs
        fell = (
            needs.first_fallen(self._rows.waits_for(fate, change, needs)) if change.action.is_write else None
        )
        if fell is None:
            return change
        return unsent(change, f"row {fell[0]}{_FALLEN}{fell[1]}")

    async def _taken_back(
        self, fates: Sequence[Fate], records: Sequence[RecordData | None]
    ) -> Sequence[Change]:
        """The changes as the API's own rules leave them: rejected, or with what is to be known of them."""
        changes = []
        for fate, record in zip(fates, records, strict=True):
            n, back = self._rows.place(fate.change.n), self._rows.reversal(fate, self._shape, record)
            changes.append(self._unless_fallen(fate, replace(back, n=n)))
        met = list(zip(await self._unless_there(changes), records, strict=True))
        judged = [(change, record, change.fields) for change, record in met if change.action.is_write]
        found = await self._shared.reads.timed(self._shared.judging.judged(self._shape, judged))
        return [self._with(change, found.get(change.n, ()), record) for change, record in met]

    async def _unless_there(self, changes: Sequence[Change]) -> Sequence[Change]:
        """What would come back, but is there again already, stays; unless the way back takes that away."""
        keys: dict[tuple[str, ...], list[Change]] = defaultdict(list)
        for change in changes:
            if change.action is Action.CREATE:
                keys[tuple(change.key)].append(change)
        there: dict[int, int] = {}
        for names, members in keys.items():
            wanted = [tuple(change.key.values()) for change in members]
            reading = find_by_key(self._shared.reads.target, self._shape, names, wanted)
            found = await self._shared.reads.timed(reading)
            for change in members:
                ids = [record_id(one) for one in found.get(key_of(change.key.values()), ())]
                gone_by = self._shared.aftermath.gone_by
                left = [id for id in ids if gone_by(self._shape.name, id) is None]
                there |= {change.n: left[0]} if left else {}
        return [
            replace(change, action=Action.UNCHANGED, fields={}, id=there[change.n])
            if change.n in there
            else change
            for change in changes
        ]

    def _with(self, change: Change, findings: Sequence[Finding], before: RecordData | None) -> Change:
        if is_rejected(findings):
            return unsent(change, "; ".join(finding.text for finding in findings))
        change = resting(clearing(change, findings, before), findings, before)
        self.notices.say(change, findings, before)
        return noted(change, findings)

    def _met(self, records: Sequence[RecordData | None]) -> list[RecordData | None]:
        """The records as the steps taken back before this one leave them."""
        name = self._shape.name
        return [record and self._shared.aftermath.met(name, [record])[0] for record in records]

    async def _read(self, fates: Sequence[Fate]) -> list[RecordData | None]:
        ids = sorted({fate.id for fate in fates if fate.id is not None})
        current: dict[int, RecordData] = {}
        if ids and self._shape.is_queryable:
            where = {"op": "in", "field": "id", "value": ids}
            async for record in self._shared.reads.target.read(self._shape.name, where):
                current[int(record["id"] or 0)] = record
        return [current.get(fate.id) if fate.id is not None else None for fate in fates]


def _is_told(shape: Entity, name: str) -> bool:
    """Whether somebody set it, and not the API by itself."""
    field = shape.find(name)
    return field is not None and not field.is_read_only


def _is_open(fate: Fate, shape: Entity, current: RecordData | None) -> bool:
    """Whether the record is not what the API changed others with any more: those can go back without it."""
    tally = fate.written.along
    if tally is None or current is None:
        return False
    return not equal(shape.find(tally.field), current.get(tally.field), tally.unless)
