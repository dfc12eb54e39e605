"""Two steps of one job that would create the same record."""

from __future__ import annotations

from pathlib import Path

from bulkops.change import Action
from bulkops.job import load_job
from bulkops.planner.build import build_plan
from bulkops.targets.memory import MemoryTarget

STEP = """\
  - name: {name}
    entity: Companies
    action: {action}
    source: {{file: {name}.csv}}
    match: [companyNumber]
    fields:
      companyNumber: Number
      companyName: Name
      companyType: {{value: "1"}}
      phone: {{value: "1"}}
      ownerResourceID: {{value: "4"}}
"""


async def test_two_steps_never_create_the_same_record(tmp_path: Path) -> None:
    """The second row is rejected and names the first, whatever the spelling of the key."""
    (tmp_path / "a.csv").write_text("Number,Name\nX-1,Same\nX-2,Other\n")
    (tmp_path / "b.csv").write_text("Number,Name\n x-1,Same\nX-3,Third\n")
    steps = STEP.format(name="a", action="upsert") + STEP.format(name="b", action="create")
    (tmp_path / "job.yaml").write_text(f"version: 1\nname: t\ntenant: here\nsteps:\n{steps}")
    plan = await build_plan(load_job(tmp_path / "job.yaml"), MemoryTarget(), tmp_path / "x.plan")
    changes = list(plan.changes())
    assert [change.action for change in changes] == [
        Action.CREATE,
        Action.CREATE,
        Action.REJECTED,
        Action.CREATE,
    ]
    assert changes[2].reason == "row 1 creates a Companies record with this key already"
    assert not changes[2].fields


async def test_what_refers_to_the_second_of_two_is_rejected_with_it(tmp_path: Path) -> None:
    """A row under a row that is not planned is not planned either, and says why."""
    (tmp_path / "a.csv").write_text("Number,Name\nX-1,Same\n")
    (tmp_path / "b.csv").write_text("Number,Name,Parent\nX-3,Third,x-1\nx-1,Same,\n")
    parent = "      parentCompanyID: {column: Parent, from: b}\n"
    steps = STEP.format(name="a", action="create") + STEP.format(name="b", action="create") + parent
    (tmp_path / "job.yaml").write_text(f"version: 1\nname: t\ntenant: here\nsteps:\n{steps}")
    plan = await build_plan(load_job(tmp_path / "job.yaml"), MemoryTarget(), tmp_path / "x.plan")
    reasons = [change.reason for change in plan.changes(after=1)]
    cause = "row 1 creates a Companies record with this key already"
    assert reasons == [f"row 3 (b.csv:3), which it needs, was rejected: {cause}", cause]
    assert (plan.header.counts["create"], plan.header.calls_write) == (1, 1)
