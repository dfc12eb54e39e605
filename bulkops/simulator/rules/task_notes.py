"""TaskNotes and ProjectNotes: nothing is written under a Baseline project; who a contact may write as."""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, dangling, is_inactive, read_only, row_of, task_read_only
from bulkops.simulator.rules.contacts import company_or_parent
from bulkops.simulator.store import Row, Store

EVERYBODY = 1  # publish: All Autotask Users


class TaskNoteRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        return task_read_only(store, row["taskID"]) or _contact(store, row)

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        return task_read_only(store, row.get("taskID"))


class ProjectNoteRules(Rules):
    """DOC (ProjectNotesEntity.htm)."""

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        return read_only(store, row["projectID"])

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        return read_only(store, row.get("projectID"))


def _contact(store: Store, row: Row) -> list[str]:
    """DOC (TaskNotesEntity.htm): publish is All, the contact active, of the task's company or its parent."""
    chosen = row.get("createdByContactID")
    if chosen is None:
        return []
    if row.get("publish") != EVERYBODY:
        return ["A note created by a Contact must be published to All Autotask Users."]
    contact = row_of(store, "Contacts", chosen)
    task = row_of(store, "Tasks", row["taskID"]) or {}
    project = row_of(store, "Projects", task.get("projectID")) or {}
    allowed = company_or_parent(store, project["companyID"]) if "companyID" in project else set()
    if contact is None or is_inactive(contact) or contact.get("companyID") not in allowed:
        return [dangling("createdByContactID", "Contact")]
    return []
