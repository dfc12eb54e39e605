"""The columns of an exported file: for each field what a job reads back, and names beside ids. Pure.

A picklist's value is its label, where the label reads back as that value, else the value itself. A reference
is the id, and the column after it has the name of the record, which is only to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from bulkops.errors import Fault
from bulkops.mapping.fieldmap import parent_text
from bulkops.mapping.picklists import InactiveError, Picklist
from bulkops.readback import readable, to_cell
from bulkops.record import Scalar
from bulkops.schema import Entity, Field, FieldType
from bulkops.targets.base import RecordData
from bulkops.wording import TENANT_COUNTS, field_hint, shown

NamesOf: TypeAlias = Mapping[str, Mapping[int, str]]
"""By entity and id the names of the records that others refer to."""

Cell: TypeAlias = Callable[[RecordData, NamesOf], Scalar]


class Kind(Enum):
    """What the cells of a column are, for files that know types. Every cell may be empty."""

    WHOLE = "whole"
    FRACTION = "fraction"
    FLAG = "flag"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: `cell` gives its cell for a record."""

    header: str
    shape: Field
    kind: Kind
    cell: Cell
    is_name: bool = False  # the name of the record that `shape` refers to


def columns_of(entity: Entity, fields: Sequence[str], named: Callable[[str], bool]) -> list[Column]:
    """The columns for `fields`, none: for all that can be read. `id` comes first.

    `named` tells whether records of an entity have names.
    """
    known = readable(entity)
    wanted = [shape for name in fields if (shape := entity.find(name))] or known[1:]
    shapes = dict.fromkeys([known[0].name, *(shape.name for shape in wanted)])
    by_name = {shape.name: shape for shape in known}
    return [column for name in shapes for column in _columns(by_name[name], entity, named)]


def field_faults(entity: Entity, fields: Sequence[str], where: str) -> Iterator[Fault]:
    """A fault for every name that is no field, or none that can be read."""
    known = {shape.name for shape in readable(entity)}
    for name in fields:
        shape = entity.find(name)
        if shape is None:
            is_lost = entity.shipped is not None and entity.shipped.find(name) is not None
            hint = TENANT_COUNTS if is_lost else field_hint(entity, name, as_key=True)
            yield Fault(where=where, message=f"{entity.name} has no field {shown(name)}", hint=hint)
        elif shape.name not in known and shape.name != "id":
            message = f"{entity.name}.{shape.name} cannot be read"
            yield Fault(where=where, message=message, hint="Leave it out.")


def _columns(shape: Field, entity: Entity, named: Callable[[str], bool]) -> Iterator[Column]:
    if shape.picklist and not shape.is_udf:
        yield Column(header=shape.name, shape=shape, kind=Kind.TEXT, cell=_choice(shape, entity))
        return
    yield Column(header=shape.name, shape=shape, kind=_kind(shape), cell=_plain(shape))
    if shape.reference and named(shape.reference):
        header = f"{shape.name} (name)"
        yield Column(header=header, shape=shape, kind=Kind.TEXT, cell=_name(shape), is_name=True)


def _kind(shape: Field) -> Kind:
    if shape.is_udf:  # whose values travel as text
        return Kind.TEXT
    if shape.type is FieldType.BOOLEAN:
        return Kind.FLAG
    if shape.type.is_fraction:
        return Kind.FRACTION
    return Kind.WHOLE if shape.type.is_whole else Kind.TEXT


def _plain(shape: Field) -> Cell:
    name, cell = shape.name, to_cell(shape)
    return lambda record, _: cell(record.get(name))


def _name(shape: Field) -> Cell:
    name, entity = shape.name, shape.reference

    def cell(record: RecordData, names: NamesOf) -> Scalar:
        number = record.get(name)
        return names[entity].get(number) if isinstance(number, int) else None

    return cell


def _choice(shape: Field, entity: Entity) -> Cell:
    """A label that reads back as the record's value, else that value."""
    parent = entity.find(shape.picklist_parent) if shape.picklist_parent else None
    if parent is not None:
        shape = replace(shape, picklist_parent=parent.name)
    picklist, name, above = Picklist(shape, is_live=True, parent=parent), shape.name, parent and parent.name
    labels = [item.label for item in shape.picklist or () if item.label.strip()]
    known: dict[tuple[Scalar, Scalar], Scalar] = {}

    def cell(record: RecordData, _: NamesOf) -> Scalar:
        value = record.get(name)
        if value is None:
            return None
        key = (value, record.get(above) if above else None)
        if key not in known:
            inside = parent_text(key[1]) if above else None
            readable_labels = (label for label in labels if _read(picklist, label, inside) == value)
            known[key] = next(readable_labels, str(value))
        return known[key]

    return cell


def _read(picklist: Picklist, label: str, inside: str | None) -> Scalar:
    """What a job makes of a label; None where it makes nothing of it."""
    try:
        return picklist.find(label, inside)
    except InactiveError as error:
        return error.value
    except ValueError:
        return None
