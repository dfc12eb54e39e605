"""Where a write goes and what its body holds: root or parent's collection, id in the body, UDFs apart. Pure.

Sources: REST_Resource_Child_Access_URLs.htm, the vendor's Swagger (no PATCH on an item's path; PUT is
never used, since it clears what it does not name), UserdefinedFieldsUDFs.htm.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bulkops.errors import RejectedError
from bulkops.record import Scalar
from bulkops.schema import Entity

VERSION = "/V1.0"
UDF = "udf:"


def create_path(entity: Entity, parent: int | None) -> str:
    """The collection that a record is POSTed to. RejectedError where there is none, or no parent's id."""
    return _collection(entity, "create", parent)


def update_path(entity: Entity, parent: int | None) -> str:
    """The collection that is PATCHed, with the id in the body."""
    return _collection(entity, "update", parent)


def delete_path(entity: Entity, id: int, parent: int | None) -> str:
    return f"{_collection(entity, 'delete', parent)}/{id}"


def parent_of(entity: Entity, values: Mapping[str, Scalar], parent: int | None) -> int | None:
    """The parent's id: as given, else as the record itself names it."""
    if parent is None and entity.parent is not None:
        named = values.get(entity.parent.field)
        return named if isinstance(named, int) else None
    return parent


def create_body(entity: Entity, values: Mapping[str, Scalar], parent: int | None) -> dict[str, Any]:
    """Values, the parent's id where records hold it (Tasks require it in path and body), UDFs as a list."""
    body = _body(entity, values)
    if parent is not None and entity.parent is not None and not _is_path_only(entity):
        body[entity.parent.field] = parent
    body.pop("id", None)  # a create with an id fails
    return body


def update_body(entity: Entity, id: int, values: Mapping[str, Scalar]) -> dict[str, Any]:
    """Only what changes, and the id."""
    return {**_body(entity, values), "id": id}


def _collection(entity: Entity, action: str, parent: int | None) -> str:
    where = entity.can.get(action)
    if where is None:
        raise RejectedError(f"the API cannot {action} {entity.name}", known=True)
    if "child" in where and entity.parent is not None:
        first, last = entity.parent.path
        if parent is not None:
            return f"{VERSION}/{first}/{parent}/{last}"
        if where == "child":
            message = (
                f"{entity.name} is written through {first}, and this record names no {entity.parent.field}"
            )
            raise RejectedError(message, known=True)
    return f"{VERSION}/{entity.name}"


def _is_path_only(entity: Entity) -> bool:
    assert entity.parent is not None
    field = entity.find(entity.parent.field)
    return field is not None and field.is_path_only


def _body(entity: Entity, values: Mapping[str, Scalar]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    udfs = []
    for name, value in values.items():
        if name.startswith(UDF):
            udfs.append({"name": name[len(UDF) :], "value": udf_text(value)})
        else:
            body[name] = value
    if udfs:
        body["userDefinedFields"] = udfs
    if entity.parent is not None and entity.parent.field in body and _is_path_only(entity):
        del body[entity.parent.field]
    return body


def udf_text(value: Scalar) -> str | None:
    """A user-defined field's value as it travels: text or null, whatever its type."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):  # digits only: 0.0000001 and not 1e-07
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return str(value)
