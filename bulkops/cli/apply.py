"""`bulkops apply PLAN`: does exactly the plan; again to go on."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import orjson
import typer

from bulkops.cli import exits
from bulkops.cli.app import (
    ConfigOption,
    JsonOption,
    UsageError,
    YesOption,
    app,
    ask_to_write,
    config_of,
    err,
    out,
    run_async,
)
from bulkops.cli.display import LiveLine
from bulkops.cli.show import PlanArgument

if TYPE_CHECKING:
    from bulkops.plan import Plan, Status
    from bulkops.progress import Stop
    from bulkops.tenant import Tenant


@app.command()
def apply(
    plan_path: PlanArgument,
    yes: YesOption = False,
    as_json: JsonOption = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow", metavar="KIND=N", help="Release a safety limit: update=412, or status=Complete=80."
        ),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option("--share", min=0.0001, max=1.0, help="Use this share of the tenant's calls."),
    ] = None,
    stop_after: Annotated[
        int | None, typer.Option("--stop-after", min=0, help="Send exactly N writes.")
    ] = None,
    max_calls: Annotated[int | None, typer.Option("--max-calls", min=1, help="Make at most N calls.")] = None,
    config: ConfigOption = None,
) -> int:
    """Applies a plan, or goes on with one: each row once, whatever happened in between."""
    from bulkops.plan import Plan

    released = allowed(allow)
    plan = Plan.open(plan_path)
    if plan.progress()["pending"] and not ask_to_write(question(plan), yes=yes):
        err.print("nothing was written")
        return exits.REFUSED
    tenant = tenant_of(plan, config_of(config), share)
    report = run_async(
        partial(run_plan, plan, tenant, allow=released, stop_after=stop_after, max_calls=max_calls)
    )
    tell(plan, report, as_json=as_json)
    return code_of(report)


def allowed(options: list[str] | None) -> dict[str, int]:
    """`["update=412"]` as a mapping. Raises a usage error on anything else."""
    released: dict[str, int] = {}
    for option in options or ():
        kind, _, number = option.rpartition("=")
        if not kind or not number.isdecimal():
            raise UsageError(f"--allow takes KIND=N, as in update=412, not {option!r}")
        released[kind] = int(number)
    return released


def question(plan: Plan) -> str:
    counts = plan.header.counts
    parts = [f"{action} {counts[action]:,}" for action in ("create", "update", "delete") if counts[action]]
    verb = "Go on with" if plan.state() == "stopped" else "Apply"
    what = ", ".join(parts) or "nothing"
    return f"{verb} {plan.path} ({what}) on tenant {plan.header.tenant}, database {plan.header.database}?"


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
) -> Status:
    """Connects and applies, with a live line, stopping well on Ctrl-C and SIGTERM."""
    from bulkops.applier import apply_plan
    from bulkops.progress import Stop
    from bulkops.render import progress_text
    from bulkops.targets.autotask import connect

    stop = Stop()
    at_start = plan.progress()
    with LiveLine(err) as line, anyio.CancelScope() as scope, stop_on_signals(stop, scope.cancel):
        line.say(f"asking {tenant.name} who it is")
        async with connect(tenant) as target:
            return await apply_plan(
                plan,
                target,
                allow=allow,
                stop_after=stop_after,
                max_calls=max_calls,
                stop=stop,
                watch=lambda progress: line.say(progress_text(progress, at_start=at_start)),
            )
    raise KeyboardInterrupt


@contextmanager
def stop_on_signals(stop: Stop, stop_now: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C once and SIGTERM: finish what is in flight. Ctrl-C twice: stop at once."""

    def asked(number: int) -> None:
        if stop.reason is not None:
            stop_now()
        name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        stop(f"stopped by {name}")

    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    previous = {}
    for number in numbers:
        try:
            loop.add_signal_handler(number, asked, number)
        except NotImplementedError:  # Windows
            previous[number] = signal.signal(
                number, lambda number, _: loop.call_soon_threadsafe(asked, number)
            )
    try:
        yield
    finally:
        for number in numbers:
            if number in previous:
                signal.signal(number, previous[number])
            else:
                loop.remove_signal_handler(number)


def tell(plan: Plan, now: Status, *, as_json: bool) -> None:
    """What happened, and what to do about what did not."""
    from bulkops.render import counts_text, duration, print_endings
    from bulkops.views import status_json

    if as_json:
        out.file.write(orjson.dumps(status_json(now)).decode() + "\n")
        return
    calls = now.calls
    out.print(f"{now.state}: {counts_text(now.counts)}")
    out.print(f"{calls['read']:,} calls to read, {calls['write']:,} to write, {duration(now.elapsed_s)}")
    if now.counts["rejected"] or now.counts["held"]:
        print_endings(plan, ("rejected", "held"), out)
        out.print(f"All of them as files: bulkops results {now.plan} --dir DIR", markup=False)
    if now.counts["pending"]:
        out.print(f"Stopped: {now.waiting}", markup=False)
        out.print(f"Go on with: bulkops apply {now.plan}", markup=False)


def code_of(now: Status) -> int:
    """The exit code for how it ended."""
    if now.counts["pending"]:
        return exits.STOPPED if now.calls["write"] else exits.REFUSED
    return exits.WITH_ERRORS if now.counts["rejected"] or now.counts["held"] else exits.DONE
