"""The open mark: whether the plan file alone is the whole truth, or needs its write-ahead log beside it.

While a plan is applied, what happened stands partly in `PLAN-wal`. Applying the file without it would do
again what was done, so a file that was copied without its log must be told from one that needs none:

    CLOSED      the file is whole: never begun, or stopped in good order
    NEEDS_LOG   being applied; in the *file* from before the first intent until the clean stop
    LOG_SEEN    being applied; written to the *log* after each time the log was folded into the file

Read through SQLite, file and log together say LOG_SEEN and the file alone says NEEDS_LOG. Kills:

    begin   1 file to WAL mode                            CLOSED, nothing was intended yet
            2 NEEDS_LOG to the log, then into the file    NEEDS_LOG with a log, or CLOSED: both are taken
            3 LOG_SEEN and the run to the log             NEEDS_LOG with a log, or LOG_SEEN: both are taken
    intents                                               LOG_SEEN; a torn end was never acknowledged
    fold    4 NEEDS_LOG, fold, LOG_SEEN                   as 2 and 3: the log is never cut to nothing
    end     5 CLOSED and the run's end to the log         CLOSED; the file alone still says NEEDS_LOG: refused
            6 fold all, delete the log, leave WAL mode    CLOSED; a half-done change of mode is rolled back

So NEEDS_LOG without a log is a copy, or its log was removed. One case is left: another SQLite program opens
a killed plan and, closing it as the last one, folds the log in and deletes it. That leaves LOG_SEEN without a
log, complete; but so does copying the file alone while a long reader keeps a fold from finishing. The
register decides: it is taken where it was begun (same path, same file), and refused elsewhere.
"""

from __future__ import annotations

import sqlite3
import time
from enum import StrEnum
from pathlib import Path
from typing import Any

from bulkops.errors import PlanError
from bulkops.plan import storage

FOLD_PATIENCE_S = (
    2.0  # how long a clean stop waits for short readers before it leaves the log beside the file
)


class Mark(StrEnum):
    CLOSED = "closed"
    NEEDS_LOG = "open: needs its log"
    LOG_SEEN = "open: log seen"


def refuse_without_log(path: Path) -> Mark | None:
    """Refuses a file that needs a log which is not there. Touches nothing, also beside the file.

    Returns the mark where there is no log to go with it, None where there is a log.
    """
    if storage.log_size(path):
        return None
    (rows,) = storage.peek(path, "SELECT state FROM mark")
    state = _state(rows, path)
    if storage.log_size(path):
        return None  # an apply began meanwhile
    if state is Mark.NEEDS_LOG:
        raise missing_log(path)
    return state


def missing_log(path: Path) -> PlanError:
    log = storage.beside(path, "-wal").name
    return PlanError(
        f"{path} was copied without its log, or its log was removed: it was being applied, and what happened "
        f"since stands in {log}. Put {log} beside it, or apply the plan where it was begun"
    )


def _state(rows: list[Any], path: Path) -> Mark:
    try:
        ((state,),) = rows
        return Mark(state)
    except ValueError as error:
        raise PlanError(f"{path} is damaged: its open mark cannot be read. Make the plan again") from error


class OpenPlan:
    """The one connection that writes and folds, from opening the mark to closing it. One thread at a time."""

    def __init__(self, path: Path) -> None:
        """Steps 1 and 2. PlanError where the file cannot be opened so; nothing was intended then."""
        self._path = path
        self.connection = storage.connect(path, "mode=rw")
        self._guard: sqlite3.Connection | None = None
        try:
            self._enter_wal()
            self._make_guard()
            self._mark(Mark.NEEDS_LOG)
            if not self._fold("FULL"):
                raise PlanError(f"{path} is being read by another program. Close it there and apply again")
        except BaseException:
            self.end()
            raise

    def _enter_wal(self) -> None:
        (mode,) = self.connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise PlanError(
                f"{self._path} stands on a disk that cannot be written durably. Copy it to a local disk"
            )
        for pragma in (
            "synchronous = FULL",  # each commit is on the disk before it is acknowledged: power cuts too
            "fullfsync = ON",  # macOS: through the drive's cache as well
            "checkpoint_fullfsync = ON",
            "wal_autocheckpoint = 0",  # a fold of SQLite's own choosing would put LOG_SEEN into the file
        ):
            self.connection.execute(f"PRAGMA {pragma}")

    def _make_guard(self) -> None:
        """A second, read-only connection, so that the writing one is never the last to close.

        The last writing connection folds and deletes the log, also after an error: the mark would lie.
        """
        self._guard = storage.connect(self._path, "mode=ro")
        self._guard.execute("SELECT state FROM mark").fetchone()

    def _mark(self, state: Mark) -> None:
        self.connection.execute("UPDATE mark SET state = ?", (state.value,))

    def _fold(self, how: str) -> bool:
        """Copies the log into the file; False where a reader of an older state kept part of it back."""
        busy, log, folded = self.connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
        return not busy and log == folded

    def begin(self, run: str, pid: int, at: float) -> int:
        """Step 3: the run's number, its first row durable."""
        self.connection.execute("BEGIN IMMEDIATE")
        self._mark(Mark.LOG_SEEN)
        number = self.connection.execute(
            "INSERT INTO runs (id, pid, started) VALUES (?, ?, ?)", (run, pid, at)
        ).lastrowid
        self.connection.execute("COMMIT")
        assert number is not None
        return number

    def fold(self) -> None:
        """Step 4, so that the log stays short. What a reader keeps back is folded the next time."""
        self._mark(Mark.NEEDS_LOG)
        self._fold("PASSIVE")
        self._mark(Mark.LOG_SEEN)

    def end(self) -> None:
        """Steps 5 and 6; also after an error, when it does what still can be done and raises nothing.

        Where a reader stays, the log stays beside the file until the next clean stop.
        """
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._mark(Mark.CLOSED)
            self._close_guard()
            self.connection.execute("PRAGMA busy_timeout = 0")
            self._leave_wal()
        except sqlite3.Error:
            pass
        finally:
            self.connection.close()
            self._close_guard()

    def _close_guard(self) -> None:
        if self._guard is not None:
            self._guard.close()
            self._guard = None

    def _leave_wal(self) -> None:
        """Tries again while somebody reads: a change of mode needs the file alone, and never waits itself."""
        deadline = time.monotonic() + FOLD_PATIENCE_S
        while not self._is_out_of_wal() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _is_out_of_wal(self) -> bool:
        try:
            if not self._fold("TRUNCATE"):
                return False
            (mode,) = self.connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return False
            raise
        return bool(mode == "delete")
