"""The law of the ledger against a model of the server: any traffic, any death, any start of the machine."""

from __future__ import annotations

import heapq
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count as counter
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bulkops.ledger import Seat, Terms
from bulkops.purse import Purse

WINDOW_S, SETTLE_S, LAG_S, SLOTS = 100, 30, 1, 2
ENTITIES = ("Projects", "Tasks")
MOST = 3  # processes at a time
WHO = st.integers(0, MOST - 1)
KEYS = st.sampled_from([("Projects",), ("Tasks",), ("Tasks",), ("Projects", "Tasks")])
FATES = st.sampled_from(["ok", "ok", "ok", "late", "late", "never"])


class Trip(NamedTuple):
    """What the network and the server do to a call: seconds there, at work, and whether it arrives."""

    there: int
    work: int
    fate: str  # late and never: the connection breaks before the server has it


TRIPS = st.builds(Trip, st.integers(0, 4), st.integers(0, 25), FATES)
QUICK = st.builds(Trip, st.integers(0, 2), st.integers(0, 3), FATES)


@dataclass(eq=False)
class Process:
    """One of ours: its seat, and its slots as a pool would keep them."""

    seat: Seat
    known: int = 0  # others' calls before the count that its tokens were leased by
    held: Counter[str] = field(default_factory=Counter)
    flying: Counter[str] = field(default_factory=Counter)
    lagging: dict[str, list[int]] = field(default_factory=lambda: {key: [] for key in ENTITIES})
    under_way: int = 0  # calls, polls included
    asked: set[tuple[str, ...]] = field(default_factory=set)
    is_dead: bool = False

    def idle(self, key: str, now: int) -> int:
        self.lagging[key] = [at for at in self.lagging[key] if at > now]
        return self.held[key] - self.flying[key] - len(self.lagging[key])


class Machine(RuleBasedStateMachine):
    """A server with a rolling window and slots, somebody else's calls, and up to three processes of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = 0
        self.booted = -1_000  # when the machine was started: its clock stood at 0
        self.boots = 0
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.order = counter()
        self.ours: list[int] = []  # when calls reached the server
        self.others: list[int] = []
        self.learned = 0  # how many of others' calls were made before the last count that reached us
        self.busy: Counter[str] = Counter()  # slots at the server
        self.processes: list[Process | None] = [None] * MOST

    def teardown(self) -> None:
        self.advance(3 * WINDOW_S)
        for process in self.processes:
            if process is not None:
                process.seat.leave()
        shutil.rmtree(self.folder)

    @initialize(requests=st.sampled_from([3, 4, 8, 20, 40, 100]))
    def begin(self, requests: int) -> None:
        self.terms = Terms(
            share=1.0, requests=requests, pin_requests=True, window_s=WINDOW_S, settle_s=SETTLE_S,
            per_entity=SLOTS,
        )  # fmt: skip

    # --- the world -----------------------------------------------------------------------------------------

    def clock(self) -> float:
        return self.now - self.booted

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

    def count_call(self, known: int) -> None:
        """The law of the window, looked at whenever a call of ours reaches the server."""
        self.ours.append(self.now)
        ours, others = self.in_window(self.ours), self.in_window(self.others)
        assert ours <= self.terms.requests
        assert ours + others <= self.terms.requests + self.in_window(self.others[known:])

    def work(self, keys: tuple[str, ...], by: int) -> None:
        """The law of the slots, looked at whenever the server begins or ends to work on a call."""
        for key in keys:
            self.busy[key] += by
            assert self.busy[key] <= SLOTS

    @rule(seconds=st.integers(0, 40))
    def wait(self, seconds: int) -> None:
        self.advance(seconds)

    @rule(calls=st.integers(1, 30))
    def somebody_else_calls(self, calls: int) -> None:
        self.others += [self.now] * calls

    @rule(who=WHO, what=st.sampled_from(["start", "tick", "stop_waiting", "die", "die", "leave"]))
    def happen(self, who: int, what: str) -> None:
        getattr(self, what)(who)

    # --- one of our processes ------------------------------------------------------------------------------

    def start(self, who: int) -> None:
        if self.processes[who] is None:
            seat = Seat.take(self.folder, "acme", self.terms, clock=self.clock, boot=f"boot {self.boots}")
            self.processes[who] = Process(seat)
            if not seat.view.bucket.learned:
                self.poll(who, Trip(0, 0, "ok"))

    @rule(who=WHO, keys=KEYS, trip=TRIPS)
    def send(self, who: int, keys: tuple[str, ...], trip: Trip) -> None:
        """One call, where there is a slot and a token."""
        process = self.processes[who]
        if process is None or not process.seat.view.bucket.learned or not self.take_slots(process, keys):
            return
        before = process.seat.tokens.block
        if process.seat.tokens.free(self.clock()) <= 0:
            self.leave_slots(process, keys, lag_s=0)
            return
        if not before:
            process.known = self.learned
        self.go(process, process.seat.tokens.take(self.clock()), keys, trip)

    @rule(
        whom=st.lists(WHO, min_size=1, max_size=MOST, unique=True),
        keys=st.lists(KEYS, min_size=1, max_size=3), trip=QUICK, rounds=st.integers(5, 30),
        pace=st.integers(1, 3),
    )  # fmt: skip
    def work_hard(
        self, whom: list[int], keys: list[tuple[str, ...]], trip: Trip, rounds: int, pace: int
    ) -> None:
        """Some of our processes send what they can for a while, and keep up with each other."""
        for number in range(rounds):
            for who in whom:
                self.start(who)
                self.tick(who)
                for _ in range(SLOTS):
                    self.send(who, keys[number % len(keys)], trip)
                self.poll(who, Trip(trip.there, trip.work, "ok"))
            self.advance(pace)

    def take_slots(self, process: Process, keys: tuple[str, ...]) -> bool:
        short = tuple(key for key in keys if process.idle(key, self.now) <= 0)
        if any(process.held[key] >= SLOTS for key in short):
            return False
        if short:
            has_come = process.seat.slots.borrow(keys, short)
            for key in keys:
                process.held[key] += (key in short) if has_come else -(key not in short)
            if not has_come:
                process.asked.add(keys)
                return False
        process.seat.slots.confirm(self.clock())
        process.flying.update(keys)
        return True

    def leave_slots(self, process: Process, keys: tuple[str, ...], lag_s: int) -> None:
        for key in keys:
            process.flying[key] -= 1
            process.lagging[key] += [self.now + lag_s] * bool(lag_s)

    def go(self, process: Process, purse: Purse, keys: tuple[str, ...], trip: Trip) -> None:
        there, work, fate = trip
        taken, known = self.clock(), process.known
        process.under_way += 1

        def arrive() -> None:
            self.count_call(known)
            self.work(keys, 1)
            self.at(self.now + work + LAG_S, lambda: self.work(keys, -1))

        def end() -> None:
            if process.is_dead:
                return
            process.under_way -= 1
            self.leave_slots(process, keys, LAG_S)
            if fate == "ok":
                purse.answered(taken, self.clock())
            else:
                purse.doubtful(self.clock() + SETTLE_S)

        if fate == "ok":
            self.at(self.now + there, arrive)
        elif fate == "late":
            self.at(self.now + there + SETTLE_S, lambda: self.count_call(known))
        self.at(self.now + there + (work if fate == "ok" else 0), end)

    @rule(who=WHO, trip=QUICK)
    def poll(self, who: int, trip: Trip) -> None:
        """Asks how full the window is, as often as it may. A run begins with a count that was answered."""
        process = self.processes[who]
        if process is None:
            return
        tokens, asked = process.seat.tokens, self.clock()
        if not tokens.view.learned:
            trip = Trip(0, 0, "ok")
        elif tokens.next_poll_at(asked, waiting=True) > asked:
            return
        if tokens.poll_free_at(asked) <= asked:
            self.ask(process, tokens.take_poll(asked), asked, trip)

    def ask(self, process: Process, purse: Purse, asked: float, trip: Trip) -> None:
        there, work, fate = trip
        said: list[tuple[int, int]] = []
        process.under_way += 1

        def counted() -> None:
            self.count_call(0)  # a poll goes by no count: it is within the reserve
            said.append((self.in_window(self.ours) + self.in_window(self.others), len(self.others)))

        def end() -> None:
            if process.is_dead:
                return
            process.under_way -= 1
            if fate != "ok":
                purse.doubtful(self.clock() + SETTLE_S)
                return
            purse.answered(asked, self.clock())
            total, self.learned = said[0]
            process.seat.tokens.learn(self.clock(), count=total, asked=asked)

        if fate != "never":
            self.at(self.now + there + SETTLE_S * (fate == "late"), counted)
        self.at(self.now + there + work, end)
        self.advance(0)

    def tick(self, who: int) -> None:
        """Keeps up with the others, and gives back what it should, as the pool would."""
        process = self.processes[who]
        if process is None:
            return
        process.seat.tick()
        for key in ENTITIES:
            if process.seat.slots.is_wanted(key, self.clock()):
                self.give(process, key)

    def give(self, process: Process, key: str) -> None:
        for free_at in [self.now] * process.idle(key, self.now) + process.lagging[key]:
            process.held[key] -= 1
            process.seat.slots.give(key, free_at - self.booted)
        process.lagging[key] = []

    def stop_waiting(self, who: int) -> None:
        process = self.processes[who]
        if process is not None:
            for keys in process.asked:
                process.seat.slots.withdraw(keys)
            process.asked.clear()

    def die(self, who: int) -> None:
        """A kill: what is under way goes on, and nobody waits for it."""
        process, self.processes[who] = self.processes[who], None
        if process is not None:
            process.is_dead = True
            process.seat._book._db.close()
            process.seat._book._lock.release()

    def leave(self, who: int) -> None:
        """An end in good order: nothing of its own is under way."""
        process = self.processes[who]
        if process is not None and not process.under_way:
            self.processes[who] = None
            for key in ENTITIES:
                self.give(process, key)
            process.seat.leave()

    @precondition(lambda self: self.now - self.booted > WINDOW_S + SETTLE_S and self.terms.requests > 3)
    @rule()
    def power_cut(self) -> None:
        """All are dead, the clock begins anew. Once a window, and with a grant that has a reserve to ask
        from: what was used before is known from the server's own count alone."""
        for who in range(MOST):
            self.die(who)
        self.advance(SETTLE_S)  # as long as it takes to start, the server is done with what it had begun
        self.booted, self.boots = self.now, self.boots + 1


def play(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )


def test_processes_together_never_exceed_the_grant_nor_the_slots() -> None:
    """Whoever starts, sends, loses, dies or comes back in whatever order: our calls never exceed the grant
    in any window of the server nor the slots of an entity, and with others' calls they exceed the grant by
    no more than others have added since the count that the tokens were leased by."""
    play(examples=40, steps=40)


@pytest.mark.slow
def test_processes_together_never_exceed_the_grant_nor_the_slots_in_a_campaign() -> None:
    """The same, much longer."""
    play(examples=5_000, steps=80)
