"""Secondary resources of tasks and tickets: how many, who, in which role."""

from __future__ import annotations

from bulkops.simulator.index import Stored
from bulkops.simulator.rules.assignment import Holds, holds_for_task, holds_for_ticket
from bulkops.simulator.rules.base import (
    HELPER_TWICE,
    PRIMARY_TWICE,
    Rules,
    dangling,
    inferred,
    row_of,
    rows_with,
    task_frozen,
)
from bulkops.simulator.rules.tasks import without_primary
from bulkops.simulator.store import Row, Store

MOST = 50


class TaskSecondaryResourceRules(Rules):
    """DOC (TaskSecondaryResourcesEntity.htm): at most 50, not the primary one, an existing pair."""

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = task_frozen(store, row["taskID"])
        if errors:
            return errors
        task = row_of(store, "Tasks", row["taskID"]) or {}
        helpers = rows_with(store, "TaskSecondaryResources", "taskID", row["taskID"])
        return [
            *_too_many(helpers, "Task"),
            *_primary(row, task, "Task"),
            *inferred(store, _twice(row, helpers, "Task")),
            *_pair(store, row, holds_for_task),
            *without_primary(task),
        ]

    def delete(self, store: Store, row: Row) -> list[str]:
        return task_frozen(store, row.get("taskID"))


class TicketSecondaryResourceRules(Rules):
    """DOC (TicketsEntity.htm): neither the primary resource nor one that is secondary already.

    REPORT: at most 50 (switch `ticket_helpers`), in a role that the ticket itself would take.
    """

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        ticket = row_of(store, "Tickets", row["ticketID"]) or {}
        helpers = rows_with(store, "TicketSecondaryResources", "ticketID", row["ticketID"])
        return [
            *(_too_many(helpers, "Ticket") if store.switches.ticket_helpers == "50" else ()),
            *_primary(row, ticket, "Ticket"),
            *_twice(row, helpers, "Ticket"),
            *_pair(store, row, holds_for_ticket),
        ]


def _too_many(helpers: list[Stored], kind: str) -> list[str]:
    return [f"A {kind} cannot have more than {MOST} secondary resources."] if len(helpers) >= MOST else []


def _primary(row: Row, work: Stored, kind: str) -> list[str]:
    return [PRIMARY_TWICE.format(kind=kind)] if row["resourceID"] == work.get("assignedResourceID") else []


def _twice(row: Row, helpers: list[Stored], kind: str) -> list[str]:
    is_helper = any(helper.get("resourceID") == row["resourceID"] for helper in helpers)
    return [HELPER_TWICE.format(kind=kind)] if is_helper else []


def _pair(store: Store, row: Row, holds: Holds) -> list[str]:
    return [] if holds(store, row["resourceID"], row["roleID"]) else [dangling("roleID", "Role")]
