"""The command line: one small file a command. Each parses, calls, and chooses the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bulkops.cli.app import app, exit_code_of


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code (see `exits`)."""
    # Each command registers itself when its file is read.
    from bulkops.cli import apply, demo, describe, plan, results, run, show, simulate, status, validate

    _ = (apply, demo, describe, plan, results, run, show, simulate, status, validate)
    try:
        code = app(args=None if argv is None else list(argv), prog_name="bulkops", standalone_mode=False)
    except BaseException as error:
        return exit_code_of(error)
    return code if isinstance(code, int) else 0


def entry() -> None:
    """The console script."""
    sys.exit(main())
