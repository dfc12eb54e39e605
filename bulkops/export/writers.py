"""The files that records are exported to, one class a kind; rows are written as they come.

CSV: UTF-8 with its mark for spreadsheets; a text that a spreadsheet would run is guarded as in result files,
and a last column says that, so that reading takes the guard away again. A workbook's cells are numbers, flags
and texts that nothing runs. JSON Lines and Parquet are to the letter.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Protocol

from bulkops.cells import GUARDED, escape_cell
from bulkops.errors import RefusedError
from bulkops.export.columns import Column, Kind
from bulkops.readback import scalar_text
from bulkops.record import Scalar
from bulkops.report.workbook import MOST_CHARACTERS, MOST_ROWS, speakable

MARK = "bulkops_entity"  # the column by which reading knows the guards
GROUP = 5000  # rows of a Parquet file that are written at once
_EXACT = 2**53  # beyond it a sheet's numbers lose digits
_SHEET_NAME = 31  # characters

Cells = Sequence[Scalar]


class Writer(Protocol):
    """Rows to a file, as many as one likes in flat memory."""

    def write(self, rows: Sequence[Cells]) -> None:
        """RefusedError where the file cannot hold them."""
        ...

    def finish(self) -> None:
        """What makes the file whole."""
        ...

    def abandon(self) -> None:
        """Nothing more comes: what is open beside the file is closed."""
        ...


class CsvWriter:
    def __init__(self, file: IO[bytes], columns: Sequence[Column], entity: str) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        self._csv = csv.writer(self._text)
        self._entity = entity
        self._csv.writerow([*(escape_cell(column.header) for column in columns), MARK])

    def write(self, rows: Sequence[Cells]) -> None:
        entity = self._entity
        self._csv.writerows([*map(_guarded, cells), entity] for cells in rows)

    def finish(self) -> None:
        self._text.flush()
        self._text.detach()

    def abandon(self) -> None:
        self._text.detach()


def _guarded(value: Scalar) -> str:
    if value is None:
        return ""
    return escape_cell(value) if isinstance(value, str) else scalar_text(value)


class JsonLinesWriter:
    def __init__(self, file: IO[bytes], columns: Sequence[Column], entity: str) -> None:
        self._file = file
        self._headers = [column.header for column in columns]

    def write(self, rows: Sequence[Cells]) -> None:
        import orjson

        headers = self._headers
        for cells in rows:
            line = orjson.dumps(dict(zip(headers, cells, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
            self._file.write(line)

    def finish(self) -> None:
        pass

    def abandon(self) -> None:
        pass


class WorkbookWriter:
    """One sheet. Rows go to a temporary file of the library's, so that memory stays flat."""

    def __init__(self, file: IO[bytes], columns: Sequence[Column], entity: str) -> None:
        from openpyxl import Workbook

        self._file = file
        self._entity = entity
        self._book = Workbook(write_only=True)
        self._sheet: Any = self._book.create_sheet(entity[:_SHEET_NAME])
        self._sheet.freeze_panes = "B2"
        self._rows = 0
        self.write([[column.header for column in columns]])

    def write(self, rows: Sequence[Cells]) -> None:
        self._rows += len(rows)
        if self._rows > MOST_ROWS:
            raise RefusedError(
                f"a sheet holds {MOST_ROWS:,} rows, and there are more {self._entity} records: "
                "export them as .csv"
            )
        for cells in rows:
            self._sheet.append([self._cell(value) for value in cells])

    def _cell(self, value: Scalar) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if not isinstance(value, str) and -_EXACT < value < _EXACT:
            return value
        text = speakable(scalar_text(value))
        if len(text) > MOST_CHARACTERS:
            raise RefusedError(
                f"a cell of a sheet holds {MOST_CHARACTERS:,} characters, and a text of {self._entity} has "
                f"{len(text):,}: export them as .csv"
            )
        return self._as_text(text) if text.startswith((*GUARDED, "#")) else text

    def _as_text(self, text: str) -> Any:
        """What the library would take for a formula or an error stays a text, also where it is edited."""
        from openpyxl.cell import WriteOnlyCell

        cell = WriteOnlyCell(self._sheet, value=text)
        cell.data_type = "s"
        cell.quotePrefix = True
        return cell

    def finish(self) -> None:
        self._book.save(self._file)

    def abandon(self) -> None:
        self._sheet.close()  # its temporary file


class ParquetWriter:
    """Groups of rows; dates are texts, as in the other files."""

    def __init__(self, file: IO[bytes], columns: Sequence[Column], entity: str) -> None:
        import pyarrow
        from pyarrow.parquet import ParquetWriter as Library

        types = {
            Kind.WHOLE: pyarrow.int64(),
            Kind.FRACTION: pyarrow.float64(),
            Kind.FLAG: pyarrow.bool_(),
            Kind.TEXT: pyarrow.string(),
        }
        self._columns = columns
        self._entity = entity
        self._schema = pyarrow.schema([(column.header, types[column.kind]) for column in columns])
        self._library = Library(file, self._schema)
        self._waiting: list[Cells] = []

    def write(self, rows: Sequence[Cells]) -> None:
        self._waiting += rows
        if len(self._waiting) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        arrays = []
        for n, (column, field) in enumerate(zip(self._columns, self._schema, strict=True)):
            values = [_typed(column.kind, cells[n]) for cells in self._waiting]
            try:
                arrays.append(pyarrow.array(values, type=field.type))
            except (pyarrow.ArrowException, TypeError, ValueError) as error:
                raise RefusedError(
                    f"{self._entity}.{column.header} holds what is no {field.type}: export it as .jsonl"
                ) from error
        self._library.write_batch(pyarrow.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._waiting = []

    def finish(self) -> None:
        if self._waiting:
            self._flush()
        self._library.close()

    def abandon(self) -> None:
        self._library.close()


def _typed(kind: Kind, value: Scalar) -> Scalar:
    """A value of a text column as text, of a column of whole numbers as one: some flags are 1 and 0."""
    if value is None:
        return None
    if kind is Kind.TEXT:
        return scalar_text(value)
    is_whole = isinstance(value, bool | float) and value == int(value)
    return int(value) if kind is Kind.WHOLE and is_whole else value


WRITERS: Mapping[str, Callable[[IO[bytes], Sequence[Column], str], Writer]] = {
    ".csv": CsvWriter,
    ".xlsx": WorkbookWriter,
    ".jsonl": JsonLinesWriter,
    ".parquet": ParquetWriter,
}
