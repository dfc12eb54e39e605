"""`bulkops plan JOB`: reads, resolves, diffs, writes the plan file, prints what would happen."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulkops.cli import exits
from bulkops.cli.app import ConfigOption, JsonOption, app, config_of, err, out, run_async
from bulkops.cli.display import LiveLine
from bulkops.cli.files import JobArgument, must_be_job
from bulkops.cli.jobs import SourceOption, sources_of
from bulkops.errors import TenantError

if TYPE_CHECKING:
    from bulkops.plan import Plan


@app.command()
def plan(
    job_path: JobArgument,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The plan file; default: NAME.plan.")
    ] = None,
    source: SourceOption = None,
    as_json: JsonOption = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 3 when there are changes.")
    ] = False,
    config: ConfigOption = None,
) -> int:
    """Show what a job would change, field by field. Only reads."""
    from bulkops.render import print_plan, written_text
    from bulkops.views import plan_json

    made = run_async(partial(make_plan, job_path, output, sources_of(source), config_of(config)))
    if as_json:
        out.json(plan_json(made.header, made.path, made.sha256))
    else:
        print_plan(made, out)
        out.print(written_text(made), markup=False)
    return exits.CHANGES if detailed_exitcode and made.has_changes else exits.DONE


async def make_plan(
    job_path: Path, output: Path | None, sources: dict[str, Path], config: Path | None
) -> Plan:
    """Plans a job with the tenant that it names, into `output` or NAME.plan in the current folder."""
    from bulkops.job import load_job
    from bulkops.plan import check_overwrite
    from bulkops.planner.build import build_plan
    from bulkops.targets.autotask import connect
    from bulkops.tenant import load_tenant
    from bulkops.validate import told_with

    must_be_job(job_path)
    job = load_job(job_path, sources=sources, keep_faults=True)
    path = output or Path(f"{job.name}.plan")
    check_overwrite(path)
    try:
        tenant = load_tenant(job.tenant, config)
        with LiveLine(err) as line:
            line.say(f"asking {tenant.name} who it is")
            async with connect(tenant) as target:
                return await build_plan(job, target, path, url=tenant.url or "", progress=line.planning)
    except TenantError as error:
        if (told := await told_with(job, error)) is not error:
            raise told from error
        raise
