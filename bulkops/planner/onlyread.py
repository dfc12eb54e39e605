"""Columns of an export that are only to be read: a cell that says something else than its record is told.

Nothing of such a column is written, so what somebody types there would be lost without a word. Only columns
that `bulkops export` itself writes are looked at, and only where the job's source says that it is an export:
what another file has under `ignore` is nobody's matter. A cell is compared with what an export would write
now, so it differs also where the record was changed meanwhile: what is told must be true of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bulkops.cells import unescape_cell
from bulkops.change import equal
from bulkops.export.columns import Column, NamesOf, columns_of
from bulkops.export.names import Names, have_names
from bulkops.job.model import FileSource, StepAction
from bulkops.planner.columns import named_columns
from bulkops.planner.draft import Draft
from bulkops.planner.precheck import ReadyStep
from bulkops.record import Locator, is_absent
from bulkops.targets.base import RecordData, Target
from bulkops.wording import counted, shown

SHOWN = 3  # rows of a column that are named
WAITING = 50_000  # different cells with names that wait until the names are read: memory stays flat

# Who touched the record last, and when: every write moves these, also the one that brought the same file back
# an hour ago, so that they differ says nothing about who edits the file.
_MOVED = re.compile(r"last[A-Z]|update(DateTime|ResourceI[Dd])$|impersonatorUpdater").match


def compared(ready: ReadyStep) -> list[tuple[int, Column]]:
    """The columns of the step's source that are only to be read and that no field uses, with their places."""
    step, columns = ready.step, ready.source.columns
    is_export = isinstance(step.source, FileSource) and step.source.is_export
    used = named_columns(step)
    if not is_export or used is None or step.action not in (StepAction.UPDATE, StepAction.UPSERT):
        return []
    exported = columns_of(ready.entity, (), have_names)
    own = {c.header.strip(): c for c in exported if c.is_only_read and not _MOVED(c.shape.name)}
    free = own.keys() - set(used)
    return [(n, own[name]) for n, name in enumerate(columns) if name in free and columns.count(name) == 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """A cell that says something else than its record."""

    n: int  # of the row
    line: int | None
    says: str
    holds: str


@dataclass(slots=True)
class _Odd:
    """How many cells of a column do, and the first of them."""

    rows: int = 0
    first: list[_Cell] = field(default_factory=list)


class _Name(NamedTuple):
    """A name beside an id, for all rows that say the same."""

    column: str
    entity: str
    held: int | None  # the id in the record
    written: int | None  # the id in the file, where it is another one
    text: str


@dataclass(slots=True)
class _Rows:
    rows: int = 0
    first: list[tuple[int, int | None]] = field(default_factory=list)  # numbers and lines


class OnlyRead:
    """Looks at the rows of one step. `fields` have to be read with the records that they meet."""

    def __init__(self, ready: ReadyStep, target: Target, *, most: int = WAITING) -> None:
        columns = compared(ready)
        self.fields = list(dict.fromkeys(_read_with(columns, ready)))
        self._ready = ready
        self._names = Names(target)
        self._most = most  # different names that wait
        self._plain = [(n, column) for n, column in columns if not column.is_name]
        self._named = [(n, column) for n, column in columns if column.is_name]
        self._shapes = {column.header: column for _, column in columns}
        self._odd: dict[str, _Odd] = {column.header: _Odd() for _, column in columns}
        self._waiting: dict[_Name, _Rows] = {}
        self._unread: dict[str, None] = {}  # columns whose names cannot be read

    async def look(self, drafts: Sequence[Draft]) -> None:
        """Raises what the target's reads raise, and reads only where very much waits."""
        if not self._odd:
            return
        for draft in drafts:
            if len(draft.found) == 1:
                self._look(draft, draft.found[0])
        if len(self._waiting) >= self._most:
            await self.finish()

    def _look(self, draft: Draft, record: RecordData) -> None:
        cells, written = draft.row.cells, draft.record.values if draft.record else {}
        for n, column in self._plain:
            text = cells[n]
            if is_absent(text):
                continue
            if text != column.text(record, {}) and not _says(column, text, record):
                holds = column.text(record, {})
                cell = _Cell(n=draft.n, line=draft.row.line, says=text, holds=holds)
                self._note(column.header, 1, [cell])
        for n, column in self._named:
            field, text = column.shape.name, cells[n]
            if is_absent(text):
                continue
            held, after = _id(record.get(field)), _id(written.get(field, record.get(field)))
            if after is None and not text.strip():
                continue  # no id, no name: so it is, or so it is to be
            name = _Name(column.header, column.shape.reference, held, None if after == held else after, text)
            rows = self._waiting.setdefault(name, _Rows())
            rows.rows += 1
            if len(rows.first) < SHOWN:
                rows.first.append((draft.n, draft.row.line))

    async def finish(self) -> None:
        """Compares the names that wait: one read for 500 records of an entity. Raises what reads raise.

        A name that belongs to the id in the file says no more than that id, which is written.
        """
        waiting, self._waiting = self._waiting, {}
        held = await self._find((name.entity, name.held) for name in waiting)
        odd = {name: rows for name, rows in waiting.items() if not _is_called(name, held, name.held)}
        written = await self._find((name.entity, name.written) for name in odd)
        for name, rows in odd.items():
            if self._names.is_closed(name.entity):
                self._unread[name.column] = None
            elif name.written is None or not _is_called(name, written, name.written):
                holds = held[name.entity].get(name.held or 0, "")
                cells = [_Cell(n=n, line=line, says=name.text, holds=holds) for n, line in rows.first]
                self._note(name.column, rows.rows, cells)

    async def _find(self, wanted: Iterator[tuple[str, int | None]]) -> NamesOf:
        ids: dict[str, dict[int, None]] = {}
        for entity, number in wanted:
            known = ids.setdefault(entity, {})
            if number is not None:
                known[number] = None
        return {entity: await self._names.find(entity, numbers) for entity, numbers in ids.items()}

    def _note(self, header: str, rows: int, cells: Sequence[_Cell]) -> None:
        odd = self._odd[header]
        odd.rows += rows
        odd.first = sorted([*odd.first, *cells], key=lambda cell: cell.n)[:SHOWN]

    def told(self) -> list[str]:
        """One sentence a column."""
        said = [self._sentence(self._shapes[header], odd) for header, odd in self._odd.items() if odd.rows]
        said += [
            f"column {header}: the names of {self._shapes[header].shape.reference} cannot be read, so nobody "
            "has looked whether it was edited; it is only to be read, nothing of it is written"
            for header in self._unread
        ]
        return [f"{self._ready.step.name}: {text}" for text in said]

    def _sentence(self, column: Column, odd: _Odd) -> str:
        rows = f"{counted(odd.rows, 'row')} {'says' if odd.rows == 1 else 'say'}"
        cells = [
            f"{self._place(cell)} says {_text(cell.says)}, the record {_text(cell.holds)}"
            for cell in odd.first
        ]
        more = f"; and {odd.rows - len(cells):,} more" if odd.rows > len(cells) else ""
        return (
            f"column {column.header}: {rows} something else than the record. It is only to be read, nothing "
            f"of it is written{self._instead(column)}. {'; '.join(cells)}{more}"
        )

    def _place(self, cell: _Cell) -> str:
        source = self._ready.source
        return str(Locator(file=source.file, sheet=source.sheet or None, line=cell.line))

    def _instead(self, column: Column) -> str:
        """What to edit, where editing something else would do it."""
        shape = column.shape
        is_free = column.is_name and not (shape.is_read_only or shape.is_fixed)
        return f": edit {shape.name} instead" if is_free and shape.name in self._ready.mapper.fields else ""


def _read_with(columns: Sequence[tuple[int, Column]], ready: ReadyStep) -> Iterator[str]:
    for _, column in columns:
        yield column.shape.name
        parent = ready.entity.find(column.shape.picklist_parent) if column.shape.picklist_parent else None
        if parent is not None and parent.is_queryable:
            yield parent.name


def _says(column: Column, text: str, record: RecordData) -> bool:
    """Whether it means what the record holds, also with a guard that nobody took away."""
    return column.says(text, record) or column.says(unescape_cell(text), record)


def _is_called(name: _Name, names: NamesOf, number: int | None) -> bool:
    known: Mapping[int, str] = names[name.entity]
    called = known.get(number, "") if number is not None else ""
    texts = (name.text, unescape_cell(name.text))
    return name.text == called or any(equal(None, text, called) for text in texts)


def _id(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _text(text: str) -> str:
    return shown(text) if text.strip() else "nothing"
