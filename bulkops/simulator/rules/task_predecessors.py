"""TaskPredecessors: two tasks of one project, the later one moved behind the earlier."""

from __future__ import annotations

from bulkops.simulator.index import Stored
from bulkops.simulator.rules.base import Rules, dangling, day, days_later, row_of, task_read_only
from bulkops.simulator.store import Row, Store


class TaskPredecessorRules(Rules):
    """DOC (TaskPredecessorsEntity.htm). Only lagDays changes later: both ids are read-only then."""

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        before, after = _tasks(store, row)
        if before is None or after is None or before is after:
            return [dangling("predecessorTaskID", "Task")]
        errors = task_read_only(store, after["id"])
        if before.get("projectID") != after.get("projectID"):
            errors.append("The predecessor and the successor must be tasks of the same project.")
        return errors

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        return task_read_only(store, row.get("successorTaskID"))

    def delete(self, store: Store, row: Row) -> list[str]:
        return task_read_only(store, row.get("successorTaskID"))

    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        """DOC: creating one moves the successor's start to the predecessor's end plus lagDays.

        INFER: an end that would lie before the new start moves to the start's day.
        """
        before, after = _tasks(store, row)
        if action != "create" or before is None or after is None or not before.get("endDateTime"):
            return
        start = days_later(before["endDateTime"], row.get("lagDays") or 0)
        moved = {"startDateTime": start}
        if after.get("endDateTime") and day(after["endDateTime"]) < day(start):
            moved["endDateTime"] = day(start) + "T00:00:00.000Z"
        store.table("Tasks").update(after["id"], moved)


def _tasks(store: Store, row: Row) -> tuple[Stored | None, Stored | None]:
    return row_of(store, "Tasks", row["predecessorTaskID"]), row_of(store, "Tasks", row["successorTaskID"])
