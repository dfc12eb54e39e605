"""Undo, from the command line: the way back is a plan too, and leaves the records as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

MOVES = """\
version: 1
name: moves
tenant: acme
limits: {update: {percent: 100}, delete: {percent: 100}}
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: No
      companyName: Name
      phone: Phone
      companyType: {value: Customer}
      ownerResourceID: {value: 4}
      parentCompanyID: {column: Parent, from: companies}
  - name: people
    entity: Contacts
    action: create
    source: {file: people.csv}
    match: [emailAddress]
    fields:
      emailAddress: Mail
      firstName: First
      lastName: Last
      companyID: {column: Company, from: companies}
      isActive: {value: 1}
"""
CHANGING = {"lastActivityDate", "lastModifiedDate", "lastTrackedModifiedDateTime", "lastActivityDateTime"}


def snapshot(desk: Desk, *entities: str) -> dict[str, Any]:
    """Every record and field, but for the server's own notes of when it was touched."""
    return {
        entity: {
            row["id"]: {name: value for name, value in row.items() if name not in CHANGING}
            for row in desk.simulator.rows(entity)
        }
        for entity in entities
    }


def prepare(desk: Desk) -> None:
    """One company exists and is changed, four are made, one below the other, each with a contact."""
    desk.simulator.load("Companies", {"companyNumber": "M-0", "companyName": "Old name", "phone": "555-0",
                                      "companyType": 1, "ownerResourceID": 4, "isActive": True})  # fmt: skip
    rows = [(f"M-{n}", f"New name {n}", f"555-1{n}", f"M-{n - 1}" if n > 1 else "") for n in range(5)]
    desk.table("companies.csv", ("No", "Name", "Phone", "Parent"), *rows)
    people = [(f"p{n}@m.test", "P", f"L{n}", f"M-{n}") for n in range(5)]
    desk.table("people.csv", ("Mail", "First", "Last", "Company"), *people)
    desk.write("moves.yaml", MOVES)


def test_what_was_applied_is_taken_back_record_by_record(desk: Desk) -> None:
    """Changed fields are restored, contacts deleted, companies, which the API keeps, set inactive."""
    prepare(desk)
    before = snapshot(desk, "Companies", "Contacts")
    desk.plan("moves.yaml")
    desk.apply("moves.plan")
    after = snapshot(desk, "Companies", "Contacts")
    told = desk.run("undo", "moves.plan", "--json").json
    assert told["counts"] == {"create": 0, "update": 5, "delete": 5, "unchanged": 0, "rejected": 0}
    assert snapshot(desk, "Companies", "Contacts") == after, "planning the way back only reads"
    assert desk.apply("moves.undo.plan")["counts"]["applied"] == 10
    left = snapshot(desk, "Companies", "Contacts")
    assert left["Contacts"] == before["Contacts"]
    kept = {id: row for id, row in left["Companies"].items() if id in before["Companies"]}
    assert kept == before["Companies"]
    made = [row for id, row in left["Companies"].items() if id not in before["Companies"]]
    assert [row["isActive"] for row in made] == [False] * 4


def test_updates_go_there_and_back_and_there(desk: Desk) -> None:
    """Forward, undo, and undo of the undo: the same records, field by field."""
    desk.customers(6)
    desk.plan("customers.yaml")
    desk.apply("customers.plan")
    job = desk.folder / "customers.csv"
    job.write_text(job.read_text("utf-8").replace("Customer ", "Client ").replace("555-", "777-"), "utf-8")
    start = snapshot(desk, "Companies")
    desk.plan("customers.yaml", "-o", "there.plan")
    desk.apply("there.plan", "--allow", "update=6")
    there = snapshot(desk, "Companies")
    assert there != start
    desk.run("undo", "there.plan", "-o", "back.plan")
    desk.apply("back.plan", "--allow", "update=6")
    assert snapshot(desk, "Companies") == start
    desk.run("undo", "back.plan", "-o", "again.plan")
    desk.apply("again.plan", "--allow", "update=6")
    assert snapshot(desk, "Companies") == there


def test_what_somebody_changed_since_is_left_alone(desk: Desk) -> None:
    """A foreign edit before the way back is planned is rejected with both values; one after it is held."""
    desk.customers(4)
    desk.plan("customers.yaml")
    desk.apply("customers.plan")
    desk.customers(4)
    text = (desk.folder / "customers.csv").read_text("utf-8").replace("555-", "777-")
    (desk.folder / "customers.csv").write_text(text, "utf-8")
    desk.plan("customers.yaml", "-o", "there.plan")
    desk.apply("there.plan", "--allow", "update=4")
    ids = {number: row["id"] for number, row in desk.simulator.numbered().items()}
    edit = desk.simulator.call
    edit("edit/Companies", {"items": [{"id": ids["K-0001"], "phone": "theirs"}]})
    told = desk.run("undo", "there.plan", "--json").json
    assert told["counts"]["rejected"] == 1
    assert "'theirs' now" in desk.run("show", "there.undo.plan").out
    edit("edit/Companies", {"items": [{"id": ids["K-0002"], "phone": "later"}]})
    done = desk.apply("there.undo.plan", "--allow", "update=3", code=4)
    assert done["counts"] == {"applied": 2, "unchanged": 0, "rejected": 1, "held": 1, "pending": 0}
    phones = {number: row["phone"] for number, row in desk.simulator.numbered().items()}
    assert phones == {"K-0001": "theirs", "K-0002": "later", "K-0003": "555-0003", "K-0004": "555-0004"}


def test_a_stopped_plan_is_undone_as_far_as_it_went(desk: Desk) -> None:
    """Only what was applied is taken back; what never left is not mentioned."""
    desk.customers(9)
    desk.plan("customers.yaml")
    desk.apply("customers.plan", "--stop-after", "4", code=6)
    told = desk.run("undo", "customers.plan", "--json").json
    assert told["rows"] == 4
    desk.apply("customers.undo.plan", "--allow", "update=4")
    assert [row["isActive"] for row in desk.simulator.numbered().values()] == [False] * 4


def test_a_step_may_say_what_its_records_get_instead(desk: Desk) -> None:
    """`undo` holds constants; plan says what cannot be taken back without it."""
    job = desk.customers(2)
    desk.plan(job)
    said = desk.run("show", "customers.plan").out
    assert (
        "Undo: all that it writes, but\n  not as it was: 2 created Companies, which are set inactive\n"
        in said
    )
    path = desk.folder / job
    aside = "    undo: {companyType: {value: Dead}, phone: {value: gone}}\n"
    path.write_text(path.read_text("utf-8") + aside, "utf-8")
    desk.plan(job)
    desk.apply("customers.plan")
    desk.run("undo", "customers.plan")
    desk.apply("customers.undo.plan")
    assert {(row["phone"], row["isActive"]) for row in desk.simulator.numbered().values()} == {("gone", True)}


def test_a_plan_that_was_made_anew_points_to_the_one_that_was_applied(desk: Desk) -> None:
    """Planned again under its name, a plan has nothing applied: the file that tells what was is named."""
    job = desk.customers(2)
    desk.plan(job)
    desk.apply("customers.plan")
    desk.plan(job)
    told = "It was planned anew since: the plan that was applied is kept as"
    said = [
        desk.refused("undo", "customers.plan"),
        desk.refused("resolve", "customers.plan", "--row", "1", "--not-created"),
        desk.run("status", "customers.plan").out,
        desk.run("results", "customers.plan", "--dir", "out").out,
    ]
    for text in said:
        assert told in " ".join(text.split()) and "customers.1.plan" in text
    desk.run("undo", "customers.1.plan")
    assert told not in desk.run("status", "customers.1.plan").out
    desk.plan(job, "-o", "other.plan")
    assert told not in desk.refused("undo", "other.plan")


def test_undo_refuses_with_a_sentence(desk: Desk) -> None:
    """Nothing applied, no plan, and an `undo` that is no constant."""
    job = desk.customers(1)
    desk.plan(job)
    assert "nothing of it was applied" in desk.refused("undo", "customers.plan")
    assert "no such plan file" in desk.refused("undo", "other.plan")
    path = desk.folder / job
    path.write_text(path.read_text("utf-8") + "    undo: {phone: Phone}\n", "utf-8")
    assert "takes constants only" in desk.refused("plan", job)
