"""The first two commands a new user types."""

from __future__ import annotations

import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk


def test_the_demo_goes_the_whole_way_by_itself(desk: Desk) -> None:
    """Without a terminal, a tenants file or an argument: plan, diff, apply, report, a second plan without
    changes, the files where it says and for their owner only, exit 0, and no simulator left behind."""
    (desk.folder / "bulkops.toml").unlink()
    ran = desk.run("demo", env={"TMPDIR": str(desk.folder), "TEMP": str(desk.folder)})
    assert ran.err == ""
    assert "finished: 48 applied, 1 unchanged, 10 rejected, 0 held, 0 pending" in ran.out
    assert "0 changes, 49 unchanged, 10 rejected" in ran.out
    assert "~ Companies" in ran.out and "+ Companies" in ran.out and "! Companies" in ran.out
    [home] = desk.folder.glob("bulkops-demo-*")
    assert str(home) in ran.out
    results = home / "results"
    assert {path.name for path in results.iterdir()} == {
        "applied.csv", "unchanged.csv", "rejected.csv", "held.csv", "pending.csv"
    }  # fmt: skip
    for path in (home / "legacy-clients.plan", *results.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len((results / "applied.csv").read_text("utf-8-sig").splitlines()) == 49
    shown = desk.run("status", home / "legacy-clients.plan", "--json").json
    assert shown["state"] == "finished" and shown["counts"]["pending"] == 0


def test_the_demo_overwrites_nothing(desk: Desk) -> None:
    """A folder with files of an earlier demo, or anybody's, is refused and left as it is."""
    desk.write("job.yaml", "mine")
    said = desk.refused("demo", "--dir", desk.folder)
    assert str(desk.folder) in said
    assert (desk.folder / "job.yaml").read_text() == "mine"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_a_demo_that_is_ended_takes_its_simulator_along(desk: Desk) -> None:
    """SIGTERM in the middle leaves no process behind."""
    running = desk.start("demo", "--dir", desk.folder / "here")
    assert running.stdout is not None
    running.stdout.readline()
    children = [pid for pid, parent in processes().items() if parent == running.pid]
    running.terminate()
    running.communicate(timeout=30)
    assert running.returncode not in (0, 70)
    assert len(children) == 1
    assert children[0] not in processes()


def processes() -> dict[int, int]:
    """Every live process of this machine and its parent."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(path.parent.name)] = int(parent)
    return found
