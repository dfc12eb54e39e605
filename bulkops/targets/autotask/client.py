"""Autotask as a target: what to ask and what to send. Reads persist, writes try once (`door` lets them pass).

Reads are POSTed queries only, in pages of 500 by rising id (REST_Advanced_Query_Features.htm).
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import anyio
import orjson

from bulkops.errors import (
    InDoubtError,
    NoRouteError,
    NotSentError,
    RefusedError,
    RejectedError,
    StopError,
    TenantError,
)
from bulkops.record import Scalar
from bulkops.schema import Entity
from bulkops.targets.autotask import query, route
from bulkops.targets.autotask.again import ON_THE_WAY_S, persist, reconnecting
from bulkops.targets.autotask.catalog import Catalog
from bulkops.targets.autotask.door import Door, Request
from bulkops.targets.autotask.errors import Kind
from bulkops.targets.autotask.metadata import live_entity
from bulkops.targets.base import CallCount, Filter, RecordData, Usage
from bulkops.tenant import Tenant
from bulkops.transport import Answer

_METHODS = {Kind.CREATE: "POST", Kind.UPDATE: "PATCH", Kind.DELETE: "DELETE"}


class AutotaskTarget:
    """One tenant, while `session.connect` holds it open. Implements `targets.base.Target`."""

    def __init__(
        self,
        tenant: Tenant,
        door: Door,
        *,
        catalog: Catalog,
        rng: random.Random,
        reconnect_s: Sequence[float] = ON_THE_WAY_S,
    ) -> None:
        self.calls: CallCount = door.calls  # polls of ThresholdInformation and metadata included
        self.settle_s = tenant.settle_s
        self.per_entity = tenant.budget.per_entity
        self._tenant = tenant
        self._door = door
        self._catalog = catalog
        self._rng = rng
        self._reconnect_s = reconnect_s  # waits between attempts to reach a server that cannot be reached
        self._described: dict[str, Entity] = {}
        self._describing = anyio.Lock()

    def usage(self) -> Usage:
        """How the tenant's window stands, and why calls wait."""
        return self._door.usage()

    def drain(self) -> None:
        """Nothing more is sent: waiting and new calls raise NotSentError, what is in flight finishes."""
        self._door.drain()

    # --- what there is -----------------------------------------------------------------------------------

    async def identity(self) -> str:
        """Zone information's `ci`."""
        return self._door.connection.zone.ci

    async def describe(self, entity: str) -> Entity:
        """The entity with the tenant's own metadata, read once. RefusedError where there is none."""
        known = self._known(entity)
        if known.name not in self._described:
            async with self._describing:  # callers share one reading; bursts of it trip the thread limit
                if known.name not in self._described:
                    self._described[known.name] = await self._read_metadata(known)
        return self._described[known.name]

    async def _read_metadata(self, known: Entity) -> Entity:
        try:
            return await self._ask_metadata(known)
        except (NoRouteError, RejectedError) as error:
            raise TenantError(
                f"tenant {self._tenant.name} does not show {known.name} to this API user: {error}. "
                "Check its security level"
            ) from error

    async def _ask_metadata(self, known: Entity) -> Entity:
        base = f"{route.VERSION}/{known.name}/entityInformation"
        info = await self._read("GET", base, known.name, holds="info")
        fields = await self._read("GET", f"{base}/fields", known.name, holds="fields")
        udfs: Any = ()
        if known.has_udfs:
            udfs = await self._read("GET", f"{base}/userDefinedFields", known.name, holds="fields")
        return live_entity(known, self._catalog, info=info, fields=fields, udfs=udfs)

    def _known(self, name: str) -> Entity:
        entity = self._described.get(name) or self._catalog.find(name)
        if entity is None:
            meant = self._catalog.suggest(name)
            hint = f" Did you mean {' or '.join(meant)}?" if meant else ""
            raise RefusedError(f"Autotask has no entity {name!r}.{hint}")
        return entity

    # --- reading -----------------------------------------------------------------------------------------

    async def read(
        self, entity: str, where: Filter, *, fields: Sequence[str] | None = None
    ) -> AsyncIterator[RecordData]:
        """Every record for which `where` holds, by rising id. Raises as `targets.base.Target`.

        RefusedError for a filter that the API answers wrongly; StopError where pages do not rise by id.
        """
        name = self._queryable(entity, where)
        pages = query.Pages(name)
        wanted = query.wanted_names(fields)
        while not pages.is_done:
            body = query.page_body(where or query.EVERYTHING, after=pages.last, fields=fields)
            data = await self._ask("POST", f"{route.VERSION}/{name}/query", name, body, holds="items")
            for item in pages.add(data):
                yield query.record(item, wanted)

    async def count(self, entity: str, where: Filter | None = None) -> int:
        """How many records; without `where`, all of the entity that the API user may see."""
        where = where or query.EVERYTHING
        name = self._queryable(entity, where)
        path = f"{route.VERSION}/{name}/query/count"
        number = await self._read("POST", path, name, query.count_body(where), holds="queryCount")
        return int(number)

    def _queryable(self, name: str, where: Filter) -> str:
        entity = self._known(name)
        if not entity.is_queryable:
            raise RefusedError(f"the API cannot query {entity.name}")
        if where:
            query.check(where)
        return entity.name

    async def _read(
        self, method: str, path: str, entity: str, body: Mapping[str, Any] | None = None, *, holds: str
    ) -> Any:
        """What stands under the key `holds` of the answer; ends like `again.persist`."""
        return (await self._ask(method, path, entity, body, holds=holds))[holds]

    async def _ask(
        self, method: str, path: str, entity: str, body: Mapping[str, Any] | None, *, holds: str
    ) -> dict[str, Any]:
        raw = None if body is None else orjson.dumps(body)
        request = Request(kind=Kind.READ, entity=entity, method=method, path=path, body=raw)

        async def once() -> dict[str, Any]:
            answer = await self._door.call(request)
            if answer.data.get(holds) is None:
                raise InDoubtError(f"the answer about {entity} holds no {holds}", status=answer.status)
            return answer.data

        try:
            return await persist(once, rng=self._rng, waits_s=self._reconnect_s, sleep=self._door.pause)
        except NotSentError as error:
            if self._door.is_drained:
                raise
            raise StopError(str(error)) from error

    # --- writing -----------------------------------------------------------------------------------------

    async def create(
        self,
        entity: str,
        values: Mapping[str, Scalar],
        *,
        parent: int | None = None,
        impersonate: int | None = None,
    ) -> int:
        """Creates one record, returns its id. The tenant's `impersonate` stands in where none is given."""
        known = self._known(entity)
        parent = route.parent_of(known, values, parent)
        path = route.create_path(known, parent)
        body = orjson.dumps(route.create_body(known, values, parent))
        if impersonate is None and known.can_impersonate:
            impersonate = self._tenant.impersonate  # has an effect on creates only
        answer = await self._write(_request(Kind.CREATE, known, path, body, impersonate))
        return int(answer.data["itemId"])

    async def update(
        self,
        entity: str,
        id: int,
        values: Mapping[str, Scalar],
        *,
        parent: int | None = None,
        impersonate: int | None = None,
    ) -> None:
        """Changes only the given fields of one record, by PATCH."""
        known = self._known(entity)
        path = route.update_path(known, parent)
        body = orjson.dumps(route.update_body(known, id, values))
        await self._write(_request(Kind.UPDATE, known, path, body, impersonate))

    async def delete(self, entity: str, id: int, *, parent: int | None = None) -> None:
        """Deletes one record. MissingError where it is gone already."""
        known = self._known(entity)
        await self._write(_request(Kind.DELETE, known, route.delete_path(known, id, parent)))

    async def _write(self, request: Request) -> Answer:
        """One attempt. Only what never left (no connection) is tried again, for some seconds."""
        try:
            return await self._door.call(request)
        except NotSentError:
            if not self._reconnect_s:
                raise
            await self._door.pause(self._reconnect_s[0])
        return await reconnecting(
            lambda: self._door.call(request), self._reconnect_s[1:], sleep=self._door.pause
        )


def _request(
    kind: Kind, entity: Entity, path: str, body: bytes | None = None, impersonate: int | None = None
) -> Request:
    return Request(
        kind=kind,
        entity=entity.name,
        method=_METHODS[kind],
        path=path,
        body=body,
        headers=None if impersonate is None else {"ImpersonationResourceId": str(impersonate)},
        parent=_parent_in(path, entity),
    )


def _parent_in(path: str, entity: Entity) -> str | None:
    """The parent entity whose slot a path may count for; None where it is not a child's path."""
    if entity.parent is None or path.startswith(f"{route.VERSION}/{entity.name}"):
        return None
    return entity.parent.entity
