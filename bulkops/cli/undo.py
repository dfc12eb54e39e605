"""`bulkops undo PLAN`: writes the plan that takes back what was applied, and says what cannot be."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulkops.cli import exits
from bulkops.cli.app import ConfigOption, JsonOption, app, config_of, err, out, run_async
from bulkops.cli.apply import tenant_of
from bulkops.cli.display import LiveLine
from bulkops.cli.files import PlanArgument, open_plan

if TYPE_CHECKING:
    from bulkops.plan import Plan
    from bulkops.tenant import Tenant


@app.command()
def undo(
    plan_path: PlanArgument,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The reverse plan; default: NAME.undo.plan."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> int:
    """Plan the way back of what was applied.

    Records are restored, deleted or set inactive by applying that plan; making it only reads. What cannot be
    taken back is named.
    """
    from bulkops.render import print_plan, written_text
    from bulkops.views import plan_json

    plan = open_plan(plan_path)
    path = output or plan_path.with_name(f"{plan_path.stem}.undo.plan")
    made = run_async(partial(make_undo, plan, path, tenant_of(plan, config_of(config), None)))
    if as_json:
        out.json(plan_json(made.header, made.path, made.sha256))
    else:
        print_plan(made, out)
        out.print(written_text(made), markup=False)
    return exits.DONE


async def make_undo(plan: Plan, path: Path, tenant: Tenant) -> Plan:
    """Plans the way back with the tenant that the plan was made for."""
    from bulkops.plan import check_overwrite
    from bulkops.targets.autotask import connect
    from bulkops.undo import build_undo

    check_overwrite(path)
    with LiveLine(err) as line:
        line.say(f"asking {tenant.name} who it is")
        async with connect(tenant) as target:
            return await build_undo(plan, target, path)
