"""What the API user's security level means for a migration: rows it would not see, records it cannot write.

Hidden rows are the dangerous ones: an upsert would create again what it cannot see. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bulkops.doctor.finding import Finding, ok, warning
from bulkops.schema import Entity
from bulkops.targets.autotask.access import Access, Reach
from bulkops.targets.autotask.catalog import Catalog

WRITTEN = (
    "Companies", "CompanyLocations", "Contacts", "Projects", "Phases", "Tasks", "TaskNotes",
    "TaskSecondaryResources", "TaskPredecessors", "ProjectNotes", "Tickets", "TicketNotes",
)  # fmt: skip
LOOKED_UP = ("Resources", "ResourceRoles", "ResourceRoleDepartments", "Departments", "Roles", "BillingCodes")


def examine_access(access: Mapping[str, Access], catalog: Catalog) -> list[Finding]:
    """What stands in the way of migrations, one finding a kind."""
    names = [*WRITTEN, *LOOKED_UP]
    known = {name: access[name] for name in names if name in access}
    found = [
        *_restricted(name for name, one in known.items() if one.query is Reach.RESTRICTED),
        *_unread(name for name, one in known.items() if one.query is Reach.NONE),
        *_unwritten(known, catalog),
        *_unnamed(name for name in names if name not in known),
    ]
    return found or [_all_well(known)]


def _restricted(names: Iterable[str]) -> list[Finding]:
    hidden = list(names)
    if not hidden:
        return []
    return [
        warning(
            "access",
            f"this API user sees some records only of {', '.join(hidden)}: what it does not see is missing "
            "from plans, and an upsert would create it again",
            "Let its security level view all of them (All, not Mine), for as long as you migrate",
            restricted=hidden,
        )
    ]


def _unread(names: Iterable[str]) -> list[Finding]:
    unread = list(names)
    if not unread:
        return []
    message = f"this API user cannot read {', '.join(unread)}: jobs that write or look them up are refused"
    hint = "Give its security level the right to view them, where a job of yours needs them"
    return [warning("access", message, hint, unread=unread)]


def _unwritten(known: Mapping[str, Access], catalog: Catalog) -> list[Finding]:
    """What the API could do and this API user may not, or only for some records."""
    refused: dict[str, list[str]] = {}
    for action in ("create", "update"):
        for name in WRITTEN:
            entity, one = catalog.find(name), known.get(name)
            if one is not None and one.query is not Reach.NONE and entity and _may_not(entity, one, action):
                refused.setdefault(action, []).append(name)
    if not refused:
        return []
    what = "; ".join(f"{action} {', '.join(names)}" for action, names in refused.items())
    return [
        warning(
            "access",
            f"this API user may not, or for some records only: {what}",
            "Give its security level these rights, where a job of yours needs them",
            **refused,
        )
    ]


def _may_not(entity: Entity, access: Access, action: str) -> bool:
    reach = access.create if action == "create" else access.update
    return action in entity.can and reach in (Reach.NONE, Reach.RESTRICTED)


def _unnamed(names: Iterable[str]) -> list[Finding]:
    missing = list(names)
    if not missing:
        return []
    message = f"the tenant does not say what this API user may do with {', '.join(missing)}"
    return [warning("access", message, "Are their modules switched on, and open to its security level?")]


def _all_well(known: Mapping[str, Access]) -> Finding:
    return ok(
        "access",
        f"all records of {len(known)} entities that migrations use can be read, and written where the API "
        "can (what a line of business hides, the API does not tell)",
    )
