"""Reassigning: who gets what, in which role, and what a plan says of it. Planning only reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bulkops.change import Action, Change
from bulkops.errors import JobError
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.targets.memory import MemoryTarget

Rows: TypeAlias = dict[str, list[dict[str, Scalar]]]

JANE, KIM, LEE, MAX, ANN, TWIN, NEW, DESK = 12, 13, 14, 15, 16, 17, 18, 19
ENGINEER, SENIOR, HELP, RETIRED = 5, 6, 7, 8
PEOPLE = {
    JANE: ("Jane", "Doe"), KIM: ("Kim", "Lee"), LEE: ("Lee", "Fox"), MAX: ("Max", "Gone"),
    ANN: ("Ann", "Twin"), TWIN: ("Ann", "Twin"), NEW: ("New", "Comer"), DESK: ("Des", "Kay"),
}  # fmt: skip
ROLES = {ENGINEER: "Engineer", SENIOR: "Senior", HELP: "Help Desk", RETIRED: "Old"}
HELD = {JANE: (SENIOR,), KIM: (ENGINEER,), LEE: (ENGINEER, SENIOR), ANN: (ENGINEER,)}


class ReadOnly(MemoryTarget):
    """A target whose writes raise: planning has no business with them."""

    async def create(self, *args: Any, **options: Any) -> int:
        raise AssertionError("planning created a record")

    async def update(self, *args: Any, **options: Any) -> None:
        raise AssertionError("planning updated a record")

    async def delete(self, *args: Any, **options: Any) -> None:
        raise AssertionError("planning deleted a record")


def firm() -> Rows:
    """People with and without roles in departments and at the service desk."""
    people: list[dict[str, Scalar]] = [
        {
            "id": id, "firstName": first, "lastName": last, "email": f"{first.lower()}{id}@acme.test",
            "userName": f"{first.lower()}{id}", "isActive": id != MAX, "licenseType": 1,
        }
        for id, (first, last) in PEOPLE.items()
    ]  # fmt: skip
    pairs = [(person, role) for person, roles in HELD.items() for role in roles]
    return {
        "Resources": people,
        "Roles": [
            {"id": role, "name": name, "isActive": role != RETIRED}
            for role, name in ROLES.items()
        ],
        "ResourceRoleDepartments": [
            {"resourceID": person, "roleID": role, "departmentID": 3, "isActive": True, "isDefault": True}
            for person, role in pairs
        ],
        "ResourceServiceDeskRoles": [
            {"resourceID": person, "roleID": HELP, "isActive": True} for person in (JANE, KIM, LEE, DESK)
        ],
        "ResourceRoleQueues": [{"resourceID": person, "queueID": 1} for person in (JANE, KIM, LEE, DESK)],
        "ResourceRoles": [],
        "Companies": [{"id": 70, "companyName": "Acme"}, {"id": 71, "companyName": "Best"}],
        "Projects": [
            {"id": 7, "companyID": 70, "projectName": "One", "status": 1, "projectType": 5},
            {"id": 8, "companyID": 71, "projectName": "Two", "status": 1, "projectType": 5},
        ],
        "BillingCodes": [{"id": 2, "name": "Work", "useType": 1, "isActive": True}],
    }  # fmt: skip


def task(id: int, **more: Scalar) -> dict[str, Scalar]:
    return {
        "id": id, "title": f"Task {id}", "projectID": 7, "status": 1, "taskType": 1, "billingCodeID": 2,
        "assignedResourceID": JANE, "assignedResourceRoleID": SENIOR, "departmentID": 3,
        "estimatedHours": 4.0, "remainingHours": 2.0, **more,
    }  # fmt: skip


def ticket(id: int, **more: Scalar) -> dict[str, Scalar]:
    return {
        "id": id, "title": f"Ticket {id}", "companyID": 70, "status": 1, "priority": 1, "queueID": 1,
        "assignedResourceID": JANE, "assignedResourceRoleID": HELP, "estimatedHours": 1.0, **more,
    }  # fmt: skip


class Reassigned:
    """Plans jobs about Jane's work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def plan(self, rows: Mapping[str, Sequence[Mapping[str, Scalar]]], recipe: str) -> Plan:
        self.target = ReadOnly({**firm(), **rows})
        path = self.folder / "job.yaml"
        path.write_text(f"version: 1\nname: leave\ntenant: acme\nreassign:\n{recipe}", "utf-8")
        return await build_plan(load_job(path), self.target, self.folder / "x.plan")

    async def refused(self, rows: Mapping[str, Sequence[Mapping[str, Scalar]]], recipe: str) -> list[str]:
        """Every fault as `line: message`."""
        with pytest.raises(JobError) as caught:
            await self.plan(rows, recipe)
        assert not (self.folder / "x.plan").exists()
        return [str(fault).removeprefix(f"{self.folder / 'job.yaml'}:") for fault in caught.value.faults]


@pytest.fixture
def reassigned(tmp_path: Path) -> Reassigned:
    return Reassigned(tmp_path)


def job(*to: str, entities: str = "[Tasks]", **more: str) -> str:
    names = f"  to: [{', '.join(to)}]\n" if to else ""
    keys = "".join(f"  {key}: {value}\n" for key, value in {"entities": entities, **more}.items())
    return f"  from: jane12@acme.test\n{names}{keys}"


def given(plan: Plan, field: str = "assignedResourceID") -> dict[int | None, object]:
    """Who gets which record."""
    return {
        change.id: change.fields[field].after for change in plan.changes() if change.action is Action.UPDATE
    }


def changes(plan: Plan, step: str) -> list[Change]:
    return [change for change in plan.changes() if change.step == step]


# --- who gets what -------------------------------------------------------------------------------------


async def test_work_goes_round_by_id_and_completed_work_stays(reassigned: Reassigned) -> None:
    """Open tasks by rising id, in the order of the job; what is complete, or somebody else's, is left."""
    tasks = [task(9), task(3), task(5), task(4, status=5), task(6, assignedResourceID=KIM), task(30)]
    plan = await reassigned.plan({"Tasks": tasks}, job("kim13", "lee14"))
    assert given(plan) == {3: KIM, 5: LEE, 9: KIM, 30: LEE}
    assert plan.header.counts["rejected"] == 0


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("[{field: projectID, op: eq, value: 7}]", {3}),
        ("[{field: projectID, op: eq, value: 7}, {field: status, op: exist}]", {3, 4}),
        ("[{field: Status, op: eq, value: 5}]", {4, 5}),
    ],
)
async def test_completed_work_stays_unless_the_where_speaks_of_it(
    reassigned: Reassigned, where: str, expected: set[int]
) -> None:
    """A condition narrows what is open; only one about the status itself reaches what is complete."""
    tasks = [task(3), task(4, status=5), task(5, status=5, projectID=8)]
    plan = await reassigned.plan({"Tasks": tasks}, job("kim13", where=where))
    assert given(plan) == dict.fromkeys(expected, KIM)


async def test_open_work_of_which_nothing_remains_counts_as_it_was_estimated(reassigned: Reassigned) -> None:
    """What is divided by is what is shown: hours that are used up are no reason to guess."""
    tasks = [task(n, remainingHours=0.0 if n < 5 else 8.0, estimatedHours=8.0) for n in range(3, 7)]
    plan = await reassigned.plan({"Tasks": tasks}, job("kim13", "lee14", divide="least_loaded"))
    assert list(given(plan).values()).count(KIM) == 2 == list(given(plan).values()).count(LEE)
    assert "no hours" not in "\n".join(str(plan.header.extra).split(","))


async def test_the_role_stays_where_the_colleague_has_it(reassigned: Reassigned) -> None:
    """The same role as before, else the only one; a role that the job names goes before both."""
    tasks = [task(3), task(4, assignedResourceRoleID=ENGINEER)]
    plan = await reassigned.plan({"Tasks": tasks}, job("lee14"))
    assert [set(change.fields) for change in plan.changes()] == [{"assignedResourceID"}] * 2
    plan = await reassigned.plan({"Tasks": tasks}, job("kim13"))
    assert plan.change(1).fields["assignedResourceRoleID"].after == ENGINEER
    assert "assignedResourceRoleID" not in plan.change(2).fields
    plan = await reassigned.plan({"Tasks": tasks}, job("{resource: lee14, role: engineer}"))
    assert plan.change(1).fields["assignedResourceRoleID"].after == ENGINEER


async def test_tickets_take_roles_of_the_service_desk(reassigned: Reassigned) -> None:
    """Kim is an Engineer on tasks and at the Help Desk on tickets: nobody has to say it."""
    rows = {"Tasks": [task(3)], "Tickets": [ticket(4, assignedResourceRoleID=SENIOR)]}
    plan = await reassigned.plan(rows, job("kim13", entities="[Tasks, Tickets]"))
    roles = {c.entity: c.fields["assignedResourceRoleID"].after for c in plan.changes()}
    assert roles == {"Tasks": ENGINEER, "Tickets": HELP}


async def test_several_roles_are_asked_about(reassigned: Reassigned) -> None:
    """Lee has two roles and not the one of before: the choices are named at the line of Lee."""
    tasks = [task(3, assignedResourceRoleID=HELP)]
    assert await reassigned.refused({"Tasks": tasks}, job("lee14")) == [
        "6: Lee Fox (14) has several roles in departments, Engineer (5), Senior (6): say which with `role:`"
    ]
    mapped = job(divide="{by: projectID, map: {One: lee14}}")
    assert await reassigned.refused({"Tasks": tasks}, mapped) == [
        "7: Lee Fox (14) has several roles in departments, Engineer (5), Senior (6), and Help Desk (7), as "
        "before, is none of them: say which with `role:`"
    ]


async def test_who_is_on_a_task_already_is_passed_over(reassigned: Reassigned) -> None:
    """The API takes no primary resource that is a secondary one: another colleague gets the task, and where
    there is none, the row is rejected with the reason.
    """
    helpers: list[dict[str, Scalar]] = [{"id": 90, "taskID": 3, "resourceID": KIM, "roleID": ENGINEER}]
    rows = {"Tasks": [task(3), task(4)], "TaskSecondaryResources": helpers}
    plan = await reassigned.plan(rows, job("kim13", "lee14"))
    assert given(plan) == {3: LEE, 4: KIM}
    plan = await reassigned.plan(rows, job("kim13"))
    assert given(plan) == {4: KIM}
    assert plan.change(1).id == 3
    assert "Kim Lee (13) is a secondary resource of it already" in (plan.change(1).reason or "")


async def test_a_task_without_a_work_type_is_rejected(reassigned: Reassigned) -> None:
    """Whoever is assigned needs one: that is told before anything is written."""
    plan = await reassigned.plan({"Tasks": [task(3, billingCodeID=None), task(4)]}, job("kim13"))
    assert given(plan) == {4: KIM}
    assert "work type" in (plan.change(1).reason or "")


async def test_the_least_loaded_counts_what_each_has_now(reassigned: Reassigned) -> None:
    """Remaining hours, else estimated ones, of all open work of the kinds that are handed over."""
    rows = {
        "Tasks": [
            *(task(n, remainingHours=2.0) for n in range(1, 6)),
            task(50, assignedResourceID=KIM, remainingHours=None, estimatedHours=5.0),
            task(51, assignedResourceID=KIM, status=5, remainingHours=90.0),
            task(52, assignedResourceID=LEE, remainingHours=1.0),
        ],
        "Tickets": [ticket(60, assignedResourceID=LEE, estimatedHours=1.5)],
    }
    recipe = job("kim13", "lee14", entities="[Tasks, Tickets]", divide="least_loaded")
    plan = await reassigned.plan(rows, recipe)
    assert list(given(plan).values()) == [LEE, LEE, KIM, LEE, KIM]  # 5 and 2.5, and 2 more each time


async def test_a_map_divides_by_company_of_the_project(reassigned: Reassigned) -> None:
    """A task is for its project's company; names and ids are keys alike; what is not named is rejected."""
    tasks = [task(3), task(4, projectID=8), task(5)]
    plan = await reassigned.plan(
        {"Tasks": tasks}, job("lee14", divide="{by: companyID, map: {acme: kim13, 71: lee14}}")
    )
    assert given(plan) == {3: KIM, 4: LEE, 5: KIM}
    plan = await reassigned.plan({"Tasks": tasks}, job("lee14", divide="{by: companyID, map: {71: lee14}}"))
    assert given(plan) == {4: LEE}
    assert (plan.change(1).reason or "").startswith("companyID is 70 (Acme), which `map` does not name")
    divide = "{by: companyID, map: {71: lee14}, default: kim13}"
    assert given(await reassigned.plan({"Tasks": tasks}, job(divide=divide))) == {3: KIM, 4: LEE, 5: KIM}


# --- secondary resources, service calls, the rest ------------------------------------------------------


async def test_secondary_resources_are_made_anew_before_the_old_ones_go(reassigned: Reassigned) -> None:
    """They cannot be updated: the new entry is created, and the old one deleted once it is there; on open
    work only, and not for somebody who is on it already.
    """
    own = {"assignedResourceID": None, "assignedResourceRoleID": None}
    tasks = [task(3, **own), task(4, status=5, **own), task(5, assignedResourceID=KIM)]
    helpers: list[dict[str, Scalar]] = [
        {"id": 90 + n, "taskID": n, "resourceID": JANE, "roleID": SENIOR} for n in (3, 4, 5)
    ]
    rows = {"Tasks": tasks, "TaskSecondaryResources": helpers}
    plan = await reassigned.plan(rows, job("kim13", "lee14", entities="[TaskSecondaryResources]"))
    made, gone = (changes(plan, f"TaskSecondaryResources {way}") for way in ("in", "out"))
    assert [change.after() for change in made] == [
        {"taskID": 3, "resourceID": KIM, "roleID": ENGINEER},
        {"taskID": 5, "resourceID": LEE, "roleID": SENIOR},
    ]
    assert [(change.id, change.action, change.waits_for) for change in gone] == [
        (93, Action.DELETE, (1,)), (95, Action.DELETE, (2,)),
    ]  # fmt: skip
    assert all(change.parent in (3, 5) for change in (*made, *gone))


async def test_an_entry_that_cannot_be_made_keeps_the_old_one(reassigned: Reassigned) -> None:
    """Where the new entry is rejected, the old one stays and says why."""
    many = [{"id": 100 + n, "taskID": 3, "resourceID": 900 + n, "roleID": 5} for n in range(49)]
    helpers: list[dict[str, Scalar]] = [{"id": 90, "taskID": 3, "resourceID": JANE, "roleID": SENIOR}, *many]  # type: ignore[list-item]
    rows = {"Tasks": [task(3, assignedResourceID=LEE)], "TaskSecondaryResources": helpers}
    plan = await reassigned.plan(rows, job("kim13", entities="[TaskSecondaryResources]"))
    assert [change.action for change in plan.changes()] == [Action.REJECTED] * 2
    assert "which it needs, was rejected" in (plan.change(2).reason or "")


async def test_an_entry_is_only_taken_out_where_everybody_is_on_the_work(reassigned: Reassigned) -> None:
    """Kim leads the task that Jane helps with: Jane's entry goes, and the plan says so."""
    helpers: list[dict[str, Scalar]] = [{"id": 90, "taskID": 3, "resourceID": JANE, "roleID": SENIOR}]
    rows = {"Tasks": [task(3, assignedResourceID=KIM)], "TaskSecondaryResources": helpers}
    plan = await reassigned.plan(rows, job("kim13", entities="[TaskSecondaryResources]"))
    assert [(change.action, change.waits_for) for change in plan.changes()] == [(Action.DELETE, ())]
    assert any("are only taken out" in warning for warning in plan.header.warnings)


async def test_a_service_call_goes_with_its_ticket(reassigned: Reassigned) -> None:
    """Who is sent is who gets the ticket; calls that are over stay as they are."""
    rows: Rows = {
        "Tickets": [ticket(4), ticket(5)],
        "ServiceCalls": [
            {"id": 200 + n, "companyID": 70, "isComplete": int(n == 3), "status": 1} for n in (1, 2, 3)
        ],
        "ServiceCallTickets": [
            {"id": 300, "serviceCallID": 201, "ticketID": 5},
            {"id": 301, "serviceCallID": 202, "ticketID": 4},
            {"id": 302, "serviceCallID": 203, "ticketID": 4},
        ],
        "ServiceCallTicketResources": [
            {"id": 400 + n, "serviceCallTicketID": 300 + n, "resourceID": JANE} for n in range(3)
        ],
    }
    plan = await reassigned.plan(rows, job("kim13", "lee14", entities="[ServiceCalls, Tickets]"))
    assert given(plan) == {4: KIM, 5: LEE}
    made = changes(plan, "ServiceCallTicketResources in")
    assert [change.after() for change in made] == [
        {"serviceCallTicketID": 300, "resourceID": LEE}, {"serviceCallTicketID": 301, "resourceID": KIM},
    ]  # fmt: skip
    assert [change.id for change in changes(plan, "ServiceCallTicketResources out")] == [400, 401]


async def test_leads_to_dos_and_opportunities_change_hands(reassigned: Reassigned) -> None:
    """Open ones only; none of them takes a role."""
    rows: Rows = {
        "Projects": [
            {**project, "projectLeadResourceID": JANE, "status": 1 + 4 * (project["id"] == 8)}
            for project in firm()["Projects"]
        ],
        "CompanyToDos": [
            {"id": 500 + n, "companyID": 70, "assignedToResourceID": JANE, "activityDescription": "Call",
             "completedDate": "2026-01-01T00:00:00Z" if n else None} for n in (0, 1)
        ],
        "Opportunities": [{"id": 600, "companyID": 70, "ownerResourceID": JANE, "status": 1}],
    }  # fmt: skip
    plan = await reassigned.plan(
        rows, job("ann16@acme.test", entities="[Projects, CompanyToDos, Opportunities]")
    )
    assert {(change.entity, change.id) for change in plan.changes()} == {
        ("Projects", 7), ("CompanyToDos", 500), ("Opportunities", 600),
    }  # fmt: skip
    assert all(ANN in change.after().values() for change in plan.changes())


async def test_a_where_about_entries_is_about_their_work(reassigned: Reassigned) -> None:
    """Conditions and what is complete are those of the task, whoever it is assigned to; also of very many."""
    tasks = [task(n, assignedResourceID=LEE, projectID=7 + n % 2) for n in range(1, 1_301)]
    helpers: list[dict[str, Scalar]] = [
        {"id": 5_000 + n, "taskID": n, "resourceID": JANE, "roleID": SENIOR} for n in range(1, 1_301)
    ]
    rows = {"Tasks": tasks, "TaskSecondaryResources": helpers}
    where = "[{field: projectID, op: eq, value: {lookup: projectName, key: One}}]"
    plan = await reassigned.plan(rows, job("kim13", entities="[TaskSecondaryResources]", where=where))
    assert plan.header.counts == {"create": 650, "delete": 650, "update": 0, "unchanged": 0, "rejected": 0}
    made = changes(plan, "TaskSecondaryResources in")
    assert [change.after()["taskID"] for change in made] == list(range(2, 1_301, 2))


async def test_who_is_on_what_is_found_the_cheaper_way(reassigned: Reassigned) -> None:
    """Of a colleague with thousands of entries only those on the work in question are read."""
    helpers: list[dict[str, Scalar]] = [
        {"id": 5_000 + n, "taskID": n, "resourceID": KIM, "roleID": ENGINEER} for n in range(3, 6_003)
    ]
    rows = {"Tasks": [task(2), task(3), task(4)], "TaskSecondaryResources": helpers}
    plan = await reassigned.plan(rows, job("kim13"))
    assert given(plan) == {2: KIM}
    assert plan.header.calls_read < 30


# --- what the plan says --------------------------------------------------------------------------------


async def test_the_plan_says_who_will_have_how_much(reassigned: Reassigned) -> None:
    """In pieces and hours, of what the plan does: a row that is rejected stays with whom it is."""
    rows = {
        "Tasks": [
            task(3, remainingHours=2.5), task(4, remainingHours=1.0, billingCodeID=None),
            task(5, assignedResourceID=KIM, remainingHours=4.0),
        ],
    }  # fmt: skip
    plan = await reassigned.plan(rows, job("kim13"))
    assert plan.header.extra["workload"] == [
        {
            "entity": "Tasks", "id": JANE, "name": "Jane Doe", "now": {"count": 2, "hours": 3.5},
            "change": {"count": -1, "hours": -2.5}, "then": {"count": 1, "hours": 1.0},
        },
        {
            "entity": "Tasks", "id": KIM, "name": "Kim Lee", "now": {"count": 1, "hours": 4.0},
            "change": {"count": 1, "hours": 2.5}, "then": {"count": 2, "hours": 6.5},
        },
    ]  # fmt: skip
    labels = plan.header.extra["labels"]["Tasks"]
    assert labels["assignedResourceID"][str(KIM)] == "Kim Lee"
    assert labels["assignedResourceRoleID"][str(ENGINEER)] == "Engineer"


async def test_nothing_to_hand_over_is_a_sentence(reassigned: Reassigned) -> None:
    """No work is no fault: the plan is empty and says so."""
    plan = await reassigned.plan({"Tasks": []}, job("kim13", entities="[Tasks, Projects]"))
    assert plan.total == 0
    assert plan.header.warnings == (
        "reassign: Jane Doe (12) has no such `Tasks` or `Projects`, so there is nothing to hand over",
    )


async def test_what_is_left_out_is_told(reassigned: Reassigned) -> None:
    """Secondary resources that `entities` does not name, a colleague whom no map names, a role in vain,
    somebody who is gone: each in a sentence.
    """
    rows: Rows = {
        "Tasks": [task(3, departmentID=4)],
        "TaskSecondaryResources": [{"id": 90, "taskID": 8, "resourceID": JANE, "roleID": SENIOR}],
    }
    divide = "{by: projectID, map: {7: kim13}}"
    header = (await reassigned.plan(rows, job("lee14", divide=divide))).header
    told = " ".join(header.warnings)
    assert "Jane Doe (12) stays a secondary resource (1 record of TaskSecondaryResources" in told
    assert "Lee Fox (14) is given nothing: no entry of `map` names them" in told
    assert header.extra["altered"] == [
        "1 Tasks in another department than that of who has them, where undo puts them"
    ]
    recipe = job("{resource: kim13, role: Engineer}", entities="[Projects]").replace("jane12", "max15")
    header = (await reassigned.plan({}, recipe)).header
    assert "`Engineer` has no meaning" in " ".join(header.warnings)
    assert header.extra["lasting"] == [
        "what Max Gone (15, inactive) hands over, who is no longer active: nobody can give it back"
    ]


async def test_a_role_that_the_giver_has_no_more_cannot_be_given_back(reassigned: Reassigned) -> None:
    """The plan says of how many pieces of work; the role that is kept is a premise."""
    tasks = [task(3), task(4, assignedResourceRoleID=ENGINEER), task(5, assignedResourceRoleID=None)]
    plan = await reassigned.plan({"Tasks": tasks}, job("kim13"))
    assert plan.header.extra["lasting"] == [
        "2 Tasks in no role, or in one that Jane Doe (12) does not have: the API gives them back in no such "
        "role"
    ]
    premises = [change.premise.values for change in plan.changes() if change.premise]
    assert [values["assignedResourceRoleID"] for values in premises] == [SENIOR, ENGINEER, None]


async def test_what_is_not_handed_over_is_not_told_to_come_back_otherwise(reassigned: Reassigned) -> None:
    """A task that stays, since who could have it is a secondary resource of it."""
    rows: Rows = {
        "Tasks": [task(3, departmentID=4, assignedResourceRoleID=ENGINEER)],
        "TaskSecondaryResources": [{"id": 90, "taskID": 3, "resourceID": LEE, "roleID": ENGINEER}],
    }
    plan = await reassigned.plan(rows, job("lee14"))
    assert plan.counts["rejected"] == 1
    assert plan.header.extra["altered"] == plan.header.extra["lasting"] == []


async def test_a_new_entry_rests_on_the_old_one(reassigned: Reassigned) -> None:
    """By its key: who was taken out meanwhile has nothing to hand over."""
    rows: Rows = {
        "Tasks": [task(8, assignedResourceID=KIM, assignedResourceRoleID=ENGINEER)],
        "TaskSecondaryResources": [{"id": 90, "taskID": 8, "resourceID": JANE, "roleID": SENIOR}],
    }
    plan = await reassigned.plan(rows, job("lee14", entities="[TaskSecondaryResources]"))
    made, gone = plan.changes()
    assert made.premise is not None and made.premise.beside == {"taskID": 8, "resourceID": JANE}
    assert gone.premise is None and gone.waits_for == (made.n,)


# --- what it costs, and that it is always the same ------------------------------------------------------


@pytest.mark.parametrize(
    "divide", ["round_robin", "least_loaded", "{by: projectID, map: {7: kim13, 8: lee14}}"]
)
async def test_planning_again_gives_the_same(reassigned: Reassigned, divide: str) -> None:
    """The same tenant, the same plan: change for change."""
    rows = {"Tasks": [task(n, projectID=7 + n % 2, remainingHours=float(n % 5)) for n in range(1, 120)]}
    recipe = job("kim13", "lee14", divide=divide)
    first = list((await reassigned.plan(rows, recipe)).changes())
    assert list((await reassigned.plan(rows, recipe)).changes()) == first
    assert len(first) == 119


async def test_the_records_are_read_once(reassigned: Reassigned) -> None:
    """500 tasks a call, and no call more for ten times the tasks: nothing that was read is read again."""
    reads = []
    for count in (500, 5_000):
        rows = {"Tasks": [task(n) for n in range(1, count + 1)]}
        plan = await reassigned.plan(rows, job("kim13", "lee14"))
        assert Counter(given(plan).values()) == {KIM: count / 2, LEE: count / 2}
        reads.append(plan.header.calls_read)
    assert reads[1] - reads[0] == 9


# --- bad input -----------------------------------------------------------------------------------------


async def test_everything_that_is_wrong_is_told_at_once(reassigned: Reassigned) -> None:
    """Two of one name, nobody, no such role, a role of somebody else, no department, gone, twice, from and
    to the same, a condition that an entity has not: one sentence each, at its line.
    """
    recipe = """  from: "Doe, Jane"
  to:
    - {resource: "Twin, Ann"}
    - {resource: kin13@acme.test}
    - {resource: kim13, role: Enginer}
    - {resource: LEE14@ACME.TEST, role: Old}
    - {resource: 18}
    - {resource: max15}
    - {resource: 13}
    - {resource: jane12}
  entities: [Tasks, Tickets]
  where: [{field: queueID, op: eq, value: 1}]
"""
    assert await reassigned.refused({"Tasks": [task(3)]}, recipe) == [
        "7: `Twin, Ann` is what 2 resources are called: Ann Twin (16) ann16@acme.test, Ann Twin (17) "
        "ann17@acme.test. Take the id",
        "8: `kin13@acme.test` is no resource. Did you mean `kim13@acme.test`?",
        "9: `Enginer` is no role. Did you mean `Engineer`?",
        "10: `Old` is inactive. Theirs: Engineer (5), Senior (6), Help Desk (7)",
        "11: New Comer (18) has no role in a department, and a task's department is that of its resource: "
        "give one in Autotask, or leave them out (hand Tasks over in a job of its own, if they are to have "
        "the rest)",
        "12: Max Gone (15, inactive) is no longer active, and work cannot be given to them",
        "13: `to` names Kim Lee (13) twice, here and in line 9",
        "14: Jane Doe (12) is whose work is handed over, and work cannot be given to them",
        "16: Tasks has no field `queueID`, which `where` names. `bulkops describe Tasks` lists them",
    ]


@pytest.mark.parametrize(
    ("rows", "recipe", "fault"),
    [
        ({}, job("kim13").replace("jane12@acme.test", "joan"), "5: `joan` is no resource."),
        ({}, job("nemo").replace("jane12@acme.test", "15"), "6: `nemo` is no resource."),
        ({"Tickets": [ticket(4)]}, job("ann16@acme.test", entities="[Tickets]"),
         "6: Ann Twin (16) has no role at the service desk, which whoever is assigned to Tickets needs"),
        ({"Tickets": [ticket(4)], "ResourceRoleQueues": []}, job("kim13", entities="[Tickets]"),
         "6: Kim Lee (13) works in no queue"),
        ({"Tasks": [task(3)]}, job("{resource: kim13, role: Senior}"),
         "6: `Senior` is a role that Kim Lee (13) does not have. Theirs: Engineer (5), Help Desk (7)"),
        ({"Tasks": [task(3)]}, job("{resource: kim13, role: Help Desk}"),
         "6: Kim Lee (13) does not have the role Help Desk (7) in departments, where Tasks need one: there "
         "it is Engineer (5)"),
        ({}, job("kim13", divide="{by: queueID, map: {1: kim13}}"),
         "8: `by` names queueID, by which `Tasks` cannot be told apart"),
        ({}, job("kim13", divide="{by: companyID, map: {Nemo: kim13}}"),
         "8: `map` names `Nemo`: no Companies record has this companyName"),
        ({}, job("kim13", divide="{by: companyID, map: {Acme: kim13, 70: lee14}}"),
         "8: `map` names companyID 70 twice"),
        ({}, job("kim13", divide="{by: companyID, map: {Acme: nemo}}"), "8: `nemo` is no resource."),
        ({}, job("kim13", entities="[TaskSecondaryResources]",
                 where=f"[{{field: projectID, op: notIn, value: {list(range(1, 501))}}}]"),
         "8: Tasks: `where` holds more than 500 conditions"),
        ({}, job("kim13", where="[{field: remainingHours, op: gt, value: 1}]"),
         "8: Tasks.remainingHours cannot be queried, so `where` cannot name it"),
    ],
)  # fmt: skip
async def test_bad_input_is_one_sentence(reassigned: Reassigned, rows: Rows, recipe: str, fault: str) -> None:
    """What is wrong, where, and what to do; nothing is planned."""
    found = await reassigned.refused(rows, recipe)
    assert len(found) == 1 and found[0].startswith(fault), found


async def test_nobody_is_blamed_for_what_they_would_not_get(reassigned: Reassigned) -> None:
    """Without a role at the service desk one can be given tasks, as long as there are no tickets to give; and
    where nobody knows whose work it is, that is all that is said.
    """
    unknown = job("ann16@acme.test", entities="[Tasks, Tickets]").replace("jane12@acme.test", "joan")
    assert len(await reassigned.refused({"Tickets": [ticket(4)]}, unknown)) == 1
    rows = {"Tasks": [task(3)], "Tickets": [ticket(4, status=5)]}
    plan = await reassigned.plan(rows, job("ann16@acme.test", entities="[Tasks, Tickets]"))
    assert given(plan) == {3: ANN}
