"""The result files: every row in exactly one of five, fit to be opened, corrected and fed back."""

from __future__ import annotations

import csv
import io
import stat
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

STATES = ("applied", "unchanged", "rejected", "held", "pending")
OWN = ["No", "Name", "Phone", "City"]
OURS = ["row", "line", "step", "entity", "action", "id", "reason"]


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_five_files_hold_every_row_once(desk: Desk) -> None:
    """All five always exist: UTF-8 with a byte order mark, commas, the header in line 1, the source's
    columns in their order and then ours, cells that a spreadsheet would run guarded, for the owner only."""
    desk.customers(2)
    odd = '=1+1,"+Sum, ""quoted""",@phone,\t-x\nK-0004,,5,\nK-0002,Again,5,\n'
    desk.write("customers.csv", (desk.folder / "customers.csv").read_text() + odd)
    desk.plan("customers.yaml")
    desk.apply("customers.plan", "--stop-after", "1", code=6)
    desk.run("results", "customers.plan", "--dir", "out")
    assert sorted(path.name for path in (desk.folder / "out").iterdir()) == sorted(f"{s}.csv" for s in STATES)
    found = {}
    for state in STATES:
        path = desk.folder / "out" / f"{state}.csv"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        data = path.read_bytes()
        assert data.startswith(b"\xef\xbb\xbf")
        header, *rows = read(data[3:].decode())
        assert header == [*OWN, *(f"bulkops_{name}" for name in OURS)]
        found[state] = rows
    assert {state: len(rows) for state, rows in found.items()} == {
        "applied": 1, "unchanged": 0, "rejected": 2, "held": 0, "pending": 2,
    }  # fmt: skip
    made = str(desk.simulator.numbered()["K-0001"]["id"])
    assert found["applied"] == [
        ["K-0001", "Customer 1", "555-0001", "Łódź", "1", "2", "customers", "Companies", "create", made, ""]
    ]
    [guarded] = [row for row in found["pending"] if row[4] == "3"]
    assert guarded[:4] == ["'=1+1", '\'+Sum, "quoted"', "'@phone", "'\t-x"]
    assert [row[:6] for row in found["rejected"]] == [
        ["K-0004", "", "5", "", "4", "5"], ["K-0002", "Again", "5", "", "5", "6"]
    ]  # fmt: skip
    assert "Name" in found["rejected"][0][10] and "customers.csv:3" in found["rejected"][1][10]

    desk.run("results", "customers.plan", "--dir", "out", "--format", "xlsx")
    openpyxl = pytest.importorskip("openpyxl")
    [path] = (desk.folder / "out").glob("*.xlsx")
    book = openpyxl.load_workbook(path)
    assert tuple(book.sheetnames) == STATES
    for state in STATES:
        rows = [[cell.value or "" for cell in row] for row in book[state].rows]
        assert rows == [[*OWN, *(f"bulkops_{name}" for name in OURS)], *found[state]]
        assert {cell.data_type for row in book[state].rows for cell in row if cell.value} == {"s"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_corrected_rejected_file_finishes_the_migration(desk: Desk) -> None:
    """As it is: rejected again. Corrected, also by a program that writes its own dialect: applied, and a
    plan of the whole file then has nothing left but what is wrong in it."""
    desk.customers(2)
    text = (
        desk.folder / "customers.csv"
    ).read_text() + "K-0003,Customer 3,,Łódź\nK-0004,Customer, 4,555-0004,Łódź\n"
    desk.write("customers.csv", text)
    desk.plan("customers.yaml")
    desk.apply("customers.plan", code=4)
    rejected = desk.results("customers.plan")["rejected"]
    assert [row["bulkops_line"] for row in rejected] == ["4", "5"]
    file = "customers.plan.results/rejected.csv"

    fed_back = ("customers.yaml", "-o", "rest.plan", "--source", f"customers={file}")
    assert desk.plan(*fed_back)["counts"]["rejected"] == 2  # neither is mended by being fed back

    rejected[0] |= {"Phone": "555-0003"}
    rejected[1] |= {"Name": "Customer 4", "Phone": "555-0004", "City": "Łódź", "bulkops_surplus": ""}
    corrected = io.StringIO()
    writer = csv.DictWriter(corrected, list(rejected[0]), delimiter=";", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rejected)
    desk.write(file, corrected.getvalue().encode("utf-16"))
    assert desk.plan(*fed_back)["counts"] == {
        "create": 2,
        "update": 0,
        "delete": 0,
        "unchanged": 0,
        "rejected": 0,
    }
    desk.apply("rest.plan")
    found = desk.simulator.numbered()
    assert {number: row["companyName"] for number, row in found.items()} == {
        f"K-000{n}": f"Customer {n}" for n in (1, 2, 3, 4)
    }
    again = desk.plan("customers.yaml")["counts"]
    assert (again["create"], again["update"], again["unchanged"], again["rejected"]) == (0, 0, 3, 1)


def test_results_can_be_had_at_any_time(desk: Desk) -> None:
    """Before the first apply every row is pending; where the files cannot be written it is said."""
    desk.plan(desk.customers(2))
    assert {state: len(rows) for state, rows in desk.results("customers.plan").items()} == {
        "applied": 0, "unchanged": 0, "rejected": 0, "held": 0, "pending": 2,
    }  # fmt: skip
    assert "customers.csv" in desk.refused("results", "customers.plan", "--dir", "customers.csv")
