"""Projects, their phases and their tasks. Pure.

Sources: ProjectsEntity.htm, PhasesEntity.htm, TasksEntity.htm, TaskEntity.htm of the older API (REST-FACTS
8.1.4 to 8.1.6).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bulkops.targets.autotask.rules import dates, people, places
from bulkops.targets.autotask.rules.case import Case, known_id, named, rule
from bulkops.targets.autotask.rules.finding import Finding, doubt, effect, reject
from bulkops.targets.autotask.rules.places import COMPLETE, INACTIVE
from bulkops.targets.base import RecordData

DEEPEST = 10  # phases above a phase that are looked at
WORK_TYPE = 1  # BillingCodes.useType
FOR_HELPERS = ("billingCodeID", "departmentID")


# --- projects ---


def baseline_itself(case: Case) -> Iterator[Finding]:
    kind = known_id(case.before or {}, "projectType")
    if places.is_baseline(case.related, kind):
        yield reject(
            "the project is a Baseline, and the API keeps those as they are: write to the project itself"
        )


def completes_tasks(case: Case) -> Iterator[Finding]:
    """Completing a project completes its tasks and sets what remains of their hours to nothing."""
    if not _becomes_complete(case) or case.change.id is None:
        return
    still = _open_tasks(case)
    if not still:
        return
    hours = round(sum(_hours(task) for task in still), 2)
    what = "task" if len(still) == 1 else "tasks"
    yield effect(
        "completing a project, the API completes its open tasks and sets their remaining hours to 0",
        detail=f"completes {len(still):,} open {what} and sets {hours:,.10g} remaining hours to 0",
        amounts={"open task": len(still), "remaining hour": hours},
    )


def counts_as_done(case: Case) -> Iterator[Finding]:
    """What a project keeps of its own completion is the API's: `completedPercentage` cannot be written."""
    if _becomes_complete(case):
        still = _open_tasks(case)
        yield effect(
            "completing a project, the API sets its completedPercentage to 100, and the dates of its "
            "completion (completedDateTime, statusDateTime)",
            tally=None if still is None else places.open_tasks(still),
            stays="which the API may not open again, and whose completedPercentage and dates are its own",
        )


def completes_unseen(case: Case) -> Iterator[Finding]:
    """The API completes all open tasks, whoever sees them; what nobody counted, nobody opens again."""
    if _becomes_complete(case) and case.related.is_restricted("Tasks"):
        yield effect(
            "this API user sees only some Tasks records: completing a project, the API completes the hidden "
            "ones in it as well; nobody can tell here how many are open, and undo cannot open them again",
            stays="in which the API completes open tasks that are hidden as well, and those stay complete",
        )


def _open_tasks(case: Case) -> list[RecordData] | None:
    """Those of the change's project. None: not known."""
    project = case.change.id
    tasks = case.related.many("Tasks", "projectID", project) if project is not None else None
    return None if tasks is None else [task for task in tasks if task.get("status") != COMPLETE]


def _becomes_complete(case: Case) -> bool:
    return case.is_update and case.ref("status") == COMPLETE


def _hours(task: RecordData) -> float:
    """What remains to be done, else what was estimated."""
    for name in ("remainingHours", "estimatedHours"):
        value = task.get(name)
        if isinstance(value, int | float):
            return value
    return 0.0


def reopens(case: Case) -> Iterator[Finding]:
    """Inactive projects become active by another status; of complete ones nothing is said."""
    status = case.ref("status")
    if case.is_update and case.was("status") == COMPLETE and status not in (None, COMPLETE):
        text = "a project that is complete is opened again; the API leaves its tasks complete"
        yield doubt(text, about="status", stays=places.ANEW)


def becomes_baseline(case: Case) -> Iterator[Finding]:
    """Whether the API makes Baselines is not said; what it made it would not change again."""
    if places.is_baseline(case.related, case.ref("projectType")):
        yield doubt(
            "the project becomes a Baseline, which the API cannot change any more", about="projectType"
        )


def activates(case: Case) -> Iterator[Finding]:
    status = case.ref("status")
    if case.is_update and case.was("status") == INACTIVE and status not in (None, INACTIVE):
        text = "any status but Inactive makes an inactive project active again, Complete too"
        yield effect(text, detail="it is inactive, and active then")


PROJECTS = (
    rule(baseline_itself, own="projectType"),
    rule(dates.projects_in_order, on="startDateTime endDateTime", own="startDateTime endDateTime"),
    rule(dates.ends_after_work, on="endDateTime"),
    rule(dates.start_is_free, on="startDateTime"),
    rule(completes_tasks, on="status"),
    rule(completes_unseen, on="status"),
    rule(counts_as_done, on="status"),
    rule(dates.work_ends_later, on="status", own="endDateTime"),
    rule(becomes_baseline, on="projectType"),
    rule(reopens, on="status", own="status"),
    rule(activates, on="status", own="status"),
    rule(partial(people.can_be_named, field="projectLeadResourceID"), on="projectLeadResourceID"),
)


# --- phases and tasks ---


def phase_of_project(case: Case, field: str) -> Iterator[Finding]:
    """Nothing says that the API looks, but a phase of another project can only be a mistake."""
    if field in case.looked_up:
        return
    yield from people.missing(case, field, "Phases")
    phase, number = people.referenced(case, field, "Phases"), places.project_of(case)
    other = known_id(phase, "projectID") if phase is not None else None
    if phase is not None and number is not None and other not in (None, number):
        text = f"{field} {named('Phases', phase)} is of project {other}, the row of {number}"
        yield doubt(f"{field} is of another project", about=field, detail=text)


def no_circle(case: Case) -> Iterator[Finding]:
    """A phase that is in itself, over whatever is in between, can only be a mistake."""
    above = case.ref("parentPhaseID")
    for _ in range(DEEPEST):
        if above is None:
            return
        if above == case.change.id:
            yield doubt("a phase is its own parent, or one of its parents is", about="parentPhaseID")
            return
        phase = case.related.one("Phases", above)
        above = known_id(phase, "parentPhaseID") if phase is not None else None


def needs_work_type(case: Case) -> Iterator[Finding]:
    if case.is_set("assignedResourceID") and case.is_empty("billingCodeID"):
        yield reject(
            "billingCodeID is empty: a task with a primary resource needs a work type, so give one",
            about="assignedResourceID",
        )


def needs_for_helpers(case: Case) -> Iterator[Finding]:
    """With secondary resources only, a task needs a work type and a department (TaskEntity.htm).

    A change that takes one of them away is refused. Where one is missing already, nothing says whether the
    API looks at it again with every update.
    """
    if not case.is_update or not case.is_empty("assignedResourceID"):
        return
    empty = [name for name in FOR_HELPERS if case.is_empty(name)]
    if not empty or not _has_helpers(case):
        return
    was_so = case.was("assignedResourceID") is None and any(case.was(name) is None for name in FOR_HELPERS)
    if was_so:
        text = "without a primary resource a task needs billingCodeID and departmentID for secondary ones"
        yield doubt(text, detail=f"it has no {' and no '.join(empty)}")
    else:
        yield reject(
            f"the task has secondary resources and no primary one then, so it needs {' and '.join(empty)}: "
            "give what is empty, or take the secondary resources out first",
            about=empty[0] if case.writes(empty[0]) else "assignedResourceID",
        )


def _has_helpers(case: Case) -> bool:
    number = case.change.id
    if number is None:
        return False
    held = case.related.many("TaskSecondaryResources", "taskID", number)
    return bool(held) or case.related.planned.created("TaskSecondaryResources", number) > 0


def is_work_type(case: Case) -> Iterator[Finding]:
    yield from people.missing(case, "billingCodeID", "BillingCodes")
    yield from people.inactive(case, "billingCodeID", "BillingCodes")
    code = people.referenced(case, "billingCodeID", "BillingCodes")
    if code is not None and known_id(code, "useType") not in (None, WORK_TYPE):
        yield reject(
            f"billingCodeID {named('BillingCodes', code)} is no work type, and a task needs one (useType 1)",
            about="billingCodeID",
        )


def active_role(case: Case) -> Iterator[Finding]:
    """A task cannot be created with an inactive role; one that has it may keep it (TasksEntity.htm)."""
    field = "assignedResourceRoleID"
    yield from people.missing(case, field, "Roles")
    role = people.referenced(case, field, "Roles")
    if role is None or role.get("isActive") is not False:
        return
    if case.is_create:
        yield reject(
            f"{field} {named('Roles', role)}: a task cannot be created with such a role", about=field
        )
    else:
        yield from people.inactive(case, field, "Roles")


def department_follows(case: Case) -> Iterator[Finding]:
    """With a primary resource, departmentID is set to that resource's department."""
    if not case.is_set("assignedResourceID"):
        return
    if case.writes("departmentID"):
        yield effect("departmentID is not what the row says: the API sets it to that of the primary resource")
    elif case.is_update and case.writes("assignedResourceID"):
        stays = (
            ""
            if _is_at_home(case)
            else "in another department than that of who has them, where undo puts them"
        )
        moves = (("Tasks", case.change.id or 0, ("departmentID",)),)
        yield effect(
            "the API sets departmentID to that of the new primary resource", stays=stays, moves=moves
        )


def _is_at_home(case: Case) -> bool:
    """Whether the task is in the default department of whose it is now."""
    person, department = case.was("assignedResourceID"), case.was("departmentID")
    if not isinstance(person, int):
        return False
    held = case.related.many("ResourceRoleDepartments", "resourceID", person) or ()
    return any(one.get("departmentID") == department for one in held if one.get("isDefault"))


def location(case: Case) -> Iterator[Finding]:
    """Active, and of the project's company."""
    field = "companyLocationID"
    yield from people.missing(case, field, "CompanyLocations")
    place = people.referenced(case, field, "CompanyLocations")
    if place is None:
        return
    if place.get("isActive") is False:
        yield reject(f"{field} {named('CompanyLocations', place)}: a task needs an active one", about=field)
    number = places.project_of(case)
    project = case.related.one("Projects", number) if number is not None else None
    if project is not None:
        company = known_id(project, "companyID")
        yield from places.same_company(case, field, "CompanyLocations", company, f"project {number}")


def completion(case: Case) -> Iterator[Finding]:
    """Complete sets remainingHours to 0 and freezes it."""
    if case.ref("status") != COMPLETE:
        if case.is_update and case.was("status") == COMPLETE:
            yield doubt("a task that is complete is opened again", about="status")
            if case.writes("remainingHours"):
                text = "opening a complete task again, the API may keep its remainingHours at 0"
                yield effect(f"{text}: once it is open it takes them, so do the same again then")
    elif case.writes("remainingHours"):
        yield effect("remainingHours is not what the row says: of a task that is complete the API keeps 0")
    elif case.writes("status"):
        text = "completing a task, the API sets its remainingHours to 0, and keeps it so"
        stays = "whose remainingHours come back only where they can be read and the API takes them"
        if case.is_update and case.entity.find("remainingHours") is not None:
            yield effect(text, about="status", loses=("remainingHours",), stays=stays)
        else:
            yield effect(text)


def portal(case: Case) -> Iterator[Finding]:
    hidden = case.is_false("isVisibleInClientPortal") or case.is_empty("isVisibleInClientPortal")
    if (
        hidden
        and case.writes("canClientPortalUserCompleteTask")
        and case.is_true("canClientPortalUserCompleteTask")
    ):
        yield effect(
            "canClientPortalUserCompleteTask becomes false, since isVisibleInClientPortal is not true"
        )


PHASES = (
    rule(places.not_in_baseline, own="projectID"),
    rule(
        partial(dates.in_order, start="startDate", end="dueDate"),
        on="startDate dueDate",
        own="startDate dueDate",
    ),
    rule(partial(dates.inside_project, start="startDate", end="dueDate"), on="startDate dueDate"),
    rule(partial(phase_of_project, field="parentPhaseID"), on="parentPhaseID", own="projectID"),
    rule(no_circle, on="parentPhaseID"),
    rule(places.not_in_complete, own="projectID"),
)
_SPAN = "startDateTime endDateTime"
TASKS = (
    rule(places.not_in_baseline, own="projectID"),
    rule(people.both_or_none, on=people.PEOPLE, own=people.PEOPLE),
    rule(partial(people.can_be_assigned, field="assignedResourceID"), on="assignedResourceID"),
    rule(active_role, on="assignedResourceRoleID"),
    rule(people.has_task_role, on=people.PEOPLE, own=people.PEOPLE),
    rule(
        partial(people.not_secondary, entity="TaskSecondaryResources", parent="taskID"),
        on="assignedResourceID",
    ),
    rule(needs_work_type, on="assignedResourceID billingCodeID", own="assignedResourceID billingCodeID"),
    rule(needs_for_helpers, own="assignedResourceID billingCodeID departmentID"),
    rule(is_work_type, on="billingCodeID"),
    rule(
        department_follows,
        on="assignedResourceID departmentID", own="assignedResourceID departmentID",
    ),
    rule(location, on="companyLocationID", own="projectID"),
    rule(partial(phase_of_project, field="phaseID"), on="phaseID", own="projectID"),
    rule(partial(dates.in_order, start="startDateTime", end="endDateTime"), on=_SPAN, own=_SPAN),
    rule(partial(dates.inside_project, start="startDateTime", end="endDateTime"), on=_SPAN, own="projectID"),
    rule(dates.moves_successors, on="endDateTime"),
    rule(completion, on="status remainingHours", own="status"),
    rule(places.opens_again, on="status", own="status"),
    rule(
        portal, on="canClientPortalUserCompleteTask isVisibleInClientPortal", own="isVisibleInClientPortal"
    ),
    rule(places.not_in_complete, own="projectID"),
)  # fmt: skip
