"""The shape of an entity: its fields, its routes, what can be done with it.

Made from the shipped catalog (offline) or from the tenant's own metadata (preferred); frozen, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from bulkops.wording import nearest

SHORT = 3  # letters that stand in too many names to tell one


class FieldType(StrEnum):
    """The API's data types. JSON: numbers for the first five, text for string, datetime, bytes."""

    INTEGER = "integer"
    LONG = "long"
    SHORT = "short"
    DECIMAL = "decimal"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    STRING = "string"
    DATETIME = "datetime"
    BYTES = "byte[]"

    @property
    def is_whole(self) -> bool:
        return self in (FieldType.INTEGER, FieldType.LONG, FieldType.SHORT)

    @property
    def is_fraction(self) -> bool:
        return self in (FieldType.DECIMAL, FieldType.DOUBLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PicklistValue:
    value: str  # text, as the metadata has it; records hold the number
    label: str
    is_active: bool = True
    is_system: bool = False
    parent: str = ""  # the parent field's value under which this one may be chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `name` is `udf:Name` for a user-defined field."""

    name: str
    type: FieldType
    length: int = 0  # characters; 0: no limit known
    is_required: bool = False  # on create
    is_read_only: bool = False  # required as well: given on create, never changed
    is_queryable: bool = True
    is_fixed: bool = False  # writable on create, an update of it is an error
    is_date_only: bool = False  # the server sets the time to midnight and keeps the date as written
    is_rich_text: bool = False  # a write flattens formatting and drops images
    is_path_only: bool = False  # the parent's id, which travels in the path and is in no record
    reference: str = ""  # the entity whose id it holds
    picklist: tuple[PicklistValue, ...] | None = None  # None: none; (): only the tenant knows
    picklist_parent: str = ""
    label: str = ""
    soap_name: str = ""  # what the older API calls it, where that differs

    @property
    def is_udf(self) -> bool:
        return self.name.startswith("udf:")

    def held(self, item: PicklistValue) -> str:
        """What records hold where `item` was chosen: its value, in a user-defined list its text."""
        return item.label or item.value if self.is_udf else item.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The route through which a child entity is written: `/{path[0]}/{parentId}/{path[1]}`."""

    entity: str  # the parent's entity name
    path: tuple[str, str]
    field: str  # the field of the child that holds the parent's id
    methods: frozenset[str]  # on the collection: GET, POST, PATCH, PUT
    item_methods: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One entity. `can` maps create, update, delete to "root", "child", "root+child"; absent: impossible."""

    name: str
    singular: str  # the older API's name, as in error texts
    can: Mapping[str, str]
    is_queryable: bool
    parent: Parent | None = None
    has_udfs: bool = False
    can_impersonate: bool = False
    is_live: bool = False  # made from the tenant's metadata, not from the catalog
    tenant: str = ""  # whose metadata that is, as the tenants file calls it: for hints
    is_restricted: bool = False  # this API user sees some of its records only (userAccessForQuery Restricted)
    fields: Mapping[str, Field] = field(default_factory=dict)  # by exact name, UDFs as "udf:Name"
    shipped: Entity | None = field(default=None, compare=False, repr=False)
    """The catalog's entity, where this one is the tenant's: messages name both where they differ."""

    @cached_property
    def _folded(self) -> dict[str, Field]:
        return {name.casefold(): item for name, item in self.fields.items()}

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The fields without which the API creates no record."""
        return tuple(item.name for item in self.fields.values() if item.is_required and item.name != "id")

    def find(self, name: str) -> Field | None:
        """The field of that name, case ignored as the API does."""
        return self.fields.get(name) or self._folded.get(name.casefold())

    def meant(self, name: str) -> Field | None:
        """The field that may have been meant: the older API's name first, then the label, then the spelling.

        A name under `udf:` may have been meant without it, and the other way round.
        """
        plain = name.casefold().removeprefix("udf:")
        for said in (_soap_name, _label, _plain_name):
            for item in self.fields.values():
                if plain and plain == said(item):
                    return item
        near = self._longer(plain) or nearest(name, self.fields)
        return self.fields[near] if near else None

    def _longer(self, part: str) -> str:
        """The field whose name begins with `part` or at least holds it; the shortest of them."""
        names = [name for name in self.fields if len(part) > SHORT and part in name.casefold()]
        return min(names, key=lambda name: (not name.casefold().startswith(part), len(name)), default="")

    def active_field(self) -> Field | None:
        """The field that says whether a record is still in use, where the entity has one to be read."""
        found = self.find("isActive")
        return found if found is not None and found.is_queryable else None

    def creator_field(self) -> Field | None:
        """The field in which the server notes who created a record, where the entity has one."""
        return self.find("creatorResourceID") or self.find("createdByResourceID")


def _soap_name(item: Field) -> str:
    return item.soap_name.casefold()


def _label(item: Field) -> str:
    return item.label.casefold()


def _plain_name(item: Field) -> str:
    return item.name.casefold().removeprefix("udf:")
