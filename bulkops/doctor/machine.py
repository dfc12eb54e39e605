"""This machine: the program, the folder of bulkops' state, and whether plans can be kept where we are."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from bulkops import __version__
from bulkops.doctor.finding import Finding, ok, problem, warning
from bulkops.errors import PlanError
from bulkops.journal.register import Register, state_folder
from bulkops.plan import storage
from bulkops.plan.openmark import OpenPlan

TIGHT = 500_000_000  # bytes free; a plan with its journal takes about 1 KB a row
FULL = 20_000_000
# Where SQLite's log and the locks of several machines cannot be relied on (sqlite.org/wal.html, section 5).
_NETWORKS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "vboxsf", "fuse.sshfs",
     "fuse.rclone", "fuse.vmhgfs-fuse", "fuse.glusterfs"}
)  # fmt: skip


def examine_machine(folder: Path) -> list[Finding]:
    """`folder` is where plans would be written."""
    return [_program(), _state(), _plans(folder), _disk(folder)]


def _program() -> Finding:
    return ok(
        "program",
        f"bulkops {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{platform.system()} {platform.machine()}",
        bulkops=__version__,
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
    )


def _state() -> Finding:
    """Applying keeps there which plans were begun, so that no copy is applied twice."""
    folder = state_folder()
    try:
        with Register(None, clock=time.time).page("doctor"):  # reads it, as each apply does
            pass
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except PlanError as error:
        return problem("state folder", str(error))
    except OSError as error:
        hint = "Set BULKOPS_STATE_DIR to a folder that is yours to write"
        return problem("state folder", f"{folder} cannot be written: {error.strerror}", hint)
    return ok("state folder", f"{folder} can be written")


def _plans(folder: Path) -> Finding:
    """Opens a plan file for applying, as `apply` does: durable commits, the open mark, the lock."""
    network = network_of(folder, _mounts())
    hint = "Work in a folder on a disk of this machine, one that is yours to write"
    try:
        with _trial(folder) as path:
            OpenPlan(path).end()
            lease = storage.Lease(path)
            if not lease.take():
                return problem("plans", f"files cannot be locked in {folder}", hint)
            lease.release()
    except sqlite3.Error as error:
        return problem("plans", f"no plan can be kept in {folder}: SQLite says {error}", hint)
    except (OSError, PlanError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return problem("plans", f"no plan can be kept in {folder}: {reason}", hint)
    if network:
        message = f"{folder} is a network folder ({network}): locks and durability are another machine's"
        return warning("plans", message, "Plan and apply in a folder on a disk of this machine")
    return ok("plans", f"plans can be kept in {folder}, durably and locked")


@contextmanager
def _trial(folder: Path) -> Iterator[Path]:
    """An empty plan file, gone afterwards with all that was made beside it."""
    path = folder.resolve() / f".bulkops-{secrets.token_hex(4)}.tmp"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = storage.connect(path, "mode=rw")
        try:
            connection.executescript(storage.SCHEMA)
        finally:
            connection.close()
        yield path
    finally:
        for suffix in ("", *storage.SIDE_FILES, ".lock"):
            storage.beside(path, suffix).unlink(missing_ok=True)


def _mounts() -> str:
    """What is mounted where, on Linux; elsewhere nothing is known."""
    try:
        return Path("/proc/self/mounts").read_text("utf-8", errors="replace")
    except OSError:
        return ""


def network_of(folder: Path, mounts: str) -> str:
    """The kind of network folder that `folder` is on, or "". `mounts` is in the form of /proc/self/mounts."""
    resolved = folder.resolve()
    if str(resolved).startswith("\\\\"):
        return "a Windows share"
    kinds = {PurePath(mount): kind for mount, kind in map(_mount, mounts.splitlines()) if mount}
    nearest = next((kinds[parent] for parent in (resolved, *resolved.parents) if parent in kinds), "")
    return nearest if nearest in _NETWORKS else ""


def _mount(line: str) -> tuple[str, str]:
    words = line.split(" ")
    return (words[1].replace("\\040", " "), words[2]) if len(words) > 2 else ("", "")


def _disk(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return warning("disk", f"its free space cannot be read: {error.strerror}", "See to it yourself")
    message = f"{free / 1e9:,.1f} GB free for plans in {folder}"
    hint = "Free some space: a plan with its journal takes about 1 KB a row, and a full disk stops a run"
    if free < FULL:
        return problem("disk", message, hint, free=free)
    return warning("disk", message, hint, free=free) if free < TIGHT else ok("disk", message, free=free)
