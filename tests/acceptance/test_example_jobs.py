"""The examples in `jobs/`, as their READMEs run them; of the whole migration every record is compared with
another reading of its files.

What `csv` and `openpyxl` make of the example's data here shares no code with the program.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from tests.acceptance.console import play

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

    OwnDesk = Callable[..., Desk]

JOBS = Path(__file__).resolve().parents[2] / "jobs"
EXAMPLE = JOBS / "whole-migration"
ROWS = 92
WRONG = {  # where, and what the plan says of it
    "contacts.csv:16": "no row of the step companies",
    "projects.xlsx, sheet Tasks:8": "is inactive",
    "tickets.csv:14": "is no date of the calendar",
    "notes.csv:6": "has 6 cells",
    "notes.csv:11": "which it needs, was rejected",
}
PLAN = "whole-migration.plan"

KINDS = {"Client": 1, "Prospect": 3, "Supplier": 7}
TIERS = {"A": "Golden", "B": "Silver", "C": "Bronze"}
PROJECT_STATES = {"Planned": 1, "Running": 8, "On hold": 9, "Done": 5}
TASK_STATES = {"To do": 1, "Started": 8, "Waiting": 7, "Finished": 5}
TICKET_STATES = {"Open": 1, "Working": 8, "Waiting": 7, "Parked": 24, "Done": 5}
PRIORITIES = {"1 - High": 1, "2 - Medium": 2, "3 - Low": 3}
QUEUES = {"First line": 29682833, "Second line": 29683354}
PUBLISH = {"everybody": 1, "us": 2}

Record = dict[str, Any]
Key = tuple[Any, ...]


# --- another reading of the files ---


def table(folder: Path, name: str) -> list[Record]:
    """The rows of a CSV file that have as many cells as its header; nothing for "no value"."""
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file, delimiter=";"))
    whole = [dict(zip(header, cells, strict=True)) for cells in rows if len(cells) == len(header)]
    return [{column: None if text in ("", "-") else text for column, text in row.items()} for row in whole]


def sheet(folder: Path, name: str) -> list[Record]:
    values = openpyxl.load_workbook(folder / "projects.xlsx")[name].iter_rows(min_row=3, values_only=True)
    header, *rows = list(values)
    return [dict(zip(map(str, header), cells, strict=True)) for cells in rows]


def number(text: Any) -> float | None:
    return float(text.replace(".", "").replace(",", ".")) if isinstance(text, str) else text


def day(value: Any) -> str | None:
    """`31/12/2024`, or a date of a sheet, as the API tells a date."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT00:00:00.000Z")
    return f"{value[6:10]}-{value[3:5]}-{value[:2]}T00:00:00.000Z" if value else None


def moment(value: Any) -> str | None:
    """`31/12/2024 17:00`, or a date of a sheet, in London, as the API tells a time."""
    if value is None:
        return None
    local = value.strftime("%d/%m/%Y %H:%M") if isinstance(value, datetime) else value
    there = datetime.strptime(local, "%d/%m/%Y %H:%M").replace(tzinfo=ZoneInfo("Europe/London"))
    return there.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Held:
    """What the tenant holds, by the keys of the old tool."""

    def __init__(self, desk: Desk) -> None:
        self.rows = desk.simulator.rows
        self.people = {row["email"]: row["id"] for row in self.rows("Resources")}
        self.roles = {row["name"]: row["id"] for row in self.rows("Roles")}
        self.codes = {row["name"]: row["id"] for row in self.rows("BillingCodes")}
        self.countries = {row["countryCode"]: row["id"] for row in self.rows("Countries")}
        self.companies = self.by("Companies", "companyNumber")
        self.locations = self.by("CompanyLocations", "companyID", "name")
        self.contacts = self.by("Contacts", "companyID", "externalID")
        self.projects = self.by("Projects", "extProjectNumber")
        self.phases = self.by("Phases", "projectID", "externalID")
        self.tasks = self.by("Tasks", "externalID")
        self.tickets = self.by("Tickets", "externalID")
        self.notes = self.by("TicketNotes", "ticketID", "title")

    def by(self, entity: str, *fields: str) -> dict[Key, Record]:
        """Records by their key. Fails where two have the same."""
        rows = [row for row in self.rows(entity) if all(row.get(field) is not None for field in fields)]
        found = {tuple(row[field] for field in fields): row for row in rows}
        assert len(found) == len(rows), f"{entity} made twice"
        return found

    def company(self, code: str | None) -> int | None:
        return self.companies[code,]["id"] if code else None

    def project(self, code: str) -> int:
        return int(self.projects[code,]["id"])

    def phase(self, project: str, code: str | None) -> int | None:
        return self.phases[self.project(project), code]["id"] if code else None


def expected(folder: Path, held: Held) -> Iterator[tuple[str, Record | None, Record]]:
    """Of every row of the example: which record it is, and its fields as they must be."""
    for row in table(folder, "companies"):
        yield row["Code"], held.companies.get((row["Code"],)), {
            "companyName": row["Company"], "companyType": KINDS[row["Kind"]], "phone": row["Telephone"],
            "address1": row["Street"], "city": row["Town"], "postalCode": row["Postcode"],
            "countryID": held.countries[row["Country"]], "webAddress": row["Web"],
            "ownerResourceID": held.people[row["Account manager"] or "iris.calloway@northgate.test"],
            "parentCompanyID": held.company(row["Part of"]), "udf:Reviewed On": day(row["Reviewed"]),
            "udf:Customer Ranking": TIERS.get(row["Tier"]),
            "udf:Agreed Hours": number(row["Hours a year"]),
        }  # fmt: skip
    for row in table(folder, "locations"):
        key = (held.company(row["Client"]), row["Site"])
        yield row["Site"], held.locations.get(key), {
            "address1": row["Street"], "city": row["Town"], "postalCode": row["Postcode"],
            "phone": row["Telephone"], "isPrimary": row["Main"] == "yes",
            "roundtripDistance": number(row["Km"]),
        }  # fmt: skip
    for row in table(folder, "contacts"):
        company = held.company(row["Client"])
        place = held.locations[company, row["Site"]]["id"] if row["Site"] else None
        yield row["Last name"], held.contacts.get((company, row["Person"])), {
            "firstName": row["First name"], "lastName": row["Last name"], "emailAddress": row["E-mail"],
            "phone": row["Telephone"], "mobilePhone": row["Mobile"], "title": row["Position"],
            "companyLocationID": place, "isActive": int(row["Works here"] == "Y"),
        }  # fmt: skip
    for row in sheet(folder, "Projects"):
        yield row["Number"], held.projects.get((row["Number"],)), {
            "projectName": row["Name"], "companyID": held.company(row["Client"]), "projectType": 5,
            "status": PROJECT_STATES[row["State"]], "startDateTime": day(row["Begin"]),
            "endDateTime": day(row["End"]), "projectLeadResourceID": held.people.get(row["Lead"]),
            "originalEstimatedRevenue": row["Budget"],
        }  # fmt: skip
    for row in sheet(folder, "Phases"):
        yield row["Title"], held.phases.get((held.project(row["Project"]), row["Code"])), {
            "title": row["Title"], "parentPhaseID": held.phase(row["Project"], row["Under"]),
            "startDate": moment(row["Begin"]), "dueDate": day(row["Due"]),
        }  # fmt: skip
    for row in sheet(folder, "Tasks"):
        yield row["Key"], held.tasks.get((row["Key"],)), {
            "projectID": held.project(row["Project"]), "phaseID": held.phase(row["Project"], row["Phase"]),
            "title": row["Summary"], "description": row["Text"], "status": TASK_STATES[row["State"]],
            "taskType": 1, "estimatedHours": number(row["Hours"]), "startDateTime": moment(row["Start"]),
            "endDateTime": day(row["Due"]), "assignedResourceID": held.people.get(row["Assignee"]),
            "assignedResourceRoleID": held.roles.get(row["Role"]),
            "billingCodeID": held.codes.get(row["Work"]),
        }  # fmt: skip
    for row in {row["No"]: row for row in table(folder, "tickets")}.values():
        company = held.company(row["Client"])
        person = held.contacts[company, row["Person"]]["id"] if row["Person"] else None
        yield row["No"], held.tickets.get((row["No"],)), {
            "companyID": company, "contactID": person, "title": row["Subject"], "description": row["Text"],
            "status": TICKET_STATES[row["State"]], "priority": PRIORITIES[row["Priority"]],
            "queueID": QUEUES[row["Queue"]], "dueDateTime": moment(row["Due"]),
            "assignedResourceID": held.people.get(row["Agent"]),
            "assignedResourceRoleID": held.roles.get(row["Role"]), "udf:Reviewed On": day(row["Opened"]),
        }  # fmt: skip
    for row in table(folder, "notes"):
        ticket = held.tickets.get((row["Ticket"],), {}).get("id")
        yield row["Note"], held.notes.get((ticket, row["Note"])), {
            "description": row["Text"] or "(no text)", "noteType": 3, "publish": PUBLISH[row["Visible to"]],
            "creatorResourceID": held.people[row["Author"]],
        }  # fmt: skip


def differences(record: Record | None, fields: Record) -> dict[str, tuple[Any, Any]]:
    assert record is not None
    udfs = {f"udf:{item['name']}": item["value"] for item in record.get("userDefinedFields") or ()}
    held = {**record, **udfs}
    if isinstance(held.get("udf:Agreed Hours"), str):  # user-defined numbers are told as text
        held["udf:Agreed Hours"] = float(held["udf:Agreed Hours"])
    return {name: (held.get(name), value) for name, value in fields.items() if held.get(name) != value}


# --- the tour ---


@pytest.fixture
def example(own_desk: OwnDesk) -> Desk:
    """A copy of the whole migration, and the tenant that it names: a simulator as anybody starts it."""
    return desk_with(EXAMPLE, own_desk())


def desk_with(example: Path, desk: Desk) -> Desk:
    shutil.copytree(example, desk.folder, dirs_exist_ok=True)
    config = desk.folder / "bulkops.toml"
    text, count = re.subn(r"127\.0\.0\.1:8765", f"127.0.0.1:{desk.simulator.port}", config.read_text("utf-8"))
    assert count == 1
    config.write_text(text, "utf-8")
    return desk


def put_right(folder: Path) -> None:
    """What the README says to do about the rejected rows."""
    edit = partial(_replace, folder)
    new = "K-12;Quill & Daughter;Prospect;+44 20 5550 120;2 Mill Row;London;N1 9AA;GB;-;-;-;-;-;-\n"
    with (folder / "companies.csv").open("a", encoding="utf-8", newline="") as file:
        file.write(new)
    edit("tickets.csv", "30/02/2025", "28/02/2025")
    edit(
        "notes.csv",
        "Moved to port 11; port 12 is to be replaced",
        '"Moved to port 11; port 12 is to be replaced"',
    )
    book = openpyxl.load_workbook(folder / "projects.xlsx")
    cell = book["Tasks"]["J8"]
    assert cell.value == "jonas.weber@northgate.test"
    cell.value = "maria.santos@northgate.test"
    book.save(folder / "projects.xlsx")


def _replace(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text("utf-8")
    assert text.count(old) == 1
    (folder / name).write_text(text.replace(old, new), "utf-8")


def test_the_whole_migration_arrives_and_what_is_wrong_is_named(example: Desk) -> None:
    """Eight entities, 92 rows: 87 arrive, five are rejected where and why the README says, of which
    `validate` knows three. Planned again there is nothing to do. Put right, the other five arrive too, and
    every field of every record is as the files have it."""
    offline = example.run("validate", "job.yaml", code=4).out
    known = ("contacts.csv:16", "tickets.csv:14", "notes.csv:6")
    assert "Warning" not in offline
    assert f"{ROWS - 3} of {ROWS} rows" in offline and all(f"  {place}: " in offline for place in known)
    assert example.plan("job.yaml")["counts"] == counts(create=86, update=1, rejected=5)
    rejected = [row for row in example.run("show", PLAN, "--json").rows if row["reason"]]
    assert {place(row["row"]) for row in rejected} == set(WRONG)
    assert all(WRONG[place(row["row"])] in row["reason"] for row in rejected)

    done = example.apply(PLAN, code=4)["counts"]
    assert done == {"applied": 87, "unchanged": 0, "rejected": 5, "held": 0, "pending": 0}
    assert example.plan("job.yaml")["counts"] == counts(unchanged=87, rejected=5)

    put_right(example.folder)
    assert example.plan("job.yaml")["counts"] == counts(create=6, unchanged=87)  # with the company
    example.apply(PLAN)
    found = list(expected(example.folder, Held(example)))
    assert len(found) == ROWS + 1
    assert not [name for name, record, _ in found if record is None]
    assert not [(name, differ) for name, record, fields in found if (differ := differences(record, fields))]
    assert example.plan("job.yaml")["counts"] == counts(unchanged=ROWS + 1)
    assert example.simulator.stats()["committed"] == {"create": ROWS, "update": 1, "delete": 0}


def counts(create: int = 0, update: int = 0, unchanged: int = 0, rejected: int = 0) -> dict[str, int]:
    parts = {"create": create, "update": update, "delete": 0}
    return {**parts, "unchanged": unchanged, "rejected": rejected}


def place(row: Record) -> str:
    """Where a row of `show --json` stands, as people are told."""
    sheet = f", sheet {row['sheet']}" if "sheet" in row else ""
    return f"{row['file']}{sheet}:{row['line']}"


def test_corrected_rejected_rows_go_back_in(example: Desk) -> None:
    """The rejected rows of all steps, put right in the result files as the README says and fed back with the
    command that `results` prints: all of it arrives, under the records that were made before."""
    example.plan("job.yaml")
    example.apply(PLAN, code=4)
    said = example.run("results", PLAN, "--dir", "results").out
    edit = partial(_replace, example.folder)
    with (example.folder / "results/companies/rejected.csv").open("a", encoding="utf-8", newline="") as file:
        file.write("K-12,Quill & Daughter,Prospect,020 5550 120,,,,GB" + "," * 13 + "\n")
    edit("results/tasks/rejected.csv", "jonas.weber@northgate.test,", "maria.santos@northgate.test,")
    edit("results/tickets/rejected.csv", ",30/02/2025", ",28/02/2025")
    edit("results/notes/rejected.csv", "Moved to port 11", "Moved to port 11; port 12 is to be replaced")
    edit("results/notes/rejected.csv", '"["" port 12 is to be replaced""]"', "")
    _, _, command = next(line for line in said.splitlines() if "plan JOB" in line).partition("plan JOB ")
    assert command.count("--source") == 8
    assert example.plan("job.yaml", *command.split())["counts"] == counts(create=6)
    example.apply("rest.plan")
    put_right(example.folder)
    missing = [name for name, record, fields in expected(example.folder, Held(example)) if record is None]
    assert not missing
    held = Held(example)
    task = held.tasks["H-21/5",]
    assert task["assignedResourceID"] == held.people["maria.santos@northgate.test"]
    assert task["phaseID"] == held.phase("H-21", "21")
    assert held.notes[held.tickets["2103",]["id"], "Switch port dead"]["description"].endswith(
        "to be replaced"
    )


def test_the_readme_of_the_examples_names_what_there_is() -> None:
    """Every example is in the table of the README, every file of the whole migration is named in its job or
    is its tenants file, and every rejected row in the README stands where it says."""
    said = (JOBS / "README.md").read_text("utf-8")
    folders = {path.name for path in JOBS.iterdir() if path.is_dir()}
    assert folders == set(re.findall(r"^\| \[([\w-]+)\]\(\1/\)", said, re.MULTILINE))
    job = (EXAMPLE / "job.yaml").read_text("utf-8")
    files = {path.name for path in EXAMPLE.iterdir()} - {"job.yaml", "bulkops.toml"}
    assert files == set(re.findall(r"file: ([\w.]+)", job))
    assert set(WRONG) <= set(re.findall(r"^\| `([^`]+)`", said, re.MULTILINE))


# --- the examples with a README of their own ---


def said_of(name: str) -> str:
    return (JOBS / name / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("hand-over", ["plan", "apply", "apply", "undo", "apply"]),
        ("close-projects", ["plan", "validate", "plan", "apply", "results"]),
        ("mass-update", ["plan", "apply", "plan", "undo", "apply"]),
    ],
)
def test_what_an_example_shows_is_what_is_printed(desk: Desk, name: str, commands: list[str]) -> None:
    """Every command of its README, in its order; seconds, database and numbers of reads may differ."""
    assert play(desk_with(JOBS / name, desk), said_of(name)) == commands


def test_an_exported_list_comes_back_as_its_readme_says(desk: Desk) -> None:
    """What its table says is edited is in the file, and what is shown then is what is printed."""
    desk_with(JOBS / "export-and-back", desk)
    before, table, after = said_of("export-and-back").partition("| row | column | from | to |")
    assert table and play(desk, before) == ["export", "plan"]
    file = desk.folder / "tasks.csv"
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = {row["title"]: row for row in csv.DictReader(opened)}
    for title, column, old, new in re.findall(r"^\| (.+) \| (.+) \| (.+) \| (.+) \|$", after, re.MULTILINE)[
        1:
    ]:
        assert rows[title][column] == old
        rows[title][column] = new
    with file.open("w", encoding="utf-8-sig", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows["Choose a till"]))
        writer.writeheader()
        writer.writerows(rows.values())
    assert play(desk, after) == ["plan", "apply"]


def test_every_example_is_listed_and_its_tenant_is_a_simulator() -> None:
    """`jobs/README.md` names each folder; each has a tenants file for a simulator on this machine."""
    folders = {path.name for path in JOBS.iterdir() if path.is_dir()}
    listed = re.findall(
        r"^\| \[([\w-]+)\]\(([\w-]+)/\)", (JOBS / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert {name for name, _ in listed} == folders == {link for _, link in listed}
    for folder in folders:
        assert "http://127.0.0.1:8765/" in (JOBS / folder / "bulkops.toml").read_text("utf-8")
