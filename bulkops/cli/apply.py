"""`bulkops apply PLAN`: does exactly the plan; again to go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from bulkops.cli import exits
from bulkops.cli.app import (
    ConfigOption,
    JsonOption,
    UsageError,
    YesOption,
    app,
    ask_to_write,
    check_may_ask,
    config_of,
    err,
    out,
    run_async,
)
from bulkops.cli.display import LiveLine, Pace
from bulkops.cli.files import PlanArgument, open_plan
from bulkops.cli.interrupt import stop_on_signals
from bulkops.errors import JournalError, PlanError, RefusedError
from bulkops.progress import OnDrift

if TYPE_CHECKING:
    from bulkops.plan import Plan, Status
    from bulkops.tenant import Tenant

AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", metavar="KIND=N", help="Release a safety limit: update=412, or status=Complete=80."
    ),
]


DriftOption = Annotated[
    OnDrift,
    typer.Option("--on-drift", help="What becomes of records that somebody changed since the plan was made."),
]


@app.command()
def apply(
    plan_path: PlanArgument,
    yes: YesOption = False,
    as_json: JsonOption = False,
    allow: AllowOption = None,
    share: Annotated[
        float | None,
        typer.Option("--share", min=0.0001, max=1.0, help="Use this share of the tenant's calls."),
    ] = None,
    stop_after: Annotated[
        int | None, typer.Option("--stop-after", min=0, help="Send exactly N writes.")
    ] = None,
    max_calls: Annotated[int | None, typer.Option("--max-calls", min=1, help="Make at most N calls.")] = None,
    on_drift: DriftOption = OnDrift.HOLD,
    config: ConfigOption = None,
) -> int:
    """Apply a plan, or go on with one: each row exactly once."""
    from bulkops.plan import PlanState

    released = allowed(allow)
    plan = open_plan(plan_path)
    check_kinds(plan, released)
    now = plan.status()
    if now.state is not PlanState.FINISHED:
        check_may_ask(yes=yes)
        tenant = tenant_of(plan, config_of(config), share)
        if now.counts["pending"] and not ask_to_write(question(plan), yes=yes):
            err.print("nothing was written")
            return exits.REFUSED
        now = run_async(
            partial(
                run_plan,
                plan,
                tenant,
                allow=released,
                stop_after=stop_after,
                max_calls=max_calls,
                on_drift=on_drift,
            )
        )
    tell(plan, now, as_json=as_json)
    if on_drift is OnDrift.OVERWRITE:
        tell_overwritten(plan, now)
    return code_of(now)


def tell_overwritten(plan: Plan, now: Status) -> None:
    """What was written over. Who asks for that means the held rows too, and those are sent only once they are
    pending again.
    """
    from bulkops.render import command
    from bulkops.report.summary import print_overwritten

    print_overwritten(plan, err)
    held = now.counts["held"]
    if not held:
        return
    rows = f"{held:,} row{' is' if held == 1 else 's are'} held"
    err.print(
        f"{rows}, and nothing is sent for {'it' if held == 1 else 'them'}: plan again, or make each pending "
        f"first with {command('resolve', plan.path)} --row N --not-created, then apply with --on-drift "
        f"overwrite (`status` tells why each is held)",
        markup=False,
    )


def allowed(options: list[str] | None) -> dict[str, int]:
    """`["update=412"]` as a mapping. Raises a usage error on anything else."""
    from bulkops.safety import kind_fault

    released: dict[str, int] = {}
    for option in options or ():
        kind, _, number = option.rpartition("=")
        if not kind or not number.isdecimal():
            raise UsageError(f"--allow takes KIND=N, as in update=412, not {option!r}")
        if "=" not in kind and (fault := kind_fault(kind)):
            raise UsageError(f"--allow {option}: {fault}")
        released[kind] = int(number)
    return released


def check_kinds(plan: Plan, released: Mapping[str, int]) -> None:
    """A usage error where a kind that is released is none: it was mistyped, and would release nothing."""
    from bulkops.safety import kind_fault
    from bulkops.targets.autotask.catalog import load_catalog

    if not released:
        return
    found = (load_catalog().find(step.entity) for step in plan.header.steps)
    entities = [entity for entity in found if entity is not None]
    limits, labels = plan.header.limits.get("limits", {}), plan.header.extra.get("labels", {})
    for kind, number in released.items():
        if fault := kind_fault(kind, limits=limits, entities=entities, labels=labels):
            raise UsageError(f"--allow {kind}={number}: {fault}")


def question(plan: Plan) -> str:
    """What is about to be written, and where."""
    header, now = plan.header, plan.status()
    parts = [
        f"{action} {header.counts[action]:,}"
        for action in ("create", "update", "delete")
        if header.counts[action]
    ]
    what = ", ".join(parts) or "nothing"
    if now.state == "stopped":
        what = f"{what}; {now.counts['pending']:,} of them pending"
    verb = "Go on with" if now.state == "stopped" else "Apply"
    return f"{verb} {plan.path} ({what}) on tenant {header.tenant}, database {header.database}?"


def tenant_of(plan: Plan, config: Path | None, share: float | None) -> Tenant:
    """The tenant the plan was made for, with the share of this call."""
    from bulkops.tenant import load_tenant

    tenant = load_tenant(plan.header.tenant, config)
    return tenant if share is None else tenant.with_share(share)


async def run_plan(
    plan: Plan,
    tenant: Tenant,
    *,
    allow: dict[str, int] | None = None,
    stop_after: int | None = None,
    max_calls: int | None = None,
    on_drift: OnDrift = OnDrift.HOLD,
) -> Status:
    """Connects and applies, with a live line, stopping well on Ctrl-C and SIGTERM.

    Where the plan ended up is in the plan, also when a second Ctrl-C cut it short.
    """
    from bulkops.applier import apply_plan
    from bulkops.progress import Stop
    from bulkops.targets.autotask import connect

    stop = Stop()
    pace = Pace.of(plan, tenant.budget.share)
    with (
        LiveLine(err) as line,
        anyio.CancelScope() as scope,
        stop_on_signals(stop, scope.cancel) as stopping,
        _refused_before_writes(plan),
    ):
        line.say(f"asking {tenant.name} who it is")
        async with connect(tenant, max_calls=max_calls) as target:
            stopping.is_orderly = True
            return await apply_plan(
                plan,
                target,
                allow=allow,
                stop_after=stop_after,
                max_calls=max_calls,
                on_drift=on_drift,
                stop=stop,
                watch=lambda progress: line.say(pace.text(progress)),
            )
    return plan.status()


@contextmanager
def _refused_before_writes(plan: Plan) -> Iterator[None]:
    """A journal that fails before anything was tried: the plan is refused, not stopped."""
    try:
        yield
    except JournalError as error:
        if _is_begun(plan):
            raise
        raise RefusedError(str(error)) from error


def _is_begun(plan: Plan) -> bool:
    """Whether something may have been written; also where the disk no longer tells."""
    try:
        return plan.is_begun()
    except PlanError:
        return True


def tell(plan: Plan, now: Status, *, as_json: bool) -> None:
    """What happened, and what to do about what did not."""
    from bulkops.report.summary import print_report
    from bulkops.views import status_json

    if as_json:
        out.json(status_json(now))
    else:
        print_report(plan, now, out)


def code_of(now: Status) -> int:
    """The exit code for how it ended."""
    if now.counts["pending"]:
        return exits.STOPPED if now.calls["write"] else exits.REFUSED
    return exits.WITH_ERRORS if now.counts["rejected"] or now.counts["held"] else exits.DONE
