"""When to send again, and when to give up: decisions only; who asks does the waiting. Pure.

Every wait is drawn at random below its ceiling ("full jitter"), so that calls which failed together do not
come back together. The wait between two attempts holds neither slot nor token.
"""

from __future__ import annotations

import random

from bulkops.errors import CallError, InDoubtError, LockedError, RejectedError, ThrottledError

# The thread limit: the server frees a slot some 50 ms after its answer, so less than 0.2 s comes too early;
# who uses our tracking identifier elsewhere may hold the slots for minutes (ThreadLimiting.htm).
THREADS_LEAST_S, THREADS_FIRST_S, THREADS_MOST_S = 0.2, 1.0, 60.0
# The hour: the limiter holds all calls back until there is room; this only keeps a refused call from being
# the first to try. What the server itself asks for is kept to, up to a whole window.
HOUR_LEAST_S, HOUR_MOST_S, HOUR_LONGEST_S = 0.5, 2.0, 3600.0
# Locks last as long as somebody's transaction (REST_BestPractices.htm): 6 tries in 15.5 s at most.
LOCK_TRIES, LOCK_FIRST_S, LOCK_MOST_S = 6, 0.5, 8.0
# A read does no harm when it is sent again: 5 tries in 30 s at most, then a person should know.
READ_TRIES, READ_FIRST_S, READ_MOST_S = 5, 2.0, 16.0
# A refusal of a read with a text nobody knows may be a hiccup of the server, and rarely is.
UNKNOWN_TRIES = 3


def next_wait(attempt: int, error: CallError, *, rng: random.Random) -> float | None:
    """Seconds until a write is sent again after its `attempt`-th try (from 1) failed; None: give up.

    Only what was refused before commit is sent again. Limits end by themselves and are never given up on.
    """
    if isinstance(error, ThrottledError):
        return _hour_wait(error, rng) if error.kind == "hour" else _threads_wait(attempt, error, rng)
    if isinstance(error, LockedError):
        return _bounded(attempt, LOCK_TRIES, LOCK_FIRST_S, LOCK_MOST_S, rng)
    return None


def next_read_wait(attempt: int, error: CallError, *, rng: random.Random) -> float | None:
    """As `next_wait`, for a read: it is also sent again where nobody knows what happened to it."""
    if isinstance(error, InDoubtError):
        return _bounded(attempt, READ_TRIES, READ_FIRST_S, READ_MOST_S, rng)
    if isinstance(error, RejectedError) and not error.known:
        return _bounded(attempt, UNKNOWN_TRIES, LOCK_FIRST_S, LOCK_MOST_S, rng)
    return next_wait(attempt, error, rng=rng)


def _bounded(attempt: int, tries: int, first_s: float, most_s: float, rng: random.Random) -> float | None:
    return None if attempt >= tries else rng.uniform(0.0, _ceiling(attempt, first_s, most_s))


def _ceiling(attempt: int, first_s: float, most_s: float) -> float:
    doublings = min(attempt - 1, 30)  # further on the power would overflow
    return min(most_s, first_s * 2.0**doublings)


def _threads_wait(attempt: int, error: ThrottledError, rng: random.Random) -> float:
    wait_s = rng.uniform(THREADS_LEAST_S, _ceiling(attempt, THREADS_FIRST_S, THREADS_MOST_S))
    return max(wait_s, min(error.wait_s or 0.0, THREADS_MOST_S))


def _hour_wait(error: ThrottledError, rng: random.Random) -> float:
    return min(error.wait_s or 0.0, HOUR_LONGEST_S) + rng.uniform(HOUR_LEAST_S, HOUR_MOST_S)


class RetryBudget:
    """How many calls of a run may be repetitions: a burst, and one in ten of all calls.

    A server that locks or fails again and again is not helped by a run that doubles its calls. Waiting for
    a limit costs nothing here: those refusals say that the server is well.
    """

    def __init__(self, *, ratio: float = 0.1, burst: int = 100) -> None:
        self._ratio = ratio
        self._burst = burst
        self._calls = 0
        self._spent = 0

    def called(self, calls: int = 1) -> None:
        """So many first attempts were made."""
        self._calls += calls

    def allows(self, error: CallError) -> bool:
        """Whether one more repetition after `error` is within the budget; it is spent then."""
        if isinstance(error, ThrottledError):
            return True
        if self._spent >= self._burst + self._ratio * self._calls:
            return False
        self._spent += 1
        return True
