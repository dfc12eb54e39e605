"""The files that commands take: a job where a plan is wanted, or a plan where a job is, is told at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulkops.errors import RefusedError

if TYPE_CHECKING:
    from bulkops.plan import Plan

_SQLITE = b"SQLite format 3\0"  # how a plan file begins
_JOBS = (".yaml", ".yml")


PlanArgument = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan file.")]
JobArgument = Annotated[Path, typer.Argument(metavar="JOB", help="The job file.")]


def open_plan(path: Path) -> Plan:
    """The plan in `path`. Raises RefusedError where it cannot be opened, with the command that makes one."""
    from bulkops.plan import Plan
    from bulkops.render import command
    from bulkops.wording import did_you_mean

    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:
        raise RefusedError(f"{path} cannot be read: {error.strerror}") from error
    if is_folder:
        raise RefusedError(f"{path} is a folder. Name the plan file in it")
    if not is_there:
        near = did_you_mean(path.name, _plans_beside(path))
        hint = near or "A plan is made with: bulkops plan JOB"
        raise RefusedError(f"{path}: there is no such plan file. {hint}")
    if path.suffix.lower() in _JOBS and not _is_sqlite(path):
        raise RefusedError(f"{path} is not a plan file but a job. Plan it first: {command('plan', path)}")
    return Plan.open(path)


def must_be_job(path: Path) -> None:
    """RefusedError where it is a plan, with the command that applies it."""
    from bulkops.render import command

    if _is_sqlite(path):
        raise RefusedError(f"{path} is not a job but a plan. Apply it with: {command('apply', path)}")


def _plans_beside(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir() if entry.suffix == ".plan"]
    except OSError:
        return []


def _is_sqlite(path: Path) -> bool:
    """Asked before anything else opens the file: closing a second descriptor would drop SQLite's locks."""
    try:
        if not path.is_file():  # what is read from a pipe is gone
            return False
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False
