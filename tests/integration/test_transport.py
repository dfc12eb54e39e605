"""One request over real sockets: what is sent, what comes back, and that nothing is ever sent twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from bulkops.errors import CallError, InDoubtError, NotSentError, RejectedError, StopError, ThrottledError
from bulkops.targets.autotask.errors import CredentialsError, Kind
from bulkops.tenant import Credentials
from bulkops.transport import Transport

CREDENTIALS = Credentials(username="api@acme.test", secret="s3cret", integration_code="c0de")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Stub:
    """A server that answers as it is told and remembers what it was asked."""

    url: str
    seen: list[tuple[str, str, bytes, dict[str, str]]] = field(default_factory=list)


@asynccontextmanager
async def serving(answer: Handler) -> AsyncIterator[Stub]:
    stub = Stub("")

    async def handle(request: web.Request) -> web.StreamResponse:
        stub.seen.append((request.method, request.path_qs, await request.read(), dict(request.headers)))
        return await answer(request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}/ATServicesRest"
    try:
        yield stub
    finally:
        await runner.cleanup()


def saying(status: int = 200, text: str = '{"itemId": 4}', headers: dict[str, str] | None = None) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type="application/json", headers=headers)

    return answer


async def cutting(request: web.Request) -> web.StreamResponse:
    """Closes the connection instead of an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def failing(transport: Transport, method: str = "POST", kind: Kind = Kind.CREATE) -> CallError:
    with pytest.raises(CallError) as caught:
        await transport.send(method, "/V1.0/Tickets", kind=kind, body=b"{}")
    return caught.value


async def test_a_request_carries_body_and_credentials() -> None:
    """Method, path, JSON as it is (no encoding), the three headers, and those of the one request."""
    async with serving(saying()) as stub, Transport(stub.url, CREDENTIALS) as transport:
        body = json.dumps({"title": "Grüße"}).encode()
        answer = await transport.send(
            "POST",
            "/V1.0/Tickets",
            kind=Kind.CREATE,
            body=body,
            headers={"ImpersonationResourceId": "29"},
        )
    assert (answer.status, answer.data) == (200, {"itemId": 4})
    method, path, sent, headers = stub.seen[0]
    assert (method, path, sent) == ("POST", "/ATServicesRest/V1.0/Tickets", body)
    assert (headers["ApiIntegrationCode"], headers["UserName"], headers["Secret"]) == (
        "c0de",
        "api@acme.test",
        "s3cret",
    )
    assert headers["ImpersonationResourceId"] == "29"
    assert headers["Content-Type"] == "application/json"
    assert "Content-Encoding" not in headers


async def test_zone_information_is_asked_without_credentials() -> None:
    """A transport without credentials sends none."""
    async with serving(saying(text='{"ci": 1}')) as stub, Transport(stub.url) as transport:
        await transport.send("GET", "/V1.0/zoneInformation?user=a%40b", kind=Kind.READ)
    _, path, _, headers = stub.seen[0]
    assert path == "/ATServicesRest/V1.0/zoneInformation?user=a%40b"
    assert not {"Secret", "UserName", "ApiIntegrationCode"} & set(headers)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_a_broken_connection_is_never_sent_again(method: str) -> None:
    """On a connection that worked before and now breaks, the server sees each request once."""
    calls = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return await (saying() if calls == 1 else cutting)(request)

    async with serving(answer) as stub, Transport(stub.url, CREDENTIALS) as transport:
        await transport.send(
            "POST", "/V1.0/Tickets", kind=Kind.CREATE, body=b"{}"
        )  # now the connection is kept
        error = await failing(transport, method, Kind.DELETE)
    assert isinstance(error, InDoubtError)
    assert error.status is None
    assert len(stub.seen) == 2


async def test_an_answer_that_breaks_off_leaves_it_in_doubt() -> None:
    """A promised length that never comes proves nothing."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "500"})
        await response.prepare(request)
        await response.write(b'{"itemId": 4')
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(answer) as stub, Transport(stub.url, CREDENTIALS) as transport:
        assert isinstance(await failing(transport), InDoubtError)


async def test_silence_leaves_it_in_doubt() -> None:
    """No answer within the time allowed: it may have happened."""
    never = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    async with serving(answer) as stub, Transport(stub.url, CREDENTIALS, total_s=0.05) as transport:
        error = await failing(transport)
        never.set()
    assert isinstance(error, InDoubtError)
    assert "no answer within the time allowed" in str(error)


async def test_a_dead_server_was_never_sent_anything() -> None:
    """Connection refused: certainly not happened, and the host is named."""
    async with serving(saying()) as stub:
        pass
    async with Transport(stub.url, CREDENTIALS) as transport:
        error = await failing(transport)
    assert isinstance(error, NotSentError)
    assert "127.0.0.1:" in str(error)
    assert "cannot be reached" in str(error)


async def test_redirects_are_not_followed() -> None:
    """Another host never hears of us: the redirect stops the run and names it."""
    async with serving(saying()) as other:
        there = {"Location": other.url + "/V1.0/Tickets"}
        async with serving(saying(307, "", there)) as stub, Transport(stub.url, CREDENTIALS) as transport:
            error = await failing(transport)
    assert isinstance(error, StopError)
    assert other.url.split("/")[2] in str(error)
    assert other.seen == []


async def test_refusals_are_classified_by_their_body() -> None:
    """The texts decide; Retry-After is kept as seconds, as a number or as a date."""
    texts = '{"errors": ["Value does not reference an existing entity for taskType . "]}'
    async with serving(saying(500, texts)) as stub, Transport(stub.url, CREDENTIALS) as transport:
        error = await failing(transport)
    assert isinstance(error, RejectedError)
    assert error.known
    for value, wait_s in (("17", 17.0), ("Wed, 01 Jan 2020 00:00:00 GMT", 0.0), ("soon", None)):
        refusal = saying(429, "", {"Retry-After": value})
        async with serving(refusal) as stub, Transport(stub.url, CREDENTIALS) as transport:
            error = await failing(transport)
        assert isinstance(error, ThrottledError)
        assert error.wait_s == wait_s


async def test_no_error_shows_the_credentials() -> None:
    """Even a server that echoes the headers cannot bring a secret into a message."""

    async def echo(request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=401, text=f"<html>{dict(request.headers)}</html>", content_type="text/html"
        )

    async with serving(echo) as stub, Transport(stub.url, CREDENTIALS) as transport:
        error = await failing(transport)
    assert isinstance(error, CredentialsError)
    assert "s3cret" not in repr(error) + str(error)
    assert "c0de" not in repr(error) + str(error)


async def test_a_cancelled_request_is_cancelled() -> None:
    """Cancellation passes through and is not taken for an outcome."""
    arrived, never = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await never.wait()
        return web.Response()

    async with serving(answer) as stub, Transport(stub.url, CREDENTIALS) as transport:
        task = asyncio.create_task(transport.send("POST", "/V1.0/Tickets", kind=Kind.CREATE, body=b"{}"))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        never.set()
