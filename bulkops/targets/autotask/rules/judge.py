"""The API's own rules, by entity: what it would refuse, and what it does besides what a row says. Pure.

`judge` says what is known of one change; `Related` notes what nobody has read yet and would have to be known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from bulkops.schema import Entity
from bulkops.targets.autotask.rules import customers, tasks, taskwork, tickets
from bulkops.targets.autotask.rules.case import Case, Rule, rule
from bulkops.targets.autotask.rules.finding import Finding, Kind, effect

_FIRED = effect(
    "the tenant's workflow rules may fire on them, change records and send notifications; "
    "the API does not tell which"
)


def workflow(_: Case) -> Iterator[Finding]:
    """The rule engine watches these entities, whoever writes (AUTOTASK_WFR.htm)."""
    yield _FIRED


_WATCHED = (rule(workflow),)

RULES: Mapping[str, tuple[Rule, ...]] = {
    "Companies": customers.COMPANIES,
    "CompanyLocations": customers.LOCATIONS,
    "CompanyToDos": customers.TODOS,
    "ConfigurationItems": _WATCHED,
    "Contacts": customers.CONTACTS,
    "Contracts": _WATCHED,
    "Opportunities": (*customers.OPPORTUNITIES, *_WATCHED),
    "Phases": tasks.PHASES,
    "ProjectCharges": customers.PROJECT_CHARGES,
    "ProjectNotes": taskwork.PROJECT_NOTES,
    "Projects": (*tasks.PROJECTS, *_WATCHED),
    "Quotes": _WATCHED,
    "ResourceRoleDepartments": customers.DEPARTMENT_ROLES,
    "SalesOrders": _WATCHED,
    "ServiceCallTaskResources": customers.CALL_TASK_RESOURCES,
    "ServiceCallTicketResources": customers.CALL_TICKET_RESOURCES,
    "ServiceCalls": customers.CALLS,
    "TaskNotes": taskwork.TASK_NOTES,
    "TaskPredecessors": taskwork.PREDECESSORS,
    "TaskSecondaryResources": taskwork.SECONDARY,
    "Tasks": (*tasks.TASKS, *_WATCHED),
    "TicketCharges": customers.TICKET_CHARGES,
    "TicketNotes": tickets.NOTES,
    "TicketSecondaryResources": tickets.SECONDARY,
    "Tickets": (*tickets.TICKETS, *_WATCHED),
    "TimeEntries": customers.TIME,
}


def judge(case: Case) -> Sequence[Finding]:
    """All that the rules say of one change, what rejects it first. Nothing, where no rule is about it.

    Where `case.related.missed` is true afterwards, there is more to say once what is wanted was read.
    """
    found = [
        finding
        for one in RULES.get(case.entity.name, ())
        if one.is_asked(case.change)
        for finding in one.check(case)
    ]
    rejected = [finding for finding in found if finding.kind is Kind.REJECT]
    return rejected or found


def own_fields(entity: Entity, written: Collection[str]) -> list[str]:
    """What rules look at of the record itself, where these fields are written. Read with the record."""
    names = {
        name
        for one in RULES.get(entity.name, ())
        if not one.on or not one.on.isdisjoint(written)
        for name in one.own
    }
    return sorted(names)
