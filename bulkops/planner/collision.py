"""What becomes of one row: the collision rules. Pure: no I/O, no clock.

A row that would create meets nothing, a row that would update or delete meets exactly one record; a row
that meets anything else is rejected with the ids it met. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bulkops.change import Action, Change, FieldDiff, Unknown, before_value, canonical, diff
from bulkops.job.model import StepAction
from bulkops.mapping import Mapper
from bulkops.marker import mark
from bulkops.record import IMPERSONATE, Created, Record, RowError, Value
from bulkops.references import candidates, name_fields, record_id
from bulkops.schema import Entity
from bulkops.targets.base import RecordData

SHOWN = 60  # characters of a value in a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one step. `match` holds the entity's own spelling of the key's fields."""

    action: StepAction
    entity: Entity
    match: tuple[str, ...]
    mapper: Mapper | None = None  # makes the choices that a record left open
    before: int = 0  # the number of the last row of the steps before
    marker: str = ""  # the field that gets bulkops' own mark, in the entity's spelling
    nonce: str = ""  # what is in the marks of this plan and of no other

    def key(self, record: Record) -> dict[str, Value]:
        """The match fields and their values; empty where the step has no match."""
        return {name: record.values.get(name) for name in self.match}

    def empty_part(self, key: Mapping[str, Value]) -> str | None:
        """The first match field that holds nothing."""
        return next((n for n, value in key.items() if canonical(self.entity.find(n), value) is None), None)

    def decide(
        self, row: Change, record: Record, found: Sequence[RecordData], *, needs: Iterable[int] = ()
    ) -> Change:
        """The row's fate. `row` is the change so far (number, place, key), `found` what has its key.

        `needs`: rows that are written before this one.
        """
        name = self.entity.name
        if len(found) > 1:
            shown = candidates(self.entity, found)
            return rejected(row, f"{len(found)} {name} records have {key_text(row.key)}: {shown}")
        if not found:
            if self.action in (StepAction.UPDATE, StepAction.DELETE):
                return rejected(row, f"no {name} record has {key_text(row.key)}")
            return self._create(row, record, needs)
        current = found[0]
        if self.action is StepAction.CREATE:
            row = replace(row, id=record_id(current))
            return rejected(row, f"{name} {row.id} has {key_text(row.key)} already")
        if self.action is StepAction.DELETE:
            return self._delete(row, record, current, needs)
        return self._update(row, record, current, needs)

    def _create(self, row: Change, record: Record, needs: Iterable[int]) -> Change:
        picked = self._chosen(record, {})
        if isinstance(picked, tuple):
            return rejected(row, reasons(picked))
        record = picked
        if record.values.get("id") is not None:
            return rejected(
                row, f"no {self.entity.name} record has {key_text(row.key)}, and the API chooses ids itself"
            )
        fields = diff(record, None, self.entity)
        missing = [
            name
            for name in self.entity.required
            if name not in fields and name != self.marker and _is_empty(self.entity, record, name)
        ]
        if missing:
            return rejected(row, f"{' and '.join(missing)} must hold a value to create a record")
        if not fields:
            return rejected(row, "the row holds no value to create a record from")
        if told := _in_the_way(record, [*fields, IMPERSONATE]):
            return rejected(row, told)
        if self.marker:
            fields[self.marker] = FieldDiff(before=None, after=mark(self.nonce, row.n))
        return self._written(row, record, Action.CREATE, fields, record.values, needs=needs)

    def _update(self, row: Change, record: Record, current: RecordData, needs: Iterable[int]) -> Change:
        row = replace(row, id=record_id(current))
        picked = self._chosen(record, current)
        if isinstance(picked, tuple):
            return rejected(row, reasons(picked))
        record = picked
        fields = diff(record, current, self.entity)
        frozen = [name for name in fields if self._is_frozen(name)]
        for name in frozen:
            change = fields.pop(name)
            if name not in self.match:  # a key that found its record says nothing by its case
                now, wanted = value_text(change.before), value_text(change.after)
                return rejected(row, f"{name} cannot be changed: it is {now}, the row says {wanted}")
        if not fields:
            return replace(row, action=Action.UNCHANGED)
        if told := _in_the_way(record, fields):
            return rejected(row, told)
        return self._written(row, record, Action.UPDATE, fields, {**record.values, **current}, needs=needs)

    def _chosen(self, record: Record, current: RecordData) -> Record | tuple[RowError, ...]:
        return self.mapper.chosen(record, current) if self.mapper and record.choices else record

    def _delete(self, row: Change, record: Record, current: RecordData, needs: Iterable[int]) -> Change:
        """Keeps all of the record that can be read, what the job names and the record's name first."""
        row = replace(row, id=record_id(current))
        fields = {
            name: FieldDiff(before=before_value(self.entity.find(name), current[name]), after=None)
            for name in dict.fromkeys([*record.values, *name_fields(self.entity), *current])
            if name != "id" and current.get(name) is not None
        }
        return self._written(row, record, Action.DELETE, fields, {**record.values, **current}, needs=needs)

    def _is_frozen(self, name: str) -> bool:
        field = self.entity.find(name)
        is_fixed = "update" not in self.entity.can
        return field is not None and (is_fixed or field.is_read_only or field.is_fixed)

    def _written(
        self,
        row: Change,
        record: Record,
        action: Action,
        fields: Mapping[str, FieldDiff],
        values: Mapping[str, Value],
        *,
        needs: Iterable[int],
    ) -> Change:
        """The change as it is sent; `values` tell the parent through which a child is reached."""
        route, parent = self.entity.can.get(action.value, ""), None
        if self.entity.parent is not None and "child" in route:
            held = values.get(self.entity.parent.field)
            parent = held if isinstance(held, int | Created) else None
            if parent is None and route == "child":
                name, above = self.entity.parent.field, self.entity.parent.entity
                return rejected(
                    row, f"{name} is empty, and {self.entity.name} are reached through their {above} record"
                )
        sent = [parent, *(change.after for change in fields.values())]
        waits_for = {*needs, *(value.change for value in sent if isinstance(value, Created))}
        is_create = action is Action.CREATE
        # The header says who creates; on an update it does nothing at best (_EntitiesOverview.htm).
        by = record.impersonate if is_create and isinstance(record.impersonate, int) else None
        return replace(
            row,
            action=action,
            fields=fields,
            parent=parent,
            impersonate=by,
            marker=self.marker if is_create else "",
            waits_for=tuple(sorted(waits_for)),
            barrier=0 if is_create else self.before,
        )


def _in_the_way(record: Record, written: Iterable[str]) -> str:
    """What speaks against writing these fields: what is inactive may stay where it is, and is set nowhere."""
    return reasons([record.doubts[name] for name in written if name in record.doubts])


def _is_empty(entity: Entity, record: Record, name: str) -> bool:
    return canonical(entity.find(name), record.values.get(name)) is None


def rejected(row: Change, reason: str) -> Change:
    """The row as rejected: nothing of it is sent."""
    return replace(row, action=Action.REJECTED, reason=reason)


def unsent(change: Change, reason: str) -> Change:
    """A change that was decided, as rejected after all: nothing of it is left but where it comes from."""
    row = replace(change, fields={}, parent=None, impersonate=None, marker="", waits_for=(), barrier=0)
    return rejected(replace(row, notes=(), cleared=(), premise=None), reason)


def reasons(errors: Sequence[RowError]) -> str:
    """All that is wrong with a row, in one sentence."""
    return "; ".join(str(error) for error in errors)


def row_text(n: int, file: str, line: int | None) -> str:
    """`row 5 (companies.csv:6)`: a row of the plan in a sentence."""
    return f"row {n}" if line is None else f"row {n} ({file}:{line})"


def key_text(key: Mapping[str, Value]) -> str:
    """`externalID 'T-1' and projectID 12`."""
    return " and ".join(f"{name} {value_text(value)}" for name, value in key.items())


def value_text(value: Value | Unknown) -> str:
    """A value in a sentence: text in quotes and cut, nothing as `empty`."""
    match value:
        case None:
            return "empty"
        case Created():
            return f"what row {value.change} creates"
        case str():
            return repr(value if len(value) <= SHOWN else f"{value[: SHOWN - 3]}...")
        case _:
            return str(value)
