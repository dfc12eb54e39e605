"""`bulkops init DIR`: a folder to begin with: tenants file, job, data and README, which run at once."""

from __future__ import annotations

import importlib.resources
import os
import shlex
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from bulkops.cli.app import app, out
from bulkops.errors import RefusedError

CONFIG, JOB, README = "bulkops.toml", "migration.yaml", "README.md"
DATA = ("companies.csv", "contacts.csv", "projects.xlsx")
FILES = (CONFIG, JOB, *DATA, README)
PRIVATE = 0o600  # secrets will stand in it, or where they are kept
PORT = 8765  # the one that the tenants file names

STEPS = """\
Made in {folder}:
  {config:<16}the tenants: a simulated one for practice, your own as a comment
  {job:<16}the job: five steps from companies to tasks, every key explained
  {data}
  {readme:<16}what to do with them

Next, in a terminal of its own, a tenant to practise on:
  bulkops simulate --port {port}
and in another one:
  cd {quoted}
  bulkops doctor
  bulkops plan {job}
  bulkops apply migration.plan
  bulkops plan {job}"""


@app.command()
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder; it is made where it is not there.")
    ],
) -> None:
    """Make a folder with a small migration that runs at once."""
    _refuse_overwriting(folder)
    _write(folder)
    out.print(
        STEPS.format(
            folder=folder,
            config=CONFIG,
            job=JOB,
            data=", ".join(DATA),
            readme=README,
            port=PORT,
            quoted=_quoted(folder),
        ),
        markup=False,
    )
    if other := os.environ.get("BULKOPS_CONFIG"):
        out.print(f"First unset BULKOPS_CONFIG: it names {other} as the tenants file.", markup=False)


def _refuse_overwriting(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise RefusedError(f"{folder} is a file. Name a folder")
    there = [str(folder / name) for name in FILES if os.path.lexists(folder / name)]
    if there:
        verb = "exists" if len(there) == 1 else "exist"
        raise RefusedError(f"{', '.join(there)} {verb} already. Nothing was written: name another folder")


def _write(folder: Path) -> None:
    """All of the files or, where one cannot be written, none."""
    starter = importlib.resources.files("bulkops").joinpath("starter")
    made: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            path = folder / name
            mode = PRIVATE if name == CONFIG else 0o666
            descriptor = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode
            )
            made.append(path)
            with os.fdopen(descriptor, "wb") as file:
                file.write(starter.joinpath(name).read_bytes())
    except OSError as error:
        for path in made:
            path.unlink(missing_ok=True)
        raise RefusedError(f"{error.filename or folder} cannot be written: {error.strerror}") from error


def _quoted(folder: Path) -> str:
    return subprocess.list2cmdline([str(folder)]) if os.name == "nt" else shlex.quote(str(folder))
