"""Limiters and pools of several processes, waiting for each other. Time is virtual, the ledger is real."""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bulkops.errors import StopError
from bulkops.ledger import Seat, Terms
from bulkops.ledger.account import GONE_S
from bulkops.limiter import Limiter, Token
from bulkops.pool import IDLE_S, TURN_S, ChildCounts, Pool

Virtual: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]

NOON = time.mktime((2026, 6, 1, 12, 0, 0, 0, 0, -1))
LAG_S = 0.06
TICKS_S = 0.1  # until others have heard of it: two looks of 0.02 s each, and some time to spare


def now() -> float:
    return asyncio.get_running_loop().time()


class Process:
    """One of ours, as `session` puts it together."""

    def __init__(
        self, folder: Path, *, requests: int = 10_000, window_s: float = 3600.0, per_entity: int = 2,
        child_counts: ChildCounts = "child", settle_s: float = 310.0, share: float = 1.0,
    ) -> None:  # fmt: skip
        terms = Terms(
            share=share, requests=requests, pin_requests=True, window_s=window_s, pin_window=True,
            settle_s=settle_s, per_entity=per_entity,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        self.seat = Seat.take(folder, "acme", terms, clock=loop.time, boot="b")
        self.limiter = Limiter(self.seat.tokens, clock=loop.time, wall=lambda: NOON + loop.time())
        self.pool = Pool(
            per_entity=per_entity, release_s=LAG_S, child_counts=child_counts, gone_s=terms.gone_s,
            slots=self.seat.slots, clock=loop.time, wall=lambda: NOON + loop.time(),
        )  # fmt: skip
        self.seat.tokens.is_wanted = lambda: self.limiter.is_waiting
        self.keeping = asyncio.create_task(self.seat.tend(self.limiter, self.pool))
        if not self.seat.view.bucket.learned:
            self.limiter.learn(count=0)

    async def stop(self) -> None:
        await self._stop_keeping()
        self.pool.give_all()
        self.seat.leave()

    async def kill(self) -> None:
        await self._stop_keeping()
        self.seat._book._db.close()
        self.seat._book._lock.release()

    async def _stop_keeping(self) -> None:
        self.keeping.cancel()
        with suppress(asyncio.CancelledError):
            await self.keeping

    async def call(self, entity: str = "Tasks", seconds: float = 0.2, parent: str | None = None) -> float:
        """One call; returns when it was let go."""
        async with self.pool.slot(entity, parent):
            token = await self.limiter.acquire()
            began = now()
            await asyncio.sleep(seconds)
            token.answered()
        return began


@asynccontextmanager
async def processes(folder: Path, count: int, **knobs: Any) -> AsyncIterator[list[Process]]:
    made = [Process(folder, **knobs) for _ in range(count)]
    try:
        yield made
    finally:
        for process in made:
            await process.stop()


# slots


def test_two_processes_share_the_slots_of_an_entity(virtual: Virtual, tmp_path: Path) -> None:
    """One has both while it is alone there; the other has one of them as soon as it wants some."""

    async def story() -> None:
        async with processes(tmp_path, 2) as (one, two):
            work = [asyncio.create_task(one.call()) for _ in range(40)]
            await asyncio.sleep(0.9)
            assert one.pool.in_flight() == {"Tasks": 2}
            asked = now()
            assert await two.call() - asked < 0.2 + LAG_S + TICKS_S
            await asyncio.gather(*work)

    virtual(story)


@pytest.mark.parametrize(("count", "per_entity"), [(2, 1), (2, 2), (3, 2), (2, 3)])
def test_busy_processes_have_like_shares(
    virtual: Virtual, tmp_path: Path, count: int, per_entity: int
) -> None:
    """Each gets its turns, and hardly any time is lost in handing slots over."""

    async def story() -> None:
        done: Counter[int] = Counter()

        async def work(process: Process, number: int) -> None:
            while now() < 60:
                await process.call()
                done[number] += 1

        async with (
            processes(tmp_path, count, per_entity=per_entity) as all_of_them,
            asyncio.TaskGroup() as group,
        ):
            for number, process in enumerate(all_of_them * 4):
                group.create_task(work(process, number % count))
        most = 60 / (0.2 + LAG_S) * per_entity
        assert sum(done.values()) > 0.85 * most
        assert max(done.values()) < 1.25 * min(done.values())

    virtual(story)


def test_an_idle_slot_goes_back_by_itself(virtual: Virtual, tmp_path: Path) -> None:
    """A second after its last call; a kill then costs nobody anything."""

    async def story() -> None:
        async with processes(tmp_path, 2) as (one, two):
            await one.call()
            await asyncio.sleep(LAG_S + TICKS_S)
            two.seat.refresh()
            assert two.seat.view.members[one.seat.name].slots["Tasks"] == 1
            await asyncio.sleep(IDLE_S)
            assert two.seat.view.members[one.seat.name].slots["Tasks"] == 0

    virtual(story)


def test_an_idle_slot_is_given_when_it_is_wanted(virtual: Virtual, tmp_path: Path) -> None:
    """It does not wait for its second, only for the lag of its last call."""

    async def story() -> None:
        async with processes(tmp_path, 2, per_entity=1) as (one, two):
            await one.call()
            ended = now()
            assert await two.call() == pytest.approx(ended + LAG_S, abs=TICKS_S)

    virtual(story)


def test_who_stops_gives_its_slots_back(virtual: Virtual, tmp_path: Path) -> None:
    """All that is not in flight: the next run does not wait as it would for one that was killed."""

    async def story() -> None:
        two = Process(tmp_path, per_entity=1)
        await two.call()
        ended = now()
        await two.stop()
        async with processes(tmp_path, 1, per_entity=1) as (one,):
            assert await one.call() == pytest.approx(ended + LAG_S, abs=TICKS_S)

    virtual(story)


def test_a_busy_process_keeps_its_slot_for_its_turn(virtual: Virtual, tmp_path: Path) -> None:
    """Else two of them would spend their time handing it over."""

    async def story() -> None:
        async with processes(tmp_path, 2, per_entity=1) as (one, two):
            work = [asyncio.create_task(one.call(seconds=0.01)) for _ in range(40)]
            await asyncio.sleep(0.01)
            asked = now()
            assert TURN_S * 0.9 < await two.call() - asked < TURN_S + LAG_S + TICKS_S
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    virtual(story)


def test_calls_that_need_two_slots_neither_starve_nor_lock_each_other_out(
    virtual: Virtual, tmp_path: Path
) -> None:
    """Two processes, one slot an entity, calls that need one or both in any order: all get through."""
    rng = random.Random(5)

    async def story() -> float:
        calls = []
        async with processes(tmp_path, 3, per_entity=1, child_counts="both") as all_of_them:
            for _ in range(90):
                entity, parent = rng.choice([("Tasks", "Projects"), ("Projects", "Tasks"), ("Tasks", None)])
                calls.append(rng.choice(all_of_them).call(entity, 0.05, parent))
            await asyncio.gather(*calls)
            assert all(process.pool.waiting() == 0 for process in all_of_them)
        return now()

    assert virtual(story) < 90 * (0.05 + LAG_S) * 2


def test_who_gives_up_waiting_takes_its_ticket_back(virtual: Virtual, tmp_path: Path) -> None:
    """Nobody waits behind a call that was cancelled."""

    async def story() -> None:
        async with processes(tmp_path, 3, per_entity=1) as (one, two, three):
            async with one.pool.slot("Tasks"):
                lost = asyncio.create_task(two.call())
                await asyncio.sleep(TICKS_S)
                waiting = asyncio.create_task(three.call())
                await asyncio.sleep(TICKS_S)
                lost.cancel()
                await asyncio.sleep(TICKS_S)
                assert not two.seat.view.has_ticket(two.seat.name)
            left = now()
            assert await waiting - left < LAG_S + TICKS_S

    virtual(story)


def test_slots_of_a_killed_process_come_back(virtual: Virtual, tmp_path: Path) -> None:
    """When the server must be done with what was under way; meanwhile a sentence says why."""

    async def story() -> None:
        async with processes(tmp_path, 1) as (one,):
            two = Process(tmp_path)
            calls = [asyncio.create_task(two.call(seconds=5)) for _ in range(2)]
            await asyncio.sleep(0.5)
            await two.kill()
            for call in calls:
                call.cancel()
            died = now()
            waiting = asyncio.create_task(one.call())
            await asyncio.sleep(1)
            assert one.pool.why_waiting() == (
                "the slots of Tasks are free again at 12:00:30: calls of a bulkops process that ended may "
                "still be at work on the server"
            )
            assert await waiting == pytest.approx(died + GONE_S, abs=0.6)
            assert one.pool.why_waiting() is None

    virtual(story)


def test_a_call_that_was_let_go_of_keeps_its_slot_from_others(virtual: Virtual, tmp_path: Path) -> None:
    """A run that is stopped at once: the server may still be at work on it when the next run starts."""

    async def story() -> None:
        two = Process(tmp_path, per_entity=1)
        with suppress(TimeoutError):
            async with asyncio.timeout(1), two.pool.slot("Tasks") as slot:
                try:
                    await asyncio.sleep(100)
                finally:
                    slot.cut_off()
        stopped = now()
        await two.stop()
        async with processes(tmp_path, 1, per_entity=1) as (one,):
            assert await one.call() == pytest.approx(stopped + GONE_S, abs=TICKS_S)

    virtual(story)


def test_why_waiting_names_another_process(virtual: Virtual, tmp_path: Path) -> None:
    """While none of the slots is ours; not while we wait for our own."""

    async def story() -> None:
        async with processes(tmp_path, 2) as (one, two):
            async with one.pool.slot("Tasks"), one.pool.slot("Tasks"):
                mine = asyncio.create_task(one.call())
                other = asyncio.create_task(two.call())
                await asyncio.sleep(TICKS_S)
                said = "another bulkops process of this machine uses the slots of Tasks"
                assert (one.pool.why_waiting(), two.pool.why_waiting()) == (None, said)
            await asyncio.gather(mine, other)

    virtual(story)


def test_a_slot_that_lags_is_no_reason_to_say_anything(virtual: Virtual, tmp_path: Path) -> None:
    """The usual moment between two calls is over before anybody has read a sentence."""

    async def story() -> None:
        async with processes(tmp_path, 2, per_entity=1) as (one, two):
            await one.call()
            waiting = asyncio.create_task(two.call())
            await asyncio.sleep(0.03)
            assert two.pool.why_waiting() is None
            await waiting

    virtual(story)


def test_a_ledger_that_fails_reaches_those_who_wait_and_nobody_else(virtual: Virtual, tmp_path: Path) -> None:
    """A call that ends at that moment ends as it ended; those who wait for a slot are told."""

    async def story() -> None:
        process = Process(tmp_path, per_entity=1)
        other = Process(tmp_path, per_entity=1)
        async with other.pool.slot("Tasks"):
            running = asyncio.create_task(process.call("Projects", 1.0))
            waiting = [asyncio.create_task(process.call(entity)) for entity in ("Tasks", "Tasks", "Projects")]
            await asyncio.sleep(0.5)
            process.seat.failure = StopError("the disk is full")
            ends = await asyncio.gather(*waiting, running, return_exceptions=True)
        assert [type(end) for end in ends] == [StopError, StopError, float, float]
        await process.stop()
        await other.stop()

    virtual(story)


def test_who_is_told_and_cancelled_at_the_same_moment_is_cancelled(virtual: Virtual, tmp_path: Path) -> None:
    """And leaves no slot behind that it never had."""

    async def story() -> None:
        async with processes(tmp_path, 2, per_entity=1) as (one, two), one.pool.slot("Tasks"):
            waiting = asyncio.create_task(two.call())
            await asyncio.sleep(TICKS_S)
            two.seat.failure = StopError("the disk is full")
            two.pool.look()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert two.pool.in_flight() == {}
            two.seat.failure = None

    virtual(story)


# tokens


def test_two_processes_share_the_hour(virtual: Virtual, tmp_path: Path) -> None:
    """What one has used, the other waits for, and says who has it."""

    async def story() -> str | None:
        async with processes(tmp_path, 2, requests=40, window_s=100, per_entity=3) as (one, two):
            await asyncio.gather(*(one.call(seconds=0) for _ in range(30)))
            calls = [asyncio.create_task(two.call(seconds=0)) for _ in range(10)]
            await asyncio.sleep(5)
            assert sum(call.done() for call in calls) == 40 - 30 - one.seat.view.bucket.reserve
            said = two.limiter.why_waiting()
            for call in calls:
                assert await call < 102
            return said

    said = virtual(story) or ""
    assert (
        "used up (40 of 40 granted, 30 of them held or used by other bulkops processes of this machine)"
        in said
    )
    assert "goes on at 12:01:40" in said


def test_tokens_that_come_back_go_round(virtual: Virtual, tmp_path: Path) -> None:
    """Three processes with more work than the window holds get as much of it each."""

    async def story() -> None:
        done: Counter[int] = Counter()

        async def work(process: Process, number: int) -> None:
            while now() < 100:
                await process.call(f"E{number}", 0.01)
                done[number] += 1

        async with (
            processes(tmp_path, 3, requests=60, window_s=10) as all_of_them,
            asyncio.TaskGroup() as group,
        ):
            for number, process in enumerate(all_of_them * 2):
                group.create_task(work(process, number % 3))
        assert max(done.values()) < 1.2 * min(done.values())

    virtual(story)


def test_one_poller_does_for_all(virtual: Virtual, tmp_path: Path) -> None:
    """Polls of three processes are as many as those of one, give or take."""

    async def story() -> int:
        polls = 0

        async def poll(process: Process) -> None:
            nonlocal polls
            while True:
                await process.limiter.poll_due()
                token = await process.limiter.acquire(poll=True)
                polls += 1
                await asyncio.sleep(0.2)
                token.answered()
                process.limiter.learn(count=0)

        async with processes(tmp_path, 3, share=0.75, window_s=180) as all_of_them:
            pollers = [asyncio.create_task(poll(process)) for process in all_of_them]
            while now() < 180:
                await all_of_them[0].call("Tasks", 0.1)
                await asyncio.sleep(0.5)
            for poller in pollers:
                poller.cancel()
            await asyncio.gather(*pollers, return_exceptions=True)
        return polls

    assert 35 <= virtual(story) <= 45


def test_a_process_alone_is_not_slowed(virtual: Virtual, tmp_path: Path) -> None:
    """A job smaller than the window runs at thread speed, also beside what a dead process has left."""

    async def story() -> None:
        first = Process(tmp_path)
        for _ in range(3):
            await first.call("Companies")
        await asyncio.sleep(IDLE_S + TICKS_S)
        await first.kill()
        async with processes(tmp_path, 1) as (one,):
            began = now()
            await asyncio.gather(*(one.call("Companies") for _ in range(1_000)))
            assert now() - began == pytest.approx(500 * (0.2 + LAG_S), rel=0.02)

    virtual(story)


# a day of it


@dataclass
class Server:
    """A rolling window and threads, as the service has them."""

    requests: int
    window_s: float
    arrived: list[float] = field(default_factory=list)
    busy: Counter[str] = field(default_factory=Counter)
    fullest: int = 0

    async def work(self, entity: str, granted: int, slots: int, seconds: float) -> None:
        self.arrived.append(now())
        used = len(self.arrived) - bisect_right(self.arrived, now() - self.window_s)
        self.fullest = max(self.fullest, used)
        assert used <= granted
        self.busy[entity] += 1
        assert self.busy[entity] <= slots
        await asyncio.sleep(seconds)
        asyncio.get_running_loop().call_later(LAG_S * 0.9, self.busy.subtract, [entity])


class Day:
    """Processes that always have something to send, and are killed now and then."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self.rng = rng
        self.server = Server(requests=80, window_s=30)
        self.errors: list[BaseException] = []
        self.done = 0

    async def live(self, until: float) -> None:
        """One process after the other in the same place."""
        while now() < until:
            process = Process(self.folder, requests=80, window_s=30, settle_s=5, share=0.75)
            work = [asyncio.create_task(self.work(process, entity)) for entity in ("Tasks", "Projects") * 2]
            await asyncio.sleep(self.rng.expovariate(1 / 20))
            await (process.kill() if self.rng.random() < 0.7 else process.stop())
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await asyncio.sleep(self.rng.uniform(0, 10))

    async def work(self, process: Process, entity: str) -> None:
        while True:
            async with process.pool.slot(entity) as slot:
                token = await process.limiter.acquire()
                call = asyncio.create_task(self.call(entity))
                try:
                    await asyncio.shield(call)
                except asyncio.CancelledError:
                    token.lost()
                    slot.cut_off()
                    raise
                self.finish(token)

    def finish(self, token: Token) -> None:
        token.answered()
        self.done += 1

    async def call(self, entity: str) -> None:
        """The call itself, which goes on when its process is gone."""
        try:
            await asyncio.sleep(self.rng.uniform(0, 0.5))
            await self.server.work(entity, granted=60, slots=2, seconds=self.rng.uniform(0, 1))
        except AssertionError as error:
            self.errors.append(error)


def live(virtual: Virtual, folder: Path, seed: int, seconds: float) -> Day:
    day = Day(folder, random.Random(seed))

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(day.live(seconds))

    virtual(story)
    return day


@pytest.mark.parametrize("seed", range(2))
def test_a_time_of_kills_and_starts_keeps_to_the_law(virtual: Virtual, tmp_path: Path, seed: int) -> None:
    """Three at a time that are killed or stopped and come back: never above the grant, never above the
    slots, and the window is used."""
    day = live(virtual, tmp_path, seed, 120)
    assert day.errors == []
    assert day.server.fullest > 30
    assert day.done > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_day_of_kills_and_starts_keeps_to_the_law(virtual: Virtual, tmp_path: Path, seed: int) -> None:
    """The same, much longer."""
    assert live(virtual, tmp_path, seed, 3_600).errors == []
