"""Workbooks that cannot be read as they are: one sentence each, with the sheet, the row and what to do."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.chart import BarChart
from openpyxl.worksheet.worksheet import Worksheet

from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.sources import Source, open_source

Table: TypeAlias = Sequence[list[Any]]
PLAIN: Table = [["Key", "Title"], ["T-1", "One"]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.xlsx"


def written(
    path: Path, sheets: Mapping[str, Table], *, merge: str = "", hide: Sequence[str] = (),
    finish: Callable[[Worksheet], object] = bool,
) -> None:  # fmt: skip
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        if merge:
            sheet.merge_cells(merge)
        finish(sheet)
    for name in hide:
        book[name].sheet_state = "hidden"
    book.save(path)


def open_path(
    path: Path, *, sheet: str | None = None, usual_sheet: str | None = None, header_row: int = 1,
    columns: tuple[str, ...] | None = None,
) -> Source:  # fmt: skip
    return open_source(
        FileSource(
            file=path, display=path.name, sheet=sheet, usual_sheet=usual_sheet, header_row=header_row,
            columns=columns,
        )
    )  # fmt: skip


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(SourceError) as caught:
        list(open_path(path, **options).rows())
    return str(caught.value)


# Sheets.


def test_a_sheet_that_is_not_there_is_told_with_those_that_are(path: Path) -> None:
    """And with the one that may have been meant."""
    written(path, {"Tasks": PLAIN, "Phases": PLAIN})
    assert refusal(path, sheet="tsks") == (
        "t.xlsx: has no sheet `tsks`. Its sheets are `Tasks` and `Phases`. Did you mean `Tasks`?"
    )


def test_several_sheets_with_rows_need_a_name(path: Path) -> None:
    """No sheet is guessed."""
    written(path, {"Tasks": PLAIN, "Empty": [], "Phases": PLAIN})
    assert refusal(path) == (
        "t.xlsx: has several sheets with rows. Name the one to read with `sheet`: "
        "`Tasks`, `Empty` or `Phases`"
    )
    assert open_path(path, sheet="Phases").sheet == "Phases"


def test_one_sheet_with_rows_needs_no_name(path: Path) -> None:
    """Empty sheets and those that nobody sees do not count."""
    written(path, {"Empty": [], "Tasks": PLAIN, "Lists": PLAIN}, hide=["Lists"])
    assert open_path(path).sheet == "Tasks"
    assert open_path(path, sheet="Lists").sheet == "Lists"


def test_a_workbook_in_the_place_of_another_is_read_at_the_same_sheet(path: Path) -> None:
    """`--source` names a file only; the step's own sheet is taken where the file has it."""
    written(path, {"Tasks": PLAIN, "Phases": PLAIN})
    assert open_path(path, usual_sheet="Phases").sheet == "Phases"
    assert "has several sheets" in refusal(path, usual_sheet="Gone")


def test_sheets_without_rows_are_refused(path: Path) -> None:
    """Nothing to read is told, never planned as nothing to do."""
    written(path, {"A": [], "B": []})
    assert refusal(path) == "t.xlsx: holds no row in any of its sheets, `A` and `B`"
    written(path, {"A": [["Key"]]})
    assert refusal(path) == "t.xlsx, sheet A: holds no row after the header"
    assert "the row is empty. The sheet ends with row 0" in refusal(path.with_name(_empty(path)))


def _empty(path: Path) -> str:
    written(path.with_name("e.xlsx"), {"A": []})
    return "e.xlsx"


def test_a_sheet_that_is_a_chart_is_none(path: Path) -> None:
    """It has no cells."""
    book = Workbook()
    book.create_chartsheet("Chart").add_chart(BarChart())
    for row in PLAIN:
        book.worksheets[0].append(row)
    book.save(path)
    assert refusal(path, sheet="Chart") == (
        "t.xlsx: has no sheet `Chart`. Its sheets are `Sheet`. Name one of them"
    )


# Headers.


def test_a_blank_header_row_is_told_with_the_next_row_that_has_text(path: Path) -> None:
    """Also where the sheet ends above it."""
    written(path, {"A": [[], [], *PLAIN]})
    assert refusal(path) == (
        "t.xlsx, sheet A:1: the header is expected here, and the row is empty. The next row with text is 3: "
        "set `header_row: 3` if that is it"
    )
    assert refusal(path, header_row=9) == (
        "t.xlsx, sheet A:9: the header is expected here, and the row is empty. The sheet ends with row 4"
    )


def test_a_banner_taken_for_the_header_is_told_with_the_row_that_looks_like_one(path: Path) -> None:
    """One name for five columns is none."""
    names = ["Key", "Title", "Start", "End", "Hours"]
    written(path, {"A": [["Export of 2024"], [], names, ["T-1", "One", 1, 2, 3]]})
    assert refusal(path) == (
        "t.xlsx, sheet A:1: has 1 name for 5 columns. Row 3 (Key, Title, Start, End, Hours) looks like "
        "the header: set `header_row: 3` if it is"
    )


@pytest.mark.parametrize("merge", ["A1:B1", "A1:A2"])
def test_merged_cells_in_the_header_are_told(path: Path, merge: str) -> None:
    """A name over two columns, or over two rows, does not say whose it is."""
    written(path, {"A": [["Key", None], ["x", "y"], ["1", "2"]]}, merge=merge)
    assert refusal(path) == (
        f"t.xlsx, sheet A:1: the header has merged cells: {merge}. Unmerge them and give each column its own "
        "name, or set `header_row` to a row that has them"
    )


def test_merged_cells_over_columns_without_anything_are_no_fault(path: Path) -> None:
    """A month over the empty columns of a chart drawn with colours names one column."""
    written(path, {"A": [["Key", "Jan"], ["1", None]]}, merge="B1:E1")
    assert open_path(path).columns == ("Key", "Jan")


def test_a_header_cell_that_is_an_error_is_told(path: Path) -> None:
    """A column must have a name that can be read."""
    written(path, {"A": [["Key", "#REF!"], ["1", "2"]]})
    assert refusal(path) == ("t.xlsx, sheet A:1: the header cannot be read: cell B1 holds the error #REF!")


def test_more_cells_than_the_job_names_are_told(path: Path) -> None:
    """Without a header nothing may slip into the wrong column."""
    written(path, {"A": [["1", "2"], ["1", "2", "3"]]})
    assert refusal(path, columns=("Key", "Title")) == (
        "t.xlsx, sheet A:2: holds more cells than `columns` has names (2). Name every column from A on"
    )


# Files that are no workbooks.

ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99) + "EncryptedPackage".encode("utf-16-le")
OTHERS = {
    b"": "is empty. Save or copy it again",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99): "is an old Excel workbook (.xls) under another name.",
    ENCRYPTED: "is protected by a password. Save it without one",
    b"\r\n<html><table>": "is a web page or XML under the name of a workbook. Open it in",
    "<html>".encode("utf-16"): "is a web page or XML under the name of a workbook. Open it in",
    b"Key;Title\r\nT-1;One\r\n": "is a text file under the name of a workbook. If it is CSV",
    "Key\tTitle".encode("utf-16"): "is a text file under the name of a workbook. If it is CSV",
    b"\x89PNG\r\n\x1a\n\0\0": "is no Excel workbook. Save the table as .xlsx",
    b"PK\x03\x04 and no more": "is damaged or cut off. Save or copy it again",
}


@pytest.mark.parametrize("data", OTHERS)
def test_what_is_no_workbook_is_named(path: Path, data: bytes) -> None:
    """Whatever the file's name says."""
    path.write_bytes(data)
    assert f"t.xlsx: {OTHERS[data]}" in refusal(path)


def archive(**parts: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, text in parts.items():
            made.writestr(name, text)
    return file.getvalue()


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("xl/workbook.bin", "a binary workbook (.xlsb)"),
        ("content.xml", "an OpenDocument file"),
        ("word/document.xml", "a Word document"),
        ("photo.jpg", "a zip archive"),
    ],
)
def test_another_archive_is_named(path: Path, part: str, kind: str) -> None:
    """Office has many files that begin alike."""
    path.write_bytes(archive(**{part: "x"}))
    assert refusal(path) == f"t.xlsx: is {kind}, not an Excel workbook. Save the table as .xlsx"


def test_a_workbook_that_is_cut_off_is_refused(path: Path) -> None:
    """Half a download."""
    written(path, {"A": PLAIN})
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(path) == "t.xlsx: is damaged or cut off. Save or copy it again"


def test_a_workbook_whose_parts_are_broken_is_refused(path: Path) -> None:
    """What the reader says is told, and what to do."""
    path.write_bytes(archive(**{"xl/workbook.xml": "<workbook", "_rels/.rels": "<Relationships/>"}))
    assert "t.xlsx: cannot be read as an Excel workbook (" in refusal(path)


def test_a_file_that_is_not_there_is_told_with_the_one_that_is(path: Path) -> None:
    """As for every kind of file."""
    written(path.with_name("tasks.xlsx"), {"A": PLAIN})
    assert "Is it 'tasks.xlsx'?" in refusal(path.with_name("task.xlsx"))


@pytest.fixture(scope="module")
def whole() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "t.xlsx")
        written(path, {"A": [*PLAIN, ["=A1", "#N/A"], [1.5, True]]}, finish=_hide_a_row)
        return path.read_bytes()


def _hide_a_row(sheet: Worksheet) -> None:
    sheet.row_dimensions[2].hidden = True


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_damaged_workbook_is_rows_or_one_sentence(whole: bytes, data: st.DataObject) -> None:
    """Wherever bytes of its parts are lost or altered: never another exception, and never an endless wait."""
    with zipfile.ZipFile(io.BytesIO(whole)) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    name = data.draw(st.sampled_from([name for name in parts if name.startswith("xl/")]))
    at = data.draw(st.integers(0, len(parts[name])))
    length = data.draw(st.integers(0, 12))
    put = data.draw(st.binary(max_size=3) | st.sampled_from([b"<", b">", b'"', b"A99", b"99999999", b"&x;"]))
    parts[name] = parts[name][:at] + put + parts[name][at + length :]
    with TemporaryDirectory() as folder:
        path = Path(folder, "t.xlsx")
        with zipfile.ZipFile(path, "w") as book:
            for part, content in parts.items():
                book.writestr(part, content)
        try:
            rows = list(open_path(path).rows())
        except SourceError as error:
            assert str(error).startswith("t.xlsx")
        else:
            assert rows
