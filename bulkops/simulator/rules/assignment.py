"""Who may be given a task or a ticket: which roles a resource holds in departments and at the service desk.

DOC (ResourceRolesEntity.htm): roles are held in departments and at the service desk; a queue needs none.
ResourceRoles lists all of them, and is believed where the associations themselves were not loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from bulkops.simulator.index import Stored
from bulkops.simulator.rules.base import dangling, is_inactive, row_of, rows_with
from bulkops.simulator.store import Row, Store

BOTH = "When assigning a Resource, you must assign both a assignedResourceID and assignedResourceRoleID."
Holds: TypeAlias = Callable[[Store, int, int], bool]  # resource, role


def refused_pair(store: Store, row: Row, holds: Holds) -> list[str]:
    """LIVE text: resource and role together or neither. The role is active, and the resource's."""
    resource, role = row.get("assignedResourceID"), row.get("assignedResourceRoleID")
    if resource is None and role is None:
        return []
    if resource is None or role is None:
        return [BOTH]
    known = row_of(store, "Roles", role)
    if known is None or is_inactive(known) or not holds(store, resource, role):
        return [dangling("assignedResourceRoleID", "Role")]
    return []


def holds_for_task(store: Store, resource: int, role: int) -> bool:
    """DOC (ResourceRolesEntity.htm): a task takes a role. INFER which: switch `task_role`."""
    if role in _roles(_in_departments(store, resource)):
        return True
    return store.switches.task_role == "any" and role in _roles(_at_desk(store, resource))


def holds_for_ticket(store: Store, resource: int, role: int) -> bool:
    """DOC (TicketsEntity.htm): the pair is associated with at least one service desk queue.

    Since a queue needs no role (ResourceRoleQueueEntity.htm), that reads: a service desk role, of somebody
    who works in a queue; switch `ticket_role`.
    """
    if role in _roles(_at_desk(store, resource)):
        return store.switches.ticket_role != "queue" or _has_queue(store, resource)
    return store.switches.ticket_role == "any" and role in _roles(_in_departments(store, resource))


def department_of(store: Store, resource: int, role: int | None) -> int | None:
    """The department of a resource: the default one, or the role's (switch `task_department`)."""
    held = _in_departments(store, resource)
    if store.switches.task_department == "role":
        held = [one for one in held if one.get("roleID") == role] or held
    home = next((one for one in held if one.get("isDefault")), held[0] if held else None)
    return home.get("departmentID") if home else None


def _roles(held: list[Stored]) -> set[int]:
    return {one["roleID"] for one in held if one.get("roleID") is not None}


def _in_departments(store: Store, resource: int) -> list[Stored]:
    listed = [one for one in _active(store, "ResourceRoles", resource) if one.get("departmentID") is not None]
    return _active(store, "ResourceRoleDepartments", resource) + listed


def _at_desk(store: Store, resource: int) -> list[Stored]:
    listed = [one for one in _active(store, "ResourceRoles", resource) if one.get("departmentID") is None]
    return _active(store, "ResourceServiceDeskRoles", resource) + listed


def _has_queue(store: Store, resource: int) -> bool:
    listed = _active(store, "ResourceRoles", resource)
    return bool(rows_with(store, "ResourceRoleQueues", "resourceID", resource)) or any(
        one.get("queueID") is not None for one in listed
    )


def _active(store: Store, entity: str, resource: int) -> list[Stored]:
    return [one for one in rows_with(store, entity, "resourceID", resource) if not is_inactive(one)]
