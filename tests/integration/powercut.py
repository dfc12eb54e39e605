"""A disk whose power can be cut, and that can fail: the file layer of an SQLite for tests.

Every file is real; a tape holds all that the disk was told. From the tape, the disk is built as a power cut
at each of its points may leave it: with none, all or some of what was not synced, torn or as garbage.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import apsw

DIR_OPS = ("create", "delete")
NUMBERS = itertools.count()

Image: TypeAlias = dict[str, bytes | None]
"""The files of a folder by name; None: it is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """What the disk was told: write, truncate, sync, create, delete. `folder`: its folder is synced too."""

    do: str
    name: str
    at: int = 0
    data: bytes = b""
    folder: bool = False
    register: bytes | None = None  # the register as it stood then


@dataclass(frozen=True, slots=True)
class Told:
    """From here on, the first `lines` lines of the journal are acknowledged."""

    lines: int


class File(apsw.VFSFile):
    """A real file. Every file of the plan is opened by this process alone."""

    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        is_new = path is not None and not Path(path).exists()
        super().__init__("", name, flags)
        self._disk = disk
        self._name = "" if path is None else Path(path).name
        self._syncs_folder = bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL))
        if is_new:
            disk.note("create", self._name)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._disk.note("write", self._name, at=offset, data=bytes(data))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._disk.note("truncate", self._name, at=size)
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """As SQLite for Unix: the first sync of a log or journal makes its name durable too."""
        self._disk.note("sync", self._name, folder=self._syncs_folder)
        self._syncs_folder = False


class Disk(apsw.VFS):
    """The file layer: real files, and a tape of all that the disk was told. `fail` may raise instead."""

    def __init__(self, register: Path, *, is_careless: bool = False) -> None:
        self.name = f"disk{next(NUMBERS)}"
        self.tape: list[Op | Told] = []
        self.fail: Callable[[Op], None] = lambda op: None
        self._register = register
        self._is_careless = is_careless
        super().__init__(self.name, "")

    def note(self, do: str, name: str, **facts: Any) -> None:
        register = self._register.read_bytes() if self._register.exists() else None
        op = Op(do=do, name=name, register=register, **facts)
        try:
            self.fail(op)
        except apsw.Error:
            self.tape.append(replace(op, do=f"failed {do}"))
            raise
        self.tape.append(op)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> File:  # noqa: N802
        return File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        if Path(filename).exists():
            self.note("delete", Path(filename).name, folder=syncdir)
            super().xDelete(filename, syncdir)

    def connect(self, path: Path, query: str) -> Any:
        """In the place of `storage.connect`."""
        return Connection(f"{path.as_uri()}?{query}&vfs={self.name}", is_careless=self._is_careless)


class Connection:
    """As much of `sqlite3.Connection` as the rooms of the plan use."""

    def __init__(self, uri: str, *, is_careless: bool) -> None:
        with translated():
            self._inner = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_READWRITE)
        self._is_careless = is_careless

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        if self._is_careless:
            sql = sql.replace("synchronous = FULL", "synchronous = NORMAL")
        with translated():
            found = list(self._inner.execute(sql, values))
            return Rows(found, self._inner.last_insert_rowid())

    @property
    def in_transaction(self) -> bool:
        return self._inner.in_transaction

    def close(self) -> None:
        with suppress(apsw.Error):  # it tells what SQLite itself takes no notice of
            self._inner.close()


class Rows:
    """A cursor that has read everything."""

    def __init__(self, rows: list[Any], lastrowid: int) -> None:
        self._rows = iter(rows)
        self.lastrowid = lastrowid

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)


@contextmanager
def translated() -> Iterator[None]:
    """The errors of one library as those of the other: kind and code are SQLite's own in both."""
    try:
        yield
    except apsw.Error as error:
        same = sqlite3.OperationalError(str(error))
        same.sqlite_errorcode = getattr(error, "extendedresult", apsw.SQLITE_ERROR)
        raise same from error


# --- what a power cut may leave ---


@dataclass(slots=True)
class Platter:
    """What is durable of one file, and what was written to it since."""

    durable: bytes | None
    pending: list[Op] = field(default_factory=list)

    def sync(self) -> None:
        self.durable = self.after(self.pending)
        self.pending = []

    def fail(self) -> None:
        """A sync that fails may forget what it was to write, and the next one does not know of it."""
        self.pending = [op for op in self.pending if op.do in DIR_OPS]

    def sync_name(self) -> None:
        """Its folder was synced: the file is there, or gone; what was written to it may still be lost."""
        names = [i for i, op in enumerate(self.pending) if op.do in DIR_OPS]
        if names:
            self.durable = b"" if self.pending[names[-1]].do == "create" else None
            del self.pending[: names[-1] + 1]

    def after(self, ops: Sequence[Op]) -> bytes | None:
        """The file when these of the pending ops reached the disk: names in order, all else as it came."""
        content = None if self.durable is None else bytearray(self.durable)
        chosen = {id(op) for op in ops}
        for op in self.pending:
            if op.do in DIR_OPS and id(op) not in chosen:
                break  # what follows was done to a file that has no name
            if op.do == "create":
                content = bytearray()
            elif op.do == "delete":
                content = None
            elif content is not None and id(op) in chosen:
                _do(content, op)
        return None if content is None else bytes(content)

    def torn(self, rng: random.Random) -> bytes | None:
        """Some of it, and of one write only a part, or garbage in its place."""
        kept = [op for op in self.pending if rng.random() < 0.6]
        content = self.after(kept)
        writes = [op for op in kept if op.do == "write"]
        if content is None or not writes:
            return content
        hit = rng.choice(writes)
        torn = bytearray(content)
        start = hit.at + rng.randrange(len(hit.data) + 1)
        end = min(hit.at + len(hit.data), len(torn))
        torn[start:end] = rng.choice((rng.randbytes, bytes))(max(0, end - start))
        return bytes(torn)


def _do(content: bytearray, op: Op) -> None:
    if op.do == "truncate":
        del content[op.at :]
        content.extend(bytes(op.at - len(content)))
    else:
        content.extend(bytes(max(0, op.at - len(content))))
        content[op.at : op.at + len(op.data)] = op.data


def platters(before: Image, tape: Sequence[Op | Told]) -> dict[str, Platter]:
    """Every file as it stands on the disk after `tape`."""
    found: dict[str, Platter] = defaultdict(lambda: Platter(None))
    found |= {name: Platter(content) for name, content in before.items()}
    for op in tape:
        if isinstance(op, Told):
            continue
        if op.do == "sync":
            found[op.name].sync()
        elif op.do == "failed sync":
            found[op.name].fail()
        elif not op.do.startswith("failed"):
            found[op.name].pending.append(op)
        if op.folder:
            for platter in found.values():
                platter.sync_name()
    return found


def survivals(before: Image, tape: Sequence[Op | Told], rng: random.Random, most: int) -> Iterator[Image]:
    """What a power cut after `tape` may leave: nothing unsynced, all of it, and some of it."""
    files = platters(before, tape)
    yield {name: one.after(()) for name, one in files.items()}
    if any(one.pending for one in files.values()):
        yield {name: one.after(one.pending) for name, one in files.items()}
        for _ in range(most):
            yield {name: one.torn(rng) for name, one in files.items()}


def told(tape: Sequence[Op | Told]) -> int:
    return max((item.lines for item in tape if isinstance(item, Told)), default=0)


def registers(tape: Sequence[Op | Told], cut: int) -> list[bytes | None]:
    """The register when the power went: as it was seen last before the cut, or first after it."""
    before = [op.register for op in tape[:cut] if isinstance(op, Op)]
    after = [op.register for op in tape[cut:] if isinstance(op, Op)]
    return list(dict.fromkeys([*before[-1:], *after[:1]]))


# --- a disk that fails ---

FULL = apsw.SQLITE_FULL
BROKEN = {
    "write": apsw.SQLITE_IOERR_WRITE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "delete": apsw.SQLITE_IOERR_DELETE,
}


def failing(at: int, *, is_full: bool, for_good: bool) -> Callable[[Op], None]:
    """The `at`-th time that the disk is told something it fails; a full disk takes all but more bytes."""
    times = itertools.count(1)

    def fail(op: Op) -> None:
        now = next(times)
        code = (FULL if op.do == "write" else None) if is_full else BROKEN.get(op.do)
        if code is not None and (now == at or (for_good and now > at)):
            error = apsw.FullError("full") if is_full else apsw.IOError("broken")
            vars(error)["extendedresult"] = code
            raise error

    return fail
