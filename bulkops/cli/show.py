"""`bulkops show PLAN`: the plan again."""

from __future__ import annotations

from typing import Annotated

import typer

from bulkops.cli.app import app, out
from bulkops.cli.files import PlanArgument, open_plan


@app.command()
def show(
    plan_path: PlanArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one row a line, as JSON.")] = False,
) -> None:
    """Show a plan again, every row of it."""
    from bulkops.render import print_plan
    from bulkops.views import change_json

    plan = open_plan(plan_path)
    if not as_json:
        print_plan(plan, out, most=None)
        return
    for change in plan.changes():
        out.json(change_json(change))
        if out.quiet:  # the reader has seen enough
            break
