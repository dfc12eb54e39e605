"""What the changes of a step have in common and a user should know before they are applied. Pure."""

from __future__ import annotations

from collections import Counter

from bulkops.change import Action, Change
from bulkops.schema import Entity
from bulkops.wording import counted


class Notices:
    """Looks at the changes of one step as they pass."""

    def __init__(self, step: str, entity: Entity) -> None:
        self._step = step
        self._rich = [field.name for field in entity.fields.values() if field.is_rich_text]
        self._flattened: Counter[str] = Counter()

    def add(self, change: Change) -> None:
        if change.action is not Action.UPDATE:
            return
        for name in self._rich:
            if name in change.fields and change.fields[name].before is not None:
                self._flattened[name] += 1

    def told(self) -> list[str]:
        """One sentence a field. A write replaces rich text by plain text (_EntitiesOverview.htm)."""
        return [
            f"{self._step}: {counted(count, 'update')} of {name}: the API writes plain text, "
            "so formatting and pictures in what stands there now are lost"
            for name, count in self._flattened.items()
        ]
