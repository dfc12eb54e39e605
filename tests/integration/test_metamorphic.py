"""What must not matter does not: the order of rows, the kind of file, the size of a page, how many at once.

A random world is planned and applied as it is, and again in another way; the records must come to the same,
whatever ids they got.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest
from openpyxl import Workbook

from bulkops.targets.autotask import query
from tests.campaign.endstate import EndState, end_state
from tests.campaign.plain import play
from tests.campaign.worlds import World

Way: TypeAlias = Callable[[World, Path, pytest.MonkeyPatch], Awaitable[EndState]]

SEEDS = pytest.mark.parametrize(
    "seeds", [range(5), pytest.param(range(1000, 1080), marks=pytest.mark.slow)], ids=["few", "many"]
)


async def _played(world: World, job: Path, *, per_entity: int = 2) -> EndState:
    played = await play(world, job, per_entity=per_entity)
    return end_state(played.scene.before, played.scene.after)


async def as_it_is(world: World, folder: Path, _: pytest.MonkeyPatch) -> EndState:
    return await _played(world, world.write(folder))


async def shuffled(world: World, folder: Path, _: pytest.MonkeyPatch) -> EndState:
    """Children stand above their parents too."""
    rng = random.Random(len(world.steps))
    steps = [replace(step, rows=rng.sample(step.rows, len(step.rows))) for step in world.steps]
    return await _played(replace(world, steps=steps), replace(world, steps=steps).write(folder))


async def as_workbooks(world: World, folder: Path, _: pytest.MonkeyPatch) -> EndState:
    """The same cells, as text, in Excel files."""
    for step in world.steps:
        book = Workbook()
        sheet = book.active
        assert sheet is not None
        for row in [step.columns, *step.rows]:
            sheet.append(list(row))
        book.save(folder / f"{step.name}.xlsx")
    (folder / "job.yaml").write_text(world.job("xlsx"), "utf-8")
    return await _played(world, folder / "job.yaml")


async def by_small_pages(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> EndState:
    """Three records a call instead of 500."""
    monkeypatch.setattr(query, "PAGE", 3)
    return await _played(world, world.write(folder))


async def one_at_a_time(world: World, folder: Path, _: pytest.MonkeyPatch) -> EndState:
    return await _played(world, world.write(folder), per_entity=1)


async def three_at_a_time(world: World, folder: Path, _: pytest.MonkeyPatch) -> EndState:
    return await _played(world, world.write(folder), per_entity=3)


@SEEDS
@pytest.mark.parametrize("way", [shuffled, as_workbooks, by_small_pages, one_at_a_time, three_at_a_time])
async def test_another_way_comes_to_the_same(
    way: Way, seeds: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records are the same, up to ids, numbers and times that the server gives."""
    for seed in seeds:
        world = World.of(random.Random(seed), marker=False)
        for step in world.steps:  # a workbook keeps no carriage return
            step.rows = [tuple(cell.replace("\r", "") for cell in row) for row in step.rows]
        folders = [tmp_path / f"{seed}-{number}" for number in range(2)]
        for folder in folders:
            folder.mkdir()
        expected = await as_it_is(world, folders[0], monkeypatch)
        with monkeypatch.context() as patch:
            found = await way(world, folders[1], patch)
        assert found == expected, f"seed {seed}"
        assert sum(map(sum, (rows.values() for rows in expected.values()))) > 0
