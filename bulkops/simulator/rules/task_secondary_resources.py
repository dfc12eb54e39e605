"""TaskSecondaryResources: how many, who, and what the task needs before."""

from __future__ import annotations

from bulkops.simulator.index import Stored
from bulkops.simulator.rules.base import Rules, dangling, has_role, missing, row_of, task_read_only
from bulkops.simulator.store import Row, Store

MOST = 50


class TaskSecondaryResourceRules(Rules):
    """DOC (TaskSecondaryResourcesEntity.htm); the texts are ours."""

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = task_read_only(store, row["taskID"])
        if errors:
            return errors
        task = row_of(store, "Tasks", row["taskID"]) or {}
        if len(store.table("TaskSecondaryResources").ids_of("taskID", row["taskID"])) >= MOST:
            errors.append(f"A Task cannot have more than {MOST} secondary resources.")
        if row["resourceID"] == task.get("assignedResourceID"):
            errors.append("The primary resource of the Task cannot be a secondary resource.")
        if not has_role(store, row["resourceID"], row["roleID"]):
            errors.append(dangling("roleID", "Role"))
        return errors + _without_primary(task)

    def delete(self, store: Store, row: Row) -> list[str]:
        return task_read_only(store, row.get("taskID"))


def _without_primary(task: Stored) -> list[str]:
    """DOC (TaskEntity.htm): with secondary resources only, the task needs a work type and a department."""
    if task.get("assignedResourceID") is not None:
        return []
    return [missing(name) for name in ("billingCodeID", "departmentID") if task.get(name) is None]
