"""What the plan itself makes the API do is no drift: later rows are planned from it, and wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bulkops.change import UNKNOWN
from bulkops.errors import RejectedError
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.targets.memory import MemoryTarget
from bulkops.undo import build_undo
from tests.unit.test_drift import apply
from tests.unit.test_undo_rules import FIRM

STEP = (
    "  - {{name: {name}, entity: {entity}, action: {action}, source: {{file: {name}.csv}},"
    " match: [{match}], fields: {fields}}}\n"
)
HEAD = "version: 1\nname: a\ntenant: acme\nlimits: {update: {percent: 100}}\nsteps:\n"


class Doing(MemoryTarget):
    """Does with a write what the API would do besides: `effects`, by the entity that is written."""

    effects: Mapping[str, Mapping[tuple[str, int], Mapping[str, Scalar]]] = {}

    async def update(self, entity: str, id: int, values: Mapping[str, Scalar], **more: Any) -> None:
        await super().update(entity, id, values, **more)
        self._do(entity)

    async def create(self, entity: str, values: Mapping[str, Scalar], **more: Any) -> int:
        made = await super().create(entity, values, **more)
        self._do(entity)
        return made

    def _do(self, entity: str) -> None:
        for (other, id), fields in self.effects.get(entity, {}).items():
            self.rows[other][id] |= fields


def step(name: str, entity: str, fields: str, *, action: str = "update", match: str = "id") -> str:
    return STEP.format(name=name, entity=entity, action=action, match=match, fields=fields)


async def planned(folder: Path, target: MemoryTarget, steps: str, **files: str) -> Plan:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, "utf-8")
    (folder / "job.yaml").write_text(HEAD + steps, "utf-8")
    return await build_plan(load_job(folder / "job.yaml"), target, folder / "x.plan")


@pytest.fixture
def target() -> Doing:
    target = Doing(FIRM)
    target.rows["Tasks"][3]["remainingHours"] = 4.0
    del target.rows["TaskSecondaryResources"][90]
    return target


CLOSE = step("close", "Projects", "{id: Id, status: State}")
WAIT = step("wait", "Tasks", "{id: Id, status: State}")
TITLE = step("title", "Tasks", "{id: Id, title: Title}")
FILES = {"close": "Id,State\n60,Complete\n", "wait": "Id,State\n3,New\n", "title": "Id,Title\n3,new\n"}


async def test_a_task_that_its_project_completed_is_planned_from_that(tmp_path: Path, target: Doing) -> None:
    """Before is what the row above leaves, by way of the API; both are applied, and both come back."""
    target.rows["Tasks"][3]["status"] = 7
    target.effects = {"Projects": {("Tasks", 3): {"status": 5, "remainingHours": 0.0}}}
    plan = await planned(tmp_path, target, CLOSE + WAIT, close=FILES["close"], wait=FILES["wait"])
    close, wait = plan.changes()
    assert (wait.fields["status"].before, wait.waits_for) == (5, (close.n,))
    assert (await apply(plan, target)).counts["applied"] == 2
    assert target.rows["Tasks"][3]["status"] == 1
    target.effects = {}
    undo = await build_undo(plan, target, tmp_path / "back.plan")
    assert (await apply(undo, target)).counts["applied"] == undo.counts["update"] == 3
    row = target.rows["Tasks"][3]
    assert (row["status"], row["remainingHours"]) == (7, 4.0)


async def test_what_else_a_row_writes_waits_for_nothing(tmp_path: Path, target: Doing) -> None:
    """The title has nothing to do with the project's status."""
    plan = await planned(tmp_path, target, CLOSE + TITLE, close=FILES["close"], title=FILES["title"])
    assert [change.waits_for for change in plan.changes()] == [(), ()]


HAND = step("hand", "Tasks", "{id: Id, assignedResourceID: Who}")
HOME = step("home", "Tasks", "{id: Id, departmentID: Department, title: Title}")


async def test_a_department_that_the_api_set_is_no_drift(tmp_path: Path, target: Doing) -> None:
    """Nobody knows to which, so what it held is unknown; what was there is kept, and undo restores it."""
    target.effects = {"Tasks": {("Tasks", 3): {"departmentID": 77}}}
    files = {"hand": "Id,Who\n3,2\n", "home": "Id,Department,Title\n3,91,new\n"}
    plan = await planned(tmp_path, target, HAND + HOME, **files)
    _, home = plan.changes()
    assert home.fields["departmentID"].before == UNKNOWN and home.fields["title"].before == "T"
    assert not any("nobody can read" in text for text in plan.header.extra["altered"])
    assert (await apply(plan, target)).counts["applied"] == 2
    assert plan.fate(2).reason is None
    assert plan.fate(2).written.fields["departmentID"].before == 77


FOLLOWS = step(
    "follows", "TaskPredecessors", "{predecessorTaskID: First, successorTaskID: Then}", action="create",
    match="predecessorTaskID, successorTaskID",
)  # fmt: skip
DATES = step("dates", "Tasks", "{id: Id, startDateTime: Start}")


async def test_dates_that_a_predecessor_moves_are_no_drift(tmp_path: Path, target: Doing) -> None:
    """The plan has the successor moved, and then gives it a date of its own."""
    target.load("Tasks", {**target.rows["Tasks"][3], "id": 4, "endDateTime": "2026-03-01T00:00:00Z"})
    target.rows["Tasks"][3]["startDateTime"] = "2026-02-01T00:00:00Z"
    target.effects = {"TaskPredecessors": {("Tasks", 3): {"startDateTime": "2026-03-01T00:00:00Z"}}}
    files = {"follows": "First,Then\n4,3\n", "dates": "Id,Start\n3,2026-04-01\n"}
    plan = await planned(tmp_path, target, FOLLOWS + DATES, **files)
    assert (await apply(plan, target)).counts["applied"] == 2
    assert str(target.rows["Tasks"][3]["startDateTime"]).startswith("2026-04-01")


async def test_a_row_falls_with_the_one_on_which_it_builds(tmp_path: Path, target: Doing) -> None:
    """Nobody changed anything: the true reason is told, and no drift."""
    again = step("again", "Tasks", "{id: Id, title: Title}")
    files = {"title": FILES["title"], "again": "Id,Title\n3,newer\n"}
    plan = await planned(tmp_path, target, TITLE + again, **files)
    target.script("update", [RejectedError("Text exceeds the maximum length for field title.", known=True)])
    assert (await apply(plan, target)).counts["rejected"] == 2
    assert plan.fate(2).reason == "row 1, which it needs, was rejected"
