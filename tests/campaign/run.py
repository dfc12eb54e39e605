"""A campaign from the command line: many seeds over all cores, and one table.

    uv run python tests/campaign/run.py --seeds 10000 --jobs 2
    uv run python tests/campaign/run.py --seed 4711

Exit code 0 where no promise was broken. A seed that broke one is printed with the line that repeats it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:  # as a script, this folder is the first place, and not the project
    sys.path.insert(0, str(ROOT))

from tests.campaign.batch import SIDE_BY_SIDE, play  # noqa: E402 - after the path
from tests.campaign.tally import Tally  # noqa: E402
from tests.campaign.trial import Knobs, Outcome  # noqa: E402

BATCH = 64  # seeds that one process plays before it tells
MOST = 20  # failed seeds, after which there is enough to look at
COMMAND = "uv run python tests/campaign/run.py"


def main(argv: Sequence[str] | None = None) -> int:
    given = parser().parse_args(argv)
    knobs = knobs_of(given)
    seeds: Sequence[int] = range(given.first, given.first + given.seeds)
    if given.seed is not None:
        seeds = [given.seed] * given.times
    started = time.monotonic()
    tally = Tally()
    for outcome in _outcomes(seeds, knobs, min(given.jobs, len(seeds)), given.side_by_side):
        tally.add(outcome)
        for finding in outcome.findings:
            _say(f"seed {outcome.seed}: {finding}")
        if outcome.findings:
            _say(f"repeat with: {repeat(outcome.seed, knobs)}")
        if len(tally.failed) == MOST:
            _say(f"{MOST} seeds failed, the others are not played")
            break
        if tally.seeds % 500 == 0:
            sys.stderr.write(f"{tally.seeds:,} seeds, {time.monotonic() - started:,.0f} s\n")
    _say(tally.table(time.monotonic() - started).rstrip())
    return 1 if tally.failed else 0


def repeat(seed: int, knobs: Knobs) -> str:
    """The one line that plays a seed again."""
    said = {
        "--no-marker": not knobs.marker,
        "--alone": not knobs.strangers,
        "--too-late": knobs.too_late,
        "--meddling": knobs.meddling,
    }
    words = [COMMAND, f"--seed {seed}", *(word for word, is_said in said.items() if is_said)]
    return " ".join([*words, f"--size {knobs.size}"] if knobs.size != Knobs().size else words)


def knobs_of(given: argparse.Namespace) -> Knobs:
    return Knobs(
        marker=not given.no_marker,
        strangers=not given.alone,
        too_late=given.too_late,
        meddling=given.meddling,
        size=given.size,
    )


def _outcomes(seeds: Sequence[int], knobs: Knobs, jobs: int, side_by_side: int) -> Iterator[Outcome]:
    parts = [seeds[start : start + BATCH] for start in range(0, len(seeds), BATCH)]
    if jobs == 1:
        for part in parts:
            yield from play(part, knobs, side_by_side=side_by_side)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        played = [pool.submit(play, part, knobs, side_by_side=side_by_side) for part in parts]
        try:
            for one in played:
                yield from one.result()
        finally:
            pool.shutdown(cancel_futures=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=COMMAND, description=__doc__, allow_abbrev=False)
    add = made.add_argument
    add("--seeds", type=int, default=100, help="how many seeds (%(default)s)")
    add("--first", type=int, default=0, help="the first of them (%(default)s)")
    add("--seed", type=int, help="only this one")
    add("--times", type=int, default=1, help="so often: what happens at the same moment is the machine's")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)")
    add("--side-by-side", type=int, default=SIDE_BY_SIDE, help="seeds at a time in one process (%(default)s)")
    add("--size", type=int, default=Knobs().size, help="rows of a step, about (%(default)s)")
    add("--no-marker", action="store_true", help="no step has a marker")
    add("--meddling", action="store_true", help="others change records that were only just made")
    add("--too-late", action="store_true", help="requests land after settle_s: an assumption is broken")
    add("--alone", action="store_true", help="nobody else works on the tenant")
    return made


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
