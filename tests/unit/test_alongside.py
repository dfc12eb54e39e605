"""Undo of what the API did by itself: tasks that it completed with their project are opened again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bulkops.applier import apply_plan
from bulkops.change import Action, Change, FieldDiff, Unknown
from bulkops.errors import InDoubtError
from bulkops.job import load_job
from bulkops.journal import Journal
from bulkops.plan import Plan
from bulkops.plan.encoding import change_from_json, change_to_json
from bulkops.planner.build import build_plan
from bulkops.progress import OnDrift
from bulkops.record import Held, Premise, Scalar, Tally
from bulkops.targets.memory import MemoryTarget
from bulkops.undo import build_undo
from tests.unit.test_drift import again, apply, plan_of

Task = Mapping[str, Scalar]

OPEN: Task = {"status": 8, "remainingHours": 2.5}
DONE: Task = {"status": 5, "remainingHours": 0.0}


def closing(n: int, project: int, tasks: Mapping[int, Task]) -> Change:
    """A project that is completed, planned while these were its open tasks."""
    tally = Tally(
        entity="Tasks", parent="projectID", field="status", unless=5, word="open task",
        keeps=("status", "remainingHours"), held=Held(records=tasks),
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
        (OPEN, {"status": 8, "remainingHours": 0}, "update", {"remainingHours": (0, 2.5)}),
        (OPEN, {"status": 8, "remainingHours": 1}, "unchanged", {}),
        (OPEN, {"status": 9, "remainingHours": 0}, "rejected", {}),
        (OPEN, None, "rejected", {}),
    ],
    ids=[
        "as it was", "hours nobody could read", "no hours", "hours that somebody gave it since",
        "opened by somebody", "opened and given hours", "given another status", "gone",
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
    """The project is not there any more: neither can be opened, and each says why."""
    target = await closed(tmp_path, {3: {"status": 8}}, {3: {"status": 5}})
    del target.rows["Projects"][60]
    project, task = (await undone(tmp_path, target)).changes()
    assert project.action is task.action is Action.REJECTED
    assert task.reason == f"row 1, which it needs, is rejected: {project.reason}"


async def test_tasks_of_a_project_that_somebody_opened_are_opened_without_it(tmp_path: Path) -> None:
    """In another way than it was: the project stays so, and they wait for nothing."""
    target = await closed(tmp_path, {3: {"status": 8}}, {3: {"status": 5}})
    target.rows["Projects"][60]["status"] = 9
    undo = await undone(tmp_path, target)
    project, task = undo.changes()
    assert (project.action, task.action, task.waits_for) == ("rejected", "update", ())
    assert (await apply(undo, target)).counts["applied"] == 1
    assert target.rows["Tasks"][3]["status"] == 8


async def test_a_task_that_the_plan_had_not_seen_is_opened_again_too(tmp_path: Path) -> None:
    """Nothing was open when it was planned; somebody opened one, and it was overwritten all the same."""
    target = await closed(tmp_path, {}, {})
    target.load("Tasks", {"id": 4, "title": "New", "projectID": 60, "status": 7, "remainingHours": 1.5})
    target.rows["Projects"][60]["status"] = 1
    (folder := tmp_path / "b").mkdir()
    await apply(plan_of(folder, [closing(1, 60, {})]), target, OnDrift.OVERWRITE)
    target.rows["Tasks"][4] |= DONE
    _, task = (await undone(folder, target)).changes()
    assert sent(task) == {"status": (5, 7), "remainingHours": (0.0, 1.5)}


async def test_a_plan_of_an_older_version_is_read_and_held(tmp_path: Path) -> None:
    """It kept how many open tasks there were: what it says is shown, and what rests on them is not sent."""
    change = closing(1, 60, {3: OPEN})
    text = change_to_json(change)
    old = re.sub(r'"open task",\[.*?\]\]\]\]', '"open task",1]', text)
    assert old != text
    told = change_from_json(1, old)
    assert told.premise is not None and told.premise.tally is not None
    assert (told.premise.tally.held, told.along) == (None, None)
    target = MemoryTarget({"Projects": [{"id": 60, "projectName": "Move", "status": 1}]})
    plan = plan_of(tmp_path, [told])
    assert (await apply(plan, target)).counts["held"] == 1
    assert "an older bulkops made the plan" in (plan.fate(1).reason or "")
    assert list(plan.changes()) == [told]


JOB = """\
version: 1
name: a
tenant: acme
limits: {update: {percent: 100}}
steps:
"""
COMPLETED = (
    "  - {name: done, entity: Tasks, action: update, source: {file: done.csv}, match: [id],"
    " fields: {id: Id, status: State}}\n"
)
PROJECT = (
    "  - {name: close, entity: Projects, action: update, source: {file: close.csv}, match: [id],"
    " fields: {id: Id, status: State}}\n"
)
MORE = (
    "  - {name: more, entity: Tasks, action: create, source: {file: more.csv}, match: [externalID],"
    " fields: {externalID: Key, projectID: Project,"
    " title: Key, status: {value: New}, taskType: {value: 1}}}\n"
)


async def planned(folder: Path, target: MemoryTarget, *steps: str) -> Plan:
    (folder / "done.csv").write_text("Id,State\n3,Complete\n", "utf-8")
    (folder / "close.csv").write_text("Id,State\n60,Complete\n", "utf-8")
    (folder / "more.csv").write_text("Key,Project\nK,60\n", "utf-8")
    (folder / "job.yaml").write_text(JOB + "".join(steps), "utf-8")
    return await build_plan(load_job(folder / "job.yaml"), target, folder / "x.plan")


def firm() -> MemoryTarget:
    return MemoryTarget(
        {
            "Projects": [{"id": 60, "projectName": "Move", "status": 1, "projectType": 5, "companyID": 1}],
            "Tasks": [{"id": id, "title": f"T{id}", "projectID": 60, "taskType": 1, **OPEN} for id in (3, 4)],
        }
    )


async def test_a_task_that_a_plan_completes_gets_its_hours_back(tmp_path: Path) -> None:
    """What remained just before it was written, which the API then set to 0; the plan says how far."""
    target = firm()
    plan = await planned(tmp_path, target, COMPLETED)
    (told,) = [text for text in plan.header.extra["altered"] if "remainingHours" in text]
    assert told.startswith("1 Tasks whose remainingHours come back only where")
    target.rows["Tasks"][3]["remainingHours"] = 7.25  # somebody worked on it meanwhile: no drift
    assert (await apply(plan, target)).counts["applied"] == 1
    target.rows["Tasks"][3]["remainingHours"] = 0.0
    (back,) = (await undone(tmp_path, target)).changes()
    assert sent(back) == {"status": (5, 8), "remainingHours": (0.0, 7.25)}


@pytest.mark.parametrize("steps", [(COMPLETED, PROJECT), (PROJECT, MORE)], ids=["before it", "after it"])
async def test_what_a_plan_does_to_tasks_itself_holds_no_project(
    tmp_path: Path, steps: tuple[str, ...]
) -> None:
    """Tasks that it completes or creates: nobody else's doing, whatever the project had when it was planned.
    What was really open when the project was closed comes back.
    """
    target = firm()
    plan = await planned(tmp_path, target, *steps)
    assert (await apply(plan, target)).counts["applied"] == 2
    for id in target.rows["Tasks"]:
        target.rows["Tasks"][id] |= DONE
    undo = await undone(tmp_path, target)
    back = {change.id: change for change in undo.changes() if change.entity == "Tasks"}
    assert all(sent(back[id])["status"] == (5, 8) for id in (3, 4))


async def test_what_somebody_closed_by_hand_is_not_held_for_its_tasks(tmp_path: Path) -> None:
    """The status is there already and another field is not: that one is written."""
    target = firm()
    step = PROJECT.replace("status: State", "status: State, description: {value: x}")
    plan = await planned(tmp_path, target, step)
    target.rows["Projects"][60]["status"] = 5
    target.rows["Tasks"][3] |= DONE
    assert (await apply(plan, target)).counts["applied"] == 1


async def test_what_went_on_since_is_said_beside_what_goes_back(tmp_path: Path) -> None:
    """A record was chosen by a field, which holds another value by now: it goes back, and that is told."""
    target = firm()
    for id in (3, 4):
        target.rows["Tasks"][id]["priority"] = 0
    step = (
        "  - {name: a, entity: Tasks, action: update, match: [id], fields: {id: id, title: {value: x}},"
        " source: {query: Tasks, where: [{field: priority, op: eq, value: 0}]}}\n"
    )
    await apply(await planned(tmp_path, target, step), target)
    target.rows["Tasks"][4]["priority"] = 3
    found = {change.id: change.notes for change in (await undone(tmp_path, target)).changes()}
    assert not any("since then" in note for note in found[3])
    assert "since then: priority was 0" in " ".join(found[4])


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
    target = again(target)
    undo = await undone(tmp_path, target)
    assert undo.total == 1
    (told,) = [text for text in undo.header.warnings if "pending" in text]
    assert told.startswith("2 rows of ") and "x.plan are still pending, and no part of this" in told
    await apply(plan, target)
    (tmp_path / "back.plan").unlink()
    assert not [text for text in (await undone(tmp_path, target)).header.warnings if "pending" in text]


@pytest.mark.parametrize(
    ("on_drift", "told"),
    [
        (OnDrift.HOLD, "it had 2 open tasks and has 3 now"),
        (OnDrift.OVERWRITE, "overwritten: it had 3 open tasks, and not 2"),
    ],
)
async def test_a_foreign_task_holds_its_project_though_the_plan_writes_others(
    tmp_path: Path, on_drift: OnDrift, told: str
) -> None:
    """What the plan itself has written is left out, and nothing else; who overwrites is told the same."""
    target = firm()
    target.load("Tasks", {"id": 9, "title": "T9", "projectID": 61, "taskType": 1, **OPEN})
    rename = (
        "  - {name: a, entity: Tasks, action: update, source: {file: a.csv}, match: [id],"
        " fields: {id: Id, title: Text}}\n"
    )
    (tmp_path / "a.csv").write_text("Id,Text\n9,new\n", "utf-8")
    plan = await planned(tmp_path, target, rename, PROJECT)
    target.load("Tasks", {"id": 5, "title": "Theirs", "projectID": 60, "taskType": 1, **OPEN})
    counts = (await apply(plan, target, on_drift)).counts
    assert (counts["applied"], counts["held"]) == ((1, 1) if on_drift is OnDrift.HOLD else (2, 0))
    assert told in (plan.fate(2).reason or "")


async def test_a_task_that_is_created_complete_loses_nothing(tmp_path: Path) -> None:
    """There were no hours before."""
    plan = await planned(tmp_path, firm(), MORE.replace("{value: New}", "{value: Complete}"))
    assert not any("remainingHours" in text for text in plan.header.extra["altered"])


async def lost_half_way(folder: Path, target: MemoryTarget) -> Plan:
    """The intent was durable, the request never arrived, and the process died."""
    plan = plan_of(folder, [closing(1, 60, dict.fromkeys((3, 4), OPEN))])
    journal = Journal.open(plan.path)
    await journal.intent([1])
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)
    return plan


async def test_what_a_row_rests_on_is_looked_at_before_it_is_sent_once_more(tmp_path: Path) -> None:
    """Somebody completed a task between the kill and the next run: held, as it would have been before."""
    target = firm()
    plan = await lost_half_way(tmp_path, target)
    target.rows["Tasks"][4]["status"] = 5
    assert (await apply(plan, target)).counts["held"] == 1
    assert "it had 2 open tasks and has 1 now" in (plan.fate(1).reason or "")
    assert target.writes == []


async def test_what_was_there_when_it_was_sent_once_more_is_restored(tmp_path: Path) -> None:
    """Hours of one task, another task done, one more: what the second request really ended."""
    target = firm()
    plan = await lost_half_way(tmp_path, target)
    target.rows["Tasks"][4] |= DONE
    target.rows["Tasks"][3]["remainingHours"] = 1.25
    target.load("Tasks", {"id": 5, "title": "New", "projectID": 60, "status": 1, "remainingHours": 9.0})
    assert (await apply(plan, target, OnDrift.OVERWRITE)).counts["applied"] == 1
    for id in (3, 5):
        target.rows["Tasks"][id] |= DONE
    back = {change.id: sent(change) for change in (await undone(tmp_path, target)).changes()}
    assert back == {
        60: {"status": (5, 1)},
        5: {"status": (5, 1), "remainingHours": (0.0, 9.0)},
        3: {"status": (5, 8), "remainingHours": (0.0, 1.25)},
    }


async def test_a_row_sent_once_more_over_nothing_foreign_is_applied(tmp_path: Path) -> None:
    """The very tasks that the plan saw."""
    target = firm()
    plan = await lost_half_way(tmp_path, target)
    assert (await apply(plan, target)).counts["applied"] == 1
    assert [write.entity for write in target.writes] == ["Projects"]


@pytest.mark.parametrize("on_drift", [OnDrift.HOLD, OnDrift.OVERWRITE])
async def test_a_task_that_the_plan_creates_first_holds_no_project(tmp_path: Path, on_drift: OnDrift) -> None:
    """Creates wait for no step: the task is there before its project is closed, and is the plan's own."""
    target = firm()
    target.rows["Companies"][1] = {"id": 1, "companyName": "Acme", "phone": "1", "isActive": True}
    company = (
        "  - {name: a, entity: Companies, action: update, source: {file: a.csv}, match: [id],"
        " fields: {id: Id, phone: Phone}}\n"
    )
    (tmp_path / "a.csv").write_text("Id,Phone\n1,2\n", "utf-8")
    plan = await planned(tmp_path, target, company, PROJECT, MORE)
    target.script("update", [InDoubtError("slow"), None])  # the company takes longer than the create
    counts = (await apply(plan, target, on_drift)).counts
    order = [(write.action, write.entity) for write in target.writes]
    assert order.index(("create", "Tasks")) < order.index(("update", "Projects"))
    assert (counts["applied"], counts["held"]) == (3, 0)
    assert [fate.reason for fate in plan.fates()] == [None] * 3
