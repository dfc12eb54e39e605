"""Slots per entity: never more in flight than allowed, the late release included. Time is virtual."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.pool import ChildCounts, Pool

Virtual: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]

LAG_S = 0.06


def now() -> float:
    return asyncio.get_running_loop().time()


def pool(per_entity: int = 2, *, child_counts: ChildCounts = "child", release_s: float = LAG_S) -> Pool:
    return Pool(
        per_entity=per_entity, release_s=release_s, child_counts=child_counts,
        clock=asyncio.get_running_loop().time,
    )  # fmt: skip


async def hold(one: Pool, entity: str, seconds: float, parent: str | None = None) -> float:
    """One call; returns when it began."""
    async with one.slot(entity, parent):
        began = now()
        await asyncio.sleep(seconds)
    return began


def test_a_slot_is_free_again_only_after_its_lag(virtual: Virtual) -> None:
    """The server frees its own slot a moment after its answer; a third call waits for that moment."""

    async def story() -> list[float]:
        one = pool()
        return await asyncio.gather(*(hold(one, "Tasks", 0.5) for _ in range(5)))

    assert virtual(story) == pytest.approx([0, 0, 0.56, 0.56, 1.12], abs=0.005)


def test_entities_do_not_wait_for_each_other(virtual: Virtual) -> None:
    """Each entity has slots of its own."""

    async def story() -> None:
        one = pool(1)
        calls = [asyncio.create_task(hold(one, name, 0.5)) for name in ("Tasks", "Projects", "Companies")]
        await asyncio.sleep(0.1)
        assert one.in_flight() == {"Tasks": 1, "Projects": 1, "Companies": 1}
        assert await asyncio.gather(*calls) == pytest.approx([0, 0, 0], abs=0.001)
        assert one.in_flight() == {}

    virtual(story)


@pytest.mark.parametrize(
    ("child_counts", "counted"),
    [("child", {"Tasks": 1}), ("parent", {"Projects": 1}), ("both", {"Projects": 1, "Tasks": 1})],
)
def test_a_childs_path_counts_as_believed(
    virtual: Virtual, child_counts: ChildCounts, counted: dict[str, int]
) -> None:
    """For the child, the parent or both; a root path always for itself, a parent of its own kind once."""

    async def story() -> None:
        one = pool(child_counts=child_counts)
        async with one.slot("Tasks", "Projects"):
            assert one.in_flight() == counted
        async with one.slot("Companies"), one.slot("Phases", "Phases"):
            assert one.in_flight() == {"Companies": 1, "Phases": 1}

    virtual(story)


def test_first_come_first_served(virtual: Virtual) -> None:
    """Nobody overtakes in the queue of an entity, not even who asks when a slot has just become free."""

    async def story() -> list[int]:
        one, served = pool(1), []

        async def call(n: int) -> None:
            async with one.slot("Tasks"):
                served.append(n)
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(call(n))
            asyncio.get_running_loop().call_at(0.07, lambda: group.create_task(call(6)))
        return served

    assert virtual(story) == list(range(7))


def test_who_needs_both_slots_is_not_starved(virtual: Virtual) -> None:
    """Singles of either entity that come later wait behind it."""

    async def story() -> float:
        one = pool(1, child_counts="both")
        async with asyncio.TaskGroup() as group:
            for n in range(40):
                group.create_task(hold(one, "Tasks" if n % 2 else "Projects", 0.05))
                if n == 2:
                    both = group.create_task(hold(one, "Tasks", 0.05, "Projects"))
        return await both

    assert virtual(story) < 0.3


def test_no_timer_spins_while_the_other_slot_is_taken(virtual: Virtual) -> None:
    """Waiting for two slots costs a timer or two, however long the second one takes."""

    async def story() -> int:
        one = pool(1, child_counts="both")
        loop: Any = asyncio.get_running_loop()
        long = asyncio.create_task(hold(one, "Projects", 0.9))
        await hold(one, "Tasks", 0.01)
        before = loop.timers
        await hold(one, "Tasks", 0.0, "Projects")
        await long
        return int(loop.timers - before)

    assert virtual(story) <= 4


@pytest.mark.parametrize("at", [0.01, 0.11, 0.16])
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_cancelled_wait_loses_no_slot_and_blocks_nobody(virtual: Virtual, victim: int, at: float) -> None:
    """Also at the very moment when its turn has come (0.16 s)."""

    async def story() -> None:
        one = pool(1, child_counts="both")
        first = asyncio.create_task(hold(one, "Tasks", 0.1, "Projects"))
        await asyncio.sleep(0)
        waiting = [
            asyncio.create_task(hold(one, "Tasks", 0.1, parent)) for parent in (None, "Projects", None)
        ]
        asyncio.get_running_loop().call_at(at, waiting[victim].cancel)
        done = await asyncio.gather(*waiting, return_exceptions=True)
        await first
        began = sorted(at for at in done if isinstance(at, float))
        assert len(began) >= 2
        assert one.in_flight() == {}
        assert one.waiting() == 0
        assert began[1] - began[0] == pytest.approx(0.16, abs=0.005)
        await asyncio.sleep(LAG_S)
        assert await hold(one, "Tasks", 0.0, "Projects") < 0.6

    virtual(story)


def test_who_is_cancelled_when_his_turn_has_come_passes_it_on(virtual: Virtual) -> None:
    """The slot was his already, although he has not woken up yet: the next one has it at once."""

    async def story() -> None:
        one = pool(1, release_s=0)
        async with one.slot("Tasks"):
            first, second = (asyncio.create_task(hold(one, "Tasks", 0.0)) for _ in range(2))
            await asyncio.sleep(0.01)
        first.cancel()
        assert await second == pytest.approx(0.01, abs=0.001)
        assert first.cancelled()
        assert one.in_flight() == {}

    virtual(story)


def test_who_gives_up_waiting_for_two_slots_lets_the_next_take_one(virtual: Virtual) -> None:
    """Behind it somebody may have waited for the slot that was free all the time."""

    async def story() -> None:
        one = pool(1, child_counts="both")
        async with one.slot("Projects"):
            both = asyncio.create_task(hold(one, "Tasks", 0.0, "Projects"))
            await asyncio.sleep(0)
            single = asyncio.create_task(hold(one, "Tasks", 0.0))
            await asyncio.sleep(0.1)
            assert not single.done()
            both.cancel()
            assert await single == pytest.approx(0.1, abs=0.005)

    virtual(story)


def test_who_waits_for_another_slot_keeps_his_place_in_a_queue_with_room(virtual: Virtual) -> None:
    """A slot is free, and the first in its line waits for his second one: the next does not push past."""

    async def story() -> list[float]:
        one = pool(1, child_counts="both", release_s=0)
        calls = [
            hold(one, "Projects", 0.3),
            hold(one, "Companies", 0.1),
            hold(one, "Tasks", 0.2, "Projects"),
            hold(one, "Tasks", 0.0, "Companies"),
        ]
        return await asyncio.gather(*calls)

    assert virtual(story) == pytest.approx([0, 0, 0.3, 0.5], abs=0.005)


def test_a_slot_that_becomes_free_while_one_looks_is_not_overlooked(virtual: Virtual) -> None:
    """Time goes on between two looks at the clock; whoever finds no room is sure of being woken."""

    async def story() -> list[float]:
        looks = itertools.count()
        loop = asyncio.get_running_loop()
        one = Pool(per_entity=1, release_s=0.006, clock=lambda: loop.time() + next(looks) / 1000)
        return await asyncio.gather(*(hold(one, "Tasks", 0.0) for _ in range(50)))

    assert len(virtual(story)) == 50


def test_a_call_that_fails_frees_its_slot(virtual: Virtual) -> None:
    """An error inside goes through, and the slot comes back like any other."""

    async def story() -> None:
        one = pool(1)
        with pytest.raises(ZeroDivisionError):
            async with one.slot("Tasks"):
                raise ZeroDivisionError
        assert await hold(one, "Tasks", 0.0) == pytest.approx(LAG_S, abs=0.005)

    virtual(story)


def test_who_waits_for_slots_of_our_own_gives_no_reason(virtual: Virtual) -> None:
    """It is the pace of things; only slots that other processes have are worth a sentence."""

    async def story() -> None:
        one = pool(1)
        calls = [asyncio.create_task(hold(one, "Tasks", 0.1)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert (one.waiting(), one.why_waiting()) == (2, None)
        await asyncio.gather(*calls)

    virtual(story)


async def test_it_works_in_real_time_too() -> None:
    """Ten calls of a hundredth of a second and as much lag, two at a time."""
    one = Pool(per_entity=2, release_s=0.01)
    started = time.monotonic()

    async def call() -> None:
        async with one.slot("Tasks"):
            await asyncio.sleep(0.01)

    await asyncio.gather(*(call() for _ in range(10)))
    assert 0.09 <= time.monotonic() - started < 2


# any traffic

ENTITIES = ("Companies", "Projects", "Tasks")
CALLS = st.lists(
    st.tuples(
        st.integers(0, 300),  # ms after the one before
        st.sampled_from(ENTITIES),
        st.sampled_from((None, *ENTITIES)),  # parent
        st.integers(0, 200),  # ms it takes
        st.none() | st.none() | st.integers(0, 300),  # ms after which it is cancelled
    ),
    max_size=40,
)


SETUPS = st.tuples(
    st.integers(1, 3),  # slots an entity
    st.sampled_from([0, 50]),  # ms of lag
    st.sampled_from(["child", "parent", "both"]),
    st.booleans(),  # whether all calls come at once
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SETUPS, CALLS)
def test_never_more_in_flight_than_allowed_and_nobody_waits_for_ever(
    virtual: Virtual,
    setup: tuple[int, int, ChildCounts, bool],
    calls: list[tuple[int, str, str | None, int, int | None]],
) -> None:
    """Any calls, parents, lags and cancellations: the server's count of an entity, late releases included,
    stays within the limit; whoever was not cancelled gets through; and nothing is left over."""
    per_entity, lag_ms, child_counts, at_once = setup
    busy = dict.fromkeys(ENTITIES, 0)

    def change(names: set[str], by: int) -> None:
        for name in names:
            busy[name] += by
            assert busy[name] <= per_entity

    async def call(one: Pool, entity: str, parent: str | None, seconds: float) -> None:
        names = {
            "child": {entity}, "parent": {parent or entity}, "both": {entity, parent or entity},
        }[child_counts]  # fmt: skip
        async with one.slot(entity, parent):
            change(names, 1)
            try:
                await asyncio.sleep(seconds)
            finally:  # the server frees its slot a little sooner than the pool does
                if lag_ms:
                    asyncio.get_running_loop().call_later(lag_ms / 1000 * 0.9, change, names, -1)
                else:
                    change(names, -1)

    async def story() -> None:
        one = pool(per_entity, child_counts=child_counts, release_s=lag_ms / 1000)
        tasks = []
        for wait, entity, parent, ms, cancelled in calls:
            await asyncio.sleep(0 if at_once else wait / 1000)
            task = asyncio.create_task(call(one, entity, parent, ms / 1000))
            tasks.append(task)
            if cancelled is not None:
                asyncio.get_running_loop().call_later(cancelled / 1000, task.cancel)
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        assert one.in_flight() == {}
        assert one.waiting() == 0
        assert all(task.cancelled() or task.exception() is None for task in tasks)

    virtual(story)
