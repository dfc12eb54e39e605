"""Whatever is wrong with a job, its sources and its rows is told in one run, each with its place, once."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openpyxl import Workbook

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

FAULTY = """\
version: 1
name: everything
tenant: acme
colour: red
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv, delimiter: ","}
    match: [companyNumber]
    fields:
      companyNumber: Number
      companyName: Name
      phone: Phone
      companyType: {value: Custmer}
      ownerResourceID: {value: 4}
      createDate: Since
    udf:
      Legacy Nr: Number
  - name: contacts
    entity: Contcts
    action: upsert
    source: {file: contacts.csv}
    match: [companyID, emailAddress]
    fields:
      companyID: {column: Client, from: companies}
      emailAddress: Mail
      firstName: Frist
      lastName: Last
      isActive: {value: 1}
  - name: projects
    entity: Projects
    action: update
    source: {file: book.xlsx, sheet: Projcts}
    match: [extProjectNumber]
    fields:
      extProjectNumber: Number
      projectLead: {column: Lead, lookup: email}
  - name: phases
    entity: Phases
    action: create
    source: {file: book.xlsx, sheet: Merged}
    match: [externalID]
    fields:
      externalID: Code
      projectID: {column: Project, from: projects}
      title: Title
      parentPhaseID: {column: Task, from: tasks}
  - name: tasks
    entity: Tasks
    action: upserd
    source: {file: tasks.csv}
    match: [externalID]
    fields:
      externalID: Key
      title: Title
      projectID: {column: Project, from: projects}
      phaseID: {column: Phase, from: phases}
      startDateTime: {column: Start, date: "%d/%m/%Y %H:%M", timezone: Europe/Madird}
      endDateTime: {column: End, date: "%d/%m/%Y"}
      assignedResourceID: {column: Who, lookup: email, from: people}
  - name: tickets
    entity: Tickets
    action: create
    source: {file: tickets.csv}
    match: [externalID]
    fields:
      externalID: Key
      title: Title
      companyID: {value: 0}
      status: {value: New}
      priority: {value: 1}
      issueType: {column: Issue}
      subIssueType: {column: Sub}
      dueDateTime: {column: Due, date: "%d/%m/%Y %H:%M", timezone: Europe/Madrid}
      assignedResourceID: {column: Who, lookup: email}
      assignedResourceRoleID: {column: Role, lookup: name}
  - name: notes
    entity: TicketNotes
    action: create
    source: {file: ticket.csv}
    fields:
      ticketID: {column: Key, from: tickets}
      title: Title
      description: Title
      noteType: {value: 1}
      publish: {value: 1}
"""
OF_THE_JOB: list[tuple[int, list[str]]] = [
    (4, ["has no key `colour`"]),
    (9, ["companies.csv: read with `,` as delimiter", 'delimiter: ";"']),
    (15, ["'Custmer' is no value of companyType", "'Customer'"]),
    (17, ["createDate is read-only"]),
    (19, ["no user-defined field `Legacy Nr`", "`Legacy ID`"]),
    (20, ["the column `Colour` of contacts.csv is neither used nor ignored"]),
    (21, ["`Contcts` is no entity", "`Contacts`"]),
    (28, ["contacts.csv has no column `Frist`", "`First`"]),
    (34, ["book.xlsx: has no sheet `Projcts`", "`Projects`"]),
    (38, ["Projects has no field `projectLead`", "`projectLeadResourceID`"]),
    (42, ["sheet Merged:1: the header has merged cells: B1:C1", "Unmerge them"]),
    (48, ["which comes later (line 49)", "a cycle, phases → tasks → phases"]),
    (51, ["not `upserd`", "`upsert`"]),
    (59, ["`Europe/Madird` is no time zone", "`Europe/Madrid`"]),
    (61, ["`lookup` and `from` exclude each other"]),
    (61, ["names `people`, which is no step"]),
    (81, ["ticket.csv: there is no such file", "'tickets.csv'"]),
]
TOLD_BY_THE_TENANT = (15, 19)  # lines
OF_THE_ROWS: list[tuple[str, list[str]]] = [
    ("tasks.csv:2", ["column End '30/02/2026'", "no date of the calendar"]),
    ("tasks.csv:3", ["column Key 'T1'", "tasks.csv:2 has this key too"]),
    ("tickets.csv:2", ["column Title 'ttt", "has 300 characters, the field takes 255"]),
    ("tickets.csv:2", ["column Due '31/02/2026 10:00'", "no date of the calendar"]),
    ("tickets.csv:2", ["column Who 'jonas.weber@northgate.test'", "(Jonas Weber) is inactive"]),
    ("tickets.csv:3", ["column Sub 'Installation'", "only where it is Software"]),
    ("tickets.csv:3", ["column Due '25/10/2026 02:30'", "was twice in Europe/Madrid"]),
    ("tickets.csv:3", ["column Role 'Consultant'", "is inactive"]),
    ("tickets.csv:4", ["column Key 'k2'", "tickets.csv:3 has this key too"]),
]
ASKED_OF_THE_TENANT = ("column Who", "column Role", "column Sub")
TICKETS = (
    ("Key", "Title", "Issue", "Sub", "Due", "Who", "Role"),
    ("K1", "t" * 300, "Computer", "Slow", "31/02/2026 10:00", "jonas.weber@northgate.test", "Engineer"),
    ("K2", "two", "Computer", "Installation", "25/10/2026 02:30", "daniel.osei@northgate.test", "Consultant"),
    ("k2 ", "three", "Computer", "", "25/10/2026 12:30", "", ""),
    ("K3", "good", "Computer", "Slow", "25/10/2026 12:30", "", ""),
)


def workbook(path: Path) -> None:
    book = Workbook()
    book.worksheets[0].title = "Projects"
    book.worksheets[0].append(["Number", "Lead"])
    book.worksheets[0].append(["P1", "x"])
    sheet = book.create_sheet("Merged")
    sheet.append(["Code", "Project", None, "Title", "Task"])
    sheet.append(["a", "b", "c", "d", "e"])
    sheet.merge_cells("B1:C1")
    book.save(path)


@pytest.fixture
def faulty(desk: Desk) -> Desk:
    """A desk with a job of seven steps, each of which is wrong in its own way."""
    desk.write("everything.yaml", FAULTY)
    desk.write("companies.csv", "Number;Name;Phone;Since\n1;Alder, Ltd;5;2020\n2;Beta;5;2020\n")
    desk.table("contacts.csv", ("Client", "Mail", "First", "Last", "Colour"), ("1", "a@x", "A", "B", "red"))
    desk.table(
        "tasks.csv",
        ("Key", "Title", "Project", "Phase", "Start", "End", "Who"),
        ("T1", "a", "P1", "X", "01/02/2026 10:00", "30/02/2026", ""),
        ("T1", "b", "P1", "X", "01/02/2026 10:00", "01/02/2026", ""),
    )
    desk.table("tickets.csv", *TICKETS)
    workbook(desk.folder / "book.xlsx")
    return desk


def lines_with(said: list[str], *parts: str) -> list[str]:
    return [line for line in said if all(part in line for part in parts)]


def test_all_that_stops_a_plan_is_told_in_one_run(faulty: Desk) -> None:
    """Job, entities, mapping, sources and rows: one message each, with its place; nothing else, no write."""
    said = faulty.run("plan", "everything.yaml", code=1).err.splitlines()
    for line, parts in OF_THE_JOB:
        told = lines_with(said, f"everything.yaml:{line}:", *parts)
        assert len(told) == 1, (line, parts, said)
    for place, parts in OF_THE_ROWS:
        assert len(lines_with(said, f"{place}: ", *parts)) == 1, (place, parts, said)
    assert len(said) == len(OF_THE_JOB) + len(OF_THE_ROWS) + 1, said
    assert said[-1] == "17 faults, and 5 of 6 rows at fault; nothing was planned or written."
    assert faulty.simulator.writes() == 0
    assert not list(faulty.folder.glob("*.plan*"))


def test_offline_the_same_is_told_but_for_what_the_tenant_knows(faulty: Desk) -> None:
    """By the same words, in the same order, without a tenants file."""
    (faulty.folder / "bulkops.toml").unlink()
    said = faulty.run("validate", "everything.yaml", code=1).err.splitlines()
    for line, parts in OF_THE_JOB:
        expected = 0 if line in TOLD_BY_THE_TENANT else 1
        assert len(lines_with(said, f"everything.yaml:{line}:", *parts)) == expected, parts
    for place, parts in OF_THE_ROWS:
        expected = 0 if parts[0].startswith(ASKED_OF_THE_TENANT) else 1
        assert len(lines_with(said, f"{place}: ", *parts)) == expected, parts
    told = json.loads(faulty.run("validate", "everything.yaml", "--json", code=1).out)
    assert (told["valid"], told["rows"], told["rows_at_fault"]) == (False, 6, 5)
    for fault, text in zip(told["faults"], said, strict=False):
        assert text.startswith(f"{fault['where']}: {fault['message']}") and text.endswith(fault["hint"])
    assert {(row["row"]["file"], row["row"]["line"]) for row in told["row_faults"]} == {
        ("tasks.csv", 2), ("tasks.csv", 3), ("tickets.csv", 2), ("tickets.csv", 3), ("tickets.csv", 4),
    }  # fmt: skip


def test_a_tenant_that_is_wrong_hides_nothing_of_the_job(faulty: Desk) -> None:
    """What can be told without it is told, and what is wrong with it comes last."""
    faulty.write("everything.yaml", FAULTY.replace("tenant: acme", "tenant: acne"))
    said = faulty.run("plan", "everything.yaml", code=1).err.splitlines()
    assert lines_with(said, "everything.yaml:34:", "Projcts")
    assert lines_with(said, "acne", "bulkops.toml")
    assert lines_with(said, "tickets.csv:4:", "has this key too")
    assert not lines_with(said, "Traceback")


ROWS_AT_FAULT = """\
version: 1
name: rows
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Number
      companyName: Name
      phone: Phone
      companyType: {value: Customer}
      ownerResourceID: {value: 4}
      parentCompanyID: {column: Above, from: companies}
  - name: tickets
    entity: Tickets
    action: upsert
    source: {file: tickets.csv}
    match: [externalID]
    fields:
      externalID: Key
      title: Title
      companyID: {value: 0}
      status: {value: New}
      priority: {value: 1}
      issueType: {column: Issue}
      subIssueType: {column: Sub}
      dueDateTime: {column: Due, date: "%d/%m/%Y %H:%M", timezone: Europe/Madrid}
      assignedResourceID: {column: Who, lookup: email}
      assignedResourceRoleID: {column: Role, lookup: name}
"""


def test_all_that_rejects_rows_is_told_in_one_plan(desk: Desk) -> None:
    """The job is good, so it is planned: every row with all that is wrong with it, the others as they are."""
    desk.write("rows.yaml", ROWS_AT_FAULT)
    desk.table("tickets.csv", *TICKETS)
    desk.table(
        "companies.csv",
        ("Number", "Name", "Phone", "Above"),
        ("R-1", "One", "5", "R-2"), ("R-2", "Two", "5", "R-1"), ("R-3", "Three", "5", "R-9"),
        ("R-4", "Four", "5", ""), ("r-4", "Four again", "5", ""),
    )  # fmt: skip
    said = desk.run("plan", "rows.yaml").out
    assert "Plan: 2 to create, 0 to update, 0 to delete, 0 unchanged, 7 rejected." in said
    changes = {
        f"{row['row']['file']}:{row['row']['line']}": row
        for row in desk.run("show", "rows.plan", "--json").rows
    }
    expected = [
        ("companies.csv:2", ["need each other in a cycle"]),
        ("companies.csv:3", ["need each other in a cycle"]),
        ("companies.csv:4", ["column Above 'R-9'", "no row of the step companies"]),
        ("companies.csv:6", ["row 4 (companies.csv:5) has companyNumber"]),
        *OF_THE_ROWS[2:-1],
        ("tickets.csv:4", ["(tickets.csv:3)", "externalID 'k2"]),
    ]
    for place, parts in expected:
        assert changes[place]["action"] == "rejected"
        for part in parts:
            assert part in changes[place]["reason"], (place, changes[place])
            assert part in said
    assert {place for place, row in changes.items() if row["action"] == "create"} == {
        "companies.csv:5",
        "tickets.csv:5",
    }


MANY = 50_000


def test_many_rows_at_fault_are_told_in_few_lines(desk: Desk) -> None:
    """By reason, with how many and the first places; every single one with --json."""
    header = ("No", "Name", "Phone", "City")
    rows = [(f"K-{n}", "x" * (101 + n % 7), "5", "y" * 60 if n % 3 else "Rome") for n in range(MANY)]
    desk.customers(1)
    with (desk.folder / "customers.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [header, *rows, ("K-1", "good", "5", "Rome"), ("K-8", "good", "5", "Rome", "!")]
        )
    said = desk.run("validate", "customers.yaml", code=4).out
    assert len(said.splitlines()) < 20 and len(said) < 5000, said
    assert f"{MANY:,} times: column Name 'xxx" in said
    assert "has … characters, the field takes 100" in said
    assert "customers.csv:2; customers.csv:3; customers.csv:4; and 49,997 more" in said
    assert "customers.csv:50002: column No 'K-1': customers.csv:3 has this key too" in said
    assert "customers.csv:50003: line 50003 has 5 cells" in said
    assert "0 of 50,002 rows can be planned" in said and "--json" in said
    told: dict[str, Any] = json.loads(desk.run("validate", "customers.yaml", "--json", code=4).out)
    assert told["valid"] and told["rows_at_fault"] == told["rows"] == MANY + 2
    assert len([row for row in told["row_faults"] if row["column"] == "Name"]) == MANY
    assert told["row_faults"][0] == {
        "step": "customers", "row": {"file": "customers.csv", "line": 2}, "column": "Name",
        "value": "x" * 101, "field": "companyName", "message": "has 101 characters, the field takes 100",
    }  # fmt: skip


def test_many_rejected_rows_of_a_plan_are_told_in_few_lines(desk: Desk) -> None:
    """Like ones together, whatever values they have: the counts add up to the rows."""
    rows = [(f"K-{n}", "x" * (101 + n % 7), f"{n}", "Rome" if n % 5 else "y" * 70) for n in range(600)]
    desk.customers(1)
    desk.table("customers.csv", ("No", "Name", "Phone", "City"), *rows)
    said = desk.run("plan", "customers.yaml").out
    assert len(said.splitlines()) < 20, said
    assert "(customers.csv:2) and 119 more for a like reason" in said
    assert "(customers.csv:3) and 479 more for a like reason" in said


@pytest.mark.parametrize(
    ("written", "read", "likely"),
    [
        (";", "{file: customers.csv, delimiter: ','}", '";"'),
        (",", "{file: customers.csv, delimiter: ';'}", '","'),
        ("\t", "{file: customers.csv, delimiter: ','}", "tab"),
        ("^", "{file: customers.csv}", '"^"'),
    ],
    ids=["semicolon", "comma", "tab", "another sign"],
)
def test_a_misread_delimiter_is_one_message(desk: Desk, written: str, read: str, likely: str) -> None:
    """It names the likely one, and no column is said to be missing."""
    job = desk.folder / desk.customers(3)
    desk.write("customers.yaml", job.read_text("utf-8").replace("{file: customers.csv}", read))
    data = (desk.folder / "customers.csv").read_text("utf-8")
    desk.write("customers.csv", data.replace(",", written))
    for command in ("plan", "validate"):
        said = desk.refused(command, "customers.yaml").splitlines()
        assert len(said) == 2 and f"delimiter: {likely}" in said[0] and "customers.yaml:8: " in said[0], said


def test_a_time_without_offset_is_read_as_utc_and_said_so(desk: Desk) -> None:
    """Once a field, by `plan` and `validate`, with the way out; not where the text or the job tells."""
    desk.write("rows.yaml", ROWS_AT_FAULT.replace(", timezone: Europe/Madrid", ""))
    desk.table("companies.csv", ("Number", "Name", "Phone", "Above"), ("R-1", "One", "5", ""))
    desk.table("tickets.csv", TICKETS[0], *((f"N{n}", *TICKETS[4][1:]) for n in range(3)))
    for command in ("plan", "validate"):
        said = desk.run(command, "rows.yaml").out
        told = [line for line in said.splitlines() if "Warning: tickets" in line]
        (warning,) = [line for line in told if "offset" in line]
        for part in ("dueDateTime", "column Due", "25/10/2026 12:30", "UTC", "timezone: Europe/Madrid"):
            assert part in warning
    assert [told for told in desk.plan("rows.yaml")["warnings"] if "offset" in told] == [
        warning.strip().removeprefix("Warning: ")
    ]
    desk.table("tickets.csv", TICKETS[0], ("N1", *TICKETS[4][1:4], "2026-10-25T02:30:00+02:00", "", ""))
    assert [told for told in desk.plan("rows.yaml")["warnings"] if "offset" in told] == []
    desk.write("rows.yaml", ROWS_AT_FAULT)
    desk.table("tickets.csv", *(TICKETS[0], TICKETS[4]))
    assert "Warning" not in desk.run("validate", "rows.yaml").out


def test_a_file_that_fails_on_the_way_is_told_with_the_rows(desk: Desk) -> None:
    """An open quote in the middle of one file, bad rows in another: both in one run."""
    desk.write("rows.yaml", ROWS_AT_FAULT)
    desk.table("tickets.csv", *TICKETS)
    desk.write("companies.csv", 'Number,Name,Phone,Above\nR-1,One,5,\nR-2,"Two,5,\nR-3,Three,5,\n')
    for command in ("plan", "validate"):
        said = desk.run(command, "rows.yaml", code=1).err.splitlines()
        assert len(lines_with(said, "rows.yaml:8: companies.csv:3: a quote opened in this line")) == 1, said
        assert lines_with(said, "tickets.csv:2: column Title")
    assert not list(desk.folder.glob("*.plan*"))
