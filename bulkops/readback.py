"""What a record holds as cells from which a mapping makes the same value again. Pure.

Numbers and truth stay what they are. Dates are ISO 8601: the calendar date where the field holds no time,
else the moment in UTC with its Z, so that nothing has to be said of their format when they come back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TypeAlias

from bulkops.change import canonical
from bulkops.record import Scalar, StoredText
from bulkops.schema import Entity, Field, FieldType
from bulkops.sources.texts import cell_text

ToCell: TypeAlias = Callable[[Scalar], Scalar]
ToText: TypeAlias = Callable[[Scalar], str]


def readable(entity: Entity) -> list[Field]:
    """The fields that one reads of its records: `id` first, no files, nothing that is in a path only."""
    fields = [shape for shape in entity.fields.values() if shape.name != "id" and _is_readable(shape)]
    return [entity.fields.get("id") or Field(name="id", type=FieldType.LONG, is_read_only=True), *fields]


def _is_readable(shape: Field) -> bool:
    is_unreadable = shape.is_path_only or shape.type is FieldType.BYTES or (shape.is_udf and shape.reference)
    return shape.is_queryable and not is_unreadable


def to_cell(shape: Field) -> ToCell:
    """The way from a value as read to its cell, which is a number, true or false, a text, or None."""
    if shape.type is FieldType.DATETIME:
        return lambda value: None if value is None else _date_text(shape, value)
    return lambda value: value


def to_text(shape: Field) -> ToText:
    """The way from a value as read to the text of its cell; `StoredText` where it is no text by nature."""
    cell = to_cell(shape)
    is_text = shape.type is FieldType.STRING

    def text(value: Scalar) -> str:
        held = cell(value)
        if held is None:
            return ""
        said = held if isinstance(held, str) else scalar_text(held)
        return said if is_text or not said or isinstance(held, bool) else StoredText(said)

    return text


def scalar_text(value: str | int | float | bool) -> str:
    """A cell as text: numbers with as few digits as tell them apart and never with an exponent."""
    return value if isinstance(value, str) else str(cell_text(value))


def _date_text(shape: Field, value: str | int | float | bool) -> Scalar:
    kept = canonical(shape, value)
    if isinstance(kept, datetime):
        precision = "milliseconds" if kept.microsecond else "seconds"
        return kept.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"
    return kept.isoformat() if isinstance(kept, date) else value  # what is no date stays as it is
