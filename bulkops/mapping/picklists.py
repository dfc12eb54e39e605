"""Picklist text to picklist value: labels, text values and numbers, inside the parent's value. Pure.

Metadata gives values as text and records hold the number; a list of a user-defined field holds the item's
own text (UserdefinedFieldsUDFs.htm and live reports).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from bulkops.mapping.values import sendable
from bulkops.record import Scalar
from bulkops.schema import Field, FieldType, PicklistValue
from bulkops.wording import nearest

_NUMBER = re.compile(r"-?[0-9]+").fullmatch
_WHOLE_WRITTEN_AS_FRACTION = re.compile(r"(-?[0-9]+)\.0+").fullmatch
_SHOWN = 10


class InactiveError(ValueError):
    """What is meant is known, and not in use: `value` is it. Where a record holds it already, it may stay."""

    def __init__(self, message: str, value: Scalar) -> None:
        super().__init__(message)
        self.value = value


class Picklist:
    """What may be chosen in one field.

    Offline (`is_live` false) the tenant's own values are not known, so a text that is not found passes:
    a number as a number, a label as it stands. `parent` is the field inside whose value this one is chosen;
    `shipped` is what the catalog says of this one, where the tenant has spoken.
    """

    def __init__(
        self,
        field: Field,
        *,
        is_live: bool,
        allow_inactive: bool = False,
        parent: Field | None = None,
        shipped: Field | None = None,
    ) -> None:
        self._field = field
        self._is_live = is_live
        self._allow_inactive = allow_inactive
        self._values = field.picklist or ()
        self._exact = _index(self._values, str.strip)
        self._folded = _index(self._values, _fold)
        self._labels = {item.value: item.label for item in (parent.picklist if parent else None) or ()}
        self._shipped = _index((shipped.picklist if shipped else None) or (), _fold)
        self._known: dict[tuple[str, str | None], Scalar] = {}

    @property
    def depends(self) -> str:
        """The name of the parent field, or nothing."""
        return self._field.picklist_parent if any(value.parent for value in self._values) else ""

    def check(self, text: str) -> None:
        """Raises ValueError where `text` is a value under no parent at all."""
        if self._is_live and self._values and not self._named(text.strip()):
            raise ValueError(self._unknown(text.strip(), None, ()))

    def find(self, text: str, parent: str | None = None) -> Scalar:
        """The value for `text`; `parent` is the parent field's value as text, "" where it holds nothing,
        None where it is not known.

        Raises ValueError: unknown (naming some that are known), under another parent, several;
        InactiveError.
        """
        key = (text, parent)
        if key not in self._known:
            found = self._find(text.strip(), parent)
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[key] = found
        return self._known[key]

    def _find(self, text: str, parent: str | None) -> Scalar:
        named = self._named(text)
        inside = [value for value in named if _stands_under(value, parent)]
        active = [value for value in inside if value.is_active] or (inside if self._allow_inactive else [])
        if len({value.value for value in active}) > 1:
            raise ValueError(self._several(active, parent))
        if active:
            return self._typed(active[0])
        if inside:
            message = f"is inactive in {self._field.name}; set `inactive: allow` to send it all the same"
            if len({value.value for value in inside}) > 1:
                raise ValueError(message)
            raise InactiveError(message, self._typed(inside[0]))
        if not (self._is_live and self._values):
            return self._unlisted(text)
        message = self._unknown(text, parent, named)
        if named or (self._field.type.is_whole and not _NUMBER(text)):
            raise ValueError(message)
        raise InactiveError(message, self._unlisted(text))  # taken off the list since it was chosen, maybe

    def _named(self, text: str) -> list[PicklistValue]:
        """The values of that label, text or number: case as written first, then ignored."""
        found = self._exact.get(text) or self._folded.get(text.casefold())
        if not found and (whole := _WHOLE_WRITTEN_AS_FRACTION(text)):
            found = self._exact.get(whole[1])
        return found or []

    def _unlisted(self, text: str) -> Scalar:
        if self._field.type.is_whole and _NUMBER(text) and len(text) < 19:
            return int(text)
        if self._is_live and self._field.type.is_whole:
            raise ValueError(f"is no number, and {self._field.name} has no values in this tenant")
        return self._value(sendable(text))

    def _typed(self, found: PicklistValue) -> Scalar:
        text = self._field.held(found)
        return text if self._field.is_udf else self._value(text)

    def _value(self, value: str) -> Scalar:
        if self._field.type is FieldType.BOOLEAN:
            return {"1": True, "true": True, "0": False, "false": False}.get(value.lower(), value)
        return int(value) if self._field.type.is_whole and _NUMBER(value) and len(value) < 19 else value

    def _several(self, values: list[PicklistValue], parent: str | None) -> str:
        shown = ", ".join(f"{value.value} ({value.label})" for value in values)
        needs_parent = self.depends and parent is None and len({value.parent for value in values}) > 1
        hint = f". Map {self._field.picklist_parent} too: it tells which is meant" if needs_parent else ""
        return f"can be several values of {self._field.name}: {shown}{hint}"

    def _unknown(self, text: str, parent: str | None, elsewhere: Sequence[PicklistValue]) -> str:
        known = [value.label for value in self._values if value.is_active and _stands_under(value, parent)]
        start = f"is no value of {self._field.name}"
        if not elsewhere and _fold(text) in self._shipped:
            start += " in this tenant, though the shipped catalog has it"
        if not self.depends or parent is None:
            return f"{start}. {known_texts(text, known)}"
        start += f" where {self.depends} is {self._shown(parent)}"
        if elsewhere:
            above = dict.fromkeys(self._shown(value.parent) for value in elsewhere)
            start += f", only where it is {' or '.join(above)}"
        known_here = known_texts("" if elsewhere else text, known)
        return f"{start}. {known_here}" if known else start

    def _shown(self, parent: str) -> str:
        """The parent's value, with its label where that is known."""
        label = self._labels.get(parent, "")
        return f"{label} ({parent})" if label else parent or "empty"


def _stands_under(value: PicklistValue, parent: str | None) -> bool:
    """Whether the value may be chosen where its parent field holds `parent`."""
    return parent is None or not value.parent or value.parent == parent


def known_texts(text: str, known: Iterable[str]) -> str:
    """A sentence that names some of the known texts, the one nearest to `text` first."""
    names = [name for name in dict.fromkeys(known) if name]
    near = nearest(text, names)
    start = f"Is it '{near}'? " if near else ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{start}Known: {', '.join(names[:_SHOWN])}{more}" if names else "None is known"


def _fold(text: str) -> str:
    return text.strip().casefold()


def _index(values: Iterable[PicklistValue], key: Callable[[str], str]) -> dict[str, list[PicklistValue]]:
    index: dict[str, list[PicklistValue]] = {}
    for value in values:
        for text in {key(value.label), key(value.value)} - {""}:
            index.setdefault(text, []).append(value)
    return index
