"""Rows that come back in a result file as they were: the second of a key would overwrite the first one. Pure.

An upsert rejects the second row with a key, and names the first. Once the first one was applied, the second
one, fed back uncorrected, is an ordinary update of the record that the first one made.
"""

from __future__ import annotations

from bulkops.change import Action, Change
from bulkops.record import Row
from bulkops.wording import counted

SECOND = "only the first one is planned"
MADE = "with this key already"
"""How the reasons end for which a row with the key of another one is rejected."""

SHOWN = 3  # rows that are named


class Again:
    """Looks at the rows of one step that is fed back, and at what becomes of them now."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._rows = 0
        self._first: list[str] = []

    def add(self, row: Row, change: Change) -> None:
        if change.action not in (Action.UPDATE, Action.DELETE) or not _was_second(row.reason):
            return
        self._rows += 1
        if len(self._first) < SHOWN:
            self._first.append(f"{change.place} ({change.action} {change.entity} {change.id})")

    def told(self) -> list[str]:
        """One sentence, where there is something to tell."""
        if not self._rows:
            return []
        named = ", ".join(self._first) + (" and others" if self._rows > len(self._first) else "")
        rows = f"{counted(self._rows, 'row')} {'was' if self._rows == 1 else 'were'}"
        return [
            f"{self._step}: {rows} rejected because of another row with the same key, and would now change a "
            f"record that exists, likely that of the other row. Take out what is not to overwrite it: {named}"
        ]


def _was_second(reason: str) -> bool:
    return SECOND in reason or MADE in reason
