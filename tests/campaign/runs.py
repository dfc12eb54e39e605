"""Runs of a plan that end in every way: by themselves, by a limit, by Ctrl-C, by being cancelled, by their
death at a point drawn for it, each under faults; and then once more, until nothing is left to do.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import bulkops
from bulkops import breaker
from bulkops.plan import Plan, Status
from bulkops.settle import doubts
from bulkops.simulator import Running
from bulkops.simulator.faults import read_faults
from bulkops.targets.autotask import door
from bulkops.targets.autotask.session import connect
from bulkops.tenant import Tenant
from tests.campaign.crash import Life, living, watched
from tests.campaign.history import Breach, Finding, is_write
from tests.campaign.trouble import SETTLE_S

ROUNDS = 8  # with faults and deaths; then the run must come to its end
MORE_ROUNDS = 30
PATIENCE_S = 60.0  # after which a run is believed to hang
HURRY: tuple[tuple[ModuleType, str, Any], ...] = (
    (doubts, "ASK_AGAIN_S", 0.03),
    (doubts, "SOON_S", 0.01),
    (breaker, "PROBE_S", (0.02, 0.02, 0.02, 0.02, 0.02)),
    (door, "AFTER_FAILURE_S", 0.05),
)  # waits of half a minute, in the rooms that have them


class NoWait(random.Random):
    """Waits that are drawn at random are over at once."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


@contextmanager
def hurried() -> Iterator[None]:
    """The fixed waits of the engine are short, and its points are counted."""
    before = [(room, name, getattr(room, name)) for room, name, _ in HURRY]
    for room, name, short in HURRY:
        setattr(room, name, short)
    try:
        with watched():
            yield
    finally:
        for room, name, usual in before:
            setattr(room, name, usual)


@dataclass(slots=True, kw_only=True)
class Played:
    """What came of some runs. `stops`: also runs that were cut off."""

    findings: list[Finding] = field(default_factory=list)
    runs: int = 0
    deaths: int = 0
    stops: int = 0


class Runner:
    """Of one tenant."""

    def __init__(
        self,
        simulator: Running,
        tenant: Tenant,
        rng: random.Random,
        played: Played,
        faults: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """`faults` draws what goes wrong in one run."""
        self._simulator = simulator
        self._tenant = tenant
        self._rng = rng
        self._played = played
        self._faults = faults
        self._is_left_over = False  # requests of the run before may still arrive

    async def until_done(self, plan: Plan) -> None:
        """Applies the plan until it is at its end, however often it is cut off."""
        for attempt in range(ROUNDS + MORE_ROUNDS):
            is_cut = attempt < ROUNDS
            faults = self._faults() if is_cut and self._rng.random() < 0.9 else []
            self._simulator.tenant.run.faults.install(read_faults(faults))
            status = await self._one_run(plan, is_cut=is_cut)
            if status.state == "finished":
                return
        self._fail(Breach.LOST, f"it never came to its end: {plan.status()}")

    async def _one_run(self, plan: Plan, *, is_cut: bool) -> Status:
        """Applies until it ends by itself, by a limit, by a stop, by being cancelled, or by its death."""
        ways = ["free", "number", "calls", "stop", "stop", "cancel", "cancel", *["death"] * 9]
        how = self._rng.choice(ways) if is_cut else "free"
        limits: dict[str, int] = {}
        if how == "number":
            limits["stop_after"] = self._rng.randrange(1, 30)
        if how == "calls":
            limits["max_calls"] = self._rng.randrange(3, 40)
        stop = bulkops.Stop()
        point = self._rng.choice([_early, _early, _any])(self._rng)
        life = Life(
            dies_at=point if how == "death" else None, told_at=point if how in ("stop", "cancel") else None
        )
        before = self._made()
        with living(life):
            task = asyncio.create_task(self._apply(plan, stop, limits))
        loop = asyncio.get_running_loop()
        end = partial(stop, "asked") if how == "stop" else task.cancel
        life.watch(lambda: loop.call_soon_threadsafe(end))
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
        self._played.runs += 1
        self._played.deaths += life.is_dead
        self._played.stops += life.told_at is not None and len(life.points) >= life.told_at
        if not done:
            told = _where(task)
            task.cancel()
            raise AssertionError(f"{how}: the run hangs in {told}: {plan.status()}")
        _look_at(task, life)
        if not self._is_left_over:
            self._check_limits(limits, before)
        self._is_left_over = how in ("cancel", "death")
        return plan.status()

    def _check_limits(self, limits: Mapping[str, int], before: tuple[int, int]) -> None:
        calls, writes = (now - then for now, then in zip(self._made(), before, strict=True))
        if calls > limits.get("max_calls", calls):
            self._fail(Breach.ERROR, f"{calls} calls were made, {limits} allowed")
        if writes > limits.get("stop_after", writes):
            self._fail(Breach.ERROR, f"{writes} writes were sent, {limits} allowed")

    def _made(self) -> tuple[int, int]:
        """How many requests the simulator has counted (the zone is free), and how many were writes."""
        log = list(self._simulator.tenant.run.log.after(0))
        return sum("zoneInformation" not in e["path"] for e in log), sum(map(is_write, log))

    async def _apply(self, plan: Plan, stop: bulkops.Stop, limits: Mapping[str, Any]) -> None:
        most = limits.get("max_calls")
        async with connect(self._tenant, rng=NoWait(), reconnect_s=(0.0,), max_calls=most) as target:
            await bulkops.apply_plan(plan, target, stop=stop, rng=NoWait(), **limits)

    def _fail(self, breach: Breach, text: str) -> None:
        self._played.findings.append(Finding(breach=breach, text=text))


def told_of(error: BaseException) -> str:
    """The error, and where it came from: the innermost one of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"


def _where(task: asyncio.Task[None]) -> str:
    """The innermost lines that a task waits in."""
    waiting: Any = task.get_coro()
    places = []
    while (frame := getattr(waiting, "cr_frame", None)) is not None:
        places.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        waiting = waiting.cr_await
    return " > ".join(places[-4:])


def _early(rng: random.Random) -> int:
    return rng.randrange(5, 60)


def _any(rng: random.Random) -> int:
    return rng.randrange(1, 200)


def _look_at(task: asyncio.Task[None], life: Life) -> None:
    """What a run may end with: nothing, its death, or a tenant whose first calls met a fault."""
    if life.is_dead:
        with suppress(BaseException):
            task.result()
        return
    with suppress(asyncio.CancelledError, bulkops.TenantError):
        task.result()


def tenant(simulator: Running, rng: random.Random, *, window_s: float) -> Tenant:
    return Tenant.model_validate(
        {
            "name": "acme", "url": simulator.url, "username": "u", "secret": "s", "integration_code": "c",
            "settle_s": SETTLE_S,
            "budget": {
                "per_entity": rng.randrange(1, 4),
                "release_ms": 8,
                "window_s": window_s,
                "alone": rng.random() < 0.6,
            },
        }
    )  # fmt: skip
