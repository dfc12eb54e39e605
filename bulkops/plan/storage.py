"""The SQLite file of a plan: its tables, its connections, its lease, and its errors in words.

Nothing here or anywhere else may open the file by hand while SQLite has it open in this process: closing a
second descriptor drops the locks of the first. `os.stat` is fine.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bulkops.errors import PlanError

APPLICATION_ID = 0x626B6F70  # "bkop", in the header of the SQLite file
FORMAT = 5  # goes up when an older bulkops could no longer read the file rightly
BUSY_S = 10.0  # how long a statement waits for somebody else's short read
SIDE_FILES = ("-wal", "-shm", "-journal")

SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE header (json TEXT NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE rows (n INTEGER PRIMARY KEY, line INTEGER, cells TEXT NOT NULL);
CREATE TABLE changes (n INTEGER PRIMARY KEY, change TEXT NOT NULL);
CREATE TABLE chunks (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, actions TEXT NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE mark (state TEXT NOT NULL);
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, pid INTEGER NOT NULL, started REAL NOT NULL, ended REAL,
    calls_read INTEGER NOT NULL DEFAULT 0, calls_write INTEGER NOT NULL DEFAULT 0,
    elapsed_s REAL NOT NULL DEFAULT 0, waiting TEXT);
CREATE TABLE journal (
    n INTEGER NOT NULL, seq INTEGER NOT NULL, run INTEGER NOT NULL, kind TEXT NOT NULL, at REAL NOT NULL,
    id INTEGER, reason TEXT, PRIMARY KEY (n, seq)) WITHOUT ROWID;
INSERT INTO mark VALUES ('closed');
"""
# `actions` has the first letter of each change's action (n for unchanged), so that apply knows at once which
# changes need nothing. The journal is clustered by change: a commit of neighbours writes one page, and the
# story of a change, or of a chunk of changes, is read in one go without an index.


def resolved(path: str | os.PathLike[str]) -> Path:
    """The file itself: SQLite puts its log beside the file that a link points to, and so do we."""
    return Path(path).resolve()


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def log_size(path: Path) -> int:
    """Bytes of the write-ahead log; 0 where there is none. A reader can leave an empty one behind."""
    try:
        return beside(path, "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def connect(path: Path, query: str) -> sqlite3.Connection:
    """One connection, in autocommit; may be handed to another thread, never used by two at once."""
    connection = sqlite3.connect(
        f"{path.as_uri()}?{query}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


@contextmanager
def reading(path: Path, query: str = "mode=ro") -> Iterator[sqlite3.Connection]:
    """A connection for one short read, its errors in words.

    Short, because an apply that ends can fold its log into the file only while nobody else has it open.
    Read-only, because the last connection that may write deletes the log when it closes.
    """
    try:
        connection = connect(path, query)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise PlanError(why(error, path)) from error
    except UnicodeDecodeError as error:  # SQLite's own words quote what it cannot make sense of
        raise PlanError(f"{path} is damaged. Take an undamaged copy, or make the plan again") from error


def peek(path: Path, *statements: str) -> list[list[Any]]:
    """The rows of each statement, leaving nothing beside a file that may be anybody's.

    Where there is no log, a plain read-only connection would make an empty one. Where there is one, the file
    changes under us and must be read with its locks.
    """
    query = "mode=ro" if log_size(path) else "mode=ro&immutable=1"
    try:
        return _rows(path, query, statements)
    except PlanError:
        if query == "mode=ro" or not log_size(path):
            raise
    return _rows(path, "mode=ro", statements)  # an apply began meanwhile


def _rows(path: Path, query: str, statements: Sequence[str]) -> list[list[Any]]:
    with reading(path, query) as connection:
        return [connection.execute(statement).fetchall() for statement in statements]


def seal_of(path: Path) -> str | None:
    """The SHA-256 that a plan file says it has; None where it is no plan file."""
    try:
        (headers,) = peek(path, "SELECT sha256 FROM header")
    except PlanError as error:
        if getattr(error.__cause__, "sqlite_errorcode", None) in (
            sqlite3.SQLITE_NOTADB,
            sqlite3.SQLITE_ERROR,
        ):
            return None
        raise
    return str(headers[0][0]) if headers else None


def settle_rollback(path: Path) -> None:
    """Finishes what a kill or a power cut left half done between the two modes of the file.

    Only a connection that may write can roll back. As the last one to close it would fold away a log that
    the open mark still asks for, so a read-only one outlasts it.
    """
    look = "SELECT count(*) FROM sqlite_master"
    if beside(path, "-journal").exists():
        with ExitStack() as guards, reading(path, "mode=rw") as connection:
            connection.execute(look).fetchone()
            if log_size(path):
                guards.enter_context(reading(path)).execute(look).fetchone()


_CAUSES = {
    sqlite3.SQLITE_NOTADB: "is not a plan file of bulkops",
    sqlite3.SQLITE_ERROR: "is not a plan file of bulkops",  # it lacks our tables
    sqlite3.SQLITE_FULL: "cannot be written: the disk is full. Free some space and try again",
    sqlite3.SQLITE_BUSY: "is in use by another program. Close it there and try again",
    sqlite3.SQLITE_LOCKED: "is in use by another program. Close it there and try again",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened ({error}). File and folder must be yours to write",
    sqlite3.SQLITE_PERM: "cannot be opened ({error}). File and folder must be yours to write",
    sqlite3.SQLITE_READONLY: "cannot be opened ({error}). File and folder must be yours to write",
    sqlite3.SQLITE_IOERR: "cannot be used: the disk gave an error ({error}). See to the disk, then try again",
}


def why(error: sqlite3.Error, path: Path) -> str:
    """What SQLite's error means for the user, and what to do."""
    return f"{path} {cause(error)}" if path.exists() else f"{path}: there is no such plan file"


def cause(error: sqlite3.Error) -> str:
    """The end of a sentence that begins with the file's name."""
    code = getattr(error, "sqlite_errorcode", -1) & 0xFF  # the kind; the rest says which system call
    known = _CAUSES.get(code, "is damaged ({error}). Take an undamaged copy, or make the plan again")
    return known.format(error=error)


def fsync_path(path: Path) -> None:
    """Makes a closed file durable."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(folder: Path) -> None:
    """Makes a rename durable, where the system lets a folder be opened (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Lease:
    """The right to apply a plan: an OS lock on `PLAN.lock`, freed by the system when its holder dies.

    The lock file stays: removing it while others wait for it would let two in.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(str(beside(path, ".lock")), thread_local=False, mode=0o600)

    def take(self, *, wait_s: float = 0) -> bool:
        """True where it is ours now. PlanError where the folder does not let us lock."""
        try:
            self._lock.acquire(timeout=wait_s, poll_interval=0.02)
        except Timeout:
            return False
        except OSError as error:
            raise PlanError(
                f"{self._path} cannot be locked ({error.strerror}). Its folder must be writable for you"
            ) from error
        return True

    def release(self) -> None:
        self._lock.release()


def is_leased(path: Path) -> bool:
    """Whether a live process applies this plan. Leaves no lock file where there was none."""
    if not beside(path, ".lock").exists():
        return False
    lease = Lease(path)
    try:
        if not lease.take():
            return True
    except PlanError:
        return False  # somebody else's lock file, in a folder we cannot write
    lease.release()
    return False
