"""The register: a copy of a begun plan is never applied as if it were new."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bulkops.change import Action, Change
from bulkops.errors import PlanError
from bulkops.journal import Journal
from bulkops.journal.register import KEPT_S, Register, state_folder
from bulkops.plan import Header, PlanWriter
from bulkops.record import Row


def make(path: Path) -> Path:
    with PlanWriter(path) as writer:
        for n in (1, 2):
            writer.add(Row(cells=(str(n),)), Change(n=n, step="s", entity="Tasks", action=Action.CREATE))
        writer.seal(
            Header(
                job="j", tenant="t", database="1", url="", reason="", created="", version="", steps=(),
                counts={"create": 2}, calls_read=0, calls_write=0, estimate_s={},
            )
        )  # fmt: skip
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path / "x.plan")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(item.stat().st_mode) for item in (folder, *folder.iterdir())}


async def run(path: Path, state: Path) -> None:
    """A run in which something was tried."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent(1)
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)


async def test_a_copy_is_refused_while_the_original_is_there(path: Path, state: Path, tmp_path: Path) -> None:
    """Made before or after the original was begun, the copy names the original."""
    before = shutil.copy(path, tmp_path / "before.plan")
    await run(path, state)
    after = shutil.copy(path, tmp_path / "after.plan")
    for copied in (before, after):
        with pytest.raises(PlanError, match=r"copy of a plan that was begun at .*x\.plan: apply that one"):
            Journal.open(copied, state_dir=state)
    await run(path, state)


async def test_only_one_of_two_copies_is_begun(path: Path, state: Path, tmp_path: Path) -> None:
    """Two copies of a plan that nobody began: whichever is first is the plan."""
    copied = Path(shutil.copy(path, tmp_path / "y.plan"))

    def attempt(file: Path) -> Journal | None:
        try:
            return Journal.open(file, state_dir=state)
        except PlanError:
            return None

    with ThreadPoolExecutor(2) as threads:
        begun = [journal for journal in threads.map(attempt, (path, copied)) if journal is not None]
    assert len(begun) == 1
    await begun[0].close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)


async def test_an_older_copy_is_refused_although_the_original_is_gone(
    path: Path, state: Path, tmp_path: Path
) -> None:
    """What happened since it was made is not in it, wherever it stands now, also in the original's place."""
    await run(path, state)
    older = shutil.copy(path, tmp_path / "older.plan")
    await run(path, state)
    path.unlink()  # noqa: ASYNC240
    with pytest.raises(PlanError, match="is an older copy"):
        Journal.open(older, state_dir=state)
    shutil.copy(older, path)
    with pytest.raises(PlanError, match="is an older copy"):
        Journal.open(path, state_dir=state)


async def test_a_moved_plan_goes_on(path: Path, state: Path, tmp_path: Path) -> None:
    """Moving or renaming is no copying, also when a new plan takes the old name."""
    await run(path, state)
    moved = path.rename(tmp_path / "moved.plan")  # noqa: ASYNC240
    await run(moved, state)
    again = moved.rename(tmp_path / "again.plan")
    make(moved)
    await run(again, state)
    await run(moved, state)


async def test_a_plan_is_the_same_through_a_link(path: Path, state: Path, tmp_path: Path) -> None:
    """The way a plan is named does not make it a copy."""
    link = tmp_path / "link.plan"
    link.symlink_to(path)
    await run(path, state)
    await run(link, state)
    await run(path, state)


async def test_another_machine_knows_nothing(path: Path, state: Path, tmp_path: Path) -> None:
    """A plan that was stopped in good order goes on elsewhere."""
    await run(path, state)
    (tmp_path / "b").mkdir()
    await run(Path(shutil.copy(path, tmp_path / "b" / "x.plan")), tmp_path / "other-machine")


async def test_the_register_is_private(path: Path, state: Path) -> None:
    """It names files of a customer: nobody else reads it."""
    await run(path, state)
    if os.name == "posix":
        assert modes(state) == {0o700, 0o600}


def test_a_damaged_register_is_named(path: Path, state: Path) -> None:
    """It is never taken for an empty one."""
    state.mkdir()
    for content in ("", "[]", '{"a": 1}', '{"a": {"path": "x"}}', "\x00"):
        (state / "plans.json").write_text(content)
        with pytest.raises(PlanError, match=r"plans\.json is damaged"):
            Journal.open(path, state_dir=state)


def test_a_register_that_cannot_be_read_or_written_is_named(path: Path, state: Path) -> None:
    """Without it no copy would be noticed: refused, and the way out is named."""
    (state / "plans.json").mkdir(parents=True)
    with pytest.raises(PlanError, match="Set BULKOPS_STATE_DIR"):
        Journal.open(path, state_dir=state)


def test_a_state_folder_that_cannot_be_made_is_named(path: Path, state: Path) -> None:
    """Something else stands in its place: refused, and the way out is named."""
    state.write_text("no folder")
    with pytest.raises(PlanError, match="Set BULKOPS_STATE_DIR"):
        Journal.open(path, state_dir=state)


def test_a_register_that_cannot_be_replaced_is_named(path: Path, state: Path) -> None:
    """What was to be written is not left behind."""
    with Register(state, clock=lambda: 0.0).page("a") as page:
        (state / "plans.json").mkdir()
        with pytest.raises(PlanError, match="Set BULKOPS_STATE_DIR"):
            page.begin(path, "a run")
    assert sorted(item.name for item in state.iterdir()) == ["plans.json", "plans.json.lock"]


def test_a_register_that_is_held_for_long_is_named(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another apply that hangs while it begins does not make this one hang."""
    monkeypatch.setattr("bulkops.journal.register.LOCK_S", 0.05)
    with (
        Register(state, clock=lambda: 0.0).page("a"),
        pytest.raises(PlanError, match="another apply is beginning"),
    ):
        Journal.open(path, state_dir=state)


async def test_a_copy_is_refused_while_the_original_is_applied(
    path: Path, state: Path, tmp_path: Path
) -> None:
    """Also in the middle of it, log and all."""
    journal = Journal.open(path, state_dir=state)
    copied = tmp_path / "copy.plan"
    for number in range(4):
        await journal.intent(1)
        with pytest.raises(PlanError, match=r"copied without its log|begun at .*x\.plan: apply that one"):
            _copy_and_open(path, copied, state, with_log=number % 2 == 0)
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)


def _copy_and_open(path: Path, copied: Path, state: Path, *, with_log: bool) -> None:
    # In another process: closing the file in this one would drop the locks of its SQLite.
    code = "import shutil, sys; shutil.copy(*sys.argv[1:3])"
    for suffix in ("", "-wal") if with_log else ("",):
        subprocess.run([sys.executable, "-S", "-c", code, f"{path}{suffix}", f"{copied}{suffix}"], check=True)
    try:
        Journal.open(copied, state_dir=state)
    finally:
        for suffix in ("-wal", "-shm"):
            copied.with_name(copied.name + suffix).unlink(missing_ok=True)


def test_a_plan_whose_file_is_gone_is_forgotten_after_a_year(path: Path, state: Path, tmp_path: Path) -> None:
    """Not before, and never while its file is there."""
    gone = make(tmp_path / "gone.plan")
    now = [0.0]
    register = Register(state, clock=lambda: now[0])
    for sha256, file in (("a", path), ("b", gone)):
        with register.page(sha256) as page:
            page.begin(file, f"run of {sha256}")
    gone.unlink()

    def known(at: float) -> set[str]:
        now[0] = at
        with register.page("c") as page:
            page.begin(path, "another")
        return set(json.loads((state / "plans.json").read_text()))

    assert known(KEPT_S - 1) == {"a", "b", "c"}
    assert known(KEPT_S + 1) == {"a", "c"}


def test_the_state_folder_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BULKOPS_STATE_DIR, else where this system keeps a user's state."""
    monkeypatch.setenv("BULKOPS_STATE_DIR", str(tmp_path / "own"))
    assert state_folder() == tmp_path / "own"
    monkeypatch.delenv("BULKOPS_STATE_DIR")
    assert "bulkops" in state_folder().parts
