"""CompanyLocations: how many a company may have, and which of them is the primary one."""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, rows_with
from bulkops.simulator.store import Row, Store

MOST = 5000


class CompanyLocationRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        if row.get("isActive") is None:  # INFER, as for companies
            row["isActive"] = True
        # DOC (CompaniesEntity.htm): at most 5,000 locations a company.
        if len(store.table("CompanyLocations").ids_of("companyID", row["companyID"])) >= MOST:
            return [f"A Company cannot have more than {MOST} CompanyLocations."]
        return []

    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        """DOC (CompanyLocationsEntity.htm): one primary location a company; a new one unsets the old."""
        if action == "delete" or row.get("isPrimary") is not True:
            return
        for other in rows_with(store, "CompanyLocations", "companyID", row["companyID"]):
            if other["id"] != row["id"] and other.get("isPrimary"):
                store.table("CompanyLocations").update(other["id"], {"isPrimary": False})


def primary_location(store: Store, company: int) -> int | None:
    """The id of the company's active primary location."""
    for location in rows_with(store, "CompanyLocations", "companyID", company):
        if location.get("isPrimary") and location.get("isActive") is not False:
            return int(location["id"])
    return None
