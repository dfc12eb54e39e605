"""What the help pages say about companies, contacts, tickets, time and roles, held by the simulator."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.simulator import firm, picklists, rules, validation
from bulkops.simulator.store import Row, Store
from bulkops.simulator.switches import Switches

NOW = "2026-06-01T08:00:00.000Z"
ACTOR = 4


@pytest.fixture
def store() -> Store:
    made = Store(now=lambda: NOW, switches=Switches(), ci=1)
    picklists.load(made)
    firm.found(made, empty=False)
    return made


def refused(store: Store, entity: str, body: Row, *, parent: int | None = None) -> list[str]:
    """The texts; none where the create would be accepted."""
    return validation.check_create(store, entity, body, parent_id=parent, actor=ACTOR, impersonating=None)[1]


def create(store: Store, entity: str, body: Row, *, parent: int | None = None) -> Row:
    row, errors = validation.check_create(
        store, entity, body, parent_id=parent, actor=ACTOR, impersonating=None
    )
    assert errors == []
    made = store.table(entity).insert(row)
    validation.after_commit(store, entity, "create", store.table(entity)[made], {})
    return store.table(entity)[made]


def update(store: Store, entity: str, row_id: int, **body: Any) -> list[str]:
    row = store.table(entity)[row_id]
    changes, errors = validation.check_update(store, entity, row, body, actor=ACTOR, impersonating=None)
    if not errors:
        store.table(entity).update(row_id, changes)
        validation.after_commit(store, entity, "update", store.table(entity)[row_id], changes)
    return errors


def delete(store: Store, entity: str, row_id: int) -> list[str]:
    return validation.check_delete(store, entity, store.table(entity)[row_id])


def id_of(store: Store, entity: str, field: str, value: Any) -> int:
    return store.table(entity).ids_of(field, value)[0]


def ticket(**more: Any) -> Row:
    return {"companyID": 0, "title": "x", "status": 1, "priority": 2} | more


def test_no_company_is_its_own_ancestor(store: Store) -> None:
    """Neither directly nor by way of its children."""
    cobalt, depot = (
        id_of(store, "Companies", "companyNumber", "C-1003"),
        id_of(store, "Companies", "companyNumber", "C-1004"),
    )
    assert update(store, "Companies", cobalt, parentCompanyID=cobalt)
    assert update(store, "Companies", cobalt, parentCompanyID=depot)
    store.switches.update({"inferred": "off"})  # no source says so
    assert update(store, "Companies", cobalt, parentCompanyID=depot) == []
    assert update(store, "Companies", cobalt, parentCompanyID=0) == []
    assert update(store, "Companies", depot, parentCompanyID=None) == []


def test_a_new_primary_location_unsets_the_old(store: Store) -> None:
    """One of the company's locations is primary, others' companies are left alone."""
    alder = id_of(store, "Companies", "companyNumber", "C-1001")
    others = [
        row["id"]
        for row in store.table("CompanyLocations").values()
        if row["isPrimary"] and row["companyID"] != alder
    ]
    made = create(store, "CompanyLocations", {"name": "New", "isPrimary": True}, parent=alder)
    assert [
        row["id"] for row in store.table("CompanyLocations").find("companyID", alder) if row["isPrimary"]
    ] == [made["id"]]
    old = id_of(store, "CompanyLocations", "name", "Springmere Practice")
    assert update(store, "CompanyLocations", old, isPrimary=True) == []
    assert [
        row["id"] for row in store.table("CompanyLocations").find("companyID", alder) if row["isPrimary"]
    ] == [old]
    assert [row_id for row_id in others if not store.table("CompanyLocations")[row_id]["isPrimary"]] == []


def test_a_company_has_at_most_5000_locations(store: Store) -> None:
    """The next one is refused."""
    alder = id_of(store, "Companies", "companyNumber", "C-1001")
    table = store.table("CompanyLocations")
    for n in range(5000 - len(table.ids_of("companyID", alder))):
        assert n or refused(store, "CompanyLocations", {"name": "x"}, parent=alder) == []
        table.insert({"companyID": alder, "name": f"{n}"})
    assert "5000" in refused(store, "CompanyLocations", {"name": "x"}, parent=alder)[0]


def test_location_of_a_contact_is_its_companys(store: Store) -> None:
    """On create and on update; the text is the one known for tickets."""
    alder = id_of(store, "Companies", "companyNumber", "C-1001")
    bakery = id_of(store, "CompanyLocations", "name", "Bakery")
    body = {"firstName": "A", "lastName": "B", "isActive": 1, "companyLocationID": bakery}
    text = (
        f"The companyLocationID[{bakery}] cannot be associated with the Contact. "
        "The Contact and CompanyLocation must have the same companyID."
    )
    assert refused(store, "Contacts", body, parent=alder) == [text]
    assert update(
        store, "Contacts", id_of(store, "Contacts", "firstName", "Sam"), companyLocationID=bakery
    ) == [text]


def test_a_contact_in_use_is_not_deleted(store: Store) -> None:
    """Contact of a ticket, primary contact, recipient of invoices; one that nothing holds goes."""
    assert "contact of a ticket" in " ".join(
        delete(store, "Contacts", id_of(store, "Contacts", "firstName", "Sam"))
    )
    assert len(delete(store, "Contacts", id_of(store, "Contacts", "firstName", "Ruth"))) == 2
    olga = id_of(store, "Contacts", "firstName", "Olga")
    store.recipients = {0: {"contactRecipients": [olga]}}
    assert "invoices" in delete(store, "Contacts", olga)[0]
    store.recipients = {}
    assert delete(store, "Contacts", olga) == []


def test_contact_group_names_are_unique(store: Store) -> None:
    """The vendor's own example of an error, to the letter."""
    create(store, "ContactGroups", {"name": "Owners", "isActive": True})
    other = create(store, "ContactGroups", {"name": "Others", "isActive": True})
    text = "A ContactGroup already exists with Name [owners]. ContactGroup names must be unique."
    assert refused(store, "ContactGroups", {"name": "owners", "isActive": True}) == [text]
    assert update(store, "ContactGroups", other["id"], name="owners") == [text]
    assert update(store, "ContactGroups", other["id"], name="Others") == []


def test_a_ticket_takes_resource_and_role_together(store: Store) -> None:
    """The text seen live; the pair must work in a service desk queue."""
    tomas, engineer = (
        id_of(store, "Resources", "userName", "tomas.lindqvist"),
        id_of(store, "Roles", "name", "Engineer"),
    )
    both = "When assigning a Resource, you must assign both a assignedResourceID and assignedResourceRoleID."
    assert refused(store, "Tickets", ticket(assignedResourceID=tomas)) == [both]
    assert refused(store, "Tickets", ticket(assignedResourceID=tomas, assignedResourceRoleID=engineer)) == []
    maria = id_of(store, "Resources", "userName", "maria.santos")  # engineer in projects only
    errors = refused(store, "Tickets", ticket(assignedResourceID=maria, assignedResourceRoleID=engineer))
    assert errors == [
        "Reference value on field: assignedResourceRoleID of type: Role does not exist or is invalid."
    ]


def test_primary_resource_of_a_ticket_is_not_secondary_too(store: Store) -> None:
    """A helper must leave before he can take over."""
    held = id_of(store, "Tickets", "externalID", "LT-4")  # Daniel's, Tomas helps
    tomas, engineer = (
        id_of(store, "Resources", "userName", "tomas.lindqvist"),
        id_of(store, "Roles", "name", "Engineer"),
    )
    errors = update(store, "Tickets", held, assignedResourceID=tomas, assignedResourceRoleID=engineer)
    assert errors == ["The primary resource of the Ticket cannot be a secondary resource."]


def test_changing_a_tickets_company_needs_contact_and_location_cleared(store: Store) -> None:
    """Refused with the texts seen live until both are cleared in a request before."""
    held = id_of(store, "Tickets", "externalID", "LT-1")
    bramble = id_of(store, "Companies", "companyNumber", "C-1002")
    location = store.table("Tickets")[held]["companyLocationID"]
    assert update(store, "Tickets", held, companyID=bramble) == [
        "Value does not reference an existing entity for contactID.",
        "Error updating entity for record number [1].",
        f"The companyLocationID[{location}] cannot be associated with the Ticket. "
        "The Ticket and CompanyLocation must have the same companyID.",
    ]
    assert update(store, "Tickets", held, contactID=None, companyLocationID=None) == []
    assert update(store, "Tickets", held, companyID=bramble) == []


def test_a_ticket_gets_a_number_and_a_date_of_completion(store: Store) -> None:
    """A number of its own unless given; the date comes with Complete and goes when it is opened again."""
    first, second = create(store, "Tickets", ticket()), create(store, "Tickets", ticket())
    assert first["ticketNumber"] != second["ticketNumber"]
    assert create(store, "Tickets", ticket(ticketNumber="OLD-7"))["ticketNumber"] == "OLD-7"
    assert update(store, "Tickets", first["id"], status=5) == []
    assert store.table("Tickets")[first["id"]]["completedDate"] == NOW
    assert update(store, "Tickets", first["id"], status=8) == []
    assert store.table("Tickets")[first["id"]]["completedDate"] is None


def test_time_entries(store: Store) -> None:
    """More than 0 and at most 24 hours, for one thing at a time, in a role."""
    body = {"resourceID": id_of(store, "Resources", "userName", "tomas.lindqvist")}
    on_ticket = body | {
        "ticketID": store.table("Tickets").ids[0],
        "roleID": id_of(store, "Roles", "name", "Engineer"),
    }
    for hours, is_fine in ((24, True), (0.01, True), (0, False), (24.5, False), (-1, False)):
        assert (refused(store, "TimeEntries", body | {"hoursWorked": hours}) == []) is is_fine
    assert refused(store, "TimeEntries", on_ticket | {"roleID": None}) == [
        "TimeEntries for Tickets must have a roleID"
    ]
    assert refused(store, "TimeEntries", on_ticket | {"taskID": store.table("Tasks").ids[0]})
    assert create(store, "TimeEntries", on_ticket)["timeEntryType"] == 19
    assert update(store, "TimeEntries", store.table("TimeEntries").ids[0], hoursWorked=25)


def test_charges_take_their_price_from_the_material_code(store: Store) -> None:
    """A material code only; price and amount follow from it; what is billed is final."""
    held = store.table("Tickets").ids[0]
    hardware, work = (id_of(store, "BillingCodes", "name", name) for name in ("Hardware", "Project Work"))
    body = {
        "chargeType": 1,
        "datePurchased": "2026-06-01",
        "name": "Cable",
        "unitQuantity": 3,
        "billingCodeID": hardware,
    }
    row = create(store, "TicketCharges", body, parent=held)
    assert (row["unitPrice"], row["billableAmount"], row["isBilled"]) == (100.0, 300.0, False)
    assert refused(store, "TicketCharges", body | {"billingCodeID": work}, parent=held)
    assert update(store, "TicketCharges", row["id"], unitQuantity=2, unitPrice=10) == []
    assert store.table("TicketCharges")[row["id"]]["billableAmount"] == 20.0
    software = id_of(store, "BillingCodes", "name", "Software License")
    assert update(store, "TicketCharges", row["id"], billingCodeID=software) == []
    assert store.table("TicketCharges")[row["id"]]["billableAmount"] == 50.0
    assert delete(store, "TicketCharges", row["id"]) == []
    store.table("TicketCharges").update(row["id"], {"isBilled": True})
    assert update(store, "TicketCharges", row["id"], name="x")
    assert delete(store, "TicketCharges", row["id"])


def test_the_default_department_role_moves_but_is_never_taken_away(store: Store) -> None:
    """One default a resource; false is refused, true on another moves it."""
    tomas = id_of(store, "Resources", "userName", "tomas.lindqvist")
    table = store.table("ResourceRoleDepartments")
    first, second = table.find("resourceID", tomas)[:2]
    assert update(store, "ResourceRoleDepartments", first["id"], isDefault=False)
    assert update(store, "ResourceRoleDepartments", second["id"], isDefault=True) == []
    assert [row["id"] for row in table.find("resourceID", tomas) if row["isDefault"]] == [second["id"]]


def test_an_inactive_role_is_not_given_to_anybody(store: Store) -> None:
    """Nor does an inactive resource get one; an association keeps a role that becomes inactive."""
    tomas, jonas = (
        id_of(store, "Resources", "userName", name) for name in ("tomas.lindqvist", "jonas.weber")
    )
    consultant, engineer = (id_of(store, "Roles", "name", name) for name in ("Consultant", "Engineer"))
    body = {
        "departmentID": id_of(store, "Departments", "name", "Administration"), "isActive": True,
        "isDefault": False, "isDepartmentLead": False,
    }  # fmt: skip
    assert refused(store, "ResourceRoleDepartments", body | {"roleID": engineer}, parent=tomas) == []
    assert refused(store, "ResourceRoleDepartments", body | {"roleID": consultant}, parent=tomas)
    assert refused(store, "ResourceRoleDepartments", body | {"roleID": engineer}, parent=jonas)
    held = store.table("ResourceRoleDepartments").find("resourceID", tomas)[0]
    store.table("Roles").update(engineer, {"isActive": False})
    assert update(store, "ResourceRoleDepartments", held["id"], roleID=engineer, isDepartmentLead=True) == []


def test_resource_roles_follow_the_associations(store: Store) -> None:
    """A new department role shows up, an ended one is hidden, a new queue opens tickets to the resource."""
    maria, engineer = (
        id_of(store, "Resources", "userName", "maria.santos"),
        id_of(store, "Roles", "name", "Engineer"),
    )
    assigned = ticket(assignedResourceID=maria, assignedResourceRoleID=engineer)
    create(store, "ResourceServiceDeskRoles", {"roleID": engineer}, parent=maria)
    assert refused(store, "Tickets", assigned)
    create(store, "ResourceRoleQueues", {"queueID": 29682833}, parent=maria)
    assert refused(store, "Tickets", assigned) == []
    held = store.table("ResourceRoleDepartments").find("resourceID", maria)[0]
    assert update(store, "ResourceRoleDepartments", held["id"], isActive=False) == []
    shown = [
        row
        for row in store.table("ResourceRoles").find("resourceID", maria)
        if not rules.hidden(store, "ResourceRoles", row)
    ]
    assert [(row["departmentID"], row["queueID"]) for row in shown] == [(None, 29682833)]


def test_a_new_department_can_be_chosen_at_once(store: Store) -> None:
    """Its id is a value of the department picklists."""
    place = store.table("InternalLocationWithBusinessHours").ids[0]
    made = create(store, "Departments", {"name": "Night Watch", "primaryLocationID": place})
    project = store.table("Projects").ids[0]
    body = {"title": "x", "status": 1, "taskType": 1, "departmentID": made["id"]}
    assert create(store, "Tasks", body, parent=project)["departmentID"] == made["id"]
