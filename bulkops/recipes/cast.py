"""Who takes part in a reassignment: whose work it is, who is given some, in which role, for which values of a
map. Everything that is wrong with that is told at once. Only reads.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from bulkops.change import by_label
from bulkops.errors import Fault
from bulkops.job.recipes import Assignee, DivideBy, Reassign
from bulkops.recipes.base import Known
from bulkops.recipes.people import Colleague, Person, Roles, Staff, read_staff
from bulkops.record import Lookup
from bulkops.references import Found, References
from bulkops.schema import Entity
from bulkops.targets.base import Target
from bulkops.wording import did_you_mean, shown

NAMED_BY: Mapping[str, tuple[str, str]] = {
    "companyID": ("Companies", "companyName"),
    "projectID": ("Projects", "projectName"),
    "phaseID": ("Phases", "title"),
}
"""Where a field's values are records: whose, and by which name a map may know them."""

MOST = 400  # colleagues: their ids stand in one query, with room for something beside them
_UNASSIGNABLE = "and work cannot be given to them"


@dataclass(slots=True)
class Cast:
    """`giver` is None where the job's `from` names nobody; `by_value` is the map of `divide`."""

    giver: Person | None = None
    takers: list[Colleague] = field(default_factory=list)
    roles: Roles = field(default_factory=Roles)
    by_value: dict[Hashable, Colleague] = field(default_factory=dict)
    default: Colleague | None = None
    faults: list[Fault] = field(default_factory=list)

    def fault(self, where: str, message: str) -> None:
        self.faults.append(Fault(where=where, message=message))

    def known(self) -> list[Known]:
        """What was read of the people and their roles."""
        people = tuple(one.person for one in self.takers)
        records = tuple(dict(person.record) for person in people)
        ids = tuple(person.id for person in people)
        return [Known(entity="Resources", field="id", ids=ids, records=records), *self.roles.known()]

    @property
    def idle(self) -> list[Colleague]:
        """Whom the job names and no entry of the map."""
        given = {one.id for one in self.by_value.values()} | ({self.default.id} if self.default else set())
        return [one for one in self.takers if one.id not in given]


class Casting:
    """Finds them."""

    def __init__(self, recipe: Reassign, target: Target, references: References) -> None:
        self._recipe = recipe
        self._target = target
        self._references = references
        self._cast = Cast()
        self._staff = Staff(())

    async def found(self, tickets: Entity | None, *, desk: bool) -> Cast:
        """`tickets` has the queues that a map may name; `desk`: whether roles of the service desk matter.

        Raises what the target's reads raise.
        """
        self._staff = await read_staff(self._target, await self._target.describe("Resources"))
        recipe, cast = self._recipe, self._cast
        if recipe.from_:
            cast.giver = self._person(recipe.from_, recipe.place("from"))
        for one in recipe.to:
            self._take(one)
        if isinstance(recipe.divide, DivideBy):
            await self._map(recipe.divide, tickets)
        if len(cast.takers) > MOST:
            cast.fault(
                recipe.place("to"), f"{len(cast.takers)} colleagues are named, and at most {MOST} can be"
            )
            cast.takers = []
            return cast
        desk = desk or any(one.asked for one in cast.takers)  # a role of theirs may be one of the desk
        people = [*([cast.giver] if cast.giver else []), *(one.person for one in cast.takers)]
        await cast.roles.read(self._target, [person.id for person in people], desk=desk)
        cast.takers = [self._in_role(one) for one in cast.takers]
        self._settle()
        return cast

    def _person(self, text: str, where: str) -> Person | None:
        found = self._staff.find(text)
        if isinstance(found, Person):
            return found
        self._cast.fault(where, f"{shown(text)} {found}")
        return None

    def _taker(self, text: str, where: str) -> Person | None:
        """Somebody who may be given work."""
        person = self._person(text, where)
        if person is None:
            return None
        before = len(self._cast.faults)
        if self._cast.giver is not None and person.id == self._cast.giver.id:
            self._cast.fault(where, f"{person} is whose work is handed over, {_UNASSIGNABLE}")
        elif not person.is_active:
            self._cast.fault(where, f"{person} is no longer active, {_UNASSIGNABLE}")
        elif person.is_api:
            self._cast.fault(where, f"{person} is a user for the API only, {_UNASSIGNABLE}")
        return person if len(self._cast.faults) == before else None

    def _take(self, one: Assignee) -> None:
        if not one.resource:
            return
        person = self._taker(one.resource, one.where)
        first = next((taker for taker in self._cast.takers if person and taker.id == person.id), None)
        if first is not None:
            line = first.where.rpartition(":")[2]
            self._cast.fault(one.where, f"`to` names {first.person} twice, here and in line {line}")
        elif person is not None:
            self._cast.takers.append(Colleague(person=person, asked=one.role, where=one.where))

    async def _map(self, divide: DivideBy, tickets: Entity | None) -> None:
        """Whoever a map names need not stand in `to` as well."""
        values = await self._values(divide, tickets)
        for text, name in divide.map.items():
            taker = self._mapped(name, divide.places.get(text, ""))
            value = values.get(text)
            if taker is None or value is None:
                continue
            if value in self._cast.by_value:
                self._cast.fault(divide.places.get(text, ""), f"`map` names {divide.by} {value} twice")
            self._cast.by_value[value] = taker
        if divide.default:
            self._cast.default = self._mapped(divide.default, divide.places.get("default", ""))

    def _mapped(self, name: str, where: str) -> Colleague | None:
        person = self._taker(name, where) if name else None
        if person is None:
            return None
        for taker in self._cast.takers:
            if taker.id == person.id:
                return taker
        self._cast.takers.append(Colleague(person=person, where=where))
        return self._cast.takers[-1]

    async def _values(self, divide: DivideBy, tickets: Entity | None) -> dict[str, Hashable]:
        """What each key of the map stands for; a fault for each that stands for nothing."""
        if divide.by == "queueID":
            return self._queues(divide, tickets)
        if divide.by not in NAMED_BY:
            return {}
        entity, name = NAMED_BY[divide.by]
        lookups = {
            text: Lookup(
                entity=entity, fields=("id" if text.strip().isdecimal() else name,), values=(text.strip(),),
                allows_inactive=True,
            )
            for text in divide.map
        }  # fmt: skip
        answers = await self._references.ask(lookups.values())
        values: dict[str, Hashable] = {}
        for text, lookup in lookups.items():
            answer = answers[lookup]
            if isinstance(answer, Found):
                values[text] = answer.id
            else:
                self._cast.fault(divide.places.get(text, ""), f"`map` names {shown(text)}: {answer}")
        return values

    def _queues(self, divide: DivideBy, tickets: Entity | None) -> dict[str, Hashable]:
        queues = tickets.find("queueID") if tickets is not None else None
        if queues is None or not queues.picklist:
            return {text: int(text) for text in divide.map if text.strip().isdecimal()}
        values: dict[str, Hashable] = {}
        for text in divide.map:
            found = by_label(queues, text)
            if len(found) == 1:
                values[text] = int(next(iter(found)))
                continue
            hint = did_you_mean(text, [item.label for item in queues.picklist])
            several = f"stands for several queues, {', '.join(sorted(found))}: take the number"
            told = several if found else f"is no queue. {hint}".rstrip()
            self._cast.fault(divide.places.get(text, ""), f"`map` names {shown(text)}, which {told}")
        return values

    def _in_role(self, one: Colleague) -> Colleague:
        """With the role that the job asks for."""
        if not one.asked:
            return one
        role = self._cast.roles.wanted(one.person, one.asked)
        if isinstance(role, str):
            self._cast.fault(one.where, f"{shown(one.asked)} {role}")
            return one
        return replace(one, wanted=role)

    def _settle(self) -> None:
        """The map knows its people with their roles."""
        known = {one.id: one for one in self._cast.takers}
        self._cast.by_value = {value: known[one.id] for value, one in self._cast.by_value.items()}
        if self._cast.default is not None:
            self._cast.default = known[self._cast.default.id]
