"""Tickets, who works on them, and their notes. Pure.

Sources: TicketsEntity.htm, TicketNotesEntity.htm, live error texts (REST-FACTS 4.3, 8.1.12, 8.1.13).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bulkops.record import Created
from bulkops.targets.autotask.rules import people, places
from bulkops.targets.autotask.rules.case import Case, known_id, named, rule
from bulkops.targets.autotask.rules.finding import Finding, Kind, doubt, effect, reject
from bulkops.targets.autotask.rules.places import COMPLETE
from bulkops.targets.autotask.rules.taskwork import MOST_SECONDARY


def role(case: Case) -> Iterator[Finding]:
    yield from people.missing(case, "assignedResourceRoleID", "Roles")
    yield from people.inactive(case, "assignedResourceRoleID", "Roles")


_CLEARED = "what is of the company that they leave is cleared first, in a request of its own"
_CONCLUDED = "; what this API user cannot see is taken for that company's, and cleared as well"
_HIDDEN = "hidden "
_OF_COMPANY = (("contactID", "Contacts", "contact"), ("companyLocationID", "CompanyLocations", "location"))


def moves(case: Case) -> Iterator[Finding]:
    """A ticket goes to another company only once contact and location of the old one are cleared (live).

    Whether the same request may do that is not said, so one before it does (REST-FACTS 8.1.12, N8N #15).
    """
    company = case.value("companyID")
    if not case.is_update or not isinstance(company, int | Created):
        return
    lost: dict[str, str] = {}
    replaced: list[str] = []
    for field, entity, what in _OF_COMPANY:
        held = case.was(field)
        if not isinstance(held, int):
            continue
        if case.writes(field):
            if case.is_empty(field):
                lost[field] = what
            else:
                replaced.append(field)
        elif text := _foreign(case, field, entity, held, company):
            if found := _stays(case, field, entity, held, company, text=text):
                yield found
            else:
                lost[field] = _HIDDEN + what if _is_hidden(case, entity, held, company) else what
    if lost:
        is_hidden = any(what.startswith(_HIDDEN) for what in lost.values())
        yield effect(
            _CLEARED + _CONCLUDED if is_hidden else _CLEARED,
            amounts=dict.fromkeys(lost.values(), 1), clears=tuple(lost),
        )  # fmt: skip
    if replaced:
        yield effect(
            "contact or location of the company that they leave are cleared first, in a request of its own, "
            "then those of the row are set",
            clears=tuple(replaced),
        )


def _is_hidden(case: Case, entity: str, held: int, company: int | Created) -> bool:
    """Whether its company had to be concluded from that of the ticket. Of a new company nobody looks."""
    return isinstance(company, int) and case.related.is_unseen(entity, held)


def _foreign(case: Case, field: str, entity: str, held: int, company: int | Created) -> str:
    """What the field holds, where that is known to be of another company than the new one; else nothing.

    What cannot be seen is taken for one of the company that the ticket leaves, as the API asks of a ticket:
    left there, it would stop the move after the other field was cleared.
    """
    if isinstance(company, Created):  # nobody is in it yet
        return f"{field} is {held}"
    if case.related.is_unseen(entity, held):
        return f"{field} is {held}, which this API user cannot see"
    record = case.related.one(entity, held)
    other = known_id(record, "companyID") if record is not None else None
    if record is None or other is None or other == company:
        return ""
    return f"{field} is {named(entity, record)} of companyID {other}"


def _stays(
    case: Case, field: str, entity: str, held: int, company: int | Created, *, text: str
) -> Finding | None:
    """What speaks against clearing it: the row wants it, or the API may well let it stay."""
    if field in case.said:
        new = company if isinstance(company, int) else f"what row {company.change} creates"
        return reject(
            f"companyID cannot become {new} while {text}, as the row says: leave {field} empty, or give one "
            "of the new company",
            about=field,
        )
    if entity == "Contacts" and isinstance(company, int) and _is_of_parent(case, held, company):
        told = "contactID is of the parent company of the new companyID"
        return doubt(told, about="companyID", detail=text)
    return None


def _is_of_parent(case: Case, contact: int, company: int) -> bool:
    """Of the new company's parent, and not of the company that is left: of that one it would be refused."""
    record = case.related.one("Contacts", contact)
    other = known_id(record, "companyID") if record is not None else None
    if other is None or other == case.was("companyID"):
        return False
    return places.is_parent(case.related, company, other) is not False


def contact(case: Case) -> Iterator[Finding]:
    """Of the ticket's company; of its parent company, where the vendor's pages allow it for others."""
    yield from people.missing(case, "contactID", "Contacts")
    yield from people.inactive(case, "contactID", "Contacts")
    company = case.ref("companyID")
    found = list(places.contact_of_family(case, "contactID", company, "the ticket"))
    yield from found
    if not found:
        yield from places.same_company(case, "contactID", "Contacts", company, "the ticket", kind=Kind.DOUBT)


def location(case: Case) -> Iterator[Finding]:
    """`The Ticket and CompanyLocation must have the same companyID.`"""
    field, entity = "companyLocationID", "CompanyLocations"
    yield from people.missing(case, field, entity)
    yield from people.inactive(case, field, entity)
    yield from places.same_company(case, field, entity, case.ref("companyID"), "the ticket")


def has_queue(case: Case) -> Iterator[Finding]:
    if case.is_create and case.is_empty("queueID") and case.is_empty("assignedResourceID"):
        yield doubt("neither queueID nor assignedResourceID is given, and many tenants ask for one")


def sub_issue(case: Case) -> Iterator[Finding]:
    """A sub-issue type is one of its issue type's; whether the API looks at one that stays is not said."""
    field = case.entity.find("subIssueType")
    held, issue = case.was("subIssueType"), case.value("issueType")
    if not case.is_update or case.writes("subIssueType") or held is None:
        return
    items = field.picklist or () if field is not None else ()
    above = {item.parent for item in items if item.value == str(held)}
    if above and above.isdisjoint({"", "" if issue is None else str(issue)}):
        text = f"subIssueType stays {held}, issueType becomes {'empty' if issue is None else issue}"
        yield doubt("subIssueType is none of the new issueType", about="issueType", detail=text)


def checklist(case: Case) -> Iterator[Finding]:
    """The API completes a ticket with important items of its checklist open, without a warning."""
    if case.ref("status") != COMPLETE or not case.is_update or case.change.id is None:
        return
    items = case.related.many("TicketChecklistItems", "ticketID", case.change.id) or ()
    still = [
        item for item in items if item.get("isImportant") is True and item.get("isCompleted") is not True
    ]
    if still:
        yield effect(
            "tickets are completed with important items of their checklist still open",
            detail=f"{len(still):,} important items are open", amounts={"open item": len(still)},
        )  # fmt: skip


TICKETS = (
    rule(people.both_or_none, on=people.PEOPLE, own=people.PEOPLE),
    rule(partial(people.can_be_assigned, field="assignedResourceID"), on="assignedResourceID"),
    rule(role, on="assignedResourceRoleID"),
    rule(
        partial(people.has_desk_role, resource="assignedResourceID", role="assignedResourceRoleID"),
        on=people.PEOPLE, own=people.PEOPLE,
    ),
    rule(
        partial(people.not_secondary, entity="TicketSecondaryResources", parent="ticketID"),
        on="assignedResourceID",
    ),
    rule(moves, on="companyID", own="contactID companyLocationID"),
    rule(places.opens_again, on="status", own="status"),
    rule(contact, on="contactID", own="companyID"),
    rule(location, on="companyLocationID", own="companyID"),
    rule(has_queue),
    rule(sub_issue, on="issueType", own="subIssueType"),
    rule(checklist, on="status"),
)  # fmt: skip


# --- secondary resources and notes ---


def not_on_it(case: Case) -> Iterator[Finding]:
    """Nobody is a secondary resource twice (TicketsEntity.htm). Of the primary one nothing is said."""
    number, person = case.ref("ticketID"), case.ref("resourceID")
    if number is None or person is None:
        return
    held = case.related.many("TicketSecondaryResources", "ticketID", number) or ()
    count = len(held) + case.related.planned.created("TicketSecondaryResources", number)
    if count >= MOST_SECONDARY:
        yield doubt(f"the ticket has {MOST_SECONDARY} secondary resources, the most that a task can have")
    if any(row.get("resourceID") == person for row in held):
        yield reject(
            f"resourceID {person} is a secondary resource of ticket {number} already", about="resourceID"
        )
    ticket = case.related.one("Tickets", number)
    if ticket is not None and known_id(ticket, "assignedResourceID") == person:
        text = f"resourceID {person} on ticket {number}"
        yield doubt("the person is the primary resource of the ticket", detail=text)


def has_title(case: Case) -> Iterator[Finding]:
    if case.is_create and case.is_empty("title"):
        yield doubt("the note has no title, which some ticket categories require")


SECONDARY = (
    rule(not_on_it, on="resourceID ticketID"),
    rule(partial(people.can_be_assigned, field="resourceID"), on="resourceID"),
    rule(partial(people.missing, field="roleID", entity="Roles"), on="roleID"),
    rule(partial(people.inactive, field="roleID", entity="Roles"), on="roleID"),
    rule(partial(people.has_desk_role, resource="resourceID", role="roleID"), on="resourceID roleID"),
)
NOTES = (rule(has_title),)
