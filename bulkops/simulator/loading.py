"""Rows, UDFs and picklists from outside (`--load`, the controls) into the store, as they are, without rules.

Everything is read before anything is stored: a fault in one row loads none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from bulkops.simulator.catalog import UDFS, Shape, names, suggest
from bulkops.simulator.store import Store
from bulkops.simulator.validation import edit

PARTS = ("rows", "udf", "picklists")
FOLDED_UDFS = UDFS.casefold()


class LoadError(ValueError):
    """What is wrong with the data, and where in it."""


def read_json(path: Path) -> Any:
    """A JSON file. Raises LoadError that names the file and the place."""
    try:
        return orjson.loads(path.read_bytes())
    except OSError as exc:
        raise LoadError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except orjson.JSONDecodeError as exc:
        raise LoadError(f"{path}:{exc.lineno}:{exc.colno}: no JSON: {exc.msg}") from exc


def load(store: Store, data: Any) -> None:
    """`{"rows": {Entity: […]}, "udf": {Entity: […]}, "picklists": {Entity: {field: […]}}}`, or LoadError."""
    parts = _object(data, "the file")
    for key in parts:
        if key not in PARTS:
            raise LoadError(
                f"{key}: there is no such part{suggest(key, PARTS)}; parts are {', '.join(PARTS)}"
            )
    udfs = _udfs(store, _object(parts.get("udf") or {}, "udf"))
    picklists = _picklists(store, _object(parts.get("picklists") or {}, "picklists"))
    rows = {
        (name := entity(key, "rows")): read_rows(store, name, items, f"rows.{key}")
        for key, items in _object(parts.get("rows") or {}, "rows").items()
    }
    for name, definitions in udfs.items():
        known = {item["name"].casefold(): item for item in store.udfs.get(name, ())}
        known |= {item["name"].casefold(): item for item in definitions}
        store.udfs[name] = list(known.values())
    for name, lists in picklists.items():
        store.picklists.setdefault(name, {}).update(lists)
    for name, items in rows.items():
        put_rows(store, name, items)


def entity(name: str, where: str) -> str:
    """The exact name of an entity. Raises LoadError."""
    found = names().get(str(name).casefold())
    if found is None:
        raise LoadError(f"{where}: there is no entity {name!r}{suggest(str(name), names().values())}")
    return found


def read_rows(store: Store, name: str, items: Any, where: str = "items") -> list[dict[str, Any]]:
    """Rows with exact field names. Raises LoadError that names the row and the field."""
    shape = store.table(name).shape
    if not isinstance(items, list):
        raise LoadError(f"{where}: an array of rows")
    exact: dict[str, str] = {}
    return [_row(shape, item, exact, where, place) for place, item in enumerate(items)]


def _row(shape: Shape, item: Any, exact: dict[str, str], where: str, place: int) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise LoadError(f"{where}[{place}]: a row is an object")
    for key in item:
        if key not in exact:
            exact[key] = _field(shape, key, f"{where}[{place}]")
    row = {exact[key]: value for key, value in item.items()}
    row_id = row.get("id")
    if row_id is not None and (isinstance(row_id, bool) or not isinstance(row_id, int) or row_id < 0):
        raise LoadError(f"{where}[{place}].id: {row_id!r} is no id")
    if row.get(UDFS) is not None:
        row[UDFS] = _udf_values(row[UDFS], f"{where}[{place}].{UDFS}")
    return row


def _field(shape: Shape, key: str, where: str) -> str:
    if shape.has_udfs and key.casefold() == FOLDED_UDFS:
        return UDFS
    found = shape.folded.get(key.casefold())
    if found is None:
        raise LoadError(f"{where}: {shape.name} have no field {key!r}{suggest(key, shape.fields)}")
    return found


def _udf_values(given: Any, where: str) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, list) or not all(isinstance(i, Mapping) and "name" in i for i in given):
        raise LoadError(f'{where}: an array of {{"name": …, "value": …}}')
    return {str(item["name"]): item.get("value") for item in given}


def put_rows(store: Store, name: str, rows: Iterable[Mapping[str, Any]]) -> list[int]:
    """Stores rows under their ids (in place of what is there) or the next ones; answers the ids."""
    table = store.table(name)
    ids = []
    for row in rows:
        row_id = row.get("id")
        if row_id is not None and row_id in table:
            table.delete(row_id)
        ids.append(table.insert(row))
    table.bulk_loaded()
    return ids


def edit_rows(store: Store, name: str, items: Any) -> list[int]:
    """Somebody else changes rows that are there. Raises LoadError, also for a row that is not."""
    table = store.table(name)
    rows = read_rows(store, name, items)
    for place, row in enumerate(rows):
        if row.get("id") not in table:
            raise LoadError(f"items[{place}]: there is no {name} with the id {row.get('id')!r}")
    for row in rows:
        edit(store, name, row["id"], row)
    return [row["id"] for row in rows]


def _udfs(store: Store, parts: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for key, items in parts.items():
        name = entity(key, "udf")
        if not store.table(name).shape.has_udfs:
            raise LoadError(f"udf.{key}: {name} cannot have user-defined fields")
        listed = items if isinstance(items, list) else [items]
        found[name] = [_definition(item, f"udf.{key}[{place}]") for place, item in enumerate(listed)]
    return found


def _definition(item: Any, where: str) -> dict[str, Any]:
    """A UDF as its metadata has it; a name alone is a text field."""
    given = {"name": item} if isinstance(item, str) else item
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str) or not given["name"].strip():
        raise LoadError(f'{where}: a field is {{"name": …, "type": …}} or its name')
    kind = str(given.get("type") or given.get("dataType") or "string").casefold()
    values = given.get("picklistValues")
    listed = [
        _value({"value": value, "label": value} if isinstance(value, str) else value, place, where)
        for place, value in enumerate(values or (), 1)
    ]
    is_picklist = bool(listed) or kind in ("list", "picklist") or bool(given.get("isPickList"))
    return {
        "label": given["name"],
        "length": 0,
        **given,
        "type": "string" if kind in ("list", "picklist") else kind,
        "isPickList": is_picklist,
        "picklistValues": listed if is_picklist else None,
    }


def _picklists(store: Store, parts: Mapping[str, Any]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for key, fields in parts.items():
        name = entity(key, "picklists")
        shape = store.table(name).shape
        for field, values in _object(fields, f"picklists.{key}").items():
            where = f"picklists.{key}.{field}"
            if not isinstance(values, list):
                raise LoadError(f"{where}: an array of values")
            listed = [_value(value, place, where) for place, value in enumerate(values, 1)]
            found.setdefault(name, {})[_field(shape, field, f"picklists.{key}")] = listed
    return found


def _value(value: Any, place: int, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or "value" not in value:
        raise LoadError(f'{where}[{place - 1}]: a value is {{"value": …, "label": …}}')
    return {
        "isDefaultValue": False,
        "sortOrder": place,
        "parentValue": "",
        "isActive": True,
        "isSystem": False,
        **value,
        "value": str(value["value"]),
        "label": str(value.get("label", value["value"])),
    }


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise LoadError(f"{where}: an object")
    return value
