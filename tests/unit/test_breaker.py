"""The breaker: a dead server costs a bounded number of calls, one that lives is never given up."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bulkops.breaker import AFTER, MOST, PROBE_S, WINDOW_S, Breaker
from bulkops.errors import InDoubtError, LockedError

DEAD = InDoubtError("no answer came")
LOCKED = LockedError("a lock")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def opened() -> tuple[Breaker, Clock]:
    clock = Clock()
    breaker = Breaker(clock=clock)
    for _ in range(AFTER):
        breaker.begin()
        breaker.failed(DEAD)
    return breaker, clock


def test_it_opens_on_like_failures_and_says_so() -> None:
    """Ten of one kind open it; a sentence tells the last one and when a row is tried."""
    breaker, _ = opened()
    assert breaker.pause() == PROBE_S[0]
    assert "no answer came" in (breaker.why_waiting() or "")
    assert "one row is tried in 1 s" in (breaker.why_waiting() or "")


def test_failures_of_two_kinds_are_not_alike() -> None:
    """A lock now and a lost answer then are weather, not a dead server."""
    breaker = Breaker(clock=Clock())
    for _ in range(AFTER - 1):
        breaker.failed(DEAD)
        breaker.failed(LOCKED)
    assert breaker.pause() is None
    assert breaker.why_waiting() is None


def test_failures_of_another_time_do_not_count() -> None:
    """Only a recent run of failures opens it."""
    clock = Clock()
    breaker = Breaker(clock=clock)
    for _ in range(3 * AFTER):
        breaker.failed(DEAD)
        clock.now += WINDOW_S / (AFTER - 1) + 1
    assert breaker.pause() is None


def test_one_good_answer_closes_it() -> None:
    """The probe succeeds: everything goes on, and it takes ten failures again."""
    breaker, clock = opened()
    clock.now += PROBE_S[0]
    assert breaker.pause() is None
    breaker.begin()
    breaker.answered()
    for _ in range(AFTER - 1):
        breaker.failed(DEAD)
    assert breaker.pause() is None
    assert breaker.failures == AFTER - 1


def test_only_one_call_is_the_probe() -> None:
    """While it is under way nobody else passes; one that fails makes the next wait longer."""
    breaker, clock = opened()
    clock.now += PROBE_S[0]
    breaker.begin()
    assert breaker.pause() is not None
    breaker.failed(DEAD)
    assert breaker.pause() == PROBE_S[1]


def test_a_read_that_is_answered_lets_a_write_be_the_probe() -> None:
    """That it can be read says nothing of writing: it stays open, and a write may pass."""
    breaker, clock = opened()
    clock.now += PROBE_S[0]
    breaker.begin()
    breaker.was_read()
    assert breaker.is_open
    assert breaker.pause() is None


def test_what_left_before_it_opened_does_not_lengthen_the_wait() -> None:
    """Calls in flight at that moment fail too, and are no probes."""
    breaker, _ = opened()
    breaker.failed(DEAD)
    breaker.failed(DEAD)
    assert breaker.pause() == PROBE_S[0]


class Life(RuleBasedStateMachine):
    """Any order of calls, answers and waits, with up to three calls in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(clock=self.clock)
        self.in_flight = 0
        self.in_vain = 0  # calls since the last good answer
        self.passed_while_open = 0

    @precondition(lambda self: self.in_flight < 3 and self.breaker.pause() is None and not self.is_over)
    @rule()
    def send(self) -> None:
        if self.breaker.is_open:
            assert self.passed_while_open == 0, "two probes at once"
            self.passed_while_open += 1
        self.breaker.begin()
        self.in_flight += 1

    @precondition(lambda self: self.in_flight)
    @rule(error=st.sampled_from([DEAD, LOCKED]))
    def fail(self, error: InDoubtError | LockedError) -> None:
        self.in_flight -= 1
        self.in_vain += 1
        self.passed_while_open = 0
        self.breaker.failed(error)

    @precondition(lambda self: self.in_flight)
    @rule()
    def answer(self) -> None:
        self.in_flight -= 1
        self.in_vain = 0
        self.passed_while_open = 0
        self.breaker.answered()
        assert self.breaker.pause() is None

    @rule(seconds=st.floats(0.1, 30))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @property
    def is_over(self) -> bool:
        return self.breaker.given_up is not None

    @invariant()
    def a_dead_server_costs_at_most_thirty_calls(self) -> None:
        assert self.in_vain <= 30 or not self.breaker.is_open

    @invariant()
    def it_is_given_up_only_after_a_run_of_failures(self) -> None:
        if self.is_over and self.in_vain:
            assert self.in_vain >= min(MOST, AFTER + len(PROBE_S) - 3)

    @invariant()
    def failures_are_counted(self) -> None:
        assert self.breaker.failures == self.in_vain


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
