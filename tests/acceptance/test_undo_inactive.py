"""Work that was handed over, and somebody who left for good: what cannot go back is said before any write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.acceptance.records import snapshot

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

JOB = """\
version: 1
name: leave
tenant: acme
limits: {update: {percent: 100}, delete: {percent: 100}}
reassign:
  from: daniel.osei@northgate.test
  to: [tomas.lindqvist@northgate.test]
  entities: [Tasks, Tickets, Projects, TaskSecondaryResources, TicketSecondaryResources, CompanyToDos,
    Opportunities, ServiceCalls]
"""


def handed_over(desk: Desk) -> int:
    """Plans and applies it; returns the id of who gave everything away, and is inactive from now on."""
    desk.write("leave.yaml", JOB)
    desk.plan("leave.yaml")
    desk.apply("leave.plan", code=4)
    daniel = next(row for row in desk.simulator.rows("Resources") if row["userName"] == "daniel.osei")
    desk.simulator.call("edit/Resources", {"items": [{"id": daniel["id"], "isActive": False}]})
    return int(daniel["id"])


def test_what_would_go_back_to_somebody_inactive_is_rejected_in_the_undo_plan(desk: Desk) -> None:
    """Every such row, of every kind of work, with who it is and what to do; nothing of them is sent."""
    daniel = handed_over(desk)
    after, writes = snapshot(desk.simulator), desk.simulator.writes()
    shown = desk.run("undo", "leave.plan").out
    changes = desk.run("show", "leave.undo.plan", "--json").rows
    told = (
        f"{daniel} (Daniel Osei, inactive) cannot be assigned: make them active in Autotask for the time, or "
        "give the work to somebody else"
    )
    assert {change["entity"] for change in changes} == {
        "Tasks", "Tickets", "Projects", "TaskSecondaryResources", "TicketSecondaryResources", "CompanyToDos",
        "Opportunities", "ServiceCallTaskResources", "ServiceCallTicketResources",
    }  # fmt: skip
    assert all(change["action"] == "rejected" and told in change["reason"] for change in changes)
    assert f"Plan: 0 to create, 0 to update, 0 to delete, 0 unchanged, {len(changes)} rejected." in shown
    counts = desk.apply("leave.undo.plan", code=4)["counts"]
    assert (counts["applied"], counts["rejected"]) == (0, len(changes))
    assert desk.simulator.writes() == writes
    assert snapshot(desk.simulator) == after


def test_who_is_active_again_gets_everything_back(desk: Desk) -> None:
    """What the sentence says to do helps: the undo plan that is made then takes all of it back."""
    daniel = handed_over(desk)
    desk.run("undo", "leave.plan")
    desk.simulator.call("edit/Resources", {"items": [{"id": daniel, "isActive": True}]})
    desk.run("undo", "leave.plan")
    counts = desk.apply("leave.undo.plan")["counts"]
    assert counts["applied"] and counts["rejected"] == counts["held"] == 0
    assert any(row["assignedResourceID"] == daniel for row in desk.simulator.rows("Tasks"))


CALLS = {"ServiceCallTaskResources": "serviceCallTaskID", "ServiceCallTicketResources": "serviceCallTicketID"}


def sent(desk: Desk) -> set[tuple[str, int, int]]:
    """Who is on which service call."""
    return {
        (entity, row[link], row["resourceID"])
        for entity, link in CALLS.items()
        for row in desk.simulator.rows(entity)
    }


def on_a_call(desk: Desk) -> int:
    """A tenant that sends only those on a call whose work it is. Returns a task of the giver, which all of
    their calls are about now.
    """
    desk.simulator.call("switches", {"service_call_resource": "assigned"})
    people = desk.simulator.rows("Resources")
    daniel = next(row["id"] for row in people if row["userName"] == "daniel.osei")
    tasks = desk.simulator.rows("Tasks")
    helped = {row["taskID"] for row in desk.simulator.rows("TaskSecondaryResources")}
    mine = [row["id"] for row in tasks if row["assignedResourceID"] == daniel and row["status"] != 5]
    task = next(int(id) for id in mine if id not in helped)
    for link in desk.simulator.rows("ServiceCallTasks"):
        edit = {"items": [{"id": link["id"], "taskID": task}]}
        desk.simulator.call("edit/ServiceCallTasks", edit)
    desk.write("leave.yaml", JOB)
    desk.plan("leave.yaml")
    return task


def test_who_follows_the_work_goes_on_the_call_after_it(desk: Desk) -> None:
    """An entry of a service call waits for the task or ticket that brings its person there, and a tenant that
    sends nobody else on calls takes it.
    """
    task = on_a_call(desk)
    rows = desk.run("show", "leave.plan", "--json").rows
    (work,) = [row["change"] for row in rows if (row["entity"], row["id"]) == ("Tasks", task)]
    made = [row for row in rows if row["step"] == "ServiceCallTaskResources in"]
    assert made and all(work in row["waits_for"] for row in made)
    steps = {one["step"]: one["counts"] for one in desk.apply("leave.plan", code=4)["steps"]}
    assert steps["ServiceCallTaskResources in"]["applied"] == len(made)


def test_who_was_on_the_call_comes_back_when_the_work_is_theirs_again(desk: Desk) -> None:
    """The same tenant takes the way back, and the way there once more: nothing is doubted or refused."""
    on_a_call(desk)
    before = sent(desk)
    desk.apply("leave.plan", code=4)
    after = sent(desk)
    assert after != before
    ways = (("leave.plan", before), ("leave.undo.plan", after))
    for plan, wanted in ways:
        path = plan.replace(".plan", ".undo.plan")
        said = desk.run("undo", plan).out
        assert "is not assigned to the task or ticket" not in said
        counts = desk.apply(path)["counts"]
        assert (counts["rejected"], counts["held"]) == (0, 0)
        assert sent(desk) == wanted


def test_who_does_not_get_the_work_back_is_not_put_on_its_call(desk: Desk) -> None:
    """Somebody else took the task since: it stays, and so do those who are on its call."""
    task = on_a_call(desk)
    desk.apply("leave.plan", code=4)
    after = sent(desk)
    people = {row["id"]: row["userName"] for row in desk.simulator.rows("Resources")}
    others = people.keys() - {id for id, name in people.items() if name in {"daniel.osei", "tomas.lindqvist"}}
    roles = desk.simulator.rows("ResourceRoleDepartments")
    who, role = next((row["resourceID"], row["roleID"]) for row in roles if row["resourceID"] in others)
    edit = {"id": task, "assignedResourceID": who, "assignedResourceRoleID": role}
    desk.simulator.call("edit/Tasks", {"items": [edit]})
    desk.run("undo", "leave.plan")
    rows = desk.run("show", "leave.undo.plan", "--json").rows
    (work,) = [row for row in rows if (row["entity"], row["id"]) == ("Tasks", task)]
    assert work["action"] == "rejected"
    back = [row for row in rows if row["entity"] == "ServiceCallTaskResources"]
    assert back and all(row["action"] == "rejected" for row in back)
    assert all("which it needs, is rejected: assignedResourceID was set" in row["reason"] for row in back)
    desk.apply("leave.undo.plan", code=4)
    assert {one for one in sent(desk) if one[0] == "ServiceCallTaskResources"} == {
        one for one in after if one[0] == "ServiceCallTaskResources"
    }
