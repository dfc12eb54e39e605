"""Result files as text, and files given in place of the job's own: their delimiter, and what is advised."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops.cells import RESULT_COLUMNS
from bulkops.errors import SourceError
from bulkops.job import FileSource
from bulkops.sources import Source, open_source
from bulkops.sources.dialect import DELIMITERS

OWN = ("No", "Name", "Note")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rejected.csv"


def opened(path: Path, data: str | bytes, *, is_override: bool = True) -> Source:
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8-sig"))
    return open_source(FileSource(file=path, display=path.name, is_override=is_override), named=OWN)


@pytest.mark.parametrize("is_override", [True, False])
@pytest.mark.parametrize("row", ["Q9,Nine", "Q9,Nine,a;b;c", "Q9", "a;b;c\nd;e;f", "a;b|c|d"])
def test_the_header_tells_the_delimiter_whatever_the_rows_are(
    path: Path, row: str, is_override: bool
) -> None:
    """A row typed below it, with fewer cells than it has, makes no other delimiter of the comma."""
    data = ",".join([*OWN, *RESULT_COLUMNS]) + f"\n{row}\n"
    source = opened(path, data, is_override=is_override)
    assert source.columns == OWN
    assert source.dialect is not None and source.dialect.delimiter == ","
    assert all("the header has 10" in row.fault for row in source.rows())


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_a_row_typed_without_the_columns_of_bulkops_is_told_what_to_add(path: Path, delimiter: str) -> None:
    """It could also be one that was cut off, so it is not taken as it is; with what is to be added it is."""
    head = delimiter.join([*OWN, *RESULT_COLUMNS]) + "\n"
    typed = delimiter.join(["Q9", "Nine", "x"])
    (row,) = opened(path, f"{head}{typed}\n").rows()
    sign = "a tab" if delimiter == "\t" else f"a '{delimiter}'"
    assert "line 2 has 3 cells, the header has 10" in row.fault
    assert row.fault.endswith(f"If the last one is whole, add {sign} 7 times")
    (row,) = opened(path, f"{head}{typed}{delimiter * 7}\n").rows()
    assert (row.cells, row.fault) == (("Q9", "Nine", "x"), "")


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_saved_by_a_spreadsheet_with_another_delimiter_it_is_read_with_that(
    path: Path, delimiter: str
) -> None:
    """Quotes and line ends in the names of columns are no hindrance."""
    header = delimiter.join(['"a\nb"', '"x, y; z"', *RESULT_COLUMNS[:3]])
    row = delimiter.join(['"1,1;1"', '"2,2;2"', "1", "2", "s"])
    source = opened(path, f"{header}\n{row}\n")
    assert source.columns == ("a\nb", "x, y; z")
    assert [row.cells for row in source.rows()] == [("1,1;1", "2,2;2")]
    assert source.dialect is not None
    assert source.dialect.delimiter_found == "found: the header is that of a result file"


def test_what_a_job_cannot_say_is_not_advised(path: Path) -> None:
    """Of a file given on the command line no job says how it is written, so it is to be saved otherwise."""
    cases: list[tuple[str | bytes, str]] = [
        ("No^Name^Note\n1^2^3\n", "with `^` it has 3. Save it with commas"),
        (
            b"No,Name,Note\n1,\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9,x\n2,\xe9,y\n",
            "Save it as CSV in UTF-8",
        ),
        ("x" * 300_000, "Save it as CSV in UTF-8 if it is one"),
    ]
    for data, advice in cases:
        with pytest.raises(SourceError) as caught:
            list(opened(path, data).rows())
        assert str(caught.value).endswith(advice)
        with pytest.raises(SourceError) as caught:
            list(opened(path, data, is_override=False).rows())
        assert not str(caught.value).endswith(advice)


def test_a_guessed_encoding_of_such_a_file_is_put_right_by_saving_it(path: Path) -> None:
    """The warning says what can be done, for the job's own file and for one in its place."""
    data = "No,Name,Note\n1,Zo\xeb,x\n".encode("cp1252")
    (told,) = opened(path, data).warnings
    assert "which reads 'Zoë'; save it as UTF-8 if that is wrong" in told
    (told,) = opened(path, data, is_override=False).warnings
    assert "set `encoding: cp1252` if that is right" in told
