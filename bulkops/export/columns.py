"""The columns of an exported file: for each field what a job reads back, and names beside ids. Pure.

A picklist's value is its label, where the label reads back as that value, else the value itself. A reference
is the id, and the column after it has the name of the record, which is only to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from bulkops.change import equal
from bulkops.errors import Fault
from bulkops.mapping.fieldmap import parent_text
from bulkops.mapping.picklists import InactiveError, Picklist
from bulkops.readback import readable, scalar_text, to_cell
from bulkops.record import Scalar
from bulkops.schema import Entity, Field, FieldType
from bulkops.targets.base import RecordData
from bulkops.wording import TENANT_COUNTS, field_hint, shown

NamesOf: TypeAlias = Mapping[str, Mapping[int, str]]
"""By entity and id the names of the records that others refer to."""

Cell: TypeAlias = Callable[[RecordData, NamesOf], Scalar]
Read: TypeAlias = Callable[[str, RecordData], Scalar]


class Kind(Enum):
    """What the cells of a column are, for files that know types. Every cell may be empty."""

    WHOLE = "whole"
    FRACTION = "fraction"
    FLAG = "flag"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: `cell` gives its cell for a record, `read` what a cell's text means for its field."""

    header: str
    shape: Field
    kind: Kind
    cell: Cell
    read: Read = lambda text, _: text
    is_name: bool = False  # the name of the record that `shape` refers to

    @property
    def is_only_read(self) -> bool:
        """Whether nothing of it can come back."""
        return self.is_name or not is_mapped(self.shape)

    def text(self, record: RecordData, names: NamesOf) -> str:
        """Its cell as the text that reading the file gives."""
        held = self.cell(record, names)
        return "" if held is None else scalar_text(held)

    def says(self, text: str, record: RecordData) -> bool:
        """Whether a cell means what the record holds, however a spreadsheet has written it. Of no name."""
        return equal(self.shape, self.read(text, record), record.get(self.shape.name))


def is_mapped(shape: Field) -> bool:
    """Whether a job brings the field back. What a create sets for good is mapped too: so an edit of it is
    refused.
    """
    return shape.name == "id" or shape.is_required or not shape.is_read_only


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
        choice = _Choice(shape, entity)
        yield Column(header=shape.name, shape=shape, kind=Kind.TEXT, cell=choice.cell, read=choice.read)
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


class _Choice:
    """A label that reads back as the record's value, else that value."""

    def __init__(self, shape: Field, entity: Entity) -> None:
        parent = entity.find(shape.picklist_parent) if shape.picklist_parent else None
        if parent is not None:
            shape = replace(shape, picklist_parent=parent.name)
        self._name, self._above = shape.name, parent and parent.name
        self._picklist = Picklist(shape, is_live=True, parent=parent)
        self._labels = [item.label for item in shape.picklist or () if item.label.strip()]
        self._known: dict[tuple[Scalar, Scalar], Scalar] = {}

    def cell(self, record: RecordData, _: NamesOf) -> Scalar:
        value = record.get(self._name)
        if value is None:
            return None
        key = (value, record.get(self._above) if self._above else None)
        if key not in self._known:
            labels = (label for label in self._labels if self.read(label, record) == value)
            self._known[key] = next(labels, str(value))
        return self._known[key]

    def read(self, text: str, record: RecordData) -> Scalar:
        """What a job makes of a label; None where it makes nothing of it."""
        inside = parent_text(record.get(self._above)) if self._above else None
        try:
            return self._picklist.find(text, inside)
        except InactiveError as error:
            return error.value
        except ValueError:
            return None
