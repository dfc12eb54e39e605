"""`python -m bulkops.simulator` and `bulkops simulate`: one JSON line, then requests until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from bulkops.simulator.loading import LoadError
from bulkops.simulator.options import HelpShown, Options, OptionsError, parse
from bulkops.simulator.server import Running, running

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until a signal (0), or says in a sentence why not: options (2), a file or the address (1)."""
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
    except HelpShown:
        return 0
    except OptionsError as exc:
        return _refuse(f"{exc} (--help shows the options)", 2)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(options))
    except LoadError as exc:
        return _refuse(str(exc), 1)
    except KeyboardInterrupt:  # where no handler could be set
        return 0
    return 0


async def serve(options: Options) -> None:
    """Listens, says so, and waits for a signal."""
    ended = asyncio.Event()
    _on_signal(ended.set)
    async with running(options) as simulator:
        _announce(simulator)
        await ended.wait()


def _announce(simulator: Running) -> None:
    line = orjson.dumps({"url": simulator.url, "control": simulator.control}).decode()
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _refuse(sentence: str, code: int) -> int:
    sys.stderr.write(f"bulkops simulate: {sentence}\n")
    return code


def _on_signal(end: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        try:
            loop.add_signal_handler(number, end)
        except NotImplementedError:  # Windows
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(end))


def _loop_factory() -> Callable[[], Any] | None:
    """The faster loop, where it installs."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
