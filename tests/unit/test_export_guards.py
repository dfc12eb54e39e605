"""The ' that guards cells of a CSV export: none reaches the tenant unsaid, and no other one is lost."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.errors import JobError
from bulkops.export import Wanted, export
from bulkops.job import load_job
from bulkops.job.model import FileSource, WrittenAs
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.targets.memory import MemoryTarget

TRICKY = st.text(alphabet="'=+-@\tab1", min_size=1, max_size=5).filter(lambda text: bool(text.strip()))
WARNED = "ContactGroups: {} with a ' before a sign, to be written to the letter: {}"
GONE = "bulkops_entity"


class Desk:
    """An export of groups, with the file's last column gone as somebody deleted it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = folder / "back.yaml"

    def target(self, *titles: str) -> MemoryTarget:
        groups: list[Mapping[str, Scalar]] = [
            {"id": n, "name": title, "isActive": n == 1} for n, title in enumerate(titles, 1)
        ]
        return MemoryTarget({"ContactGroups": groups})

    async def export(self, *titles: str, suffix: str = ".csv") -> None:
        wanted = Wanted(
            entity="ContactGroups",
            path=self.folder / f"out{suffix}",
            fields=("name",),
            job=self.job,
            overwrite=True,
        )
        await export(self.target(*titles), wanted, tenant="acme")

    def rows(self) -> list[dict[str, str]]:
        with (self.folder / "out.csv").open(encoding="utf-8-sig", newline="") as file:
            return [
                {name: cell for name, cell in row.items() if name != GONE} for row in csv.DictReader(file)
            ]

    def save(self, rows: list[dict[str, str]]) -> None:
        with (self.folder / "out.csv").open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)

    def save_as_workbook(self, rows: list[dict[str, str]]) -> None:
        """As a spreadsheet does; the job is told the file's new name and nothing else."""
        from openpyxl import Workbook

        book = Workbook()
        sheet = book.worksheets[0]
        for n, cells in enumerate([list(rows[0]), *(list(row.values()) for row in rows)], 1):
            for m, cell in enumerate(cells, 1):
                made = sheet.cell(n, m, cell)
                made.data_type = "s"
        book.save(self.folder / "out.xlsx")
        self.say("out.csv", "out.xlsx")

    def say(self, old: str, new: str) -> None:
        text = self.job.read_text("utf-8")
        assert old in text
        self.job.write_text(text.replace(old, new), "utf-8")

    async def plan(self, *titles: str, sources: Mapping[str, Path] | None = None) -> Plan:
        job = load_job(self.job, sources=sources or {})
        return await build_plan(job, self.target(*titles), self.folder / "x.plan")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def written(plan: Plan) -> dict[int, object]:
    """The titles that would be written, by record."""
    return {c.id or 0: c.fields["name"].after for c in plan.changes() if c.fields}


# --- a job that says what its file is


@pytest.mark.parametrize("is_workbook", [False, True])
async def test_without_the_last_column_the_guards_are_taken_away(desk: Desk, is_workbook: bool) -> None:
    """The job knows what the file was written as, whatever it was saved as since."""
    titles = ("=1+1", "'s-Hertogenbosch", "'=x", "-5", "+49")
    await desk.export(*titles)
    rows = desk.rows()
    rows[3]["name"] = "'-6"
    (desk.save_as_workbook if is_workbook else desk.save)(rows)
    plan = await desk.plan(*titles)
    assert (written(plan), plan.header.warnings) == ({4: "-6"}, ())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TRICKY, min_size=1, max_size=3), st.booleans())
async def test_an_unedited_file_never_writes_a_guard(desk: Desk, titles: list[str], has_column: bool) -> None:
    """Whatever the records hold, with the column and without it."""
    await desk.export(*titles)
    if not has_column:
        desk.save(desk.rows())
    plan = await desk.plan(*titles)
    assert (written(plan), plan.header.warnings) == ({}, ())


@pytest.mark.parametrize("suffix", [".xlsx", ".jsonl", ".parquet"])
async def test_what_no_guard_was_written_to_loses_nothing(desk: Desk, suffix: str) -> None:
    """Only CSV cells are guarded: elsewhere a ' that a record holds is a record's own."""
    await desk.export("'=x", "''@y", suffix=suffix)
    plan = await desk.plan("'=x", "''@y")
    assert (written(plan), plan.header.warnings) == ({}, ())
    plan = await desk.plan("=x", "other")  # somebody took it away in the tenant
    assert written(plan) == {1: "'=x", 2: "''@y"}
    assert plan.header.warnings == ()


async def test_a_workbook_saved_as_csv_keeps_what_was_meant(desk: Desk) -> None:
    """Its cells were never guarded, and the job says so: what begins with a ' is meant."""
    await desk.export("'=x", "=y", suffix=".xlsx")
    desk.save([{"id": "1", "name": "'=x"}, {"id": "2", "name": "=y"}])
    desk.say("file: out.xlsx", "file: out.csv")
    assert written(await desk.plan("'=x", "=y")) == {}


@pytest.mark.parametrize("suffix", [kind.value for kind in WrittenAs])
async def test_the_job_says_what_its_file_was_written_as(desk: Desk, suffix: str) -> None:
    """In one word of its source."""
    await desk.export("a", suffix=f".{suffix}")
    source = load_job(desk.job).steps[0].source
    assert isinstance(source, FileSource)
    assert (source.exported, source.is_export) == (WrittenAs(suffix), True)


async def test_what_no_file_is_written_as_is_refused(desk: Desk) -> None:
    """With its line, and what there is."""
    await desk.export("a")
    desk.say("exported: csv", "exported: yes")
    with pytest.raises(JobError) as caught:
        load_job(desk.job)
    assert str(caught.value.faults[0]).endswith(
        "`exported` must be `csv`, `xlsx`, `jsonl` or `parquet`, not `yes`"
    )


# --- a job that does not say it


async def test_an_older_job_without_the_column_is_warned_of(desk: Desk) -> None:
    """Nobody knows whether the ' is a guard: it stays, and each text that would be written is counted."""
    titles = ("=1", "=2", "=3", "=4", "plain")
    await desk.export(*titles)
    rows = desk.rows()
    rows[4]["name"] = "'@new"
    desk.save(rows)
    desk.say(", exported: csv", "")
    plan = await desk.plan(*titles)
    assert len(written(plan)) == 5
    places = "out.csv:2 name `'=1`; out.csv:3 name `'=2`; out.csv:4 name `'=3`; and 2 more"
    (told,) = plan.header.warnings
    assert told.startswith(WARNED.format("5 texts", places))
    assert (
        "write `exported: csv` into the job's source, or give the file a column bulkops_entity again" in told
    )
    desk.say("file: out.csv", "file: out.csv, exported: csv")
    plan = await desk.plan(*titles)
    assert (written(plan), plan.header.warnings) == ({5: "@new"}, ())


async def test_what_the_record_holds_already_is_not_warned_of(desk: Desk) -> None:
    """A ' that is in the tenant is not written; and with the column there is nothing to be told."""
    await desk.export("'=x")
    desk.say(", exported: csv", "")
    assert (await desk.plan("'=x")).header.warnings == ()
    plan = await desk.plan("=x")  # the file has its column, so what it says is meant
    assert (written(plan), plan.header.warnings) == ({1: "'=x"}, ())
    desk.save([{"id": "1", "name": "'=x"}])
    assert (await desk.plan("'=x")).header.warnings == ()


async def test_a_job_of_other_columns_is_no_export(desk: Desk) -> None:
    """Whoever maps columns of names of their own has a file of their own, whose ' is meant."""
    await desk.export("a")
    desk.save([{"id": "1", "Subject": "'=x"}])
    desk.say(", exported: csv", "")
    desk.say("{column: name, empty: reject}", "Subject")
    plan = await desk.plan("a")
    assert (written(plan), plan.header.warnings) == ({1: "'=x"}, ())


async def test_a_job_that_knows_records_by_another_key_is_no_export(desk: Desk) -> None:
    """An export's records are known by their id."""
    await desk.export("a")
    desk.save([{"isActive": "true", "name": "'=x"}])
    desk.say(", exported: csv", "")
    desk.say("match: [id]", "match: [isActive]")
    desk.say("id: id", "isActive: isActive")
    plan = await desk.plan("a")
    assert (written(plan), plan.header.warnings) == ({1: "'=x"}, ())


async def test_a_file_given_in_its_place_is_kept_to_the_letter_and_told(desk: Desk) -> None:
    """What the job says of its own file does not count for it; with the column nothing is left to guess."""
    await desk.export("=1")
    mine = desk.folder / "mine.csv"
    mine.write_text("id,name\n1,'=1\n", "utf-8")
    plan = await desk.plan("=1", sources={"ContactGroups": mine})
    assert written(plan) == {1: "'=1"}
    (told,) = plan.header.warnings
    assert "give it a column bulkops_entity, which may be empty, and the ' is taken away" in told
    mine.write_text("id,name,bulkops_entity\n1,'=1,\n", "utf-8")
    plan = await desk.plan("=1", sources={"ContactGroups": mine})
    assert (written(plan), plan.header.warnings) == ({}, ())
