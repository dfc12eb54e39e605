"""Generates `catalog.json` from the vendor's machine-readable documents. Never imported by the product.

Run it from the project's root when the documents change:

    uv run python -m bulkops.data.generate ../shared/autotask

The input is a folder with `catalog.json` (joined from the vendor's Swagger, a live field dump and a
client generated from a live tenant) and `picklists.json` (the few picklist values public sources show).
The output holds facts only: names, paths, verbs, types, lengths, flags.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).with_name("catalog.json")

# Facts that only the help pages state, by entity and field.
DATE_ONLY = {
    "Projects": ("startDateTime", "endDateTime"),  # ProjectsEntity.htm: any time component is ignored
    "Tasks": ("endDateTime",),  # TaskEntity.htm: midnight applied
    "Phases": ("dueDate",),  # PhasesEntity.htm: midnight applied
}
RICH_TEXT = {  # _EntitiesOverview.htm: a write replaces rich text by plain text
    "Tasks": ("description",),
    "Tickets": ("description", "resolution"),
    "TaskNotes": ("description",),
    "TicketNotes": ("description",),
    "ProjectNotes": ("description",),
}
FIXED_ON_UPDATE = {  # metadata says writable, the help page says an update is an error
    "Tasks": ("projectID",),
}
NOT_QUERYABLE = {"Contacts": ("isOptedOutFromBulkEmail", "solicitationOptOut", "surveyOptOut")}
IMPERSONATION = {  # _EntitiesOverview.htm, singular there
    "AttachmentInfo", "Companies", "CompanyNotes", "CompanyToDos", "Contacts", "ContractNotes",
    "ConfigurationItems", "ConfigurationItemNotes", "InventoryItems", "InventoryLocations",
    "Opportunities", "Products", "ProductNotes", "Projects", "ProjectNotes", "PurchaseOrders",
    "Quotes", "SalesOrders", "ServiceCalls", "Subscriptions", "TaskNotes", "Tickets", "TicketNotes",
    "TimeEntries",
}  # fmt: skip
UDF_LIMIT = {
    "Companies": 200, "CompanySiteConfigurations": 500, "Contacts": 100, "Contracts": 50,
    "ConfigurationItems": 500, "Opportunities": 200, "Projects": 200, "Products": 200,
    "SalesOrders": 100, "Subscriptions": 100, "Tasks": 100, "Tickets": 300,
}  # fmt: skip
PARENT_FIELD = {  # where the route's parameter is not a field's name
    "TaskPredecessors": "successorTaskID",  # the collection of a task lists what must come before it
    "ServiceLevelAgreementResults": "ticketID",
    "ExpenseItems": "expenseReportID",
    "CompanyWebhookExcludedResources": "webhookID",  # the route table names the resource
    "ContactWebhookExcludedResources": "webhookID",
}
PLURAL_PARENT = {"Expenses": "ExpenseReports", "UserDefinedFields": "UserDefinedFieldDefinitions"}


def generate(folder: Path) -> dict[str, Any]:
    """The catalog as the package ships it: `{"entities": {name: entity}}`."""
    source = json.loads((folder / "catalog.json").read_text("utf-8"))
    picklists: dict[tuple[str, str], list[dict[str, Any]]] = {
        (entry["entity"], entry["field"]): entry["values"]
        for entry in json.loads((folder / "picklists.json").read_text("utf-8"))["picklists"]
    }
    entities = {}
    for entry in sorted(source["entities"], key=lambda item: str(item["name"])):
        entities[entry["name"]] = _entity(entry, picklists)
    for entity in entities.values():  # the older API's dump names another parent in places
        if (parent := entity.get("parent")) and parent["entity"] in entities:
            entity["fields"][parent["field"]]["ref"] = parent["entity"]
    return {"entities": entities}


def _entity(entry: dict[str, Any], picklists: dict[tuple[str, str], list[dict[str, Any]]]) -> dict[str, Any]:
    name = entry["name"]
    methods = entry["methods"]
    entity: dict[str, Any] = {
        "soap": entry.get("soapEntity") or _singular(name),
        "can": {action: where for action, where in entry["can"].items() if where},
        "root": methods["root"],
        "item": methods["item"],
        "query": methods["query"],
        "count": methods["count"],
    }
    missing = [part for part in ("entityInformation", "fields", "userDefinedFields") if not methods.get(part)]
    if missing:
        entity["noMetadata"] = missing
    if entry.get("otherPaths"):
        entity["other"] = entry["otherPaths"]
    fields = {field["name"]: _field(name, field, picklists) for field in entry.get("fields") or ()}
    fields.pop("userDefinedFields", None)
    if entry.get("parentPaths"):
        (parent,) = entry["parentPaths"]
        route = parent["path"].removeprefix("/V1.0/").split("/")
        field = _parent_field(entry, route[0], fields)
        entity["parent"] = {
            "entity": PLURAL_PARENT.get(route[0], route[0]),
            "path": [route[0], route[2]],
            "collection": parent["collection"],
            "item": parent["item"],
            "field": field,
        }
        if field not in fields:  # the id travels in the path only
            fields[field] = {"type": "integer", "required": True, "readOnly": True, "pathOnly": True}
    if name in UDF_LIMIT:
        entity["udf"] = UDF_LIMIT[name]
    if name in IMPERSONATION:
        entity["impersonation"] = True
    entity["fields"] = fields
    return entity


def _field(
    entity: str, field: dict[str, Any], picklists: dict[tuple[str, str], list[dict[str, Any]]]
) -> dict[str, Any]:
    name = field["name"]
    known = picklists.get((entity, name))
    data_type = field.get("dataType") or field["type"]
    made: dict[str, Any] = {
        "type": "double" if data_type == "float" else data_type,
        "length": field.get("length") or None,
        "required": bool(field.get("required") or field.get("required2023")),
        "readOnly": bool(field.get("readOnly")) or name == "id",
        "ref": field.get("reference"),
        "picklistParent": field.get("picklistParent"),
        "soap": field.get("soapName"),
        "label": field.get("label"),
        "webhook": bool(field.get("webhookField")),
        "dateOnly": name in DATE_ONLY.get(entity, ()),
        "richText": name in RICH_TEXT.get(entity, ()),
        "fixed": name in FIXED_ON_UPDATE.get(entity, ()),
        "unconfirmed": "metadata" in field,  # the Swagger names it, no live metadata was seen
    }
    made = {key: value for key, value in made.items() if value}
    if field.get("queryable") is False or name in NOT_QUERYABLE.get(entity, ()):
        made["queryable"] = False
    if field.get("picklist") or known:  # an empty list: a picklist whose values only the tenant knows
        made["picklist"] = [_picklist_value(value) for value in known or ()]
    return made


def _picklist_value(value: dict[str, Any]) -> dict[str, Any]:
    made = {"value": value["value"], "label": value["label"]}
    if value.get("isSystem"):
        made["system"] = True
    if value.get("isActive") is False:
        made["active"] = False
    return made


def _parent_field(entry: dict[str, Any], parent: str, fields: dict[str, Any]) -> str:
    """The field that holds the parent's id, spelled as the entity spells it."""
    wanted = PARENT_FIELD.get(entry["name"]) or entry.get("parentIdField") or ""
    singular = _singular(parent)
    by_reference = [n for n, f in fields.items() if f.get("ref") == PLURAL_PARENT.get(parent, parent)]
    attachment = "parentID" if entry["name"].endswith("Attachments") else ""
    older = {  # the parent's name in some field names
        "KnowledgeBaseArticles": "articleID",
        "KnowledgeBaseCategories": "articleCategoryID",
        "ConfigurationItems": "installedProductID",
    }.get(parent, "webhookID" if parent.endswith("Webhooks") else "")
    for candidate in (wanted, singular + "ID", attachment, older):
        for name in fields:
            if name.lower() == candidate.lower():
                return name
    if len(by_reference) == 1:
        return by_reference[0]
    return wanted or singular[0].lower() + singular[1:] + "ID"


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return name[:-3] + "y"
    if name.endswith("xes"):
        return name[:-2]
    return name.removesuffix("s")


def write(catalog: dict[str, Any], path: Path = OUTPUT) -> None:
    """One line an entity: compact, and a change is readable in a diff."""
    lines = ['{"entities": {']
    names = list(catalog["entities"])
    for name in names:
        text = json.dumps(catalog["entities"][name], ensure_ascii=False, separators=(",", ":"))
        lines.append(f"{json.dumps(name)}: {text}{'' if name == names[-1] else ','}")
    lines.append("}}")
    path.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bulkops.data.generate FOLDER")
    write(generate(Path(sys.argv[1])))
