"""There and back among faults, deaths and other people: what is theirs stays, and all else is as it was."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.campaign.journey import Journey, play_seed
from tests.campaign.runs import hurried

SIDE_BY_SIDE = 6


async def _played(seeds: Sequence[int], folder: Path) -> list[Journey]:
    room = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(seed: int) -> Journey:
        async with room:
            (own := folder / str(seed)).mkdir()
            return await play_seed(seed, own)

    return await asyncio.gather(*map(one, seeds))


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Thousands of runs that die have thousands of things to say; and they know no other plans."""
    monkeypatch.setenv("BULKOPS_STATE_DIR", str(tmp_path / "state"))
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    "seeds",
    [
        range(6),
        *(pytest.param(range(n, n + 100), marks=pytest.mark.slow) for n in range(10_000, 10_800, 100)),
    ],
    ids=lambda seeds: f"{seeds[0]} to {seeds[-1]}",
)
async def test_there_and_back_every_record_is_as_it_should_be(seeds: range, tmp_path: Path) -> None:
    """Hand-overs, closings and plain jobs: with nobody else at work nothing is refused or held on either way,
    and every field of every record is as before; with others, what they wrote stays, and what nobody touched
    is as before.
    """
    with hurried():
        journeys = await _played(seeds, tmp_path)
    told = [f"seed {one.seed}: {finding.text}" for one in journeys for finding in one.findings]
    assert not told, "\n".join(told)
    assert sum(one.written for one in journeys) > 5 * len(seeds)  # journeys that do nothing show nothing
    assert sum(one.deaths for one in journeys) > len(seeds)
    assert sum(one.edits for one in journeys) > len(seeds) / 2
    assert sum(one.is_refused for one in journeys) < len(seeds) / 4
