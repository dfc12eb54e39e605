"""Which plans were begun on this machine, so that no copy of one is applied as if it were new.

A plan is known by its seal, which a copy shares. One small JSON file in the user's state folder, replaced
whole, under a lock: two copies that are begun at the same moment cannot both pass.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from bulkops.errors import PlanError
from bulkops.plan import storage

KEPT_S = 365 * 86400  # how long a plan whose file is gone is remembered
LOCK_S = 30.0  # another apply holds the register while it begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The last run that was begun of a plan: where its file stood, which file it was, and when (epoch)."""

    path: str
    run: str
    file: tuple[int, int]  # device and number: tells a file from another one put in its place
    at: float

    def is_at(self, path: Path) -> bool:
        """Whether `path` is still the file that was begun, and not another one under its name."""
        return self.path == str(path) and self.file == _file_of(path)


class Register:
    """The register in `folder`; by default BULKOPS_STATE_DIR, else where this system keeps a user's state."""

    def __init__(self, folder: str | os.PathLike[str] | None, *, clock: Callable[[], float]) -> None:
        self._folder = Path(folder) if folder is not None else state_folder()
        self._path = self._folder / "plans.json"
        self._clock = clock

    @contextmanager
    def page(self, sha256: str) -> Iterator[Page]:
        """What is known of one plan, nobody else changing it meanwhile. PlanError where it cannot be kept."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(str(storage.beside(self._path, ".lock")), mode=0o600)
            lock.acquire(timeout=LOCK_S)
        except Timeout as error:
            raise PlanError(f"another apply is beginning for {LOCK_S:.0f} s already. Try again") from error
        except OSError as error:
            raise self._not_kept(error) from error
        try:
            plans = self._read()
            yield Page(self, sha256, plans)
        finally:
            lock.release()

    def _read(self) -> dict[str, Begun]:
        try:
            data = json.loads(self._path.read_text("utf-8"))
            return {
                sha256: Begun(**{**entry, "file": (entry["file"][0], entry["file"][1])})
                for sha256, entry in data.items()
            }
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._not_kept(error) from error
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise PlanError(
                f"{self._path} is damaged: it says which plans were begun, so that none is applied twice. "
                f"Move it away when no plan of yours is half applied from a copy"
            ) from error

    def write(self, plans: dict[str, Begun]) -> None:
        """Replaces the register, whole and durable. PlanError where it cannot be kept."""
        oldest = self._clock() - KEPT_S
        kept = {key: asdict(one) for key, one in plans.items() if one.at > oldest or Path(one.path).exists()}
        temporary = storage.beside(self._path, f".{secrets.token_hex(4)}.tmp")
        try:
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                json.dump(kept, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
            storage.fsync_folder(self._folder)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise self._not_kept(error) from error

    def now(self) -> float:
        return self._clock()

    def _not_kept(self, error: OSError) -> PlanError:
        return PlanError(
            f"{self._folder} cannot be used ({error.strerror}): it holds which plans were begun, so that no "
            f"copy is applied twice. Set BULKOPS_STATE_DIR to a folder that is yours to write"
        )


class Page:
    """One plan in the register, while it is held."""

    def __init__(self, register: Register, sha256: str, plans: dict[str, Begun]) -> None:
        self._register = register
        self._sha256 = sha256
        self._plans = plans

    @property
    def known(self) -> Begun | None:
        return self._plans.get(self._sha256)

    def refuse_copy(self, path: Path, runs: Collection[str]) -> None:
        """PlanError where `path`, whose journal knows `runs`, is a copy of a plan that was begun elsewhere.

        A plan that was moved after it was begun is no copy.
        """
        known = self.known
        if known is None:
            return
        other = Path(known.path)
        if other.exists() and not other.samefile(path) and storage.seal_of(other) == self._sha256:
            raise PlanError(f"{path} is a copy of a plan that was begun at {other}: apply that one")
        if known.run not in runs:
            raise PlanError(
                f"{path} is an older copy of a plan that went on at {other}: what happened since is not in "
                f"it. Apply the newer file, or make the plan again"
            )

    def begin(self, path: Path, run: str) -> None:
        """From now on, only a file that knows `run` is this plan."""
        begun = Begun(path=str(path), run=run, file=_file_of(path), at=self._register.now())
        self._register.write({**self._plans, self._sha256: begun})


def state_folder() -> Path:
    """Where bulkops keeps what must outlive a run."""
    if own := os.environ.get("BULKOPS_STATE_DIR"):
        return Path(own)
    from platformdirs import user_state_dir

    return Path(user_state_dir("bulkops", appauthor=False))


def _file_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
