"""Several seeds in one process: side by side on one event loop, since most of a seed is waiting."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.campaign.runs import hurried
from tests.campaign.trial import Knobs, Outcome, run_seed

SIDE_BY_SIDE = 8


def play(seeds: Sequence[int], knobs: Knobs, *, side_by_side: int = SIDE_BY_SIDE) -> list[Outcome]:
    """The outcome of each seed. A state folder of their own, so that they know no other plans."""
    logging.disable(logging.CRITICAL)  # thousands of runs that die have thousands of things to say
    before = os.environ.get("BULKOPS_STATE_DIR")
    with tempfile.TemporaryDirectory(prefix="campaign-") as folder, hurried():
        os.environ["BULKOPS_STATE_DIR"] = str(Path(folder, "state"))
        try:
            return asyncio.run(_play(seeds, knobs, Path(folder), side_by_side))
        finally:
            logging.disable(logging.NOTSET)
            if before is None:
                del os.environ["BULKOPS_STATE_DIR"]
            else:
                os.environ["BULKOPS_STATE_DIR"] = before


async def _play(seeds: Sequence[int], knobs: Knobs, folder: Path, side_by_side: int) -> list[Outcome]:
    room = asyncio.Semaphore(side_by_side)

    async def one(place: int, seed: int) -> Outcome:
        async with room:
            own = folder / f"{place}"
            own.mkdir()
            return await run_seed(seed, own, knobs)

    return await asyncio.gather(*(one(place, seed) for place, seed in enumerate(seeds)))
