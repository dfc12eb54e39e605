"""What is checked of each field, prepared once: type, length, reference, picklist, who writes it.

A write then costs one look-up and one or two calls a field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from bulkops.simulator.catalog import entries
from bulkops.simulator.index import Stored
from bulkops.simulator.rules import rules_of
from bulkops.simulator.rules.base import Rules, dangling, is_inactive, missing, not_listed, too_long
from bulkops.simulator.store import Store
from bulkops.simulator.values import BITS, Reader, reader

Check: TypeAlias = Callable[[Store, Any, list[str]], None]  # a value as stored, the texts to add to

API_LICENSE = 7  # Resources.licenseType of users that only call the API, in the simulated tenant
FIXED = {("Phases", "projectID")}  # beside the catalog's: an error, not ignored (PhasesEntity.htm)
BY_SERVER = {"parentType"}  # required of attachments by the metadata, absent from the vendor's sample
CREATED_AT = {"createDate", "createDateTime", "createdTime", "attachDate"}
TOUCHED_AT = {
    "lastActivity", "lastActivityDate", "lastActivityDateTime", "lastModifiedDate", "lastModifiedDateTime",
    "lastModifiedTime", "lastTrackedModificationDateTime", "lastTrackedModifiedDateTime",
}  # fmt: skip
CREATED_BY = {
    "attachedByResourceID", "createdBy", "createdByPersonID", "createdByResourceID", "creatorResourceID",
    "creatorUserID",
}  # fmt: skip
TOUCHED_BY = {
    "lastActivityBy", "lastActivityPersonID", "lastActivityResourceID", "lastModifiedBy",
    "lastModifiedByResourceID", "lastModifiedUserID", "updateResourceId",
}  # fmt: skip
PERSON_TYPES = {"creatorType", "lastActivityPersonType"}  # 1: a resource


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPlan:
    """How one field is written."""

    name: str
    read: Reader
    checks: tuple[Check, ...]
    is_text: bool
    is_rich: bool  # rich text in the interface, plain text here
    is_required: bool
    on_create: bool  # else ignored (REST _EntitiesOverview.htm: read-only fields are, unless required)
    on_update: bool
    is_fixed: bool  # another value is an error
    may_stay: bool  # an unchanged value is not checked again
    is_person: bool  # a reference to what may be inactive


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityPlan:
    """How one entity is written. `fields` has every exact name and every casefolded one."""

    name: str
    singular: str
    fields: Mapping[str, FieldPlan]
    required: tuple[tuple[str, str], ...]  # field, the text when it has no value on create
    parent: FieldPlan | None
    dependents: tuple[tuple[str, str, Picklist], ...]  # field, the field its values depend on
    people: tuple[FieldPlan, ...]  # writable references that must be active, a task's role excepted
    created_at: tuple[str, ...]
    touched_at: tuple[str, ...]
    created_by: tuple[str, ...]
    touched_by: tuple[str, ...]
    person_types: tuple[str, ...]
    can_impersonate: bool
    has_udfs: bool
    notes_impersonator: bool
    rules: Rules

    def find(self, key: str) -> FieldPlan | None:
        """The field of that name, case ignored as the deserializer does."""
        return self.fields.get(key) or self.fields.get(key.casefold())


class Picklist:
    """One field's values. They are the tenant's, so they are read again when its list is another one."""

    def __init__(self, entity: str, field: str) -> None:
        self._entity = entity
        self._field = field
        self._seen: list[dict[str, Any]] = []
        self._size = -1
        self._parents: dict[str, set[str]] = {}

    def parents(self, store: Store) -> Mapping[str, set[str]]:
        """Each value, as text, with the parent values it stands under; inactive values can be written too."""
        values = store.picklists.get(self._entity, {}).get(self._field, [])
        if values is not self._seen or len(values) != self._size:
            parents: dict[str, set[str]] = {}
            for value in values:
                parents.setdefault(str(value["value"]), set()).add(str(value.get("parentValue") or ""))
            self._seen, self._size, self._parents = values, len(values), parents
        return self._parents

    def check(self, store: Store, value: Any, errors: list[str]) -> None:
        if str(value) not in self.parents(store):
            errors.append(not_listed(self._field))

    def stands_under(self, store: Store, value: Any, parent: Any) -> bool:
        """Whether the value may be chosen where the parent field has this value."""
        under = self.parents(store).get(str(value), set())
        return "" in under or (parent is not None and str(parent) in under)


@cache
def plan(name: str) -> EntityPlan:
    """The plan of one entity; the same for every store, since the catalog is."""
    entry = entries()[name]
    facts: dict[str, dict[str, Any]] = entry["fields"]
    parent = entry.get("parent") or {}
    plans = {field: _field(name, field, facts[field], parent) for field in facts}
    return EntityPlan(
        name=name,
        singular=entry["soap"],
        fields={field.casefold(): item for field, item in plans.items()} | plans,
        required=tuple(_required(name, item) for item in plans.values() if item.is_required),
        parent=plans.get(parent.get("field", "")),
        dependents=tuple(_dependents(name, facts)),
        people=tuple(item for item in plans.values() if item.is_person and item.on_update),
        created_at=_stamps(facts, CREATED_AT, "datetime"),
        touched_at=_stamps(facts, TOUCHED_AT, "datetime"),
        created_by=_stamps(facts, CREATED_BY, *BITS),
        touched_by=_stamps(facts, TOUCHED_BY, *BITS),
        person_types=_stamps(facts, PERSON_TYPES, *BITS),
        can_impersonate=bool(entry.get("impersonation")),
        has_udfs="udf" in entry,
        notes_impersonator="impersonatorCreatorResourceID" in facts,
        rules=rules_of(name),
    )


def _field(entity: str, name: str, facts: Mapping[str, Any], parent: Mapping[str, Any]) -> FieldPlan:
    required = bool(facts.get("required")) and name != "id" and name not in BY_SERVER
    read_only = bool(facts.get("readOnly"))
    is_parent = name == parent.get("field")
    target = parent["entity"] if is_parent else facts.get("ref", "")
    fixed = bool(facts.get("fixed")) or (entity, name) in FIXED
    if target and facts["type"] == "string":  # ContractNotes.contractID: an id, whatever the older API says
        facts = {**facts, "type": "integer"}
    return FieldPlan(
        name=name,
        read=reader(name, facts["type"], date_only=bool(facts.get("dateOnly"))),
        checks=tuple(_checks(entity, name, facts, target)),
        is_text=facts["type"] in ("string", "byte[]"),
        is_rich=bool(facts.get("richText")),
        is_required=required,
        on_create=name != "id" and (required or not read_only),
        on_update=not (read_only or is_parent or fixed),
        is_fixed=fixed,
        may_stay=target == "Roles",  # TaskEntity.htm: a role that became inactive may stay
        is_person=target in ("Contacts", "Resources"),
    )


def _required(entity: str, field: FieldPlan) -> tuple[str, str]:
    # LIVE: without a taskType the text is the picklist's.
    text = not_listed(field.name) if (entity, field.name) == ("Tasks", "taskType") else missing(field.name)
    return field.name, text


def _checks(entity: str, name: str, facts: Mapping[str, Any], target: str) -> list[Check]:
    checks: list[Check] = []
    if facts["type"] == "string" and facts.get("length"):
        checks.append(_length(name, facts["length"]))
    if target:
        checks.append(_reference(entity, name, target))
    elif "picklist" in facts and facts["type"] != "boolean":
        checks.append(Picklist(entity, name).check)
    return checks


def _length(name: str, length: int) -> Check:
    text = too_long(name, length)

    def check(store: Store, value: Any, errors: list[str]) -> None:
        if len(value) > length:
            errors.append(text)

    return check


def _reference(entity: str, name: str, target: str) -> Check:
    """LIVE: a row that is not there, or inactive where the facts say so, gives one and the same text."""
    text = dangling(name, entries()[target]["soap"])
    refuses = _REFUSED.get(target, _nothing)
    if entity.endswith("ExcludedResources"):  # made to name the API user (Webhooks pages)
        refuses = _nothing

    def check(store: Store, value: Any, errors: list[str]) -> None:
        row = store.table(target).stored(value)
        if row is None or refuses(row):
            errors.append(text)

    return check


def _nothing(row: Stored) -> bool:
    return False


def is_no_person(row: Stored) -> bool:
    """Inactive, or a user that only calls the API: never resourceID or ownerResourceID (Define_API_User)."""
    return is_inactive(row) or row.get("licenseType") == API_LICENSE


_REFUSED: Mapping[str, Callable[[Stored], bool]] = {
    "Contacts": is_inactive,
    "Resources": is_no_person,
    "Roles": is_inactive,
}


def _dependents(entity: str, facts: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, Picklist]]:
    folded = {name.casefold(): name for name in facts}
    return [
        (name, folded[field["picklistParent"].casefold()], Picklist(entity, name))
        for name, field in facts.items()
        if field.get("picklistParent", "").casefold() in folded
    ]


def _stamps(facts: Mapping[str, Mapping[str, Any]], names: set[str], *kinds: str) -> tuple[str, ...]:
    """What the server writes by itself: these fields, where they are read-only and of that type."""
    return tuple(
        name
        for name, field in facts.items()
        if name in names and field.get("readOnly") and field["type"] in kinds
    )
