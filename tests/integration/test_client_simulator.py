"""The Autotask target against the simulator: limits kept under load, faults told for what they are."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bulkops.errors import (
    CallError,
    InDoubtError,
    NoRouteError,
    RejectedError,
    TenantError,
    ThrottledError,
)
from bulkops.record import Scalar
from bulkops.secret import Secret
from bulkops.simulator import Credentials, Options, Running, running
from bulkops.targets.autotask.session import connect
from bulkops.targets.base import Target
from bulkops.tenant import Budget, Tenant

COMPANY: dict[str, Scalar] = {"companyName": "New", "companyType": 1, "phone": "1", "ownerResourceID": 4}


class NoWait(random.Random):
    """Waits that are drawn at random are over at once."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


def tenant(url: str, *, secret: str = "s", settle_s: float = 0.5, **budget: Any) -> Tenant:
    return Tenant(
        name="acme",
        url=url,
        username="api@acme.test",
        secret=Secret(secret),
        integration_code=Secret("c"),
        settle_s=settle_s,
        budget=Budget(**budget),
    )


@asynccontextmanager
async def opened(
    *, budget: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Target, Running]]:
    options = {"empty": True, "release_ms": 0, "tiers": False, **options}
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(running(Options(**options)))
        who = tenant(simulator.url, **{"release_ms": 0, **(budget or {})})
        yield await stack.enter_async_context(connect(who, rng=NoWait())), simulator


async def control(simulator: Running, what: str, body: Any = None) -> Any:
    async with aiohttp.ClientSession() as session:
        method = "GET" if body is None else "POST"
        async with session.request(method, f"{simulator.control}/{what}", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()


async def test_wrong_credentials_cost_one_call() -> None:
    """The server refuses once; nothing else was sent with those credentials."""
    options = Options(empty=True, credentials=Credentials("api@acme.test", "right", "c"))
    async with running(options) as simulator:
        with pytest.raises(TenantError, match="secret or integration code"):
            async with connect(tenant(simulator.url, secret="wrong")):
                pass
        assert (await control(simulator, "stats"))["requests"] <= 2
        async with connect(tenant(simulator.url, secret="right")) as target:
            assert await target.count("Companies") == 1


@pytest.mark.parametrize("per_entity", [1, 2, 3])
async def test_threads_are_never_refused(per_entity: int) -> None:
    """As many in flight as allowed, and never one more: reads, writes and metadata of an entity together."""
    knobs = {"per_entity": per_entity, "release_ms": 30}
    async with opened(budget=knobs, threads=3, release_ms=20) as (target, simulator):
        calls = [target.create("Companies", {**COMPANY, "companyName": f"N{n}"}) for n in range(12)]
        await asyncio.gather(*calls, target.describe("Companies"), target.count("Companies"))
        stats = await control(simulator, "stats")
    assert stats["refused"]["threads"] == 0
    assert stats["max_in_flight"]["Companies"] <= per_entity
    assert stats["committed"]["create"] == 12


async def test_the_window_is_never_above_the_share() -> None:
    """More work than the window holds waits; no rolling window of the server sees more than the share."""
    knobs = {"share": 0.5, "requests": 60, "window_s": 0.5}
    async with opened(budget=knobs, threshold=60, window_s=0.5) as (target, simulator):
        calls = [target.create("Companies", {**COMPANY, "companyName": f"N{n}"}) for n in range(60)]
        await asyncio.gather(*calls)
        stats = await control(simulator, "stats")
    assert stats["refused"]["hour"] == 0
    assert stats["committed"]["create"] == 60
    assert stats["busiest_window"] <= 30


@pytest.mark.parametrize(
    ("fault", "error", "status", "committed"),
    [
        ({"do": "status", "code": 503}, InDoubtError, 503, 0),
        ({"do": "status_after_commit", "code": 503}, InDoubtError, 503, 1),
        ({"do": "drop"}, InDoubtError, None, 0),
        ({"do": "drop_after_commit"}, InDoubtError, None, 1),
        ({"do": "garbage"}, InDoubtError, 200, 1),
        ({"do": "truncate"}, InDoubtError, None, 1),
        ({"do": "html_404"}, NoRouteError, 404, 0),
        ({"do": "thread_limit"}, ThrottledError, 429, 0),
        ({"do": "hour_limit"}, ThrottledError, 429, 0),
        (
            {"do": "status", "code": 500, "body": {"errors": ["Role does not exist or is invalid"]}},
            RejectedError,
            500,
            0,
        ),
    ],
    ids=lambda value: value["do"] if isinstance(value, dict) else "",
)
async def test_each_fault_is_told_for_what_it_is(
    fault: dict[str, Any], error: type[CallError], status: int | None, committed: int
) -> None:
    """One write, one attempt, one class of error; what was committed is for the one who asks to find out."""
    async with opened() as (target, simulator):
        await target.create("Companies", {**COMPANY, "companyName": "Before"})  # a connection is kept
        script = {"method": "POST", "entity": "Companies", "call": "create", "when": {"nth": [1]}, **fault}
        await control(simulator, "faults", {"faults": [script]})
        with pytest.raises(error) as caught:
            await target.create("Companies", COMPANY)
        assert caught.value.status == status
        stats = await control(simulator, "stats")
    assert stats["committed"]["create"] == 1 + committed
    assert stats["by_call"]["POST Companies"] == 2


async def test_reads_outlive_faults() -> None:
    """A page that is lost is asked for again; nothing is missing and nothing comes twice."""
    async with opened() as (target, simulator):
        rows = [{"companyName": f"Row {n}"} for n in range(1200)]
        await control(simulator, "rows/Companies", {"items": rows})
        script = {
            "method": "POST",
            "entity": "Companies",
            "call": "query",
            "when": {"nth": [2]},
            "do": "drop",
        }
        await control(simulator, "faults", {"faults": [script]})
        where = {"op": "beginsWith", "field": "companyName", "value": "Row "}
        names = [r["companyName"] async for r in target.read("Companies", where, fields=["companyName"])]
    assert names == [row["companyName"] for row in rows]


async def test_a_child_holds_a_slot_of_its_parent() -> None:
    """Whose slot a child's path takes is not known: with `both` neither entity is ever refused."""
    knobs = {"per_entity": 2, "child_counts": "both"}
    for scope in ("child", "parent", "both"):
        switches = {"thread_scope": scope}
        async with opened(budget=knobs, threads=2, switches=switches) as (target, simulator):
            people = [
                target.create("Contacts", {"firstName": "A", "lastName": f"B{n}", "isActive": 1}, parent=0)
                for n in range(8)
            ]
            companies = [target.create("Companies", {**COMPANY, "companyName": f"N{n}"}) for n in range(8)]
            await asyncio.gather(*people, *companies)
            assert (await control(simulator, "stats"))["refused"]["threads"] == 0


async def test_calls_of_others_are_learned_while_calls_flow() -> None:
    """Somebody else uses the tenant: within a poll's time the limiter knows and grants less."""
    async with opened(window_s=60.0) as (target, simulator):
        before = target.usage()
        await control(simulator, "usage", {"requests": 500})
        async with asyncio.timeout(20):
            while target.usage().others < 500:
                await target.count("Companies")
                await asyncio.sleep(0.01)
        after = target.usage()
    assert before.others < 10
    assert before.granted - after.granted >= 490
    assert (after.requests, after.window_s, after.share) == (10_000, 60, 0.75)
