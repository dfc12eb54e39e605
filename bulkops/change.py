"""A change: what would happen to one record, field by field; and the one equality. Pure: no I/O, no clock.

The equality is canonical: two values are equal when the server stores the same for both. The plan's diff,
the drift guard, the read-back after a write and the settling of writes in doubt all use it, so that what
was planned as a change is recognised as done, and what was done is not planned again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeAlias

from bulkops.record import Created, FromStep, Held, Locator, Lookup, Premise, Record, Scalar, Tally, Value
from bulkops.schema import Entity, Field, FieldType
from bulkops.targets.base import RecordData


class Action(StrEnum):
    """What a change does, in the words of `show --json`."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"

    @property
    def is_write(self) -> bool:
        return self in (Action.CREATE, Action.UPDATE, Action.DELETE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A before-value that cannot be read: the field is not queryable."""


UNKNOWN = Unknown()


BELONGING = "what belongs to it"
"""Stands for the records of a tally among what a record held: no field has such a name."""

OTHERS = "what belongs to it by now"
"""Stands for a sentence: that these were others than the plan saw, and were written over all the same."""

Before: TypeAlias = Mapping[str, Value | Unknown | Held]
"""What a record held just before it was written, by field, where the plan had seen another value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDiff:
    """One field of a change. `before` is None on a create; `after` may be `Created(change=17)`."""

    before: Value | Unknown
    after: Value


NOT_MOVED: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row's fate. `n` counts from 1 over the whole plan and is the row's number too.

    Some fields of a record must be empty before others can be changed. Those of `cleared` are emptied in a
    request of their own, and the rest is sent after it: one change, two requests.
    """

    n: int
    step: str
    entity: str
    action: Action
    line: int | None = None  # of the source row
    file: str = ""
    sheet: str = ""  # of a workbook
    id: int | None = None  # the record, where it exists
    key: Mapping[str, Value] = field(default_factory=dict)  # match fields and their values
    fields: Mapping[str, FieldDiff] = field(default_factory=dict)  # what is sent; UDFs as "udf:Name"
    parent: int | Created | None = None  # the id in the path of a child entity
    impersonate: int | None = None
    cleared: tuple[str, ...] = ()  # of an update: fields that are emptied before the rest is sent
    premise: Premise | None = None  # what another record, or another field of this one, must still hold
    marker: str = ""  # the field that holds bulkops' own mark, by which a create can be recognised
    waits_for: tuple[int, ...] = ()  # changes that must be settled well before this one is sent
    barrier: int = 0  # every change up to this number must be settled before this one is sent
    moved: Mapping[str, int] = field(default_factory=lambda: NOT_MOVED)
    """Fields that the API changes along with an earlier change, by its number: that is no drift."""
    reason: str | None = None  # why it was rejected
    notes: tuple[str, ...] = ()  # what the target may do with it besides, for people

    @property
    def place(self) -> str:
        """Where its row stands: `tasks.csv:7`, or `tasks.xlsx, sheet Tasks:7`."""
        return str(Locator(file=self.file, sheet=self.sheet or None, line=self.line))

    def after(self) -> dict[str, Value]:
        """The values that are sent."""
        return {name: diff.after for name, diff in self.fields.items()}

    def rest(self) -> dict[str, Value]:
        """The values that are sent once what is cleared is empty."""
        return {
            name: diff.after
            for name, diff in self.fields.items()
            if diff.after is not None or name not in self.cleared
        }

    @property
    def along(self) -> Tally | None:
        """The records that the API changes with its own, where there are any."""
        premise = self.premise
        if self.action is not Action.UPDATE or premise is None or premise.tally is None:
            return None
        is_own = (premise.entity, premise.id) == (self.entity, self.id)
        return premise.tally if is_own and premise.tally.records else None

    @property
    def loses(self) -> Mapping[str, Scalar]:
        """What the API empties besides of the record that this changes."""
        premise = self.premise
        is_own = premise is not None and (premise.entity, premise.id) == (self.entity, self.id)
        return premise.loses if premise is not None and is_own else {}

    @property
    def requests(self) -> int:
        """How many writes it costs."""
        return (2 if self.cleared else 1) if self.action.is_write else 0

    def with_cleared(self, names: Collection[str], current: RecordData) -> Change:
        """The same, with these fields of the record as it is emptied first."""
        lost = {name: FieldDiff(before=current.get(name), after=None) for name in names}
        return replace(self, fields={**lost, **self.fields}, cleared=tuple(sorted(names)))

    def as_found(self, before: Before) -> Change:
        """The same, where its record held this in some of its fields, and not what the plan saw."""
        fields, premise = dict(self.fields), self.premise
        for name, found in before.items():
            if name in fields and not isinstance(found, Held):
                fields[name] = replace(fields[name], before=found)
            elif premise is not None:
                premise = _as_found(premise, name, found)
        return replace(self, fields=fields, premise=premise) if before else self

    def only(self, names: Iterable[str]) -> Change:
        """What is left to be done where only these fields differ. Nothing is cleared for nothing: where the
        others are so already, what is left is simply set.
        """
        left = set(names)
        cleared = self.cleared if left - set(self.cleared) else ()
        fields = {name: diff for name, diff in self.fields.items() if name in left or name in cleared}
        return replace(self, fields=fields, cleared=cleared)


def _as_found(premise: Premise, name: str, found: Value | Unknown | Held) -> Premise:
    if isinstance(found, Held):
        tally = premise.tally and replace(premise.tally, held=found)
        return replace(premise, tally=tally)
    if name in premise.loses and (found is None or isinstance(found, str | int | float)):
        return replace(premise, loses={**premise.loses, name: found})
    return premise


Canonical: TypeAlias = (
    str | int | bool | Decimal | date | datetime | Created | Lookup | FromStep | Unknown | None
)
"""What the server keeps of a value: hashable, equal exactly when the server stores the same."""

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_BLANKS = re.compile(r"[ \t\u00a0]+")
_MONTH_FIRST = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})( 12:00(:00)? AM)?").fullmatch


def diff(record: Record, current: RecordData | None, entity: Entity) -> dict[str, FieldDiff]:
    """The fields of `record` that differ from `current`, which is None where there is no record yet.

    A create gives every field that holds something. An update gives what differs, and always the fields
    that cannot be read. `id` and a parent's id that travels in the path only are no values to send.
    A read-only or fixed field that differs is given too: whoever plans decides what that means.
    """
    changed = {}
    for name, after in record.values.items():
        shape = entity.find(name)
        if name == "id" or (shape is not None and shape.is_path_only):
            continue
        found = _creation(shape, after) if current is None else _update(shape, current.get(name), after)
        if found is not None:
            changed[name] = found
    return changed


def _creation(shape: Field | None, after: Value) -> FieldDiff | None:
    return None if canonical(shape, after) is None else FieldDiff(before=None, after=after)


def _update(shape: Field | None, before: Value, after: Value) -> FieldDiff | None:
    if shape is not None and not shape.is_queryable:
        # A frozen field can neither be compared nor written, so there is nothing to say about it.
        is_frozen = shape.is_read_only or shape.is_fixed
        return None if is_frozen else FieldDiff(before=UNKNOWN, after=after)
    if equal(shape, before, after):
        return None
    return FieldDiff(before=before_value(shape, before), after=after)


def before_value(shape: Field | None, value: Value | Unknown) -> Value | Unknown:
    """What a plan says of a value as read: a number as a number, nothing where it is hidden."""
    if isinstance(value, Unknown) or _is_hidden(shape, value):
        return UNKNOWN
    return _as_typed(shape, value)


def is_shown(shape: Field | None, record: RecordData) -> bool:
    """Whether a record, as it was read, tells what a field holds. What no query can ask for comes at best
    where all fields are read; that it is empty tells nothing then.
    """
    return shape is not None and (shape.is_queryable or record.get(shape.name) is not None)


def _is_hidden(shape: Field | None, value: Value) -> bool:
    """Protected user-defined fields are read as five stars (ConfigurationItemsEntity.htm)."""
    return shape is not None and shape.is_udf and value == "*****"


def _as_typed(shape: Field | None, value: Value) -> Value:
    """A user-defined number, which is read as text, as the number, where it is the same to the last digit."""
    if shape is None or not shape.is_udf or not isinstance(value, str):
        return value
    kept = canonical(shape, value)
    if not isinstance(kept, Decimal):
        return value
    number = int(kept) if kept == kept.to_integral_value() else float(kept)
    return number if Decimal(repr(number)) == kept else value


def equal(shape: Field | None, a: Value | Unknown, b: Value | Unknown) -> bool:
    """Whether the server stores the same for both: the only equality of the house.

    Text is trimmed and its case counts; empty text is no value; numbers count by value, date-times by
    instant, date-only fields by calendar date; rich text by what is left of it as plain text.
    `shape` is None where the field is not known: the values are then compared as text.
    """
    if type(a) is type(b) and a == b:
        return True
    return canonical(shape, a) == canonical(shape, b)


def same_key(shape: Field | None, a: Value, b: Value) -> bool:
    """Whether both find the same records: like `equal`, with case ignored, as the server's queries do."""
    return match_key(shape, a) == match_key(shape, b)


def match_key(shape: Field | None, value: Value) -> Canonical:
    """A value as keys are compared: its canonical form, text without case, composed Unicode."""
    kept = canonical(shape, value)
    return folded(kept) if isinstance(kept, str) else kept


def folded(text: str) -> str:
    """Text without case, spelled with composed characters (one é, however it was typed)."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def by_label(shape: Field, text: str) -> frozenset[str]:
    """What records hold for the picklist values that `text` names, by label or by value, case ignored."""
    wanted = folded(text.strip())
    return frozenset(
        shape.held(item)
        for item in shape.picklist or ()
        if wanted in (folded(item.label.strip()), folded(item.value.strip()))
    )


def canonical(shape: Field | None, value: Value | Unknown) -> Canonical:
    """What the server keeps of `value` in this field. References not yet resolved stand for themselves."""
    if value is None or isinstance(value, Created | Lookup | FromStep | Unknown):
        return value
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
    return _typed(shape, value)


def _typed(shape: Field | None, value: str | int | float | bool) -> Canonical:
    if shape is None or shape.type is FieldType.STRING:  # most values of most jobs
        return _plain(_text(value)) if shape is not None and shape.is_rich_text else _text(value)
    if shape.type is FieldType.BOOLEAN:
        return _boolean(value)
    if shape.type.is_whole or shape.type.is_fraction:
        return _number(value)
    if shape.type is FieldType.DATETIME and isinstance(value, str):
        return _date(value) if shape.is_date_only else _instant(value)
    return _plain(_text(value)) if shape.is_rich_text else _text(value)


def _text(value: str | int | float | bool) -> str:
    """Text with the newlines of one system; `true` and `false` as JSON writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _plain(text: str) -> str:
    """What reading a rich-text field gives back: no runs of blanks, none at the end of a line."""
    return "\n".join(_BLANKS.sub(" ", line).strip() for line in text.split("\n"))


def _boolean(value: str | int | float | bool) -> Canonical:
    if isinstance(value, str):
        return _BOOLEANS.get(value.lower(), value)
    return bool(value) if value in (0, 1) else _number(value)


def _number(value: str | int | float | bool) -> Canonical:
    """A number by value; true and false as 1 and 0, since some `is…` fields are integers."""
    if isinstance(value, int):
        return int(value)
    text = value if isinstance(value, str) else repr(value)
    if text.lower() in ("true", "false"):
        return int(text.lower() == "true")
    # Decimal reads 1_000 and digits of every script; the server does not.
    if "_" in text or not text.isascii():
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return number if number.is_finite() else text.lower()


def _date(text: str) -> Canonical:
    """The calendar date as written: the server drops the time and does not convert the zone.

    A user-defined date is text, which the service may spell as its own language does: 2/29/2016 12:00:00 AM.
    """
    try:
        if found := _MONTH_FIRST(text):
            return date(int(found[3]), int(found[1]), int(found[2]))
        return date.fromisoformat(text[:10]) if text[10:11] in ("", "T", "t", " ") else text
    except ValueError:
        return text


def _instant(text: str) -> Canonical:
    """The instant in UTC to the millisecond; without an offset it is UTC already (REST dates are)."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
