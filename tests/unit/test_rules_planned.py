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
        "assignedResourceID": 1, "assignedResourceRoleID": 10, "billingCodeID": 20, "estimatedHours": 2, **more,
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


ASSIGN = step("Tasks", "update", "externalID", "externalID: Key, assignedResourceID: Who, assignedResourceRoleID: Role")


async def test_what_no_rule_is_about_costs_no_read(desk: Desk) -> None:
    """An update of fields that nothing is known of asks for the records it changes, and no others."""
    target = Listening({})
    fields = "companyNumber: Key, phone: Phone"
    plan = await desk.plan(target, step("Companies", "update", "companyNumber", fields), a="Key,Phone\nC1,2\n")
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
    ).replace("not have assignedResourceRoleID 11 (Boss)", "not have assignedResourceRoleID 11 (Boss)") or (
        change.reason is None
    )
    assert (change.action.value, change.fields, change.parent, change.barrier) == ("rejected", {}, None, 0)
    assert plan.change(2).action.value == "update"
