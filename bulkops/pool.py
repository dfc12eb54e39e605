"""Slots for calls in flight, per entity: the server refuses a fourth call of an entity at once.

The server frees its slot a moment after its answer (ThreadLimiting.htm; clients that run exactly three trip
over it), so a slot is free again `release_s` after its call has ended. Whether the path of a child counts
for the child, the parent or both is not documented: `child_counts` says what to believe.

First come, first served, entity by entity. Who needs two slots queues up for both at the same moment and
takes both or none, so the one who has waited longest of all always gets on: no deadlock, no starvation.

Where other processes use the tenant too, slots are borrowed (`Slots`): asked for when calls need more than
are here, kept while they are used, given back when they idle or when it is somebody else's turn.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, TypeAlias

from bulkops.errors import CallError

ChildCounts: TypeAlias = Literal["child", "parent", "both"]
Keys: TypeAlias = tuple[str, ...]  # the entities of which a call needs a slot each

IDLE_S = 1.0  # a borrowed slot that no call uses for so long goes back
TURN_S = 0.3  # so long a busy process keeps a slot that another one with fewer of them waits for


class Slots(Protocol):
    """Where slots are borrowed that other processes use too."""

    def borrow(self, keys: Keys, short: Keys) -> bool:
        """One slot more of each of `short`, for a call that needs `keys`. False: not now; it is noted who
        waits, and the slots for the rest of `keys` are not ours any more. CallError: nothing may be sent."""
        ...

    def confirm(self, now: float) -> None:
        """Makes sure that what was borrowed is still ours. CallError: nothing may be sent."""
        ...

    def give(self, key: str, free_at: float) -> None:
        """One slot of `key` goes back, free from `free_at` on. Never raises."""
        ...

    def withdraw(self, keys: Keys) -> None:
        """Nobody waits for `keys` any more. Never raises."""
        ...

    def is_wanted(self, key: str, now: float) -> bool:
        """Whether another process waits for a slot of `key`."""
        ...

    def has_rival(self, key: str, now: float) -> bool:
        """Whether one that has fewer of them than we waits for a slot of `key`."""
        ...

    def free_again_at(self, key: str, now: float) -> float:
        """When a slot of `key` is free: -inf: now; inf: when another process gives it back."""
        ...


@dataclass(slots=True, eq=False)
class _Lane:
    """The slots of one entity."""

    key: str
    held: int  # slots that are ours: in flight, lagging or idle
    in_flight: int = 0
    lagging: deque[float] = field(default_factory=deque)  # when slots that were left become free
    waiting: deque[_Waiter] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None
    cut_off: list[float] = field(default_factory=list)  # when the server is done with calls we let go of
    used: float = -math.inf  # when a call last took or left one
    since: float = -math.inf  # when one was borrowed or given back

    def idle(self, now: float) -> int:
        """Slots that a call could take now."""
        while self.lagging and self.lagging[0] <= now:
            self.lagging.popleft()
        return self.held - self.in_flight - len(self.lagging)

    def first(self) -> _Waiter | None:
        """Who is next; the cancelled are dropped here."""
        while self.waiting and self.waiting[0].turn.done():
            self.waiting.popleft()
        return self.waiting[0] if self.waiting else None


@dataclass(slots=True, eq=False)
class _Waiter:
    lanes: tuple[_Lane, ...]
    turn: asyncio.Future[None]  # done: it has its slots, was cancelled, or there will be none

    @property
    def keys(self) -> Keys:
        return tuple(lane.key for lane in self.lanes)

    def is_first(self) -> bool:
        return all(lane.first() is self for lane in self.lanes)


class Pool:
    """The slots of a tenant, for one event loop."""

    def __init__(
        self, *, per_entity: int, release_s: float, child_counts: ChildCounts = "child", gone_s: float = 0.0,
        slots: Slots | None = None, clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """`gone_s`: how long the server may be at work on a call that nobody waits for any more. `slots`:
        where they are borrowed, by the same clock; None: all are ours. `wall` is for sentences."""
        self._per_entity = per_entity
        self._release_s = release_s
        self._gone_s = gone_s
        self._child_counts = child_counts
        self._slots = slots
        self._clock = clock
        self._wall = wall
        self._lanes: dict[str, _Lane] = {}
        self._asked: set[Keys] = set()  # what we wait for at `slots`

    def slot(self, entity: str, parent: str | None = None) -> Slot:
        """A slot for one call of `entity`, under `parent` where its path is a child's: an async context.
        Reads, writes and metadata of an entity share its slots. Cancelled while waiting, no slot is lost.
        """
        return Slot(self, self._keys(entity, parent))

    def _keys(self, entity: str, parent: str | None) -> Keys:
        if parent is None or parent == entity or self._child_counts == "child":
            return (entity,)
        return (parent,) if self._child_counts == "parent" else (parent, entity)

    def in_flight(self) -> dict[str, int]:
        """Calls in flight by entity; lagging slots and idle entities are left out."""
        return {entity: lane.in_flight for entity, lane in self._lanes.items() if lane.in_flight}

    def waiting(self) -> int:
        """Calls that wait for a slot."""
        turns = {id(waiter): waiter.turn for lane in self._lanes.values() for waiter in lane.waiting}
        return sum(not turn.done() for turn in turns.values())

    def why_waiting(self) -> str | None:
        """Why calls wait for slots of which none is ours; None where they wait for ours, or not at all."""
        if self._slots is None:
            return None
        now = self._clock()
        for key in sorted({key for keys in self._asked for key in keys if not self._lane(key).held}):
            at = self._slots.free_again_at(key, now)
            if at == math.inf:
                return f"another bulkops process of this machine uses the slots of {key}"
            if at - now > self._release_s:
                clock = time.strftime("%H:%M:%S", time.localtime(self._wall() + at - now))
                return (
                    f"the slots of {key} are free again at {clock}: calls of a bulkops process that ended "
                    f"may still be at work on the server"
                )
        return None

    def _lane(self, key: str) -> _Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(key, held=self._per_entity if self._slots is None else 0)
        return lane

    # --- taking and leaving --------------------------------------------------------------------------------

    async def _enter(self, keys: Keys) -> tuple[_Lane, ...]:
        lanes = tuple(self._lane(key) for key in keys)
        now = self._clock()
        if all(lane.first() is None for lane in lanes) and self._take(lanes, now):
            return lanes
        waiter = _Waiter(lanes, asyncio.get_running_loop().create_future())
        for lane in lanes:
            lane.waiting.append(waiter)
            self._arm(lane, now)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            self._abandon(waiter)
            raise
        return lanes

    def _take(self, lanes: tuple[_Lane, ...], now: float) -> bool:
        """A slot of each, or of none."""
        short = [lane for lane in lanes if lane.idle(now) <= 0]
        if short and not self._borrow(lanes, short, now):
            return False
        if self._slots is not None:
            self._slots.confirm(now)
        for lane in lanes:
            lane.in_flight += 1
            lane.used = now
        return True

    def _abandon(self, waiter: _Waiter) -> None:
        """Cancelled: gives back slots that came at the same moment, and lets the next in line go on."""
        if waiter.turn.cancelled():
            self._serve(waiter.lanes)
        elif waiter.turn.exception() is None:
            self._leave(waiter.lanes, lag_s=0.0)

    def _leave(self, lanes: tuple[_Lane, ...], lag_s: float, *, is_cut_off: bool = False) -> None:
        now = self._clock()
        for lane in lanes:
            lane.in_flight -= 1
            lane.used = now
            if lag_s > 0:
                lane.lagging.append(now + lag_s)
            if is_cut_off:
                lane.cut_off.append(now + self._gone_s)
            self._share(lane, now)
        self._serve(lanes)

    def _serve(self, lanes: tuple[_Lane, ...]) -> None:
        """Gives free slots to those whose turn it is, also in lanes where that makes another one first.

        At one moment: a slot that became free between refusing somebody and setting the timer for him would
        leave him without either, for ever.
        """
        now = self._clock()
        queue = list(lanes)
        while queue:
            lane = queue.pop()
            waiter = lane.first()
            if waiter is None:
                continue
            try:
                if waiter.is_first() and self._take(waiter.lanes, now):
                    waiter.turn.set_result(None)
            except CallError as error:  # his, not of the call that has just left
                waiter.turn.set_exception(error)
            if waiter.turn.done():
                queue += waiter.lanes
            else:
                self._arm(lane, now)

    def _arm(self, lane: _Lane, now: float) -> None:
        """A timer for the next slot that becomes free, where somebody waits for it."""
        if lane.timer is None and lane.idle(now) <= 0 and lane.lagging:
            # A coarse timer may ring a little early; never spin on it.
            delay = max(lane.lagging[0] - now, 0.001)
            lane.timer = asyncio.get_running_loop().call_later(delay, self._ring, lane)

    def _ring(self, lane: _Lane) -> None:
        lane.timer = None
        self._serve((lane,))

    # --- borrowing and sharing -----------------------------------------------------------------------------

    def look(self) -> None:
        """Others may have given slots back or want some: to be called every few hundredths of a second."""
        assert self._slots is not None, "nobody else has slots of ours"
        now = self._clock()
        for lane in self._lanes.values():
            self._share(lane, now)
        self._serve(tuple(self._lanes.values()))
        firsts = [lane.first() for lane in self._lanes.values()]
        awaited = {waiter.keys for waiter in firsts if waiter is not None}
        for keys in self._asked - awaited:
            self._slots.withdraw(keys)
        self._asked &= awaited

    def give_all(self) -> None:
        """Gives back every borrowed slot that is not in flight."""
        now = self._clock()
        for lane in self._lanes.values():
            self._give(lane, lane.idle(now) + len(lane.lagging), now)

    def _borrow(self, lanes: tuple[_Lane, ...], short: list[_Lane], now: float) -> bool:
        if self._slots is None or any(lane.held >= self._per_entity for lane in short):
            return False
        keys = tuple(lane.key for lane in lanes)
        has_come = self._slots.borrow(keys, tuple(lane.key for lane in short))
        for lane in lanes:
            if lane in short and has_come:
                lane.held += 1
                lane.since = now
            elif lane not in short and not has_come:
                lane.held -= 1
        if has_come:
            self._asked.discard(keys)
        else:
            self._asked.add(keys)
        return has_come

    def _share(self, lane: _Lane, now: float) -> None:
        """Gives back what is of no use to us, or what is another's turn to use."""
        if self._slots is None or lane.held == lane.in_flight:
            return
        idle = lane.idle(now)
        if lane.first() is not None:
            if now - lane.since >= TURN_S and self._slots.has_rival(lane.key, now):
                self._give(lane, 1, now)
        elif self._slots.is_wanted(lane.key, now):
            self._give(lane, idle + len(lane.lagging), now)
        elif now - lane.used >= IDLE_S:
            self._give(lane, idle, now)

    def _give(self, lane: _Lane, count: int, now: float) -> None:
        """`count` of those not in flight, idle ones first."""
        assert self._slots is not None, "only what was borrowed is given back"
        for _ in range(count):
            free_at = now if lane.idle(now) else lane.lagging.popleft()
            if lane.cut_off:
                free_at = max(free_at, lane.cut_off.pop(0))
            lane.held -= 1
            lane.since = now
            self._slots.give(lane.key, free_at)


class Slot(AbstractAsyncContextManager["Slot"]):
    """Slots for one call."""

    __slots__ = ("_is_cut_off", "_keys", "_lanes", "_pool")

    def __init__(self, pool: Pool, keys: Keys) -> None:
        self._pool = pool
        self._keys = keys
        self._lanes: tuple[_Lane, ...] = ()
        self._is_cut_off = False

    def cut_off(self) -> None:
        """The call is under way and nobody waits for its answer: other processes reckon with it a while."""
        self._is_cut_off = True

    async def __aenter__(self) -> Slot:
        self._lanes = await self._pool._enter(self._keys)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lanes, self._lanes = self._lanes, ()
        self._pool._leave(lanes, self._pool._release_s, is_cut_off=self._is_cut_off)
