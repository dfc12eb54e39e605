"""What an export cannot bring back is told, and what guards its cells never arrives: by the command line."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

TEXTS = ("=1+1", "+49 555 0134", "-5", "@home", "'s-Hertogenbosch", "'=1")


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    from openpyxl import load_workbook

    header, *rows = load_workbook(path).worksheets[0].iter_rows(values_only=True)
    return [dict(zip(map(str, header), cells, strict=True)) for cells in rows]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """As an editor saves it: in a workbook every text is a text."""
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        return
    from openpyxl import Workbook

    book = Workbook()
    for n, cells in enumerate([list(rows[0]), *(list(row.values()) for row in rows)], 1):
        for m, value in enumerate(cells, 1):
            cell = book.worksheets[0].cell(n, m, value)
            if isinstance(value, str):
                cell.data_type = "s"
    book.save(path)


def edit(path: Path, number: int, cells: Mapping[str, str]) -> None:
    rows = read(path)
    (row,) = [row for row in rows if int(row["id"]) == number]
    assert cells.keys() <= row.keys()
    row.update(cells)
    write(path, rows)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_edits_of_what_is_only_to_be_read_are_told_and_nothing_is_written(desk: Desk, suffix: str) -> None:
    """The name beside an id, a number that the API gives: `plan` and `run` say so; unedited they do not."""
    file = f"tasks{suffix}"
    desk.run("export", "Tasks", "-o", file, "--job", "back.yaml")
    assert desk.plan("back.yaml")["warnings"] == []
    task = next(row for row in desk.simulator.rows("Tasks") if row["assignedResourceID"])
    (name,) = [row for row in read(desk.folder / file) if int(row["id"]) == task["id"]]
    edit(desk.folder / file, task["id"], {"assignedResourceID (name)": "Jo Doe", "taskNumber": "T-9"})
    made = desk.plan("back.yaml", "--detailed-exitcode")
    assert made["counts"]["unchanged"] == made["rows"]
    told, number = made["warnings"]
    assert "column assignedResourceID (name): 1 row says something else than the record" in told
    assert "nothing of it is written: edit assignedResourceID instead" in told
    assert told.endswith(f"says `Jo Doe`, the record `{name['assignedResourceID (name)']}`")
    assert number.endswith(f"says `T-9`, the record `{task['taskNumber']}`")
    assert "column taskNumber: 1 row says something else" in desk.run("run", "back.yaml", "--yes").out
    assert desk.simulator.writes() == 0


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_no_guard_reaches_the_tenant_whatever_became_of_its_column(desk: Desk, suffix: str) -> None:
    """A CSV export without its last column, also saved as a workbook: texts arrive as they were meant."""
    ids = desk.simulator.load("ContactGroups", *({"name": text, "isActive": True} for text in TEXTS))
    desk.run("export", "ContactGroups", "-o", "groups.csv", "--job", "back.yaml")
    rows = read(desk.folder / "groups.csv")
    for row in rows:
        assert row.pop("bulkops_entity") == "ContactGroups"
    assert next(row["name"] for row in rows if int(row["id"]) in ids) == "'=1+1"
    write(desk.folder / f"groups{suffix}", rows)
    job = (desk.folder / "back.yaml").read_text().replace("file: groups.csv", f"file: groups{suffix}")
    (desk.folder / "back.yaml").write_text(job)
    made = desk.plan("back.yaml")
    assert (made["counts"]["unchanged"], made["warnings"]) == (made["rows"], [])
    edit(desk.folder / f"groups{suffix}", ids[2], {"name": "'-6"})
    assert desk.plan("back.yaml")["counts"]["update"] == 1
    desk.apply("back.plan")
    names = {row["id"]: row["name"] for row in desk.simulator.rows("ContactGroups")}
    assert [names[id] for id in ids] == ["=1+1", "+49 555 0134", "-6", *TEXTS[3:]]


def test_an_older_pair_without_the_column_is_warned_of(desk: Desk) -> None:
    """Nothing says what the ' is, so it is to be seen before it is written."""
    desk.simulator.load("ContactGroups", *({"name": text, "isActive": True} for text in TEXTS))
    desk.run("export", "ContactGroups", "-o", "groups.csv", "--job", "back.yaml")
    rows = read(desk.folder / "groups.csv")
    for row in rows:
        del row["bulkops_entity"]
    write(desk.folder / "groups.csv", rows)
    job = (desk.folder / "back.yaml").read_text().replace(", exported: csv", "")
    (desk.folder / "back.yaml").write_text(job)
    (told,) = [text for text in desk.plan("back.yaml")["warnings"] if "guards the cell" in text]
    assert "6 texts with a ' before a sign" in told and "name `'=1+1`" in told
    assert "write `exported: csv` into the job's source" in told
