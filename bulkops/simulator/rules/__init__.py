"""What the help pages say about single entities: one file an entity, found here by its name."""

from __future__ import annotations

from collections.abc import Mapping

from bulkops.simulator.rules.attachments import AttachmentRules
from bulkops.simulator.rules.base import Rules, is_inactive
from bulkops.simulator.rules.charges import ChargeRules
from bulkops.simulator.rules.companies import CompanyRules
from bulkops.simulator.rules.company_locations import CompanyLocationRules
from bulkops.simulator.rules.company_todos import CompanyToDoRules
from bulkops.simulator.rules.contact_groups import ContactGroupRules
from bulkops.simulator.rules.contacts import ContactRules
from bulkops.simulator.rules.departments import DepartmentRules
from bulkops.simulator.rules.opportunities import OpportunityRules
from bulkops.simulator.rules.phases import PhaseRules
from bulkops.simulator.rules.projects import ProjectRules
from bulkops.simulator.rules.resource_roles import (
    ResourceRoleDepartmentRules,
    ResourceRoleQueueRules,
    ResourceServiceDeskRoleRules,
)
from bulkops.simulator.rules.secondary_resources import (
    TaskSecondaryResourceRules,
    TicketSecondaryResourceRules,
)
from bulkops.simulator.rules.service_calls import (
    ServiceCallLinkRules,
    ServiceCallPersonRules,
    ServiceCallRules,
)
from bulkops.simulator.rules.task_notes import ProjectNoteRules, TaskNoteRules
from bulkops.simulator.rules.task_predecessors import TaskPredecessorRules
from bulkops.simulator.rules.tasks import TaskRules
from bulkops.simulator.rules.tickets import TicketRules
from bulkops.simulator.rules.time_entries import TimeEntryRules
from bulkops.simulator.store import Row, Store

RULES: Mapping[str, Rules] = {
    "ChangeOrderCharges": ChargeRules(),
    "Companies": CompanyRules(),
    "CompanyLocations": CompanyLocationRules(),
    "CompanyToDos": CompanyToDoRules(),
    "ContactGroups": ContactGroupRules(),
    "Contacts": ContactRules(),
    "ContractCharges": ChargeRules(),
    "Departments": DepartmentRules(),
    "Opportunities": OpportunityRules(),
    "Phases": PhaseRules(),
    "ProjectCharges": ChargeRules(),
    "ProjectNotes": ProjectNoteRules(),
    "Projects": ProjectRules(),
    "ResourceRoleDepartments": ResourceRoleDepartmentRules(),
    "ResourceRoleQueues": ResourceRoleQueueRules(),
    "ResourceServiceDeskRoles": ResourceServiceDeskRoleRules(),
    "ServiceCallTaskResources": ServiceCallPersonRules("ServiceCallTasks", "taskID", "Tasks", "Task"),
    "ServiceCallTasks": ServiceCallLinkRules("ServiceCallTasks", "taskID", "Tasks", "Task"),
    "ServiceCallTicketResources": ServiceCallPersonRules(
        "ServiceCallTickets", "ticketID", "Tickets", "Ticket"
    ),
    "ServiceCallTickets": ServiceCallLinkRules("ServiceCallTickets", "ticketID", "Tickets", "Ticket"),
    "ServiceCalls": ServiceCallRules(),
    "TaskNotes": TaskNoteRules(),
    "TaskPredecessors": TaskPredecessorRules(),
    "TaskSecondaryResources": TaskSecondaryResourceRules(),
    "Tasks": TaskRules(),
    "TicketCharges": ChargeRules(),
    "TicketSecondaryResources": TicketSecondaryResourceRules(),
    "Tickets": TicketRules(),
    "TimeEntries": TimeEntryRules(),
}
PLAIN = Rules()
ATTACHMENTS = AttachmentRules()
HIDING = frozenset({"ResourceRoles"})  # entities with rows no query returns


def rules_of(entity: str) -> Rules:
    """The rules of an entity; an entity without any has those that allow everything."""
    if entity.endswith("Attachments"):
        return ATTACHMENTS
    return RULES.get(entity, PLAIN)


def hides(store: Store, entity: str) -> bool:
    """Whether `hidden` may hold for a row of the entity."""
    return entity in HIDING or store.switches.is_restricted(entity)


def hidden(store: Store, entity: str, row: Row) -> bool:
    """Whether no read returns the row: it is inactive (ResourceRolesEntity.htm), or not for this API user."""
    if entity in HIDING and is_inactive(row):
        return True
    return store.switches.is_restricted(entity) and row["id"] % 2 == 1
