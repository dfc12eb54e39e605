"""The law of the tenant's bucket against a model of the server: any traffic, any delay, any death."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count as counter
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.bucket import Bucket
from bulkops.purse import Purse

WINDOW_S, SETTLE_S = 100, 30


def bucket(requests: int, *, unseen: int = 0, now: int = 0) -> Bucket:
    return Bucket(share=1.0, requests=requests, window_s=WINDOW_S, settle_s=SETTLE_S, unseen=unseen, now=now)


class Trip(NamedTuple):
    """What the network does to a call: seconds there and back, and whether it arrives, late or never."""

    there: int
    back: int
    fate: str


@dataclass
class Model:
    """A server with a rolling window, somebody else's calls, and processes of ours that die and come back."""

    requests: int
    now: int = 0
    events: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    order: counter[int] = field(default_factory=counter)
    ours: list[int] = field(default_factory=list)  # when calls reached the server
    others: list[int] = field(default_factory=list)
    known: int = 0  # how many of others' calls were made before the count that our last call went by
    learned: int = 0  # the same for the last count that reached us
    died_at: int = -WINDOW_S
    open: set[int] = field(default_factory=set)  # of the living process: calls that may still land
    life: int = 0

    def __post_init__(self) -> None:
        self.bucket = bucket(self.requests)

    def at(self, when: int, act: Callable[[], None]) -> None:
        heapq.heappush(self.events, (when, next(self.order), act))

    def advance(self, seconds: int) -> None:
        until = self.now + seconds
        while self.events and self.events[0][0] <= until:
            self.now, _, act = heapq.heappop(self.events)
            act()
        self.now = until

    def in_window(self, calls: list[int]) -> int:
        return sum(1 for at in calls if self.now - WINDOW_S < at <= self.now)

    def arrive(self) -> None:
        """The law, looked at whenever a call of ours reaches the server."""
        self.ours.append(self.now)
        ours, others = self.in_window(self.ours), self.in_window(self.others)
        jumped = self.in_window(self.others[self.known :])
        assert ours <= self.requests
        assert ours + others <= self.requests + jumped

    def send(self, most: int, there: int, back: int, fate: str) -> None:
        """As many calls as are free, up to `most`."""
        for _ in range(most):
            if not self.bucket.learned or self.bucket.free(self.now) <= 0:
                return
            self.known = self.learned
            self._go(self.bucket.take(self.now), Trip(there, back, fate), self.arrive, lambda: None)

    def poll(self, there: int, back: int, fate: str) -> None:
        one, now, said = self.bucket, self.now, []
        if max(one.next_poll_at(now, waiting=True), one.poll_free_at(now)) > now:
            return

        def counted() -> None:
            self.arrive()
            said.append((self.in_window(self.ours) + self.in_window(self.others), len(self.others)))

        def learned() -> None:
            if said:
                total, self.learned = said[0]
                one.learn(self.now, count=total, asked=now)

        # A run begins with a count that was answered, or not at all.
        self._go(one.take_poll(now), Trip(there, back, fate if one.learned else "ok"), counted, learned)

    def _go(self, purse: Purse, trip: Trip, arrive: Callable[[], None], learned: Callable[[], None]) -> None:
        taken, life, call = self.now, self.life, next(self.order)
        ends = taken + trip.there + trip.back
        self.open.add(call)
        if trip.fate != "never":
            self.at(taken + trip.there if trip.fate == "ok" else ends + min(trip.there * 7, SETTLE_S), arrive)
        self.at((ends if trip.fate == "ok" else ends + SETTLE_S) + 1, lambda: self.open.discard(call))

        def end() -> None:
            if life != self.life:
                return  # the process that waited for it is gone
            if trip.fate == "ok":
                purse.answered(taken, self.now)
                learned()
            else:
                purse.doubtful(self.now + SETTLE_S)

        self.at(ends, end)

    def foreign(self, calls: int) -> None:
        self.others += [self.now] * calls

    def die(self) -> None:
        """A kill, and a new process at once. Once a window: the ledger of many processes is another room."""
        if self.now - self.died_at <= WINDOW_S + SETTLE_S:
            return
        self.died_at, self.life = self.now, self.life + 1
        self.bucket = bucket(self.requests, unseen=len(self.open), now=self.now)
        self.open.clear()


FATES = st.sampled_from(["ok", "ok", "ok", "late", "never"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "send", "send", "poll", "poll", "foreign", "die"]),
              st.integers(0, 25), st.integers(1, 40), st.integers(0, 6), st.integers(0, 6), FATES),
    max_size=80,
)  # fmt: skip


def play(requests: int, steps: list[tuple[str, int, int, int, int, str]]) -> None:
    model = Model(requests)
    for kind, wait, many, there, back, fate in steps:
        model.advance(wait)
        if kind == "send":
            model.send(many, there, back, fate)
        elif kind == "poll":
            model.poll(there, back, fate)
        elif kind == "foreign":
            model.foreign(many // 4)
        else:
            model.die()
    model.advance(3 * WINDOW_S)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([4, 8, 20, 60, 200]), STEPS)
def test_no_window_of_the_server_ever_exceeds_the_grant(
    requests: int, steps: list[tuple[str, int, int, int, int, str]]
) -> None:
    """Whatever the network does, whoever dies: our calls alone never exceed the grant in any window, and
    with others' they exceed it by no more than others have added since the count we went by."""
    play(requests, steps)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(st.integers(4, 400), STEPS)
def test_no_window_of_the_server_ever_exceeds_the_grant_in_a_campaign(
    requests: int, steps: list[tuple[str, int, int, int, int, str]]
) -> None:
    """The same, much longer."""
    play(requests, steps)
