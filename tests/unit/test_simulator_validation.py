"""What the simulated service accepts of any entity's body, and with which text it refuses the rest."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.simulator import firm, picklists, validation
from bulkops.simulator.store import Row, Store
from bulkops.simulator.switches import Switches

NOW = "2026-06-01T08:00:00.000Z"
ACTOR = 4
COMPANY = {"companyName": "Alfreds", "companyType": 1, "ownerResourceID": 4, "phone": "030-0074321"}


def founded(**switches: Any) -> Store:
    store = Store(now=lambda: NOW, switches=Switches(**switches), ci=1)
    picklists.load(store)
    firm.found(store, empty=False)
    return store


@pytest.fixture
def store() -> Store:
    return founded()


def check(
    store: Store, entity: str, body: Any, *, parent: int | None = None, impersonating: int | None = None
) -> tuple[Row, list[str]]:
    return validation.check_create(
        store, entity, body, parent_id=parent, actor=ACTOR, impersonating=impersonating
    )


def accepted(store: Store, entity: str, body: Any, *, parent: int | None = None) -> Row:
    row, errors = check(store, entity, body, parent=parent)
    assert errors == []
    return row


def refused(store: Store, entity: str, body: Any, *, parent: int | None = None) -> list[str]:
    row, errors = check(store, entity, body, parent=parent)
    assert row == {}
    assert errors
    return errors


def update(store: Store, entity: str, row_id: int, body: Any) -> tuple[Row, list[str]]:
    row = store.table(entity)[row_id]
    return validation.check_update(store, entity, row, body, actor=ACTOR, impersonating=None)


def id_of(store: Store, entity: str, field: str, value: Any) -> int:
    (found,) = store.table(entity).ids_of(field, value)
    return found


@pytest.mark.parametrize("field", ["companyName", "companyType", "ownerResourceID", "phone"])
def test_a_missing_required_field_is_named(store: Store, field: str) -> None:
    """The text is the one known from the older API, with this API's field name."""
    body = {name: value for name, value in COMPANY.items() if name != field}
    assert refused(store, "Companies", body) == [
        f"Value does not exist for the required field {field}. ; on record number [1]."
    ]


def test_null_and_blank_are_no_value(store: Store) -> None:
    """A required field given as null, or as text of blanks, is missing."""
    for empty in (None, "", "   "):
        assert (
            "required field companyName" in refused(store, "Companies", COMPANY | {"companyName": empty})[0]
        )


def test_a_required_field_cannot_be_cleared(store: Store) -> None:
    """An update with null for a required field is refused; for another field it clears."""
    assert "required field phone" in update(store, "Companies", 0, {"phone": None})[1][0]
    assert update(store, "Companies", 0, {"fax": None})[0]["fax"] is None


def test_task_without_type_gets_the_picklist_text(store: Store) -> None:
    """Seen live: spaces included."""
    project = id_of(store, "Projects", "extProjectNumber", "EXT-1")
    for more in ({}, {"taskType": 77}):
        errors = refused(store, "Tasks", {"title": "x", "status": 1} | more, parent=project)
        assert errors == ["Value does not reference an existing entity for taskType . "]


def test_text_may_be_as_long_as_the_field(store: Store) -> None:
    """At the limit it is accepted, one more is refused with the known text."""
    assert accepted(store, "Companies", COMPANY | {"companyName": "x" * 100})
    assert refused(store, "Companies", COMPANY | {"companyName": "x" * 101}) == [
        "companyName must be less than or equal to 100 characters"
    ]


def test_text_without_a_known_length_is_unlimited(store: Store) -> None:
    """A field whose length nobody published takes any text."""
    project = id_of(store, "Projects", "extProjectNumber", "EXT-1")
    body = {
        "attachmentType": "FILE_ATTACHMENT",
        "fullPath": "a.txt",
        "publish": 1,
        "title": "t",
        "data": "QUJD" * 9999,
    }
    assert accepted(store, "ProjectAttachments", body, parent=project)["data"] == "QUJD" * 9999


def test_text_is_trimmed_by_switch() -> None:
    """On by default; off keeps blanks."""
    body = COMPANY | {"companyName": "  Two  Words \n"}
    assert accepted(founded(), "Companies", body)["companyName"] == "Two  Words"
    assert accepted(founded(trim="off"), "Companies", body)["companyName"] == "  Two  Words \n"


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("status", "5", 5),
        ("status", " 5 ", 5),
        ("estimatedHours", "2.5", 2.5),
        ("estimatedHours", 2, 2.0),
        ("estimatedHours", "", None),
        ("isVisibleInClientPortal", "True", True),
        ("isVisibleInClientPortal", "false", False),
        ("title", 17, "17"),
        ("title", True, "true"),
        ("startDateTime", "2026-01-15", "2026-01-15T00:00:00.000Z"),
        ("startDateTime", "2026-01-15T10:11:12", "2026-01-15T10:11:12.000Z"),
        ("startDateTime", "2026-01-15T10:11:12.3456789Z", "2026-01-15T10:11:12.345Z"),
        ("startDateTime", "2026-01-15T23:30:00-05:00", "2026-01-16T04:30:00.000Z"),
        ("startDateTime", "1/15/2026 4:05 PM", "2026-01-15T16:05:00.000Z"),
        ("endDateTime", "2026-01-15T23:30:00-05:00", "2026-01-15T00:00:00.000Z"),
        ("endDateTime", "2026-01-15T23:59:59Z", "2026-01-15T00:00:00.000Z"),
    ],
)
def test_values_are_read_as_the_deserializer_does(store: Store, field: str, value: Any, stored: Any) -> None:
    """Text for numbers and dates is taken; dates become UTC, date-only ones keep their day at midnight."""
    project = id_of(store, "Projects", "extProjectNumber", "EXT-1")
    body = {"title": "x", "status": 1, "taskType": 1, field: value}
    row = accepted(store, "Tasks", body, parent=project)
    assert row[field] == stored
    assert type(row[field]) is type(stored)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("status", True, "Unexpected character encountered while parsing value: t."),
        ("status", {"id": 5}, "Unexpected character encountered while parsing value: {."),
        ("status", 5.5, "Input string '5.5' is not a valid integer."),
        ("status", "New", "Could not convert string to integer: New."),
        ("status", 2**31, "JSON integer 2147483648 is too large or small for an Int32."),
        ("estimatedHours", "two", "Could not convert string to double: two."),
        ("estimatedHours", False, "Unexpected character encountered while parsing value: f."),
        ("isVisibleInClientPortal", 1, "Unexpected character encountered while parsing value: 1."),
        ("isVisibleInClientPortal", "yes", "Could not convert string to boolean: yes."),
        ("startDateTime", "15/01/2026", "Could not convert string to DateTime: 15/01/2026."),
        ("startDateTime", 20260115, "Unexpected character encountered while parsing value: 2."),
        ("title", ["x"], "Unexpected character encountered while parsing value: [."),
    ],
)
def test_what_a_type_cannot_take_is_unreadable(store: Store, field: str, value: Any, text: str) -> None:
    """The deserializer's text comes alone, with the path of the field."""
    project = id_of(store, "Projects", "extProjectNumber", "EXT-1")
    assert refused(store, "Tasks", {field: value}, parent=project) == [f"{text} Path '{field}'."]


def test_contacts_activity_is_a_number(store: Store) -> None:
    """True is refused with the text seen live; 1 and 0 are taken."""
    company = id_of(store, "Companies", "companyNumber", "C-1001")
    body = {"firstName": "A", "lastName": "B"}
    assert accepted(store, "Contacts", body | {"isActive": 1}, parent=company)["isActive"] == 1
    assert (
        "while parsing value: t" in refused(store, "Contacts", body | {"isActive": True}, parent=company)[0]
    )
    assert refused(store, "Contacts", body | {"isActive": 2}, parent=company)


@pytest.mark.parametrize("body", [None, [], "x", 5, [COMPANY]])
def test_a_body_that_is_no_object_is_a_null_reference(store: Store, body: Any) -> None:
    """The service's own text for it."""
    assert refused(store, "Companies", body) == ["Object reference not set to an instance of an object."]
    assert update(store, "Companies", 0, body)[1] == ["Object reference not set to an instance of an object."]


def test_unknown_and_read_only_fields_are_ignored(store: Store) -> None:
    """Neither is an error, neither is stored; nothing the server writes itself can be set."""
    more = {"colour": "red", "createDate": "1999-01-01", "createdByResourceID": 77, "lastActivityDate": "x"}
    row = accepted(store, "Companies", COMPANY | more)
    assert "colour" not in row
    assert (row["createDate"], row["createdByResourceID"]) == (NOW, ACTOR)
    assert update(store, "Projects", store.table("Projects").ids[0], {"companyID": 0})[1] == []


def test_parent_task_is_ignored(store: Store) -> None:
    """Sub-tasks do not exist: parentTaskID vanishes without a word."""
    project = id_of(store, "Projects", "extProjectNumber", "EXT-1")
    body = {"title": "x", "status": 1, "taskType": 1, "parentTaskID": 5}
    assert "parentTaskID" not in accepted(store, "Tasks", body, parent=project)


def test_field_names_are_taken_in_any_case(store: Store) -> None:
    """As the deserializer does."""
    row = accepted(store, "Companies", {name.upper(): value for name, value in COMPANY.items()})
    assert {name: row[name] for name in COMPANY} == COMPANY


@pytest.mark.parametrize("given", [0, "0", None])
def test_a_create_may_say_id_nothing(store: Store, given: Any) -> None:
    """0, "0" and null are no id."""
    assert accepted(store, "Companies", COMPANY | {"id": given})


def test_a_create_with_an_id_fails(store: Store) -> None:
    """Any real id makes it fail."""
    assert "id must not have a value" in refused(store, "Companies", COMPANY | {"id": 5})[0]


def test_references_must_exist(store: Store) -> None:
    """The text names field and entity; company 0 exists."""
    assert refused(store, "Companies", COMPANY | {"parentCompanyID": 99}) == [
        "Reference value on field: parentCompanyID of type: Account does not exist or is invalid."
    ]
    assert accepted(store, "Companies", COMPANY | {"parentCompanyID": 0})["parentCompanyID"] == 0


@pytest.mark.parametrize("who", ["jonas.weber", "import.service"])
def test_an_owner_is_an_active_person(store: Store, who: str) -> None:
    """Neither an inactive resource nor a user that only calls the API owns a company."""
    body = COMPANY | {"ownerResourceID": id_of(store, "Resources", "userName", who)}
    assert refused(store, "Companies", body) == [
        "Reference value on field: ownerResourceID of type: Resource does not exist or is invalid."
    ]


def test_an_inactive_contact_is_refused_even_unchanged(store: Store) -> None:
    """A reference to an inactive contact is rejected in every write that carries it."""
    olga = id_of(store, "Contacts", "firstName", "Olga")
    ticket = id_of(store, "Tickets", "externalID", "LT-1")
    store.table("Tickets").update(ticket, {"contactID": olga})
    text = "Reference value on field: contactID of type: Contact does not exist or is invalid."
    assert update(store, "Tickets", ticket, {"contactID": olga})[1] == [text]
    assert update(store, "Tickets", ticket, {"title": "still"})[1] == []


def test_picklists_refuse_what_they_do_not_list(store: Store) -> None:
    """An inactive value is listed too, so it can be written."""
    assert refused(store, "Companies", COMPANY | {"companyType": 99}) == [
        "Value does not reference an existing entity for companyType . "
    ]
    assert accepted(store, "Companies", COMPANY | {"companyType": 9})["companyType"] == 9


def test_a_replaced_picklist_counts_at_once(store: Store) -> None:
    """What a tenant loads over a list is what is checked, also after the list was in use."""
    assert accepted(store, "Companies", COMPANY)
    store.picklists["Companies"]["companyType"] = [picklists.value("41", "Member", 1)]
    assert refused(store, "Companies", COMPANY)
    assert accepted(store, "Companies", COMPANY | {"companyType": 41})


def test_dependent_values_stand_under_their_parent(store: Store) -> None:
    """A sub-issue needs its issue, in the same body or in the record."""
    ticket = {"companyID": 0, "title": "x", "status": 1, "priority": 2}
    text = "Value does not reference an existing entity for subIssueType . "
    assert accepted(store, "Tickets", ticket | {"issueType": 11, "subIssueType": 110})
    assert refused(store, "Tickets", ticket | {"issueType": 10, "subIssueType": 110}) == [text]
    assert refused(store, "Tickets", ticket | {"subIssueType": 110}) == [text]
    existing = id_of(store, "Tickets", "externalID", "LT-2")  # issue 10, sub-issue 102
    assert update(store, "Tickets", existing, {"issueType": 11})[1] == [text]
    assert update(store, "Tickets", existing, {"issueType": 11, "subIssueType": 112})[1] == []
    assert update(store, "Tickets", existing, {"title": "y"})[1] == []


def test_the_parent_of_the_path_wins() -> None:
    """Over the body's, and by switch a difference is an error."""
    for switch, fails in (("path", False), ("error", True)):
        store = founded(parent_mismatch=switch)
        first, second = store.table("Projects").ids[:2]
        body = {"title": "x", "status": 1, "taskType": 1, "projectID": second}
        row, errors = check(store, "Tasks", body, parent=first)
        assert bool(errors) is fails
        assert fails or row["projectID"] == first
        assert accepted(store, "Tasks", body | {"projectID": str(first)}, parent=first)["projectID"] == first


def test_a_parent_that_does_not_exist_is_a_dangling_reference(store: Store) -> None:
    """The id in the path is checked like any reference."""
    body = {"title": "x", "status": 1, "taskType": 1}
    assert "Reference value on field: projectID" in refused(store, "Tasks", body, parent=77)[0]


def test_what_can_never_change_is_an_error(store: Store) -> None:
    """Another project for a task or a phase is refused, the same one is not."""
    first, second = store.table("Projects").ids[:2]
    for entity in ("Tasks", "Phases"):
        row_id = store.table(entity).ids[0]
        assert "projectID" in update(store, entity, row_id, {"projectID": second})[1][0]
        assert update(store, entity, row_id, {"projectID": str(first), "title": "t"})[1] == []


def test_impersonation_names_the_author(store: Store) -> None:
    """The impersonated resource is the creator, the API user the impersonator."""
    tomas = id_of(store, "Resources", "userName", "tomas.lindqvist")
    row, errors = check(store, "Companies", COMPANY, impersonating=tomas)
    assert errors == []
    assert (row["createdByResourceID"], row["impersonatorCreatorResourceID"]) == (tomas, ACTOR)
    assert "impersonatorCreatorResourceID" not in accepted(store, "Companies", COMPANY)


@pytest.mark.parametrize("who", ["nobody", "jonas.weber"])
def test_only_active_resources_are_impersonated(store: Store, who: str) -> None:
    """An unknown or inactive resource is refused with the permission text."""
    found = store.table("Resources").ids_of("userName", who)
    _, errors = check(store, "Companies", COMPANY, impersonating=found[0] if found else -1)
    assert "does not have the adequate permissions" in errors[0]


def test_impersonation_only_where_it_exists(store: Store) -> None:
    """Tasks do not know it."""
    project = store.table("Projects").ids[0]
    body = {"title": "x", "status": 1, "taskType": 1}
    assert check(store, "Tasks", body, parent=project, impersonating=4)[1]


def udfs(*pairs: tuple[str, Any]) -> dict[str, Any]:
    return {"userDefinedFields": [{"name": name, "value": value} for name, value in pairs]}


def test_udfs_are_stored_as_text_under_their_own_names(store: Store) -> None:
    """Any spelling of the name, any scalar as value; a date keeps its day."""
    given = udfs(
        ("legacy id", 17),
        ("Customer Ranking", " Golden "),
        ("Agreed Hours", "2.5"),
        ("Reviewed On", "2026-01-05"),
    )
    assert accepted(store, "Companies", COMPANY | given)["userDefinedFields"] == [
        {"name": "Legacy ID", "value": "17"},
        {"name": "Customer Ranking", "value": "Golden"},
        {"name": "Agreed Hours", "value": "2.5"},
        {"name": "Reviewed On", "value": "2026-01-05T00:00:00.000Z"},
    ]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (udfs(("Shoe Size", "9")), "Unable to find Shoe Size in the Account Entity"),
        (
            udfs(("Customer Ranking", "1")),
            "Value does not reference an existing entity for Customer Ranking . ",
        ),
        (udfs(("Agreed Hours", "many")), "Could not convert string to double: many. Path 'Agreed Hours'."),
        (udfs(("Legacy ID", "x" * 101)), "Legacy ID must be less than or equal to 100 characters"),
        ({"userDefinedFields": {"Legacy ID": "1"}}, "Object reference not set to an instance of an object."),
        ({"userDefinedFields": [17]}, "Object reference not set to an instance of an object."),
        ({"userDefinedFields": [{"value": "1"}]}, "Object reference not set to an instance of an object."),
    ],
)
def test_wrong_udfs_are_refused(store: Store, given: dict[str, Any], text: str) -> None:
    """An unknown name, a value outside the list, a wrong type, a wrong shape."""
    assert refused(store, "Companies", COMPANY | given) == [text]


def test_a_udf_default_fills_what_is_not_given(store: Store) -> None:
    """On create only."""
    store.udfs["Companies"][0] = store.udfs["Companies"][0] | {"defaultValue": "new"}
    assert accepted(store, "Companies", COMPANY)["userDefinedFields"] == [
        {"name": "Legacy ID", "value": "new"}
    ]
    assert "userDefinedFields" not in update(store, "Companies", 0, {"fax": "1"})[0]


def test_udfs_where_there_are_none_are_ignored(store: Store) -> None:
    """An entity that cannot have UDFs treats the collection as any unknown field."""
    body = {"name": "Night", "hourlyFactor": 1, "hourlyRate": 2, "isActive": True} | udfs(("x", "1"))
    assert "userDefinedFields" not in accepted(store, "Roles", body)


def test_attachments_need_no_parent_type(store: Store) -> None:
    """The vendor's own sample request is accepted; the server knows size and kind of the file."""
    ticket = store.table("Tickets").ids[0]
    body = {
        "id": 0, "attachDate": "2020-10-05T10:59:57.537", "attachedByContactID": None,
        "attachedByResourceID": None, "attachmentType": "FILE_ATTACHMENT", "fullPath": "TestText.txt",
        "publish": 1, "title": "Test text to a ticket", "data": "VGVzdA==",
    }  # fmt: skip
    row = accepted(store, "TicketAttachments", body, parent=ticket)
    assert (row["fileSize"], row["contentType"], row["parentID"]) == (4, "text/plain", ticket)
    assert refused(store, "TicketAttachments", body | {"data": "no base64!"}, parent=ticket)
