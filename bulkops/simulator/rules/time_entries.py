"""TimeEntries: how long, for a ticket or a task or neither, in which role."""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, changed, picked
from bulkops.simulator.store import Row, Store

KINDS = {"taskID": "Tasks", "ticketID": "Tickets"}


class TimeEntryRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = _hours(row) + _work(row)
        row["timeEntryType"] = picked(store, "TimeEntries", "timeEntryType", _kind(row))
        return errors

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        merged = {**row, **changes}
        errors = _hours(merged) if changed(row, changes, "hoursWorked") else []
        if changed(row, changes, "ticketID", "taskID", "roleID"):
            errors += _work(merged)
        return errors


def _kind(row: Row) -> str:
    if row.get("ticketID") is not None:
        return "ITServiceRequest"
    return "ProjectTask" if row.get("taskID") is not None else "RegularTime"


def _hours(row: Row) -> list[str]:
    """DOC (TimeEntriesEntity.htm): more than 0, at most 24."""
    hours = row.get("hoursWorked")
    if hours is None or 0 < hours <= 24:
        return []
    return ["hoursWorked must be greater than 0 and less than or equal to 24."]


def _work(row: Row) -> list[str]:
    """DOC (TimeEntriesEntity.htm): a ticket, a task or neither; with one of them a role (LIVE text)."""
    given = [field for field in KINDS if row.get(field) is not None]
    if len(given) > 1:
        return ["A TimeEntry cannot have both a ticketID and a taskID."]
    if given and row.get("roleID") is None:
        return [f"TimeEntries for {KINDS[given[0]]} must have a roleID"]
    return []
