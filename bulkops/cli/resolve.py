"""`bulkops resolve PLAN --row N (--created ID | --not-created)`: settles a held row by hand."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulkops.cli.app import ConfigOption, UsageError, app, config_of, err, out, run_async
from bulkops.cli.files import PlanArgument, open_plan

if TYPE_CHECKING:
    from bulkops.change import Change
    from bulkops.journal.hand import Resolved
    from bulkops.plan import Plan


@app.command()
def resolve(
    plan_path: PlanArgument,
    row: Annotated[
        int, typer.Option("--row", metavar="N", help="The row, by its number: bulkops_row in held.csv.")
    ],
    created: Annotated[
        int | None, typer.Option("--created", metavar="ID", min=1, help="It was created: the record's id.")
    ] = None,
    not_created: Annotated[
        bool, typer.Option("--not-created", help="It was not created: it is pending again.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Settle a held row by hand, once you know what became of it.

    The record named with --created is compared with the row, where the tenant can be reached. Rows that were
    held only because they needed this one are pending again.
    """
    from bulkops.errors import PlanError
    from bulkops.journal.hand import held_fate
    from bulkops.kept import kept_text

    if (created is None) is not not_created:
        raise UsageError("Say what became of it: --created ID, or --not-created")
    plan = open_plan(plan_path)
    try:
        change = held_fate(plan, row, created=created).change
    except PlanError as error:
        if told := kept_text(plan):
            raise PlanError(f"{error}. {told}") from error
        raise
    _tell(plan, run_async(partial(_resolve, plan, change, created, config_of(config))), created)


async def _resolve(plan: Plan, change: Change, created: int | None, config: Path | None) -> Resolved:
    from bulkops.errors import JournalError, RefusedError
    from bulkops.journal.hand import resolve

    if created is not None:
        await _check(plan, change, created, config)
    try:
        return await resolve(plan.path, change.n, created=created)
    except JournalError as error:
        raise RefusedError(str(error)) from error


async def _check(plan: Plan, change: Change, created: int, config: Path | None) -> None:
    """PlanError where the record is not the row's. One that cannot be read is believed, and that is said."""
    from bulkops.byhand import check_record
    from bulkops.errors import CallError, PlanError, RefusedError
    from bulkops.targets.autotask import connect
    from bulkops.tenant import load_tenant

    try:
        async with connect(load_tenant(plan.header.tenant, config)) as target:
            told = await check_record(plan, change, created, target)
    except PlanError:
        raise
    except (CallError, RefusedError) as error:
        told = f"{change.entity} {created} could not be looked at, and is taken as you say: {error}"
    if told:
        err.print(told, style="yellow", markup=False)


def _tell(plan: Plan, resolved: Resolved, created: int | None) -> None:
    from bulkops.render import command
    from bulkops.wording import counted

    change, released = resolved.change, resolved.released
    now = "pending again" if created is None else f"applied, as {change.entity} {created}"
    out.print(f"row {change.n} ({change.place}) is {now}", markup=False)
    if released:
        verb = "is" if len(released) == 1 else "are"
        out.print(f"{counted(len(released), 'row')} that needed it {verb} pending again", markup=False)
    if plan.progress()["pending"]:
        out.print(f"Go on with: {command('apply', plan.path)}", markup=False)
