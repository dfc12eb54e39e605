"""One workbook with a sheet for each state of a row. Every cell is text: nothing is run, nothing retyped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bulkops.cells import escape_cell
from bulkops.errors import RefusedError
from bulkops.plan import RowState

# What a sheet can hold: https://support.microsoft.com/office, "Excel specifications and limits".
MOST_ROWS = 1_048_576  # the header included
MOST_CHARACTERS = 32_767

# XML has no control characters and no lone carriage return. Spreadsheets write _x0007_ for them, and
# _x005F_x0007_ for a text that looks like that.
_UNSPEAKABLE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def write_workbook(path: Path, header: Sequence[str], rows: Iterable[tuple[RowState, Sequence[str]]]) -> None:
    """Writes each row to the sheet of its state, in constant memory. RefusedError where Excel has no room."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheets: dict[RowState, Any] = {state: book.create_sheet(state) for state in RowState}
    lengths = dict.fromkeys(RowState, 0)

    def append(state: RowState, texts: Sequence[str]) -> None:
        lengths[state] += 1
        if lengths[state] > MOST_ROWS:
            raise RefusedError(
                f"{path}: a sheet holds {MOST_ROWS:,} rows and {state} has more: use csv files"
            )
        cells = []
        for text in texts:
            cell = WriteOnlyCell(sheets[state], value=_speakable(text, path))
            cell.data_type = "s"
            cells.append(cell)
        sheets[state].append(cells)

    try:
        for state in RowState:
            append(state, header)
        for state, texts in rows:
            append(state, texts)
    except BaseException:
        for sheet in sheets.values():
            sheet.close()  # its temporary file
        raise
    os.close(create_private(path))  # the book is saved into a file that only its owner can read
    book.save(path)


def create_private(path: Path) -> int:
    """A descriptor of a new file for its owner only: it holds customer data."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def speakable(text: str) -> str:
    """The text as a sheet holds it, where some signs cannot stand."""
    return _UNSPEAKABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def _speakable(text: str, path: Path) -> str:
    safe = speakable(escape_cell(text))
    if len(safe) > MOST_CHARACTERS:
        raise RefusedError(
            f"{path}: a cell holds {MOST_CHARACTERS:,} characters and one of the file has {len(text):,}: "
            "use csv files"
        )
    return safe
