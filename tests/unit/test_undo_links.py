"""Taking back a delete: what only connects two records is made again, everything else is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops.applier import apply_plan
from bulkops.change import Action
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
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
