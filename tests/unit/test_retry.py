"""Which errors are sent again, after how long, how often."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import (
    CallError,
    InDoubtError,
    LockedError,
    MissingError,
    NoRouteError,
    NotSentError,
    RejectedError,
    StopError,
    ThrottledError,
)
from bulkops.retry import RetryBudget, next_read_wait, next_wait

THREADS = ThrottledError("threads", kind="threads")
HOUR = ThrottledError("hour", kind="hour")
LOCKED = LockedError("deadlock")
DOUBT = InDoubtError("no answer")
UNKNOWN = RejectedError("?", known=False)
KNOWN = RejectedError("too long", known=True)
FINAL: list[CallError] = [
    KNOWN,
    MissingError("gone"),
    NoRouteError("404"),
    StopError("401"),
    NotSentError("no"),
]

rngs = st.randoms(use_true_random=False)
attempts = st.integers(1, 10_000)


@pytest.mark.parametrize("error", [*FINAL, UNKNOWN, DOUBT], ids=lambda error: type(error).__name__)
def test_a_write_that_may_have_happened_or_is_refused_is_never_sent_again(error: CallError) -> None:
    """Only what was refused before commit for a passing reason is."""
    assert next_wait(1, error, rng=random.Random(0)) is None


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
def test_a_read_that_is_refused_for_good_is_not_sent_again(error: CallError) -> None:
    """Asking again would get the same answer."""
    assert next_read_wait(1, error, rng=random.Random(0)) is None


@given(attempts, rngs)
def test_limits_are_waited_for_and_never_given_up_on(attempt: int, rng: random.Random) -> None:
    """They end by themselves. No wait is shorter than the server's own lag, none longer than a minute."""
    threads, hour = next_wait(attempt, THREADS, rng=rng), next_wait(attempt, HOUR, rng=rng)
    assert threads is not None and 0.2 <= threads <= 60
    assert hour is not None and 0.5 <= hour <= 2


def longest(error: CallError, attempt: int, *, read: bool = False) -> float:
    decide = next_read_wait if read else next_wait
    return max(decide(attempt, error, rng=random.Random(seed)) or 0.0 for seed in range(200))


def test_waits_for_a_thread_grow_to_a_minute() -> None:
    """A second at first; a minute at most, when somebody else holds the slots for long."""
    ceilings = [longest(THREADS, attempt) for attempt in range(1, 9)]
    assert ceilings == sorted(ceilings)
    assert 0.9 < ceilings[0] <= 1
    assert 55 < ceilings[-1] <= 60


@pytest.mark.parametrize(("asked", "least", "most"), [(30.0, 30, 60), (5_000.0, 60, 60)])
def test_what_the_server_asks_for_is_kept_to_within_reason(asked: float, least: float, most: float) -> None:
    """A Retry-After is waited for, but a minute at most for a thread, an hour at most for the hour."""
    threads = next_wait(1, ThrottledError("", kind="threads", wait_s=asked), rng=random.Random(0))
    hour = next_wait(1, ThrottledError("", kind="hour", wait_s=asked), rng=random.Random(0))
    assert threads is not None and least <= threads <= most
    assert hour is not None and min(asked, 3600) < hour <= min(asked, 3600) + 2


@pytest.mark.parametrize(
    ("error", "read", "tries", "seconds"),
    [(LOCKED, False, 6, 15.5), (LOCKED, True, 6, 15.5), (DOUBT, True, 5, 30), (UNKNOWN, True, 3, 1.5)],
)
def test_tries_are_bounded(error: CallError, read: bool, tries: int, seconds: float) -> None:
    """So many tries, and so much waiting at most, before a person is told."""
    decide = next_read_wait if read else next_wait
    waits = [decide(attempt, error, rng=random.Random(0)) for attempt in range(1, tries + 2)]
    assert [wait is not None for wait in waits] == [True] * (tries - 1) + [False, False]
    total = sum(longest(error, attempt, read=read) for attempt in range(1, tries))
    assert seconds * 0.9 < total <= seconds


@given(st.sampled_from([THREADS, HOUR, LOCKED]), st.integers(1, 5), st.integers())
def test_waits_follow_from_the_random_source_given(error: CallError, attempt: int, seed: int) -> None:
    """The same source, the same wait: a run can be played again."""
    first, second = (next_wait(attempt, error, rng=random.Random(seed)) for _ in range(2))
    assert first == second


def test_waits_are_spread_out() -> None:
    """Calls that failed together do not come back together."""
    rng = random.Random(0)
    assert len({next_wait(3, LOCKED, rng=rng) for _ in range(100)}) == 100


@given(st.lists(st.sampled_from(["call", "locked", "doubt", "threads"]), max_size=300))
def test_repetitions_stay_within_their_budget(story: list[str]) -> None:
    """A burst and a tenth of the calls: never more of a failing server's load is our own doing; and waits
    for a limit are always allowed."""
    budget = RetryBudget(ratio=0.1, burst=5)
    calls = repeated = 0
    for what in story:
        if what == "call":
            budget.called()
            calls += 1
        elif what == "threads":
            assert budget.allows(THREADS)
        else:
            allowed = budget.allows(LOCKED if what == "locked" else DOUBT)
            assert allowed == (repeated < 5 + 0.1 * calls)
            repeated += allowed
