"""The firm a simulator starts with, and its picklists: consistent, exact where facts are known."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from bulkops.simulator import firm, picklists, validation
from bulkops.simulator.rules import hidden
from bulkops.simulator.store import Row, Store
from bulkops.simulator.switches import Switches

CATALOG: dict[str, dict[str, Any]] = json.loads(
    resources.files("bulkops.data").joinpath("catalog.json").read_text("utf-8")
)["entities"]
PICKS = [
    (entity, field)
    for entity, entry in CATALOG.items()
    for field, facts in entry["fields"].items()
    if "picklist" in facts
]


def founded(*, empty: bool = False) -> Store:
    store = Store(now=lambda: "2026-06-01T08:00:00.000Z", switches=Switches(), ci=1)
    picklists.load(store)
    firm.found(store, empty=empty)
    return store


@pytest.fixture(scope="module")
def store() -> Store:
    """Read only."""
    return founded()


def rows(store: Store, entity: str) -> list[Row]:
    return list(store.table(entity).values())


def test_every_row_that_can_be_created_is_accepted_again(store: Store) -> None:
    """The firm breaks no rule: each of its rows, taken away and sent as a create, is accepted.

    A Baseline's task cannot be created, so it was not.
    """
    frozen = store.table("Projects").ids_of("projectType", 8)[0]
    checked = 0
    for entity, table in store.tables().items():
        entry = CATALOG[entity]
        if "create" not in entry["can"]:
            continue
        parent = entry.get("parent", {}).get("field")
        for row in list(table.values()):
            if entity == "Tasks" and row["projectID"] == frozen:
                continue
            body = {name: value for name, value in row.items() if name != "id"}
            stored = table.stored(row["id"])
            table.delete(row["id"])
            made, errors = validation.check_create(
                store, entity, body, parent_id=row.get(parent), actor=4, impersonating=None
            )
            assert stored is not None
            table.put(row["id"], stored)
            assert not errors, (entity, row["id"])
            assert made
            checked += 1
    assert checked > 150


def test_the_firm_knows_every_country_and_an_empty_tenant_none(store: Store) -> None:
    """All 249 of ISO 3166, once each, by the names people use; ids that others refer to stay."""
    found = rows(store, "Countries")
    for field in ("id", "countryCode", "name", "displayName"):
        assert len({row[field] for row in found}) == 249
    ids = {row["displayName"]: row["id"] for row in found}
    assert (ids["Germany"], ids["Spain"], ids["United States"]) == (80, 199, 237)
    assert {"Mexico", "United Kingdom", "Venezuela", "Sweden", "Côte d'Ivoire"} < set(ids)
    assert max(ids.values()) == 249
    assert max(len(row["name"]) for row in found) <= CATALOG["Countries"]["fields"]["name"]["length"]
    assert rows(founded(empty=True), "Countries") == []


def test_every_reference_points_to_a_row(store: Store) -> None:
    """No row of the firm refers to a record that is not there, read-only fields included."""
    for entity, table in store.tables().items():
        for row in table.values():
            for name, facts in CATALOG[entity]["fields"].items():
                if facts.get("ref") and row.get(name) is not None:
                    assert row[name] in store.table(facts["ref"]), (entity, name)


def test_firm_has_what_makes_an_import_difficult(store: Store) -> None:
    """Inactive records of each kind, a namesake, a resource without a role, an API user, all job states."""
    people = rows(store, "Resources")
    names = [(one["firstName"], one["lastName"]) for one in people]
    with_role = {row["resourceID"] for row in rows(store, "ResourceRoles")}
    assert len(set(names)) == len(names) - 1
    assert any(one["isActive"] is False for one in people)
    assert any(one["isActive"] and one["licenseType"] == 2 for one in people if one["id"] in with_role)
    assert any(one["isActive"] and one["licenseType"] != 7 for one in people if one["id"] not in with_role)
    assert store.table("Resources")[store.api_resource_id]["licenseType"] == 7
    for entity, inactive in (
        ("Roles", False),
        ("Contacts", 0),
        ("CompanyLocations", False),
        ("BillingCodes", False),
    ):
        assert any(row["isActive"] == inactive for row in rows(store, entity)), entity
    assert {1, 5, 8} <= {row["status"] for row in rows(store, "Tasks")}
    assert {1, 5, 8} <= {row["status"] for row in rows(store, "Projects")}
    assert len(rows(store, "Tickets")) >= 12
    assert any(hidden(store, "ResourceRoles", row) for row in rows(store, "ResourceRoles"))


def test_ids_of_tenant_rows_are_large_and_system_rows_small(store: Store) -> None:
    """As in a real tenant; company 0 is the firm itself."""
    companies = [row["id"] for row in rows(store, "Companies")]
    assert companies[0] == 0
    assert all(row_id >= 29_682_885 for row_id in companies[1:])
    assert {110, 112} <= set(store.table("Roles").ids)


def test_mail_addresses_lead_nowhere(store: Store) -> None:
    """Every address is in a domain that does not exist outside tests."""
    addresses = [row["email"] for row in rows(store, "Resources")]
    addresses += [row["emailAddress"] for row in rows(store, "Contacts")]
    assert len(addresses) > 15
    assert all(address.endswith(".test") for address in addresses)


def test_empty_tenant_has_company_0_and_one_resource() -> None:
    """Nothing else, and that resource can own companies although it also calls the API."""
    store = founded(empty=True)
    sizes = {name: len(table) for name, table in store.tables().items() if table}
    assert sizes == {"Companies": 1, "Resources": 1}
    owner = rows(store, "Resources")[0]["id"]
    assert owner == store.api_resource_id
    body = {"companyName": "First", "companyType": 1, "phone": "1", "ownerResourceID": owner}
    _, errors = validation.check_create(
        store, "Companies", body, parent_id=None, actor=owner, impersonating=None
    )
    assert errors == []


def test_founding_twice_gives_the_same_firm() -> None:
    """The same records with the same ids at every start."""
    first, second = founded(), founded()
    for entity, table in first.tables().items():
        assert list(table.values()) == list(second.table(entity).values())
    assert first.picklists == second.picklists
    assert first.udfs == second.udfs


def test_departments_are_listed_by_their_ids(store: Store) -> None:
    """The picklists of departments hold the departments there are."""
    departments = {str(row["id"]): row["name"] for row in rows(store, "Departments")}
    for entity, field in (("Tasks", "departmentID"), ("Projects", "department")):
        assert {value["value"]: value["label"] for value in store.picklists[entity][field]} == departments


def test_every_picklist_has_usable_values(store: Store) -> None:
    """Each list has active values of the field's type, in the metadata's shape, no value twice."""
    keys = {"value", "label", "isDefaultValue", "sortOrder", "parentValue", "isActive", "isSystem"}
    for entity, field in PICKS:
        facts, values = CATALOG[entity]["fields"][field], store.picklists[entity][field]
        assert any(value["isActive"] for value in values), (entity, field)
        assert len({value["value"] for value in values}) == len(values), (entity, field)
        for value in values:
            assert set(value) == keys
            assert value["label"]
            if facts["type"] != "string":
                assert str(int(value["value"])) == value["value"]
            elif facts.get("length"):
                assert len(value["value"]) <= facts["length"], (entity, field)


def test_known_picklist_values_are_exact(store: Store) -> None:
    """What the facts say of a list is in it: value, label, and whether every tenant has it."""
    checked = 0
    for entity, field in PICKS:
        listed = {value["value"]: value for value in store.picklists[entity][field]}
        for known in CATALOG[entity]["fields"][field]["picklist"]:
            assert listed[known["value"]]["label"] == known["label"], (entity, field)
            assert listed[known["value"]]["isSystem"] == known.get("system", False), (entity, field)
            checked += 1
    assert checked > 30


@pytest.mark.parametrize("entity", ["TicketNotes", "TaskNotes", "ProjectNotes", "TicketAttachments"])
def test_publish_values_are_the_same_for_notes_and_attachments(store: Store, entity: str) -> None:
    """1, 2 and 4, with the labels of a live tenant."""
    assert {value["value"]: value["label"] for value in store.picklists[entity]["publish"]} == {
        "1": "All Autotask Users",
        "2": "Internal Users Only",
        "4": "Internal & Co-Managed",
    }


def test_dependent_values_name_values_of_their_parent(store: Store) -> None:
    """Every sub-issue stands under an issue, and one label stands under two of them."""
    issues = {value["value"] for value in store.picklists["Tickets"]["issueType"]}
    subs = store.picklists["Tickets"]["subIssueType"]
    assert {value["parentValue"] for value in subs} == issues
    assert len({value["label"] for value in subs}) < len(subs)
