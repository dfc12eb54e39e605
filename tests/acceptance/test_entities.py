"""create, update, upsert and delete of several entities, roots and children, through the whole way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk


def job(desk: Desk, entity: str, action: str, fields: str, *, match: str = "", more: str = "") -> str:
    """A job with one step that reads rows.csv; returns its file's name."""
    desk.write(
        "job.yaml",
        "version: 1\nname: job\ntenant: acme\nsteps:\n  - name: rows\n"
        f"    entity: {entity}\n    action: {action}\n    source: {{file: rows.csv}}\n"
        + (f"    match: [{match}]\n" if match else "")
        + f"    fields: {{{fields}}}\n{more}",
    )
    return "job.yaml"


def by(desk: Desk, entity: str, field: str) -> dict[Any, dict[str, Any]]:
    return {row[field]: row for row in desk.simulator.rows(entity)}


def test_labels_dates_numbers_and_people_arrive_as_the_api_wants_them(desk: Desk) -> None:
    """Projects: a lookup, labels of the job and of the picklist, defaults, calendar dates, templates; a
    second plan changes nothing."""
    desk.table(
        "rows.csv",
        ("Id", "Name", "Client", "State", "Start", "End", "Hours", "Lead", "Notes"),
        ("0007", "Öffnung", "Cobalt Freight Ltd", "Open", "29/02/2024", "31/03/2024", "1.250,5",
         "PRIYA.RAMAN@northgate.test", "first\nsecond"),
        ("0008", "Umzug", "cobalt freight ltd ", "Done", "01/03/2024", "02/03/2024", "", "", ""),
        ("0009", "Nowhere", "No Such Client", "Open", "01/03/2024", "02/03/2024", "", "", ""),
        ("0010", "Backwards", "Cobalt Freight Ltd", "Open", "31/02/2024", "02/03/2024", "x", "", ""),
    )  # fmt: skip
    client = next(row for row in desk.simulator.rows("Companies") if row["companyName"].startswith("Cobalt"))
    desk.simulator.call(
        "edit/Companies", {"items": [{"id": client["id"], "companyName": "Cobalt Freight Ltd"}]}
    )
    job(
        desk, "Projects", "upsert",
        """
      extProjectNumber: Id,
      projectName: Name,
      companyID: {column: Client, lookup: companyName},
      status: {column: State, labels: {Open: New, Done: Complete}, default: New},
      projectType: {value: Client},
      startDateTime: {column: Start, date: "%d/%m/%Y"},
      endDateTime: {column: End, date: "%d/%m/%Y"},
      estimatedSalesCost: {column: Hours, number: {decimal: ",", thousands: "."}},
      projectLeadResourceID: {column: Lead, lookup: email},
      description: {template: "{{ Notes }} (was {{ Id }})"}""",
        match="extProjectNumber",
    )  # fmt: skip
    plan = desk.plan("job.yaml")
    assert plan["counts"] == {"create": 2, "update": 0, "delete": 0, "unchanged": 0, "rejected": 2}
    reasons = [row["reason"] for row in desk.run("show", "job.plan", "--json").rows if row["reason"]]
    assert "No Such Client" in reasons[0] and "companyName" in reasons[0]
    assert "31/02/2024" in reasons[1] and "'x'" in reasons[1]
    desk.apply("job.plan", code=4)
    made = by(desk, "Projects", "extProjectNumber")
    first = made["0007"]
    assert (first["projectName"], first["companyID"]) == ("Öffnung", client["id"])
    assert first["startDateTime"].startswith("2024-02-29T00:00:00")
    assert first["estimatedSalesCost"] == 1250.5
    assert first["description"].split() == ["first", "second", "(was", "0007)"]
    people = by(desk, "Resources", "email")
    assert first["projectLeadResourceID"] == people["priya.raman@northgate.test"]["id"]
    assert made["0008"]["projectLeadResourceID"] is None
    assert {made["0007"]["status"], made["0008"]["status"]} == {1, 5}
    assert "0009" not in made and "0010" not in made
    assert desk.plan("job.yaml")["counts"] == {
        "create": 0,
        "update": 0,
        "delete": 0,
        "unchanged": 2,
        "rejected": 2,
    }


def test_children_are_made_under_their_parents(desk: Desk) -> None:
    """Tasks with their phase and their person, by the parent's path; matched by a key, again unchanged."""
    project = desk.simulator.rows("Projects")[0]["id"]
    [phase] = desk.simulator.load("Phases", {"projectID": project, "title": "Fit out"})
    desk.table(
        "rows.csv",
        ("Key", "Project", "Phase", "Title", "Hours", "Code"),
        *((f"L-{n}", project, "Fit out", f"Task {n}", "1,5", "Engineering") for n in range(1, 6)),
        ("L-6", "999999", "Fit out", "Nobody's", "1", "Engineering"),
    )
    job(
        desk, "Tasks", "create",
        """
      externalID: Key,
      projectID: Project,
      phaseID: {columns: [Project, Phase], lookup: [projectID, title]},
      title: Title,
      status: {value: New},
      taskType: {value: 1},
      estimatedHours: {column: Hours, number: {decimal: ","}},
      billingCodeID: {column: Code, lookup: name}""",
        match="externalID",
    )  # fmt: skip
    code = desk.simulator.rows("BillingCodes")[0]
    text = (desk.folder / "rows.csv").read_text().replace("Engineering", code["name"])
    desk.write("rows.csv", text)
    counts = desk.plan("job.yaml")["counts"]
    assert (counts["create"], counts["rejected"]) == (5, 1)
    desk.apply("job.plan", code=4)
    made = by(desk, "Tasks", "externalID")
    assert {key for key in made if key and key[0] == "L"} == {f"L-{n}" for n in range(1, 6)}
    assert all(made[f"L-{n}"]["projectID"] == project for n in range(1, 6))
    assert made["L-1"]["phaseID"] == made["L-2"]["phaseID"] == phase
    assert made["L-1"]["estimatedHours"] == 1.5 and made["L-1"]["billingCodeID"] == code["id"]
    creates = [call["path"] for call in desk.simulator.log() if call["method"] == "POST" and call["item_id"]]
    assert len(creates) == 5 and all(path.endswith(f"/Projects/{project}/Tasks") for path in creates)
    again = desk.plan("job.yaml")["counts"]
    assert (again["create"], again["rejected"]) == (0, 6)  # a key that exists is not created once more


def test_empty_cells_clear_leave_alone_or_reject_as_the_job_says(desk: Desk) -> None:
    """Updates by id send changed fields only; unknown ids are rejected."""
    ids = desk.simulator.load(
        "Companies",
        *(
            {"companyName": f"Old {n}", "phone": "1", "fax": "2", "city": "Rome", "companyType": 1}
            for n in range(3)
        ),
    )
    desk.table(
        "rows.csv", ("Id", "Phone", "Fax", "City"),
        (ids[0], "555", "", ""), (ids[1], "", "", "Oslo"), (ids[2], 1, 2, "Rome"), (987654, "5", "5", "Nice"),
    )  # fmt: skip
    job(
        desk, "Companies", "update",
        "id: Id, phone: {column: Phone, empty: reject}, fax: {column: Fax, empty: clear}, city: City",
        match="id",
    )  # fmt: skip
    plan = desk.plan("job.yaml")
    assert plan["counts"] == {"create": 0, "update": 1, "delete": 0, "unchanged": 1, "rejected": 2}
    first = desk.run("show", "job.plan", "--json").rows[0]
    assert first["id"] == ids[0]
    assert first["fields"] == {
        "phone": {"before": "1", "after": "555"},
        "fax": {"before": "2", "after": None},
    }
    desk.apply("job.plan", code=4)
    rows = by(desk, "Companies", "id")
    assert (rows[ids[0]]["phone"], rows[ids[0]]["fax"], rows[ids[0]]["city"]) == ("555", None, "Rome")
    assert (rows[ids[1]]["phone"], rows[ids[1]]["city"]) == ("1", "Rome")


@pytest.mark.parametrize("entity", ["CompanyLocations", "TimeEntries", "Contacts"])
def test_what_is_named_is_deleted_and_nothing_else(desk: Desk, entity: str) -> None:
    """Deletes by key, child entities through their parent's path; what is not there is rejected."""
    company = desk.simulator.rows("Companies")[1]["id"]
    rows: list[dict[str, Any]] = {
        "CompanyLocations": [{"companyID": company, "name": f"Branch {n}"} for n in range(40)],
        "Contacts": [
            {"companyID": company, "firstName": "A", "lastName": f"Branch {n}", "isActive": 1}
            for n in range(40)
        ],
        "TimeEntries": [
            {"resourceID": 4, "summaryNotes": f"Branch {n}", "hoursWorked": 1} for n in range(40)
        ],
    }[entity]
    ids = desk.simulator.load(entity, *rows)
    desk.table("rows.csv", ("Id",), (ids[3],), (ids[30],), (55_555_555,))
    job(desk, entity, "delete", "id: Id", match="id")
    before = len(desk.simulator.rows(entity))
    plan = desk.plan("job.yaml")
    assert plan["counts"] == {"create": 0, "update": 0, "delete": 2, "unchanged": 0, "rejected": 1}
    desk.apply("job.plan", code=4)
    left = {row["id"] for row in desk.simulator.rows(entity)}
    assert len(left) == before - 2 and ids[3] not in left and ids[30] not in left
    deletes = [call["path"] for call in desk.simulator.log() if call["method"] == "DELETE"]
    assert len(deletes) == 2
    if entity != "TimeEntries":
        assert all(f"/Companies/{company}/" in path for path in deletes)


def test_contacts_are_upserted_by_a_composite_key(desk: Desk) -> None:
    """The same address in two companies is two contacts; one exists and is updated."""
    companies = [row["id"] for row in desk.simulator.rows("Companies")[1:3]]
    mail = "info@shared.test"
    [known] = desk.simulator.load(
        "Contacts",
        {
            "companyID": companies[0],
            "firstName": "Old",
            "lastName": "Name",
            "emailAddress": mail,
            "isActive": 1,
        },
    )
    desk.table(
        "rows.csv", ("Company", "First", "Last", "Mail"),
        (companies[0], "New", "Name", mail.upper()), (companies[1], "Other", "Person", mail),
    )  # fmt: skip
    job(
        desk, "Contacts", "upsert",
        "companyID: Company, firstName: First, lastName: Last, emailAddress: Mail, isActive: {value: 1}",
        match="companyID, emailAddress", more="limits: {update: {percent: 100}}\n",
    )  # fmt: skip
    assert desk.plan("job.yaml")["counts"] == {
        "create": 1,
        "update": 1,
        "delete": 0,
        "unchanged": 0,
        "rejected": 0,
    }
    desk.apply("job.plan")
    rows = [row for row in desk.simulator.rows("Contacts") if (row["emailAddress"] or "").lower() == mail]
    assert {(row["companyID"], row["firstName"]) for row in rows} == {
        (companies[0], "New"),
        (companies[1], "Other"),
    }
    assert {row["id"] for row in rows if row["firstName"] == "New"} == {known}


def test_an_ambiguous_name_is_never_guessed(desk: Desk) -> None:
    """Two people of one name: the row is rejected and both candidates are named."""
    desk.table("rows.csv", ("No", "Owner"), ("N-1", "Santos"))
    job(
        desk, "Companies", "create",
        "companyNumber: No, companyName: No, phone: No, companyType: {value: Customer},"
        " ownerResourceID: {column: Owner, lookup: lastName}",
        match="companyNumber",
    )  # fmt: skip
    desk.plan("job.yaml")
    [row] = desk.run("show", "job.plan", "--json").rows
    people = [str(row["id"]) for row in desk.simulator.rows("Resources") if row["lastName"] == "Santos"]
    assert row["action"] == "rejected" and len(people) == 2
    assert all(person in row["reason"] for person in people)


def test_a_plan_that_changes_too_much_is_refused_until_its_number_is_said(desk: Desk) -> None:
    """More than 25 % of the companies: `plan` warns, `apply` ends with 5 and writes nothing; `--allow
    update=N` releases exactly N, not another number."""
    desk.simulator.load("Companies", *({"companyNumber": f"K-{n:04}", "phone": "1"} for n in range(1, 31)))
    desk.customers(30)
    plan = desk.plan("customers.yaml")
    assert plan["counts"]["update"] == 30
    assert any("update" in warning and "25 %" in warning for warning in plan["warnings"])
    said = desk.refused("apply", "customers.plan", "--yes", code=5)
    assert "30 of the" in said and "--allow update=30" in said
    assert "--allow update=30" in desk.refused(
        "apply", "customers.plan", "--yes", "--allow", "update=29", code=5
    )
    assert desk.simulator.writes() == 0
    assert desk.run("status", "customers.plan", "--json").json["state"] == "planned"
    desk.apply("customers.plan", "--allow", "update=30", "--allow", "delete=3", "--stop-after", "2", code=6)
    assert desk.apply("customers.plan")["counts"]["applied"] == 30  # released once, it goes on
    assert desk.simulator.numbered()["K-0030"]["companyName"] == "Customer 30"
