"""Whether a create, update or delete is accepted, what is stored of it, and what happens besides.

What holds for every entity is here, in the order the service works: the body is read (texts of the
deserializer, alone), then each field is checked (all texts together), then the entity's own rules.
Nothing here changes a record except `after_commit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bulkops.simulator.catalog import UDFS
from bulkops.simulator.checks import EntityPlan, FieldPlan, is_no_person, plan
from bulkops.simulator.richtext import plain
from bulkops.simulator.rules import rules_of
from bulkops.simulator.rules.base import missing, not_listed, row_of
from bulkops.simulator.store import Row, Store
from bulkops.simulator.udfs import MALFORMED, defaults, read_udfs
from bulkops.simulator.values import UnreadableError

FOLDED_UDFS = UDFS.casefold()
NOT_PERMITTED = (  # DOC: the sentence for a missing permission
    "The logged in Resource does not have the adequate permissions to update this entity type."
)


@dataclass(slots=True)
class Reading:
    """What a body says: values to write, texts of what could not be read, texts of what is wrong."""

    values: Row = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def check_create(
    store: Store, entity: str, body: Any, *, parent_id: int | None, actor: int, impersonating: int | None
) -> tuple[Row, list[str]]:
    """The row to insert, without its id, and no texts; or {} and the error texts.

    `parent_id` is the id in the path of a child route; it wins over the body's, or is an error when
    another one stands there (switch `parent_mismatch`). `actor` is the API user's resource id.
    """
    shape = plan(entity)
    reading = _read_new(store, shape, body, parent_id)
    if reading.unreadable:
        return {}, reading.unreadable
    row, errors = reading.values, reading.errors
    errors += _impersonation(store, shape, impersonating)
    errors += [text for name, text in shape.required if row.get(name) is None]
    errors += _dependents(store, shape, row, row)
    if errors:
        return {}, errors
    if shape.has_udfs:
        row[UDFS] = defaults(store, entity, row.get(UDFS, []))
    author = actor if impersonating is None else impersonating
    _stamp(shape, row, author, store.now(), new=True)
    if impersonating is not None and shape.notes_impersonator:
        row["impersonatorCreatorResourceID"] = actor
    errors = shape.rules.create(store, row, author)
    return ({}, errors) if errors else (row, [])


def check_update(
    store: Store, entity: str, row: Row, body: Any, *, actor: int, impersonating: int | None
) -> tuple[Row, list[str]]:
    """The changes to make to the full `row`, and no texts; or {} and the error texts.

    Every writable field of the body changes, null clears; PUT's nulls are in the body already. The header
    for impersonation is checked, and writes nothing: it is noted on create only (_EntitiesOverview.htm).
    """
    shape = plan(entity)
    reading = _read_changes(store, shape, body, row)
    if reading.unreadable:
        return {}, reading.unreadable
    changes, errors = reading.values, reading.errors
    errors += _impersonation(store, shape, impersonating)
    errors += [missing(name) for name, _ in shape.required if changes.get(name, "") is None]
    errors += _dependents(store, shape, {**row, **changes}, changes) + _stored(store, shape, row, changes)
    if errors:
        return {}, errors
    _stamp(shape, changes, actor, store.now(), new=False)
    errors = shape.rules.update(store, row, changes, actor)
    return ({}, errors) if errors else (changes, [])


def edit(store: Store, entity: str, row_id: int, fields: Mapping[str, Any]) -> None:
    """Somebody else changes fields in the interface; unless these say so, it is noted by whom and when."""
    stamps: Row = {}
    _stamp(plan(entity), stamps, _somebody_else(store), store.now(), new=False)
    table = store.table(entity)
    table.update(row_id, {name: value for name, value in stamps.items() if value is not None} | dict(fields))
    table.literal -= {(row_id, name) for name in fields}


def check_delete(store: Store, entity: str, row: Row) -> list[str]:
    """The texts that refuse to delete the full `row`."""
    return rules_of(entity).delete(store, row)


def after_commit(store: Store, entity: str, action: str, row: Row, changes: Mapping[str, Any]) -> None:
    """What the service does besides: `action` is create, update or delete, `row` the full row as it is now.

    After a delete `row` is the row as it was; `changes` are those of `check_update`, else empty.
    """
    table = store.table(entity)
    for name in table.shape.rich:
        if "<" in (row[name] or "") and (action == "create" or name in changes):
            table.literal.add((row["id"], name))
    rules_of(entity).after(store, action, row, dict(changes))


def _read_new(store: Store, shape: EntityPlan, body: Any, parent_id: int | None) -> Reading:
    reading = Reading()
    if not isinstance(body, dict):
        reading.unreadable.append(MALFORMED)
        return reading
    for key, given in body.items():
        found = shape.fields.get(key) or shape.find(key)
        if found is None:
            _read_udfs(store, shape, key, given, reading)
        elif found is shape.parent and parent_id is not None:
            if not _same_parent(store, given, parent_id):
                reading.errors.append(f"The {found.name} in the body is not that of the path.")
        elif found.on_create:
            _write(store, found, given, reading)
        elif found.name == "id" and given not in (None, 0, "0"):  # DOC: any real id makes it fail
            reading.errors.append(f"The field id must not have a value when a {shape.singular} is created.")
    if shape.parent is not None and parent_id is not None:
        reading.values[shape.parent.name] = parent_id
        _check(store, shape.parent, parent_id, reading)
    return reading


def _read_changes(store: Store, shape: EntityPlan, body: Any, row: Row) -> Reading:
    reading = Reading()
    if not isinstance(body, dict):
        reading.unreadable.append(MALFORMED)
        return reading
    for key, given in body.items():
        found = shape.fields.get(key) or shape.find(key)
        if found is None:
            _read_udfs(store, shape, key, given, reading)
        elif found.on_update:
            unchecked = found.may_stay and given == row.get(found.name)
            _write(store, found, given, reading, checked=not unchecked)
        elif _is_fixed(store, shape, found) and given is not None and str(given) != str(row.get(found.name)):
            reading.errors.append(f"The {found.name} of a {shape.singular} cannot be changed.")
    return reading


def _write(store: Store, found: FieldPlan, given: Any, reading: Reading, *, checked: bool = True) -> None:
    try:
        value = None if given is None else found.read(given)
    except UnreadableError as error:
        reading.unreadable.append(str(error))
        return
    if found.is_rich and value is not None and store.switches.rich_text == "plain":
        value = plain(value)
    if found.is_text and value is not None:  # INFER: nothing but blanks is no value
        value = (value.strip() if store.switches.trim == "on" else value) or None
    reading.values[found.name] = value
    if checked and value is not None:
        _check(store, found, value, reading)


def _check(store: Store, found: FieldPlan, value: Any, reading: Reading) -> None:
    for check in found.checks:
        check(store, value, reading.errors)


def _read_udfs(store: Store, shape: EntityPlan, key: str, given: Any, reading: Reading) -> None:
    """The one known name that is no field; every other name is ignored, as the service does."""
    if shape.has_udfs and key.casefold() == FOLDED_UDFS:
        trim = store.switches.trim == "on"
        reading.values[UDFS], errors = read_udfs(store, shape.name, shape.singular, given, trim=trim)
        reading.errors += errors


def _is_fixed(store: Store, shape: EntityPlan, found: FieldPlan) -> bool:
    """Whether another value is an error; of a read-only field it is ignored otherwise."""
    return found.is_fixed or (found is shape.parent and store.switches.parent_mismatch == "error")


def _same_parent(store: Store, given: Any, parent_id: int) -> bool:
    return store.switches.parent_mismatch == "path" or given is None or str(given) == str(parent_id)


def _impersonation(store: Store, shape: EntityPlan, resource: int | None) -> list[str]:
    """DOC (_EntitiesOverview.htm): some entities allow it; INFER: the resource exists and is in use."""
    if resource is None:
        return []
    person = row_of(store, "Resources", resource)
    allowed = shape.can_impersonate and person is not None and not is_no_person(person)
    return [] if allowed else [NOT_PERMITTED]


def _dependents(
    store: Store, shape: EntityPlan, row: Mapping[str, Any], changes: Mapping[str, Any]
) -> list[str]:
    """A dependent picklist's value stands under its parent field's value, whichever of both was written."""
    return [
        not_listed(name)
        for name, parent, picklist in shape.dependents
        if (name in changes or parent in changes)
        and row.get(name) is not None
        and not picklist.stands_under(store, row[name], row.get(parent))
    ]


def _stored(store: Store, shape: EntityPlan, row: Row, changes: Row) -> list[str]:
    """REPORT: people who became inactive break updates that do not touch them; switch `stored_references`."""
    errors: list[str] = []
    if store.switches.stored_references == "checked":
        for field in shape.people:
            if field.name not in changes and row.get(field.name) is not None:
                for check in field.checks:
                    check(store, row[field.name], errors)
    return errors


def _somebody_else(store: Store) -> int | None:
    """An active person who is not the API user, where there is one."""
    people = store.table("Resources")
    for row_id in people.ids:
        person = people.stored(row_id)
        if row_id != store.api_resource_id and person is not None and not is_no_person(person):
            return row_id
    return None


def _stamp(shape: EntityPlan, row: Row, author: int | None, now: str, *, new: bool) -> None:
    """When and by whom, where the entity has such fields."""
    for name in shape.touched_at:
        row[name] = now
    for name in shape.touched_by:
        row[name] = author
    for name in shape.person_types:
        if name.startswith("last"):
            row[name] = 1
    if new:
        for name in shape.created_at:
            row[name] = now
        for name in shape.created_by:
            row[name] = author
        for name in shape.person_types:
            row[name] = 1
