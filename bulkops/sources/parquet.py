"""Parquet files, read batch by batch in constant memory; every cell as text in its shortest form.

pyarrow reads them without pandas, which would make floats of whole numbers where one is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.record import Row
from bulkops.sources.base import Table
from bulkops.sources.files import must_be_file, read_head, unreadable
from bulkops.sources.resultfile import may_be_empty
from bulkops.sources.texts import rows_of

BATCH = 5000  # rows


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFile(Table):
    """A Parquet file whose columns are known. A row's line is its number in the file, from 1."""

    path: Path

    def rows(self) -> Iterator[Row]:
        first = 1
        with _opened(self.path, self.file) as file:
            for batch in file.iter_batches(BATCH):
                yield from rows_of(list(map(_values, batch.columns)), self.columns, first)
                first += batch.num_rows


def open_parquet(spec: FileSource) -> ParquetFile:
    """Reads the schema and sees that there is a row. Raises SourceError."""
    must_be_file(spec.file, spec.display)
    if read_head(spec.file, spec.display, 4) != b"PAR1":
        raise SourceError(f"{spec.display}: is no Parquet file. Save the table as Parquet or as CSV in UTF-8")
    with _opened(spec.file, spec.display) as file:
        names, count = file.schema_arrow.names, file.metadata.num_rows
    if not names or not (count or may_be_empty(spec, names)):
        raise SourceError(f"{spec.display}: holds no row")
    columns = tuple(name.strip() or f"column {n}" for n, name in enumerate(names, start=1))
    return ParquetFile(file=spec.display, columns=columns, path=spec.file)


@contextmanager
def _opened(path: Path, display: str) -> Iterator[Any]:
    """The file, with what its reader raises as SourceError."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile as Reader

    try:
        with path.open("rb") as binary, Reader(binary) as file:
            yield file
    except (ArrowException, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not the reader's
            raise unreadable(display, error) from error
        raise SourceError(
            f"{display}: is damaged or cut off, and cannot be read as Parquet. Save it again"
        ) from error


def _values(column: Any) -> list[Any]:
    """A column's cells as Python values; numbers of 32 bits with no more digits than they have."""
    from pyarrow import string, types

    if types.is_float32(column.type):
        return [None if text is None else float(text) for text in column.cast(string()).to_pylist()]
    values: list[Any] = column.to_pylist()
    return values
