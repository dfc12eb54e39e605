"""Virtual time: an event loop whose clock jumps to the next timer, for tests of what waits."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest

Story: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]


class _Jump(selectors.SelectSelector):
    """Nothing arrives from outside, so the time to the next timer is over at once. A turn takes 1 µs."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits and nobody will ever wake them"
        self.now += max(timeout, 1e-6)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`timers` counts the timers that were ever set."""

    def __init__(self) -> None:
        self._jump = _Jump()
        self.timers = 0
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now

    def call_at(self, when: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        self.timers += 1
        return super().call_at(when, *args, **kwargs)


@pytest.fixture
def virtual() -> Callable[[Story], Any]:
    """Runs a coroutine function in virtual time, which begins at 0. Returns what it returns."""

    def run(story: Story) -> Any:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(story())

    return run
