"""Keys that a record of JSON Lines does not have: they leave their fields alone, where null clears them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import openpyxl
import pytest

from bulkops.cells import STORED
from bulkops.job import load_job
from bulkops.job.model import Empty, FieldSpec, FileSource, Step, StepAction
from bulkops.mapping import compile_mapping
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.readback import to_text
from bulkops.record import ABSENT, FromStep, Record, Row, Value, is_absent
from bulkops.report.results import write_results
from bulkops.schema import Entity, Field, FieldType
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.memory import MemoryTarget

JOB = """\
version: 1
name: trial
tenant: acme
steps:
  - name: tasks
    entity: Tasks
    action: update
    source: {file: t.jsonl}
    match: [id]
    fields:
      id: id
      title: {column: title, empty: clear}
      externalID: {column: Key, empty: clear}
      estimatedHours: {column: Hours, empty: clear}
    udf:
      Team: {column: Team, empty: clear}
"""
TASK: Mapping[str, Any] = {
    "id": 1, "title": "Old", "externalID": "T-1", "estimatedHours": 2.5, "udf:Team": "Red",
    "projectID": 7, "status": 1, "taskType": 1,
}  # fmt: skip
WHOLE = {"id": 2, "title": "Old", "Key": "T-2", "Hours": 1.5, "Team": "Red"}
LONG = "x" * 300  # longer than any title
FIELDS = (
    Field(name="id", type=FieldType.LONG, is_read_only=True),
    Field(name="title", type=FieldType.STRING, is_required=True),
    Field(name="description", type=FieldType.STRING),
    Field(name="phaseID", type=FieldType.INTEGER),
)
TASKS = Entity(
    name="Tasks", singular="Task", can={"create": "root", "update": "root"}, is_queryable=True,
    fields={item.name: item for item in FIELDS},
)  # fmt: skip


class Desk:
    """Plans updates of two tasks from JSON Lines, or from what is fed back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "job.yaml").write_text(JOB, "utf-8")
        shape = load_catalog().entities["Tasks"]
        team = Field(name="udf:Team", type=FieldType.STRING)
        shape = replace(shape, fields={**shape.fields, team.name: team}, is_live=True)
        self.target = MemoryTarget({"Tasks": [TASK, {**TASK, "id": 2}]}, entities={"Tasks": shape})

    async def plan(self, *records: Mapping[str, Any], **sources: Path) -> Plan:
        if records:
            lines = "".join(json.dumps(record) + "\n" for record in records)
            (self.folder / "t.jsonl").write_text(lines, "utf-8")
        job = load_job(self.folder / "job.yaml", sources=sources)
        return await build_plan(job, self.target, self.folder / f"{len(sources)}.plan")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def written(plan: Plan) -> dict[str, object]:
    """What is to become of task 1."""
    (change,) = [change for change in plan.changes() if change.id == 1]
    return {name: diff.after for name, diff in change.fields.items()}


Mapped: TypeAlias = Mapping[str, Value] | list[str]


def mapped(
    fields: Mapping[str, FieldSpec],
    *cells: str,
    action: StepAction = StepAction.UPDATE,
    match: tuple[str, ...] = (),
) -> Mapped:
    """The values of the row with these cells in the columns A and B, or its errors."""
    step = Step(
        name="s", entity="Tasks", source=FileSource(file=Path("t.jsonl"), display="t.jsonl"),
        action=action, match=match, fields=fields, ignore=("*",),
    )  # fmt: skip
    mapper = compile_mapping(step, TASKS, "AB", missing=("", "?"), file="t.jsonl")
    made = mapper.map(Row(cells=cells, line=1))
    return made.values if isinstance(made, Record) else [str(error) for error in made]


async def test_a_missing_key_leaves_its_field_alone(desk: Desk) -> None:
    """Of records whose file has the key elsewhere; user-defined and required fields too."""
    assert written(await desk.plan(WHOLE, {"id": 1, "title": "New"})) == {"title": "New"}
    assert written(await desk.plan(WHOLE, {"id": 1, "Hours": 8})) == {"estimatedHours": 8.0}


async def test_null_and_empty_text_clear(desk: Desk) -> None:
    """They are there, and say that nothing is to be."""
    plan = await desk.plan(WHOLE, {"id": 1, "title": "Old", "Key": None, "Hours": "", "Team": None})
    assert written(plan) == {"externalID": None, "estimatedHours": None, "udf:Team": None}


SPECS = {
    "column": FieldSpec(column="A"),
    "default": FieldSpec(column="A", default="x"),
    "label": FieldSpec(column="A", labels={"": "x"}),
    "empty label": FieldSpec(column="A", labels={"": ""}),
    "template": FieldSpec(template="{{ A }}"),
    "template with words": FieldSpec(template="x {{ A }}"),
    "reference": FieldSpec(column="A", from_="s"),
}


@pytest.mark.parametrize("action", [StepAction.CREATE, StepAction.UPDATE, StepAction.UPSERT])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("empty", Empty)
@pytest.mark.parametrize("role", ["free", "required", "key"])
def test_a_missing_key_is_an_empty_cell_that_never_clears(
    action: StepAction, spec: FieldSpec, empty: Empty, role: str
) -> None:
    """Whatever the field and however it is filled: where it would clear, it is as if the job skipped it."""
    name = "phaseID" if spec.from_ else "description" if role == "free" else "title"
    as_empty = Empty.SKIP if empty is Empty.CLEAR else empty

    def made(cell: str, empty: Empty) -> Mapped:
        fields = {"title": FieldSpec(value="x"), name: replace(spec, empty=empty)}
        return mapped(fields, cell, "", action=action, match=(name,) if role == "key" else ())

    assert made(ABSENT, empty) == made("", as_empty)


def cleared(spec: FieldSpec, *cells: str) -> Mapped:
    """As `mapped`, of one field whose empty cells clear."""
    return mapped({"phaseID" if spec.from_ else "description": replace(spec, empty=Empty.CLEAR)}, *cells)


def test_a_template_clears_where_one_of_its_columns_is_there() -> None:
    """A record with none of them says nothing; what a template makes of others' absence is written."""
    both = FieldSpec(template="{{ A }} {{ B }}")
    assert cleared(both, ABSENT, ABSENT) == {}
    assert cleared(both, ABSENT, "") == {"description": None}
    assert cleared(both, ABSENT, "b") == {"description": " b"}
    constant = FieldSpec(template="{{ '' }}")
    assert cleared(constant, ABSENT, ABSENT) == {"description": None}


def test_of_several_columns_the_last_one_tells() -> None:
    """As it does where its cell is empty: a project says nothing without its phase."""
    spec = FieldSpec(columns=("A", "B"), from_="s")
    assert cleared(spec, "7", ABSENT) == {}
    assert cleared(spec, ABSENT, ABSENT) == {}
    assert cleared(spec, ABSENT, "") == {"phaseID": None}
    made = cleared(spec, "7", "Build")
    assert made == {"phaseID": FromStep(step="s", key=("7", "Build"), column="A, B")}
    (error,) = cleared(spec, ABSENT, "Build")
    assert "A says nothing, and the key needs all of 2 columns" in error


def test_a_constant_clears_whatever_the_row_has() -> None:
    """It rests on no cell."""
    spec = FieldSpec(value="")
    assert cleared(spec, ABSENT, ABSENT) == {"description": None}


@pytest.mark.parametrize("kind", FieldType)
def test_what_a_query_reads_is_there(kind: FieldType) -> None:
    """A record of the tenant has all its fields: one that holds nothing is an empty cell of any type."""
    text = to_text(Field(name="a", type=kind))
    assert not any(map(is_absent, (text(None), text(""), text(0))))


def read(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    return row


def rewrite(path: Path, row: Mapping[str, str]) -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    return path


async def test_a_row_that_comes_back_as_csv_clears_no_more_than_before(desk: Desk) -> None:
    """The keys it did not have are told beside it; what somebody typed there is written, and what is taken
    out of there is an empty cell like others."""
    plan = await desk.plan(WHOLE, {"id": 1, "title": LONG, "Key": None})
    write_results(plan, desk.folder / "out")
    path = desk.folder / "out" / "rejected.csv"
    row = {**read(path), "title": "New"}
    assert json.loads(row[STORED]) == {"Hours": "", "Team": ""}
    assert written(await desk.plan(tasks=rewrite(path, row))) == {"title": "New", "externalID": None}
    typed = await desk.plan(tasks=rewrite(path, {**row, "Hours": "8"}))
    assert written(typed) == {"title": "New", "externalID": None, "estimatedHours": 8.0}
    bare = await desk.plan(tasks=rewrite(path, {**row, STORED: '{"Team": ""}'}))
    assert written(bare) == {"title": "New", "externalID": None, "estimatedHours": None}


async def test_a_row_that_comes_back_in_a_workbook_clears_no_more_than_before(desk: Desk) -> None:
    """Twice as well: what is fed back and rejected again still tells it."""
    path = desk.folder / "results.xlsx"
    write_results(await desk.plan(WHOLE, {"id": 1, "title": LONG}), desk.folder, as_workbook=True)
    write_results(await desk.plan(tasks=path), desk.folder, as_workbook=True)
    book = openpyxl.load_workbook(path)
    book["rejected"].cell(2, 2, "New")
    book.save(path)
    assert written(await desk.plan(tasks=path)) == {"title": "New"}
