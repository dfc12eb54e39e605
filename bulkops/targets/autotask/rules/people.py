"""Who may be assigned, and with which role: what tasks, tickets and their secondary resources share. Pure.

Sources: TasksEntity.htm, TicketsEntity.htm, TaskSecondaryResourcesEntity.htm, ResourceRolesEntity.htm,
Define_API_User.htm, live error texts (REST-FACTS 4.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from functools import partial

from bulkops.schema import Entity
from bulkops.targets.autotask.rules.case import Case, known_id, named
from bulkops.targets.autotask.rules.finding import Finding, Kind, doubt, reject
from bulkops.targets.autotask.rules.related import Related
from bulkops.targets.base import RecordData

PEOPLE = "assignedResourceID assignedResourceRoleID"
INACTIVE = "it refers to who or what is inactive"
SHOWN_ROLES = 5


def missing(case: Case, field: str, entity: str) -> Iterator[Finding]:
    """A number that is no record's id (live: `Value does not reference an existing entity`)."""
    number = case.ref(field)
    if number is None or field in case.looked_up or not case.writes(field):
        return
    if case.related.lacks(entity, number):
        yield reject(f"{field} {number}: no {entity} record has this id", about=field)


def inactive(case: Case, field: str, entity: str) -> Iterator[Finding]:
    """Where the facts say no more than that references to inactive records break writes (REST-FACTS 10.4)."""
    record = retired(case, field, entity)
    if record is not None:
        yield doubt(INACTIVE, about=field, detail=f"{field} {named(entity, record)}")


def retired(case: Case, field: str, entity: str) -> RecordData | None:
    """Who or what is inactive, where the change makes the field point there.

    A lookup that says `inactive: allow` means it.
    """
    record = None if field in case.looked_up else referenced(case, field, entity)
    return record if record is not None and record.get("isActive") in (False, 0) else None


def referenced(case: Case, field: str, entity: str) -> RecordData | None:
    """The record that the change makes the field point to, where it is known."""
    number = case.ref(field)
    return case.related.one(entity, number) if case.writes(field) and number is not None else None


def _person(case: Case, field: str, *, inactive_is: Kind, api_is: Kind) -> Iterator[Finding]:
    """Somebody who is there, works here still, and is a person. Who had it before is asked for as well: so
    both have names in the plan.
    """
    if case.writes(field) and isinstance(before := case.was(field), int):
        case.related.one("Resources", before)
    yield from missing(case, field, "Resources")
    if inactive_is is Kind.DOUBT:
        yield from inactive(case, field, "Resources")
    elif person := retired(case, field, "Resources"):
        yield reject(
            f"{field} {named('Resources', person)} cannot be assigned: make them active in Autotask for the "
            "time, or give the work to somebody else",
            about=field,
        )
    if person := _api_user(case, field):
        told = f"{field} {named('Resources', person)}"
        if api_is is Kind.DOUBT:
            yield doubt("it names a user for the API only", about=field, detail=told)
        else:
            yield reject(
                f"{told} is a user for the API only, and such users cannot be assigned: choose a person",
                about=field,
            )


# Who only calls the API is never resourceID or ownerResourceID, of tasks and tickets (Define_API_User.htm).
can_be_assigned = partial(_person, inactive_is=Kind.REJECT, api_is=Kind.REJECT)
# What `reassign` hands over as well, by fields that the facts on API users do not name.
can_be_named = partial(_person, inactive_is=Kind.REJECT, api_is=Kind.DOUBT)
# Time is worked and not assigned: by somebody who has left since, too.
can_have_worked = partial(_person, inactive_is=Kind.DOUBT, api_is=Kind.REJECT)
is_person = partial(_person, inactive_is=Kind.DOUBT, api_is=Kind.DOUBT)


def _api_user(case: Case, field: str) -> RecordData | None:
    person = referenced(case, field, "Resources")
    return person if person is not None and is_api_user(case.related, person) else None


def is_api_user(related: Related, person: RecordData) -> bool:
    """By the label of the licence. 1 is an administrator's in every tenant (REST-FACTS 8.2)."""
    licence = known_id(person, "licenseType")
    if licence in (None, 1):
        return False
    return licence in values_of(related.shape("Resources"), "licenseType", "api user", "api-only user")


def values_of(shape: Entity | None, field: str, *labels: str) -> frozenset[int]:
    """The picklist values with one of these labels, without case."""
    found = shape.find(field) if shape is not None else None
    items = found.picklist or () if found is not None else ()
    return frozenset(
        int(item.value)
        for item in items
        if item.label.strip().casefold() in labels and item.value.lstrip("-").isdigit()
    )


def both_or_none(case: Case) -> Iterator[Finding]:
    """`When assigning a Resource, you must assign both a assignedResourceID and assignedResourceRoleID.`"""
    if case.is_set("assignedResourceID") and case.is_empty("assignedResourceRoleID"):
        yield reject(
            "assignedResourceRoleID is empty: who is assigned is assigned in a role, so give both",
            about="assignedResourceID",
        )
    if case.is_empty("assignedResourceID") and case.is_set("assignedResourceRoleID"):
        yield reject(
            "assignedResourceID is empty, and assignedResourceRoleID is not: give both or clear both",
            about="assignedResourceRoleID",
        )


def is_role_inactive(case: Case, field: str) -> bool | None:
    """None: nobody knows, or there is none."""
    number = case.ref(field)
    role = case.related.one("Roles", number) if number is not None else None
    return None if role is None else role.get("isActive") is False


def has_role(case: Case, resource: str, role: str) -> Iterator[Finding]:
    """The resource has this role, in whatever department or queue."""
    person, number = case.ref(resource), case.ref(role)
    if person is None or number is None or not case.writes(resource, role):
        return
    # An inactive role is shown with nobody (ResourceRoles); who only calls the API, or is here no longer, may
    # be shown with none, which is not what is wrong with them.
    if is_role_inactive(case, role) is not False or _api_user(case, resource):
        return
    if retired(case, resource, "Resources"):
        return
    held = _roles(case.related, person)
    if held is None or any(number == one for one, _ in held):
        return
    match _elsewhere(case.related, person, number):
        case _Held.INACTIVE:
            yield doubt("the person has the role no longer", about=role, detail=f"{resource} {person}")
        case _Held.NOWHERE:
            yield reject(_without(case, resource, role, held), about=role)


def has_task_role(case: Case) -> Iterator[Finding]:
    """A task is of the person's department, so the role may have to be held there."""
    yield from has_role(case, "assignedResourceID", "assignedResourceRoleID")
    person, number = case.ref("assignedResourceID"), case.ref("assignedResourceRoleID")
    if person is None or number is None:
        return
    kinds = {is_desk for one, is_desk in _roles(case.related, person) or () if one == number}
    if kinds == {True}:
        yield doubt("the role is one of the service desk and not of the person's department")


def has_desk_role(case: Case, resource: str, role: str) -> Iterator[Finding]:
    """On a ticket the pair must be known to the service desk: as its role, or in a queue (TicketsEntity.htm).

    Since queues need no role any more (ResourceRoleQueueEntity.htm), a role of the department alone is a
    matter of reading, and only told.
    """
    yield from has_role(case, resource, role)
    person, number = case.ref(resource), case.ref(role)
    if person is None or number is None or is_role_inactive(case, role) is not False:
        return
    kinds = {is_desk for one, is_desk in _roles(case.related, person) or () if one == number}
    if kinds != {False}:
        return
    desk = case.related.many("ResourceServiceDeskRoles", "resourceID", person)
    if desk is not None and not any(known_id(row, "roleID") == number for row in desk):
        yield doubt("the role is one of the person's department and not of the service desk", about=role)


def _roles(related: Related, person: int) -> list[tuple[int, bool]] | None:
    """The person's roles, and whether each is held outside departments. None: not known."""
    rows = related.many("ResourceRoles", "resourceID", person)
    if rows is None:
        return None
    roles = [(known_id(row, "roleID"), _is_desk(row)) for row in rows]
    return [(role, is_desk) for role, is_desk in roles if role is not None]


def _is_desk(row: RecordData) -> bool:
    return row.get("queueID") is not None or row.get("departmentID") is None


class _Held(Enum):
    """What the entities behind ResourceRoles, which shows active pairs only, say of a pair."""

    MAYBE = auto()  # it is there all the same, or nobody can tell
    INACTIVE = auto()
    NOWHERE = auto()


def _elsewhere(related: Related, person: int, role: int) -> _Held:
    sources = ("ResourceRoleDepartments", "ResourceServiceDeskRoles")
    found = [related.many(source, "resourceID", person) for source in sources]
    if None in found or not related.is_whole(*sources):
        return _Held.MAYBE
    rows = [row for records in found for row in records or () if known_id(row, "roleID") == role]
    if rows:
        is_active = any(row.get("isActive") is not False for row in rows)
        return _Held.MAYBE if is_active else _Held.INACTIVE
    related.many("ResourceRoles", "roleID", role)  # others who have it: this user sees who has which
    return _Held.NOWHERE if related.sees_all("ResourceRoles") else _Held.MAYBE


def _without(case: Case, resource: str, role: str, held: Sequence[tuple[int, bool]]) -> str:
    """Who has not which role, and which there are instead."""
    person, wanted = case.ref(resource), case.ref(role)
    roles = sorted({one for one, _ in held})[:SHOWN_ROLES]
    known = [record for one in roles if (record := case.related.one("Roles", one))]
    who = case.related.one("Resources", person) if person is not None else None
    what = case.related.one("Roles", wanted) if wanted is not None else None
    said = named("Resources", who) if who else str(person)
    asked = named("Roles", what) if what else str(wanted)
    if not held:
        return f"{resource} {said} has no role at all, so not {role} {asked} either: give one in Autotask"
    return f"{resource} {said} does not have {role} {asked}. Theirs: {named('Roles', *known)}"


def not_secondary(case: Case, entity: str, parent: str) -> Iterator[Finding]:
    """Who becomes primary must not be secondary already. Of tasks it is said the other way round."""
    person, number = case.ref("assignedResourceID"), case.change.id
    if not case.is_update or person is None or number is None:
        return
    related = case.related
    if related.pair(entity, "resourceID", person, parent, number):
        who = related.one("Resources", person)
        yield reject(
            f"assignedResourceID {named('Resources', who) if who else person} is a secondary resource here "
            f"already: take them out of {entity} first",
            about="assignedResourceID",
        )
