"""Who may be given which work, and what somebody has who hands everything over: rules, firm, switches."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.simulator import firm, loading, picklists, validation
from bulkops.simulator.store import Row, Store
from bulkops.simulator.switches import Switches

NOW = "2026-06-01T08:00:00.000Z"
ACTOR = 29851892  # the API user
NO_ROLE = "Reference value on field: {} of type: Role does not exist or is invalid."
NOBODY = "Reference value on field: {} of type: Resource does not exist or is invalid."


class Client:
    """Writes as a client does, straight into the rules."""

    def __init__(self, **switches: object) -> None:
        self.store = Store(now=lambda: NOW, switches=Switches(), ci=1)
        picklists.load(self.store)
        firm.found(self.store, empty=False)
        self.store.switches.update(switches)

    def create(self, entity: str, parent: int | None = None, **body: Any) -> list[str]:
        row, errors = validation.check_create(
            self.store, entity, body, parent_id=parent, actor=ACTOR, impersonating=None
        )
        if not errors:
            made = self.store.table(entity).insert(row)
            validation.after_commit(self.store, entity, "create", self.row(entity, made), {})
        return errors

    def update(self, entity: str, row_id: int, **body: Any) -> list[str]:
        row = self.row(entity, row_id)
        changes, errors = validation.check_update(
            self.store, entity, row, body, actor=ACTOR, impersonating=None
        )
        if not errors:
            self.store.table(entity).update(row_id, changes)
        return errors

    def row(self, entity: str, row_id: int) -> Row:
        return self.store.table(entity)[row_id]

    def last(self, entity: str) -> int:
        return self.store.table(entity).ids[-1]

    def id(self, entity: str, field: str, value: Any) -> int:
        return self.store.table(entity).ids_of(field, value)[0]

    def person(self, name: str) -> int:
        """By the user name's first part."""
        rows = self.store.table("Resources").values()
        return next(int(row["id"]) for row in rows if row["userName"].startswith(name))

    def role(self, name: str) -> int:
        return self.id("Roles", "name", name)

    def assigned(self, name: str, role: str) -> Row:
        return {"assignedResourceID": self.person(name), "assignedResourceRoleID": self.role(role)}

    def helper(self, name: str, role: str) -> Row:
        return {"resourceID": self.person(name), "roleID": self.role(role)}


@pytest.fixture
def client() -> Client:
    return Client()


# the firm


def test_daniel_has_something_of_everything(client: Client) -> None:
    """One person with open tasks and tickets, projects, helping hands, calls, to-dos, opportunities."""
    daniel = client.person("daniel")
    fields = {
        "Tasks": "assignedResourceID", "Tickets": "assignedResourceID", "Projects": "projectLeadResourceID",
        "TaskSecondaryResources": "resourceID", "TicketSecondaryResources": "resourceID",
        "ServiceCallTicketResources": "resourceID", "ServiceCallTaskResources": "resourceID",
        "CompanyToDos": "assignedToResourceID", "Opportunities": "ownerResourceID",
    }  # fmt: skip
    held = {entity: len(client.store.table(entity).ids_of(name, daniel)) for entity, name in fields.items()}
    assert all(count >= 1 for count in held.values()), held
    assert held["Tasks"] >= 6 and held["Projects"] >= 3


def test_people_differ_in_what_they_can_be_given(client: Client) -> None:
    """Two roles, one role, none, inactive, and departments without a queue."""
    held: dict[int, set[int]] = {}
    for row in client.store.table("ResourceRoleDepartments").values():
        if row["isActive"]:
            held.setdefault(row["resourceID"], set()).add(row["roleID"])
    assert len(held[client.person("daniel")]) == 2
    assert len(held[client.person("maria.santos")]) == 1
    assert client.person("lea") not in held
    assert client.row("Resources", client.person("jonas"))["isActive"] is False
    queues = {row["resourceID"] for row in client.store.table("ResourceRoleQueues").values()}
    assert client.person("priya") in held and client.person("priya") not in queues


def test_every_active_project_status_occurs_with_open_work(client: Client) -> None:
    """Also inactive, complete and Baseline projects have tasks with hours that remain."""
    statuses = [value for value in client.store.picklists["Projects"]["status"] if value["isActive"]]
    projects = list(client.store.table("Projects").values())
    assert {str(row["status"]) for row in projects} == {value["value"] for value in statuses}

    def has_open_work(project: int) -> bool:
        tasks = client.store.table("Tasks").find("projectID", project)
        return any(row["status"] != 5 and row["remainingHours"] for row in tasks)

    for field, value in (("status", 2), ("status", 5), ("projectType", 8)):
        assert any(has_open_work(row["id"]) for row in projects if row[field] == value), field
    assert len(client.store.table("TaskPredecessors")) >= 2


def test_the_firm_is_the_same_whatever_the_switches_say() -> None:
    """Its records were made before anybody set one."""
    strict = {"complete_project": "read_only", "ticket_queue": "required", "task_role": "department",
              "service_call_resource": "assigned", "baseline_create": "refuse"}  # fmt: skip
    made = Store(now=lambda: NOW, switches=Switches(), ci=1)
    made.switches.update(strict)
    picklists.load(made)
    firm.found(made, empty=False)
    usual = Client().store
    assert all(
        list(table.values()) == list(made.table(name).values()) for name, table in usual.tables().items()
    )
    assert made.switches.complete_project == "read_only"


# tasks


@pytest.mark.parametrize(("switch", "errors"), [("any", []), ("department", [NO_ROLE])])
def test_which_roles_a_task_takes(switch: str, errors: list[str]) -> None:
    """ResourceRolesEntity.htm: a task takes a role; whether one of the service desk: `task_role`."""
    client = Client(task_role=switch)
    maria, desk = client.person("maria.santos2"), client.role("Engineer")
    client.store.table("ResourceServiceDeskRoles").insert(
        {"resourceID": maria, "roleID": desk, "isActive": True}
    )
    held = client.id("Tasks", "externalID", "T-4")
    pair = {"assignedResourceID": maria, "assignedResourceRoleID": desk}
    assert client.update("Tasks", held, **pair) == [text.format("assignedResourceRoleID") for text in errors]


@pytest.mark.parametrize(
    ("entity", "title"), [("Tasks", "Copy the data"), ("Tickets", "Port for the customs gateway")]
)
def test_a_role_that_is_no_more_is_not_handed_over(client: Client, entity: str, title: str) -> None:
    """TaskEntity.htm: only a pair that is there already may keep an inactive role."""
    held, engineer = client.id(entity, "title", title), client.role("Engineer")
    client.store.table(entity).update(held, client.assigned("daniel", "Engineer"))
    client.store.table("Roles").update(engineer, {"isActive": False})
    assert client.update(entity, held, title="x", assignedResourceRoleID=engineer) == []
    errors = client.update(entity, held, assignedResourceID=client.person("tomas"))
    assert errors == [NO_ROLE.format("assignedResourceRoleID")]


@pytest.mark.parametrize("name", ["jonas", "import"])
def test_who_left_and_who_only_calls_the_api_get_nothing(client: Client, name: str) -> None:
    """Define_API_User.htm, and live: an inactive resource is no value of any reference."""
    wanted = client.person(name)
    text = NOBODY.format("assignedResourceID")
    for entity, field, value in (("Tasks", "externalID", "T-4"), ("Tickets", "externalID", "LT-4")):
        held = client.id(entity, field, value)
        assert text in client.update(entity, held, assignedResourceID=wanted)
    lead = client.id("Projects", "extProjectNumber", "EXT-1")
    assert client.update("Projects", lead, projectLeadResourceID=wanted) == [
        NOBODY.format("projectLeadResourceID")
    ]
    owned = client.store.table("Opportunities").ids[0]
    assert client.update("Opportunities", owned, ownerResourceID=wanted) == [NOBODY.format("ownerResourceID")]
    link = client.store.table("ServiceCallTickets").ids[0]
    assert client.create("ServiceCallTicketResources", link, resourceID=wanted) == [
        NOBODY.format("resourceID")
    ]


@pytest.mark.parametrize(("switch", "department"), [("default", "Projects"), ("role", "Service Desk")])
def test_which_department_a_task_gets(switch: str, department: str) -> None:
    """TaskEntity.htm: the primary resource's, silently; which of several: `task_department`."""
    client = Client(task_department=switch)
    held = client.id("Tasks", "externalID", "T-6")  # nobody's
    office = client.id("Departments", "name", "Administration")
    body = client.assigned("daniel", "Engineer") | {"departmentID": office}
    assert client.update("Tasks", held, **body) == []
    assert client.row("Tasks", held)["departmentID"] == client.id("Departments", "name", department)
    assert client.update("Tasks", held, departmentID=office) == []
    assert client.row("Tasks", held)["departmentID"] == client.id("Departments", "name", department)


def test_handing_over_without_a_work_type_is_refused(client: Client) -> None:
    """TaskEntity.htm: billingCodeID is needed with a primary resource."""
    held = client.id("Tasks", "title", "Mount access points")
    text = "Value does not exist for the required field billingCodeID. ; on record number [1]."
    assert client.update("Tasks", held, **client.assigned("maria.santos", "Engineer")) == [text]


def test_loaded_resource_roles_are_believed(client: Client) -> None:
    """Where only the list was loaded, not the associations it is made of: a department, a queue."""
    lea, engineer = client.person("lea"), client.role("Engineer")
    place = client.id("Departments", "name", "Projects")
    task, ticket = client.id("Tasks", "externalID", "T-4"), client.id("Tickets", "externalID", "LT-4")
    pair = {"assignedResourceID": lea, "assignedResourceRoleID": engineer}
    rows = [{"resourceID": lea, "roleID": engineer, "departmentID": place}]
    loading.put_rows(client.store, "ResourceRoles", rows)
    assert client.update("Tasks", task, **pair) == []
    assert client.row("Tasks", task)["departmentID"] == place
    assert client.update("Tickets", ticket, **pair) == [NO_ROLE.format("assignedResourceRoleID")]
    rows = [{"resourceID": lea, "roleID": engineer, "queueID": 29682833}]
    loading.put_rows(client.store, "ResourceRoles", rows)
    assert client.update("Tickets", ticket, **pair) == []


@pytest.mark.parametrize(("switch", "refused"), [("on", 1), ("off", 0)])
def test_nobody_helps_twice_with_a_task(switch: str, refused: int) -> None:
    """INFER, as for tickets."""
    client = Client(inferred=switch)
    held = client.id("Tasks", "externalID", "T-3")  # Tomas helps
    assert len(client.create("TaskSecondaryResources", held, **client.helper("tomas", "Engineer"))) == refused


# tickets


@pytest.mark.parametrize(
    ("switch", "fine"),
    [
        ("queue", []),
        ("service_desk", ["desk"]),
        ("any", ["desk", "department"]),
    ],
)
def test_which_roles_a_ticket_takes(switch: str, fine: list[str]) -> None:
    """TicketsEntity.htm: a pair with a queue; what that means since a queue needs no role: `ticket_role`."""
    client = Client(ticket_role=switch)
    held = client.id("Tickets", "externalID", "LT-4")
    priya, manager = client.person("priya"), client.role("Project Manager")
    role = client.role("Help Desk")
    client.store.table("ResourceServiceDeskRoles").insert(
        {"resourceID": priya, "roleID": role, "isActive": True}
    )
    for name, wanted in (("desk", role), ("department", manager)):
        body = {"assignedResourceID": priya, "assignedResourceRoleID": wanted}
        assert (client.update("Tickets", held, **body) == []) is (name in fine)
    client.store.table("ResourceRoleQueues").insert({"resourceID": priya, "queueID": 29682833})
    body = {"assignedResourceID": priya, "assignedResourceRoleID": role}
    assert client.update("Tickets", held, **body) == []


def test_secondary_resources_of_a_ticket(client: Client) -> None:
    """TicketsEntity.htm: not the primary one, not one who helps already; in a role for tickets."""
    held = client.id("Tickets", "externalID", "LT-4")  # Daniel's, Tomas helps

    def refused(name: str, role: str) -> str:
        return " ".join(client.create("TicketSecondaryResources", held, **client.helper(name, role)))

    assert (
        refused("daniel", "Engineer") == "The primary resource of the Ticket cannot be a secondary resource."
    )
    assert refused("tomas", "Engineer") == "The resource is a secondary resource of the Ticket already."
    assert refused("maria.santos", "Engineer") == NO_ROLE.format("roleID")  # in no queue
    assert refused("maria.santos2", "Help Desk") == ""


@pytest.mark.parametrize(("switch", "refused"), [("50", 1), ("off", 0)])
def test_how_many_help_with_a_ticket(switch: str, refused: int) -> None:
    """REPORT: 50, as for tasks; switch `ticket_helpers`."""
    client = Client(ticket_helpers=switch)
    held = client.id("Tickets", "externalID", "LT-1")
    for _ in range(50):
        client.store.table("TicketSecondaryResources").insert(
            {"ticketID": held, "resourceID": 4, "roleID": 1}
        )
    errors = client.create("TicketSecondaryResources", held, **client.helper("tomas", "Engineer"))
    assert len(errors) == refused


@pytest.mark.parametrize(("switch", "refused"), [("optional", 0), ("required", 1)])
def test_a_ticket_of_nobody_may_need_a_queue(switch: str, refused: int) -> None:
    """REPORT: in many tenants; switch `ticket_queue`."""
    client = Client(ticket_queue=switch)
    body: Row = {"companyID": 0, "title": "x", "status": 1, "priority": 2}
    assert len(client.create("Tickets", **body)) == refused
    assert client.create("Tickets", **body, **client.assigned("tomas", "Engineer")) == []
    held = client.last("Tickets")
    nobody = {"assignedResourceID": None, "assignedResourceRoleID": None}
    assert len(client.update("Tickets", held, **nobody)) == refused


@pytest.mark.parametrize(("switch", "is_refused"), [("merged", False), ("stored", True)])
def test_clearing_and_moving_a_ticket_in_one_request(switch: str, is_refused: bool) -> None:
    """LIVE: contact and location are cleared before; whether one request does both: `ticket_company`."""
    client = Client(ticket_company=switch)
    held = client.id("Tickets", "externalID", "LT-1")
    company = client.id("Companies", "companyNumber", "C-1002")
    cleared = {"contactID": None, "companyLocationID": None}
    errors = client.update("Tickets", held, companyID=company, **cleared)
    assert bool(errors) is is_refused
    if is_refused:
        assert errors[0] == "Value does not reference an existing entity for contactID."
        assert client.update("Tickets", held, **cleared) == []
        assert client.update("Tickets", held, companyID=company) == []
    ben = client.id("Contacts", "firstName", "Ben")
    assert client.update("Tickets", held, contactID=ben) == []


@pytest.mark.parametrize(("switch", "refused"), [("unchecked", 0), ("checked", 1)])
def test_who_left_may_stand_in_the_way_of_an_update(switch: str, refused: int) -> None:
    """REPORT: an inactive person breaks updates of other fields; switch `stored_references`."""
    client = Client(stored_references=switch)
    held = client.id("Tickets", "externalID", "LT-2")
    contact = client.row("Tickets", held)["contactID"]
    client.store.table("Contacts").update(contact, {"isActive": 0})
    assert len(client.update("Tickets", held, title="x")) == refused
    assert client.update("Tickets", held, title="x", contactID=None) == []
    task = client.id("Tasks", "externalID", "T-4")
    client.store.table("Tasks").update(task, {"assignedResourceID": client.person("jonas")})
    assert len(client.update("Tasks", task, title="x")) == refused
    assert client.update("Tasks", task, **client.assigned("daniel", "Engineer")) == []


# who changed it


@pytest.mark.parametrize(
    ("entity", "who", "when"),
    [
        ("Tasks", "lastActivityResourceID", "lastActivityDateTime"),
        ("Projects", "lastActivityResourceID", "lastActivityDateTime"),
        ("Tickets", "lastActivityResourceID", "lastActivityDate"),
        ("ConfigurationItems", "lastActivityPersonID", "lastModifiedTime"),
    ],
)
def test_somebody_elses_edit_says_who_and_when(client: Client, entity: str, who: str, when: str) -> None:
    """Field tables of the entities: the last activity; ours names the API user, theirs another person."""
    table = client.store.table(entity)
    held = table.ids[0] if table.ids else table.insert({"referenceTitle": "x"})
    name = {"Tickets": "title", "Tasks": "title", "Projects": "projectName"}.get(entity, "referenceTitle")
    if entity != "ConfigurationItems":
        assert client.update(entity, held, **{name: "ours"}) == []
        assert (table[held][who], table[held][when]) == (ACTOR, NOW)
    table.update(held, {when: None})
    loading.edit_rows(client.store, entity, [{"id": held, name: "theirs"}])
    row = table[held]
    assert (row[name], row[who], row[when]) == ("theirs", 4, NOW)
    client.store.api_resource_id = 4
    loading.edit_rows(client.store, entity, [{"id": held, name: "again"}])
    assert table[held][who] == client.person("tomas")
    loading.edit_rows(client.store, entity, [{"id": held, who: 77, when: "2020-01-01T00:00:00.000Z"}])
    assert (table[held][who], table[held][when]) == (77, "2020-01-01T00:00:00.000Z")


def test_an_edit_where_nobody_else_is_names_nobody() -> None:
    """An empty tenant has one resource, who is the API user."""
    store = Store(now=lambda: NOW, switches=Switches(), ci=1)
    picklists.load(store)
    firm.found(store, empty=True)
    loading.put_rows(store, "Tasks", [{"id": 1, "title": "a", "lastActivityResourceID": 4}])
    loading.edit_rows(store, "Tasks", [{"id": 1, "title": "b"}])
    assert (store.table("Tasks")[1]["lastActivityResourceID"], store.table("Tasks")[1]["title"]) == (4, "b")
