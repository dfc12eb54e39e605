"""The ledger on disk: one small SQLite file for all tenants of this user, and a lock file for each process.

`ledger.sqlite` has a page a tenant. Every change is one transaction; it is not forced to the disk, since a
power cut makes it worthless anyhow (law, 7 and 8), while a killed process takes nothing back that it wrote.
"""

from __future__ import annotations

import logging
import os
import platform
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
from filelock import FileLock, Timeout

from bulkops.errors import StopError, TenantError
from bulkops.ledger.account import Account, Terms

logger = logging.getLogger(__name__)

NAME = "ledger.sqlite"
FORMAT = 1  # goes up when an older bulkops could no longer read a page rightly
OPENING_S = 10.0  # how long another process may take to begin
BUSY_S = 5.0  # how long one transaction of another may take; they take some microseconds
KEPT_S = 86_400.0  # a page that nobody has used for so long says nothing any more
SCHEMA = f"""
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE pages (tenant TEXT PRIMARY KEY, boot TEXT NOT NULL, at REAL NOT NULL, facts BLOB NOT NULL);
PRAGMA user_version = {FORMAT};
COMMIT;
"""


class _DamagedError(Exception):
    """The file is no ledger, or not one that this version can read."""


def boot_id() -> str:
    """Tells one run of the machine's monotonic clock from another.

    Where the system does not say (Windows, macOS), only a clock that stands before the page's own time shows
    that the machine was started again. Else the times of the page seem nearer than they are, never farther:
    a token comes back later than it could.
    """
    parts = [platform.system(), time.get_clock_info("monotonic").implementation]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/time"))  # noqa: PTH115 - it is no path
    return " ".join(parts)


@dataclass(slots=True)
class _Cached:
    raw: bytes
    account: Account


class Book:
    """One tenant's page, open for one process. All its errors are StopErrors but those of `open`."""

    def __init__(
        self, folder: Path, tenant: str, terms: Terms, *, clock: Callable[[], float], boot: str
    ) -> None:
        """`tenant`: what tells its database from others. Nothing is touched yet."""
        self.path = folder / NAME
        self.name = secrets.token_hex(8)  # of this process among those that share the ledger
        self._folder = folder
        self._tenant = tenant
        self._terms = terms
        self._clock = clock
        self._boot = boot
        self._lock = self._lock_of(self.name)
        self._db: sqlite3.Connection
        self._file: os.stat_result
        self._seen = -1  # data_version: whether another process has written
        self._cached: _Cached | None = None

    def _lock_of(self, name: str) -> FileLock:
        return FileLock(str(self._folder / f"ledger-{name}.lock"), thread_local=False, mode=0o600)

    # --- open and close ------------------------------------------------------------------------------------

    def open(self) -> None:
        """Joins the others. TenantError where the ledger cannot be kept."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            opening = FileLock(str(self._folder / "ledger.lock"), mode=0o600)
            with opening.acquire(timeout=OPENING_S):
                self._lock.acquire(timeout=0)
                try:
                    self._sweep()
                    self._begin()
                except BaseException:
                    self._free_lock()
                    raise
        except Timeout as error:
            raise TenantError(
                f"another bulkops process is opening {self.path} for {OPENING_S:.0f} s already. Try again"
            ) from error
        except OSError as error:
            raise TenantError(self._unusable(error.strerror or str(error))) from error
        except sqlite3.Error as error:
            will_pass = _code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)
            said = self._broken(error) if will_pass else self._unusable(f"SQLite says {error}")
            raise TenantError(said) from error

    def _sweep(self) -> bool:
        """Removes the locks of the dead; whether anybody else is alive."""
        names = [lock.stem.removeprefix("ledger-") for lock in self._folder.glob("ledger-*.lock")]
        alive = [name for name in names if name != self.name and self.is_alive(name)]
        return bool(alive)

    def _begin(self) -> None:
        try:
            self._read_in()
        except _DamagedError as error:
            self._replace(error)
            self._read_in()

    def _read_in(self) -> None:
        """_DamagedError where the file is not what it should be."""
        self._db = self._connect()
        try:
            self._check()
            with self._transaction():
                now = self._clock()  # not before: what others have just written would be in the future
                self._prune(now)
                account = self._first_account(now)
                account.join(self.name, now)
                self._save(account, now)
        except sqlite3.DatabaseError as error:
            self._db.close()
            if _is_damage(error):
                raise _DamagedError(str(error)) from error
            raise
        except BaseException:
            self._db.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        self._file = self.path.stat()
        return sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, cached_statements=32)

    def _check(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (version, tables) == (0, 0):
            self._db.executescript(SCHEMA)
        elif version != FORMAT:
            raise _DamagedError(f"its format is {version}")
        self._db.execute("PRAGMA synchronous = OFF")
        (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _DamagedError(verdict)

    def _first_account(self, now: float) -> Account:
        """The page as it is when we come: the dead are gone, and what another boot wrote is history."""
        row = self._db.execute(
            "SELECT facts, boot, at FROM pages WHERE tenant = ?", (self._tenant,)
        ).fetchone()
        if row is None:
            return Account(self._terms)
        raw, boot, at = row
        account = self._understood(raw)
        if boot != self._boot or at > now:
            return self._fresh(account, now)
        for name in [name for name in account.members if not self.is_alive(name)]:
            account.leave(name, now)
        return account

    def _fresh(self, earlier: Account, now: float) -> Account:
        if any(self.is_alive(name) for name in earlier.members):
            raise TenantError(
                f"another bulkops process works on this tenant and measures time in another way (another "
                f"version of Python, or another container): {self.path} cannot be shared with it. Let it end"
            )
        account = Account(self._terms)
        account.after_boot(earlier, now)
        return account

    def _understood(self, raw: bytes) -> Account:
        """_DamagedError, and TenantError where the tenant has too few calls for our share."""
        try:
            return Account.of(orjson.loads(raw), self._terms)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _DamagedError(f"{type(error).__name__}: {error}") from error

    def _prune(self, now: float) -> None:
        """Pages of tenants that nobody works on any more, and nobody died at: simulators and the like."""
        old = self._db.execute(
            "SELECT tenant, facts FROM pages WHERE tenant <> ? AND (boot <> ? OR at > ? OR at < ?)",
            (self._tenant, self._boot, now, now - KEPT_S),
        ).fetchall()
        gone = [(tenant,) for tenant, raw in old if b'"members":{}' in raw]
        self._db.executemany("DELETE FROM pages WHERE tenant = ?", gone)

    def _replace(self, damage: _DamagedError) -> None:
        """An empty ledger in place of a damaged one. TenantError where somebody uses the damaged one."""
        if self._sweep():
            raise TenantError(
                f"{self.path} is damaged ({damage}), and another bulkops process works with it. Let that one "
                f"end, then start again"
            )
        logger.warning("the ledger was damaged and is begun anew", extra={"path": str(self.path)})
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Whoever looks from now on finds this process gone."""
        with suppress(sqlite3.Error):
            self._db.close()
        self._free_lock()

    def _free_lock(self) -> None:
        self._lock.release()
        with suppress(OSError):
            Path(self._lock.lock_file).unlink(missing_ok=True)

    # --- read and write ------------------------------------------------------------------------------------

    @contextmanager
    def page(self, now: float) -> Iterator[Account]:
        """The tenant's account as it is now, for one change that nobody else sees half done."""
        try:
            with self._transaction():
                account = self._current()
                yield account
                self._save(account, now)
        except (sqlite3.Error, _DamagedError) as error:
            raise StopError(self._broken(error)) from error

    def glance(self) -> Account:
        """The account as it is now; not to be changed."""
        try:
            return self._current()
        except (sqlite3.Error, _DamagedError) as error:
            raise StopError(self._broken(error)) from error

    def has_changed(self) -> bool:
        """Whether another process has written since the last time we asked."""
        try:
            (version,) = self._db.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error as error:
            raise StopError(self._broken(error)) from error
        seen, self._seen = self._seen, version
        return bool(version != seen)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._cached = None  # it may hold what was not written
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _current(self) -> Account:
        row = self._db.execute("SELECT facts FROM pages WHERE tenant = ?", (self._tenant,)).fetchone()
        if row is None:
            raise _DamagedError("the tenant's page is gone")
        (raw,) = row
        if self._cached is None or self._cached.raw != raw:
            try:
                self._cached = _Cached(raw, self._understood(raw))
            except TenantError as error:  # another process has learned how few calls the tenant has
                raise StopError(str(error)) from error
        if self.name not in self._cached.account.members:
            raise _DamagedError("it does not know this process")
        return self._cached.account

    def _save(self, account: Account, now: float) -> None:
        raw = orjson.dumps(account.facts(now))
        if self._cached is None or raw != self._cached.raw:
            self._db.execute(
                "INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?)", (self._tenant, self._boot, now, raw)
            )
        self._cached = _Cached(raw, account)

    # --- who is alive --------------------------------------------------------------------------------------

    def is_alive(self, name: str) -> bool:
        """Whether the process still holds its lock. What is dead stays dead: no name comes twice."""
        lock = self._lock_of(name)
        if not Path(lock.lock_file).exists():
            return False
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
        return False

    def is_in_place(self) -> bool:
        """Whether the file is still the one that was opened: a new one in its place is another ledger."""
        try:
            return os.path.samestat(self.path.stat(), self._file)
        except OSError:
            return False

    # --- in words ------------------------------------------------------------------------------------------

    def _unusable(self, reason: str) -> str:
        return (
            f"{self._folder} cannot be used ({reason}): it holds what all bulkops processes of this machine "
            f"use of the tenant's hour. Set BULKOPS_STATE_DIR to a folder that is yours to write, or, where "
            f"nothing else of this machine uses the tenant, `alone = true` in its budget"
        )

    def _broken(self, error: Exception) -> str:
        if _code(error) == sqlite3.SQLITE_FULL:
            return f"{self.path} cannot be written: the disk is full. Free some space, then go on"
        if _code(error) == sqlite3.SQLITE_BUSY:
            return f"{self.path} is held by another process for {BUSY_S:.0f} s already. End it, then go on"
        return (
            f"{self.path} cannot be used any more ({error}): what other bulkops processes of this machine "
            f"use of the tenant's hour is not known. Go on when they have ended"
        )


def _code(error: Exception) -> int:
    """What kind of error SQLite means; the rest of its number says which system call."""
    return int(getattr(error, "sqlite_errorcode", -1)) & 0xFF


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Not a disk that is full, or a file that is not ours to write."""
    return _code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)
