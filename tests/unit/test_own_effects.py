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
    """Nobody knows to which: it is written over and told, and what was there is kept for undo."""
    target.effects = {"Tasks": {("Tasks", 3): {"departmentID": 77}}}
    files = {"hand": "Id,Who\n3,2\n", "home": "Id,Department,Title\n3,91,new\n"}
    plan = await planned(tmp_path, target, HAND + HOME, **files)
    _, home = plan.changes()
    assert (home.fields["departmentID"].before, home.moved, home.waits_for) == (90, {"departmentID": 1}, ())
    assert not any("nobody can read" in text for text in plan.header.extra["altered"])
    assert (await apply(plan, target)).counts["applied"] == 2
    assert plan.fate(2).reason == "overwritten: departmentID was 77, and not 90"
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


async def test_dates_that_somebody_changed_are_held_beside_those_that_move(
    tmp_path: Path, target: Doing
) -> None:
    """Tasks that follow each other, both given dates by one step: whoever changed one meanwhile is not
    overwritten, and the other goes.
    """
    target.load("Tasks", {**target.rows["Tasks"][3], "id": 4})
    for id in (3, 4):
        target.rows["Tasks"][id]["endDateTime"] = "2026-02-01T00:00:00Z"
    target.load("TaskPredecessors", {"predecessorTaskID": 3, "successorTaskID": 4, "lagDays": 0})
    ends = step("ends", "Tasks", "{id: Id, endDateTime: End}")
    plan = await planned(tmp_path, target, ends, ends="Id,End\n3,2026-03-01\n4,2026-03-02\n")
    assert [change.waits_for for change in plan.changes()] == [(), ()]
    target.rows["Tasks"][4]["endDateTime"] = "2026-05-12T00:00:00Z"
    counts = (await apply(plan, target)).counts
    assert (counts["applied"], counts["held"]) == (1, 1)
    assert target.rows["Tasks"][4]["endDateTime"] == "2026-05-12T00:00:00Z"


async def test_a_row_that_was_moved_by_none_is_guarded_as_ever(tmp_path: Path, target: Doing) -> None:
    """The link could not be made, so nothing moved the task: what is other there is somebody's doing."""
    target.load("Tasks", {**target.rows["Tasks"][3], "id": 4, "endDateTime": "2026-03-01T00:00:00Z"})
    target.rows["Tasks"][3]["startDateTime"] = "2026-02-01T00:00:00Z"
    files = {"follows": "First,Then\n4,3\n", "dates": "Id,Start\n3,2026-04-01\n"}
    plan = await planned(tmp_path, target, FOLLOWS + DATES, **files)
    target.script("create", [RejectedError("no", known=True)])
    target.rows["Tasks"][3]["startDateTime"] = "2026-02-02T00:00:00Z"
    counts = (await apply(plan, target)).counts
    assert (counts["rejected"], counts["held"]) == (1, 1)
    assert "startDateTime was" in (plan.fate(2).reason or "")


async def test_what_a_record_holds_already_is_written_where_the_plan_moves_it_away(
    tmp_path: Path, target: Doing
) -> None:
    """It is so now, and would not be so at the end: the row is no unchanged one."""
    target.load("Tasks", {**target.rows["Tasks"][3], "id": 4, "endDateTime": "2026-03-01T00:00:00Z"})
    target.rows["Tasks"][3]["startDateTime"] = "2026-02-01T00:00:00.000Z"
    target.effects = {"TaskPredecessors": {("Tasks", 3): {"startDateTime": "2026-03-01T00:00:00Z"}}}
    files = {"follows": "First,Then\n4,3\n", "dates": "Id,Start\n3,2026-02-01\n"}
    plan = await planned(tmp_path, target, FOLLOWS + DATES, **files)
    assert plan.change(2).fields["startDateTime"].before == UNKNOWN
    assert (await apply(plan, target)).counts["applied"] == 2
    assert str(target.rows["Tasks"][3]["startDateTime"]).startswith("2026-02-01")


async def test_a_department_of_the_plans_own_is_taken_back_beside_the_apis(
    tmp_path: Path, target: Doing
) -> None:
    """One step sets it, the next hands the task over and the API sets another: nobody else has changed it."""
    files = {"home": "Id,Department,Title\n3,91,new\n", "hand": "Id,Who\n3,2\n"}
    plan = await planned(tmp_path, target, HOME + HAND, **files)
    target.effects = {"Tasks": {("Tasks", 3): {"departmentID": 77}}}
    target.script("update", [None, None])
    assert (await apply(plan, target)).counts["applied"] == 2
    target.effects = {}
    undo = await build_undo(plan, target, tmp_path / "back.plan")
    assert undo.counts["rejected"] == 0
    assert (await apply(undo, target)).counts["applied"] == 2
    row = target.rows["Tasks"][3]
    assert (row["departmentID"], row["title"], row["assignedResourceID"]) == (90, "T", 1)


async def test_what_the_way_back_would_overwrite_holds_its_project(tmp_path: Path, target: Doing) -> None:
    """The project becomes complete once more, and a task in it is opened again after that, as the plan saw
    it: whoever worked on the task in between is not overwritten.
    """
    target.rows["Projects"][60]["status"] = 5
    target.rows["Tasks"][3]["status"] = 7
    opened = step("close", "Projects", "{id: Id, status: State}")
    plan = await planned(tmp_path, target, opened, close="Id,State\n60,New\n")
    assert (await apply(plan, target)).counts["applied"] == 1
    undo = await build_undo(plan, target, tmp_path / "back.plan")
    assert undo.counts["update"] == 2
    target.rows["Tasks"][3] |= {"status": 8, "remainingHours": 6.0}
    assert (await apply(undo, target)).counts["held"] == 2
    assert "what its open tasks hold is other by now" in (undo.fate(1).reason or "")
    assert (target.rows["Tasks"][3]["status"], target.rows["Tasks"][3]["remainingHours"]) == (8, 6.0)


async def test_the_way_back_falls_as_the_way_there(tmp_path: Path, target: Doing) -> None:
    """Two rows of one record: the first one goes back after the second, and not without it."""
    again = step("again", "Tasks", "{id: Id, title: Title}")
    files = {"title": FILES["title"], "again": "Id,Title\n3,newer\n"}
    plan = await planned(tmp_path, target, TITLE + again, **files)
    assert (await apply(plan, target)).counts["applied"] == 2
    undo = await build_undo(plan, target, tmp_path / "back.plan")
    assert [change.waits_for for change in undo.changes()] == [(), (1,)]
    target.rows["Tasks"][3]["title"] = "theirs"
    assert (await apply(undo, target)).counts["held"] == 2
    assert undo.fate(2).reason == "row 1, which it needs, is held"
