"""Which doubts about a row count: what is inactive may stay where it is, and is set nowhere. Only reads.

A row that would only create is judged by itself. Of others the record that the row meets is read, and only
of rows that have a doubt or a choice left open: planning reads all, this reads what can be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bulkops.change import diff
from bulkops.job.model import StepAction
from bulkops.planner.precheck import ReadyStep
from bulkops.record import Record, RowError, Scalar
from bulkops.references import find_by_key, key_of
from bulkops.targets.base import RecordData, Target


class Doubtful:
    """The doubts of one step's rows."""

    def __init__(self, target: Target, ready: ReadyStep) -> None:
        self._target = target
        self._ready = ready

    async def judge(self, rows: Sequence[tuple[Record, list[RowError]]]) -> None:
        """Adds to each row's errors the doubts that count. Raises what the target's reads raise."""
        open_ = [(record, errors) for record, errors in rows if record.doubts or record.choices]
        if self._ready.step.action is StepAction.CREATE:
            for record, errors in open_:
                errors.extend(record.doubts.values())
            return
        keyed = [(record, errors, key) for record, errors in open_ if (key := self._key(record))]
        if not keyed:
            return
        found = await find_by_key(
            self._target, self._ready.entity, self._ready.match, [key for _, _, key in keyed],
            fields=self._fields([record for record, _, _ in keyed]),
        )  # fmt: skip
        for record, errors, key in keyed:
            errors.extend(self._against(record, found.get(key_of(key), ())))

    def _key(self, record: Record) -> tuple[Scalar, ...] | None:
        """The row's key, where it is known."""
        if not self._ready.has_key:
            return None
        key = tuple(record.values.get(name) for name in self._ready.match)
        values = tuple(value for value in key if isinstance(value, str | int | float | bool))
        return values if len(values) == len(key) else None

    def _fields(self, records: Sequence[Record]) -> list[str]:
        names = [
            name for r in records for name in (*r.doubts, *r.choices, *(c.parent for c in r.choices.values()))
        ]
        shapes = [self._ready.entity.find(name) for name in dict.fromkeys(names)]
        return [shape.name for shape in shapes if shape and shape.is_queryable and not shape.is_path_only]

    def _against(self, record: Record, met: Sequence[RecordData]) -> list[RowError]:
        """What speaks against writing the row; nothing where it meets several, which is another matter."""
        if len(met) > 1 or (not met and self._ready.step.action is not StepAction.UPSERT):
            return []
        current = met[0] if met else {}
        picked = self._ready.mapper.chosen(record, current)
        if not isinstance(picked, Record):
            return list(picked)
        doubted = {name: value for name, value in picked.values.items() if name in picked.doubts}
        written = diff(replace(picked, values=doubted), current if met else None, self._ready.entity)
        return [error for name, error in picked.doubts.items() if name in written]
