"""`bulkops export ENTITY -o FILE`: records to a file that a job can read back. Only reads the tenant."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulkops.cli.app import ConfigOption, app, config_of, err, out, run_async
from bulkops.cli.display import LiveLine

if TYPE_CHECKING:
    from bulkops.export import Exported, Wanted
    from bulkops.job.model import Condition
    from bulkops.tenant import Tenant


@app.command()
def export(
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="Whose records, such as Tasks.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="A .csv, .xlsx, .jsonl or .parquet file.")
    ],
    where: Annotated[
        str | None,
        typer.Option(
            "--where", metavar="JSON", help="Which records: a job's `where`, as JSON. Default: all."
        ),
    ] = None,
    fields: Annotated[
        str | None,
        typer.Option("--fields", metavar="A,B", help="Which fields. Default: all that can be read."),
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option("--job", metavar="JOB", help="Write the job as well that brings the edited file back."),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Whose; needed where there are several.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    config: ConfigOption = None,
) -> None:
    """Write records to a file that a job can read back."""
    from bulkops.export import Wanted
    from bulkops.export.export import check_paths
    from bulkops.render import command
    from bulkops.tenant import load_tenant

    wanted = Wanted(
        entity=entity,
        path=output,
        fields=_names(fields or ""),
        where=_conditions(where) if where is not None else (),
        job=job,
        overwrite=force,
    )
    check_paths(wanted)
    made = run_async(partial(_export, load_tenant(tenant, config_of(config)), wanted))
    for warning in made.warnings:
        err.print(f"Warning: {warning}", markup=False)
    if made.records:
        one = "record was" if made.records == 1 else "records were"
        out.print(f"{made.records:,} {made.entity} {one} written to {output}", markup=False)
    else:
        found = "no record has all that --where asks for" if where else "there is no record"
        out.print(f"{made.entity}: {found}, so {output} holds its header only", markup=False)
    if job is not None:
        out.print(f"Bring it back, once it is edited, with: {command('plan', job)}", markup=False)


async def _export(tenant: Tenant, wanted: Wanted) -> Exported:
    from bulkops.export import export
    from bulkops.targets.autotask import connect

    with LiveLine(err) as line:
        line.say(f"asking {tenant.name} who it is")
        async with connect(tenant) as target:
            return await export(
                target,
                wanted,
                tenant=tenant.name,
                progress=lambda done, of: line.say(f"reading {wanted.entity}: {done:,} of {of:,} records"),
            )


def _names(text: str) -> tuple[str, ...]:
    """Names between commas; one that holds a comma stands in double quotes."""
    (names,) = csv.reader([text], skipinitialspace=True) if text.strip() else ([],)
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _conditions(text: str) -> tuple[Condition, ...]:
    """`--where`, read as a job's `where`. Raises JobError with every fault."""
    from bulkops.export.conditions import read_conditions

    return read_conditions(text, "--where")
