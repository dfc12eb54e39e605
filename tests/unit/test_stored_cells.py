"""Cells that held a number or a date: what they were survives plans, result files, and being fed back."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.cells import RESULT_COLUMNS, STORED, SURPLUS, stored_from_json, stored_texts, stored_to_json
from bulkops.job import FileSource, load_job
from bulkops.plan import Plan
from bulkops.plan.encoding import cells_from_json, cells_to_json
from bulkops.planner.build import build_plan
from bulkops.record import Row, StoredText
from bulkops.report.results import write_results
from bulkops.sources import open_source
from bulkops.targets.base import RecordData
from bulkops.targets.memory import MemoryTarget

JOB = """\
version: 1
name: trial
tenant: acme
steps:
  - name: tasks
    entity: Tasks
    action: create
    source: {file: tasks.xlsx}
    match: [externalID]
    fields:
      externalID: Key
      title: Title
      status: {value: "1"}
      taskType: {value: "1"}
      projectID: Project
      phaseID: {columns: [Project, Under], from: phases}
      estimatedHours: {column: Hours, number: {decimal: ",", thousands: "."}}
      endDateTime: {column: Due, date: "%Y-%d-%m"}
"""
PHASES = """\
  - name: phases
    entity: Phases
    action: create
    source: {file: phases.xlsx}
    match: [projectID, title]
    fields:
      projectID: Project
      title: Title
      parentPhaseID: {columns: [Project, Under], from: phases}
      dueDate: {column: Due, date: "%Y-%d-%m"}
"""
HEADER = ("Key", "Title", "Project", "Under", "Hours", "Due")
LONG = "x" * 300  # longer than any title

CELLS = st.text(max_size=5) | st.text(max_size=5).map(StoredText)


def workbook(path: Path, header: Sequence[str], *rows: Sequence[Any]) -> Path:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(list(header))
    for row in rows:
        book.active.append(list(row))
    book.save(path)
    return path


def kinds(cells: Sequence[str]) -> list[tuple[str, bool]]:
    return [(str(cell), type(cell) is StoredText) for cell in cells]


@given(st.lists(CELLS, max_size=6))
def test_a_plan_keeps_what_a_cell_was(cells: list[str]) -> None:
    """Text or not, every cell comes back as it was; a row of texts is the plain array it always was."""
    text = cells_to_json(cells)
    assert kinds(cells_from_json(text)) == kinds(cells)
    if not any(type(cell) is StoredText for cell in cells):
        assert json.loads(text) == cells


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=4))
def test_what_is_told_of_stored_cells_comes_back(texts: dict[str, str]) -> None:
    """To the letter; nothing where there is nothing to tell."""
    assert stored_from_json(stored_to_json(texts)) == texts
    assert bool(stored_to_json(texts)) == bool(texts)


def test_only_what_text_would_not_tell_is_told() -> None:
    """Whole numbers read the same in every way of writing them; of two columns of one name none is read."""
    columns = ("n", "f", "d", "t", "-", "x", "x")
    cells = (*map(StoredText, ("12", "1.5", "2026-01-31")), "1.5", StoredText("-7"), StoredText("0.5"), "")
    assert stored_texts(columns, cells) == {"f": "1.5", "d": "2026-01-31"}
    assert stored_texts(columns, cells[:2]) == {"f": "1.5"}


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "job.yaml").write_text(JOB.replace("steps:\n", "steps:\n" + PHASES), "utf-8")

    async def plan(self, name: str, *, there: Sequence[RecordData] = (), **sources: Path) -> Plan:
        """`there`: the phases that an earlier run made."""
        job = load_job(self.path / "job.yaml", sources=sources)
        return await build_plan(job, MemoryTarget({"Phases": there}), self.path / f"{name}.plan")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    workbook(
        tmp_path / "phases.xlsx", ("Project", "Title", "Under", "Due"),
        (7, "Build", None, date(2026, 2, 3)), (7, LONG, "Build", date(2026, 2, 3)),
  )  # fmt: skip
    workbook(
        tmp_path / "tasks.xlsx", HEADER,
        ("T-1", "Fine", 7, "Build", 1.125, date(2026, 2, 3)),
        ("T-2", LONG, 7, "Build", 1.125, date(2026, 2, 3)),
        ("T-3", LONG, 7, "Build", "1.125", "2026-03-02"),
        ("T-4", LONG, 7, "Build", 8, datetime(2026, 2, 3, 10)),  # noqa: DTZ001
  )  # fmt: skip
    return Folder(tmp_path)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def rewrite(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def sent(plan: Plan, step: str, *names: str) -> list[tuple[object, ...]]:
    """The values of these fields in what the step would create."""
    found = [change for change in plan.changes() if change.step == step and change.action == "create"]
    return [tuple(change.fields[name].after for name in names) for change in found]


def hours_and_due(plan: Plan) -> list[tuple[object, ...]]:
    return sent(plan, "tasks", "estimatedHours", "endDateTime")


AGAIN = [
    (1.125, "2026-02-03T00:00:00Z"),
    (1125.0, "2026-02-03T00:00:00Z"),
    (8.0, "2026-02-03T00:00:00Z"),
]
"""What the last three tasks say: stored ones as they are, texts as the job says they are written."""


async def test_a_stored_number_and_date_come_back_through_csv(folder: Folder) -> None:
    """1.125 hours stay 1.125 where texts group thousands by points; also of rows that wait for other rows."""
    plan = await folder.plan("first")
    assert hours_and_due(plan) == [(1.125, "2026-02-03T00:00:00Z")]
    write_results(plan, folder.path / "out")
    files = {step: folder.path / "out" / step / "rejected.csv" for step in ("phases", "tasks")}
    rows = read(files["tasks"])
    assert [row[STORED] for row in rows] == [
        '{"Hours": "1.125", "Due": "2026-02-03"}', "", '{"Due": "2026-02-03T10:00:00"}',
    ]  # fmt: skip
    for path, title in ((files["phases"], "Title"), (files["tasks"], "Title")):
        rewrite(path, [{**row, title: f"short {n}"} for n, row in enumerate(read(path))])
    again = await folder.plan("again", tasks=files["tasks"])
    assert hours_and_due(again) == AGAIN
    made: RecordData = {"id": 50, "projectID": 7, "title": "Build"}
    again = await folder.plan("phases", there=[made], phases=files["phases"])
    assert sent(again, "phases", "dueDate") == [("2026-02-03T00:00:00Z",)]


async def test_a_stored_number_and_date_come_back_through_a_workbook(folder: Folder) -> None:
    """There every cell is text too, so that no program retypes it; and again, when fed back twice."""
    write_results(await folder.plan("first"), folder.path / "one", as_workbook=True)
    again = await folder.plan("again", tasks=folder.path / "one" / "tasks.xlsx")
    write_results(again, folder.path / "two", as_workbook=True)
    path = folder.path / "two" / "tasks.xlsx"
    book = openpyxl.load_workbook(path)
    sheet = book["rejected"]
    for row in range(2, sheet.max_row + 1):
        sheet.cell(row, 2, "short")
    book.save(path)
    assert hours_and_due(await folder.plan("last", tasks=path)) == AGAIN


async def test_what_somebody_typed_over_a_stored_cell_is_text(folder: Folder) -> None:
    """It is read as the job says texts are written; without the column all cells are."""
    write_results(await folder.plan("first"), folder.path / "out")
    path = folder.path / "out" / "tasks" / "rejected.csv"
    rows = read(path)[:1]
    rewrite(path, [{**rows[0], "Title": "short", "Hours": "2.250,5", "Due": "2026-03-02"}])
    assert hours_and_due(await folder.plan("typed", tasks=path)) == [(2250.5, "2026-02-03T00:00:00Z")]
    rewrite(path, [{**rows[0], "Title": "short", STORED: ""}])
    assert hours_and_due(await folder.plan("bare", tasks=path)) == [(1125.0, "2026-03-02T00:00:00Z")]


@pytest.mark.parametrize("broken", ["{", "[1]", '{"Hours": 1}', "x", "[" * 100_000])
def test_a_broken_note_is_said_and_not_passed_over(tmp_path: Path, broken: str) -> None:
    """The row is rejected with what to do; what it cannot have meant is not guessed."""
    path = tmp_path / "rejected.csv"
    rewrite(path, [{"Hours": "1.5", **dict.fromkeys(RESULT_COLUMNS, ""), STORED: broken}])
    (row,) = open_source(FileSource(file=path, display="rejected.csv")).rows()
    assert row.fault.startswith(
        "line 2: bulkops_stored, which tells numbers and dates from texts, was changed"
    )
    assert row.cells == ("1.5",)


def test_a_result_file_is_known_by_each_column_of_bulkops(tmp_path: Path) -> None:
    """Whichever of them somebody has left in, the others are gone and the guards are taken away. Fed back, a
    column of his own with our prefix is ignored too."""
    for name in (*RESULT_COLUMNS, SURPLUS, STORED):
        path = tmp_path / f"{name}.csv"
        path.write_text(f"Name,{name}\n'-5,\n", "utf-8")
        source = open_source(FileSource(file=path, display=path.name))
        assert (source.columns, list(source.rows())) == (("Name",), [Row(cells=("-5",), line=2)])
    path.write_text("Name,bulkops_mine\n'-5,\n", "utf-8")
    for is_override, columns, cells in (
        (True, ("Name",), ("-5",)),
        (False, ("Name", "bulkops_mine"), ("'-5", "")),
    ):
        source = open_source(FileSource(file=path, display=path.name, is_override=is_override))
        assert (source.columns, next(source.rows()).cells) == (columns, cells)
