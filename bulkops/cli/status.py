"""`bulkops status PLAN`: where it stands, and why it waits."""

from __future__ import annotations

from bulkops.cli.app import JsonOption, app, out
from bulkops.cli.files import PlanArgument, open_plan


@app.command()
def status(plan_path: PlanArgument, as_json: JsonOption = False) -> None:
    """Say where a plan stands, and what a running apply waits for."""
    from bulkops.kept import kept_text
    from bulkops.plan import PlanState
    from bulkops.render import command, printable
    from bulkops.report.held import print_held
    from bulkops.report.summary import counts_text, short_text, usage_text, why_stopped
    from bulkops.views import status_json

    plan = open_plan(plan_path)
    now = plan.status()
    if as_json:
        out.json(status_json(now))
        return
    is_running = now.state is PlanState.RUNNING
    out.print(f"{plan_path}: {now.state}, {counts_text(now.counts)}", markup=False)
    if len(now.steps) > 1:
        for one in now.steps:
            out.print(printable(f"  {one.entity} ({one.step}): {short_text(one.counts)}"), markup=False)
    out.print(usage_text(now))
    if now.waiting and now.state is not PlanState.FINISHED:
        told = f"waiting: {now.waiting}" if is_running else why_stopped(now.waiting)
        out.print(printable(told), markup=False)
    print_held(plan, out)
    if told := kept_text(plan):
        out.print(told, markup=False)
    if now.counts["pending"] and not is_running:
        verb = "Go on" if now.state is PlanState.STOPPED else "Apply it"
        out.print(f"{verb} with: {command('apply', plan_path)}", markup=False)
