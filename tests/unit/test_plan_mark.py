"""The open mark: a plan that is being applied is never taken without its log, and a whole one always."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bulkops.change import Action, Change
from bulkops.errors import PlanError
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Header, Plan, PlanState, PlanWriter
from bulkops.plan.openmark import OpenPlan
from bulkops.record import Row

COUNT = 200


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sealed plan of creates."""
    made = tmp_path / "x.plan"
    with PlanWriter(made) as writer:
        for n in range(1, COUNT + 1):
            change = Change(n=n, step="s", entity="Tasks", action=Action.CREATE)
            writer.add(Row(cells=(str(n),)), change)
        writer.seal(
            Header(
                job="j", tenant="t", database="1", url="", reason="", created="", version="", steps=(),
                counts={"create": COUNT}, calls_read=0, calls_write=0, estimate_s={},
            )
        )  # fmt: skip
    return made


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


async def close(journal: Journal) -> None:
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def copy(path: Path, folder: Path, *suffixes: str) -> Path:
    """A copy of the plan as it stands on the disk: what a kill would leave, where its log comes along.

    Made by another process: closing the file in this one would drop the locks of its SQLite.
    """
    folder.mkdir()
    pairs = [(f"{path}{suffix}", str(folder / f"{path.name}{suffix}")) for suffix in ("", *suffixes)]
    code = "import shutil, sys; a = sys.argv[1:]; [shutil.copy(*pair) for pair in zip(a[::2], a[1::2])]"
    subprocess.run([sys.executable, "-S", "-c", code, *(name for pair in pairs for name in pair)], check=True)
    return folder / path.name


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def log_size(path: Path) -> int | None:
    return log_of(path).stat().st_size if log_of(path).exists() else None


def is_in_wal_mode(path: Path) -> bool:
    """What the file's own header says. Only while nobody has it open."""
    return path.read_bytes()[18:20] == b"\x02\x02"


def content(path: Path) -> tuple[bytes, bytes]:
    return path.read_bytes(), log_of(path).read_bytes()


def put_back(killed: Path, path: Path) -> None:
    """The very same file, as a kill left it."""
    main, log = content(killed)
    with path.open("r+b") as file:
        file.write(main)
        file.truncate()
    log_of(path).write_bytes(log)


def held_by_reader(path: Path) -> sqlite3.Connection:
    """Another program in the middle of a long read."""
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM journal").fetchone()
    return reader


def looked_at(path: Path) -> None:
    """Another SQLite program opens the file, looks, and closes it."""
    connection = sqlite3.connect(path)
    connection.execute("SELECT count(*) FROM journal").fetchone()
    connection.close()


async def test_a_clean_stop_leaves_one_whole_file(path: Path, state: Path, tmp_path: Path) -> None:
    """It can be copied and mailed alone, and goes on anywhere."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent([1, 2])
    journal.note(Entry(n=1, kind=Kind.APPLIED, id=11))
    assert f"{path.name}-wal" in names(path.parent)
    await close(journal)
    assert [name for name in names(path.parent) if name != "state"] == ["x.plan", "x.plan.lock"]
    assert not is_in_wal_mode(path)
    elsewhere = Journal.open(copy(path, tmp_path / "b"), state_dir=tmp_path / "other-machine")
    assert (elsewhere.created_id(1), elsewhere.is_in_doubt(2)) == (11, True)
    await close(elsewhere)


async def test_a_copy_without_its_log_is_refused(path: Path, state: Path, tmp_path: Path) -> None:
    """Copied alone while it is applied, a plan is neither applied nor shown, and nothing is put beside it."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent(1)
    copied = copy(path, tmp_path / "b")
    for attempt in (Plan.open, lambda file: Journal.open(file, state_dir=tmp_path / "other-machine")):
        with pytest.raises(PlanError, match=r"copied without its log.*x\.plan-wal"):
            attempt(copied)
    assert set(names(copied.parent)) <= {"x.plan", "x.plan.lock"}
    await close(journal)


async def test_an_empty_log_is_no_log(path: Path, state: Path, tmp_path: Path) -> None:
    """Another program that only opened the copy leaves an empty log beside it, which proves nothing."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent(1)
    copied = copy(path, tmp_path / "b")
    log_of(copied).touch()
    with pytest.raises(PlanError, match="copied without its log"):
        Journal.open(copied, state_dir=tmp_path / "other-machine")
    await close(journal)


async def test_a_killed_plan_with_its_log_goes_on(path: Path, state: Path, tmp_path: Path) -> None:
    """File and log together are the whole story, on this machine or another."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent([1, 2])
    journal.note(Entry(n=1, kind=Kind.APPLIED, id=11))
    await journal.flush()
    killed = copy(path, tmp_path / "b", "-wal")
    await close(journal)
    assert Plan.open(killed).state() == PlanState.STOPPED
    resumed = Journal.open(killed, state_dir=tmp_path / "other-machine")
    assert (resumed.created_id(1), resumed.is_in_doubt(2)) == (11, True)
    await close(resumed)
    assert names(killed.parent) == ["x.plan", "x.plan.lock"]


async def test_a_torn_log_keeps_what_was_acknowledged(path: Path, state: Path, tmp_path: Path) -> None:
    """A power cut in the middle of a write costs what nobody was told is durable, and nothing else."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent(1)
    known = log_size(path) or 0
    await journal.intent(2)
    torn = copy(path, tmp_path / "b", "-wal")
    os.truncate(f"{torn}-wal", known + 100)
    await close(journal)
    resumed = Journal.open(torn, state_dir=tmp_path / "other-machine")
    assert (resumed.is_in_doubt(1), resumed.is_in_doubt(2)) == (True, False)
    await close(resumed)


async def test_a_removed_log_is_refused(path: Path, state: Path, tmp_path: Path) -> None:
    """Somebody tidied up after a crash: what happened is gone, and doing it again is not offered."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent(1)
    killed = copy(path, tmp_path / "b", "-wal")
    await close(journal)
    log_of(killed).unlink()
    with pytest.raises(PlanError, match="its log was removed"):
        Journal.open(killed, state_dir=tmp_path / "other-machine")


async def test_readers_never_fold_or_delete_the_log_of_a_killed_plan(
    path: Path, state: Path, tmp_path: Path
) -> None:
    """`status`, `show` and `results` after a kill leave file and log to the letter."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent([1, 2])
    killed = copy(path, tmp_path / "b", "-wal")
    await close(journal)
    before = content(killed)
    for _ in range(2):
        plan = Plan.open(killed)
        assert plan.status().state == PlanState.STOPPED
        assert sum(1 for _ in plan.fates()) == COUNT
    assert content(killed) == before


async def test_another_program_may_fold_the_log_of_a_killed_plan(
    path: Path, state: Path, tmp_path: Path
) -> None:
    """Looked at with any SQLite tool after a kill, the plan still goes on, where it was begun."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent([1, 2])
    journal.note(Entry(n=1, kind=Kind.APPLIED, id=11))
    await journal.flush()
    killed = copy(path, tmp_path / "killed", "-wal")
    await close(journal)
    put_back(killed, path)
    looked_at(path)
    assert log_size(path) is None
    copied = copy(path, tmp_path / "b")
    away = path.rename(tmp_path / "away.plan")  # noqa: ASYNC240
    with pytest.raises(PlanError, match="copied without its log"):
        Journal.open(copied, state_dir=state)
    away.rename(path)
    resumed = Journal.open(path, state_dir=state)
    assert (resumed.created_id(1), resumed.is_in_doubt(2)) == (11, True)
    await close(resumed)


async def test_the_file_alone_asks_for_its_log_through_every_fold(
    path: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the log is folded into the file while applying, the file alone is refused."""
    monkeypatch.setattr("bulkops.journal.scribe.FOLD_AFTER", 3)
    journal = Journal.open(path, state_dir=state)
    for n in range(1, 31):
        await journal.intent(n)
        if n % 6 == 0:
            with pytest.raises(PlanError, match="copied without its log"):
                Plan.open(copy(path, tmp_path / f"alone{n}"))
            with Plan.open(copy(path, tmp_path / f"both{n}", "-wal")) as both:
                assert both.is_begun()
    size = log_size(path) or 0
    for n in range(31, 91):
        await journal.intent(n)
    assert (log_size(path) or 0) <= 2 * size  # folded, the log begins again
    await close(journal)
    resumed = Journal.open(path, state_dir=state)
    assert resumed.in_doubt() == list(range(1, 91))
    await close(resumed)


async def test_a_reader_in_the_way_of_the_clean_stop_costs_nothing(
    path: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log stays beside the file then, which needs it; the next stop folds it."""
    monkeypatch.setattr("bulkops.plan.openmark.FOLD_PATIENCE_S", 0.05)
    journal = Journal.open(path, state_dir=state)
    await journal.intent(1)
    reader = held_by_reader(path)
    journal.note(Entry(n=1, kind=Kind.APPLIED, id=11))
    await close(journal)
    assert log_size(path)
    copied = copy(path, tmp_path / "b")
    with pytest.raises(PlanError, match="copied without its log"):
        Journal.open(copied, state_dir=tmp_path / "other-machine")
    reader.close()
    resumed = Journal.open(path, state_dir=state)
    assert resumed.created_id(1) == 11
    await close(resumed)
    assert log_size(path) is None


async def test_a_reader_in_the_way_of_the_beginning_is_named(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark must stand in the file before anything is tried; who prevents it is told to close."""
    monkeypatch.setattr("bulkops.plan.storage.BUSY_S", 0.05)
    first = Journal.open(path, state_dir=state)
    await first.intent(1)
    reader = held_by_reader(path)
    monkeypatch.setattr("bulkops.plan.openmark.FOLD_PATIENCE_S", 0.05)
    await close(first)
    with pytest.raises(PlanError, match="read by another program"):
        Journal.open(path, state_dir=state)
    reader.close()
    await close(Journal.open(path, state_dir=state))
    assert log_size(path) is None


def half_written(path: Path, folder: Path) -> Path:
    """The plan as a kill leaves it in the middle of a change of mode: its rollback journal beside it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE changes SET change = 'half written'")
    connection.execute("UPDATE rows SET cells = 'half written'")
    folder.mkdir()
    killed = folder / "x.plan"
    shutil.copy(path, killed)
    shutil.copy(f"{path}-journal", f"{killed}-journal")
    connection.execute("ROLLBACK")
    connection.close()
    assert killed.read_bytes() != path.read_bytes()
    return killed


def test_a_kill_while_the_file_changes_its_mode_is_rolled_back(path: Path, tmp_path: Path) -> None:
    """A half-written page with its rollback journal beside it: opening the plan finishes it, `status` too."""
    killed = half_written(path, tmp_path / "b")
    plan = Plan.open(killed)
    plan.verify()
    assert (plan.total, names(killed.parent)) == (COUNT, ["x.plan"])


async def test_a_power_cut_may_leave_both_a_log_and_a_rollback_journal(
    path: Path, state: Path, tmp_path: Path
) -> None:
    """The journal's name was to go and the log's has come, and only the latter reached the disk: the journal
    is rolled back, and the log is left for the next apply."""
    killed = half_written(path, tmp_path / "b")
    log_of(killed).write_bytes(b"\x37\x7f\x06\x82" + bytes(28))
    Plan.open(killed).verify()
    assert log_size(killed) == 32
    assert not killed.with_name("x.plan-journal").exists()
    await close(Journal.open(killed, state_dir=state))
    assert names(killed.parent) == ["x.plan", "x.plan.lock"]


async def test_a_failed_beginning_leaves_the_plan_as_it_was(path: Path, state: Path) -> None:
    """A run that cannot be registered has tried nothing: one whole file, no lease, and the next one works."""
    shutil.copy(path, state)  # a file where the folder should be
    with pytest.raises(PlanError, match="BULKOPS_STATE_DIR"):
        Journal.open(path, state_dir=state)
    assert not is_in_wal_mode(path)
    assert log_size(path) is None
    state.unlink()  # noqa: ASYNC240
    await close(Journal.open(path, state_dir=state))


def test_an_end_that_fails_keeps_the_log(path: Path) -> None:
    """Where the mark can no longer be closed, nothing is folded and deleted that the mark still asks for."""
    opened = OpenPlan(path)
    opened.begin("a run", 1, 0.0)
    opened.connection.execute("ALTER TABLE mark RENAME TO gone")
    opened.end()
    assert log_size(path)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened.connection.execute("SELECT 1")
