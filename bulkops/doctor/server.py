"""The tenant's server: zone, credentials, how full the window is, clock, what the API user may see.

At most two calls that count. They pass the limiter and the pool like those of a run, since they count like
them, but nobody waits there for an hour: what has no room at once is left out, and the doctor says so. A
refusal of the credentials is final, since trying on locks the account (Define_API_User.htm).
"""

from __future__ import annotations

import asyncio
import email.utils
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bulkops.bucket import grant
from bulkops.doctor.access import examine_access
from bulkops.doctor.finding import Finding, ok, problem, warning
from bulkops.errors import CallError, NoRouteError, RejectedError, StopError, TenantError, ThrottledError
from bulkops.limiter import Limiter
from bulkops.targets.autotask.access import ACCESS_PATH, read_access
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.autotask.connection import Connection
from bulkops.targets.autotask.door import Door, Request, Threshold, requests, window_s
from bulkops.targets.autotask.errors import CredentialsError, Kind
from bulkops.targets.autotask.session import sharing
from bulkops.targets.autotask.zone import Zone, ask_zone
from bulkops.targets.base import CallCount
from bulkops.tenant import Budget, Tenant

TOTAL_S = 30.0  # how long one answer is waited for
PATIENCE_S = 1.0  # how long a token or a slot is waited for that another process took just before
FULL = "no call is left for us in the tenant's window"
CLOCK_S = 60.0  # how far clocks may be apart
TIERS = ((0.75, "a second"), (0.5, "half a second"))  # what a call waits above that part of the threshold


async def examine_server(tenant: Tenant, *, wall: Callable[[], float]) -> list[Finding]:
    """Everything that only the server knows; `wall` is our clock, in epoch seconds."""
    rng = random.Random()
    try:
        zone = await ask_zone(tenant, rng=rng)
    except TenantError as error:
        return [problem("zone", str(error).removeprefix(f"tenant {tenant.name}: "))]
    found = [_zone(tenant, zone)]
    try:
        connection = Connection(tenant, zone, rng=rng, total_s=TOTAL_S)
    except TenantError:
        return found  # a secret is missing, which was said where secrets are looked at
    return [*found, *await _enter(connection, tenant, zone, wall)]


async def _enter(
    connection: Connection, tenant: Tenant, zone: Zone, wall: Callable[[], float]
) -> list[Finding]:
    """Takes a seat among those that work on the tenant, as a run does, and asks."""
    budget = tenant.budget
    try:
        grant(budget.share, requests(budget, Threshold()))
    except TenantError as error:
        return [problem("usage", str(error), left=0)]
    try:
        async with sharing(tenant, zone) as (limiter, pool), connection:
            door = Door(connection, limiter, pool, CallCount(), budget=budget, said=Threshold())
            return await _examine(door, limiter, budget, wall)
    except TenantError as error:
        return [problem("ledger", str(error).removeprefix(f"tenant {tenant.name}: "))]


def _zone(tenant: Tenant, zone: Zone) -> Finding:
    facts = {"url": zone.url, "database": zone.ci}
    message = f"{zone.url}, database {zone.ci}"
    if tenant.url is None or zone.named_url.casefold() == zone.url.casefold():
        return ok("zone", message, **facts)
    named = zone.named_url or "an address that credentials must not go to"
    return warning(
        "zone",
        f"{message}; but zone information names {named} for {tenant.username}",
        "In a wrong zone credentials are refused or records are missing: leave url out, or correct it",
        **facts,
    )


async def _examine(door: Door, limiter: Limiter, budget: Budget, wall: Callable[[], float]) -> list[Finding]:
    poll = limiter.may_poll()
    if not (poll or limiter.has_room()):
        return [_unasked("usage"), _unasked("access")]
    asked_at = wall()
    try:
        with _impatient(door):
            answer = await door.learn(poll=poll)
    except ThrottledError as error:
        return [_throttled(error)]
    except (RejectedError, NoRouteError) as error:
        hint = "bulkops goes slowly then. Ask for the permission, or set requests and window_s in the budget"
        unread = warning("usage", f"the tenant does not say how full its window is: {error}", hint)
        return [_accepted(door), unread, *await _ask_access(door, limiter)]
    except CallError as error:
        return [_unasked("usage"), _unasked("access")] if door.is_drained else [_refused(error)]
    except TenantError as error:  # what the tenant says leaves no call
        return [_accepted(door), problem("usage", str(error), left=0)]
    clock = _clock(answer.date, (asked_at + wall()) / 2)
    usage = examine_usage(Threshold.of(answer.data), budget)
    return [_accepted(door), *usage, clock, *await _ask_access(door, limiter)]


@contextmanager
def _impatient(door: Door) -> Iterator[None]:
    """What has not left in time does not leave: NotSentError, and the door is drained."""
    timer = asyncio.get_running_loop().call_later(PATIENCE_S, door.drain, FULL)
    try:
        yield
    finally:
        timer.cancel()


def _unasked(check: str) -> Finding:
    hint = "Try again when there is room in the window; `bulkops status` of a plan that runs says when"
    return warning(check, f"not asked: {FULL}", hint)


def _accepted(door: Door) -> Finding:
    return ok("credentials", f"accepted by {door.connection.host}")


def _refused(error: CallError) -> Finding:
    if error.status == 401 or isinstance(error.__cause__, CredentialsError):
        return problem("credentials", str(error), "Asked once only: repeated wrong logins lock the account")
    what_to_do = "" if isinstance(error, StopError) else "See whether it answers at all, then try again"
    return problem("server", str(error), what_to_do)


def _throttled(error: ThrottledError) -> Finding:
    if error.kind == "hour":
        return warning(
            "usage",
            "the tenant's window is full: the server refuses every call, of every integration",
            "A run would wait for room. See in Autotask which integration calls so much",
        )
    return warning(
        "usage",
        f"not known: {error}",
        "Another program with this integration code asks all the time: give each program its own",
    )


# --- how full the window is ------------------------------------------------------------------------------


def examine_usage(said: Threshold, budget: Budget) -> list[Finding]:
    """What ThresholdInformation means for a run with this budget. Pure."""
    most, window = requests(budget, said), window_s(budget, said)
    try:
        granted = grant(budget.share, most)
    except TenantError as error:
        return [problem("usage", str(error), left=0)]
    if said.count is None:
        hint = "bulkops goes slowly then, and asks again"
        return [warning("usage", "the tenant does not say how many calls were made", hint)]
    left = max(0, granted - said.count)
    message = (
        f"{said.count:,} of the {most:,} calls that {_span(window)} holds are used, by all integrations "
        f"together; {left:,} are left for us (share {budget.share:g})"
    )
    facts = {"used": said.count, "requests": most, "window_s": window, "granted": granted, "left": left}
    return [_judged(message, facts, said.count / most), *_contradicted(said, budget)]


def _judged(message: str, facts: dict[str, float], used: float) -> Finding:
    slower = next((by for tier, by in TIERS if used >= tier), "")
    slow = f"; the server holds each answer back by {slower}" if slower else ""
    if not facts["left"]:
        hint = "A run would wait for room. See in Autotask which integration calls so much, or raise share"
        return warning("usage", message + slow, hint, **facts)
    if slower or facts["left"] < facts["granted"] / 10:
        hint = "Start a large run when others rest; a run waits by itself when its share is used up"
        return warning("usage", message + slow, hint, **facts)
    return ok("usage", message, **facts)


def _contradicted(said: Threshold, budget: Budget) -> list[Finding]:
    """Where the operator grants more than the tenant has, the server refuses everybody's calls."""
    hint = "Leave it out of the budget: then what the tenant says counts"
    found = []
    if budget.requests and said.requests and budget.requests > said.requests:
        text = f"requests is {budget.requests:,}, and the tenant says {said.requests:,} for all integrations"
        found.append(warning("budget", text, hint))
    if budget.window_s and said.window_s and budget.window_s < said.window_s:
        text = f"window_s is {budget.window_s:g}, and the tenant says {said.window_s:g}"
        found.append(warning("budget", text, hint))
    return found


def _span(window: float) -> str:
    if window == 3600:
        return "an hour"
    return f"a window of {window / 60:g} minutes" if window >= 60 else f"a window of {window:g} s"


# --- clock and access ------------------------------------------------------------------------------------


def _clock(date: str | None, now: float) -> Finding:
    try:
        server = email.utils.parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return ok("clock", "not compared: the server's answers carry no date")
    ahead = server - now
    if abs(ahead) <= CLOCK_S:
        return ok("clock", "agrees with the server's", ahead_s=round(ahead))
    side = "behind" if ahead > 0 else "ahead of"
    return warning(
        "clock",
        f"this machine's clock is {_duration(abs(ahead))} {side} the server's",
        "Set it: times in plans, journals and results would be wrong by that, and so would waits that the "
        "server asks for until a time of day",
        ahead_s=round(ahead),
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


async def _ask_access(door: Door, limiter: Limiter) -> list[Finding]:
    if not limiter.has_room():
        return [_unasked("access")]
    request = Request(kind=Kind.READ, entity="EntityInformation", method="GET", path=ACCESS_PATH)
    try:
        with _impatient(door):
            answer = await door.call(request)
    except CallError as error:
        if door.is_drained:
            return [_unasked("access")]
        hint = "Whether records are hidden from this API user is not known: check its security level"
        return [warning("access", f"the tenant does not say what this API user may do: {error}", hint)]
    return examine_access(read_access(answer.data, load_catalog()), load_catalog())
