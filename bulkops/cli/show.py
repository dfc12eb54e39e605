"""`bulkops show PLAN`: the plan again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from bulkops.cli.app import JsonOption, app, out

PlanArgument = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan file.")]


@app.command()
def show(plan_path: PlanArgument, as_json: JsonOption = False) -> None:
    """Prints a plan again, every row of it; --json prints one row a line."""
    from bulkops.plan import Plan
    from bulkops.render import print_plan
    from bulkops.views import change_json

    plan = Plan.open(plan_path)
    if not as_json:
        print_plan(plan, out, most=None)
        return
    for change in plan.changes():
        out.file.write(orjson.dumps(change_json(change)).decode() + "\n")
