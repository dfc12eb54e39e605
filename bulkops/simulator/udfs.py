"""User-defined fields of a request body: names, types, lists and defaults.

A value is text on the wire whatever the field's type is, and a list field holds the item's own text, not a
number (UserdefinedFieldsUDFs.htm). A field the interface requires is not required here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bulkops.simulator.rules.base import not_listed, too_long
from bulkops.simulator.store import Store
from bulkops.simulator.values import UnreadableError, reader

MALFORMED = "Object reference not set to an instance of an object."  # LIVE
KINDS = {  # a definition's type, as tenants spell it → the type its text must be readable as
    "number": "double", "numeric": "double", "decimal": "double", "double": "double",
    "integer": "long", "long": "long", "short": "long",
    "datetime": "datetime", "date": "datetime", "boolean": "boolean",
}  # fmt: skip


def read_udfs(
    store: Store, entity: str, kind: str, given: Any, *, trim: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    """The values to store, as `{"name", "value"}`, and the error texts. `kind`: the singular name."""
    if not isinstance(given, list):
        return [], [] if given is None else [MALFORMED]
    known = {item["name"].casefold(): item for item in store.udfs.get(entity, ())}
    values: list[dict[str, Any]] = []
    errors: list[str] = []
    for element in given:
        pair = _pair(element)
        if pair is None:
            return [], [MALFORMED]
        definition = known.get(pair[0].casefold())
        if definition is None:
            errors.append(f"Unable to find {pair[0]} in the {kind} Entity")
            continue
        try:
            value = _value(definition, pair[1], trim=trim)
        except UnreadableError as error:
            errors.append(str(error))
        else:
            values.append({"name": definition["name"], "value": value})
    return values, errors


def defaults(store: Store, entity: str, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A new record's UDFs: those given, and the default of every other that has one."""
    named = {item["name"] for item in given}
    return given + [
        {"name": item["name"], "value": str(item["defaultValue"])}
        for item in store.udfs.get(entity, ())
        if item["name"] not in named and item.get("defaultValue") not in (None, "")
    ]


def _pair(element: Any) -> tuple[str, Any] | None:
    if not isinstance(element, dict):
        return None
    folded = {key.casefold(): value for key, value in element.items()}
    name = folded.get("name")
    return (name.strip(), folded.get("value")) if isinstance(name, str) else None


def _value(definition: Mapping[str, Any], given: Any, *, trim: bool) -> str | None:
    """The text to store, or None. Raises UnreadableError with the service's text."""
    if given is None:
        return None
    name = definition["name"]
    text = str(reader(name, "string")(given))
    if trim:
        text = text.strip()
    if not text:
        return None
    if definition.get("isPickList"):
        if text not in {
            item.get("label") or item.get("value") for item in definition["picklistValues"] or ()
        }:
            raise UnreadableError(not_listed(name))
        return text
    kind = KINDS.get(str(definition.get("type", "")).lower())
    if kind:
        made = reader(name, kind, date_only=True)(text)
        return str(made) if kind == "datetime" else text
    length = definition.get("length") or 0
    if length and len(text) > length:
        raise UnreadableError(too_long(name, length))
    return text
