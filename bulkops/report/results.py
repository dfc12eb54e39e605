"""The five result files of a plan: every row of every step in exactly one of them, fit to go back in.

Each holds the source's own columns in their order, then the `bulkops_` columns, which reading ignores.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from bulkops.accounting import check_counts, check_same
from bulkops.cells import RESULT_COLUMNS, STORED, SURPLUS, escape_cell, stored_texts, stored_to_json
from bulkops.errors import RefusedError
from bulkops.plan import Fate, Plan, PlanState, RowState, StepInfo
from bulkops.report.held import HeldRows
from bulkops.report.workbook import create_private, write_workbook


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of one step's files."""

    source: tuple[str, ...]
    is_uneven: bool  # a row has other than one cell a column: none may be lost, and none slip back in
    is_typed: bool  # a cell held a number or a date, which its text alone does not tell

    @property
    def header(self) -> list[str]:
        more = [SURPLUS] * self.is_uneven + [STORED] * self.is_typed
        return [*self.source, *RESULT_COLUMNS, *more]


def write_results(plan: Plan, folder: Path, *, as_workbook: bool = False) -> list[Path]:
    """Writes the result files of `plan` below `folder` and returns their paths.

    One step: the files stand in `folder`; several: in one folder (or workbook) a step. Mode 0600.
    RefusedError where they cannot be written, PlanError where the plan cannot be read. What is written is
    counted: AccountingError where it is not every row once.
    """
    counts, before = Counter[str](), plan.status()
    try:
        written = _write(plan, folder, counts, as_workbook=as_workbook)
    except OSError as error:
        place = error.filename or folder
        raise RefusedError(f"{place} cannot be written: {error.strerror}. Name another folder") from error
    check_counts(counts, plan.total, f"what was written of {plan.path}")
    if before.state is not PlanState.RUNNING and before == plan.status():  # nothing happened meanwhile
        check_same(counts, before.counts, str(plan.path))
    return written


def _write(plan: Plan, folder: Path, counts: Counter[str], *, as_workbook: bool) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    steps = plan.header.steps
    written: list[Path] = []
    fates, held = plan.fates(), HeldRows(plan)
    after = 0
    for step in steps:
        own = (_explained(held, fate) for fate in _of_step(fates, step, counts))
        columns = _columns(plan, step, after)
        after += step.rows
        if as_workbook:
            path = folder / f"{step.name if len(steps) > 1 else 'results'}.xlsx"
            write_workbook(path, columns.header, ((fate.state, _cells(columns, fate)) for fate in own))
            written.append(path)
        else:
            written += _write_csv(columns, own, folder / step.name if len(steps) > 1 else folder)
    return written


def _of_step(fates: Iterator[Fate], step: StepInfo, counts: Counter[str]) -> Iterator[Fate]:
    """The next `step.rows` rows, counted by their state: steps follow each other in a plan."""
    own = Counter[str]()
    for fate in islice(fates, step.rows):
        own[fate.state] += 1
        yield fate
    check_counts(own, step.rows, f"what was written of step {step.name}")
    counts.update(own)


def _explained(held: HeldRows, fate: Fate) -> Fate:
    """A held row says all that a person needs to settle it."""
    return held.explained(fate) if fate.state is RowState.HELD else fate


def _write_csv(columns: Columns, fates: Iterator[Fate], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {state: folder / f"{state}.csv" for state in RowState}
    with ExitStack() as stack:
        writers = {}
        for state, path in paths.items():
            writers[state] = csv.writer(stack.enter_context(_create(path)))
            writers[state].writerow([escape_cell(name) for name in columns.header])
        for fate in fates:
            writers[fate.state].writerow([escape_cell(cell) for cell in _cells(columns, fate)])
    return list(paths.values())


def _create(path: Path) -> TextIO:
    """A new file with a byte order mark; a spreadsheet takes its text for another encoding otherwise."""
    return os.fdopen(create_private(path), "w", encoding="utf-8-sig", newline="")


def _columns(plan: Plan, step: StepInfo, after: int) -> Columns:
    width = len(step.columns)
    is_uneven = is_typed = False
    for row in islice(plan.rows(after), step.rows):
        is_uneven = is_uneven or len(row.cells) != width
        is_typed = is_typed or bool(stored_texts(step.columns, row.cells))
        if is_uneven and is_typed:
            break
    return Columns(source=step.columns, is_uneven=is_uneven, is_typed=is_typed)


def _cells(columns: Columns, fate: Fate) -> list[str]:
    change, cells = fate.change, fate.row.cells
    width = len(columns.source)
    padded = [*cells[:width], *("" for _ in range(width - len(cells)))]
    return [
        *padded,
        str(change.n),
        "" if change.line is None else str(change.line),
        change.step,
        change.entity,
        change.action.value,
        "" if fate.id is None else str(fate.id),
        fate.reason or "",
        *([_unevenness(cells, width)] if columns.is_uneven else []),
        *([stored_to_json(stored_texts(columns.source, cells))] if columns.is_typed else []),
    ]


def _unevenness(cells: tuple[str, ...], width: int) -> str:
    """What does not fit the columns: reading refuses the row until somebody has emptied this."""
    if len(cells) < width:
        return f"missing: {width - len(cells)} of {width} cells"
    return json.dumps(cells[width:], ensure_ascii=False) if len(cells) > width else ""
