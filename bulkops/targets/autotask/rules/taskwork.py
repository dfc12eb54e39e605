"""Who helps with a task, what it waits for, and its notes. Pure.

Sources: TaskSecondaryResourcesEntity.htm, TaskPredecessorsEntity.htm, TaskNotesEntity.htm, TasksEntity.htm
(REST-FACTS 8.1.6 to 8.1.10).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bulkops.record import Created
from bulkops.targets.autotask.rules import dates, people, places
from bulkops.targets.autotask.rules.case import EVERY, Case, known_id, named, rule
from bulkops.targets.autotask.rules.finding import Finding, doubt, reject
from bulkops.targets.base import RecordData

MOST_SECONDARY = 50  # of a task


def not_primary(case: Case) -> Iterator[Finding]:
    """The secondary resource cannot be the primary one."""
    task, person = _task(case), case.ref("resourceID")
    if task is not None and person is not None and known_id(task, "assignedResourceID") == person:
        yield reject(
            f"resourceID {person} is the primary resource of {_called(case, task)} already",
            about="resourceID",
        )


def has_room(case: Case) -> Iterator[Finding]:
    """A task has at most 50; nothing is said of the same person twice, which tickets refuse."""
    number, person = case.ref("taskID"), case.ref("resourceID")
    if number is None:
        return
    held = case.related.many("TaskSecondaryResources", "taskID", number)
    if held is None:
        return
    count = len(held) + case.related.planned.created("TaskSecondaryResources", number)
    if count >= MOST_SECONDARY:
        yield reject(
            f"taskID {number} has {count} secondary resources already, the most there can be", about="taskID"
        )
    joined = case.related.planned.joined("TaskSecondaryResources", number)
    if person in joined or any(row.get("resourceID") == person for row in held if person is not None):
        text = f"resourceID {person} on task {number}"
        yield doubt("the person is a secondary resource of the task already", detail=text)


def has_department(case: Case) -> Iterator[Finding]:
    """With secondary resources only, a task needs a work type and a department."""
    task = _task(case)
    if task is None or task.get("assignedResourceID") is not None:
        return
    empty = [name for name in ("billingCodeID", "departmentID") if task.get(name) is None]
    if empty:
        yield doubt(
            "without a primary resource a task needs billingCodeID and departmentID for secondary ones",
            about="taskID", detail=f"{_called(case, task)} has no {' and no '.join(empty)}",
        )  # fmt: skip


def _task(case: Case) -> RecordData | None:
    """The task as earlier rows leave it, or make it."""
    number = case.value("taskID")
    if isinstance(number, Created):
        return case.related.planned.made("Tasks", number.change)
    return case.related.one("Tasks", number) if isinstance(number, int) else None


def _called(case: Case, task: RecordData) -> str:
    number = case.value("taskID")
    if isinstance(number, Created):
        return f"the task of row {number.change} ({task.get('title')})"
    return f"task {named('Tasks', task)}"


def written_by_contact(case: Case) -> Iterator[Finding]:
    """A note in a contact's name is for all to see; the contact is of the task's company or its parent."""
    field = "createdByContactID"
    yield from people.missing(case, field, "Contacts")
    yield from places.is_active_contact(case, field)
    publish = case.ref("publish")
    if publish not in (None, 1):
        yield reject(
            f"publish must be 1 (all Autotask users) in a contact's name, and is {publish}", about=field
        )
    number = places.project_of(case, "taskID")
    project = case.related.one("Projects", number) if number is not None else None
    company = known_id(project, "companyID") if project is not None else None
    yield from places.contact_of_family(case, field, company, f"project {number}")


_of_task = partial(places.not_in_baseline, through="taskID")
SECONDARY = (
    rule(_of_task, actions=EVERY, own="taskID"),
    rule(partial(places.not_in_complete, through="taskID"), actions=EVERY, own="taskID"),
    rule(not_primary, on="resourceID taskID"),
    rule(has_room, on="resourceID taskID"),
    rule(has_department, on="taskID"),
    rule(partial(people.can_be_assigned, field="resourceID"), on="resourceID"),
    rule(partial(people.missing, field="roleID", entity="Roles"), on="roleID"),
    rule(partial(people.inactive, field="roleID", entity="Roles"), on="roleID"),
    rule(partial(people.has_role, resource="resourceID", role="roleID"), on="resourceID roleID"),
)
PREDECESSORS = (
    rule(partial(places.not_in_baseline, through="successorTaskID"), actions=EVERY, own="successorTaskID"),
    rule(partial(places.not_in_complete, through="successorTaskID"), actions=EVERY, own="successorTaskID"),
    rule(dates.in_one_project, on="predecessorTaskID successorTaskID"),
    rule(dates.no_circle, on="predecessorTaskID successorTaskID"),
    rule(
        dates.moves_successor,
        on="predecessorTaskID successorTaskID lagDays",
        own="predecessorTaskID successorTaskID",
    ),
)
TASK_NOTES = (
    rule(_of_task, own="taskID"),
    rule(written_by_contact, on="createdByContactID", own="taskID publish"),
)
PROJECT_NOTES = (rule(places.not_in_baseline, own="projectID"),)
