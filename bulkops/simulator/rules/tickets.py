"""Tickets: resource and role together, contact and location of the ticket's company, a number people see."""

from __future__ import annotations

from bulkops.simulator.rules.assignment import holds_for_ticket, refused_pair
from bulkops.simulator.rules.base import (
    COMPLETE,
    PRIMARY_TWICE,
    Rules,
    changed,
    missing,
    moved_to,
    next_number,
    row_of,
    rows_with,
)
from bulkops.simulator.rules.contacts import same_company
from bulkops.simulator.store import Row, Store

FOREIGN_CONTACT = "Value does not reference an existing entity for contactID."
NOT_UPDATED = "Error updating entity for record number [1]."


class TicketRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = refused_pair(store, row, holds_for_ticket) + _queue(store, row)
        errors += _contact(store, row) + same_company(store, row, "Ticket")
        if errors:
            return errors
        if not row.get("ticketNumber"):
            row["ticketNumber"] = next_number(store, "Tickets", "T")
        if row["status"] == COMPLETE:
            _complete(store, row, actor)
        return []

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        merged = {**row, **changes}
        errors = []
        if changed(row, changes, "assignedResourceID", "assignedResourceRoleID"):
            errors += refused_pair(store, merged, holds_for_ticket) or _beside_helpers(store, merged)
        if changed(row, changes, "assignedResourceID", "queueID"):
            errors += _queue(store, merged)
        errors += _company(store, row, changes)
        if not errors and moved_to(row, COMPLETE, changes):
            _complete(store, changes, actor)
        if changed(row, changes, "status") and row.get("status") == COMPLETE:
            changes.update(completedDate=None, completedByResourceID=None)
        return errors


def _beside_helpers(store: Store, row: Row) -> list[str]:
    """DOC (TicketsEntity.htm): the primary resource is not a secondary one already."""
    helpers = rows_with(store, "TicketSecondaryResources", "ticketID", row["id"])
    is_helper = any(helper.get("resourceID") == row.get("assignedResourceID") for helper in helpers)
    return [PRIMARY_TWICE.format(kind="Ticket")] if is_helper else []


def _queue(store: Store, row: Row) -> list[str]:
    """REPORT: in many tenants a ticket that nobody is assigned to is in a queue; switch `ticket_queue`."""
    if store.switches.ticket_queue == "optional" or row.get("queueID") is not None:
        return []
    return [missing("queueID")] if row.get("assignedResourceID") is None else []


def _company(store: Store, row: Row, changes: Row) -> list[str]:
    """LIVE: another company is refused while contact or location are the old one's.

    They are cleared in a request before; whether the same one may do it is the switch `ticket_company`.
    """
    views = [{**row, **changes}]
    if changed(row, changes, "companyID") and store.switches.ticket_company == "stored":
        views.append({**row, "companyID": changes["companyID"]})
    errors = []
    if changed(row, changes, "companyID", "contactID"):
        foreign = any(_contact(store, view) for view in views)
        errors += [FOREIGN_CONTACT, NOT_UPDATED] if foreign else []
    if changed(row, changes, "companyID", "companyLocationID"):
        errors += next(filter(None, (same_company(store, view, "Ticket") for view in views)), [])
    return errors


def _contact(store: Store, row: Row) -> list[str]:
    """LIVE: the contact is one of the ticket's company."""
    chosen = row.get("contactID")
    contact = row_of(store, "Contacts", chosen)
    if contact is None or contact.get("companyID") == row.get("companyID"):
        return []
    return [FOREIGN_CONTACT]


def _complete(store: Store, changes: Row, actor: int) -> None:
    changes.update(completedDate=store.now(), completedByResourceID=actor)
