"""Contacts: active or not as a number, a location of the same company, and who may not be deleted."""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, changed, inferred, row_of
from bulkops.simulator.store import Row, Store

# DOC (ContactsEntity.htm): what keeps a contact, as far as these entities hold it.
KEEPERS = (
    ("Tickets", "contactID", "is the contact of a ticket"),
    ("TicketAdditionalContacts", "contactID", "is an additional contact of a ticket"),
    ("Tickets", "createdByContactID", "created a ticket"),
    ("TicketNotes", "createdByContactID", "created a ticket note"),
    ("ConfigurationItems", "installedByContactID", "installed a configuration item"),
)


class ContactRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        return _active(row) + inferred(store, same_company(store, row, "Contact"))

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        errors = _active(changes)
        if changed(row, changes, "companyLocationID"):
            errors += inferred(store, same_company(store, {**row, **changes}, "Contact"))
        return errors

    def delete(self, store: Store, row: Row) -> list[str]:
        reasons = ["is the primary contact of the company"] if row.get("primaryContact") else []
        for entity, field, reason in KEEPERS:
            if store.table(entity).ids_of(field, row["id"]):
                reasons.append(reason)
        if any(row["id"] in lists.get("contactRecipients", ()) for lists in store.recipients.values()):
            reasons.append("receives invoices by e-mail")
        return [f"The Contact cannot be deleted because it {reason}." for reason in reasons]


def _active(values: Row) -> list[str]:
    """LIVE: isActive is a number, 0 or 1."""
    if values.get("isActive") in (None, 0, 1):
        return []
    return ["Value for field isActive must be 0 or 1."]


def same_company(store: Store, row: Row, kind: str) -> list[str]:
    """LIVE for tickets, INFER for contacts: the location must be one of the same company."""
    chosen = row.get("companyLocationID")
    location = row_of(store, "CompanyLocations", chosen)
    if location is None or location.get("companyID") == row.get("companyID"):
        return []
    return [
        f"The companyLocationID[{chosen}] cannot be associated with the {kind}. "
        f"The {kind} and CompanyLocation must have the same companyID."
    ]


def company_or_parent(store: Store, company: int) -> set[int]:
    """Whose contacts records of a company may name (CompanyToDosEntity.htm, TaskNotesEntity.htm)."""
    parent = (row_of(store, "Companies", company) or {}).get("parentCompanyID")
    return {company} if parent is None else {company, parent}
