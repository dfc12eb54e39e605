"""How tasks move behind their predecessors."""

from __future__ import annotations

from datetime import datetime

from bulkops.simulator.index import Stored
from bulkops.simulator.rules.base import day, days_later, row_of, rows_with
from bulkops.simulator.store import Row, Store


def follow(store: Store, link: Stored, *, seen: frozenset[int] = frozenset()) -> None:
    """DOC (TaskPredecessorsEntity.htm): the successor starts at the predecessor's end plus lagDays.

    INFER: whether its own successors move on (switch `predecessor_moves`), and what becomes of its end
    (`predecessor_end`): the task stays as long as it was, or its end moves only where it would lie before
    the start.
    """
    before = row_of(store, "Tasks", link.get("predecessorTaskID"))
    after = row_of(store, "Tasks", link.get("successorTaskID"))
    if before is None or after is None or not before.get("endDateTime") or after["id"] in seen:
        return
    start = days_later(before["endDateTime"], link.get("lagDays") or 0)
    if start == after.get("startDateTime"):
        return
    store.table("Tasks").update(after["id"], _moved(store, after, start))
    if store.switches.predecessor_moves == "chain":
        successors_follow(store, after["id"], seen=seen | {after["id"]})


def successors_follow(store: Store, task_id: int, *, seen: frozenset[int] = frozenset()) -> None:
    for link in rows_with(store, "TaskPredecessors", "predecessorTaskID", task_id):
        follow(store, link, seen=seen | {task_id})


def is_circle(store: Store, before: int, after: int) -> bool:
    """Whether `before` comes after `after` already, so that each would wait for the other."""
    asked, found = [before], {before}
    while asked:
        for link in rows_with(store, "TaskPredecessors", "successorTaskID", asked.pop()):
            earlier = link["predecessorTaskID"]
            if earlier == after:
                return True
            if earlier not in found:
                found.add(earlier)
                asked.append(earlier)
    return before == after


def _moved(store: Store, task: Stored, start: str) -> Row:
    """The changes of a task that now starts at `start`; the API user is who changed it last."""
    moved: Row = {
        "startDateTime": start,
        "lastActivityDateTime": store.now(),
        "lastActivityPersonType": 1,
        "lastActivityResourceID": store.api_resource_id,
    }
    end = task.get("endDateTime")
    if end and store.switches.predecessor_end == "duration" and task.get("startDateTime"):
        end = days_later(end, _days_between(task["startDateTime"], start))
    if end and day(end) < day(start):
        end = start
    if end and end != task.get("endDateTime"):
        moved["endDateTime"] = day(end) + "T00:00:00.000Z"
    return moved


def _days_between(first: str, second: str) -> int:
    try:
        return (datetime.fromisoformat(day(second)) - datetime.fromisoformat(day(first))).days
    except ValueError:
        return 0
