"""What processes on one tenant share: tokens and slots, the dead's too. The clock stands until moved."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkops.errors import StopError, TenantError
from bulkops.ledger import Seat, Terms
from bulkops.ledger.account import GONE_S, MOST_LEASED, TERM_S, TOKEN
from bulkops.purse import Purse

WINDOW_S, SETTLE_S = 1000.0, 60.0


def terms(requests: int = 100, **other: Any) -> Terms:
    given = {"share": 1.0, "window_s": WINDOW_S, "settle_s": SETTLE_S, "per_entity": 2, **other}
    return Terms(requests=requests, **given)


class Machine:
    """Processes that share a state folder and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 5_000.0
        self.seats: list[Seat] = []

    def clock(self) -> float:
        return self.now

    def start(self, what: Terms | None = None, *, boot: str = "b", tenant: str = "acme") -> Seat:
        seat = Seat.take(self.folder, tenant, what or terms(), clock=self.clock, boot=boot)
        self.seats.append(seat)
        return seat

    def kill(self, seat: Seat) -> None:
        """The system frees its lock; nothing of what it holds is given back."""
        self.seats.remove(seat)
        seat._book._db.close()
        seat._book._lock.release()

    def wait(self, seconds: float) -> None:
        """Everybody keeps up meanwhile."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 5)
            for seat in self.seats:
                seat.tick()

    def take_all(self, seat: Seat) -> list[Purse]:
        purses = []
        while seat.tokens.free(self.now) > 0:
            purses.append(seat.tokens.take(self.now))
        return purses


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    for seat in made.seats:
        seat.leave()


def learned(machine: Machine, what: Terms | None = None) -> Seat:
    """A process that knows that nobody has called anything."""
    seat = machine.start(what)
    seat.tokens.learn(machine.now, count=0)
    return seat


# tokens


def test_what_one_process_takes_another_has_not(machine: Machine) -> None:
    """Both together have what one alone would have had."""
    one = learned(machine)
    two = machine.start()
    room = two.view.bucket.free(machine.now)
    assert len(machine.take_all(one)) + len(machine.take_all(two)) == room == 100 - two.view.bucket.reserve


def test_an_answered_call_comes_back_to_all_one_window_later(machine: Machine) -> None:
    """Not one moment sooner, and whoever comes first has it."""
    one, two = learned(machine), machine.start()
    calls = machine.take_all(one)
    for purse in calls:
        purse.answered(machine.now, machine.now)
    answered = machine.now
    machine.wait(WINDOW_S - 5)
    assert two.tokens.free(machine.now) == 0
    machine.now = answered + WINDOW_S
    machine.wait(0)
    assert two.tokens.free(machine.now) > 0


def test_a_call_that_never_left_is_used_again_without_a_word(machine: Machine) -> None:
    """Its token is in the block again, and the ledger is not asked."""
    one = learned(machine)
    for purse in machine.take_all(one):
        purse.unused()
    assert one.tokens.free(machine.now) > 0


def test_a_lost_call_is_written_down_at_the_next_look(machine: Machine) -> None:
    """It may land until settle_s later; a kill in between should not make that later still."""
    one = learned(machine)
    for purse in machine.take_all(one):
        purse.doubtful(machine.now + SETTLE_S)
    one.tick()
    machine.kill(one)
    machine.wait(40)
    two = machine.start()
    two.tokens.learn(machine.now, count=0)
    assert two.tokens.free(machine.now) == 0
    machine.wait(SETTLE_S + WINDOW_S - 40)
    assert two.tokens.free(machine.now) > 0


def test_tokens_are_leased_in_blocks(machine: Machine) -> None:
    """A large grant: the ledger is asked once in 64 calls; a small one is leased one by one."""
    large = learned(machine, terms(10_000, share=0.75))
    assert large.tokens.free(machine.now) == MOST_LEASED
    large.tokens.take(machine.now)
    before = large.view.members[large.name].calls
    for _ in range(MOST_LEASED - 1):
        large.tokens.take(machine.now)
        assert large.view.members[large.name].calls == before
    small = machine.start(terms(), tenant="other")
    small.tokens.learn(machine.now, count=0)
    assert small.tokens.free(machine.now) == 1


def test_a_block_that_nobody_uses_goes_back(machine: Machine) -> None:
    """Within a second or two; at once where another process waits for tokens; not while calls wait here."""
    one = learned(machine, terms(10_000))
    one.tokens.free(machine.now)
    one.tokens.is_wanted = lambda: True
    machine.wait(5)
    assert one.tokens.block == MOST_LEASED
    one.tokens.is_wanted = lambda: False
    machine.wait(5)
    assert one.tokens.block == 0
    one.tokens.free(machine.now)
    one.tokens.take(machine.now)
    two = machine.start(terms(10_000, share=0.001))
    assert two.tokens.free(machine.now) == 0
    one.tick()
    assert one.tokens.block == 0


def test_a_block_is_worth_nothing_once_others_have_used_the_hour(machine: Machine) -> None:
    """A refusal, or a count that leaves no room, reaches the blocks of all processes."""
    one, two = learned(machine, terms(10_000)), machine.start(terms(10_000))
    assert one.tokens.free(machine.now) == two.tokens.free(machine.now) == MOST_LEASED
    two.tokens.learn(machine.now, count=9_990)
    one.tick()
    assert (one.tokens.block, one.tokens.free(machine.now)) == (0, 0)
    two.tokens.learn(machine.now, count=0)
    one.tick()
    assert one.tokens.free(machine.now) == MOST_LEASED
    two.tokens.refused(machine.now)
    one.tick()
    assert (one.tokens.block, one.tokens.free(machine.now), two.tokens.free(machine.now)) == (0, 0, 0)
    assert one.tokens.free_at(machine.now) == machine.now + WINDOW_S


def test_a_refusal_here_is_known_here_at_once(machine: Machine) -> None:
    """Not at the next look: the block is gone with it."""
    one = learned(machine, terms(10_000))
    one.tokens.free(machine.now)
    one.tokens.refused(machine.now)
    assert one.tokens.free(machine.now) == 0


def test_nothing_leaves_at_the_end_of_a_term_until_it_is_renewed(machine: Machine) -> None:
    """A process that was paused may be taken for dead by then; it asks before it goes on."""
    one = learned(machine, terms(10_000))
    one.tokens.is_wanted = lambda: True
    one.tokens.free(machine.now)
    written = one._expires
    machine.now += TERM_S + 7
    assert one.tokens.free(machine.now) == MOST_LEASED
    assert one._expires == written + TERM_S + 7
    assert one.view.members[one.name].expires == one._expires


def test_who_holds_or_waits_for_something_is_heard_of(machine: Machine) -> None:
    """Its term is renewed as long as it runs, so that others know it is not merely paused."""
    one, two, three = (machine.start(terms(per_entity=1)) for _ in range(3))
    assert one.slots.borrow(("Tasks",), ("Tasks",))
    assert not two.slots.borrow(("Tasks",), ("Tasks",))
    machine.wait(3 * TERM_S)
    members = three.view.members
    assert members[one.name].expires > machine.now + TERM_S / 2
    assert members[two.name].expires > machine.now + TERM_S / 2
    assert members[three.name].expires < machine.now


def test_a_process_that_is_only_there_says_nothing(machine: Machine) -> None:
    """Who holds nothing and waits for nothing writes nothing."""
    one = learned(machine)
    two = machine.start()
    one.refresh()
    two.refresh()
    seen = one._book._seen
    machine.wait(60)
    one._book.has_changed()
    assert one._book._seen == seen


def test_waiting_processes_have_their_turns(machine: Machine) -> None:
    """Tokens that come back one by one go to the process that has waited longest."""
    seats = [learned(machine), machine.start(), machine.start()]
    calls = machine.take_all(seats[0])
    for seat in seats:
        assert seat.tokens.free(machine.now) == 0
    served = []
    for purse in calls[:9]:
        purse.unused()
        with seats[0].page():
            pass
        for seat in (seats[2], seats[1], seats[0]):
            seat.refresh()
            if seat.tokens.free(machine.now):
                seat.tokens.take(machine.now)
                assert seat.tokens.free(machine.now) == 0
                served.append(seats.index(seat))
    assert served[:9] == [0, 1, 2] * 3


def test_who_comes_too_late_keeps_its_place(machine: Machine) -> None:
    """A token may be gone between our look and our try; what we waited is not lost."""
    one, two, three = learned(machine), machine.start(), machine.start()
    calls = machine.take_all(one)
    assert two.tokens.free(machine.now) == 0
    calls[0].unused()
    with one.page() as account:
        account.withdraw(one.name, TOKEN)
    two.refresh()
    with three.page() as account:
        account.bucket.take(machine.now)
        account.members[three.name].calls += 1
    assert two.tokens.free(machine.now) == 0
    assert [ticket.member for ticket in two.view.queue] == [two.name]


def test_who_is_paused_does_not_keep_others_waiting(machine: Machine) -> None:
    """A ticket counts as long as its process is heard of."""
    paused, other = learned(machine), machine.start()
    calls = machine.take_all(paused)
    assert paused.tokens.free(machine.now) == 0
    assert other.tokens.free(machine.now) == 0
    calls[0].unused()
    with paused.page():
        pass
    other.refresh()
    assert other.tokens.free(machine.now) == 0
    assert other.tokens.free_at(machine.now) > machine.now
    machine.now += TERM_S
    assert other.tokens.free(machine.now) == 1


# what the server says


def test_a_count_is_learned_for_all(machine: Machine) -> None:
    """One poll does for every process: others' calls, threshold and window; the next is due a gap later."""
    one, two = machine.start(terms(10_000)), machine.start(terms(10_000))
    assert two.tokens.next_poll_at(machine.now, waiting=True) <= machine.now
    asked = machine.now
    assert one.tokens.poll_free_at(asked) == asked
    poll = one.tokens.take_poll(asked)
    assert two.tokens.next_poll_at(machine.now, waiting=True) == math.inf
    machine.now += 1
    poll.answered(asked, machine.now)
    one.tokens.learn(machine.now, count=41, asked=asked, requests=500, window_s=200)
    two.refresh()
    for seat in (one, two):
        assert (seat.view.bucket.others, seat.view.bucket.total) == (40, 500)
        assert seat.view.bucket.window_s == 1000  # as the other one still believes
        assert seat.tokens.next_poll_at(machine.now, waiting=True) > machine.now
    assert machine.start(terms(10_000)).view.bucket.window_s == 1000


def test_what_the_configuration_says_counts_for_its_process(machine: Machine) -> None:
    """A share and a pinned number are one process's own; the longest window is everybody's."""
    mine = terms(50, share=0.5, pin_requests=True, pin_window=True, window_s=3000)
    one, two = learned(machine, mine), machine.start(terms(10_000))
    two.tokens.learn(machine.now, count=0, requests=400, window_s=600)
    one.refresh()
    assert (one.view.bucket.total, two.view.bucket.total) == (25, 400)
    assert one.view.bucket.window_s == two.view.bucket.window_s == 3000
    one.leave()
    machine.seats.remove(one)
    two.tick()
    two.tokens.learn(machine.now, count=0, requests=400, window_s=600)
    assert two.view.bucket.window_s == 600
    one = machine.start(mine)
    one.tokens.learn(machine.now, count=0, requests=7, window_s=7)
    two.refresh()
    assert two.view.bucket.total == 400


def test_a_threshold_that_leaves_no_call_is_told_and_changes_nothing(machine: Machine) -> None:
    """TenantError for who learns it; nothing of it is written down."""
    one = learned(machine, terms(share=0.1))
    with pytest.raises(TenantError, match="not one call"):
        one.tokens.learn(machine.now, count=0, requests=3)
    assert one.tokens.free(machine.now) == 1


def test_a_threshold_that_leaves_another_process_no_call_stops_it(machine: Machine) -> None:
    """What is enough for one share may be too little for another's."""
    one, two = learned(machine), machine.start(terms(share=0.1))
    one.tokens.learn(machine.now, count=0, requests=3)
    with pytest.raises(StopError, match="not one call"):
        two.refresh()


def test_polls_of_all_processes_share_one_reserve(machine: Machine) -> None:
    """However many processes ask: no more than the reserve in a window, and who finds none waits."""
    seats = [learned(machine), machine.start(), machine.start()]
    reserve, asked = seats[0].view.bucket.reserve, 0
    for seat in seats * 2:
        seat.refresh()
        if seat.tokens.poll_free_at(machine.now) <= machine.now:
            seat.tokens.take_poll(machine.now).answered(machine.now, machine.now)
            asked += 1
    assert asked == reserve < 6
    for seat in seats:
        seat.tick()
    machine.wait(1)
    assert {seat.tokens.poll_free_at(machine.now) for seat in seats} == {5_000 + WINDOW_S}


def test_a_poll_that_another_process_was_quicker_with_waits(machine: Machine) -> None:
    """The last token of the reserve may be gone at the moment when it is asked for."""
    one, two = learned(machine), machine.start()
    for _ in range(one.view.bucket.reserve):
        assert one.tokens.poll_free_at(machine.now) == machine.now
        one.tokens.take_poll(machine.now).answered(machine.now, machine.now)
    assert two.view.bucket.polls.out == 0
    assert two.tokens.poll_free_at(machine.now) > machine.now


def test_a_tiny_grant_polls_from_the_work_itself(machine: Machine) -> None:
    """No reserve: a poll is a call like any other, also for a process that has none yet."""
    one = machine.start(terms(2))
    assert one.tokens.poll_free_at(machine.now) == machine.now
    one.tokens.take_poll(machine.now).answered(machine.now, machine.now)
    one.tokens.learn(machine.now, count=1, asked=machine.now)
    assert one.view.bucket._asked_at == machine.now
    assert one.view.bucket.calls.out == 1
    assert one.tokens.free(machine.now) == 1


def test_a_lost_poll_is_reckoned_with(machine: Machine) -> None:
    """It keeps its place in everybody's reserve until it has left the window."""
    one = learned(machine)
    one.tokens.poll_free_at(machine.now)
    one.tokens.take_poll(machine.now).doubtful(machine.now + SETTLE_S)
    one.tick()
    assert machine.start().view.bucket.polls.out == 1


# who dies


def test_tokens_of_the_dead_come_back_when_they_must_have_left_the_window(machine: Machine) -> None:
    """A window and settle_s after it was seen to be dead, though nobody knows whether they were used."""
    one = learned(machine)
    room = one.view.bucket.free(machine.now)
    calls = machine.take_all(one)
    calls[0].answered(machine.now, machine.now)
    two = machine.start()
    machine.wait(1)
    machine.kill(one)
    machine.wait(1)
    died = machine.now
    assert one.name not in two.view.members
    machine.now = died + WINDOW_S
    machine.wait(0)
    assert len(machine.take_all(two)) == 1  # what was answered is back
    machine.now = died + WINDOW_S + SETTLE_S - 1
    assert two.tokens.free(machine.now) == 0
    machine.now = died + WINDOW_S + SETTLE_S
    assert len(machine.take_all(two)) == room - 1


def test_a_later_count_has_the_calls_of_the_dead_in_it(machine: Machine) -> None:
    """Once they must have landed, the server's own count stands for them: they wait for no window."""
    one = learned(machine)
    machine.take_all(one)
    machine.kill(one)
    two = machine.start()
    machine.wait(SETTLE_S + 1)
    two.tokens.learn(machine.now, count=7, asked=machine.now)
    assert two.view.bucket.others == 6
    assert two.tokens.free(machine.now) > 0


def test_a_process_that_died_long_ago_keeps_nobody_waiting(machine: Machine) -> None:
    """It let nothing go after its term, however late its death is seen."""
    one = learned(machine)
    machine.take_all(one)
    assert one.slots.borrow(("Tasks",), ("Tasks",))
    machine.kill(one)
    machine.now += TERM_S + SETTLE_S + WINDOW_S
    two = machine.start()
    two.tokens.learn(machine.now, count=0)
    assert two.tokens.free(machine.now) > 0
    assert two.slots.borrow(("Tasks",), ("Tasks",))


@pytest.mark.parametrize(("settle_s", "held_s"), [(60.0, GONE_S), (10.0, 10.0)])
def test_slots_of_the_dead_are_free_when_the_server_is_done(
    machine: Machine, settle_s: float, held_s: float
) -> None:
    """GONE_S after its death, at most settle_s: it may still be at work on a call whose client is gone."""
    one, two = learned(machine, terms(settle_s=settle_s)), machine.start()
    assert one.slots.borrow(("Tasks",), ("Tasks",))
    assert one.slots.borrow(("Tasks",), ("Tasks",))
    assert one.slots.borrow(("Projects",), ("Projects",))
    machine.kill(one)
    machine.wait(1)
    assert not two.slots.borrow(("Tasks",), ("Tasks",))
    assert two.slots.borrow(("Projects",), ("Projects",))
    assert two.slots.free_again_at("Tasks", machine.now) == machine.now + held_s
    assert two.slots.free_again_at("Companies", machine.now) == -math.inf
    machine.now += held_s - 0.1
    assert not two.slots.borrow(("Tasks",), ("Tasks",))
    machine.now += 0.1
    assert two.slots.borrow(("Tasks",), ("Tasks",))


def test_a_poll_of_the_dead_does_not_stop_the_polls_of_others(machine: Machine) -> None:
    """It is in doubt like any call, and the next one is due."""
    one, two = learned(machine), machine.start()
    one.tokens.poll_free_at(machine.now)
    one.tokens.take_poll(machine.now)
    two.refresh()
    assert two.tokens.next_poll_at(machine.now, waiting=True) == math.inf
    machine.kill(one)
    machine.wait(1)
    assert two.tokens.next_poll_at(machine.now, waiting=True) < math.inf
    assert two.view.bucket.polls.out == 1


def test_a_death_that_two_have_seen_is_written_down_once(machine: Machine) -> None:
    """Whoever comes second finds that it has been done."""
    one, two, three = learned(machine), machine.start(), machine.start()
    three.refresh()
    one.slots.borrow(("Tasks",), ("Tasks",))
    machine.kill(one)
    for seat in (two, three):
        seat._audit(machine.now)
    assert three.view.lagging == {"Tasks": [machine.now + GONE_S]}


def test_tickets_of_the_dead_are_void(machine: Machine) -> None:
    """Who died while it waited is not waited for."""
    one, two, three = learned(machine), machine.start(), machine.start()
    for _ in range(2):
        assert one.slots.borrow(("Tasks",), ("Tasks",))
    assert not two.slots.borrow(("Tasks",), ("Tasks",))
    machine.kill(two)
    one.slots.give("Tasks", machine.now)
    three.refresh()
    assert not three.slots.borrow(("Tasks",), ("Tasks",))
    machine.wait(1)
    assert three.slots.borrow(("Tasks",), ("Tasks",))


def test_who_leaves_in_good_order_leaves_nothing_behind(machine: Machine) -> None:
    """Unused tokens and idle slots are free at once, and its lock file is gone."""
    one, two = learned(machine), machine.start()
    room = two.view.bucket.free(machine.now)
    one.tokens.free(machine.now)
    one.slots.borrow(("Tasks",), ("Tasks",))
    one.slots.give("Tasks", machine.now)
    machine.seats.remove(one)
    one.leave()
    two.refresh()
    assert two.view.bucket.free(machine.now) == room
    assert list(two.view.members) == [two.name]
    assert len(list(machine.folder.glob("ledger-*.lock"))) == 1


def test_what_is_under_way_when_a_process_leaves_is_reckoned_with(machine: Machine) -> None:
    """A run that is stopped at once lets go of calls that the server has: as if it had died."""
    one, two = learned(machine), machine.start()
    one.slots.borrow(("Tasks",), ("Tasks",))
    one.tokens.free(machine.now)
    one.tokens.take(machine.now)
    machine.seats.remove(one)
    one.leave()
    two.refresh()
    assert two.view.bucket.calls.back_at(1) == machine.now + SETTLE_S + WINDOW_S
    assert two.view.lagging["Tasks"] == [machine.now + GONE_S]


def test_who_comes_back_knows_what_was_used(machine: Machine) -> None:
    """A process that starts again goes by the ledger, calls that were not reported included, and asks the
    server only whether others have used the tenant since."""
    one = learned(machine)
    for purse in machine.take_all(one)[:5]:
        purse.answered(machine.now, machine.now)
    one.tick()
    machine.kill(one)
    machine.wait(30)
    again = machine.start()
    assert again.view.bucket.calls.out == 100 - again.view.bucket.reserve
    assert again.view.bucket.learned  # within a poll's gap
    machine.kill(again)
    machine.wait(again.view.bucket.poll_gap_s)
    assert not machine.start().view.bucket.learned


# slots


def test_slots_are_shared(machine: Machine) -> None:
    """All processes together have as many as one alone."""
    one, two = learned(machine), machine.start()
    got = [seat.slots.borrow(("Tasks",), ("Tasks",)) for seat in (one, two, one, two)]
    assert got == [True, True, False, False]
    assert one.slots.borrow(("Projects",), ("Projects",))


def test_a_slot_that_was_given_is_free_at_its_time(machine: Machine) -> None:
    """The server frees its own a moment after the answer."""
    one, two = learned(machine, terms(per_entity=1)), machine.start(terms(per_entity=1))
    one.slots.borrow(("Tasks",), ("Tasks",))
    one.slots.give("Tasks", machine.now + 0.06)
    assert not two.slots.borrow(("Tasks",), ("Tasks",))
    machine.now += 0.06
    two.refresh()
    assert two.slots.borrow(("Tasks",), ("Tasks",))


def test_who_needs_two_slots_holds_none_while_it_waits(machine: Machine) -> None:
    """Else two processes could wait for each other for ever."""
    one, two = learned(machine, terms(per_entity=1)), machine.start(terms(per_entity=1))
    assert one.slots.borrow(("Projects",), ("Projects",))
    assert two.slots.borrow(("Tasks",), ("Tasks",))
    assert not one.slots.borrow(("Projects", "Tasks"), ("Tasks",))  # it had an idle one of Projects
    assert one.view.members[one.name].slots == {"Projects": 0}
    two.refresh()
    assert not two.slots.borrow(("Projects",), ("Projects",))  # one is before us
    two.slots.give("Tasks", machine.now)
    one.refresh()
    assert one.slots.borrow(("Projects", "Tasks"), ("Projects", "Tasks"))
    one.slots.give("Projects", machine.now)
    one.slots.give("Tasks", machine.now)
    two.refresh()
    assert two.slots.borrow(("Projects",), ("Projects",))


def test_who_does_not_wait_any_more_is_in_nobodys_way(machine: Machine) -> None:
    """A ticket is taken back with the last call that needed it."""
    one, two = learned(machine, terms(per_entity=1)), machine.start(terms(per_entity=1))
    one.slots.borrow(("Tasks",), ("Tasks",))
    assert not two.slots.borrow(("Tasks",), ("Tasks",))
    one.refresh()
    assert one.slots.is_wanted("Tasks", machine.now)
    assert one.slots.has_rival("Tasks", machine.now)
    assert not one.slots.is_wanted("Projects", machine.now)
    two.slots.withdraw(("Tasks",))
    two.slots.withdraw(("Tasks",))
    one.refresh()
    assert not one.slots.is_wanted("Tasks", machine.now)


def test_a_rival_has_fewer_slots_than_we(machine: Machine) -> None:
    """Who has as many waits for a turn of its own."""
    one, two = learned(machine), machine.start()
    for seat in (one, two, one):
        seat.slots.borrow(("Tasks",), ("Tasks",))
    two.refresh()
    assert two.slots.is_wanted("Tasks", machine.now)
    assert not two.slots.has_rival("Tasks", machine.now)
    assert two.slots.free_again_at("Tasks", machine.now) == math.inf


def test_slots_after_a_pause_are_confirmed(machine: Machine) -> None:
    """A process that was paused asks before it uses what it held."""
    one = learned(machine)
    one.slots.borrow(("Tasks",), ("Tasks",))
    machine.now += 2 * TERM_S
    one.slots.confirm(machine.now)
    assert one._expires == machine.now + TERM_S
    one.slots.confirm(machine.now + 1)
    assert one._expires == machine.now + TERM_S
