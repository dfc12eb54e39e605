"""What was rejected is corrected and fed back: the migration is finished, each record made once."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

STATES = ("applied", "unchanged", "rejected", "held", "pending")
STEPS = ("companies", "contacts", "projects", "phases", "tasks")
JOB = """\
version: 1
name: move
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: ACTION
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: No
      companyName: Name
      parentCompanyID: {column: Parent, from: companies}
      phone: Phone
      companyType: {value: Customer}
      ownerResourceID: {value: "4"}
  - name: contacts
    entity: Contacts
    action: upsert
    source: {file: contacts.csv}
    match: [companyID, emailAddress]
    fields:
      companyID: {column: Company, from: companies}
      firstName: First
      lastName: Last
      emailAddress: Mail
      isActive: {value: "1"}
  - name: projects
    entity: Projects
    action: upsert
    source: {file: projects.csv}
    match: [extProjectNumber]
    fields:
      extProjectNumber: No
      projectName: Name
      companyID: {column: Company, from: companies}
      projectType: {value: Client}
      status: {value: New}
      startDateTime: {column: Start, date: "%d/%m/%Y"}
      endDateTime: {column: End, date: "%d/%m/%Y"}
  - name: phases
    entity: Phases
    action: upsert
    source: {file: phases.csv}
    match: [projectID, title]
    fields:
      projectID: {column: Project, from: projects}
      title: Phase
      parentPhaseID: {columns: [Project, Under], from: phases}
  - name: tasks
    entity: Tasks
    action: upsert
    source: {file: tasks.csv}
    match: [externalID]
    fields:
      externalID: Key
      projectID: {column: Project, from: projects}
      phaseID: {columns: [Project, Phase], from: phases}
      title: Title
      estimatedHours: {column: Hours, number: {decimal: ",", thousands: "."}}
      status: {value: New}
      taskType: {value: FixedWork}
"""
FIRST, LAST = date(2026, 1, 31), date(2026, 12, 31)
GOOD: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "companies": [
        {"No": "K-1", "Name": "Alpha", "Parent": "K-2", "Phone": "=555-1"},
        {"No": "K-2", "Name": "Beta", "Parent": "", "Phone": "+555 2"},
        {"No": "K-3", "Name": "Gamma", "Parent": "K-1", "Phone": "555 3"},
        {"No": "K-4", "Name": "Delta", "Parent": "K-3", "Phone": "555 4"},
        {"No": "K-5", "Name": "Epsilon", "Parent": "K-2", "Phone": "555 5"},
    ],
    "contacts": [
        {"Company": "K-1", "First": "Ann", "Last": "Aal", "Mail": "ann@k.test"},
        {"Company": "K-2", "First": "Bob", "Last": "Berg", "Mail": "bob@k.test"},
        {"Company": "K-3", "First": "Cyd", "Last": "'t Hart", "Mail": "cyd@k.test"},
        {"Company": "K-4", "First": "Dan", "Last": "Dorn", "Mail": "dan@k.test"},
    ],
    "projects": [
        {"No": "P-1", "Name": "One", "Company": "K-1", "Start": FIRST, "End": LAST},
        {"No": "P-2", "Name": "Two", "Company": "K-2", "Start": FIRST, "End": LAST},
        {"No": "P-3", "Name": "Three", "Company": "K-4", "Start": FIRST, "End": LAST},
        {"No": "P-4", "Name": "Refused", "Company": "K-2", "Start": FIRST, "End": LAST},
    ],
    "phases": [
        {"Project": "P-1", "Phase": "Build", "Under": "All"},
        {"Project": "P-1", "Phase": "All", "Under": ""},
        {"Project": "P-1", "Phase": "Dig", "Under": "Build"},
        {"Project": "P-2", "Phase": "Build", "Under": ""},
        {"Project": "P-4", "Phase": "Build", "Under": ""},
    ],
    "tasks": [
        {"Key": "W-1", "Project": "P-1", "Phase": "Build", "Title": "One", "Hours": 1.125},
        {"Key": "W-2", "Project": "P-1", "Phase": "All", "Title": "Two", "Hours": 1.125},
        {"Key": "W-3", "Project": "P-1", "Phase": "Dig", "Title": "Three", "Hours": 2.5},
        {"Key": "W-4", "Project": "P-2", "Phase": "Build", "Title": "Four", "Hours": 8},
        {"Key": "W-5", "Project": "P-4", "Phase": "Build", "Title": "Five", "Hours": 0.125},
        {"Key": "W-6", "Project": "P-3", "Phase": "", "Title": "Six", "Hours": 1000},
    ],
}
"""The migration as it should be."""

FAULTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "companies": {"K-3": {"Phone": ""}, "K-5": {"Parent": "K-22"}},
    "contacts": {"bob@k.test": {"Last": ""}},
    "projects": {"P-2": {"Start": "31/02/2026"}},
    "phases": {"P-1 Dig": {"Under": "Biuld"}},
    "tasks": {"W-2": {"Title": "x" * 300}},
}
"""What is wrong in it at first: step → key of the row → its wrong cells. And the target refuses P-4."""

REJECTED = {
    "companies": {"K-3", "K-4", "K-5"},
    "contacts": {"bob@k.test", "cyd@k.test", "dan@k.test"},
    "projects": {"P-2", "P-3", "P-4"},
    "phases": {"P-1 Dig", "P-2 Build", "P-4 Build"},
    "tasks": {"W-2", "W-3", "W-4", "W-5", "W-6"},
}
REFUSAL = '{"errors": ["The project number must be unique."]}'


def key(step: str, row: Mapping[str, Any]) -> str:
    """What a row is known by in these tests."""
    if step == "phases":
        return f"{row['Project']} {row['Phase']}"
    return str(row[{"contacts": "Mail", "tasks": "Key"}.get(step, "No")])


def rows_of(step: str, *, is_faulty: bool) -> list[dict[str, Any]]:
    wrong = FAULTS[step] if is_faulty else {}
    return [{**row, **wrong.get(key(step, row), {})} for row in GOOD[step]]


def as_text(value: Any) -> str:
    """A cell as the old tool's CSV has it."""
    if isinstance(value, date):
        return f"{value:%d/%m/%Y}"
    return f"{value:,}".translate(str.maketrans(",.", ".,")) if isinstance(value, int | float) else str(value)


class CsvFiles:
    """A migration of text files, one a step."""

    options = ()

    def write(self, desk: Desk, *, is_faulty: bool) -> None:
        for step in STEPS:
            rows = rows_of(step, is_faulty=is_faulty)
            desk.table(f"{step}.csv", rows[0], *([as_text(cell) for cell in row.values()] for row in rows))

    def job(self, desk: Desk, action: str = "upsert") -> None:
        desk.write("move.yaml", JOB.replace("ACTION", action))

    def results(self, folder: Path, step: str) -> dict[str, list[dict[str, str]]]:
        return {state: self._read(folder / step / f"{state}.csv") for state in STATES}

    def rejected(self, folder: Path, step: str) -> Path:
        return folder / step / "rejected.csv"

    def correct(self, path: Path, right: Callable[[dict[str, str]], Mapping[str, Any]]) -> None:
        """Puts cells right, in the way in which the file was written."""
        rows = self._read(path)
        if rows:
            with path.open("w", encoding="utf-8-sig", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                for row in rows:
                    writer.writerow({**row, **{name: as_text(cell) for name, cell in right(row).items()}})

    @staticmethod
    def _read(path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))


class Workbooks:
    """A migration in one workbook, a sheet a step, with numbers and dates as such."""

    options = ("--format", "xlsx")

    def write(self, desk: Desk, *, is_faulty: bool) -> None:
        book = openpyxl.Workbook()
        book.remove(book.worksheets[0])
        for step in STEPS:
            sheet = book.create_sheet(step.title())
            rows = rows_of(step, is_faulty=is_faulty)
            sheet.append(list(rows[0]))
            for row in rows:
                sheet.append(list(row.values()))
            for cell in (
                cell for cells in sheet.iter_rows() for cell in cells if isinstance(cell.value, str)
            ):
                cell.data_type = "s"  # =555-1 is a text here
        book.save(desk.folder / "move.xlsx")

    def job(self, desk: Desk, action: str = "upsert") -> None:
        text = JOB.replace("ACTION", action)
        for step in STEPS:
            text = text.replace(f"{{file: {step}.csv}}", f"{{file: move.xlsx, sheet: {step.title()}}}")
        desk.write("move.yaml", text)

    def results(self, folder: Path, step: str) -> dict[str, list[dict[str, str]]]:
        book = openpyxl.load_workbook(self.rejected(folder, step))
        assert book.sheetnames == list(STATES)
        return {state: self._read(book[state]) for state in STATES}

    def rejected(self, folder: Path, step: str) -> Path:
        return folder / f"{step}.xlsx"

    def correct(self, path: Path, right: Callable[[dict[str, str]], Mapping[str, Any]]) -> None:
        """Types the right values into the cells of the sheet `rejected`."""
        book = openpyxl.load_workbook(path)
        sheet = book["rejected"]
        header = [cell.value for cell in sheet[1]]
        for number, row in enumerate(self._read(sheet), 2):
            for name, value in right(row).items():
                sheet.cell(number, header.index(name) + 1, value)
        book.save(path)

    @staticmethod
    def _read(sheet: Any) -> list[dict[str, str]]:
        header, *rows = ([cell.value or "" for cell in row] for row in sheet.iter_rows())
        return [dict(zip(header, row, strict=True)) for row in rows]


def corrections(step: str) -> Callable[[dict[str, str]], dict[str, Any]]:
    """What somebody types into the rows that were wrong: nothing else, and nothing into the others."""

    def right(row: dict[str, str]) -> dict[str, Any]:
        name = key(step, row)
        (good,) = [good for good in GOOD[step] if key(step, good) == name]
        return {column: good[column] for column in FAULTS[step].get(name, ())}

    return right


def total(counts: Mapping[str, int]) -> int:
    return sum(counts.values())


def check_everything(desk: Desk) -> None:
    """Every record of the migration is there once, under its parent, with its values."""
    companies = desk.simulator.numbered()
    assert set(companies) == {row["No"] for row in GOOD["companies"]}
    for row in GOOD["companies"]:
        found = companies[row["No"]]
        parent = companies[row["Parent"]]["id"] if row["Parent"] else None
        assert (found["companyName"], found["phone"], found.get("parentCompanyID")) == (
            row["Name"], row["Phone"], parent,
        )  # fmt: skip

    def made(step: str, entity: str, field: str, column: str) -> dict[str, dict[str, Any]]:
        wanted = {row[column] for row in GOOD[step]}
        rows = [row for row in desk.simulator.rows(entity) if row.get(field) in wanted]
        found = {row[field]: row for row in rows}
        assert Counter(row[field] for row in rows) == dict.fromkeys(wanted, 1)
        return found

    people = made("contacts", "Contacts", "emailAddress", "Mail")
    for row in GOOD["contacts"]:
        found = people[row["Mail"]]
        assert (found["companyID"], found["lastName"]) == (companies[row["Company"]]["id"], row["Last"])
    projects = made("projects", "Projects", "extProjectNumber", "No")
    for row in GOOD["projects"]:
        found = projects[row["No"]]
        assert found["companyID"] == companies[row["Company"]]["id"]
        assert (found["startDateTime"][:10], found["endDateTime"][:10]) == ("2026-01-31", "2026-12-31")
    ids = {project["id"]: number for number, project in projects.items()}
    rows = [row for row in desk.simulator.rows("Phases") if row["projectID"] in ids]
    phases = {(ids[row["projectID"]], row["title"]): row for row in rows}
    assert len(phases) == len(rows) == len(GOOD["phases"])
    for row in GOOD["phases"]:
        above = phases[row["Project"], row["Under"]]["id"] if row["Under"] else None
        assert phases[row["Project"], row["Phase"]].get("parentPhaseID") == above
    tasks = made("tasks", "Tasks", "externalID", "Key")
    for row in GOOD["tasks"]:
        found = tasks[row["Key"]]
        phase = phases[row["Project"], row["Phase"]]["id"] if row["Phase"] else None
        assert (found["projectID"], found.get("phaseID")) == (projects[row["Project"]]["id"], phase)
        assert (found["title"], found["estimatedHours"]) == (row["Title"], row["Hours"])


@pytest.mark.parametrize("files", [CsvFiles(), Workbooks()], ids=["csv", "xlsx"])
def test_rejected_rows_of_every_level_corrected_and_fed_back_finish_the_migration(
    desk: Desk, files: CsvFiles | Workbooks
) -> None:
    """Five entities, faults of their own at each level and a refusal of the target. The parents that the
    first run made are found, those that it could not make go first; then nothing is left to do."""
    files.write(desk, is_faulty=True)
    files.job(desk)
    refusal = {"method": "POST", "entity": "Projects", "call": "create", "when": {"nth": [1]}}
    desk.simulator.faults({**refusal, "do": "status", "code": 500, "body": REFUSAL})
    rows = sum(len(rows) for rows in GOOD.values())
    assert total(desk.plan("move.yaml")["counts"]) == rows
    done = desk.apply("move.plan", code=4)
    assert total(done["counts"]) == rows

    ran = desk.run("results", "move.plan", "--dir", "out", *files.options)
    folder, states = desk.folder / "out", Counter[str]()
    for step in STEPS:
        found = files.results(folder, step)
        states.update({state: len(rows) for state, rows in found.items()})
        assert sum(len(rows) for rows in found.values()) == len(GOOD[step])
        assert {key(step, row) for row in found["rejected"]} == REJECTED[step]
        assert all(row["bulkops_reason"] and row["bulkops_step"] == step for row in found["rejected"])
    assert states == done["counts"]

    for step in STEPS:
        files.correct(files.rejected(folder, step), corrections(step))
    sources = ran.out.partition("feed them back: bulkops plan JOB ")[2].split()
    assert sources.count("--source") == len(STEPS)
    counts = desk.plan("move.yaml", *sources)["counts"]
    assert counts == {**dict.fromkeys(counts, 0), "create": states["rejected"]}
    rest = desk.apply("rest.plan")
    assert rest["counts"]["applied"] == states["rejected"]
    check_everything(desk)

    files.write(desk, is_faulty=False)
    counts = desk.plan("move.yaml")["counts"]
    assert counts == {**dict.fromkeys(counts, 0), "unchanged": rows}


def test_the_files_of_some_steps_can_be_fed_back_alone(desk: Desk) -> None:
    """Where their parents were all made, the other steps read their own files, and there is nothing to do."""
    files = CsvFiles()
    files.write(desk, is_faulty=False)
    faulty = rows_of("contacts", is_faulty=True)
    desk.table("contacts.csv", faulty[0], *(row.values() for row in faulty))
    files.job(desk)
    desk.plan("move.yaml")
    desk.apply("move.plan", code=4)
    desk.run("results", "move.plan", "--dir", "out")
    path = files.rejected(desk.folder / "out", "contacts")
    files.correct(path, corrections("contacts"))
    counts = desk.plan("move.yaml", "--source", f"contacts={path}")["counts"]
    assert (counts["create"], counts["rejected"]) == (1, 0)
    desk.apply("move.plan")
    check_everything(desk)


def test_steps_that_create_are_finished_by_feeding_all_files_back(desk: Desk) -> None:
    """Planned from its own file again, such a step rejects what is there, and its children with it; the
    reason names the way, and a file without rows is part of it. All files empty are refused."""
    files = CsvFiles()
    files.write(desk, is_faulty=False)
    faulty = rows_of("contacts", is_faulty=True)
    desk.table("contacts.csv", faulty[0], *(row.values() for row in faulty))
    files.job(desk, "create")
    desk.plan("move.yaml")
    desk.apply("move.plan", code=4)
    desk.run("results", "move.plan", "--dir", "out")
    path = files.rejected(desk.folder / "out", "contacts")
    files.correct(path, corrections("contacts"))
    desk.plan("move.yaml", "-o", "wrong.plan", "--source", f"contacts={path}")
    (row,) = [row for row in desk.run("show", "wrong.plan", "--json").rows if row["step"] == "contacts"]
    assert (
        "already; to refer to that record, feed what the step left over back: --source companies=FILE"
        in (row["reason"])
    )
    every = [word for step in STEPS for word in ("--source", f"{step}=out/{step}/rejected.csv")]
    counts = desk.plan("move.yaml", "-o", "rest.plan", *every)["counts"]
    assert counts == {**dict.fromkeys(counts, 0), "create": 1}
    desk.apply("rest.plan")
    check_everything(desk)

    desk.run("results", "rest.plan", "--dir", "none")
    every = [word.replace("out/", "none/") for word in every]
    assert "hold no row after the header, so there is nothing to plan" in desk.refused(
        "plan", "move.yaml", "-o", "no.plan", *every
    )


def test_the_summary_names_entity_by_entity_what_was_made(desk: Desk) -> None:
    """With the ids, one by one where they are few; every row of the step stands in one of its numbers."""
    files = CsvFiles()
    files.write(desk, is_faulty=True)
    files.job(desk)
    desk.plan("move.yaml")
    said = desk.run("apply", "move.plan", "--yes", code=4).out.splitlines()
    made = {number: row["id"] for number, row in desk.simulator.numbered().items()}
    (companies,) = [line for line in said if line.startswith("  Companies (companies): ")]
    ids = ", ".join(map(str, sorted((made["K-1"], made["K-2"]))))
    assert companies == f"  Companies (companies): 2 created (ids {ids}), 3 rejected"
    places = [
        line.split("(")[1].split(")")[0] for line in said if line.startswith("  ") and " created" in line
    ]
    assert places == list(STEPS)
