"""Real processes and `kill -9`, at exact points: the same command finishes what was killed, each row once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.campaign import killed
from tests.campaign.small import ROWS, SMALL

pytestmark = pytest.mark.skipif(os.name != "posix", reason="fork and kill -9 are POSIX")

DONE = {"applied": ROWS, "unchanged": 0, "rejected": 0, "held": 0, "pending": 0}
OwnDesk = Callable[..., Any]


@pytest.fixture
def play(own_desk: OwnDesk) -> Callable[[Sequence[Sequence[int]]], list[dict[str, Any]]]:
    """Plays the small job with these deaths, in processes of their own; what came of each."""
    desk = own_desk("--threshold", "0", settle_s=0.05)
    killed.load(desk.simulator.control)
    desk.plan(SMALL.write(desk.folder).name, "-o", "x.plan")
    again = 0

    def played(deaths: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
        nonlocal again
        again += 1
        folder = desk.folder / f"plays{again}"
        folder.mkdir()
        for name in ("x.plan", "bulkops.toml"):
            (folder / name).write_bytes((desk.folder / name).read_bytes())
        done = subprocess.run(
            [sys.executable, killed.__file__, folder, desk.simulator.control, json.dumps(deaths)],
            capture_output=True,
            encoding="utf-8",
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return played


def _check(plays: Sequence[dict[str, Any]], expected: dict[str, Any]) -> int:
    """How many were killed; fails where one of them came to anything else."""
    for one in plays:
        assert one["findings"] == [], one
        assert one["counts"] == DONE, one
        assert one["code"] == 0, one
        assert one["end"] == expected["end"], one
    return sum(one["killed"] for one in plays)


def test_a_dozen_kills_lose_nothing_and_write_nothing_twice(play: Callable[..., Any]) -> None:
    """Killed at a dozen points spread over the run, twice at each second one."""
    (whole,) = play([[]])
    assert _check([whole], whole) == 0
    points = whole["points"]
    assert points > 4 * ROWS
    spread = range(3, points - 6, points // 8)
    deaths = [[first] if first % 2 else [first, 5 + first // 2] for first in spread]
    assert _check(play(deaths), whole) >= 8


@pytest.mark.slow
def test_a_kill_at_every_point_loses_nothing_and_writes_nothing_twice(play: Callable[..., Any]) -> None:
    """Killed at every point, and at every one again and again while it recovers: over 300 kills."""
    (whole,) = play([[]])
    points = range(1, whole["points"] + 1)
    kills = _check(play([[first] for first in points]), whole)
    kills += _check(play([[first, 4 + 7 * first % 40, 12, 20] for first in points]), whole)
    assert kills >= 300, (kills, whole["points"])
