"""What of a large plan is worth showing: changes that do the same are told once, outliers one by one.

Two updates are alike where they belong to one step and change the same fields from the same values to the
same ones, with like notes; two rejected rows where they are rejected for like reasons, whatever these quote.
Reads the plan once.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from bulkops.change import Action, Change
from bulkops.grouping import pattern
from bulkops.plan import Plan
from bulkops.plan.seal import action_letter
from bulkops.scratch import digest

MOST_KINDS = 100_000  # told apart at most, so that memory stays flat; what comes later counts as not shown

_GROUPED = (Action.UPDATE, Action.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A change that is shown, and how many are like it; `is_same`: with the same reason to the letter."""

    n: int
    more: int = 0
    is_same: bool = True


@dataclass(slots=True, kw_only=True)
class _Kind:
    """Changes that are alike: the first one, and how many they are."""

    first: int
    reason: str | None
    count: int = 0
    is_same: bool = True


@dataclass(slots=True, kw_only=True)
class _Kinds:
    """The changes of one action, by what they do."""

    known: dict[Hashable, _Kind] = field(default_factory=dict)

    def add(self, change: Change) -> None:
        key = _pattern(change)
        kind = self.known.get(key)
        if kind is None and len(self.known) < MOST_KINDS:
            kind = self.known[key] = _Kind(first=change.n, reason=change.reason)
        if kind is not None:
            kind.count += 1
            kind.is_same = kind.is_same and change.reason == kind.reason

    def shown(self, most: int) -> list[Shown]:
        """The largest groups and the first outliers."""
        groups = sorted((kind for kind in self.known.values() if kind.count > 1), key=lambda k: -k.count)
        singles = (kind for kind in self.known.values() if kind.count == 1)
        picked = [*groups[:most], *(kind for kind, _ in zip(singles, range(most), strict=False))]
        return [Shown(n=kind.first, more=kind.count - 1, is_same=kind.is_same) for kind in picked]


def worth_showing(plan: Plan, most: int) -> list[Shown]:
    """At most `most` changes of each action and as many groups, in the plan's order; unchanged ones aside.

    What has no more than `most` changes is shown one by one.
    """
    shown: list[Shown] = []
    kinds: dict[Action, _Kinds] = {}
    for action in Action:
        if action is Action.UNCHANGED:
            continue
        if action in _GROUPED and plan.counts.get(action.value, 0) > most:
            kinds[action] = _Kinds()
        else:
            shown += [Shown(n=n) for n in _first(plan.actions, action, most)]
    if kinds:
        for change in plan.changes():
            if change.action in kinds:
                kinds[change.action].add(change)
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
