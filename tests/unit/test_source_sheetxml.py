"""What a sheet's XML says beyond its values, however the program spelled it that wrote the workbook."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.record import Row
from bulkops.sources import Source, open_source
from bulkops.sources.sheetxml import cell_name, find_oddities, glance

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def links(**targets: str) -> str:
    """A part that links others: type → target."""
    made = "".join(f'<Relationship Id="to-{k}" Type="{LINKS}/{k}" Target="{t}"/>' for k, t in targets.items())
    return f'<Relationships xmlns="{PACKAGE}">{made}</Relationships>'


def book(sheet: str, *, target: str = "worksheets/one.xml") -> bytes:
    """A workbook with one sheet, named Tasks, of this XML."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as parts:
        parts.writestr("_rels/.rels", links(officeDocument="xl/workbook.xml"))
        parts.writestr("xl/_rels/workbook.xml.rels", links(worksheet=target))
        parts.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets>'
            '<sheet name="Tasks" sheetId="7" r:id="to-worksheet"/></sheets></workbook>',
        )
        parts.writestr("xl/worksheets/one.xml", sheet)
    return file.getvalue()


def sheet_of(rows: str) -> str:
    head = "<row r='1'><c r='A1' t='inlineStr'><is><t>a</t></is></c><c r='B1' t='str'><v>b</v></c></row>"
    return f'<worksheet xmlns="{MAIN}"><sheetData>{head}{rows}</sheetData></worksheet>'


def opened(folder: Path, data: bytes) -> Source:
    path = folder / "t.xlsx"
    path.write_bytes(data)
    return open_source(FileSource(file=path, display="t.xlsx"))


SPELLINGS = {
    "references": '<row r="2"><c r="A2"><v>1</v></c><c r="B2" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>'
    '<row r="3" hidden="1"><c r="A3"><f>B2</f><v></v></c><c r="B3"><v>2</v></c></row>',
    "single quotes": "<row r='2'><c r='A2'><v>1</v></c><c r='B2' t='e'><v>#DIV/0!</v></c></row>"
    "<row r='3' hidden='true'><c r='A3'><f>B2</f></c><c r='B3'><v>2</v></c></row>",
    "no references": '<row><c><v>1</v></c><c t="e"><v>#DIV/0!</v></c></row>'
    '<row hidden="1"><c><f>B2</f><v/></c><c><v>2</v></c></row>',
    "a shared formula": '<row r="2"><c r="A2"><v>1</v></c><c r="B2" t="e"><v>#DIV/0!</v></c></row>'
    '<row r="3" hidden="1"><c r="A3"><f t="shared" si="0"/></c><c r="B3"><v>2</v></c></row>',
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_oddities_are_found_however_they_are_written(tmp_path: Path, spelling: str) -> None:
    """Quotes, references and empty elements are the writer's choice."""
    source = opened(tmp_path, book(sheet_of(SPELLINGS[spelling])))
    error, formula = source.rows()
    assert (error.cells, error.fault) == (("1", "#DIV/0!"), "cell B2 holds the error #DIV/0!")
    assert (formula.cells, formula.line) == (("", "2"), 3)
    assert formula.fault.startswith("cell A3 holds a formula without a stored result")
    assert source.warnings == ("t.xlsx, sheet Tasks: 1 hidden row is read like the others: row 3",)


def test_names_with_a_prefix_are_understood() -> None:
    """Some writers put a prefix before every element."""
    formula, error = '<x:c r="A2"><x:f>B2</x:f></x:c>', '<x:c r="B2" t="e"><x:v>#N/A</x:v></x:c>'
    rows = f'<x:row r="2" hidden="1">{formula}{error}</x:row>'
    sheet = f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData>{rows}</x:sheetData></x:worksheet>'
    with zipfile.ZipFile(io.BytesIO(book(sheet))) as parts:
        found = find_oddities(parts, "Tasks")
    assert (found.errors, found.uncalculated, found.hidden) == ({(2, 2): "#N/A"}, {(2, 1)}, {2})


def test_a_formula_whose_result_is_an_empty_text_is_calculated(tmp_path: Path) -> None:
    """It is an empty cell and no fault; so are results of every kind."""
    rows = (
        '<row r="2"><c r="A2" t="str"><f>IF(1,"","x")</f><v></v></c><c r="B2"><f>1+1</f><v>2</v></c></row>'
        '<row r="3"><c r="A3" t="b"><f>TRUE</f><v>1</v></c><c r="B3" t="str"><f>A1</f><v>x</v></c></row>'
    )
    source = opened(tmp_path, book(sheet_of(rows)))
    assert list(source.rows()) == [Row(cells=("", "2"), line=2), Row(cells=("true", "x"), line=3)]
    assert source.warnings == ()


@pytest.mark.parametrize("target", ["worksheets/one.xml", "/xl/worksheets/one.xml", "./worksheets/one.xml"])
def test_the_part_of_a_sheet_is_found_by_its_link(target: str) -> None:
    """Relative to the workbook, or from the archive's root."""
    data = book(sheet_of('<row r="2"><c r="A2" t="e"><v>#N/A</v></c></row>'), target=target)
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        assert find_oddities(parts, "Tasks").errors == {(2, 1): "#N/A"}
        with pytest.raises(KeyError):
            find_oddities(parts, "tasks")


@pytest.mark.parametrize("before", [(1 << 20) - n for n in (1, 3, 8, 20)])
def test_a_sign_that_is_cut_in_two_is_seen(before: int) -> None:
    """A sheet is looked through in blocks; what lies across their edge counts."""
    sheet = sheet_of('<row r="2"><c r="A2" t="e"><v>#N/A</v></c></row>')
    start, end = sheet.split('<c r="A2"')
    padded = f'{start}{" " * (before - len(start) - 12)}<c r="A2"{end}'
    with zipfile.ZipFile(io.BytesIO(book(padded))) as parts:
        assert glance(parts, "Tasks").has_oddities
        assert find_oddities(parts, "Tasks").errors == {(2, 1): "#N/A"}


def test_a_sheet_without_anything_odd_is_not_parsed() -> None:
    """Its bytes show that there is nothing to find."""
    with zipfile.ZipFile(io.BytesIO(book(sheet_of('<row r="2"><c r="A2"><v>1</v></c></row>')))) as parts:
        assert not glance(parts, "Tasks").has_oddities


def test_a_sheet_may_be_as_wide_as_a_sheet_can_be(tmp_path: Path) -> None:
    """Many columns are no stray cell."""
    source = opened(
        tmp_path, book(sheet_of('<row r="2"><c r="A2"><v>1</v></c><c r="XFD2"><v>2</v></c></row>'))
    )
    assert source.columns == ("a", "b", "column 16384")
    assert [row.cells for row in source.rows()] == [("1", "", "2")]


@pytest.mark.parametrize("cell", ["XFD1048576", "AAA999999", "A99999999999"])
def test_a_stray_cell_at_the_end_of_the_sheet_is_refused(tmp_path: Path, cell: str) -> None:
    """The reader would make room for billions of cells; it is said what to do."""
    data = book(sheet_of(f'<row r="2"><c r="A2"><v>1</v></c><c r=\'{cell}\'><v>1</v></c></row>'))
    with pytest.raises(SourceError, match=r"^t\.xlsx, sheet Tasks: reaches over .* Delete what stands far"):
        opened(tmp_path, data)


def test_stored_numbers_keep_all_their_digits(tmp_path: Path) -> None:
    """As many as the file has, and never an exponent."""
    numbers = ["0.30000000000000004", "1.1000000000000001", "1.2345678901234567E+19", "1E-7", "5021"]
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>{x}</v></c></row>' for n, x in enumerate(numbers, start=2))
    assert [row.cells[0] for row in opened(tmp_path, book(sheet_of(rows))).rows()] == [
        "0.30000000000000004", "1.1", "12345678901234567000", "0.0000001", "5021",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "name"), [((1, 1), "A1"), ((7, 26), "Z7"), ((9, 27), "AA9"), ((1, 16384), "XFD1")]
)
def test_cells_are_named_as_a_sheet_names_them(cell: tuple[int, int], name: str) -> None:
    """A to Z, AA to ZZ, AAA to XFD."""
    assert cell_name(cell) == name
