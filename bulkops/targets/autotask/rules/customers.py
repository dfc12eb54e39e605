"""Companies, their locations, contacts, to-dos and opportunities, service calls, time. Pure.

Sources: ContactsEntity.htm, CompanyLocationsEntity.htm, CompanyToDosEntity.htm, TimeEntriesEntity.htm,
ResourceRoleDepartmentsEntity.htm, Define_API_User.htm, live error texts (REST-FACTS 4.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bulkops.change import Action
from bulkops.targets.autotask.rules import people, places
from bulkops.targets.autotask.rules.case import EVERY, Case, known_id, named, rule
from bulkops.targets.autotask.rules.finding import Finding, Kind, doubt, effect, reject

DELETES = frozenset({Action.DELETE})

_HOLDERS = (
    ("Tickets", "contactID", "the contact of"),
    ("TicketAdditionalContacts", "contactID", "an additional contact of"),
    ("Tickets", "createdByContactID", "who created"),
    ("TicketNotes", "createdByContactID", "who created"),
    ("ConfigurationItems", "installedByContactID", "who installed"),
)
"""What keeps a contact from being deleted, as far as it can be asked for."""


def held_contact(case: Case) -> Iterator[Finding]:
    """Tickets, assets and companies hold on to their contacts (ContactsEntity.htm)."""
    if case.change.id is None:
        return
    told = []
    for entity, field, how in _HOLDERS:
        if rows := case.related.many(entity, field, case.change.id):
            told.append(f"{how} {len(rows):,} {entity}")
    if case.is_true("primaryContact"):
        told.append("the primary contact of the company")
    if told:
        yield reject(f"the contact is {', '.join(told)}: set isActive to 0 instead of deleting it")


def own_location(case: Case) -> Iterator[Finding]:
    """As on tickets, whose texts are known."""
    field = "companyLocationID"
    yield from people.missing(case, field, "CompanyLocations")
    company = case.ref("companyID")
    yield from places.same_company(
        case, field, "CompanyLocations", company, "the record", kind=Kind.DOUBT
    )  # fmt: skip


def own_contact(case: Case) -> Iterator[Finding]:
    yield from people.missing(case, "contactID", "Contacts")
    yield from people.inactive(case, "contactID", "Contacts")
    company = case.ref("companyID")
    yield from places.same_company(case, "contactID", "Contacts", company, "the record", kind=Kind.DOUBT)


def todo_of_company(case: Case) -> Iterator[Finding]:
    """Contact (its parent company's as well), contract, opportunity and ticket are of the to-do's company."""
    company = case.ref("companyID")
    yield from people.missing(case, "contactID", "Contacts")
    yield from places.is_active_contact(case, "contactID")
    yield from places.contact_of_family(case, "contactID", company, "the to-do")
    for field, entity in (
        ("contractID", "Contracts"),
        ("opportunityID", "Opportunities"),
        ("ticketID", "Tickets"),
    ):
        yield from people.missing(case, field, entity)
        yield from places.same_company(case, field, entity, company, "the to-do")


def primary_location(case: Case) -> Iterator[Finding]:
    if case.is_true("isPrimary"):
        text = "the location that was the company's primary one until now no longer is"
        yield effect(text, stays="that took the place of the primary one")


def last_location(case: Case) -> Iterator[Finding]:
    if case.is_true("isPrimary"):
        yield doubt("it is the primary location of its company, which needs one")


def hours(case: Case) -> Iterator[Finding]:
    value = case.value("hoursWorked")
    if isinstance(value, int | float) and not isinstance(value, bool) and not 0 < value <= 24:
        yield reject(
            f"hoursWorked is {value:g}: more than 0 and at most 24 can be entered", about="hoursWorked"
        )


def work_of_time(case: Case) -> Iterator[Finding]:
    """`TimeEntries for Tickets must have a roleID`; likewise those for tasks."""
    is_ticket, is_task = case.is_set("ticketID"), case.is_set("taskID")
    if (is_ticket or is_task) and case.is_empty("roleID"):
        what = "ticketID" if is_ticket else "taskID"
        yield reject(
            "roleID is empty: time on a ticket or a task is worked in a role, so give one", about=what
        )
    if is_ticket and is_task:
        yield doubt("ticketID and taskID are both given, and time is worked on one of them")


def on_baseline(case: Case) -> Iterator[Finding]:
    """All that is in a Baseline is read-only. Whether time is in it is a matter of reading."""
    for found in places.not_in_baseline(case, "taskID"):
        yield doubt("the task is in a Baseline project", about="taskID", detail=found.text)


def not_billed(case: Case) -> Iterator[Finding]:
    """A charge is changed or deleted only while it is not billed (ProjectChargesEntity.htm)."""
    if case.was("isBilled") is True:
        yield reject("the charge is billed already, and then it can neither be changed nor deleted")


def real_default(case: Case) -> Iterator[Finding]:
    """A resource has a default: another one can become it, but it cannot be taken away."""
    if case.is_update and case.was("isDefault") is True and case.is_false("isDefault"):
        yield reject(
            "isDefault cannot be set to false: set it to true on another of the resource's departments",
            about="isDefault",
        )
    elif case.is_true("isDefault"):
        text = "the department that was the resource's default until now no longer is"
        yield effect(text, stays="that took the place of the default one")


def active_parts(case: Case) -> Iterator[Finding]:
    """What is inactive is not associated: neither on create nor by an update that sets it."""
    for field, entity in (("resourceID", "Resources"), ("roleID", "Roles")):
        record = people.referenced(case, field, entity)
        if record is not None and record.get("isActive") is False:
            yield reject(f"{field} {named(entity, record)} cannot be associated", about=field)
    yield from people.missing(case, "roleID", "Roles")
    yield from people.is_person(case, "resourceID")


def works_on_it(case: Case, link: str, links: str, work: str, field: str) -> Iterator[Finding]:
    """Whether who is sent on a service call must be assigned to its task or ticket is not said."""
    number, person = case.ref(link), case.ref("resourceID")
    joint = case.related.one(links, number) if number is not None else None
    held = known_id(joint, field) if joint is not None else None
    if held is None or person is None:
        return
    record = case.related.one(work, held)
    helpers = case.related.many(f"{work[:-1]}SecondaryResources", field, held)
    if record is None or helpers is None:
        return
    on_it = {record.get("assignedResourceID"), *(row.get("resourceID") for row in helpers)}
    on_it |= set(case.related.planned.joined(f"{work[:-1]}SecondaryResources", held))
    if person not in on_it:
        text = f"resourceID {person}, {field} {held}"
        yield doubt("the person is not assigned to the task or ticket of the service call", detail=text)


def sent_once(case: Case, entity: str, link: str) -> Iterator[Finding]:
    number, person = case.ref(link), case.ref("resourceID")
    rows = case.related.many(entity, link, number) or () if number is not None else ()
    if person is not None and any(row.get("resourceID") == person for row in rows):
        text = f"resourceID {person}, {link} {number}"
        yield doubt("the person is sent on this service call already", detail=text)


def calls_in_order(case: Case) -> Iterator[Finding]:
    """Nothing is said of it, and a call that ends before it begins can only be a mistake."""
    first, last = case.moment("startDateTime"), case.moment("endDateTime")
    if first is not None and last is not None and last < first:
        yield doubt("endDateTime is before startDateTime", about="endDateTime")


def time_role(case: Case) -> Iterator[Finding]:
    """Live: `Role does not exist or is invalid` is the answer to a wrong role, whatever is wrong with it."""
    yield from people.missing(case, "roleID", "Roles")
    yield from people.inactive(case, "roleID", "Roles")
    for found in people.has_role(case, "resourceID", "roleID"):
        yield doubt("the person does not have the role", about="roleID", detail=found.text)


_owner = partial(people.can_be_assigned, field="ownerResourceID")
COMPANIES = (rule(_owner, on="ownerResourceID"),)
OPPORTUNITIES = (rule(_owner, on="ownerResourceID"), rule(own_contact, on="contactID", own="companyID"))
LOCATIONS = (
    rule(primary_location, on="isPrimary"),
    rule(last_location, actions=DELETES, own="isPrimary"),
)
CONTACTS = (
    rule(own_location, on="companyLocationID", own="companyID"),
    rule(held_contact, actions=DELETES, own="primaryContact"),
)
TODOS = (
    rule(todo_of_company, on="contactID contractID opportunityID ticketID", own="companyID"),
    rule(partial(people.can_be_named, field="assignedToResourceID"), on="assignedToResourceID"),
)
CALLS = (
    rule(own_location, on="companyLocationID companyID", own="companyID companyLocationID"),
    rule(calls_in_order, on="startDateTime endDateTime", own="startDateTime endDateTime"),
)
_sent = (rule(partial(people.can_be_named, field="resourceID"), on="resourceID"),)
CALL_TASK_RESOURCES = (
    *_sent,
    rule(partial(sent_once, entity="ServiceCallTaskResources", link="serviceCallTaskID"), on="resourceID"),
    rule(
        partial(
            works_on_it, link="serviceCallTaskID", links="ServiceCallTasks", work="Tasks", field="taskID"
        ),
        on="resourceID",
    ),
)
CALL_TICKET_RESOURCES = (
    *_sent,
    rule(
        partial(sent_once, entity="ServiceCallTicketResources", link="serviceCallTicketID"),
        on="resourceID",
    ),
    rule(
        partial(
            works_on_it,
            link="serviceCallTicketID", links="ServiceCallTickets", work="Tickets", field="ticketID",
        ),
        on="resourceID",
    ),
)  # fmt: skip
TICKET_CHARGES = (rule(not_billed, actions=EVERY - {Action.CREATE}, own="isBilled"),)
PROJECT_CHARGES = (*TICKET_CHARGES, rule(places.not_in_baseline, actions=EVERY, own="projectID"))
TIME = (
    rule(hours, on="hoursWorked"),
    rule(time_role, on="resourceID roleID", own="resourceID roleID"),
    rule(work_of_time, on="ticketID taskID roleID", own="ticketID taskID roleID"),
    rule(partial(people.can_have_worked, field="resourceID"), on="resourceID"),
    rule(on_baseline, on="taskID"),
)
DEPARTMENT_ROLES = (
    rule(real_default, on="isDefault", own="isDefault"),
    rule(active_parts, on="resourceID roleID"),
)
