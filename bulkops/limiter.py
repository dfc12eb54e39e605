"""The one door to a tenant's hour: a call takes a token before it leaves, and waits here if there is none.

`bucket` has the law and the arithmetic; this room waits. Whoever finds no token queues up (first come, first
served), and only the head of the queue sets a timer: the tenant has one waiter, however many calls wait.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from aiolimiter import AsyncLimiter

from bulkops.bucket import Bucket
from bulkops.purse import Purse

# Those who waited go on at most 100 in 10 ms: a poll that frees thousands of tokens then does not flood the
# event loop. 10,000 a second is far above what threads allow, so it never slows a run down.
BURST, BURST_S = 100, 0.01


class Tokens(Protocol):
    """Where tokens come from: a `Bucket` of our own, or our share of one that other processes use too.

    As `Bucket` describes it; CallError where there can be none any more.
    """

    settle_s: float

    @property
    def view(self) -> Bucket:
        """The whole bucket as far as it is known, to look at."""
        ...

    @property
    def block(self) -> int:
        """Tokens of ours that no call has taken."""
        ...

    def elsewhere(self, now: float) -> int:
        """Tokens that are out by other processes."""
        ...

    def free(self, now: float) -> int: ...
    def take(self, now: float) -> Purse: ...
    def free_at(self, now: float) -> float: ...
    def poll_free_at(self, now: float) -> float: ...
    def take_poll(self, now: float) -> Purse: ...
    def next_poll_at(self, now: float, *, waiting: bool) -> float: ...
    def learn(
        self, now: float, *, count: int, requests: int | None = None, window_s: float | None = None,
        asked: float | None = None,
    ) -> None: ...  # fmt: skip
    def refused(self, now: float) -> None: ...


class LimiterUsage(NamedTuple):
    granted: int  # calls we may have in a window: floor(share × requests) − others
    used: int  # tokens out now, those of polls included
    others: int  # calls in the last window that are not ours, as far as known


class Token:
    """Leave for one call. Exactly one of `answered`, `lost`, `unused` ends it; a second one does nothing."""

    __slots__ = ("_limiter", "_purse", "_taken")

    def __init__(self, limiter: Limiter, purse: Purse, taken: float) -> None:
        self._limiter: Limiter | None = limiter
        self._purse = purse
        self._taken = taken

    def answered(self, *, counted: bool = True) -> None:
        """An answer came: free again a window from now.

        `counted=False` where a limit refused the call: nobody knows whether the server counts those.
        """
        if (limiter := self._end()) is not None:
            now = limiter._clock()
            if counted:
                self._purse.answered(self._taken, now)
            else:
                self._purse.doubtful(now)
            limiter.look()

    def lost(self) -> None:
        """No answer came: the call may land until `settle_s` from now; free again a window after that."""
        if (limiter := self._end()) is not None:
            self._purse.doubtful(limiter._clock() + limiter._tokens.settle_s)
            limiter.look()

    def unused(self) -> None:
        """Not one byte of the call left: free again at once."""
        if (limiter := self._end()) is not None:
            self._purse.unused()
            limiter.look()

    def _end(self) -> Limiter | None:
        limiter, self._limiter = self._limiter, None
        return limiter


class Limiter:
    """The tokens of a tenant, for one event loop."""

    def __init__(
        self, tokens: Tokens, *, clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """`clock` is that of the tokens; `wall` is for sentences."""
        self._tokens = tokens
        self._clock = clock
        self._wall = wall
        self._waiting = 0  # calls in the queue, its head included
        self._turn = asyncio.Lock()  # first come, first served; its holder is the tenant's one waiter
        self._sleepers: set[asyncio.Future[None]] = set()  # the head of the queue, and polls
        self._smooth = AsyncLimiter(BURST, BURST_S)
        self._poll_asked: float | None = None  # when the poll left whose count is still to be learned
        self._poke = asyncio.Event()  # the time of the next poll may have come nearer

    async def acquire(self, *, poll: bool = False) -> Token:
        """Leave for one call, as soon as there is one. Cancelled while waiting, no token is lost.

        `poll`: the call asks ThresholdInformation: it has tokens of its own and does not queue up.
        Until the first `learn` calls go one at a time.
        """
        if poll:
            return await self._acquire_poll()
        if not self._waiting:
            now = self._clock()
            if self._tokens.free(now) > 0:
                return Token(self, self._tokens.take(now), now)
        self._waiting += 1
        self._poke.set()
        try:
            async with self._turn:
                return await self._acquire_first()
        finally:
            self._waiting -= 1

    async def _acquire_first(self) -> Token:
        """A token for the head of the queue."""
        await self._smooth.acquire()
        now = await self._wait_until(self._tokens.free_at)  # last: nothing may come between it and the take
        return Token(self, self._tokens.take(now), now)

    async def _acquire_poll(self) -> Token:
        now = self._poll_asked = await self._wait_until(self._tokens.poll_free_at)
        return Token(self, self._tokens.take_poll(now), now)

    async def _wait_until(self, when: Callable[[float], float]) -> float:
        while (at := when(now := self._clock())) > now:
            await self._sleep(at - now)
        return now

    async def _sleep(self, seconds: float) -> None:
        """Until then, or until a token's fate has changed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        # A coarse timer may ring a little early; never spin on it.
        timer = None if seconds == math.inf else loop.call_later(max(seconds, 0.001), _ring, future)
        self._sleepers.add(future)
        try:
            await future
        finally:
            self._sleepers.discard(future)
            if timer is not None:
                timer.cancel()

    def look(self) -> None:
        """Whoever waits looks whether there is a token now."""
        for future in self._sleepers:
            _ring(future)

    @property
    def is_waiting(self) -> bool:
        return self._waiting > 0

    # what the server says

    def learn(
        self, *, count: int, requests: int | None = None, window_s: float | None = None, polled: bool = True
    ) -> None:
        """What ThresholdInformation answered: calls of everybody in its window, the threshold, the window.

        The poll is the call that `acquire(poll=True)` gave a token to last, unless not `polled`. TenantError
        where `requests` leave no call.
        """
        asked = self._poll_asked if polled else None
        self._poll_asked = None
        self._tokens.learn(self._clock(), count=count, requests=requests, window_s=window_s, asked=asked)
        self.look()

    def refused(self) -> None:
        """A call was refused for the hourly limit: others used it up. Nothing leaves until a poll was
        answered, or a window has passed."""
        self._tokens.refused(self._clock())
        self._poke.set()
        self.look()

    # when to ask

    @property
    def next_poll_at(self) -> float:
        """When (on the clock given) ThresholdInformation should be asked next; inf: not as things are."""
        return self._tokens.next_poll_at(self._clock(), waiting=self.is_waiting)

    def wants_poll(self) -> bool:
        return self.next_poll_at <= self._clock()

    def may_poll(self) -> bool:
        """Whether ThresholdInformation can be asked now."""
        now = self._clock()
        return self._tokens.view.poll_free_at(now) <= now

    def has_room(self) -> bool:
        """Whether a call could leave now."""
        return self._tokens.view.free(self._clock()) > 0

    async def poll_due(self) -> None:
        """Returns when ThresholdInformation should be asked: about every 90 s of an hour's window while
        calls flow or wait, at once at the start, sooner after a refusal and near the end of the grant."""
        while (at := self.next_poll_at) > (now := self._clock()):
            self._poke.clear()
            nap = max(0.001, min(at - now, self._tokens.view.poll_gap_s / 8))
            with suppress(TimeoutError):
                async with asyncio.timeout(nap):
                    await self._poke.wait()

    # what to tell people

    def usage(self) -> LimiterUsage:
        now = self._clock()
        bucket = self._tokens.view
        bucket.free(now)
        bucket.polls.settle(now)
        granted = max(0, bucket.total - bucket.others)
        return LimiterUsage(granted, bucket.calls.out + bucket.polls.out - self._tokens.block, bucket.others)

    def why_waiting(self) -> str | None:
        """What calls wait for and when they go on, by the clock on the wall; None when none waits."""
        if not self._waiting:
            return None
        now = self._clock()
        bucket = self._tokens.view
        at = bucket.free_at(now)
        if at <= now:
            return None
        window = "hour" if bucket.window_s == 3600 else f"window of {bucket.window_s:g} s"
        if not bucket.learned:
            return f"how much of the tenant's {window} is used is not known yet; it is being asked"
        return f"{self._reason(bucket, now, window)}; {self._goes_on(now, at)}"

    def _reason(self, bucket: Bucket, now: float, window: str) -> str:
        granted = max(0, bucket.total - bucket.others)
        if bucket.is_held(now):
            return f"the tenant's {window} is used up by others: the server refused a call"
        if granted <= bucket.reserve:
            return f"others used {bucket.others:,} of {bucket.total:,} calls granted in the tenant's {window}"
        used = min(granted, bucket.calls.out + bucket.reserve)
        parts = [f"{used:,} of {granted:,} granted"]
        if elsewhere := self._tokens.elsewhere(now):
            parts.append(f"{elsewhere:,} of them held or used by other bulkops processes of this machine")
        if bucket.others:
            parts.append(f"others used {bucket.others:,}")
        return f"the tenant's {window} is used up ({', '.join(parts)})"

    def _goes_on(self, now: float, at: float) -> str:
        if at == math.inf:
            return "goes on a window after the calls under way are answered"
        clock = time.strftime("%H:%M:%S", time.localtime(self._wall() + at - now))
        bucket = self._tokens.view
        latest = " at the latest" if bucket.others or bucket.is_held(now) else ""
        return f"goes on at {clock}{latest}"


def _ring(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
