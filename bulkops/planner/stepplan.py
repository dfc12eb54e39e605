"""Plans one step: batches of rows in, a change for each row out. Only reads.

What a change waits for is decided here, and written into it:

- What another row creates is waited for, and so is every write of a row that `from` names: a child is not
  made under a parent that is still being changed, and falls with a parent that could not be changed.
- A create waits for nothing else, in whatever step it stands: no record that is there already can be harmed
  by it, and a hundred thousand rows that have nothing to do with each other shall not stand in one line.
- An update or a delete waits for every row of the steps before it (`barrier`). What earlier steps make,
  change and remove can be the same record, its parent or its children, and the API's own side effects (a
  project that is completed closes its tasks, a task moves the dates of its project) run from one to another.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeAlias, TypeVar

from bulkops.change import Action, Change, match_key
from bulkops.job.model import StepAction
from bulkops.planner.collision import Rules, key_text, reasons, rejected, row_text
from bulkops.planner.draft import Draft
from bulkops.planner.kin import Kin
from bulkops.planner.links import Linked, Links
from bulkops.planner.precheck import ReadyStep
from bulkops.planner.seen import SeenKeys
from bulkops.record import Record, Row, RowError
from bulkops.references import References, find_by_key, key_of, shown_fields
from bulkops.targets.base import RecordData, Target

BATCH = 500  # rows: as many keys as one query may ask for

T = TypeVar("T")
Planned: TypeAlias = tuple[Row, Change]


class Reads:
    """The reads of one plan. The fastest call of all stands for what a call takes in this tenant."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.references = References(target)
        self.latency_s: float | None = None

    async def timed(self, reading: Awaitable[T]) -> T:
        started, calls = time.monotonic(), self.target.calls.read
        result = await reading
        made = self.target.calls.read - calls
        if made:
            seconds = (time.monotonic() - started) / made
            self.latency_s = seconds if self.latency_s is None else min(self.latency_s, seconds)
        return result


class StepPlanner:
    """One step. `before` is the number of the last row of the steps before it.

    `seen` are the keys of its rows, `created` those of the records that all steps so far create.
    """

    def __init__(
        self,
        reads: Reads,
        links: Links,
        ready: ReadyStep,
        *,
        seen: SeenKeys,
        created: SeenKeys,
        before: int,
    ) -> None:
        self.taken = 0  # rows read so far
        self._reads = reads
        self._links = links
        self._ready = ready
        self._seen = seen
        self._created = created
        self._before = before
        self._own = ready.step.name if ready.is_kin else ""
        self._rules = Rules(
            action=ready.step.action, entity=ready.entity, match=ready.match, mapper=ready.mapper
        )
        self._shapes = [ready.entity.fields[name] for name in ready.match]
        self._fields = _fields_to_read(ready)
        if ready.step.action in (StepAction.CREATE, StepAction.UPSERT):
            reads.references.makers[ready.entity.name] = ready.step.name

    async def planned(self) -> AsyncIterator[list[Planned]]:
        """Every row with its change, in the order of the file. Raises SourceError where the file fails.

        A batch may be empty: `taken` tells how far it is.
        """
        if self._ready.is_kin:
            async for batch in self._kin():
                yield batch
            return
        async for drafts in self._drafts():
            batch = [(draft.row, self._change(draft)) for draft in drafts]
            self._links.note(self._ready, batch)
            yield batch

    # --- rows to drafts ---

    async def _drafts(self) -> AsyncIterator[list[Draft]]:
        rows = iter(self._ready.source.rows())
        while batch := list(islice(rows, BATCH)):
            first = self._before + self.taken + 1
            drafts = await self._referenced([Draft(n=first + i, row=row) for i, row in enumerate(batch)])
            await self._search(drafts)
            self.taken += len(batch)
            yield drafts

    async def _referenced(self, drafts: list[Draft]) -> list[Draft]:
        """Maps the rows and finds what they refer to, all but other rows of this step."""
        parts = [self._ready.mapper.parts(draft.row) for draft in drafts]
        records = [record for record, _ in parts]
        found = await self._reads.references.resolve(records)
        linked = self._links.resolve(records, later=self._own)
        for draft, (_, errors), one, link in zip(drafts, parts, found, linked, strict=True):
            _put(draft, one, link, errors)
            if draft.is_open:
                draft.reason = self._key_problem(draft)
        return drafts

    def _key_problem(self, draft: Draft) -> str | None:
        """Why the row's key cannot be used, or None; from now on the key is taken."""
        if not self._ready.match or draft.record is None:
            return None
        key = self._rules.key(draft.record)
        if empty := self._rules.empty_part(key):
            return f"{empty} is empty, and rows are matched by it"
        parts = tuple(
            match_key(shape, value) for shape, value in zip(self._shapes, key.values(), strict=True)
        )
        first = self._seen.first(parts, draft.n, draft.row.line)
        if first is None:
            return None
        place = row_text(first.n, self._ready.source.display, first.line)
        return f"{place} has {key_text(key)} too: only the first one is planned"

    async def _search(self, drafts: Sequence[Draft]) -> None:
        """Notes what the target has for the keys of the drafts that are open."""
        if not self._ready.match:
            return
        keys = {d.n: tuple(self._rules.key(d.record).values()) for d in drafts if d.record and d.is_open}
        found: Mapping[Hashable, Sequence[RecordData]] = await self._reads.timed(
            find_by_key(
                self._reads.target, self._ready.entity, self._ready.match, keys.values(), fields=self._fields
            )
        )
        for draft in drafts:
            if draft.n in keys:
                draft.found = found.get(key_of(keys[draft.n]), ())

    # --- drafts to changes ---

    def _change(self, draft: Draft) -> Change:
        row = Change(
            n=draft.n,
            step=self._ready.step.name,
            entity=self._ready.entity.name,
            action=Action.REJECTED,
            line=draft.row.line,
            file=self._ready.source.file,
            sheet=self._ready.source.sheet,
            key=self._rules.key(draft.record) if draft.record else {},
        )
        if draft.record is None or draft.reason is not None:
            return rejected(row, draft.reason or "")
        change = self._rules.decide(row, draft.record, draft.found)
        if not change.action.is_write:
            return change
        if first := self._first_to_create(change):
            return rejected(row, f"row {first} creates a {row.entity} record with this key already")
        return self._ordered(change, draft)

    def _first_to_create(self, change: Change) -> int | None:
        """The row of an earlier step that creates the same record."""
        if change.action is not Action.CREATE or not change.key:
            return None
        key = (change.entity, *change.key, key_of(change.key.values()))
        first = self._created.first(key, change.n, change.line)
        return first.n if first else None

    def _ordered(self, change: Change, draft: Draft) -> Change:
        waits_for = {*change.waits_for, *draft.needs.values()}
        barrier = 0 if change.action is Action.CREATE else self._before
        return replace(change, waits_for=tuple(sorted(waits_for)), barrier=barrier)

    # --- rows that need other rows of this step ---

    async def _kin(self) -> AsyncIterator[list[Planned]]:
        kin = Kin(self._links, self._own, self._ready.source.display)
        async for drafts in self._drafts():
            opened = [draft for draft in drafts if draft.is_open]
            done = [(draft.row, self._change(draft)) for draft in drafts if not draft.is_open]
            self._links.note_open(self._ready, [(draft.row, draft.n) for draft in opened])
            self._links.note(self._ready, done)
            kin.take(opened, done)
            yield []  # not planned yet, but taken
        kin.close()
        while drafts := kin.ready(BATCH):
            self._meet(drafts)
            batch = [(draft.row, self._change(draft)) for draft in drafts]
            self._links.note(self._ready, batch)
            kin.settle([change for _, change in batch])
        planned = kin.planned()
        while batch := list(islice(planned, BATCH)):
            yield batch

    def _meet(self, drafts: Sequence[Draft]) -> None:
        """Puts in what became of the rows of this step that these refer to."""
        records = {draft.n: draft.record for draft in drafts if draft.record and draft.is_open}
        linked = iter(self._links.resolve(list(records.values())))
        for draft in drafts:
            if draft.n in records:
                _put(draft, records[draft.n], next(linked))


def _put(
    draft: Draft, found: Record | tuple[RowError, ...], linked: Linked, errors: Sequence[RowError] = ()
) -> None:
    """What a row refers to, or all reasons why it has it not; `errors` are those of its other fields."""
    told = [*errors, *(found if isinstance(found, tuple) else ()), *linked.errors]
    if told:
        doubts = found.doubts.values() if isinstance(found, Record) else ()
        draft.record, draft.reason = None, reasons(list(dict.fromkeys([*told, *doubts])))
    elif isinstance(found, Record):
        draft.record = replace(found, values={**found.values, **linked.values}) if linked.values else found
        draft.needs = {**draft.needs, **linked.needs}


def _fields_to_read(ready: ReadyStep) -> list[str]:
    """What the diff, the route and the reasons need of a record; nothing else is asked for."""
    entity = ready.entity
    names = shown_fields(entity)
    if ready.step.action is not StepAction.CREATE:
        names += [*ready.step.specs(), *ready.mapper.needs]
        if entity.parent is not None:
            names.append(entity.parent.field)
    shapes = [entity.find(name) for name in names]
    return list(dict.fromkeys(s.name for s in shapes if s and s.is_queryable and not s.is_path_only))
