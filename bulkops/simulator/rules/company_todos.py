"""CompanyToDos: what a to-do refers to belongs to its company."""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, changed, dangling, inferred, row_of
from bulkops.simulator.rules.contacts import company_or_parent
from bulkops.simulator.store import Row, Store

SAME = (("contractID", "Contracts", "Contract"), ("opportunityID", "Opportunities", "Opportunity"),
        ("ticketID", "Tickets", "Ticket"))  # fmt: skip
ORDER = "The endDateTime of a CompanyToDo must not be before its startDateTime."  # our wording


class CompanyToDoRules(Rules):
    """DOC (CompanyToDosEntity.htm): completedDate completes a to-do; there is no other sign of it."""

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        return _belongs(store, row, row) + inferred(store, _order(row))

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        merged = {**row, **changes}
        written = {name: value for name, value in changes.items() if changed(row, changes, name)}
        errors = _belongs(store, merged, written)
        if changed(row, changes, "startDateTime", "endDateTime"):
            errors += inferred(store, _order(merged))
        return errors


def _belongs(store: Store, row: Row, written: Row) -> list[str]:
    """DOC: contract, opportunity and ticket have the to-do's company, the contact that or its parent."""
    errors = []
    for field, entity, kind in SAME:
        target = row_of(store, entity, written.get(field))
        if target is not None and target.get("companyID") != row["companyID"]:
            errors.append(dangling(field, kind))
    contact = row_of(store, "Contacts", written.get("contactID"))
    if contact is not None and contact.get("companyID") not in company_or_parent(store, row["companyID"]):
        errors.append(dangling("contactID", "Contact"))
    return errors


def _order(row: Row) -> list[str]:
    return [ORDER] if (row.get("endDateTime") or "") < (row.get("startDateTime") or "") else []
