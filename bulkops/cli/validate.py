"""`bulkops validate JOB`: offline, every fault of the job, its sources and its rows at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bulkops.cli import exits
from bulkops.cli.app import app, out, run_async
from bulkops.cli.jobs import SourceOption, sources_of


@app.command()
def validate(
    job_path: Annotated[Path, typer.Argument(metavar="JOB", help="The job file.")],
    source: SourceOption = None,
) -> int:
    """Check a job offline: its file, its sources, every row."""
    from bulkops.job import load_job
    from bulkops.planner.linkcheck import reference_faults
    from bulkops.render import printable
    from bulkops.validate import validate_job

    job = load_job(job_path, sources=sources_of(source))
    rows = 0
    faulty: set[str] = set()
    steps = run_async(partial(validate_job, job))
    for checked in steps:
        ready = checked.ready
        written = f", {ready.source.dialect}" if ready.source.dialect else ""
        out.print(f"step {ready.step.name}: {ready.source.display}{written}", markup=False)
        for warning in ready.source.warnings:
            out.print(f"  Warning: {warning}", markup=False)
        for fault in checked.row_faults():
            faulty.add(fault.where)
            out.print(printable(f"  {fault}"), markup=False)
        rows += sum(1 for _ in ready.source.rows())
    for fault in reference_faults([checked.ready for checked in steps]):
        faulty.add(fault.where)
        out.print(printable(f"  {fault}"), markup=False)
    out.print(f"{job_path} is valid; {rows - len(faulty):,} of {rows:,} rows can be planned.", markup=False)
    out.print("What only the tenant knows (its picklists, its records) is checked by `bulkops plan`.")
    return exits.WITH_ERRORS if faulty else exits.DONE
