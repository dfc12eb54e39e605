"""Who had how much and who will have it: counted from the changes as they are planned, kept in the header."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bulkops.recipes.gather import Holding
from bulkops.recipes.people import Person


@dataclass(slots=True)
class _Share:
    """One person's. `now` is None where nobody counted it."""

    now: Holding | None = None
    moved: Holding = field(default_factory=Holding)
    is_loss: bool = False


class Holdings:
    """By entity and person, in the order in which they were told of."""

    def __init__(self) -> None:
        self._shares: dict[str, dict[Person, _Share]] = {}
        self._has_hours: set[str] = set()

    def begin(
        self, entity: str, giver: Person, held: Holding, takers: Mapping[Person, Holding | None],
        *, has_hours: bool,
    ) -> None:  # fmt: skip
        """What everybody has before anything moves."""
        shares = self._shares[entity] = {giver: _Share(now=held, is_loss=True)}
        shares |= {taker: _Share(now=now) for taker, now in takers.items()}
        if has_hours:
            self._has_hours.add(entity)

    def move(self, entity: str, person: Person, hours: float | None) -> None:
        """One piece more for somebody, or one less for the giver."""
        self._shares[entity][person].moved.add(hours)

    def to_json(self) -> list[dict[str, Any]]:
        """One row for each entity and person of whom there is something to tell."""
        return [
            self._row(entity, person, share)
            for entity, shares in self._shares.items()
            if any(_is_something(share) for share in shares.values())
            for person, share in shares.items()
        ]

    def _row(self, entity: str, person: Person, share: _Share) -> dict[str, Any]:
        row: dict[str, Any] = {"entity": entity, "id": person.id, "name": person.name}
        sign = -1 if share.is_loss else 1
        parts: Iterable[tuple[str, int | None, float | None]] = (
            ("now", *_amounts(share.now)),
            ("change", sign * share.moved.count, sign * share.moved.hours),
            ("then", *_amounts(share.now, share.moved, sign)),
        )
        for name, count, hours in parts:
            known = None if hours is None else round(hours, 2) + 0.0  # no negative zero
            row[name] = {"count": count, **({"hours": known} if entity in self._has_hours else {})}
        return row


def _is_something(share: _Share) -> bool:
    return bool(share.moved.count or (share.now is not None and share.now.count))


def _amounts(
    now: Holding | None, moved: Holding | None = None, sign: int = 1
) -> tuple[int | None, float | None]:
    if now is None:
        return None, None
    if moved is None:
        return now.count, now.hours
    return now.count + sign * moved.count, now.hours + sign * moved.hours
