"""The result files of a plan: every row once, every cell to the letter, for its owner only."""

from __future__ import annotations

import asyncio
import csv
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.change import Action, Change
from bulkops.errors import RefusedError
from bulkops.job.model import FileSource
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Header, Plan, PlanWriter, StepInfo
from bulkops.record import Row
from bulkops.report.results import write_results
from bulkops.report.workbook import MOST_CHARACTERS
from bulkops.sources import open_source

STATES = ["applied", "unchanged", "rejected", "held", "pending"]
OURS = ["row", "line", "step", "entity", "action", "id", "reason"]


def plan_of(folder: Path, *steps: tuple[str, Sequence[str], Sequence[tuple[Action, Sequence[str]]]]) -> Plan:
    """A plan of steps: name, columns, and each row's action and cells."""
    path = folder / "x.plan"
    n, infos, counts = 0, [], dict.fromkeys((action.value for action in Action), 0)
    with PlanWriter(path, replace_unfinished=True) as writer:
        for name, columns, rows in steps:
            for action, cells in rows:
                n += 1
                counts[action.value] += 1
                reason = "no phone" if action is Action.REJECTED else None
                change = Change(
                    n=n, step=name, entity="Companies", action=action, line=n + 1, file="x.csv", reason=reason
                )
                writer.add(Row(cells=tuple(cells), line=n + 1), change)
            infos.append(
                StepInfo(
                    name=name, entity="Companies", action="create", match=(), file="x.csv",
                    columns=tuple(columns), read=len(rows), dropped=0, rows=len(rows),
                )
            )  # fmt: skip
        writer.seal(
            Header(
                job="trial", tenant="acme", database="1", url="", reason="", created="2026-03-01",
                version="0", steps=tuple(infos), counts=counts, calls_read=0, calls_write=n, estimate_s={},
            )
        )  # fmt: skip
    return Plan.open(path)


def journal(plan: Plan, entries: Mapping[int, Entry]) -> None:
    async def write() -> None:
        book = Journal.open(plan.path)
        await book.intent(list(entries))
        for entry in entries.values():
            book.note(entry)
        await book.close(calls_read=1, calls_write=len(entries), elapsed_s=1.0, waiting=None)

    asyncio.run(write())


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def create(*cells: str) -> tuple[Action, Sequence[str]]:
    return Action.CREATE, cells


def test_each_row_stands_in_the_file_of_its_state(tmp_path: Path) -> None:
    """Applied with its id, held and rejected with their reasons, the rest pending; empty files exist too."""
    plan = plan_of(
        tmp_path,
        ("s", ["Key", "Name"], [create("a", "A"), create("b", "B"), create("c", "C"), create("d", "D"),
                                (Action.UNCHANGED, ("e", "E")), (Action.REJECTED, ("f", "F"))]),
    )  # fmt: skip
    journal(
        plan,
        {
            1: Entry(n=1, kind=Kind.APPLIED, id=77),
            2: Entry(n=2, kind=Kind.HELD, reason="nobody knows"),
            3: Entry(n=3, kind=Kind.REJECTED, reason="refused"),
        },
    )
    paths = write_results(plan, tmp_path / "out")
    assert [path.name for path in paths] == [f"{state}.csv" for state in STATES]
    header = ["Key", "Name", *(f"bulkops_{name}" for name in OURS)]
    found = {path.stem: read(path) for path in paths}
    assert all(rows[0] == header for rows in found.values())
    held = found["held"][1][8]
    assert held.startswith("nobody knows. It was to create ")
    assert {state: [(row[0], row[7], row[8]) for row in rows[1:]] for state, rows in found.items()} == {
        "applied": [("a", "77", "")], "unchanged": [("e", "", "")],
        "rejected": [("c", "", "refused"), ("f", "", "no phone")],
        "held": [("b", "", held)], "pending": [("d", "", "")],
    }  # fmt: skip


def test_several_steps_have_a_folder_or_a_workbook_each(tmp_path: Path) -> None:
    """Steps with different columns do not share a file, and each row stands with its own step."""
    plan = plan_of(
        tmp_path, ("one", ["A"], [create("1"), create("2")]), ("two", ["B", "C"], [create("3", "4")])
    )
    write_results(plan, tmp_path / "out")
    assert [row[0] for row in read(tmp_path / "out" / "one" / "pending.csv")] == ["A", "1", "2"]
    assert [row[:2] for row in read(tmp_path / "out" / "two" / "pending.csv")] == [["B", "C"], ["3", "4"]]
    books = write_results(plan, tmp_path / "out", as_workbook=True)
    assert [book.name for book in books] == ["one.xlsx", "two.xlsx"]


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps permissions elsewhere")
def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """They hold customer data, also where an older file of the same name was open to all."""
    plan = plan_of(tmp_path, ("s", ["A"], [create("1")]))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "applied.csv").write_text("old")
    (tmp_path / "out" / "applied.csv").chmod(0o666)
    for path in (
        *write_results(plan, tmp_path / "out"),
        *write_results(plan, tmp_path / "out", as_workbook=True),
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00\x1a\ufeff"), max_size=8)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=5), st.data())
def test_what_is_read_back_is_what_was_there(
    tmp_path: Path, rows: list[list[str]], data: st.DataObject
) -> None:
    """Every cell survives the way through a result file, guards and quotes included."""
    name = st.text(st.characters(categories=["L"]), min_size=1, max_size=3)
    columns = data.draw(st.lists(name, min_size=3, max_size=3, unique_by=str.casefold))
    plan = plan_of(tmp_path, ("s", columns, [create(*cells) for cells in rows]))
    write_results(plan, tmp_path / "out")
    path = tmp_path / "out" / "pending.csv"
    source = open_source(FileSource(file=path, display="pending.csv"))
    assert source.columns == tuple(columns)
    assert [list(row.cells) for row in source.rows()] == rows
    first = path.read_text("utf-8-sig").splitlines()[0]
    assert not first.startswith(("=", "+", "-", "@"))


def test_a_cell_that_a_spreadsheet_would_run_is_guarded_in_both_formats(tmp_path: Path) -> None:
    """In the header as well: one ' before it; and in a workbook every cell is text."""
    risky = ["=1+1", "+1", "-1", "@x", "'quoted", "\tx", "00123", "1-2", "TRUE"]
    guarded = ["'=1+1", "'+1", "'-1", "'@x", "''quoted", "'\tx", "00123", "1-2", "TRUE"]
    columns = [f"{cell}{n}" for n, cell in enumerate(risky)]
    plan = plan_of(tmp_path, ("s", columns, [create(*risky)]))
    write_results(plan, tmp_path / "out")
    header, row = read(tmp_path / "out" / "pending.csv")
    assert row[:9] == guarded
    assert header[:9] == [f"{cell}{n}" for n, cell in enumerate(guarded)]
    [path] = write_results(plan, tmp_path / "out", as_workbook=True)
    sheet = openpyxl.load_workbook(path)["pending"]
    assert [[cell.value for cell in line][:9] for line in sheet.rows] == [header[:9], guarded]
    assert {cell.data_type for line in sheet.rows for cell in line if cell.value} == {"s"}


def test_a_workbook_takes_every_letter_or_says_why_not(tmp_path: Path) -> None:
    """Control characters are written as spreadsheets write them; what has no room is refused, never cut."""
    plan = plan_of(tmp_path, ("s", ["A"], [create("bell\x07 a\rb _x0041_ 🙂 é")]))
    [path] = write_results(plan, tmp_path, as_workbook=True)
    sheet = openpyxl.load_workbook(path)["pending"]
    assert sheet["A2"].value == "bell_x0007_ a_x000D_b _x005F_x0041_ 🙂 é"
    long = plan_of(tmp_path, ("s", ["A"], [create("x" * (MOST_CHARACTERS + 1))]))
    with pytest.raises(RefusedError, match=r"32,768.*csv"):
        write_results(long, tmp_path / "long", as_workbook=True)
    assert len(read(write_results(long, tmp_path / "long")[4])[1][0]) == MOST_CHARACTERS + 1


def test_a_row_that_does_not_fit_its_columns_keeps_all_its_cells(tmp_path: Path) -> None:
    """What stands outside the columns stands in a column of ours, and reading it back refuses the row until
    somebody has put it right."""
    plan = plan_of(
        tmp_path,
        (
            "s",
            ["A", "B"],
            [(Action.REJECTED, ("1",)), (Action.REJECTED, ("1", "2", "=3", "4")), create("5", "6")],
        ),
    )
    write_results(plan, tmp_path / "out")
    header, short, long = read(tmp_path / "out" / "rejected.csv")
    assert header[-1] == "bulkops_surplus"
    assert (short[:2], short[-1]) == (["1", ""], "missing: 1 of 2 cells")
    assert (long[:2], long[-1]) == (["1", "2"], '["=3","4"]' if '","' in long[-1] else '["=3", "4"]')
    source = open_source(FileSource(file=tmp_path / "out" / "rejected.csv", display="rejected.csv"))
    assert [bool(row.fault) for row in source.rows()] == [True, True]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A file in the way is named."""
    plan = plan_of(tmp_path, ("s", ["A"], [create("1")]))
    (tmp_path / "out").write_text("a file")
    with pytest.raises(RefusedError, match="out"):
        write_results(plan, tmp_path / "out")
