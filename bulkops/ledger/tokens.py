"""Tokens of a bucket that several processes share: leased in blocks, reported when they have been used."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from bulkops.bucket import Bucket
from bulkops.ledger.account import GROUPS, TOKEN, Account, Terms
from bulkops.purse import Answers, Purse

if TYPE_CHECKING:
    from bulkops.ledger.seat import Seat

IDLE_S = 1.0  # tokens that nobody takes for so long go back
AGAIN_S = 0.02  # between two tries where others come first
REPORT_S = 0.5  # answers are written down so long after they came, sooner where windows are short


class _Pocket(Purse):
    """Our own tokens of one kind, and what the ledger does not know of them yet."""

    __slots__ = ("answers", "doubts", "since", "unspent")

    def __init__(self, window_s: float) -> None:
        super().__init__(window_s, GROUPS)
        self.answers: list[Answers] = []
        self.doubts: list[float] = []  # when each has landed at the latest
        self.unspent = 0  # tokens that came back unused
        self.since = math.inf  # when the first of the above happened

    def answered(self, taken: float, now: float) -> None:
        self.report(Answers(first=now, last=now, taken=taken))
        news = Answers(first=now, last=now, taken=taken)
        if self.answers and self.answers[-1].is_near(news, self.span, self.cut):
            self.answers[-1].add(news)
        else:
            self.answers.append(news)
        self.since = min(self.since, now)

    def doubtful(self, lands_by: float, count: int = 1) -> None:
        super().doubtful(lands_by, count)
        self.doubts += [lands_by] * count
        self.since = -math.inf  # at once: a kill should not make it later

    def unused(self, count: int = 1) -> None:
        super().unused(count)
        self.unspent += count

    def tell(self, purse: Purse) -> int:
        """Writes the news into the ledger's purse; how many tokens are not ours any more."""
        for answers in self.answers:
            purse.report(answers)
        for lands_by in self.doubts:
            purse.doubtful(lands_by)
        purse.unused(self.unspent)
        return sum(answers.count for answers in self.answers) + len(self.doubts) + self.unspent

    def told(self, *, cut: float) -> None:
        self.answers, self.doubts, self.unspent, self.since = [], [], 0, math.inf
        self.cut = cut

    def reclaim(self) -> int:
        """Tokens that came back unused, to be used again without a word to the ledger."""
        unspent, self.unspent = self.unspent, 0
        return unspent


class LeasedTokens:
    """The tokens of one process. Implements `limiter.Tokens`; raises StopError where the ledger fails."""

    def __init__(self, seat: Seat, terms: Terms) -> None:
        self.settle_s = terms.settle_s
        self.block = 0  # tokens that are ours and that no call has taken
        self.is_wanted: Callable[[], bool] = lambda: False  # whether calls of ours wait for one
        self._seat = seat
        self._name = seat.name
        self._poll_block = 0
        self._calls = _Pocket(terms.window_s)
        self._polls = _Pocket(terms.window_s)
        self._used_at = -math.inf

    @property
    def view(self) -> Bucket:
        return self._seat.view.bucket

    # calls

    def free(self, now: float) -> int:
        if self.view.is_held(now):
            return 0
        self.block += self._calls.reclaim()
        if self.block and self._seat.is_current(now):
            return self.block
        if not self.block and self._must_wait(now):
            return 0
        with self._seat.page() as account:
            if not self.block:
                self.block = account.lease(self._name, now)
        return 0 if self.view.is_held(now) else self.block

    def _must_wait(self, now: float) -> bool:
        account = self._seat.view
        return account.is_waiting(self._name, TOKEN) and not account.may_lease(self._name, now)

    def take(self, now: float) -> Purse:
        assert self.block > 0, "a token is taken where one was free"
        self.block -= 1
        self._used_at = now
        self._calls.flying += 1
        return self._calls

    def free_at(self, now: float) -> float:
        if self.free(now) > 0:
            return now
        at = self.view.free_at(now)
        return at if at > now else now + AGAIN_S  # others come first, or it was free this very moment

    # polls

    def poll_free_at(self, now: float) -> float:
        if not self.view.reserve:
            return self.free_at(now)
        at = self.view.poll_free_at(now)
        if at > now:
            return at
        with self._seat.page() as account:
            self._poll_block += account.lease_poll(self._name, now)
        return now if self._poll_block else self.view.poll_free_at(now)

    def take_poll(self, now: float) -> Purse:
        if not self._poll_block:  # the grant is too small for a reserve
            purse = self.take(now)  # first: what lies idle may go back with the next page
            with self._seat.page() as account:
                account.bucket.asks(now)
            return purse
        self._poll_block -= 1
        self._polls.flying += 1
        return self._polls

    def next_poll_at(self, now: float, *, waiting: bool) -> float:
        at = self._poll_wanted_at(now, waiting)
        if at <= now:  # unless another process has just asked
            self._seat.refresh()
            at = self._poll_wanted_at(now, waiting)
        return at

    def _poll_wanted_at(self, now: float, waiting: bool) -> float:
        waiting = waiting or self._seat.view.others_want_tokens(self._name, now)
        return self.view.next_poll_at(now, waiting=waiting)

    # what the server says

    def learn(
        self, now: float, *, count: int, requests: int | None = None, window_s: float | None = None,
        asked: float | None = None,
    ) -> None:  # fmt: skip
        with self._seat.page() as account:
            account.learn(self._name, now, count=count, asked=asked, requests=requests, window_s=window_s)
            self.put_back(account)  # it was leased when less was known
        self._calls.window_s = self._polls.window_s = self.view.window_s

    def refused(self, now: float) -> None:
        with self._seat.page() as account:
            account.bucket.refused(now)
            self.put_back(account)

    # what the ledger is told

    def has_news(self, now: float) -> bool:
        since = min(self._calls.since, self._polls.since)
        return now - since >= min(REPORT_S, self.view.window_s / 8) or self._is_idle(self._seat.view, now)

    def report(self, account: Account, now: float) -> None:
        """Writes down what became of tokens since the last time; `reported` says that it is kept."""
        member = account.members[self._name]
        member.calls -= self._calls.tell(account.bucket.calls)
        member.polls -= self._polls.tell(account.bucket.polls)
        if self._is_idle(account, now):
            self.put_back(account)

    def reported(self) -> None:
        for pocket in (self._calls, self._polls):
            pocket.told(cut=self.view.calls.cut)

    def _is_idle(self, account: Account, now: float) -> bool:
        """Whether our block is of no use to us, or more than there is by now."""
        if not self.block:
            return False
        if account.bucket.is_held(now) or account.bucket.free(now) < 0:
            return True
        is_old = now - self._used_at >= IDLE_S
        return not self.is_wanted() and (is_old or account.others_want_tokens(self._name, now))

    def put_back(self, account: Account) -> None:
        account.bucket.calls.unused(self.block)
        account.members[self._name].calls -= self.block
        self.block = 0

    def elsewhere(self, now: float) -> int:
        """Tokens of the bucket that are out, and not by us."""
        for purse in (self._calls, self._polls, self.view.calls, self.view.polls):
            purse.settle(now)
        ours = self.block + self._poll_block + self._calls.out + self._polls.out
        return max(0, self.view.calls.out + self.view.polls.out - ours)
