"""Tasks: resource, role, work type and department, location, dates, portal flags, what Complete means."""

from __future__ import annotations

from bulkops.simulator.index import Stored
from bulkops.simulator.rules.assignment import department_of, holds_for_task, refused_pair
from bulkops.simulator.rules.base import (
    COMPLETE,
    PRIMARY_TWICE,
    Rules,
    changed,
    dangling,
    day,
    frozen,
    inferred,
    is_inactive,
    missing,
    moved_to,
    next_number,
    row_of,
    rows_with,
)
from bulkops.simulator.rules.company_locations import primary_location
from bulkops.simulator.rules.schedule import successors_follow
from bulkops.simulator.store import Row, Store

REOPEN_TEXT = "A task that is complete cannot be given another status."  # our wording
WORK_TYPE = 1  # BillingCodes.useType (ContractExclusionSetExcludedWorkTypesEntity.htm)


class TaskRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = frozen(store, row["projectID"])
        if errors:
            return errors
        errors = refused_pair(store, row, holds_for_task) + _work_type(store, row)
        errors += inferred(store, _phase(store, row)) + _order(row) + _beyond(store, row)
        if row.get("companyLocationID") is None:
            _default_location(store, row)
        else:
            errors += _location(store, row)
        if errors:
            return errors
        _defaults(row)
        _department(store, row, row)
        if row["status"] == COMPLETE:
            _complete(store, row, actor)
        row["taskNumber"] = next_number(store, "Tasks", "T")
        return []

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        errors = frozen(store, row.get("projectID"))
        if errors:
            return errors
        merged = {**row, **changes}
        errors = _people(store, row, merged, changes) + _place(store, row, merged, changes)
        errors += _reopen(store, row, changes)
        if errors:
            return errors
        if changed(row, changes, "assignedResourceID", "assignedResourceRoleID", "departmentID"):
            _department(store, merged, changes)
        _status(store, row, changes, actor)
        if merged.get("canClientPortalUserCompleteTask") and not merged.get("isVisibleInClientPortal"):
            changes["canClientPortalUserCompleteTask"] = False
        return []

    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        if store.switches.task_beyond_project == "extend":
            _extend(store, row)
        if action == "update" and "endDateTime" in changes and store.switches.predecessor_moves == "chain":
            successors_follow(store, row["id"])


def _people(store: Store, row: Row, merged: Row, changes: Row) -> list[str]:
    """What an update of people and work type is refused for.

    DOC (TaskEntity.htm): an existing pair with an inactive role may stay: only a new pair is looked at.
    """
    errors = []
    if changed(row, changes, "assignedResourceID", "assignedResourceRoleID"):
        errors += refused_pair(store, merged, holds_for_task)
    if changed(row, changes, "assignedResourceID", "billingCodeID"):
        errors += _work_type(store, merged)
    if changed(row, changes, "assignedResourceID", "billingCodeID", "departmentID"):
        errors += _beside_helpers(store, merged)
    return errors


def _place(store: Store, row: Row, merged: Row, changes: Row) -> list[str]:
    """What an update of phase, dates and location is refused for."""
    errors = []
    if changed(row, changes, "phaseID"):
        errors += inferred(store, _phase(store, merged))
    if changed(row, changes, "startDateTime", "endDateTime"):
        errors += _order(merged) + _beyond(store, merged)
    if changes.get("companyLocationID") is not None and changed(row, changes, "companyLocationID"):
        errors += _location(store, merged)
    return errors


def _work_type(store: Store, row: Row) -> list[str]:
    """DOC (TaskEntity.htm): billingCodeID is a work type, and needed when a resource is assigned."""
    chosen = row.get("billingCodeID")
    if chosen is None:
        return [missing("billingCodeID")] if row.get("assignedResourceID") is not None else []
    code = row_of(store, "BillingCodes", chosen)
    if code is None or code.get("useType") != WORK_TYPE:
        return [dangling("billingCodeID", "AllocationCode")]
    return []


def _beside_helpers(store: Store, row: Row) -> list[str]:
    """DOC (TaskSecondaryResourcesEntity.htm): none of the task's secondary resources is its primary one."""
    helpers = rows_with(store, "TaskSecondaryResources", "taskID", row["id"])
    if any(helper.get("resourceID") == row.get("assignedResourceID") for helper in helpers):
        return [PRIMARY_TWICE.format(kind="Task")]
    return without_primary(row) if helpers else []


def without_primary(task: Stored) -> list[str]:
    """DOC (TaskEntity.htm): with secondary resources only, the task needs a work type and a department."""
    if task.get("assignedResourceID") is not None:
        return []
    return [missing(name) for name in ("billingCodeID", "departmentID") if task.get(name) is None]


def _phase(store: Store, row: Row) -> list[str]:
    """INFER: hierarchy is phaseID alone, so the phase is one of the task's project."""
    chosen = row.get("phaseID")
    phase = row_of(store, "Phases", chosen)
    if phase is None or phase.get("projectID") == row.get("projectID"):
        return []
    return [dangling("phaseID", "Phase")]


def _order(row: Row) -> list[str]:
    """DOC (TasksEntity.htm): the end may be the day of the start, its time is ignored."""
    start, end = day(row.get("startDateTime")), day(row.get("endDateTime"))
    if start and end and end < start:
        return ["The task's endDateTime must not be before its startDateTime."]
    return []


def _beyond(store: Store, row: Row) -> list[str]:
    """INFER: the end of a project covers its tasks, seen from the task; switch `task_beyond_project`."""
    project = row_of(store, "Projects", row.get("projectID")) or {}
    if store.switches.task_beyond_project != "refuse":
        return []
    if day(row.get("endDateTime")) <= (day(project.get("endDateTime")) or "9999"):
        return []
    return ["The task's endDateTime must not be after the endDateTime of its project."]


def _extend(store: Store, row: Row) -> None:
    project = row_of(store, "Projects", row["projectID"]) or {}
    if project and day(row.get("endDateTime")) > day(project.get("endDateTime")):
        store.table("Projects").update(project["id"], {"endDateTime": row["endDateTime"]})


def _company(store: Store, row: Row) -> int | None:
    project = row_of(store, "Projects", row["projectID"])
    return project.get("companyID") if project else None


def _default_location(store: Store, row: Row) -> None:
    """DOC (TaskEntity.htm): the default is the primary location of the project's company."""
    company = _company(store, row)
    if company is not None:
        row["companyLocationID"] = primary_location(store, company)


def _location(store: Store, row: Row) -> list[str]:
    """DOC (TaskEntity.htm): an active location of the project's company."""
    chosen = row["companyLocationID"]
    location = row_of(store, "CompanyLocations", chosen)
    if location is None or is_inactive(location):
        return [dangling("companyLocationID", "AccountPhysicalLocation")]
    if location.get("companyID") == _company(store, row):
        return []
    return [
        f"The companyLocationID[{chosen}] cannot be associated with the Task. "
        "The Project and CompanyLocation must have the same companyID."
    ]


def _defaults(row: Row) -> None:
    """DOC (TaskEntity.htm): priority 0, portal flags false; nobody completes what he cannot see."""
    if row.get("priority") is None:
        row["priority"] = 0
    row["isVisibleInClientPortal"] = bool(row.get("isVisibleInClientPortal"))
    row["canClientPortalUserCompleteTask"] = bool(
        row["isVisibleInClientPortal"] and row.get("canClientPortalUserCompleteTask")
    )


def _department(store: Store, row: Row, changes: Row) -> None:
    """DOC (TaskEntity.htm): with a primary resource the department is the resource's, whatever is sent."""
    resource = row.get("assignedResourceID")
    found = None if resource is None else department_of(store, resource, row.get("assignedResourceRoleID"))
    if found is not None:
        changes["departmentID"] = found


def _reopen(store: Store, row: Row, changes: Row) -> list[str]:
    """DOC (TaskEntity.htm): Complete freezes remainingHours.

    INFER: until the task has another status; switch `task_reopen`.
    """
    if row.get("status") != COMPLETE or not changed(row, changes, "status"):
        return []
    if store.switches.task_reopen == "frozen":
        changes.pop("remainingHours", None)
    return [REOPEN_TEXT] if store.switches.task_reopen == "refuse" else []


def _status(store: Store, row: Row, changes: Row, actor: int) -> None:
    """DOC (TaskEntity.htm): Complete sets remainingHours to 0 and freezes it. INFER: reopening undoes it."""
    if changes.get("status", row.get("status")) != COMPLETE:
        if row.get("status") == COMPLETE:
            changes.update(completedDateTime=None, completedByResourceID=None, completedByType=None)
        return
    if moved_to(row, COMPLETE, changes):
        _complete(store, changes, actor)
    elif "remainingHours" in changes:
        changes["remainingHours"] = 0.0


def _complete(store: Store, changes: Row, actor: int) -> None:
    changes.update(
        remainingHours=0.0, completedDateTime=store.now(), completedByResourceID=actor, completedByType=1
    )
