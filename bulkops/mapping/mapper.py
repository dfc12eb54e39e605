"""Applies a compiled mapping to rows: a record, and every error of the row. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from bulkops.mapping.fieldmap import NOTHING, FieldMap, Nothing, parent_text
from bulkops.mapping.picklists import InactiveError
from bulkops.record import IMPERSONATE, Choice, Record, Row, RowError, Scalar, Value

Parts: TypeAlias = tuple[Record, tuple[RowError, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A field, the way to its value, and what stands where its cell is empty, or is not there at all."""

    way: FieldMap
    nothing: Value | Nothing | RowError
    absent: Value | Nothing | RowError


class Mapper:
    """The compiled mapping of one step. `fields` are the names a record can hold.

    `needs` are fields of the records that rows meet, without which the rows' own cannot be told.
    """

    def __init__(self, filled: Sequence[Filled], columns: int, *, creates_only: bool = False) -> None:
        names = [item.way.name for item in filled]
        self.fields = tuple(name for name in names if name != IMPERSONATE)
        self.needs = tuple(dict.fromkeys(item.way.parent for item in filled if item.way.parent))
        self._filled = tuple((item, item.way.name, item.way.make) for item in filled)
        self._picklists = {item.way.name: item.way.picklist for item in filled if item.way.picklist}
        self._columns = columns
        self._creates_only = creates_only

    def only(self, names: Collection[str]) -> Mapper:
        """The mapping of these fields alone: what makes a key of a row of which nothing else is known."""
        return Mapper([item for item, name, _ in self._filled if name in names], self._columns)

    def read_as_utc(self) -> dict[str, str]:
        """The fields of which rows so far had a time that tells no offset, and the first such text."""
        return {name: item.way.as_utc[0] for item, name, _ in self._filled if item.way.as_utc}

    def without(self, names: Collection[str]) -> Mapper:
        """The mapping without these fields, and without those chosen inside the value of one of them."""
        kept = [item for item, name, _ in self._filled if name not in names and item.way.parent not in names]
        return Mapper(kept, self._columns, creates_only=self._creates_only)

    def map(self, row: Row) -> Record | tuple[RowError, ...]:
        """The record of a row, or every error in it. Never raises, whatever the cells hold."""
        record, errors = self.parts(row)
        return errors or record

    def parts(self, row: Row) -> Parts:
        """What can be told of a row's record, and every error in it, so that nobody hears of them in turn."""
        cells = row.cells
        if row.fault or len(cells) != self._columns:
            return Record(values={}), (RowError(message=row.fault or self._wrong_count(row)),)
        made = _Making(cells)
        values = made.values
        for item, name, make in self._filled:
            if made.failed and item.way.parent in made.failed:
                continue  # what may be chosen here, nobody knows
            try:
                value = make(cells, values)
            except InactiveError as error:
                values[name] = error.value
                made.doubts[name] = _row_error(item.way, cells, str(error))
            except ValueError as error:
                made.errors.append(_row_error(item.way, cells, str(error)))
                made.failed.add(name)
            else:
                if value is NOTHING or value.__class__ is Choice:
                    made.put(item, name, value)
                else:
                    values[name] = value  # type: ignore[assignment]  # the hot path: a plain value
        return made.parts(creates_only=self._creates_only)

    def chosen(self, record: Record, current: Mapping[str, Scalar]) -> Record | tuple[RowError, ...]:
        """`record` with its choices made inside the values that `current` holds, or what speaks against it.

        `current` is the record that the row meets, empty where there is none yet.
        """
        values, doubts, errors = dict(record.values), dict(record.doubts), []
        for name, choice in record.choices.items():
            try:
                parent = parent_text(current.get(choice.parent))
                values[name] = self._picklists[name].find(choice.text, parent)
            except InactiveError as error:
                values[name] = error.value
                doubts[name] = replace(choice.about, message=str(error))
            except ValueError as error:
                errors.append(replace(choice.about, message=str(error)))
        return tuple(errors) or replace(record, values=values, doubts=doubts, choices={})

    def _wrong_count(self, row: Row) -> str:
        place = f"line {row.line}" if row.line is not None else "the row"
        return f"{place} has {len(row.cells)} cells, the header has {self._columns}"


class _Making:
    """One record in the making."""

    __slots__ = ("cells", "choices", "doubts", "errors", "failed", "values")

    def __init__(self, cells: tuple[str, ...]) -> None:
        self.cells = cells
        self.values: dict[str, Value] = {}
        self.choices: dict[str, Choice] = {}
        self.doubts: dict[str, RowError] = {}
        self.errors: list[RowError] = []
        self.failed: set[str] = set()  # fields whose text has no value

    def put(self, item: Filled, name: str, value: Value | Nothing | Choice) -> None:
        if value is NOTHING:
            nothing = item.absent if item.way.is_absent(self.cells) else item.nothing
            if isinstance(nothing, RowError):
                self.errors.append(nothing)
                return
            value = nothing
        if isinstance(value, Choice):
            self.choices[name] = replace(value, about=_row_error(item.way, self.cells, ""))
        elif value is not NOTHING:
            self.values[name] = value

    def parts(self, *, creates_only: bool) -> Parts:
        by = self.values.pop(IMPERSONATE, None)
        record = Record(values=self.values, impersonate=by, choices=self.choices, doubts=self.doubts)
        # Where all is written anew, or the row is lost anyway, a doubt is as good as an error.
        doubts = self.doubts.values() if creates_only or self.errors else ()
        return record, (*self.errors, *doubts)


def _row_error(way: FieldMap, cells: tuple[str, ...], message: str) -> RowError:
    shown = None if way.cell is None else cells[way.cell]
    column = ", ".join(way.columns)
    if message and not column:
        message = f"{way.name}: {message}"
    return RowError(message=message, column=column, value=shown, field=way.name)
