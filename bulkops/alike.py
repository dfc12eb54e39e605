"""What of a large plan is worth showing: changes that do the same are told once, outliers one by one.

Two updates are alike where they belong to one step and change the same fields from the same values to the
same ones, with like notes; two rejected rows where they are rejected for like reasons, whatever these quote.
Two creates, or deletes, are alike where all but their key, their parent and what they refer to is the same:
what of that differs is named. Reads the plan once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bulkops.change import Action, Change, Unknown
from bulkops.grouping import pattern
from bulkops.plan import Plan
from bulkops.plan.seal import action_letter
from bulkops.record import Created, Value
from bulkops.scratch import digest

MOST_KINDS = 50_000  # told apart at most, so that memory stays flat; what comes later counts as not shown

_GROUPED = (Action.CREATE, Action.UPDATE, Action.DELETE, Action.REJECTED)

Facts = Mapping[str, Any]
"""What a plan keeps of the shape of an entity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A change that is shown, and how many are like it.

    `is_same`: with the same reason to the letter; `differs`: fields in which they are not like it.
    """

    n: int
    more: int = 0
    is_same: bool = True
    differs: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Kind:
    """Changes that are alike: the first one, and how many they are.

    `held` stands for what the first one holds where others may hold something else. Kinds with one `family`
    differ in what they refer to only.
    """

    first: int
    reason: str | None
    held: Mapping[str, int]
    family: bytes | None = None
    count: int = 0
    is_same: bool = True
    differs: frozenset[str] = frozenset()

    def take(self, change: Change, held: Mapping[str, int]) -> None:
        self.count += 1
        self.is_same = self.is_same and change.reason == self.reason
        self._compare(held)

    def absorb(self, other: _Kind) -> None:
        self.count += other.count
        self.differs |= other.differs
        self._compare(other.held)

    def _compare(self, held: Mapping[str, int]) -> None:
        if held != self.held:
            self.differs |= {name for name, value in held.items() if self.held.get(name) != value}

    def shown(self) -> Shown:
        differs = tuple(name for name in self.held if name in self.differs)
        return Shown(n=self.first, more=self.count - 1, is_same=self.is_same, differs=differs)


@dataclass(slots=True, kw_only=True)
class _Kinds:
    """The changes of one action, by what they do."""

    known: dict[Hashable, _Kind] = field(default_factory=dict)

    def add(self, change: Change, facts: Facts) -> None:
        key, family, held = _patterns(change, facts)
        kind = self.known.get(key)
        if kind is None and len(self.known) < MOST_KINDS:
            kind = _Kind(first=change.n, reason=change.reason, held=held, family=family)
            self.known[key] = kind
        if kind is not None:
            kind.take(change, held)

    def shown(self, most: int) -> list[Shown]:
        """The largest groups and the first outliers."""
        kinds = list(self._families(most))
        groups = sorted((kind for kind in kinds if kind.count > 1), key=lambda k: -k.count)
        singles = (kind for kind in kinds if kind.count == 1)
        picked = [*groups[:most], *(kind for kind, _ in zip(singles, range(most), strict=False))]
        return [kind.shown() for kind in picked]

    def _families(self, most: int) -> Iterator[_Kind]:
        """The kinds; those of a family as one where they are too many to be told apart."""
        families: dict[bytes, list[_Kind]] = defaultdict(list)
        for kind in self.known.values():
            if kind.family is None:
                yield kind
            else:
                families[kind.family].append(kind)
        for first, *others in families.values():
            if len(others) < most:
                yield from (first, *others)
                continue
            for other in others:
                first.absorb(other)
            yield first


def worth_showing(plan: Plan, most: int) -> list[Shown]:
    """At most `most` changes of each action and as many groups, in the plan's order; unchanged ones aside.

    What has no more than `most` changes is shown one by one; but what undo cannot take back is no row that
    somebody would look up in a file and correct, so that is told by kind however few there are.
    """
    shown: list[Shown] = []
    kinds: dict[Action, _Kinds] = {}
    is_undo = any(step.action == "undo" for step in plan.header.steps)
    for action in Action:
        if action is Action.UNCHANGED:
            continue
        is_many = plan.counts.get(action.value, 0) > most
        if action in _GROUPED and (is_many or (is_undo and action is Action.REJECTED)):
            kinds[action] = _Kinds()
        else:
            shown += [Shown(n=n) for n in _first(plan.actions, action, most)]
    if kinds:
        for change in plan.changes():
            if change.action in kinds:
                kinds[change.action].add(change, plan.header.entities.get(change.entity, {}))
    for found in kinds.values():
        shown += found.shown(most)
    return sorted(shown, key=lambda one: one.n)


def _first(actions: Sequence[str], action: Action, most: int) -> list[int]:
    """The numbers of the first changes with this action."""
    letter = action_letter(action)
    return [n for n, found in enumerate(actions, 1) if found == letter][:most]


def _pattern(change: Change) -> Hashable:
    """What changes of one kind have in common; a change that says nothing is like no other."""
    if change.action is Action.REJECTED:
        return digest((change.step, pattern(change.reason))) if change.reason else change.n
    told = tuple((name, diff.before, diff.after) for name, diff in change.fields.items())
    notes = tuple(map(pattern, change.notes))
    return digest((change.step, told, notes)) if told else change.n


def _patterns(change: Change, facts: Facts) -> tuple[Hashable, bytes | None, Mapping[str, int]]:
    """What changes of one kind have in common, what a family of kinds has, and what this one holds that
    others of them need not.

    Whom and what they refer to makes kinds, the parent and what the plan itself creates do not.
    """
    is_create = change.action is Action.CREATE
    if not change.fields or not (is_create or change.action is Action.DELETE):
        return _pattern(change), None, {}
    values = {name: diff.after if is_create else diff.before for name, diff in change.fields.items()}
    parent: str | None = facts.get("parent")
    if parent is not None and change.parent is not None:
        values.setdefault(parent, change.parent)
    shapes: Mapping[str, Facts] = facts.get("fields", {})
    refers = {name for name in values if shapes.get(name, {}).get("reference") and name != parent}
    refers -= {name for name in refers if isinstance(values[name], Created)}
    also = {parent, change.marker, *change.key}
    free = [name for name, value in values.items() if name in also | refers or isinstance(value, Created)]
    common = tuple((name, None if name in free else value) for name, value in values.items())
    family = digest((change.step, common, change.impersonate, tuple(map(pattern, change.notes))))
    told = tuple((name, values[name]) for name in values if name in refers)
    return digest((family, told)), family, {name: _stand_in(values[name]) for name in free}


def _stand_in(value: Value | Unknown) -> int:
    """A short thing that is another one for another value."""
    return hash(repr(value))
