"""The one thread that writes a journal: whatever waits is committed together, with one fsync.

A commit is one statement where it can be: each statement hands Python's lock over and takes it back, which a
busy event loop makes slow. The event loop is woken once a commit, not once an entry.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple, TypeAlias

from bulkops.errors import JournalError
from bulkops.plan.openmark import OpenPlan
from bulkops.plan.storage import Lease

Line: TypeAlias = tuple[int, int, int, str, float, int | None, str | None]
"""A row of the journal: n, seq, run, kind, at, id, reason."""

MOST = 128  # lines in one statement: 896 variables, below the limit of an old SQLite
FOLD_AFTER = 1_500  # pages, about: the log stays some megabytes, quick to read again after a kill
LINES_A_PAGE = 50


class Usage(NamedTuple):
    """What a run has used, and why it waits or stopped; `ended_at` (epoch) only when it ends."""

    calls_read: int
    calls_write: int
    elapsed_s: float
    waiting: str | None
    ended_at: float | None = None


class _Item(NamedTuple):
    lines: Sequence[Line]
    done: asyncio.Future[None] | None = None
    usage: Usage | None = None


class Scribe:
    """Takes lines in order, from one event loop's thread, and makes them durable."""

    def __init__(self, opened: OpenPlan, path: Path, run: int, lease: Lease) -> None:
        self._opened = opened
        self._path = path
        self._run = run
        self._lease = lease
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._failure: str | None = None
        self._is_ended = False
        self._unfolded = 0  # pages in the log, about

    def start(self) -> None:
        Thread(target=self._work, name="bulkops-journal", daemon=True).start()

    def check(self) -> None:
        """JournalError once something could not be written, and after the end."""
        if self._failure is not None:
            raise JournalError(self._failure)
        if self._is_ended:
            raise JournalError(f"{self._path}: the run has ended, its journal takes nothing more")

    def put(self, lines: Sequence[Line], done: asyncio.Future[None] | None = None) -> None:
        """`done` is set when the lines, and all before them, are durable."""
        self._queue.put(_Item(lines, done))

    def put_usage(self, usage: Usage, done: asyncio.Future[None] | None = None) -> None:
        """With `ended_at` it is the last: file closed and lease given back before `done` is set."""
        self._is_ended = usage.ended_at is not None
        self._queue.put(_Item((), done, usage))

    # --- in the thread ---

    def _work(self) -> None:
        is_end = False
        while not is_end:
            items = [self._queue.get()]
            items += [self._queue.get() for _ in range(self._queue.qsize())]
            usages = [item.usage for item in items if item.usage is not None]
            is_end = any(usage.ended_at is not None for usage in usages)
            if self._failure is None:
                self._failure = self._try(self._commit, items, usages[-1] if usages else None)
            if is_end:
                closing = self._try(self._close)
                self._failure = self._failure or closing
            self._answer([item.done for item in items if item.done is not None])

    def _try(self, act: Callable[..., None], *args: object) -> str | None:
        """What went wrong, in a sentence. Nobody may wait for ever, so nothing is raised in this thread."""
        try:
            act(*args)
        except sqlite3.Error as error:
            return _sentence(self._path, error)
        except Exception as error:
            return f"{self._path}: the journal failed, a bug of bulkops ({type(error).__name__}: {error})"
        return None

    def _close(self) -> None:
        try:
            self._opened.end()
        finally:
            self._lease.release()

    def _commit(self, items: Sequence[_Item], usage: Usage | None) -> None:
        lines = [line for item in items for line in item.lines]
        connection = self._opened.connection
        if usage is None and len(lines) <= MOST:
            self._insert(connection, lines)
        else:
            self._write_all(connection, lines, usage)
        self._unfolded += 1 + len(lines) // LINES_A_PAGE
        if self._unfolded >= FOLD_AFTER:
            self._opened.fold()
            self._unfolded = 0

    def _write_all(self, connection: sqlite3.Connection, lines: Sequence[Line], usage: Usage | None) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for start in range(0, len(lines), MOST):
            self._insert(connection, lines[start : start + MOST])
        if usage is not None:
            connection.execute(
                "UPDATE runs SET calls_read = ?, calls_write = ?, elapsed_s = ?, waiting = ?, ended = ?"
                " WHERE number = ?",
                (*usage, self._run),
            )
        connection.execute("COMMIT")

    def _insert(self, connection: sqlite3.Connection, lines: Sequence[Line]) -> None:
        if lines:
            places = ",".join(["(?,?,?,?,?,?,?)"] * len(lines))
            connection.execute(
                f"INSERT INTO journal (n, seq, run, kind, at, id, reason) VALUES {places}",
                [value for line in lines for value in line],
            )

    def _answer(self, waiting: Sequence[asyncio.Future[None]]) -> None:
        if not waiting:
            return
        with contextlib.suppress(RuntimeError):  # the event loop has ended: nobody waits any more
            waiting[0].get_loop().call_soon_threadsafe(_settle, waiting, self._failure)


def _settle(waiting: Sequence[asyncio.Future[None]], failure: str | None) -> None:
    for future in waiting:
        if future.done():  # whoever waited was cancelled
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(JournalError(failure))
            future.exception()  # who waits may be cancelled in this very moment; `check` tells it again


def _sentence(path: Path, error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", -1) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        what, todo = "the disk is full", "Free some space"
    elif code == sqlite3.SQLITE_IOERR:
        what, todo = f"the disk gave an error: {error}", "See to the disk, free some space"
    else:
        what, todo = str(error), "See to the file and its disk"
    return (
        f"{path}: what happens can no longer be written down ({what}), so nothing more is sent. {todo}, then "
        f"apply the plan again: it goes on"
    )
