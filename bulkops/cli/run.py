"""`bulkops run JOB`: plan, ask, apply."""

from __future__ import annotations

from functools import partial

from bulkops.cli import exits
from bulkops.cli.app import (
    ConfigOption,
    YesOption,
    app,
    ask_to_write,
    check_may_ask,
    config_of,
    err,
    out,
    run_async,
)
from bulkops.cli.apply import (
    AllowOption,
    DriftOption,
    allowed,
    check_kinds,
    code_of,
    question,
    run_plan,
    tell,
    tell_overwritten,
    tenant_of,
)
from bulkops.cli.files import JobArgument
from bulkops.cli.jobs import SourceOption, sources_of
from bulkops.cli.plan import make_plan
from bulkops.progress import OnDrift


@app.command()
def run(
    job_path: JobArgument,
    yes: YesOption = False,
    allow: AllowOption = None,
    source: SourceOption = None,
    on_drift: DriftOption = OnDrift.HOLD,
    config: ConfigOption = None,
) -> int:
    """Plan a job, ask, and apply it."""
    from bulkops.render import command, print_plan

    released = allowed(allow)
    check_may_ask(yes=yes)
    plan = run_async(partial(make_plan, job_path, None, sources_of(source), config_of(config)))
    check_kinds(plan, released)
    print_plan(plan, out)
    out.print()
    if not plan.progress()["pending"]:
        out.print("There is nothing to write.")
        return exits.WITH_ERRORS if plan.header.counts["rejected"] else exits.DONE
    if not ask_to_write(question(plan), yes=yes):
        err.print(f"nothing was written; the plan is kept: {command('apply', plan.path)}", markup=False)
        return exits.REFUSED
    now = run_async(
        partial(run_plan, plan, tenant_of(plan, config_of(config), None), allow=released, on_drift=on_drift)
    )
    tell(plan, now, as_json=False)
    if on_drift is OnDrift.OVERWRITE:
        tell_overwritten(plan, now)
    return code_of(now)
