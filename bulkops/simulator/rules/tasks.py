"""Tasks: resource and role together, work type, department, location, portal flags, what Complete means."""

from __future__ import annotations

from bulkops.simulator.index import Stored
from bulkops.simulator.rules.base import (
    COMPLETE,
    Rules,
    changed,
    dangling,
    day,
    has_role,
    is_inactive,
    missing,
    moved_to,
    next_number,
    read_only,
    row_of,
    rows_with,
)
from bulkops.simulator.rules.company_locations import primary_location
from bulkops.simulator.store import Row, Store

BOTH = "When assigning a Resource, you must assign both a assignedResourceID and assignedResourceRoleID."
PRIMARY_TWICE = "The primary resource of the Task cannot be a secondary resource."  # our wording
WORK_TYPE = 1  # BillingCodes.useType (ContractExclusionSetExcludedWorkTypesEntity.htm)


class TaskRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = read_only(store, row["projectID"])
        if errors:
            return errors
        errors = _assignment(store, row) + _work_type(store, row) + _phase(store, row) + _order(row)
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
        errors = read_only(store, row.get("projectID"))
        if errors:
            return errors
        merged = {**row, **changes}
        # DOC (TaskEntity.htm): an existing pair with an inactive role may stay: only a new pair is looked at.
        if changed(row, changes, "assignedResourceID", "assignedResourceRoleID"):
            errors += _assignment(store, merged)
        if changed(row, changes, "assignedResourceID", "billingCodeID"):
            errors += _work_type(store, merged)
        if changed(row, changes, "assignedResourceID", "billingCodeID", "departmentID"):
            errors += _beside_helpers(store, merged)
        if changed(row, changes, "phaseID"):
            errors += _phase(store, merged)
        if changed(row, changes, "startDateTime", "endDateTime"):
            errors += _order(merged)
        if changes.get("companyLocationID") is not None and changed(row, changes, "companyLocationID"):
            errors += _location(store, merged)
        if errors:
            return errors
        if changed(row, changes, "assignedResourceID", "departmentID"):
            _department(store, merged, changes)
        _status(store, row, changes, actor)
        if merged.get("canClientPortalUserCompleteTask") and not merged.get("isVisibleInClientPortal"):
            changes["canClientPortalUserCompleteTask"] = False
        return []


def _assignment(store: Store, row: Row) -> list[str]:
    """DOC (TaskEntity.htm): both or none; LIVE text. The role is active and the resource holds it."""
    resource, role = row.get("assignedResourceID"), row.get("assignedResourceRoleID")
    if resource is None and role is None:
        return []
    if resource is None or role is None:
        return [BOTH]
    held = row_of(store, "Roles", role)
    if held is None or is_inactive(held) or not has_role(store, resource, role):
        return [dangling("assignedResourceRoleID", "Role")]
    return []


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
        return [PRIMARY_TWICE]
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
    """DOC (TaskEntity.htm): with a primary resource the department is the resource's."""
    resource = row.get("assignedResourceID")
    if resource is None:
        return
    held = rows_with(store, "ResourceRoleDepartments", "resourceID", resource)
    active = [association for association in held if not is_inactive(association)]
    if active:
        home = next((association for association in active if association.get("isDefault")), active[0])
        changes["departmentID"] = home.get("departmentID")


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
