"""The tenant's own metadata as an `Entity`: it wins over the catalog, which adds what metadata lacks. Pure.

Sources: REST_EntityInformationCall.htm, live captures of `entityInformation/fields`, and
UserdefinedFieldsUDFs.htm for the other shape of user-defined fields (`type` for `dataType`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from bulkops.schema import Entity, Field, FieldType, PicklistValue
from bulkops.targets.autotask.catalog import Catalog, stored_type
from bulkops.targets.autotask.route import UDF

_NONE = ("none", "0")  # userAccessFor…: the word, or the documented number
_RESTRICTED = ("restricted", "2")
_ACTIONS = {"create": "Create", "update": "Update", "delete": "Delete"}
_TYPES = {
    "float": FieldType.DOUBLE, "number": FieldType.DOUBLE, "numeric": FieldType.DOUBLE,
    "int": FieldType.INTEGER, "bool": FieldType.BOOLEAN, "date": FieldType.DATETIME,
}  # fmt: skip


def live_entity(
    known: Entity,
    catalog: Catalog,
    *,
    info: Mapping[str, Any],
    fields: Iterable[Mapping[str, Any]],
    udfs: Iterable[Mapping[str, Any]] = (),
) -> Entity:
    """`known` with what the tenant says: actions and fields. Each argument is the inside of one answer.

    Fields that only the catalog has are dropped, but for a parent's id that travels in the path only.
    """
    made = {field.name: field for field in (_field(item, known, catalog) for item in fields)}
    for field in known.fields.values():
        if field.is_path_only and field.name not in made:
            made[field.name] = field
    for item in udfs:
        field = _udf(item, known, catalog)
        made[field.name] = field
    return replace(
        known,
        can=MappingProxyType(
            {action: where for action, where in known.can.items() if _may(info, _ACTIONS[action])}
        ),
        is_queryable=known.is_queryable and _may(info, "Query"),
        fields=MappingProxyType(_with_spelled_parents(made)),
        is_live=True,
        is_restricted=_access(info, "Query") in _RESTRICTED,
    )


def _may(info: Mapping[str, Any], action: str) -> bool:
    """Whether neither the tenant nor the API user's security level forbids it. Silence allows."""
    return info.get(f"can{action}") is not False and _access(info, action) not in _NONE


def _access(info: Mapping[str, Any], action: str) -> str:
    return str(info.get(f"userAccessFor{action}", "")).casefold()


def _field(item: Mapping[str, Any], known: Entity, catalog: Catalog) -> Field:
    """A field as the tenant describes it; what no metadata says comes from the catalog."""
    name = str(item["name"])
    old = known.find(name)
    said = _said(item, catalog)
    if old is None:
        return Field(name=name, **said)
    if not item.get("label"):
        said["label"] = old.label
    if said["picklist"] == ():
        said["picklist"] = old.picklist or ()
    return replace(old, **{**said, "name": old.name, "reference": said["reference"] or old.reference})


def _udf(item: Mapping[str, Any], known: Entity, catalog: Catalog) -> Field:
    said = _said(item, catalog)
    if known.name != "CompanySiteConfigurations":  # required in the web pages only, but for this entity
        said["is_required"] = False
    is_date = said["type"] is FieldType.DATETIME  # of a user-defined date there is no time
    return Field(name=f"{UDF}{item['name']}", is_date_only=is_date, **said)


def _said(item: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    reference = str(item.get("referenceEntityType") or "") if item.get("isReference", True) else ""
    entity = catalog.find(reference) if reference else None
    said = _type(str(item.get("dataType") or item.get("type") or "string"))
    return {
        "type": stored_type(said, entity.name if entity else ""),
        "length": int(item.get("length") or 0),
        "is_required": bool(item.get("isRequired")),
        "is_read_only": bool(item.get("isReadOnly")),
        "is_queryable": item.get("isQueryable") is not False,
        "reference": entity.name if entity else reference,
        "picklist": _picklist(item.get("picklistValues") or ()) if item.get("isPickList") else None,
        "picklist_parent": str(item.get("picklistParentValueField") or ""),
        "label": str(item.get("label") or ""),
    }


def _type(name: str) -> FieldType:
    """The data type; one that is not known is carried as text, which alters nothing."""
    folded = name.casefold()
    try:
        return FieldType(folded)
    except ValueError:
        return _TYPES.get(folded, FieldType.STRING)


def _picklist(values: Iterable[Mapping[str, Any]]) -> tuple[PicklistValue, ...]:
    return tuple(
        PicklistValue(
            value=str(value["value"]),
            label=str(value.get("label") or ""),
            is_active=value.get("isActive") is not False,
            is_system=bool(value.get("isSystem")),
            parent=str(value.get("parentValue") or ""),
        )
        for value in values
    )


def _with_spelled_parents(fields: dict[str, Field]) -> dict[str, Field]:
    """Metadata spells a picklist's parent field as the older API does (IssueType); here as the field is."""
    spelled = {field.soap_name.casefold(): name for name, field in fields.items() if field.soap_name}
    spelled |= {name.casefold(): name for name in fields}
    return {
        name: replace(
            field, picklist_parent=spelled.get(field.picklist_parent.casefold(), field.picklist_parent)
        )
        if field.picklist_parent
        else field
        for name, field in fields.items()
    }
