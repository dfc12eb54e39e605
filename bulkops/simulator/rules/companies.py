"""Companies: the hierarchy, the defaults of a new one. That the owner is a real person is checked for all."""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, changed, dangling, inferred, row_of
from bulkops.simulator.store import Row, Store


class CompanyRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        if row.get("isActive") is None:  # INFER: a company made without saying so is in use
            row["isActive"] = True
        return []

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        if not changed(row, changes, "parentCompanyID"):
            return []
        return inferred(store, _hierarchy(store, row["id"], changes["parentCompanyID"]))


def _hierarchy(store: Store, company: int, parent: int | None) -> list[str]:
    """DOC (CompaniesEntity.htm): parentCompanyID makes a hierarchy. INFER: no company is its own ancestor."""
    seen = {company}
    while parent is not None:
        if parent in seen:
            return [dangling("parentCompanyID", "Account")]
        seen.add(parent)
        parent = (row_of(store, "Companies", parent) or {}).get("parentCompanyID")
    return []
