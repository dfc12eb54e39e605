"""The engine's own rules in a plan: what they cost to ask, what becomes of rows, what is told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from bulkops.errors import RejectedError
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.targets.base import Filter, RecordData
from bulkops.targets.memory import MemoryTarget
from bulkops.views import change_json

Rows: TypeAlias = Sequence[Mapping[str, Scalar]]

FIRM: Mapping[str, Rows] = {
    "Resources": [
        {"id": n, "firstName": "Jane", "lastName": f"Doe{n}", "isActive": True, "licenseType": 1}
        for n in range(1, 5)
    ],
    "Roles": [{"id": 10, "name": "Engineer", "isActive": True}, {"id": 11, "name": "Boss", "isActive": True}],
    "ResourceRoles": [
        {"id": n, "resourceID": n, "roleID": 10, "departmentID": 90, "isActive": True} for n in range(1, 5)
    ],
    "Projects": [{"id": 60, "projectName": "Move", "companyID": 30, "projectType": 5, "status": 1}],
    "Companies": [{"id": 30, "companyName": "Acme", "companyNumber": "C1", "phone": "1"}],
}  # fmt: skip


def task(number: int, **more: Scalar) -> dict[str, Scalar]:
    return {
        "id": number, "externalID": f"T{number}", "title": "T", "projectID": 60, "status": 1, "taskType": 1,
        "assignedResourceID": 1, "assignedResourceRoleID": 10, "billingCodeID": 20, "estimatedHours": 2,
        **more,
    }  # fmt: skip


class Listening(MemoryTarget):
    """Counts the questions by entity."""

    asked: Counter[str]

    def __init__(self, rows: Mapping[str, Rows], **more: Rows) -> None:
        super().__init__({**FIRM, **rows, **more})
        self.asked = Counter()

    def read(
        self, entity: str, where: Filter, *, fields: Sequence[str] | None = None
    ) -> AsyncIterator[RecordData]:
        self.asked[entity] += 1
        return super().read(entity, where, fields=fields)


class Desk:
    """A folder with jobs and their files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plans = 0

    async def plan(self, target: MemoryTarget, steps: str, **files: str) -> Plan:
        for name, text in files.items():
            (self._folder / f"{name}.csv").write_text(text, "utf-8")
        job = self._folder / "job.yaml"
        job.write_text(f"version: 1\nname: a\ntenant: acme\nsteps:\n{steps}", "utf-8")
        self._plans += 1
        return await build_plan(load_job(job), target, self._folder / f"{self._plans}.plan")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def step(entity: str, action: str, match: str, fields: str, name: str = "a") -> str:
    return (
        f"  - {{name: {name}, entity: {entity}, action: {action}, source: {{file: {name}.csv}},"
        f" match: [{match}], fields: {{{fields}}}}}\n"
    )


ASSIGN = step(
    "Tasks", "update", "externalID", "externalID: Key, assignedResourceID: Who, assignedResourceRoleID: Role"
)


async def test_what_no_rule_is_about_costs_no_read(desk: Desk) -> None:
    """An update of fields that nothing is known of asks for the records it changes, and no others."""
    target = Listening({})
    fields = "companyNumber: Key, phone: Phone"
    plan = await desk.plan(
        target, step("Companies", "update", "companyNumber", fields), a="Key,Phone\nC1,2\n"
    )
    assert plan.header.counts["update"] == 1
    assert target.asked == {"Companies": 1}


async def test_the_work_of_one_for_three_others_costs_few_reads(desk: Desk) -> None:
    """5,000 tasks change hands: beside the tasks themselves, what is asked does not grow with them."""
    count = 5_000
    target = Listening({"Tasks": [task(n) for n in range(1, count + 1)]})
    rows = "".join(f"T{n},{2 + n % 3},10\n" for n in range(1, count + 1))
    plan = await desk.plan(target, ASSIGN, a=f"Key,Who,Role\n{rows}")
    assert plan.header.counts["update"] == count
    assert target.asked.pop("Tasks") == count // 500
    assert target.asked["TaskSecondaryResources"] <= 2 * 4 + 1
    assert target.asked.total() - target.asked["TaskSecondaryResources"] <= 6
    assert target.calls.read <= count // 400 + 20


async def test_who_helps_on_many_tasks_is_not_read_as_a_whole(desk: Desk) -> None:
    """Where one side of the pairs is large, they are asked for as they are, batch by batch."""
    many: Rows = [{"id": n, "taskID": 10_000 + n, "resourceID": 2, "roleID": 10} for n in range(1, 5_502)]
    count = 3_000
    helps: Rows = [*many, {"id": 9_000, "taskID": count, "resourceID": 2, "roleID": 10}]
    target = Listening({"Tasks": [task(n) for n in range(1, count + 1)]}, TaskSecondaryResources=helps)
    rows = "".join(f"T{n},2,10\n" for n in range(1, count + 1))
    plan = await desk.plan(target, ASSIGN, a=f"Key,Who,Role\n{rows}")
    assert target.asked["TaskSecondaryResources"] <= 2 * count // 500
    assert [change.id for change in plan.changes() if change.reason] == [count]


async def test_a_rejected_row_names_its_column_and_its_text(desk: Desk) -> None:
    """With what is wrong, with which value, and what there is instead; nothing of it is sent."""
    target = Listening({"Tasks": [task(1), task(2)]})
    plan = await desk.plan(target, ASSIGN, a="Key,Who,Role\nT1,2,11\nT2,2,10\n")
    change = plan.change(1)
    assert change.reason == (
        "column Role '11': assignedResourceID 2 (Jane Doe2) does not have assignedResourceRoleID 11 (Boss). "
        "Theirs: 10 (Engineer)"
    )
    assert (change.action.value, change.fields, change.parent, change.barrier) == ("rejected", {}, None, 0)
    assert plan.change(2).action.value == "update"


async def test_all_that_is_wrong_with_a_row_is_told_at_once(desk: Desk) -> None:
    """Not the first rule only."""
    target = Listening(
        {"Tasks": [task(1, assignedResourceID=None, assignedResourceRoleID=None, billingCodeID=None)]}
    )
    plan = await desk.plan(
        target,
        step("Tasks", "update", "externalID", "externalID: Key, assignedResourceID: Who"),
        a="Key,Who\nT1,2\n",
    )
    reason = plan.change(1).reason or ""
    assert "column Who '2': assignedResourceRoleID is empty" in reason
    assert "column Who '2': billingCodeID is empty" in reason


async def test_who_may_not_see_a_thing_loses_only_the_rules_that_need_it(desk: Desk) -> None:
    """A permission that is missing costs no plan: it is told which records nobody looked at."""
    target = MemoryTarget(
        {**FIRM, "Tasks": [task(1)]},
        failures={"read ResourceRoles": [RejectedError("no permission", known=True, status=500)]},
    )
    plan = await desk.plan(target, ASSIGN, a="Key,Who,Role\nT1,2,11\n")
    assert plan.change(1).action.value == "update"
    assert [told for told in plan.header.warnings if "cannot read" in told] == [
        "this API user cannot read ResourceRoles, so nobody looked whether Autotask's rules on it hold"
    ]


async def test_what_is_not_seen_is_not_taken_for_absent(desk: Desk) -> None:
    """To who may not see them, records are missing without a word: nothing is concluded from that."""
    target = Listening({"Tasks": [task(1)]}, ResourceRoles=[])
    plan = await desk.plan(target, ASSIGN, a="Key,Who,Role\nT1,2,11\n")
    assert plan.change(1).action.value == "update"


async def test_like_effects_are_told_once_and_beside_their_rows(desk: Desk) -> None:
    """A sentence with how many and what it adds up to; the row's own part is in the plan, and in `show`."""
    projects: Rows = [{**FIRM["Projects"][0], "id": n, "extProjectNumber": f"P{n}"} for n in (61, 62)]
    tasks = [
        task(1, projectID=61),
        task(2, projectID=61, remainingHours=0.5),
        task(3, projectID=61, status=5),
    ]
    target = Listening({"Projects": projects, "Tasks": tasks})
    fields = "extProjectNumber: Key, status: {value: Complete}"
    plan = await desk.plan(
        target, step("Projects", "update", "extProjectNumber", fields), a="Key\nP61\nP62\n"
    )
    notes = [list(change.notes) for change in plan.changes()]
    assert notes == [["completes 2 open tasks and sets 2.5 remaining hours to 0"], []]
    assert change_json(plan.change(1))["notes"] == notes[0]
    completed, counted, fired = plan.header.warnings[:3]
    assert completed == (
        "a: 1 update: completing a project, the API completes its open tasks and sets their remaining hours "
        "to 0 (2 open tasks, 2.5 remaining hours in all). Projects 61 (Move): completes 2 open tasks and "
        "sets 2.5 remaining hours to 0"
    )
    assert counted.startswith(
        "a: 2 updates: completing a project, the API sets its completedPercentage to 100"
    )
    assert "a: 2 updates: the tenant's workflow rules may fire" in fired


async def test_of_projects_without_open_tasks_no_task_is_told(desk: Desk) -> None:
    """Nothing is completed with them, so nothing is said of it."""
    projects: Rows = [{**FIRM["Projects"][0], "id": 61, "extProjectNumber": "P61"}]
    target = Listening({"Projects": projects, "Tasks": [task(3, projectID=61, status=5)]})
    fields = "extProjectNumber: Key, status: {value: Complete}"
    plan = await desk.plan(target, step("Projects", "update", "extProjectNumber", fields), a="Key\nP61\n")
    assert plan.change(1).action.value == "update"
    assert not [told for told in plan.header.warnings if "open task" in told]


async def test_doubts_go_and_say_so(desk: Desk) -> None:
    """The row is planned, with why the API may refuse it."""
    target = Listening({"Tasks": [task(1)]}, Projects=[{**FIRM["Projects"][0], "status": 5}])
    plan = await desk.plan(
        target, step("Tasks", "update", "externalID", "externalID: Key, title: Title"), a="Key,Title\nT1,x\n"
    )
    assert plan.change(1).notes == ("may be refused: the project is complete: project 60 (Move)",)
    assert plan.header.warnings[0] == (
        "a: 1 update may be refused: the project is complete. Tasks 1 (T): project 60 (Move)"
    )


HELP = step("TaskSecondaryResources", "delete", "id", "id: Id", name="help")


@pytest.mark.parametrize("is_taken_out", [True, False])
async def test_what_an_earlier_step_does_counts(desk: Desk, *, is_taken_out: bool) -> None:
    """Who helps on a task cannot become its primary resource, unless a step before takes them out."""
    helps: Rows = [{"id": 5, "taskID": 1, "resourceID": 2, "roleID": 10}]
    target = Listening({"Tasks": [task(1)]}, TaskSecondaryResources=helps)
    steps = (HELP if is_taken_out else "") + ASSIGN
    plan = await desk.plan(target, steps, a="Key,Who,Role\nT1,2,10\n", help="Id\n5\n")
    (last,) = [change for change in plan.changes() if change.entity == "Tasks"]
    assert (last.reason is None) == is_taken_out
    assert is_taken_out or "is a secondary resource here already" in (last.reason or "")


async def test_rows_of_the_plan_count_for_each_other(desk: Desk) -> None:
    """A task holds fifty secondary resources: those it has, and those that rows before give it."""
    people: Rows = [{**FIRM["Resources"][0], "id": n} for n in range(1, 61)]
    roles: Rows = [{"id": n, "resourceID": n, "roleID": 10, "departmentID": 90} for n in range(1, 61)]
    helps: Rows = [{"id": 5, "taskID": 1, "resourceID": 2, "roleID": 10}]
    target = Listening(
        {"Tasks": [task(1)]}, Resources=people, ResourceRoles=roles, TaskSecondaryResources=helps
    )
    steps = "  - {name: a, entity: TaskSecondaryResources, action: create, source: {file: a.csv},"
    steps += " fields: {taskID: Task, resourceID: Who, roleID: Role}}\n"
    rows = "".join(f"1,{n},10\n" for n in range(3, 55))
    plan = await desk.plan(target, steps, a=f"Task,Who,Role\n{rows}")
    assert plan.header.counts["create"] == 49
    assert "has 50 secondary resources already" in (plan.change(50).reason or "")


async def test_rows_under_a_row_that_a_rule_rejects_fall_with_it(desk: Desk) -> None:
    """As with any other reason: nothing is made under what is not made."""
    steps = step(
        "Projects", "upsert", "extProjectNumber",
        "extProjectNumber: Key, projectName: Key, companyID: {value: 30}, status: {value: New},"
        " projectType: {value: Client}, startDateTime: Day, endDateTime: Day", name="p",
    )  # fmt: skip
    steps += step(
        "Phases",
        "create",
        "title, projectID",
        "title: Title, projectID: {column: Project, from: p}",
        name="h",
    )
    plan = await desk.plan(Listening({}), steps, p="Key,Day\nP1,2026-01-01\n", h="Title,Project\nOne,P1\n")
    assert [change.action.value for change in plan.changes()] == ["rejected", "rejected"]
    assert "must be later than startDateTime" in (plan.change(1).reason or "")
    assert "which it needs, was rejected" in (plan.change(2).reason or "")


SEND = (
    "  - {name: send, entity: ServiceCallTaskResources, action: create, source: {file: send.csv},"
    " fields: {serviceCallTaskID: Call, resourceID: Who}}\n"
)
HELPS = (
    "  - {name: helps, entity: TaskSecondaryResources, action: create, source: {file: helps.csv},"
    " fields: {taskID: Task, resourceID: Who, roleID: {value: 10}}}\n"
)
CALL: Rows = [{"id": 96, "serviceCallID": 1, "taskID": 1}]
_BEFORE = {
    "nothing": ("", {}),
    "assigned": (ASSIGN, {"a": "Key,Who,Role\nT1,2,10\n"}),
    "helps": (HELPS, {"helps": "Task,Who\n1,2\n"}),
    "somebody else helps": (HELPS, {"helps": "Task,Who\n1,3\n"}),
    "helps elsewhere": (HELPS, {"helps": "Task,Who\n2,2\n"}),
    "rejected": (ASSIGN, {"a": "Key,Who,Role\nT1,2,11\n"}),
}


@pytest.mark.parametrize(("before", "is_doubted"), [
    ("nothing", True), ("assigned", False), ("helps", False), ("somebody else helps", True),
    ("helps elsewhere", True), ("rejected", True),
])  # fmt: skip
async def test_who_is_put_on_the_task_before_is_sent_without_a_doubt(
    desk: Desk, before: str, *, is_doubted: bool
) -> None:
    """As its primary resource or as a secondary one, by an earlier step of the same plan that goes."""
    steps, files = _BEFORE[before]
    target = Listening({"Tasks": [task(1), task(2)]}, ServiceCallTasks=CALL, ServiceCallTaskResources=[])
    plan = await desk.plan(target, steps + SEND, send="Call,Who\n96,2\n", **files)
    (sent,) = [change for change in plan.changes() if change.entity == "ServiceCallTaskResources"]
    doubts = [note for note in sent.notes if "not assigned to the task or ticket" in note]
    assert (sent.action.value, bool(doubts)) == ("create", is_doubted)


async def test_who_is_taken_off_the_task_before_is_doubted(desk: Desk) -> None:
    """The other way round: what an earlier step takes away is away."""
    target = Listening({"Tasks": [task(1)]}, ServiceCallTasks=CALL, ServiceCallTaskResources=[])
    plan = await desk.plan(target, ASSIGN + SEND, a="Key,Who,Role\nT1,2,10\n", send="Call,Who\n96,1\n")
    assert any("not assigned to the task or ticket" in note for note in plan.change(2).notes)


MAKE = step(
    "Tasks", "create", "externalID",
    "externalID: Key, title: Key, projectID: {value: 60}, status: {value: New}, taskType: {value: 1},"
    " assignedResourceID: Who, assignedResourceRoleID: Role, billingCodeID: Code, departmentID: Place",
    name="make",
)  # fmt: skip
ON_NEW = HELPS.replace("taskID: Task", "taskID: {column: Task, from: make}")


@pytest.mark.parametrize(("made", "helper", "reason", "note"), [
    ("N1,1,10,20,", 2, None, None),
    ("N1,1,10,20,", 1, "resourceID 1 is the primary resource of the task of row 1 (N1) already", None),
    ("N1,,,20,90", 2, None, None),
    ("N1,,,,90", 2, None, "the task of row 1 (N1) has no billingCodeID"),
    ("N1,,,,", 2, None, "the task of row 1 (N1) has no billingCodeID and no departmentID"),
])  # fmt: skip
async def test_helpers_of_a_task_that_the_plan_makes_are_judged_by_it(
    desk: Desk, made: str, helper: int, reason: str | None, note: str | None
) -> None:
    """As if the task were there: who is its primary resource, and whether it has what helpers need."""
    codes: Rows = [{"id": 20, "name": "Work", "useType": 1, "isActive": True}]
    target = Listening({"Tasks": []}, BillingCodes=codes, TaskSecondaryResources=[])
    rows = {"make": f"Key,Who,Role,Code,Place\n{made}\n", "helps": f"Task,Who\nN1,{helper}\n"}
    plan = await desk.plan(target, MAKE + ON_NEW, **rows)
    change = plan.change(2)
    assert (reason in (change.reason or "")) if reason else change.reason is None
    told = " ".join(change.notes)
    assert (note in told) if note else "without a primary resource" not in told


async def test_who_is_put_on_a_task_twice_is_doubted(desk: Desk) -> None:
    """By two rows of one plan: nothing is said of it, and it can only be a mistake."""
    target = Listening({"Tasks": [task(1)]}, TaskSecondaryResources=[])
    plan = await desk.plan(target, HELPS, helps="Task,Who\n1,2\n1,3\n1,2\n")
    notes = [any("is a secondary resource of the task already" in n for n in c.notes) for c in plan.changes()]
    assert notes == [False, False, True]


@pytest.mark.parametrize(("who", "action"), [
    ("Who", "rejected"),
    ("{column: Who, lookup: id}", "rejected"),
    ("{column: Who, lookup: id, inactive: allow}", "update"),
])  # fmt: skip
async def test_who_is_inactive_is_assigned_by_word_only(desk: Desk, who: str, action: str) -> None:
    """By a number or by a lookup: rejected before any write, unless the job says `inactive: allow`."""
    people: Rows = [{**row, "isActive": row["id"] != 2} for row in FIRM["Resources"]]
    target = Listening({"Tasks": [task(1), task(2, assignedResourceID=2)]}, Resources=people)
    fields = f"externalID: Key, title: Title, assignedResourceID: {who}"
    rows = "Key,Title,Who\nT1,x,2\nT2,x,2\n"
    plan = await desk.plan(target, step("Tasks", "update", "externalID", fields), a=rows)
    given, kept = plan.changes()
    assert given.action.value == action
    assert ("2 (Jane Doe2" in (given.reason or "")) == (action == "rejected")
    assert (kept.action.value, list(kept.fields)) == ("update", ["title"])


async def test_what_was_looked_at_has_its_name_beside_its_number(desk: Desk) -> None:
    """Whatever it is that a record refers to, as far as a rule read it: people, roles, tasks."""
    target = Listening({"Tasks": [task(1)]}, TaskSecondaryResources=[])
    plan = await desk.plan(target, HELPS, helps="Task,Who\n1,2\n")
    labels = plan.header.extra["labels"]["TaskSecondaryResources"]
    assert labels["resourceID"]["2"] == "Jane Doe2"
    assert labels["taskID"]["1"] == task(1)["title"]
