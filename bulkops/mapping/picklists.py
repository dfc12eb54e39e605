"""Picklist text to picklist value: labels, text values and numbers, inside the parent's value. Pure.

Metadata gives values as text and records hold the number; a list of a user-defined field holds the text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

from bulkops.mapping.values import sendable
from bulkops.record import Scalar
from bulkops.schema import Field, FieldType, PicklistValue

_NUMBER = re.compile(r"-?[0-9]+").fullmatch
_WHOLE_WRITTEN_AS_FRACTION = re.compile(r"(-?[0-9]+)\.0+").fullmatch
_SHOWN = 10


class Picklist:
    """What may be chosen in one field.

    Offline (`is_live` false) the tenant's own values are not known, so a text that is not found passes:
    a number as a number, a label as it stands.
    """

    def __init__(self, field: Field, *, is_live: bool, allow_inactive: bool = False) -> None:
        self._field = field
        self._is_live = is_live
        self._allow_inactive = allow_inactive
        self._values = field.picklist or ()
        self._exact = _index(self._values, str.strip)
        self._folded = _index(self._values, lambda text: text.strip().casefold())
        self._known: dict[tuple[str, str | None], Scalar] = {}

    @property
    def depends(self) -> str:
        """The name of the parent field, or nothing."""
        return self._field.picklist_parent if any(value.parent for value in self._values) else ""

    def find(self, text: str, parent: str | None = None) -> Scalar:
        """The value for `text`; `parent` is the parent field's value as text, None where it is not known.

        Raises ValueError: unknown (naming some that are known), inactive, several.
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
        inside = [value for value in named if not parent or not value.parent or value.parent == parent]
        active = [value for value in inside if value.is_active] or (inside if self._allow_inactive else [])
        if len({value.value for value in active}) > 1:
            raise ValueError(self._several(active, parent))
        if active:
            return self._typed(active[0].value)
        if inside:
            raise ValueError(
                f"is inactive in {self._field.name}; set `inactive: allow` to send it all the same"
            )
        if self._is_live and self._values:
            raise ValueError(self._unknown(text, parent, named))
        return self._unlisted(text)

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
        return self._typed(sendable(text))

    def _typed(self, value: str) -> Scalar:
        if self._field.type is FieldType.BOOLEAN:
            return {"1": True, "true": True, "0": False, "false": False}.get(value.lower(), value)
        return int(value) if self._field.type.is_whole and _NUMBER(value) and len(value) < 19 else value

    def _several(self, values: list[PicklistValue], parent: str | None) -> str:
        shown = ", ".join(f"{value.value} ({value.label})" for value in values)
        needs_parent = self.depends and parent is None and len({value.parent for value in values}) > 1
        hint = f". Map {self._field.picklist_parent} too: it tells which is meant" if needs_parent else ""
        return f"can be several values of {self._field.name}: {shown}{hint}"

    def _unknown(self, text: str, parent: str | None, elsewhere: list[PicklistValue]) -> str:
        values = [
            v for v in self._values if v.is_active and (not parent or not v.parent or v.parent == parent)
        ]
        place = f" where {self.depends} is {parent}" if parent and self.depends else ""
        start = f"is no value of {self._field.name}{place}"
        return f"{start}. {known_texts(text if not elsewhere else '', [value.label for value in values])}"


def known_texts(text: str, known: Iterable[str]) -> str:
    """A sentence that names some of the known texts, the one nearest to `text` first."""
    names = [name for name in dict.fromkeys(known) if name]
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(text.casefold(), folded, n=1) if text else []
    start = f"Is it '{folded[near[0]]}'? " if near else ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{start}Known: {', '.join(names[:_SHOWN])}{more}" if names else "None is known"


def _index(values: Iterable[PicklistValue], key: Callable[[str], str]) -> dict[str, list[PicklistValue]]:
    index: dict[str, list[PicklistValue]] = {}
    for value in values:
        for text in {key(value.label), key(value.value)} - {""}:
            index.setdefault(text, []).append(value)
    return index
