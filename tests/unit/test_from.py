"""`from`: rows that refer to what other rows of the same job make or find."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bulkops.applier import apply_plan
from bulkops.change import Action, FieldDiff
from bulkops.errors import InDoubtError, RejectedError
from bulkops.job import load_job
from bulkops.plan import Plan, Status
from bulkops.planner.build import build_plan
from bulkops.record import Created, Scalar
from bulkops.targets.memory import MemoryTarget, committing

Rows: TypeAlias = Sequence[Mapping[str, Scalar]]

COMPANIES = """
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Id
      companyName: Name
      companyType: {value: "1"}
      phone: {value: "1"}
      ownerResourceID: {value: "4"}
"""
PARENT = "      parentCompanyID: {column: Parent, from: companies}\n"
CONTACTS = """
  - name: contacts
    entity: Contacts
    action: upsert
    source: {file: contacts.csv}
    match: [companyID, lastName]
    fields:
      companyID: {column: Client, from: companies}
      firstName: First
      lastName: Last
      isActive: {value: "1"}
"""


class Desk:
    """Writes a job and its sources, plans and applies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plans = 0

    def file(self, name: str, *lines: str) -> None:
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")

    async def plan(self, target: MemoryTarget, *steps: str) -> Plan:
        self.plans += 1
        job = self.folder / "job.yaml"
        job.write_text("version: 1\nname: trial\ntenant: acme\nsteps:" + "".join(steps), "utf-8")
        return await build_plan(load_job(job), target, self.folder / f"{self.plans}.plan")

    async def apply(self, plan: Plan, target: MemoryTarget, **options: Any) -> Status:
        return await apply_plan(plan, target, rng=random.Random(1), **options)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def fates(plan: Plan) -> list[tuple[str, int | None]]:
    return [(change.action.value, change.id) for change in plan.changes()]


def reason(plan: Plan, n: int) -> str:
    return plan.change(n).reason or ""


async def test_a_row_refers_to_what_another_row_will_create(desk: Desk) -> None:
    """The record is not there yet: its value is the number of the row that makes it, which is waited for."""
    desk.file("companies.csv", "Id,Name", "A1,Acme", "B2,Beta")
    desk.file("contacts.csv", "Client,First,Last", "B2,Bo,Berg", " a1 ,Al,Aal")
    plan = await desk.plan(MemoryTarget(), COMPANIES, CONTACTS)
    bo, al = plan.change(3), plan.change(4)
    assert bo.fields["companyID"] == FieldDiff(before=None, after=Created(change=2))
    assert (bo.action, bo.parent, bo.waits_for, bo.barrier) == (Action.CREATE, Created(change=2), (2,), 0)
    assert bo.key == {"companyID": Created(change=2), "lastName": "Berg"}
    assert al.parent == Created(change=1)
    assert [(s.name, s.read, s.dropped, s.rows) for s in plan.header.steps] == [
        ("companies", 2, 0, 2), ("contacts", 2, 0, 2),
    ]  # fmt: skip
    assert plan.header.counts["create"] == plan.header.calls_write == 4


async def test_a_row_refers_to_the_record_that_another_row_found(desk: Desk) -> None:
    """Where the record is there, its id is used; a row that changes the record is waited for."""
    target = MemoryTarget(
        {"Companies": [
            {"id": 7, "companyNumber": "A1", "companyName": "Old", "companyType": 1, "phone": "1",
             "ownerResourceID": 4},
            {"id": 8, "companyNumber": "B2", "companyName": "Beta", "companyType": 1, "phone": "1",
             "ownerResourceID": 4},
        ]}
    )  # fmt: skip
    desk.file("companies.csv", "Id,Name", "A1,Acme", "B2,Beta")
    desk.file("contacts.csv", "Client,First,Last", "A1,Al,Aal", "B2,Bo,Berg")
    plan = await desk.plan(target, COMPANIES, CONTACTS)
    assert fates(plan) == [("update", 7), ("unchanged", 8), ("create", None), ("create", None)]
    assert [(c.parent, c.waits_for) for c in plan.changes(after=2)] == [(7, (1,)), (8, ())]


async def test_applied_and_planned_again_there_is_nothing_to_do(desk: Desk) -> None:
    """What the plan promised stands in the target: every contact under its company, and no second time."""
    desk.file("companies.csv", "Id,Name", *(f"C{n},Company {n}" for n in range(20)))
    desk.file("contacts.csv", "Client,First,Last", *(f"C{n % 20},F,Last {n}" for n in range(60)))
    target = MemoryTarget()
    status = await desk.apply(await desk.plan(target, COMPANIES, CONTACTS), target)
    assert status.counts["applied"] == 80
    numbers = {row["id"]: row["companyNumber"] for row in target.rows["Companies"].values()}
    for contact in target.rows["Contacts"].values():
        assert numbers[contact["companyID"]] == f"C{int(str(contact['lastName']).split()[1]) % 20}"
    again = await desk.plan(target, COMPANIES, CONTACTS)
    assert again.header.counts == {"create": 0, "update": 0, "delete": 0, "unchanged": 80, "rejected": 0}


async def test_a_reference_to_no_row_rejects_and_names_step_and_text(desk: Desk) -> None:
    """Nothing is guessed: another spelling of a number is another text, and all errors are told at once."""
    desk.file("companies.csv", "Id,Name", "7,Acme")
    desk.file("contacts.csv", "Client,First,Last", "007,Al,Aal", "7,Bo,Berg", ",Cy,Cern")
    plan = await desk.plan(MemoryTarget(), COMPANIES, CONTACTS)
    assert [fate for fate, _ in fates(plan)] == ["create", "rejected", "create", "rejected"]
    said = "column Client '007': no row of the step companies (companies.csv) has this Id"
    assert reason(plan, 2) == said
    assert "column Client: is empty" in reason(plan, 4)


async def test_a_row_whose_parent_was_rejected_says_why(desk: Desk) -> None:
    """Row, place and the parent's own reason, down a whole chain."""
    notes = (
        "  - {name: notes, entity: CompanyNotes, action: create, source: {file: notes.csv},\n"
        "     match: [companyID, contactID, name],\n"
        "     fields: {companyID: {column: Client, from: companies}, name: Title,\n"
        "              contactID: {columns: [Client, Person], from: contacts}, actionType: {value: '1'},\n"
        "              assignedResourceID: {value: '4'}, startDateTime: {value: '2026-01-01'},\n"
        "              endDateTime: {value: '2026-01-01'}}}\n"
    )
    desk.file("companies.csv", "Id,Name", f"A1,{'x' * 200}", "B2,Beta")
    desk.file("contacts.csv", "Client,First,Last", "A1,Al,Aal", "B2,Bo,Berg")
    desk.file("notes.csv", "Client,Person,Title", "B2,Berg,Fine", "B2,Aal,Wrong", "A1,Aal,Fallen")
    plan = await desk.plan(MemoryTarget(), COMPANIES, CONTACTS, notes)
    assert [fate for fate, _ in fates(plan)] == [
        "rejected", "create", "rejected", "create", "create", "rejected", "rejected",
    ]  # fmt: skip
    assert reason(plan, 3).startswith("row 1 (companies.csv:2), which it needs, was rejected: column Name")
    assert "no row of the step contacts (contacts.csv) has this Client and Last" in reason(plan, 6)
    assert "row 1 (companies.csv:2), which it needs, was rejected: column Name" in reason(plan, 7)
    assert "row 3 (contacts.csv:2), which it needs, was rejected: row 1" in reason(plan, 7)
    assert plan.change(5).waits_for == (2, 4)


async def test_a_lookup_of_what_is_not_there_yet_points_to_from(desk: Desk) -> None:
    """A lookup sees what the tenant has; the message names the step that is about to create such records."""
    looked_up = CONTACTS.replace("from: companies", "lookup: companyName")
    desk.file("companies.csv", "Id,Name", "A1,Acme")
    desk.file("contacts.csv", "Client,First,Last", "Acme,Al,Aal")
    plan = await desk.plan(MemoryTarget(), COMPANIES, looked_up)
    assert reason(plan, 2) == (
        "column Client 'Acme': no Companies record has this companyName; "
        "`from: companies` refers to Companies that the step `companies` is about to create"
    )


# --- order ----------------------------------------------------------------------------------------------


async def test_creates_wait_for_their_references_only_and_updates_for_all_steps_before(desk: Desk) -> None:
    """In an upsert each row waits for what it has to: the barrier is the row's, not the step's."""
    held: dict[str, Scalar] = {"id": 7, "companyNumber": "A1", "companyName": "Acme"}
    held |= {"companyType": 1, "phone": "1", "ownerResourceID": 4}
    target = MemoryTarget(
        {
            "Companies": [held],
            "Contacts": [{"id": 9, "companyID": 7, "firstName": "Old", "lastName": "Aal", "isActive": 1}],
        }
    )
    desk.file("companies.csv", "Id,Name", "A1,Acme", "B2,Beta")
    desk.file("contacts.csv", "Client,First,Last", "A1,New,Aal", "A1,Bo,Berg", "B2,Cy,Cern", "B2,x,")
    plan = await desk.plan(target, COMPANIES, CONTACTS)
    assert [(c.action.value, c.waits_for, c.barrier) for c in plan.changes(after=2)] == [
        ("update", (), 2), ("create", (), 0), ("create", (2,), 0), ("rejected", (), 0),
    ]  # fmt: skip
    assert plan.header.calls_write == 4


async def test_a_child_falls_with_the_change_of_its_parent(desk: Desk) -> None:
    """What `from` names is to be as its row says before anything under it is made or changed."""
    held: dict[str, Scalar] = {"id": 7, "companyNumber": "A1", "companyName": "Old"}
    held |= {"companyType": 1, "phone": "1", "ownerResourceID": 4}
    there: Rows = [{"id": 9, "companyID": 7, "firstName": "Old", "lastName": "Berg", "isActive": 1}]
    target = MemoryTarget({"Companies": [held], "Contacts": there})
    target.script("update Companies", [RejectedError("no", known=True)])
    desk.file("companies.csv", "Id,Name", "A1,Acme")
    desk.file("contacts.csv", "Client,First,Last", "A1,Al,Aal", "A1,Bo,Berg")
    plan = await desk.plan(target, COMPANIES, CONTACTS)
    assert [change.action.value for change in plan.changes()] == ["update", "create", "update"]
    await desk.apply(plan, target)
    fallen = "row 1, which it needs, was rejected"
    assert [fate.reason for fate in plan.fates()] == ["no", fallen, fallen]


async def test_a_key_belongs_to_its_first_row_also_where_that_one_is_rejected(desk: Desk) -> None:
    """No other row with its key is planned instead, and what refers to the key falls with the first row."""
    bad = f"A1,{'x' * 200}"
    desk.file("companies.csv", "Id,Name", bad, "A1,Acme", bad, "B2,Beta")
    desk.file("contacts.csv", "Client,First,Last", "A1,Al,Aal")
    plan = await desk.plan(MemoryTarget(), COMPANIES, CONTACTS)
    assert [fate for fate, _ in fates(plan)] == ["rejected", "rejected", "rejected", "create", "rejected"]
    assert (plan.change(5).reason or "").startswith("row 1 (companies.csv:2), which it needs, was rejected")


async def test_a_lost_create_under_a_new_parent_is_found_by_its_key(desk: Desk) -> None:
    """The key names a row; when it is looked for, that row's record is known."""
    lost = committing(InDoubtError("the connection was closed"))
    target = MemoryTarget(settle_s=60, failures={"create Contacts": [lost, None, lost]})
    desk.file("companies.csv", "Id,Name", "A1,Acme", "B2,Beta")
    desk.file("contacts.csv", "Client,First,Last", "A1,Al,Same", "B2,Bo,Same", "B2,Cy,Cern")
    plan = await desk.plan(target, COMPANIES, CONTACTS)
    status = await desk.apply(plan, target)
    assert status.counts["applied"] == 5
    people = {(row["firstName"], row["id"]) for row in target.rows["Contacts"].values()}
    told = {(f.change.fields["firstName"].after, f.id) for f in plan.fates() if f.change.step == "contacts"}
    assert people == told


async def test_the_rows_of_a_refused_parent_are_held_or_rejected_as_it_is(desk: Desk) -> None:
    """Two records with a parent's key: the parent is held, and so is its child, by name."""
    target = MemoryTarget(failures={"create Companies": [committing(InDoubtError("lost")), None]})
    desk.file("companies.csv", "Id,Name", "A1,Acme")
    desk.file("contacts.csv", "Client,First,Last", "A1,Al,Aal")
    plan = await desk.plan(target, COMPANIES, CONTACTS)
    target.load("Companies", {"companyNumber": "a1"})
    status = await desk.apply(plan, target)
    assert status.counts["held"] == 2
    assert list(plan.fates())[1].reason == "row 1, which it needs, is held"
