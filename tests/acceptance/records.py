"""What a simulated tenant holds, record by record and field by field, to be compared before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.acceptance.conftest import Simulator

Records = dict[str, dict[int, dict[str, Any]]]

CHANGING = {"lastActivityDate", "lastActivityDateTime", "lastActivityResourceID", "lastActivityPersonType",
            "lastModifiedDate", "lastTrackedModificationDateTime", "lastModifiedDateTime", "lastActivity",
            "impersonatorUpdaterResourceID", "statusDateTime"}  # fmt: skip
WATCHED = (
    "Tasks", "Tickets", "Projects", "TaskSecondaryResources", "TicketSecondaryResources", "ServiceCalls",
    "ServiceCallTaskResources", "ServiceCallTicketResources", "ServiceCallTasks", "ServiceCallTickets",
    "CompanyToDos", "Opportunities", "Resources", "ResourceRoles", "Companies", "Phases", "TaskNotes",
    "ProjectNotes", "Contacts",
)  # fmt: skip
ENTRIES = {
    "TaskSecondaryResources": ("taskID", "resourceID", "roleID"),
    "TicketSecondaryResources": ("ticketID", "resourceID", "roleID"),
    "ServiceCallTaskResources": ("serviceCallTaskID", "resourceID"),
    "ServiceCallTicketResources": ("serviceCallTicketID", "resourceID"),
}


def snapshot(simulator: Simulator) -> Records:
    """Every record and field, but for the server's own notes of when it was touched. What only connects is
    known by what it connects, since one that is made again has another id.
    """
    found: Records = {}
    for entity in WATCHED:
        rows = simulator.rows(entity)
        if entity in ENTRIES:
            keys = sorted(tuple(row[name] for name in ENTRIES[entity]) for row in rows)
            found[entity] = {n: {"key": key} for n, key in enumerate(keys)}
            continue
        found[entity] = {
            row["id"]: {name: value for name, value in row.items() if name not in CHANGING} for row in rows
        }
    return found


def difference(before: Records, after: Records) -> dict[tuple[str, int], dict[str, tuple[Any, Any]]]:
    """Of records that are in both: what each field was and is."""
    return {
        (entity, id): changed
        for entity, rows in before.items()
        for id, row in rows.items()
        if (changed := {
            name: (value, after[entity].get(id, {}).get(name))
            for name, value in row.items() if after[entity].get(id, {}).get(name) != value
        })
    }  # fmt: skip
