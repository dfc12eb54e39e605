"""Reassign: the work of somebody who leaves, or of whose team is split, goes to colleagues.

All of it is read first, then divided, then planned: so whoever would be given what they cannot have is told
before anything is written, and the plan can say who will have how much.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from bulkops.change import Action, Change
from bulkops.errors import Fault
from bulkops.job.model import Job
from bulkops.job.recipes import DivideBy, Method, Reassign
from bulkops.labels import labels_of
from bulkops.questions import questions
from bulkops.recipes.base import Describer, Fields, Known, Progress, described, suggest
from bulkops.recipes.cast import NAMED_BY, Cast, Casting
from bulkops.recipes.division import (
    AN_HOUR,
    ByMap,
    Division,
    Following,
    InTurn,
    LeastLoaded,
    Load,
)
from bulkops.recipes.gather import Gathered, Gatherer, Holding
from bulkops.recipes.givenback import GivenBack
from bulkops.recipes.handing import Handing
from bulkops.recipes.holdings import Holdings
from bulkops.recipes.people import Colleague, Person
from bulkops.recipes.work import (
    FOLLOWED,
    HOURS,
    KINDS,
    Kind,
    Stage,
    field_for,
    is_of_project,
    number,
    open_fields,
    open_filter,
    stage,
)
from bulkops.record import Row
from bulkops.references import References
from bulkops.schema import Entity
from bulkops.targets.autotask.query import EVERYTHING
from bulkops.targets.base import Filter, RecordData, Target
from bulkops.where import Where, asked_about, lookup_entities, read_where, resolved
from bulkops.wording import counted, listed, shown
from bulkops.workload import KEY, NOTES

Hinder: TypeAlias = Callable[[Colleague], str]

_STAMPS = ("lastActivity", "lastModified", "lastTracked")  # how fields begin that tell of the last write


class Reassignment:
    """Implements `recipes.Expansion`."""

    def __init__(self, recipe: Reassign, shapes: Mapping[str, Entity]) -> None:
        self.faults: list[Fault] = []
        self._recipe = recipe
        self._shapes = shapes
        self._wheres: dict[str, Where] = {}  # by the entity that they are about
        self._asked: dict[str, list[Filter]] = {}  # the same, with ids for what they look up
        self._cast = Cast()
        self._target: Target | None = None
        self._owners: dict[str, dict[int, int]] = {}  # entity → record → who gets it
        self._staying: dict[str, dict[int, str]] = {}  # entity → record → why nobody gets it
        self._holdings = Holdings()
        self._known: list[Known] = []
        self._told: list[str] = []  # what the user should know
        self._given_back = GivenBack()
        self._notes: list[str] = []  # what belongs to the table of who has how much
        self._read_where()
        self._check_division()
        self._stages = tuple(
            stage(
                kind,
                shapes[kind.entity],
                shapes[kind.work],
                whose=recipe.from_,
                where=recipe.place(""),
                entities=[one.entity for one in self._kinds()],
            )
            for kind in self._kinds()
            if kind.entity in shapes and kind.work in shapes
        )
        self.steps = tuple(step for one in self._stages for step in one.steps)
        self._by_step = {step.name: one for one in self._stages for step in one.steps}

    @classmethod
    async def of(cls, job: Job, recipe: Reassign, describer: Describer) -> Reassignment:
        """Asks for the entities that it is about. Raises where the tenant cannot be asked."""
        kinds = [kind for kind in KINDS if kind.name in recipe.entities]
        names = [name for kind in kinds for name in (kind.entity, kind.work)]
        shapes = await described(describer, names)
        looked_up = [
            name for shape in shapes.values() for name in lookup_entities(recipe.where, shape) if name
        ]
        return cls(recipe, shapes | await described(describer, looked_up))

    # --- what is known before anything is read ---

    def _kinds(self) -> Iterator[Kind]:
        return (kind for kind in KINDS if kind.name in self._recipe.entities)

    def _read_where(self) -> None:
        """A condition must be one for every kind of work: where one has no such field, all of its work would
        be handed over.
        """
        for work in dict.fromkeys(kind.work for kind in self._kinds()):
            if work in self._shapes and self._recipe.where:
                where, faults = read_where(self._recipe.where, self._shapes[work], self._find, suggest)
                faults += self._too_long(where, work)
                self.faults += [_about(fault, work) for fault in faults]
                if not faults:
                    self._wheres[work] = where
        self.faults = list(dict.fromkeys(self.faults))

    def _too_long(self, where: Where, work: str) -> list[Fault]:
        """Whose the work is, or its ids, and that it is open are asked for as well: there must be room."""
        if where.filter is None:
            return []
        by_id = {"op": "in", "field": "id", "value": [0]}
        still_open = self._still_open(self._shapes[work])
        try:
            questions({"op": "and", "items": [by_id, *([still_open] if still_open else []), where.filter]})
        except ValueError as error:
            return [Fault(where=self._recipe.where[0].where, message=f"`where` {error}")]
        return []

    def _find(self, name: str) -> Entity | None:
        return next((shape for key, shape in self._shapes.items() if key.casefold() == name.casefold()), None)

    def _check_division(self) -> None:
        divide = self._recipe.divide
        if not isinstance(divide, DivideBy) or not divide.by:
            return
        names = dict.fromkeys(kind.name for kind in self._kinds() if not field_for(kind.work, divide.by))
        if names:
            told = f"`by` names {divide.by}, by which {listed(list(names), 'and')} cannot be told apart"
            hint = "Take them out of `entities`, or divide by another field."
            self.faults.append(Fault(where=divide.places.get("by", ""), message=told, hint=hint))

    # --- whom and what it names ---

    async def resolve(self, target: Target, references: References) -> list[Fault]:
        self._target = target
        faults: list[Fault] = []
        for work, where in self._wheres.items():
            self._asked[work], wrong = await resolved(where, references)
            faults += wrong
        self._cast = await Casting(self._recipe, target, references).found(
            self._shapes.get("Tickets"), desk=any(one.kind.is_desk for one in self._stages)
        )
        faults += self._cast.faults
        faults += await self._unfit()
        for one in self._stages if self._cast.giver else ():
            for rows in (one.rows, one.gone):
                if rows is not None:
                    rows.display = f"{one.kind.entity} of {self._cast.giver}"
        return list(dict.fromkeys(faults))

    async def _unfit(self) -> list[Fault]:
        """Who cannot have what they would be given, as far as it can be told without reading it.

        What a map gives to whom only its records show, and so do entries: both are told when they are read.
        Where nobody knows whose work it is, nobody is blamed for what there may be none of.
        """
        if isinstance(self._recipe.divide, DivideBy) or self._cast.giver is None:
            return []
        faults = []
        for one in self._stages:
            if one.kind.role and not one.kind.is_entry:
                for taker in self._cast.takers:
                    told = await self._unfit_for(one, taker)
                    faults += [Fault(where=taker.where, message=told)] if told else []
        return faults

    async def _unfit_for(self, one: Stage, taker: Colleague) -> str:
        """Why somebody cannot have that kind of work, if there is any that they cannot have."""
        roles = self._cast.roles
        told = roles.pick(taker, one.kind, None)
        if isinstance(told, int):
            return ""
        also: Filter | None = None
        theirs = roles.of(taker.id, one.kind)
        if theirs and taker.wanted is None and not roles.problem(taker, one.kind):
            also = {"op": "notIn", "field": one.kind.role, "value": theirs}
        if await self._gatherer().count(one.kind, self._filters(one), also):
            return told
        return ""

    def _gatherer(self, progress: Progress | None = None) -> Gatherer:
        assert self._target is not None
        giver = self._cast.giver.id if self._cast.giver else 0
        return Gatherer(self._target, giver, [one.id for one in self._cast.takers], progress)

    def _filters(self, one: Stage) -> Sequence[Filter]:
        """Which of the work is meant: what is still to be done, unless `where` says that itself."""
        asked = self._asked.get(one.work.name, [EVERYTHING])
        still_open = self._still_open(one.work)
        if still_open is None:
            return asked
        return [
            still_open if each == EVERYTHING else {"op": "and", "items": [still_open, each]} for each in asked
        ]

    def _still_open(self, work: Entity) -> Filter | None:
        return open_filter(work) if self._is_open_only(work) else None

    def _is_open_only(self, work: Entity) -> bool:
        named = {name.casefold() for name in asked_about(self._recipe.where)}
        return not named & {name.casefold() for name in open_fields(work)}

    # --- the rows ---

    async def read(self, fields: Fields, progress: Progress | None) -> list[Fault]:
        gatherer = self._gatherer(progress)
        loads = {one.kind.entity: await gatherer.loads(one.kind, one.shape) for one in self._own()}
        found = [await self._gathered(one, fields, gatherer) for one in self._stages]
        hours = self._hour_loads(loads, found)
        faults: dict[Fault, None] = {}
        names = await self._unnamed(found, gatherer)
        for one, held in zip(self._stages, found, strict=True):
            self._begin(one, held, loads.get(one.kind.entity))
            division = self._division(one, held, loads.get(one.kind.entity, {}), hours=hours, names=names)
            handing = Handing(
                one, held, self._cast, division, value=self._value, owners=self._owners,
                staying=self._staying, guarded=self._guarded(one),
            )  # fmt: skip
            handing.over()
            faults |= dict.fromkeys(handing.faults)
            self._told += handing.told()
            held.close()
        self._told += await self._left(gatherer)
        self._known = [*self._cast.known(), *gatherer.known]
        if not any(held.held.count for held in found):
            kinds = listed(self._recipe.entities, "or")
            self._told.append(f"{self._cast.giver} has no such {kinds}, so there is nothing to hand over")
        return list(faults)

    def _own(self) -> list[Stage]:
        return [one for one in self._stages if not one.kind.is_entry]

    async def _gathered(self, one: Stage, fields: Fields, gatherer: Gatherer) -> Gathered:
        by = self._by
        wanted = [name for name in (field_for(one.work.name, by), *self._guarded(one)) if name]
        asked = self._filters(one)
        if not one.kind.is_entry:
            held = await gatherer.records(one, asked, [*fields[one.steps[0].name], *wanted])
            records: Sequence[RecordData] | None = None
        else:
            primary = [name for name in ("assignedResourceID",) if one.work.find(name)]
            names = ["id", *one.names, *wanted, *primary, *open_fields(one.work)]
            held = await gatherer.entries(one, asked, names, open_only=self._is_open_only(one.work))
            records = [entry.work for entry in held.entries]
        if is_of_project(one.work.name, by):
            projects = (number(record.get("projectID")) for record in records or held.pile or ())
            held.companies = await gatherer.companies(id for id in projects if id is not None)
        return held

    @property
    def _by(self) -> str:
        return self._recipe.divide.by if isinstance(self._recipe.divide, DivideBy) else ""

    def _guarded(self, one: Stage) -> list[str]:
        """The fields of the work by which it was chosen and given to somebody, as far as this plan itself
        leaves them alone: its own writes, and when the API last saw one, are nobody's doing.
        """
        chosen = [*asked_about(self._recipe.where), *open_fields(one.work)]
        shapes = [one.work.find(name) for name in (*chosen, field_for(one.work.name, self._by))]
        is_first = one is self._stages[0] and not one.kind.is_entry
        ours = {"id", *(self._written(one.work.name) if one.kind.is_entry else ())}
        return list(
            dict.fromkeys(
                shape.name
                for shape in shapes
                if shape is not None and shape.is_queryable and shape.name not in ours
                if is_first or not shape.name.startswith(_STAMPS)
            )
        )

    def _written(self, work: str) -> list[str]:
        """What this plan makes of that work before its entries change hands."""
        own = [one.kind for one in self._stages if one.kind.entity == work]
        return [name for kind in own for name in (kind.person, kind.role, "departmentID")]

    def _value(self, one: Stage, held: Gathered, work: RecordData) -> Hashable:
        """What a map looks at."""
        divide = self._recipe.divide
        if not isinstance(divide, DivideBy):
            return None
        value = number(work.get(field_for(one.work.name, divide.by)))
        return held.companies.get(value or -1) if is_of_project(one.work.name, divide.by) else value

    async def _unnamed(self, found: Sequence[Gathered], gatherer: Gatherer) -> dict[Hashable, str]:
        """What people call the values that a map leaves out: their records are rejected for that."""
        divide = self._recipe.divide
        if not isinstance(divide, DivideBy) or self._cast.default is not None:
            return {}
        values = {
            self._value(one, held, work)
            for one, held in zip(self._stages, found, strict=True)
            for work in (held.pile or (entry.work for entry in held.entries))
        }
        left = [value for value in values - self._cast.by_value.keys() if isinstance(value, int)]
        if divide.by == "queueID":
            queues = labels_of(self._shapes["Tickets"], ["queueID"]).get("queueID", {})
            return {value: queues.get(str(value), "") for value in left}
        named = await gatherer.names(*NAMED_BY[divide.by], left)
        return {value: named.get(value, "") for value in left}

    def _division(
        self,
        one: Stage,
        held: Gathered,
        loads: Mapping[int, Holding],
        *,
        hours: dict[int, Load],
        names: Mapping[Hashable, str],
    ) -> Division:
        takers, divide = self._cast.takers, self._recipe.divide
        made: Division
        if isinstance(divide, DivideBy):
            made = ByMap(divide.by, self._cast.by_value, self._cast.default, names)
        elif divide is Method.ROUND_ROBIN:
            made = InTurn(takers)
        elif one.kind.hours:
            usual = held.held.usual or AN_HOUR
            if held.held.unknown:
                self._notes.append(
                    f"{held.held.unknown:,} {one.kind.entity} of {self._cast.giver} have no hours: to "
                    f"divide them, each counts for {usual:g}."
                )
            made = LeastLoaded(takers, hours, usual)
        else:
            counts = {id: Load(count=load.count) for id, load in loads.items()}
            empty = {taker.id: Load() for taker in takers}
            made = LeastLoaded(takers, empty | counts, counts_hours=False)
        return Following(takers, made) if one.kind.entity in FOLLOWED else made

    def _hour_loads(
        self, loads: Mapping[str, Mapping[int, Holding]], found: Sequence[Gathered]
    ) -> dict[int, Load]:
        """What each has to do of all kinds whose hours are known."""
        hours = {taker.id: Load() for taker in self._cast.takers}
        for one, held in zip(self._stages, found, strict=True):
            for id, load in loads.get(one.kind.entity, {}).items() if one.kind.hours else ():
                hours[id].count += load.count
                hours[id].hours += load.hours + load.unknown * (held.held.usual or AN_HOUR)
        return hours

    def _begin(self, one: Stage, held: Gathered, loads: Mapping[int, Holding] | None) -> None:
        if self._cast.giver is not None:
            takers = {taker.person: (loads or {}).get(taker.id) for taker in self._cast.takers}
            self._holdings.begin(
                one.kind.entity, self._cast.giver, held.held, takers, has_hours=bool(one.kind.hours)
            )

    async def _left(self, gatherer: Gatherer) -> list[str]:
        """What `entities` leaves out of the work that it names."""
        told = []
        works = {one.kind.work for one in self._own()}
        helping = [kind for kind in KINDS if kind.is_entry and kind.role and kind.work in works]
        for kind in helping:
            is_left = kind.name not in self._recipe.entities
            if is_left and (count := await gatherer.count_entries(kind)):
                many = f"{counted(count, 'record')} of {kind.name}, also of completed work"
                told.append(
                    f"{self._cast.giver} stays a secondary resource ({many}): name {kind.name} in `entities` "
                    "to hand that over as well"
                )
        return told

    # --- what it comes to ---

    def known(self) -> Sequence[Known]:
        return self._known

    def note(self, row: Row, change: Change) -> None:
        one, giver = self._by_step[change.step], self._cast.giver
        if giver is None or not change.action.is_write:
            return
        kind, hours = one.kind, None
        self._given_back.add(self._cast, kind, change, row.found)
        if kind.hours:
            text = row.cells[one.rows.columns.index(HOURS)]
            hours = float(text) if text else None
        if change.action is not Action.CREATE:
            self._holdings.move(kind.entity, giver, hours)
        if change.action is not Action.DELETE:
            taker = next(t.person for t in self._cast.takers if t.id == change.fields[kind.person].after)
            self._holdings.move(kind.entity, taker, hours)

    def warnings(self) -> list[str]:
        told = [f"reassign: {text}" for text in self._told]
        if isinstance(self._recipe.divide, DivideBy):
            told += [f"reassign: {one.person} is given nothing: no entry of `map` names them"
                     for one in self._cast.idle]  # fmt: skip
        if not any(one.kind.role for one in self._stages):
            told += [f"reassign: {shown(one.role)} has no meaning, since none of `entities` takes a role"
                     for one in self._recipe.to if one.role]  # fmt: skip
        return told

    def lasting(self) -> list[str]:
        giver = self._cast.giver
        is_gone = giver is not None and not giver.is_active
        told = f"what {giver} hands over, who is no longer active: nobody can give it back"
        return [told] if is_gone else list(self._given_back.lasting(self._cast))

    def labels(self) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
        people: list[Person] = [one.person for one in self._cast.takers]
        if self._cast.giver is not None:
            people.append(self._cast.giver)
        names = {str(person.id): person.name for person in people}
        roles = {str(id): name for id, name in self._cast.roles.names.items()}
        found: dict[str, dict[str, Mapping[str, str]]] = {}
        for one in self._stages:
            found.setdefault(one.work.name, {}).update(labels_of(one.work, self._guarded(one)))
            held = {one.kind.person: names, **({one.kind.role: roles} if one.kind.role else {})}
            found.setdefault(one.kind.entity, {}).update(held)
        return found

    def extra(self) -> Mapping[str, Any]:
        rows, notes = self._holdings.to_json(), self._notes
        if rows and self._recipe.where:
            notes = [f"Of {self._cast.giver} only what `where` finds is counted.", *notes]
        return {KEY: rows, NOTES: notes}

    def close(self) -> None:
        for one in self._stages:
            one.rows.close()
            if one.gone is not None:
                one.gone.close()


def _about(fault: Fault, entity: str) -> Fault:
    """Of a condition that is for several entities: of which of them it is wrong."""
    is_told = entity in fault.message
    return fault if is_told else replace(fault, message=f"{entity}: {fault.message}")
