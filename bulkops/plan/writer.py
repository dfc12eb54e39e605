"""The plan file: written once, sealed, put in its place whole; `Plan` reads it (`view`).

The seal covers the header, the rows and the changes, not the file: what happened to each change is appended
to the same file while it is applied (journal.py), and the seal stays what it was.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from bulkops.change import Action, Change
from bulkops.errors import PlanError
from bulkops.plan import storage
from bulkops.plan.encoding import cells_to_json, change_to_json
from bulkops.plan.seal import CHUNK, Header, action_letter, chunk_hash, entry_bytes, root_hash
from bulkops.plan.view import Plan
from bulkops.record import Row

# Nobody knows the file until it has its name: it needs no journal of its own, and one fsync at the end.
_UNSAFE_BUT_UNNAMED = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"


def check_overwrite(path: str | os.PathLike[str]) -> Path | None:
    """PlanError where a plan to be written to `path` would destroy something. Call it before planning.

    A plan that was applied to its end is no hindrance: it tells what was created, so it is kept. Returns
    the name that it gets then.
    """
    file = storage.resolved(path)
    if storage.is_leased(file):
        raise _being_applied(file)
    return _refuse_unfinished(file)


def _being_applied(path: Path) -> PlanError:
    return PlanError(f"{path} is being applied and is not replaced. Choose another name")


def _refuse_unfinished(path: Path) -> Path | None:
    if not path.exists() or not path.stat().st_size:
        return None
    try:
        plan = Plan.open(path)
        begun, pending = plan.is_begun(), plan.progress()["pending"]
    except PlanError as error:
        raise PlanError(
            f"{path} exists and is not replaced: {error}. Choose another name, or delete it yourself"
        ) from error
    if begun and pending:
        raise PlanError(
            f"{path} was begun and {pending} of its {plan.total} rows are pending, so it is not replaced. "
            f"Apply it again to go on, or delete it yourself"
        )
    return _free_name(path) if begun else None


def _free_name(path: Path) -> Path:
    """Where an applied plan is kept: `x.1.plan`, `x.2.plan`, …"""
    names = (path.with_name(f"{path.stem}.{n}{path.suffix}") for n in itertools.count(1))
    return next(name for name in names if not name.exists())


class PlanWriter:
    """Writes a plan beside `path` and puts it there, whole and durable, when it is sealed.

    `with PlanWriter(path) as writer: writer.add(row, change)…; writer.seal(header)`. Left without a seal,
    nothing is left behind. PlanError where the disk does not take it.
    """

    def __init__(self, path: str | os.PathLike[str], *, replace_unfinished: bool = False) -> None:
        self._path = storage.resolved(path)
        self._may_replace = replace_unfinished
        if not self._may_replace:
            check_overwrite(self._path)
        self._temporary = storage.beside(self._path, f".{secrets.token_hex(4)}.tmp")
        self._rows: list[tuple[int, int | None, str]] = []
        self._changes: list[tuple[int, str]] = []
        self._hashes: list[bytes] = []
        self._actions: list[str] = []
        self._chunks: list[tuple[int, int, str, str]] = []
        self._counts = {action.value: 0 for action in Action}
        self._last = 0
        self._connection: sqlite3.Connection | None = self._create()

    def _create(self) -> sqlite3.Connection:
        try:
            os.close(os.open(self._temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            raise PlanError(f"{self._path} cannot be written: {error.strerror}") from error
        connection = storage.connect(self._temporary, "mode=rw")
        try:
            connection.executescript(_UNSAFE_BUT_UNNAMED + storage.SCHEMA)
        except sqlite3.Error as error:
            connection.close()
            self._temporary.unlink()
            raise self._not_written(error) from error
        return connection

    def _not_written(self, error: sqlite3.Error) -> PlanError:
        return PlanError(f"{self._path} {storage.cause(error)}")

    def add(self, row: Row, change: Change) -> None:
        """The next row and its change; `change.n` is 1, 2, 3, …"""
        n = change.n
        if n != self._last + 1:
            raise ValueError(f"change {n} follows change {self._last}")
        cells, text = cells_to_json(row.cells), change_to_json(change)
        self._rows.append((n, row.line, cells))
        self._changes.append((n, text))
        self._hashes.append(entry_bytes(n, row.line, cells, text))
        self._actions.append(action_letter(change.action))
        self._counts[change.action.value] += 1
        self._last = n
        if len(self._rows) == CHUNK:
            self._write_chunk()

    def _write_chunk(self) -> None:
        connection = self._open_connection()
        chunk = (self._rows[0][0], self._last, "".join(self._actions), chunk_hash(self._hashes))
        try:
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", self._rows)
            connection.executemany("INSERT INTO changes VALUES (?, ?)", self._changes)
            connection.execute("INSERT INTO chunks VALUES (?, ?, ?, ?)", chunk)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._not_written(error) from error
        self._chunks.append(chunk)
        for buffer in (self._rows, self._changes, self._hashes, self._actions):
            buffer.clear()

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError("the plan is sealed or discarded")
        return self._connection

    def seal(self, header: Header) -> str:
        """Makes the plan durable, then gives it its name; returns its SHA-256.

        ValueError where the header's counts, or its steps' rows, are not those of the changes. PlanError
        where a plan that was begun meanwhile stands in the way.
        """
        if {**dict.fromkeys(self._counts, 0), **header.counts} != self._counts:
            raise ValueError(f"the header counts {dict(header.counts)}, the changes are {self._counts}")
        if header.steps and sum(step.rows for step in header.steps) != self._last:
            raise ValueError(f"the header's steps have other than {self._last} rows")
        if self._rows:
            self._write_chunk()
        connection = self._open_connection()
        text = header.to_json()
        root = root_hash(text, self._chunks)
        try:
            connection.execute("INSERT INTO header VALUES (?, ?)", (text, root))
            connection.close()
            self._connection = None
            storage.fsync_path(self._temporary)
            self._take_name()
        except sqlite3.Error as error:
            raise self._not_written(error) from error
        except OSError as error:
            raise PlanError(f"{self._path} cannot be written: {error.strerror}") from error
        return root

    def _take_name(self) -> None:
        """Under the lease of the plan that stands there, so that nobody begins it at this moment."""
        if not self._path.exists():
            self._rename()
            return
        lease = storage.Lease(self._path)
        if not lease.take():
            raise _being_applied(self._path)
        try:
            kept = None if self._may_replace else _refuse_unfinished(self._path)
            if kept is not None:
                self._path.replace(kept)
            # A log of the old file would be played into the new one.
            for suffix in storage.SIDE_FILES:
                old = storage.beside(self._path, suffix)
                if kept is not None and old.exists():
                    old.replace(storage.beside(kept, suffix))
                old.unlink(missing_ok=True)
            self._rename()
        finally:
            lease.release()

    def _rename(self) -> None:
        self._temporary.replace(self._path)
        storage.fsync_folder(self._path.parent)

    def discard(self) -> None:
        """Leaves nothing behind, unless it was sealed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
