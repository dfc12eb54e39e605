"""Rows to records: a step's mapping, checked once against entity and columns, then applied row by row. Pure.

Text is sent to the letter. A cell that is blank, or that is one of the job's `missing` texts once its
ends are trimmed, says nothing about its field: the field's `empty` says what that means. A cell that the
row does not have at all never clears. Every fault of the job is told at once, and so is every error of a row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from bulkops.errors import Fault, JobError
from bulkops.job.model import REST, Empty, FieldSpec, Step, StepAction
from bulkops.mapping.fieldmap import NOTHING, About, Columns, FieldMap, Nothing, field_map
from bulkops.mapping.mapper import Filled, Mapper
from bulkops.record import IMPERSONATE, RowError, Value
from bulkops.schema import Entity, Field, FieldType
from bulkops.wording import TENANT_COUNTS, field_hint, listed

__all__ = ["Mapper", "check_columns", "compile_mapping", "read_mapping"]

MANY = 10  # columns that nobody wants to name one by one
_PLAIN = re.compile(r"\w[\w .()/%+*;=<>|&$€@'°-]*").fullmatch  # needs no quotes in a YAML list


def compile_mapping(
    step: Step, entity: Entity, columns: Sequence[str], *, missing: Sequence[str], file: str
) -> Mapper:
    """Checks the step against its entity and the source's columns. Raises JobError with every fault.

    `columns` are the header's names in order, one for each cell of a row. `missing` are the texts that
    mean "no value"; a blank cell always does. `file` is what messages call the source.

    Whether the entity can do the step's action, and be searched by `match`, is not checked here.
    """
    mapper, faults = read_mapping(step, entity, columns, missing=missing, file=file)
    if faults:
        raise JobError(faults)
    return mapper


def read_mapping(
    step: Step, entity: Entity, columns: Sequence[str] | None, *, missing: Sequence[str], file: str
) -> tuple[Mapper, list[Fault]]:
    """As `compile_mapping`, with every fault beside a mapper of the fields that are in order.

    That mapper tells what is wrong with rows in spite of the faults, where `columns` are known.
    """
    compiler = _Compiler(step, entity, Columns(columns, missing, file))
    mapper = compiler.mapper()
    return mapper, sorted(compiler.faults, key=_line)


def check_columns(step: Step, columns: Sequence[str], *, file: str) -> list[Fault]:
    """Faults of the columns alone, for a step whose entity nobody knows."""
    compiler = _Compiler(step, _NO_ENTITY, Columns(columns, (), file))
    compiler.use_columns()
    return sorted(compiler.faults, key=_line)


_NO_ENTITY = Entity(name="", singular="", can={}, is_queryable=False)


def _line(fault: Fault) -> int:
    line = fault.where.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0


class _Compiler:
    def __init__(self, step: Step, entity: Entity, columns: Columns) -> None:
        self.step, self.entity, self.columns = step, entity, columns
        self.faults: list[Fault] = []
        self.mapped: dict[str, str] = {}  # field names, and where the job maps them
        self.matched = {shape.name for name in step.match if (shape := self._shape_of(name))}
        self.creates_only = step.action is StepAction.CREATE
        self.meant: set[str] = set()  # fields that are merely misspelt: one fault is enough
        self.sees_all = True  # whether it is known which columns the fields read

    def fault(self, where: str, message: str, hint: str = "") -> None:
        self.faults.append(Fault(where=where, message=message, hint=hint))

    def mapper(self) -> Mapper:
        made = [self._field(name, spec) for name, spec in self.step.specs().items()]
        made.append(self._author())
        self._check_required()
        self._check_columns()
        filled = _parents_first(self._whole([item for item in made if item]))
        return Mapper(filled, len(self.columns.names), creates_only=self.creates_only)

    def use_columns(self) -> None:
        """Checks the columns alone."""
        for spec in (*self.step.specs().values(), self.step.impersonate):
            if spec is not None:
                self._use_columns(spec)
        self._check_columns()

    def _whole(self, filled: list[Filled]) -> list[Filled]:
        """Without the fields that are chosen inside the value of one that is at fault."""
        lost = set(self.mapped) - {item.way.name for item in filled}
        return [item for item in filled if item.way.parent not in lost]

    def _field(self, name: str, spec: FieldSpec) -> Filled | None:
        shape = self._shape_of(name)
        if shape is None:
            self.fault(spec.where, *self._unknown(name))
            self._use_columns(spec)
            if meant := self.entity.meant(name):
                self.meant.add(meant.name)
            return None
        if spec.is_broken:
            self.mapped[shape.name] = spec.where
            self._use_columns(spec)
            return None
        told = len(self.faults)
        self._check_writable(shape, spec)
        if shape.name in self.mapped:
            self.fault(spec.where, f"{shape.name} is mapped twice, also at {self.mapped[shape.name]}")
        self.mapped[shape.name] = spec.where
        if len(self.faults) > told:  # it has to go, however it is filled
            self._use_columns(spec)
            return None
        about = About(
            shape=shape,
            parent=self.entity.find(shape.picklist_parent) if shape.picklist_parent else None,
            shipped=self._shipped(shape.name),
            is_live=self.entity.is_live,
            creates_only=self.creates_only,
            is_key=shape.name in self.matched,
        )
        way = field_map(about, spec, self.columns, faults=self.faults)
        self._name_both(about, told)
        return self._filled(way, shape, spec) if way else None

    def _author(self) -> Filled | None:
        """Who is to be the creator, row by row: a field of no record."""
        spec = self.step.impersonate
        if spec is None:
            return None
        if spec.is_broken:
            self._use_columns(spec)
            return None
        where = self.step.where(IMPERSONATE)
        if not self.entity.can_impersonate:
            message = f"{self.entity.name} cannot be created in somebody else's name"
            self.fault(where, message, "The API allows that for some entities only: take `impersonate` out")
        elif self.step.action not in (StepAction.CREATE, StepAction.UPSERT) and not self._is_broken("action"):
            message = (
                f"`impersonate` says who creates a record, and this step's action is `{self.step.action}`"
            )
            self.fault(where, message, "Take it out")
        if spec.empty is Empty.CLEAR:
            self.fault(
                where, "`impersonate` fills no field, so there is nothing to clear", "Take `empty` out"
            )
        shape = Field(name=IMPERSONATE, type=FieldType.LONG, reference="Resources")
        about = About(shape=shape, is_live=self.entity.is_live)
        way = field_map(about, spec, self.columns, faults=self.faults)
        return self._filled(way, shape, spec) if way else None

    def _shape_of(self, name: str) -> Field | None:
        """The field of that name. Offline, a user-defined field is taken as the job describes it."""
        shape = self.entity.find(name)
        if shape is None:
            is_unseen = _is_udf(name) and self.entity.has_udfs and not self.entity.is_live
            return self._as_described(name) if is_unseen else None
        # Metadata names the parent of a picklist as the older API spells it.
        parent = self.entity.find(shape.picklist_parent) if shape.picklist_parent else None
        return replace(shape, picklist_parent=parent.name) if parent else shape

    def _as_described(self, name: str) -> Field:
        """A user-defined field in the job's own spelling, of the type that its spec speaks of."""
        for key, spec in self.step.specs().items():
            if key.casefold() == name.casefold():
                return Field(name=key, type=_type_described(spec))
        return Field(name=name, type=FieldType.STRING)

    def _shipped(self, name: str) -> Field | None:
        """What the catalog says of a field, where this is the tenant's entity."""
        return self.entity.shipped.find(name) if self.entity.shipped else None

    def _name_both(self, about: About, before: int) -> None:
        """Where the tenant has another kind of field than the catalog, the new faults say so."""
        shape, shipped = about.shape, about.shipped
        if shipped is None or _kind(shape) == _kind(shipped):
            return
        told = f"In this tenant {shape.name} is {_kind(shape)}, by the shipped catalog {_kind(shipped)}"
        for n, fault in enumerate(self.faults[before:], before):
            self.faults[n] = replace(fault, hint=f"{fault.hint}. {told}" if fault.hint else told)

    def _use_columns(self, spec: FieldSpec) -> None:
        """The columns of a field that is not known, or at fault, are no second fault."""
        if spec.is_broken:
            self._use_columns_of_broken(spec)
            return
        text = Field(name="", type=FieldType.LONG if len(spec.columns) > 1 else FieldType.STRING)
        plain = replace(
            spec, labels={}, default=None, date=None, timezone=None, number=None, lookup=(), entity=None,
            from_="?" if len(spec.columns) > 1 else None,
        )  # fmt: skip
        field_map(About(shape=text, is_live=False), plain, self.columns, faults=self.faults)

    def _use_columns_of_broken(self, spec: FieldSpec) -> None:
        """Of a field that could not be understood, the columns that it names."""
        names = [name for name in spec.source_columns if name]
        for name in names:
            self.columns.find(name, spec.where, self.faults)
        if spec.template is not None or not (names or spec.value):
            self.sees_all = False

    def _is_broken(self, *keys: str) -> bool:
        """Whether the job says something under one of these keys that could not be understood."""
        return not self.step.broken.isdisjoint(keys)

    def _unknown(self, name: str) -> tuple[str, str]:
        """What to say of a name that is no field."""
        message = f"{self.entity.name} has no field `{name}`"
        if _is_udf(name):
            message = f"{self.entity.name} has no user-defined field `{name[4:]}`"
        if self._shipped(name):
            return f"{message} in this tenant", TENANT_COUNTS
        return message, field_hint(self.entity, name)

    def _check_writable(self, shape: Field, spec: FieldSpec) -> None:
        """A read-only field can be a key of records that exist, and is written where a create needs it."""
        action = self.step.action
        if spec.empty is Empty.CLEAR and shape.type is FieldType.BOOLEAN:
            message = f"{shape.name} is true or false: it cannot be cleared"
            self.fault(spec.where, message, "Take `empty: clear` out, or give a `default`")
        is_key = (shape.name in self.matched or self._is_broken("match")) and not self.creates_only
        if shape.is_udf and shape.reference:
            message = f"{shape.name.removeprefix('udf:')} points to other records"
            self.fault(spec.where, message, "The API can neither read nor write such user-defined fields")
        elif shape.name == "id" and not is_key:
            hint = "Take it out" if self.creates_only else "Name it in `match` to find records by it"
            self.fault(spec.where, "id is given by the server and cannot be written", hint)
        elif shape.is_read_only and not shape.is_required:
            if not is_key:
                shipped = self._shipped(shape.name)
                hint = TENANT_COUNTS if shipped and not shipped.is_read_only else "Take it out"
                self.fault(spec.where, f"{shape.name} is read-only", hint)
            elif action is StepAction.UPSERT:
                message = f"{shape.name} is read-only, so a record that an upsert creates would not have it"
                self.fault(spec.where, message, "Use `action: update`, or match by another field")

    def _filled(self, way: FieldMap, shape: Field, spec: FieldSpec) -> Filled:
        """A cell that is not there is an empty one, but that it never clears."""
        absent = Empty.SKIP if spec.empty is Empty.CLEAR else spec.empty
        return Filled(
            way=way,
            nothing=self._nothing(shape, spec, spec.empty),
            absent=self._nothing(shape, spec, absent),
        )

    def _nothing(self, shape: Field, spec: FieldSpec, empty: Empty) -> Value | Nothing | RowError:
        """What stands for the field where the row says nothing about it."""
        column = ", ".join(spec.source_columns)
        said = "is empty" if column else f"{shape.name}: is empty"

        def error(why: str) -> RowError:
            return RowError(message=f"{said}, {why}", column=column, field=shape.name)

        if shape.name in self.matched:
            return error(f"and {shape.name} is a match key")
        if shape.is_required and self.creates_only:
            return error(f"and {shape.name} is required")
        if empty is Empty.REJECT:
            return error(f"which the job rejects for {shape.name}")
        if empty is Empty.CLEAR and shape.is_required:
            return error(f"and {shape.name} is required, so it cannot be cleared")
        return None if empty is Empty.CLEAR else NOTHING

    def _check_required(self) -> None:
        missing = [name for name in self._required() if name not in {*self.mapped, *self.meant}]
        if missing and not self._is_broken("action", "fields", "udf"):
            verb = "is required and not mapped" if len(missing) == 1 else "are required and not mapped"
            hint = (
                f"`{self.step.action}` of {self.entity.name} needs a value for each: a column, or a constant"
            )
            ours = [name for name in missing if (known := self._shipped(name)) and not known.is_required]
            if ours:
                hint += f". This tenant requires {listed(ours, 'and')}, the shipped catalog does not"
            self.fault(self.step.where("fields"), f"{', '.join(missing)} {verb}", hint)

    def _required(self) -> list[str]:
        """Fields without which the step's action cannot be done."""
        entity = self.entity
        creates = self.step.action in (StepAction.CREATE, StepAction.UPSERT)
        names = [
            item.name for item in entity.fields.values() if creates and item.is_required and item.name != "id"
        ]
        parent = entity.parent and entity.find(entity.parent.field)
        # A parent's id that stands in no record has to come from the job, whatever is done.
        if parent and (parent.is_path_only or (creates and entity.can.get("create") == "child")):
            names.append(parent.name)
        return list(dict.fromkeys(names))

    def _check_columns(self) -> None:
        unused = self.columns.unused(self.step.ignore)
        if self.step.ignores_rest or not unused or not self.sees_all:
            return
        if self._is_broken("fields", "udf", "ignore"):
            return
        where, source, names = self.step.where("ignore"), self.columns.source, list(map(_as_yaml, unused))
        if len(names) == 1:
            message = f"the column `{names[0]}` of {source} is neither used nor ignored"
            self.fault(where, message, f"Map it, or add it to `ignore`: [{names[0]}]")
        else:
            message = f"{len(names)} columns of {source} are neither used nor ignored"
            rest = f' (`ignore: "{REST}"` is for all that nothing uses)' if len(names) > MANY else ""
            self.fault(where, message, f"Map them{rest}, or add them to `ignore`: [{', '.join(names)}]")


def _as_yaml(name: str) -> str:
    """A name as it can be pasted into a list of the job: `Swarm #` would begin a comment."""
    if not name.isprintable():
        return '"' + name.encode("unicode_escape").decode().replace('"', '\\"') + '"'
    return name if _PLAIN(name) else "'" + name.replace("'", "''") + "'"


def _is_udf(name: str) -> bool:
    return name.casefold().startswith("udf:")


def _kind(shape: Field) -> str:
    """What a field holds, as far as it decides how a job may fill it."""
    if shape.picklist is not None:
        return "a picklist"
    if shape.is_date_only:
        return "a date"
    return f"of type {shape.type}" + (f", an id of {shape.reference}" if shape.reference else "")


def _type_described(spec: FieldSpec) -> FieldType:
    if spec.date or spec.timezone:
        return FieldType.DATETIME
    if spec.number:
        return FieldType.DOUBLE
    return FieldType.LONG if spec.lookup or spec.from_ else FieldType.STRING


def _parents_first(filled: Sequence[Filled]) -> list[Filled]:
    """A dependent picklist is read inside its parent's value, so the parent comes before it."""
    by_name = {item.way.name: item for item in filled}
    ordered: dict[str, Filled] = {}

    def place(item: Filled, above: tuple[str, ...]) -> None:
        parent = by_name.get(item.way.parent)
        if parent and parent.way.name not in above:
            place(parent, (*above, item.way.name))
        ordered.setdefault(item.way.name, item)

    for item in filled:
        place(item, ())
    return list(ordered.values())
