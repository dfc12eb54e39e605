"""The simulator's window and threads: what is let in, what is refused, and when a slot is free again."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.simulator.limits import Rolling, Threads, Uploads, Window

KEY = ("CODE", "Tasks")


@dataclass
class Clock:
    """A clock that moves only when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 4)), max_size=60), st.floats(0.5, 8))
def test_a_rolling_count_always_equals_the_requests_of_the_last_span(
    steps: list[tuple[float, int]], span: float
) -> None:
    """Promises the exact number within (now - span, now], however requests are spread."""
    rolling, now, times = Rolling(span), 0.0, []
    for wait, many in steps:
        now += wait
        rolling.add(now)
        rolling.add_many(now, many)
        times += [now] * (many + 1)
        assert rolling.count(now) == sum(time > now - span for time in times)


def test_a_window_is_free_again_one_span_after_its_requests() -> None:
    """Promises a rolling window, not one that starts anew on the hour."""
    clock = Clock()
    window = Window(threshold=3, window_s=10, clock=clock)
    for _ in range(3):
        window.admit()
        clock.now += 1
    assert window.used() == 3
    clock.now += 7.5
    assert window.used() == 2


def test_busiest_windows_count_admitted_requests_and_others_apart() -> None:
    """Promises that refusals are in neither, others' requests only in the common one."""
    clock = Clock()
    window = Window(threshold=100, window_s=10, clock=clock)
    window.admit()
    window.others(5)
    window.refuse()
    window.admit()
    clock.now += 60
    assert (window.busiest, window.busiest_own, window.used()) == (7, 2, 0)


@pytest.mark.parametrize(("seconds", "minutes"), [(3600, 60), (5, 1), (90, 2), (600, 10)])
def test_threshold_information_reports_whole_minutes(seconds: float, minutes: int) -> None:
    """Promises max(1, round(window_s / 60))."""
    assert Window(threshold=1, window_s=seconds, clock=Clock()).minutes() == minutes


def test_no_threshold_refuses_nobody() -> None:
    """Promises that 0 means no limit, as it says in the help."""
    window = Window(threshold=0, window_s=10, clock=Clock())
    window.others(10_000_000)
    assert window.used() < window.threshold


def test_the_fourth_thread_waits_for_a_late_release() -> None:
    """Promises that a slot is free only some time after its answer."""
    clock = Clock()
    threads = Threads(limit=3, release_s=0.05, clock=clock)
    assert all(threads.enter([KEY]) for _ in range(3))
    assert not threads.enter([KEY])
    threads.leave([KEY])
    assert not threads.enter([KEY])
    clock.now += 0.051
    assert threads.enter([KEY])


def test_threads_are_counted_per_integration_code_and_entity() -> None:
    """Promises that neither another entity nor another integration takes a slot of this one."""
    threads = Threads(limit=1, release_s=0, clock=Clock())
    assert threads.enter([KEY])
    assert threads.enter([("CODE", "Tickets")])
    assert threads.enter([("OTHER", "Tasks")])
    assert not threads.enter([KEY])


def test_several_slots_are_taken_all_or_none() -> None:
    """Promises that a refused request leaves no slot taken behind."""
    threads = Threads(limit=1, release_s=0, clock=Clock())
    parent = ("CODE", "Projects")
    assert threads.enter([KEY])
    assert not threads.enter([parent, KEY])
    assert threads.enter([parent])


def test_attachments_are_limited_by_file_and_by_five_minutes() -> None:
    """Promises 7 MB a file and 10,000,000 bytes in five minutes."""
    clock = Clock()
    uploads = Uploads(clock=clock)
    assert uploads.refuse(7_000_001)
    uploads.add(6_000_000)
    assert uploads.refuse(4_000_001)
    clock.now += 301
    assert uploads.refuse(4_000_001) is None
