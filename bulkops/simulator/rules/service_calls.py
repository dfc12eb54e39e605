"""Service calls: when and for whom, which tickets and tasks they cover, who is sent.

DOC (ServiceCallsEntity.htm): a call is a time, with start and stop, at which work for a company is planned.
Tickets and tasks hang on it (ServiceCallTickets, ServiceCallTasks), and people on these (…Resources); none
of the links can be updated: they are deleted and created. The rest of what the pages say could not be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from bulkops.simulator.rules.base import Rules, changed, inferred, picked, row_of, rows_with
from bulkops.simulator.rules.contacts import same_company
from bulkops.simulator.store import Row, Store

ORDER = "The endDateTime of a ServiceCall must not be before its startDateTime."  # texts of our wording
FOREIGN = "The {kind} and the ServiceCall must have the same companyID."
TWICE = "The {kind} is part of the ServiceCall already."
SENT_TWICE = "The resource is assigned to the {kind} already."
UNASSIGNED = "The resource is not assigned to the {kind}."
PEOPLE = {"ServiceCallTickets": "ServiceCallTicketResources", "ServiceCallTasks": "ServiceCallTaskResources"}
LINK_FIELDS = {"ServiceCallTickets": "serviceCallTicketID", "ServiceCallTasks": "serviceCallTaskID"}


class ServiceCallRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = inferred(store, _order(row) + same_company(store, row, "ServiceCall"))
        if not errors:
            row["duration"] = _hours(row)
            row["isComplete"] = row.get("isComplete") or 0
            _complete(store, {}, row)
        return errors

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        merged = {**row, **changes}
        errors = []
        if changed(row, changes, "startDateTime", "endDateTime"):
            errors += inferred(store, _order(merged))
            changes["duration"] = _hours(merged)
        if changed(row, changes, "companyID", "companyLocationID"):
            errors += inferred(store, same_company(store, merged, "ServiceCall"))
        _complete(store, row, changes)
        return errors

    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        """INFER: what hangs on a call goes with it."""
        if action != "delete":
            return
        for links in PEOPLE:
            for link in rows_with(store, links, "serviceCallID", row["id"]):
                _delete_people(store, links, link["id"])
                store.table(links).delete(link["id"])


@dataclass(frozen=True, slots=True)
class ServiceCallLinkRules(Rules):
    """What a call covers. `work` is the entity of `field`, `kind` its singular name."""

    links: str
    field: str
    work: str
    kind: str

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        """INFER: work of the call's company, and each piece of it once."""
        call = row_of(store, "ServiceCalls", row["serviceCallID"]) or {}
        company = _company(store, self.work, row[self.field])
        others = rows_with(store, self.links, "serviceCallID", row["serviceCallID"])
        errors = []
        if company is not None and company != call.get("companyID"):
            errors.append(FOREIGN.format(kind=self.kind))
        if any(other.get(self.field) == row[self.field] for other in others):
            errors.append(TWICE.format(kind=self.kind))
        return inferred(store, errors)

    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        if action == "delete":
            _delete_people(store, self.links, row["id"])


@dataclass(frozen=True, slots=True)
class ServiceCallPersonRules(Rules):
    """Who is sent. That it is an active person is checked of every reference to a resource."""

    links: str
    field: str  # of the link, to the work
    work: str
    kind: str

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        """INFER: once each. Whether the work must be theirs is the switch `service_call_resource`."""
        link_field = LINK_FIELDS[self.links]
        others = rows_with(store, PEOPLE[self.links], link_field, row[link_field])
        errors = []
        if any(other.get("resourceID") == row["resourceID"] for other in others):
            errors += inferred(store, [SENT_TWICE.format(kind=self.kind)])
        link = row_of(store, self.links, row[link_field]) or {}
        if store.switches.service_call_resource == "assigned":
            assigned = set(_assigned(store, self.work, self.kind, link.get(self.field)))
            errors += [] if row["resourceID"] in assigned else [UNASSIGNED.format(kind=self.kind)]
        return errors


def _complete(store: Store, row: Row, changes: Row) -> None:
    """INFER: isComplete (a number) and the status Complete say the same; switch `service_call_complete`.

    Where both are written the status wins. `row` is the call as it was, empty where it is new.
    """
    complete = picked(store, "ServiceCalls", "status", "Complete")
    if store.switches.service_call_complete == "apart" or complete is None:
        return
    if changes.get("status") is not None and changed(row, changes, "status"):
        changes["isComplete"] = int(changes["status"] == complete)
    elif changes.get("isComplete") == 1:
        changes["status"] = complete
    elif changed(row, changes, "isComplete") and row.get("status") == complete:
        changes["status"] = picked(store, "ServiceCalls", "status", "New")


def _order(row: Row) -> list[str]:
    start, end = row.get("startDateTime") or "", row.get("endDateTime") or ""
    return [ORDER] if end < start else []


def _hours(row: Row) -> float | None:
    """INFER: the duration is in hours."""
    try:
        start, end = (datetime.fromisoformat(row[name]) for name in ("startDateTime", "endDateTime"))
    except (KeyError, TypeError, ValueError):
        return None
    return (end - start).total_seconds() / 3600


def _company(store: Store, work: str, work_id: int) -> int | None:
    """The company a ticket, or a task by its project, is done for."""
    row = row_of(store, work, work_id) or {}
    if work == "Tasks":
        row = row_of(store, "Projects", row.get("projectID")) or {}
    return row.get("companyID")


def _assigned(store: Store, work: str, kind: str, work_id: int | None) -> Iterator[int | None]:
    """The primary resource and the secondary ones."""
    yield (row_of(store, work, work_id) or {}).get("assignedResourceID")
    for helper in rows_with(store, f"{kind}SecondaryResources", f"{kind.lower()}ID", work_id):
        yield helper.get("resourceID")


def _delete_people(store: Store, links: str, link_id: int) -> None:
    for row in rows_with(store, PEOPLE[links], LINK_FIELDS[links], link_id):
        store.table(PEOPLE[links]).delete(row["id"])
