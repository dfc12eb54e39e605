"""Projects: dates against those of what is in them, what Complete does to the tasks, and opening again."""

from __future__ import annotations

from bulkops.simulator.index import Stored
from bulkops.simulator.rules.base import (
    BASELINE_TEXT,
    COMPLETE,
    Rules,
    changed,
    day,
    moved_to,
    next_number,
    picked,
    read_only,
    rows_with,
)
from bulkops.simulator.store import Row, Store

REOPEN_TEXT = "A project that is complete cannot be given another status."  # our wording


class ProjectRules(Rules):
    """DOC (ProjectsEntity.htm): any status but Inactive activates an inactive project again."""

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = _order(row) + _new_baseline(store, row, None)
        if errors:
            return errors
        row["projectNumber"] = next_number(store, "Projects", "P")
        if row["status"] == COMPLETE:
            _complete(store, row)
        return []

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        errors = read_only(store, row["id"])
        if errors:
            return errors
        errors = _new_baseline(store, changes, row) + _dates(store, row, changes)
        if moved_to(row, COMPLETE, changes):
            _complete(store, changes)
        elif changed(row, changes, "status") and row.get("status") == COMPLETE:
            errors += _reopen(store, row, changes)
        if changed(row, changes, "status"):
            changes.setdefault("statusDateTime", store.now())
        return errors

    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        """DOC (ProjectsEntity.htm): completing a project completes all its tasks, nothing remains to do.

        INFER: by whom and when is noted in each task as if it had been completed itself.
        """
        if action != "update" or changes.get("status") != COMPLETE or "completedPercentage" not in changes:
            return  # not the step to Complete: only that one notes a percentage
        done = {
            "status": COMPLETE,
            "remainingHours": 0.0,
            "completedDateTime": store.now(),
            "completedByResourceID": row.get("lastActivityResourceID"),
            "completedByType": 1,
            "lastActivityDateTime": store.now(),
            "lastActivityPersonType": 1,
            "lastActivityResourceID": row.get("lastActivityResourceID"),
        }
        for task in rows_with(store, "Tasks", "projectID", row["id"]):
            if task.get("status") != COMPLETE:
                store.table("Tasks").update(task["id"], done)


def _complete(store: Store, changes: Row) -> None:
    changes["completedPercentage"] = 100
    if not changes.get("completedDateTime"):
        changes["completedDateTime"] = store.now()


def _reopen(store: Store, row: Row, changes: Row) -> list[str]:
    """INFER: the tasks stay complete, the date of completion goes; switch `project_reopen`."""
    if store.switches.project_reopen == "refuse":
        return [REOPEN_TEXT]
    changes.setdefault("completedDateTime", None)
    tasks = rows_with(store, "Tasks", "projectID", row["id"])
    done = sum(task.get("status") == COMPLETE for task in tasks)
    changes["completedPercentage"] = 100 * done // len(tasks) if tasks else 0
    return []


def _new_baseline(store: Store, values: Row, row: Row | None) -> list[str]:
    """REPORT: a Baseline is not made by the API; switch `baseline_create`."""
    baseline = picked(store, "Projects", "projectType", "Baseline")
    if store.switches.baseline_create == "allow" or baseline is None:
        return []
    is_new = values.get("projectType") == baseline and (row is None or row.get("projectType") != baseline)
    return [BASELINE_TEXT] if is_new else []


def _order(row: Row) -> list[str]:
    """DOC (ProjectsEntity.htm): startDateTime < endDateTime, time of day ignored."""
    if day(row.get("startDateTime")) < day(row.get("endDateTime")):
        return []
    return ["The project's startDateTime must be before its endDateTime."]


def _dates(store: Store, row: Row, changes: Row) -> list[str]:
    """DOC (ProjectsEntity.htm): with phases or tasks the start is fixed, and the end covers all of them.

    INFER: at every update, or when the end changes; switch `project_dates`.
    """
    moved = changed(row, changes, "startDateTime", "endDateTime")
    if not moved and store.switches.project_dates == "changed":
        return []
    phases = rows_with(store, "Phases", "projectID", row["id"])
    tasks = rows_with(store, "Tasks", "projectID", row["id"])
    errors = _order({**row, **changes}) if moved else []
    if (phases or tasks) and changed(row, changes, "startDateTime"):
        errors.append("The startDateTime of a project that has phases or tasks cannot be changed.")
    if changed(row, changes, "endDateTime") or store.switches.project_dates == "always":
        errors += _covers({**row, **changes}, phases, tasks)
    return errors


def _covers(project: Row, phases: list[Stored], tasks: list[Stored]) -> list[str]:
    ends = [day(task.get("endDateTime")) for task in tasks] + [day(phase.get("dueDate")) for phase in phases]
    if day(project.get("endDateTime")) >= max(ends, default=""):
        return []
    return ["The project's endDateTime must not be before the end of its last phase or task."]
