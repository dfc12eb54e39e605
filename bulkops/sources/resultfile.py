"""Result files of bulkops, known by their columns: their rows as they were in the source.

Whoever corrects `rejected` may save it as CSV, as a workbook or as anything else that can be a source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bulkops.cells import RESULT_PREFIX, SURPLUS, is_result_file, unescape_cell
from bulkops.record import Row
from bulkops.sources.base import Source, Table


def restored(source: Source, *, is_override: bool) -> Source:
    """The source itself, unless bulkops wrote it: then without bulkops' columns and guards.

    `is_override`: it stands in for the job's own file, so it is taken for one even where somebody has cut
    bulkops' columns out.
    """
    columns = source.columns
    if not (is_override or is_result_file(columns)):
        return source
    keep = tuple(n for n, name in enumerate(columns) if not name.startswith(RESULT_PREFIX))
    return _ResultFile(
        file=source.file,
        sheet=source.sheet,
        columns=tuple(unescape_cell(columns[n]) for n in keep),
        dialect=source.dialect,
        warnings=source.warnings,
        written=source,
        keep=keep,
        surplus=columns.index(SURPLUS) if SURPLUS in columns else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ResultFile(Table):
    """Which cells of a written file are the source's own."""

    written: Source
    keep: tuple[int, ...]
    surplus: int | None  # the cell that tells of a row that was not whole

    def rows(self) -> Iterator[Row]:
        width = len(self.written.columns)
        for row in self.written.rows():
            cells, fault = row.cells, row.fault
            if len(cells) == width:
                if self.surplus is not None and cells[self.surplus].strip():
                    fault = (
                        f"line {row.line} was not whole: {SURPLUS} holds what did not fit under the header. "
                        "Put the cells right, then empty that one"
                    )
                cells = tuple([cells[n] for n in self.keep])
            yield Row(cells=tuple(map(unescape_cell, cells)), line=row.line, fault=fault)
