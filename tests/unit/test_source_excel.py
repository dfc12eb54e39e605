"""Excel workbooks: cells as they are stored, rows where they stand, and nothing passed over in silence."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from bulkops.job.model import FileSource
from bulkops.record import Row
from bulkops.sources import Source, open_source

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the folder ../shared/data is not there")

Opened: TypeAlias = Callable[..., Source]


def written(path: Path, *rows: list[Any]) -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Tasks"
    for row in rows:
        sheet.append(row)
    book.save(path)


def open_path(
    path: Path, *, sheet: str | None = None, header_row: int = 1, columns: tuple[str, ...] | None = None,
    unread: Sequence[str] = (),
) -> Source:  # fmt: skip
    spec = FileSource(file=path, display=path.name, sheet=sheet, header_row=header_row, columns=columns)
    return open_source(spec, unread=unread)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.xlsx"


def cells(source: Source) -> list[tuple[str, ...]]:
    return [row.cells for row in source.rows()]


# Any table.

MARKS = re.compile(r"_x[0-9A-Fa-f]{4}_")  # stand for one character in every workbook
ERRORS = (
    "#NULL!",
    "#DIV/0!",
    "#VALUE!",
    "#REF!",
    "#NAME?",
    "#NUM!",
    "#N/A",
)  # openpyxl writes them as errors
MARCH_1900 = datetime(1900, 3, 1)  # noqa: DTZ001 - a sheet knows no zones, and the day before not at all
texts = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff", include_characters="\n\t"
    ),
    max_size=8,
).filter(lambda text: not text.startswith("=") and text not in ERRORS and not MARKS.search(text))
numbers = st.integers(-(10**15) + 1, 10**15 - 1) | st.floats(-1e15, 1e15).map(lambda x: float(f"{x:.15g}"))
moments = st.datetimes(MARCH_1900).map(lambda moment: moment.replace(microsecond=0))
values = st.none() | texts | numbers | st.booleans() | moments | moments.map(datetime.date)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(values, min_size=width, max_size=width), min_size=1, max_size=5)
)


def is_shortest_form(text: str, value: Any) -> bool:
    """Whether a cell's text says exactly what was written, with nothing to spare."""
    if value is None or isinstance(value, str):
        given = value or ""
        return text == given or not (given.strip() or text.strip())  # how blank a blank cell is says nothing
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, datetime):
        return datetime.fromisoformat(text) == value and ("T" in text) == (value.time() != time())
    if isinstance(value, date):
        return text == value.isoformat()
    return Decimal(text) == Decimal(repr(value)) and re.fullmatch(r"-?\d+(\.\d*[1-9])?", text) is not None


@settings(deadline=None, max_examples=150)
@given(tables)
@example([["007", " x ", "NA", "a\nb"], [1.0, 1.1, 0.3, -0.5], [None, True, date(2016, 2, 29), ""]])
@example([["'=1", "line\n", "\n", "\t"], [123456789012345, 1e-7, 1e15 - 1, 0]])
def test_any_table_comes_back_in_its_shortest_form(table: list[list[Any]]) -> None:
    """Texts to the letter, numbers and dates as stored; rows keep their number, blank ones are none."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "t.xlsx")
        names = [f"c{n}" for n in range(len(table[0]))]
        written(path, names, *table, ["last"])
        source = open_path(path)
        assert source.columns == tuple(names)
        *rows, last = source.rows()
        assert (last.cells[0], last.line) == ("last", len(table) + 2)
        kept = {
            n: row
            for n, row in enumerate(table, start=2)
            if any(str(v).strip() for v in row if v is not None)
        }
        assert [row.line for row in rows] == list(kept)
        for row in rows:
            assert all(map(is_shortest_form, row.cells, kept[row.line or 0]))
            assert not row.fault


def test_times_and_durations_are_told_as_a_sheet_shows_them(path: Path) -> None:
    """A time of day, and hours beyond 24."""
    written(path, ["a", "b"], [time(8, 30), timedelta(hours=26, minutes=30)])
    assert cells(open_path(path)) == [("08:30:00", "26:30:00")]


def test_every_call_of_rows_starts_anew(path: Path) -> None:
    """A source can be read again, also after a reading that was left half way."""
    written(path, ["a"], [1], [2])
    source = open_path(path)
    next(source.rows())
    assert cells(source) == cells(source) == [("1",), ("2",)]


# Where things stand.


def test_a_row_says_its_number_in_the_sheet_and_its_source_the_sheet(path: Path) -> None:
    """Blank rows within and after the rows are none, and count."""
    written(path, ["a", "b"], ["1", "2"], [], [" ", None], ["3"], [None, ""])
    source = open_path(path)
    assert list(source.rows()) == [Row(cells=("1", "2"), line=2), Row(cells=("3", ""), line=5)]
    assert (source.file, source.sheet, source.display) == ("t.xlsx", "Tasks", "t.xlsx, sheet Tasks")
    assert source.dialect is None


def test_a_banner_stands_above_the_header(path: Path) -> None:
    """`header_row` is the sheet's own row number; what is above it is not read, merged or not."""
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(["Export of 2024"])
    sheet.merge_cells("A1:C2")
    for row in ([], [], ["Key", "Title", "Hours"], ["T-1", "One", 1.5]):
        sheet.append(row)
    book.save(path)
    source = open_path(path, header_row=4)
    assert source.columns == ("Key", "Title", "Hours")
    assert list(source.rows()) == [Row(cells=("T-1", "One", "1.5"), line=5)]
    assert source.warnings == ()


def test_a_table_may_stand_anywhere(path: Path) -> None:
    """Blank columns before it are no columns, and row numbers stay those of the sheet."""
    book = Workbook()
    sheet = book.worksheets[0]
    sheet["C4"], sheet["D4"], sheet["D6"] = "Key", "Title", "One"
    book.save(path)
    source = open_path(path, header_row=4)
    assert source.columns == ("Key", "Title")
    assert list(source.rows()) == [Row(cells=("", "One"), line=6)]


def test_columns_without_a_name_are_numbered_and_those_without_anything_left_out(path: Path) -> None:
    """`column 3` is the sheet's third; a column that holds neither a name nor a cell is none."""
    written(path, ["a", None, " ", "d", None], ["1", "", "x", "2", None], ["3", None, None, "4", " "])
    source = open_path(path)
    assert source.columns == ("a", "column 3", "d")
    assert cells(source) == [("1", "x", "2"), ("3", "", "4")]


def test_header_names_are_trimmed_and_may_be_numbers_or_stand_twice(path: Path) -> None:
    """As in a text file: who uses them decides what that means."""
    written(path, [" Name ", 2024, "Start\ndate", "Name"], ["1", "2", "3", "4"])
    assert open_path(path).columns == ("Name", "2024", "Start\ndate", "Name")


def test_columns_of_the_job_stand_for_a_header(path: Path) -> None:
    """Without a header the first row is a row, and cells count from column A, also where that is empty."""
    written(path, [None, "x"], [None, "y", None])
    source = open_path(path, columns=("Id", "Text", "More"))
    assert source.columns == ("Id", "Text", "More")
    assert list(source.rows()) == [Row(cells=("", "x", ""), line=1), Row(cells=("", "y", ""), line=2)]


# What must be seen.


def odd_book(path: Path) -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Tasks"
    for row in (
        ["a", "b", "c"],
        ["1", "#N/A", "x"],
        ["2", "=A2*2", "y"],
        ["3", "#N/A", "#DIV/0!"],
        [],
        ["6"],
    ):
        sheet.append(row)
    sheet["A9"] = "=A2"  # all that stands in its row
    sheet.row_dimensions[4].hidden = True
    sheet.row_dimensions[5].hidden = True  # holds nothing
    sheet.row_dimensions[6].hidden = True
    book.save(path)


def test_errors_and_formulas_without_a_result_are_faults_of_their_rows(path: Path) -> None:
    """Each names its cell; a row is never lost, even where nothing else stands in it."""
    odd_book(path)
    error, formula, errors, whole, lonely = open_path(path).rows()
    assert (error.fault, error.cells) == ("cell B2 holds the error #N/A", ("1", "#N/A", "x"))
    assert formula.fault.startswith("cell B3 holds a formula without a stored result: open the file in a")
    assert formula.cells == ("2", "", "y")
    assert errors.fault == "cell B4 holds the error #N/A; cell C4 holds the error #DIV/0!"
    assert whole == Row(cells=("6", "", ""), line=6)
    assert (lonely.line, lonely.cells) == (9, ("", "", ""))
    assert lonely.fault.startswith("cell A9 holds a formula")


def test_an_error_in_a_column_that_nobody_reads_is_no_fault(path: Path) -> None:
    """A helper column that could not find something does not stop its row; its cell is empty."""
    odd_book(path)
    rows = list(open_path(path, unread=["b"]).rows())
    assert [row.cells for row in rows[:2]] == [("1", "", "x"), ("2", "", "y")]
    assert [bool(row.fault) for row in rows] == [False, False, True, False, True]


def test_hidden_rows_are_read_and_said_to_be_there(path: Path) -> None:
    """A filter that was left on drops nothing."""
    odd_book(path)
    source = open_path(path)
    assert [row.line for row in source.rows()] == [2, 3, 4, 6, 9]
    assert source.warnings == ("t.xlsx, sheet Tasks: 2 hidden rows are read like the others: rows 4, 6",)


def test_merged_cells_below_the_header_are_told(path: Path) -> None:
    """Only the first cell of each holds the text, so the others would be silently empty."""
    book = Workbook()
    sheet = book.worksheets[0]
    for row in (["Client", "Task"], ["Acme", "1"], [None, "2"]):
        sheet.append(row)
    sheet.merge_cells("A2:A3")
    book.save(path)
    (warning,) = open_path(path).warnings
    assert "cells are merged in its rows (A2:A3); the first cell of each holds the text" in warning


# Real files.


@needs_data
def test_the_project_plan_has_its_39_tasks() -> None:
    """Dates from the stored results of formulas, hidden rows, leading blanks that tell the hierarchy."""
    source = open_path(DATA / "project-plan.xlsx")
    rows = list(source.rows())
    assert source.columns[:10] == (
        "ID", "ReqId", "Task", "Predecessor", "Duration", "Swarm #", "Predecessors", "Resourcing",
        "Start Date", "End Date",
    )  # fmt: skip
    assert source.columns[10:] == ("Jan", "Feb", "Mar", "Apr", "May", "June")
    assert [row.cells[0] for row in rows] == [str(n) for n in range(1, 40)]
    assert [row.line for row in rows] == list(range(2, 41))
    assert not any(row.fault for row in rows)
    blanks = [len(row.cells[2]) - len(row.cells[2].lstrip(" ")) for row in rows]
    assert [blanks.count(n) for n in (0, 3, 6)] == [14, 23, 2]
    dates = [row.cells[n] for row in rows for n in (8, 9) if row.cells[n]]
    assert dates[:2] == ["2023-01-02", "2023-02-13"]
    assert all(re.fullmatch(r"2023-\d\d-\d\d", text) for text in dates)
    assert {"1.1", "1.3", "3.4.1", "3.1.3/4"} <= {row.cells[1] for row in rows}
    assert source.warnings == (
        "project-plan.xlsx, sheet Project Plan: 2 hidden rows are read like the others: rows 39, 40",
    )
