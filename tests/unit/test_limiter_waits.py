"""How calls wait at the limiter: in order, cheaply, without losing a token. Time is virtual."""

from __future__ import annotations

import asyncio
import functools
import math
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias

import pytest

from bulkops.bucket import Bucket
from bulkops.limiter import Limiter, Token

Virtual: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]
NOON = time.mktime((2026, 6, 1, 12, 0, 0, 0, 0, -1))


def now() -> float:
    return asyncio.get_running_loop().time()


def limiter(
    requests: int = 20, *, learned: bool = True, window_s: float = 100, share: float = 1.0
) -> Limiter:
    bucket = Bucket(share=share, requests=requests, window_s=window_s, settle_s=30)
    made = Limiter(bucket, clock=asyncio.get_running_loop().time, wall=lambda: NOON + now())
    if learned:
        made.learn(count=0)
    return made


async def take_all(one: Limiter) -> list[Token]:
    tokens = []
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0):
                tokens.append(await one.acquire())
    return tokens


async def settled() -> None:
    """Everybody who can go on has done so."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_calls_go_on_when_tokens_come_back(virtual: Virtual) -> None:
    """A full bucket goes at once, the rest exactly one window after the answers."""

    async def story() -> None:
        one = limiter()
        for token in await take_all(one):
            await asyncio.sleep(0.25)
            token.answered()
        room = one.usage().used
        for nth in range(1, room + 1):
            (await one.acquire()).lost()
            assert now() == pytest.approx(100 + nth * 0.25, abs=0.002)

    virtual(story)


def test_first_come_first_served(virtual: Virtual) -> None:
    """Nobody overtakes, not even who asks at the moment when a token comes back."""

    async def story() -> None:
        one = limiter()
        for token in await take_all(one):
            token.answered()
        served: list[int] = []

        async def call(n: int) -> None:
            await one.acquire()
            served.append(n)

        async with asyncio.TaskGroup() as group:
            for n in range(8):
                group.create_task(call(n))
            await settled()
            asyncio.get_running_loop().call_at(100, lambda: group.create_task(call(8)))
        assert served == list(range(9))

    virtual(story)


@pytest.mark.parametrize("victim", [0, 1, 3])
def test_a_cancelled_wait_loses_no_token_and_blocks_nobody(victim: int, virtual: Virtual) -> None:
    """Head of the queue or not, before the token is there or at that very moment."""

    async def story(at: float) -> None:
        one = limiter()
        tokens = await take_all(one)
        for token in tokens:
            token.answered()
        tasks = [asyncio.create_task(one.acquire()) for _ in range(4)]
        asyncio.get_running_loop().call_at(at, tasks[victim].cancel)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert now() == pytest.approx(100, abs=0.002)
        got = [token for token in done if isinstance(token, Token)]
        assert len(got) >= 3
        assert one.usage().used == len(got)
        assert len(await take_all(one)) == len(tokens) - len(got)

    for at in (50.0, 100.0):
        virtual(functools.partial(story, at))


def test_a_thousand_waiters_set_one_timer(virtual: Virtual) -> None:
    """Only the head of the queue waits for the clock."""

    async def story() -> None:
        one = limiter()
        for token in await take_all(one):
            token.answered()
        loop: Any = asyncio.get_running_loop()
        before = loop.timers
        tasks = [asyncio.create_task(one.acquire()) for _ in range(1_000)]
        await settled()
        assert loop.timers - before == 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    virtual(story)


def test_thousands_who_waited_do_not_flood_the_loop_and_are_not_slowed(virtual: Virtual) -> None:
    """A poll that frees many tokens lets those who waited go on quickly, a hundred at a time."""

    async def story() -> None:
        one = limiter(10_000, window_s=3600, learned=False)
        one.learn(count=10_000)
        tasks = [asyncio.create_task(one.acquire()) for _ in range(2_000)]
        await asyncio.sleep(0.5)
        one.learn(count=0)
        await asyncio.sleep(0.01)
        assert 100 <= sum(task.done() for task in tasks) <= 300
        await asyncio.gather(*tasks)
        assert now() < 0.5 + 2_000 / 5_000

    virtual(story)


def test_a_token_ends_once(virtual: Virtual) -> None:
    """The second word about a call changes nothing."""

    async def story() -> None:
        one = limiter()
        token = await one.acquire()
        token.unused()
        token.answered()
        token.lost()
        token.unused()
        assert one.usage().used == 0

    virtual(story)


def test_a_call_that_never_left_lets_the_next_go_on(virtual: Virtual) -> None:
    """Its token goes to the one who has waited longest, at once."""

    async def story() -> None:
        one = limiter()
        tokens = await take_all(one)
        waiter = asyncio.create_task(one.acquire())
        await settled()
        tokens[0].unused()
        assert one.why_waiting() is None  # it does not wait for long
        await waiter
        assert now() < 0.001

    virtual(story)


def test_nobody_overtakes_at_the_moment_when_a_token_comes_back(virtual: Virtual) -> None:
    """It is for the one who waited, although he has not woken up yet when the next one asks."""

    async def story() -> None:
        one = limiter()
        tokens = await take_all(one)
        waiter = asyncio.create_task(one.acquire())
        await settled()
        tokens[0].unused()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await one.acquire()
        assert waiter.done()

    virtual(story)


def test_before_the_first_count_calls_go_alone_and_none_hangs(virtual: Virtual) -> None:
    """One answer lets the next one go; the first count lets all go."""

    async def story() -> None:
        one = limiter(learned=False)
        first = await one.acquire()
        others = [asyncio.create_task(one.acquire()) for _ in range(5)]
        await settled()
        assert not any(task.done() for task in others)
        assert "not known yet" in (one.why_waiting() or "")
        first.answered()
        await settled()
        assert [task.done() for task in others] == [True] + [False] * 4
        one.learn(count=2)
        await asyncio.gather(*others)

    virtual(story)


def test_a_poll_does_not_queue_behind_the_work(virtual: Virtual) -> None:
    """Asking how full the window is has tokens of its own, since its answer may free all others."""

    async def story() -> None:
        one = limiter(100)
        await take_all(one)
        work = asyncio.create_task(one.acquire())
        await settled()
        poll = await one.acquire(poll=True)
        assert not work.done()
        poll.answered()
        work.cancel()
        assert now() < 0.001

    virtual(story)


def test_polls_are_due_at_the_start_then_about_forty_times_a_window(virtual: Virtual) -> None:
    """While calls flow. An idle limiter asks for none until the next call leaves."""

    async def story() -> list[float]:
        one = limiter(10_000, window_s=3600, share=0.75, learned=False)
        due = []
        while now() < 3500:
            await one.poll_due()
            due.append(now())
            poll = await one.acquire(poll=True)
            assert not one.wants_poll()
            poll.answered()
            one.learn(count=2 * len(due) - 1)
            assert one.usage().others == 0
            assert one.next_poll_at == math.inf
            (await one.acquire()).answered()
        return due

    due = virtual(story)
    assert due[:3] == pytest.approx([0, 90, 180], abs=0.1)
    assert len(due) == 40


def test_a_refusal_wakes_the_poller(virtual: Virtual) -> None:
    """It need not sleep out its 90 s: the next poll is due within seconds."""

    async def story() -> None:
        one = limiter(10_000, window_s=3600)
        (await one.acquire()).answered()
        due = asyncio.create_task(one.poll_due())
        await asyncio.sleep(0.5)
        one.refused()
        await due
        assert now() < 10

    virtual(story)


def test_whether_anything_could_leave_is_known_beforehand(virtual: Virtual) -> None:
    """A run that would only ask has no need to wait for an hour: polls and calls have tokens of their own."""

    async def story() -> None:
        one = limiter()
        assert (one.may_poll(), one.has_room()) == (True, True)
        await take_all(one)
        assert (one.may_poll(), one.has_room()) == (True, False)
        while one.may_poll():
            (await one.acquire(poll=True)).answered()
        assert (one.may_poll(), one.has_room()) == (False, False)

    virtual(story)


# what people are told


def test_why_waiting_says_what_is_used_up_and_when_it_goes_on(virtual: Virtual) -> None:
    """A sentence with figures and the clock on the wall, and none while nobody waits."""

    async def story() -> str | None:
        one = limiter(10_000, window_s=3600, share=0.75)
        for token in await take_all(one):
            token.answered()
        assert one.why_waiting() is None
        task = asyncio.create_task(one.acquire())
        await asyncio.sleep(0.5)
        sentence = one.why_waiting()
        task.cancel()
        return sentence

    assert virtual(story) == "the tenant's hour is used up (7,500 of 7,500 granted); goes on at 13:00:00"


@pytest.mark.parametrize(
    ("count", "refused", "sentence"),
    [
        (70, False, "the tenant's window of 60 s is used up (30 of 30 granted, others used 70); "
                    "goes on at 12:01:00 at the latest"),
        (180, False, "others used 180 of 100 calls granted in the tenant's window of 60 s; "
                     "goes on at 12:01:00 at the latest"),
        (0, True, "the tenant's window of 60 s is used up by others: the server refused a call; "
                  "goes on at 12:01:00 at the latest"),
    ],
)  # fmt: skip
def test_why_waiting_names_the_others(count: int, refused: bool, sentence: str, virtual: Virtual) -> None:
    """Who used it up is said: the operator may want to talk to them."""

    async def story() -> str | None:
        one = limiter(100, window_s=60, learned=False)
        one.learn(count=count)
        for token in await take_all(one):
            token.answered()
        if refused:
            one.refused()
        task = asyncio.create_task(one.acquire())
        await settled()
        said = one.why_waiting()
        task.cancel()
        return said

    assert virtual(story) == sentence


def test_why_waiting_without_an_answer_to_wait_for_names_no_time(virtual: Virtual) -> None:
    """All tokens are under way: nobody knows yet when the first comes back."""

    async def story() -> str | None:
        one = limiter()
        await take_all(one)
        task = asyncio.create_task(one.acquire())
        await settled()
        said = one.why_waiting()
        task.cancel()
        return said

    assert (virtual(story) or "").endswith("goes on a window after the calls under way are answered")


def test_usage_counts_what_is_out_and_what_others_used(virtual: Virtual) -> None:
    """Granted is what is left to us; used is ours, polls included."""

    async def story() -> None:
        one = limiter(200, learned=False, share=0.5)
        (await one.acquire(poll=True)).answered()
        one.learn(count=31)
        (await one.acquire()).answered()
        assert one.usage() == (70, 2, 30)
        await asyncio.sleep(0.5)
        assert one.usage().others == 30

    virtual(story)


async def test_it_works_in_real_time_too() -> None:
    """A window of a tenth of a second: the second load goes one window after the first."""
    one = Limiter(Bucket(share=1.0, requests=8, window_s=0.1, settle_s=0.1))
    one.learn(count=0)
    started = time.monotonic()
    for _ in range(13):
        (await one.acquire()).answered()
    assert 0.2 <= time.monotonic() - started < 2
