"""The simulator on a socket: API and controls on one port, in this process, until its block ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bulkops.simulator.control import PATH, Control
from bulkops.simulator.exchange import ROOT, Exchange
from bulkops.simulator.loading import LoadError
from bulkops.simulator.options import Options
from bulkops.simulator.store import Store
from bulkops.simulator.tenancy import Tenant

MAX_BODY = 2**30  # bytes; a million rows at once through the control
MAX_LINE = 65_536  # characters; a GET that is too long is the service's to refuse
DRAIN_S = 1.0  # how long requests under way may still take at the end
ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # what a client on this machine uses


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A simulator that listens. `url` and `control` are what the one line on standard output says."""

    url: str
    control: str
    tenant: Tenant

    @property
    def store(self) -> Store:
        return self.tenant.store


@contextlib.asynccontextmanager
async def running(options: Options, *, tenant: Tenant | None = None) -> AsyncIterator[Running]:
    """Listens within the block. Raises LoadError where the address or a file of the options is at fault."""
    tenant = tenant or Tenant(options)
    exchange = Exchange(tenant)
    control = Control(tenant, exchange)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            if request.headers.get("Expect", "").casefold() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0  # it is no part of the answer
            if request.raw_path.startswith(PATH):
                return await control.handle(request)
            return await exchange.handle(request)
        except (ConnectionError, web.RequestPayloadError):  # gone before its request was whole
            return web.Response(status=400)

    server = web.Server(
        handle,
        request_factory=_request,
        access_log=None,
        auto_decompress=False,
        max_line_size=MAX_LINE,
        logger=_quiet(),
    )
    listening = await _listen(server, options)
    exchange.address = address = _address(listening, options.host)
    try:
        async with tenant.state.synced() if tenant.state else contextlib.nullcontext():
            yield Running(url=f"http://{address}{ROOT}", control=f"http://{address}{PATH}", tenant=tenant)
    finally:
        listening.close()
        exchange.forget_late()
        server.pre_shutdown()
        await server.shutdown(DRAIN_S)
        tenant.close()


async def _listen(server: web.Server, options: Options) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(server, options.host, options.port, backlog=1024)
    except OSError as exc:
        raise LoadError(f"cannot listen on {options.host}:{options.port}: {exc.strerror or exc}") from exc


def _address(listening: asyncio.Server, host: str) -> str:
    port = listening.sockets[0].getsockname()[1]
    shown = ANY_HOST.get(host, host)
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


def _quiet() -> logging.Logger:
    """What is no HTTP at all is answered and not worth a traceback."""
    logger = logging.getLogger(f"{__name__}.http")
    logger.addFilter(lambda record: not _is_clients_fault(record))
    return logger


def _is_clients_fault(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return isinstance(error, HttpProcessingError | ConnectionError)


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)
