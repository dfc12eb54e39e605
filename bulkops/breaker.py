"""Stops a run from hammering a server that is down: after a run of failures, one call at a time, ever rarer.

A failure is an answer nobody can trust, or none; a refusal of a row and a limit (429) say that the server is
well. The calls to a dead server are counted: before thirty the run gives up, to be applied again later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from bulkops.errors import CallError

AFTER = 10  # like failures in the window, without one good answer, until it opens
WINDOW_S = 600.0  # so wide since a call that is waited for in vain takes minutes
PROBE_S = (1.0, 2.0, 4.0, 8.0, 15.0)  # until the first probe, the second, …: after the last, it is given up
MOST = 24  # calls in a row that a dead server is worth; some more may be under way


class Breaker:
    """Closed: calls pass. Open: after each wait one call passes, the probe; a good answer closes it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.given_up: str | None = None  # why, once a dead server was asked often enough
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}
        self._calls = 0  # in vain since the last good answer
        self._last = ""
        self._probes = 0
        self._next_at: float | None = None  # of the next probe; None: closed
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        return self._next_at is not None

    @property
    def failures(self) -> int:
        """Calls in vain since the last good answer."""
        return self._calls

    def pause(self) -> float | None:
        """Seconds until it is worth asking again; None: a call may be made now, after `begin`."""
        if self._next_at is None:
            return None
        wait_s = self._next_at - self._clock()
        if self._is_probing:
            return max(wait_s, PROBE_S[0])
        return wait_s if wait_s > 0 else None

    def begin(self) -> None:
        """A call is about to be made; while it is open, that is the probe."""
        self._is_probing = self.is_open

    def was_read(self) -> None:
        """The answer says nothing of writes, as that to a read: one of those is the next probe."""
        self._is_probing = False

    def answered(self) -> None:
        """A write was answered as by a server that is well, or seen to have been carried out by it."""
        self._failures.clear()
        self._calls = self._probes = 0
        self._next_at = None
        self._is_probing = False

    def failed(self, error: CallError, *, calls: int = 1) -> None:
        """So many calls were made in vain."""
        self._calls += calls
        self._last = str(error)
        if self.is_open:
            self._wait_longer()
        else:
            self._count(type(error).__name__, calls)
        if self.is_open and (self._calls >= MOST or self._probes == len(PROBE_S)):
            self.given_up = (
                f"the server failed {self._calls} calls in a row, the last with: {self._last}. "
                f"Apply the plan again when it is well"
            )

    def _count(self, kind: str, calls: int) -> None:
        now = self._clock()
        times = self._failures.setdefault(kind, deque(maxlen=AFTER))
        times.extend([now] * calls)
        if len(times) == AFTER and times[0] > now - WINDOW_S:
            self._next_at = now + PROBE_S[0]

    def _wait_longer(self) -> None:
        if self._is_probing:  # else it left before this opened
            self._is_probing = False
            self._probes = min(self._probes + 1, len(PROBE_S))
            self._next_at = self._clock() + PROBE_S[min(self._probes, len(PROBE_S) - 1)]

    def why_waiting(self) -> str | None:
        """A sentence while it is open."""
        if self._next_at is None:
            return None
        wait_s = max(0, round(self._next_at - self._clock()))
        return (
            f"the server failed {self._calls} calls in a row, the last with: {self._last}; "
            f"one row is tried in {wait_s} s"
        )
