"""Opens a tenant: zone, ledger, limiter, pool, first call; and closes it again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager

import anyio

from bulkops.bucket import Bucket
from bulkops.errors import (
    CallError,
    InDoubtError,
    NoRouteError,
    NotSentError,
    RejectedError,
    TenantError,
    ThrottledError,
)
from bulkops.journal.register import state_folder
from bulkops.ledger import Seat, Terms
from bulkops.limiter import Limiter
from bulkops.pool import Pool
from bulkops.targets.autotask.again import AT_THE_START_S, ON_THE_WAY_S, reconnecting
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.autotask.client import AutotaskTarget
from bulkops.targets.autotask.connection import Connection, MovedError
from bulkops.targets.autotask.door import Door, Threshold, requests, window_s
from bulkops.targets.autotask.zone import Zone, ask_zone
from bulkops.targets.base import CallCount
from bulkops.tenant import Tenant
from bulkops.transport import TOTAL_S

logger = logging.getLogger(__name__)


@asynccontextmanager
async def connect(
    tenant: Tenant,
    *,
    total_s: float = TOTAL_S,
    reconnect_s: Sequence[float] = ON_THE_WAY_S,
    max_calls: int | None = None,
    rng: random.Random | None = None,
) -> AsyncIterator[AutotaskTarget]:
    """The tenant's target, open as long as the context. `total_s`: how long one answer is waited for;
    `reconnect_s`: waits between attempts, later on, to reach a server that cannot be reached; `max_calls`:
    what opening may cost at most, for a run that may make no more.

    TenantError where the tenant cannot be reached or refuses the credentials: nothing was written then.
    """
    rng = rng or random.Random()
    zone = await ask_zone(tenant, rng=rng)
    async with (
        sharing(tenant, zone) as (limiter, pool),
        Connection(tenant, zone, rng=rng, total_s=total_s) as connection,
    ):
        calls = CallCount(read=1, most=max_calls)
        door = Door(connection, limiter, pool, calls, budget=tenant.budget, said=Threshold())
        await _first_call(door, limiter, tenant)
        door.calls.opening = door.calls.read
        async with _meanwhile(door.keep_learning(), "bulkops-usage"):
            yield AutotaskTarget(tenant, door, catalog=load_catalog(), rng=rng, reconnect_s=reconnect_s)


@asynccontextmanager
async def sharing(tenant: Tenant, zone: Zone) -> AsyncIterator[tuple[Limiter, Pool]]:
    """The tenant's tokens and slots, shared with all processes of this machine unless it says otherwise.

    TenantError where the budget leaves no call, or the ledger cannot be used.
    """
    terms = _terms(tenant)
    if tenant.budget.alone:
        yield Limiter(_bucket(terms)), _pool(tenant, None)
        return
    try:
        seat = Seat.take(state_folder(), f"{zone.url.casefold()} {zone.ci}", terms)
    except TenantError as error:
        raise TenantError(f"tenant {tenant.name}: {error}") from error
    limiter, pool = Limiter(seat.tokens), _pool(tenant, seat)
    seat.tokens.is_wanted = lambda: limiter.is_waiting
    try:
        async with _meanwhile(seat.tend(limiter, pool), "bulkops-ledger"):
            yield limiter, pool
    finally:
        pool.give_all()
        seat.leave()


@asynccontextmanager
async def _meanwhile(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Works at it as long as the context is open."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("work in the background ended with a bug", exc_info=error, extra={"work": name})


def _terms(tenant: Tenant) -> Terms:
    budget = tenant.budget
    return Terms(
        share=budget.share,
        requests=requests(budget, Threshold()),
        window_s=window_s(budget, Threshold()),
        pin_requests=budget.requests is not None,
        pin_window=budget.window_s is not None,
        settle_s=tenant.settle_s,
        per_entity=budget.per_entity,
    )


def _bucket(terms: Terms) -> Bucket:
    return Bucket(
        share=terms.share, requests=terms.requests, window_s=terms.window_s, settle_s=terms.settle_s,
        pin_requests=terms.pin_requests,
    )  # fmt: skip


def _pool(tenant: Tenant, seat: Seat | None) -> Pool:
    budget = tenant.budget
    return Pool(
        per_entity=budget.per_entity,
        release_s=budget.release_ms / 1000,
        child_counts=budget.child_counts,
        gone_s=_terms(tenant).gone_s,
        slots=None if seat is None else seat.slots,
    )


async def _first_call(door: Door, limiter: Limiter, tenant: Tenant) -> None:
    """Asks how full the tenant's window is, with the credentials for the first time.

    Where every token is out, nothing is asked: another process has done so not long ago.
    """
    try:
        for pause_s in (*AT_THE_START_S, None):
            if not (limiter.may_poll() or limiter.has_room()):
                logger.info("no call is left to ask how full the tenant's window is")
                return
            try:
                await reconnecting(lambda: door.learn(poll=limiter.may_poll()), AT_THE_START_S)
                return
            except (MovedError, InDoubtError):
                if pause_s is None:
                    raise
                await anyio.sleep(pause_s)
            except ThrottledError:
                return  # the limiter knows
            except (RejectedError, NoRouteError) as error:
                logger.warning("usage cannot be read, calls go slowly", extra={"reason": str(error)})
                return
    except NotSentError as error:
        if door.calls.is_spent:
            return  # whoever asks for more is told so
        raise TenantError(f"tenant {tenant.name}: {error}. Check the network and the tenant's url") from error
    except CallError as error:
        raise TenantError(f"tenant {tenant.name}: {error}") from error
