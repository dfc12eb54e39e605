"""Tickets: resource and role together, contact and location of the ticket's company, a number people see."""

from __future__ import annotations

from bulkops.simulator.rules.base import (
    COMPLETE,
    Rules,
    changed,
    dangling,
    is_inactive,
    moved_to,
    next_number,
    row_of,
    rows_with,
)
from bulkops.simulator.rules.contacts import same_company
from bulkops.simulator.rules.tasks import BOTH
from bulkops.simulator.store import Row, Store

FOREIGN_CONTACT = "Value does not reference an existing entity for contactID."
NOT_UPDATED = "Error updating entity for record number [1]."


class TicketRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = _assignment(store, row) + _contact(store, row) + same_company(store, row, "Ticket")
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
            errors += _assignment(store, merged)
        # LIVE: another company is refused while contact or location are the old one's.
        if changed(row, changes, "companyID", "contactID"):
            foreign = _contact(store, merged)
            errors += [*foreign, NOT_UPDATED] if foreign else []
        if changed(row, changes, "companyID", "companyLocationID"):
            errors += same_company(store, merged, "Ticket")
        if not errors and moved_to(row, COMPLETE, changes):
            _complete(store, changes, actor)
        if changed(row, changes, "status") and row.get("status") == COMPLETE:
            changes.update(completedDate=None, completedByResourceID=None)
        return errors


def _assignment(store: Store, row: Row) -> list[str]:
    """LIVE text: both or none. DOC (TicketsEntity.htm): the pair works in a queue, and is not secondary."""
    resource, role = row.get("assignedResourceID"), row.get("assignedResourceRoleID")
    if resource is None and role is None:
        return []
    if resource is None or role is None:
        return [BOTH]
    held = rows_with(store, "ResourceRoles", "resourceID", resource)
    if not any(h.get("roleID") == role and h.get("queueID") is not None and not is_inactive(h) for h in held):
        return [dangling("assignedResourceRoleID", "Role")]
    if row.get("id") is not None:
        helpers = rows_with(store, "TicketSecondaryResources", "ticketID", row["id"])
        if any(helper.get("resourceID") == resource for helper in helpers):
            return ["The primary resource of the Ticket cannot be a secondary resource."]
    return []


def _contact(store: Store, row: Row) -> list[str]:
    """LIVE: the contact is one of the ticket's company."""
    chosen = row.get("contactID")
    contact = row_of(store, "Contacts", chosen)
    if contact is None or contact.get("companyID") == row.get("companyID"):
        return []
    return [FOREIGN_CONTACT]


def _complete(store: Store, changes: Row, actor: int) -> None:
    changes.update(completedDate=store.now(), completedByResourceID=actor)
