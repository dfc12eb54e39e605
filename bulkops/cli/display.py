"""Live lines on standard error: one that changes on a terminal, one now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

EVERY_S = 10.0  # between two lines where the output is no terminal


class LiveLine:
    """A line that says what is going on. Quiet off a terminal for the first ten seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = (
            Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        )
        self._said_at = time.monotonic()

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
        elif time.monotonic() - self._said_at >= EVERY_S:
            self._said_at = time.monotonic()
            self._console.print(line, markup=False)

    def planning(self, step: str, rows: int) -> None:
        """For the planner's progress: rows read so far of a step."""
        self.say(f"planning {step}: {rows:,} rows")
