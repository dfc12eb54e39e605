"""Whatever is wrong with a migration, in however many rounds it is put right: each record is made once."""

from __future__ import annotations

import asyncio
import csv
import random
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.applier import apply_plan
from bulkops.errors import JobError, RejectedError
from bulkops.job import load_job
from bulkops.planner import stepplan
from bulkops.planner.build import build_plan
from bulkops.report.results import write_results
from bulkops.targets.memory import MemoryTarget

JOB = """
version: 1
name: rounds
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: ACTION
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Id
      companyName: Name
      companyType: {value: "1"}
      phone: {value: "1"}
      ownerResourceID: {value: "4"}
      parentCompanyID: {column: Parent, from: companies}
    ignore: [Tag]
  - name: groups
    entity: ContactGroups
    action: create
    source: {file: groups.csv}
    match: [name]
    fields: {name: Name, isActive: {value: "true"}}
    ignore: [Tag]
  - name: contacts
    entity: Contacts
    action: ACTION
    source: {file: contacts.csv}
    match: [companyID, lastName]
    fields:
      companyID: {column: Client, from: companies}
      firstName: First
      lastName: Last
      isActive: {value: "1"}
    ignore: [Tag]
  - name: members
    entity: ContactGroupContacts
    action: create
    source: {file: members.csv}
    match: [contactGroupId, contactId]
    fields:
      contactGroupId: {column: Group, from: groups}
      contactId: {columns: [Client, Last], from: contacts}
    ignore: [Tag]
"""
HEADERS = {
    "companies": ["Tag", "Id", "Name", "Parent"],
    "groups": ["Tag", "Name"],
    "contacts": ["Tag", "Client", "First", "Last"],
    "members": ["Tag", "Group", "Client", "Last"],
}
WRONG = {"companies": ("Name", "x" * 300), "contacts": ("First", "x" * 300), "members": ("Client", "nobody")}
"""The cell that is wrong in a row with a fault."""

Row: TypeAlias = dict[str, str]
Tables: TypeAlias = Mapping[str, Sequence[Row]]
Fault: TypeAlias = tuple[str, str]
"""A step, and the tag of its row."""


@st.composite
def migrations(draw: st.DrawFn) -> Tables:
    """A forest of companies in any order, people in them, and groups of people."""
    count = draw(st.integers(1, 8))
    parents = [f"k{draw(st.integers(0, n - 1))}" if n and draw(st.booleans()) else "" for n in range(count)]
    order = draw(st.permutations(range(count)))
    people = draw(
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, 3)), unique=True, min_size=1, max_size=8)
    )
    groups = range(draw(st.integers(1, 3)))
    some = st.tuples(st.sampled_from(groups), st.sampled_from(people))
    pairs = draw(st.lists(some, unique=True, min_size=1, max_size=6))
    cells: dict[str, list[tuple[str, ...]]] = {
        "companies": [(f"K{n}", f"Name {n}", parents[n]) for n in order],
        "groups": [(f"G{n}",) for n in groups],
        "contacts": [(f"K{client}", "Ann", f"L{last}") for client, last in people],
        "members": [(f"g{group}", f"k{client}", f"l{last}") for group, (client, last) in pairs],
    }
    return {
        step: [dict(zip(HEADERS[step], (f"{n}", *row), strict=True)) for n, row in enumerate(rows)]
        for step, rows in cells.items()
    }


@settings(deadline=None, max_examples=25)  # the machine may be busy
@given(
    migrations(),
    st.randoms(),
    st.sampled_from(["create", "upsert"]),
    st.booleans(),
    st.sampled_from([1, 3, 500]),
)
def test_in_rounds_every_record_is_made_once_and_hangs_where_it_belongs(
    tables: Tables, rng: random.Random, action: str, as_workbook: bool, batch: int
) -> None:
    """Any rows are wrong at first, any of them are put right in a round, and all that is left is fed back."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BULKOPS_STATE_DIR", folder)
        patch.setattr(stepplan, "BATCH", batch)
        asyncio.run(_Story(Path(folder), tables, rng).told(action, as_workbook=as_workbook))


class _Story:
    """One migration, from its faulty files to its last round."""

    def __init__(self, folder: Path, tables: Tables, rng: random.Random) -> None:
        self.folder, self.tables, self.rng = folder, tables, rng
        refused = [rng.choice([None, None, RejectedError("no", known=True)]) for _ in range(20)]
        self.target = MemoryTarget(
            per_entity=rng.randint(1, 3), failures={"create Companies": refused[:10], "create": refused[10:]}
        )

    async def told(self, action: str, *, as_workbook: bool) -> None:
        (self.folder / "job.yaml").write_text(JOB.replace("ACTION", action), "utf-8")
        every = [(step, row["Tag"]) for step in WRONG for row in self.tables[step]]
        wrong = set(self.rng.sample(every, self.rng.randint(0, len(every))))
        for step, rows in self.tables.items():
            _write_csv(self.folder / f"{step}.csv", HEADERS[step], [_as(step, row, wrong) for row in rows])
        files: dict[str, Path] = {}
        for n in range(2 * len(every) + 30):
            job = load_job(self.folder / "job.yaml", sources=files)
            try:
                plan = await build_plan(job, self.target, self.folder / f"{n}.plan")
            except JobError as error:
                assert "hold no row after the header" in str(error)
                break
            await apply_plan(plan, self.target, rng=self.rng)
            folder = self.folder / f"{n}"
            write_results(plan, folder, as_workbook=as_workbook)
            files = {step: _left_over(folder, step, as_workbook=as_workbook) for step in HEADERS}
            wrong -= set(self.rng.sample(sorted(wrong), self.rng.randint(min(1, len(wrong)), len(wrong))))
            for step, path in files.items():
                _correct(path, step, {row["Tag"]: _as(step, row, wrong) for row in self.tables[step]})
        self.check()

    def check(self) -> None:
        """Every row has one record, and that hangs where the row says."""
        rows = {name: list(self.target.rows[name].values()) for name in ENTITIES.values()}
        assert {step: len(rows[name]) for step, name in ENTITIES.items()} == {
            step: len(table) for step, table in self.tables.items()
        }
        companies = {row["companyNumber"]: row for row in rows["Companies"]}
        for row in self.tables["companies"]:
            parent = companies[row["Parent"].upper()]["id"] if row["Parent"] else None
            assert companies[row["Id"]].get("parentCompanyID") == parent
        people = {(row["companyID"], row["lastName"]): row["id"] for row in rows["Contacts"]}
        known = {
            (row["Client"], row["Last"]): people[companies[row["Client"]]["id"], row["Last"]]
            for row in self.tables["contacts"]
        }
        groups = {row["name"]: row["id"] for row in rows["ContactGroups"]}
        wanted = {
            (groups[row["Group"].upper()], known[row["Client"].upper(), row["Last"].upper()])
            for row in self.tables["members"]
        }
        assert {(row["contactGroupId"], row["contactId"]) for row in rows["ContactGroupContacts"]} == wanted


ENTITIES = {
    "companies": "Companies",
    "groups": "ContactGroups",
    "contacts": "Contacts",
    "members": "ContactGroupContacts",
}


def _as(step: str, row: Row, wrong: Collection[Fault]) -> Row:
    """The row as it stands in the file so far."""
    return {**row, **dict([WRONG[step]])} if (step, row["Tag"]) in wrong else row


def _left_over(folder: Path, step: str, *, as_workbook: bool) -> Path:
    return folder / f"{step}.xlsx" if as_workbook else folder / step / "rejected.csv"


def _correct(path: Path, step: str, rows: Mapping[str, Row]) -> None:
    """Writes the cells of `rows`, by tag, over those of the file."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            found = [{**row, **rows[row["Tag"]]} for row in reader]
        _write_csv(path, reader.fieldnames or (), found)
        return
    book = openpyxl.load_workbook(path)
    for cells in book["rejected"].iter_rows(min_row=2):
        right = rows[str(cells[0].value)]
        for cell, name in zip(cells, HEADERS[step], strict=False):
            cell.value = right[name]
    book.save(path)


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(rows)
