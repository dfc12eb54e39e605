"""What `plan`, `run` and `validate` share: the options that name a job's sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bulkops.cli.app import UsageError

SourceOption = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="STEP=FILE", help="Read a step's rows from another file."),
]


def sources_of(options: list[str] | None) -> dict[str, Path]:
    """`["tasks=fixed.csv"]` as a mapping. Raises a usage error on anything else."""
    sources: dict[str, Path] = {}
    for option in options or ():
        step, equals, file = option.partition("=")
        if not (step and equals and file):
            raise UsageError(f"--source takes STEP=FILE, not {option!r}")
        sources[step] = Path(file)
    return sources
