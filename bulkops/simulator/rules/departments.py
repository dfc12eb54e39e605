"""Departments: a new or renamed one shows up in the picklists that list them."""

from __future__ import annotations

from bulkops.simulator import picklists
from bulkops.simulator.rules.base import Rules
from bulkops.simulator.store import Row, Store

LISTED_IN = (("Tasks", "departmentID"), ("Projects", "department"))


class DepartmentRules(Rules):
    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        list_departments(store)


def list_departments(store: Store) -> None:
    """The picklists of departments hold the departments there are (INFER: their values are the ids)."""
    departments = enumerate(store.table("Departments").values(), 1)
    values = [picklists.value(str(row["id"]), row["name"], order) for order, row in departments]
    for entity, field in LISTED_IN:
        store.picklists[entity][field] = list(values)
