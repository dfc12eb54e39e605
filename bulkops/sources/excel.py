"""Excel workbooks: the rows of one sheet, every cell as it is stored, as text in its shortest form.

The reader holds a sheet in memory at once (about 50 bytes a cell); rows are made from it one by one, and a
second reading costs no second parsing. Nothing in a sheet is passed over in silence: errors and formulas
without a stored result are faults of their rows, and hidden rows are read and said to be there.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.record import Locator, Row
from bulkops.sources.base import Table
from bulkops.sources.grid import Grid
from bulkops.sources.resultfile import may_be_empty
from bulkops.sources.sheethead import Head, read_head
from bulkops.sources.texts import cell_text
from bulkops.sources.workbook import load_sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcelSheet(Table):
    """A sheet in memory whose columns are known. A row's line is its number in the sheet."""

    grid: Grid = field(repr=False)
    places: tuple[int, ...]  # of the columns in a row of the grid
    first: int  # row after the header
    unread: frozenset[int]  # places in which nothing is odd

    def rows(self) -> Iterator[Row]:
        """Every row that holds something. The hot loop: most rows have nothing odd in them."""
        problems, places = self.grid.problems, self.places
        are_all = places == tuple(range(self.grid.width))
        for number, values in self.grid.rows(self.first):
            fault = ""
            try:
                texts = [value if type(value) is str else cell_text(value) for value in values]
                is_odd = number in problems
            except ValueError:
                is_odd = True
            if is_odd:
                texts, fault = self.grid.texts(number, values, self.unread)
            if fault or any(map(str.strip, texts)):
                cells = tuple(texts) if are_all else tuple([texts[place] for place in places])
                yield Row(cells=cells, line=number, fault=fault)


def open_excel(spec: FileSource, unread: Container[str]) -> ExcelSheet:
    """Loads the sheet that the job means, finds its header, and sees that there is a row.

    Errors in the columns `unread` are no faults. Without a header (`columns`) cells count from column A.
    Raises SourceError with what to do.
    """
    sheet = load_sheet(spec)
    display = str(Locator(file=spec.display, sheet=sheet.name))
    grid = Grid(sheet, at_least=len(spec.columns or ()))
    if spec.columns:
        head = _given(spec.columns, grid, display)
    else:
        head = read_head(grid, spec.header_row, display, can_set=not spec.is_override)
    made = ExcelSheet(
        file=spec.display,
        sheet=sheet.name,
        columns=head.columns,
        warnings=head.warnings,
        grid=grid,
        places=head.places,
        first=1 if spec.columns else spec.header_row + 1,
        unread=frozenset(
            place for name, place in zip(head.columns, head.places, strict=True) if name in unread
        ),
    )
    if next(made.rows(), None) is None and not may_be_empty(spec, made.columns):
        raise SourceError(f"{display}: holds no row{'' if spec.columns else ' after the header'}")
    return made


def _given(columns: tuple[str, ...], grid: Grid, display: str) -> Head:
    """The columns that the job names, which must be all that hold something."""
    for number, values in grid.rows():
        if not all(grid.is_blank(number, n, values[n]) for n in range(len(columns), grid.width)):
            raise SourceError(
                f"{display}:{number}: holds more cells than `columns` has names ({len(columns)}). Name every "
                "column from A on"
            )
    return Head(columns=columns, places=tuple(range(len(columns))), warnings=())
