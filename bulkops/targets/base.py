"""The contract of a target: everything the planner and the applier ask of it, and nothing else.

Every method may raise `errors.CallError` subclasses; reads have retried by then what can be retried,
writes are one attempt each (the applier decides what happens next). All calls of all methods pass the
tenant's one limiter and pool: slot first, then token, then send.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from bulkops.record import Scalar
from bulkops.schema import Entity

Filter: TypeAlias = Mapping[str, Any]
"""The API's own filter language: `{"op": "eq", "field": "status", "value": 5}`,
`{"op": "and", "items": […]}`,
`"udf": True` for user-defined fields."""

RecordData: TypeAlias = dict[str, Scalar]
"""A record as read: field name to value; user-defined fields flattened as `udf:Name`."""


SPENT = "the number of calls allowed (--max-calls) was made"


@dataclass(slots=True, kw_only=True)
class CallCount:
    """Requests that left, by kind. Retries count."""

    read: int = 0
    write: int = 0
    opening: int = 0  # reads that opening the connection cost: the first run on it counts them as its own
    most: int | None = None  # calls in all, after which the target makes no more (NotSentError)

    @property
    def is_spent(self) -> bool:
        return self.most is not None and self.read + self.write >= self.most


@dataclass(slots=True, kw_only=True)
class Usage:
    """How the tenant's window stands, as far as it is known."""

    granted: int = 0  # calls we may have in a window: floor(share × requests) − others
    used: int = 0  # tokens out now
    others: int = 0  # calls of others in the last window
    window_s: float = 3600.0
    requests: int = 10_000  # calls the tenant's window holds, all integrations
    share: float = 0.75  # of the window that is granted to us and others together
    waiting: str | None = None  # a sentence while calls wait for the limiter or a slot
    in_flight: Mapping[str, int] = field(default_factory=dict)


class Target(Protocol):
    calls: CallCount
    settle_s: float  # seconds after sending during which an unanswered write may still land
    per_entity: int  # writes of one entity that may be in flight at once

    async def identity(self) -> str:
        """The database this target is, as text (Autotask: zone information's `ci`)."""
        ...

    async def describe(self, entity: str) -> Entity:
        """The entity with the tenant's own metadata, read once a run. RefusedError where there is none."""
        ...

    def read(
        self, entity: str, where: Filter, *, fields: Sequence[str] | None = None
    ) -> AsyncIterator[RecordData]:
        """Every record for which `where` holds, ascending by id, 500 a call. `id` is always included."""
        ...

    async def count(self, entity: str, where: Filter | None = None) -> int:
        """How many records; without `where`, all of the entity."""
        ...

    async def create(
        self, entity: str, values: Mapping[str, Scalar], *, parent: int | None = None,
        impersonate: int | None = None,
    ) -> int:  # fmt: skip
        """Creates one record, returns its id. `values` keyed as in Record; `parent` for child entities."""
        ...

    async def update(
        self, entity: str, id: int, values: Mapping[str, Scalar], *, parent: int | None = None,
        impersonate: int | None = None,
    ) -> None:  # fmt: skip
        """Changes only the given fields of one record."""
        ...

    async def delete(self, entity: str, id: int, *, parent: int | None = None) -> None:
        """Deletes one record. MissingError where it is gone already."""
        ...

    def usage(self) -> Usage: ...

    def drain(self) -> None:
        """From now on nothing more is sent: calls that wait for a slot or a token, and new ones, raise
        NotSentError. What is in flight finishes."""
        ...
