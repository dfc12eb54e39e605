"""A sealed plan as it is read: what it would do, and, from the journal in the same file, what happened.

The seal's root is verified when a plan is opened and a chunk just before it is given out, so that a large
plan opens at once and nothing unverified is ever sent. Reading never writes, and works while an apply does.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self, TypeAlias

from bulkops.accounting import check_counts
from bulkops.change import Action, Change
from bulkops.errors import PlanError
from bulkops.plan import openmark, storage
from bulkops.plan.encoding import cells_from_json, change_from_json
from bulkops.plan.fate import SETTLED, Fate, RowState, Told, fate_of
from bulkops.plan.found import Line, lines_found
from bulkops.plan.seal import CHUNK, Header, chunk_hash, entry_bytes, root_hash
from bulkops.record import Row


class PlanState(StrEnum):
    """Where a plan stands, in the words of `status --json`."""

    PLANNED = "planned"
    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStatus:
    """Where the rows of one step stand."""

    step: str
    entity: str
    counts: Mapping[str, int]  # as those of the plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where a plan stands. Calls and time add up over all runs; a killed one counts as last noted."""

    plan: Path
    state: PlanState
    rows: int
    counts: Mapping[str, int]  # applied, unchanged, rejected, held, pending: add up to `rows`
    calls: Mapping[str, int]  # read, write
    elapsed_s: float
    waiting: str | None
    steps: tuple[StepStatus, ...] = ()  # their counts add up to `counts`


_Chunk: TypeAlias = tuple[int, int, str, str]  # first, last, letters of its actions, hash
_Entry: TypeAlias = tuple[int, int | None, str, str]  # n, line, cells, change

_PLANNED = {"n": RowState.UNCHANGED, "r": RowState.REJECTED}  # what planning settled, by its letter


class Plan:
    """A sealed plan, read-only. Holds no connection between two reads, so it is never in an apply's way.

    Every method that reads raises PlanError where the file is damaged, edited, gone or busy.
    """

    __slots__ = ("_chunks", "_file", "header", "path", "sha256")

    def __init__(self, path: Path, header: Header, sha256: str, chunks: Sequence[_Chunk]) -> None:
        self.path = path  # as it was given
        self.header = header
        self.sha256 = sha256  # the seal: of header, rows and changes
        self._file = storage.resolved(path)
        self._chunks = chunks

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """The plan in `path`, its seal verified; works while another process applies it.

        PlanError: no plan file, damaged, edited, of a newer bulkops, or copied without its log.
        """
        file = storage.resolved(path)
        if not file.is_file():
            raise PlanError(f"{path}: there is no such plan file")
        storage.settle_rollback(file)
        _check_format(file)
        openmark.refuse_without_log(file)
        with storage.reading(file) as connection:
            headers = connection.execute("SELECT json, sha256 FROM header").fetchall()
            chunks = connection.execute("SELECT * FROM chunks ORDER BY first").fetchall()
            ends = connection.execute(_ENDS).fetchone()
        text, seal = headers[0] if len(headers) == 1 else (None, None)
        if not isinstance(text, str) or root_hash(text, chunks) != seal:
            raise _edited(file, "its header or its list of chunks")
        first, last = (1, chunks[-1][1]) if chunks else (None, None)
        if ends != (first, last, first, last):
            raise _edited(file, "its first or its last change")
        return cls(Path(path), _header(file, text), seal, chunks)

    def close(self) -> None:
        """Nothing to do: nothing is held. So that a plan reads like a file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def total(self) -> int:
        """How many changes, which is how many rows."""
        return self._chunks[-1][1] if self._chunks else 0

    @property
    def counts(self) -> Mapping[str, int]:
        """How many creates, updates, deletes, unchanged and rejected, as planned."""
        return self.header.counts

    @property
    def has_changes(self) -> bool:
        """Whether anything is to be written."""
        return any(self.counts.get(action.value) for action in Action if action.is_write)

    @property
    def actions(self) -> str:
        """One letter per change, in order: c(reate), u(pdate), d(elete), n(othing), r(ejected)."""
        return "".join(chunk[2] for chunk in self._chunks)

    # --- what it would do ---

    def items(self, after: int = 0) -> Iterator[tuple[Change, Row]]:
        """Each change with its row, from number `after` + 1 on; each chunk verified before it is given."""
        for n, line, cells, text in self._entries(after):
            yield change_from_json(n, text), _row(line, cells)

    def changes(self, after: int = 0) -> Iterator[Change]:
        """As `items`, without the rows."""
        for n, _, _, text in self._entries(after):
            yield change_from_json(n, text)

    def rows(self, after: int = 0) -> Iterator[Row]:
        """As `items`, without the changes."""
        for _, line, cells, _ in self._entries(after):
            yield _row(line, cells)

    def change(self, n: int) -> Change:
        """One change. KeyError where there is none. Verifies its whole chunk: a millisecond or two."""
        chunk = self._chunk_of(n)
        return change_from_json(n, self._verified(chunk)[n - chunk[0]][3])

    def _chunk_of(self, n: int) -> _Chunk:
        if not 1 <= n <= self.total:
            raise KeyError(n)
        return self._chunks[(n - 1) // CHUNK]

    def stored(self, chunk: int) -> tuple[str, ...]:
        """The changes of a chunk (the first one is 0), verified, as `change_from_json` reads them."""
        return tuple(text for _, _, _, text in self._verified(self._chunks[chunk]))

    def verify(self) -> None:
        """Every chunk, for nothing but the PlanError."""
        for chunk in self._chunks:
            self._verified(chunk)

    def _entries(self, after: int) -> Iterator[_Entry]:
        for chunk in self._chunks[after // CHUNK :]:
            for entry in self._verified(chunk):
                if entry[0] > after:
                    yield entry

    def _verified(self, chunk: _Chunk) -> list[_Entry]:
        first, last, _, digest = chunk
        with storage.reading(self._file) as connection:
            found: list[_Entry] = connection.execute(
                "SELECT n, line, cells, change FROM rows JOIN changes USING (n)"
                " WHERE n BETWEEN ? AND ? ORDER BY n",
                (first, last),
            ).fetchall()
        if not _are_texts(found) or chunk_hash(entry_bytes(*entry) for entry in found) != digest:
            raise _edited(self._file, f"one of the changes {first} to {last}, or a row of them")
        return found

    # --- what happened ---

    def fates(self) -> Iterator[Fate]:
        """Each change with its row and where it stands now, in order: the journal's last entry counts."""
        for chunk in self._chunks:
            told, found = self._told(chunk[:2])
            for n, line, cells, text in self._verified(chunk):
                yield fate_of(change_from_json(n, text), _row(line, cells), told.get(n), found.get(n))

    def fates_backwards(self, first: int, last: int) -> Iterator[Fate]:
        """As `fates`, from number `last` down to `first`."""
        for chunk in reversed(self._chunks):
            if chunk[0] > last or chunk[1] < first:
                continue
            told, found = self._told(chunk[:2])
            for n, line, cells, text in reversed(self._verified(chunk)):
                if first <= n <= last:
                    yield fate_of(change_from_json(n, text), _row(line, cells), told.get(n), found.get(n))

    def fate(self, n: int) -> Fate:
        """One of them. KeyError where there is none."""
        chunk = self._chunk_of(n)
        _, line, cells, text = self._verified(chunk)[n - chunk[0]]
        told, found = self._told((n, n))
        return fate_of(change_from_json(n, text), _row(line, cells), told.get(n), found.get(n))

    def outcomes(self) -> Iterator[tuple[int, RowState, int | None, str | None]]:
        """As `fates`: number, state, id and reason."""
        for fate in self.fates():
            yield fate.change.n, fate.state, fate.id, fate.reason

    def endings(self) -> Iterator[tuple[int, str, RowState, int | None]]:
        """As `outcomes`, without reading the changes: number, letter of `actions`, state, id where tried."""
        for first, last, letters, _ in self._chunks:
            told, _ = self._told((first, last))
            for n, letter in enumerate(letters, first):
                kind, id, _ = told.get(n, (_PLANNED.get(letter, RowState.PENDING), None, None))
                yield n, letter, RowState(kind) if kind in SETTLED else RowState.PENDING, id

    def _told(self, ends: tuple[int, int]) -> tuple[dict[int, Told], Mapping[int, Sequence[Line]]]:
        """The last word on each, and the whole story of those whose record was not as the plan saw it."""
        with storage.reading(self._file) as connection:
            connection.execute("BEGIN")
            found = connection.execute(
                "SELECT n, kind, id, reason, max(seq) FROM journal WHERE n BETWEEN ? AND ? GROUP BY n", ends
            ).fetchall()
            try:
                lines = lines_found(connection, *ends)
            except ValueError as error:
                raise _strange(self._file) from error
        return {n: (kind, id, reason) for n, kind, id, reason, _ in found}, lines

    def sent_at(self, n: int) -> float | None:
        """When the request for row `n` last may have left, as epoch seconds; None where none did."""
        with storage.reading(self._file) as connection:
            found: float | None = connection.execute(_SENT, (n,)).fetchone()[0]
        return found

    def status(self) -> Status:
        """Where it stands at this moment. Half a second for a million rows."""
        is_running = self.is_running()
        with storage.reading(self._file) as connection:
            connection.execute("BEGIN")  # one moment for all of it
            counts, steps = self._counted(connection)
            runs, read, write, elapsed_s = connection.execute(_RUNS).fetchone()
            last = connection.execute(_LAST_RUN).fetchone()
            is_begun = _is_begun(connection)
        state = _state(is_running=is_running, is_begun=is_begun, is_done=not counts["pending"] and runs > 0)
        return Status(
            plan=self.path,
            state=state,
            rows=self.total,
            counts=counts,
            calls={"read": read, "write": write},
            elapsed_s=elapsed_s,
            waiting=_why_waiting(state, *last) if last else None,
            steps=steps,
        )

    def _counted(self, connection: sqlite3.Connection) -> tuple[dict[str, int], tuple[StepStatus, ...]]:
        """What was planned, and the journal's last word on each row; added up step by step."""
        actions, counts, steps = self.actions, Counter[str](), []
        for name, entity, first, last in self._steps():
            own = _count(connection, actions, first, last)
            check_counts(own, last - first + 1, f"step {name} of {self.path}" if name else str(self.path))
            own["pending"] += own.pop("tried", 0)
            counts.update(own)
            steps.append(StepStatus(step=name, entity=entity, counts=_by_state(own)))
        counts["of no row"] = connection.execute(_STRANGE, (self.total,)).fetchone()[0]
        check_counts(counts, self.total, str(self.path))
        return _by_state(counts), tuple(steps) if self.header.steps else ()

    def _steps(self) -> Iterator[tuple[str, str, int, int]]:
        """Name, entity, first and last row of each step; the last one before the first where it has none."""
        if not self.header.steps:
            yield "", "", 1, self.total
        first = 1
        for step in self.header.steps:
            yield step.name, step.entity, first, first + step.rows - 1
            first += step.rows

    def progress(self) -> Mapping[str, int]:
        """How many rows are applied, unchanged, rejected, held and pending now; adds up to `total`."""
        return self.status().counts

    def state(self) -> PlanState:
        return self.status().state

    def is_running(self) -> bool:
        """Whether a live process applies it now."""
        return storage.is_leased(self._file)

    def is_begun(self) -> bool:
        """Whether anything was ever tried."""
        with storage.reading(self._file) as connection:
            return _is_begun(connection)

    def run_ids(self) -> list[str]:
        """The ids of all runs, in order."""
        with storage.reading(self._file) as connection:
            return [id for (id,) in connection.execute("SELECT id FROM runs ORDER BY number")]


_ENDS = """SELECT (SELECT min(n) FROM rows), (SELECT max(n) FROM rows),
                  (SELECT min(n) FROM changes), (SELECT max(n) FROM changes)"""
_LAST_WORDS = """SELECT kind, count(*) FROM
                     (SELECT kind, max(seq) FROM journal WHERE n BETWEEN ? AND ? GROUP BY n) GROUP BY kind"""
# An intent that was withdrawn at once never left.
_SENT = """SELECT max(at) FROM (SELECT at, kind, lead(kind) OVER w AS next, lead(id) OVER w AS next_id
                              FROM journal WHERE n = ? WINDOW w AS (ORDER BY seq))
           WHERE kind = 'intent' AND NOT (ifnull(next, '') = 'withdrawn' AND next_id IS NULL)"""
_STRANGE = "SELECT count(*) FROM journal WHERE n < 1 OR n > ?"
# A killed run noted its calls a while before its end; what the journal has of it is a better count.
_RUNS = """SELECT count(*), ifnull(sum(calls_read), 0),
                  ifnull(sum(max(calls_write, CASE WHEN ended IS NOT NULL THEN 0 ELSE (
                      SELECT count(*) FROM journal
                      WHERE run = runs.number AND kind IN ('applied', 'doubt')) END)), 0),
                  total(elapsed_s)
           FROM runs"""


def _count(connection: sqlite3.Connection, actions: str, first: int, last: int) -> Counter[str]:
    """The rows from `first` to `last`, each in one state; "tried": begun and not settled."""
    planned = Counter(actions[first - 1 : last])
    told: Counter[str] = Counter(dict(connection.execute(_LAST_WORDS, (first, last))))
    tried = told.total() - sum(told[state] for state in SETTLED)
    untold = last - first + 1 - planned["n"] - planned["r"] - told.total()
    counts = Counter({state.value: told[state] for state in SETTLED})
    counts.update(unchanged=planned["n"], rejected=planned["r"], tried=tried, pending=untold)
    return counts


def _by_state(counts: Mapping[str, int]) -> dict[str, int]:
    return {state.value: counts.get(state, 0) for state in RowState}


def _row(line: int | None, cells: str) -> Row:
    return Row(cells=cells_from_json(cells), line=line)


def _is_begun(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM journal)").fetchone()[0])


def _state(*, is_running: bool, is_begun: bool, is_done: bool) -> PlanState:
    if is_running:
        return PlanState.RUNNING
    if is_done:
        return PlanState.FINISHED
    return PlanState.STOPPED if is_begun else PlanState.PLANNED


_LAST_RUN = "SELECT waiting, ended IS NOT NULL FROM runs ORDER BY number DESC LIMIT 1"
_KILLED = "its process ended without a word, as after a kill or a power cut"


def _why_waiting(state: PlanState, told: str | None, is_ended: bool) -> str | None:
    """Why a running plan waits, or why the last run stopped, on one line.

    What a run that was killed had waited for is nothing that anybody waits for now; nor is what the last run
    said, while a new one begins.
    """
    if state is PlanState.RUNNING:
        told = None if is_ended else told
    elif not is_ended:
        told = _KILLED
    return " ".join(told.split()) if told else None


def _are_texts(found: Sequence[tuple[object, ...]]) -> bool:
    """SQLite keeps whatever an editor puts into a column."""
    return all(isinstance(cells, str) and isinstance(text, str) for _, _, cells, text in found)


def _header(path: Path, text: str) -> Header:
    try:
        return Header.from_json(text)
    except (ValueError, KeyError, TypeError) as error:
        raise PlanError(f"{path} was made by another version of bulkops. Make the plan again") from error


def _check_format(path: Path) -> None:
    ((application,),), ((version,),) = storage.peek(path, "PRAGMA application_id", "PRAGMA user_version")
    if application != storage.APPLICATION_ID:
        raise PlanError(f"{path} is not a plan file of bulkops")
    if version > storage.FORMAT:
        raise PlanError(
            f"{path} was made by a newer bulkops. Upgrade bulkops, or make the plan again with this one"
        )


def _strange(path: Path) -> PlanError:
    return PlanError(
        f"{path} is damaged: its journal has an entry that nobody wrote. Take an undamaged copy of it"
    )


def _edited(path: Path, what: str) -> PlanError:
    return PlanError(f"{path} was edited after it was sealed: {what}. Make the plan again")
