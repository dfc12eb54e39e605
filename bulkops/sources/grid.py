"""The cells of a sheet by row and column, with what is odd about them in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bulkops.sources.sheetxml import Cell, cell_name
from bulkops.sources.texts import cell_text
from bulkops.sources.workbook import Sheet

Merge = tuple[Cell, Cell]
"""First and last cell."""

_UNCALCULATED = (
    "holds a formula without a stored result: open the file in a spreadsheet program, which calculates it, "
    "and save it"
)


class Grid:
    """Rows from row 1, each a list of values from column A, all of the same width."""

    def __init__(self, sheet: Sheet, *, at_least: int) -> None:
        self.hidden = sheet.oddities.hidden
        self.problems: dict[int, dict[int, str]] = {}  # row → place in the row → what is wrong with the cell
        self.errors = sheet.oddities.errors
        self._cells = sheet.cells
        for (row, column), text in sheet.oddities.errors.items():
            self.problems.setdefault(row, {})[column - 1] = f"holds the error {text or 'of a formula'}"
        for row, column in sheet.oddities.uncalculated:
            self.problems.setdefault(row, {})[column - 1] = _UNCALCULATED
        start, end = sheet.cells.start or (0, 0), sheet.cells.end or (-1, -1)
        odd = max((place for row in self.problems.values() for place in row), default=-1)
        self.height = max(end[0] + 1, max(self.problems, default=0))
        self.width = max(end[1] + 1, odd + 1, at_least)
        self._before, self._after = start[1], self.width - end[1] - 1

    def rows(self, first: int = 1) -> Iterator[tuple[int, list[Any]]]:
        """Numbers and values. The reader begins at row 1, but at the first column with something in it."""
        before, after = [""] * self._before, [""] * self._after
        number = 0
        for number, values in enumerate(self._cells.iter_rows(), start=1):
            if number >= first:
                yield number, [*before, *values, *after] if before or after else values
        for rest in range(max(number + 1, first), self.height + 1):
            yield rest, [""] * self.width

    def row(self, number: int) -> list[Any]:
        """One row; of blanks where the sheet has ended."""
        return next((values for n, values in self.rows(number) if n == number), [""] * self.width)

    def merges(self) -> list[Merge]:
        found = self._cells.merged_cell_ranges or []
        return [((top + 1, left + 1), (low + 1, right + 1)) for (top, left), (low, right) in found]

    def is_blank(self, number: int, place: int, value: Any) -> bool:
        """Whether nothing stands in a cell."""
        return (value == "" or (type(value) is str and not value.strip())) and place not in self.problems.get(
            number, ()
        )

    def texts(self, number: int, values: Sequence[Any], unread: frozenset[int]) -> tuple[list[str], str]:
        """The texts of a row that has something odd, and its fault; nothing is odd in `unread` places."""
        problems, texts, faults = self.problems.get(number, {}), [], []
        for place, value in enumerate(values):
            problem, text = problems.get(place, ""), self.errors.get((number, place + 1), "")
            if not problem:
                try:
                    text = cell_text(value)
                except ValueError as error:
                    problem = str(error)
            if problem and place not in unread:
                faults.append(f"cell {cell_name((number, place + 1))} {problem}")
            texts.append("" if problem and place in unread else text)
        more = f"; {len(faults) - 3} more cells are like that" if len(faults) > 3 else ""
        return texts, "; ".join(faults[:3]) + more
