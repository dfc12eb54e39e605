"""What becomes of the changes of one step when Autotask's own rules were asked about them.

What the API would refuse is rejected here, with the column and the text it comes from. What it may refuse,
or does besides, is told: once for all rows that share it, and beside the row where it is about that row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bulkops.change import Change
from bulkops.planner.collision import reasons, unsent
from bulkops.planner.draft import Draft
from bulkops.planner.judging import Judging, clearing, is_rejected
from bulkops.planner.notices import Notices
from bulkops.planner.precheck import ReadyStep
from bulkops.record import Premise, Row, RowError
from bulkops.targets.autotask.rules import Finding, Kind
from bulkops.targets.base import RecordData


class Verdicts:
    """Of one step."""

    def __init__(self, ready: ReadyStep, judging: Judging, notices: Notices) -> None:
        self._ready = ready
        self._judging = judging
        self._notices = notices
        self._specs = {name.casefold(): spec for name, spec in ready.step.specs().items()}
        found = [name for name, spec in self._specs.items() if spec.lookup or spec.from_]
        shapes = [ready.entity.find(name) for name in found]
        self._looked_up = frozenset(shape.name for shape in shapes if shape is not None)

    async def passed(self, drafts: Sequence[Draft], changes: Sequence[Change]) -> list[Change]:
        """The changes, in the same order. Raises what the target's reads raise."""
        met = [
            (change, draft.found[0] if draft.found else None, draft.record.values if draft.record else ())
            for draft, change in zip(drafts, changes, strict=True)
            if change.action.is_write
        ]
        found = await self._judging.judged(self._ready.entity, met, looked_up=self._looked_up)
        return [
            self._passed(draft, change, found[change.n]) if change.n in found else change
            for draft, change in zip(drafts, changes, strict=True)
        ]

    def _passed(self, draft: Draft, change: Change, findings: Sequence[Finding]) -> Change:
        if is_rejected(findings):
            return self._rejected(draft.row, change, findings)
        before = draft.found[0] if draft.found else None
        change = resting(clearing(change, findings, before), findings, before)
        self._notices.say(change, findings, before)
        return noted(change, findings)

    def _rejected(self, row: Row, change: Change, findings: Sequence[Finding]) -> Change:
        return unsent(change, reasons([self._error(row, finding) for finding in findings]))

    def _error(self, row: Row, finding: Finding) -> RowError:
        """With the column that the field comes from, and its text."""
        spec = self._specs.get(finding.about.casefold())
        columns = spec.source_columns if spec is not None else ()
        known = self._ready.source.columns
        cells = [row.cells[known.index(name)] for name in columns if name in known]
        return RowError(
            message=finding.text,
            column=", ".join(columns),
            value=" / ".join(cells) if cells else None,
            field=finding.about,
        )


def resting(change: Change, findings: Sequence[Finding], before: RecordData | None) -> Change:
    """The change with what the API changes besides: records that belong to its own, and fields of that. They
    are read again just before, and undo restores them.
    """
    tally = next((finding.tally for finding in findings if finding.tally is not None), None)
    names = [name for finding in findings for name in finding.loses]
    if change.id is None or not (tally or names):
        return change
    premise = change.premise or Premise(entity=change.entity, id=change.id, values={})
    if (premise.entity, premise.id) != (change.entity, change.id):
        return change
    loses = {name: (before or {}).get(name) for name in names}
    lost_by = next((finding.about for finding in findings if finding.loses), "")
    tally = premise.tally or tally
    return replace(change, premise=replace(premise, tally=tally, loses=loses, lost_by=lost_by))


def noted(change: Change, findings: Sequence[Finding]) -> Change:
    """The change with what is to be told beside its row."""
    notes = tuple(note for finding in findings if (note := _note(finding)))
    return replace(change, notes=(*change.notes, *notes)) if notes else change


def _note(finding: Finding) -> str:
    """What is to be told beside the row: a doubt always, an effect where it is another one for each row."""
    if finding.kind is not Kind.DOUBT:
        return finding.detail
    more = f": {finding.detail}" if finding.detail else ""
    return f"may be refused: {finding.text}{more}"
