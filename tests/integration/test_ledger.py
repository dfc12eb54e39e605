"""A tenant that is opened several times at once: one hour and one set of slots for all of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bulkops.errors import StopError, TenantError
from bulkops.ledger import Seat, Terms
from bulkops.ledger.book import NAME
from bulkops.record import Scalar
from bulkops.secret import Secret
from bulkops.simulator import Options, Running, running
from bulkops.targets.autotask.session import connect
from bulkops.tenant import Budget, Tenant

COMPANY: dict[str, Scalar] = {"companyName": "New", "companyType": 1, "phone": "1", "ownerResourceID": 4}


def tenant(url: str, *, settle_s: float = 0.3, **budget: Any) -> Tenant:
    return Tenant(
        name="acme", url=url, username="api@acme.test", secret=Secret("s"), integration_code=Secret("c"),
        settle_s=settle_s, budget=Budget(**{"release_ms": 20, **budget}),
    )  # fmt: skip


@asynccontextmanager
async def simulated(**options: Any) -> AsyncIterator[Running]:
    async with running(Options(**{"empty": True, "release_ms": 10, "tiers": False, **options})) as simulator:
        yield simulator


async def test_two_connections_keep_to_one_grant_and_one_set_of_slots() -> None:
    """Each has more work than the window holds."""
    knobs = {"share": 0.5, "window_s": 1, "per_entity": 2}
    async with simulated(threshold=80, window_s=1, latency_ms=5) as simulator:
        async with (
            connect(tenant(simulator.url, **knobs)) as one,
            connect(tenant(simulator.url, **knobs)) as two,
        ):
            await asyncio.gather(*(target.create("Companies", COMPANY) for target in (one, two) * 40))
        run = simulator.tenant.run
        assert run.window.busiest_own <= 40
        assert run.stats.max_in_flight["Companies"] == 2
        assert run.stats.refused == {"threads": 0, "hour": 0}
        assert run.stats.committed["create"] == 80


async def test_a_run_that_waits_for_another_one_says_so() -> None:
    """For its tokens, and for its slots."""
    knobs = {"requests": 40, "share": 1.0, "window_s": 30, "per_entity": 1}
    async with (
        simulated(latency_ms=300) as simulator,
        connect(tenant(simulator.url, **knobs)) as one,
        connect(tenant(simulator.url, **knobs)) as two,
    ):
        first = asyncio.create_task(one.create("Companies", COMPANY))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(two.create("Companies", COMPANY))
        await asyncio.sleep(0.1)
        assert two.usage().waiting == "another bulkops process of this machine uses the slots of Companies"
        await asyncio.gather(first, second)
        assert two.usage().waiting is None


async def test_a_start_without_a_call_to_spare_asks_nothing_and_knows_all_the_same() -> None:
    """The ledger knows what was used; the run waits for its turn like any other, and is told why."""
    knobs = {"requests": 8, "share": 1.0, "window_s": 2, "per_entity": 3}
    async with simulated(threshold=100, window_s=2) as simulator:
        async with connect(tenant(simulator.url, **knobs)) as one:
            calls = [asyncio.create_task(one.create("Companies", COMPANY)) for _ in range(20)]
            for _ in range(4):
                async with connect(tenant(simulator.url, **knobs)) as other:
                    await asyncio.sleep(0.1)
            async with connect(tenant(simulator.url, **knobs)) as other:
                last = asyncio.create_task(other.create("Companies", COMPANY))
                await asyncio.gather(*calls, last)
        run = simulator.tenant.run
        assert run.window.busiest_own <= 8
        assert run.stats.committed["create"] == 21


async def test_a_ledger_that_fails_stops_the_run(state_dir: Path) -> None:
    """A StopError, which the applier takes for the end of the run: nothing more is sent."""
    async with simulated() as simulator, connect(tenant(simulator.url)) as target:
        await target.create("Companies", COMPANY)
        (state_dir / NAME).unlink()
        await asyncio.sleep(0.8)
        with pytest.raises(StopError, match="was taken away"):
            for _ in range(200):
                await target.create("Tickets", {"title": "x"})
        assert target.usage().in_flight == {}


async def test_a_ledger_that_cannot_be_opened_is_told_with_the_tenants_name(
    state_dir: Path,
) -> None:
    """As everything that stands in a tenant's way."""
    (state_dir / NAME).mkdir()
    async with simulated() as simulator:
        with pytest.raises(TenantError, match=r"^tenant acme: .*cannot be used"):
            async with connect(tenant(simulator.url)):
                pass


# Forks one process per statement that SQLite is given, and kills it just before that statement.
STEP_BY_STEP = """
import functools, os, signal, sqlite3, sys, traceback
from pathlib import Path
from bulkops.ledger import Seat, Terms

def die_before(statement):
    seen = 0
    def trace(sql):
        nonlocal seen
        seen += 1
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)
    class Traced(sqlite3.Connection):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.set_trace_callback(trace)
    sqlite3.connect = functools.partial(sqlite3.connect, factory=Traced)

def live(folder):
    terms = Terms(share=1.0, requests=10_000, window_s=1000, settle_s=60, per_entity=2)
    seat = Seat.take(folder, "acme", terms)
    seat.tokens.learn(seat.clock(), count=0)
    for _ in range(3):
        now = seat.clock()
        entity = f"of {os.getpid()}"
        assert seat.slots.borrow((entity,), (entity,)) and seat.tokens.free(now)
        seat.tokens.take(now).doubtful(now + 60)
        seat._audited = 0
        seat.tick()
        seat.slots.give(entity, now)
    seat.leave()

folder = Path(sys.argv[1])
for statement in range(1, 1000):
    child = os.fork()
    if not child:
        die_before(statement)
        try:
            live(folder / str(statement // 7))
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        print(statement)
        sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 and fork are POSIX")
def test_a_kill_at_any_statement_leaves_a_ledger_that_adds_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a process was about to write: the next one opens it, finds every token accounted for, and
    nothing half done; several deaths follow each other in the same file."""
    step_by_step = [sys.executable, "-c", STEP_BY_STEP, str(tmp_path)]
    told = subprocess.run(step_by_step, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    assert int(told.stdout) > 40
    terms = Terms(share=1.0, requests=10_000, window_s=1000, settle_s=60, per_entity=2)
    folders = list(tmp_path.iterdir())
    assert len(folders) > 5
    for folder in folders:
        seat = Seat.take(folder, "acme", terms)
        account = seat.view
        assert list(account.members) == [seat.name]
        assert account.bucket.calls.flying == 0
        assert account.queue == []
        assert all(len(times) <= 7 for times in account.lagging.values())
        seat.leave()
        assert {path.name for path in folder.iterdir()} == {"ledger.lock", NAME}
    assert "damaged" not in caplog.text + told.stderr
