"""Live lines on standard error: one that changes on a terminal, one now and then elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from bulkops.plan import Plan
    from bulkops.progress import Progress

EVERY_S = 10.0  # between two lines where the output is no terminal
RECENT_S = 10.0  # what the rate is taken from: a wait an hour ago says nothing about now


class LiveLine:
    """A line that says what is going on. Quiet off a terminal for the first ten seconds."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._live = (
            Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        )
        self._said_at = self._clock()

    def __enter__(self) -> LiveLine:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        if self._live:
            self._live.update(Text(line, overflow="ellipsis", no_wrap=True))
        elif self._clock() - self._said_at >= EVERY_S:
            self._said_at = self._clock()
            self._console.print(line, markup=False)

    def planning(self, step: str, rows: int) -> None:
        """For the planner's progress: rows read so far of a step."""
        self.say(f"planning {step}: {rows:,} rows")

    def checking(self, step: str, rows: int) -> None:
        """The same where rows are only looked at."""
        self.say(f"checking {step}: {rows:,} rows")


class Pace:
    """How fast a run is now, from what it has told in the last seconds, and how long it will take."""

    def __init__(self, at_start: Mapping[str, int], *, planned_s: float) -> None:
        """`planned_s`: seconds a row as the plan reckoned, the waits for the tenant's window included."""
        self._at_start = dict(at_start)
        self._planned_s = planned_s
        self._seen: deque[tuple[float, int]] = deque([(0.0, 0)])  # seconds of this run, rows settled

    @classmethod
    def of(cls, plan: Plan, share: float) -> Pace:
        header = plan.header
        estimates = {float(of_share): seconds for of_share, seconds in header.estimate_s.items()}
        nearest = min(estimates, key=lambda of_share: abs(of_share - share), default=None)
        seconds = 0.0 if nearest is None else estimates[nearest]
        return cls(plan.progress(), planned_s=seconds / max(1, header.calls_write))

    def text(self, progress: Progress) -> str:
        """The line for `progress`."""
        from bulkops.render import progress_text

        rate = self._rate(progress)
        left = self._at_start["pending"] - progress.settled
        left_s = left / rate if rate and left else None
        if left_s is not None and left > progress.granted - progress.used:  # it will wait for the window
            left_s = max(left_s, left * self._planned_s)
        return progress_text(progress, at_start=self._at_start, rate=rate, left_s=left_s)

    def _rate(self, progress: Progress) -> float:
        seen, now = self._seen, progress.elapsed_s
        seen.append((now, progress.settled))
        while len(seen) > 2 and seen[1][0] <= now - RECENT_S:
            seen.popleft()
        since, before = seen[0]
        return (progress.settled - before) / (now - since) if now - since >= 0.5 else 0.0
