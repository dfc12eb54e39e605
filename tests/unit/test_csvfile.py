"""Delimited files: to the letter, with the right lines, in constant memory; refused with a sentence."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulkops.cells import RESULT_COLUMNS, SURPLUS, escape_cell
from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.record import Row
from bulkops.sources import Source, open_source

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the folder ../shared/data is not there")


def spec_of(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    quote: str | None = None,
    header_row: int = 1,
    columns: tuple[str, ...] | None = None,
) -> FileSource:
    return FileSource(
        file=path, display=path.name, encoding=encoding, delimiter=delimiter, quote=quote,
        header_row=header_row, columns=columns,
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


def opened(path: Path, text: str | bytes) -> Source:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return open_source(spec_of(path))


def cells(source: Source) -> list[tuple[str, ...]]:
    return [row.cells for row in source.rows()]


# Any table, any dialect.

ENCODINGS = {  # how it is written: the codec, and whether the job has to name it
    "utf-8": ("utf-8", False),
    "utf-8-sig": ("utf-8", False),
    "utf-16": ("utf-8", False),
    "utf-16-be": ("utf-8", True),
    "utf-32": ("utf-8", False),
    "cp1252": ("cp1252", True),
    "shift_jis": ("shift_jis", True),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    encoding = draw(st.sampled_from(list(ENCODINGS)))
    letters = st.characters(codec=ENCODINGS[encoding][0], exclude_characters="\0\xa5\u203e")
    text = st.text(letters, max_size=8) | st.text("\",;\t|\r\n' a0", max_size=8)
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(text, min_size=width, max_size=width), min_size=1, max_size=6))
    return encoding, rows


def written(rows: list[list[str]], delimiter: str, quote: str) -> tuple[str, list[int]]:
    """The text of a file and the line where each record begins."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quotechar=quote, quoting=csv.QUOTE_ALL)
    lines = []
    for row in rows:
        text = file.getvalue()
        lines.append(1 + text.count("\n") + text.count("\r") - text.count("\r\n"))
        writer.writerow(row)
    return file.getvalue(), lines


@settings(deadline=None, max_examples=150)
@given(tables(), st.sampled_from(",;\t|"), st.sampled_from("\"'"))
@example(("utf-8", [["\r", "\n"], ["\r\n", "\n\r"]]), ",", '"')
def test_any_table_comes_back_to_the_letter(
    table: tuple[str, list[list[str]]], delimiter: str, quote: str
) -> None:
    """Whatever the cells hold, in every dialect: the same texts, each record with the line it begins on."""
    encoding, rows = table
    names = [f"c{n}" for n in range(len(rows[0]))]
    text, lines = written([names, *rows], delimiter, quote)
    with TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_bytes(text.encode(encoding))
        named = encoding if ENCODINGS[encoding][1] else None
        source = open_source(spec_of(path, encoding=named, delimiter=delimiter, quote=quote))
        assert source.columns == tuple(names)
        assert list(source.rows()) == [
            Row(cells=tuple(row), line=line) for row, line in zip(rows, lines[1:], strict=True)
        ]


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200) | st.text(alphabet='a,";\n\r\t|\0 é', max_size=60).map(str.encode))
def test_any_bytes_are_rows_or_one_sentence(data: bytes) -> None:
    """A file of anything is read, or refused with a message that names it: never another exception."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_bytes(data)
        try:
            source = open_source(spec_of(path))
            rows = list(source.rows())
        except SourceError as error:
            assert str(error).startswith("t.csv")
        else:
            assert rows
            assert all(row.fault or len(row.cells) == len(source.columns) for row in rows)


def test_every_call_of_rows_starts_anew(path: Path) -> None:
    """A source can be read again, also after a reading that was left half way."""
    source = opened(path, "a,b\n1,2\n3,4\n")
    next(source.rows())
    assert cells(source) == cells(source) == [("1", "2"), ("3", "4")]


def test_cells_are_never_altered(path: Path) -> None:
    """Leading zeros, blanks at the ends, NA, NULL, long ids and odd spaces stay as they are."""
    source = opened(path, "a,b,c\n007, x ,NA\nNULL,1e5,12345678901234567890\n\u00a0y,,#N/A\n")
    assert cells(source) == [
        ("007", " x ", "NA"), ("NULL", "1e5", "12345678901234567890"), ("\u00a0y", "", "#N/A"),
    ]  # fmt: skip


def test_memory_does_not_grow_with_the_file(path: Path) -> None:
    """Sixty thousand rows need no more than a few buffers."""
    row = ",".join(f"value {n}" for n in range(10)) + "\n"
    path.write_text(row + row * 60_000)
    source = open_source(spec_of(path))
    tracemalloc.start()
    count = sum(1 for _ in source.rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 1_000_000


# Lines.


def test_a_record_has_the_line_where_it_begins(path: Path) -> None:
    """Quoted newlines of every kind and blank lines count as lines, as in an editor."""
    source = opened(path, 'a,b\r\n1,"x\r\ny"\r\n\r\n2,"p\nq\rr"\r\n3,z\r\n')
    assert [(row.line, row.cells) for row in source.rows()] == [
        (2, ("1", "x\r\ny")), (5, ("2", "p\nq\rr")), (8, ("3", "z")),
    ]  # fmt: skip


def test_blank_lines_are_no_rows(path: Path) -> None:
    """Lines without text hold no record; a line of empty cells is one."""
    source = opened(path, "\n\na,b\n\n1,2\n   \n,\n\n")
    assert [(row.line, row.cells) for row in source.rows()] == [(5, ("1", "2")), (7, ("", ""))]


def test_in_one_column_a_quoted_empty_cell_is_a_row(path: Path) -> None:
    """Where a record has one cell, only the line without anything is blank."""
    assert cells(opened(path, 'a\n""\n\n  \nx\n')) == [("",), ("  ",), ("x",)]


def test_header_row_skips_the_lines_before_it(path: Path) -> None:
    """The header stands in that physical line; what is above is not read as records."""
    path.write_text('Export "of 2024\nsecond line\nName;City\nA;B\n')
    source = open_source(spec_of(path, header_row=3))
    assert source.columns == ("Name", "City")
    assert list(source.rows()) == [Row(cells=("A", "B"), line=4)]


def test_a_header_over_several_lines(path: Path) -> None:
    """Rows are counted from where the header really ends."""
    source = opened(path, '"Start\ndate",b\n1,2\n')
    assert source.columns == ("Start\ndate", "b")
    assert [row.line for row in source.rows()] == [3]


def test_columns_of_the_job_stand_for_a_header(path: Path) -> None:
    """A file without a header: its first line is a row, and its names are those of the job."""
    path.write_text("1;2,5;x\n2;3,5;y\n")
    source = open_source(spec_of(path, columns=("Id", "Hours", "Text")))
    assert source.columns == ("Id", "Hours", "Text")
    assert cells(source) == [("1", "2,5", "x"), ("2", "3,5", "y")]
    assert [row.line for row in source.rows()] == [1, 2]


def test_header_names_are_trimmed_and_numbered_where_there_is_none(path: Path) -> None:
    """A name that stands twice is kept: only a job that uses it has a problem."""
    assert opened(path, " a ,,b,a\n1,2,3,4\n").columns == ("a", "column 2", "b", "a")


# Rows that are not as the header says.


def test_a_row_with_another_number_of_cells_is_kept_with_its_reason(path: Path) -> None:
    """The row keeps what it has; the reason names line, counts, and the delimiter in question."""
    long, whole, short = opened(path, "a;b;c\n1;2;3;4\n1;2;3\n1;2\n").rows()
    assert long.cells == ("1", "2", "3", "4")
    assert long.fault == "line 2 has 4 cells, the header has 3: does a cell hold a ';' without quotes?"
    assert not whole.fault
    assert short.fault == "line 4 has 2 cells, the header has 3: is it cut off?"


def test_text_after_a_closing_quote_makes_a_fault_of_that_row_only(path: Path) -> None:
    """What a quote means is not guessed; the rows around it are read as ever."""
    rows = list(opened(path, 'a,b\n1,x\n2,"Big" Mike\n"3"" ok","y"\n').rows())
    assert [row.cells for row in rows] == [("1", "x"), ('2,"Big" Mike',), ('3" ok', "y")]
    assert [bool(row.fault) for row in rows] == [False, True, False]
    assert "line 3 has text after a closing quote" in rows[1].fault
    assert 'must be doubled ("")' in rows[1].fault


def test_a_stray_quote_that_swallows_lines_names_them(path: Path) -> None:
    """A record that ran over other lines says which, so that no row is lost unseen."""
    rows = list(opened(path, 'a,b\n1,"x\n2,y\n3,"z"\n4,w\n').rows())
    assert [(row.line, row.cells) for row in rows] == [(2, ('1,"x\n2,y\n3,"z"',)), (5, ("4", "w"))]
    assert rows[0].fault.startswith("the record of lines 2 to 4 has text after a closing quote")


def test_a_quote_inside_an_unquoted_cell_is_text(path: Path) -> None:
    """Inches and nicknames need no quoting."""
    assert cells(opened(path, 'a,b\n5" pipe,Mike "Big" M\n')) == [('5" pipe', 'Mike "Big" M')]


def test_without_quotes_every_sign_is_text(path: Path) -> None:
    """A job can say that nothing is quoted."""
    path.write_text('a|b\n"x|y"\n')
    source = open_source(spec_of(path, quote=""))
    assert cells(source) == [('"x', 'y"')]


def test_a_nul_is_kept_for_the_mapping_to_reject(path: Path) -> None:
    """One NUL in a text file is one row's problem."""
    assert cells(opened(path, "a,b\n1,x\0y\n2,z\n"))[0] == ("1", "x\0y")


# Result files.


def result_file(
    columns: list[str], rows: list[list[str]], *, delimiter: str = ",", codec: str = "utf-8-sig"
) -> bytes:
    """A result file as the contract describes it."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow([escape_cell(name) for name in [*columns, *RESULT_COLUMNS]])
    for n, row in enumerate(rows, start=1):
        writer.writerow(
            [escape_cell(cell) for cell in [*row, str(n), "7", "s", "Tasks", "rejected", "", "=why"]]
        )
    return file.getvalue().encode(codec)


@settings(deadline=None)
@given(st.lists(st.tuples(st.text("=+-@\t\r'ab ,\"é\n"), st.text("'-a")), min_size=1, max_size=5))
def test_a_result_file_comes_back_as_its_source_was(rows: list[tuple[str, str]]) -> None:
    """bulkops' columns are gone, and so are the guards, whatever the cells hold."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "rejected.csv")
        path.write_bytes(result_file(["-a", "b"], [list(row) for row in rows]))
        source = open_source(spec_of(path))
        assert source.columns == ("-a", "b")
        assert [row.cells for row in source.rows()] == rows


def test_a_result_file_saved_by_a_spreadsheet_comes_back(path: Path) -> None:
    """Semicolons and Windows-1252, a column of bulkops deleted, one column only."""
    data = result_file(["Straße"], [["-5"], ["Höhe"]], delimiter=";", codec="cp1252")
    source = opened(path, data.replace(b"bulkops_id", b"bulkops_my_note"))
    assert source.columns == ("Straße",)
    assert cells(source) == [("-5",), ("Höhe",)]


def test_a_row_of_a_result_file_with_a_fault_keeps_it(path: Path) -> None:
    """A row that still has a comma too many is rejected again."""
    data = result_file(["a", "b"], [["1", "2"]]) + b"1,2,3,1,7,s,Tasks,rejected,,why\n"
    good, bad = opened(path, data).rows()
    assert not good.fault
    assert "has 10 cells, the header has 9" in bad.fault


def test_a_row_that_was_not_whole_is_refused_until_somebody_mended_it(path: Path) -> None:
    """Fed back as it is, its surplus would be lost and its cells stand in wrong columns."""
    header = ",".join(["a", "b", *RESULT_COLUMNS, SURPLUS])
    rest = "1,7,s,Tasks,rejected,,why"
    broken, mended = opened(path, f'{header}\n1,2,{rest},"[""3""]"\n1,"2,3",{rest},\n').rows()
    assert "line 2 was not whole: bulkops_surplus holds what did not fit" in broken.fault
    assert mended == Row(cells=("1", "2,3"), line=3)


def test_guards_stay_in_files_that_are_no_result_files(path: Path) -> None:
    """Another program's apostrophes are text."""
    assert cells(opened(path, "a,b\n'=1,''x\n")) == [("'=1", "''x")]


# Real files.


@needs_data
def test_northwind_has_24_rows_with_a_cell_too_many() -> None:
    """Unquoted commas in streets: 24 rows say so, with their line; 67 are whole and to the letter."""
    source = open_source(spec_of(DATA / "northwind-customers.csv"))
    rows = list(source.rows())
    broken = [row for row in rows if row.fault]
    assert (len(rows), len(broken)) == (91, 24)
    assert all(
        len(row.cells) == 12 and row.fault.startswith(f"line {row.line} has 12 cells") for row in broken
    )
    raw = (DATA / "northwind-customers.csv").read_text("utf-8").splitlines()
    assert all(",".join(row.cells) == raw[(row.line or 0) - 1] for row in rows)
    assert rows[1].cells[7] == "05021"


@needs_data
def test_open_data_500_has_its_newlines_and_lines() -> None:
    """Line breaks inside cells stay to the letter, and every row begins where the file says."""
    source = open_source(spec_of(DATA / "open-data-500-mexico-companies.csv"))
    raw = (DATA / "open-data-500-mexico-companies.csv").read_bytes().decode("utf-8")
    lines = raw.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    rows = list(source.rows())
    assert (len(source.columns), len(rows)) == (22, 105)
    assert not any(row.fault for row in rows)
    assert all(lines[(row.line or 0) - 1].startswith(row.cells[0]) for row in rows)
    assert all(cell.replace('"', '""') in raw for row in rows for cell in row.cells)
    assert sum("\n" in "".join(row.cells) for row in rows) == 96
    assert sum(row.cells[7].startswith("0") for row in rows) == 46


@needs_data
def test_datev_is_read_below_its_preamble() -> None:
    """Windows-1252 and semicolons found, umlauts right, 254 columns and 4 rows."""
    source = open_source(spec_of(DATA / "datev-master-data.csv", header_row=2))
    rows = list(source.rows())
    assert (len(source.columns), [row.line for row in rows]) == (254, [3, 4, 5, 6])
    assert source.columns[3] == "Name (Adressatentyp natürl. Person)"
    assert source.dialect and (source.dialect.encoding, source.dialect.delimiter) == ("cp1252", ";")
    assert "reads 'natürl.'" in source.dialect.warning
    assert any("Scary Kitten  AG" in row.cells for row in rows)


@needs_data
def test_servicenow_is_read_whole() -> None:
    """5,998 rows of 36 cells, with ? and double spaces as they are."""
    source = open_source(spec_of(DATA / "servicenow-incident-events.csv"))
    rows = list(source.rows())
    assert (len(source.columns), len(rows)) == (36, 5998)
    assert not any(row.fault for row in rows)
    assert {row.cells[source.columns.index("vendor")] for row in rows} == {"?"}
    assert rows[0].cells[8] == "Opened by  8"
