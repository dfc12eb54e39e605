"""Phases: they stay in their project, and a sub-phase lies in the project of its parent."""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, changed, dangling, day, frozen, inferred, next_number, row_of
from bulkops.simulator.store import Row, Store


class PhaseRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = frozen(store, row["projectID"]) or inferred(store, _parent(store, row)) + _order(row)
        if not errors:
            row["phaseNumber"] = next_number(store, "Phases", "T")
        return errors

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        errors = frozen(store, row.get("projectID"))
        merged = {**row, **changes}
        if not errors and changed(row, changes, "parentPhaseID"):
            errors = inferred(store, _parent(store, merged))
        if changed(row, changes, "startDate", "dueDate"):
            errors = errors + _order(merged)
        return errors


def _parent(store: Store, row: Row) -> list[str]:
    """DOC (PhasesEntity.htm): parentPhaseID makes sub-phases; INFER: of the same project, and no circle."""
    seen = {row.get("id")}
    parent = row.get("parentPhaseID")
    while parent is not None:
        phase = row_of(store, "Phases", parent)
        if phase is None or parent in seen or phase.get("projectID") != row["projectID"]:
            return [dangling("parentPhaseID", "Phase")]
        seen.add(parent)
        parent = phase.get("parentPhaseID")
    return []


def _order(row: Row) -> list[str]:
    """DOC (PhasesEntity.htm): the end may equal the start."""
    start, due = day(row.get("startDate")), day(row.get("dueDate"))
    if start and due and due < start:
        return ["The phase's dueDate must not be before its startDate."]
    return []
