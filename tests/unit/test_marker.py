"""`marker`: bulkops' own mark in a free field, written by creates, so that they can be recognised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from bulkops.applier import apply_plan
from bulkops.change import FieldDiff
from bulkops.errors import JobError
from bulkops.job import load_job
from bulkops.marker import LONGEST, mark
from bulkops.plan import Plan
from bulkops.plan.encoding import change_from_json, change_to_json
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.schema import Field, FieldType
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.memory import MemoryTarget

Rows: TypeAlias = Sequence[Mapping[str, Scalar]]
THERE: Rows = [
    {"id": 31, "title": "Old", "externalID": "theirs", "status": 1, "taskType": 1, "projectID": 7},
]


def step(action: str = "create", *, marker: str = "externalID", match: str = "", more: str = "") -> str:
    return (
        f"  - name: tasks\n    entity: Tasks\n    action: {action}\n    source: {{file: t.csv}}\n{match}"
        f"    marker: {marker}\n"
        f"    fields: {{title: Title, status: Status, taskType: {{value: 1}}, projectID: Project{more}}}\n"
    )


UPSERT = step("upsert", match="    match: [title]\n")


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plans = 0

    async def plan(self, target: MemoryTarget, steps: str, *rows: str) -> Plan:
        self.plans += 1
        (self.folder / "t.csv").write_text(
            "Title,Status,Project\n" + "".join(f"{r}\n" for r in rows), "utf-8"
        )
        job = self.folder / "job.yaml"
        job.write_text(f"version: 1\nname: trial\ntenant: acme\nsteps:\n{steps}", "utf-8")
        return await build_plan(load_job(job), target, self.folder / f"{self.plans}.plan")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("BULKOPS_STATE_DIR", str(tmp_path / "state"))
    return Desk(tmp_path)


async def test_every_create_has_a_mark_of_its_plan_and_row(desk: Desk) -> None:
    """The plan shows it as a field, says which field it is, and no other plan has it."""
    plan = await desk.plan(MemoryTarget(), step(), "One,1,7", "Two,1,7")
    nonce = plan.header.plan_id[:8]
    for change in plan.changes():
        assert change.marker == "externalID"
        assert change.fields["externalID"] == FieldDiff(before=None, after=f"bulkops-{nonce}-{change.n}")
    again = await desk.plan(MemoryTarget(), step(), "One,1,7")
    assert again.change(1).fields["externalID"].after != plan.change(1).fields["externalID"].after


async def test_only_a_create_is_marked(desk: Desk) -> None:
    """An upsert leaves the field of records that exist alone, whatever it holds; so does planning again."""
    target = MemoryTarget({"Tasks": THERE})
    plan = await desk.plan(target, UPSERT, "Old,5,7", "New,1,7")
    update, create = plan.changes()
    assert (update.action.value, update.marker, list(update.fields)) == ("update", "", ["status"])
    assert create.marker == "externalID"
    await apply_plan(plan, target)
    marks = {row["title"]: row["externalID"] for row in target.rows["Tasks"].values()}
    assert marks == {"Old": "theirs", "New": create.fields["externalID"].after}
    again = await desk.plan(target, UPSERT, "Old,5,7", "New,1,7")
    assert again.header.counts["unchanged"] == 2


async def test_a_mark_travels_in_the_plan_file(desk: Desk) -> None:
    """The change as stored names the field; one without a marker says nothing of it."""
    change = (await desk.plan(MemoryTarget(), step(), "One,1,7")).change(1)
    assert change_from_json(1, change_to_json(change)) == change
    assert "marker" not in change_to_json(replace(change, marker=""))


async def test_a_user_defined_field_can_hold_the_mark(desk: Desk) -> None:
    """By its name, case ignored, as the tenant spells it."""
    tasks = load_catalog().entities["Tasks"]
    fields = {**tasks.fields, "udf:Run Mark": Field(name="udf:Run Mark", type=FieldType.STRING)}
    target = MemoryTarget(entities={"Tasks": replace(tasks, fields=fields, is_live=True)})
    plan = await desk.plan(target, step(marker='"udf:run mark"'), "One,1,7")
    assert plan.change(1).marker == "udf:Run Mark"
    assert "udf:Run Mark" in plan.change(1).fields


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (step(marker="externalId2"), "Tasks has no field `externalId2`, which `marker` names"),
        (step(marker="taskNumber"), "Tasks.taskNumber is read-only, so `marker` cannot"),
        (
            step(marker="estimatedHours"),
            "Tasks.estimatedHours holds no free text, so `marker` cannot",
        ),
        (step(marker="priorityLabel"), "Tasks.priorityLabel holds no free text, so `marker` cannot"),
        (step(marker="remainingHours"), "Tasks.remainingHours cannot be queried, so `marker` cannot"),
        (step(marker="TITLE"), "`marker` names `TITLE`, which the step fills from its rows"),
        (step("upsert", marker="title", match="    match: [title]\n"), "which the step fills from its rows"),
        (step(marker="title").replace("title: Title, ", ""), "title is required and not mapped"),
        (step("update", match="    match: [title]\n"), "`marker` is for creates"),
    ],
)
async def test_a_field_that_cannot_hold_marks_is_refused(desk: Desk, steps: str, told: str) -> None:
    """With the line of the job file, before anything is planned."""
    with pytest.raises(JobError) as caught:
        await desk.plan(MemoryTarget({"Tasks": THERE}), steps, "One,1,7")
    assert told in str(caught.value)
    assert all("job.yaml:" in fault.where for fault in caught.value.faults)


async def test_a_field_that_is_too_short_is_refused(desk: Desk) -> None:
    """The longest mark must fit, or the API would cut it off or refuse it in the last rows."""
    companies = (
        "  - name: c\n    entity: Companies\n    action: create\n    source: {file: t.csv}\n    marker: fax\n"
        "    fields: {companyName: Title, companyType: {value: 1}, phone: Project, "
        "ownerResourceID: {value: 4}}\n"
        "    ignore: [Status]\n"
    )
    with pytest.raises(JobError, match=f"takes 25 characters, and a mark has up to {LONGEST}"):
        await desk.plan(MemoryTarget(), companies, "One,1,7")
    assert len(mark("5f0c9a1e", 999_999_999)) == LONGEST


async def test_a_create_with_a_mark_needs_no_match_to_be_recognised(desk: Desk) -> None:
    """The warning about rows that would be held is gone; that planning again creates again is still said."""
    marked = await desk.plan(MemoryTarget(), step(), "One,1,7")
    plain = await desk.plan(MemoryTarget(), step().replace("    marker: externalID\n", ""), "One,1,7")
    assert not any("are held" in warning for warning in marked.header.warnings)
    assert any("are held" in warning for warning in plain.header.warnings)
    for plan in (marked, plain):
        assert any("planning again creates everything again" in told for told in plan.header.warnings)
