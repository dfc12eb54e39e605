"""Who is meant, and which roles they hold: the tenant's people as a recipe names them. Only reads.

Everybody is read once, 500 a call: so two of one name, or nobody, is told with what was meant.

Roles: a task takes one that is held in a department, since the task's department is that of its primary
resource; a ticket takes one of the service desk, of somebody who works in a queue (TasksEntity.htm,
TicketsEntity.htm, ResourceRolesEntity.htm; REST-FACTS 8.1.6, 8.1.12, 8.1.20).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bulkops.change import folded
from bulkops.errors import NoRouteError, RefusedError, RejectedError
from bulkops.recipes.base import Known
from bulkops.recipes.work import Kind, number
from bulkops.record import Scalar
from bulkops.schema import Entity
from bulkops.targets.autotask.query import EVERYTHING
from bulkops.targets.autotask.rules.people import values_of
from bulkops.targets.base import RecordData, Target
from bulkops.wording import did_you_mean, nearest

APPROVERS = frozenset({110, 112})  # time sheets, expenses: no roles to work in (ResourceRolesEntity.htm)
_PERSON = ("firstName", "lastName", "email", "userName", "isActive", "licenseType")
_HELD_IN: Mapping[str, Sequence[str]] = {
    "ResourceRoles": ("roleID", "departmentID", "queueID"),
    "ResourceRoleDepartments": ("roleID", "departmentID", "isDefault"),
    "ResourceServiceDeskRoles": ("roleID",),
    "ResourceRoleQueues": ("queueID",),
}
_OF_PEOPLE = ("ResourceRoles", "ResourceRoleDepartments")  # what the plan's rules look at as well
_AT_DESK = ("ResourceServiceDeskRoles", "ResourceRoleQueues")
_UNREADABLE = (RefusedError, RejectedError, NoRouteError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A resource of the tenant."""

    id: int
    first: str
    last: str
    email: str
    user: str
    is_active: bool
    is_api: bool  # may only call the API, and be assigned nothing
    record: Mapping[str, Scalar] = field(default_factory=dict, compare=False, repr=False)  # as read

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}".strip()

    def __str__(self) -> str:
        """`Jane Doe (12)`."""
        return f"{self.name} ({self.id})" if self.is_active else f"{self.name} ({self.id}, inactive)"

    def is_called(self, text: str) -> bool:
        """By e-mail, user name, "Last, First" or id."""
        names = (self.email, self.user, f"{self.last}, {self.first}", str(self.id))
        return _plain(text) in {_plain(name) for name in names if name.strip(" ,")}


def _plain(text: str) -> str:
    """Without case and with single blanks; none before a comma."""
    return folded(" ".join(text.split()).replace(" ,", ","))


class Staff:
    """Everybody."""

    def __init__(self, people: Iterable[Person]) -> None:
        self._people = {person.id: person for person in people}

    def find(self, text: str) -> Person | str:
        """The one person of that name, or why there is none: the end of a sentence."""
        found = [person for person in self._people.values() if person.is_called(text)]
        if len(found) == 1:
            return found[0]
        if found:
            told = ", ".join(f"{one} {one.email}".rstrip() for one in found)
            return f"is what {len(found)} resources are called: {told}. Take the id"
        return f"is no resource. {self._meant(text)}"

    def _meant(self, text: str) -> str:
        """Who may have been meant. What follows the @ is the same for all, and says nothing."""
        names = [(one.user, one.email, f"{one.last}, {one.first}") for one in self._people.values()]
        known = {name.partition("@")[0]: name for three in names for name in three if name.strip(" ,")}
        near = nearest(text.partition("@")[0], known)
        if near:
            return f"Did you mean `{known[near]}`?"
        return 'Name an e-mail, a user name, "Last, First" or an id.'


async def read_staff(target: Target, shape: Entity) -> Staff:
    """Raises what the target's reads raise."""
    api = values_of(shape, "licenseType", "api user", "api-only user")
    records = target.read("Resources", EVERYTHING, fields=_PERSON)
    return Staff([_person(record, api) async for record in records])


def _person(record: RecordData, api: Collection[int]) -> Person:
    first, last, email, user = (str(record.get(name) or "").strip() for name in _PERSON[:4])
    licence = number(record.get("licenseType"))
    return Person(
        id=int(record["id"] or 0),
        first=first,
        last=last,
        email=email,
        user=user,
        is_active=record.get("isActive") not in (False, 0),
        is_api=licence != 1 and licence in api,  # 1 is an administrator's (REST-FACTS 8.2)
        record=record,
    )


@dataclass(slots=True)
class Held:
    """The roles of one person."""

    departments: set[int] = field(default_factory=set)
    home: int | None = None  # the department that is theirs by default
    desk: set[int] = field(default_factory=set)
    has_queue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """Somebody who is given work. `wanted` is the role that the job asks for, `asked` what it calls it."""

    person: Person
    asked: str | None = None
    wanted: int | None = None
    where: str = ""  # "jobs/x.yaml:12"

    @property
    def id(self) -> int:
        return self.person.id


class Roles:
    """Roles, and who holds which. What this API user may not read is not held against anybody."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self._inactive: set[int] = set()
        self._held: dict[int, Held] = {}
        self._unread: set[str] = set()
        self._known: dict[str, list[RecordData]] = {name: [] for name in ("Roles", *_OF_PEOPLE)}

    def known(self) -> list[Known]:
        """What was read, of those entities that could be."""
        ids, held = tuple(self.names), tuple(self._held)
        found = [Known(entity="Roles", field="id", ids=ids, records=tuple(self._known["Roles"]))]
        for entity in _OF_PEOPLE:
            records = tuple(self._known[entity])
            found.append(Known(entity=entity, field="resourceID", ids=held, records=records))
        return [one for one in found if one.entity not in self._unread]

    async def read(self, target: Target, people: Collection[int], *, desk: bool) -> None:
        """What there is of these people. Raises what the target's reads raise.

        `desk`: whether the roles of the service desk matter.
        """
        async for role in self._records(target, "Roles", ("name", "isActive"), None):
            self._known["Roles"].append(role)
            self.names[int(role["id"] or 0)] = str(role.get("name") or "")
            if role.get("isActive") is False:
                self._inactive.add(int(role["id"] or 0))
        self._held = {id: Held() for id in people}
        for name, fields in _HELD_IN.items():
            if not desk and name in _AT_DESK:
                continue
            async for row in self._records(target, name, (*fields, "resourceID", "isActive"), people):
                self._note(name, row)

    async def _records(
        self, target: Target, entity: str, fields: Sequence[str], people: Collection[int] | None
    ) -> AsyncIterator[RecordData]:
        """Those that count. An entity that may not be read is noted."""
        fields = [name for name in fields if name != "isActive" or entity != "ResourceRoleQueues"]
        where = EVERYTHING
        if people is not None and not people:
            return
        if people is not None:
            where = {"op": "in", "field": "resourceID", "value": sorted(people)}
        try:
            async for record in target.read(entity, where, fields=fields):
                if entity == "Roles" or record.get("isActive") is not False:
                    yield record
        except _UNREADABLE:
            self._unread.add(entity)

    def _note(self, entity: str, row: RecordData) -> None:
        if entity in self._known:
            self._known[entity].append(row)
        held = self._held.get(number(row.get("resourceID")) or -1)
        if held is None:
            return
        role, has_queue = number(row.get("roleID")), row.get("queueID") is not None
        held.has_queue = held.has_queue or has_queue
        if row.get("isDefault") is True and row.get("departmentID") is not None:
            held.home = number(row.get("departmentID"))
        if role is None or role in APPROVERS or role in self._inactive:
            return
        if row.get("departmentID") is not None:
            held.departments.add(role)
        if entity == "ResourceServiceDeskRoles" or has_queue or row.get("departmentID") is None:
            held.desk.add(role)

    def of(self, person: int, kind: Kind) -> list[int]:
        """The roles that the person can have on that kind of work."""
        held = self._held.get(person, Held())
        return sorted(held.desk if kind.is_desk else held.departments)

    def home(self, person: int) -> int | None:
        """The department into which the API puts the person's tasks; None where nobody can tell."""
        return self._held.get(person, Held()).home

    def all_of(self, person: int) -> list[int]:
        held = self._held.get(person, Held())
        return sorted(held.desk | held.departments)

    def called(self, text: str) -> list[int]:
        """The roles of that name or number."""
        wanted = _plain(text)
        return [id for id, name in self.names.items() if wanted in (_plain(name), str(id))]

    def text(self, roles: Iterable[int]) -> str:
        """`Engineer (5), Help Desk (9)`."""
        return ", ".join(f"{self.names.get(role) or 'role'} ({role})" for role in roles)

    def problem(self, colleague: Colleague, kind: Kind) -> str:
        """Why the person can hold no work of that kind; empty where nothing is known against it."""
        who, roles = colleague.person, self.of(colleague.id, kind)
        apart = f"leave them out (hand {kind.entity} over in a job of its own, if they are to have the rest)"
        if kind.is_desk:
            if not roles and not self._unread & {"ResourceRoles", "ResourceServiceDeskRoles"}:
                return (
                    f"{who} has no role at the service desk, which whoever is assigned to {kind.work} needs: "
                    f"give one in Autotask, or {apart}"
                )
            has_queue = self._held.get(colleague.id, Held()).has_queue
            if not has_queue and not self._unread & {"ResourceRoles", "ResourceRoleQueues"}:
                return (
                    f"{who} works in no queue, which whoever is assigned to {kind.work} needs: "
                    f"put them into one in Autotask, or {apart}"
                )
        elif not roles and not self._unread & {"ResourceRoles", "ResourceRoleDepartments"}:
            return (
                f"{who} has no role in a department, and a task's department is that of its resource: "
                f"give one in Autotask, or {apart}"
            )
        return ""

    def pick(self, colleague: Colleague, kind: Kind, before: int | None) -> int | str:
        """The role for a piece of work, or why it cannot be told: the one that is asked for, the same as
        before, or the only one.
        """
        if told := self.problem(colleague, kind):
            return told
        roles = self.of(colleague.id, kind)
        asked = before if colleague.wanted is None else colleague.wanted
        if asked is not None and (asked in roles or not roles):  # none: nobody could read which there are
            return asked
        if colleague.wanted is not None:
            return self._not_there(colleague, kind, roles)
        if len(roles) == 1:
            return roles[0]
        if not roles:
            return f"nobody could read which roles {colleague.person} has: say which with `role:`"
        lost = f", and {self.text([before])}, as before, is none of them" if before is not None else ""
        return (
            f"{colleague.person} has several roles {_place(kind)}, {self.text(roles)}{lost}: say which with "
            "`role:`"
        )

    def _not_there(self, colleague: Colleague, kind: Kind, roles: Sequence[int]) -> str:
        wanted = self.text([colleague.wanted or 0])
        theirs = f"there it is {self.text(roles)}" if roles else "there is none there"
        return (
            f"{colleague.person} does not have the role {wanted} {_place(kind)}, where {kind.work} need one: "
            f"{theirs}. Take that one, or hand {kind.name} over with a job of their own"
        )

    def wanted(self, who: Person, text: str) -> int | str:
        """The role that the job asks for, or the end of a sentence."""
        found = self.called(text)
        held = [role for role in found if role in self.all_of(who.id)]
        if len(held) == 1:
            return held[0]
        if not found:
            theirs = f"{who} has {self.text(self.all_of(who.id)) or 'none at all'}."
            return f"is no role. {did_you_mean(text, self.names.values()) or theirs}"
        if len(held) > 1:
            return f"is what several roles are called: {self.text(held)}. Take the number"
        if self._unread & {"ResourceRoles", "ResourceRoleDepartments", "ResourceServiceDeskRoles"}:
            return found[0]
        theirs = self.text(self.all_of(who.id))
        is_retired = self._inactive.issuperset(found)
        why = "is inactive" if is_retired else f"is a role that {who} does not have"
        return f"{why}. {f'Theirs: {theirs}' if theirs else f'{who} has none at all'}"


def _place(kind: Kind) -> str:
    return "at the service desk" if kind.is_desk else "in departments"
