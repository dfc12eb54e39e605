"""What a change rests on: it is written only while another record, or its own, holds what the plan saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bulkops.applier import apply_plan
from bulkops.change import Action, Change, FieldDiff
from bulkops.job import load_job
from bulkops.journal import Journal
from bulkops.plan import Plan
from bulkops.plan.encoding import change_from_json, change_to_json
from bulkops.planner.build import build_plan
from bulkops.progress import OnDrift
from bulkops.record import Held, Premise, Scalar, Tally
from bulkops.targets.memory import MemoryTarget
from tests.unit.test_drift import again, apply, plan_of

OPEN: Mapping[str, Scalar] = {"status": 1, "endDateTime": "2026-01-31T00:00:00.000Z"}


def note(n: int, project: int, *, seen: Mapping[str, Scalar] = OPEN) -> Change:
    fields = {"title": FieldDiff(before=None, after="Closed")}
    return Change(
        n=n, step="notes", entity="ProjectNotes", action=Action.CREATE, line=n, file="x.csv", fields=fields,
        key={"title": f"Closed {n}"}, parent=project,
        premise=Premise(entity="Projects", id=project, values=seen),
    )  # fmt: skip


def closing(n: int, project: int, *, needs: int, seen: Mapping[str, Scalar] = OPEN) -> Change:
    return Change(
        n=n, step="projects", entity="Projects", action=Action.UPDATE, line=n, file="x.csv", id=project,
        fields={"status": FieldDiff(before=1, after=5)}, waits_for=(needs,), barrier=0,
        premise=Premise(entity="Projects", id=project, values=seen),
    )  # fmt: skip


def projects(count: int) -> MemoryTarget:
    return MemoryTarget(
        {"Projects": [{"id": n, "projectName": f"P{n}", **OPEN} for n in range(1, count + 1)]}
    )


def closed(folder: Path, count: int) -> Plan:
    """A note for each project, and then its status."""
    notes = [note(n, n) for n in range(1, count + 1)]
    return plan_of(folder, notes, [closing(count + n, n, needs=n) for n in range(1, count + 1)])


async def test_what_rests_on_a_record_that_changed_is_held_with_it(tmp_path: Path) -> None:
    """No note announces what will not come: record, field, both values and who are named."""
    target = projects(3)
    target.rows["Projects"][2] |= {"endDateTime": "2026-12-31T00:00:00Z", "lastActivityResourceID": 7}
    plan = closed(tmp_path, 3)
    status = await apply(plan, target)
    assert (status.counts["applied"], status.counts["held"]) == (4, 2)
    reasons = {fate.change.n: fate.reason or "" for fate in plan.fates() if fate.reason}
    assert reasons[2] == (
        "Projects 2: endDateTime was '2026-01-31T00:00:00.000Z' and is '2026-12-31T00:00:00Z' now: "
        "it was changed since the plan was made, last changed by resource 7"
    )
    assert reasons[5] == "row 2, which it needs, is held"
    assert len(target.rows["ProjectNotes"]) == 2
    assert [row["status"] for row in target.rows["Projects"].values()] == [5, 1, 5]


async def test_a_field_that_is_not_written_is_guarded_too(tmp_path: Path) -> None:
    """The record is changed between its note and its status: its status stays, and both fields are named."""
    target = projects(2)
    await apply(plan_of(tmp_path, [note(1, 1)]), target)
    target.rows["Projects"][1] |= {"status": 8, "endDateTime": None}
    (folder := tmp_path / "b").mkdir()
    plan = plan_of(folder, [note(1, 2)], [closing(2, 1, needs=1)])
    assert (await apply(plan, target)).counts["held"] == 1
    reason = plan.fate(2).reason or ""
    assert "status was 1 and is 8 now; endDateTime was '2026-01-31T00:00:00.000Z' and is empty now" in reason


async def test_what_is_so_already_needs_no_premise(tmp_path: Path) -> None:
    """Somebody has done the very same, whatever else they did: nothing is written, nothing is held."""
    target = projects(1)
    target.rows["Projects"][1] |= {"status": 5, "endDateTime": None}
    plan = plan_of(tmp_path, [replace(closing(1, 1, needs=1), waits_for=())])
    assert (await apply(plan, target)).counts["unchanged"] == 1
    assert target.writes == []


async def test_overwrite_and_stop_mean_premises_too(tmp_path: Path) -> None:
    """Who overwrites has no premise read, but the records that are written; who stops stops before anything
    is written.
    """
    for on_drift, writes, reads in ((OnDrift.OVERWRITE, 4, 2), (OnDrift.STOP, 0, 2)):
        target = projects(2)
        target.rows["Projects"][2]["endDateTime"] = None
        (folder := tmp_path / on_drift.value).mkdir()
        status = await apply(closed(folder, 2), target, on_drift)
        assert (len(target.writes), target.calls.read) == (writes, reads), on_drift
        assert ("is empty now" in (status.waiting or "")) is (on_drift is OnDrift.STOP)


async def test_a_record_that_is_gone_is_the_apis_matter(tmp_path: Path) -> None:
    """Nothing is known of it, so nothing is said: the request is answered."""
    target = projects(1)
    del target.rows["Projects"][1]
    assert (await apply(plan_of(tmp_path, [note(1, 1)]), target)).counts["applied"] == 1


async def test_premises_cost_one_read_for_five_hundred_rows(tmp_path: Path) -> None:
    """Of the records that 1,000 rows rest on, and no second one for records that are changed themselves."""
    target = projects(1000)
    status = await apply(closed(tmp_path, 1000), target)
    assert status.counts["applied"] == 2000
    assert target.calls.read <= 2 + 2 + 2 + 1  # keys of notes, premises of notes, projects; a floor


def counted(change: Change, tasks: Iterable[Mapping[str, Scalar]]) -> Change:
    """Planned while these were the tasks of its project."""
    assert change.premise is not None
    held = {
        int(task["id"] or 0): {"status": task["status"]}
        for task in tasks
        if task["projectID"] == change.premise.id and task["status"] != 5
    }
    tally = Tally(
        entity="Tasks", parent="projectID", field="status", unless=5, word="open task",
        keeps=("status",), held=Held(records=held),
    )  # fmt: skip
    return replace(change, premise=replace(change.premise, tally=tally))


def with_tasks(count: int, *statuses: int) -> MemoryTarget:
    """So many projects, each with a task of each of these statuses."""
    target = projects(count)
    for project in range(1, count + 1):
        for status in statuses:
            target.load("Tasks", {"projectID": project, "status": status})
    return target


def closed_with_tasks(folder: Path, count: int, target: MemoryTarget) -> Plan:
    """Planned from what the target holds now."""
    tasks = list(target.rows.get("Tasks", {}).values())
    notes = [counted(note(n, n), tasks) for n in range(1, count + 1)]
    ends = [counted(closing(count + n, n, needs=n), tasks) for n in range(1, count + 1)]
    return plan_of(folder, notes, ends)


def open_task(target: MemoryTarget, project: int) -> dict[str, Scalar]:
    tasks = target.rows["Tasks"].values()
    return next(row for row in tasks if row["projectID"] == project and row["status"] == 1)


async def test_what_rests_on_other_records_is_held_where_they_are_others(tmp_path: Path) -> None:
    """One more, one less, or one come and another gone; complete ones do not count, and what is open may be
    open in another way.
    """
    target = with_tasks(5, 1, 8, 5)
    plan = closed_with_tasks(tmp_path, 5, target)
    target.rows["Projects"][1]["lastActivityResourceID"] = 7  # who did something to it, but not this
    target.load("Tasks", {"projectID": 1, "status": 1})
    open_task(target, 2)["status"] = 5
    open_task(target, 3)["status"] = 5
    target.load("Tasks", {"projectID": 3, "status": 9})
    open_task(target, 4)["status"] = 9
    assert (await apply(plan, target)).counts == {
        "applied": 4, "unchanged": 0, "rejected": 0, "held": 6, "pending": 0
    }  # fmt: skip
    reasons = {fate.change.n: fate.reason for fate in plan.fates() if fate.reason}
    told = "it was changed since the plan was made"
    assert reasons[1] == f"Projects 1: it had 2 open tasks and has 3 now: {told}"
    assert reasons[2] == f"Projects 2: it had 2 open tasks and has 1 now: {told}"
    others = (
        "it had 2 open tasks, and has as many but not the same now (Tasks 1006 is none any more, 1016 is one)"
    )
    assert reasons[3] == f"Projects 3: {others}: {told}"
    assert {row["id"] for row in target.rows["Projects"].values() if row["status"] == 5} == {4, 5}


async def test_what_belongs_to_a_record_is_looked_at_again_before_the_status(tmp_path: Path) -> None:
    """The note is there, and then a task appears: the status is not sent."""
    target = with_tasks(1, 1)
    plan = closed_with_tasks(tmp_path, 1, target)
    await apply_plan(plan, target, stop_after=1)
    assert len(target.rows["ProjectNotes"]) == 1
    target = again(target)
    target.load("Tasks", {"projectID": 1, "status": 1})
    assert (await apply(plan, target)).counts["held"] == 1
    assert target.rows["Projects"][1]["status"] == 1
    reason = plan.fate(2).reason or ""
    assert reason.startswith("Projects 1: it had 1 open task and has 2 now")


async def test_what_is_closed_already_is_not_counted(tmp_path: Path) -> None:
    """The API completed its tasks with it: nothing to do, nothing to hold."""
    target = with_tasks(1, 1)
    change = counted(replace(closing(1, 1, needs=1), waits_for=()), target.rows["Tasks"].values())
    open_task(target, 1)["status"] = target.rows["Projects"][1]["status"] = 5
    assert (await apply(plan_of(tmp_path, [change]), target)).counts["unchanged"] == 1


@pytest.mark.parametrize(("on_drift", "writes", "reads"), [(OnDrift.OVERWRITE, 4, 3), (OnDrift.STOP, 0, 3)])
async def test_overwrite_and_stop_mean_what_belongs_to_a_record_too(
    tmp_path: Path, on_drift: OnDrift, writes: int, reads: int
) -> None:
    """Who overwrites holds nothing, and has it read only for undo; who stops is told which row, which
    record, and both numbers.
    """
    target = with_tasks(2)
    plan = closed_with_tasks(tmp_path, 2, target)
    target.load("Tasks", {"projectID": 2, "status": 1})
    status = await apply(plan, target, on_drift)
    assert (len(target.writes), target.calls.read) == (writes, reads)
    row = "row 2 (x.csv:2), create ProjectNotes title='Closed 2'"
    said = f"{row}: Projects 2: it had no open tasks and has 1 now"
    assert (said in (status.waiting or "")) is (on_drift is OnDrift.STOP)


async def test_what_was_really_there_is_kept_for_undo(tmp_path: Path) -> None:
    """Another status of an open task, and, for who overwrites, a task that the plan had not seen."""
    target = with_tasks(2, 1)
    plan = closed_with_tasks(tmp_path, 2, target)
    open_task(target, 1)["status"] = 9
    new = target.load("Tasks", {"projectID": 2, "status": 8})
    await apply(plan, target, OnDrift.OVERWRITE)
    found = {fate.change.id: fate.written.along for fate in plan.fates() if fate.written.along}
    held = {id: dict(tally.records) for id, tally in found.items()}
    assert held == {1: {1000: {"status": 9}}, 2: {1001: {"status": 1}, new: {"status": 8}}}


async def test_what_belongs_to_records_costs_a_read_for_five_hundred(tmp_path: Path) -> None:
    """Beside what premises cost: of 1,000 projects with three open tasks each, six reads a step."""
    target = with_tasks(1000, 1, 8, 9, 5, 5)
    status = await apply(closed_with_tasks(tmp_path, 1000, target), target)
    assert status.counts["applied"] == 2000
    assert target.calls.read <= 7 + 2 * 6


def test_what_belongs_to_a_record_is_kept_in_the_plan() -> None:
    """With every value; a premise without any is written as ever."""
    tasks = [{"id": n, "projectID": 9, "status": status} for n, status in ((4, 1), (5, None), (6, 5))]
    change = counted(note(3, 9), tasks)
    assert change_from_json(3, change_to_json(change)) == change
    assert '"premise":["Projects",9,{"status":1}]' in change_to_json(note(3, 9, seen={"status": 1}))


def test_a_premise_is_kept_in_the_plan() -> None:
    """With its values, whatever they are."""
    change = note(3, 9, seen={"status": 1, "endDateTime": None, "udf:Big": 2**70, "name": 'a"\ud800'})
    assert change_from_json(3, change_to_json(change)) == change


QUERIES = """\
version: 1
name: a
tenant: acme
limits: {{update: {{percent: 100}}}}
steps:
  - {{name: first, entity: {first}, action: update, match: [id], source: {{file: f.csv}},
      fields: {{id: Id, {field}: Text}}}}
  - {{name: then, entity: Projects, action: update, match: [id],
      fields: {{id: id, description: {{value: x}}}},
      source: {{query: Projects, where: [{{field: status, op: eq, value: 1}}]}}}}
"""


@pytest.mark.parametrize(
    ("first", "field", "is_guarded"),
    [("Roles", "description", True), ("Tasks", "title", False), ("Projects", "extProjectNumber", False)],
)
async def test_a_later_query_is_guarded_where_no_step_before_it_may_change_its_records(
    tmp_path: Path, first: str, field: str, is_guarded: bool
) -> None:
    """What its `where` asked for is looked at again, unless the plan itself may have changed it."""
    target = projects(2)
    target.rows[first].setdefault(1, {"id": 1, field: "old", "status": 8, "projectID": 1})
    (tmp_path / "f.csv").write_text("Id,Text\n1,new\n", "utf-8")
    (tmp_path / "job.yaml").write_text(QUERIES.format(first=first, field=field), "utf-8")
    plan = await build_plan(load_job(tmp_path / "job.yaml"), target, tmp_path / "x.plan")
    target.rows["Projects"][2]["status"] = 8
    status = await apply(plan, target)
    assert status.counts["held"] == (1 if is_guarded else 0)
    assert (target.rows["Projects"][2].get("description") == "x") is not is_guarded


def helper(n: int, task: int, *, instead_of: int) -> Change:
    """Somebody becomes a secondary resource of a task in the place of somebody else."""
    key: Mapping[str, Scalar] = {"taskID": task, "resourceID": 7}
    fields = {name: FieldDiff(before=None, after=value) for name, value in {**key, "roleID": 10}.items()}
    return Change(
        n=n, step="in", entity="TaskSecondaryResources", action=Action.CREATE, line=n, file="x.csv",
        fields=fields, key=key, parent=task,
        premise=Premise(
            entity="Tasks", id=task, values={"status": 1}, beside={"taskID": task, "resourceID": instead_of}
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("on_drift", "applied", "held"), [(OnDrift.HOLD, 2, 1), (OnDrift.OVERWRITE, 3, 0), (OnDrift.STOP, 0, 0)]
)
async def test_nobody_takes_the_place_of_somebody_who_is_gone(
    tmp_path: Path, on_drift: OnDrift, applied: int, held: int
) -> None:
    """Who was to be replaced was taken out since: named with the key, and found with the very read that looks
    whether the new one is there already.
    """
    target = MemoryTarget(
        {
            "Tasks": [{"id": n, "projectID": 1, "status": 1} for n in (1, 2, 3)],
            "TaskSecondaryResources": [
                {"id": 90 + n, "taskID": n, "resourceID": 4, "roleID": 10} for n in (1, 3)
            ],
        }
    )
    plan = plan_of(tmp_path, [helper(n, n, instead_of=4) for n in (1, 2, 3)])
    assert list(plan.changes()) == [helper(n, n, instead_of=4) for n in (1, 2, 3)]
    status = await apply(plan, target, on_drift)
    assert (status.counts["applied"], status.counts["held"]) == (applied, held)
    told = (
        "TaskSecondaryResources with taskID 2 and resourceID 4, in the place of which it comes, is not there "
        "any more: it was changed since the plan was made"
    )
    if on_drift is OnDrift.HOLD:
        assert plan.fate(2).reason == told
        assert target.calls.read <= 3  # keys, the work, a floor
    assert (told in (status.waiting or "")) is (on_drift is OnDrift.STOP)


def out(n: int, task: int, *, id: int, after: int, barrier: int) -> Change:
    """Who was replaced is taken out, once row `after` has put the other one there."""
    before = {"taskID": task, "resourceID": 4, "roleID": 10}
    return Change(
        n=n, step="out", entity="TaskSecondaryResources", action=Action.DELETE, line=n, file="x.csv", id=id,
        fields={name: FieldDiff(before=value, after=None) for name, value in before.items()}, parent=task,
        waits_for=(after,), barrier=barrier,
    )  # fmt: skip


ENTRIES = "TaskSecondaryResources"


async def half_handed_over(folder: Path, tasks: int = 2) -> tuple[Plan, MemoryTarget]:
    """Somebody new is on each task, and the one before them still is."""
    target = MemoryTarget(
        {
            "Tasks": [{"id": n, "projectID": 1, "status": 1} for n in range(1, tasks + 1)],
            ENTRIES: [
                {"id": 90_000 + n, "taskID": n, "resourceID": 4, "roleID": 10} for n in range(1, tasks + 1)
            ],
        }
    )
    plan = plan_of(
        folder,
        [helper(n, n, instead_of=4) for n in range(1, tasks + 1)],
        [out(tasks + n, n, id=90_000 + n, after=n, barrier=tasks) for n in range(1, tasks + 1)],
    )
    await apply_plan(plan, target, stop_after=tasks)
    return plan, target


def with_role(target: MemoryTarget) -> list[tuple[Scalar, Scalar]]:
    return sorted((row["taskID"], row["resourceID"]) for row in target.rows[ENTRIES].values())


def made_for(target: MemoryTarget, task: int) -> int:
    rows = target.rows[ENTRIES].items()
    return next(id for id, row in rows if (row["taskID"], row["resourceID"]) == (task, 7))


@pytest.mark.parametrize(
    ("on_drift", "left"),
    [
        (OnDrift.HOLD, [(1, 4), (2, 7)]),
        (OnDrift.OVERWRITE, [(2, 7)]),
        (OnDrift.STOP, [(1, 4), (2, 4), (2, 7)]),
    ],
)
async def test_nobody_is_taken_out_where_the_one_after_them_is_gone(
    tmp_path: Path, on_drift: OnDrift, left: list[tuple[int, int]]
) -> None:
    """Stopped half-way, and somebody deleted the new entry before it went on: the old one stays, and why."""
    plan, target = await half_handed_over(tmp_path)
    new = made_for(target, 1)
    del target.rows[ENTRIES][new]
    status = await apply(plan, target := again(target), on_drift)
    told = (
        f"TaskSecondaryResources {new}, which row 1 created first, is not there any more: it was deleted "
        "since, so this stays. Plan the job again"
    )
    assert with_role(target) == left
    if on_drift is OnDrift.HOLD:
        assert plan.fate(3).reason == told
    assert (told in (status.waiting or "")) is (on_drift is OnDrift.STOP)


async def test_who_is_taken_out_is_looked_at_again_before_that_is_sent_once_more(tmp_path: Path) -> None:
    """Its request was lost with the process; by the next run the new entry is gone."""
    plan, target = await half_handed_over(tmp_path)
    journal = Journal.open(plan.path)
    await journal.intent([3])
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)
    del target.rows[ENTRIES][made_for(target, 1)]
    assert (await apply(plan, again(target))).counts["held"] == 1
    assert "which row 1 created first, is not there any more" in (plan.fate(3).reason or "")


async def test_looking_for_what_was_created_first_costs_a_read_for_five_hundred(tmp_path: Path) -> None:
    """Beside the one for what is deleted."""
    plan, target = await half_handed_over(tmp_path, 1000)
    target = again(target)
    assert (await apply(plan, target)).counts["applied"] == 2000
    assert (target.calls.read, target.calls.write) == (4, 1000)
