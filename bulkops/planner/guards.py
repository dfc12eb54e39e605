"""Texts that begin like guarded cells, in a file that looks like an export of bulkops and does not say so.

A CSV export has a last column that says that its cells are guarded, and its job says it as well (`exported`).
Where neither does, as where a job of an older export meets a file without that column, nobody knows: nothing
is taken away, and what would be written is told.
"""

from __future__ import annotations

from bulkops.cells import unescape_cell
from bulkops.change import Action, Change
from bulkops.job.model import FileSource, FrameSource, Step, StepAction
from bulkops.planner.precheck import ReadyStep
from bulkops.wording import counted, shown

SHOWN = 3  # rows that are named


class Guards:
    """Looks at the changes of one step."""

    def __init__(self, ready: ReadyStep) -> None:
        self._step = ready.step.name
        self._is_watching = not ready.source.is_result and _may_be_export(ready.step)
        self._count = 0
        self._first: list[str] = []

    def add(self, change: Change) -> None:
        if not self._is_watching or change.action is not Action.UPDATE:
            return
        for name, diff in change.fields.items():
            if isinstance(diff.after, str) and unescape_cell(diff.after) != diff.after:
                self._count += 1
                if len(self._first) < SHOWN:
                    self._first.append(f"{change.place} {name} {shown(diff.after)}")

    def told(self) -> list[str]:
        """One sentence, where there is something to tell."""
        if not self._count:
            return []
        more = f"; and {self._count - len(self._first):,} more" if self._count > len(self._first) else ""
        return [
            f"{self._step}: {counted(self._count, 'text')} with a ' before a sign, to be written to the "
            f"letter: {'; '.join(self._first)}{more}. In a CSV file that bulkops exported such a ' only "
            "guards the cell. If this is one, write `exported: csv` into the job's source, or give the file "
            "a column bulkops_entity again, and the ' is taken away"
        ]


def _may_be_export(step: Step) -> bool:
    """Whether it updates by id what stands in columns of the fields' own names.

    A file given on the command line has a word of its own.
    """
    source = step.source
    if isinstance(source, FileSource):
        is_unsaid = source.exported is None and not source.is_override
    else:
        is_unsaid = isinstance(source, FrameSource)
    is_by_id = step.action is StepAction.UPDATE and [name.casefold() for name in step.match] == ["id"]
    return (
        is_unsaid
        and is_by_id
        and all(
            spec.column is not None and spec.column.casefold() == name.strip().casefold()
            for name, spec in step.specs().items()
        )
    )
