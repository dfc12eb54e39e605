"""The firm that a simulator starts with: a small managed service provider, its people, customers and work.

All names in firm.json are invented. What the API can create is created by the rules of `validation`; what it
cannot (resources, billing codes, countries) is inserted as it is. On purpose there are an inactive resource,
role, contact, location, company and work type, a resource without a role, two of one name, a user who only
calls the API, and projects of every kind: an inactive one, a complete one and a Baseline have open tasks too.
Daniel Osei has two roles, and something of everything that can be handed over.

firm.json is a list of steps, each one entity's rows: `columns` name the fields, `all` holds what is the same
in every row, `kept` rows are inserted as they are. Column `@` is the name others refer to as "@name", column
`^` the parent. A step with `change` updates a record. New steps come last, so that ids stay what they are.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from bulkops.simulator import picklists, validation
from bulkops.simulator.countries import countries
from bulkops.simulator.rules.departments import list_departments
from bulkops.simulator.store import Row, Store
from bulkops.simulator.switches import Switches

ADMINISTRATOR = 4  # the id that the vendor's sample requests use as an owner
RANKS = ("Golden", "Silver", "Bronze")
UDFS = (
    ("Legacy ID", "string"),
    ("Customer Ranking", "list"),
    ("Agreed Hours", "double"),
    ("Reviewed On", "datetime"),
)
UDF_TYPES = {"string": 1, "list": 5, "double": 3, "datetime": 4}  # UserDefinedFieldDefinitions.dataType
UDF_ENTITIES = {"Companies": 1, "Contacts": 2, "Projects": 8, "Tasks": 9, "Tickets": 10}  # its udfType


def found(store: Store, *, empty: bool) -> None:
    """Fills a new store, after `picklists.load`. `empty`: company 0 and one resource only."""
    store.api_resource_id = ADMINISTRATOR
    chosen, store.switches = store.switches, Switches()  # the firm is the same whatever they say
    founder = _Founder(store)
    if not empty:
        _define_udfs(founder)
        for country in countries():
            store.table("Countries").insert(country)
    for step in _steps():
        if step.get("always") or not empty:
            founder.take(step)
    list_departments(store)
    store.switches = chosen
    store.api_resource_id = founder.ids.get("api", ADMINISTRATOR)


class _Founder:
    """Takes one step after the other and remembers ids by name."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ids: dict[str, int] = {}

    def take(self, step: Mapping[str, Any]) -> None:
        if "change" in step:
            self.change(step["entity"], self.known(step["change"]), step["fields"])
            return
        for cells in _rows(step):
            body = {field: self.known(value) for field, value in cells.items() if value is not None}
            name, row_id = body.pop("@", ""), body.pop("id", None)
            if step.get("kept"):
                made = self.keep(step["entity"], row_id, body)
            else:
                made = self.add(step["entity"], row_id, body, parent=body.pop("^", None))
            self.ids[name] = made

    def known(self, value: Any) -> Any:
        """The id that "@name" stands for; any other value as it is."""
        is_name = isinstance(value, str) and value.startswith("@")
        return self.ids[value[1:]] if is_name else value

    def keep(self, entity: str, row_id: int | None, row: Row) -> int:
        return self.store.table(entity).insert({"id": row_id, **row})

    def add(self, entity: str, row_id: int | None, body: Row, *, parent: int | None = None) -> int:
        """Creates a record as a client would. Raises ValueError where a rule refuses it."""
        row, errors = validation.check_create(
            self.store, entity, body, parent_id=parent, actor=ADMINISTRATOR, impersonating=None
        )
        if errors:
            raise ValueError(f"the firm's {entity} {body}: {errors}")
        made = self.keep(entity, row_id, row)
        validation.after_commit(self.store, entity, "create", self.store.table(entity)[made], {})
        return made

    def change(self, entity: str, row_id: int, body: Row) -> None:
        """Updates a record as a client would. Raises ValueError where a rule refuses it."""
        table = self.store.table(entity)
        changes, errors = validation.check_update(
            self.store, entity, table[row_id], body, actor=ADMINISTRATOR, impersonating=None
        )
        if errors:
            raise ValueError(f"the firm's {entity} {row_id}: {errors}")
        table.update(row_id, changes)
        validation.after_commit(self.store, entity, "update", table[row_id], changes)


def _steps() -> list[dict[str, Any]]:
    data = importlib.resources.files("bulkops.simulator").joinpath("firm.json").read_bytes()
    steps: list[dict[str, Any]] = orjson.loads(data)
    return steps


def _rows(step: Mapping[str, Any]) -> Iterator[Row]:
    for cells in step["rows"]:
        yield {**step.get("all", {}), **dict(zip(step["columns"], cells, strict=True))}


def _define_udfs(founder: _Founder) -> None:
    """The same four on five entities: a text, a list, a number, a date."""
    for entity, udf_type in UDF_ENTITIES.items():
        founder.store.udfs[entity] = [udf(name, kind) for name, kind in UDFS]
        for order, (name, kind) in enumerate(UDFS, 1):
            body = {"name": name, "dataType": UDF_TYPES[kind], "udfType": udf_type, "sortOrder": order}
            made = founder.add("UserDefinedFieldDefinitions", None, {**body, "isActive": True})
            for rank in RANKS if kind == "list" else ():
                item = {"valueForDisplay": rank, "valueForExport": rank, "isActive": True}
                founder.add("UserDefinedFieldListItems", None, item, parent=made)


def udf(name: str, kind: str) -> dict[str, Any]:
    """A definition as the metadata shows it. A list item's value is its text, not a number (live report)."""
    is_list = kind == "list"
    items = [picklists.value(rank, rank, order) for order, rank in enumerate(RANKS, 1)]
    return {
        "name": name,
        "label": name,
        "type": "string" if is_list else kind,
        "length": 100 if kind in ("string", "list") else 0,
        "description": "",
        "isRequired": False,
        "isReadOnly": False,
        "isQueryable": True,
        "isReference": False,
        "referenceEntityType": "",
        "isPickList": is_list,
        "picklistValues": items if is_list else None,
        "picklistParentValueField": "",
        "defaultValue": None,
        "isSupportedWebhookField": False,
    }
