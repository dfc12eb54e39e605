"""A simulated week at a tenant's server: the limiter and the pool as they are, in virtual time.

The server counts every call it receives in a rolling window and refuses the call that is too many; it has
three threads an entity and frees each a moment after its answer. Others use it too, answers get lost, calls
land late, and our process dies and comes back, at the worst moments too.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest

from bulkops.bucket import Bucket
from bulkops.limiter import Limiter, Token
from bulkops.pool import Pool

Virtual: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]

HOUR_S, DAY_S = 3600.0, 86_400.0
SETTLE_S, LAG_S, THREADS = 310.0, 0.05, 3
ENTITIES = ("Companies", "Projects", "Tasks")
POLL = "ThresholdInformation"


def now() -> float:
    return asyncio.get_running_loop().time()


class RefusedError(Exception):
    """The hour is used up."""


@dataclass
class Server:
    requests: int
    counts_refused: bool
    ours: list[float] = field(default_factory=list)  # when calls arrived
    others: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    busy: dict[str, int] = field(default_factory=dict)
    refused_threads: int = 0

    def in_window(self, calls: list[float]) -> int:
        return len(calls) - bisect_right(calls, now() - HOUR_S)

    def count(self) -> int:
        refused = self.in_window(self.refused) if self.counts_refused else 0
        return self.in_window(self.ours) + self.in_window(self.others) + refused

    def arrive(self) -> None:
        if self.count() >= self.requests:
            self.refused.append(now())
            raise RefusedError
        self.ours.append(now())

    async def work(self, entity: str, seconds: float) -> None:
        """Holds a thread from now until a moment after the answer."""
        if self.busy.get(entity, 0) >= THREADS:
            self.refused_threads += 1
        self.busy[entity] = self.busy.get(entity, 0) + 1
        try:
            await asyncio.sleep(seconds)
        finally:
            asyncio.get_running_loop().call_later(LAG_S, self._free, entity)

    def _free(self, entity: str) -> None:
        self.busy[entity] -= 1


@dataclass
class Week:
    """Runs workers that always have something to send, and looks at the law whenever a call arrives."""

    rng: random.Random
    requests: int
    share: float
    foreign_per_day: float = 0.0
    lost: float = 0.0  # share of calls whose answer never comes; half of them land late
    kills_per_day: float = 0.0
    counts_refused: bool = True
    latency_s: float = 2.0  # at most, each way
    known: int = 0  # others' calls before the count that the last call went by
    learned: int = 0  # others' calls before the last count that reached us
    unsure: dict[int, float] = field(default_factory=dict)  # calls that may still land, until when
    calls: int = 0
    fullest: int = 0

    def __post_init__(self) -> None:
        self.server = Server(self.requests, self.counts_refused)
        self.granted = int(self.share * self.requests)

    def check(self) -> None:
        server = self.server
        ours, others = server.in_window(server.ours), server.in_window(server.others)
        self.fullest = max(self.fullest, ours)
        jumped = len(server.others) - max(self.known, bisect_right(server.others, now() - HOUR_S))
        assert ours <= self.granted
        assert ours + others <= self.granted + max(0, jumped)

    # one of our processes

    async def live(self, until: float) -> None:
        """A process: workers and a poller, until it is killed."""
        unseen = sum(lands > now() for lands in self.unsure.values())
        self.unsure.clear()
        loop = asyncio.get_running_loop()
        self.bucket = Bucket(
            share=self.share, requests=self.requests, window_s=HOUR_S, settle_s=SETTLE_S, unseen=unseen,
            now=now(),
        )  # fmt: skip
        self.limiter = Limiter(self.bucket, clock=loop.time)
        self.pool = Pool(per_entity=2, release_s=0.06, clock=loop.time)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until), asyncio.TaskGroup() as group:
                self.knows = asyncio.Event()
                group.create_task(self.poller())
                await self.knows.wait()
                for entity in ENTITIES * 3:
                    group.create_task(self.worker(entity))

    async def worker(self, entity: str) -> None:
        while True:
            async with self.pool.slot(entity):
                token = await self.limiter.acquire()
                self.known = self.learned
                with suppress(RefusedError):
                    await self.send(entity, token)

    async def poller(self) -> None:
        while True:
            await self.limiter.poll_due()
            async with self.pool.slot(POLL):
                token = await self.limiter.acquire(poll=True)
                with suppress(RefusedError):
                    if (said := await self.send(POLL, token)) is not None:
                        total, self.learned = said
                        self.limiter.learn(count=total, requests=self.requests)
                        self.knows.set()

    async def send(self, entity: str, token: Token) -> tuple[int, int] | None:
        """One call: what the server counted on its arrival, or None where no answer came."""
        call = self.calls = self.calls + 1
        self.unsure[call] = now() + SETTLE_S
        try:
            said = await self.travel(entity)
        except RefusedError:
            token.answered(counted=False)
            self.limiter.refused()
            raise
        if said is None:
            self.unsure[call] = now() + SETTLE_S
            token.lost()
            return None
        del self.unsure[call]
        token.answered()
        return said

    async def travel(self, entity: str) -> tuple[int, int] | None:
        rng, fate = self.rng, self.rng.random()
        if not self.knows.is_set():
            fate = 1.0  # a run begins with a count that was answered, or not at all
        later = rng.uniform(0, SETTLE_S)
        try:
            await asyncio.sleep(rng.uniform(0.01, self.latency_s))
        except asyncio.CancelledError:  # our process was killed, the call goes on
            asyncio.get_running_loop().call_later(later, self.land_late)
            raise
        if fate < self.lost / 2:
            asyncio.get_running_loop().call_later(later, self.land_late)
            return None
        self.server.arrive()
        self.check()
        said = self.server.count(), len(self.server.others)
        await self.server.work(entity, rng.uniform(0.01, self.latency_s))
        return None if fate < self.lost else said

    def land_late(self) -> None:
        with suppress(RefusedError):
            self.server.arrive()
            self.check()

    # everybody else

    async def foreign(self) -> None:
        """Bursts of others' calls; now and then they take all there is."""
        while True:
            await asyncio.sleep(self.rng.expovariate(self.foreign_per_day / DAY_S))
            most = self.requests if self.rng.random() < 0.2 else 1 + self.requests // 8
            free = self.requests - self.server.count()
            self.server.others += [now()] * min(self.rng.randint(1, most), max(0, free))

    async def run(self, seconds: float) -> None:
        other = asyncio.create_task(self.foreign()) if self.foreign_per_day else None
        while now() < seconds:
            gap = self.rng.expovariate(self.kills_per_day / DAY_S) if self.kills_per_day else seconds
            # At most one start in a window: several are the matter of a ledger that processes share.
            await self.live(min(seconds, now() + HOUR_S + SETTLE_S + gap))
        if other is not None:
            other.cancel()

    async def utilisation(self, seconds: float) -> float:
        """Calls that arrived, against the most that `granted` calls in each window allow."""
        await self.run(seconds)
        return len(self.server.ours) / (self.granted * seconds / HOUR_S)


@pytest.mark.parametrize("seed", range(4))
def test_a_week_never_exceeds_the_grant_nor_the_threads(virtual: Virtual, seed: int) -> None:
    """Random calls, others' bursts, lost and late calls, restarts: our calls alone never exceed the grant
    in any rolling window, with others' they exceed it by no more than those have added since the count we
    went by, and no call is ever refused for its threads."""
    rng = random.Random(seed)
    week = Week(
        rng, requests=rng.choice([40, 90]), share=rng.choice([0.5, 0.75, 1.0]), foreign_per_day=12,
        lost=0.03, kills_per_day=4, counts_refused=seed % 2 == 0,
    )  # fmt: skip
    virtual(lambda: week.run(7 * DAY_S))
    assert week.server.refused_threads == 0
    assert week.fullest >= week.granted * 0.9


def test_a_day_on_a_bad_line_never_exceeds_the_grant(virtual: Virtual) -> None:
    """The same where every fifth answer is lost, of calls and of polls."""
    week = Week(random.Random(8), requests=800, share=0.75, lost=0.2, kills_per_day=8, latency_s=0.5)
    virtual(lambda: week.run(0.6 * DAY_S))
    assert week.server.refused_threads == 0
    assert week.fullest >= week.granted * 0.9


@pytest.mark.parametrize(("requests", "latency_s"), [(40, 0.1), (200, 2.0), (1_000, 2.0)])
def test_nothing_granted_stays_unused_while_work_waits(
    virtual: Virtual, requests: int, latency_s: float
) -> None:
    """A tenant of our own and work without end: the window is filled to the last call but the spare, and
    filled again as fast as the answers of the window before allow."""
    week = Week(random.Random(1), requests=requests, share=0.75, latency_s=latency_s)
    used = virtual(lambda: week.utilisation(12 * HOUR_S))
    spare = week.bucket.spare
    assert week.fullest >= week.granted - spare - 1
    assert used > 0.96 * (1 - spare / week.granted)


def test_what_others_stop_using_is_used(virtual: Virtual) -> None:
    """Others take everything for a while and go; the run goes on by itself, without anybody's help."""
    week = Week(random.Random(2), requests=1_000, share=1.0)

    async def story() -> None:
        run = asyncio.create_task(week.run(6 * HOUR_S))
        await asyncio.sleep(0.5 * HOUR_S)
        week.server.others += [now()] * 4_000
        await asyncio.sleep(HOUR_S)
        before = len(week.server.ours)
        await asyncio.sleep(0.5 * HOUR_S)
        assert len(week.server.ours) - before > 0.9 * week.granted
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    virtual(story)
    assert 0 < len(week.server.refused) < 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_week_of_a_real_tenant(virtual: Virtual, seed: int) -> None:
    """The same week with the numbers of a real tenant: 10,000 calls an hour, shared with others.

    Minutes of processor time for each seed.
    """
    week = Week(
        random.Random(seed), requests=10_000, share=0.75, foreign_per_day=24, lost=0.02, kills_per_day=6,
        latency_s=0.5, counts_refused=seed % 2 == 0,
    )  # fmt: skip
    virtual(lambda: week.run(7 * DAY_S))
    assert week.server.refused_threads == 0
    assert week.fullest >= week.granted - week.bucket.spare - 10
