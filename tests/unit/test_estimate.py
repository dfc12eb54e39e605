"""What a plan says about its time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.estimate import Pace, estimate_s

FAST = Pace(latency_s=0.3, release_s=0.1, per_entity=2, has_tiers=False)


def test_a_small_plan_runs_at_the_speed_of_its_slots() -> None:
    """80 writes, two at a time, 0.4 s each: 16 s."""
    assert estimate_s([{"Tasks": 80}], share=0.75, pace=FAST) == pytest.approx(16.0)


def test_nothing_to_write_takes_no_time() -> None:
    """A plan without changes costs nothing."""
    assert estimate_s([{}], share=0.75, pace=FAST) == 0.0
    assert estimate_s([{"Tasks": 0}], share=0.75, pace=FAST) == 0.0


def test_one_write_takes_one_answer() -> None:
    """A second slot does not make the only call faster."""
    assert estimate_s([{"Tasks": 1}], share=1.0, pace=FAST) == 0.3


def test_answers_slow_down_as_the_window_fills() -> None:
    """From half of the window half a second more, from three quarters a whole one."""
    pace = Pace(requests=1000, latency_s=0.5, release_s=0.0, per_entity=1)
    seconds = 500 * 0.5 + 250 * 1.0 + 250 * 1.5
    assert estimate_s([{"Tasks": 1000}], share=1.0, pace=pace) == pytest.approx(seconds)


def test_more_than_the_window_grants_waits_for_the_window() -> None:
    """The first call over the grant leaves one window after the first call's answer."""
    pace = Pace(requests=100, window_s=3600, latency_s=0.2, release_s=0.0, per_entity=2, has_tiers=False)
    assert estimate_s([{"Tasks": 75}], share=0.75, pace=pace) == pytest.approx(7.5)
    assert estimate_s([{"Tasks": 76}], share=0.75, pace=pace) == pytest.approx(3600.2, abs=0.11)
    assert estimate_s([{"Tasks": 225}], share=0.75, pace=pace) == pytest.approx(7207.5, abs=1)


def test_what_others_use_is_not_ours() -> None:
    """Calls of other integrations shrink the grant and bring the slower answers nearer."""
    pace = Pace(requests=100, window_s=3600, others=50, latency_s=0.2, release_s=0.0, per_entity=1)
    assert estimate_s([{"Tasks": 20}], share=0.75, pace=pace) == pytest.approx(14.0)
    assert estimate_s([{"Tasks": 26}], share=0.75, pace=pace) > 3600


def test_a_window_used_up_by_others_still_gives_a_number() -> None:
    """The estimate is long, not endless and not an error."""
    pace = Pace(requests=100, window_s=3600, others=100)
    assert estimate_s([{"Tasks": 3}], share=0.75, pace=pace) == pytest.approx(7200, abs=5)


def test_a_million_writes_are_estimated_at_once() -> None:
    """The model takes large plans in blocks: 10,000 an hour is what the tenant allows."""
    hours = estimate_s([{"Tasks": 1_000_000}], share=1.0, pace=FAST) / 3600
    assert hours == pytest.approx(100, rel=0.02)


def test_entities_are_written_at_the_same_time_and_stages_one_after_the_other() -> None:
    """Lanes are independent: the longest one counts; what waits for all before it is added."""
    together = estimate_s([{"Companies": 80, "Contacts": 40, "Tasks": 79}], share=0.75, pace=FAST)
    assert together == pytest.approx(16.0)
    apart = estimate_s([{"Companies": 80}, {"Contacts": 40}], share=0.75, pace=FAST)
    assert apart == pytest.approx(16.0 + 8.0)


def test_entities_share_one_window() -> None:
    """However many lanes there are, no window holds more than the grant."""
    pace = Pace(requests=100, window_s=3600, latency_s=0.2, release_s=0.0, per_entity=2, has_tiers=False)
    assert estimate_s([{"Tasks": 40, "Tickets": 35}], share=0.75, pace=pace) == pytest.approx(4.0, abs=0.1)
    assert 3600 < estimate_s([{"Tasks": 40, "Tickets": 36}], share=0.75, pace=pace) < 3605


@settings(deadline=None)  # the machine may be busy
@given(st.integers(1, 30_000), st.integers(0, 8_000), st.floats(0.01, 2.0))
def test_a_larger_share_is_never_slower_and_no_window_is_exceeded(
    writes: int, others: int, latency_s: float
) -> None:
    """More share never costs time, and the estimate never promises more than the grant in every window."""
    pace = Pace(others=others, latency_s=latency_s)
    three_quarters = estimate_s([{"Tasks": writes}], share=0.75, pace=pace)
    granted = max(1, 7_500 - others)
    assert estimate_s([{"Tasks": writes}], share=1.0, pace=pace) <= three_quarters * 1.05
    assert three_quarters >= (writes - 1) // granted * 3600 * 0.95
