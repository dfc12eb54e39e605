"""Checks a job against the shapes of entities: do they exist, can that be done with them. Pure, offline.

What single fields and columns demand is `mapping`'s matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from bulkops.errors import Fault
from bulkops.job.model import FieldSpec, Job, Step, StepAction
from bulkops.job.yamlfile import position
from bulkops.marker import unfit
from bulkops.schema import Entity
from bulkops.wording import TENANT_COUNTS, describe_command, field_hint, listed, shown

FindEntity: TypeAlias = Callable[[str], Entity | None]
Suggest: TypeAlias = Callable[[str], list[str]]

_PARTICIPLES = {"create": "created", "update": "updated", "delete": "deleted"}


def check_job(job: Job, find_entity: FindEntity, suggest: Suggest) -> list[Fault]:
    """Every fault of entities, actions, match fields and lookups, in the job's order.

    `find_entity` knows an entity by its name; `suggest` names entities that may have been meant.
    """
    faults = [fault for step in job.steps for fault in _check_step(step, find_entity, suggest)]
    return sorted(faults, key=position)


def _check_step(step: Step, find_entity: FindEntity, suggest: Suggest) -> Iterator[Fault]:
    entity = find_entity(step.entity)
    if entity is None and "entity" in step.broken:
        return
    if entity is None:
        yield unknown_entity(step.where("entity"), step.entity, suggest)
        return
    yield from _check_action(step, entity)
    yield from _check_match(step, entity)
    yield from _check_marker(step, entity)
    for name, spec, wanted in _lookups(step, entity):
        yield from _check_lookup(name, spec, wanted, find_entity, suggest)


def _lookups(step: Step, entity: Entity) -> Iterator[tuple[str, FieldSpec, str]]:
    """The fields that are looked up and the entities to look in, "" where none is named.

    Of a field that does not exist the mapping tells.
    """
    for name, spec in step.specs().items():
        if spec.is_broken:
            continue
        field = entity.find(name)
        is_known = field is not None or (name.startswith("udf:") and not entity.is_live)
        if spec.lookup and (is_known or spec.entity):
            yield name, spec, spec.entity or (field.reference if field else "")
    if step.impersonate is not None and step.impersonate.lookup and not step.impersonate.is_broken:
        yield "impersonate", step.impersonate, step.impersonate.entity or "Resources"


def unknown_entity(where: str, name: str, suggest: Suggest) -> Fault:
    """The fault of a name that no entity has, with those that may have been meant."""
    near = suggest(name)
    hint = f"Did you mean {listed(near)}?" if near else "`bulkops describe` lists them."
    return Fault(where=where, message=f"{shown(name)} is no entity", hint=hint)


def _check_action(step: Step, entity: Entity) -> Iterator[Fault]:
    if "action" in step.broken:
        return
    needed = _needed(step.action, entity)
    lacking = [action for action in needed if action not in entity.can]
    if not lacking:
        return
    possible = [action for action in _PARTICIPLES if action in entity.can]
    hint = f"It allows {listed(possible, 'and')}." if possible else "It can only be read."
    if entity.shipped is not None and set(lacking) & set(entity.shipped.can):
        hint = TENANT_COUNTS
    done = " or ".join(_PARTICIPLES[action] for action in lacking)
    message = f"{entity.name} cannot be {done}, which `{step.action}` needs"
    yield Fault(where=step.where("action"), message=message, hint=hint)


def _needed(action: StepAction, entity: Entity) -> tuple[str, ...]:
    """What can be created and never updated (who is on a task) is made by an upsert where it is not there."""
    if action is not StepAction.UPSERT:
        return (action.value,)
    usual = entity.shipped.can if entity.shipped is not None else entity.can
    is_never_updated = "create" in usual and "update" not in usual
    return ("create",) if is_never_updated else ("create", "update")


def _check_match(step: Step, entity: Entity) -> Iterator[Fault]:
    if step.match and not entity.is_queryable:
        message = f"{entity.name} cannot be queried, so no record can be matched"
        yield Fault(where=step.where("match"), message=message)
        return
    mapped = {name.casefold() for name in step.specs()}
    for name in step.match:
        if name.casefold() in mapped and entity.find(name) is None:
            continue  # of a mapped field that does not exist the mapping tells
        yield from check_comparable(name, entity, step.where("match"), "match")


def _check_marker(step: Step, entity: Entity) -> Iterator[Fault]:
    """A mark is written when a record is created, and looked for when the answer was lost."""
    if step.marker is None:
        return
    where, field = step.where("marker"), entity.find(step.marker)
    if not entity.is_queryable:
        message = f"{entity.name} cannot be queried, so no mark can be looked for"
        yield Fault(where=where, message=message, hint="Leave `marker` out.")
        return
    yield from check_comparable(step.marker, entity, where, "marker")
    if field is not None and (why := unfit(field)):
        message = f"{entity.name}.{field.name} {why}, so `marker` cannot name it"
        yield Fault(where=where, message=message, hint="Name a text field that is free.")


def _check_lookup(
    name: str, spec: FieldSpec, wanted: str, find_entity: FindEntity, suggest: Suggest
) -> Iterator[Fault]:
    """`wanted` is the entity to look in, "" where neither the field nor the job names one."""
    if not wanted:
        hint = "Name the entity to look in: `entity: …`."
        yield Fault(where=spec.where, message=f"{shown(name)} refers to no entity", hint=hint)
        return
    target = find_entity(wanted)
    if target is None:
        yield unknown_entity(spec.where, wanted, suggest)
    elif not target.is_queryable:
        yield Fault(
            where=spec.where, message=f"{target.name} cannot be queried, so no record can be looked up"
        )
    else:
        for item in spec.lookup:
            yield from check_comparable(item, target, spec.where, "lookup")


def check_comparable(name: str, entity: Entity, where: str, key: str) -> Iterator[Fault]:
    """A field by which records are found must exist and be queryable."""
    field = entity.find(name)
    if field is None:
        if name.casefold().startswith("udf:") and not entity.is_live:
            if not entity.has_udfs:
                message = f"{entity.name} has no user-defined fields, and `{key}` names {shown(name)}"
                yield Fault(where=where, message=message)
            return  # which ones there are is known to the tenant only
        message = f"{entity.name} has no field {shown(name)}, which `{key}` names"
        is_lost = entity.shipped is not None and entity.shipped.find(name) is not None
        hint = TENANT_COUNTS if is_lost else field_hint(entity, name, as_key=True)
        yield Fault(where=where, message=message, hint=hint)
    elif not field.is_queryable:
        message = f"{entity.name}.{field.name} cannot be queried, so `{key}` cannot name it"
        shipped = entity.shipped and entity.shipped.find(name)
        usual = f"{describe_command(entity)} shows what can be."
        hint = TENANT_COUNTS if shipped and shipped.is_queryable else usual
        yield Fault(where=where, message=message, hint=hint)
