"""Disks that are full, fail or may not be written, and clocks that jump: a sentence, and on it goes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk, Ran, Simulator

posix = pytest.mark.skipif(os.name != "posix", reason="limits, permissions and kill -9 are POSIX")

COUNT = 60
DAY_S = 86_400

# The command line on a disk that fails from the n-th thing on that it is told.
FAILING = """
import sys
from pathlib import Path
from bulkops.plan import storage
from tests.integration.powercut import Disk, failing
disk = Disk(Path("no register"))
disk.fail = failing(int(sys.argv.pop(1)), is_full=sys.argv.pop(1) == "full", for_good=True)
storage.connect = disk.connect
from bulkops.cli import entry
entry()
"""

# The command line under a wall clock that is so many seconds ahead, every other time that it is asked.
JUMPING = """
import itertools, sys, time
told, ahead = time.time, itertools.cycle(map(float, sys.argv.pop(1).split(",")))
time.time = lambda: told() + next(ahead)
from bulkops.cli import entry
entry()
"""


def script(desk: Desk, code: str, *words: object) -> Ran:
    """Runs the command line inside some lines of Python."""
    from tests.acceptance.conftest import Ran

    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=desk.folder,
        env=desk.env(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)


UNCACHED = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Where files are cut short, so are the modules that Python caches: every process after it would fail."""


def limited(size: int) -> Callable[[], None]:
    """No file may grow beyond `size` bytes: what a full disk is to whoever writes."""
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def without_privileges() -> None:
    """Root may write everything, permissions or not; the tests of permissions take that away from it."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


def all_there(simulator: Simulator, count: int = COUNT) -> None:
    assert sorted(simulator.numbered()) == [f"K-{n:04}" for n in range(1, count + 1)]


def is_told(ran: Ran, code: int, *sentences: str) -> None:
    """It ended with this code and these sentences, and with nothing that looks like a bug."""
    assert ran.code == code, ran
    assert all(sentence in ran.err for sentence in sentences), ran.err
    assert "Traceback" not in ran.err and "bug" not in ran.err


@posix
def test_a_disk_that_is_full_in_the_middle_stops_the_run(desk: Desk) -> None:
    """Exit 6 and a sentence; what was written before is known, and with room the plan goes on."""
    desk.plan(desk.customers(COUNT))
    size = (desk.folder / "customers.plan").stat().st_size
    ran = desk.run(
        "apply", "customers.plan", "--yes", code=None, preexec_fn=limited(size + 60_000), env=UNCACHED
    )
    is_told(ran, 6, "nothing more is sent", "free some space", "apply the plan again")
    status = desk.run("status", "customers.plan", "--json").json
    assert status["state"] == "stopped" and 0 < status["counts"]["applied"] < COUNT
    assert desk.apply("customers.plan")["counts"]["applied"] == COUNT
    all_there(desk.simulator)


@posix
def test_a_disk_that_is_full_at_the_beginning_refuses_the_plan(desk: Desk) -> None:
    """Exit 1: nothing was sent, and the plan is as it was."""
    desk.plan(desk.customers(COUNT))
    ran = desk.run("apply", "customers.plan", "--yes", code=None, preexec_fn=limited(100), env=UNCACHED)
    is_told(ran, 1, "cannot be")
    assert desk.simulator.writes() == 0
    assert desk.run("status", "customers.plan", "--json").json["state"] == "planned"
    desk.apply("customers.plan")
    all_there(desk.simulator)


@pytest.mark.parametrize(
    ("cause", "sentence"), [("full", "the disk is full"), ("broken", "the disk gave an error")]
)
def test_a_disk_that_fails_is_told_and_survived(desk: Desk, cause: str, sentence: str) -> None:
    """At the beginning, at the first intent, and later: exit 1 while nothing was sent, then exit 6. In the
    end each row is there once."""
    desk.plan(desk.customers(COUNT))
    codes = []
    for at in (3, 24, 33, 42):
        before = desk.simulator.writes()
        ran = script(desk, FAILING, at, cause, "apply", "customers.plan", "--yes")
        began = desk.run("status", "customers.plan", "--json").json["counts"]["pending"] < COUNT
        assert ran.code == 6 or (ran.code == 1 and desk.simulator.writes() == before and not began), ran
        is_told(ran, ran.code, sentence, "again")
        codes.append(ran.code)
    assert codes == sorted(codes) and {*codes} == {1, 6}
    desk.apply("customers.plan")
    all_there(desk.simulator)


@posix
def test_a_folder_that_may_not_be_written_is_named(desk: Desk) -> None:
    """The plan can be looked at there, and is applied when the folder is the user's again."""
    desk.plan(desk.customers(3))
    desk.folder.chmod(0o555)
    try:
        ran = desk.run("apply", "customers.plan", "--yes", code=None, preexec_fn=without_privileges)
        is_told(ran, 1, "customers.plan cannot be locked (Permission denied)", "must be writable")
        shown = desk.run("status", "customers.plan", "--json", preexec_fn=without_privileges)
        assert shown.json["state"] == "planned"
    finally:
        desk.folder.chmod(0o755)
    desk.apply("customers.plan")
    all_there(desk.simulator, 3)


@posix
def test_a_state_folder_that_may_not_be_written_is_named(desk: Desk) -> None:
    """Without it no copy of the plan would be noticed: exit 1, and the way out."""
    desk.plan(desk.customers(3))
    state = desk.folder / "state"
    state.mkdir(mode=0o555)
    env = {"BULKOPS_STATE_DIR": str(state)}
    ran = desk.run("apply", "customers.plan", "--yes", code=None, env=env, preexec_fn=without_privileges)
    is_told(ran, 1, "BULKOPS_STATE_DIR")
    assert desk.simulator.writes() == 0
    state.chmod(0o755)
    desk.run("apply", "customers.plan", "--yes", env=env)
    all_there(desk.simulator, 3)


@pytest.mark.parametrize("ahead", [f"{DAY_S}", f"-{DAY_S}", f"0,{DAY_S},0,-{DAY_S}"])
def test_a_clock_that_jumps_by_a_day_neither_stops_nor_repeats_anything(desk: Desk, ahead: str) -> None:
    """Between two runs and in the middle of one, forwards and backwards: it goes on, nobody waits a day."""
    desk.plan(desk.customers(COUNT))
    desk.apply("customers.plan", "--stop-after", "20", code=6)
    ran = script(desk, JUMPING, ahead, "apply", "customers.plan", "--yes", "--json")
    assert ran.code == 0, ran
    assert ran.json["counts"]["applied"] == COUNT and 0 <= ran.json["elapsed_s"] < 60
    all_there(desk.simulator)
    assert desk.simulator.stats()["by_call"]["POST Companies"] == COUNT


@posix
@pytest.mark.parametrize("ahead", [DAY_S, -DAY_S])
def test_a_clock_that_jumps_never_makes_a_late_create_look_absent(desk: Desk, ahead: int) -> None:
    """A create lands after its process was killed, and the next run's clock says that this was yesterday: it
    is waited for by a clock that does not jump, and not sent again."""
    desk.tenant(settle_s=3, budget_per_entity=1)
    desk.plan(desk.customers(12))
    desk.simulator.faults(
        {"method": "POST", "entity": "Companies", "when": {"nth": [5]}, "do": "late_commit", "ms": 2000}
    )
    desk.environ["BULKOPS_STATE_DIR"] = str(desk.folder / "state")  # or its slots are waited for
    run = desk.start("apply", "customers.plan", "--yes")
    desk.simulator.until(lambda stats: stats["by_call"].get("POST Companies", 0) >= 5)
    run.kill()
    run.communicate()
    desk.environ.clear()
    ran = script(desk, JUMPING, ahead, "apply", "customers.plan", "--yes")
    assert ran.code == 0, ran
    all_there(desk.simulator, 12)
