"""A job's `where` as the API's filter: every field, operator and value checked, labels and dates translated.

What the API does with a filter that it does not understand is worse than an error: it leaves out unknown
operators, finds nothing for a text where a number belongs, and takes one user-defined field a query. So all
of that is refused here, with the line. A lookup stands in the filter until its record was looked for.

Sources: REST_Basic_Query_Calls.htm (operators, booleans), QueryXML.htm of the older API for the operators of
each type, REST_Thresholds_Limits.htm (500 conditions a query), live reports (unknown operators, texts).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bulkops.change import folded
from bulkops.errors import Fault
from bulkops.job.check import check_comparable, unknown_entity
from bulkops.job.model import Condition, LookupValue, Op, Operand
from bulkops.mapping.dates import date_converter
from bulkops.mapping.picklists import Picklist
from bulkops.mapping.values import is_flag, plain_converter
from bulkops.questions import questions
from bulkops.record import Lookup, Scalar
from bulkops.references import Found, References
from bulkops.schema import Entity, Field, FieldType, PicklistValue
from bulkops.targets.autotask.query import EVERYTHING
from bulkops.targets.base import Filter
from bulkops.wording import listed, shown

FindEntity = Callable[[str], Entity | None]
Suggest = Callable[[str], list[str]]

_ORDER = (Op.GT, Op.GTE, Op.LT, Op.LTE)
_PARTS = (Op.BEGINS_WITH, Op.ENDS_WITH, Op.CONTAINS)
_SAME = (Op.EQ, Op.NOTEQ, Op.IN, Op.NOT_IN)
_DAY = re.compile(r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}\s*").fullmatch
_MIDNIGHT = re.compile(r"\s*[0-9-]{10}([T ]00:00(:00(\.0+)?)?(Z|[+-][0-9:]+)?)?\s*").fullmatch
_DIGITS = re.compile(r"\s*-?[0-9]+\s*").fullmatch
_KINDS: Mapping[Op, str] = {
    **dict.fromkeys(_PARTS, "is for texts"),
    **dict.fromkeys(_ORDER, "is for numbers, dates and texts"),
    **dict.fromkeys((Op.IN, Op.NOT_IN), "is for numbers and texts"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A `where` that was understood. Its `filter` holds a `Lookup` wherever an id has to be found first."""

    filter: Filter | None = None  # None: every record
    lookups: tuple[tuple[str, Lookup], ...] = ()  # where each stands (`jobs/x.yaml:12`)


def read_where(
    conditions: Sequence[Condition], entity: Entity, find_entity: FindEntity, suggest: Suggest
) -> tuple[Where, list[Fault]]:
    """The filter of `conditions`, all of which must hold, and everything that is wrong with them. Pure.

    Offline (an entity that is not live) what only the tenant knows passes: its picklists, its user-defined
    fields. `find_entity` knows those of `lookup_entities`; `suggest` names entities that may have been meant.
    """
    reader = _Reader(entity, find_entity, suggest)
    found = _joined("and", reader.clauses(conditions))
    try:
        questions(found or {"op": "and"})
    except ValueError as error:
        reader.fault(conditions[0], f"`where` {error}")
    return Where(filter=found, lookups=tuple(reader.lookups)), reader.faults


def lookup_entities(conditions: Iterable[Condition], entity: Entity) -> Iterator[str]:
    """The names of the entities that lookups in `conditions` search, as far as they are said."""
    for condition in conditions:
        yield from lookup_entities(condition.items, entity)
        for operand in _operands(condition):
            if isinstance(operand, LookupValue):
                yield _looked_in(operand, entity.find(condition.field))


async def resolved(where: Where, references: References) -> tuple[list[Filter], list[Fault]]:
    """The queries that together find its records, with ids for its lookups; or a fault for every lookup that
    finds none or several. Raises what the target's reads raise.
    """
    answers = await references.ask(lookup for _, lookup in where.lookups)
    faults = [
        Fault(where=place, message=f"{_key(lookup)}: {answer}")
        for place, lookup in where.lookups
        if not isinstance(answer := answers[lookup], Found)
    ]
    if faults:  # no query at all: without its conditions it would find everything
        return [], faults
    ids = {lookup: answer.id for lookup, answer in answers.items() if isinstance(answer, Found)}
    try:
        return questions(_with_ids(where.filter, ids)) if where.filter else [EVERYTHING], []
    except ValueError:  # said by `read_where` already
        return [], []


def asked_about(conditions: Sequence[Condition]) -> Iterator[str]:
    """The fields that a `where` names."""
    for condition in conditions:
        if condition.field:
            yield condition.field
        yield from asked_about(condition.items)


def where_text(conditions: Sequence[Condition]) -> str:
    """The conditions in a line for people: `status noteq Complete and (priority eq 1 or dueDate exist)`."""
    return " and ".join(map(_condition_text, conditions))


def _condition_text(condition: Condition) -> str:
    if condition.op.is_group:
        inner = f" {condition.op} ".join(map(_condition_text, condition.items))
        return f"({inner})" if len(condition.items) > 1 else inner
    value = ", ".join(
        " / ".join(item.key) if isinstance(item, LookupValue) else item for item in _operands(condition)
    )
    return f"{condition.field} {condition.op} {value}".rstrip()


def _operands(condition: Condition) -> tuple[Operand, ...]:
    value = condition.value
    return () if value is None else value if isinstance(value, tuple) else (value,)


def _looked_in(value: LookupValue, shape: Field | None) -> str:
    return value.entity or (shape.reference if shape else "")


def _key(lookup: Lookup) -> str:
    return f"{' and '.join(lookup.fields)} {' / '.join(map(str, lookup.values))!r}"


def _joined(op: str, clauses: Sequence[Filter]) -> Filter | None:
    if not clauses:
        return None
    return clauses[0] if len(clauses) == 1 else {"op": op, "items": list(clauses)}


def _with_ids(clause: Filter, ids: Mapping[Lookup, int]) -> Filter:
    if "items" in clause:
        return {**clause, "items": [_with_ids(item, ids) for item in clause["items"]]}
    value = clause.get("value")
    if isinstance(value, list):
        found = [ids[item] if isinstance(item, Lookup) else item for item in value]
        return {**clause, "value": list(dict.fromkeys(found))}
    return {**clause, "value": ids[value]} if isinstance(value, Lookup) else clause


class _Reader:
    """One `where`: what is wrong with it, and what it has to look up."""

    def __init__(self, entity: Entity, find_entity: FindEntity, suggest: Suggest) -> None:
        self.faults: list[Fault] = []
        self.lookups: list[tuple[str, Lookup]] = []
        self._entity = entity
        self._find_entity = find_entity
        self._suggest = suggest
        self._udf = ""  # the user-defined field that it asks for

    def fault(self, condition: Condition, message: str, hint: str = "") -> None:
        self.faults.append(Fault(where=condition.where, message=message, hint=hint))

    def clauses(self, conditions: Iterable[Condition]) -> list[Filter]:
        return [clause for condition in conditions if (clause := self._clause(condition)) is not None]

    def _clause(self, condition: Condition) -> Filter | None:
        """None where it is at fault."""
        if condition.op.is_group:
            return _joined(condition.op.value, self.clauses(condition.items))
        before = len(self.faults)
        shape = self._field(condition)
        if shape is None:
            return None
        self._check_op(condition, shape)
        clause: dict[str, Any] = {"op": condition.op.value, "field": shape.name.removeprefix("udf:")}
        if shape.is_udf:
            clause["udf"] = True
        if condition.op.takes_value and not _operands(condition):  # told where the job was read
            return None
        if condition.op.takes_value and len(self.faults) == before:
            values = [self._operand(condition, shape, operand) for operand in _operands(condition)]
            clause["value"] = list(dict.fromkeys(values)) if condition.op.takes_list else values[0]
        return clause if len(self.faults) == before else None

    def _field(self, condition: Condition) -> Field | None:
        name, entity = condition.field, self._entity
        if not name:  # told where the job was read
            return None
        wrong = list(check_comparable(name, entity, condition.where, "where"))
        shape = entity.find(name)
        if shape is not None and shape.is_path_only and not wrong:
            message = f"{entity.name}.{shape.name} stands in no record, so `where` cannot name it"
            wrong = [Fault(where=condition.where, message=message)]
        if wrong:
            self.faults += wrong
            return None
        shape = shape or Field(name=f"udf:{name[4:]}", type=FieldType.STRING)  # only the tenant knows which
        if shape.is_udf:
            self._note_udf(condition, shape.name)
        return shape

    def _note_udf(self, condition: Condition, name: str) -> None:
        self._udf = self._udf or name
        if self._udf.casefold() != name.casefold():
            message = f"`where` names {listed([self._udf, name], 'and')}"
            hint = "The API queries one user-defined field at a time: keep one of them."
            self.fault(condition, message, hint)

    def _check_op(self, condition: Condition, shape: Field) -> None:
        op, kind = condition.op, shape.type
        is_unseen = shape.is_udf and not self._entity.is_live
        if not (is_unseen or op in (Op.EXIST, Op.NOT_EXIST) or _fits(op, kind)):
            message = f"{shape.name} is {_kind(shape)}, and `{op}` {_KINDS.get(op, 'compares')}"
            self.fault(condition, message, f"It can be compared with {listed(_fitting(shape))}.")

    def _operand(self, condition: Condition, shape: Field, operand: Operand) -> Scalar | Lookup:
        if isinstance(operand, LookupValue):
            return self._lookup(condition, shape, operand)
        if not operand.strip():
            hint = "`exist` and `notExist` ask whether a field holds something."
            self.fault(condition, f"{shape.name} is compared with an empty text", hint)
            return None
        is_unseen = shape.is_udf and not self._entity.is_live
        try:
            return operand if is_unseen else self._value(condition.op, shape, operand)
        except ValueError as error:
            self.fault(condition, f"{shape.name}: {shown(operand)} {error}")
            return None

    def _value(self, op: Op, shape: Field, text: str) -> Scalar:
        """The text as the field compares. Raises ValueError with the end of a sentence."""
        if op in _PARTS:
            return text
        if shape.picklist is not None:
            return self._choice(op, shape, text)
        if shape.type is FieldType.DATETIME:
            return _moment(op, shape, text)
        if shape.type is FieldType.BOOLEAN or is_flag(shape):
            return _truth(shape, text)
        if shape.reference and not _DIGITS(text):
            raise ValueError("is no id. To name the record by another field: value: {lookup: …, key: …}")
        return plain_converter(shape, None)(text)

    def _choice(self, op: Op, shape: Field, text: str) -> Scalar:
        """A label or a number. One label may stand for several values, and a query is to miss none."""
        if op in _ORDER and not _DIGITS(text):
            raise ValueError("is a label, and labels have no order: name the values, with `in`")
        wanted = folded(text.strip())
        named = {
            item.value: item
            for item in shape.picklist or ()
            if wanted in (folded(item.label.strip()), folded(item.value.strip()))
        }
        if len(named) > 1:
            raise ValueError(f"stands for several values, {_choices(named.values())}: take the number")
        for item in named.values():
            return _held(shape, shape.held(item))
        shipped = self._entity.shipped.find(shape.name) if self._entity.shipped else None
        return Picklist(shape, is_live=self._entity.is_live, shipped=shipped).find(text)

    def _lookup(self, condition: Condition, shape: Field, value: LookupValue) -> Lookup | None:
        before, name = len(self.faults), _looked_in(value, shape)
        if condition.op not in _SAME:
            self.fault(
                condition, f"`{condition.op}` compares with no record", "A lookup goes with `eq` or `in`."
            )
        if not shape.type.is_whole:
            self.fault(condition, f"{shape.name} is {_kind(shape)}, and a lookup gives an id")
        elif not name:
            message = f"{shape.name} refers to no entity"
            self.fault(condition, message, "Name the entity to look in: `entity: …`.")
        elif (other := self._find_entity(name)) is None:
            self.faults.append(unknown_entity(condition.where, name, self._suggest))
        else:
            name = other.name
            for field in value.lookup:
                self.faults += check_comparable(field, other, condition.where, "lookup")
        if len(self.faults) > before:
            return None
        lookup = Lookup(entity=name, fields=value.lookup, values=value.key, allows_inactive=True)
        self.lookups.append((condition.where, lookup))
        return lookup


def _fits(op: Op, kind: FieldType) -> bool:
    if op in _PARTS:
        return kind is FieldType.STRING
    if kind is FieldType.BOOLEAN:
        return op in (Op.EQ, Op.NOTEQ)
    return kind is not FieldType.BYTES


def _fitting(shape: Field) -> list[str]:
    if shape.type is FieldType.BYTES:
        return ["exist", "notExist"]
    ops = [Op.EQ, Op.NOTEQ]
    if shape.type is not FieldType.BOOLEAN:
        ops += [*_ORDER, Op.IN, Op.NOT_IN]
    return [op.value for op in (*ops, Op.EXIST, Op.NOT_EXIST)]


def _kind(shape: Field) -> str:
    if shape.picklist is not None:
        return "a picklist"
    if shape.type is FieldType.BOOLEAN:
        return "true or false"
    if shape.type is FieldType.DATETIME:
        return "a date" if shape.is_date_only else "a moment"
    if shape.type is FieldType.BYTES:
        return "a file"
    if shape.type is FieldType.STRING:
        return "a text"
    return f"an id of {shape.reference}" if shape.reference else "a number"


def _choices(items: Iterable[PicklistValue]) -> str:
    """`3 (Other) and 9 (Other, inactive)`."""
    return " and ".join(
        f"{item.value} ({item.label}{'' if item.is_active else ', inactive'})" for item in items
    )


def _held(shape: Field, value: str) -> Scalar:
    """What records hold for the value of a list: metadata has it as text."""
    if shape.type is FieldType.BOOLEAN:
        return _truth(shape, value)
    return int(value) if shape.type.is_whole and not shape.is_udf and _DIGITS(value) else value


def _truth(shape: Field, text: str) -> Scalar:
    try:
        return plain_converter(shape, None)(text)
    except ValueError:
        raise ValueError("is neither true nor false") from None


def _moment(op: Op, shape: Field, text: str) -> Scalar:
    """A date as the API compares it. A day is a moment for `gte` and `lt` only: its midnight in UTC."""
    try:
        value = date_converter(is_date_only=shape.is_date_only, format=None, zone=None)(text)
    except ValueError:
        raise ValueError("is no date: write 2026-01-31 or, with a time, 2026-01-31T08:00:00Z") from None
    if shape.is_date_only and not _MIDNIGHT(text):
        raise ValueError("has a time, and the field holds calendar dates: write the date alone")
    if not shape.is_date_only and _DAY(text) and op not in (Op.GTE, Op.LT):
        raise ValueError(
            f"is a day, and the field holds moments, so `{op}` would mean its midnight in UTC. Write the "
            f"time ({text.strip()}T00:00:00Z), or take `gte` for from that day on and `lt` for before it"
        )
    return value
