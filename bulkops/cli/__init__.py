"""The command line: one small file a command. Each parses, calls, and chooses the exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from bulkops.cli import exits
from bulkops.cli.app import app, exit_code_of
from bulkops.cli.console import err, out, speak_utf8

TYPERS_CTRL_C = 130  # what typer makes of a KeyboardInterrupt, without a word


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code (see `exits`)."""
    # Each command registers itself when its file is read.
    from bulkops.cli import (
        apply,
        demo,
        describe,
        doctor,
        export,
        init,
        plan,
        resolve,
        results,
        run,
        show,
        simulate,
        status,
        undo,
        validate,
    )

    _ = (
        apply,
        demo,
        describe,
        doctor,
        export,
        init,
        plan,
        resolve,
        results,
        run,
        show,
        simulate,
        status,
        undo,
        validate,
    )
    try:
        code = app(args=None if argv is None else list(argv), prog_name="bulkops", standalone_mode=False)
    except BaseException as error:
        code = exit_code_of(error)
    if code == TYPERS_CTRL_C:
        code = exit_code_of(KeyboardInterrupt())
    return _told(code if isinstance(code, int) else exits.DONE)


def _told(code: int) -> int:
    """The exit code, unless all went well but could not be said where it was to be said."""
    out.flush()
    if out.failure is not None:
        err.print(f"standard output cannot be written: {out.failure.strerror}", markup=False)
        code = code or exits.REFUSED
    err.flush()
    return code


def entry() -> None:
    """The console script. SIGTERM is a Ctrl-C, so that whatever was begun is cleaned up."""
    speak_utf8()
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())


def _interrupt(*_: object) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)
