"""Takes back what the API does by itself along with changes: tasks that it completed with their project are
opened again, as far as the plan knows what they held. So are those that it completes along with the way back,
where that makes a project complete once more. Pure: reads the plan only.

They are rows of the way back of their own, after those of their projects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import TypeAlias

from bulkops.change import UNKNOWN, Action, Change, FieldDiff
from bulkops.plan import Fate, RowState
from bulkops.record import Row, Scalar, Tally
from bulkops.references import name_fields
from bulkops.reverse import reversal, with_lost
from bulkops.schema import Entity
from bulkops.targets.base import RecordData
from bulkops.wayback import Needs, OwnRows

Done: TypeAlias = tuple[int, Tally]
"""A row of the way back, and the records that the API changed, or will change, along with it."""


def done_along(rows: OwnRows) -> Iterator[Done]:
    """With the rows of a step of the plan: by the numbers of those that take them back."""
    for fate in rows:
        tally = fate.written.along if fate.state is RowState.APPLIED else None
        if tally is not None:
            yield rows.place(fate.change.n), tally


class Alongside:
    """The records of one entity that the API changed with rows of one step. Implements `wayback.Rows`."""

    def __init__(
        self,
        done: Callable[[], Iterable[Done]],
        shape: Entity,
        *,
        name: str,
        labels: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._done = done
        self._shape = shape
        self._name = name
        parent = [shape.parent.field] if shape.parent is not None else []
        self.columns = tuple(dict.fromkeys(["id", *name_fields(shape), *parent]))  # for people
        self._labels = labels
        self._before = 0

    def number(self, before: int, needs: Needs) -> None:
        self._before = before

    def __iter__(self) -> Iterator[Fate]:
        """`found` is what else they held, `waits_for` the row that takes back what they were changed with."""
        numbers = count(1)
        for with_row, tally in self._done():
            if tally.entity == self._shape.name:
                for id, held in sorted(tally.records.items(), reverse=True):
                    yield self._fate(next(numbers), with_row, tally, id, held)

    def _fate(self, n: int, with_row: int, tally: Tally, id: int, held: Mapping[str, Scalar]) -> Fate:
        change = Change(
            n=n,
            step=self._name,
            entity=tally.entity,
            action=Action.UPDATE,
            line=id,
            file=tally.entity,
            id=id,
            key={"id": id},
            fields={tally.field: FieldDiff(before=held.get(tally.field, UNKNOWN), after=tally.unless)},
            parent=0 if self._shape.parent is not None else None,
            waits_for=(with_row,),
        )
        found = {name: value for name, value in held.items() if name != tally.field}
        return Fate(change=change, row=Row(cells=()), state=RowState.APPLIED, id=id, reason=None, found=found)

    def place(self, n: int) -> int:
        return self._before + n

    def waits_for(self, fate: Fate, change: Change, needs: Needs) -> tuple[int, ...]:
        (with_row,) = fate.change.waits_for
        return () if needs.is_so(with_row) else (with_row,)

    def reversal(self, fate: Fate, shape: Entity, current: RecordData | None) -> Change:
        back = reversal(fate, shape, current, {}, self._labels)
        if current is None or back.action is Action.REJECTED:
            return back
        (by,) = fate.change.fields
        return with_lost(back, fate.change, shape, current, by=by, held=fate.found)

    def row(self, fate: Fate, current: RecordData | None) -> Row:
        values = {"id": fate.id, **(current or {})}
        cells = tuple("" if (value := values.get(name)) is None else str(value) for name in self.columns)
        return Row(cells=cells, line=fate.id)
