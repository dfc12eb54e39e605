"""What `from` finds: what became of the row that a source text names, in a step that was planned before.

Where no row has the text and the step was fed back, what the target has (`earlier`) stands beside the rows.
Texts are compared trimmed and without case, nothing else is guessed: 7 is not 007. Memory stays flat.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self

from bulkops.change import Action, Change, folded
from bulkops.job.model import StepAction
from bulkops.planner.collision import row_text
from bulkops.planner.precheck import ReadyStep
from bulkops.record import Created, FromStep, Record, Row, RowError
from bulkops.scratch import digest, open_scratch

LONGEST_REASON = 300  # characters of the reason that rows inherit from one they need

_TABLE = """CREATE TABLE links (
    key BLOB PRIMARY KEY, n INTEGER NOT NULL, line INTEGER, id INTEGER, state INTEGER NOT NULL, reason TEXT
) WITHOUT ROWID"""
_OPEN, _REJECTED, _UNCHANGED, _WRITTEN, _ABSENT = range(5)  # the states of a link
# A key belongs to the first row that has it; but where that one is rejected, to the next one that is not.
_PUT = f"""INSERT INTO links VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    n = excluded.n, line = excluded.line, id = excluded.id, state = excluded.state, reason = excluded.reason
    WHERE links.n = excluded.n OR (links.state = {_REJECTED} AND excluded.state <> {_REJECTED})"""


class _Found(NamedTuple):
    """A row that a text names. `id` is its record's, where there was one."""

    n: int  # 0: no row, but a record of the target, or none
    line: int | None
    id: int | None
    state: int
    reason: str | None


@dataclass(slots=True, kw_only=True)
class Linked:
    """The references of one record: `values` by field, or why there are none.

    `needs` has the row that must be written before, by field.
    """

    values: dict[str, int | Created] = field(default_factory=dict)
    needs: dict[str, int] = field(default_factory=dict)
    errors: list[RowError] = field(default_factory=list)


class Links:
    """The rows of the steps that a `from` names, by the digest of the texts they are known by."""

    def __init__(self, steps: Iterable[ReadyStep]) -> None:
        self.file: sqlite3.Connection = open_scratch(_TABLE)
        self._steps = {ready.step.name: ready for ready in steps if ready.key_cells}
        self._fed_back = {name for name, ready in self._steps.items() if ready.is_fed_back}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def note(self, ready: ReadyStep, planned: Iterable[tuple[Row, Change]]) -> None:
        """Remembers what became of rows of a step."""
        self._put(ready, ((row, _outcome(change)) for row, change in planned))

    def note_open(self, ready: ReadyStep, rows: Iterable[tuple[Row, int]]) -> None:
        """Remembers that there are rows of these numbers; what becomes of them is noted later."""
        self._put(ready, ((row, _Found(n, row.line, None, _OPEN, None)) for row, n in rows))

    def _put(self, ready: ReadyStep, rows: Iterable[tuple[Row, _Found]]) -> None:
        if ready.key_cells:
            self.file.executemany(_PUT, self._entries(ready, rows))

    @staticmethod
    def _entries(ready: ReadyStep, rows: Iterable[tuple[Row, _Found]]) -> Iterator[tuple[object, ...]]:
        for row, found in rows:
            if len(row.cells) != len(ready.source.columns):
                continue  # which cell is which is not known
            texts = [row.cells[at].strip() for at in ready.key_cells]
            if all(texts):
                yield key_digest(ready.step.name, texts), *found

    def note_found(self, ref: FromStep, id: int) -> None:
        """No row has this key; a record of the target has."""
        self.file.execute(_PUT, (key_digest(ref.step, ref.key), 0, None, id, _UNCHANGED, None))

    def note_absent(self, ref: FromStep, reason: str) -> None:
        """No row has this key, and no one record either."""
        self.file.execute(_PUT, (key_digest(ref.step, ref.key), 0, None, None, _ABSENT, reason))

    def unknown(
        self, records: Iterable[Record], *, later: Collection[str] = ()
    ) -> list[tuple[ReadyStep, list[FromStep]]]:
        """The keys that no row has, of steps that were fed back; each once. None of the steps `later`."""
        asked: dict[str, dict[bytes, FromStep]] = {}
        wanted = self._fed_back.difference(later)
        for record in records if wanted else ():
            for _, ref in references(record):
                if ref.step in wanted and self._find(ref) is None:
                    asked.setdefault(ref.step, {})[key_digest(ref.step, ref.key)] = ref
        return [(self._steps[step], list(refs.values())) for step, refs in asked.items()]

    def resolve(self, records: Sequence[Record], *, later: Collection[str] = ()) -> list[Linked]:
        """What each record refers to, in the order of `records`. References to the steps `later` are left."""
        asked = [{n: ref for n, ref in references(record) if ref.step not in later} for record in records]
        found = {ref: self._find(ref) for refs in asked for ref in refs.values()}
        return [self._linked(refs, found) for refs in asked]

    def _find(self, ref: FromStep) -> _Found | None:
        key = key_digest(ref.step, ref.key)
        row = self.file.execute(
            "SELECT n, line, id, state, reason FROM links WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else _Found(*row)

    def _linked(self, refs: Mapping[str, FromStep], found: Mapping[FromStep, _Found | None]) -> Linked:
        linked = Linked()
        for name, ref in refs.items():
            row = found[ref]
            if row is None or row.state == _ABSENT:
                linked.errors.append(self._missing(name, ref, row.reason if row else None))
            elif row.state == _REJECTED:
                linked.errors.append(RowError(message=self._fallen(ref, row), field=name))
            else:
                linked.values[name] = Created(change=row.n) if row.id is None else row.id
                if row.state == _WRITTEN:
                    linked.needs[name] = row.n
        return linked

    def _missing(self, name: str, ref: FromStep, looked: str | None) -> RowError:
        """`looked`: what became of looking in the target as well."""
        ready = self._steps[ref.step]
        columns = " and ".join(ready.source.columns[at] for at in ready.key_cells)
        message = f"no row of the step {ref.step} ({ready.source.display}) has this {columns}"
        message += f", and {looked}" if looked else ""
        return RowError(message=message, column=ref.column, value=" / ".join(ref.key), field=name)

    def _fallen(self, ref: FromStep, row: _Found) -> str:
        ready = self._steps[ref.step]
        place = row_text(row.n, ready.source.display, row.line)
        told = f"{place}, which it needs, was rejected: {row.reason}"
        if ready.step.action is not StepAction.CREATE or row.id is None:
            return told
        # The record is there: what is left over of an earlier run is the way to it.
        if ready.is_fed_back:
            return f"{told}; to refer to that record, take the row out of {ready.source.display}"
        return f"{told}; to refer to that record, feed what the step left over back: --source {ref.step}=FILE"


def references(record: Record) -> Iterator[tuple[str, FromStep]]:
    """The references to rows of steps that a record holds, by field."""
    for name, value in record.values.items():
        if isinstance(value, FromStep):
            yield name, value


def key_digest(step: str, texts: Sequence[str]) -> bytes:
    """What stands for a row that is known by `texts`."""
    return digest((step, *(folded(text.strip()) for text in texts)))


def _outcome(change: Change) -> _Found:
    state = _WRITTEN if change.action.is_write else _UNCHANGED
    reason = None
    if change.action is Action.REJECTED:
        state, reason = _REJECTED, change.reason or ""
        reason = reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 3]}..."
    return _Found(change.n, change.line, change.id, state, reason)
