"""TaskPredecessors: two tasks of one project, the later one moved behind the earlier."""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, dangling, inferred, row_of, task_frozen
from bulkops.simulator.rules.schedule import follow, is_circle
from bulkops.simulator.store import Row, Store

CIRCLE = "A Task cannot come before its own predecessors."  # our wording


class TaskPredecessorRules(Rules):
    """DOC (TaskPredecessorsEntity.htm). Only lagDays changes later: both ids are read-only then."""

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        before = row_of(store, "Tasks", row["predecessorTaskID"])
        after = row_of(store, "Tasks", row["successorTaskID"])
        if before is None or after is None or before is after:
            return [dangling("predecessorTaskID", "Task")]
        errors = task_frozen(store, after["id"])
        if before.get("projectID") != after.get("projectID"):
            errors.append("The predecessor and the successor must be tasks of the same project.")
        elif is_circle(store, before["id"], after["id"]):
            errors += inferred(store, [CIRCLE])
        return errors

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        return task_frozen(store, row.get("successorTaskID"))

    def delete(self, store: Store, row: Row) -> list[str]:
        return task_frozen(store, row.get("successorTaskID"))

    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        """DOC: the successor moves. INFER: when, besides on create; switch `predecessor_moves`."""
        has_new_lag = action == "update" and "lagDays" in changes
        if action == "create" or (has_new_lag and store.switches.predecessor_moves != "create"):
            follow(store, row)
