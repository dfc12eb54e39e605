"""Where the command line speaks: results to standard output, everything else to standard error.

Neither may ever end a run: a reader that has gone (`| head`), a full disk, a terminal that lacks a letter.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

from rich.console import Console


class PipeConsole(Console):
    """Falls silent where nobody reads or nothing can be written; the command goes on to its own end."""

    failure: OSError | None = None  # why nothing more could be written, unless a reader had simply gone

    def print(self, *objects: Any, **how: Any) -> None:
        try:
            super().print(*objects, **how)
        except OSError as error:
            self.give_up(error)

    def json(self, value: Any) -> None:
        """One line of JSON, as it is: nothing is coloured, wrapped or shortened."""
        from bulkops.plan.encoding import dump

        if self.quiet:
            return
        try:
            self.file.write(dump(value) + "\n")
        except OSError as error:
            self.give_up(error)

    def pieces(self, texts: Iterable[str]) -> None:
        """Text as it is, bit by bit: what would be too large to hold at once."""
        for text in texts:
            if self.quiet:
                return
            try:
                self.file.write(text)
            except OSError as error:
                self.give_up(error)

    def flush(self) -> None:
        """Now rather than when the interpreter ends, where a reader that has gone makes noise."""
        try:
            self.file.flush()
        except OSError as error:
            self.give_up(error)

    def on_broken_pipe(self) -> None:
        self.give_up(BrokenPipeError())

    def give_up(self, error: OSError) -> None:
        self.quiet = True
        if not isinstance(error, BrokenPipeError):
            self.failure = error
        with suppress(OSError, ValueError):  # so that the last flush of the interpreter succeeds
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


out = PipeConsole(soft_wrap=True, highlight=False)
err = PipeConsole(stderr=True, soft_wrap=True, highlight=False)


def speak_utf8() -> None:
    """Pipes get UTF-8 on every system; terminals keep their encoding, and what it lacks is escaped."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # something else stands there, as in tests
            _make_safe(stream)


def _make_safe(stream: TextIO) -> None:
    encoding = None if stream.isatty() else "utf-8"
    stream.reconfigure(encoding=encoding, errors="backslashreplace")  # type: ignore[attr-defined]
