"""One change as rules look at it: what the record holds after it, as far as that is known. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from bulkops.change import UNKNOWN, Action, Change, Unknown, canonical
from bulkops.record import Value
from bulkops.references import candidates
from bulkops.schema import Entity
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.autotask.rules.finding import Finding
from bulkops.targets.autotask.rules.related import Related
from bulkops.targets.base import RecordData

WRITES = frozenset({Action.CREATE, Action.UPDATE})
EVERY = frozenset({Action.CREATE, Action.UPDATE, Action.DELETE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`before` is the record as earlier rows of the plan leave it, None for one that is created.

    `looked_up` are fields whose record was found by a key: it is there, in use or allowed not to be, and of
    the right company or project where the planner knows which that is. `said` are the fields of which the row
    says something, be it what they hold already.
    """

    entity: Entity
    change: Change
    before: RecordData | None
    related: Related
    looked_up: Collection[str] = ()
    said: Collection[str] = ()

    @property
    def is_create(self) -> bool:
        return self.change.action is Action.CREATE

    @property
    def is_update(self) -> bool:
        return self.change.action is Action.UPDATE

    def writes(self, *names: str) -> bool:
        """Whether the change writes one of these fields. A delete writes none."""
        return self.change.action in WRITES and any(name in self.change.fields for name in names)

    def value(self, name: str) -> Value | Unknown:
        """What the field holds after the change, UNKNOWN where nobody can tell."""
        if self.change.action in WRITES and name in self.change.fields:
            return self.change.fields[name].after
        parent = self.entity.parent
        if parent is not None and name == parent.field and self.change.parent is not None:
            return self.change.parent
        return self.was(name)

    def was(self, name: str) -> Value | Unknown:
        """What it held before; nothing, where the record is created."""
        if self.before is None:
            return None if self.is_create else UNKNOWN
        return self.before.get(name, UNKNOWN)

    def ref(self, name: str) -> int | None:
        """The id or number in a field, where it is known by now."""
        value = self.value(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def is_empty(self, name: str) -> bool:
        return self._kept(self.value(name), name) is None

    def is_set(self, name: str) -> bool:
        """Whether it holds something, known or not: also what another row creates."""
        return not isinstance(self.value(name), Unknown) and not self.is_empty(name)

    def is_true(self, name: str) -> bool:
        return self._kept(self.value(name), name) in (True, 1)

    def is_false(self, name: str) -> bool:
        return self._kept(self.value(name), name) in (False, 0)

    def moment(self, name: str) -> datetime | None:
        kept = self._kept(self.value(name), name)
        return kept if isinstance(kept, datetime) else None

    def day(self, name: str) -> date | None:
        """The calendar date that the field holds after the change."""
        return day(self.entity, name, self.value(name))

    def _kept(self, value: Value | Unknown, name: str) -> object:
        return canonical(self.entity.find(name), value)


def day(entity: Entity, name: str, value: Value | Unknown) -> date | None:
    """A date or the date of a moment in UTC."""
    kept = canonical(entity.find(name), value)
    if isinstance(kept, datetime):
        return kept.date()
    return kept if isinstance(kept, date) else None


def record_day(entity: str, record: RecordData, name: str) -> date | None:
    """The same of a record that was read for a rule."""
    return day(load_catalog().entities[entity], name, record.get(name))


def known_id(record: RecordData, name: str) -> int | None:
    value = record.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def named(entity: str, *records: RecordData) -> str:
    """`12 (Jane Doe), 15 (Lee Fox, inactive)`."""
    return candidates(load_catalog().entities[entity], records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`check` is asked about changes that write one of the fields `on`; without `on`, about all.

    `own` are fields of the record itself that it looks at, besides those it is called for.
    """

    check: Callable[[Case], Iterator[Finding]]
    on: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    actions: frozenset[Action] = WRITES

    def is_asked(self, change: Change) -> bool:
        if change.action not in self.actions:
            return False
        return not self.on or change.action is Action.DELETE or not self.on.isdisjoint(change.fields)


def rule(
    check: Callable[[Case], Iterator[Finding]],
    *,
    on: str = "",
    own: str = "",
    actions: frozenset[Action] = WRITES,
) -> Rule:
    """The fields as words in one text."""
    return Rule(check=check, on=frozenset(on.split()), own=frozenset(own.split()), actions=actions)
