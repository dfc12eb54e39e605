"""What a run knows of each entity that it creates records of: its shape, the highest id, who the creator is.

Learned from our own records, and only where a look at the target needs it. Watches the assumptions on which
absence and likeness are judged: once one of them is seen broken, `broken` says so.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from bulkops.change import Change, equal
from bulkops.journal import Journal, Kind
from bulkops.plan import Plan
from bulkops.plan.shapes import entity_of
from bulkops.record import Scalar
from bulkops.schema import Entity
from bulkops.settle.verdict import Doubt
from bulkops.targets.base import RecordData, Target

logger = logging.getLogger(__name__)

SAMPLES = 3  # of our own records: one alone may have been edited by somebody meanwhile


@dataclass(slots=True, kw_only=True, eq=False)
class Known:
    """One entity. `samples`: some of our own creates, with their ids; `earlier`: those of earlier runs."""

    shape: Entity
    highest: int | None = None  # the highest id that the target told us
    rises: bool = True  # ids, as far as was seen
    creator: int | None = None  # under whom the server notes the creates of this run
    creator_before: int | None = None  # and those of earlier runs, which may have had another API user
    altered: frozenset[str] = frozenset()  # fields that the server stores otherwise than they were sent
    steady: frozenset[str] = frozenset()  # fields that it was seen to keep as they were sent
    is_learned: bool = False
    is_hidden: bool = False  # what we created cannot be read back
    read_back: frozenset[int] = frozenset()  # the ids from which that was learned
    samples: deque[tuple[Change, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    earlier: Sequence[tuple[Change, int]] = ()
    held: list[Doubt] = field(default_factory=list)  # of this run: a record near to one of them is its, maybe

    @property
    def creator_field(self) -> str | None:
        """Where the server notes who created a record, and it can be asked for."""
        found = self.shape.creator_field()
        return found.name if found is not None and found.is_queryable else None

    def creators(self, doubt: Doubt) -> set[int]:
        """Whom the server may note for this create; empty where that is not known."""
        known = {self.creator, self.creator_before if doubt.is_earlier else None} - {None}
        return {by for by in (*known, doubt.change.impersonate) if by is not None} if known else set()

    def is_by_us(self, doubt: Doubt, record: Mapping[str, Scalar]) -> bool:
        """Whether the record may be ours by its creator; True where nothing tells."""
        by = record.get(self.creator_field or "")
        expected = self.creators(doubt)
        return by is None or not expected or by in expected

    def names_creator(self, doubt: Doubt, record: Mapping[str, Scalar]) -> bool:
        """Whether the record says who created it, and it is known who we are."""
        return bool(self.creators(doubt)) and record.get(self.creator_field or "") is not None

    def is_to_learn(self, doubts: Sequence[Doubt]) -> bool:
        """Whether our own records have more to tell of what matters for `doubts`."""
        ids = {id for _, id in (*self.earlier, *self.samples)}
        if ids <= self.read_back:
            return False
        is_vague = len(self.read_back) < SAMPLES and bool(self.altered or self.is_hidden)
        is_other_user = self.creator is None and any(not doubt.is_earlier for doubt in doubts)
        return not self.is_learned or is_vague or (is_other_user and bool(self.samples))


class Knowledge:
    """Of all entities of one run."""

    def __init__(
        self, plan: Plan, journal: Journal, target: Target, resolved: Callable[[Change], Change]
    ) -> None:
        """`resolved` puts ids where a change of the plan refers to what others create."""
        self.broken: str | None = None  # the assumption that was seen broken, in a sentence
        self._plan = plan
        self._journal = journal
        self._target = target
        self._resolved = resolved
        self._letters = plan.actions
        self._known: dict[str, Known] = {}
        self._steps = [step for step in plan.header.steps if step.rows]
        self._firsts = [1, *(1 + before for before in accumulate(step.rows for step in self._steps[:-1]))]

    async def of(self, entity: str) -> Known:
        """What is known of the entity; the shape as the plan keeps it, else asked for."""
        known = self._known.get(entity)
        if known is None:
            facts = self._plan.header.entities.get(entity)
            shape = entity_of(entity, facts) if facts else await self._target.describe(entity)
            known = self._known.setdefault(entity, Known(shape=shape))
            if self._journal.is_begun:
                self._remember(known)
        return known

    def _remember(self, known: Known) -> None:
        """What earlier runs created."""
        made = list(self._made(known.shape.name))
        known.highest = max((id for _, id in made), default=None)
        known.earlier = [(self._resolved(self._plan.change(n)), id) for n, id in made[-SAMPLES:]]
        for first, last in self._ranges(known.shape.name):
            if (fell := self._journal.fell(first, last)) is not None:
                self._fell(known, *fell)

    def _made(self, entity: str) -> Iterator[tuple[int, int]]:
        """The creates of the entity that were applied: number and id."""
        for first, last in self._ranges(entity):
            for n in range(first, last + 1):
                if (made := self.created(n)) is not None:
                    yield n, made[1]

    def _ranges(self, entity: str) -> Iterator[tuple[int, int]]:
        first = 1
        for step in self._plan.header.steps:
            if step.entity == entity:
                yield first, first + step.rows - 1
            first += step.rows

    def step_of(self, n: int) -> tuple[int, int]:
        """First and last change of the step of change `n`."""
        place = bisect_right(self._firsts, n) - 1
        end = self._firsts[place + 1] - 1 if place + 1 < len(self._firsts) else self._plan.total
        return self._firsts[place], end

    # --- while writes are answered ---

    def answered(self, change: Change, id: int, floor: int | None) -> None:
        """A create of ours was answered with its id."""
        known = self._known[change.entity]  # since before it was sent, for its floor, or was looked for
        if floor is not None and id <= floor:
            self._fell(known, id, floor)
        known.highest = max(id, known.highest or id)
        known.samples.append((change, id))

    def _fell(self, known: Known, id: int, floor: int) -> None:
        known.rises = False
        self.breaks(f"{known.shape.name} gave id {id} to a record made after {floor}: ids do not rise here")

    def breaks(self, what: str) -> None:
        """An assumption was seen broken: said at once, for nothing may be held because of it."""
        if self.broken is None:
            self.broken = what
            logger.warning("%s. From now on a lost create that is not there is held, not sent again", what)

    # --- while a look is judged ---

    def ours(self, entity: str, ids: Collection[int], except_for: Collection[int]) -> set[int]:
        """Those of `ids` that are the records of other rows than `except_for`."""
        holders = self._journal.holders(ids)
        ranges = list(self._ranges(entity))
        return {
            id
            for n, id in holders
            if n not in except_for and any(first <= n <= last for first, last in ranges)
        }

    def made(self, n: int) -> int | None:
        """The record of change `n`, where it is known."""
        return self._journal.created_id(n)

    def created(self, n: int) -> tuple[str, int] | None:
        """Entity and id of the record that change `n` has created, where it has."""
        id = self._journal.created_id(n)
        if id is None or self._journal.kind(n) is not Kind.APPLIED or self._letters[n - 1] != "c":
            return None
        return self._steps[bisect_right(self._firsts, n) - 1].entity, id

    def is_applied(self, n: int) -> bool:
        """Whether change `n` has gone."""
        return self._journal.kind(n) is Kind.APPLIED

    async def learn(self, known: Known, doubts: Sequence[Doubt]) -> None:
        """Reads some of our own records back: who created them, what the server made of them.

        Once as a rule; again where the first ones left something open and there are more by now.
        """
        if not known.is_to_learn(doubts):
            return
        samples = {id: change for change, id in (*known.earlier, *known.samples)}
        names = sorted({name for change in samples.values() for name in _read(known, change)})
        where = {"op": "in", "field": "id", "value": sorted(samples)}
        records = [r async for r in self._target.read(known.shape.name, where, fields=["id", *names])]
        pairs = {int(r["id"] or 0): (samples[int(r["id"] or 0)], r) for r in records}
        before = {id for _, id in known.earlier}
        known.creator_before = _creator(known, [pairs[id] for id in pairs.keys() & before])
        known.creator = _creator(known, [pairs[id] for id in pairs.keys() - before])
        altered = [_altered(known, change, record) for change, record in pairs.values()]
        known.altered = frozenset.intersection(*altered) if altered else frozenset()
        sent = {name for change, _ in pairs.values() for name in change.fields}
        known.steady = frozenset(sent).difference(*altered)
        known.is_hidden = not pairs and len(samples) > 1  # a single one that is gone was deleted, rather
        known.read_back = frozenset(samples)
        known.is_learned = bool(pairs) or known.is_hidden  # last: the read may have failed


def _creator(known: Known, pairs: Sequence[tuple[Change, RecordData]]) -> int | None:
    """The one that all of them name. Who is impersonated says nothing about us."""
    field = known.creator_field
    named = {record.get(field) for change, record in pairs if change.impersonate is None} if field else set()
    one = next(iter(named)) if len(named) == 1 else None
    return one if isinstance(one, int) else None


def _read(known: Known, change: Change) -> list[str]:
    fields = (known.shape.find(name) for name in change.fields)
    names = [field.name for field in fields if field and field.is_queryable and not field.is_path_only]
    return [*names, *([known.creator_field] if known.creator_field else [])]


def _altered(known: Known, change: Change, record: RecordData) -> frozenset[str]:
    """The fields that are stored otherwise than they were sent."""
    return frozenset(
        name
        for name, diff in change.fields.items()
        if (field := known.shape.find(name)) is not None
        and field.is_queryable
        and diff.after is not None
        and not equal(field, record.get(field.name), diff.after)
    )
