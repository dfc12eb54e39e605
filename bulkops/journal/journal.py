"""The durable, append-only story of what was tried and what happened, in the plan's own file.

Every intent is durable before its request leaves. Everything that waits at the same moment is committed
together by one thread (scribe.py), off the event loop. The journal must never say less than what happened;
saying more (an intent whose request never left) only costs a look at the target.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import time
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from bulkops.change import Before
from bulkops.errors import PlanError
from bulkops.journal.register import Register
from bulkops.journal.scribe import Line, Scribe, Usage
from bulkops.plan import storage
from bulkops.plan.found import before_to_json
from bulkops.plan.openmark import Mark, OpenPlan, missing_log, refuse_without_log
from bulkops.plan.view import Plan

LEASE_WAIT_S = 2.0  # a `status` that looks whether the plan is applied holds the lease for a moment
NO_ID = -(2**63)


class Kind(StrEnum):
    """What an entry says of a change. The last entry of a change counts."""

    INTENT = "intent"  # a request may leave from now on
    DOUBT = "doubt"  # its answer was lost: it may have happened
    WITHDRAWN = "withdrawn"  # it did not happen and will not any more: pending again
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    HELD = "held"

    @property
    def is_settled(self) -> bool:
        """Nothing more is sent for it."""
        return self in (Kind.APPLIED, Kind.UNCHANGED, Kind.REJECTED, Kind.HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What happened to change `n`: the id of its record, where there is one, and why, where not well.

    Of an intent, `id` is the floor: the highest id of the entity that was known before a create could leave,
    and `reason` what the record held in fields of which the plan saw something else (`plan.found`).
    Of an update that did not happen, `id` says that it has emptied the fields that it empties first.
    """

    n: int
    kind: Kind
    id: int | None = None
    reason: str | None = None

    @classmethod
    def fallen(cls, n: int, needed: int, kind: Kind | None) -> Self:
        """Change `n` cannot be sent: `needed`, which it waits for, ended as `kind`, rejected or held."""
        word = "was rejected" if kind is Kind.REJECTED else "is held"
        return cls(kind=kind or Kind.HELD, n=n, reason=f"row {needed}, which it needs, {word}")


_KINDS: tuple[Kind | None, ...] = (
    None,
    *Kind,
)  # by their code, one byte a change; 0: nothing is known, it is pending
_CODE = {kind: code for code, kind in enumerate(_KINDS) if kind is not None}
_PLANNED = bytes({"n": _CODE[Kind.UNCHANGED], "r": _CODE[Kind.REJECTED]}.get(chr(b), 0) for b in range(256))
_IN_DOUBT = (_CODE[Kind.INTENT], _CODE[Kind.DOUBT])
_IS_SETTLED = bytes(kind is not None and kind.is_settled for kind in _KINDS).ljust(256, b"\0")


class Journal:
    """One plan while it is applied. All methods belong to one event loop's thread.

    After a failure of the disk every call raises JournalError: what is not written must not be tried.
    """

    def __init__(
        self, plan: Plan, opened: OpenPlan, run: int, scribe: Scribe, clock: Callable[[], float]
    ) -> None:
        """Use `open`."""
        self.plan = plan
        self._run = run
        self._scribe = scribe
        self._clock = clock
        self._kinds = bytearray(1) + plan.actions.encode().translate(_PLANNED)
        self._ids = array("q", [NO_ID]) * len(self._kinds)
        self._seq = 0
        self._through = 0
        self._recover(opened.connection)
        self.is_begun = self._seq > 0  # something was tried in an earlier run
        self._floors = self._left_in_doubt(opened.connection)
        self._is_closed = False

    # --- opening ---

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        state_dir: str | os.PathLike[str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Takes the lease of the plan and begins a run. `clock` tells the wall clock time (epoch).

        PlanError, with nothing tried: applied by another process, a copy, without its log, edited, damaged,
        or a disk or a state folder that cannot be written.
        """
        file = storage.resolved(path)
        if not file.is_file():
            raise PlanError(f"{path}: there is no such plan file")
        lease = storage.Lease(file)
        if not lease.take(wait_s=LEASE_WAIT_S):
            raise PlanError(
                f"{path} is being applied by another process{_pid(file)}. Wait until it has ended"
            )
        try:
            return cls._begin(file, lease, Register(state_dir, clock=clock), clock)
        except sqlite3.Error as error:
            lease.release()
            raise PlanError(storage.why(error, file)) from error
        except BaseException:
            lease.release()
            raise

    @classmethod
    def _begin(cls, file: Path, lease: storage.Lease, register: Register, clock: Callable[[], float]) -> Self:
        plan = Plan.open(file)
        if not plan.is_begun():
            plan.verify()  # an edited copy must not be taken for the plan itself from now on
        mark = refuse_without_log(file)
        run = secrets.token_hex(8)
        with register.page(plan.sha256) as page:
            page.refuse_copy(file, plan.run_ids())
            if mark is Mark.LOG_SEEN and not (page.known and page.known.is_at(file)):
                raise missing_log(file)
            opened = OpenPlan(file)
            try:
                number = opened.begin(run, os.getpid(), clock())
                scribe = Scribe(opened, file, number, lease)
                journal = cls(plan, opened, number, scribe, clock)
                page.begin(file, run)
            except BaseException:
                opened.end()
                raise
        scribe.start()
        return journal

    def _recover(self, connection: sqlite3.Connection) -> None:
        """Where each change stands: one pass, about a second for a million changes."""
        count, last = connection.execute("SELECT count(*), ifnull(max(seq), 0) FROM journal").fetchone()
        if count != last:
            raise self._damaged()
        try:
            for n, kind, id, _ in connection.execute("SELECT n, kind, id, max(seq) FROM journal GROUP BY n"):
                if self.is_settled(n):
                    raise ValueError(n)  # by the plan itself: nothing can have been tried for it
                self._learn(n, _CODE[kind], id)
        except (KeyError, IndexError, ValueError, TypeError, OverflowError) as error:
            raise self._damaged() from error
        self._seq = last

    def _damaged(self) -> PlanError:
        return PlanError(
            f"{self.plan.path} is damaged: its journal has a gap or an entry that nobody wrote. "
            f"Take an undamaged copy of it"
        )

    def _left_in_doubt(self, connection: sqlite3.Connection) -> dict[int, int | None]:
        """The changes in doubt, and of each the floor: the least one since it was last known to be pending.

        Not when they were sent: that is what a wall clock said, and it may have jumped since.
        """
        return {
            n: connection.execute(
                "SELECT CASE WHEN count(id) = count(*) THEN min(id) END"
                " FROM journal WHERE n = ?1 AND kind = 'intent' AND seq >"
                " (SELECT ifnull(max(seq), 0) FROM journal WHERE n = ?1 AND kind NOT IN ('intent', 'doubt'))",
                (n,),
            ).fetchone()[0]
            for n, code in enumerate(self._kinds)
            if code in _IN_DOUBT
        }

    # --- where it stands ---

    def kind(self, n: int) -> Kind | None:
        """The last word on change `n`, the plan's own included; None: pending. Known before it is durable."""
        return _KINDS[self._kinds[n]]

    def is_settled(self, n: int) -> bool:
        """Whether nothing more is to be done for change `n`."""
        return bool(_IS_SETTLED[self._kinds[n]])

    def is_in_doubt(self, n: int) -> bool:
        """Whether a request of change `n` may have left without an answer that can be trusted."""
        return self._kinds[n] in _IN_DOUBT

    def settled_through(self) -> int:
        """Every change up to this number is settled."""
        while self._through + 1 < len(self._kinds) and self.is_settled(self._through + 1):
            self._through += 1
        return self._through

    @property
    def settled_count(self) -> int:
        """How many changes are settled, the plan's own unchanged and rejected ones included."""
        return self._kinds.translate(_IS_SETTLED).count(1)

    def counts(self) -> dict[str, int]:
        """How many changes ended as what, and how many are pending, the plan's own words included."""
        ended = {kind.value: self._kinds.count(code) for kind, code in _CODE.items() if kind.is_settled}
        return {**ended, "pending": len(self._kinds) - 1 - self.settled_count}

    def in_doubt(self) -> list[int]:
        """Changes left in doubt by earlier runs and not settled since, by number.

        A killed run may have sent a request later than it wrote the intent, but not after this was opened.
        """
        return [n for n in self._floors if self.is_in_doubt(n)]

    def begun(self) -> list[int]:
        """Changes that are pending and did the first of their two requests, by number."""
        code = _CODE[Kind.WITHDRAWN]
        return [n for n, kind in enumerate(self._kinds) if kind == code and self._ids[n] != NO_ID]

    def floor(self, n: int) -> int | None:
        """The highest id of its entity known before the create of change `n`, in doubt, could leave."""
        return self._floors.get(n)

    def fell(self, first: int, last: int) -> tuple[int, int] | None:
        """Of the changes from `first` to `last`, created by earlier runs: an id that is not above its floor.

        With that floor; None: there is none. Who settled a row by hand may have named any record.
        """
        with storage.reading(storage.resolved(self.plan.path)) as connection:
            found: tuple[int, int] | None = connection.execute(
                "SELECT a.id, i.id FROM journal AS a JOIN journal AS i ON i.n = a.n AND i.kind = 'intent'"
                " WHERE a.n BETWEEN ? AND ? AND a.kind = 'applied' AND a.reason IS NULL AND a.id <= i.id"
                " LIMIT 1",
                (first, last),
            ).fetchone()
        return found

    def sent_again(self) -> list[tuple[int, int | None]]:
        """Changes for which earlier runs sent more than one request, since the first was given up: with the
        floor of the first.
        """
        with storage.reading(storage.resolved(self.plan.path)) as connection:
            found: list[tuple[int, int | None]] = connection.execute(
                "SELECT n, CASE WHEN count(id) = count(*) THEN min(id) END FROM journal AS i"
                " WHERE kind = 'intent'"
                " AND n IN (SELECT n FROM journal WHERE kind = 'intent' GROUP BY n HAVING count(*) > 1)"
                " AND NOT EXISTS"
                " (SELECT 1 FROM journal AS w WHERE w.n = i.n AND w.seq > i.seq AND w.kind = 'withdrawn')"
                " GROUP BY n HAVING count(*) > 1"
            ).fetchall()
        return found

    def holders(self, ids: Collection[int]) -> list[tuple[int, int]]:
        """The changes of which one of these ids is the record: number and id. Of every entity."""
        return [(n, id) for n, id in enumerate(self._ids) if id in ids]

    def held(self) -> list[int]:
        """The changes that are held, by number."""
        code = _CODE[Kind.HELD]
        return [n for n, kind in enumerate(self._kinds) if kind == code]

    def created_id(self, n: int) -> int | None:
        """The record's id that the last entry of change `n` names."""
        return None if self._ids[n] == NO_ID else self._ids[n]

    def _learn(self, n: int, code: int, id: int | None) -> None:
        if n < 1:
            raise IndexError(n)
        self._kinds[n] = code
        self._ids[n] = NO_ID if id is None or code == _CODE[Kind.INTENT] else id
        if n <= self._through and not self.is_settled(n):  # held, and by hand pending again
            self._through = n - 1

    # --- writing ---

    async def intent(
        self,
        ns: int | Sequence[int],
        *,
        floors: Mapping[int, int] | None = None,
        found: Mapping[int, Before] | None = None,
    ) -> None:
        """Returns when it is durable that requests for these changes may leave from now on.

        `floors`: of creates, by number, the highest id of their entity that is known by now. `found`: what
        records hold, by number, where it is not what the plan saw.

        Cancelled, it may still become durable: withdraw it, or it counts as in doubt after a crash.
        ValueError where a change is settled: nothing may be sent for it.
        """
        at = self._clock()
        numbers = (ns,) if isinstance(ns, int) else ns
        for n in numbers:
            if self.is_settled(n):
                raise ValueError(f"change {n} is settled: nothing may be sent for it")
        self._scribe.check()
        done = asyncio.get_running_loop().create_future()
        floors = floors or {}
        texts = {n: before_to_json(before) for n, before in (found or {}).items()}
        self._scribe.put([self._line(n, Kind.INTENT, at, floors.get(n), texts.get(n)) for n in numbers], done)
        await done

    def note(self, *entries: Entry) -> None:
        """Queues what happened, all or nothing; durable with the next commit. Calls keep their order."""
        self._scribe.check()
        at = self._clock()
        self._scribe.put(
            [self._line(entry.n, entry.kind, at, entry.id, _writable(entry.reason)) for entry in entries]
        )

    def _line(self, n: int, kind: Kind, at: float, id: int | None = None, reason: str | None = None) -> Line:
        self._learn(n, _CODE[kind], id)
        self._seq += 1
        return (n, self._seq, self._run, kind.value, at, id, reason)

    def note_usage(self, *, calls_read: int, calls_write: int, elapsed_s: float, waiting: str | None) -> None:
        """Queues what this run has used so far, for `status` while it runs and for a run that is killed."""
        self._scribe.check()
        self._scribe.put_usage(Usage(calls_read, calls_write, elapsed_s, waiting))

    async def flush(self) -> None:
        """Returns when everything noted so far is durable."""
        self._scribe.check()
        done = asyncio.get_running_loop().create_future()
        self._scribe.put([], done)
        await done

    async def close(
        self, *, calls_read: int, calls_write: int, elapsed_s: float, waiting: str | None
    ) -> None:
        """Ends the run: everything durable, one whole file, the lease given back. Also under cancellation.

        Raises JournalError where something noted could not be written, and the cancellation it met, both
        after the file is closed. A second call does nothing.
        """
        if self._is_closed:
            return
        self._is_closed = True
        done = asyncio.get_running_loop().create_future()
        self._scribe.put_usage(Usage(calls_read, calls_write, elapsed_s, waiting, self._clock()), done)
        cancelled: asyncio.CancelledError | None = None
        while not done.done():
            try:
                await asyncio.wait([done])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        done.result()


def _writable(reason: str | None) -> str | None:
    """Text that a file can hold: a lone surrogate is none."""
    return None if reason is None else reason.encode("utf-8", "replace").decode()


def _pid(file: Path) -> str:
    """Who applies it, as far as its journal says yet."""
    try:
        with storage.reading(file) as connection:
            found = connection.execute("SELECT pid FROM runs ORDER BY number DESC LIMIT 1").fetchone()
    except PlanError:
        return ""
    return f" (pid {found[0]})" if found else ""
