"""Opens a tenant: zone, first call, limiter, pool; and closes it again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio

from bulkops.errors import (
    CallError,
    InDoubtError,
    NoRouteError,
    NotSentError,
    RejectedError,
    TenantError,
    ThrottledError,
)
from bulkops.limiter import Limiter
from bulkops.pool import Pool
from bulkops.targets.autotask.again import AT_THE_START_S, ON_THE_WAY_S, reconnecting
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.autotask.client import AutotaskTarget
from bulkops.targets.autotask.connection import Connection, MovedError
from bulkops.targets.autotask.door import THRESHOLD_PATH, Door, Threshold, requests, window_s
from bulkops.targets.autotask.errors import Kind
from bulkops.targets.autotask.zone import ask_zone
from bulkops.targets.base import CallCount
from bulkops.tenant import Budget, Tenant
from bulkops.transport import TOTAL_S

logger = logging.getLogger(__name__)


@asynccontextmanager
async def connect(
    tenant: Tenant,
    *,
    total_s: float = TOTAL_S,
    reconnect_s: Sequence[float] = ON_THE_WAY_S,
    rng: random.Random | None = None,
) -> AsyncIterator[AutotaskTarget]:
    """The tenant's target, open as long as the context. `total_s`: how long one answer is waited for;
    `reconnect_s`: waits between attempts, later on, to reach a server that cannot be reached.

    TenantError where the tenant cannot be reached or refuses the credentials: nothing was written then.
    """
    rng = rng or random.Random()
    zone = await ask_zone(tenant, rng=rng)
    calls = CallCount(read=1)
    async with Connection(tenant, zone, rng=rng, total_s=total_s) as connection:
        said, is_full = await _first_call(connection, tenant, calls)
        budget = tenant.budget
        limiter = _limiter(tenant, said, is_full)
        calls.opening = calls.read
        door = Door(connection, limiter, _pool(budget), calls, budget=budget, said=said)
        learner = asyncio.create_task(door.keep_learning(), name="bulkops-usage")
        try:
            yield AutotaskTarget(tenant, door, catalog=load_catalog(), rng=rng, reconnect_s=reconnect_s)
        finally:
            learner.cancel()
            await asyncio.wait({learner})
            if not learner.cancelled() and (error := learner.exception()) is not None:
                logger.error("asking for usage ended with a bug", exc_info=error)


def _limiter(tenant: Tenant, said: Threshold, is_full: bool) -> Limiter:
    budget = tenant.budget
    limiter = Limiter(
        share=budget.share,
        requests=requests(budget, said),
        window_s=window_s(budget, said),
        settle_s=tenant.settle_s,
        pin_requests=budget.requests is not None,
    )
    if said.count is not None:
        limiter.learn(count=said.count)  # all that was called before, our own first calls included
    if is_full:
        limiter.refused()
    return limiter


def _pool(budget: Budget) -> Pool:
    return Pool(
        per_entity=budget.per_entity, release_s=budget.release_ms / 1000, child_counts=budget.child_counts
    )


async def _first_call(connection: Connection, tenant: Tenant, calls: CallCount) -> tuple[Threshold, bool]:
    """How full the tenant's window is, asked with the credentials for the first time; whether it is full."""
    try:
        for pause_s in (*AT_THE_START_S, None):
            calls.read += 1
            try:
                answer = await reconnecting(
                    lambda: connection.send("GET", THRESHOLD_PATH, kind=Kind.READ), AT_THE_START_S
                )
                return Threshold.of(answer.data), False
            except (MovedError, InDoubtError):
                if pause_s is None:
                    raise
                await anyio.sleep(pause_s)
            except ThrottledError as error:
                return Threshold(), error.kind == "hour"
            except (RejectedError, NoRouteError) as error:
                logger.warning("usage cannot be read, calls go slowly", extra={"reason": str(error)})
                return Threshold(), False
    except NotSentError as error:
        raise TenantError(f"tenant {tenant.name}: {error}. Check the network and the tenant's url") from error
    except CallError as error:
        raise TenantError(f"tenant {tenant.name}: {error}") from error
    raise AssertionError("the last attempt returns or raises")
