"""A pandas.DataFrame as a source: cells as text in their shortest form, in blocks, nothing invented.

Missing values of every kind are empty cells (a frame does not tell which of them its records never had);
texts such as NA and null stay texts. A column of whole numbers that pandas made floats because one is
missing gives whole numbers again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bulkops.errors import SourceError
from bulkops.job.model import FrameSource
from bulkops.record import Row
from bulkops.sources.base import Table
from bulkops.sources.texts import rows_of

if TYPE_CHECKING:
    from pandas import DataFrame, Series

BLOCK = 5000  # rows


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTable(Table):
    """The frame itself, not a copy: it must not change before the plan is made."""

    frame: DataFrame = field(repr=False)

    def rows(self) -> Iterator[Row]:
        """A row's line is its place in the frame, from 1."""
        for start in range(0, len(self.frame), BLOCK):
            block = self.frame.iloc[start : start + BLOCK]
            values = [_values(block.iloc[:, n]) for n in range(len(self.columns))]
            yield from rows_of(values, self.columns, start + 1)


def open_frame(spec: FrameSource) -> FrameTable:
    """Raises SourceError: no frame, no row, headers of several levels."""
    from pandas import DataFrame

    frame, name = spec.frame, spec.display
    if not isinstance(frame, DataFrame):
        raise SourceError(f"{name}: is a {type(frame).__name__}, not a pandas.DataFrame")
    if frame.columns.nlevels > 1:
        raise SourceError(f"{name}: its columns have {frame.columns.nlevels} levels. Give each one name")
    if frame.empty:
        raise SourceError(f"{name}: holds no row")
    columns = tuple(str(label).strip() or f"column {n}" for n, label in enumerate(frame.columns, start=1))
    return FrameTable(file=name, columns=columns, frame=frame)


def _values(column: Series[Any]) -> list[Any]:
    """A column's cells as Python values, None where there is none."""
    import numpy as np

    missing = column.isna()
    if column.dtype == np.float32:
        values: list[Any] = [float(str(value)) for value in column.to_numpy()]
    else:
        values = [value.item() if isinstance(value, np.generic) else value for value in column.astype(object)]
    return [None if absent else value for value, absent in zip(values, missing, strict=True)]
