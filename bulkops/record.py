"""What flows through the house: source rows, the records they become, references between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | None

IMPERSONATE = "impersonate"  # where messages and doubts about `Record.impersonate` stand


@dataclass(frozen=True, slots=True, kw_only=True)
class Locator:
    """Where a row stands: `tasks.csv:7`, or sheet `Tasks` row 7 of `tasks.xlsx`."""

    file: str
    line: int | None = None  # 1-based, the line where the row begins
    sheet: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}, sheet {self.sheet}" if self.sheet else self.file
        return f"{place}:{self.line}" if self.line is not None else place


class StoredText(str):
    """The text of a cell that held a number or a date, and no text: spelled by us as 1234.5 or 2026-01-31.

    What a job says of the source's decimal sign and date format is not meant for it. Without a character it
    is the cell of what the source's record does not have (`ABSENT`).
    """

    __slots__ = ()


ABSENT = StoredText()
"""The cell of a key that the source's record does not have, as a JSON object may: no empty cell, for it says
nothing about its field, not even that it is to be cleared."""


def is_absent(cell: str) -> bool:
    return not cell and type(cell) is StoredText


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Records by id, with what each holds in some of its fields."""

    records: Mapping[int, Mapping[str, Scalar]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Which records of `entity` belonged to a record: `parent` held its id, `field` not `unless`.

    Where the record's own `field` is set to `unless`, the API does the same to them; `keeps` names what they
    lose with that. `held` is None in plans of older versions, which kept the number only.
    """

    entity: str
    parent: str  # a field
    field: str
    unless: Scalar
    word: str  # for one of them: `open task`
    keeps: tuple[str, ...]  # fields
    held: Held | None

    @property
    def records(self) -> Mapping[int, Mapping[str, Scalar]]:
        return self.held.records if self.held is not None else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Premise:
    """What a record held when the plan was made: what rests on it is written only while it holds that.

    `loses` is what the API empties of it besides, where it is the record that is written: undo restores it.
    `beside` is the key of another record of the entity that is written, in the place of which it comes.
    """

    entity: str
    id: int
    values: Mapping[str, Scalar]
    tally: Tally | None = None  # what belonged to it
    loses: Mapping[str, Scalar] = field(default_factory=dict)
    lost_by: str = ""  # the field by which it loses that
    beside: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record of the source, as text. `cells` has one text per column of `Header.columns`.

    A row whose number of cells differs from the header's keeps what it has; `mapping` rejects it.
    """

    cells: tuple[str, ...]
    line: int | None = None
    fault: str = ""  # a sentence where the source could not be read as written: `mapping` rejects the row
    found: Mapping[str, Scalar] | None = None  # the very record, where rows are the records they would change
    needs: FromStep | None = None  # the row of a step above without which this one is not written
    premise: Premise | None = None  # on which it rests
    reason: str = field(default="", compare=False)
    """Why an earlier run did not apply it, where it comes back in a result file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The id that change number `change` of the same plan will have created: known after apply."""

    change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """The id of the one record of `entity` whose `fields` equal `values` (compared as the server does)."""

    entity: str
    fields: tuple[str, ...]
    values: tuple[Scalar, ...]
    column: str = ""  # where the text came from, for messages
    allows_inactive: bool = False  # whether a record that is no longer in use will do


@dataclass(frozen=True, slots=True, kw_only=True)
class FromStep:
    """The record that step `step` made or found for the source texts `key`."""

    step: str
    key: tuple[str, ...]
    column: str = ""


Reference: TypeAlias = Lookup | FromStep | Created
Value: TypeAlias = Scalar | Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """Why one row cannot become a change: what is wrong, in which column, with which text."""

    message: str
    column: str = ""
    value: str | None = None
    field: str = ""

    def __str__(self) -> str:
        parts = []
        if self.column:
            parts.append(f"column {self.column}")
        if self.value is not None:
            shown = self.value if len(self.value) <= 60 else self.value[:57] + "..."
            parts.append(repr(shown))
        place = " ".join(parts)
        return f"{place}: {self.message}" if place else self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A value that cannot be told before its record is known: a label inside the value of another field."""

    text: str
    parent: str  # the field whose value decides
    about: RowError  # column and text, for messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Typed field values for one entity. UDFs are keyed `udf:Name`. A value of None clears the field.

    A field that is absent is left alone.
    """

    values: Mapping[str, Value]
    impersonate: Value = None  # the resource that is to be the creator, where the step says one row by row
    choices: Mapping[str, Choice] = field(default_factory=dict)  # fields whose value waits for the record
    doubts: Mapping[str, RowError] = field(default_factory=dict)
    """Errors that count only where the field is written: what is inactive may stay where it is."""
