"""What the engine's own rules say of one change, by what they know of other records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import pytest

from bulkops.change import Action, Change, FieldDiff
from bulkops.record import Created, Scalar, Value
from bulkops.schema import Entity, PicklistValue
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.autotask.rules import Case, Finding, Kind, Related, judge, own_fields
from bulkops.targets.base import RecordData

Rows: TypeAlias = Mapping[str, Sequence[Mapping[str, Scalar]]]
CREATE, UPDATE, DELETE = Action.CREATE, Action.UPDATE, Action.DELETE

PICKLISTS = {
    ("Projects", "projectType"): {"5": "Client", "8": "Baseline"},
    ("Resources", "licenseType"): {"7": "API User"},
    ("Tickets", "subIssueType"): {"101": "Disk", "111": "Cable"},
}
ABOVE = {"subIssueType": {"101": "10", "111": "11"}}  # the values of the parent field

FIRM: Rows = {
    "Resources": [
        {"id": 1, "firstName": "Jane", "lastName": "Doe", "isActive": True, "licenseType": 1},
        {"id": 2, "firstName": "Lee", "lastName": "Fox", "isActive": True, "licenseType": 2},
        {"id": 3, "firstName": "Old", "lastName": "Timer", "isActive": False, "licenseType": 1},
        {"id": 4, "firstName": "Import", "lastName": "Service", "isActive": True, "licenseType": 7},
        {"id": 5, "firstName": "Ann", "lastName": "Else", "isActive": True, "licenseType": 1},
    ],
    "Roles": [
        {"id": 10, "name": "Engineer", "isActive": True},
        {"id": 11, "name": "Manager", "isActive": True},
        {"id": 12, "name": "Retired", "isActive": False},
        {"id": 13, "name": "Desk", "isActive": True},
    ],
    "ResourceRoles": [
        {"id": 1, "resourceID": 1, "roleID": 10, "departmentID": 90, "queueID": None},
        {"id": 2, "resourceID": 1, "roleID": 13, "departmentID": None, "queueID": 8},
        {"id": 3, "resourceID": 2, "roleID": 11, "departmentID": 90, "queueID": None},
    ],
    "ResourceRoleDepartments": [
        {"id": 1, "resourceID": 1, "roleID": 10, "isActive": True},
        {"id": 2, "resourceID": 2, "roleID": 10, "isActive": False},
    ],
    "BillingCodes": [
        {"id": 20, "name": "Remote", "useType": 1, "isActive": True},
        {"id": 21, "name": "Hardware", "useType": 4, "isActive": True},
        {"id": 22, "name": "Fax", "useType": 1, "isActive": False},
    ],
    "Companies": [
        {"id": 30, "companyName": "Acme", "parentCompanyID": None},
        {"id": 31, "companyName": "Acme North", "parentCompanyID": 30},
        {"id": 32, "companyName": "Other", "parentCompanyID": None},
    ],
    "CompanyLocations": [
        {"id": 40, "name": "Main", "companyID": 30, "isActive": True},
        {"id": 41, "name": "Shut", "companyID": 30, "isActive": False},
        {"id": 42, "name": "Elsewhere", "companyID": 32, "isActive": True},
    ],
    "Contacts": [
        {"id": 50, "firstName": "Al", "lastName": "Alder", "companyID": 30, "isActive": 1},
        {"id": 51, "firstName": "Bo", "lastName": "Birch", "companyID": 32, "isActive": 1},
        {"id": 52, "firstName": "Cy", "lastName": "Cedar", "companyID": 30, "isActive": 0},
    ],
    "Projects": [
        {
            "id": 60, "projectName": "Move", "companyID": 30, "projectType": 5, "status": 1,
            "startDateTime": "2026-01-05T00:00:00Z", "endDateTime": "2026-03-31T00:00:00Z",
        },
        {"id": 61, "projectName": "As agreed", "companyID": 30, "projectType": 8, "status": 1},
        {"id": 62, "projectName": "Done", "companyID": 30, "projectType": 5, "status": 5},
    ],
    "Phases": [
        {"id": 70, "title": "One", "projectID": 60, "parentPhaseID": 80, "dueDate": "2026-03-20T00:00:00Z"},
    ],
    "Tasks": [
        {
            "id": 80, "title": "First", "projectID": 60, "status": 1, "assignedResourceID": 1,
            "billingCodeID": 20, "startDateTime": "2026-01-05T08:00:00Z",
            "endDateTime": "2026-02-01T00:00:00Z", "remainingHours": 4.5, "estimatedHours": 8,
        },
        {
            "id": 81, "title": "Second", "projectID": 60, "status": 8, "assignedResourceID": None,
            "startDateTime": "2026-01-06T08:00:00Z", "endDateTime": "2026-03-30T00:00:00Z",
            "estimatedHours": 2,
        },
        {"id": 82, "title": "Closed", "projectID": 60, "status": 5, "endDateTime": "2026-01-30T00:00:00Z"},
        {"id": 83, "title": "Foreign", "projectID": 62, "status": 1},
        {"id": 84, "title": "Frozen", "projectID": 61, "status": 1},
    ],
    "TaskSecondaryResources": [{"id": 1, "taskID": 80, "resourceID": 2}],
    "TaskPredecessors": [{"id": 1, "predecessorTaskID": 80, "successorTaskID": 81}],
    "Tickets": [{"id": 85, "title": "Printer", "companyID": 30, "assignedResourceID": 1, "contactID": 50}],
    "TicketSecondaryResources": [{"id": 1, "ticketID": 85, "resourceID": 2}],
    "TicketChecklistItems": [
        {"id": 1, "ticketID": 85, "isImportant": True, "isCompleted": False},
        {"id": 2, "ticketID": 85, "isImportant": True, "isCompleted": True},
    ],
    "Opportunities": [{"id": 95, "title": "Big", "companyID": 32}],
    "ServiceCallTasks": [{"id": 96, "serviceCallID": 1, "taskID": 80}],
    "ServiceCallTickets": [{"id": 97, "serviceCallID": 1, "ticketID": 85}],
    "ServiceCallTaskResources": [{"id": 1, "serviceCallTaskID": 96, "resourceID": 1}],
    "ServiceCallTicketResources": [{"id": 1, "serviceCallTicketID": 97, "resourceID": 1}],
}  # fmt: skip

TASK = {
    "projectID": 60,
    "status": 1,
    "assignedResourceID": 1,
    "assignedResourceRoleID": 10,
    "billingCodeID": 20,
    "departmentID": 90,
}
INACTIVE = "3 (Old Timer, inactive) cannot be assigned"
UNASSIGNED = {**TASK, "assignedResourceID": None, "assignedResourceRoleID": None}
TICKET = {"companyID": 30, "contactID": 50, "companyLocationID": 40, "status": 1}


class Nothing:
    """A plan that writes nothing before."""

    def is_written(self, entity: str) -> bool:
        return False

    def left(self, entity: str, records: Sequence[RecordData]) -> Sequence[RecordData]:
        return records

    def created(self, entity: str, id: int) -> int:
        return 0

    def joined(self, entity: str, id: int) -> Sequence[int]:
        return ()

    def made(self, entity: str, change: int) -> None:
        return None


def live(name: str) -> Entity:
    """The catalog's entity as if the tenant had said it, with the picklists that rules look at."""
    shape = load_catalog().entities[name]
    fields = dict(shape.fields)
    for (entity, field), labels in PICKLISTS.items():
        if entity == name:
            items = tuple(
                PicklistValue(value=value, label=label, parent=ABOVE.get(field, {}).get(value, ""))
                for value, label in labels.items()
            )
            fields[field] = replace(fields[field], picklist=items)
    return replace(shape, fields=fields, is_live=True)


def findings(
    entity: str,
    action: Action,
    fields: Mapping[str, Value],
    before: Mapping[str, Scalar] | None = None,
    *,
    firm: Rows = FIRM,
    id: int = 80,
    looked_up: Sequence[str] = (),
    said: Sequence[str] = (),
) -> Sequence[Finding]:
    """All that rules say, once all that they want is read."""
    related = Related(Nothing())
    for name in ("Resources", "Roles"):  # what was seen before: who is not there is missed
        related.put((name, "id"), [int(firm[name][0]["id"] or 0)], [dict(firm[name][0])])
    had = dict(before or {})
    change = Change(
        n=1, step="a", entity=entity, action=action, id=None if action is CREATE else id,
        fields={name: FieldDiff(before=had.get(name), after=value) for name, value in fields.items()},
    )  # fmt: skip
    shape = live(entity)
    record = None if action is CREATE else {**dict.fromkeys(own_fields(shape, fields)), **had}
    case = Case(entity=shape, change=change, before=record, related=related, looked_up=looked_up, said=said)
    while True:
        found = judge(case)
        wanted = related.take_wanted()
        if not wanted:
            return found
        for name in wanted.shapes:
            related.put_shape(live(name))
        for (name, field), ids in wanted.records.items():
            rows = [dict(row) for row in firm.get(name, ()) if row.get(field) in ids]
            related.put((name, field), ids, rows)
        for question, asked in wanted.pairs.items():
            related.put_pairs(question, asked, [dict(row) for row in firm.get(question[0], ())])


def told(found: Sequence[Finding]) -> list[tuple[Kind, str]]:
    """What is said, but for the workflow rules, which every ticket, task and project may set off."""
    return [(one.kind, f"{one.text}: {one.detail}") for one in found if "workflow" not in one.text]


REJECTED: list[tuple[str, Action, Mapping[str, Value], Mapping[str, Scalar], str]] = [
    # --- tasks
    ("Tasks", CREATE, {"projectID": 60, "assignedResourceID": 1, "billingCodeID": 20}, {},
     "in a role, so give both"),
    ("Tasks", CREATE, {"projectID": 60, "assignedResourceRoleID": 10}, {}, "give both or clear both"),
    ("Tasks", UPDATE, {"assignedResourceID": None}, TASK, "assignedResourceID is empty"),
    ("Tasks", UPDATE, {"assignedResourceID": 4}, TASK, "4 (Import Service) is a user for the API only"),
    ("Tasks", UPDATE, {"assignedResourceID": 99}, {**TASK, "assignedResourceID": None},
     "99: no Resources record"),
    ("Tasks", CREATE, {**TASK, "assignedResourceRoleID": 12}, {},
     "12 (Retired, inactive): a task cannot be created"),
    ("Tasks", UPDATE, {"assignedResourceRoleID": 11}, TASK,
     "1 (Jane Doe) does not have assignedResourceRoleID"),
    ("Tasks", UPDATE, {"assignedResourceRoleID": 11}, TASK, "Theirs: 10 (Engineer), 13 (Desk)"),
    ("Tasks", UPDATE, {"assignedResourceID": 2, "assignedResourceRoleID": 11}, TASK,
     "secondary resource here"),
    ("Tasks", UPDATE, {"billingCodeID": None}, TASK,
     "billingCodeID is empty: a task with a primary resource"),
    ("Tasks", UPDATE, {"billingCodeID": 21}, TASK, "21 (Hardware) is no work type"),
    ("Tasks", UPDATE, {"companyLocationID": 41}, TASK, "41 (Shut, inactive): a task needs an active one"),
    ("Tasks", UPDATE, {"companyLocationID": 42}, TASK, "is of companyID 32, and project 60 is of 30"),
    ("Tasks", CREATE, {"projectID": 61}, {}, "project 61 (As agreed) is a Baseline"),
    ("Tasks", UPDATE, {"title": "x"}, {"projectID": 61}, "is a Baseline"),
    ("Tasks", CREATE, {"startDateTime": "2026-02-05T08:00:00Z", "endDateTime": "2026-02-01"}, {},
     "not an earlier one"),
    # --- projects and phases
    ("Projects", UPDATE, {"status": 5}, {"projectType": 8, "status": 1}, "the project is a Baseline"),
    ("Projects", UPDATE, {"endDateTime": "2026-03-25"}, {}, "Tasks 81 (Second) on 2026-03-30"),
    ("Projects", UPDATE, {"startDateTime": "2026-01-01"}, {"endDateTime": "2026-12-31"},
     "1 Phases and 3 Tasks"),
    ("Projects", CREATE, {"startDateTime": "2026-01-01", "endDateTime": "2026-01-01"}, {},
     "must be later than"),
    ("Phases", CREATE, {"projectID": 61}, {}, "is a Baseline"),
    ("Phases", UPDATE, {"dueDate": "2026-01-02"}, {"startDate": "2026-01-05T08:00:00Z"},
     "not an earlier one"),
    # --- who helps, what follows, notes
    ("TaskSecondaryResources", CREATE, {"taskID": 80, "resourceID": 1, "roleID": 10}, {},
     "primary resource of task 80 (First) already"),
    ("TaskSecondaryResources", CREATE, {"taskID": 84, "resourceID": 1, "roleID": 10}, {}, "is a Baseline"),
    ("TaskSecondaryResources", DELETE, {}, {"taskID": 84}, "is a Baseline"),
    ("TaskSecondaryResources", CREATE, {"taskID": 81, "resourceID": 1, "roleID": 11}, {},
     "does not have roleID"),
    ("TaskSecondaryResources", CREATE, {"taskID": 81, "resourceID": 4}, {}, "for the API only"),
    ("TaskSecondaryResources", CREATE, {"taskID": 81, "roleID": 99}, {}, "99: no Roles record"),
    ("TaskPredecessors", DELETE, {}, {"successorTaskID": 84}, "is a Baseline"),
    ("TaskNotes", CREATE, {"taskID": 84}, {}, "is a Baseline"),
    ("TaskPredecessors", CREATE, {"predecessorTaskID": 80, "successorTaskID": 83}, {},
     "is of project 60, and"),
    ("TaskPredecessors", CREATE, {"predecessorTaskID": 70, "successorTaskID": 81}, {},
     "phases cannot be predecessors"),
    ("TaskNotes", CREATE, {"taskID": 80, "publish": 2, "createdByContactID": 50}, {}, "publish must be 1"),
    ("TaskNotes", CREATE, {"taskID": 80, "publish": 1, "createdByContactID": 51}, {},
     "whose parent company that is not"),
    ("TaskNotes", CREATE, {"taskID": 80, "publish": 1, "createdByContactID": 52}, {},
     "choose a contact that is active"),
    ("ProjectNotes", CREATE, {"projectID": 61}, {}, "is a Baseline"),
    ("Tasks", UPDATE, {"assignedResourceID": None, "assignedResourceRoleID": None},
     {**TASK, "billingCodeID": None, "departmentID": None}, "it needs billingCodeID and departmentID"),
    ("Tasks", UPDATE, {"billingCodeID": None}, UNASSIGNED, "it needs billingCodeID: give"),
    ("Tasks", UPDATE, {"departmentID": None}, UNASSIGNED, "it needs departmentID: give"),
    # --- tickets
    ("Tickets", CREATE, {"companyID": 30, "assignedResourceID": 1}, {}, "in a role, so give both"),
    ("Tickets", UPDATE, {"companyID": 31, "contactID": 51}, TICKET,
     "51 (Bo Birch) is of companyID 32, and the ticket is of 31"),
    ("Tickets", UPDATE, {"contactID": 51}, TICKET,
     "51 (Bo Birch) is of companyID 32, and the ticket is of 30"),
    ("Tickets", UPDATE, {"companyLocationID": 42}, TICKET, "and the ticket is of 30"),
    ("Tickets", UPDATE, {"assignedResourceID": 1, "assignedResourceRoleID": 11}, TICKET, "does not have"),
    ("TicketSecondaryResources", CREATE, {"ticketID": 85, "resourceID": 2, "roleID": 11}, {},
     "secondary resource of"),
    ("TicketSecondaryResources", CREATE, {"ticketID": 85, "resourceID": 4}, {}, "for the API only"),
    ("TicketSecondaryResources", CREATE, {"ticketID": 85, "resourceID": 1, "roleID": 11}, {},
     "does not have"),
    ("TicketSecondaryResources", CREATE, {"ticketID": 85, "roleID": 99}, {}, "99: no Roles record"),
    ("Tickets", CREATE, {"assignedResourceID": 4, "assignedResourceRoleID": 10}, {}, "for the API only"),
    ("Tickets", CREATE, {"assignedResourceID": 1, "assignedResourceRoleID": 99}, {}, "99: no Roles record"),
    ("Tickets", UPDATE, {"assignedResourceID": 2, "assignedResourceRoleID": 11}, TICKET,
     "a secondary resource"),
    # --- the rest
    ("TimeEntries", CREATE, {"resourceID": 4}, {}, "for the API only"),
    ("ProjectCharges", UPDATE, {"name": "x"}, {"isBilled": True, "projectID": 60}, "is billed already"),
    ("Contacts", DELETE, {}, {"primaryContact": True, "id": 53},
     "the primary contact of the company: set isActive"),
    ("Contacts", DELETE, {}, {"id": 50}, "the contact of 1 Tickets"),
    ("TicketCharges", UPDATE, {"name": "x"}, {"isBilled": True}, "the charge is billed already"),
    ("TicketCharges", DELETE, {}, {"isBilled": True}, "the charge is billed already"),
    ("ProjectCharges", CREATE, {"projectID": 61}, {}, "is a Baseline"),
    ("Companies", CREATE, {"ownerResourceID": 4}, {}, "for the API only"),
    ("Opportunities", UPDATE, {"ownerResourceID": 4}, {"companyID": 30}, "for the API only"),
    ("TimeEntries", CREATE, {"resourceID": 1, "hoursWorked": 24.5}, {}, "more than 0 and at most 24"),
    ("TimeEntries", CREATE, {"resourceID": 1, "hoursWorked": 0}, {}, "more than 0 and at most 24"),
    ("TimeEntries", CREATE, {"resourceID": 1, "ticketID": 85}, {}, "roleID is empty"),
    ("TimeEntries", UPDATE, {"roleID": None}, {"taskID": 80, "resourceID": 1}, "roleID is empty"),
    ("ResourceRoleDepartments", CREATE, {"resourceID": 3, "roleID": 10}, {},
     "3 (Old Timer, inactive) cannot be"),
    ("ResourceRoleDepartments", UPDATE, {"roleID": 12}, {"resourceID": 1},
     "12 (Retired, inactive) cannot be"),
    ("ResourceRoleDepartments", UPDATE, {"isDefault": False}, {"isDefault": True},
     "isDefault cannot be set to false"),
    ("CompanyToDos", CREATE, {"companyID": 30, "contactID": 52}, {}, "choose a contact that is active"),
    ("CompanyToDos", CREATE, {"companyID": 30, "opportunityID": 95}, {},
     "is of companyID 32, and the to-do is of 30"),
    # --- who is inactive
    ("Tasks", UPDATE, {"assignedResourceID": 3, "assignedResourceRoleID": 12}, TASK,
     "assignedResourceID 3 (Old Timer, inactive) cannot be assigned: make them active in Autotask for the "
     "time, or give the work to somebody else"),
    ("Tasks", CREATE, {**TASK, "assignedResourceID": 3}, {}, "3 (Old Timer, inactive) cannot be assigned"),
    ("Tickets", UPDATE, {"assignedResourceID": 3, "assignedResourceRoleID": 13}, TICKET, INACTIVE),
    ("TaskSecondaryResources", CREATE, {"taskID": 81, "resourceID": 3, "roleID": 10}, {}, INACTIVE),
    ("TicketSecondaryResources", CREATE, {"ticketID": 85, "resourceID": 3, "roleID": 13}, {}, INACTIVE),
    ("ServiceCallTaskResources", CREATE, {"serviceCallTaskID": 96, "resourceID": 3}, {}, INACTIVE),
    ("ServiceCallTicketResources", CREATE, {"serviceCallTicketID": 97, "resourceID": 3}, {}, INACTIVE),
    ("CompanyToDos", UPDATE, {"assignedToResourceID": 3}, {"companyID": 30}, INACTIVE),
    ("Projects", UPDATE, {"projectLeadResourceID": 3}, {"projectType": 5}, INACTIVE),
    ("Companies", CREATE, {"ownerResourceID": 3}, {}, INACTIVE),
    ("Opportunities", UPDATE, {"ownerResourceID": 3}, {"companyID": 30}, INACTIVE),
]  # fmt: skip

DOUBTED: list[tuple[str, Action, Mapping[str, Value], Mapping[str, Scalar], str]] = [
    ("TimeEntries", CREATE, {"resourceID": 3, "hoursWorked": 8}, {}, "3 (Old Timer, inactive)"),
    ("Tasks", UPDATE, {"assignedResourceRoleID": 12}, TASK, "12 (Retired, inactive)"),
    ("Tasks", UPDATE, {"assignedResourceRoleID": 13}, TASK,
     "of the service desk and not of the person's department"),
    ("Tasks", UPDATE, {"assignedResourceID": 2, "assignedResourceRoleID": 10, "title": "x"}, {**TASK,
     "id": 81},
     "the person has the role no longer"),
    ("Tasks", UPDATE, {"billingCodeID": 22}, TASK, "22 (Fax, inactive)"),
    ("Tasks", UPDATE, {"endDateTime": "2026-04-15"}, TASK, "ends 2026-04-15, project 60 on 2026-03-31"),
    ("Tasks", UPDATE, {"startDateTime": "2026-01-02T08:00:00Z"}, TASK,
     "begins 2026-01-02, project 60 on 2026-01-05"),
    ("Tasks", CREATE, {"startDateTime": "2026-02-02T03:00:00Z", "endDateTime": "2026-02-01"}, {},
     "the day before"),
    ("Tasks", CREATE, {"projectID": 62}, {}, "the project is complete"),
    ("Tasks", CREATE, {"projectID": 62, "phaseID": 70}, {}, "phaseID is of another project"),
    ("Projects", UPDATE, {"status": 8}, {"status": 5, "projectType": 5}, "leaves its tasks complete"),
    ("Tasks", UPDATE, {"status": 8}, {**TASK, "status": 5}, "a task that is complete is opened again"),
    ("Projects", UPDATE, {"status": 5}, {"status": 1, "endDateTime": "2026-02-28"}, "ends after the project"),
    ("Projects", CREATE, {"projectType": 8}, {}, "becomes a Baseline"),
    ("Projects", CREATE, {"projectLeadResourceID": 4}, {}, "a user for the API only"),
    ("Phases", UPDATE, {"parentPhaseID": 80}, {"projectID": 60}, "its own parent"),
    ("Phases", UPDATE, {"parentPhaseID": 70}, {"projectID": 60}, "its own parent"),
    ("TaskSecondaryResources", CREATE, {"taskID": 81, "resourceID": 1, "roleID": 10}, {},
     "no billingCodeID and no dep"),
    ("Tasks", UPDATE, {"title": "x"}, {**UNASSIGNED, "billingCodeID": None}, "it has no billingCodeID"),
    ("Tasks", UPDATE, {"departmentID": 4}, {**UNASSIGNED, "billingCodeID": None}, "it has no billingCodeID"),
    ("TaskSecondaryResources", CREATE, {"taskID": 80, "resourceID": 2, "roleID": 11}, {},
     "secondary resource of the"),
    ("TaskPredecessors", CREATE, {"predecessorTaskID": 81, "successorTaskID": 80}, {},
     "comes before the predecessor"),
    ("TaskPredecessors", CREATE, {"predecessorTaskID": 80, "successorTaskID": 80}, {}, "its own predecessor"),
    ("Tickets", CREATE, {"companyID": 30}, {}, "neither queueID nor assignedResourceID"),
    ("Tickets", UPDATE, {"contactID": 50}, {"companyID": 31}, "contactID is of another company"),
    ("Tickets", UPDATE, {"companyID": 31}, {"companyID": 32, "contactID": 50}, "of the parent company"),
    ("Tickets", UPDATE, {"contactID": 52}, TICKET, "52 (Cy Cedar, inactive)"),
    ("Tickets", UPDATE, {"assignedResourceID": 1, "assignedResourceRoleID": 10}, TICKET,
     "not of the service desk"),
    ("TicketNotes", CREATE, {"ticketID": 85}, {}, "no title"),
    ("TimeEntries", CREATE, {"resourceID": 1, "taskID": 84, "roleID": 10}, {}, "in a Baseline project"),
    ("TimeEntries", CREATE, {"resourceID": 1, "taskID": 80, "ticketID": 85, "roleID": 10}, {}, "both given"),
    ("TimeEntries", CREATE, {"resourceID": 1, "taskID": 80, "roleID": 11}, {}, "does not have the role"),
    ("Contacts", UPDATE, {"companyLocationID": 42}, {"companyID": 30}, "of another company"),
    ("ServiceCalls", CREATE, {"startDateTime": "2026-02-02T09:00:00Z",
     "endDateTime": "2026-02-02T08:00:00Z"}, {},
     "before startDateTime"),
    ("ServiceCallTaskResources", CREATE, {"serviceCallTaskID": 96, "resourceID": 5}, {},
     "not assigned to the task"),
    ("CompanyLocations", DELETE, {}, {"isPrimary": True}, "primary location"),
    ("CompanyToDos", CREATE, {"assignedToResourceID": 4}, {}, "a user for the API only"),
    ("Opportunities", CREATE, {"companyID": 30, "contactID": 51}, {}, "contactID is of another company"),
    ("Phases", CREATE, {"projectID": 60, "dueDate": "2026-04-15"}, {}, "ends 2026-04-15"),
    ("Phases", CREATE, {"projectID": 62, "parentPhaseID": 70}, {}, "parentPhaseID is of another project"),
    ("Phases", UPDATE, {"title": "x"}, {"projectID": 62}, "the project is complete"),
    ("TaskSecondaryResources", DELETE, {}, {"taskID": 83}, "the project is complete"),
    ("TaskSecondaryResources", CREATE, {"taskID": 81, "roleID": 12}, {}, "12 (Retired, inactive)"),
    ("TicketSecondaryResources", CREATE, {"ticketID": 85, "roleID": 12}, {}, "12 (Retired, inactive)"),
    ("TaskPredecessors", DELETE, {}, {"successorTaskID": 83}, "the project is complete"),
    ("ServiceCalls", CREATE, {"companyID": 30, "companyLocationID": 42}, {}, "of another company"),
    ("ServiceCallTaskResources", CREATE, {"serviceCallTaskID": 96, "resourceID": 1}, {}, "sent on this"),
    ("ServiceCallTaskResources", CREATE, {"resourceID": 4}, {}, "a user for the API only"),
    ("ServiceCallTicketResources", CREATE, {"serviceCallTicketID": 97, "resourceID": 1}, {}, "sent on this"),
    ("ServiceCallTicketResources", CREATE, {"serviceCallTicketID": 97, "resourceID": 5}, {}, "not assigned"),
]  # fmt: skip

EFFECTS: list[tuple[str, Action, Mapping[str, Value], Mapping[str, Scalar], str]] = [
    ("Projects", UPDATE, {"status": 5}, {"status": 1}, "2 open tasks and sets 6.5 remaining hours to 0"),
    ("Projects", UPDATE, {"status": 5}, {"status": 1}, "sets its completedPercentage to 100"),
    ("Projects", UPDATE, {"status": 8}, {"status": 2}, "active"),
    ("Tasks", UPDATE, {"status": 5}, TASK, "sets its remainingHours to 0"),
    ("Tasks", UPDATE, {"remainingHours": 3}, {**TASK, "status": 5},
     "remainingHours is not what the row says"),
    ("Tasks", UPDATE, {"departmentID": 3}, TASK, "departmentID is not what the row says"),
    ("Tasks", UPDATE, {"assignedResourceID": 1}, {**TASK, "assignedResourceID": 2},
     "that of the new primary resource"),
    ("Tasks", UPDATE, {"canClientPortalUserCompleteTask": True}, TASK, "becomes false"),
    ("Tasks", UPDATE, {"endDateTime": "2026-02-10"}, TASK, "successors: 81"),
    ("TaskPredecessors", CREATE, {"predecessorTaskID": 80, "successorTaskID": 81, "lagDays": 3}, {},
     "task 81 begins on 2026-02-04, until now on 2026-01-06"),
    ("Tickets", UPDATE, {"status": 5}, TICKET, "1 important items are open"),
    ("CompanyLocations", UPDATE, {"isPrimary": True}, {}, "no longer is"),
    ("ResourceRoleDepartments", UPDATE, {"isDefault": True}, {"isDefault": False}, "default until now"),
]  # fmt: skip


@pytest.mark.parametrize(("entity", "action", "fields", "before", "text"), REJECTED)
def test_what_the_api_refuses_rejects_the_row(
    entity: str, action: Action, fields: Mapping[str, Value], before: Mapping[str, Scalar], text: str
) -> None:
    """By a fact that has no other reading; the sentence names the field, the value and what to do."""
    record = 85 if entity == "Tickets" else 60 if entity == "Projects" else int(before.get("id", 80) or 0)
    found = findings(entity, action, fields, before, id=record)
    assert {one.kind for one in found} == {Kind.REJECT}
    assert any(text in one.text for one in found), found


@pytest.mark.parametrize(("entity", "action", "fields", "before", "text"), DOUBTED)
def test_what_the_api_may_refuse_goes_and_is_told(
    entity: str, action: Action, fields: Mapping[str, Value], before: Mapping[str, Scalar], text: str
) -> None:
    """Reports and inferences take no row away."""
    record = 60 if entity == "Projects" else int(before.get("id", 80) or 0)
    found = told(findings(entity, action, fields, before, id=record))
    assert Kind.REJECT not in {kind for kind, _ in found}, found
    assert any(kind is Kind.DOUBT and text in said for kind, said in found), found


@pytest.mark.parametrize(("entity", "action", "fields", "before", "text"), EFFECTS)
def test_what_the_api_does_besides_is_told(
    entity: str, action: Action, fields: Mapping[str, Value], before: Mapping[str, Scalar], text: str
) -> None:
    """What it changes, moves, completes or leaves out without a word."""
    record = 85 if entity == "Tickets" else 60 if entity == "Projects" else 80
    found = told(findings(entity, action, fields, before, id=record))
    assert Kind.REJECT not in {kind for kind, _ in found}, found
    assert any(kind is Kind.EFFECT and text in said for kind, said in found), found


@pytest.mark.parametrize(
    ("entity", "action", "fields", "before"),
    [
        ("Tasks", CREATE, {**TASK, "title": "x"}, {}),
        ("Tasks", UPDATE, {"title": "x"}, {"projectID": 60, "assignedResourceID": 3}),
        ("Tasks", UPDATE, {"assignedResourceID": None, "assignedResourceRoleID": None}, TASK),
        ("Tasks", UPDATE, {"title": "x"}, UNASSIGNED),
        ("Tasks", UPDATE, {"billingCodeID": 20}, {**UNASSIGNED, "billingCodeID": None}),
        ("Tasks", UPDATE, {"billingCodeID": None, "title": "x"}, {**UNASSIGNED, "id": 81}),
        ("Tasks", CREATE, {**TASK, "projectID": Created(change=1)}, {}),
        ("Tasks", CREATE, {**TASK, "assignedResourceID": Created(change=1)}, {}),
        ("Tasks", UPDATE, {"endDateTime": "2026-02-10"}, {**TASK, "projectID": 62, "id": 83}),
        ("Tickets", UPDATE, {"assignedResourceID": 1, "assignedResourceRoleID": 13}, TICKET),
        ("Tickets", UPDATE, {"contactID": 50, "companyLocationID": 40}, TICKET),
        ("TaskNotes", CREATE, {"taskID": 80, "publish": 1, "createdByContactID": 50}, {}),
        ("TimeEntries", CREATE, {"resourceID": 1, "hoursWorked": 24}, {}),
        ("TimeEntries", CREATE, {"resourceID": 1, "ticketID": Created(change=1), "roleID": 10}, {}),
        ("Contacts", DELETE, {}, {"primaryContact": False, "id": 54}),
        ("CompanyToDos", CREATE, {"companyID": 31, "contactID": 50}, {}),
        ("Companies", CREATE, {"ownerResourceID": 1}, {}),
        ("TicketCharges", UPDATE, {"name": "x"}, {"isBilled": False}),
        ("Roles", UPDATE, {"name": "x"}, {}),
    ],
)
def test_of_what_the_api_takes_nothing_is_said(
    entity: str, action: Action, fields: Mapping[str, Value], before: Mapping[str, Scalar]
) -> None:
    """Nor of what nobody can know yet: records that the plan itself creates."""
    number = int(before.get("id", 80) or 0)
    found = told(findings(entity, action, fields, before, id=number))
    assert [said for kind, said in found if kind is not Kind.EFFECT and "complete" not in said] == []


def test_workflow_rules_may_fire() -> None:
    """On the entities that Autotask's rule engine watches, and said of no other."""
    watched = ["ConfigurationItems", "Contracts", "Opportunities", "Projects", "Quotes", "SalesOrders"]
    watched += ["Tasks", "Tickets"]
    for entity in (*watched, "Companies", "Contacts"):
        is_told = any("workflow" in one.text for one in findings(entity, UPDATE, {"x": 1}))
        assert is_told == (entity in watched)


def test_what_was_looked_up_is_there_and_belongs() -> None:
    """It was found by a key among the records of its company: nothing is read a second time."""
    fields = {"contactID": 51, "companyLocationID": 42}
    assert findings("Tickets", UPDATE, fields, TICKET, id=85)[0].kind is Kind.REJECT
    assert told(findings("Tickets", UPDATE, fields, TICKET, id=85, looked_up=tuple(fields))) == []


@pytest.mark.parametrize(
    ("entity", "fields", "before"),
    [
        ("Tasks", {"title": "x", "billingCodeID": 20}, {**TASK, "assignedResourceID": 3}),
        ("Tasks", {"assignedResourceID": 1, "assignedResourceRoleID": 10}, {**TASK, "assignedResourceID": 3}),
        ("Tickets", {"title": "x"}, {**TICKET, "assignedResourceID": 3}),
        ("Tickets", {"assignedResourceID": None, "assignedResourceRoleID": None},
         {**TICKET, "queueID": 8, "assignedResourceID": 3, "assignedResourceRoleID": 13}),
        ("Projects", {"description": "x"}, {"projectType": 5, "projectLeadResourceID": 3}),
        ("CompanyToDos", {"activityDescription": "x"}, {"companyID": 30, "assignedToResourceID": 3}),
    ],
)  # fmt: skip
def test_who_is_inactive_keeps_what_is_theirs(
    entity: str, fields: Mapping[str, Value], before: Mapping[str, Scalar]
) -> None:
    """What a record holds already is nobody's assignment, and who takes it over is somebody else."""
    found = findings(entity, UPDATE, fields, before, id=81 if entity == "Tasks" else 60)
    assert [one for one in found if "3 (Old" in one.text + one.detail or one.kind is Kind.REJECT] == []


def test_a_lookup_that_allows_who_is_inactive_means_it() -> None:
    """The person was looked up by a job that says `inactive: allow`: the API decides."""
    fields = {"assignedResourceID": 3, "assignedResourceRoleID": 13}
    found = findings("Tickets", UPDATE, fields, TICKET, id=85, looked_up=("assignedResourceID",))
    assert not [one for one in found if "cannot be assigned" in one.text]


def test_of_somebody_inactive_the_roles_are_not_what_is_wrong() -> None:
    """Who left may be shown with no role any more: one sentence says what is, and what to do."""
    fields = {"taskID": 81, "resourceID": 3, "roleID": 10}
    (found,) = findings("TaskSecondaryResources", CREATE, fields)
    assert (found.kind, found.about) == (Kind.REJECT, "resourceID")
