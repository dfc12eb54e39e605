"""`bulkops status PLAN`: where it stands, and why it waits."""

from __future__ import annotations

import orjson

from bulkops.cli.app import JsonOption, app, out
from bulkops.cli.show import PlanArgument


@app.command()
def status(plan_path: PlanArgument, as_json: JsonOption = False) -> None:
    """Says where a plan stands: counts, calls, time, and what a running apply waits for."""
    from bulkops.plan import Plan, PlanState
    from bulkops.render import counts_text, duration, print_endings
    from bulkops.views import status_json

    plan = Plan.open(plan_path)
    now = plan.status()
    if as_json:
        out.file.write(orjson.dumps(status_json(now)).decode() + "\n")
        return
    is_running = now.state is PlanState.RUNNING
    out.print(f"{plan_path}: {now.state}, {counts_text(now.counts)}", markup=False)
    out.print(
        f"{now.calls['read']:,} calls to read, {now.calls['write']:,} to write, {duration(now.elapsed_s)}"
    )
    if now.waiting:
        out.print(f"{'waiting' if is_running else 'stopped'}: {now.waiting}", markup=False)
    if now.counts["held"]:
        print_endings(plan, ("held",), out)
    if now.counts["pending"] and not is_running:
        verb = "Go on" if now.state is PlanState.STOPPED else "Apply it"
        out.print(f"{verb} with: bulkops apply {plan_path}", markup=False)
