"""Opportunities: the contact is the company's, and the dates of winning and losing go with the status.

DOC (OpportunitiesEntity.htm) and metadata: owner, stage, status, amount, cost, probability and dates are
required; that the owner is an active person is checked of every reference to a resource. No source tells of
rules between stage and status.
"""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, changed, dangling, inferred, picked, row_of
from bulkops.simulator.rules.contacts import company_or_parent
from bulkops.simulator.store import Row, Store

DATED = {"Lost": "lostDate", "Closed": "closedDate", "Implemented": "closedDate"}


class OpportunityRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        _dates(store, {}, row)
        return _contact(store, row)

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        errors = []
        if changed(row, changes, "companyID", "contactID"):
            errors = _contact(store, {**row, **changes})
        if changed(row, changes, "status"):
            _dates(store, row, changes)
        return errors


def _contact(store: Store, row: Row) -> list[str]:
    """INFER, as for to-dos: a contact of the company or of its parent."""
    contact = row_of(store, "Contacts", row.get("contactID"))
    if contact is None or contact.get("companyID") in company_or_parent(store, row["companyID"]):
        return []
    return inferred(store, [dangling("contactID", "Contact")])


def _dates(store: Store, row: Row, changes: Row) -> None:
    """REPORT: leaving Lost clears lostDate. INFER: the others likewise; switch `opportunity_dates`."""
    if store.switches.opportunity_dates == "apart":
        return
    names = {picked(store, "Opportunities", "status", label): field for label, field in DATED.items()}
    now, before = names.get(changes.get("status")), names.get(row.get("status"))
    if before is not None and before != now:
        changes.setdefault(before, None)
    if now is not None and not {**row, **changes}.get(now):
        changes[now] = store.now()
