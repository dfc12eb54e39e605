"""Completing projects, opening them again, dates and predecessors, as the help pages and the switches say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.simulator import firm, picklists, validation
from bulkops.simulator.rules.schedule import is_circle
from bulkops.simulator.store import Row, Store
from bulkops.simulator.switches import Switches

NOW = "2026-06-01T08:00:00.000Z"
ACTOR = 29851892  # the API user
READ_ONLY = "The project is of type Baseline. It and everything under it is read-only."
LATE = "The project's endDateTime must not be before the end of its last phase or task."


class Client:
    """Writes as a client does, straight into the rules."""

    def __init__(self, **switches: object) -> None:
        self.store = Store(now=lambda: NOW, switches=Switches(), ci=1)
        picklists.load(self.store)
        firm.found(self.store, empty=False)
        self.store.switches.update(switches)
        assert self.store.api_resource_id == ACTOR

    def create(self, entity: str, parent: int | None = None, **body: Any) -> list[str]:
        row, errors = validation.check_create(
            self.store, entity, body, parent_id=parent, actor=ACTOR, impersonating=None
        )
        if not errors:
            made = self.store.table(entity).insert(row)
            validation.after_commit(self.store, entity, "create", self.row(entity, made), {})
        return errors

    def update(self, entity: str, row_id: int, **body: Any) -> list[str]:
        row = self.row(entity, row_id)
        changes, errors = validation.check_update(
            self.store, entity, row, body, actor=ACTOR, impersonating=None
        )
        if not errors:
            self.store.table(entity).update(row_id, changes)
            validation.after_commit(self.store, entity, "update", self.row(entity, row_id), changes)
        return errors

    def row(self, entity: str, row_id: int) -> Row:
        return self.store.table(entity)[row_id]

    def last(self, entity: str) -> int:
        return self.store.table(entity).ids[-1]

    def id(self, entity: str, field: str, value: Any) -> int:
        return self.store.table(entity).ids_of(field, value)[0]

    def project(self, number: str) -> int:
        """By its external number; EXT-1 is in progress, EXT-4 inactive, EXT-6 complete with an open task."""
        return self.id("Projects", "extProjectNumber", number)

    def tasks(self, project: int) -> list[Row]:
        return self.store.table("Tasks").find("projectID", project)


def task(**more: Any) -> Row:
    return {"title": "x", "status": 1, "taskType": 1} | more


# Complete


@pytest.mark.parametrize("number", ["EXT-1", "EXT-4"])
def test_completing_completes_the_open_tasks_and_says_who(number: str) -> None:
    """ProjectsEntity.htm: all tasks, nothing remains, by the API user; an inactive project's as well."""
    client = Client()
    project = client.project(number)
    before = {row["id"]: row for row in client.tasks(project)}
    assert any(row["status"] != 5 and row["remainingHours"] for row in before.values())
    assert client.update("Projects", project, status=5) == []
    for row in client.tasks(project):
        if before[row["id"]]["status"] == 5:
            assert row == before[row["id"]]
            continue
        assert (row["status"], row["remainingHours"], row["completedDateTime"]) == (5, 0, NOW)
        assert (row["completedByResourceID"], row["lastActivityResourceID"]) == (ACTOR, ACTOR)
        kept = ("assignedResourceID", "estimatedHours", "endDateTime", "title", "billingCodeID")
        assert [row[name] for name in kept] == [before[row["id"]][name] for name in kept]


def test_a_date_of_completion_that_is_given_stays() -> None:
    """completedDateTime and statusDateTime are writable (field table of ProjectsEntity.htm)."""
    client = Client()
    day = "2026-05-30T00:00:00.000Z"
    project = client.project("EXT-1")
    assert client.update("Projects", project, status=5, completedDateTime=day, statusDateTime=day) == []
    row = client.row("Projects", project)
    assert (row["completedDateTime"], row["statusDateTime"], row["completedPercentage"]) == (day, day, 100)


@pytest.mark.parametrize("body", [{"status": 5}, {"status": 5, "statusDateTime": NOW}])
def test_complete_again_touches_no_task(body: Row) -> None:
    """Only the step to Complete completes: EXT-6 has a task that was opened again."""
    client = Client()
    project = client.project("EXT-6")
    before = client.tasks(project)
    assert client.update("Projects", project, **body) == []
    assert client.tasks(project) == before and before[-1]["remainingHours"] == 1.5


def test_percentage_and_other_read_only_fields_are_ignored() -> None:
    """_EntitiesOverview.htm: read-only fields in a body are ignored, without a word."""
    client = Client()
    project = client.project("EXT-1")
    body = {"completedPercentage": 100, "actualHours": 9.0, "companyOwnerResourceID": 4, "companyID": 0}
    before = client.row("Projects", project)
    assert client.update("Projects", project, description="x", **body) == []
    row = client.row("Projects", project)
    assert {name for name in row if row[name] != before[name]} == {"description", "lastActivityResourceID"}


def test_a_baseline_is_not_completed() -> None:
    """ProjectsEntity.htm: it and everything under it is read-only."""
    client = Client()
    frozen = client.id("Projects", "projectType", 8)
    before = client.tasks(frozen)
    assert client.update("Projects", frozen, status=5) == [READ_ONLY]
    assert client.update("Tasks", before[0]["id"], status=5) == [READ_ONLY]
    assert client.tasks(frozen) == before and before[0]["remainingHours"] == 10


@pytest.mark.parametrize("status", [1, 8, 9, 5])
def test_any_other_status_activates_an_inactive_project(status: int) -> None:
    """ProjectsEntity.htm: inactive is a status like others."""
    client = Client()
    project = client.project("EXT-4")
    assert client.update("Projects", project, status=status) == []
    assert client.row("Projects", project)["status"] == status


@pytest.mark.parametrize(("switch", "refused"), [("allow", 0), ("refuse", 1)])
def test_whether_the_api_makes_baselines(switch: str, refused: int) -> None:
    """REPORT: it does not; neither by a create nor by another type."""
    client = Client(baseline_create=switch)
    dates = {"startDateTime": "2026-07-01", "endDateTime": "2026-07-31"}
    body: Row = {"projectName": "x", "companyID": 0, "projectType": 8, "status": 1} | dates
    assert len(client.create("Projects", **body)) == refused
    assert len(client.update("Projects", client.project("EXT-1"), projectType=8)) == refused


# open again


def test_opening_again_leaves_the_tasks_complete() -> None:
    """INFER: the date of completion goes; each task is opened by itself, with the hours it is given."""
    client = Client()
    project = client.project("EXT-1")
    count = len(client.tasks(project))
    client.update("Projects", project, status=5)
    assert client.update("Projects", project, status=8) == []
    row = client.row("Projects", project)
    assert (row["completedDateTime"], row["completedPercentage"]) == (None, 100)
    assert all(row["status"] == 5 for row in client.tasks(project))
    opened = client.tasks(project)[0]["id"]
    assert client.update("Tasks", opened, status=8, remainingHours=7.5) == []
    assert client.row("Tasks", opened)["remainingHours"] == 7.5
    assert client.row("Tasks", opened)["completedByResourceID"] is None
    client.update("Projects", project, status=5)
    client.store.table("Tasks").update(opened, {"status": 8})
    client.update("Projects", project, status=9)
    assert client.row("Projects", project)["completedPercentage"] == 100 * (count - 1) // count


def test_opening_again_may_be_refused() -> None:
    """Switch `project_reopen`; other fields can be written all the same."""
    client = Client(project_reopen="refuse")
    project = client.project("EXT-6")
    assert "cannot be given another status" in client.update("Projects", project, status=8)[0]
    assert client.update("Projects", project, description="x", status=5) == []


def test_what_is_under_a_complete_project_may_be_closed() -> None:
    """Switch `complete_project`: tasks, phases and what plans them; notes go on."""
    client = Client(complete_project="read_only")
    project = client.project("EXT-6")
    held = client.tasks(project)[0]["id"]
    closed = ["The project is complete. Its phases and tasks are read-only."]
    assert client.update("Tasks", held, title="x") == closed
    assert client.create("Tasks", project, **task()) == closed
    assert client.create("Phases", project, title="x") == closed
    pair = {
        "resourceID": client.id("Resources", "userName", "maria.santos"),
        "roleID": client.id("Roles", "name", "Engineer"),
    }
    assert client.create("TaskSecondaryResources", held, **pair) == closed
    note = {"title": "x", "description": "x", "noteType": 5, "publish": 1, "isAnnouncement": False}
    assert client.create("ProjectNotes", project, **note) == []
    assert client.update("Projects", project, status=8) == []
    assert client.update("Tasks", held, title="x") == []


# dates


@pytest.mark.parametrize(("switch", "errors"), [("changed", []), ("always", [LATE])])
def test_a_task_that_ends_late_stands_in_the_way(switch: str, errors: list[str]) -> None:
    """ProjectsEntity.htm: the end covers the tasks. When it is looked at: switch `project_dates`."""
    client = Client(project_dates=switch)
    project = client.project("EXT-1")
    late = client.tasks(project)[0]["id"]
    assert client.update("Tasks", late, endDateTime="2026-12-24") == []
    assert client.update("Projects", project, status=5) == errors
    assert client.update("Projects", project, endDateTime="2026-06-30") == [LATE]
    assert client.update("Projects", project, status=5, endDateTime="2026-12-24") == []


@pytest.mark.parametrize(
    ("switch", "errors", "end"),
    [("allow", 0, "2026-05-29"), ("refuse", 1, "2026-05-29"), ("extend", 0, "2026-07-10")],
)
def test_a_task_that_ends_after_its_project(switch: str, errors: int, end: str) -> None:
    """INFER: nobody says what becomes of it; switch `task_beyond_project`."""
    client = Client(task_beyond_project=switch)
    project = client.project("EXT-1")
    assert len(client.create("Tasks", project, **task(endDateTime="2026-07-10"))) == errors
    assert len(client.update("Tasks", client.tasks(project)[0]["id"], endDateTime="2026-07-03")) == errors
    assert client.row("Projects", project)["endDateTime"][:10] == end


# predecessors


def chain(client: Client) -> tuple[int, int, int]:
    """Three tasks, one behind the other, linked: 2 days of lag, then none."""
    project = client.project("EXT-1")
    dates = [("2026-03-02", "2026-03-10"), ("2026-03-03", "2026-03-06"), ("2026-03-04", "2026-03-05")]
    made = []
    for start, end in dates:
        assert client.create("Tasks", project, **task(startDateTime=start, endDateTime=end)) == []
        made.append(client.last("Tasks"))
        client.store.table("Tasks").update(made[-1], {"lastActivityResourceID": 4})
    first, second, third = made
    assert client.create("TaskPredecessors", third, predecessorTaskID=second) == []
    assert client.create("TaskPredecessors", second, predecessorTaskID=first, lagDays=2) == []
    return first, second, third


def span(client: Client, task_id: int) -> tuple[str, str]:
    row = client.row("Tasks", task_id)
    return row["startDateTime"][5:10], row["endDateTime"][5:10]


@pytest.mark.parametrize(
    ("moves", "end", "second_is", "third_is"),
    [
        ("create", "clamp", ("03-12", "03-12"), ("03-06", "03-06")),
        ("create", "duration", ("03-12", "03-15"), ("03-06", "03-07")),
        ("chain", "clamp", ("03-12", "03-12"), ("03-12", "03-12")),
        ("chain", "duration", ("03-12", "03-15"), ("03-15", "03-16")),
    ],
)
def test_a_predecessor_moves_who_comes_after(
    moves: str, end: str, second_is: tuple[str, str], third_is: tuple[str, str]
) -> None:
    """TaskPredecessorsEntity.htm: start is the end before plus lag. How far it goes on: two switches."""
    client = Client(predecessor_moves=moves, predecessor_end=end)
    _, second, third = chain(client)
    assert (span(client, second), span(client, third)) == (second_is, third_is)
    row = client.row("Tasks", second)
    assert (row["lastActivityResourceID"], row["lastActivityDateTime"]) == (ACTOR, NOW)


@pytest.mark.parametrize(("moves", "start"), [("create", "03-12"), ("lag", "03-15"), ("chain", "03-15")])
def test_another_lag_may_move_the_successor(moves: str, start: str) -> None:
    """TaskPredecessorsEntity.htm: only lagDays is updated; whether that moves: `predecessor_moves`."""
    client = Client(predecessor_moves=moves)
    second = chain(client)[1]
    assert client.update("TaskPredecessors", client.last("TaskPredecessors"), lagDays=5) == []
    assert span(client, second)[0] == start


@pytest.mark.parametrize(("moves", "start"), [("lag", "03-12"), ("chain", "04-02")])
def test_another_end_may_move_the_successor(moves: str, start: str) -> None:
    """INFER, with `chain`: what comes after goes with the end of a task."""
    client = Client(predecessor_moves=moves)
    first, second, _ = chain(client)
    assert client.update("Tasks", first, endDateTime="2026-03-31") == []
    assert span(client, second)[0] == start


def test_tasks_do_not_wait_for_each_other() -> None:
    """INFER: a circle is refused; without inferred rules it is taken, and moving ends all the same."""
    client = Client(predecessor_moves="chain")
    first, _, third = chain(client)
    text = ["A Task cannot come before its own predecessors."]
    assert client.create("TaskPredecessors", first, predecessorTaskID=third) == text
    client.store.switches.update({"inferred": "off"})
    assert client.create("TaskPredecessors", first, predecessorTaskID=third, lagDays=3) == []
    assert client.update("Tasks", first, endDateTime="2026-04-30") == []


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=14))
@settings(max_examples=60, deadline=None)
def test_a_circle_is_always_found(pairs: list[tuple[int, int]]) -> None:
    """Links taken one by one: refused are exactly those whose end leads back to their begin."""
    store = Store(now=lambda: NOW, switches=Switches(), ci=1)
    taken: set[tuple[int, int]] = set()
    for before, after in pairs:
        leads_back = before == after or before in reached(taken, after)
        assert is_circle(store, before, after) is leads_back
        if not leads_back:
            store.table("TaskPredecessors").insert({"predecessorTaskID": before, "successorTaskID": after})
            taken.add((before, after))


def reached(links: set[tuple[int, int]], start: int) -> set[int]:
    found, asked = {start}, {start}
    while asked:
        asked = {after for before, after in links if before in asked} - found
        found |= asked
    return found
