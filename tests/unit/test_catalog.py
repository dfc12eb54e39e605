"""The catalog: every entity loads, its routes are those of the facts, and older names lead to today's."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import RejectedError
from bulkops.schema import FieldType
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.autotask.metadata import live_entity
from bulkops.targets.autotask.route import (
    create_body,
    create_path,
    delete_path,
    parent_of,
    udf_text,
    update_body,
    update_path,
)

FACTS: dict[str, dict[str, Any]] = json.loads(
    resources.files("bulkops.data").joinpath("catalog.json").read_text("utf-8")
)["entities"]
CATALOG = load_catalog()
NAMES = sorted(FACTS)


def collection(name: str, verb: str, parent: int | None) -> str | None:
    """Where the facts say a verb is taken, child first where a parent is known; None: nowhere."""
    facts = FACTS[name]
    child = facts.get("parent")
    if child is not None and parent is not None and verb in child["collection"]:
        return f"/V1.0/{child['path'][0]}/{parent}/{child['path'][1]}"
    return f"/V1.0/{name}" if verb in facts["root"] else None


def item(name: str, id: int, parent: int | None) -> str | None:
    facts = FACTS[name]
    child = facts.get("parent")
    if child is not None and parent is not None and "DELETE" in child["item"]:
        return f"/V1.0/{child['path'][0]}/{parent}/{child['path'][1]}/{id}"
    return f"/V1.0/{name}/{id}" if "DELETE" in facts["item"] else None


def made(build: Any, *arguments: Any) -> str | None:
    try:
        return str(build(*arguments))
    except RejectedError as error:
        assert error.known
        return None


def test_all_entities_load() -> None:
    """232 entities, each with every field of the facts."""
    assert len(CATALOG.entities) == 232
    assert {name: set(entity.fields) for name, entity in CATALOG.entities.items()} == {
        name: set(facts["fields"]) for name, facts in FACTS.items()
    }


@pytest.mark.parametrize("parent", [None, 0, 17])
def test_every_route_is_the_one_of_the_facts(parent: int | None) -> None:
    """Each entity and action, with and without parent: the path of the Swagger, or a refusal."""
    for name in NAMES:
        entity = CATALOG.entities[name]
        assert made(create_path, entity, parent) == collection(name, "POST", parent), name
        assert made(update_path, entity, parent) == collection(name, "PATCH", parent), name
        assert made(delete_path, entity, 5, parent) == item(name, 5, parent), name
        assert entity.is_queryable == ("POST" in FACTS[name]["query"]), name


def test_a_record_names_its_own_parent() -> None:
    """A child's parent is taken from the record where nobody says it; company 0 is a parent, too."""
    contacts = CATALOG.entities["Contacts"]
    assert parent_of(contacts, {"companyID": 0}, None) == 0
    assert parent_of(contacts, {"companyID": 5}, 7) == 7
    assert parent_of(contacts, {}, None) is None
    with pytest.raises(RejectedError, match="this record names no companyID"):
        create_path(contacts, None)


def test_the_parent_travels_in_path_and_body() -> None:
    """Tasks require projectID in both; a parent that records do not hold stays in the path."""
    body = create_body(CATALOG.entities["Tasks"], {"title": "x"}, 8)
    assert body == {"title": "x", "projectID": 8}
    stock = CATALOG.entities["InventoryStockedItemsAdd"]
    assert create_body(stock, {"quantity": 1, "inventoryProductID": 3}, 3) == {"quantity": 1}


def test_bodies_hold_what_was_asked_and_nothing_else() -> None:
    """A create carries no id, an update the id and the changed fields, UDFs go apart as text."""
    tickets = CATALOG.entities["Tickets"]
    assert create_body(tickets, {"id": 3, "title": "x", "udf:Hours left": 2.5}, None) == {
        "title": "x",
        "userDefinedFields": [{"name": "Hours left", "value": "2.5"}],
    }
    assert update_body(tickets, 3, {"title": None}) == {"id": 3, "title": None}


@given(
    st.one_of(
        st.none(), st.text(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
    )
)
def test_a_udf_value_is_text_or_null(value: str | float | bool | None) -> None:
    """Whatever the type, the wire has text; null stays null, so that it clears."""
    text = udf_text(value)
    assert text is None if value is None else isinstance(text, str)
    if isinstance(value, float | int) and not isinstance(value, bool):
        assert text is not None
        assert type(value)(text) == value
        assert "e" not in text.lower(), "a number is written in digits, without an exponent"


@pytest.mark.parametrize(
    ("name", "entity"),
    [
        ("tasks", "Tasks"),
        ("Account", "Companies"),
        ("company", "Companies"),
        ("InstalledProduct", "ConfigurationItems"),
    ],
)
def test_an_entity_is_found_by_its_other_names(name: str, entity: str) -> None:
    """Case does not matter; the older API's name and the singular are known."""
    found = CATALOG.find(name)
    assert found is not None
    assert found.name == entity


def test_no_alias_hides_an_entity() -> None:
    """Each entity is found by its own name, in any case."""
    for name in NAMES:
        assert CATALOG.find(name.upper()) is CATALOG.entities[name]


@pytest.mark.parametrize(
    ("name", "first"),
    [("Tickts", "Tickets"), ("accounts", "Companies"), ("project", "Projects"), ("qqqq", None)],
)
def test_a_misspelled_entity_is_suggested(name: str, first: str | None) -> None:
    """The likeliest name comes first; nonsense gets no suggestion."""
    assert next(iter(CATALOG.suggest(name)), None) == first


@pytest.mark.parametrize(
    ("entity", "name", "field"),
    [
        ("Tasks", "AllocationCodeID", "billingCodeID"),
        ("Projects", "accountid", "companyID"),
        ("Companies", "AccountName", "companyName"),
        ("Tasks", "titel", "title"),
        ("Tasks", "qqqq", None),
    ],
)
def test_a_field_of_the_older_api_is_suggested(entity: str, name: str, field: str | None) -> None:
    """The older name leads to today's; a misspelling to the nearest; nonsense to none."""
    meant = CATALOG.entities[entity].meant(name)
    assert (meant.name if meant else None) == field


def described(name: str, **info: Any) -> Any:
    return live_entity(
        CATALOG.entities[name],
        CATALOG,
        info=info,
        fields=[
            {"name": "id", "dataType": "long", "isRequired": True, "isReadOnly": True},
            {
                "name": "status",
                "dataType": "integer",
                "isRequired": True,
                "isPickList": True,
                "picklistValues": [
                    {"value": "1", "label": "New", "isActive": True, "isSystem": True, "parentValue": ""},
                    {"value": 7, "label": None, "isActive": False, "parentValue": "3"},
                ],
                "picklistParentValueField": "IssueType",
            },
            {"name": "endDateTime", "dataType": "datetime"},
            {"name": "issueType", "dataType": "integer"},
            {
                "name": "assignedResourceID",
                "dataType": "integer",
                "isReference": True,
                "referenceEntityType": "Resource",
            },
            {"name": "newlyInvented", "dataType": "hologram", "length": 12},
        ],
        udfs=[{"name": "Legacy ID", "type": "string", "length": 20, "isRequired": True, "label": "Legacy"}],
    )


def test_the_tenants_metadata_wins() -> None:
    """Fields, flags and picklists are the tenant's; references are REST names; unknown types are text."""
    tasks = described("Tasks")
    assert tasks.is_live
    assert set(tasks.fields) == {
        "id",
        "status",
        "endDateTime",
        "issueType",
        "assignedResourceID",
        "newlyInvented",
        "udf:Legacy ID",
    }
    status = tasks.fields["status"]
    assert [(v.value, v.label, v.is_active, v.is_system, v.parent) for v in status.picklist] == [
        ("1", "New", True, True, ""),
        ("7", "", False, False, "3"),
    ]
    assert status.picklist_parent == "issueType"
    assert tasks.fields["assignedResourceID"].reference == "Resources"
    assert (tasks.fields["newlyInvented"].type, tasks.fields["newlyInvented"].length) == (
        FieldType.STRING,
        12,
    )


@pytest.mark.parametrize("name", ["ContractNotes", "Tasks"])
def test_a_reference_is_a_number_whatever_metadata_calls_it(name: str) -> None:
    """A live tenant calls ContractNotes.contractID a text, as which it would find nothing."""
    item = {"name": "contractID", "dataType": "string", "length": 25, "referenceEntityType": "Contract"}
    plain = {"name": "title", "dataType": "string", "length": 250}
    known = CATALOG.entities[name]
    shape = live_entity(known, CATALOG, info={}, fields=[item, plain], udfs=[])
    assert (shape.fields["contractID"].type, shape.fields["contractID"].reference) == (
        FieldType.INTEGER,
        "Contracts",
    )
    assert shape.fields["title"].type is FieldType.STRING
    assert CATALOG.entities["ContractNotes"].fields["contractID"].type is FieldType.INTEGER


def test_the_catalog_adds_what_metadata_lacks() -> None:
    """Date-only fields, parent and older names stay known; a UDF required on the web is not in the API."""
    tasks = described("Tasks")
    assert tasks.fields["endDateTime"].is_date_only
    assert tasks.parent == CATALOG.entities["Tasks"].parent
    assert not tasks.fields["udf:Legacy ID"].is_required
    assert described("CompanySiteConfigurations").fields["udf:Legacy ID"].is_required
    assert "inventoryProductID" in described("InventoryStockedItemsAdd").fields  # travels in the path only


@pytest.mark.parametrize(
    "said", [{"canUpdate": False}, {"userAccessForUpdate": "None"}, {"userAccessForUpdate": 0}]
)
def test_what_the_tenant_forbids_cannot_be_done(said: dict[str, Any]) -> None:
    """An action that the tenant or the API user's security level rules out is gone; silence allows."""
    assert "update" not in described("Tasks", **said).can
    assert "create" in described("Tasks", **said).can
    assert not described("Tasks", userAccessForQuery="None").is_queryable
    assert described("Tasks", userAccessForUpdate="Restricted").can == CATALOG.entities["Tasks"].can


@pytest.mark.parametrize(
    ("access", "is_restricted"), [("Restricted", True), (2, True), ("All", False), (1, False)]
)
def test_hidden_rows_are_told(access: object, is_restricted: bool) -> None:
    """A security level that shows some records only is known, as a word or as the documented number."""
    tasks = described("Tasks", userAccessForQuery=access)
    assert tasks.is_restricted is is_restricted
    assert tasks.is_queryable
