"""`ignore: "*"`: a file of 254 columns of which a step needs five, without naming the other 249."""

from __future__ import annotations

from pathlib import Path

import pytest
from openpyxl import Workbook

from bulkops.errors import JobError
from bulkops.job import Job, load_job
from bulkops.planner.precheck import Examined
from bulkops.validate import examine_offline

STEP = """version: 1
name: a
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: FILE}
    match: [companyNumber]
    fields:
      companyNumber: No
      companyName: {template: "{{ Name }} ({{ row['Town'] }})"}
      phone: Phone
      companyType: {value: Customer}
      ownerResourceID: {value: "4"}
"""
HEADER = ["No", "Name", "Town", "Phone", "Colour", "Size", "Weight"]


def job_of(folder: Path, ignore: str, *, file: str = "c.csv") -> Job:
    path = folder / "job.yaml"
    path.write_text(f"{STEP.replace('FILE', file)}    ignore: {ignore}\n", "utf-8")
    return load_job(path)


def table(folder: Path, *header: str) -> None:
    cells = ["x" for _ in header]
    (folder / "c.csv").write_text(f"{','.join(header)}\n{','.join(cells)}\n", "utf-8")


def workbook(folder: Path, *, error: str) -> None:
    """With an error in the cell of one column."""
    book = Workbook()
    assert book.active is not None
    book.active.append(HEADER)
    book.active.append(["#REF!" if name == error else "x" for name in HEADER])
    book.save(folder / "c.xlsx")


async def examined(folder: Path, ignore: str, *header: str) -> Examined:
    table(folder, *(header or HEADER))
    return await examine_offline(job_of(folder, ignore))


@pytest.mark.parametrize(
    ("ignore", "left_out"),
    [('"*"', 3), ('["*"]', 3), ("'*'", 3), ('[Colour, "*"]', 2), ('["*", Colour, Size, Weight]', 0)],
)
async def test_what_nothing_uses_needs_no_name(tmp_path: Path, ignore: str, left_out: int) -> None:
    """Alone or in a list, beside names that stay allowed; counted is what no name stands for."""
    found = await examined(tmp_path, ignore)
    assert (found.faults, found.steps[0].left_out) == ((), left_out)


async def test_what_is_named_still_has_to_be_there(tmp_path: Path) -> None:
    """A misspelt column is no column that nothing uses."""
    header = ["No", "Name", "Town", "Phon", "Colour"]
    (fault,) = (await examined(tmp_path, '"*"', *header)).faults
    assert "c.csv has no column `Phone`. Did you mean `Phon`?" in str(fault)


async def test_what_makes_rows_distinct_is_used(tmp_path: Path) -> None:
    """So is what a template reads, by any of its ways; one that reads the whole row leaves nothing out."""
    path = tmp_path / "job.yaml"
    table(tmp_path, *HEADER)
    text = STEP.replace("{file: FILE}", "{file: c.csv, distinct: {by: [Size]}}") + '    ignore: "*"\n'
    path.write_text(text, "utf-8")
    assert (await examine_offline(load_job(path))).steps[0].left_out == 2
    path.write_text(text.replace("{{ Name }}", "{{ row.values() | join }}"), "utf-8")
    assert (await examine_offline(load_job(path))).steps[0].left_out == 0


async def test_an_error_in_a_sheet_counts_where_something_reads_it(tmp_path: Path) -> None:
    """In a column left out it is nobody's matter; in one that only a template names it is a fault."""
    for column, is_read in (("Weight", False), ("Town", True), ("Phone", True)):
        workbook(tmp_path, error=column)
        found = await examine_offline(job_of(tmp_path, '"*"', file="c.xlsx"))
        (row,) = found.steps[0].source.rows()
        assert bool(row.fault) is is_read, column


async def test_a_sheet_error_in_an_ignored_column_that_a_template_reads_is_a_fault(tmp_path: Path) -> None:
    """Naming a column under `ignore` does not make its errors empty texts where something reads it."""
    workbook(tmp_path, error="Name")
    found = await examine_offline(job_of(tmp_path, "[Name, Colour, Size, Weight]", file="c.xlsx"))
    (row,) = found.steps[0].source.rows()
    assert row.fault


async def test_who_would_have_to_name_many_is_told_of_the_star(tmp_path: Path) -> None:
    """The list that can be pasted is still there; for a few columns it is enough."""
    many = [f"Extra {n}" for n in range(11)]
    (fault,) = (await examined(tmp_path, "[Colour, Size, Weight]", *HEADER, *many)).faults
    assert fault.hint.startswith('Map them (`ignore: "*"` is for all that nothing uses), or add them to')
    assert fault.hint.endswith("Extra 10]")
    (fault,) = (await examined(tmp_path, "[Colour, Size, Weight]", *HEADER, *many[:10])).faults
    assert fault.hint.startswith("Map them, or add them to `ignore`: [")


@pytest.mark.parametrize("ignore", ["*", "[*]", "[Colour, *]"])
def test_a_bare_star_is_told_to_need_quotes(tmp_path: Path, ignore: str) -> None:
    """YAML takes it for something else, and says so in words of its own."""
    with pytest.raises(
        JobError, match=r"a value cannot begin with a bare \* or &\. Put it in quotes: \"\*\""
    ):
        job_of(tmp_path, ignore)


def test_another_text_is_still_no_list(tmp_path: Path) -> None:
    """One name alone has to stand in a list, as before."""
    with pytest.raises(JobError, match=r"must be a list, not the text `Colour`. Write \[Colour\]"):
        job_of(tmp_path, "Colour")
