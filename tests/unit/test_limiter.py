"""The law of the tenant's bucket, as arithmetic."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.bucket import Bucket, grant, poll_reserve
from bulkops.errors import TenantError
from bulkops.purse import Answers, Purse

WINDOW_S, SETTLE_S = 100, 30


def bucket(requests: int = 100, *, share: float = 1.0, learned: bool = True, **given: float | bool) -> Bucket:
    made = Bucket(share=share, requests=requests, window_s=WINDOW_S, settle_s=SETTLE_S, **given)  # type: ignore[arg-type]
    if learned:
        made.learn(0, count=0)
    return made


def take_all(one: Bucket, now: float) -> Purse:
    while one.free(now) > 0:
        one.take(now)
    return one.calls


# the grant


@pytest.mark.parametrize(
    ("share", "requests", "granted"),
    [(0.75, 10_000, 7_500), (0.29, 100, 29), (0.7, 10, 7), (1, 1, 1), (1 / 3, 10, 3), (0.999, 1_000, 999)],
)
def test_grant_is_the_share_in_the_decimals_as_written(share: float, requests: int, granted: int) -> None:
    """floor(share × requests), not one less where binary fractions fall short."""
    assert grant(share, requests) == granted


@pytest.mark.parametrize(("share", "requests"), [(0.001, 100), (0.5, 1), (0.0, 100), (1.5, 100)])
def test_a_share_without_a_call_is_refused(share: float, requests: int) -> None:
    """A tenant's budget that leaves no call, or is no share, is told at once and says what to change."""
    with pytest.raises(TenantError, match="tenant's budget"):
        bucket(requests, share=share)


@given(st.integers(1, 100_000))
def test_most_of_the_grant_is_for_work(granted: int) -> None:
    """Asking how full the window is takes 2 % of a grant, half of a tiny one at the most."""
    reserve = poll_reserve(granted)
    assert 0 <= reserve <= max(granted * 0.02, min(4, granted / 2))
    assert reserve < granted


def test_polls_come_every_90_seconds_of_a_usual_tenant() -> None:
    """10,000 requests an hour, three quarters ours: a poll every 90 s."""
    usual = Bucket(share=0.75, requests=10_000, window_s=3600, settle_s=310)
    assert usual.poll_gap_s == pytest.approx(90)


# tokens go and come back


def test_a_token_comes_back_one_window_after_its_answer() -> None:
    """Not one moment sooner, however long ago the call left."""
    one = bucket()
    room = one.free(0)
    purse = take_all(one, 0)
    assert one.free_at(0) == math.inf
    for _ in range(room):
        purse.answered(0, 7)
    assert one.free_at(7) == 107
    assert one.free(106.9) == 0
    assert one.free(107) == room


def test_a_lost_call_holds_its_token_a_window_and_its_settling_time() -> None:
    """A call without an answer may reach the server until settle_s later."""
    one = bucket()
    take_all(one, 0).doubtful(5 + SETTLE_S)
    assert one.free_at(5) == 5 + SETTLE_S + WINDOW_S


def test_a_call_that_never_left_gives_its_token_back_at_once() -> None:
    """A refused connection costs nothing."""
    one = bucket()
    take_all(one, 0).unused()
    assert one.free(0) == 1


def test_a_plain_refill_bucket_would_break_the_law() -> None:
    """The reason for all this: N at once, then N/W a second, makes almost 2N in the first window."""
    n, window_s = 100, 3600.0
    sent = [0.0] * n + [(i + 1) * window_s / n for i in range(n)]
    assert sum(1 for at in sent if window_s - 1 - window_s < at <= window_s - 1) > 1.9 * n


def test_until_the_first_count_calls_go_one_at_a_time() -> None:
    """Nobody knows what was used before a start, so nothing rushes ahead; and nothing hangs either."""
    one = bucket(learned=False)
    purse = one.take(0)
    assert (one.free(0), one.free_at(0)) == (0, math.inf)
    purse.answered(0, 1)
    assert one.free(1) == 1


def test_answers_of_several_processes_come_back_in_their_order() -> None:
    """One reports later than another what it has heard earlier: no token waits for a younger one."""
    purse = Purse(WINDOW_S)
    purse.flying = 3
    for at in (20, 10, 30):
        purse.report(Answers(first=at, last=at, taken=at))
    for now, out in ((109, 3), (110, 2), (120, 1), (129, 1), (130, 0)):
        purse.settle(now)
        assert purse.out == out


def test_answers_before_and_after_a_poll_are_told_apart() -> None:
    """However coarsely they are written down: those that came before it are in its count for sure."""
    one = Bucket(share=1.0, requests=100, window_s=WINDOW_S, settle_s=SETTLE_S, groups=1)
    one.learn(0, count=0)
    for _ in range(2):
        one.take(1).answered(1, 2)
    one.take_poll(3)
    one.take(3).answered(3, 4)
    one.learn(5, count=3, asked=3)
    assert one.others == 0


# what others use


@pytest.mark.parametrize(
    ("taken", "answered", "is_ours"),
    [
        (10, 11, True),
        (10, 40, False),  # still under way when the poll left
        (10, 39, False),  # at the very moment when it left
        (10, 38, True),
        (-60, 11, False),  # may have reached the server more than a window before it counted
        (-59, 11, False),
        (-58, 11, True),
    ],
)
def test_only_calls_that_are_in_a_count_for_sure_are_taken_off(
    taken: int, answered: int, is_ours: bool
) -> None:
    """Answered before the poll left, and taken less than a window before its answer was here: a count
    between 39 and 41 has the call in it for sure. All else may be somebody else's."""
    one = bucket(learned=False)
    one.take(taken).answered(taken, answered)
    one.learn(41, count=2, asked=39)
    assert one.others == (0 if is_ours else 1)


def test_what_others_used_is_not_ours_to_use() -> None:
    """The first count stands for what was used before: by others, or by us before a restart."""
    one = bucket(learned=False)
    one.learn(0, count=60)
    assert one.others == 60
    assert one.free(0) == 100 - 60 - one.reserve


def test_others_leave_the_window_no_sooner_than_the_server_would_show() -> None:
    """Without a new count they stay for a whole window, and not for ever."""
    one = bucket(learned=False)
    one.learn(50, count=100)
    assert one.free_at(50) == 150
    assert one.free(149.9) <= 0
    assert one.free(150) == 100 - one.reserve


def test_a_call_in_flight_during_a_count_is_set_right_by_a_later_one() -> None:
    """What may be in the count or not is taken for others' first, and is ours again with the next count."""
    one = bucket()
    purse = one.take(0)
    one.learn(3, count=2, asked=2)  # the poll itself and one more: ours, or somebody's
    assert one.others == 1
    purse.answered(0, 4)
    one.learn(7, count=3, asked=6)
    assert one.others == 1  # the first poll is not known to have been answered
    one.take_poll(8).answered(8, 9)


def test_a_lost_call_that_must_have_landed_counts_once() -> None:
    """Once its settling time is over it is in the server's count, or never: its token is free again."""
    one = bucket()
    one.take(0).doubtful(5 + SETTLE_S)
    one.learn(20, count=2, asked=19)
    assert (one.others, one.calls.out) == (1, 1)
    one.learn(40, count=3, asked=39)
    assert (one.others, one.calls.out) == (2, 0)  # it, and the poll before, which never ended here


def test_calls_under_way_when_a_process_died_are_reckoned_with() -> None:
    """They may land after the first count, so they hold tokens until their settling time is over."""
    one = bucket(learned=False, unseen=3)
    one.learn(1, count=0, asked=0)
    assert one.free(1) == 100 - one.reserve - 3
    one.learn(40, count=1, asked=39)
    assert one.free(40) == 100 - one.reserve


def test_a_changed_threshold_changes_the_grant_unless_it_is_pinned() -> None:
    """The server knows best what the tenant may do; a number in the tenant's file wins."""
    free, pinned = bucket(), bucket(pin_requests=True)
    for one in (free, pinned):
        one.learn(1, count=0, requests=1_000, window_s=200)
    assert (free.total, pinned.total) == (1_000, 100)
    assert free.calls.window_s == pinned.calls.window_s == 200
    with pytest.raises(TenantError):
        bucket(share=0.1).learn(1, count=0, requests=5)


# refusals and polls


def test_after_a_refusal_nothing_leaves_until_a_count_or_a_window_later() -> None:
    """Others have used it up; only the server can say when there is room."""
    one, other = bucket(), bucket()
    for each in (one, other):
        each.refused(10)
        assert each.free(11) == 0
    one.learn(20, count=100, asked=19)
    assert one.free(20) < 0
    assert other.free_at(20) == 110
    assert other.free(110) > 0


def test_polls_after_refusals_come_soon_and_then_ever_later() -> None:
    """A refused poll is a call too: the gap doubles with each, up to the usual one; a shower of refusals
    between two polls is one."""
    one = bucket(10_000)
    gaps, now = [], 1.0
    for _ in range(8):
        one.refused(now)
        one.refused(now)
        due = one.next_poll_at(now, waiting=True)
        gaps.append(due - now)
        now = due
        one.take_poll(now).doubtful(now)
    usual = one.poll_gap_s
    assert gaps[0] == pytest.approx(usual / 16)
    assert gaps[1:5] == pytest.approx([usual / 8, usual / 4, usual / 2, usual])
    assert all(gap >= usual - 1e-9 for gap in gaps[4:])


def test_a_poll_that_is_lost_after_a_refusal_is_not_repeated_at_once() -> None:
    """The gap is counted from the last one that left, answered or not."""
    one = bucket(10_000)
    one.refused(1)
    one.take_poll(50).doubtful(50)
    assert one.next_poll_at(50, waiting=True) > 50


def test_a_figure_is_renewed_when_the_grant_runs_low() -> None:
    """The nearer the end, the more it matters what others have used meanwhile."""
    one = bucket(1_000)
    one.take(0)
    calm = one.next_poll_at(0, waiting=False)
    while one.free(0) > 50:
        one.take(0)
    assert one.next_poll_at(0, waiting=False) == pytest.approx(calm / 4)
    one.learn(1, count=900)
    assert one.next_poll_at(1, waiting=False) == pytest.approx(1 + calm)  # it was low then already


def test_no_poll_while_nothing_flows_or_waits() -> None:
    """An idle run costs the tenant nothing; a call that leaves makes the figure worth knowing again."""
    one = bucket(learned=False)
    assert one.next_poll_at(0, waiting=False) <= 0
    purse = one.take_poll(0)
    assert one.next_poll_at(1, waiting=True) == math.inf
    purse.answered(0, 1)
    one.learn(1, count=1, asked=0)
    assert one.next_poll_at(500, waiting=False) == math.inf
    one.take(500)
    assert one.next_poll_at(500, waiting=False) <= 500


def test_a_silent_moment_is_used_for_an_exact_count() -> None:
    """Where work waits and a few of others' calls may be ours after all, the poll comes sooner."""
    one = bucket(1_000)
    purse = take_all(one, 0)
    one.take_poll(1)
    one.learn(2, count=300, asked=1)
    regular = one.next_poll_at(2, waiting=True)
    one.polls.answered(1, 2)
    for _ in range(purse.flying):
        purse.answered(0, 3)
    assert one.next_poll_at(3, waiting=True) < 1 + one.poll_gap_s / 4
    assert one.next_poll_at(3, waiting=False) >= 1 + one.poll_gap_s / 4
    assert regular == math.inf  # one poll at a time


def test_waiting_work_makes_polls_use_all_of_their_reserve() -> None:
    """While calls wait, tokens kept for polls have no better use: they come as often as the reserve lasts."""
    one = bucket(10_000)
    one.take(0)
    flowing, waiting = (one.next_poll_at(0, waiting=waits) for waits in (False, True))
    assert flowing == pytest.approx(WINDOW_S / (0.8 * one.regular))
    assert waiting == pytest.approx(WINDOW_S / one.regular)


def test_polls_never_use_more_than_their_reserve() -> None:
    """However often somebody asks, the next one waits for an earlier one to leave the window; and the
    last few of the reserve are left for a process that starts after this one."""
    one = bucket(1_000)
    for at in range(one.reserve):
        assert one.poll_free_at(at) == at
        if at >= one.regular:
            assert one.next_poll_at(at, waiting=True) >= WINDOW_S
        one.take_poll(at).answered(at, at)
    assert one.poll_free_at(one.reserve) == WINDOW_S


def test_a_lost_poll_keeps_its_place_in_the_reserve() -> None:
    """It is among others' calls once it has landed, so a new poll in its place would be one too many."""
    one = bucket(1_000)
    purse = take_all(one, 0)
    for _ in range(one.reserve):
        one.take_poll(0).doubtful(SETTLE_S)
    for _ in range(purse.flying):
        purse.answered(0, 1)
    one.learn(SETTLE_S + 2, count=1_000, asked=SETTLE_S + 1)
    assert one.poll_free_at(SETTLE_S + 2) == SETTLE_S + WINDOW_S


@pytest.mark.parametrize("requests", [8, 20, 100, 400, 1_000])
def test_a_restart_in_a_full_window_stays_within_the_grant(requests: int) -> None:
    """A run that used all it could is killed at its last call; the next one asks as often as it may."""
    first = bucket(requests)
    ours = [0.0] * take_all(first, 0).flying
    while first.next_poll_at(0, waiting=True) <= 0 or first.polls.out < first.regular:
        first.take_poll(0).answered(0, 0)
        ours.append(0.0)
    second, now = bucket(requests, learned=False, now=1), 1.0
    while now < WINDOW_S:
        second.take_poll(now).answered(now, now)
        ours.append(now)
        second.learn(now, count=len(ours), asked=now)
        assert second.free(now) <= 0
        now = second.next_poll_at(now, waiting=True)
    assert requests - second.spare < len(ours) <= requests


def test_a_tiny_grant_polls_from_the_work_itself() -> None:
    """With 1 to 3 calls a window nothing is set aside: a poll is a call like any other."""
    one = bucket(2, learned=False)
    assert one.poll_free_at(0) == 0
    assert one.take_poll(0) is one.calls
    assert one.next_poll_at(1, waiting=True) > 1  # no storm of polls where the first one fails
    one.learn(1, count=1, asked=0)
    assert one.free(1) == 1
