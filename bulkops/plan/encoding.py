"""Changes and the cells of rows as compact JSON and back, without losing anything. Pure: no I/O.

JSON has no reference, no unknown, no NaN and, in most readers, no number beyond 64 bits. Each is an object
with one key: `{"change": 17}`, `{"unknown": true}`, `{"float": "nan"}`, `{"int": "0x1f"}`. A value is never
an object otherwise, so they cannot be mistaken.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from bulkops.change import NOT_MOVED, UNKNOWN, Action, Change, FieldDiff, Unknown
from bulkops.record import Created, FromStep, Held, Lookup, Premise, StoredText, Tally, Value

_PLAIN = frozenset({str, bool, type(None)})
_LEAST, _MOST = -(2**63), 2**63 - 1


def dump(value: Any) -> str:
    """Compact JSON. Text that is no valid Unicode (a lone surrogate) is escaped instead of refused."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)


def load(text: str) -> Any:
    """What `dump` wrote. ValueError where it is no JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def cells_to_json(cells: Sequence[str]) -> str:
    """A row's cells, an array; where some held no text, that array and their places: `[[…],[0,3]]`."""
    if StoredText not in map(type, cells):
        return dump(cells)
    return dump([cells, [n for n, cell in enumerate(cells) if type(cell) is StoredText]])


def cells_from_json(text: str) -> tuple[str, ...]:
    """The cells that `cells_to_json` wrote. ValueError or TypeError where it is another text."""
    cells = load(text)
    if not cells or type(cells[0]) is not list:
        return tuple(cells)
    cells, stored = cells
    for n in stored:
        cells[n] = StoredText(cells[n])
    return tuple(cells)


def encode(value: Value | Unknown | Held) -> Any:
    """A value as JSON: itself where JSON has it, else an object with one key."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is int and _LEAST <= value <= _MOST:  # type: ignore[operator]
        return value
    if kind is float and math.isfinite(value):  # type: ignore[arg-type]
        return value
    return _tagged(value)


def _tagged(value: Value | Unknown | Held) -> Any:  # noqa: PLR0911
    match value:
        case Created(change=change):
            return {"change": change}
        case Unknown():
            return {"unknown": True}
        case Lookup():
            found = [encode(one) for one in value.values]
            parts = [value.entity, list(value.fields), found, value.column, value.allows_inactive]
            return {"lookup": parts}
        case FromStep():
            return {"from": [value.step, list(value.key), value.column]}
        case Held():
            return {"held": _held_parts(value)}
        case str():  # an enumeration's text
            return str(value)
        case int():
            return {"int": hex(value)}
        case float():
            return {"float": repr(value)}
    raise TypeError(f"a plan cannot hold a value of type {type(value).__name__}")


def _held_parts(held: Held) -> list[Any]:
    """Names once, and of each record its id and its values."""
    names = sorted({name for record in held.records.values() for name in record})
    rows = [
        [id, *(encode(record.get(name)) for name in names)] for id, record in sorted(held.records.items())
    ]
    return [names, rows]


def _held_of(parts: Sequence[Any]) -> Held:
    names, rows = parts
    return Held(records={id: dict(zip(names, map(decode, values), strict=True)) for id, *values in rows})


_TAGS: Mapping[str, Callable[[Any], Value | Unknown | Held]] = {
    "held": _held_of,
    "change": lambda change: Created(change=change),
    "unknown": lambda _: UNKNOWN,
    "int": lambda text: int(text, 16),
    "float": float,
    "from": lambda parts: FromStep(step=parts[0], key=tuple(parts[1]), column=parts[2]),
    "lookup": lambda parts: Lookup(
        entity=parts[0],
        fields=tuple(parts[1]),
        values=tuple(decode(one) for one in parts[2]),
        column=parts[3],
        allows_inactive=parts[4],
    ),
}


def decode(value: Any) -> Any:
    """What `encode` was given."""
    if type(value) is dict:
        ((tag, content),) = value.items()
        return _TAGS[tag](content)
    return value


def encoded(values: Mapping[str, Value | Unknown | Held]) -> dict[str, Any]:
    """Values by field as JSON."""
    return {name: encode(value) for name, value in values.items()}


def decoded(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `encoded` was given."""
    return {name: decode(value) for name, value in values.items()}


_PLAIN_FIELDS = ("marker", "cleared", "waits_for", "barrier", "moved", "notes")


def premise_parts(premise: Premise) -> list[Any]:
    """As JSON; what it does not have at its end is left out."""
    parts: list[Any] = [premise.entity, premise.id, encoded(premise.values)]
    more = [
        None if premise.tally is None else _tally_parts(premise.tally),
        [premise.lost_by, encoded(premise.loses)] if premise.loses else None,
        encoded(premise.beside) or None,
    ]
    while more and more[-1] is None:
        more.pop()
    return parts + more


def _tally_parts(tally: Tally) -> list[Any]:
    return [
        *(tally.entity, tally.parent, tally.field, encode(tally.unless), tally.word),
        *(list(tally.keeps), None if tally.held is None else _held_parts(tally.held)),
    ]


def premise_of(parts: Sequence[Any] | None) -> Premise | None:
    """What `premise_parts` gave."""
    if parts is None:
        return None
    entity, id, values, *more = parts
    tally, loses, beside = (more + [None] * 3)[:3]
    return Premise(
        entity=entity,
        id=id,
        values=decoded(values),
        tally=_tally_of(tally),
        loses=decoded(loses[1]) if loses else {},
        lost_by=loses[0] if loses else "",
        beside=decoded(beside or {}),
    )


def _tally_of(parts: Sequence[Any] | None) -> Tally | None:
    if parts is None:
        return None
    entity, parent, field, unless, word, *more = parts
    keeps, held = more if len(more) > 1 else ((), None)  # a plan of format 4 has the number of records there
    return Tally(
        entity=entity,
        parent=parent,
        field=field,
        unless=decode(unless),
        word=word,
        keeps=tuple(keeps),
        held=None if held is None else _held_of(held),
    )


def change_to_json(change: Change) -> str:
    """One change as stored: its number is the row's key, and what is at its default is left out."""
    data: dict[str, Any] = {"step": change.step, "entity": change.entity, "action": change.action.value}
    if change.line is not None:
        data["line"] = change.line
    if change.file:
        data["file"] = change.file
    if change.sheet:
        data["sheet"] = change.sheet
    if change.id is not None:
        data["id"] = encode(change.id)
    if change.key:
        data["key"] = encoded(change.key)
    if change.fields:
        data["fields"] = {
            name: (encode(diff.before), encode(diff.after)) for name, diff in change.fields.items()
        }
    if change.parent is not None:
        data["parent"] = encode(change.parent)
    if change.impersonate is not None:
        data["impersonate"] = encode(change.impersonate)
    if change.premise is not None:
        data["premise"] = premise_parts(change.premise)
    if change.reason is not None:
        data["reason"] = change.reason
    for name in _PLAIN_FIELDS:
        if value := getattr(change, name):
            data[name] = value
    return dump(data)


def change_from_json(n: int, text: str) -> Change:
    """The change that `change_to_json` wrote. ValueError, KeyError or TypeError where it is another text."""
    data: dict[str, Any] = load(text)
    fields = {
        name: FieldDiff(before=decode(before), after=decode(after))
        for name, (before, after) in data.get("fields", {}).items()
    }
    return Change(
        n=n,
        step=data["step"],
        entity=data["entity"],
        action=Action(data["action"]),
        line=data.get("line"),
        file=data.get("file", ""),
        sheet=data.get("sheet", ""),
        id=decode(data.get("id")),
        key=decoded(data.get("key", {})),
        fields=fields,
        parent=decode(data.get("parent")),
        impersonate=decode(data.get("impersonate")),
        cleared=tuple(data.get("cleared", ())),
        premise=premise_of(data.get("premise")),
        marker=data.get("marker", ""),
        waits_for=tuple(data.get("waits_for", ())),
        barrier=data.get("barrier", 0),
        moved=data.get("moved", NOT_MOVED),
        reason=data.get("reason"),
        notes=tuple(data.get("notes", ())),
    )
