"""What undo of a hand-over could not give back: counted as the plan is made. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from bulkops.change import Action, Change
from bulkops.recipes.cast import Cast
from bulkops.recipes.work import Kind, number
from bulkops.record import Scalar


class GivenBack:
    """Of one plan, by entity."""

    def __init__(self) -> None:
        self._strange: Counter[str] = Counter()  # in a role that the giver does not have

    def add(self, cast: Cast, kind: Kind, change: Change, record: Mapping[str, Scalar] | None) -> None:
        """A change that is written, and what its record holds now."""
        if record is None or cast.giver is None or not kind.role or change.action is Action.CREATE:
            return
        role, held = number(record.get(kind.role)), cast.roles.all_of(cast.giver.id)
        self._strange[kind.entity] += role is None or (bool(held) and role not in held)

    def lasting(self, cast: Cast) -> Iterator[str]:
        for entity, count in (+self._strange).items():
            which = f"in no role, or in one that {cast.giver} does not have"
            yield f"{count:,} {entity} {which}: the API gives them back in no such role"
