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
from bulkops.planner import again
from bulkops.planner.aftermath import Aftermath
from bulkops.planner.belonging import Belonging
from bulkops.planner.collision import Rules, key_text, reasons, rejected, row_text, unsent
from bulkops.planner.draft import Draft
from bulkops.planner.earlier import Earlier
from bulkops.planner.guards import Guards
from bulkops.planner.kin import Kin
from bulkops.planner.links import Linked, Links
from bulkops.planner.onlyread import OnlyRead
from bulkops.planner.precheck import ReadyStep
from bulkops.planner.seen import SeenKeys
from bulkops.planner.verdicts import Verdicts
from bulkops.record import FromStep, Lookup, Record, Row, Value
from bulkops.references import References, find_by_key, key_of, shown_fields
from bulkops.targets.autotask.rules import own_fields
from bulkops.targets.base import RecordData, Target

BATCH = 500  # rows: as many keys as one query may ask for
NEEDED = "needs"  # stands for `Row.needs` among a record's references

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

    `seen` are the keys of its rows, `created` those of the records that all steps so far create, `aftermath`
    what they make of records that exist. `nonce` is what the plan's own marks begin with.
    """

    def __init__(
        self,
        reads: Reads,
        links: Links,
        ready: ReadyStep,
        *,
        seen: SeenKeys,
        created: SeenKeys,
        aftermath: Aftermath,
        verdicts: Verdicts,
        before: int,
        nonce: str = "",
    ) -> None:
        self.taken = 0  # rows read so far
        self._reads = reads
        self._links = links
        self._belonging = Belonging(reads.target, reads.references, ready.entity.name, ready.match)
        self._earlier = Earlier(reads.target, reads.references, links)
        self._ready = ready
        self._seen = seen
        self._created = created
        self._aftermath = aftermath
        self._verdicts = verdicts
        self._before = before
        self._own = ready.step.name if ready.is_kin else ""
        marker = ready.entity.find(ready.step.marker or "")
        self._rules = Rules(
            action=ready.step.action,
            entity=ready.entity,
            match=ready.match,
            mapper=ready.mapper,
            before=before,
            marker=marker.name if marker else "",
            nonce=nonce,
        )
        self._shapes = [ready.entity.fields[name] for name in ready.match]
        self._only_read = OnlyRead(ready, reads.target)
        self._guards = Guards(ready)
        self._fields = list(dict.fromkeys([*fields_to_read(ready), *self._only_read.fields]))
        if ready.step.action in (StepAction.CREATE, StepAction.UPSERT):
            reads.references.makers[ready.entity.name] = ready.step.name

    async def planned(self) -> AsyncIterator[list[Planned]]:
        """Every row with its change, in the order of the file. Raises SourceError where the file fails.

        A batch may be empty: `taken` tells how far it is.
        """
        async for batch in self._kin() if self._ready.is_kin else self._alone():
            yield batch
        await self._reads.timed(self._only_read.finish())

    def told(self) -> list[str]:
        """What the rows have in common and a user should know, once all are planned."""
        return [*self._only_read.told(), *self._guards.told()]

    async def _alone(self) -> AsyncIterator[list[Planned]]:
        async for drafts in self._drafts():
            batch = await self._changes(drafts)
            self._links.note(self._ready, batch)
            yield batch

    # --- rows to drafts ---

    async def _drafts(self) -> AsyncIterator[list[Draft]]:
        rows = iter(self._ready.source.rows())
        while batch := list(islice(rows, BATCH)):
            first = self._before + self.taken + 1
            drafts = await self._referenced([Draft(n=first + i, row=row) for i, row in enumerate(batch)])
            await self._search(drafts)
            await self._belonging.resolve(drafts, are_met=True)
            for draft in drafts:
                _judge(draft)
            self.taken += len(batch)
            yield drafts

    async def _referenced(self, drafts: list[Draft]) -> list[Draft]:
        """Maps the rows and finds what they refer to, all but other rows of this step."""
        parts = [self._ready.mapper.parts(draft.row) for draft in drafts]
        records = [record for record, _ in parts]
        found = await self._reads.references.parts(records, but=self._belonging.fields)
        await self._earlier.find(records, later=(self._own,))
        linked = self._links.resolve(records, later=(self._own,))
        for draft, (_, errors), (record, unfound), link in zip(drafts, parts, found, linked, strict=True):
            draft.record = record
            draft.errors += (*errors, *unfound)
            _put(draft, link)
        self._need(drafts)
        await self._belonging.resolve(drafts, are_met=False)
        for draft in drafts:
            _judge(draft)
            if problem := self._key_problem(draft):
                draft.reason = f"{draft.reason}; {problem}" if draft.reason else problem
        return drafts

    def _need(self, drafts: Sequence[Draft]) -> None:
        """Notes the rows above that rows of a recipe need, and which of them fell."""
        asked = [draft for draft in drafts if draft.row.needs is not None]
        records = [Record(values={NEEDED: draft.row.needs}) for draft in asked]
        for draft, link in zip(asked, self._links.resolve(records), strict=True):
            draft.errors += link.errors
            draft.needs = {**draft.needs, **link.needs}

    def _key_problem(self, draft: Draft) -> str | None:
        """Why the row's key cannot be used, or None; from now on the key is taken.

        A row that is rejected for something else has its key all the same: it is to be corrected, and then
        there are two. A row whose key could not be told has none.
        """
        if not self._ready.match or draft.record is None:
            return None
        key = self._rules.key(draft.record)
        if empty := self._rules.empty_part(key):
            return None if draft.errors else f"{empty} is empty, and rows are matched by it"
        if not _is_known(key):
            return None
        parts = tuple(
            match_key(shape, value) for shape, value in zip(self._shapes, key.values(), strict=True)
        )
        first = self._seen.first(parts, draft.n, draft.row.line, is_open=draft.is_open)
        if first is None:
            return None
        place = row_text(first.n, self._ready.source.display, first.line)
        if first.is_open:
            return f"{place} has {key_text(key)} too: {again.SECOND}"
        return f"{place}, which was rejected, has {key_text(key)} too: correct that one, or take it out"

    async def _search(self, drafts: Sequence[Draft]) -> None:
        """Notes what the target has for the keys of the drafts that are open."""
        if not self._ready.match:
            return
        keys = {
            d.n: tuple(self._rules.key(d.record).values())
            for d in drafts
            if d.record and d.is_open and d.row.found is None
        }
        found: Mapping[Hashable, Sequence[RecordData]] = await self._reads.timed(
            find_by_key(
                self._reads.target, self._ready.entity, self._ready.match, keys.values(), fields=self._fields
            )
        )
        for draft in drafts:
            if draft.n in keys or (draft.row.found is not None and draft.is_open):
                records = (
                    found.get(key_of(keys[draft.n]), ())
                    if draft.row.found is None
                    else [dict(draft.row.found)]
                )
                draft.found = self._aftermath.met(self._ready.entity.name, records)

    # --- drafts to changes ---

    async def _changes(self, drafts: Sequence[Draft]) -> list[Planned]:
        decided = [self._change(draft) for draft in drafts]
        passed = await self._reads.timed(self._verdicts.passed(drafts, decided))
        await self._reads.timed(self._only_read.look(drafts))
        for change in passed:
            self._guards.add(change)
        return [(draft.row, self._only_one(change)) for draft, change in zip(drafts, passed, strict=True)]

    def _change(self, draft: Draft) -> Change:
        key = self._rules.key(draft.record) if draft.record else {}
        row = Change(
            n=draft.n,
            step=self._ready.step.name,
            entity=self._ready.entity.name,
            action=Action.REJECTED,
            id=None if draft.row.found is None else int(draft.row.found["id"] or 0),
            line=draft.row.line,
            file=self._ready.source.file,
            sheet=self._ready.source.sheet,
            key=key if _is_known(key) else {},
        )
        if draft.record is None or draft.reason is not None:
            return rejected(row, draft.reason or "")
        change = self._rules.decide(row, draft.record, draft.found, needs=draft.needs.values())
        if gone_by := self._aftermath.gone_by(change.entity, change.id):
            return rejected(row, f"row {gone_by} deletes {change.entity} {change.id}")
        is_resting = change.action.is_write and draft.row.premise is not None
        return replace(change, premise=draft.row.premise) if is_resting else change

    def _only_one(self, change: Change) -> Change:
        """Rejects what a row of an earlier step creates already."""
        if change.action is not Action.CREATE or not change.key:
            return change
        key = (change.entity, *change.key, key_of(change.key.values()))
        first = self._created.first(key, change.n, change.line)
        if first is None:
            return change
        return unsent(change, f"row {first.n} creates a {change.entity} record {again.MADE}")

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
            await self._meet(drafts)
            batch = await self._changes(drafts)
            self._links.note(self._ready, batch)
            kin.settle([change for _, change in batch])
        planned = kin.planned()
        while batch := list(islice(planned, BATCH)):
            yield batch

    async def _meet(self, drafts: Sequence[Draft]) -> None:
        """Puts in what became of the rows of this step that these refer to."""
        records = {draft.n: draft.record for draft in drafts if draft.record and draft.is_open}
        await self._earlier.find(list(records.values()))
        linked = iter(self._links.resolve(list(records.values())))
        for draft in drafts:
            if draft.n in records:
                _put(draft, next(linked))
                _judge(draft)


def _put(draft: Draft, linked: Linked) -> None:
    """Puts in what rows of steps are referred to, or notes why not."""
    draft.errors += linked.errors
    draft.needs = {**draft.needs, **linked.needs}
    if linked.values and draft.record is not None:
        draft.record = replace(draft.record, values={**draft.record.values, **linked.values})


def _judge(draft: Draft) -> None:
    """With all that is wrong with it a row is rejected, for all of it at once."""
    if draft.errors and draft.reason is None:
        doubts = draft.record.doubts.values() if draft.record else ()
        draft.reason = reasons(list(dict.fromkeys([*draft.errors, *doubts])))


def _is_known(key: Mapping[str, Value]) -> bool:
    """Whether no part of it is missing, or was looked for and not found."""
    return not any(value is None or isinstance(value, Lookup | FromStep) for value in key.values())


def fields_to_read(ready: ReadyStep) -> list[str]:
    """What the diff, the route and the reasons need of a record; of one that is deleted, everything."""
    entity = ready.entity
    names = shown_fields(entity)
    if ready.step.action is StepAction.DELETE:
        names += entity.fields
    elif ready.step.action is not StepAction.CREATE:
        names += [*ready.step.specs(), *ready.mapper.needs, *own_fields(entity, ready.step.specs())]
        if entity.parent is not None:
            names.append(entity.parent.field)
    shapes = [entity.find(name) for name in names]
    return list(dict.fromkeys(s.name for s in shapes if s and s.is_queryable and not s.is_path_only))
