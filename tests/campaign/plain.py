"""Plays a world with nothing going wrong: planned, applied, and planned again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bulkops
from bulkops.job import load_job
from bulkops.simulator import Options, running
from bulkops.targets.autotask.session import connect
from bulkops.tenant import Tenant
from tests.campaign.history import Rows, Scene
from tests.campaign.runs import NoWait
from tests.campaign.story import Story, read_story
from tests.campaign.trial import load, picture
from tests.campaign.worlds import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What was planned, what happened, what is planned after it, and the simulator's side of it."""

    story: Story
    again: Story
    scene: Scene
    planned: Rows  # the records after planning, before the first write


async def play(world: World, job: Path, *, per_entity: int = 2) -> Played:
    """`job` is the job's file, written with its sources; the plans are made beside it."""
    async with running(Options(release_ms=0, tiers=False, threshold=10**6)) as simulator:
        tenant = Tenant.model_validate(
            {"name": "acme", "url": simulator.url, "username": "u", "secret": "s", "integration_code": "c",
             "settle_s": 5, "budget": {"release_ms": 0, "per_entity": per_entity}}
        )  # fmt: skip
        load(simulator, world)
        before = picture(simulator)
        async with connect(tenant, rng=NoWait()) as target:
            plan = await bulkops.build_plan(load_job(job), target, job.with_suffix(".plan"))
            planned = picture(simulator)
            status = await bulkops.apply_plan(plan, target, rng=NoWait())
            assert status.state == "finished"
            log = list(simulator.tenant.run.log.after(0))
            scene = Scene(before=before, after=picture(simulator), log=log)
            await bulkops.build_plan(load_job(job), target, job.with_suffix(".again"))
    return Played(
        story=read_story(plan.path),
        again=read_story(job.with_suffix(".again")),
        scene=scene,
        planned=planned,
    )
