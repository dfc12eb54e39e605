"""Whether a record passes a filter, as the server decides it. Pure.

Text is compared trimmed and without case, dates as moments in UTC, empty fields equal nothing but null
(REST_Basic_Query_Calls.htm, live reports; QueryXML.htm of the older API for empty fields).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from bulkops.errors import RejectedError
from bulkops.record import Scalar
from bulkops.schema import Entity, Field, FieldType
from bulkops.targets.base import Filter

Test: TypeAlias = Callable[[Mapping[str, Scalar]], bool]

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip
_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "beginsWith": str.startswith, "endsWith": str.endswith, "contains": operator.contains,
}  # fmt: skip


def matcher(where: Filter, entity: Entity) -> Test:
    """The test that records must pass.

    RejectedError, with the server's text, for a field that is not there or cannot be queried.
    """
    op = where["op"]
    if op in ("and", "or"):
        tests = [matcher(item, entity) for item in where.get("items", ())]
        join = all if op == "and" else any
        return lambda record: join(test(record) for test in tests)
    field = _field(where, entity)
    passes = _clause(op, where.get("value"), field)
    return lambda record: passes(record.get(field.name))


def _field(where: Filter, entity: Entity) -> Field:
    name = str(where["field"])
    if where.get("udf"):
        name = f"udf:{name}"
        return entity.find(name) or Field(name=name, type=FieldType.STRING)
    field = entity.find(name)
    if field is None or field.is_path_only:
        text = f"Unable to find {name} in the {entity.singular} Entity"
        raise RejectedError(text, known=True, status=500, texts=[text])
    if not field.is_queryable:
        text = f"The field {field.name} of the {entity.singular} Entity is not queryable."
        raise RejectedError(text, known=True, status=500, texts=[text])
    return field


def _clause(op: str, wanted: Any, field: Field) -> Callable[[Scalar], bool]:
    """One comparison, as a test of a field's value."""
    if wanted is None:
        is_there = op in ("exist", "noteq")
        return lambda found: (found is not None) == is_there
    if op in ("in", "notIn"):
        values = {comparable(item, field) for item in wanted}
        return lambda found: found is not None and (comparable(found, field) in values) == (op == "in")
    if op in _TEXT:
        part, has = str(wanted).casefold(), _TEXT[op]  # blanks at its ends are looked for
        return lambda found: found is not None and has(str(found).strip().casefold(), part)
    value = comparable(wanted, field)
    if op in ("eq", "noteq"):
        return lambda found: found is not None and (comparable(found, field) == value) == (op == "eq")
    holds = _ORDER[op]

    def is_ordered(found: Scalar) -> bool:
        other = None if found is None else comparable(found, field)
        return type(other) is type(value) and holds(other, value)

    return is_ordered


def comparable(value: Any, field: Field) -> Any:
    """A value as the server compares it. Text never equals a number (`"5"` finds no id 5).

    A user-defined field's value is text, which is compared as what the field holds.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and field.is_udf and (field.type.is_whole or field.type.is_fraction):
        return _number(value)
    if isinstance(value, int | float):
        return float(value) if not field.is_udf or field.type is not FieldType.STRING else str(value)
    if field.type is FieldType.DATETIME and isinstance(value, str):
        return _moment(value)
    return str(value).strip().casefold()


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _moment(text: str) -> Any:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return text
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
