"""What every command shares: the options of the program, the consoles, errors as sentences and exit codes."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import anyio
import typer
from rich.console import Console

from bulkops import __version__
from bulkops.cli import exits
from bulkops.errors import BulkopsError, JobError, JournalError, LimitError

T = TypeVar("T")

app = typer.Typer(
    name="bulkops",
    help="Plans and applies bulk changes to Autotask PSA: seen first, applied exactly once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="The tenants file; default: BULKOPS_CONFIG, then ./bulkops.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print only JSON on standard output.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Write without asking.")]


class UsageError(Exception):
    """The command was called wrongly: exit code 2."""


class State:
    """What the program's own options set, before a command runs."""

    config: Path | None = None


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"bulkops {__version__}")
        raise typer.Exit()


@app.callback()
def _program(
    config: ConfigOption = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what happens to standard error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    State.config = config
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def config_of(option: Path | None) -> Path | None:
    """The tenants file asked for on the command line: the command's own option first."""
    return option or State.config


def run_async(work: Callable[[], Awaitable[T]]) -> T:
    """Runs the command's coroutine, on uvloop where it installs."""
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return anyio.run(work)
    return anyio.run(work, backend_options={"use_uvloop": True})


def exit_code_of(error: BaseException) -> int:
    """Says what went wrong on standard error and returns the exit code for it."""
    match error:
        case typer.Exit():
            return error.exit_code
        case UsageError():
            err.print(f"Usage: {error}", markup=False)
            return exits.USAGE
        case typer.TyperException():
            error.show()  # type: ignore[attr-defined]  # what typer raises itself can show itself
            return exits.USAGE
        case KeyboardInterrupt() | typer.Abort():
            err.print("stopped")
            return exits.REFUSED
        case SystemExit():
            return error.code if isinstance(error.code, int) else exits.REFUSED
        case BulkopsError():
            return _say(error)
        case BaseExceptionGroup() if len(error.exceptions) == 1:
            return exit_code_of(error.exceptions[0])
        case _:
            err.print(
                "This is a bug in bulkops. Nothing is lost: the plan and its journal are on disk.",
                style="red",
            )
            err.print("".join(traceback.format_exception(error)), markup=False)
            return exits.BUG


def _say(error: BulkopsError) -> int:
    if isinstance(error, JobError):
        for fault in error.faults:
            err.print(str(fault), markup=False)
        n = len(error.faults)
        err.print(f"{n} fault{'' if n == 1 else 's'}; nothing was planned or written.", style="red")
        return exits.REFUSED
    err.print(str(error), markup=False)
    if isinstance(error, LimitError):
        return exits.LIMIT
    return exits.STOPPED if isinstance(error, JournalError) else exits.REFUSED


def ask_to_write(question: str, *, yes: bool) -> bool:
    """Whether to write: asks on a terminal, needs --yes elsewhere (exit code 2)."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("this writes to the tenant: add --yes when it does not run on a terminal")
    return bool(typer.confirm(question, default=False, err=True))
