"""People and other records that fields point to: inactive, ambiguous, unknown; and who creates."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.applier import apply_plan
from bulkops.errors import JobError


async def test_people_who_differ(here: Any) -> None:
    """Inactive, unknown, of one name with another; by e-mail, by first and last name: each told as it is."""
    role = "assignedResourceRoleID: {value: Engineer, lookup: name}"
    by_mail = f"{{externalID: Key, assignedResourceID: {{column: Who, lookup: email}}, {role}}}"
    plan = await here.plan(
        here.step("Tickets", "update", "[externalID]", by_mail),
        a="Key,Who\nLT-1,JONAS.WEBER@northgate.test\nLT-2,nobody@northgate.test\n"
        "LT-3,daniel.osei@northgate.test\n",
    )
    jonas = here.row("Resources", userName="jonas.weber")["id"]
    assert here.reasons(plan)[:2] == [
        f"column Who 'JONAS.WEBER@northgate.test': Resources {jonas} (Jonas Weber) is inactive; "
        "set `inactive: allow` to use it all the same",
        "column Who 'nobody@northgate.test': no Resources record has this email",
    ]
    assert [c.action.value for c in plan.changes()][2] == "update"
    by_name = (
        "{externalID: Key, assignedResourceID: {columns: [Last, First], lookup: [lastName, firstName]},"
        f" {role}}}"
    )
    table = here.simulator.store.table("Resources")
    twins = [row["id"] for row in here.rows("Resources") if row["lastName"] == "Santos"]
    table.update(twins[1], {"isActive": False})
    plan = await here.plan(
        here.step("Tickets", "update", "[externalID]", by_name),
        a="Key,Last,First\nLT-1,santos,maria\nLT-5,Osei,Daniel\nLT-3,,Daniel\nLT-4,Osei,\n",
    )
    assert here.reasons(plan) == [
        f"column Last, First 'santos / maria': 2 Resources records have this lastName and firstName: "
        f"{twins[0]} (Maria Santos), {twins[1]} (Maria Santos, inactive)",
        "",
        "column Last, First: Last says nothing, and the key needs all of 2 columns",
        "",
    ]


@pytest.mark.parametrize(
    ("entity", "field", "lookup", "cell", "name"),
    [
        ("Tasks", "billingCodeID", "name", "Year 2000 Remediation", "BillingCodes"),
        ("Tasks", "assignedResourceRoleID", "name", "Consultant", "Roles"),
        ("Tickets", "contactID", "emailAddress", "olga.petrenko@alderfinch.test", "Contacts"),
        ("Tickets", "companyID", "companyName", "Fallow Field Farm", "Companies"),
        ("Tickets", "companyLocationID", "name", "Old Practice", "CompanyLocations"),
    ],
)
async def test_any_inactive_record_is_told_and_allowed_by_word(  # noqa: PLR0917
    here: Any, entity: str, field: str, lookup: str, cell: str, name: str
) -> None:
    """Whether the entity keeps it as true and false or, as contacts do, as 1 and 0."""
    key = "T-3" if entity == "Tasks" else "LT-1"
    if field == "companyID":  # a ticket that has a contact cannot move to another company
        ticket = here.row("Tickets", externalID="LT-1")["id"]
        here.simulator.store.table("Tickets").update(ticket, {"contactID": None, "companyLocationID": None})
    rows = f"Key,Cell\n{key},{cell}\n"
    asked = f"{{externalID: Key, {field}: {{column: Cell, lookup: {lookup}}}}}"
    plan = await here.plan(here.step(entity, "update", "[externalID]", asked), a=rows)
    assert f"column Cell '{cell}': {name} " in here.reasons(plan)[0]
    assert "is inactive; set `inactive: allow`" in here.reasons(plan)[0]
    allowed = asked.replace("}}", ", inactive: allow}}")
    plan = await here.plan(here.step(entity, "update", "[externalID]", allowed), a=rows)
    assert [change.action.value for change in plan.changes()] == ["update"]


async def test_who_is_inactive_may_keep_what_is_theirs(here: Any) -> None:
    """A row that says what the record says already is unchanged, however inactive the person is by now."""
    row = here.row("Tickets", externalID="LT-2")
    here.simulator.store.table("Resources").update(row["assignedResourceID"], {"isActive": False})
    fields = "{externalID: Key, assignedResourceID: {column: Who, lookup: email}, title: Title}"
    plan = await here.plan(
        here.step("Tickets", "update", "[externalID]", fields),
        a="Key,Who,Title\nLT-2,tomas.lindqvist@northgate.test,New title\n"
        "LT-1,tomas.lindqvist@northgate.test,\n",
    )
    assert set(here.diffs(plan)[0]) == {"title"}
    assert "(Tomas Lindqvist) is inactive" in here.reasons(plan)[1]


async def test_impersonate_sets_the_creator_row_by_row(here: Any) -> None:
    """On creates; an update goes without it, an empty cell means the API user, nobody else is guessed."""
    fields = (
        "{externalID: Key, title: Key, status: {value: New}, priority: {value: Low},"
        " queueID: {value: '8'},"
        " companyID: {value: C-1001, lookup: companyNumber}}"
    )
    by = "impersonate: {column: Author, lookup: email}"
    plan = await here.plan(
        here.step("Tickets", "upsert", "[externalID]", fields, by),
        a="Key,Author\nX-1,priya.raman@northgate.test\nX-2,\nLT-1,priya.raman@northgate.test\n"
        "X-3,nobody\nX-4,jonas.weber@northgate.test\n",
    )
    priya = here.row("Resources", userName="priya.raman")["id"]
    assert [change.impersonate for change in plan.changes()] == [priya, None, None, None, None]
    assert here.reasons(plan)[3] == "column Author 'nobody': no Resources record has this email"
    assert "(Jonas Weber) is inactive" in here.reasons(plan)[4]
    status = await apply_plan(plan, here.target)
    assert (status.counts["applied"], status.counts["rejected"]) == (3, 2)
    api = here.row("Resources", userName="import.service")["id"]
    made = [here.row("Tickets", externalID=key) for key in ("X-1", "X-2")]
    assert [row["creatorResourceID"] for row in made] == [priya, api]
    assert [row["impersonatorCreatorResourceID"] for row in made] == [api, None]


async def test_impersonate_is_refused_where_it_has_no_effect(here: Any) -> None:
    """On entities that do not allow it and in steps that create nothing; its lookup is checked as others."""
    for entity, action, by, message in (
        (
            "Tasks",
            "update",
            "{column: A, lookup: email}",
            "Tasks cannot be created in somebody else's name",
        ),
        ("Tickets", "update", "{column: A, lookup: email}", "this step's action is `update`"),
        ("Tickets", "update", "{column: A, lookup: mail}", "Resources has no field `mail`"),
    ):
        with pytest.raises(JobError, match=message):
            await here.plan(
                here.step(
                    entity, action, "[externalID]", "{externalID: Key, title: Key}", f"impersonate: {by}"
                ),
                a="Key,A\nT-1,x\n",
            )
