"""References whose text is no cell: constants and templates with `lookup` or `from`; names to be pasted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulkops.errors import JobError
from bulkops.job import load_job
from bulkops.mapping import compile_mapping
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Created, Scalar
from bulkops.schema import Entity, Field, FieldType
from bulkops.targets.memory import MemoryTarget

PROJECTS = """
  - name: projects
    entity: Projects
    action: upsert
    source: {file: projects.csv}
    match: [extProjectNumber]
    fields:
      extProjectNumber: Nr
      projectName: Name
      companyID: {value: Acme, lookup: companyName}
      projectType: {value: "5"}
      status: {value: "1"}
      startDateTime: {value: 2026-01-01}
      endDateTime: {value: 2026-12-31}
"""
TASKS = """
  - name: tasks
    entity: Tasks
    action: create
    source: {file: tasks.csv}
    match: [externalID]
    fields:
      externalID: Key
      title: Key
      status: {value: "1"}
      taskType: {value: "1"}
      projectID: REFERENCE
      assignedResourceID: {template: "{{ First }}.{{ Last }}", lookup: userName}
      assignedResourceRoleID: {value: "5"}
      billingCodeID: {value: "6"}
"""
ROWS: Mapping[str, list[Mapping[str, Scalar]]] = {
    "Companies": [{"id": 7, "companyName": "Acme"}],
    "Resources": [{"id": 31, "userName": "jane.doe", "isActive": True}],
}


async def planned(folder: Path, reference: str, *tasks: str, step: str = PROJECTS) -> Plan:
    (folder / "projects.csv").write_text("Nr,Name\nP1,One\nP2,Two\n", "utf-8")
    (folder / "tasks.csv").write_text("\n".join(("Key,Place,First,Last", *tasks)) + "\n", "utf-8")
    job = folder / "job.yaml"
    steps = step + TASKS.replace("REFERENCE", reference) + "    ignore: [Place]\n"
    job.write_text("version: 1\nname: trial\ntenant: acme\nsteps:" + steps, "utf-8")
    return await build_plan(load_job(job), MemoryTarget(ROWS), folder / "1.plan")


async def test_a_constant_names_the_row_of_another_step(tmp_path: Path) -> None:
    """All tasks of one project: every row waits for the row that makes it."""
    plan = await planned(tmp_path, "{value: p2, from: projects}", "T1,,Jane,Doe", "T2,,Jane,Doe")
    assert [plan.change(n).parent for n in (3, 4)] == [Created(change=2)] * 2
    assert plan.change(3).waits_for == (2,)


async def test_a_template_names_the_row_of_another_step(tmp_path: Path) -> None:
    """What it makes is compared with the other step's key; where there is no such row, the columns that the
    template reads are told."""
    made = "{template: \"{{ Place | replace('-', '') }}\", from: projects}"
    plan = await planned(tmp_path, made, "T1,P-1,Jane,Doe", "T2,P-9,Jane,Doe")
    assert plan.change(3).parent == Created(change=1)
    reason = plan.change(4).reason or ""
    assert "column Place 'P9': no row of the step projects (projects.csv) has this Nr" in reason


async def test_a_template_is_looked_up(tmp_path: Path) -> None:
    """A person by a name made of two columns; who is not found is told with both."""
    reference = "{value: P1, from: projects}"
    plan = await planned(tmp_path, reference, "T1,,Jane,DOE", "T2,,Joe,Roe")
    assert plan.change(3).fields["assignedResourceID"].after == 31
    assert "column First, Last 'Joe.Roe': no Resources record has this userName" in (
        plan.change(4).reason or ""
    )


@pytest.mark.parametrize(
    "reference", ["{value: P1, from: projects}", '{template: "{{ Key }}", from: projects}']
)
async def test_one_text_is_not_enough_for_a_key_of_two_columns(tmp_path: Path, reference: str) -> None:
    """A fault of the job, with the columns that the key is made of."""
    step = PROJECTS.replace("match: [extProjectNumber]", "match: [extProjectNumber, projectName]")
    with pytest.raises(JobError, match=r"compares 1 text with the 2 columns that `match` of the step"):
        await planned(tmp_path, reference, "T1,,Jane,Doe", step=step)


ENTITY = Entity(
    name="Tasks", singular="Task", can={"update": "root"}, is_queryable=True, is_live=True,
    fields={"title": Field(name="title", type=FieldType.STRING)},
)  # fmt: skip


NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1).filter(
    lambda name: name == name.strip()
)


@given(names=st.lists(NAMES, min_size=1, unique=True))
@example(
    names=["Swarm #", "a: b", "[x]", "it's", "- 1", "&a", "*a", "No", "null", "~", "a, b", "two\nlines", '"']
)
def test_the_names_to_ignore_can_be_pasted_into_the_job(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever an export calls its columns: pasted from the message into the job, they are ignored."""
    job = tmp_path_factory.getbasetemp() / "pasted.yaml"
    text = (
        "version: 1\nname: t\ntenant: t\nsteps:\n  - name: s\n    entity: Tasks\n    action: update\n"
        "    source: {file: t.csv}\n    match: [title]\n    fields: {title: {value: x}}\n"
    )

    def compiled(ignore: str) -> None:
        job.write_text(f"{text}    ignore: {ignore}\n", "utf-8")
        (step,) = load_job(job).steps
        compile_mapping(step, ENTITY, names, missing=(), file="t.csv")

    with pytest.raises(JobError) as raised:
        compiled("[]")
    (hint,) = (fault.hint for fault in raised.value.faults if "`ignore`" in fault.hint)
    compiled(hint.partition("`ignore`: ")[2])
