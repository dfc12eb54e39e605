"""What every rule stands on: the shapes it is given, the texts it answers with, common questions to the rows.

A rule holds what the help pages say about one entity beyond types and references. Its comments name the
fact's source and grade: DOC (the vendor's page), LIVE (seen on a live tenant), REPORT (one report of it),
INFER (our reading). What nobody states for sure has a switch; a refusal that is INFER alone goes with
`inferred`. Texts that no source shows are of our wording, in the family of those that are known.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bulkops.simulator.index import Stored
from bulkops.simulator.store import Row, Store

COMPLETE = 5  # Projects, Tasks and Tickets status, the same in all tenants (TaskEntity.htm)


class Rules:
    """An entity without rules of its own. `row` and `changes` are normalised, and may be completed."""

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        """The error texts that refuse the new row; none: it may be inserted."""
        return []

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        """The error texts that refuse the changes of the stored `row`."""
        return []

    def delete(self, store: Store, row: Row) -> list[str]:
        """The error texts that refuse to delete the stored `row`."""
        return []

    def after(self, store: Store, action: str, row: Row, changes: Row) -> None:
        """What the service does besides, once `row` (as it is now) was created, updated or deleted."""


def missing(field: str) -> str:
    """LIVE for the older API, INFER for this one."""
    return f"Value does not exist for the required field {field}. ; on record number [1]."


def dangling(field: str, kind: str) -> str:
    """LIVE: the text for a reference to nothing, or to something inactive. `kind` is the singular name."""
    return f"Reference value on field: {field} of type: {kind} does not exist or is invalid."


def not_listed(field: str) -> str:
    """LIVE for taskType, spaces included; INFER for other picklists."""
    return f"Value does not reference an existing entity for {field} . "


def too_long(field: str, length: int) -> str:
    """LIVE: the tail of the text."""
    return f"{field} must be less than or equal to {length} characters"


PRIMARY_TWICE = "The primary resource of the {kind} cannot be a secondary resource."  # our wording
HELPER_TWICE = "The resource is a secondary resource of the {kind} already."  # our wording
CLOSED_TEXT = "The project is complete. Its phases and tasks are read-only."  # our wording
BASELINE_TEXT = "The project is of type Baseline. It and everything under it is read-only."


def changed(row: Row, changes: Row, *names: str) -> bool:
    """Whether the changes give one of these fields another value."""
    return any(name in changes and changes[name] != row.get(name) for name in names)


def day(moment: str | None) -> str:
    """The calendar date of a stored moment; empty where there is none."""
    return (moment or "")[:10]


def days_later(moment: str, days: int) -> str:
    """The same time of day, so many days later (or the moment itself where the calendar ends)."""
    try:
        later = datetime.fromisoformat(moment) + timedelta(days=days)
    except (ValueError, OverflowError):
        return moment
    return later.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def picked(store: Store, entity: str, field: str, label: str) -> int | None:
    """The number behind a picklist label, where the tenant's list has it."""
    for value in store.picklists.get(entity, {}).get(field, ()):
        if value["label"] == label:
            return int(value["value"])
    return None


def row_of(store: Store, entity: str, row_id: int | None) -> Stored | None:
    """The row of that id as stored: without nulls, to be read only."""
    return None if row_id is None else store.table(entity).stored(row_id)


def rows_with(store: Store, entity: str, field: str, value: object) -> list[Stored]:
    """The rows whose field equals the value, as stored."""
    table = store.table(entity)
    found = (table.stored(row_id) for row_id in table.ids_of(field, value))
    return [row for row in found if row is not None]


def is_inactive(row: Stored) -> bool:
    """Contacts say 0, other entities false; a row that says nothing is active."""
    return row.get("isActive") in (False, 0)


def read_only(store: Store, project_id: int | None) -> list[str]:
    """DOC (ProjectsEntity.htm): a Baseline project and everything under it is read-only."""
    project = row_of(store, "Projects", project_id)
    baseline = picked(store, "Projects", "projectType", "Baseline")
    if project is None or baseline is None or project.get("projectType") != baseline:
        return []
    return [BASELINE_TEXT]


def frozen(store: Store, project_id: int | None) -> list[str]:
    """Whether phases and tasks of the project take no writes: those of a Baseline never do.

    INFER: those of a complete project do; switch `complete_project`.
    """
    if store.switches.complete_project == "read_only":
        project = row_of(store, "Projects", project_id) or {}
        if project.get("status") == COMPLETE:
            return [CLOSED_TEXT]
    return read_only(store, project_id)


def task_read_only(store: Store, task_id: int | None) -> list[str]:
    """Whether what hangs on the task is read-only: notes."""
    task = row_of(store, "Tasks", task_id)
    return read_only(store, task.get("projectID")) if task else []


def task_frozen(store: Store, task_id: int | None) -> list[str]:
    """Whether the task takes no writes: secondary resources and predecessors are its plan."""
    task = row_of(store, "Tasks", task_id)
    return frozen(store, task.get("projectID")) if task else []


def inferred(store: Store, errors: list[str]) -> list[str]:
    """Texts of a rule that no source states: INFER."""
    return errors if store.switches.inferred == "on" else []


def moved_to(row: Row, status: int, changes: Row) -> bool:
    """Whether the changes bring the row into this status."""
    return changes.get("status") == status and row.get("status") != status


def next_number(store: Store, entity: str, letter: str) -> str:
    """The number people see, such as `T20260115.0001`; these entities' records are never deleted."""
    return f"{letter}{day(store.now()).replace('-', '')}.{len(store.table(entity)) + 1:04d}"
