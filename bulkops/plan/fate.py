"""Where one row of a plan stands: its change, with what the journal says of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from bulkops.change import Action, Before, Change
from bulkops.plan.found import Line, found_before, overwritten
from bulkops.record import Row


class RowState(StrEnum):
    """Where a row ends, in the words of every count."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    HELD = "held"
    PENDING = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """A change, its row, and where it stands: `id` of the record, where known; `reason` where not well, or
    written over what somebody had changed.
    """

    change: Change
    row: Row
    state: RowState
    id: int | None
    reason: str | None
    is_in_doubt: bool = False  # a request may have left, and nobody knows yet what became of it
    is_cleared: bool = False  # not applied, but the fields that it empties first are empty
    found: Before = field(default_factory=dict)  # what its record held, where the plan had seen another value

    @property
    def written(self) -> Change:
        """The change, with what its record really held before it."""
        return self.change.as_found(self.found)


Told: TypeAlias = tuple[str, int | None, str | None]  # kind, id, reason
SETTLED = (RowState.APPLIED, RowState.UNCHANGED, RowState.REJECTED, RowState.HELD)


def fate_of(change: Change, row: Row, told: Told | None, lines: Sequence[Line] | None) -> Fate:
    """From the journal's last word, and what intents tell of its record before."""
    if told is None:
        planned = change.action in (Action.UNCHANGED, Action.REJECTED)
        state = RowState(change.action.value) if planned else RowState.PENDING
        return Fate(change=change, row=row, state=state, id=change.id, reason=change.reason)
    kind, id, reason = told
    state = RowState(kind) if kind in SETTLED else RowState.PENDING
    known = id if state is not RowState.PENDING and id is not None else change.id  # an intent's is its floor
    is_in_doubt = kind in ("intent", "doubt")
    is_cleared = kind in ("withdrawn", "rejected", "held") and id is not None and bool(change.cleared)
    found = found_before(change, lines) if lines else {}
    reason = None if kind == "intent" else reason
    if state is RowState.APPLIED and found:
        reason = overwritten(change, found) or reason
    return Fate(
        change=change, row=row, state=state, id=known, reason=reason, is_in_doubt=is_in_doubt,
        is_cleared=is_cleared, found=found,
    )  # fmt: skip
