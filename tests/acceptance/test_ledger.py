"""Several runs of one machine on one tenant: together they keep to what one was granted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

    OwnDesk = Callable[..., Desk]

NAMES = ("north", "south", "west")
EACH = 70


def ended(process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, (process.returncode, out, err)
    return dict(json.loads(out)) if out else {}


def kept_to_the_law(desk: Desk, *, granted: int, slots: int) -> None:
    stats = desk.simulator.stats()
    assert stats["refused"] == {"threads": 0, "hour": 0}
    assert stats["busiest_own"] <= granted
    assert max(stats["max_in_flight"].values()) <= slots


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_three_runs_of_which_one_is_killed_keep_to_the_grant_and_the_slots(own_desk: OwnDesk) -> None:
    """Planned at once, applied at once, one killed -9 in the middle and started again: every row is there
    once, no window holds more than the grant, no entity has more calls at a time, nothing was refused."""
    desk = own_desk("--latency-ms", "20", "--release-ms", "20", "--threshold", "160", "--window-s", "4")
    desk.tenant(settle_s=1.0, budget_window_s=4, budget_release_ms=30)
    jobs = [desk.customers(EACH, name=name, first=1 + EACH * n) for n, name in enumerate(NAMES)]
    for plan in [desk.start("plan", job, "--json") for job in jobs]:
        assert ended(plan)["counts"]["create"] == EACH
    kept_to_the_law(desk, granted=120, slots=2)
    runs = [desk.start("apply", f"{name}.plan", "--yes", "--json") for name in NAMES]
    desk.simulator.until(lambda stats: stats["committed"]["create"] >= EACH)
    runs[0].kill()
    ended(runs[0], -signal.SIGKILL)
    runs[0] = desk.start("apply", f"{NAMES[0]}.plan", "--yes", "--json")
    for run in runs:
        assert ended(run)["counts"]["applied"] == EACH
    kept_to_the_law(desk, granted=120, slots=2)
    assert len(desk.simulator.numbered()) == 3 * EACH


def test_a_state_folder_that_cannot_be_used_refuses_the_run_unless_it_is_alone(own_desk: OwnDesk) -> None:
    """Before anything is sent that counts, in a sentence that says what to do; `alone` is the way out."""
    desk = own_desk()
    job = desk.customers(3)
    desk.write("file", "")
    desk.environ["BULKOPS_STATE_DIR"] = str(desk.folder / "file")
    said = desk.refused("plan", job)
    assert "cannot be used" in said and "BULKOPS_STATE_DIR" in said and "alone = true" in said
    assert "GET ThresholdInformation" not in desk.simulator.stats()["by_call"]
    desk.tenant(budget_alone=True)
    assert desk.plan(job)["counts"]["create"] == 3
