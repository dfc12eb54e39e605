"""What is known of all entities without asking a tenant: names, routes, verbs, fields, aliases.

Read once from the data file that the package ships; the tenant's own metadata (`metadata`) is preferred.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from bulkops.schema import Entity, Field, FieldType, Parent, PicklistValue


class Catalog:
    """Every entity by its exact REST name; `find` is generous, `entities` is not."""

    def __init__(self, entities: Mapping[str, Entity]) -> None:
        self.entities = MappingProxyType(dict(entities))
        self._folded = _index(self.entities)

    def find(self, name: str) -> Entity | None:
        """The entity of that REST name, older API's name or singular, case ignored."""
        return self.entities.get(name) or self._folded.get(name.casefold())

    def suggest(self, name: str, *, limit: int = 3) -> list[str]:
        """REST names that may have been meant by `name`, the likeliest first."""
        found = self.find(name)
        if found is not None:
            return [found.name]
        spellings = {key: entity.name for key, entity in self._folded.items()}
        spellings |= {f"{key}s": name for key, name in spellings.items() if f"{key}s" not in spellings}
        close = difflib.get_close_matches(name.casefold(), spellings, n=4 * limit, cutoff=0.6)
        return list(dict.fromkeys(spellings[key] for key in close))[:limit]


@cache
def load_catalog() -> Catalog:
    """The catalog of the package, read once."""
    text = resources.files("bulkops.data").joinpath("catalog.json").read_text("utf-8")
    facts = json.loads(text)["entities"]
    return Catalog({name: _entity(name, entity) for name, entity in facts.items()})


def _index(entities: Mapping[str, Entity]) -> dict[str, Entity]:
    """Spelling to entity; an exact name is never hidden by another entity's alias."""
    folded = {entity.name.casefold(): entity for entity in entities.values()}
    for entity in entities.values():
        folded.setdefault(entity.singular.casefold(), entity)
    for entity in entities.values():
        folded.setdefault(_singular(entity.name).casefold(), entity)
    return folded


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return name[:-3] + "y"
    if name.endswith("xes"):
        return name[:-2]
    return name.removesuffix("s")


def _entity(name: str, facts: Mapping[str, Any]) -> Entity:
    return Entity(
        name=name,
        singular=facts["soap"],
        can=MappingProxyType({action: where for action, where in facts["can"].items() if action != "query"}),
        is_queryable=bool(facts["can"].get("query")),
        parent=_parent(facts["parent"]) if "parent" in facts else None,
        has_udfs=bool(facts.get("udf")),
        can_impersonate=bool(facts.get("impersonation")),
        fields=MappingProxyType({key: _field(key, value) for key, value in facts["fields"].items()}),
    )


def _parent(facts: Mapping[str, Any]) -> Parent:
    first, last = facts["path"]
    return Parent(
        entity=facts["entity"],
        path=(first, last),
        field=facts["field"],
        methods=frozenset(facts["collection"]),
        item_methods=frozenset(facts["item"]),
    )


def stored_type(said: FieldType, reference: str) -> FieldType:
    """A reference is an id, and the API keeps and finds it as a number.

    Metadata may call it a text all the same (ContractNotes.contractID: string(25) in the field dump of a live
    tenant, integer in the Swagger document), and a text finds no number (REST-FACTS 3.2).
    """
    return FieldType.INTEGER if reference and said is FieldType.STRING else said


def _field(name: str, facts: Mapping[str, Any]) -> Field:
    return Field(
        name=name,
        type=stored_type(FieldType(facts["type"]), facts.get("ref", "")),
        length=facts.get("length", 0),
        is_required=facts.get("required", False),
        is_read_only=facts.get("readOnly", False),
        is_queryable=facts.get("queryable", True),
        is_fixed=facts.get("fixed", False),
        is_date_only=facts.get("dateOnly", False),
        is_rich_text=facts.get("richText", False),
        is_path_only=facts.get("pathOnly", False),
        reference=facts.get("ref", ""),
        picklist=_picklist(facts["picklist"]) if "picklist" in facts else None,
        picklist_parent=facts.get("picklistParent", ""),
        label=facts.get("label", ""),
        soap_name=facts.get("soap", ""),
    )


def _picklist(values: Iterable[Mapping[str, Any]]) -> tuple[PicklistValue, ...]:
    return tuple(
        PicklistValue(
            value=str(value["value"]),
            label=value["label"],
            is_active=value.get("active", True),
            is_system=value.get("system", False),
        )
        for value in values
    )
