"""Exports as tools really write them, made here: many tasks of a whole staff, and one table in many writings.

What the tenant holds afterwards is compared field by field with the Python values that the files are made of.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from zoneinfo import ZoneInfo

import openpyxl
import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

    OwnDesk = Callable[..., Desk]

PEOPLE, PROJECTS, PHASES = 23, 20, 3
MANY, FEW = 10_000, 300
ZONE = ZoneInfo("Europe/Berlin")
STATES = {"Neu": 1, "In Arbeit": 8, "Erledigt": 5}
Table: TypeAlias = list[list[Any]]  # header and rows, as plain Python values

JOB = """
version: 1
name: NAME
tenant: acme
reason: Everything from the old planner
missing: ["", "-"]
steps:
  - name: projects
    entity: Projects
    action: upsert
    source: PROJECTS
    match: [extProjectNumber]
    fields:
      extProjectNumber: Nr
      projectName: Name
      companyID: {column: Kunde, lookup: companyNumber}
      projectType: {value: Client}
      status: {value: In Progress}
      startDateTime: {column: Beginn, date: "%d.%m.%Y"}
      endDateTime: {column: Ende, date: "%d.%m.%Y"}
      projectLeadResourceID: {column: Leitung, lookup: email}
  - name: phases
    entity: Phases
    action: upsert
    source: PHASES
    match: [projectID, externalID]
    fields:
      projectID: {column: Projekt, from: projects}
      externalID: Code
      title: Titel
  - name: tasks
    entity: Tasks
    action: upsert
    source: TASKS
    match: [externalID]
    fields:
      externalID: Schlüssel
      projectID: {column: Projekt, from: projects}
      phaseID: {columns: [Projekt, Phase], from: phases}
      title: Titel
      description: Text
      status: {column: Status, labels: {Neu: New, In Arbeit: In Progress, Erledigt: Complete}}
      taskType: {value: FixedWork}
      estimatedHours: {column: Stunden, number: {decimal: ",", thousands: "."}}
      startDateTime: {column: Start, date: "%d.%m.%Y %H:%M", timezone: Europe/Berlin}
      endDateTime: {column: Fällig, date: "%d.%m.%Y"}
      assignedResourceID: {column: Wer, lookup: email}
      assignedResourceRoleID: {column: Rolle, lookup: name}
      billingCodeID: {value: Project Work, lookup: name}
    ignore: [Farbe]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """Three tables, and the people that they name."""

    projects: Table
    phases: Table
    tasks: Table

    @property
    def tables(self) -> dict[str, Table]:
        return {"Projekte": self.projects, "Phasen": self.phases, "Aufgaben": self.tasks}


def mail(n: int) -> str:
    return f"person{n:02}@northgate.test"


def firm(tasks: int) -> Firm:
    """Every row differs from its neighbours; of the tasks some have no phase, nobody, no text, no dates."""
    first = date(2026, 1, 5)
    projects: Table = [["Nr", "Name", "Kunde", "Beginn", "Ende", "Leitung"]]
    phases: Table = [["Projekt", "Code", "Titel"]]
    for n in range(PROJECTS):
        begin = first + timedelta(days=n)
        lead = mail(n % PEOPLE)
        projects.append(
            [f"{n:03}", f"Umzug Nr. {n}", f"C-100{1 + n % 5}", begin, begin + timedelta(days=400), lead]
        )
        phases += [[f"{n:03}", f"{phase:02}", f"Abschnitt {phase}"] for phase in range(PHASES)]
    header = [
        "Schlüssel",
        "Projekt",
        "Phase",
        "Titel",
        "Text",
        "Status",
        "Stunden",
        "Start",
        "Fällig",
        "Wer",
        "Rolle",
        "Farbe",
    ]
    return Firm(projects=projects, phases=phases, tasks=[header, *map(task, range(tasks))])


def task(n: int) -> list[Any]:
    start = datetime(2026, 1, 6, 8, 30) + timedelta(days=n % 200, minutes=15 * (n % 4))  # noqa: DTZ001
    is_free = n % 11 == 0
    return [
        f"T-{n:05}",
        f"{n % PROJECTS:03}",
        None if n % 7 == 0 else f"{n % PHASES:02}",
        f"Gerät {n}; Prüfung",
        f"Zeile 1: „{n}“\nZeile 2, Größe 10 m²" if n % 3 == 0 else None,
        tuple(STATES)[n % 3],
        [0.25, 1.5, 8, 1250.75][n % 4] + n % 10,
        start if n % 13 else None,
        start.date() + timedelta(days=3) if n % 13 else None,
        None if is_free else mail(n % PEOPLE),
        None if is_free else "Engineer",
        "rot",
    ]


# --- how tools write a table ---


def written(value: Any) -> str:
    """A value as a German program writes it."""
    match value:
        case None:
            return "-"
        case datetime():
            return value.strftime("%d.%m.%Y %H:%M")
        case date():
            return value.strftime("%d.%m.%Y")
        case int() | float():
            return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))
        case _:
            return str(value)


def delimited(delimiter: str, encoding: str) -> Callable[[Table], bytes]:
    def write(table: Table) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=delimiter).writerows([map(written, row) for row in table])
        return text.getvalue().encode(encoding)

    return write


def json_lines(table: Table) -> bytes:
    header, *rows = table
    made = [dict(zip(header, map(written, row), strict=True)) for row in rows]
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in made).encode()


def workbook(path: Path, tables: Mapping[str, Table], *, banner: Sequence[str]) -> None:
    """A sheet a table, below a banner; dates and numbers as such, an empty tail below."""
    book = openpyxl.Workbook(write_only=True)
    for name, table in tables.items():
        sheet = book.create_sheet(name)
        for line in banner:
            sheet.append([line] if line else [])
        for row in table:
            sheet.append(row)
        for _ in range(3):
            sheet.append([None, "  "])
    book.save(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How a tool writes its tables, and what a job says of such a file."""

    suffix: str
    encode: Callable[[Table], bytes]
    source: str = ""  # what else stands in the job's source


WRITINGS = {
    "comma": Writing(suffix="csv", encode=delimited(",", "utf-8")),
    "semicolon": Writing(suffix="csv", encode=delimited(";", "cp1252"), source="encoding: cp1252"),
    "utf-16 with tabs": Writing(suffix="txt", encode=delimited("\t", "utf-16")),
    "json lines": Writing(suffix="jsonl", encode=json_lines),
}
BANNER = ("Planer 4.2, Auszug vom 21.11.2026", "", "Vertraulich")


def sources(desk: Desk, name: str, tables: Mapping[str, Table]) -> Iterator[str]:
    """Writes the tables; gives what the job says of each."""
    if name == "workbook":
        workbook(desk.folder / "planer.xlsx", tables, banner=BANNER)
        yield from (f"{{file: planer.xlsx, sheet: {sheet}, header_row: 4}}" for sheet in tables)
        return
    how = WRITINGS[name]
    for table_name, table in tables.items():
        file = f"{table_name} {name}.{how.suffix}"
        desk.write(file, how.encode(table))
        yield f"{{file: {file}{', ' + how.source if how.source else ''}}}"


def job(desk: Desk, name: str, made: Iterable[str]) -> str:
    """The job for these sources; its file's name."""
    projects, phases, tasks = made
    text = JOB.replace("NAME", name).replace("PROJECTS", projects)
    desk.write(f"{name}.yaml", text.replace("PHASES", phases).replace("TASKS", tasks))
    return f"{name}.yaml"


# --- what has to be there in the end ---


def utc(local: datetime | None) -> str | None:
    if local is None:
        return None
    return local.replace(tzinfo=ZONE).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def midnight(day: date | None) -> str | None:
    return None if day is None else f"{day.isoformat()}T00:00:00.000Z"


def check(desk: Desk, whole: Firm, staff: Sequence[int]) -> None:
    """Every record and every field is there as the tables have it, once."""
    people = {mail(n): person for n, person in enumerate(staff)}
    companies = {row["companyNumber"]: row["id"] for row in desk.simulator.rows("Companies")}
    roles = {row["name"]: row["id"] for row in desk.simulator.rows("Roles")}
    work = next(row["id"] for row in desk.simulator.rows("BillingCodes") if row["name"] == "Project Work")
    projects = keyed(desk, "Projects", "extProjectNumber", whole.projects)
    for number, name, customer, begin, end, lead in whole.projects[1:]:
        expected = {
            "projectName": name, "companyID": companies[customer], "projectType": 5, "status": 8,
            "startDateTime": midnight(begin), "endDateTime": midnight(end),
            "projectLeadResourceID": people[lead],
        }  # fmt: skip
        assert expected.items() <= projects[number].items()
    numbers = {row["id"]: number for number, row in projects.items()}
    rows = [row for row in desk.simulator.rows("Phases") if row["projectID"] in numbers]
    phases = {(numbers[row["projectID"]], row["externalID"]): row for row in rows}
    assert len(rows) == len(phases) == PROJECTS * PHASES
    assert all(phases[project, code]["title"] == title for project, code, title in whole.phases[1:])
    tasks = keyed(desk, "Tasks", "externalID", whole.tasks)
    for key, project, phase, title, text, state, hours, start, due, who, role, _ in whole.tasks[1:]:
        expected = {
            "projectID": projects[project]["id"],
            "phaseID": phases[project, phase]["id"] if phase else None,
            "title": title, "description": text, "status": STATES[state], "taskType": 1,
            "estimatedHours": hours, "startDateTime": utc(start), "endDateTime": midnight(due),
            "assignedResourceID": people.get(who), "assignedResourceRoleID": roles.get(role),
            "billingCodeID": work,
        }  # fmt: skip
        assert expected.items() <= tasks[key].items(), (key, expected, tasks[key])


def keyed(desk: Desk, entity: str, field: str, table: Table) -> dict[str, dict[str, Any]]:
    """The records of a table by their key in its first column. Fails where one is missing, or there twice."""
    keys = {row[0] for row in table[1:]}
    rows = [row for row in desk.simulator.rows(entity) if row.get(field) in keys]
    found = {row[field]: row for row in rows}
    assert len(rows) == len(found) == len(keys) == len(table) - 1
    return found


def staff(desk: Desk) -> list[int]:
    names = [mail(n) for n in range(PEOPLE)]
    people = ({"email": name.upper(), "userName": name[:8], "lastName": name[:8]} for name in names)
    return desk.simulator.staff(*people)


def test_tasks_by_the_ten_thousand_arrive_with_people_hours_and_dates(own_desk: OwnDesk) -> None:
    """10,000 tasks of 23 people in 20 projects from German CSV files, on a tenant with calls enough: every
    field as the file has it, each record once; planned again there is nothing to do."""
    desk = own_desk("--threshold", "100000")
    people, whole = staff(desk), firm(MANY)
    name = job(desk, "many", sources(desk, "semicolon", whole.tables))
    total = PROJECTS + PROJECTS * PHASES + MANY
    plan = desk.plan(name)
    assert plan["counts"] == {"create": total, "update": 0, "delete": 0, "unchanged": 0, "rejected": 0}
    assert plan["calls"]["read"] < 60, "reads are bulk"
    done = desk.apply("many.plan")["counts"]
    assert done == {"applied": total, "unchanged": 0, "rejected": 0, "held": 0, "pending": 0}
    check(desk, whole, people)
    assert desk.plan(name)["counts"]["unchanged"] == total


def changes(desk: Desk, plan: str) -> list[dict[str, Any]]:
    """The rows of a plan without their place in the file, which differs from writing to writing."""
    rows = desk.run("show", plan, "--json").rows
    return [{key: value for key, value in row.items() if key != "row"} for row in rows]


def test_one_table_gives_one_plan_however_it_is_written(desk: Desk) -> None:
    """Comma and semicolon, UTF-8, cp1252, UTF-16 with tabs, JSON Lines, and a workbook with a sheet a step, a
    banner above each header, real dates and numbers: the same changes. The workbook's plan is applied, and
    then none of them has anything to do."""
    people, whole = staff(desk), firm(FEW)
    total = PROJECTS + PROJECTS * PHASES + FEW
    jobs = {}
    first = None
    for name in (*WRITINGS, "workbook"):
        jobs[name] = job(desk, name.replace(" ", "-"), sources(desk, name, whole.tables))
        assert desk.plan(jobs[name])["counts"]["create"] == total
        made = changes(desk, Path(jobs[name]).with_suffix(".plan").name)
        first = first or made
        assert made == first, name
    desk.apply("workbook.plan")
    check(desk, whole, people)
    for name in jobs:
        assert desk.plan(jobs[name])["counts"]["unchanged"] == total


@pytest.mark.parametrize("name", [*WRITINGS, "workbook"])
def test_what_is_wrong_is_told_where_it_stands(desk: Desk, name: str) -> None:
    """A person nobody knows, a state that is no label, a date that is none, a phase of no project, a second
    row of one key: each is rejected with its line and its text, in every writing."""
    staff(desk)
    whole = firm(40)
    for row, (column, value) in enumerate(
        [(9, "nobody@northgate.test"), (5, "Vertagt"), (8, "31.02.2026"), (2, "77"), (0, "T-00000")], start=10
    ):
        whole.tasks[row + 1][column] = value
    made = job(desk, "wrong", sources(desk, name, whole.tables))
    assert desk.plan(made)["counts"]["rejected"] == 5
    rows = [row for row in desk.run("show", "wrong.plan", "--json").rows if row["reason"]]
    words = ["nobody@northgate.test", "Vertagt", "31.02.2026", "77", "T-00000"]
    assert all(word in row["reason"] for word, row in zip(words, rows, strict=True))
    places = [row["row"]["line"] for row in rows]
    assert places == sorted(set(places)) and places[0] >= 11
