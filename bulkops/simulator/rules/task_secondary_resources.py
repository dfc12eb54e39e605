"""TaskSecondaryResources: how many, who, and what the task needs before."""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, dangling, has_role, row_of, task_read_only
from bulkops.simulator.rules.tasks import PRIMARY_TWICE, without_primary
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
            errors.append(PRIMARY_TWICE)
        if not has_role(store, row["resourceID"], row["roleID"]):
            errors.append(dangling("roleID", "Role"))
        return errors + without_primary(task)

    def delete(self, store: Store, row: Row) -> list[str]:
        return task_read_only(store, row.get("taskID"))
