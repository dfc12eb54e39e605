"""Which resource holds which role: the department and queue associations, and the list made of both.

ResourceRoles is read-only and lists what ResourceRoleDepartments, ResourceServiceDeskRoles and
ResourceRoleQueues say; here its rows follow theirs.
"""

from __future__ import annotations

from bulkops.simulator.index import Stored
from bulkops.simulator.rules.base import Rules, changed, is_inactive, rows_with
from bulkops.simulator.store import Row, Store


class ResourceRoleDepartmentRules(Rules):
    """DOC (ResourceRoleDepartmentsEntity.htm): one default, which moves but is never taken away."""

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        if row.get("isDefault") and changed(row, changes, "isDefault"):
            return ["isDefault cannot be set to false. Set it to true on another association."]
        return []

    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        _one_default(store, "ResourceRoleDepartments", row)
        _follow(store, row, {"departmentID": row["departmentID"]})


class ResourceServiceDeskRoleRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        if row.get("isActive") is None:  # INFER
            row["isActive"] = True
        return []

    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        _one_default(store, "ResourceServiceDeskRoles", row)
        for queue in rows_with(store, "ResourceRoleQueues", "resourceID", row["resourceID"]):
            _follow(store, row, {"queueID": queue["queueID"]})


class ResourceRoleQueueRules(Rules):
    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        for role in rows_with(store, "ResourceServiceDeskRoles", "resourceID", row["resourceID"]):
            _follow(store, role, {"queueID": row["queueID"]})


def _one_default(store: Store, name: str, row: Row) -> None:
    """DOC: setting a default moves it."""
    if row.get("isDefault") is not True:
        return
    for other in rows_with(store, name, "resourceID", row["resourceID"]):
        if other["id"] != row["id"] and other.get("isDefault"):
            store.table(name).update(other["id"], {"isDefault": False})


def _follow(store: Store, row: Stored, place: Row) -> None:
    """ResourceRoles has a row for this resource, role and place, as active as the association."""
    table = store.table("ResourceRoles")
    active = not is_inactive(row)
    same = {"resourceID": row["resourceID"], "roleID": row["roleID"], **place}
    for other in rows_with(store, "ResourceRoles", "resourceID", row["resourceID"]):
        if all(other.get(name) == value for name, value in same.items()):
            table.update(other["id"], {"isActive": active})
            return
    table.insert({**same, "isActive": active})
