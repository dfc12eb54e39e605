"""What this API user cannot see is there all the same: closing projects, moving tickets, and the way back."""

from __future__ import annotations

from typing import Any

from tests.acceptance.conftest import Desk

CLOSE = """\
version: 1
name: close
tenant: acme
limits: {{update: {{percent: 100, count: 500}}}}
close_projects:
  where: [{{field: status, op: noteq, value: Complete}}]
  status: Complete
  open_tasks: {open_tasks}
"""
MOVE = """\
version: 1
name: move
tenant: acme
limits: {update: {percent: 100, count: 500}}
steps:
  - {name: tickets, entity: Tickets, action: update, source: {file: move.csv}, match: [id],
     fields: {id: id, companyID: companyID}}
"""
COMPLETE = 5


def hide(desk: Desk, *entities: str) -> None:
    """From now on this API user sees only some of their records: those with even ids."""
    desk.simulator.call("switches", {"restricted": ",".join(entities)})


def status_of(desk: Desk, entity: str) -> dict[int, int]:
    return {row["id"]: row["status"] for row in desk.simulator.rows(entity)}


def test_refuse_writes_nothing_where_open_tasks_may_be_hidden(desk: Desk) -> None:
    """One sentence with what to do, at the place in the file."""
    hide(desk, "Tasks")
    desk.write("close.yaml", CLOSE.format(open_tasks="refuse"))
    told = desk.refused("plan", "close.yaml")
    assert told.startswith("close.yaml:8: this API user does not see all Tasks records")
    assert desk.simulator.writes() == 0


def test_hidden_tasks_are_completed_as_told_and_stay_so(desk: Desk) -> None:
    """What was open and can be seen is open again after undo, what was hidden is not, as the plan says."""
    before = status_of(desk, "Tasks")
    hide(desk, "Tasks")
    desk.write("close.yaml", CLOSE.format(open_tasks="complete"))
    told = " ".join(desk.plan("close.yaml")["warnings"])
    assert "5 updates: this API user sees only some Tasks records" in told
    shown = desk.run("show", "close.plan").out
    assert (
        "5 Projects in which the API completes open tasks that are hidden as well, and those stay complete"
        in shown
    )
    desk.apply("close.plan", code=4)
    done = {id for id, status in status_of(desk, "Tasks").items() if status != before[id]}
    assert {id % 2 for id in done} == {0, 1}, "of both kinds"
    desk.run("undo", "close.plan")
    desk.apply("close.undo.plan")
    assert {id for id, status in status_of(desk, "Tasks").items() if status != before[id]} == {
        id for id in done if id % 2
    }


def test_a_plain_job_that_completes_a_project_says_the_same(desk: Desk) -> None:
    """And says nothing of the kind where all tasks can be seen."""
    some = next(row["id"] for row in desk.simulator.rows("Projects") if row["status"] != COMPLETE)
    desk.table("p.csv", ("id", "status"), (some, "Complete"))
    desk.write(
        "plain.yaml", MOVE.replace("Tickets", "Projects").replace("move", "p").replace("companyID", "status")
    )
    assert "hidden" not in desk.run("plan", "plain.yaml").out
    hide(desk, "Tasks")
    said = desk.run("plan", "plain.yaml", "-o", "second.plan").out
    assert "Warning: tickets: 1 update: this API user sees only some Tasks records" in said
    assert "not as it was: 1 Projects in which the API completes open tasks that are hidden" in said


def test_tickets_move_with_contacts_and_locations_that_cannot_be_seen(desk: Desk) -> None:
    """None is left half written, and undo gives each what it had."""
    desk.simulator.call("switches", {"ticket_company": "stored"})
    held = [row for row in desk.simulator.rows("Tickets") if row["contactID"] or row["companyLocationID"]]
    firms = [row["id"] for row in desk.simulator.rows("Companies") if row["id"]]
    other = {row["id"]: next(id for id in firms if id != row["companyID"]) for row in held}
    hide(desk, "Contacts", "CompanyLocations")
    desk.table("move.csv", ("id", "companyID"), *other.items())
    desk.write("move.yaml", MOVE)
    told = " ".join(desk.plan("move.yaml")["warnings"])
    assert "what this API user cannot see is taken for that company's, and cleared as well" in told
    assert " hidden contacts" in told and " hidden locations" in told
    assert desk.apply("move.plan")["counts"]["applied"] == len(held)
    assert places(desk) == {id: (company, None, None) for id, company in other.items()}
    desk.run("undo", "move.plan")
    assert desk.apply("move.undo.plan")["counts"]["applied"] == len(held)
    was = {row["id"]: (row["companyID"], row["contactID"], row["companyLocationID"]) for row in held}
    assert {id: place for id, place in places(desk).items() if id in was} == was


def places(desk: Desk) -> dict[int, tuple[Any, Any, Any]]:
    """Of each ticket: company, contact, location."""
    rows = desk.simulator.rows("Tickets")
    return {row["id"]: (row["companyID"], row["contactID"], row["companyLocationID"]) for row in rows}
