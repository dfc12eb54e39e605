"""Sources in plans: whatever the file's type, the same rows give the same changes, and all are counted."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import pytest
from openpyxl import Workbook
from pandas import DataFrame

from bulkops.change import Change, FieldDiff
from bulkops.errors import JobError
from bulkops.job import FileSource, load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.planner.rowcheck import RowCheck
from bulkops.record import Scalar, Value
from bulkops.report.results import write_results
from bulkops.sources import open_source
from bulkops.targets.memory import MemoryTarget
from bulkops.validate import examine_offline
from bulkops.views import change_json

Fate: TypeAlias = tuple[str, int | None, Mapping[str, Value], Mapping[str, FieldDiff], str | None]
Make: TypeAlias = Callable[..., Awaitable[Plan]]

JOB = """\
version: 1
name: trial
tenant: acme
missing: ["", "?"]
steps:
  - name: tasks
    entity: Tasks
    action: upsert
    source: SOURCE
    match: [externalID]
    fields:
      externalID: Key
      title: Title
      status: {value: New}
      taskType: {value: 1}
      projectID: Project
      estimatedHours: {column: Hours, number: {decimal: ",", thousands: "."}}
      endDateTime: {column: Due, date: "%d/%m/%Y"}
      startDateTime: {column: Start, date: "%d/%m/%Y %H:%M", timezone: Europe/Madrid}
      isVisibleInClientPortal: Portal
    ignore: [Colour]
"""
HEADER = ["Key", "Title", "Project", "Hours", "Due", "Start", "Portal", "Colour"]
TEXT_ROWS = [
    ["007", "  Ñandú\nsecond line", "7", "1,5", "29/02/2016", "29/02/2016 01:16", "TRUE", "red"],
    ["T-2", "'s-Hertogenbosch", "7", "1.000", "01/03/2016", "", "FALSE", ""],
    ["T-3", "NA", "8", "?", "?", "?", "", "#1"],
    ["t-2", "again", "7", "", "", "", "", ""],
    ["T-4", "no project", "", "0,125", "", "", "", ""],
]
TYPED_ROWS: list[list[Any]] = [
    ["007", "  Ñandú\nsecond line", 7, 1.5, date(2016, 2, 29), datetime(2016, 2, 29, 1, 16), True, "red"],  # noqa: DTZ001
    ["T-2", "'s-Hertogenbosch", 7, 1000, date(2016, 3, 1), None, False, None],
    ["T-3", "NA", 8, "?", "?", "?", None, "#1"],
    ["t-2", "again", 7, None, None, None, None, None],
    ["T-4", "no project", None, 0.125, None, None, None, None],
]
EXISTING: Mapping[str, list[Mapping[str, Scalar]]] = {
    "Tasks": [{"id": 31, "externalID": "007", "title": "old", "status": 1, "taskType": 1, "projectID": 7}]
}


class Folder:
    """Writes sources and plans them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def job(self, source: str, job: str = JOB) -> Path:
        path = self.path / "job.yaml"
        path.write_text(job.replace("SOURCE", source), "utf-8")
        return path

    async def plan(self, source: str, *, job: str = JOB, name: str = "x", **sources: Path) -> Plan:
        loaded = load_job(self.job(source, job), sources=sources)
        return await build_plan(loaded, MemoryTarget(EXISTING), self.path / f"{name}.plan")

    def csv(self, rows: list[list[str]], name: str = "t.csv") -> Path:
        path = self.path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEADER, *rows])
        return path

    def workbook(self, **sheets: list[list[Any]]) -> Path:
        book = Workbook()
        book.remove(book.worksheets[0])
        for name, rows in sheets.items():
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append(row)
        path = self.path / "t.xlsx"
        book.save(path)
        return path


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def fates(plan: Plan) -> list[Fate]:
    return [_fate(change) for change in plan.changes()]


def _fate(change: Change) -> Fate:
    reason = change.reason and re.sub(r"t\.[a-z]+(, sheet Tasks)?:\d+", "its place", change.reason)
    return change.action.value, change.id, change.key, change.fields, reason


def frame() -> DataFrame:
    return DataFrame(TYPED_ROWS, columns=HEADER)


async def test_the_same_data_gives_the_same_plan_from_every_type_of_file(folder: Folder) -> None:
    """Dates and numbers count as what they are, whatever the job says of how its texts are written."""
    folder.csv(TEXT_ROWS)
    folder.workbook(Tasks=[HEADER, *TYPED_ROWS])
    wanted = fates(await folder.plan("{file: t.csv}"))
    assert [fate[0] for fate in wanted] == ["update", "create", "create", "rejected", "rejected"]
    assert fates(await folder.plan("{file: t.xlsx, sheet: Tasks}")) == wanted
    texts = [dict(zip(HEADER, row, strict=True)) for row in TEXT_ROWS]
    (folder.path / "t.jsonl").write_text("\n".join(map(json.dumps, texts)))
    assert fates(await folder.plan("{file: t.jsonl}")) == wanted
    pd.DataFrame(TEXT_ROWS, columns=HEADER).to_parquet(folder.path / "t.parquet")
    assert fates(await folder.plan("{file: t.parquet}")) == wanted


async def test_a_frame_gives_the_same_plan_as_the_file(folder: Folder) -> None:
    """From Python, without writing the rows to a file first."""
    folder.csv(TEXT_ROWS)
    wanted = fates(await folder.plan("{file: t.csv}"))
    job = load_job(folder.job("{file: none.csv}")).with_frame("tasks", frame(), name="my frame")
    plan = await build_plan(job, MemoryTarget(EXISTING), folder.path / "y.plan")
    assert [f[:4] for f in fates(plan)] == [f[:4] for f in wanted]
    assert [(change.file, change.line) for change in plan.changes()] == [("my frame", n) for n in range(1, 6)]


async def test_a_row_of_a_sheet_is_told_with_the_sheet(folder: Folder) -> None:
    """In plans, in JSON and in messages."""
    folder.workbook(Tasks=[HEADER, *TYPED_ROWS], Other=[["x"], ["y"]])
    plan = await folder.plan("{file: t.xlsx, sheet: Tasks}")
    first, *_, twice, bad = plan.changes()
    assert first.place == "t.xlsx, sheet Tasks:2"
    assert change_json(first)["row"] == {"file": "t.xlsx", "line": 2, "sheet": "Tasks"}
    assert "row 2 (t.xlsx, sheet Tasks:3)" in (twice.reason or "")
    assert bad.place == "t.xlsx, sheet Tasks:6"
    assert plan.header.steps[0].file == "t.xlsx, sheet Tasks"
    folder.workbook(Tasks=[HEADER, *TYPED_ROWS, ["T-5", "x", 7, 1, "31/02/2016"]])
    check = RowCheck(await examine_offline(load_job(folder.job("{file: t.xlsx, sheet: Tasks}"))))
    assert [str(fault.place) async for fault in check.found()] == [
        "t.xlsx, sheet Tasks:5",
        "t.xlsx, sheet Tasks:7",
    ]


async def test_what_distinct_drops_is_counted(folder: Folder) -> None:
    """Rows read are rows planned and rows dropped; what is left keeps its line."""
    folder.csv(TEXT_ROWS)
    plan = await folder.plan("{file: t.csv, distinct: {by: [Key], keep: last}}")
    (step,) = plan.header.steps
    assert (step.read, step.dropped, step.rows) == (5, 1, 4)
    assert [change.line for change in plan.changes()] == [2, 5, 6, 7]
    assert sum(plan.header.counts.values()) == step.rows


async def test_warnings_of_a_sheet_stand_in_the_plan(folder: Folder) -> None:
    """Who looks at the plan knows that hidden rows are part of it."""
    path = folder.workbook(Tasks=[HEADER, *TYPED_ROWS])
    from openpyxl import load_workbook

    book = load_workbook(path)
    book["Tasks"].row_dimensions[3].hidden = True
    book.save(path)
    plan = await folder.plan("{file: t.xlsx}")
    assert "t.xlsx, sheet Tasks: 1 hidden row is read like the others: row 3" in plan.header.warnings


async def test_errors_matter_only_in_columns_that_are_used(folder: Folder) -> None:
    """A lookup that failed in an ignored column rejects nothing; one in a used column rejects its row."""
    rows = [["1", "a", 7, 1, None, None, None, "#N/A"], ["2", "#REF!", 7, 1, None, None, None, "x"]]
    folder.workbook(Tasks=[HEADER, *rows])
    good, bad = (await folder.plan("{file: t.xlsx}")).changes()
    assert good.action.value == "create"
    assert (bad.action.value, bad.reason) == ("rejected", "cell B3 holds the error #REF!")


async def test_an_error_in_a_key_of_distinct_rejects_its_row(folder: Folder) -> None:
    """A column that decides which rows are kept is read, also where no field takes it."""
    rows = [["1", "a", 7, 1, None, None, None, "#N/A"], ["2", "b", 7, 1, None, None, None, "x"]]
    folder.workbook(Tasks=[HEADER, *rows])
    bad, good = (await folder.plan("{file: t.xlsx, distinct: {by: [Colour]}}")).changes()
    assert (bad.reason, good.action.value) == ("cell H2 holds the error #N/A", "create")


async def test_everything_that_is_wrong_with_sources_is_told_at_once(folder: Folder) -> None:
    """A sheet that is missing in one step, merged headers in another, a file that is not there in a third."""
    folder.workbook(Tasks=[HEADER, *TYPED_ROWS])
    one = JOB.partition("steps:\n")[2]
    job = JOB + one.replace("name: tasks", "name: two") + one.replace("name: tasks", "name: three")
    job = job.replace("SOURCE", "{file: t.xlsx, sheet: Gone}", 1).replace("SOURCE", "{file: none.csv}", 1)
    with pytest.raises(JobError) as caught:
        await folder.plan("{file: t.xlsx, header_row: 99}", job=job)
    said = str(caught.value)
    assert "has no sheet `Gone`" in said
    assert "none.csv: there is no such file" in said
    assert "t.xlsx, sheet Tasks:99: the header is expected here" in said


async def test_an_unknown_column_of_distinct_is_a_fault_of_the_job(folder: Folder) -> None:
    """At its line."""
    folder.csv(TEXT_ROWS)
    with pytest.raises(JobError, match=r"job\.yaml:9: `by` names `Kye`, and t\.csv has no such column"):
        await folder.plan("{file: t.csv, distinct: {by: [Kye]}}")


async def test_a_workbook_of_results_comes_back(folder: Folder) -> None:
    """The sheet `rejected` of the five is read, without bulkops' columns and guards, to the letter."""
    rows = [*TEXT_ROWS[:-1], ["=1", "'+x _x000D_ a\r\nb", "", "0,125", "", "", "", "-"]]
    folder.csv(rows)
    await folder.plan("{file: t.csv}")
    plan = await folder.plan("{file: t.csv}", name="first")
    (written,) = write_results(plan, folder.path / "results", as_workbook=True)
    source = open_source(FileSource(file=written, display="results.xlsx"))
    assert (source.sheet, list(source.columns)) == ("rejected", HEADER)
    assert [row.cells for row in source.rows()] == [tuple(rows[3]), tuple(rows[4])]
    again = await folder.plan("{file: t.csv}", name="again", tasks=written)
    assert [change.action.value for change in again.changes()] == ["create", "rejected"]


async def test_another_sheet_of_results_is_read_where_the_job_names_it(folder: Folder) -> None:
    """Held or pending rows go the same way."""
    folder.csv(TEXT_ROWS)
    (written,) = write_results(await folder.plan("{file: t.csv}"), folder.path, as_workbook=True)
    source = open_source(FileSource(file=written, display="results.xlsx", sheet="pending"))
    assert [row.cells[0] for row in source.rows()] == ["007", "T-2", "T-3"]


async def test_a_workbook_may_stand_in_for_a_text_file_and_the_other_way_round(folder: Folder) -> None:
    """`--source` goes by the file's own ending, and takes the step's own sheet where there is one."""
    path = folder.csv(TEXT_ROWS)
    book = folder.workbook(Tasks=[HEADER, *TYPED_ROWS], Other=[["x"], ["y"]])
    wanted = [fate[:4] for fate in fates(await folder.plan("{file: t.csv}"))]
    swapped = await folder.plan("{file: none.xlsx, sheet: Tasks, header_row: 7}", tasks=book)
    assert [fate[:4] for fate in fates(swapped)] == wanted
    assert [
        fate[:4] for fate in fates(await folder.plan("{file: none.xlsx, sheet: A}", tasks=path))
    ] == wanted
    with pytest.raises(JobError, match="has several sheets with rows"):
        await folder.plan("{file: none.csv}", tasks=book)
