"""Undo of what the API did by itself: tasks that it completed with their project are opened again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bulkops.applier import apply_plan
from bulkops.change import Action, Change, FieldDiff, Unknown
from bulkops.plan import Plan
from bulkops.record import Held, Premise, Scalar, Tally
from bulkops.targets.memory import MemoryTarget
from bulkops.undo import build_undo
from tests.unit.test_drift import apply, plan_of

Task = Mapping[str, Scalar]

OPEN: Task = {"status": 8, "remainingHours": 2.5}
DONE: Task = {"status": 5, "remainingHours": 0.0}


def closing(n: int, project: int, tasks: Mapping[int, Task]) -> Change:
    """A project that is completed, planned while these were its open tasks."""
    tally = Tally(
        entity="Tasks", parent="projectID", field="status", unless=5, word="open task",
        held=Held(records=tasks),
    )  # fmt: skip
    return Change(
        n=n, step="projects", entity="Projects", action=Action.UPDATE, line=n, file="x.csv", id=project,
        fields={"status": FieldDiff(before=1, after=5)},
        premise=Premise(entity="Projects", id=project, values={}, tally=tally),
    )  # fmt: skip


async def closed(folder: Path, tasks: Mapping[int, Task], now: Mapping[int, Task | None]) -> MemoryTarget:
    """Project 60 was completed with these tasks, which are so now; None: gone."""
    target = MemoryTarget(
        {
            "Projects": [{"id": 60, "projectName": "Move", "status": 1, "projectType": 5}],
            "Tasks": [{"id": id, "title": f"T{id}", "projectID": 60, **task} for id, task in tasks.items()],
        }
    )
    status = await apply(plan_of(folder, [closing(1, 60, tasks)]), target)
    assert status.counts["applied"] == 1
    for id, task in now.items():  # what the API does with the project
        if task is None:
            del target.rows["Tasks"][id]
        else:
            target.rows["Tasks"][id] |= task
    return target


async def undone(folder: Path, target: MemoryTarget) -> Plan:
    return await build_undo(Plan.open(folder / "x.plan"), target, folder / "back.plan")


def sent(change: Change) -> dict[str, Any]:
    return {name: (diff.before, diff.after) for name, diff in change.fields.items()}


@pytest.mark.parametrize(
    ("was", "now", "action", "fields"),
    [
        (OPEN, DONE, "update", {"status": (5, 8), "remainingHours": (0.0, 2.5)}),
        ({"status": 8, "remainingHours": None}, DONE, "update", {"status": (5, 8)}),
        ({"status": 8, "remainingHours": 0}, DONE, "update", {"status": (5, 8)}),
        (OPEN, {"status": 5, "remainingHours": 1}, "update", {"status": (5, 8)}),
        (OPEN, {"status": 8, "remainingHours": 0}, "unchanged", {}),
        (OPEN, {"status": 9, "remainingHours": 0}, "rejected", {}),
        (OPEN, None, "rejected", {}),
    ],
    ids=[
        "as it was", "hours nobody could read", "no hours", "hours that somebody gave it since",
        "opened by somebody", "given another status", "gone",
    ],
)  # fmt: skip
async def test_a_task_is_opened_again_as_far_as_that_is_known(
    tmp_path: Path, was: Task, now: Task | None, action: str, fields: dict[str, Any]
) -> None:
    """Its status and its hours, where the API has set them and nobody else has since."""
    target = await closed(tmp_path, {3: was}, {3: now})
    undo = await undone(tmp_path, target)
    project, task = undo.changes()
    assert (project.entity, task.entity, task.action, task.id) == ("Projects", "Tasks", action, 3)
    assert sent(task) == fields
    assert task.waits_for == ((1,) if action == "update" else task.waits_for)


async def test_hours_that_are_not_shown_are_sent_all_the_same(tmp_path: Path) -> None:
    """The plan knew them, and nobody can read them any more: before is unknown."""
    target = await closed(tmp_path, {3: {"status": 8, "remainingHours": 2.5}}, {3: {"status": 5}})
    del target.rows["Tasks"][3]["remainingHours"]
    _, task = (await undone(tmp_path, target)).changes()
    hours = task.fields["remainingHours"]
    assert isinstance(hours.before, Unknown) and hours.after == 2.5


async def test_there_and_back_and_there_and_back(tmp_path: Path) -> None:
    """The way back of the way back completes the tasks before their project, which has nothing to carry."""
    was: dict[int, Task] = {n: {"status": n, "remainingHours": n / 2} for n in (7, 8, 9)}
    target = await closed(tmp_path, was, dict.fromkeys(was, DONE))
    undo = await undone(tmp_path, target)
    assert [change.step for change in undo.changes()] == ["projects"] + ["0-Tasks"] * 3
    assert (await apply(undo, target)).counts["applied"] == 4
    assert {id: (row["status"], row["remainingHours"]) for id, row in target.rows["Tasks"].items()} == {
        n: (n, n / 2) for n in was
    }
    redo = await build_undo(undo, target, tmp_path / "redo.plan")
    changes = list(redo.changes())
    assert [(change.entity, change.action) for change in changes] == [
        *[("Tasks", Action.UPDATE)] * 3, ("Projects", Action.UPDATE)
    ]  # fmt: skip
    assert changes[-1].along is None
    assert (await apply(redo, target)).counts["applied"] == 4
    assert {row["status"] for row in target.rows["Tasks"].values()} == {5}
    assert target.rows["Projects"][60]["status"] == 5


async def test_tasks_fall_with_their_project(tmp_path: Path) -> None:
    """The project has another status by now: it stays, and so do they, with its number and its reason."""
    target = await closed(tmp_path, {3: {"status": 8}}, {3: {"status": 5}})
    target.rows["Projects"][60]["status"] = 9
    project, task = (await undone(tmp_path, target)).changes()
    assert project.action is task.action is Action.REJECTED
    assert task.reason == f"row 1, which it needs, is rejected: {project.reason}"


async def test_rows_of_tasks_tell_what_they_are_about(tmp_path: Path) -> None:
    """Id, title and project, in the results and beside the id; a second step of that name has another one."""
    target = await closed(tmp_path, {3: {"status": 8}}, {3: {"status": 5}})
    undo = await undone(tmp_path, target)
    step = undo.header.steps[1]
    assert (step.name, step.file) == ("0-Tasks", "what the API completed with Projects")
    assert dict(zip(step.columns, list(undo.rows())[1].cells, strict=True)) == {
        "id": "3", "title": "T3", "projectID": "60"
    }  # fmt: skip
    assert undo.header.extra["labels"]["Tasks"]["status"]["5"] == "Complete"


async def test_undo_says_what_is_not_applied_yet(tmp_path: Path) -> None:
    """A plan that was stopped half-way: its other rows are no part of the way back, and could still go."""
    target = MemoryTarget(
        {"Projects": [{"id": n, "projectName": f"P{n}", "status": 1} for n in (60, 61, 62)]}
    )
    plan = plan_of(tmp_path, [closing(n, 59 + n, {}) for n in (1, 2, 3)])
    await apply_plan(plan, target, stop_after=1)
    target = MemoryTarget({entity: rows.values() for entity, rows in target.rows.items()})
    undo = await undone(tmp_path, target)
    assert undo.total == 1
    (told,) = [text for text in undo.header.warnings if "pending" in text]
    assert told.startswith("2 rows of ") and "x.plan are still pending, and no part of this" in told
    await apply(plan, target)
    (tmp_path / "back.plan").unlink()
    assert not [text for text in (await undone(tmp_path, target)).header.warnings if "pending" in text]
