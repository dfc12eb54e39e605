"""A new export given with --source for the job's own file: kept to the letter, never misread unsaid."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bulkops.cells import RESULT_COLUMNS
from bulkops.errors import JobError, SourceError
from bulkops.job import FileSource, load_job
from bulkops.planner.precheck import prepare
from bulkops.sources import Source, open_source
from bulkops.targets.memory import MemoryTarget

JOB = """\
version: 1
name: trial
tenant: acme
steps:
  - name: groups
    entity: ContactGroups
    action: create
    source: {{file: old.csv{dialect}}}
    match: [name]
    fields: {{name: Name}}
    ignore: [Note]
"""


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def job(self, dialect: str = "") -> Path:
        path = self.path / "job.yaml"
        path.write_text(JOB.format(dialect=dialect), "utf-8")
        return path

    def file(self, data: str | bytes, name: str = "new.csv") -> Path:
        path = self.path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def stand_in(self, data: str | bytes, dialect: str = "", name: str = "new.csv") -> Source:
        """The source that the step reads when `data` is given for a job of this dialect."""
        job = load_job(self.job(dialect), sources={"groups": self.file(data, name)})
        spec = job.steps[0].source
        assert isinstance(spec, FileSource)
        return open_source(spec)

    def said(self, source: Source) -> list[str]:
        return [warning.replace(str(self.path / "new.csv"), "new.csv") for warning in source.warnings]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def cells(source: Source) -> list[tuple[str, ...]]:
    return [row.cells for row in source.rows()]


def test_only_a_result_file_loses_the_guards(folder: Folder) -> None:
    """A new export has its own apostrophes; where they look like guards the user is told, once."""
    source = folder.stand_in("Name,Note\n'-5,'s-Hertogenbosch\n'=1,''x\n")
    assert cells(source) == [("'-5", "'s-Hertogenbosch"), ("'=1", "''x")]
    assert folder.said(source) == [
        "new.csv: has 3 cells with a ' before a sign, the first one `'-5` in line 2. They are kept to the "
        "letter. If it was a result file or an export of bulkops, give it a column bulkops_entity, "
        "which may be empty, and the ' is taken away"
    ]  # fmt: skip
    fed_back = folder.stand_in(f"Name,{RESULT_COLUMNS[0]}\n'-5,1\n")
    assert (cells(fed_back), fed_back.warnings) == ([("-5",)], ())


def test_an_export_like_any_other_is_read_without_a_word(folder: Folder) -> None:
    """Its dialect is found, whatever the job says of its own file, and found for sure."""
    for data in ("Name;Note\nÄpfel;2\n", "Name\tNote\nÄpfel\t2\n".encode("utf-16"), b"Name,Note\nApfel,2\n"):
        source = folder.stand_in(data, ", encoding: cp850, delimiter: ';', quote: '\"', header_row: 3")
        assert source.columns == ("Name", "Note")
        assert (len(cells(source)), source.warnings) == (1, ())


def test_an_encoding_that_was_guessed_against_the_jobs_word_is_told(folder: Folder) -> None:
    """The job says what its own file is written in; where the new one was read otherwise, both are named."""
    data = "Name,Note\nÄpfel,2\nMüller,3\n".encode("cp1252")
    source = folder.stand_in(data, ", encoding: cp1250")
    assert source.dialect is not None
    assert source.dialect.encoding == "cp1252"
    assert folder.said(source)[1:] == [
        "new.csv: was read as cp1252, not as cp1250, which the job says of its own file. "
        "If that is what this one is written in, save it as UTF-8"
    ]
    assert len(folder.stand_in(data, ", encoding: windows-1252").warnings) == 1  # the guess itself


def test_a_quote_of_the_jobs_own_file_is_told(folder: Folder) -> None:
    """Cells of a new export in other quotes would keep them, or lose their own."""
    said = folder.said(folder.stand_in("Name,Note\n'a',1\n", ', quote: "\'"'))
    assert said == [
        "new.csv: was read with \" around cells, not with ', which the job says of its own file. "
        'If this one is like that, save it with "'
    ]
    assert "not with none" in folder.said(folder.stand_in("Name,Note\na,1\n", ", quote: none"))[0]


def test_a_result_file_without_rows_may_be_fed_back_as_any_type(folder: Folder) -> None:
    """Nothing was left over of its step; as the job's own source, and without our columns, it is refused."""
    names = ["Name", *RESULT_COLUMNS]
    table = pd.DataFrame([], columns=names, dtype=str)
    table.to_csv(folder.path / "r.csv", index=False)
    table.to_parquet(folder.path / "r.parquet")
    with pd.ExcelWriter(folder.path / "r.xlsx") as book:
        for state in ("applied", "unchanged", "rejected", "held", "pending"):
            table.to_excel(book, sheet_name=state, index=False)
    for suffix in ("csv", "parquet", "xlsx"):
        path = folder.path / f"r.{suffix}"
        source = open_source(FileSource(file=path, display=path.name, is_override=True))
        assert (source.columns, list(source.rows()), source.is_result) == (("Name",), [], True)
        with pytest.raises(SourceError, match="holds no row"):
            open_source(FileSource(file=path, display=path.name))
    with pytest.raises(SourceError, match="holds no row after the header"):
        folder.stand_in("Name,Note\n")


async def test_where_a_new_export_does_not_fit_what_does_not_count_is_named(folder: Folder) -> None:
    """A banner above the header, or no header: the job speaks of it for its own file, and that is no help."""
    advice = "What the job says of its own file ({}) does not count for a file given with --source"
    job = folder.job(", header_row: 3")
    file = folder.file("A report\n\nName,Note\na,1\n")
    with pytest.raises(JobError) as caught:
        await prepare(load_job(job, sources={"groups": file}), MemoryTarget())
    where, _, told = str(caught.value.faults[-1]).partition(": ")
    assert (where, told.startswith(advice.format("header_row: 3"))) == ("--source groups", True)
    with pytest.raises(SourceError) as refused:
        folder.stand_in("", ", encoding: cp850, columns: [Name, Note]")
    assert advice.format("encoding, columns") in str(refused.value)
    fed_back = folder.file(f"Nam,Note,{RESULT_COLUMNS[0]}\na,1,1\n")
    with pytest.raises(JobError) as caught:
        await prepare(load_job(job, sources={"groups": fed_back}), MemoryTarget())
    assert "does not count" not in str(caught.value)


def test_what_is_said_of_a_workbook_works_for_one_given_on_the_command_line(folder: Folder) -> None:
    """The job's `sheet` and `header_row` are about its own file: of a stand-in what is said is what helps."""

    def refused(**sheets: list[list[str | None]]) -> str:
        path = folder.path / "new.xlsx"
        with pd.ExcelWriter(path) as book:
            for name, rows in sheets.items():
                pd.DataFrame(rows).to_excel(book, sheet_name=name, index=False, header=False)
        spec = FileSource(file=path, display="new.xlsx", is_override=True, usual_sheet="Groups")
        with pytest.raises(SourceError) as caught:
            open_source(spec)
        assert "set `" not in str(caught.value) and "with `" not in str(caught.value)
        return str(caught.value)

    header: list[str | None] = ["Name", "Note", "Owner"]
    two = refused(A=[["Name"], ["a"]], B=[["Name"], ["b"]])
    assert "Of `A` and `B`, save the one to read as a file of its own, or call it `Groups`" in two
    banner = refused(A=[["A report", None, None], header, ["a", "b", "c"]])
    assert "Row 2 (Name, Note, Owner) looks like the header: delete the rows above it if it is" in banner
    late = refused(A=[[None], ["Name"], ["a"]])
    assert "The next row with text is 2: delete the rows above it if that is it" in late
