"""Slots for calls in flight, per entity: the server refuses a fourth call of an entity at once.

The server frees its slot a moment after its answer (ThreadLimiting.htm; clients that run exactly three trip
over it), so a slot is free again `release_s` after its call has ended. Whether the path of a child counts
for the child, the parent or both is not documented: `child_counts` says what to believe.

First come, first served, entity by entity. Who needs two slots queues up for both at the same moment and
takes both or none, so the one who has waited longest of all always gets on: no deadlock, no starvation.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, TypeAlias

ChildCounts: TypeAlias = Literal["child", "parent", "both"]


@dataclass(slots=True, eq=False)
class _Lane:
    """The slots of one entity."""

    in_flight: int = 0
    lagging: deque[float] = field(default_factory=deque)  # when slots that were left become free
    waiting: deque[_Waiter] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class _Waiter:
    lanes: tuple[_Lane, ...]
    turn: asyncio.Future[None]  # done: it has its slots, or was cancelled


class Pool:
    """The slots of a tenant, for one event loop."""

    def __init__(
        self, *, per_entity: int, release_s: float, child_counts: ChildCounts = "child",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._per_entity = per_entity
        self._release_s = release_s
        self._child_counts = child_counts
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}

    def slot(self, entity: str, parent: str | None = None) -> AbstractAsyncContextManager[None]:
        """A slot for one call of `entity`, under `parent` where its path is a child's. Reads, writes and
        metadata of an entity share its slots. Cancelled while waiting, no slot is lost."""
        return _Slot(self, self._keys(entity, parent))

    def _keys(self, entity: str, parent: str | None) -> tuple[str, ...]:
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

    def _lane(self, key: str) -> _Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
        return lane

    async def _enter(self, keys: tuple[str, ...]) -> tuple[_Lane, ...]:
        lanes = tuple(self._lane(key) for key in keys)
        now = self._clock()
        if all(self._first(lane) is None and self._has_room(lane, now) for lane in lanes):
            for lane in lanes:
                lane.in_flight += 1
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

    def _abandon(self, waiter: _Waiter) -> None:
        """Cancelled: gives back slots that came at the same moment, and lets the next in line go on."""
        if waiter.turn.cancelled():
            self._serve(waiter.lanes)
        else:
            self._leave(waiter.lanes, lag_s=0.0)

    def _leave(self, lanes: tuple[_Lane, ...], lag_s: float) -> None:
        for lane in lanes:
            lane.in_flight -= 1
            if lag_s > 0:
                lane.lagging.append(self._clock() + lag_s)
        self._serve(lanes)

    def _has_room(self, lane: _Lane, now: float) -> bool:
        while lane.lagging and lane.lagging[0] <= now:
            lane.lagging.popleft()
        return lane.in_flight + len(lane.lagging) < self._per_entity

    @staticmethod
    def _first(lane: _Lane) -> _Waiter | None:
        """Who is next; the cancelled are dropped here."""
        while lane.waiting and lane.waiting[0].turn.done():
            lane.waiting.popleft()
        return lane.waiting[0] if lane.waiting else None

    def _serve(self, lanes: tuple[_Lane, ...]) -> None:
        """Gives free slots to those whose turn it is, also in lanes where that makes another one first.

        At one moment: a slot that became free between refusing somebody and setting the timer for him would
        leave him without either, for ever.
        """
        now = self._clock()
        queue = list(lanes)
        while queue:
            lane = queue.pop()
            waiter = self._first(lane)
            if waiter is None:
                continue
            if all(self._first(other) is waiter and self._has_room(other, now) for other in waiter.lanes):
                for other in waiter.lanes:
                    other.waiting.popleft()
                    other.in_flight += 1
                waiter.turn.set_result(None)
                queue += waiter.lanes
            else:
                self._arm(lane, now)

    def _arm(self, lane: _Lane, now: float) -> None:
        """A timer for the next slot that becomes free, where somebody waits for it."""
        if lane.timer is None and not self._has_room(lane, now) and lane.lagging:
            # A coarse timer may ring a little early; never spin on it.
            delay = max(lane.lagging[0] - now, 0.001)
            lane.timer = asyncio.get_running_loop().call_later(delay, self._ring, lane)

    def _ring(self, lane: _Lane) -> None:
        lane.timer = None
        self._serve((lane,))


class _Slot(AbstractAsyncContextManager[None]):
    __slots__ = ("_keys", "_lanes", "_pool")

    def __init__(self, pool: Pool, keys: tuple[str, ...]) -> None:
        self._pool = pool
        self._keys = keys
        self._lanes: tuple[_Lane, ...] = ()

    async def __aenter__(self) -> None:
        self._lanes = await self._pool._enter(self._keys)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lanes, self._lanes = self._lanes, ()
        self._pool._leave(lanes, self._pool._release_s)
