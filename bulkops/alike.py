"""What of a large plan is worth showing: changes that do the same are told once, outliers one by one.

Two updates are alike where they belong to one step and change the same fields from the same values to the
same ones, with like notes; two rejected rows where they are rejected for like reasons, whatever these quote.
Two creates, or deletes, are alike where all but their key, their parent and what they refer to is the same:
what of that differs is named. Where like notes are not the same, it is told which rows have which.

A step is read only as long as there is something to group: the creates of an import are like nothing, and
there may be a million of them. What is read is looked at as it is stored, without making changes of it:
equal values are stored as equal JSON. That takes less than half of the time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Self, TypeAlias

from bulkops.change import Action
from bulkops.grouping import Common, Notes, Own, Sized, cut, pattern
from bulkops.plan import Plan
from bulkops.plan.encoding import dump, load
from bulkops.plan.seal import CHUNK, action_letter
from bulkops.scratch import digest

WINDOW = 2_000  # changes of a step after which it is decided whether to read on
MOST_ALONE = 0.9  # of a window that are like none before them: with more, the rest of the step is not read
MOST_KINDS = 5_000  # of a step that are told apart, so that memory stays flat; later ones count as not shown

_GROUPED = (Action.CREATE, Action.UPDATE, Action.DELETE, Action.REJECTED)
_FREE = ()  # stands for a value that may be another one in each change; no value is stored like it

_Stored: TypeAlias = dict[str, Any]
"""A change as it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A change that is shown, and how many are like it.

    `is_same`: with the same reason to the letter; `is_whole`: there are no more like it, all of its step
    having been read; `differs`: fields in which they are not like it; `own`: where their notes are not the
    same to the letter.
    """

    n: int
    more: int = 0
    is_same: bool = True
    is_whole: bool = True
    differs: tuple[str, ...] = ()
    own: Own | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Which fields of an entity hold its parent, and which refer to other records."""

    parent: str | None = None
    references: frozenset[str] = frozenset()

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """From what a plan keeps of an entity."""
        parent, fields = facts.get("parent"), facts.get("fields", {})
        references = {name for name, shape in fields.items() if shape.get("reference")}
        return cls(parent=parent, references=frozenset(references - {parent}))


_UNKNOWN = _Shape()


@dataclass(slots=True, kw_only=True)
class _Marks:
    """What changes of one family have in common (`key`), and those of one kind (`refers`: what they refer
    to); what this one holds that others of its kind or family need not; its notes in pieces.
    """

    key: Hashable
    refers: str = ""
    held: Mapping[str, int] = field(default_factory=dict)
    reason: str | None = None
    common: Common = field(default_factory=list)
    own: Sized = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Kind:
    """Changes that are alike: the first one, and how many they are.

    `held` stands for what the first one holds where others may hold something else.
    """

    first: int
    reason: str | None
    held: Mapping[str, int]
    notes: Notes | None = None
    count: int = 0
    is_same: bool = True
    differs: frozenset[str] = frozenset()

    @classmethod
    def of(cls, n: int, marks: _Marks) -> Self:
        notes = Notes(marks.common, marks.own) if marks.own else None
        return cls(first=n, reason=marks.reason, held=marks.held, notes=notes)

    def take(self, n: int, marks: _Marks) -> None:
        self.count += 1
        self.is_same = self.is_same and marks.reason == self.reason
        self._compare(marks.held)
        if self.notes is not None:
            self.notes.take(n, marks.own)

    def absorb(self, other: _Kind) -> None:
        self.count += other.count
        self.differs |= other.differs
        self._compare(other.held)
        if self.notes is not None and other.notes is not None:
            self.notes.absorb(other.notes)

    def _compare(self, held: Mapping[str, int]) -> None:
        if len(self.differs) < len(self.held):
            self.differs |= {name for name, value in held.items() if self.held.get(name) != value}

    def shown(self, *, is_whole: bool) -> Shown:
        differs = tuple(name for name in self.held if name in self.differs)
        own = self.notes.own() if self.notes is not None else None
        return Shown(
            n=self.first, more=self.count - 1, is_same=self.is_same, is_whole=is_whole, differs=differs,
            own=own,
        )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class _Family:
    """Kinds that differ in what they refer to only; one kind once they are too many to be told apart."""

    most: int
    kinds: dict[str, _Kind] = field(default_factory=dict)
    is_one: bool = False

    def take(self, n: int, marks: _Marks) -> None:
        key = "" if self.is_one else marks.refers
        kind = self.kinds.get(key)
        if kind is None:
            kind = self.kinds[key] = _Kind.of(n, marks)
        kind.take(n, marks)
        if len(self.kinds) > self.most:
            self._join()

    def _join(self) -> None:
        first, *others = self.kinds.values()
        for other in others:
            first.absorb(other)
        self.kinds, self.is_one = {"": first}, True


@dataclass(slots=True, kw_only=True)
class _Reading:
    """The changes of one action in one step, of which there are `total`, as far as they are read."""

    action: Action
    total: int
    most: int
    families: dict[Hashable, _Family] = field(default_factory=dict)
    read: int = 0
    alone: int = 0  # of the window: like none before

    @property
    def is_vain(self) -> bool:
        """Whether a window has just ended in which nearly nothing was alike."""
        return self.read % WINDOW == 0 and self.alone > MOST_ALONE * WINDOW

    def add(self, n: int, data: _Stored, shape: _Shape) -> None:
        if self.read % WINDOW == 0:
            self.alone = 0
        self.read += 1
        marks = _marks(self.action, n, data, shape)
        family = self.families.get(marks.key)
        if family is None:
            self.alone += 1
            if len(self.families) == MOST_KINDS:
                return
            family = self.families[marks.key] = _Family(most=self.most)
        family.take(n, marks)

    def shown(self) -> list[Shown]:
        """The largest groups and the first outliers."""
        is_whole = self.read == self.total
        kinds = chain.from_iterable(family.kinds.values() for family in self.families.values())
        return _picked((kind.shown(is_whole=is_whole) for kind in kinds), self.most)


def worth_showing(plan: Plan, most: int) -> list[Shown]:
    """At most `most` changes of each action and as many groups, in the plan's order; unchanged ones aside.

    What has no more than `most` changes is shown one by one; but what undo cannot take back is no row that
    somebody would look up in a file and correct, so that is told by kind however few there are.
    """
    shown: list[Shown] = []
    grouped: dict[Action, list[Shown]] = {}
    is_undo = any(step.action == "undo" for step in plan.header.steps)
    for action in Action:
        if action is Action.UNCHANGED:
            continue
        is_many = plan.counts.get(action.value, 0) > most
        if action in _GROUPED and (is_many or (is_undo and action is Action.REJECTED)):
            grouped[action] = []
        else:
            shown += [Shown(n=n) for n in _first(plan.actions, action, most)]
    if grouped:
        for reading in _Reader(plan, most, grouped).readings():
            grouped[reading.action] += reading.shown()
    for found in grouped.values():
        shown += _picked(found, most)
    return sorted(shown, key=lambda one: one.n)


def _first(actions: str, action: Action, most: int) -> list[int]:
    """The numbers of the first changes with this action."""
    found = re.finditer(action_letter(action), actions)
    return [one.end() for one in islice(found, most)]


class _Reader:
    """The changes of some actions of a plan, step by step."""

    def __init__(self, plan: Plan, most: int, actions: Collection[Action]) -> None:
        self._plan = plan
        self._most = most
        self._by_letter = {action_letter(action): action for action in actions}
        self._letters = plan.actions
        self._shapes = {name: _Shape.of(facts) for name, facts in plan.header.entities.items()}

    def readings(self) -> Iterator[_Reading]:
        """Each of these actions in each step that has it, as far as it is worth reading."""
        first = 1
        for rows in [step.rows for step in self._plan.header.steps] or [self._plan.total]:
            yield from self._read(first, first + rows - 1)
            first += rows

    def _read(self, first: int, last: int) -> Collection[_Reading]:
        readings = {}
        for letter, action in self._by_letter.items():
            if total := self._letters.count(letter, first - 1, last):
                readings[letter] = _Reading(action=action, total=total, most=self._most)
        wanted = set(readings)
        for n, letter, text in self._texts(first, last, wanted):
            data: _Stored = load(text)
            readings[letter].add(n, data, self._shapes.get(data["entity"], _UNKNOWN))
            if readings[letter].is_vain:
                wanted.remove(letter)
        return readings.values()

    def _texts(self, first: int, last: int, wanted: Collection[str]) -> Iterator[tuple[int, str, str]]:
        """Number, letter and text of the changes whose letter is wanted just then; only chunks that have
        such are read.
        """
        for chunk in range((first - 1) // CHUNK, (last - 1) // CHUNK + 1):
            if not wanted:
                return
            before = chunk * CHUNK
            ours = range(max(first, before + 1), min(last, before + CHUNK) + 1)
            numbers = [n for n in ours if self._letters[n - 1] in wanted]
            texts = self._plan.stored(chunk) if numbers else ()
            for n in numbers:
                if (letter := self._letters[n - 1]) in wanted:
                    yield n, letter, texts[n - 1 - before]


def _picked(found: Iterable[Shown], most: int) -> list[Shown]:
    """The largest groups and the first outliers."""
    found = sorted(found, key=lambda one: one.n)
    groups = sorted((one for one in found if one.more), key=lambda one: -one.more)
    singles = [one for one in found if not one.more]
    return [*groups[:most], *singles[:most]]


def _marks(action: Action, n: int, data: _Stored, shape: _Shape) -> _Marks:
    """Of a change as it is stored; one that says nothing is like no other."""
    if action is Action.REJECTED:
        reason = data.get("reason")
        return _Marks(key=digest((data["step"], pattern(reason))) if reason else n, reason=reason)
    if not data.get("fields"):
        return _Marks(key=n)
    common, own = cut(data.get("notes", ()))
    if action is Action.UPDATE:
        return _Marks(key=digest(dump([data["step"], data["fields"], common])), common=common, own=own)
    is_create = action is Action.CREATE
    values = {name: diff[is_create] for name, diff in data["fields"].items()}
    key, refers, held = _record_marks(values, data, common, shape)
    return _Marks(key=key, refers=refers, held=held, common=common, own=own)


def _record_marks(
    values: dict[str, Any], data: _Stored, notes: Common, shape: _Shape
) -> tuple[bytes, str, Mapping[str, int]]:
    """Of a create or a delete, which has these values.

    Whom and what they refer to makes kinds, the parent and what the plan itself creates do not.
    """
    if shape.parent is not None and "parent" in data:
        values.setdefault(shape.parent, data["parent"])
    made = {name for name, value in values.items() if type(value) is dict and "change" in value}
    also = {shape.parent, data.get("marker"), *data.get("key", ()), *made}
    free = [name for name in values if name in also or name in shape.references]
    refers = {name: values[name] for name in free if name in shape.references and name not in made}
    common = {**values, **dict.fromkeys(free, _FREE)}
    key = digest(dump([data["step"], common, data.get("impersonate"), notes]))
    return key, dump(refers) if refers else "", {name: hash(repr(values[name])) for name in free}
