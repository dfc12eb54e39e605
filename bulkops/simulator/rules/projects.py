"""Projects: their dates against those of what is in them, and that completing one completes its tasks."""

from __future__ import annotations

from bulkops.simulator.rules.base import (
    COMPLETE,
    Rules,
    changed,
    day,
    moved_to,
    next_number,
    read_only,
    rows_with,
)
from bulkops.simulator.store import Row, Store


class ProjectRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = _order(row)
        if errors:
            return errors
        row["projectNumber"] = next_number(store, "Projects", "P")
        if row["status"] == COMPLETE:
            _complete(store, row, row)
        return []

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        errors = read_only(store, row["id"])
        if errors:
            return errors
        if changed(row, changes, "startDateTime", "endDateTime"):
            errors = _order({**row, **changes}) + _inside(store, row, changes)
        if moved_to(row, COMPLETE, changes):
            _complete(store, row, changes)
        if changed(row, changes, "status"):
            changes.setdefault("statusDateTime", store.now())
        return errors

    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        """DOC (ProjectsEntity.htm): completing a project completes all its tasks."""
        if action != "update" or changes.get("status") != COMPLETE or row.get("status") != COMPLETE:
            return
        done = {
            "status": COMPLETE,
            "remainingHours": 0.0,
            "completedDateTime": store.now(),
            "completedByResourceID": row.get("lastActivityResourceID"),
            "completedByType": 1,
            "lastActivityDateTime": store.now(),
        }
        for task in rows_with(store, "Tasks", "projectID", row["id"]):
            if task.get("status") != COMPLETE:
                store.table("Tasks").update(task["id"], done)


def _complete(store: Store, row: Row, changes: Row) -> None:
    changes["completedPercentage"] = 100
    if not changes.get("completedDateTime"):
        changes["completedDateTime"] = store.now()


def _order(row: Row) -> list[str]:
    """DOC (ProjectsEntity.htm): startDateTime < endDateTime, time of day ignored."""
    if day(row.get("startDateTime")) < day(row.get("endDateTime")):
        return []
    return ["The project's startDateTime must be before its endDateTime."]


def _inside(store: Store, row: Row, changes: Row) -> list[str]:
    """DOC (ProjectsEntity.htm): with phases or tasks the start is fixed, and the end covers all of them."""
    phases = rows_with(store, "Phases", "projectID", row["id"])
    tasks = rows_with(store, "Tasks", "projectID", row["id"])
    errors = []
    if (phases or tasks) and changed(row, changes, "startDateTime"):
        errors.append("The startDateTime of a project that has phases or tasks cannot be changed.")
    ends = [day(task.get("endDateTime")) for task in tasks] + [day(phase.get("dueDate")) for phase in phases]
    if changed(row, changes, "endDateTime") and day(changes["endDateTime"]) < max(ends, default=""):
        errors.append("The project's endDateTime must not be before the end of its last phase or task.")
    return errors
