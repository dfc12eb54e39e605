"""`bulkops run JOB`: plan, ask, apply."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bulkops.cli import exits
from bulkops.cli.app import ConfigOption, YesOption, app, ask_to_write, config_of, err, out, run_async
from bulkops.cli.apply import code_of, question, run_plan, tell, tenant_of
from bulkops.cli.jobs import SourceOption, sources_of
from bulkops.cli.plan import make_plan


@app.command()
def run(
    job_path: Annotated[Path, typer.Argument(metavar="JOB", help="The job file.")],
    yes: YesOption = False,
    source: SourceOption = None,
    config: ConfigOption = None,
) -> int:
    """Plans a job, shows the plan, asks, and applies it."""
    from bulkops.render import print_plan

    plan = run_async(partial(make_plan, job_path, None, sources_of(source), config_of(config)))
    print_plan(plan, out)
    if not plan.progress()["pending"]:
        out.print("Nothing to write.")
        return exits.WITH_ERRORS if plan.header.counts["rejected"] else exits.DONE
    if not ask_to_write(question(plan), yes=yes):
        err.print(f"nothing was written; the plan is kept: bulkops apply {plan.path}", markup=False)
        return exits.REFUSED
    tenant = tenant_of(plan, config_of(config), None)
    now = run_async(partial(run_plan, plan, tenant))
    tell(plan, now, as_json=False)
    return code_of(now)
