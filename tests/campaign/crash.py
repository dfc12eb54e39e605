"""Points at which a process can die, and deaths: numbered, exact, in this process or by a real `kill -9`.

An apply touches the world in three ways only: it commits to its journal, it sends a request, it gets an
answer. Each is a *point*, counted from 1 as it is reached. A process that dies at a point has done all
points before it and not this one. To die in this process means: the disk takes nothing more and the network
neither, whatever the code still tries on its way out.

`watched()` puts the counting in place; a run belongs to the `Life` that is current where it starts.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from bulkops.transport import Answer, Transport

CHANGING = ("INSERT", "UPDATE", "DELETE", "COMMIT", "CREATE", "REPLACE")
FOLDING = ("WAL_CHECKPOINT", "JOURNAL_MODE =")


@dataclass(slots=True, eq=False)
class Life:
    """One process's life. `dies_at` is a point; None: it lives. `is_real`: by SIGKILL, else within.

    `told_at` is a point too, at which nothing happens but that somebody is told: to press Ctrl-C, say.
    """

    dies_at: int | None = None
    told_at: int | None = None
    is_real: bool = False
    points: list[str] = field(default_factory=list)  # what each was
    is_dead: bool = False
    _watchers: list[Callable[[], object]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)  # the journal has a thread of its own

    def watch(self, tell: Callable[[], object]) -> None:
        """`tell` is called at its death and at `told_at`, from whichever thread reached that point."""
        self._watchers.append(tell)

    def reach(self, point: str) -> bool:
        """Counts a point. False: the process is dead, and this does not happen any more."""
        with self._lock:
            if self.is_dead:
                return False
            self.points.append(point)
            now = len(self.points)
            self.is_dead = now == self.dies_at
        if self.is_dead and self.is_real:
            os.kill(os.getpid(), signal.SIGKILL)
        if now in (self.dies_at, self.told_at):
            for tell in self._watchers:
                tell()
        return not self.is_dead


_life: ContextVar[Life | None] = ContextVar("life", default=None)


@contextmanager
def living(life: Life) -> Iterator[Life]:
    """What starts within belongs to this life."""
    token = _life.set(life)
    try:
        yield life
    finally:
        _life.reset(token)


@contextmanager
def watched() -> Iterator[None]:
    """Connections to SQLite and requests are counted, each by the life in which it begins."""
    real_connect, real_send = sqlite3.connect, Transport.send

    async def send(self: Transport, method: str, path: str, **more: Any) -> Answer:
        life = _life.get()
        if life is None:
            return await real_send(self, method, path, **more)
        await _alive(life, f"send {method} {path}")
        try:
            answer = await real_send(self, method, path, **more)
        except Exception:
            await _alive(life, f"answer to {method} {path}")
            raise
        await _alive(life, f"answer to {method} {path}")
        return answer

    sqlite3.connect = functools.partial(sqlite3.connect, factory=_Disk)  # type: ignore[assignment]
    Transport.send = send  # type: ignore[method-assign]
    try:
        yield
    finally:
        sqlite3.connect = real_connect
        Transport.send = real_send  # type: ignore[method-assign]


async def _alive(life: Life, point: str) -> None:
    """Goes on where the process lives; else never."""
    if not life.reach(point):
        await asyncio.get_running_loop().create_future()


class _Disk(sqlite3.Connection):
    """A connection that takes nothing more once the process that opened it is dead."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # The ledger's commits follow the clock: as crash points they would be others each time.
        self._life = None if "ledger" in str(args[0] if args else options.get("database")) else _life.get()

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if self._life is not None and _changes(sql) and not self._life.reach(f"commit {sql[:40]}"):
            raise _dead()
        return super().execute(sql, *args)


def _dead() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("the process is dead")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


def _changes(sql: str) -> bool:
    words = sql.lstrip()[:60].upper()
    return words.startswith(CHANGING) or (words.startswith("PRAGMA") and any(w in words for w in FOLDING))
