"""One field of a mapping: its spec becomes a function from a row's cells to the value that is sent. Pure.

What is wrong with the spec itself is noted as faults; what is wrong with a row's text is a ValueError
with a sentence, raised by the function and made a row error by the mapper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from bulkops.errors import Fault
from bulkops.job.model import FieldSpec, Inactive
from bulkops.mapping.dates import date_converter, zone_named
from bulkops.mapping.picklists import InactiveError, Picklist, known_texts
from bulkops.mapping.templates import Template
from bulkops.mapping.values import Convert, is_flag, plain_converter, sendable
from bulkops.record import Choice, FromStep, Lookup, RowError, Value, is_absent
from bulkops.schema import Field, FieldType
from bulkops.wording import nearest

Cells: TypeAlias = tuple[str, ...]


class Nothing(Enum):
    """The row says nothing about a field: not a value, and not None, which clears it."""

    NOTHING = "nothing"


NOTHING: Final = Nothing.NOTHING
Values: TypeAlias = Mapping[str, Value]
Made: TypeAlias = Value | Nothing | Choice
Make: TypeAlias = Callable[[Cells, Values], Made]
Read: TypeAlias = Callable[[Cells], str | None]
Fill: TypeAlias = Callable[[str, Values], Made]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMap:
    """How one field is filled. `make` raises ValueError where the row's text does not fit."""

    name: str
    make: Make
    columns: tuple[str, ...] = ()  # for messages
    cell: int | None = None  # the one cell that messages show
    said_by: tuple[int, ...] = ()  # the cells without which a row has no word about the field
    parent: str = ""  # the field whose value has to be known before this one's
    picklist: Picklist | None = None
    as_utc: Sequence[str] = ()  # the first text that was read as UTC because nothing tells its offset

    def is_absent(self, cells: Cells) -> bool:
        """Whether the row does not even have an empty cell for the field."""
        return bool(self.said_by) and all(is_absent(cells[n]) for n in self.said_by)


class Columns:
    """The columns of a source by name, and which of them the mapping uses.

    Where they are not known (`names` is None), every name is taken for one.
    """

    def __init__(self, names: Sequence[str] | None, missing: Iterable[str], source: str) -> None:
        self.names = tuple(names or ())
        self.are_known = names is not None
        self.missing = frozenset(text.strip() for text in missing) | {""}
        self.source = source
        self.used: set[str] = set()
        self._at: dict[str, list[int]] = {}
        for n, name in enumerate(self.names):
            self._at.setdefault(name, []).append(n)

    def find(self, name: str, where: str, faults: list[Fault]) -> int | None:
        """Where a column stands in a row; a fault and None where there is none of that name, or several."""
        self.used.add(name)
        if not self.are_known:
            return None
        at = self._at.get(name)
        if at is None:
            faults.append(self._unknown(name, where))
            return None
        if len(at) > 1:
            places = " and ".join(str(n + 1) for n in at)
            message = f"column `{name}` stands more than once in {self.source}: as columns {places}"
            faults.append(Fault(where=where, message=message, hint="Give each its own name in the header"))
            return None
        return at[0]

    def _unknown(self, name: str, where: str) -> Fault:
        near = nearest(name, self.names)
        self.used.add(near)  # merely misspelt: one fault is enough
        there = f"Put it there, or take it out of the job. Its columns are {_some(self.names)}"
        hint = f"Did you mean `{near}`?" if near else there
        return Fault(where=where, message=f"{self.source} has no column `{name}`", hint=hint)

    def unused(self, ignored: Iterable[str]) -> list[str]:
        done = self.used | set(ignored)
        return [name for name in dict.fromkeys(self.names) if name not in done]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(f"`{name}`" for name in names[:20]) + more


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of a field beside its spec."""

    shape: Field
    parent: Field | None = None  # inside whose value a dependent picklist is chosen
    shipped: Field | None = None  # what the catalog says, where the tenant has spoken
    is_live: bool
    creates_only: bool = False
    is_key: bool = False

    @property
    def can_wait(self) -> bool:
        """Whether a choice can wait for the record that the row meets: its parent's value stands there."""
        parent = self.parent
        return not (self.creates_only or self.is_key) and parent is not None and parent.is_queryable


def field_map(about: About, spec: FieldSpec, columns: Columns, *, faults: list[Fault]) -> FieldMap | None:
    """The way from cells to this field. None, and faults added, where the spec makes no sense.

    Every column that the spec names counts as used either way.
    """
    before = len(faults)
    made = _Maker(about, spec, columns, faults=faults).field_map()
    return made if len(faults) == before else None


class _Maker:
    def __init__(self, about: About, spec: FieldSpec, columns: Columns, *, faults: list[Fault]) -> None:
        self.about, self.shape = about, about.shape
        self.spec, self.columns, self.faults = spec, columns, faults
        self.is_reference = bool(spec.lookup or spec.from_)
        self.allows_inactive = spec.inactive is Inactive.ALLOW
        self.picklist: Picklist | None = None
        self.said_by: tuple[int, ...] = ()
        self.as_utc: list[str] = []
        if self.shape.picklist is not None and not self.is_reference:
            self.picklist = Picklist(
                self.shape,
                is_live=about.is_live,
                allow_inactive=self.allows_inactive,
                parent=about.parent,
                shipped=about.shipped,
            )
        self.parent = self.picklist.depends if self.picklist else ""

    def fault(self, message: str, hint: str = "") -> None:
        self.faults.append(Fault(where=self.spec.where, message=message, hint=hint))

    def field_map(self) -> FieldMap:
        self._check_type()
        if len(self.spec.columns) > 1:
            make, cell = self._composite(), None
        else:
            make, cell = self._single()
        return FieldMap(
            name=self.shape.name,
            make=make,
            columns=self.spec.source_columns,
            cell=cell,
            said_by=self.said_by,
            parent=self.parent,
            picklist=self.picklist,
            as_utc=self.as_utc,
        )

    def _check_type(self) -> None:
        """What the spec asks for must make sense for the type of the field."""
        shape, spec = self.shape, self.spec
        is_date = shape.type is FieldType.DATETIME
        is_number = shape.type.is_whole or shape.type.is_fraction
        if (spec.date or spec.timezone) and not is_date:
            key = "date" if spec.date else "timezone"
            self.fault(
                f"{shape.name} is no date but {_kind(shape)}: `{key}` makes no sense", f"Take `{key}` out"
            )
        elif spec.timezone and shape.is_date_only:
            message = f"{shape.name} holds a calendar date without a time, which no `timezone` can move"
            self.fault(message, "Take `timezone` out")
        if spec.inactive is not None and shape.picklist is None and not spec.lookup and self.about.is_live:
            message = f"{shape.name} is {_kind(shape)}: `inactive` makes no sense"
            self.fault(message, "It goes with picklists, and with `lookup`")
        if spec.number and not is_number:
            self.fault(f"{shape.name} is no number but {_kind(shape)}: `number` makes no sense")
        if self.is_reference and not shape.type.is_whole:
            key = "lookup" if spec.lookup else "from"
            self.fault(f"{shape.name} holds no id but {_kind(shape)}: `{key}` makes no sense")
        elif spec.lookup and not (spec.entity or shape.reference):
            self.fault(f"{shape.name} points to no entity, so `lookup` needs `entity:`")
        if spec.default is not None and len(spec.columns) > 1:
            self.fault(f"{shape.name}: a `default` cannot stand for several columns")

    # One text: from a column, a constant or a template.

    def _single(self) -> tuple[Make, int | None]:
        fill = self._fill()
        default = self._constant(self.spec.default, self._default_fill(fill))
        if self.spec.value is not None:
            return self._constant(self.spec.value, fill), None
        if self.spec.template is not None:
            return _made(self._template(self.spec.template), _showing(fill), default), None
        (name,) = self.spec.source_columns
        cell = self.columns.find(name, self.spec.where, self.faults)
        self.said_by = (cell or 0,)
        missing = self.columns.missing - {text.strip() for text in self.spec.labels}
        read = _cell_reader(cell or 0, missing)
        return _made(read, self._labels(fill) if self.spec.labels else fill, default), cell

    def _fill(self) -> Fill:
        """One text to the value."""
        if self.is_reference:
            refer = self._refer()
            return lambda text, _: refer((sendable(text.strip()),))
        if self.picklist is not None:
            return self._choose(self.picklist)
        return _alone(self._converter())

    def _choose(self, picklist: Picklist) -> Fill:
        name = self.parent
        if not name:
            return lambda text, _: picklist.find(text)
        can_wait = self.about.can_wait
        unsaid = "" if self.about.creates_only else None  # what a new record holds there, if nobody says it

        def choose(text: str, values: Values) -> Made:
            if name in values:
                return picklist.find(text, parent_text(values[name]))
            if not can_wait:
                return picklist.find(text, unsaid)
            picklist.check(text)
            return Choice(text=text, parent=name, about=RowError(message=""))

        return choose

    def _converter(self, *, by_format: bool = True) -> Convert:
        if self.shape.type is not FieldType.DATETIME:
            shipped = self.about.shipped
            length = shipped.length if shipped else self.shape.length
            return plain_converter(self.shape, self.spec.number, shipped_length=length)
        zone = None
        try:
            zone = zone_named(self.spec.timezone) if self.spec.timezone else None
        except ValueError as error:
            self.fault(str(error))
        format = self.spec.date if by_format else None
        is_unseen = (
            self.shape.is_udf and not self.about.is_live
        )  # only the tenant knows whether it has a time
        as_utc = None if is_unseen else self.as_utc
        return date_converter(is_date_only=self.shape.is_date_only, format=format, zone=zone, as_utc=as_utc)

    def _default_fill(self, fill: Fill) -> Fill:
        """A default is written by the job's author: a date may be ISO whatever the source's format is."""
        if not self.spec.date or self.spec.default is None or self.shape.type is not FieldType.DATETIME:
            return fill
        iso = _alone(self._converter(by_format=False))

        def either(text: str, values: Values) -> Made:
            try:
                return fill(text, values)
            except ValueError:
                return iso(text, values)

        return either

    def _constant(self, text: str | None, fill: Fill) -> Make:
        """A text of the job: converted once, and a fault now rather than an error in every row.

        Blank text is no value, as in a cell.
        """
        if text is None or not text.strip():
            return lambda cells, values: NOTHING
        try:
            if self.picklist and self.parent:
                self.picklist.check(text)
                return lambda cells, values: fill(text, values)
            value = fill(text, {})
        except ValueError as error:
            self.fault(f"{self.shape.name}: '{text}' {error}")
            return lambda cells, values: NOTHING
        return lambda cells, values: value

    def _template(self, text: str) -> Read:
        try:
            template = Template(text)
        except ValueError as error:
            self.fault(f"{self.shape.name}: {error}")
            return lambda cells: None
        names = self.columns.names if template.names is None else sorted(template.names)
        if template.names is None:
            self.columns.used.update(names)
        cells = {name: self.columns.find(name, self.spec.where, self.faults) for name in dict.fromkeys(names)}
        places = {name: n for name, n in cells.items() if n is not None}
        self.said_by = tuple(places.values())
        render = template.renderer(places, self.columns.missing)

        def read(cells: Cells) -> str | None:
            made = render(cells)
            return made if made.strip() else None

        return read

    def _labels(self, fill: Fill) -> Fill:
        """Source texts to values by the job's own list; a text that is not in it is an error."""
        made = {text.strip(): self._constant(label, fill) for text, label in self.spec.labels.items()}
        folded: dict[str, list[Make]] = {}
        for text, make in made.items():
            folded.setdefault(text.casefold(), []).append(make)

        def find(text: str, values: Values) -> Made:
            key = text.strip()
            make = made.get(key)
            if make is None:
                others = folded.get(key.casefold(), ())
                if len(others) != 1:
                    raise ValueError(f"is not among the `labels` of the job. {known_texts(key, made)}")
                make = others[0]
            return make((), values)

        return find

    # Several texts: the parts of a composite key.

    def _composite(self) -> Make:
        cells = [self.columns.find(name, self.spec.where, self.faults) for name in self.spec.columns]
        at = [n for n in cells if n is not None]
        names, missing, refer = self.spec.columns, self.columns.missing, self._refer()
        self.said_by = tuple(at[-1:])

        def make(cells: Cells, _: Values) -> Made:
            key = tuple(cells[n].strip() for n in at)
            empty = [name for name, text in zip(names, key, strict=True) if text in missing]
            if names[-1] in empty:  # keys go from wide to narrow: a project says nothing without its phase
                return NOTHING
            if empty:
                raise ValueError(
                    f"{' and '.join(empty)} says nothing, and the key needs all of {len(key)} columns"
                )
            return refer(tuple(sendable(text) for text in key))

        return make

    def _template_columns(self) -> list[str]:
        """What a reference made by a template is made of, for messages; nothing where that is anything."""
        try:
            return sorted(Template(self.spec.template or "").names or ())
        except ValueError:  # told where the template is compiled
            return []

    def _refer(self) -> Callable[[tuple[str, ...]], Value]:
        """Key texts to a reference; who resolves it finds what they mean."""
        spec, column = self.spec, ", ".join(self.spec.source_columns or self._template_columns())
        if spec.from_:
            step = spec.from_
            return lambda key: FromStep(step=step, key=key, column=column)
        entity, fields, allows = spec.entity or self.shape.reference, spec.lookup, self.allows_inactive
        return lambda key: Lookup(
            entity=entity, fields=fields, values=key, column=column, allows_inactive=allows
        )


def _kind(shape: Field) -> str:
    if shape.picklist is not None:
        return "a picklist"
    if is_flag(shape):
        return "yes or no"
    return "text" if shape.type is FieldType.STRING else f"of type {shape.type}"


def _alone(convert: Convert) -> Fill:
    return lambda text, _: convert(text)


def _cell_reader(cell: int, missing: frozenset[str]) -> Read:
    def read(cells: Cells) -> str | None:
        text = cells[cell]
        return None if text in missing or text.strip() in missing else text

    return read


def _made(read: Read, fill: Fill, default: Make) -> Make:
    def make(cells: Cells, values: Values) -> Made:
        text = read(cells)
        value = NOTHING if text is None else fill(text, values)
        return default(cells, values) if value is NOTHING else value

    return make


def _showing(fill: Fill) -> Fill:
    """What a template made stands in no cell, so its errors show it."""

    def filled(text: str, values: Values) -> Made:
        try:
            return fill(text, values)
        except InactiveError as error:
            raise InactiveError(_of_template(text, error), error.value) from None
        except ValueError as error:
            raise ValueError(_of_template(text, error)) from None

    return filled


def _of_template(text: str, error: ValueError) -> str:
    shown = text if len(text) <= 60 else text[:57] + "..."
    return f"{shown!r}, made by the template, {error}"


def parent_text(value: Value) -> str | None:
    """The parent's value as picklist metadata spells it, "" where there is none; None where nobody knows."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int | float | str) else None
