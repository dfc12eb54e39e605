"""What the service says about itself: entities, fields, UDFs, picklists, zone, thresholds, versions.

Shapes: the vendor's Swagger and REST_EntityInformationCall.htm; picklist values and parent values are text
even where records hold numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bulkops.simulator.catalog import Shape, entries, shapes
from bulkops.simulator.limits import Window
from bulkops.simulator.store import Store

MODULES = 30  # how many modules there are is the tenant's own matter


def information(store: Store, entity: str) -> dict[str, Any]:
    """`{"info": …}` of one entity."""
    shape = shapes()[entity]
    can = shape.entry["can"]
    able = {action: bool(can.get(action)) for action in ("create", "delete", "query", "update")}
    info: dict[str, Any] = {"name": entity}
    info |= {f"can{action.title()}": allowed for action, allowed in able.items()}
    info |= {
        f"userAccessFor{action.title()}": "All" if allowed else "None" for action, allowed in able.items()
    }
    if able["query"] and store.switches.is_restricted(entity):
        info["userAccessForQuery"] = "Restricted"
    info["hasUserDefinedFields"] = shape.has_udfs and bool(store.udfs.get(entity))
    info["supportsWebhookCallouts"] = any(facts.get("webhook") for facts in shape.fields.values())
    return {"info": info}


def all_information(store: Store) -> dict[str, Any]:
    return {"entityDescriptions": [information(store, entity) for entity in entries()]}


def fields(store: Store, entity: str) -> dict[str, Any]:
    """`{"fields": …}` of one entity: every field that its records show."""
    shape = shapes()[entity]
    picklists = store.picklists.get(entity, {})
    return {
        "fields": [
            _field(shape, name, facts, picklists.get(name))
            for name, facts in shape.fields.items()
            if name not in shape.hidden
        ]
    }


def _field(
    shape: Shape, name: str, facts: Mapping[str, Any], values: list[dict[str, Any]] | None
) -> dict[str, Any]:
    is_picklist = "picklist" in facts or values is not None
    return {
        "name": name,
        "dataType": facts["type"],
        "length": facts.get("length", 0),
        "isRequired": bool(facts.get("required")),
        "isReadOnly": bool(facts.get("readOnly")),
        "isQueryable": facts.get("queryable", True),
        "isReference": "ref" in facts,
        "referenceEntityType": _singular(facts["ref"]) if "ref" in facts else "",
        "isPickList": is_picklist,
        "picklistValues": [_picklist_value(value, place) for place, value in enumerate(values or (), 1)]
        if is_picklist
        else None,
        "picklistParentValueField": facts.get("picklistParent") or "",
        "isSupportedWebhookField": bool(facts.get("webhook")),
    }


def _singular(entity: str) -> str:
    return shapes()[entity].singular if entity in shapes() else entity.removesuffix("s")


def _picklist_value(value: Mapping[str, Any], place: int) -> dict[str, Any]:
    return {
        "value": str(value["value"]),
        "label": str(value["label"]),
        "isDefaultValue": bool(value.get("isDefaultValue", False)),
        "sortOrder": int(value.get("sortOrder", place)),
        "parentValue": str(value.get("parentValue") or ""),
        "isActive": bool(value.get("isActive", True)),
        "isSystem": bool(value.get("isSystem", False)),
    }


def user_defined_fields(store: Store, entity: str) -> dict[str, Any]:
    """`{"fields": …}`: the UDFs of one entity; none where it cannot have any."""
    return {"fields": [_udf(definition) for definition in store.udfs.get(entity, ())]}


def _udf(definition: Mapping[str, Any]) -> dict[str, Any]:
    values = definition.get("picklistValues")
    kind = str(definition.get("type") or "string").casefold()
    is_picklist = bool(values) or kind in ("list", "picklist") or bool(definition.get("isPickList"))
    return {
        "name": definition["name"],
        "label": definition.get("label") or definition["name"],
        "type": "string" if kind in ("list", "picklist") else kind,
        "length": definition.get("length", 0),
        "description": definition.get("description") or "",
        "isRequired": bool(definition.get("isRequired", False)),
        "isReadOnly": bool(definition.get("isReadOnly", False)),
        "isQueryable": definition.get("isQueryable", True),
        "isReference": bool(definition.get("isReference", False)),
        "referenceEntityType": definition.get("referenceEntityType") or "",
        "isPickList": is_picklist,
        "picklistValues": [_picklist_value(value, place) for place, value in enumerate(values or (), 1)]
        if is_picklist
        else None,
        "picklistParentValueField": definition.get("picklistParentValueField") or "",
        "defaultValue": definition.get("defaultValue"),
        "isSupportedWebhookField": bool(definition.get("isSupportedWebhookField", False)),
    }


def zone(url: str, ci: int) -> dict[str, Any]:
    """`url` ends with a slash, as the vendor's do."""
    return {"zoneName": "Simulator", "url": url, "webUrl": url, "ci": ci}


def threshold(window: Window) -> dict[str, Any]:
    return {
        "externalRequestThreshold": window.threshold,
        "requestThresholdTimeframe": window.minutes(),
        "currentTimeframeRequestCount": window.used(),
    }


def modules() -> dict[str, Any]:
    return {"modules": [{"key": key, "value": True} for key in range(1, MODULES + 1)]}


def version() -> dict[str, Any]:
    return {"majorVersion": "2026", "minorVersion": "3", "build": "0"}


def versions() -> dict[str, Any]:
    return {"apiVersions": ["V1.0"]}
