"""Real exports that nobody here wrote, as whole migrations: every record and field against another reading.

What the tenant holds afterwards is compared with what plain `csv` makes of the same file. The files are not
part of this repository: where they are not beside it, these tests are skipped.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

    OwnDesk = Callable[..., Desk]

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
INCIDENTS = DATA / "servicenow-incident-events.csv"
OPEN_DATA = DATA / "open-data-500-mexico-companies.csv"
DATEV = DATA / "datev-master-data.csv"
pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in (INCIDENTS, OPEN_DATA, DATEV)),
    reason="the folder with published sample data is not here",
)


def day_first(text: str, zone: str) -> str:
    """`29-02-2016 01:16`, written in a zone, as the API tells it."""
    moment = datetime.strptime(text, "%d-%m-%Y %H:%M").replace(tzinfo=ZoneInfo(zone))
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


INCIDENT_JOB = """
version: 1
name: incidents
tenant: acme
missing: ["?"]
steps:
  - name: tickets
    entity: Tickets
    action: upsert
    source: {file: incidents.csv, distinct: {by: [number], keep: last}}
    match: [externalID]
    fields:
      externalID: number
      companyID: {value: Cobalt Freight Ltd., lookup: companyName}
      title: {template: "{{ category }} / {{ subcategory }}{% if u_symptom %}: {{ u_symptom }}{% endif %}"}
      description: {template: "Called by {{ caller_id }}\\n{{ location }}\\n{{ row['opened_by'] }}"}
      status: {column: incident_state, labels: {New: New, Active: In Progress, Closed: Complete}}
      priority:
        column: priority
        labels: {1 - Critical: Critical, 2 - High: High, 3 - Moderate: Medium, 4 - Low: Low}
      source: contact_type
      dueDateTime: {column: resolved_at, date: "%d-%m-%Y %H:%M", timezone: Europe/Madrid}
      estimatedHours: sys_mod_count
      assignedResourceID: {column: assigned_to, lookup: userName}
      assignedResourceRoleID: {template: "{% if assigned_to %}Engineer{% endif %}", lookup: name}
    udf:
      Legacy ID: number
      Reviewed On: {column: opened_at, date: "%d-%m-%Y %H:%M"}
      Customer Ranking: {column: impact, labels: {1 - High: Golden, 2 - Medium: Silver, 3 - Low: Bronze}}
    ignore: TICKETS
  - name: notes
    entity: TicketNotes
    action: upsert
    source: {file: incidents.csv, distinct: {by: [number]}}
    match: [ticketID, title]
    fields:
      ticketID: {column: number, from: tickets}
      title: {value: History}
      noteType: {value: Task Notes}
      publish: {value: Internal Users Only}
      description: {template: "{{ closed_code }} by {{ resolved_by }} on {{ closed_at }}"}
    ignore: NOTES
"""
TICKET_COLUMNS = (
    "number", "category", "subcategory", "u_symptom", "caller_id", "location", "opened_by", "incident_state",
    "priority", "contact_type", "resolved_at", "sys_mod_count", "assigned_to", "opened_at", "impact",
)  # fmt: skip
NOTE_COLUMNS = ("number", "closed_code", "resolved_by", "closed_at")
PRIORITIES = {"1 - Critical": 4, "2 - High": 1, "3 - Moderate": 2, "4 - Low": 3}
RANKS = {"1 - High": "Golden", "2 - Medium": "Silver", "3 - Low": "Bronze"}


def test_an_incident_log_becomes_tickets_with_a_note_each(desk: Desk) -> None:
    """5,998 rows are 890 tickets in their last state: day-first dates in their zone, `?` as nothing, codes in
    labels, people with a role where there is one; and a note under each. Again: nothing to do."""
    with INCIDENTS.open(encoding="ascii", newline="") as file:
        events = list(csv.DictReader(file))
    last = {event["number"]: event for event in events}
    assert (len(events), len(last)) == (5998, 890)
    names = sorted({event["assigned_to"] for event in last.values()} - {"?"})
    people = dict(zip(names, desk.simulator.staff(*({"userName": name} for name in names)), strict=True))
    desk.write("incidents.csv", INCIDENTS.read_bytes())
    job = INCIDENT_JOB.replace("TICKETS", desk.ignoring(events[0], *TICKET_COLUMNS))
    desk.write("incidents.yaml", job.replace("NOTES", desk.ignoring(events[0], *NOTE_COLUMNS)))

    desk.migrate("incidents.yaml", create=2 * 890)

    tickets = desk.made("Tickets", "externalID", last)
    company = next(r["id"] for r in desk.simulator.rows("Companies") if r["companyName"].startswith("Cobalt"))
    role = next(row["id"] for row in desk.simulator.rows("Roles") if row["name"] == "Engineer")
    notes = {n["ticketID"]: n for n in desk.simulator.rows("TicketNotes") if n["title"] == "History"}
    for number, event in last.items():
        said = {name: "" if text == "?" else text for name, text in event.items()}
        symptom = f": {said['u_symptom']}" if said["u_symptom"] else ""
        person = people.get(event["assigned_to"])
        day, month, year = event["opened_at"][:10].split("-")
        expected = {
            "companyID": company,
            "title": f"{said['category']} / {said['subcategory']}{symptom}".strip(),
            "description": f"Called by {said['caller_id']}\n{said['location']}\n{said['opened_by']}".rstrip(),
            "status": 5,
            "priority": PRIORITIES[event["priority"]],
            "source": 2,
            "dueDateTime": day_first(said["resolved_at"], "Europe/Madrid") if said["resolved_at"] else None,
            "estimatedHours": float(event["sys_mod_count"]),
            "assignedResourceID": person,
            "assignedResourceRoleID": role if person else None,
            "udf:Legacy ID": number,
            "udf:Reviewed On": f"{year}-{month}-{day}T00:00:00.000Z",
            "udf:Customer Ranking": RANKS[event["impact"]],
        }
        assert not desk.differences(tickets[number], expected), number
        note = notes.pop(tickets[number]["id"])
        text = f"{said['closed_code']} by {said['resolved_by']} on {said['closed_at']}".strip()
        assert not desk.differences(note, {"description": text, "noteType": 3, "publish": 2}), number
    assert not notes


OPEN_DATA_JOB = """
version: 1
name: opendata
tenant: acme
missing: ["", "NA"]
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: ["udf:Legacy ID"]
    fields:
      companyName: company_name
      webAddress: url
      phone: {value: unknown}
      companyType: {value: Prospect}
      ownerResourceID: {value: iris.calloway@northgate.test, lookup: email}
      city: city
      state: state
      postalCode: zip_code
      countryID: {column: country, labels: {mx: Mexico}, lookup: name}
      additionalAddressInformation: full_time_employees
    udf:
      Legacy ID: company_name_id
      Description: description
      Example uses: example_uses
      Data impacts: data_impacts
      Data types: data_types
    ignore: COMPANIES
  - name: notes
    entity: CompanyNotes
    action: upsert
    source: {file: companies.csv}
    match: [companyID, name]
    fields:
      companyID: {column: company_name_id, from: companies}
      name: {value: Open Data 500}
      note: description
      actionType: {value: General}
      assignedResourceID: {value: iris.calloway@northgate.test, lookup: email}
      startDateTime: {column: last_updated, timezone: America/Mexico_City}
      endDateTime: {column: last_updated, timezone: America/Mexico_City}
    ignore: NOTES
"""
COMPANY_COLUMNS = {
    "company_name": "companyName", "url": "webAddress", "city": "city", "state": "state",
    "zip_code": "postalCode", "full_time_employees": "additionalAddressInformation",
    "company_name_id": "udf:Legacy ID", "description": "udf:Description", "example_uses": "udf:Example uses",
    "data_impacts": "udf:Data impacts", "data_types": "udf:Data types",
}  # fmt: skip


def test_long_texts_with_line_breaks_arrive_to_the_letter(own_desk: OwnDesk, tmp_path: Path) -> None:
    """105 companies from 965 lines, on a tenant that keeps what it is sent: quoted newlines, leading zeros,
    padding, `1-10` and `NA`, into user-defined fields and notes of 1,762 characters. Again: nothing to do."""
    texts = ("Description", "Example uses", "Data impacts", "Data types")
    extra = {"udf": {"Companies": [{"name": name, "length": 8000} for name in texts]}}
    (tmp_path / "udf.json").write_text(json.dumps(extra))
    desk = own_desk("--load", tmp_path / "udf.json", "--switch", "trim=off")
    with OPEN_DATA.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 105 and any("\r\n" in row["example_uses"] for row in rows)
    desk.write("companies.csv", OPEN_DATA.read_bytes())
    job = OPEN_DATA_JOB.replace("COMPANIES", desk.ignoring(rows[0], *COMPANY_COLUMNS, "country"))
    note_columns = ("company_name_id", "description", "last_updated")
    desk.write("opendata.yaml", job.replace("NOTES", desk.ignoring(rows[0], *note_columns)))

    desk.migrate("opendata.yaml", create=2 * 105)

    companies = desk.made("Companies", "companyName", [row["company_name"] for row in rows])
    notes = {row["companyID"]: row for row in desk.simulator.rows("CompanyNotes") if row["name"]}
    for row in rows:
        said = {name: "" if text.strip() == "NA" else text for name, text in row.items()}
        company = companies[row["company_name"]]
        assert not desk.differences(
            company, {field: said[column] or None for column, field in COMPANY_COLUMNS.items()}
        )
        assert (company["countryID"], company["phone"], company["companyType"]) == (144, "unknown", 3)
        moment = datetime.fromisoformat(row["last_updated"]).replace(tzinfo=ZoneInfo("America/Mexico_City"))
        when = moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        note = notes.pop(company["id"])
        assert not desk.differences(
            note, {"note": row["description"], "startDateTime": when, "endDateTime": when}
        )
    assert not notes


SHORT_JOB = """
version: 1
name: short
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: company_name_id
      companyName: company_name
      phone: {value: unknown}
      companyType: {value: Prospect}
      ownerResourceID: {value: 4}
    ignore: COMPANIES
  - name: projects
    entity: Projects
    action: upsert
    source: {file: companies.csv}
    match: [extProjectNumber]
    fields:
      extProjectNumber: {column: year_founded, default: none}
      projectName: company_name
      companyID: {column: company_name_id, from: companies}
      projectType: {value: Client}
      status: {value: New}
      startDateTime: {column: last_updated}
      endDateTime: {value: 2026-01-01}
    ignore: PROJECTS
"""


def test_keys_that_are_too_long_fall_with_what_needs_them(desk: Desk) -> None:
    """The same list by `companyNumber`, which takes 50 characters: five rows are named with line and column
    before any tenant is asked; in the plan they fall, and the rows that need them say so."""
    desk.write("companies.csv", OPEN_DATA.read_bytes())
    with OPEN_DATA.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    long = [row["company_name_id"] for row in rows if len(row["company_name_id"]) > 50]
    assert len(long) == 5
    columns = ("company_name_id", "company_name")
    job = SHORT_JOB.replace("COMPANIES", desk.ignoring(rows[0], *columns))
    desk.write(
        "short.yaml",
        job.replace("PROJECTS", desk.ignoring(rows[0], *columns, "year_founded", "last_updated")),
    )
    offline = desk.run("validate", "short.yaml", code=4).out
    assert offline.count("characters, the field takes 50") == 5
    assert all(f"'{name[:40]}" in offline for name in long)
    desk.plan("short.yaml")
    shown = desk.run("show", "short.plan", "--json").rows
    fallen = {row["row"]["line"] for row in shown if row["step"] == "companies" and row["reason"]}
    needing = [
        row for row in shown if row["step"] == "projects" and "which it needs" in (row["reason"] or "")
    ]
    assert len(fallen) == 5 and {row["row"]["line"] for row in needing} == fallen


DATEV_JOB = """
version: 1
name: datev
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: datev.csv, header_row: 2}
    match: [companyNumber]
    fields:
      companyNumber: Konto
      companyName:
        template: >-
          {{ row['Name (Adressatentyp Unternehmen)'] or row['Vorname (Adressatentyp natürl. Person)']
          ~ ' ' ~ row['Name (Adressatentyp natürl. Person)'] }}
      companyType: {column: Adressatentyp, labels: {1: Prospect, 2: Customer}}
      ownerResourceID: {value: 4}
      phone: {column: Telefon, default: unknown}
      fax: Fax
      address1: Straße
      postalCode: Postleitzahl
      city: Ort
      webAddress: Internet
      countryID: {column: Land, lookup: countryCode}
    ignore: COMPANIES
  - name: contacts
    entity: Contacts
    action: upsert
    source: {file: datev.csv, header_row: 2, encoding: cp1252, delimiter: ";"}
    match: [companyID, externalID]
    fields:
      companyID: {column: Konto, from: companies}
      externalID: Konto
      firstName: {column: "Vorname (Adressatentyp natürl. Person)", default: Zentrale}
      lastName: {column: "Name (Adressatentyp natürl. Person)", default: Zentrale}
      emailAddress: E-Mail
      title: {template: "{{ Anrede }} {{ row['Titel/Akad. Grad'] }}"}
      isActive: {value: 1}
    ignore: CONTACTS
"""
FIRM, LAST, FIRST = (
    "Name (Adressatentyp Unternehmen)", "Name (Adressatentyp natürl. Person)",
    "Vorname (Adressatentyp natürl. Person)",
)  # fmt: skip
DATEV_COLUMNS = {
    "Konto": "companyNumber", "Fax": "fax", "Straße": "address1", "Postleitzahl": "postalCode", "Ort": "city",
    "Internet": "webAddress",
}  # fmt: skip


def test_a_western_export_below_a_preamble_becomes_companies_and_contacts(desk: Desk) -> None:
    """cp1252 and semicolons are found, the record above the header is passed over; umlauts, two spaces and
    a constant where a company has no person. Two steps read the one file. Again: nothing to do."""
    lines = DATEV.read_text("cp1252").splitlines()
    header, *records = list(csv.reader(lines[1:], delimiter=";"))
    rows = [dict(zip(header, cells, strict=True)) for cells in records]
    assert (len(header), len(rows)) == (254, 4)
    desk.write("datev.csv", DATEV.read_bytes())
    job = DATEV_JOB.replace(
        "CONTACTS", desk.ignoring(header, "Konto", FIRST, LAST, "E-Mail", "Anrede", "Titel/Akad. Grad")
    )
    used = (*DATEV_COLUMNS, FIRM, FIRST, LAST, "Adressatentyp", "Telefon", "Land")
    desk.write("datev.yaml", job.replace("COMPANIES", desk.ignoring(header, *used)))

    desk.migrate("datev.yaml", create=8)

    companies = desk.made("Companies", "companyNumber", [row["Konto"] for row in rows])
    contacts = desk.made("Contacts", "externalID", [row["Konto"] for row in rows])
    germany = next(row["id"] for row in desk.simulator.rows("Countries") if row["countryCode"] == "DE")
    for row in rows:
        company = companies[row["Konto"]]
        expected: dict[str, Any] = {field: row[column] or None for column, field in DATEV_COLUMNS.items()}
        expected["companyName"] = row[FIRM] or f"{row[FIRST]} {row[LAST]}"
        expected["companyType"] = {"1": 3, "2": 1}[row["Adressatentyp"]]
        expected["phone"] = row["Telefon"] or "unknown"
        expected["countryID"] = germany if row["Land"] else None
        assert not desk.differences(company, expected)
        person = {
            "companyID": company["id"],
            "firstName": row[FIRST] or "Zentrale",
            "lastName": row[LAST] or "Zentrale",
            "emailAddress": row["E-Mail"] or None,
            "title": f"{row['Anrede']} {row['Titel/Akad. Grad']}".strip() or None,
            "isActive": 1,
        }
        assert not desk.differences(contacts[row["Konto"]], person)
    assert companies["70003"]["companyName"] == "Scary Kitten  AG"
