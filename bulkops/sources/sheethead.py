"""The header of a sheet: which columns there are, or a sentence where that cannot be told for sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bulkops.errors import SourceError
from bulkops.sources.grid import Grid, Merge
from bulkops.sources.sheetxml import cell_name
from bulkops.wording import counted

_LOOK_AHEAD = 50  # rows below the one that was named, in which a better one is looked for
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    columns: tuple[str, ...]
    places: tuple[int, ...]  # of the columns in a row of the grid
    warnings: tuple[str, ...]


def read_head(grid: Grid, header_row: int, display: str, *, can_set: bool = True) -> Head:
    """The columns that have a name or hold something. Raises SourceError: blank, merged or no header.

    `can_set`: whether the job can say of this file in which row its header stands.
    """
    names = _names(grid, header_row, display, can_set)
    filled, hidden = _survey(grid, header_row, {place for place, name in enumerate(names) if not name})
    places = tuple(place for place, name in enumerate(names) if name or place in filled)
    better = _better_row(grid, header_row, sum(map(bool, names)), can_set)
    advice = better or f"Unmerge them and give each column its own name, or {_having_them(can_set)}"
    _must_be_single(grid.merges(), header_row, places, advice, display)
    if better:
        named = counted(sum(map(bool, names)), "name")
        raise SourceError(f"{display}:{header_row}: has {named} for {len(places)} columns. {better}")
    warnings = (_hidden_warning(hidden, display), _merge_warning(grid.merges(), header_row, places, display))
    columns = tuple(names[place] or f"column {place + 1}" for place in places)
    return Head(columns=columns, places=places, warnings=tuple(filter(None, warnings)))


def _begin_at(row: int, can_set: bool) -> str:
    return f"set `header_row: {row}`" if can_set else "delete the rows above it"


def _having_them(can_set: bool) -> str:
    return (
        "set `header_row` to a row that has them"
        if can_set
        else "delete the rows above the one that has them"
    )


def _names(grid: Grid, header_row: int, display: str, can_set: bool) -> list[str]:
    values = grid.row(header_row)
    texts, fault = grid.texts(header_row, values, frozenset())
    if fault:
        raise SourceError(f"{display}:{header_row}: the header cannot be read: {fault}")
    names = [text.strip() for text in texts]
    if any(names):
        return names
    found = next((n for n, row in grid.rows(header_row) if any(str(value).strip() for value in row)), None)
    where = f"The next row with text is {found}: {_begin_at(found, can_set)} if that is it" if found else (
        f"The sheet ends with row {grid.height}"
    )  # fmt: skip
    raise SourceError(f"{display}:{header_row}: the header is expected here, and the row is empty. {where}")


def _survey(grid: Grid, header_row: int, unnamed: set[int]) -> tuple[set[int], list[int]]:
    """Which unnamed columns hold something, and which rows that do are hidden."""
    filled: set[int] = set()
    hidden: list[int] = []
    if not unnamed and not grid.hidden:
        return filled, hidden
    for number, values in grid.rows(header_row + 1):
        blank = [grid.is_blank(number, place, value) for place, value in enumerate(values)]
        filled |= {place for place in unnamed - filled if not blank[place]}
        if number in grid.hidden and not all(blank):
            hidden.append(number)
    return filled, hidden


def _better_row(grid: Grid, header_row: int, named: int, can_set: bool) -> str:
    """A row below that looks far more like a header: only different texts, and more than twice as many."""
    for number, values in islice(grid.rows(header_row + 1), _LOOK_AHEAD):
        texts = _different_texts(values)
        if len(texts) > 2 * named:
            some = ", ".join(texts[:_SHOWN]) + (", …" if len(texts) > _SHOWN else "")
            return f"Row {number} ({some}) looks like the header: {_begin_at(number, can_set)} if it is"
    return ""


def _different_texts(values: Sequence[Any]) -> list[str]:
    """The texts of a row; none where it holds anything else, or one of them twice."""
    given = [value for value in values if value != ""]
    texts = [value.strip() for value in given if type(value) is str]
    return texts if len(texts) == len(given) == len(set(texts)) and all(texts) else []


def _must_be_single(
    merges: Sequence[Merge], header_row: int, places: Sequence[int], advice: str, display: str
) -> None:
    """A name over several columns, or over several rows, does not say whose it is."""
    wrong = [
        f"{cell_name(first)}:{cell_name(last)}"
        for first, last in merges
        if first[0] <= header_row <= last[0] and _is_unclear(first, last, places)
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        what = f"the header has merged cells: {', '.join(wrong[:_SHOWN])}{more}"
        raise SourceError(f"{display}:{header_row}: {what}. {advice}")


def _is_unclear(first: tuple[int, int], last: tuple[int, int], places: Sequence[int]) -> bool:
    covered = sum(first[1] <= place + 1 <= last[1] for place in places)
    return covered > 1 or (covered == 1 and first[0] != last[0])


def _merge_warning(merges: Sequence[Merge], header_row: int, places: Sequence[int], display: str) -> str:
    below = [
        f"{cell_name(first)}:{cell_name(last)}"
        for first, last in merges
        if first[0] > header_row and any(first[1] <= place + 1 <= last[1] for place in places)
    ]
    if not below:
        return ""
    return (
        f"{display}: cells are merged in its rows ({_some(below)}); the first cell of each holds the text, "
        "the others count as empty"
    )


def _hidden_warning(hidden: Sequence[int], display: str) -> str:
    if not hidden:
        return ""
    is_one = len(hidden) == 1
    what = (
        "1 hidden row is read like the others: row"
        if is_one
        else f"{len(hidden):,} hidden rows are read like the others: rows"
    )
    return f"{display}: {what} {_some(list(map(str, hidden)))}"


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - 2 * _SHOWN:,} more" if len(items) > 2 * _SHOWN else ""
    return ", ".join(items[: 2 * _SHOWN]) + more
