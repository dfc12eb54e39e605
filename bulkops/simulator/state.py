"""The tenant in a file, so that it survives a restart: a snapshot, and behind it every change since.

A change is appended before its answer leaves, by one `write` to the operating system: a kill of the simulator
loses nothing, a power cut at most the last second (the file is synced once a second, beside the requests).
A clean end and a reset write a new snapshot to a file beside it and put that in its place. One JSON value a
line: the head, then `[entity, id, row]`, the row null where it was deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson

from bulkops.simulator.catalog import entries
from bulkops.simulator.index import Stored
from bulkops.simulator.loading import LoadError
from bulkops.simulator.store import Store

FORMAT = 1
SYNC_S = 1.0
PRIVATE = 0o600  # it holds whatever was written to the simulator
BINARY = getattr(os, "O_BINARY", 0)  # Windows


class StateFile:
    """Use `restore` or `snapshot` first, then `follow`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._is_dirty = False

    def restore(self, store: Store) -> bool:
        """Fills the store from the file; False where there is none. Raises LoadError."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise LoadError(f"{self.path}: cannot be read: {exc.strerror or exc}") from exc
        if not lines[0]:
            return False
        torn = lines.pop()  # empty, or a line that a kill cut short
        for number, line in enumerate(lines, 1):
            try:
                self._apply(store, orjson.loads(line), number)
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
                raise LoadError(f"{self.path}:{number}: no line of a simulator's state: {exc}") from exc
        if not lines:
            raise LoadError(f"{self.path}:1: no simulator's state: {torn[:20]!r}")
        if torn:  # what is appended next begins a line
            os.truncate(self.path, self.path.stat().st_size - len(torn))
        for table in store.tables().values():
            table.bulk_loaded()
        return True

    def _apply(self, store: Store, value: Any, number: int) -> None:
        if number == 1 and (not isinstance(value, dict) or value.get("simulator_state") != FORMAT):
            raise ValueError(f'the first line is {{"simulator_state": {FORMAT}, …}}')
        if isinstance(value, dict):
            self._apply_head(store, value)
            return
        entity, row_id, row = value
        table = store.table(entity)
        if row is not None:
            table.put(int(row_id), row)
        elif row_id in table:
            table.delete(row_id)

    def _apply_head(self, store: Store, head: dict[str, Any]) -> None:
        store.ci, store.api_resource_id = head["ci"], head["api_resource_id"]
        store.udfs, store.picklists = head["udfs"], head["picklists"]
        store.recipients = {int(company): lists for company, lists in head["recipients"].items()}
        for name, number in head["next_ids"].items():
            store.table(name).next_id = max(store.table(name).next_id, number)

    def snapshot(self, store: Store) -> None:
        """Replaces the file by what the store holds now, at one stroke. Raises LoadError."""
        fresh = self.path.with_name(self.path.name + ".new")
        self.close()
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, PRIVATE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_head(store))
                for name in entries():
                    table = store.table(name)
                    file.writelines(_line(name, row_id, table.stored(row_id)) for row_id in table.ids)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as exc:
            raise LoadError(f"{self.path}: cannot be written: {exc.strerror or exc}") from exc

    def follow(self, store: Store) -> None:
        """Appends every change of the store from now on."""
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | BINARY)
        store.listen(self.note)

    def note(self, entity: str, row_id: int, row: Stored | None) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, _line(entity, row_id, row))
            self._is_dirty = True

    def note_head(self, store: Store) -> None:
        """What describes the records has changed."""
        if self._descriptor is not None:
            os.write(self._descriptor, _head(store))
            self._is_dirty = True

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextlib.asynccontextmanager
    async def synced(self) -> AsyncIterator[None]:
        """Brings appended changes to the disk once a second, in a thread of its own."""
        task = asyncio.create_task(self._sync())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(SYNC_S)
            if self._is_dirty and self._descriptor is not None:
                self._is_dirty = False
                copy = os.dup(self._descriptor)  # `snapshot` may close the other meanwhile
                await asyncio.to_thread(_sync_and_close, copy)


def _sync_and_close(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _head(store: Store) -> bytes:
    head = {
        "simulator_state": FORMAT,
        "ci": store.ci,
        "api_resource_id": store.api_resource_id,
        "udfs": store.udfs,
        "picklists": store.picklists,
        "recipients": {str(company): lists for company, lists in store.recipients.items()},
        "next_ids": {name: table.next_id for name, table in store.tables().items()},
    }
    return orjson.dumps(head) + b"\n"


def _line(entity: str, row_id: int, row: Stored | None) -> bytes:
    return orjson.dumps([entity, row_id, row]) + b"\n"
