"""The command line: one small file a command. Each parses, calls, and chooses the exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from bulkops.cli.app import app, exit_code_of
from bulkops.cli.console import flush, speak_utf8


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code (see `exits`)."""
    # Each command registers itself when its file is read.
    from bulkops.cli import (
        apply,
        demo,
        describe,
        doctor,
        init,
        plan,
        results,
        run,
        show,
        simulate,
        status,
        validate,
    )

    _ = (apply, demo, describe, doctor, init, plan, results, run, show, simulate, status, validate)
    try:
        code = app(args=None if argv is None else list(argv), prog_name="bulkops", standalone_mode=False)
    except BaseException as error:
        code = exit_code_of(error)
    flush()
    return code if isinstance(code, int) else 0


def entry() -> None:
    """The console script. SIGTERM is a Ctrl-C, so that whatever was begun is cleaned up."""
    speak_utf8()
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    sys.exit(main())
