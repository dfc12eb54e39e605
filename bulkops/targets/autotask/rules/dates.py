"""Beginnings before ends, and work inside its project. Pure.

Sources: ProjectsEntity.htm, TasksEntity.htm, PhasesEntity.htm, TaskPredecessorsEntity.htm. Ends are dates;
the beginnings of tasks and phases are moments, which in the tenant's own zone can be a day earlier or later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from bulkops.targets.autotask.rules.case import Case, known_id, record_day
from bulkops.targets.autotask.rules.finding import Finding, doubt, effect, reject
from bulkops.targets.autotask.rules.places import project_of
from bulkops.targets.base import RecordData

A_DAY = timedelta(days=1)
SHOWN = 3  # of many
_DATES = ("startDateTime", "endDateTime")
DEEPEST = 10  # predecessors of predecessors that are looked at


def in_order(case: Case, start: str, end: str) -> Iterator[Finding]:
    """A task or a phase ends on the day it begins, or later."""
    first, last = case.day(start), case.day(end)
    if first is None or last is None or last >= first:
        return
    text = f"{end} {last} is before {start} {first}"
    if last >= first - A_DAY:
        yield doubt(f"{end} is the day before {start} in UTC", detail=text)
    else:
        yield reject(
            f"{text}: it may be the same day, and not an earlier one", about=_written(case, end, start)
        )


def projects_in_order(case: Case) -> Iterator[Finding]:
    """Both are dates. The facts say less than, so a project of one day is refused."""
    first, last = case.day("startDateTime"), case.day("endDateTime")
    if first is not None and last is not None and last <= first:
        yield reject(
            f"endDateTime {last} must be later than startDateTime {first}",
            about=_written(case, "endDateTime", "startDateTime"),
        )


def _written(case: Case, *names: str) -> str:
    return next((name for name in names if case.writes(name)), "")


def inside_project(case: Case, start: str, end: str) -> Iterator[Finding]:
    """A project ends no earlier than its tasks. What the API does to a task beyond its end is not known."""
    number = project_of(case)
    project = case.related.one("Projects", number) if number is not None else None
    if project is None:
        return
    begins, ends = (record_day("Projects", project, name) for name in ("startDateTime", "endDateTime"))
    first, last = case.day(start), case.day(end)
    told = []
    if case.writes(end) and ends is not None and last is not None and last > ends:
        told.append(f"ends {last}, project {number} on {ends}")
    if case.writes(start) and begins is not None and first is not None and first < begins - A_DAY:
        told.append(f"begins {first}, project {number} on {begins}")
    if told:
        yield doubt("the dates are outside those of the project", detail="; ".join(told))


def ends_after_work(case: Case) -> Iterator[Finding]:
    """A project's end is not before that of its last phase or task."""
    last = case.day("endDateTime")
    if later := _later(case, last):
        yield reject(
            f"endDateTime {last} is before the end of {_some(later)}: the project ends with its last "
            "phase or task, or later",
            about="endDateTime",
        )


def work_ends_later(case: Case) -> Iterator[Finding]:
    """The end was broken before; whether the API looks at it when something else is written is not said."""
    if not case.writes("endDateTime") and (later := _later(case, case.day("endDateTime"))):
        yield doubt("a phase or task ends after the project", about="endDateTime", detail=_some(later))


def _later(case: Case, last: date | None) -> list[str]:
    """What of the project ends after this day, the last first."""
    if last is None or not case.is_update or case.change.id is None:
        return []
    later: list[tuple[date, str]] = []
    for entity, end in (("Tasks", "endDateTime"), ("Phases", "dueDate")):
        for record in case.related.many(entity, "projectID", case.change.id) or ():
            ends = record_day(entity, record, end)
            if ends is not None and ends > last:
                later.append((ends, f"{entity} {record['id']} ({record.get('title')}) on {ends}"))
    return [text for _, text in sorted(later, reverse=True)]


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - SHOWN:,} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more


def start_is_free(case: Case) -> Iterator[Finding]:
    """A project's start can be changed as long as it has no phases and no tasks."""
    number = case.change.id
    if not case.is_update or number is None:
        return
    held = [(e, case.related.many(e, "projectID", number) or ()) for e in ("Phases", "Tasks")]
    told = [f"{len(records):,} {entity}" for entity, records in held if records]
    if told:
        yield reject(
            f"startDateTime cannot be changed any more: the project has {' and '.join(told)}",
            about="startDateTime",
        )


def moves_successors(case: Case) -> Iterator[Finding]:
    """The tasks that follow begin when this one ends, so they move with it."""
    if not case.is_update or case.change.id is None:
        return
    rows = case.related.many("TaskPredecessors", "predecessorTaskID", case.change.id)
    if rows:
        ids = [str(row.get("successorTaskID")) for row in rows]
        yield effect(
            "the tasks that follow it may be moved by the API as well",
            detail=f"successors: {_some(ids)}",
            stays="that may have moved others",
        )


def moves_successor(case: Case) -> Iterator[Finding]:
    """A successor begins at its predecessor's end plus the lag."""
    first, then = (_task(case, name) for name in ("predecessorTaskID", "successorTaskID"))
    ends = record_day("Tasks", first, "endDateTime") if first is not None else None
    begins = record_day("Tasks", then, "startDateTime") if then is not None else None
    lag = case.ref("lagDays") or 0
    detail = ""
    if ends is not None and abs(lag) < 100_000:
        was = f", until now on {begins}" if begins is not None else ""
        detail = f"task {case.ref('successorTaskID')} begins on {ends + lag * A_DAY}{was}"
    text = "the API moves the successor to the predecessor's end plus lagDays"
    follower = case.ref("successorTaskID")
    moves = (("Tasks", follower, _DATES),) if follower is not None else ()
    yield effect(text, detail=detail, stays="whose successors stay where the API moves them", moves=moves)


def in_one_project(case: Case) -> Iterator[Finding]:
    """Predecessor and successor are tasks of the same project; phases cannot be predecessors."""
    if case.related.lacks("Tasks", number := case.ref("predecessorTaskID") or 0):
        yield reject(
            f"predecessorTaskID {number}: no Tasks record has this id, and phases cannot be predecessors",
            about="predecessorTaskID",
        )
    first, then = (_task(case, name) for name in ("predecessorTaskID", "successorTaskID"))
    if first is None or then is None:
        return
    projects = known_id(first, "projectID"), known_id(then, "projectID")
    if first["id"] == then["id"]:
        yield doubt("a task is its own predecessor", about="predecessorTaskID")
    elif None not in projects and projects[0] != projects[1]:
        yield reject(
            f"predecessorTaskID {first['id']} is of project {projects[0]}, and successorTaskID {then['id']} "
            f"of {projects[1]}: both must be of the same one",
            about="predecessorTaskID",
        )


def no_circle(case: Case) -> Iterator[Finding]:
    """What comes before itself, over whatever is in between, can only be a mistake."""
    last, seen = case.ref("successorTaskID"), set[int]()
    tasks = {case.ref("predecessorTaskID")} - {None}
    for _ in range(DEEPEST):
        above = [case.related.many("TaskPredecessors", "successorTaskID", task) for task in tasks if task]
        rows = [row for found in above for row in found or ()]
        seen |= {task for task in tasks if task is not None}
        tasks = {known_id(row, "predecessorTaskID") for row in rows} - seen - {None}
        if last is not None and last in tasks:
            yield doubt("the successor comes before the predecessor already", about="predecessorTaskID")
            return
        if not tasks:
            return


def _task(case: Case, name: str) -> RecordData | None:
    number = case.ref(name)
    return case.related.one("Tasks", number) if number is not None else None
