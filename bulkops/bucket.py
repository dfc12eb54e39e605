"""The law of a tenant's calls as arithmetic: times in, numbers out. It never sleeps and never reads a clock.

The server counts a call somewhere between the moment we let it go and the moment its answer is here, and
forgets it one window later. So a token that is taken before the call leaves and comes back one window after
the answer covers the call for as long as the server can count it, whatever the network did in between:

    tokens out + calls of others ≤ floor(share × requests)      at every moment, so in every rolling window

A bucket that refills steadily cannot promise that: full at noon, it lets N go at once and N more within the
next window. Some of the grant is set aside for asking ThresholdInformation (`reserve`), a little of that for
a process that starts after this one and has to ask before it knows anything (`spare`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bulkops.errors import TenantError
from bulkops.purse import MOST_GROUPS, Purse

MOST_POLLS = 60  # in a window: 10 are spare, a fifth of the rest is slack for early ones: one in W/40 = 90 s
LEAST_GAP_S = 0.5  # between two polls, where windows are a few seconds long
FIRST_GAP = 1 / 16  # of the usual gap, where a poll is urgent: 5 s of 90


def grant(share: float, requests: int) -> int:
    """floor(share × requests), in the decimals as written (0.29 of 100 is 29). TenantError below 1."""
    if not 0 < share <= 1:
        raise TenantError(f"share is {share:g}; write one above 0 and at most 1 in the tenant's budget")
    granted = math.floor(Decimal(repr(share)) * requests)
    if granted < 1:
        raise TenantError(
            f"a share of {share:g} of {requests:,} requests leaves not one call in a window. "
            "Raise share or requests in the tenant's budget"
        )
    return granted


def poll_reserve(granted: int) -> int:
    """How many tokens are for polls: 2 % of the grant, at most 60; a few where the grant is small."""
    if granted < 4:
        return 0
    return min(MOST_POLLS, max(granted // 50, min(4, granted // 8), 2))


class Bucket:
    """All tokens of a tenant. Times are seconds of one monotonic clock and never run backwards.

    From the first `learn` on, no window of the server holds more of our calls than `total`, nor, with
    others', more than `total` and what others have added since the last count. A start in a full window
    keeps to that too, as long as it is the only one in the window, its first poll is answered, and the
    grant is 4 calls or more.
    """

    def __init__(
        self, *, share: float, requests: int, window_s: float, settle_s: float, pin_requests: bool = False,
        unseen: int = 0, now: float = 0.0, groups: int = MOST_GROUPS,
    ) -> None:  # fmt: skip
        """`unseen`: calls of an earlier process that were under way when it died and may land until
        `settle_s` from now. `groups`: how finely answers are told apart (`Purse`). TenantError where the
        share leaves no call."""
        self.share = share
        self.requests = requests
        self.window_s = window_s
        self.settle_s = settle_s
        self.pin_requests = pin_requests
        self.calls = Purse(window_s, groups)
        self.polls = Purse(window_s, groups)
        self.others = 0  # calls in the last window that are not ours for sure
        self.learned = False
        self.learned_at = -math.inf
        self._others_until = math.inf  # what was counted then has left the window by then
        self._before = 0  # at most that many of `others` may be an earlier process of ours
        self._before_until = -math.inf
        self._hold_until = -math.inf
        self._doubt = 0  # at most that many of `others` may be ours after all
        self._roomy = True  # was there room to speak of at the last poll
        self._taken_at = -math.inf
        self._asked_at = -math.inf
        self._refused_at = -math.inf
        self._gap_s = 0.0
        self.resize(requests, window_s)
        self.calls.assume(now + settle_s, unseen)

    def resize(self, requests: int, window_s: float) -> None:
        self.total = grant(self.share, requests)  # raises before anything has changed
        self.requests = requests
        self.window_s = self.calls.window_s = self.polls.window_s = window_s
        self.reserve = poll_reserve(self.total)
        self.spare = max(1, self.reserve // 6) if self.reserve else 0
        self.regular = self.reserve - self.spare  # polls of one process in a window
        self.poll_gap_s = max(LEAST_GAP_S, window_s / (0.8 * max(1, self.regular)))
        self._set_room()

    def _set_room(self) -> None:
        self._room = self.total - self.others - max(self.reserve, self.polls.out)

    @property
    def view(self) -> Bucket:
        """Itself: all there is to see. `ledger.tokens` has a bucket that it shares with other processes."""
        return self

    @property
    def block(self) -> int:
        return 0

    def elsewhere(self, now: float) -> int:
        return 0

    # calls

    def free(self, now: float) -> int:
        """How many calls may leave now; 0 or less: none. Until the first `learn`, one at a time."""
        self.calls.settle(now)
        if now >= self._others_until:
            self._forget_others()
        if now < self._hold_until:
            return 0
        free = self._room - self.calls.out
        return free if self.learned else min(free, 1 - self.calls.flying)

    def _forget_others(self) -> None:
        self.others = self._doubt = 0
        self._others_until = math.inf
        self._set_room()

    def take(self, now: float, count: int = 1) -> Purse:
        """A call leaves, or several. Returns the purse that is to hear what became of them."""
        self.calls.flying += count
        self._taken_at = now
        return self.calls

    def free_at(self, now: float) -> float:
        """When the next call may leave if nothing else is heard: `now`, a time, or inf (after an answer)."""
        missing = 1 - self.free(now)
        if missing <= 0:
            return now
        if now < self._hold_until:
            return self._hold_until
        if not self.learned and self.calls.flying:
            return math.inf
        own = self.calls.back_at(missing)
        return min(own, max(self._others_until, self.calls.back_at(missing - self.others)))

    # polls

    def poll_free_at(self, now: float) -> float:
        """When the next poll may leave: `now`, a time, or inf (after an answer)."""
        if not self.reserve:
            return self.free_at(now)
        self.polls.settle(now)
        missing = self.polls.out + 1 - self.reserve
        return now if missing <= 0 else self.polls.back_at(missing)

    def take_poll(self, now: float) -> Purse:
        """One poll leaves, as `take`."""
        self.asks(now)
        if not self.reserve:
            return self.take(now)
        self.polls.flying += 1
        return self.polls

    def asks(self, now: float) -> None:
        """A poll leaves, with whatever token."""
        self._asked_at = self.calls.cut = self.polls.cut = now

    def next_poll_at(self, now: float, *, waiting: bool) -> float:
        """When ThresholdInformation should be asked next; inf while a poll is out or no call flows.

        `waiting`: somebody waits for a token.
        """
        self.polls.settle(now)
        if self.polls.flying:
            return math.inf
        wanted = self._poll_wanted_at(now, waiting)
        most = self.regular if self.learned else self.reserve
        if self.reserve and (over := self.polls.out + 1 - most) > 0:
            wanted = max(wanted, self.polls.back_at(over))
        return max(wanted, self._restart_allows_at(now))

    def _poll_wanted_at(self, now: float, waiting: bool) -> float:
        urgent = self.regular - self.polls.out >= 2  # the last one is kept for its time
        if now < self._hold_until:
            gap = self._gap_s if urgent else self.poll_gap_s
            return max(self._refused_at, self._asked_at) + gap
        if not self.learned:
            return self._asked_at + self.poll_gap_s * FIRST_GAP  # the last one failed
        if not (waiting or self.calls.flying or self._taken_at >= self._asked_at):
            return math.inf
        return self._asked_at + self.poll_gap_s * (self._haste(now, waiting) if urgent else 1)

    def _haste(self, now: float, waiting: bool) -> float:
        """Sooner where a fresh figure can set tokens free: in a silent moment it is exact; near the end
        of the grant an old one is worth little; and while work waits the reserve has no better use."""
        if waiting and self._doubt and not self.calls.flying:
            return 1 / 8
        if self._roomy and self.free(now) <= self.total // 20:
            return 1 / 4
        return 0.8 if waiting else 1

    def _restart_allows_at(self, now: float) -> float:
        """After a restart in a full window all that was counted may be ours: only the spare is left, so
        that our own calls stay within the grant even then."""
        if now >= self._before_until or not self.spare:
            return -math.inf
        if self.calls.out + self.polls.out + self._before < self.total - self.spare:
            return -math.inf
        return self._asked_at + self.window_s / self.spare

    # what the server says

    def learn(
        self, now: float, *, count: int, requests: int | None = None, window_s: float | None = None,
        asked: float | None = None,
    ) -> None:  # fmt: skip
        """The server counted `count` calls of everybody between `asked` (when our poll was taken) and `now`.

        Ours are taken off only where they are in that count for sure; the rest is set right by a later
        count. The poll is in its own count (REST_Thresholds_Limits.htm: counted on receipt). Without
        `asked` the count is as of now. `window_s`: a window other than known so far. TenantError where
        the server's `requests` leave no call.
        """
        if requests is None or self.pin_requests:
            requests = self.requests
        self.resize(requests, window_s or self.window_s)
        own_poll = int(asked is not None)
        asked = now if asked is None else asked
        self.calls.settle(now)
        self.polls.settle(now)
        self.calls.fold(asked)  # not polls: a token of the reserve that is free again would be used again
        certain = self.calls.certain(asked, now) + self.polls.certain(asked, now) + own_poll
        self.others = max(0, count - certain)
        self._others_until = now + self.window_s
        self._doubt = min(self.others, max(0, self.calls.out + self.polls.out - certain))
        self._remember_start(now)
        self._hold_until = -math.inf
        self._asked_at = max(self._asked_at, asked)
        self.learned_at = now
        self._set_room()
        self._roomy = self.free(now) > self.total // 20

    def _remember_start(self, now: float) -> None:
        if not self.learned:
            self.learned = True
            self._before, self._before_until = self.others, now + self.window_s
        self._before = min(self._before, self.others)

    def is_held(self, now: float) -> bool:
        return now < self._hold_until

    def refused(self, now: float) -> None:
        """The server refused a call for its hourly limit: nothing leaves until a poll says how full it is,
        or everything counted so far has left the window. Polls come again ever later, up to the usual gap."""
        if now - self._refused_at > 2 * self.poll_gap_s:
            self._gap_s = self.poll_gap_s * FIRST_GAP
        elif self._asked_at > self._refused_at:  # one step for each poll, however many calls were refused
            self._gap_s = min(2 * self._gap_s, self.poll_gap_s)
        self._refused_at = now
        self._hold_until = now + self.window_s

    # on paper

    _FACTS = (
        "learned", "learned_at", "others", "_others_until", "_before", "_before_until", "_hold_until",
        "_doubt", "_roomy", "_taken_at", "_asked_at", "_refused_at", "_gap_s",
    )  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """What has happened, in plain values, for `recall`; what the configuration says is not in it."""
        scalars = {name: getattr(self, name) for name in self._FACTS}
        return {**scalars, "calls": self.calls.facts(), "polls": self.polls.facts()}

    def recall(self, facts: Mapping[str, Any]) -> None:
        """Makes a new bucket know what another knew. JSON has no infinity: None is what it begins with."""
        for name in self._FACTS:
            if facts[name] is not None:
                setattr(self, name, facts[name])
        self.calls.recall(facts["calls"])
        self.polls.recall(facts["polls"])
        self.calls.cut = self.polls.cut = self._asked_at
        self._set_room()
