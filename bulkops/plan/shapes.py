"""What a plan keeps of its entities' shapes: as much as it takes to recognise a record. Pure.

Applying needs to read records back and compare them with the plan's values, and to know no more of the
tenant's metadata than that: so it costs no call to ask for it again, and it is what the plan was made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bulkops.schema import Entity, Field, FieldType, Parent

_TRUTHS = ("is_date_only", "is_rich_text", "is_path_only", "is_read_only")
_WHO = ("lastActivityResourceID", "lastModifiedByResourceID", "lastActivityBy", "lastModifiedBy")


def facts_of(entity: Entity, names: Iterable[str]) -> dict[str, Any]:
    """The entity with these fields, as JSON. Names that it does not have are left out."""
    found = (entity.find(name) for name in (*names, *_always(entity)))
    return {
        "is_queryable": entity.is_queryable,
        **({"is_restricted": True} if entity.is_restricted else {}),
        "parent": entity.parent.field if entity.parent else None,
        "fields": {field.name: _field_facts(field) for field in found if field is not None},
    }


def merged(one: Mapping[str, Any] | None, other: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of two steps about one entity."""
    return {**other, "fields": {**(one or {}).get("fields", {}), **other["fields"]}}


def entity_of(name: str, facts: Mapping[str, Any]) -> Entity:
    """What `facts_of` wrote, as far as reading and comparing go: it can neither be written nor described."""
    parent = facts["parent"]
    return Entity(
        name=name,
        singular=name,
        can={},
        is_queryable=facts["is_queryable"],
        is_restricted=facts.get("is_restricted", False),
        parent=Parent(entity="", path=("", ""), field=parent, methods=frozenset(), item_methods=frozenset())
        if parent
        else None,
        fields={name: _field_of(name, data) for name, data in facts["fields"].items()},
    )


def _always(entity: Entity) -> list[str]:
    creator, parent = entity.creator_field(), entity.parent
    return ["id", *_WHO, *([creator.name] if creator else []), *([parent.field] if parent else [])]


def _field_facts(field: Field) -> dict[str, Any]:
    truths = {name: True for name in _TRUTHS if getattr(field, name)}
    unreadable = {} if field.is_queryable else {"is_queryable": False}
    refers = {"reference": field.reference} if field.reference else {}
    return {"type": field.type.value, **truths, **unreadable, **refers}


def _field_of(name: str, data: Mapping[str, Any]) -> Field:
    return Field(**{**data, "name": name, "type": FieldType(data["type"])})
