"""What applying has to read besides the fields that a job names: what is cleared, what a change rests on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from bulkops.change import Change
from bulkops.plan.shapes import facts_of, merged
from bulkops.targets.base import Target


class Besides:
    """Of one plan."""

    def __init__(self) -> None:
        self._names: defaultdict[str, dict[str, None]] = defaultdict(dict)  # by entity, in order

    def note(self, change: Change) -> None:
        self._names[change.entity].update(dict.fromkeys(change.cleared))
        if change.premise is not None:
            self._names[change.premise.entity].update(
                dict.fromkeys((*change.premise.values, *change.premise.loses))
            )
            if (tally := change.premise.tally) is not None:
                self._names[tally.entity].update(dict.fromkeys((tally.parent, tally.field, *tally.keeps)))

    async def facts(
        self, target: Target, known: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Mapping[str, Any]]:
        """`known`, the facts of the plan's entities, with those of these fields."""
        found = dict(known)
        for entity, names in self._names.items():
            if names:
                found[entity] = merged(found.get(entity), facts_of(await target.describe(entity), names))
        return found
