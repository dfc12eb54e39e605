"""What the help pages say about projects, phases, tasks and what hangs on them, held by the simulator."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.simulator import firm, picklists, validation
from bulkops.simulator.store import Row, Store
from bulkops.simulator.switches import Switches

NOW = "2026-06-01T08:00:00.000Z"
ACTOR = 4
BOTH = "When assigning a Resource, you must assign both a assignedResourceID and assignedResourceRoleID."
NO_ROLE = "Reference value on field: assignedResourceRoleID of type: Role does not exist or is invalid."
READ_ONLY = "The project is of type Baseline. It and everything under it is read-only."


class Client:
    """Writes as a client does, straight into the rules."""

    def __init__(self) -> None:
        self.store = Store(now=lambda: NOW, switches=Switches(), ci=1)
        picklists.load(self.store)
        firm.found(self.store, empty=False)

    def refused(self, entity: str, body: Row, *, parent: int | None = None) -> list[str]:
        """The texts; none where the create would be accepted."""
        return validation.check_create(
            self.store, entity, body, parent_id=parent, actor=ACTOR, impersonating=None
        )[1]

    def create(self, entity: str, body: Row, *, parent: int | None = None) -> Row:
        row, errors = validation.check_create(
            self.store, entity, body, parent_id=parent, actor=ACTOR, impersonating=None
        )
        assert errors == []
        made = self.store.table(entity).insert(row)
        validation.after_commit(self.store, entity, "create", self.row(entity, made), {})
        return self.row(entity, made)

    def update(self, entity: str, row_id: int, **body: Any) -> list[str]:
        row = self.row(entity, row_id)
        changes, errors = validation.check_update(
            self.store, entity, row, body, actor=ACTOR, impersonating=None
        )
        if not errors:
            self.store.table(entity).update(row_id, changes)
            validation.after_commit(self.store, entity, "update", self.row(entity, row_id), changes)
        return errors

    def delete(self, entity: str, row_id: int) -> list[str]:
        return validation.check_delete(self.store, entity, self.row(entity, row_id))

    def row(self, entity: str, row_id: int) -> Row:
        return self.store.table(entity)[row_id]

    def id(self, entity: str, field: str, value: Any) -> int:
        return self.store.table(entity).ids_of(field, value)[0]


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def project(client: Client) -> int:
    """In progress, with phases and tasks until 22 May 2026."""
    return client.id("Projects", "extProjectNumber", "EXT-1")


def task(**more: Any) -> Row:
    return {"title": "Something", "status": 1, "taskType": 1} | more


def person(client: Client, user: str = "tomas.lindqvist", role: str = "Engineer") -> Row:
    """Resource, role and work type, as an assignment needs them."""
    return {
        "assignedResourceID": client.id("Resources", "userName", user),
        "assignedResourceRoleID": client.id("Roles", "name", role),
        "billingCodeID": client.id("BillingCodes", "name", "Project Work"),
    }


def project_body(**more: Any) -> Row:
    dates = {"startDateTime": "2026-07-01T10:00:00Z", "endDateTime": "2026-07-31T22:00:00-05:00"}
    return {"projectName": "New", "companyID": 0, "projectType": 5, "status": 1} | dates | more


def baseline(client: Client) -> int:
    return client.id("Projects", "projectType", 8)


# projects


def test_project_dates_have_no_time(client: Client) -> None:
    """The day as written, at midnight, and a number of its own."""
    row = client.create("Projects", project_body())
    assert row["startDateTime"] == "2026-07-01T00:00:00.000Z"
    assert row["endDateTime"] == "2026-07-31T00:00:00.000Z"
    other = client.create("Projects", project_body())
    assert row["projectNumber"] != other["projectNumber"]


@pytest.mark.parametrize("end", ["2026-06-30", "2026-07-01"])
def test_project_starts_before_it_ends(client: Client, end: str) -> None:
    """The start lies before the end, whatever the time of day."""
    assert client.refused("Projects", project_body(endDateTime=end))
    row = client.create("Projects", project_body())
    assert client.update("Projects", row["id"], endDateTime=end)


def test_project_end_covers_its_tasks(client: Client, project: int) -> None:
    """Not before the last phase or task ends; later is fine."""
    assert "last phase or task" in client.update("Projects", project, endDateTime="2026-05-28")[0]
    assert client.update("Projects", project, endDateTime="2026-06-15") == []


def test_project_start_is_fixed_once_it_has_tasks(client: Client, project: int) -> None:
    """It can be moved while the project is empty."""
    assert "phases or tasks" in client.update("Projects", project, startDateTime="2026-02-03")[0]
    assert client.update("Projects", project, startDateTime="2026-02-02T12:00:00Z") == []
    empty = client.create("Projects", project_body())
    assert client.update("Projects", empty["id"], startDateTime="2026-07-02") == []


def test_project_stays_with_its_company(client: Client, project: int) -> None:
    """companyID is required and read-only: ignored on an update."""
    before = client.row("Projects", project)["companyID"]
    assert client.update("Projects", project, companyID=0) == []
    assert client.row("Projects", project)["companyID"] == before


def test_completing_a_project_completes_all_its_tasks(client: Client, project: int) -> None:
    """Nothing is left to do in any of them, and the project says when and how much."""
    others = [row for row in client.store.table("Tasks").values() if row["projectID"] != project]
    assert client.update("Projects", project, status=5) == []
    tasks = client.store.table("Tasks").find("projectID", project)
    assert len(tasks) == 6
    for row in tasks:
        assert (row["status"], row["remainingHours"]) == (5, 0)
        assert row["completedDateTime"] == NOW
    row = client.row("Projects", project)
    assert (row["completedPercentage"], row["completedDateTime"], row["statusDateTime"]) == (100, NOW, NOW)
    assert [row for row in client.store.table("Tasks").values() if row["projectID"] != project] == others


def test_an_update_of_a_complete_project_touches_no_task(client: Client) -> None:
    """Only the step to Complete completes, so a task opened afterwards stays open."""
    done = client.id("Projects", "status", 5)
    opened = client.store.table("Tasks").ids_of("projectID", done)[0]
    assert client.update("Tasks", opened, status=8) == []
    assert client.update("Projects", done, description="Archive") == []
    assert client.row("Tasks", opened)["status"] == 8


def test_a_baseline_project_and_all_under_it_is_read_only(client: Client) -> None:
    """Nothing of it can be written, at any depth."""
    frozen = baseline(client)
    held = client.store.table("Tasks").insert(task(projectID=frozen, assignedResourceID=4))
    phase = client.store.table("Phases").insert({"title": "x", "projectID": frozen})
    note = {"title": "x", "description": "x", "noteType": 5, "publish": 1, "isAnnouncement": False}
    tomas, role = person(client)["assignedResourceID"], person(client)["assignedResourceRoleID"]
    assert client.update("Projects", frozen, description="x") == [READ_ONLY]
    assert client.refused("Tasks", task(), parent=frozen) == [READ_ONLY]
    assert client.update("Tasks", held, title="x") == [READ_ONLY]
    assert client.refused("Phases", {"title": "x"}, parent=frozen) == [READ_ONLY]
    assert client.update("Phases", phase, title="y") == [READ_ONLY]
    assert client.refused("ProjectNotes", note, parent=frozen) == [READ_ONLY]
    assert client.refused("TaskNotes", {"description": "x", "noteType": 3, "publish": 1}, parent=held) == [
        READ_ONLY
    ]
    secondary = {"resourceID": tomas, "roleID": role}
    assert client.refused("TaskSecondaryResources", secondary, parent=held) == [READ_ONLY]


# phases


def test_phase_end_may_be_its_start(client: Client, project: int) -> None:
    """The same day is fine, the day before is not."""
    body = {"title": "x", "startDate": "2026-03-02T09:00:00Z", "dueDate": "2026-03-02"}
    assert client.create("Phases", body, parent=project)["dueDate"] == "2026-03-02T00:00:00.000Z"
    assert client.refused("Phases", body | {"dueDate": "2026-03-01"}, parent=project)


def test_a_sub_phase_lies_in_its_parents_project(client: Client, project: int) -> None:
    """A phase of another project is no parent, and phases make no circle."""
    foreign = client.id("Phases", "title", "Mail")
    text = "Reference value on field: parentPhaseID of type: Phase does not exist or is invalid."
    assert client.refused("Phases", {"title": "x", "parentPhaseID": foreign}, parent=project) == [text]
    top, sub = client.id("Phases", "externalID", "PH-2"), client.id("Phases", "externalID", "PH-3")
    assert client.update("Phases", top, parentPhaseID=sub) == [text]
    assert client.update("Phases", top, parentPhaseID=top) == [text]


# tasks


def test_resource_and_role_go_together(client: Client, project: int) -> None:
    """Either alone is refused, on create and on update."""
    whole = person(client)
    for alone in ("assignedResourceID", "assignedResourceRoleID"):
        body = task(**{name: value for name, value in whole.items() if name in (alone, "billingCodeID")})
        assert client.refused("Tasks", body, parent=project) == [BOTH]
    held = client.id("Tasks", "externalID", "T-3")
    assert client.update("Tasks", held, assignedResourceID=None) == [BOTH]
    assert client.update("Tasks", held, assignedResourceID=None, assignedResourceRoleID=None) == []


@pytest.mark.parametrize(
    ("user", "role"),
    [
        ("tomas.lindqvist", "Senior Engineer"),  # not his
        ("tomas.lindqvist", "Project Manager"),  # no longer his
        ("lea.marchetti", "Engineer"),  # has none
        ("tomas.lindqvist", "Consultant"),  # inactive
    ],
)
def test_the_resource_holds_the_role(client: Client, project: int, user: str, role: str) -> None:
    """In an active association, and the role itself is active."""
    assert client.refused("Tasks", task(**person(client, user, role)), parent=project) == [NO_ROLE]


def test_an_existing_pair_may_have_an_inactive_role(client: Client) -> None:
    """A task keeps its pair when the role becomes inactive, also when it is sent again."""
    held = client.id("Tasks", "externalID", "T-3")
    role = client.row("Tasks", held)["assignedResourceRoleID"]
    client.store.table("Roles").update(role, {"isActive": False})
    assert client.update("Tasks", held, title="x") == []
    assert client.update("Tasks", held, assignedResourceRoleID=role) == []
    tomas = person(client)["assignedResourceID"]
    assert client.update("Tasks", held, assignedResourceID=tomas)[0] == NO_ROLE


def test_an_assigned_task_needs_a_work_type(client: Client, project: int) -> None:
    """Required with a resource, and always a code of that kind."""
    body = task(**person(client)) | {"billingCodeID": None}
    text = "Value does not exist for the required field billingCodeID. ; on record number [1]."
    assert client.refused("Tasks", body, parent=project) == [text]
    hardware = client.id("BillingCodes", "name", "Hardware")
    assert (
        "billingCodeID of type: AllocationCode"
        in client.refused("Tasks", task(billingCodeID=hardware), parent=project)[0]
    )
    assert client.update("Tasks", client.id("Tasks", "externalID", "T-3"), billingCodeID=None) == [text]


def test_department_follows_the_resource(client: Client, project: int) -> None:
    """The default department of the resource, whatever the body says."""
    office = client.id("Departments", "name", "Administration")
    row = client.create("Tasks", task(departmentID=office, **person(client)), parent=project)
    assert row["departmentID"] == client.id("Departments", "name", "Service Desk")
    assert client.update("Tasks", row["id"], **person(client, "daniel.osei", "Senior Engineer")) == []
    assert client.row("Tasks", row["id"])["departmentID"] == client.id("Departments", "name", "Projects")
    assert client.create("Tasks", task(departmentID=office), parent=project)["departmentID"] == office


def test_location_of_a_task(client: Client, project: int) -> None:
    """The company's primary one unless given; active, and of the project's company."""
    row = client.create("Tasks", task(), parent=project)
    assert row["companyLocationID"] == client.id("CompanyLocations", "name", "Springmere Practice")
    other = client.id("CompanyLocations", "name", "Lakeside Practice")
    assert client.create("Tasks", task(companyLocationID=other), parent=project)["companyLocationID"] == other
    old, foreign = (client.id("CompanyLocations", "name", name) for name in ("Old Practice", "Bakery"))
    assert client.refused("Tasks", task(companyLocationID=old), parent=project)
    assert f"companyLocationID[{foreign}]" in client.update("Tasks", row["id"], companyLocationID=foreign)[0]


def test_what_a_new_task_gets_by_itself(client: Client, project: int) -> None:
    """Priority 0, hidden in the portal, a number of its own, its author."""
    row = client.create("Tasks", task(canClientPortalUserCompleteTask=True), parent=project)
    assert (row["priority"], row["isVisibleInClientPortal"], row["canClientPortalUserCompleteTask"]) == (
        0,
        False,
        False,
    )
    assert (row["creatorResourceID"], row["createDateTime"]) == (ACTOR, NOW)
    assert row["taskNumber"] not in {
        other["taskNumber"] for other in client.store.table("Tasks").values() if other != row
    }


def test_nobody_completes_what_he_cannot_see(client: Client, project: int) -> None:
    """Hiding a task in the portal takes the right to complete it away."""
    seen = {"isVisibleInClientPortal": True, "canClientPortalUserCompleteTask": True}
    row = client.create("Tasks", task(**seen), parent=project)
    assert row["canClientPortalUserCompleteTask"] is True
    assert client.update("Tasks", row["id"], isVisibleInClientPortal=False) == []
    assert client.row("Tasks", row["id"])["canClientPortalUserCompleteTask"] is False


def test_a_complete_task_has_nothing_left_to_do(client: Client, project: int) -> None:
    """Remaining hours become 0 and stay so; opened again, the date of completion goes."""
    row = client.create("Tasks", task(status=5, remainingHours=3), parent=project)
    assert (row["remainingHours"], row["completedDateTime"], row["completedByResourceID"]) == (0, NOW, ACTOR)
    assert client.update("Tasks", row["id"], remainingHours=7) == []
    assert client.row("Tasks", row["id"])["remainingHours"] == 0
    assert client.update("Tasks", row["id"], status=8, remainingHours=7) == []
    row = client.row("Tasks", row["id"])
    assert (row["remainingHours"], row["completedDateTime"]) == (7, None)


def test_phase_of_a_task_is_in_its_project(client: Client, project: int) -> None:
    """A phase of another project is refused."""
    foreign, own = client.id("Phases", "title", "Mail"), client.id("Phases", "title", "Preparation")
    text = "Reference value on field: phaseID of type: Phase does not exist or is invalid."
    assert client.refused("Tasks", task(phaseID=foreign), parent=project) == [text]
    row = client.create("Tasks", task(phaseID=own), parent=project)
    assert client.update("Tasks", row["id"], phaseID=foreign) == [text]


def test_task_may_end_on_the_day_it_starts(client: Client, project: int) -> None:
    """The time of the end is ignored, so the same day is fine and the day before is not."""
    body = task(startDateTime="2026-03-02T15:00:00Z", endDateTime="2026-03-02T09:00:00Z")
    assert client.create("Tasks", body, parent=project)["endDateTime"] == "2026-03-02T00:00:00.000Z"
    assert client.refused("Tasks", body | {"endDateTime": "2026-03-01"}, parent=project)


# what hangs on tasks


def test_secondary_resources_of_a_task(client: Client) -> None:
    """Not the primary one, in a role the resource holds, at most 50."""
    held = client.id("Tasks", "externalID", "T-3")  # Daniel's
    daniel = client.id("Resources", "userName", "daniel.osei")
    senior = client.id("Roles", "name", "Senior Engineer")
    tomas, engineer = person(client)["assignedResourceID"], person(client)["assignedResourceRoleID"]

    def refused(resource: int, role: int) -> str:
        body = {"resourceID": resource, "roleID": role}
        return " ".join(client.refused("TaskSecondaryResources", body, parent=held))

    assert "primary resource" in refused(daniel, senior)
    assert "roleID of type: Role" in refused(tomas, senior)
    table = client.store.table("TaskSecondaryResources")
    maria = client.id("Resources", "userName", "maria.santos")
    for _ in range(49 - len(table.ids_of("taskID", held))):
        table.insert({"resourceID": tomas, "roleID": engineer, "taskID": held})
    client.create("TaskSecondaryResources", {"resourceID": maria, "roleID": engineer}, parent=held)
    assert "more than 50" in refused(maria, engineer)


def test_secondary_resources_alone_need_work_type_and_department(client: Client, project: int) -> None:
    """A task without a primary resource says both itself."""
    body = {
        "resourceID": person(client)["assignedResourceID"],
        "roleID": person(client)["assignedResourceRoleID"],
    }
    bare = client.create("Tasks", task(), parent=project)["id"]
    assert len(client.refused("TaskSecondaryResources", body, parent=bare)) == 2
    office = client.id("Departments", "name", "Administration")
    assert (
        client.update("Tasks", bare, departmentID=office, billingCodeID=person(client)["billingCodeID"]) == []
    )
    assert client.refused("TaskSecondaryResources", body, parent=bare) == []
    client.create("TaskSecondaryResources", body, parent=bare)
    assert "billingCodeID" in client.update("Tasks", bare, billingCodeID=None)[0]
    assert "departmentID" in client.update("Tasks", bare, departmentID=None)[0]


def test_a_secondary_resource_is_not_made_the_primary_one_too(client: Client) -> None:
    """An update of the task is refused as the other way round is."""
    held = client.id("Tasks", "externalID", "T-3")  # Tomas helps
    assert client.update("Tasks", held, **person(client)) == [
        "The primary resource of the Task cannot be a secondary resource."
    ]
    assert client.update("Tasks", held, **person(client, "priya.raman", "Project Manager")) == []


def test_a_predecessor_moves_its_successor(client: Client, project: int) -> None:
    """The start becomes the predecessor's end plus lag; later only the lag can be changed."""
    before = client.create("Tasks", task(endDateTime="2026-03-10"), parent=project)["id"]
    after = client.create(
        "Tasks", task(startDateTime="2026-03-02", endDateTime="2026-03-06"), parent=project
    )["id"]
    link = client.create("TaskPredecessors", {"predecessorTaskID": before, "lagDays": 2}, parent=after)
    row = client.row("Tasks", after)
    assert (row["startDateTime"], row["endDateTime"]) == (
        "2026-03-12T00:00:00.000Z",
        "2026-03-12T00:00:00.000Z",
    )
    assert client.update("TaskPredecessors", link["id"], lagDays=5, predecessorTaskID=after) == []
    assert client.row("TaskPredecessors", link["id"])["predecessorTaskID"] == before
    foreign = client.id("Tasks", "title", "Move mailboxes")
    assert (
        "same project" in client.refused("TaskPredecessors", {"predecessorTaskID": foreign}, parent=after)[0]
    )
    assert client.refused("TaskPredecessors", {"predecessorTaskID": after}, parent=after)


def test_a_contact_writes_notes_for_everybody(client: Client) -> None:
    """Published to all, by an active contact of the project's company."""
    held = client.id("Tasks", "externalID", "T-3")
    ruth, ben = client.id("Contacts", "firstName", "Ruth"), client.id("Contacts", "firstName", "Ben")
    note = {"description": "x", "noteType": 3, "publish": 1, "createdByContactID": ruth}
    assert client.refused("TaskNotes", note, parent=held) == []
    assert client.refused("TaskNotes", note | {"publish": 2}, parent=held)
    assert client.refused("TaskNotes", note | {"createdByContactID": ben}, parent=held)
