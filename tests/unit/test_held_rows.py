"""Held rows: what a person needs to settle them stands in `status` and in held.csv."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from bulkops.job import load_job
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.report.held import print_held
from bulkops.report.results import write_results
from bulkops.targets.memory import MemoryTarget

JOB = """version: 1
name: a
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: create
    source: {file: c.csv}
    match: [companyNumber]
    fields:
      companyNumber: Id
      companyName: Id
      companyType: {value: "1"}
      phone: Id
      ownerResourceID: {value: "4"}
  - name: contacts
    entity: Contacts
    action: create
    source: {file: p.csv}
    match: [companyID, lastName]
    fields: {companyID: {column: Id, from: companies}, firstName: Id, lastName: Id, isActive: {value: "1"}}
"""


async def held_plan(folder: Path, *, rows: int = 1) -> Plan:
    """The answer to each company's create was lost, so it is held, and so is the contact below it."""
    keys = "".join(f"A{n}\n" for n in range(1, rows + 1))
    for name in ("c", "p"):
        (folder / f"{name}.csv").write_text(f"Id\n{keys}", "utf-8")
    (folder / "job.yaml").write_text(JOB, "utf-8")
    plan = await build_plan(load_job(folder / "job.yaml"), MemoryTarget(), folder / "x.plan")
    book = Journal.open(plan.path)
    await book.intent(list(range(1, rows + 1)))
    for n in range(1, rows + 1):
        book.note(
            Entry(n=n, kind=Kind.HELD, reason="the answer was lost, and Companies 5 and 9 have its key")
        )
        book.note(Entry(n=n + rows, kind=Kind.HELD, reason=f"row {n}, which it needs, was held"))
    await book.close(calls_read=1, calls_write=rows, elapsed_s=1.0, waiting=None)
    return plan


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKOPS_STATE_DIR", str(tmp_path / "state"))


def told(plan: Plan) -> list[str]:
    text = io.StringIO()
    print_held(plan, Console(file=text, soft_wrap=True, highlight=False))
    return text.getvalue().splitlines()


async def test_status_says_of_each_held_row_what_when_and_what_to_do(tmp_path: Path) -> None:
    """Number, place, reason; entity, key and moment of what was sent; the command that settles it."""
    plan = await held_plan(tmp_path)
    title, row, sent, child, how = told(plan)
    assert title == "Held, to be looked at:"
    assert row == "  row 1 (c.csv:2): the answer was lost, and Companies 5 and 9 have its key"
    assert sent.startswith('    create Companies companyNumber="A1", sent 20') and sent.endswith(" UTC")
    assert child == "  row 2 (p.csv:2): row 1, which it needs, was held"
    assert how == f"When you have looked: bulkops resolve {plan.path} --row N --created ID | --not-created"


async def test_held_csv_is_enough_without_the_plan_at_hand(tmp_path: Path) -> None:
    """The reason goes on with what was sent, when, and the whole command; a row below it needs none."""
    plan = await held_plan(tmp_path)
    paths = [path for path in write_results(plan, tmp_path / "out") if path.name == "held.csv"]
    rows = []
    for path in paths:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows += list(csv.DictReader(file))
    company, contact = (row["bulkops_reason"] for row in rows)
    assert 'have its key. It was to create Companies companyNumber="A1", sent 20' in company
    assert company.endswith(
        f"Settle it with: bulkops resolve {plan.path} --row 1 --created ID | --not-created"
    )
    assert contact == "row 1, which it needs, was held"


async def test_many_held_rows_are_told_in_bounded_length(tmp_path: Path) -> None:
    """The first twenty, how many more there are, and where all of them are."""
    lines = told(await held_plan(tmp_path, rows=30))
    assert sum(line.startswith("  row ") for line in lines) == 20
    assert any(line.startswith("  … and 40 more: bulkops results ") for line in lines)


async def test_without_held_rows_nothing_is_said(tmp_path: Path) -> None:
    """No title over nothing."""
    (tmp_path / "c.csv").write_text("Id\nA1\n", "utf-8")
    (tmp_path / "p.csv").write_text("Id\nA1\n", "utf-8")
    (tmp_path / "job.yaml").write_text(JOB, "utf-8")
    assert told(await build_plan(load_job(tmp_path / "job.yaml"), MemoryTarget(), tmp_path / "x.plan")) == []


async def test_a_record_that_somebody_changed_first_needs_no_look_but_a_word(tmp_path: Path) -> None:
    """Nothing was sent, so there is nothing to find out: plan again, or write over it, with the commands."""
    (tmp_path / "c.csv").write_text("Id,Name\nA1,New\n", "utf-8")
    job = """version: 1
name: a
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: update
    source: {file: c.csv}
    match: [id]
    fields: {id: {value: "7"}, companyName: Name}
    ignore: [Id]
"""
    (tmp_path / "job.yaml").write_text(job, "utf-8")
    target = MemoryTarget({"Companies": [{"id": 7, "companyName": "Old", "phone": "1"}]})
    plan = await build_plan(load_job(tmp_path / "job.yaml"), target, tmp_path / "x.plan")
    book = Journal.open(plan.path)
    book.note(Entry(n=1, kind=Kind.HELD, reason="companyName was 'Old' and is 'Own' now"))
    await book.close(calls_read=1, calls_write=0, elapsed_s=1.0, waiting=None)
    _, _, what, how = told(plan)
    assert what == "    update Companies 7, never sent"
    over = f"--not-created, then bulkops apply {plan.path} --on-drift overwrite"
    assert how == (
        "Never sent: to start from what is there now, plan the job again; to write over it all the same: "
        f"bulkops resolve {plan.path} --row N {over}"
    )
    write_results(plan, tmp_path / "out")
    assert f"{plan.path} --row 1 {over}" in (tmp_path / "out" / "held.csv").read_text("utf-8-sig")
