"""One seed of a campaign: a random world, applied under faults, among strangers, with stops and deaths, to
its end; then the history checker has its say.

A seed repeats the world, the faults, the switches and the points of death; what happens at the same moment
on two connections is the machine's.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import bulkops
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.simulator import Options, Running, running
from bulkops.targets.autotask.session import connect
from bulkops.tenant import Tenant
from tests.campaign.history import Breach, Finding, Rows, Scene, check
from tests.campaign.runs import NoWait, Played, Runner, tenant, told_of
from tests.campaign.story import Story, read_story
from tests.campaign.trouble import (
    INVALID,
    NEWS,
    CountedFaults,
    Strangers,
    some_faults,
    some_switches,
)
from tests.campaign.values import same
from tests.campaign.worlds import Rival, World

MEANT = re.compile(
    rf"{NEWS}|{re.escape(INVALID)}|tried \d+ times|already exists|has its key by now|refused the request"
    r"|row \d+, which it needs"
)  # what a row may be rejected for while it is applied


@dataclass(slots=True, kw_only=True)
class Knobs:
    """What a campaign may do.

    `marker`: some steps have a marker. `strangers`: others work on the tenant; `meddling`: also on records
    that the plan has only just made. `too_late`: requests land after `settle_s`, which breaks an assumption.
    `size`: rows of a step, about.
    """

    marker: bool = True
    strangers: bool = True
    meddling: bool = False
    too_late: bool = False
    size: int = 10


@dataclass(slots=True, kw_only=True)
class Outcome(Played):
    """What came of one seed."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)  # of rows
    in_doubt: Counter[str] = field(default_factory=Counter)  # creates, by what they are known by
    held: Counter[str] = field(default_factory=Counter)  # of those
    writes: int = 0
    elapsed_s: float = 0.0


async def run_seed(seed: int, folder: Path, knobs: Knobs) -> Outcome:
    """Plays one seed. What the engine raises where nothing is to be raised is a finding too."""
    started = time.monotonic()
    trial = _Trial(seed, folder, knobs)
    try:
        await trial.run()
    except Exception as error:
        trial.outcome.findings.append(Finding(breach=Breach.ERROR, text=told_of(error)))
    trial.outcome.elapsed_s = time.monotonic() - started
    return trial.outcome


class _Trial:
    def __init__(self, seed: int, folder: Path, knobs: Knobs) -> None:
        self.outcome = Outcome(seed=seed)
        self._seed = seed
        self._folder = folder
        self._knobs = knobs
        self._rng = random.Random(seed)
        self._world = World.of(self._rng, marker=knobs.marker, size=knobs.size)
        self._simulator: Running
        self._tenant: Tenant

    async def run(self) -> None:
        is_tight = self._rng.random() < 0.15  # the window is small, and others burn it
        options = Options(
            seed=self._seed,
            tiers=False,
            release_ms=self._rng.choice([0, 0, 5]),
            latency_ms=self._rng.choice([0, 0, 0, 2, 10]),
            threshold=self._rng.randrange(60, 150) if is_tight else 100_000,
            window_s=0.8 if is_tight else 2.0,
            switches=some_switches(self._rng),
        )
        async with running(options) as self._simulator:
            self._simulator.tenant.run.faults = faults = CountedFaults(self._seed)
            self._tenant = tenant(self._simulator, self._rng, window_s=options.window_s)
            load(self._simulator, self._world)
            before = picture(self._simulator)
            job = load_job(self._world.write(self._folder))
            async with connect(self._tenant, rng=NoWait()) as target:
                plan = await bulkops.build_plan(job, target, self._folder / "x.plan")
            draw = partial(some_faults, self._rng, too_late=self._knobs.too_late)
            runner = Runner(self._simulator, self._tenant, self._rng, self.outcome, draw)
            async with self._strangers() as strangers:
                rivals = self._rivals(strangers)
                await runner.until_done(plan)
            scene = Scene(
                before=before,
                after=picture(self._simulator),
                log=list(self._simulator.tenant.run.log.after(0)),
                others=strangers.others,
            )
            self.outcome.faults = faults.done
            faults.install([])
            async with connect(self._tenant, rng=NoWait()) as target:
                await bulkops.build_plan(job, target, self._folder / "y.plan")
        self._judge(plan, scene)
        self._judge_rivals(rivals, scene)

    @asynccontextmanager
    async def _strangers(self) -> AsyncIterator[Strangers]:
        strangers = Strangers(self._simulator, random.Random(self._seed), meddling=self._knobs.meddling)
        task = None
        if self._knobs.strangers and self._rng.random() < 0.5:
            task = asyncio.create_task(strangers.work())
        try:
            yield strangers
        finally:
            if task is not None:
                task.cancel()

    def _rivals(self, strangers: Strangers) -> dict[int, Rival]:
        """Records that somebody else makes with keys of the plan, before it is applied."""
        is_drawn = self._knobs.strangers and self._rng.random() < 0.2
        made: dict[int, Rival] = {}
        for rival in self._world.rivals(self._rng) if is_drawn else ():
            record_id = self._simulator.store.table(rival.entity).insert(rival.record)
            strangers.others.created.add((rival.entity, record_id))
            made[record_id] = rival
        return made

    # --- what came of it ---

    def _judge(self, plan: Plan, scene: Scene) -> None:
        story = read_story(self._folder / "x.plan")
        self.outcome.findings += check(story, scene, is_assumed=not self._knobs.too_late)
        if dict(plan.status().counts) != story.counts():
            self._fail(Breach.STORY, f"`status` counts {plan.status().counts}, the journal {story.counts()}")
        self.outcome.findings += _planned_again(story, read_story(self._folder / "y.plan"), scene)
        self.outcome.ends.update(story.counts())
        self.outcome.writes = sum(line.word == "intent" for line in story.lines)
        known_by = self._world.known_by()
        for n, change in story.changes.items():
            if change.action == "create" and story.was_in_doubt(n):
                self.outcome.in_doubt[known_by[change.step]] += 1
                self.outcome.held[known_by[change.step]] += story.state(n) == "held"

        for n, change in story.changes.items():
            last = story.last(n)
            if last is not None and last.word == "rejected" and not MEANT.search(last.reason or ""):
                self._fail(Breach.WRONG, f"row {n} ({change.action}) is rejected: {last.reason}")

    def _judge_rivals(self, rivals: Mapping[int, Rival], scene: Scene) -> None:
        """A row whose key somebody else has used before it was sent makes no second record."""
        story = read_story(self._folder / "x.plan")
        for record_id, rival in rivals.items():
            if (rival.entity, record_id) in scene.others.deleted:
                continue
            for n, change in story.changes.items():
                is_its = change.entity == rival.entity and list(change.key) == [rival.field]
                if is_its and same(rival.key, change.key[rival.field]) and story.state(n) == "applied":
                    self._fail(Breach.TWICE, f"row {n} made a second {rival.entity} {rival.key!r}")

    def _fail(self, breach: Breach, text: str) -> None:
        self.outcome.findings.append(Finding(breach=breach, text=text))


def _planned_again(story: Story, again: Story, scene: Scene) -> Iterator[Finding]:
    """What is applied or unchanged is not planned a second time, where a key says so."""
    for n, change in story.changes.items():
        record = story.record_id(n)
        is_touched = record is not None and (
            (change.entity, record) in scene.others.edited or (change.entity, record) in scene.others.deleted
        )
        is_done = story.state(n) in ("applied", "unchanged") and bool(change.key) and not is_touched
        if is_done and again.changes[n].is_write:
            text = f"row {n} is {story.state(n)}, and planned again: {again.changes[n].action}"
            yield Finding(breach=Breach.LOST, text=text)


# --- the simulated tenant ---


def load(simulator: Running, world: World) -> None:
    for entity, rows in world.loaded.items():
        for row in rows:
            simulator.store.table(entity).insert(row)


def picture(simulator: Running) -> Rows:
    """Every record of every entity."""
    return {
        name: {n: table[n] for n in table.ids}
        for name, table in simulator.store.tables().items()
        if table.ids
    }
