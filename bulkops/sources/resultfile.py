"""Result files of bulkops, known by their columns: their rows as they were in the source.

Whoever corrects `rejected` may save it as CSV, as a workbook or as anything else that can be a source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bulkops.cells import (
    REASON,
    RESULT_PREFIX,
    STORED,
    SURPLUS,
    is_result_file,
    stored_from_json,
    unescape_cell,
)
from bulkops.job.model import FileSource
from bulkops.record import Row, StoredText
from bulkops.sources.base import Source, Table


def may_be_empty(spec: FileSource, columns: Sequence[str]) -> bool:
    """Whether a file without rows says something: one that is fed back, of a step that left none."""
    return spec.is_override and is_result_file(columns, is_fed_back=True)


def restored(source: Source, *, is_fed_back: bool = False, is_guarded: bool = False) -> Source:
    """The source itself, unless bulkops wrote it: then without bulkops' columns and guards.

    `is_guarded`: whether it is known that its cells are guarded, also where no column says so any more.
    """
    columns = source.columns
    if not (is_guarded or is_result_file(columns, is_fed_back=is_fed_back)):
        return source
    keep = tuple(n for n, name in enumerate(columns) if not name.startswith(RESULT_PREFIX))
    return _ResultFile(
        file=source.file,
        sheet=source.sheet,
        columns=tuple(unescape_cell(columns[n]) for n in keep),
        dialect=source.dialect,
        warnings=source.warnings,
        is_result=True,
        written=source,
        keep=keep,
        surplus=columns.index(SURPLUS) if SURPLUS in columns else None,
        stored=columns.index(STORED) if STORED in columns else None,
        reason=columns.index(REASON) if REASON in columns else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ResultFile(Table):
    """Which cells of a written file are the source's own, and where it tells more of them."""

    written: Source
    keep: tuple[int, ...]
    surplus: int | None  # the cell that tells of a row that was not whole
    stored: int | None  # the cell that tells which ones held a number, a date, or were not there
    reason: int | None  # the cell that tells why the row was not applied

    def rows(self) -> Iterator[Row]:
        width = len(self.written.columns)
        for row in self.written.rows():
            if len(row.cells) == width:
                yield self._restored(row)
            else:
                fault = self._unfinished(row) or row.fault
                yield Row(cells=tuple(map(unescape_cell, row.cells)), line=row.line, fault=fault)

    def _unfinished(self, row: Row) -> str:
        """What to do about a row that was typed without bulkops' cells; one that was cut looks like it."""
        own, width = len(self.keep), len(self.written.columns)
        are_first = self.keep == tuple(range(own))
        if len(row.cells) != own or own == 1 or not are_first or self.dialect is None:
            return ""
        sign = {"\t": "a tab"}.get(self.dialect.delimiter, f"a '{self.dialect.delimiter}'")
        return (
            f"line {row.line} has {own} cells, the header has {width}: those of bulkops may be empty, but "
            f"must be there. If the last one is whole, add {sign} {width - own} times"
        )

    def _restored(self, row: Row) -> Row:
        fault = row.fault
        if self.surplus is not None and row.cells[self.surplus].strip():
            fault = (
                f"line {row.line} was not whole: {SURPLUS} holds what did not fit under the header. "
                "Put the cells right, then empty that one"
            )
        cells = tuple([unescape_cell(row.cells[n]) for n in self.keep])
        if self.stored is not None:
            try:
                cells = _typed(self.columns, cells, stored_from_json(row.cells[self.stored]))
            except (ValueError, RecursionError):
                fault = fault or (
                    f"line {row.line}: {STORED}, which tells numbers and dates from texts, was changed. "
                    "Take it from the result file again, or empty it: then all cells are read as texts, and "
                    "those without one as empty"
                )
        reason = "" if self.reason is None else row.cells[self.reason]
        return Row(cells=cells, line=row.line, fault=fault, reason=reason)


def _typed(columns: Sequence[str], cells: tuple[str, ...], stored: Mapping[str, str]) -> tuple[str, ...]:
    """The cells, of which those that still have their `stored` text held no text, or were not there."""
    if not stored:
        return cells
    return tuple(
        [
            StoredText(cell) if stored.get(name) == cell else cell
            for name, cell in zip(columns, cells, strict=True)
        ]
    )
