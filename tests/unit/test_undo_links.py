"""Taking back a delete: what only connects two records is made again, everything else is gone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bulkops.applier import apply_plan
from bulkops.change import Action
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.reverse import GONE
from bulkops.targets.memory import MemoryTarget
from bulkops.undo import build_undo

JOB = """\
version: 1
name: gone
tenant: acme
limits: {{delete: {{percent: 100}}}}
steps:
  - name: gone
    entity: {entity}
    action: delete
    source: {{file: gone.csv}}
    match: [id]
    fields: {{id: id}}
"""
HELPER: dict[str, str | int] = {"id": 90, "taskID": 3, "resourceID": 12, "roleID": 5}
TASK: dict[str, str | int] = {"id": 3, "title": "T", "projectID": 7, "status": 1, "assignedResourceID": 13}


async def taken_back(folder: Path, target: MemoryTarget, entity: str) -> Plan:
    (folder / "gone.csv").write_text("id\n90\n", "utf-8")
    (folder / "job.yaml").write_text(JOB.format(entity=entity), "utf-8")
    plan = await build_plan(load_job(folder / "job.yaml"), target, folder / "x.plan")
    assert (await apply_plan(plan, target)).counts["applied"] == 1
    return await build_undo(Plan.open(folder / "x.plan"), target, folder / "x.undo.plan")


async def test_a_deleted_link_is_made_again(tmp_path: Path) -> None:
    """Who was a secondary resource of which task, in which role, is so again; only the id is another."""
    target = MemoryTarget({"TaskSecondaryResources": [HELPER], "Tasks": [TASK]})
    undo = await taken_back(tmp_path, target, "TaskSecondaryResources")
    assert target.rows["TaskSecondaryResources"] == {}
    change = undo.change(1)
    assert (change.action, change.id, change.parent) == (Action.CREATE, None, 3)
    assert (await apply_plan(undo, target)).counts["applied"] == 1
    (row,) = target.rows["TaskSecondaryResources"].values()
    assert {name: row.get(name) for name in HELPER if name != "id"} == {
        "taskID": 3, "resourceID": 12, "roleID": 5,
    }  # fmt: skip
    plan = Plan.open(tmp_path / "x.plan")
    assert not plan.header.extra["lasting"], "the plan promises that it can be taken back"


@pytest.mark.parametrize(
    ("entity", "row"),
    [
        ("Contacts", {"id": 90, "firstName": "A", "lastName": "B", "companyID": 7, "isActive": 1}),
        ("TaskPredecessors", {"id": 90, "predecessorTaskID": 3, "successorTaskID": 4, "lagDays": 1}),
    ],
)
async def test_what_says_more_is_gone_for_good(
    tmp_path: Path, entity: str, row: dict[str, str | int]
) -> None:
    """A record with anything of its own cannot be brought back, and the plan says so beforehand."""
    target = MemoryTarget({entity: [row]})
    undo = await taken_back(tmp_path, target, entity)
    assert undo.change(1).action is Action.REJECTED
    assert GONE in (undo.change(1).reason or "")
    assert Plan.open(tmp_path / "x.plan").header.extra["lasting"]


async def test_what_is_there_again_stays(tmp_path: Path) -> None:
    """Undone twice, or put back by somebody: the one that is there is named, and no second one is made. Links
    of which one says less than another are looked for by what each says.
    """
    links = [{"id": 90, "ticketID": n, "resourceID": 12, "roleID": role} for n, role in ((3, 5),)]
    target = MemoryTarget({"TicketSecondaryResources": links})
    undo = await taken_back(tmp_path, target, "TicketSecondaryResources")
    assert (await apply_plan(undo, target)).counts["applied"] == 1
    (id,) = target.rows["TicketSecondaryResources"]
    again = await build_undo(Plan.open(tmp_path / "x.plan"), target, tmp_path / "again.plan")
    assert [(change.action, change.id) for change in again.changes()] == [(Action.UNCHANGED, id)]


async def test_a_link_that_said_too_little_is_not_made_again(tmp_path: Path) -> None:
    """One without a role among those with one: the API would refuse it, and both plans say so."""
    rows: list[Mapping[str, Scalar]] = [
        {"id": 90, "ticketID": 3, "resourceID": 12, "roleID": 5},
        {"id": 91, "ticketID": 3, "resourceID": 13, "roleID": None},
    ]
    target = MemoryTarget({"TicketSecondaryResources": rows})
    (tmp_path / "gone.csv").write_text("id\n90\n91\n", "utf-8")
    (tmp_path / "job.yaml").write_text(JOB.format(entity="TicketSecondaryResources"), "utf-8")
    plan = await build_plan(load_job(tmp_path / "job.yaml"), target, tmp_path / "x.plan")
    assert plan.header.extra["lasting"] == [
        "1 deleted TicketSecondaryResources, which cannot be brought back"
    ]
    await apply_plan(plan, target)
    gone, made = (await build_undo(plan, target, tmp_path / "x.undo.plan")).changes()
    assert gone.reason == "roleID was empty, and the API makes no TicketSecondaryResources without it"
    assert dict(made.key) == {"ticketID": 3, "resourceID": 12, "roleID": 5}


MADE = """\
version: 1
name: made
tenant: acme
limits: {update: {percent: 100}, delete: {percent: 100}}
steps:
  - {name: people, entity: Contacts, action: create, source: {file: people.csv}, match: [lastName],
     fields: {lastName: Name, firstName: Name, companyID: {value: 7}, isActive: {value: 1}}}
  - {name: tickets, entity: Tickets, action: update, source: {file: tickets.csv}, match: [id],
     fields: {id: Id, contactID: {column: Who, from: people}}}
"""


async def test_what_points_to_a_created_record_points_back_before_that_goes(tmp_path: Path) -> None:
    """Forward, undo, forward: the reference is taken back first, then the record; and again."""
    target = MemoryTarget(
        {
            "Companies": [{"id": 7, "companyName": "Acme", "isActive": True}],
            "Contacts": [{"id": 70, "firstName": "Old", "lastName": "Old", "companyID": 7, "isActive": 1}],
            "Tickets": [{"id": 3, "title": "T", "companyID": 7, "contactID": 70, "status": 1}],
        }
    )
    (tmp_path / "people.csv").write_text("Name\nNew\n", "utf-8")
    (tmp_path / "tickets.csv").write_text("Id,Who\n3,New\n", "utf-8")
    (tmp_path / "job.yaml").write_text(MADE, "utf-8")
    for n in (1, 2):
        plan = await build_plan(load_job(tmp_path / "job.yaml"), target, tmp_path / f"{n}.plan")
        assert (await apply_plan(plan, target)).counts["applied"] == 2
        made = target.rows["Tickets"][3]["contactID"]
        assert made != 70 and made in target.rows["Contacts"]
        undo = await build_undo(plan, target, tmp_path / f"{n}.undo.plan")
        ticket, contact = undo.changes()
        assert (ticket.action, ticket.fields["contactID"].before) == (Action.UPDATE, made)
        assert (contact.action, contact.waits_for) == (Action.DELETE, (ticket.n,))
        assert (await apply_plan(undo, target)).counts["applied"] == 2
        assert target.rows["Tickets"][3]["contactID"] == 70 and list(target.rows["Contacts"]) == [70]


CALL = """\
version: 1
name: call
tenant: acme
limits: {update: {percent: 100}}
steps:
  - {name: tasks, entity: Tasks, action: update, source: {file: tasks.csv}, match: [id], ignore: "*",
     fields: {id: Id, title: Who}}
  - {name: about, entity: ServiceCallTasks, action: create, source: {file: tasks.csv}, match: [taskID],
     ignore: "*", fields: {serviceCallID: Call, taskID: Id}}
  - {name: sent, entity: ServiceCallTaskResources, action: create, source: {file: tasks.csv},
     match: [serviceCallTaskID], ignore: "*",
     fields: {serviceCallTaskID: {column: Id, from: about}, resourceID: Who}}
"""


async def test_people_leave_a_call_before_what_they_hang_on_goes(tmp_path: Path) -> None:
    """Where the plan has made that too, the way back is from the last step to the first, as ever."""
    target = MemoryTarget(
        {
            "Resources": [{"id": n, "firstName": "A", "lastName": "B", "isActive": True} for n in (12, 13)],
            "ServiceCalls": [{"id": 8, "companyID": 7, "status": 1}],
            "Tasks": [TASK],
        }
    )
    (tmp_path / "tasks.csv").write_text("Id,Who,Call\n3,12,8\n", "utf-8")
    (tmp_path / "job.yaml").write_text(CALL, "utf-8")
    plan = await build_plan(load_job(tmp_path / "job.yaml"), target, tmp_path / "x.plan")
    assert (await apply_plan(plan, target)).counts["applied"] == 3
    undo = await build_undo(plan, target, tmp_path / "x.undo.plan")
    assert [step.name for step in undo.header.steps] == ["sent", "about", "tasks"]
    assert (await apply_plan(undo, target)).counts["applied"] == 3
    assert [write.entity for write in target.writes[3:]] == [
        "ServiceCallTaskResources",
        "ServiceCallTasks",
        "Tasks",
    ]


async def test_people_who_only_leave_a_call_leave_it_first(tmp_path: Path) -> None:
    """Nobody comes back on it, so the way back is from the last step to the first."""
    target = MemoryTarget(
        {
            "Resources": [{"id": n, "firstName": "A", "lastName": "B", "isActive": True} for n in (12, 13)],
            "ServiceCalls": [{"id": 8, "companyID": 7, "status": 1}],
            "ServiceCallTasks": [{"id": 80, "serviceCallID": 8, "taskID": 3}],
            "Tasks": [TASK],
        }
    )
    (tmp_path / "tasks.csv").write_text("Id,Who,Call\n3,12,80\n", "utf-8")
    first, _, last = CALL.partition("  - {name: about")
    sent = "  - {name: sent" + last.partition("  - {name: sent")[2]
    sent = sent.replace("{column: Id, from: about}", "Call")
    (tmp_path / "job.yaml").write_text(first + sent, "utf-8")
    plan = await build_plan(load_job(tmp_path / "job.yaml"), target, tmp_path / "x.plan")
    assert (await apply_plan(plan, target)).counts["applied"] == 2
    undo = await build_undo(plan, target, tmp_path / "x.undo.plan")
    assert [step.name for step in undo.header.steps] == ["sent", "tasks"]
