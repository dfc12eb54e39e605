"""Ctrl-C and SIGTERM during an apply: once, what is in flight finishes; twice, the run ends at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulkops.cli.console import err

if TYPE_CHECKING:
    from bulkops.progress import Stop

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@dataclass(slots=True)
class Stopping:
    """`is_orderly`: the run listens to its Stop by now; before that a signal simply ends it."""

    stop: Stop
    stop_now: Callable[[], object]
    is_orderly: bool = False

    def asked(self, number: int) -> None:
        if not self.is_orderly or self.stop.reason is not None:
            self.stop_now()
        elif err.is_terminal:
            err.print("stopping: what is in flight finishes; Ctrl-C again stops at once")
        self.stop(f"stopped by {SIGNALS[signal.Signals(number)]}")


@contextmanager
def stop_on_signals(stop: Stop, stop_now: Callable[[], object]) -> Iterator[Stopping]:
    """Turns signals into `stop`, and into `stop_now` where that is not enough."""
    stopping = Stopping(stop, stop_now)
    loop = asyncio.get_running_loop()
    previous = {}
    for number in SIGNALS:
        handler = signal.getsignal(number)
        if handler is signal.SIG_IGN:  # whoever started us wants it so, as a shell for the background
            continue
        try:
            loop.add_signal_handler(number, stopping.asked, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda number, _: loop.call_soon_threadsafe(stopping.asked, number))
        previous[number] = handler
    try:
        yield stopping
    finally:
        for number, handler in previous.items():
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, handler)
