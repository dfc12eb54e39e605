"""What a running apply says of itself, and what it is asked to do. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a running apply stands, for a display."""

    counts: Mapping[str, int]
    rows: int
    in_doubt: int
    elapsed_s: float  # this run
    settled: int  # in this run
    granted: int
    used: int
    waiting: str | None


class OnDrift(StrEnum):
    """What to do about a record that somebody changed since the plan."""

    HOLD = "hold"
    OVERWRITE = "overwrite"
    STOP = "stop"


@dataclass
class Stop:
    """Asks a running apply to end: what is in flight finishes, nothing new is sent."""

    reason: str | None = None
    _listeners: list[Callable[[], None]] = field(default_factory=list)

    def __call__(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
            for listener in self._listeners:
                listener()

    def listen(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)
        if self.reason is not None:
            listener()
