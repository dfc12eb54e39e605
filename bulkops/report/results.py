"""The five result files of a plan: every row of every step in exactly one of them, fit to go back in.

Each holds the source's own columns in their order, then the `bulkops_` columns, which reading ignores.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from bulkops.cells import RESULT_COLUMNS, escape_cell
from bulkops.plan import Fate, Plan, RowState, StepInfo

SURPLUS = "bulkops_surplus"  # cells of a row that has more than the header, as a JSON list


def write_results(plan: Plan, folder: Path, *, as_workbook: bool = False) -> list[Path]:
    """Writes the result files of `plan` below `folder` and returns their paths.

    One step: the files stand in `folder`; several: in one folder (or workbook) a step. Mode 0600.
    """
    folder.mkdir(parents=True, exist_ok=True)
    steps = plan.header.steps
    written: list[Path] = []
    fates = plan.fates()
    for step in steps:
        own = _of_step(fates, step)
        if as_workbook:
            path = folder / f"{step.name if len(steps) > 1 else 'results'}.xlsx"
            _write_workbook(step, own, path)
            written.append(path)
        else:
            written += _write_csv(step, own, folder / step.name if len(steps) > 1 else folder)
    return written


def _of_step(fates: Iterator[Fate], step: StepInfo) -> Iterator[Fate]:
    """The next `step.rows` rows: steps follow each other in a plan."""
    for _ in range(step.rows):
        yield next(fates)


def _write_csv(step: StepInfo, fates: Iterator[Fate], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {state: folder / f"{state}.csv" for state in RowState}
    with ExitStack() as stack:
        writers = {}
        for state, path in paths.items():
            writers[state] = csv.writer(stack.enter_context(_create(path)))
            writers[state].writerow(_header(step))
        for fate in fates:
            writers[fate.state].writerow([escape_cell(cell) for cell in _cells(step, fate)])
    return list(paths.values())


def _write_workbook(step: StepInfo, fates: Iterator[Fate], path: Path) -> None:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheets = {state: book.create_sheet(state) for state in RowState}
    for sheet in sheets.values():
        sheet.append(_header(step))
    for fate in fates:
        sheet = sheets[fate.state]
        cells = []
        for text in _cells(step, fate):
            cell = WriteOnlyCell(sheet, value=escape_cell(text))
            cell.data_type = "s"  # text stays text: no formula, no number, no date
            cells.append(cell)
        sheet.append(cells)
    with _create(path) as handle:
        handle.close()
    book.save(path)


def _create(path: Path) -> TextIO:
    """A new file with a byte order mark that only its owner can read: it holds customer data."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")


def _header(step: StepInfo) -> list[str]:
    return [*step.columns, *RESULT_COLUMNS, SURPLUS]


def _cells(step: StepInfo, fate: Fate) -> list[str]:
    change, cells = fate.change, fate.row.cells
    width = len(step.columns)
    padded = [*cells[:width], *("" for _ in range(width - len(cells)))]
    surplus = json.dumps(cells[width:], ensure_ascii=False) if len(cells) > width else ""
    return [
        *padded,
        str(change.n),
        "" if change.line is None else str(change.line),
        change.step,
        change.entity,
        change.action.value,
        "" if fate.id is None else str(fate.id),
        fate.reason or "",
        surplus,
    ]
