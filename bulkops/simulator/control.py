"""The simulator's own door, `/_simulator/…`: never counted, no credentials, no limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

import orjson
from aiohttp import web

from bulkops.simulator import loading
from bulkops.simulator.exchange import Exchange
from bulkops.simulator.faults import FaultError, read_faults
from bulkops.simulator.loading import LoadError
from bulkops.simulator.tenancy import Tenant

PATH = "/_simulator"
CHUNK = 1000  # rows or entries serialised at a time
Handler: TypeAlias = Callable[[str, Any, web.BaseRequest], Awaitable[web.StreamResponse]]


class ControlError(ValueError):
    """A call that cannot be understood."""


class Control:
    """Answers controls. `exchange` is told when writes under way no longer count."""

    def __init__(self, tenant: Tenant, exchange: Exchange) -> None:
        self.tenant = tenant
        self.exchange = exchange
        self._calls: dict[tuple[str, str], Handler] = {
            ("GET", "stats"): self._stats,
            ("GET", "rows"): self._rows,
            ("POST", "rows"): self._load,
            ("POST", "edit"): self._edit,
            ("POST", "faults"): self._faults,
            ("GET", "log"): self._log,
            ("POST", "usage"): self._usage,
            ("POST", "reset"): self._reset,
            ("GET", "switches"): self._switches,
            ("POST", "switches"): self._set_switches,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = unquote(request.raw_path.partition("?")[0])
        name, _, rest = path.removeprefix(PATH).strip("/").partition("/")
        call = self._calls.get((request.method, name))
        if call is None:
            known = ", ".join(f"{verb} {PATH}/{name}" for verb, name in self._calls)
            return _json({"errors": [f"there is no {request.method} {path}; controls are {known}"]}, 404)
        try:
            return await call(rest.strip("/"), await self._body(request), request)
        except (ControlError, LoadError, FaultError) as exc:
            return _json({"errors": [str(exc)]}, 400)

    async def _body(self, request: web.BaseRequest) -> Any:
        data = await request.read() if request.can_read_body else b""
        if not data.strip():
            return None
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as exc:
            raise ControlError(f"the body is no JSON: {exc}") from exc

    async def _stats(self, _rest: str, _body: Any, _request: web.BaseRequest) -> web.StreamResponse:
        stats, window = self.tenant.run.stats, self.tenant.run.window
        return _json(
            {
                "requests": stats.requests,
                "by_call": stats.by_call,
                "refused": stats.refused,
                "max_in_flight": stats.max_in_flight,
                "busiest_window": window.busiest,
                "busiest_own": window.busiest_own,
                "committed": stats.committed,
            }
        )

    async def _rows(self, rest: str, _body: Any, request: web.BaseRequest) -> web.StreamResponse:
        table = self.tenant.store.table(loading.entity(rest, "rows"))
        rows = (table.get(row_id) for row_id in list(table.ids))
        return await _listed(request, "items", (row for row in rows if row is not None))

    async def _load(self, rest: str, body: Any, _request: web.BaseRequest) -> web.StreamResponse:
        name = loading.entity(rest, "rows")
        rows = loading.read_rows(self.tenant.store, name, _part(body, "items"))
        return _json({"ids": loading.put_rows(self.tenant.store, name, rows)})

    async def _edit(self, rest: str, body: Any, _request: web.BaseRequest) -> web.StreamResponse:
        name = loading.entity(rest, "edit")
        return _json({"ids": loading.edit_rows(self.tenant.store, name, _part(body, "items"))})

    async def _faults(self, _rest: str, body: Any, _request: web.BaseRequest) -> web.StreamResponse:
        faults = read_faults(body)
        self.tenant.run.faults.install(faults)
        return _json({"faults": len(faults)})

    async def _log(self, _rest: str, _body: Any, request: web.BaseRequest) -> web.StreamResponse:
        after = dict(parse_qsl(request.raw_path.partition("?")[2])).get("after", "0")
        if not after.isdecimal():
            raise ControlError(f"after: {after!r} is no number of an entry")
        entries = list(self.tenant.run.log.after(int(after)))
        return await _listed(request, "entries", entries)

    async def _usage(self, _rest: str, body: Any, _request: web.BaseRequest) -> web.StreamResponse:
        count = _part(body, "requests")
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ControlError(f"requests: {count!r} is no number of requests")
        self.tenant.run.window.others(count)
        return _json({"used": self.tenant.run.window.used()})

    async def _reset(self, _rest: str, _body: Any, _request: web.BaseRequest) -> web.StreamResponse:
        self.exchange.forget_late()
        self.tenant.reset()
        return _json({"reset": True})

    async def _switches(self, _rest: str, _body: Any, _request: web.BaseRequest) -> web.StreamResponse:
        return _json(self.tenant.switches.values())

    async def _set_switches(self, _rest: str, body: Any, _request: web.BaseRequest) -> web.StreamResponse:
        if not isinstance(body, Mapping):
            raise ControlError('give {"name": "value"}')
        try:
            self.tenant.switches.update(body)
        except ValueError as exc:
            raise ControlError(str(exc)) from exc
        return _json(self.tenant.switches.values())


def _part(body: Any, key: str) -> Any:
    if not isinstance(body, Mapping) or key not in body:
        raise ControlError(f"the body is an object with {key!r}")
    return body[key]


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


async def _listed(request: web.BaseRequest, key: str, items: Iterable[Any]) -> web.StreamResponse:
    """`{key: [...]}`, written as it is made: a million rows need no memory of their own."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(f'{{"{key}":['.encode())
    separator = b""
    for chunk in _chunks(iter(items)):
        await response.write(separator + orjson.dumps(chunk)[1:-1])
        separator = b","
    await response.write(b"]}")
    await response.write_eof()
    return response


def _chunks(items: Iterator[Any]) -> Iterator[list[Any]]:
    while chunk := list(islice(items, CHUNK)):
        yield chunk
