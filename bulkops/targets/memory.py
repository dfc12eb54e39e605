"""A target in memory, for tests of planning and applying: same contract, scripted failures, every write kept.

Filters, routes and refusals behave as the Autotask target's do against a server; there is no network, no
window and no wait.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from bulkops.errors import MissingError, NotSentError, RefusedError, RejectedError
from bulkops.record import Scalar
from bulkops.schema import Entity
from bulkops.targets.autotask import query, route
from bulkops.targets.autotask.catalog import Catalog, load_catalog
from bulkops.targets.base import SPENT, CallCount, Filter, RecordData, Usage
from bulkops.targets.matching import Test, matcher

Commit: TypeAlias = Callable[[], int]
Failure: TypeAlias = Exception | Callable[[Commit], int]
"""What a scripted call does instead: raise before commit, or decide when the write happens (`committing`)."""

OWN_RESOURCE = 29682885  # the API user: creator of what it creates


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write as it was asked for, whatever became of it."""

    action: str  # create, update, delete
    entity: str
    id: int | None
    values: Mapping[str, Scalar] = field(default_factory=dict)
    parent: int | None = None
    impersonate: int | None = None


def committing(error: Exception) -> Failure:
    """The write happens and its answer is lost."""

    def fail(commit: Commit) -> int:
        commit()
        raise error

    return fail


class MemoryTarget:
    """Implements `targets.base.Target` over dictionaries.

    `rows`: records by entity, as they are read; an id is given where one is missing.
    `failures`: by call, "create" or "create Tasks" (also update, delete, read, count), what each call of that
    kind does in turn; None is an ordinary one, and so is all that comes after the last.
    """

    def __init__(
        self,
        rows: Mapping[str, Iterable[Mapping[str, Scalar]]] | None = None,
        *,
        failures: Mapping[str, Iterable[Failure | None]] | None = None,
        entities: Mapping[str, Entity] | None = None,
        ci: str = "1",
        settle_s: float = 0.0,
        per_entity: int = 2,
    ) -> None:
        self.calls = CallCount()
        self.settle_s = settle_s
        self.per_entity = per_entity
        self.writes: list[Write] = []
        self.max_in_flight: Counter[str] = Counter()
        self.rows: dict[str, dict[int, RecordData]] = defaultdict(dict)
        self.late: list[Commit] = []  # writes that `landing_late` holds back
        self._in_flight: Counter[str] = Counter()
        self._ci = ci
        self._ids = itertools.count(1000)
        self._catalog = Catalog({**load_catalog().entities, **(entities or {})})
        self._failures = {call: deque(script) for call, script in (failures or {}).items()}
        self._is_drained = False
        for entity, records in (rows or {}).items():
            for record in records:
                self.load(entity, record)

    # --- for tests ---------------------------------------------------------------------------------------

    def load(self, entity: str, record: Mapping[str, Scalar]) -> int:
        """Puts a record there as it is, by no rule."""
        given = record.get("id")
        number = given if isinstance(given, int) else next(self._ids)
        self._ids = itertools.count(max(number + 1, next(self._ids)))
        self.rows[entity][number] = {**record, "id": number}
        return number

    def script(self, call: str, failures: Iterable[Failure | None]) -> None:
        """What the next calls of that kind do."""
        self._failures[call] = deque(failures)

    def landing_late(self, error: Exception) -> Failure:
        """The answer is lost and the write happens when the test calls `land`."""

        def fail(commit: Commit) -> int:
            self.late.append(commit)
            raise error

        return fail

    def land(self) -> None:
        """What was held back happens now."""
        while self.late:
            self.late.pop(0)()

    # --- what there is -----------------------------------------------------------------------------------

    async def identity(self) -> str:
        return self._ci

    async def describe(self, entity: str) -> Entity:
        """What `entities` say, else the catalog's entity, as if the tenant had said it."""
        return replace(self._known(entity), is_live=True)

    def usage(self) -> Usage:
        return Usage(in_flight={name: count for name, count in self._in_flight.items() if count})

    def drain(self) -> None:
        self._is_drained = True

    def _known(self, name: str) -> Entity:
        entity = self._catalog.find(name)
        if entity is None:
            raise RefusedError(f"there is no entity {name!r}")
        return entity

    # --- reading -----------------------------------------------------------------------------------------

    async def read(
        self, entity: str, where: Filter, *, fields: Sequence[str] | None = None
    ) -> AsyncIterator[RecordData]:
        """Records by rising id, one call each 500; each page is cut when it is asked for."""
        shape = self._queryable(entity, where)
        passes = matcher(where or query.EVERYTHING, shape)
        wanted = query.wanted_names(fields)
        last: int | None = None
        while True:
            await self._take_part("read", shape)
            page = self._page(shape, passes, last)
            for record in page[: query.PAGE]:
                yield query.record(record, wanted)
            if len(page) <= query.PAGE:
                return
            last = int(page[query.PAGE - 1]["id"] or 0)

    async def count(self, entity: str, where: Filter | None = None) -> int:
        shape = self._queryable(entity, where or {})
        await self._take_part("count", shape)
        passes = matcher(where or query.EVERYTHING, shape)
        return sum(map(passes, self.rows[shape.name].values()))

    def _page(self, shape: Entity, passes: Test, last: int | None) -> list[RecordData]:
        """Up to one record more than a page holds: whether there is a next one."""
        rows = self.rows[shape.name]
        ids = (number for number in sorted(rows) if last is None or number > last)
        found = (rows[number] for number in ids if passes(rows[number]))
        return [self._shown(shape, record) for record in itertools.islice(found, query.PAGE + 1)]

    @staticmethod
    def _shown(shape: Entity, record: RecordData) -> RecordData:
        """All fields of the entity, empty ones included, and the UDFs that have a value."""
        names = (name for name, field in shape.fields.items() if not (field.is_path_only or field.is_udf))
        return {**dict.fromkeys(names), **record}

    def _queryable(self, entity: str, where: Filter) -> Entity:
        shape = self._known(entity)
        if not shape.is_queryable:
            raise RefusedError(f"{shape.name} cannot be queried")
        if where:
            query.check(where)
        return shape

    async def _take_part(self, call: str, shape: Entity) -> None:
        """One read: counted, interleaved with others, and failing where the script says so."""
        self._refuse_when_stopping()
        self.calls.read += 1
        await asyncio.sleep(0)
        failure = self._next_failure(call, shape.name)
        if isinstance(failure, Exception):
            raise failure
        if failure is not None:
            failure(lambda: 0)

    # --- writing -----------------------------------------------------------------------------------------

    async def create(
        self, entity: str, values: Mapping[str, Scalar], *, parent: int | None = None,
        impersonate: int | None = None,
    ) -> int:  # fmt: skip
        shape = self._known(entity)
        parent = route.parent_of(shape, values, parent)
        route.create_path(shape, parent)  # refuses what has no route
        stored = self._stored(shape, values, is_create=True)
        if parent is not None and shape.parent is not None:
            stored[shape.parent.field] = parent
        if (creator := shape.creator_field()) is not None:
            stored[creator.name] = impersonate or OWN_RESOURCE
        write = Write(
            action="create",
            entity=shape.name,
            id=None,
            values=dict(values),
            parent=parent,
            impersonate=impersonate,
        )

        def commit() -> int:
            number = next(self._ids)
            self.rows[shape.name][number] = {**stored, "id": number}
            return number

        return await self._write(write, commit)

    async def update(
        self, entity: str, id: int, values: Mapping[str, Scalar], *, parent: int | None = None,
        impersonate: int | None = None,
    ) -> None:  # fmt: skip
        shape = self._known(entity)
        route.update_path(shape, parent)
        stored = self._stored(shape, values, is_create=False)
        write = Write(
            action="update",
            entity=shape.name,
            id=id,
            values=dict(values),
            parent=parent,
            impersonate=impersonate,
        )

        def commit() -> int:
            self._existing(shape, id).update(stored)
            return id

        await self._write(write, commit)

    async def delete(self, entity: str, id: int, *, parent: int | None = None) -> None:
        shape = self._known(entity)
        route.delete_path(shape, id, parent)

        def commit() -> int:
            self._existing(shape, id)
            del self.rows[shape.name][id]
            return id

        await self._write(Write(action="delete", entity=shape.name, id=id, parent=parent), commit)

    def _existing(self, shape: Entity, id: int) -> RecordData:
        try:
            return self.rows[shape.name][id]
        except KeyError:
            raise MissingError("No matching records found.", status=500) from None

    @staticmethod
    def _stored(shape: Entity, values: Mapping[str, Scalar], *, is_create: bool) -> RecordData:
        """What the server keeps: unknown and read-only fields are ignored, UDFs are text, dates are dates."""
        stored: RecordData = {}
        for name, value in values.items():
            known = shape.find(name)
            if known is None and name.startswith(route.UDF):
                stored[name] = route.udf_text(value)
            if known is None or known.name == "id" or known.is_path_only:
                continue
            if known.is_read_only and not (is_create and known.is_required):
                continue
            if known.length and isinstance(value, str) and len(value) > known.length:
                text = f"{known.name} must be less than or equal to {known.length} characters"
                raise RejectedError(text, known=True, status=500, texts=[text])
            is_date = known.is_date_only and isinstance(value, str)
            kept = f"{str(value)[:10]}T00:00:00Z" if is_date else value
            stored[known.name] = route.udf_text(kept) if known.is_udf else kept
        return stored

    def _refuse_when_stopping(self) -> None:
        if self._is_drained:
            raise NotSentError("the run is being stopped")
        if self.calls.is_spent:
            raise NotSentError(SPENT)

    async def _write(self, write: Write, commit: Commit) -> int:
        self._refuse_when_stopping()
        self.writes.append(write)
        self.calls.write += 1
        self._in_flight[write.entity] += 1
        self.max_in_flight[write.entity] = max(
            self.max_in_flight[write.entity], self._in_flight[write.entity]
        )
        try:
            await asyncio.sleep(0)
            failure = self._next_failure(write.action, write.entity)
            if isinstance(failure, Exception):
                raise failure
            return commit() if failure is None else failure(commit)
        finally:
            self._in_flight[write.entity] -= 1

    def _next_failure(self, call: str, entity: str) -> Failure | None:
        for key in (f"{call} {entity}", call):
            if self._failures.get(key):
                return self._failures[key].popleft()
        return None
