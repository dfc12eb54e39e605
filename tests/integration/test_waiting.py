"""`waiting` of a status: null, or one sentence that is true now."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bulkops.change import Action, Change
from bulkops.errors import NotSentError
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Header, Plan, PlanWriter, StepInfo
from bulkops.record import Row
from bulkops.secret import Secret
from bulkops.simulator import Options, running
from bulkops.targets.autotask.session import connect
from bulkops.tenant import Budget, Tenant
from bulkops.views import status_json


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKOPS_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two creates, nothing tried so far."""
    step = StepInfo(
        name="s", entity="Tasks", action="create", match=(), file="t.csv", columns=("Key",), read=2,
        dropped=0, rows=2,
    )  # fmt: skip
    header = Header(
        job="j", tenant="acme", database="7", url="", reason="", created="2026-03-01T12:00:00+00:00",
        version="0", steps=(step,), counts={"create": 2}, calls_read=1, calls_write=2, estimate_s={},
    )  # fmt: skip
    with PlanWriter(tmp_path / "x.plan") as writer:
        for n in (1, 2):
            writer.add(Row(cells=("T",)), Change(n=n, step="s", entity="Tasks", action=Action.CREATE))
        writer.seal(header)
    return Plan.open(tmp_path / "x.plan")


async def run(plan: Plan, *done: int, why: str | None) -> None:
    """One run that tries change 1 at least, and ends with `why`."""
    book = Journal.open(plan.path)
    await book.intent([1, *done])
    for n in done:
        book.note(Entry(n=n, kind=Kind.APPLIED, id=n))
    await book.close(calls_read=0, calls_write=len(done), elapsed_s=1.0, waiting=why)


def told(plan: Plan) -> tuple[str, str | None]:
    said = status_json(plan.status())
    return said["state"], said["waiting"]


async def test_a_stopped_plan_says_why_it_stopped_on_one_line(plan: Plan) -> None:
    """Whatever the reason was made of: also several lines of a server."""
    assert told(plan) == ("planned", None)
    await run(plan, 1, why="the network is gone:\n  127.0.0.1:8765 cannot be reached")
    assert told(plan) == ("stopped", "the network is gone: 127.0.0.1:8765 cannot be reached")


async def test_a_finished_plan_waits_for_nothing(plan: Plan) -> None:
    """Also where its last run was asked to stop when all was done already."""
    await run(plan, 1, 2, why="stopped by Ctrl-C")
    assert told(plan) == ("finished", None)


KILLED = """
import asyncio, os, sys
from bulkops.journal import Journal

async def run():
    book = Journal.open(sys.argv[1])
    await book.intent([1])
    book.note_usage(calls_read=0, calls_write=1, elapsed_s=1.0, waiting="the hour is used up until 14:05")
    await book.flush()
    os.write(1, b"tried")
    await asyncio.sleep(60)

asyncio.run(run())
"""


def test_a_killed_plan_does_not_wait_for_what_its_process_had_waited_for(plan: Plan) -> None:
    """While it runs, its own word; when the process is gone, that it went without one."""
    with subprocess.Popen([sys.executable, "-c", KILLED, str(plan.path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.read(5) == b"tried"
        assert told(plan) == ("running", "the hour is used up until 14:05")
        process.kill()
    state, waiting = told(plan)
    assert state == "stopped"
    assert waiting == "its process ended without a word, as after a kill or a power cut"


async def test_a_wait_for_a_dead_server_names_it() -> None:
    """Host and port, and what is wrong: somebody has to see whether it is there."""
    async with AsyncExitStack() as stack:
        async with running(Options(release_ms=0, tiers=False)) as simulator:
            tenant = Tenant(
                name="acme", url=simulator.url, username="api@acme.test", secret=Secret("s"),
                integration_code=Secret("c"), settle_s=0.5, budget=Budget(release_ms=0),
            )  # fmt: skip
            target = await stack.enter_async_context(connect(tenant, reconnect_s=(0.05,) * 200))
        call = asyncio.create_task(target.count("Tickets"))
        for _ in range(1000):
            if waiting := target.usage().waiting:
                break
            await asyncio.sleep(0.01)
        assert waiting is not None
        server = simulator.url.split("/")[2]
        assert waiting.startswith(f"{server} cannot be reached: ")
        assert waiting.endswith("; the same call is sent again in 0.1 s")
        target.drain()
        with pytest.raises(NotSentError):
            await call
