"""The plan's order while it is applied: gives out each change when all it waits for is settled.

The order is in the plan, change by change (`waits_for`, `barrier`), and only that is obeyed. For reading, the
plan is cut into ranges, with a cursor and room of its own for each, so that a hundred thousand companies are
no wall before the contact of the first one, and rows that wait are in no other's way. The cuts are where the
header says that one step ends and another begins, since that is where the entity changes, but any other cuts
would give the same order.

What waits is kept as a number and read again when its turn comes. Nothing can wait for ever: what a row waits
for has been read, or stands in an earlier range, whose own rows wait only for what was read or stands earlier
still; and what stands further down in its own range is read out of turn.
"""

from __future__ import annotations

import asyncio
import heapq
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from bulkops.change import Change
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Plan
from bulkops.plan.encoding import change_from_json
from bulkops.plan.seal import CHUNK
from bulkops.progress import Stop

READY = 500  # changes of a range that are given out and not settled
PARKED = 10_000  # changes of a range that wait for others
TURN = 100  # changes of a range that are read before others have their turn


@dataclass(slots=True)
class _Range:
    """A part of the plan, read in order. `given` and `parked` are counts of its changes."""

    index: int
    first: int
    last: int
    cursor: int = 0  # the last change read in its turn
    given: int = 0
    parked: int = 0
    due: deque[int] = field(default_factory=deque)  # parked, and nothing more to wait for
    early: set[int] = field(default_factory=set)  # read out of turn, above the cursor

    @property
    def is_read(self) -> bool:
        return self.cursor == self.last


class Feed:
    """Every change of a plan that is not settled, each given out once."""

    def __init__(
        self, plan: Plan, journal: Journal, *, give: Callable[[Change], None], fall: Callable[[Entry], None]
    ) -> None:
        """`give` gets what can be sent; `fall` what cannot, because of what it needs, and writes it down."""
        self.is_moving = True  # False while nothing more is given out until something is settled
        self._journal = journal
        self._give = give
        self._fall = fall
        self._ranges = _ranges(plan)
        self._firsts = [one.first for one in self._ranges]
        self._unmet: dict[int, int] = {}  # what is parked, and how much it waits for
        self._waiting: dict[int, list[int]] = defaultdict(list)  # a change, and what waits for it
        self._barred: list[tuple[int, int]] = []  # heap: barrier, and what waits for it
        self._moved = asyncio.Event()
        # One chunk that is read in order and one that is read again, for each range.
        self._chunk = lru_cache(maxsize=2 * len(self._ranges) + 2)(plan.stored)

    @property
    def given(self) -> int:
        """How many changes are given out and not settled."""
        return sum(one.given for one in self._ranges)

    @property
    def is_done(self) -> bool:
        """Nothing is left to give out or to be settled."""
        return all(one.is_read and not one.given and not one.parked for one in self._ranges)

    async def run(self, stop: Stop, idle: Callable[[], None]) -> None:
        """Gives out until it is cancelled or stopped; `idle` is called when nothing more can be given out.

        Raises PlanError where the plan cannot be read.
        """
        while stop.reason is None:
            self._moved.clear()
            served = [self._serve(one) for one in self._ranges]
            if any(served):
                await asyncio.sleep(0)  # reading is not waiting: let the others have their turn
                continue
            self.is_moving = False
            idle()
            await self._moved.wait()

    def wake(self) -> None:
        self.is_moving = True
        self._moved.set()

    def settled(self, n: int, *, was_given: bool) -> None:
        """A change has had its final word, which the journal knows; `was_given` out by us before that."""
        self._home(n).given -= was_given
        self._spread(n)
        self.wake()

    # --- reading ---

    def _serve(self, one: _Range) -> bool:
        """Reads on where there is room. False: nothing was done."""
        for taken in range(TURN):
            if one.given >= READY:
                return taken > 0
            if one.due:
                one.parked -= 1
                self._hand_over(one, self._read(one.due.popleft()))
            elif one.parked >= PARKED or not self._go_on(one):
                return taken > 0
        return True

    def _go_on(self, one: _Range) -> bool:
        """Takes the next change of the range that is not settled, with what it needs from further down."""
        while not one.is_read:
            one.cursor += 1
            if one.cursor in one.early:
                one.early.discard(one.cursor)
            elif not self._journal.is_settled(one.cursor):
                self._take(one.cursor)
                return True
        return False

    def _take(self, n: int) -> None:
        stack = [n]
        while stack:
            change = self._read(stack.pop())
            stack += self._place(self._home(change.n), change)

    def _read(self, n: int) -> Change:
        chunk, place = divmod(n - 1, CHUNK)
        return change_from_json(n, self._chunk(chunk)[place])

    def _home(self, n: int) -> _Range:
        return self._ranges[bisect_right(self._firsts, n) - 1]

    # --- waiting ---

    def _place(self, one: _Range, change: Change) -> list[int]:
        """Gives it out, parks it or lets it fall. Returns what has to be read out of turn for it."""
        if self._journal.is_in_doubt(change.n):  # it was sent: whatever it waited for was there
            self._hand_over(one, change)
            return []
        if (entry := self._fallen(change)) is not None:
            self._let_fall(entry)
            return []
        unmet = [n for n in change.waits_for if not self._journal.is_settled(n)]
        is_barred = change.barrier > self._journal.settled_through()
        if not unmet and not is_barred:
            self._hand_over(one, change)
            return []
        one.parked += 1
        self._unmet[change.n] = len(unmet) + is_barred
        for n in unmet:
            self._waiting[n].append(change.n)
        if is_barred:
            heapq.heappush(self._barred, (change.barrier, change.n))
        return [n for n in unmet if self._is_out_of_turn(n, one)]

    def _is_out_of_turn(self, n: int, asking: _Range) -> bool:
        home = self._home(n)
        if home.index < asking.index or n <= home.cursor or n in home.early:
            return False
        home.early.add(n)
        return True

    def _hand_over(self, one: _Range, change: Change) -> None:
        one.given += 1
        self._give(change)

    def _fallen(self, change: Change) -> Entry | None:
        kinds = ((n, self._journal.kind(n)) for n in change.waits_for)
        return next((Entry.fallen(change.n, n, kind) for n, kind in kinds if kind in _BAD), None)

    def _let_fall(self, entry: Entry) -> None:
        self._fall(entry)
        self._spread(entry.n)

    def _spread(self, n: int) -> None:
        """What its final word means for those that waited for it, and so on down: chains may be long."""
        settled = deque([n])
        while settled:
            n = settled.popleft()
            kind = self._journal.kind(n)
            for waiting in self._waiting.pop(n, ()):
                if waiting not in self._unmet:
                    continue  # fallen meanwhile
                if kind in _BAD:
                    del self._unmet[waiting]
                    self._home(waiting).parked -= 1
                    self._fall(Entry.fallen(waiting, n, kind))
                    settled.append(waiting)
                else:
                    self._meet(waiting)
        self._open_barriers()

    def _meet(self, n: int) -> None:
        self._unmet[n] -= 1
        if not self._unmet[n]:
            del self._unmet[n]
            self._home(n).due.append(n)

    def _open_barriers(self) -> None:
        through = self._journal.settled_through()
        while self._barred and self._barred[0][0] <= through:
            _, n = heapq.heappop(self._barred)
            if n in self._unmet:
                self._meet(n)


_BAD = (Kind.REJECTED, Kind.HELD)


def _ranges(plan: Plan) -> list[_Range]:
    """The rows of each step; the last range ends where the plan ends, whatever the header says."""
    ranges: list[_Range] = []
    first = 1
    for rows in [step.rows for step in plan.header.steps if step.rows] or [plan.total]:
        if first <= plan.total:
            last = min(first + rows - 1, plan.total)
            ranges.append(_Range(index=len(ranges), first=first, last=last, cursor=first - 1))
            first = last + 1
    if ranges:
        ranges[-1].last = plan.total
    return ranges
