"""Where the command line speaks: results to standard output, everything else to standard error.

Neither may ever end a run: a reader that has gone (`| head`), a terminal that lacks a letter.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from rich.console import Console


class PipeConsole(Console):
    """Falls silent where its reader has gone; the command goes on to its own exit code."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        with suppress(OSError, ValueError):  # so that the last flush of the interpreter finds a reader
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())

    def json(self, value: Any) -> None:
        """One line of JSON, as it is: nothing is coloured, wrapped or shortened."""
        from bulkops.planjson import dump

        if self.quiet:
            return
        try:
            self.file.write(dump(value) + "\n")
        except BrokenPipeError:
            self.on_broken_pipe()


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


def flush() -> None:
    """Now rather than when the interpreter ends, where a reader that has gone makes noise."""
    for console in (out, err):
        try:
            console.file.flush()
        except BrokenPipeError:
            console.on_broken_pipe()
