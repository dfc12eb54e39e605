"""Reads what a person holds, what colleagues hold, and who is on which work already. Only reads, in bulk:
500 records a call, never a call a record.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bulkops.errors import NoRouteError, RefusedError, RejectedError
from bulkops.questions import questions
from bulkops.recipes.base import Known, Pile, Progress
from bulkops.recipes.work import FOLLOWED, Hop, Kind, Stage, hours_of, is_open, number, open_filter
from bulkops.schema import Entity
from bulkops.targets.autotask.query import EVERYTHING, MAX_CONDITIONS, PAGE
from bulkops.targets.base import Filter, RecordData, Target

_UNREADABLE = (RefusedError, RejectedError, NoRouteError)
TELL = 500  # records between two words about progress

Pairs: TypeAlias = set[tuple[int, int]]
"""A piece of work, and somebody who is on it."""


@dataclass(slots=True)
class Holding:
    """What somebody holds of one kind: how many pieces, their hours, and of how many nobody knows those."""

    count: int = 0
    hours: float = 0.0
    unknown: int = 0

    def add(self, hours: float | None) -> None:
        self.count += 1
        self.hours += hours or 0.0
        self.unknown += not hours

    @property
    def usual(self) -> float | None:
        """Hours of a piece, on average of those of which they are known."""
        return self.hours / (self.count - self.unknown) if self.count > self.unknown else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry by which the person is on some work, and that work."""

    record: RecordData
    link: int
    work: RecordData
    leads: int | None = None  # the task or ticket with which it goes


@dataclass(slots=True)
class Gathered:
    """Of one stage: its records, or its entries, in order; who is on what; companies of projects."""

    pile: Pile | None = None
    entries: list[Entry] = field(default_factory=list)
    held: Holding = field(default_factory=Holding)
    on_it: Pairs = field(default_factory=set)
    companies: dict[int, int | None] = field(default_factory=dict)

    def close(self) -> None:
        if self.pile is not None:
            self.pile.close()


class Gatherer:
    """`giver` hands over to `takers`."""

    def __init__(
        self, target: Target, giver: int, takers: Collection[int], progress: Progress | None = None
    ) -> None:
        self._target = target
        self._giver = giver
        self._takers = sorted(takers)
        self._progress = progress
        self.known: list[Known] = []  # all that colleagues are on, where that was read

    async def records(self, stage: Stage, asked: Sequence[Filter], fields: Sequence[str]) -> Gathered:
        """The person's own records. `asked`: which of them; `fields`: what has to be known of each."""
        kind, found = stage.kind, Gathered(pile=(pile := Pile()))
        follows = ["departmentID"] if kind.entity == "Tasks" else []  # that of the task's resource
        names = list(dict.fromkeys(["id", *fields, *stage.names, *kind.hours, *follows]))
        for own in self._own(kind, asked):
            async for record in self._target.read(kind.entity, own, fields=_readable(stage.shape, names)):
                if pile.add({name: record.get(name) for name in names}):
                    found.held.add(hours_of(kind, record))
                    self._tell(stage.rows.display, found.held.count)
        self._tell(stage.rows.display, found.held.count, is_all=True)
        if kind.also_on is not None and found.held.count:
            ids = [int(record["id"] or 0) for record in pile]
            found.on_it = await self.on_it(kind.also_on, ids)
        return found

    def _own(self, kind: Kind, asked: Sequence[Filter]) -> Iterator[Filter]:
        """The queries for what of `asked` is the person's."""
        for where in asked:
            yield from questions(_and(_eq(kind.person, self._giver), where))

    async def entries(
        self, stage: Stage, asked: Sequence[Filter], fields: Sequence[str], *, open_only: bool
    ) -> Gathered:
        """The person's entries on work that `asked` finds. Of the work `fields` are read."""
        kind, found = stage.kind, Gathered()
        own = [record async for record in self._target.read(kind.entity, _eq(kind.person, self._giver))]
        first, *more = kind.hops
        ways: dict[int, tuple[int, int | None]]
        ways = {link: (link, None) for record in own if (link := number(record.get(first.field))) is not None}
        if more:
            ways = await self._ways(first, more[0], FOLLOWED[kind.entity][0], sorted(ways))
        works = await self._works(stage.work, {work for work, _ in ways.values()}, asked, fields)
        if open_only:
            works = {id: work for id, work in works.items() if is_open(stage.work, work)}
        for record in own:
            link = number(record.get(first.field))
            work, leads = ways.get(link or -1, (None, None))
            if link is not None and work in works:
                found.entries.append(Entry(record=record, link=link, work=works[work], leads=leads))
                found.held.add(None)
        # By what they are entries of: one that was taken away and given back has another id, and is to go to
        # the same colleague again.
        found.entries.sort(key=lambda entry: (entry.link, entry.record["id"] or 0))
        links = sorted({entry.link for entry in found.entries})
        if links:
            found.on_it = await self.on_it(Hop(field=first.field, entity=kind.entity), links)
        return found

    async def _ways(
        self, first: Hop, then: Hop, led: Hop, links: Sequence[int]
    ) -> dict[int, tuple[int, int | None]]:
        """From each link to the work that it leads to, and to what it goes with."""
        found = {}
        async for record in self._chunked(first.entity, "id", links, fields=[then.field, led.field]):
            work = number(record.get(then.field))
            if work is not None:
                found[int(record["id"] or 0)] = (work, number(record.get(led.field)))
        return found

    async def _works(
        self, work: Entity, ids: Collection[int], asked: Sequence[Filter], fields: Sequence[str]
    ) -> dict[int, RecordData]:
        found: dict[int, RecordData] = {}
        for where in asked if ids else ():
            for question in questions(_and(_in("id", sorted(ids)), where)):
                async for record in self._target.read(work.name, question, fields=fields):
                    found[int(record["id"] or 0)] = record
        return found

    async def on_it(self, hop: Hop, works: Sequence[int]) -> Pairs:
        """Which colleagues are on which of this work by entries of `hop`, the way that costs fewer reads."""
        field, found = hop.field, Pairs()
        theirs = _in("resourceID", self._takers)
        try:
            count = await self._target.count(hop.entity, theirs)
            if not count:
                self._know(hop.entity, [], is_all=True)
                return found
            room = MAX_CONDITIONS - len(self._takers)
            is_short = count / PAGE <= len(works) / room
            asked = (
                [theirs] if is_short else [_and(theirs, _in(field, some)) for some in _chunks(works, room)]
            )
            read = []
            for where in asked:
                async for record in self._target.read(hop.entity, where, fields=[field, "resourceID"]):
                    found.add((number(record.get(field)) or 0, number(record.get("resourceID")) or 0))
                    if is_short:
                        read.append(record)
            self._know(hop.entity, read, is_all=is_short)
        except _UNREADABLE:
            return Pairs()  # the API decides; the plan's own rules tell that nobody could look
        return found

    def _know(self, entity: str, records: Sequence[RecordData], *, is_all: bool) -> None:
        if is_all:
            ids = tuple(self._takers)
            self.known.append(Known(entity=entity, field="resourceID", ids=ids, records=tuple(records)))

    async def companies(self, projects: Iterable[int]) -> dict[int, int | None]:
        """The company of each project."""
        found = {}
        async for record in self._chunked("Projects", "id", sorted(set(projects)), fields=["companyID"]):
            found[int(record["id"] or 0)] = number(record.get("companyID"))
        return found

    async def names(self, entity: str, field: str, ids: Collection[int]) -> dict[int, str]:
        """How people know these records."""
        found = {}
        async for record in self._chunked(entity, "id", sorted(ids), fields=[field]):
            found[int(record["id"] or 0)] = str(record.get(field) or "")
        return found

    async def loads(self, kind: Kind, shape: Entity) -> dict[int, Holding]:
        """What each colleague has to do of a kind now, whatever the job's own `where` says."""
        held = {id: Holding() for id in self._takers}
        names = ["id", kind.person, *kind.hours]
        where = _and(_in(kind.person, self._takers), open_filter(shape) or EVERYTHING)
        async for record in self._target.read(kind.entity, where, fields=_readable(shape, names)):
            holder = held.get(number(record.get(kind.person)) or -1)
            if holder is not None:
                holder.add(hours_of(kind, record))
        return held

    async def count(self, kind: Kind, asked: Sequence[Filter], also: Filter | None = None) -> int:
        """How many records of the person's own `asked` finds, at least."""
        every = [where if also is None else _and(also, where) for where in asked]
        return sum([await self._target.count(kind.entity, own) for own in self._own(kind, every)])

    async def count_entries(self, kind: Kind) -> int:
        """How many entries the person has, whatever they are on. 0 where they may not be read."""
        try:
            return await self._target.count(kind.entity, _eq(kind.person, self._giver))
        except _UNREADABLE:
            return 0

    async def _chunked(
        self, entity: str, field: str, values: Sequence[int], *, fields: Sequence[str]
    ) -> AsyncIterator[RecordData]:
        for some in _chunks(values, MAX_CONDITIONS):
            async for record in self._target.read(entity, _in(field, some), fields=fields):
                yield record

    def _tell(self, what: str, count: int, *, is_all: bool = False) -> None:
        if self._progress is not None and (is_all or count % TELL == 0):
            self._progress(what, count)


def _readable(shape: Entity, names: Sequence[str]) -> Sequence[str] | None:
    """What to ask for. What cannot be queried is in a record all the same where all of it is read."""
    known = [shape.find(name) for name in names]
    return None if any(one is not None and not one.is_queryable for one in known) else names


def _chunks(values: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for at in range(0, len(values), size):
        yield values[at : at + size]


def _eq(field: str, value: int) -> Filter:
    return {"op": "eq", "field": field, "value": value}


def _in(field: str, values: Sequence[int]) -> Filter:
    return {"op": "in", "field": field, "value": list(values)}


def _and(*clauses: Filter) -> Mapping[str, Any]:
    return {"op": "and", "items": [clause for clause in clauses if clause != EVERYTHING]}
