"""Somebody works in the tenant between plan and apply: what they did is neither closed nor lost unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

CLOSE = """\
version: 1
name: close
tenant: acme
limits: {{update: {{percent: 100, count: 500}}}}
close_projects:
  where: [{{field: endDateTime, op: lt, value: 2027-01-01}}]
  status: Complete
  open_tasks: {open_tasks}
  note: {{title: Closed, description: Year end clean-up}}
"""
COMPLETE = 5


def named(desk: Desk) -> dict[str, dict[str, Any]]:
    return {row["projectName"]: row for row in desk.simulator.rows("Projects")}


def open_one_more(desk: Desk, project: int) -> int:
    """A colleague adds an open task, like one that is there."""
    like = {
        name: value
        for name, value in desk.simulator.rows("Tasks")[0].items()
        if name not in ("id", "phaseID")
    }
    (made,) = desk.simulator.load("Tasks", {**like, "projectID": project, "title": "New", "status": 1})
    return made


def edit(desk: Desk, number: str, **values: Any) -> None:
    id = desk.simulator.numbered()[number]["id"]
    desk.simulator.call("edit/Companies", {"items": [{"id": id, **values}]})


def phones(desk: Desk) -> dict[str, str]:
    return {number: row["phone"] for number, row in desk.simulator.numbered().items()}


def planned_again(desk: Desk, rows: int) -> None:
    """As many customers as there are, with new phones and names in a plan that waits to be applied."""
    desk.customers(rows)
    desk.plan("customers.yaml")
    desk.apply("customers.plan")
    path = desk.folder / "customers.csv"
    text = path.read_text("utf-8").replace("555-", "777-").replace("Customer ", "Client ")
    path.write_text(text, "utf-8")
    desk.plan("customers.yaml", "-o", "there.plan")


def test_a_project_that_got_an_open_task_since_the_plan_is_not_closed(desk: Desk) -> None:
    """The plan said how many tasks the API completes: neither note nor status where there is one more now.
    Who overwrites closes it all the same.
    """
    desk.write("close.yaml", CLOSE.format(open_tasks="complete"))
    desk.plan("close.yaml")
    project = named(desk)["Practice server move"]["id"]
    task = open_one_more(desk, project)
    told = desk.apply("close.plan", "--on-drift", "stop", code=1)["waiting"]
    assert f'Projects {project} "Practice server move": it had 4 open tasks and has 5 now' in told
    assert desk.simulator.writes() == 0
    counts = desk.apply("close.plan", code=4)["counts"]
    assert (counts["held"], counts["applied"]) == (2, 8)
    assert named(desk)["Practice server move"]["status"] != COMPLETE
    assert next(row for row in desk.simulator.rows("Tasks") if row["id"] == task)["status"] != COMPLETE
    said = desk.run("status", "close.plan").out
    assert "it had 4 open tasks and has 5 now: it was changed since the plan was made" in said
    desk.plan("close.yaml", "-o", "again.plan")
    open_one_more(desk, project)
    desk.apply("again.plan", "--on-drift", "overwrite", code=4)
    assert named(desk)["Practice server move"]["status"] == COMPLETE


def test_refuse_means_the_tasks_there_are_when_it_is_applied(desk: Desk) -> None:
    """A project without open tasks is planned; one that has one by then stays open."""
    for row in desk.simulator.rows("Tasks"):
        desk.simulator.call("edit/Tasks", {"items": [{"id": row["id"], "status": COMPLETE}]})
    desk.write("close.yaml", CLOSE.format(open_tasks="refuse"))
    assert desk.plan("close.yaml")["counts"]["update"] == 5
    open_one_more(desk, named(desk)["Bakery wireless"]["id"])
    assert desk.apply("close.plan", code=4)["counts"]["held"] == 2
    assert named(desk)["Bakery wireless"]["status"] != COMPLETE
    assert "it had no open tasks and has 1 now" in desk.run("status", "close.plan").out


def test_undo_gives_back_what_somebody_wrote_and_was_overwritten(desk: Desk) -> None:
    """What was there when it was overwritten, not what the plan had seen; undo shows it before."""
    planned_again(desk, 3)
    edit(desk, "K-0002", phone="theirs")
    said = desk.run("apply", "there.plan", "--yes", "--on-drift", "overwrite", "--allow", "update=3").err
    assert "customers.csv:3  overwritten: phone was 'theirs', and not '555-0002'" in said
    assert said.count("overwritten") == 1 and phones(desk)["K-0002"] == "777-0002"
    (row,) = [row for row in desk.results("there.plan")["applied"] if row["bulkops_reason"]]
    assert row["bulkops_reason"] == "overwritten: phone was 'theirs', and not '555-0002'"
    desk.run("undo", "there.plan", "-o", "back.plan")
    assert "theirs" in desk.run("show", "back.plan").out
    assert desk.apply("back.plan", "--allow", "update=3")["counts"]["applied"] == 3
    assert phones(desk) == {"K-0001": "555-0001", "K-0002": "theirs", "K-0003": "555-0003"}


@pytest.mark.parametrize("on_drift", ["hold", "overwrite"])
def test_undo_leaves_what_somebody_had_set_to_the_same(desk: Desk, on_drift: str) -> None:
    """One field of two was as planned already: that was their doing, and it stays, whatever it is later."""
    planned_again(desk, 3)
    edit(desk, "K-0001", phone="777-0001")
    edit(desk, "K-0003", phone="777-0003")
    desk.apply("there.plan", "--on-drift", on_drift, "--allow", "update=3")
    edit(desk, "K-0003", phone="later")
    desk.run("undo", "there.plan", "-o", "back.plan")
    assert desk.apply("back.plan", "--allow", "update=3")["counts"]["applied"] == 3
    assert phones(desk) == {"K-0001": "777-0001", "K-0002": "555-0002", "K-0003": "later"}
    names = {number: row["companyName"] for number, row in desk.simulator.numbered().items()}
    assert all(name.startswith("Customer ") for name in names.values())


def test_stop_names_record_and_row_of_what_was_changed(desk: Desk) -> None:
    """Entity, id, by what people know it, file and line."""
    planned_again(desk, 3)
    edit(desk, "K-0002", phone="theirs")
    told = desk.apply("there.plan", "--on-drift", "stop", "--allow", "update=3", code=1)["waiting"]
    id = desk.simulator.numbered()["K-0002"]["id"]
    assert f"row 2 (customers.csv:3), update Companies {id}" in told
    assert "K-0002" in told and "phone was '555-0002' and is 'theirs' now" in told


def test_overwrite_on_a_finished_plan_says_how_held_rows_get_on(desk: Desk) -> None:
    """Nothing is sent for them, and that is said."""
    planned_again(desk, 3)
    edit(desk, "K-0002", phone="theirs")
    desk.apply("there.plan", "--allow", "update=3", code=4)
    ran = desk.run("apply", "there.plan", "--yes", "--on-drift", "overwrite", code=4)
    told = " ".join((ran.out + ran.err).split())
    assert "1 row is held" in told and "--not-created" in told and "bulkops resolve there.plan" in told
    assert phones(desk)["K-0002"] == "theirs"
