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
from typer.core import TyperGroup

from bulkops import __version__
from bulkops.cli import exits
from bulkops.cli.console import err, out
from bulkops.errors import AccountingError, BulkopsError, JobError, JournalError, LimitError

__all__ = ["app", "err", "out"]

T = TypeVar("T")


class Commands(TyperGroup):
    """Listed in the order in which one uses them."""

    ORDER = ("demo", "init", "doctor", "describe", "export", "validate", "plan", "show", "apply", "run",
             "status", "results", "resolve", "undo", "simulate")  # fmt: skip

    def list_commands(self, ctx: object) -> list[str]:
        places = {name: place for place, name in enumerate(self.ORDER)}
        return sorted(self.commands, key=lambda name: places.get(name, len(places)))


app = typer.Typer(
    name="bulkops",
    cls=Commands,
    help="Plans and applies bulk changes to Autotask PSA: seen first, applied exactly once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

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
            err.print(str(error), markup=False)
            return exits.USAGE
        case typer.TyperException():
            error.show()  # type: ignore[attr-defined]  # what typer raises itself can show itself
            return exits.USAGE
        case KeyboardInterrupt() | typer.Abort():
            err.print("stopped; nothing was written")  # an apply that began ends in good order by itself
            return exits.REFUSED
        case SystemExit():
            return error.code if isinstance(error.code, int) else exits.REFUSED
        case BulkopsError():
            return _say(error)
        case BaseExceptionGroup():
            return _exit_code_of_first(error)
        case _:
            return _confess(error)


def _exit_code_of_first(group: BaseExceptionGroup[BaseException]) -> int:
    """Tasks that fail together fail for one reason; a bug among them is the one to tell."""
    known = (BulkopsError, KeyboardInterrupt, SystemExit, typer.Exit, BaseExceptionGroup)
    bugs = [error for error in group.exceptions if not isinstance(error, known)]
    return exit_code_of([*bugs, *group.exceptions][0])


_UNHARMED = (
    "This is a bug in bulkops. Nothing is lost: a plan and its journal are on disk, and `bulkops apply` "
    "goes on with them. Please report"
)


def _confess(error: BaseException) -> int:
    err.print(f"{_UNHARMED} what follows; it may show values of your data.", style="red")
    err.print("".join(traceback.format_exception(error)), markup=False)
    return exits.BUG


def _say(error: BulkopsError) -> int:
    if isinstance(error, JobError):
        return _say_faults(error)
    err.print(str(error), markup=False)
    if isinstance(error, AccountingError):
        err.print(f"{_UNHARMED} it.", style="red")
        return exits.BUG
    if isinstance(error, LimitError):
        return exits.LIMIT
    return exits.STOPPED if isinstance(error, JournalError) else exits.REFUSED


def _say_faults(error: JobError) -> int:
    from bulkops.render import printable

    n, rows = len(error.faults), error.rows
    lines = [str(fault) for fault in error.faults]
    total = f"{n:,} fault{'' if n == 1 else 's'}"
    if rows is not None and rows.at_fault:
        lines += rows.lines
        total += f", and {rows.at_fault:,} of {rows.read:,} rows at fault"
    for line in lines:
        err.print(printable(line), markup=False)
    err.print(f"{total}; nothing was planned or written.", style="red")
    return exits.REFUSED


def check_may_ask(*, yes: bool) -> None:
    """Off a terminal nobody can be asked: a usage error without --yes, before anything is done."""
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("This writes to the tenant, and there is no terminal to ask on: add --yes")


def ask_to_write(question: str, *, yes: bool) -> bool:
    """Whether to write: asks on a terminal, needs --yes elsewhere (exit code 2)."""
    check_may_ask(yes=yes)
    return yes or bool(typer.confirm(question, default=False, err=True))
