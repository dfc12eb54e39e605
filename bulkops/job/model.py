"""What a job file says, as values. Texts stand as the author wrote them; every part knows its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bulkops.errors import Fault, JobError
from bulkops.safety import DEFAULTS, Limit
from bulkops.wording import did_you_mean, listed, shown

if TYPE_CHECKING:
    from pandas import DataFrame

    from bulkops.job.recipes import Recipe
    from bulkops.sources.base import Source as Rows


class StepAction(StrEnum):
    """What a step does with its rows; an upsert becomes a create or an update, row by row."""

    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"


class Empty(StrEnum):
    """What an empty cell means for its field."""

    SKIP = "skip"  # leave the field alone
    CLEAR = "clear"
    REJECT = "reject"  # reject the row


class Inactive(StrEnum):
    """What to do with an inactive picklist value or an inactive referenced record."""

    REJECT = "reject"
    ALLOW = "allow"


class Keep(StrEnum):
    FIRST = "first"
    LAST = "last"


class Op(StrEnum):
    """The target's own operators."""

    EQ = "eq"
    NOTEQ = "noteq"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    BEGINS_WITH = "beginsWith"
    ENDS_WITH = "endsWith"
    CONTAINS = "contains"
    EXIST = "exist"
    NOT_EXIST = "notExist"
    IN = "in"
    NOT_IN = "notIn"
    AND = "and"
    OR = "or"

    @property
    def is_group(self) -> bool:
        return self in (Op.AND, Op.OR)

    @property
    def takes_list(self) -> bool:
        return self in (Op.IN, Op.NOT_IN)

    @property
    def takes_value(self) -> bool:
        return not self.is_group and self not in (Op.EXIST, Op.NOT_EXIST)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupValue:
    """The id of the record whose `lookup` fields hold the texts of `key`, one for each."""

    lookup: tuple[str, ...]
    key: tuple[str, ...]
    entity: str | None = None  # where the compared field has no reference


Operand: TypeAlias = str | LookupValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of a `where`: `field op value`, or `and`/`or` over `items`."""

    op: Op
    field: str = ""
    value: Operand | tuple[Operand, ...] | None = None  # None: the operator takes none
    items: tuple[Condition, ...] = ()
    where: str = ""  # "jobs/x.yaml:12"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    """Of the rows that agree in `by`, one is kept."""

    by: tuple[str, ...]
    keep: Keep = Keep.LAST
    where: str = field(default="", compare=False)  # "jobs/x.yaml:12"


class WrittenAs(StrEnum):
    """What `bulkops export` wrote a file as: that stays true whatever it was saved as since."""

    CSV = "csv"  # the only one whose cells are guarded
    XLSX = "xlsx"
    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A file of rows. None: to be found out from the file."""

    file: Path  # resolved against the job's folder
    display: str  # as the job names it, for messages and locators
    encoding: str | None = None
    delimiter: str | None = None  # one character; "tab" and "\t" have become one
    quote: str | None = None  # one character; "": nothing is quoted
    header_row: int = 1  # the line, or the row of the sheet, that holds the column names
    columns: tuple[str, ...] | None = None  # the names, where the file has no header
    sheet: str | None = None
    usual_sheet: str | None = None  # of the file that this one stands for: taken where it has such a sheet
    exported: WrittenAs | None = None  # where it is an export of bulkops
    distinct: Distinct | None = None
    is_override: bool = False  # given on the command line in place of the job's own file
    stands_for: FileSource | None = field(default=None, compare=False, repr=False)  # that file
    is_of_query: bool = False  # it stands for a query: it has columns that nobody has to name

    @property
    def is_export(self) -> bool:
        """Whether its columns are those of an export, or it stands for a file that has those."""
        return bool(self.exported or (self.stands_for and self.stands_for.exported))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySource:
    """The tenant's own records of entity `query`, those for which all of `where` holds."""

    query: str
    where: tuple[Condition, ...] = ()
    distinct: Distinct | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSource:
    """Rows that a Python program holds: the frame's columns are the header, its index is not read."""

    frame: DataFrame = field(repr=False, compare=False)
    display: str  # for messages and locators
    distinct: Distinct | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSource:
    """Rows that a recipe makes of the tenant's records: there are none before it has read those."""

    rows: Rows = field(repr=False, compare=False)
    needs: frozenset[str] = frozenset()  # steps above some of whose rows its own need (`Row.needs`)
    distinct: None = None


Source: TypeAlias = FileSource | QuerySource | FrameSource | MadeSource


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSpec:
    """How numbers are written in the source."""

    decimal: str = "."
    thousands: str | None = None  # None: digits are not grouped


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """Where one field's value comes from, and how its text is read.

    Exactly one of `column`, `columns`, `value` and `template` is given. `columns` come with as many fields
    in `lookup`, or with `from_`.
    """

    column: str | None = None
    columns: tuple[str, ...] = ()
    value: str | None = None
    template: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)  # cell → picklist label, number or text
    default: str | None = None
    date: str | None = None  # a strptime format that says year, month and day
    timezone: str | None = None
    number: NumberSpec | None = None
    lookup: tuple[str, ...] = ()
    entity: str | None = None  # of the lookup, where the field has no reference
    from_: str | None = None  # the step whose record is meant
    empty: Empty = Empty.SKIP
    inactive: Inactive | None = None
    where: str = ""  # "jobs/x.yaml:12"
    is_broken: bool = field(default=False, compare=False)  # something in it could not be understood

    @property
    def source_columns(self) -> tuple[str, ...]:
        """The columns it names; those inside a template are not known here."""
        return self.columns if self.column is None else (self.column,)


REST = "*"
"""In `ignore`: every column that nothing else uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One entity, one action, one source, one mapping."""

    name: str
    entity: str
    action: StepAction
    source: Source
    match: tuple[str, ...] = ()  # field names; UDFs as "udf:Name"
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)
    udf: Mapping[str, FieldSpec] = field(default_factory=dict)  # by name, without "udf:"
    ignore: tuple[str, ...] = ()
    impersonate: FieldSpec | None = None
    marker: str | None = None
    undo: Mapping[str, FieldSpec] = field(default_factory=dict)
    """What a record that this step created gets when it is undone and the API cannot delete it: constants."""
    file: str = ""  # the job file, for messages
    line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict)  # where each key stands
    broken: frozenset[str] = field(default=frozenset(), compare=False)
    """Keys that are missing or could not be understood: nothing follows from what stands for them."""

    def where(self, key: str = "") -> str:
        """Where a key stands, or where the step begins: `jobs/x.yaml:12`."""
        return f"{self.file}:{self.lines.get(key, self.line)}"

    def specs(self) -> dict[str, FieldSpec]:
        """`fields` and `udf` in one: UDFs as "udf:Name"."""
        return {**self.fields, **{f"udf:{name}": spec for name, spec in self.udf.items()}}

    def named(self) -> frozenset[str]:
        """The columns that its fields, and what makes its rows distinct, name; but for those in templates."""
        specs = [*self.specs().values(), *([self.impersonate] if self.impersonate else [])]
        by = self.source.distinct.by if self.source.distinct else ()
        return frozenset(name for spec in specs for name in spec.source_columns if name) | set(by)

    @property
    def ignores_rest(self) -> bool:
        """Whether no column has to be named: what nothing uses is ignored."""
        return REST in self.ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job file: steps, or one recipe."""

    path: Path
    version: int = 1
    name: str
    tenant: str
    reason: str = ""
    missing: tuple[str, ...] = ("",)  # cells that mean "no value"
    steps: tuple[Step, ...] = ()
    limits: Mapping[str, Limit] = field(default_factory=lambda: dict(DEFAULTS))  # all that are in force
    recipe: Recipe | None = None
    lines: Mapping[str, int] = field(default_factory=dict)  # where each key stands
    faults: tuple[Fault, ...] = field(default=(), compare=False)
    """What is wrong with its file: a job with faults can be looked at further, and is never planned."""
    broken: frozenset[str] = field(default=frozenset(), compare=False)  # as those of a step

    def where(self, key: str = "") -> str:
        """Where a key stands: `jobs/x.yaml:3`."""
        return f"{self.path}:{self.lines.get(key, 1)}"

    def with_frame(self, step: str, frame: DataFrame, *, name: str = "") -> Job:
        """The job with the rows of `frame` as the source of `step`, which keeps its `distinct`.

        `name` is what messages and plans call the frame. Raises JobError where there is no such step.
        """
        names = [item.name for item in self.steps]
        if step not in names:
            hint = did_you_mean(step, names) or (f"The steps are {listed(names)}." if names else "")
            raise JobError(
                [Fault(where=str(self.path), message=f"there is no step {shown(step)}", hint=hint)]
            )
        old = self.steps[names.index(step)]
        source = FrameSource(frame=frame, display=name or f"frame of {step}", distinct=old.source.distinct)
        return replace(self, steps=tuple(replace(s, source=source) if s is old else s for s in self.steps))
