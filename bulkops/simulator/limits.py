"""The two limits of the service: requests in a rolling window, and threads per integration code and entity.

REST_Thresholds_Limits.htm (10,000 an hour over all integrations, slower from 50 % and from 75 %) and
ThreadLimiting.htm (three at a time per tracking identifier and endpoint; live reports: a slot is free again
only a moment after its answer). Neither waits nor sends: both only decide.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

UNLIMITED = 2**31 - 1

Clock: TypeAlias = Callable[[], float]


class Rolling:
    """How many requests were made within the last `span` seconds; times must not fall."""

    __slots__ = ("_head", "_later", "_span", "_times")

    def __init__(self, span: float) -> None:
        self._span = span
        self._times = array("d")  # eight bytes a request: an hour at full speed is ten million
        self._head = 0
        self._later: deque[tuple[float, int]] = deque()  # many at one moment

    def add(self, now: float) -> None:
        self._times.append(now)

    def add_many(self, now: float, count: int) -> None:
        self._later.append((now, count))

    def count(self, now: float) -> int:
        oldest = now - self._span
        times, head = self._times, self._head
        while head < len(times) and times[head] <= oldest:
            head += 1
        if head > 100_000 and head * 2 > len(times):
            del times[:head]
            head = 0
        self._head = head
        while self._later and self._later[0][0] <= oldest:
            self._later.popleft()
        return len(times) - head + sum(count for _, count in self._later)


class Window:
    """The hourly threshold. `threshold` 0 means none."""

    def __init__(self, *, threshold: int, window_s: float, clock: Clock) -> None:
        self.threshold = threshold or UNLIMITED
        self.window_s = window_s
        self.busiest = 0  # admitted requests, others' included, in the fullest window so far
        self.busiest_own = 0
        self._clock = clock
        self._own = Rolling(window_s)
        self._others = Rolling(window_s)
        self._refused = Rolling(window_s)

    def used(self) -> int:
        """What the service counts against the threshold now."""
        now = self._clock()
        return self._own.count(now) + self._others.count(now) + self._refused.count(now)

    def share(self) -> float:
        return self.used() / self.threshold

    def admit(self) -> None:
        now = self._clock()
        self._own.add(now)
        self._note(now)

    def refuse(self) -> None:
        """A refused request that counts all the same."""
        self._refused.add(self._clock())

    def others(self, count: int) -> None:
        """Somebody else's integration made `count` requests just now."""
        now = self._clock()
        self._others.add_many(now, count)
        self._note(now)

    def minutes(self) -> int:
        """The window as ThresholdInformation reports it."""
        return max(1, round(self.window_s / 60))

    def _note(self, now: float) -> None:
        own = self._own.count(now)
        self.busiest_own = max(self.busiest_own, own)
        self.busiest = max(self.busiest, own + self._others.count(now))


@dataclass(slots=True)
class _Slots:
    active: int = 0
    leaving: deque[float] = field(default_factory=deque)  # when answered slots become free


ThreadKey: TypeAlias = tuple[str, str]  # integration code, endpoint


class Threads:
    """Who is in flight. `limit` 0 means none; a slot is free `release_s` after its answer."""

    def __init__(self, *, limit: int, release_s: float, clock: Clock) -> None:
        self.limit = limit or UNLIMITED
        self.release_s = release_s
        self._clock = clock
        self._slots: dict[ThreadKey, _Slots] = {}

    def enter(self, keys: Sequence[ThreadKey]) -> bool:
        """Takes a slot of every key, or none and answers False."""
        now = self._clock()
        slots = [self._of(key, now) for key in keys]
        if any(slot.active + len(slot.leaving) >= self.limit for slot in slots):
            return False
        for slot in slots:
            slot.active += 1
        return True

    def force(self, keys: Sequence[ThreadKey]) -> None:
        """Takes a slot of every key although none may be free."""
        for key in keys:
            self._of(key, self._clock()).active += 1

    def leave(self, keys: Sequence[ThreadKey]) -> None:
        """The answer is on its way; the slots are free a little later."""
        now = self._clock()
        for key in keys:
            slot = self._slots[key]
            slot.active -= 1
            if self.release_s > 0:
                slot.leaving.append(now + self.release_s)

    def _of(self, key: ThreadKey, now: float) -> _Slots:
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = _Slots()
        while slot.leaving and slot.leaving[0] <= now:
            slot.leaving.popleft()
        return slot


class Uploads:
    """Attachment bytes within five minutes (AttachmentInfoEntity.htm: 10,000,000; a file up to 6 to 7 MB)."""

    MAX_FILE = 7_000_000
    MAX_BYTES = 10_000_000
    SPAN = 300.0

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._rolling = Rolling(self.SPAN)

    def refuse(self, size: int) -> str | None:
        """The error text, or None where the file may be kept."""
        if size > self.MAX_FILE:
            return "The attachment exceeds the maximum file size of 7 MB."
        if self._rolling.count(self._clock()) + size > self.MAX_BYTES:
            return "The attachment limit of 10,000,000 bytes in five minutes has been exceeded."
        return None

    def add(self, size: int) -> None:
        self._rolling.add_many(self._clock(), size)
