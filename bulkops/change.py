"""A change: what would happen to one record, field by field. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bulkops.record import Created, Value


class Action(StrEnum):
    """What a change does, in the words of `show --json`."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"

    @property
    def is_write(self) -> bool:
        return self in (Action.CREATE, Action.UPDATE, Action.DELETE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A before-value that cannot be read: the field is not queryable."""


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDiff:
    """One field of a change. `before` is None on a create; `after` may be `Created(change=17)`."""

    before: Value | Unknown
    after: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row's fate. `n` counts from 1 over the whole plan and is the row's number too."""

    n: int
    step: str
    entity: str
    action: Action
    line: int | None = None  # of the source row
    file: str = ""
    id: int | None = None  # the record, where it exists
    key: Mapping[str, Value] = field(default_factory=dict)  # match fields and their values
    fields: Mapping[str, FieldDiff] = field(default_factory=dict)  # what is sent; UDFs as "udf:Name"
    parent: int | Created | None = None  # the id in the path of a child entity
    impersonate: int | None = None
    waits_for: tuple[int, ...] = ()  # changes that must be settled well before this one is sent
    barrier: int = 0  # every change up to this number must be settled before this one is sent
    reason: str | None = None  # why it was rejected

    def after(self) -> dict[str, Value]:
        """The values that are sent."""
        return {name: diff.after for name, diff in self.fields.items()}
