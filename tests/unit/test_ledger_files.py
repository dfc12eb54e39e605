"""The ledger's file: whatever is wrong with it is told in a sentence, and never costs the promise."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from filelock import FileLock

from bulkops.errors import StopError, TenantError
from bulkops.ledger import Seat, Terms, book
from bulkops.ledger.book import KEPT_S, boot_id

Virtual: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]

TERMS = Terms(share=1.0, requests=100, window_s=1000, settle_s=60, per_entity=2)


class Desk:
    """A state folder, a clock, and the processes that were started there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / book.NAME
        self.now = 5_000.0
        self.seats: list[Seat] = []

    def start(self, tenant: str = "acme", boot: str = "b", terms: Terms = TERMS) -> Seat:
        seat = Seat.take(self.folder, tenant, terms, clock=lambda: self.now, boot=boot)
        self.seats.append(seat)
        return seat

    def end(self, seat: Seat) -> None:
        self.seats.remove(seat)
        seat.leave()

    def kill(self, seat: Seat) -> None:
        self.seats.remove(seat)
        seat._book._db.close()
        seat._book._lock.release()

    def sql(self, statement: str, *values: Any) -> list[Any]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def left_by(self, *, tenant: str = "acme") -> None:
        """A file that a process has left which had answered calls in it."""
        seat = self.start(tenant)
        seat.tokens.learn(self.now, count=0)
        seat.tokens.free(self.now)
        seat.tokens.take(self.now).answered(self.now, self.now)
        self.end(seat)

    def locks(self) -> list[Path]:
        return sorted(self.folder.glob("ledger-*.lock"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "state")
    yield made
    for seat in made.seats:
        seat.leave()


# where it is


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_nobody_else_may_read_it(desk: Desk) -> None:
    """Folder, file, its log and the locks are the user's alone."""
    seat = desk.start()
    with seat.page():
        pass
    assert desk.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in desk.folder.iterdir()} == {0o600}


def test_the_page_of_a_tenant_is_no_other_ones(desk: Desk) -> None:
    """Two databases share a file and nothing else."""
    one, two = desk.start("acme"), desk.start("other")
    one.tokens.learn(desk.now, count=60)
    two.refresh()
    assert (one.view.bucket.others, two.view.bucket.others) == (60, 0)
    assert list(two.view.members) == [two.name]


def test_pages_that_say_nothing_any_more_are_removed(desk: Desk) -> None:
    """A simulator of last week, or of another boot; not a page on which somebody is written."""
    desk.left_by(tenant="old")
    desk.kill(desk.start("killed"))
    desk.now += KEPT_S + 1
    desk.left_by(tenant="new")
    assert {tenant for (tenant,) in desk.sql("SELECT tenant FROM pages")} == {"killed", "new"}
    desk.start("acme", boot="another")
    assert {tenant for (tenant,) in desk.sql("SELECT tenant FROM pages")} == {"killed", "acme"}


# where it cannot be


def test_a_folder_that_cannot_be_used_refuses_the_run(tmp_path: Path) -> None:
    """The grant could not be promised, so nothing is sent; the sentence says what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(TenantError, match=r"BULKOPS_STATE_DIR.*`alone = true` in its budget"):
        Seat.take(tmp_path / "file", "acme", TERMS)


def test_a_file_that_cannot_be_opened_refuses_the_run(desk: Desk) -> None:
    """Whatever SQLite says is said, and no lock is left behind."""
    desk.path.mkdir(parents=True)
    with pytest.raises(TenantError, match="unable to open"):
        desk.start()
    assert desk.locks() == []


def test_who_opens_it_for_too_long_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was stopped while it began: nobody waits for it for ever."""
    monkeypatch.setattr(book, "OPENING_S", 0.05)
    desk.folder.mkdir()
    with FileLock(str(desk.folder / "ledger.lock")), pytest.raises(TenantError, match="is opening"):
        desk.start()


def test_a_file_that_another_program_holds_refuses_the_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no damage, so nothing is replaced."""
    monkeypatch.setattr(book, "BUSY_S", 0.05)
    desk.left_by()
    other = sqlite3.connect(desk.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TenantError, match="is held by another process"):
        desk.start()
    other.execute("ROLLBACK")
    other.close()
    assert desk.start().view.bucket.calls.out == 1


# where it is damaged


def garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def torn(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2] + b"\xff" * (len(raw) - len(raw) // 2))


def of_another_format(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def without_a_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE pages")
    connection.close()


def facts(raw: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        connection = sqlite3.connect(path)
        connection.execute("UPDATE pages SET facts = ?", (raw,))
        connection.commit()
        connection.close()

    return write


DAMAGE = [
    garbage, torn, of_another_format, without_a_table, facts("{"), facts("[]"), facts('{"requests": 3}'),
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_ledger_is_begun_anew(
    desk: Desk, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Where nobody else uses it. What was used is in the server's own count, which is asked next."""
    desk.left_by()
    damage(desk.path)
    desk.kill(desk.start())
    with caplog.at_level(logging.WARNING):
        seat = desk.start()
    assert not seat.view.bucket.learned
    assert seat.view.bucket.calls.out == 0
    assert len(seat.view.members) == 1


def test_damage_is_said(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A line in the log, once; the next start finds a good file."""
    desk.left_by()
    garbage(desk.path)
    with caplog.at_level(logging.WARNING):
        desk.left_by()
        desk.left_by()
    assert [record.message for record in caplog.records] == ["the ledger was damaged and is begun anew"]


@pytest.mark.parametrize("damage", [of_another_format, facts("{")])
def test_a_damaged_ledger_that_somebody_uses_is_left_alone(
    desk: Desk, damage: Callable[[Path], None]
) -> None:
    """Two processes with a ledger each would use the grant twice."""
    desk.start()
    damage(desk.path)
    with pytest.raises(TenantError, match=r"is damaged .* and another bulkops process works with it"):
        desk.start()
    assert len(desk.locks()) == 1


# where it goes wrong later


def test_a_full_disk_stops_the_run_with_a_sentence(desk: Desk) -> None:
    """No token without a line in the ledger; the process that stops leaves no lock."""
    seat = desk.start()
    seat.tokens.learn(desk.now, count=0)
    (pages,) = seat._book._db.execute("PRAGMA page_count").fetchone()
    seat._book._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StopError, match="the disk is full"):
        for n in range(300):
            seat.slots.borrow((f"E{n}" * 9,), (f"E{n}" * 9,))
    desk.end(seat)
    assert desk.locks() == []


def test_a_process_that_holds_it_for_too_long_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever for a transaction that takes microseconds."""
    monkeypatch.setattr(book, "BUSY_S", 0.05)
    seat = desk.start()
    seat.tokens.learn(desk.now, count=0)
    other = sqlite3.connect(desk.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StopError, match="is held by another process"):
        seat.tokens.free(desk.now)
    other.execute("ROLLBACK")
    other.close()
    assert seat.tokens.free(desk.now) == 1


@pytest.mark.parametrize("statement", ["DELETE FROM pages", "UPDATE pages SET facts = '{'"])
def test_what_others_have_broken_stops_the_run(desk: Desk, statement: str) -> None:
    """By reading as by writing."""
    seat = desk.start()
    seat.tokens.learn(desk.now, count=0)
    desk.sql(statement)
    with pytest.raises(StopError, match="cannot be used any more"):
        seat.refresh()
    with pytest.raises(StopError, match="cannot be used any more"):
        seat.tokens.free(desk.now)


def test_a_process_that_the_ledger_does_not_know_stops(desk: Desk) -> None:
    """Somebody took it for dead, which cannot be, unless its lock file was removed by hand."""
    one = desk.start()
    one.tokens.learn(desk.now, count=0)
    for lock in desk.locks():
        lock.unlink()
    desk.start()
    with pytest.raises(StopError, match="does not know this process"):
        one.refresh()


def test_a_connection_that_fails_stops_the_run(desk: Desk) -> None:
    """Already when it is asked whether there is news."""
    seat = desk.start()
    seat._book._db.close()
    with pytest.raises(StopError, match="cannot be used any more"):
        seat.tick()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_ledger_that_was_taken_away_stops_the_run(desk: Desk, is_replaced: bool) -> None:
    """Who starts next would have a new one, and both would use the whole grant."""
    seat = desk.start()
    desk.path.unlink()
    if is_replaced:
        desk.path.touch()
    with pytest.raises(StopError, match="was taken away or replaced"):
        seat.tick()


def test_a_failure_ends_keeping_up_and_reaches_whoever_waits(desk: Desk, virtual: Virtual) -> None:
    """They are told once more to look, and find that nothing may be sent; giving back is silent."""

    class Waiting:
        looks = 0

        def look(self) -> None:
            self.looks += 1

    seat, waiting = desk.start(), Waiting()
    seat.tokens.learn(desk.now, count=0)
    assert seat.slots.borrow(("Tasks",), ("Tasks",))

    async def story() -> None:
        keeping = asyncio.create_task(seat.tend(waiting))
        await asyncio.sleep(0.1)
        looks = waiting.looks
        assert looks > 1
        desk.sql("DELETE FROM pages")
        await keeping
        assert waiting.looks == looks + 1

    virtual(story)
    with pytest.raises(StopError):
        seat.slots.borrow(("Tasks",), ("Tasks",))
    with pytest.raises(StopError):
        seat.tokens.free(desk.now)
    seat.slots.give("Tasks", desk.now)


def test_a_bug_in_keeping_up_does_not_leave_anybody_waiting(desk: Desk, virtual: Virtual) -> None:
    """It is no reason to wait for ever, and it is not hidden either."""

    class Broken:
        def look(self) -> None:
            if seat.failure is None:
                raise ZeroDivisionError("a bug")

    seat = desk.start()
    with pytest.raises(ZeroDivisionError):
        virtual(lambda: seat.tend(Broken()))
    with pytest.raises(StopError, match="a bug"):
        seat.tokens.free(desk.now)


# another boot of the machine


def test_after_a_power_cut_only_what_was_under_way_is_reckoned_with(desk: Desk) -> None:
    """It may still land; the server's own count stands for everything else, and slots are free."""
    seat = desk.start()
    seat.tokens.learn(desk.now, count=0, requests=80)
    calls = [seat.tokens.take(desk.now) for _ in range(9) if seat.tokens.free(desk.now)]
    for call in calls[:5]:
        call.answered(desk.now, desk.now)
    desk.now += 1
    seat.tick()
    seat.slots.borrow(("Tasks",), ("Tasks",))
    desk.kill(seat)
    desk.now = 20.0
    again = desk.start(boot="next")
    bucket = again.view.bucket
    assert (bucket.learned, bucket.requests, bucket.calls.out) == (False, 80, 4)
    assert bucket.calls.back_at(4) == 20 + 60 + 1000
    assert again.view.lagging == {}


def test_a_clock_that_stands_before_the_page_was_started_anew(desk: Desk) -> None:
    """Also where the system does not tell one boot from another."""
    desk.left_by()
    desk.now = 20.0
    assert desk.start().view.bucket.calls.out == 0


def test_processes_that_measure_time_in_other_ways_do_not_share(desk: Desk) -> None:
    """Their times cannot be compared; the second one is refused while the first one lives."""
    desk.start()
    with pytest.raises(TenantError, match="measures time in another way"):
        desk.start(boot="another")
    assert len(desk.locks()) == 1


def test_the_boot_is_told_apart_by_what_the_system_says() -> None:
    """It does not change while the machine runs, and names the clock."""
    assert boot_id() == boot_id()
    assert "clock" in boot_id().lower() or "counter" in boot_id().lower()


def test_a_wall_clock_that_jumps_is_not_looked_at(desk: Desk) -> None:
    """No time of day is in the file: a jump of a day changes nothing."""
    desk.left_by()
    (row,) = desk.sql("SELECT at, facts FROM pages")
    assert row[0] == desk.now

    def times(value: Any) -> Iterator[float]:
        if isinstance(value, dict | list):
            for each in value.values() if isinstance(value, dict) else value:
                yield from times(each)
        elif isinstance(value, int | float):
            yield value

    assert max(times(json.loads(row[1]))) <= desk.now + 1000 + 60
