"""Every point at which an apply can die: each commit to its journal, each request, each answer, one by one.

A small job that has everything is run once without a crash, its points are counted, and then it dies at each
of them in turn, is applied again, and must come to the same records, with nothing lost and nothing twice.
Then it dies again while it recovers. (`tests/acceptance/test_kill.py` does it with real processes.)
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import bulkops
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.simulator import Options, Running, running
from bulkops.targets.autotask.session import connect
from bulkops.tenant import Tenant
from tests.campaign.crash import Life, living
from tests.campaign.endstate import EndState, end_state
from tests.campaign.history import Rows, Scene, check
from tests.campaign.runs import NoWait, hurried
from tests.campaign.small import ROWS, SMALL
from tests.campaign.story import read_story
from tests.campaign.trial import load, picture
from tests.campaign.worlds import World

SETTLE_S = 0.03
CLEAN_STOP = 8  # commits and folds with which a run ends; about so many points of it do nothing else


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with hurried():
        yield


@dataclass(kw_only=True)
class Stage:
    """A simulator, the plan as it was made, and what came of it when nothing went wrong."""

    simulator: Running
    tenant: Tenant
    plan: Path
    before: Rows
    tables: Mapping[str, Any]  # as they were before
    monkeypatch: pytest.MonkeyPatch
    rows: int = ROWS

    async def play(
        self, *deaths: int, name: str, cut_off_at: int | None = None
    ) -> tuple[EndState, list[Life]]:
        """From the beginning: dies at each of these points in turn, and is then applied to its end.

        `cut_off_at`: a run that is cancelled at this point comes first.
        """
        log = self.simulator.tenant.run.log
        first = log.count
        for entity, table in self.simulator.store.tables().items():
            table.restore(self.tables[entity])
        folder = self.plan.parent / name
        folder.mkdir()
        self.monkeypatch.setenv("BULKOPS_STATE_DIR", str(folder / "state"))
        path = Path(shutil.copy(self.plan, folder / "x.plan"))
        ends = [Life(dies_at=point) for point in deaths]
        if cut_off_at is not None:
            ends.insert(0, Life(told_at=cut_off_at))
        lives = [await self._live(life, path) for life in (*ends, Life())]
        story = read_story(path)
        scene = Scene(before=self.before, after=picture(self.simulator), log=list(log.after(first)))
        told = [str(finding) for finding in check(story, scene)]
        points = [life.points[-1] for life in lives[:-1]]
        assert told == [], f"died at {deaths} ({points})"
        assert story.counts() == dict(Plan.open(path).status().counts)
        assert story.counts() == {
            "applied": self.rows,
            "unchanged": 0,
            "rejected": 0,
            "held": 0,
            "pending": 0,
        }, f"died at {deaths} ({points}): {[line for line in story.lines if line.reason]}"
        shutil.rmtree(folder)
        return end_state(scene.before, scene.after), lives

    async def _live(self, life: Life, path: Path) -> Life:
        with living(life):
            task = asyncio.create_task(self._apply(path))
        loop = asyncio.get_running_loop()
        life.watch(lambda: loop.call_soon_threadsafe(task.cancel))
        await asyncio.wait({task}, timeout=20)
        assert task.done(), f"it hangs, having died at {life.dies_at} of {life.points}"
        with suppress(BaseException if life.is_dead else asyncio.CancelledError):
            task.result()
        return life

    async def _apply(self, path: Path) -> None:
        async with connect(self.tenant, rng=NoWait()) as target:
            await bulkops.apply_plan(Plan.open(path), target, rng=NoWait())


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    counts = {"create": 8, "update": 3, "delete": 3, "unchanged": 0, "rejected": 0}
    async with set_stage(SMALL, counts, tmp_path, monkeypatch) as stage:
        yield stage


@asynccontextmanager
async def set_stage(
    world: World,
    counts: Mapping[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    **switches: str,
) -> AsyncIterator[Stage]:
    """With a plan of the world's job, which does so much."""
    options = Options(release_ms=0, tiers=False, threshold=10**6, switches=switches)
    async with running(options) as simulator:
        tenant = Tenant.model_validate(
            {"name": "acme", "url": simulator.url, "username": "u", "secret": "s", "integration_code": "c",
             "settle_s": SETTLE_S, "budget": {"release_ms": 0, "per_entity": 2}}
        )  # fmt: skip
        load(simulator, world)
        before = picture(simulator)
        tables = {name: table.state() for name, table in simulator.store.tables().items()}
        job = load_job(world.write(tmp_path))
        async with connect(tenant) as target:
            plan = await bulkops.build_plan(job, target, tmp_path / "x.plan")
        assert dict(plan.counts) == counts
        yield Stage(
            simulator=simulator,
            tenant=tenant,
            plan=plan.path,
            before=before,
            tables=tables,
            monkeypatch=monkeypatch,
            rows=sum(counts.values()),
        )


async def _points(stage: Stage) -> tuple[EndState, Sequence[str]]:
    """How it ends where nothing goes wrong, and the points of that run."""
    expected, (life,) = await stage.play(name="whole")
    kinds = {point.split()[0] for point in life.points}
    assert kinds == {"commit", "send", "answer"}
    assert sum(point.startswith("send POST") and "query" not in point for point in life.points) == 8
    assert len(life.points) > 4 * ROWS
    return expected, life.points


async def test_a_death_at_any_point_changes_nothing(stage: Stage) -> None:
    """At every single point of a run: applied again, the records are those of a run without a crash."""
    expected, points = await _points(stage)
    died = 0
    for point in range(1, len(points) + 1):
        found, lives = await stage.play(point, name=f"{point}")
        assert found == expected, f"died at {point}: {lives[0].points[-1]}"
        died += lives[0].is_dead
    assert died >= len(points) - CLEAN_STOP  # two requests at a time do not come in the same order each time


async def test_being_cut_off_at_any_point_changes_nothing(stage: Stage) -> None:
    """As by a second Ctrl-C, at every third point: what was in flight is in doubt, the rest is pending."""
    expected, points = await _points(stage)
    for point in range(1, len(points) + 1, 3):
        found, _ = await stage.play(name=f"{point}", cut_off_at=point)
        assert found == expected, f"cut off at {point}: {points[point - 1]}"


@pytest.mark.parametrize(
    "step", [pytest.param(11, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]
)
async def test_a_death_during_recovery_changes_nothing(stage: Stage, step: int) -> None:
    """It dies at a point, and the run that recovers dies at each of its points; and once more."""
    expected, points = await _points(stage)
    died = 0
    for first in range(1, len(points) + 1, 2 * step):
        _, lives = await stage.play(first, name=f"{first}")
        for second in range(1 + first % step, len(lives[-1].points) + 1, 3 * step):
            found, both = await stage.play(first, second, 1 + first // 2, name=f"{first}-{second}")
            assert found == expected, f"died at {first} and {second}"
            died += sum(life.is_dead for life in both)
    assert died > 2 * len(points) // step
