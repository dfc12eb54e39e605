"""Finds records by natural key, in bulk: what references point to, and what match keys meet. Only reads.

A read asks for many keys at once, by an `in` list on the field that tells them apart best; the rest of a
composite key is compared here, as the server compares (trimmed, case ignored). Never one read a row.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, TypeAlias

from bulkops.change import by_label, canonical, folded, match_key
from bulkops.errors import Fault, JobError
from bulkops.record import IMPERSONATE, Lookup, Record, RowError, Scalar, Value
from bulkops.schema import Entity, Field, FieldType
from bulkops.targets.base import Filter, RecordData, Target

VALUES_A_CALL = 500  # conditions one query may hold; an `in` list counts each of its values
ENOUGH = 50  # records kept for one key: more only say again that it is ambiguous
LONGEST_TEXT = 32_000  # characters: no text field of the API holds more
LONGEST_INTEGER = 2**63 - 1

Key: TypeAlias = Sequence[Value]


HOMES: Mapping[str, str] = {
    "Contacts": "companyID",
    "CompanyLocations": "companyID",
    "Projects": "companyID",
    "Tickets": "companyID",
    "Phases": "projectID",
    "Tasks": "projectID",
}
"""The field by which a record of an entity belongs to another one. It is read with what a lookup finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The one record that a lookup meant."""

    id: int
    shown: str  # id and name, for messages
    home: int | None = None  # the record it belongs to, where it belongs to one
    inactive: str = ""  # in words, where the record is no longer in use


class Missing(str):
    """Why there is none: no record has the key."""

    __slots__ = ()


Answer: TypeAlias = Found | str  # the record, or why there is none
Parts: TypeAlias = tuple[Record, tuple[RowError, ...]]


def key_of(values: Iterable[Value]) -> Hashable:
    """A key as it stands in the result of `find_by_key`, whatever the spelling of its texts."""
    return tuple(folded(value.strip()) if isinstance(value, str) else value for value in values)


async def find_by_key(
    target: Target, entity: Entity, match: Sequence[str], keys: Iterable[Key], *, fields: Sequence[str] = ()
) -> dict[Hashable, list[RecordData]]:
    """The records of `entity` whose `match` fields equal one of `keys`, by `key_of` the key.

    Costs one read per 500 distinct values of the most selective field (more where more than 500 records
    answer). Keys without a record are absent; of a key with many records, 50 are given, by rising id.
    A key that no record can have (a part that is empty, too long, or no number where the field holds
    numbers) is not asked for. `fields` are read as well. Raises what the target's reads raise, and JobError
    where a match field is not there or cannot be queried.
    """
    shapes = [queryable(entity, name) for name in match]
    wanted: dict[Hashable, set[Hashable]] = defaultdict(set)
    asked: list[list[Scalar]] = []
    for key in keys:
        values = [query_value(shape, value) for shape, value in zip(shapes, key, strict=True)]
        if None not in values:
            wanted[_joined(shapes, values)].add(key_of(key))
            asked += _spellings(shapes, values, key)
    found: dict[Hashable, dict[int, RecordData]] = defaultdict(dict)  # two questions may find one record
    read = list(dict.fromkeys(["id", *(shape.name for shape in shapes), *fields]))
    for where in _questions(shapes, asked):
        async for record in target.read(entity.name, where, fields=read):
            for name in wanted.get(_joined(shapes, [record.get(shape.name) for shape in shapes]), ()):
                if len(found[name]) < ENOUGH:
                    found[name][record_id(record)] = record
    return {name: [records[number] for number in sorted(records)] for name, records in found.items()}


def queryable(entity: Entity, name: str) -> Field:
    """The field, where it can be asked for; JobError where it is not there or cannot."""
    shape = entity.find(name)
    if shape is None:
        raise JobError([Fault(where="", message=f"{entity.name} has no field {name}")])
    if not shape.is_queryable or shape.is_path_only or not entity.is_queryable:
        message = f"{entity.name} cannot be searched by {name}: the API does not query it"
        raise JobError([Fault(where="", message=message)])
    return shape


def query_value(shape: Field, value: Value) -> Scalar:
    """The value as a query must spell it, None where no record can have it.

    Numbers as numbers: text against a number field finds nothing, without an error.
    """
    if isinstance(value, str) and shape.picklist:
        named = by_label(shape, value)
        value = next(iter(named)) if len(named) == 1 else value
    kept = canonical(shape, value)
    if shape.type is FieldType.BOOLEAN:
        return kept if isinstance(kept, bool) else None
    if shape.type.is_whole or shape.type.is_fraction:
        return _number(shape, kept)
    if shape.type is FieldType.DATETIME:
        return _moment(kept) if isinstance(kept, date) else None
    return _text(shape, kept)


def _spellings(shapes: Sequence[Field], values: list[Scalar], key: Key) -> Iterator[list[Scalar]]:
    """The key in its canonical spelling, as it was written, and with the newlines of either system.

    What the server trims and what it makes of a newline is its own matter, and a record that it stored to the
    letter must not be missed. Blanks at the end are nothing to any database.
    """
    yield values
    written = [
        raw.rstrip(" ") if shape.type is FieldType.STRING and isinstance(raw, str) else value
        for shape, value, raw in zip(shapes, values, key, strict=True)
    ]
    if written != values:
        yield written
    for text in values:
        if isinstance(text, str) and "\n" in text:
            yield [v.replace("\n", "\r\n") if isinstance(v, str) else v for v in values]
            return


def can_be_asked_for(entity: Entity, key: Mapping[str, Value]) -> bool:
    """Whether `find_by_key` asks for this key; of one it does not ask for, absence says nothing."""
    return all(query_value(queryable(entity, name), value) is not None for name, value in key.items())


def _number(shape: Field, kept: object) -> Scalar:
    if not isinstance(kept, int | Decimal) or not -LONGEST_INTEGER <= kept <= LONGEST_INTEGER:
        return None
    if kept == int(kept):
        return int(kept)
    return float(kept) if shape.type.is_fraction else None


def _moment(kept: date) -> str:
    """`2024-03-01T10:00:00.000Z`; a date without time as its midnight."""
    if isinstance(kept, datetime):
        return kept.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    return f"{kept.isoformat()}T00:00:00.000Z"


def _text(shape: Field, kept: object) -> str | None:
    """Text that a record can hold: not too long, and real Unicode (a lone surrogate is none)."""
    if not isinstance(kept, str) or len(kept) > (shape.length or LONGEST_TEXT):
        return None
    try:
        kept.encode()
    except UnicodeEncodeError:
        return None
    return kept


def _joined(shapes: Sequence[Field], values: Sequence[Scalar]) -> Hashable:
    return tuple(match_key(shape, value) for shape, value in zip(shapes, values, strict=True))


def _questions(shapes: Sequence[Field], asked: list[list[Scalar]]) -> Iterator[Filter]:
    """The queries that together find every key of `asked`, each within the conditions a query may hold."""
    if not asked:
        return
    # Every spelling is asked for: how far the server looks past case and accents is its own matter.
    columns = [list(dict.fromkeys(key[i] for key in asked)) for i in range(len(shapes))]
    best = max(range(len(shapes)), key=lambda i: _selectivity(shapes[i], columns[i]))
    values = iter(columns[best])
    while chunk := list(islice(values, VALUES_A_CALL)):
        parts = [_one_of(shapes[best], chunk)]
        room = VALUES_A_CALL - len(chunk)
        for i, shape in enumerate(shapes):
            # A UDF cannot stand beside another one, and a second list only helps to read less.
            if i != best and not shape.is_udf and len(columns[i]) <= room:
                parts.append(_one_of(shape, columns[i]))
                room -= len(columns[i])
        yield parts[0] if len(parts) == 1 else {"op": "and", "items": parts}


def _selectivity(shape: Field, values: Sequence[Scalar]) -> tuple[bool, int, bool]:
    """Orders the fields of a key: an id finds one record, many values find few, text tells more apart."""
    is_vague = shape.picklist is not None or bool(shape.reference) or shape.type is FieldType.BOOLEAN
    return shape.name == "id", len(values), not is_vague


def _one_of(shape: Field, values: Sequence[Scalar]) -> dict[str, Any]:
    about: dict[str, Any] = {"field": shape.name.removeprefix("udf:")} | (
        {"udf": True} if shape.is_udf else {}
    )
    if len(values) == 1:
        return {"op": "eq", "value": values[0], **about}
    if shape.type is FieldType.BOOLEAN:  # lists hold numbers or texts only
        return {"op": "or", "items": [{"op": "eq", "value": value, **about} for value in values]}
    return {"op": "in", "value": list(values), **about}


NAMES = (
    "companyName",
    "projectName",
    "title",
    "name",
    "description",
    "ticketNumber",
    "firstName",
    "lastName",
)


def name_fields(entity: Entity) -> list[str]:
    """The fields by which people know a record of this entity, as far as they can be read."""
    known = [name for name in NAMES if (shape := entity.fields.get(name)) and shape.is_queryable]
    people = [name for name in known if name in ("firstName", "lastName")]
    return people or known[:1]


class References:
    """Resolves the lookups of records, many at once, and remembers what it found.

    `makers` are the steps so far that create records, by entity: a lookup cannot see those, `from` can.
    """

    def __init__(self, target: Target, *, remember: int = 100_000) -> None:
        self.makers: dict[str, str] = {}
        self._target = target
        self._remember = remember
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()

    async def resolve(self, records: Sequence[Record]) -> list[Record | tuple[RowError, ...]]:
        """Each record with ids in place of its lookups, or all reasons why it has none."""
        parts = await self.parts(records)
        return [(*errors, *record.doubts.values()) if errors else record for record, errors in parts]

    async def parts(self, records: Sequence[Record], *, but: Collection[str] = ()) -> list[Parts]:
        """Each record with the ids that were found, and why others were not. The fields `but` are left.

        What is inactive stands among a record's doubts, unless the lookup allows it. Raises what the
        target's reads raise, and JobError for a field that cannot be searched by.
        """
        asked = [[(name, lookup) for name, lookup in _lookups(r) if name not in but] for r in records]
        answers = await self.ask(lookup for lookups in asked for _, lookup in lookups)
        return [self._parts(record, lookups, answers) for record, lookups in zip(records, asked, strict=True)]

    def _parts(
        self, record: Record, lookups: Sequence[tuple[str, Lookup]], answers: Mapping[Lookup, Answer]
    ) -> Parts:
        errors: list[RowError] = []
        values: dict[str, Value] = {}
        doubts: dict[str, RowError] = {}
        for name, lookup in lookups:
            answer = answers[lookup]
            if isinstance(answer, Found):
                values[name] = answer.id
                if answer.inactive and not lookup.allows_inactive:
                    doubts[name] = row_error(name, lookup, answer.inactive)
            else:
                errors.append(row_error(name, lookup, answer + self.hint(lookup, answer)))
        if not values:
            return record, tuple(errors)
        by = values.pop(IMPERSONATE, record.impersonate)
        found = replace(
            record,
            values={**record.values, **values} if values else record.values,
            impersonate=by,
            doubts={**record.doubts, **doubts},
        )
        return found, tuple(errors)

    def hint(self, lookup: Lookup, answer: Answer) -> str:
        """What may have been meant where no record was found: one that is about to be made."""
        maker = self.makers.get(lookup.entity) if isinstance(answer, Missing) else None
        if not maker:
            return ""
        return f"; `from: {maker}` refers to {lookup.entity} that the step `{maker}` is about to create"

    async def ask(self, lookups: Iterable[Lookup]) -> dict[Lookup, Answer]:
        """What each lookup found. Costs one read per 500 keys that were not asked for lately."""
        by_question = {lookup: _question(lookup) for lookup in lookups}
        answers = await self._answer({question: lookup for lookup, question in by_question.items()})
        return {lookup: answers[question] for lookup, question in by_question.items()}

    async def _answer(self, questions: Mapping[Hashable, Lookup]) -> dict[Hashable, Answer]:
        answers: dict[Hashable, Answer] = {}
        unknown: dict[tuple[str, tuple[str, ...]], dict[Hashable, Lookup]] = defaultdict(dict)
        for question, lookup in questions.items():
            if question in self._answers:
                self._answers.move_to_end(question)
                answers[question] = self._answers[question]
            else:
                unknown[lookup.entity, lookup.fields][question] = lookup
        for (entity, fields), asked in unknown.items():
            shape = await self._target.describe(entity)
            answers |= await self._ask(shape, fields, asked)
        return answers

    async def _ask(
        self, entity: Entity, fields: tuple[str, ...], lookups: Mapping[Hashable, Lookup]
    ) -> dict[Hashable, Answer]:
        named, lost = await self._named(entity, lookups)
        keys = [lookup.values for lookup in named.values()]
        read = [*shown_fields(entity), *home_fields(entity)]
        found = await find_by_key(self._target, entity, fields, keys, fields=read)
        answers = lost | {
            question: _answer(entity, lookup, found.get(key_of(lookup.values), ()))
            for question, lookup in named.items()
        }
        self._answers.update(answers)
        while len(self._answers) > self._remember:
            self._answers.popitem(last=False)
        return answers

    async def _named(
        self, entity: Entity, lookups: Mapping[Hashable, Lookup]
    ) -> tuple[dict[Hashable, Lookup], dict[Hashable, Answer]]:
        """The lookups with ids for the names in their keys, and why some have none.

        A part of a key that refers to a record may be that record's name: a contact is known by the company's
        name and its e-mail. A number is always an id.
        """
        parts = {question: await self._names_in(entity, lookup) for question, lookup in lookups.items()}
        answers = await self.ask(name for names in parts.values() for name in names.values())
        named, lost = dict(lookups), dict[Hashable, Answer]()
        for question, names in parts.items():
            values = list(lookups[question].values)
            for n, name in names.items():
                answer = answers[name]
                if isinstance(answer, Found):
                    values[n] = answer.id
                else:
                    why = f"{lookups[question].fields[n]} {name.values[0]!r}: {answer}"
                    lost[question] = Missing(why) if isinstance(answer, Missing) else why
            named[question] = replace(lookups[question], values=tuple(values))
        return {question: lookup for question, lookup in named.items() if question not in lost}, lost

    async def _names_in(self, entity: Entity, lookup: Lookup) -> dict[int, Lookup]:
        """The parts of a key that are names where ids belong, and how to look each up."""
        found = {}
        for n, (field, value) in enumerate(zip(lookup.fields, lookup.values, strict=True)):
            shape = entity.find(field)
            if shape and shape.reference and isinstance(value, str) and query_value(shape, value) is None:
                names = name_fields(await self._target.describe(shape.reference))
                if len(names) == 1 and value.strip():
                    found[n] = Lookup(entity=shape.reference, fields=(names[0],), values=(value,))
        return found


def _lookups(record: Record) -> Iterator[tuple[str, Lookup]]:
    for name, value in (*record.values.items(), (IMPERSONATE, record.impersonate)):
        if isinstance(value, Lookup):
            yield name, value


def _question(lookup: Lookup) -> Hashable:
    return lookup.entity, lookup.fields, lookup.values


def row_error(name: str, lookup: Lookup, message: str) -> RowError:
    """What is wrong with the field `name`, with the text that was looked up."""
    shown = " / ".join("" if value is None else str(value) for value in lookup.values)
    return RowError(message=message, column=lookup.column, value=shown, field=name)


def _answer(entity: Entity, lookup: Lookup, found: Sequence[RecordData]) -> Answer:
    if len(found) == 1:
        return _found(entity, found[0])
    by = " and ".join(lookup.fields)
    if found:
        return f"{len(found)} {entity.name} records have this {by}: {candidates(entity, found)}"
    for name, value in zip(lookup.fields, lookup.values, strict=True):
        shape = entity.find(name)
        if shape and shape.type.is_whole and value is not None and query_value(shape, value) is None:
            return Missing(f"no {entity.name} record has this {by}: {name} holds a number")
    return Missing(f"no {entity.name} record has this {by}")


def _found(entity: Entity, record: RecordData) -> Found:
    name = name_of(entity, record)
    shown = f"{entity.name} {record_id(record)} ({name})" if name else f"{entity.name} {record_id(record)}"
    home = next((record.get(field) for field in home_fields(entity)), None)
    inactive = f"{shown} is inactive; set `inactive: allow` to use it all the same"
    return Found(
        id=record_id(record),
        shown=shown,
        home=home if isinstance(home, int) else None,
        inactive="" if is_active(entity, record) else inactive,
    )


def home_fields(entity: Entity) -> list[str]:
    """The field that says which record one of this entity belongs to, where it has one that can be read."""
    shape = entity.find(HOMES.get(entity.name, ""))
    return [shape.name] if shape is not None and shape.is_queryable and not shape.is_path_only else []


def is_active(entity: Entity, record: RecordData) -> bool:
    """Whether a record is in use, as far as what was read of it says: true or 1, false or 0."""
    shape = entity.active_field()
    return shape is None or canonical(shape, record.get(shape.name)) not in (False, 0)


def shown_fields(entity: Entity) -> list[str]:
    """What has to be read of records that messages name."""
    active = entity.active_field()
    return [*name_fields(entity), *([active.name] if active else [])]


def candidates(entity: Entity, records: Sequence[RecordData], *, shown: int = 5) -> str:
    """`12 (Acme), 15 (ACME, inactive) and 3 more`: the records between which nobody guesses."""
    texts = []
    for record in records[:shown]:
        about = [name_of(entity, record), "" if is_active(entity, record) else "inactive"]
        said = ", ".join(text for text in about if text)
        texts.append(f"{record_id(record)} ({said})" if said else f"{record_id(record)}")
    rest = f" and {len(records) - shown} more" if len(records) > shown else ""
    return ", ".join(texts) + rest


def name_of(entity: Entity, record: RecordData) -> str:
    """By what people know the record, as far as it was read."""
    names = name_fields(entity)
    return " ".join(str(record[n]) for n in names if record.get(n) not in (None, ""))[:60]


def record_id(record: RecordData) -> int:
    """The record's id; 0 is one (the tenant's own company)."""
    return int(record["id"] or 0)
