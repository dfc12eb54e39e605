"""One request, one answer, its errors classified. Knows no entity, waits for nothing, sends nothing twice.

Redirects are never followed and nothing is sent again here: the client library's own repetition of
requests on a dead connection is switched off, since a repeated write is a second record and a repeated
read is a call that nobody counted.
"""

from __future__ import annotations

import email.utils
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from bulkops.errors import CallError, InDoubtError, NotSentError
from bulkops.targets.autotask.errors import Kind, classify, parse, proves
from bulkops.tenant import Credentials

logger = logging.getLogger(__name__)

CONNECT_S = 10.0
TOTAL_S = 310.0  # the server gives up on a request after 300 s, so a write is waited for that long
READ_S = 60.0  # a read that takes longer is asked again: it does no harm


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said to a request that succeeded: HTTP status and parsed JSON object."""

    status: int
    data: dict[str, Any]
    date: str | None = None  # the server's clock, as its Date header has it


class _CutShortError(Exception):
    """Carries a broken connection past the client library, which would send the request again."""


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Client middleware: a connection that broke under a request is an error, not a reason to repeat it."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _CutShortError(type(error).__name__) from error


_ONCE = (_send_once,)
_NEVER_REPEATED = frozenset({"POST", "PATCH"})  # by the client library; it repeats the idempotent verbs


class Transport:
    """A connection pool to one base URL with one set of credentials. Use it as an async context manager."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | None = None,
        *,
        connect_s: float = CONNECT_S,
        total_s: float = TOTAL_S,
    ) -> None:
        self.base_url = base_url
        self._credentials = credentials  # None: zone information, which needs none
        self._timeout = aiohttp.ClientTimeout(total=total_s, sock_connect=connect_s)
        self._read_timeout = aiohttp.ClientTimeout(total=min(total_s, READ_S), sock_connect=connect_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),  # the pool limits what is in flight
            headers=self._headers(),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "bulkops"}
        if self._credentials is not None:
            headers["ApiIntegrationCode"] = self._credentials.integration_code
            headers["UserName"] = self._credentials.username
            headers["Secret"] = self._credentials.secret
        return headers

    @property
    def host(self) -> str:
        return URL(self.base_url).authority

    async def send(
        self,
        method: str,
        path: str,
        *,
        kind: Kind,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends once. `path` is encoded and begins with a slash.

        NotSentError: no byte left (no address, connection refused, no handshake), so it did not happen.
        InDoubtError: nobody knows; its `status` is None where no answer came. Other CallErrors are what
        the answer says (`targets.autotask.errors.classify`).
        """
        assert self._session is not None, "a transport is entered before it sends"
        try:
            async with self._session.request(
                method,
                URL(self.base_url + path, encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=self._read_timeout if kind is Kind.READ else self._timeout,
                middlewares=() if method in _NEVER_REPEATED else _ONCE,
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSentError(f"{self.host} cannot be reached: {_reason(error)}") from None
        except (aiohttp.ClientError, TimeoutError, OSError, _CutShortError) as error:
            raise _noted(InDoubtError(f"{_lost(error)} {self.host}"), method, path) from None
        if response.status == 200:
            data = parse(raw)
            if proves(data, kind):
                return Answer(200, data, response.headers.get("Date"))
        refusal = classify(
            response.status,
            response.headers.get("Content-Type", ""),
            raw,
            kind=kind,
            retry_after_s=_retry_after_s(response.headers.get("Retry-After")),
            moved_to=_host_of(response.headers.get("Location")),
        )
        if refusal is None:
            return Answer(response.status, parse(raw), response.headers.get("Date"))
        raise _noted(refusal, method, path)


def _noted(error: CallError, method: str, path: str) -> CallError:
    facts = {"method": method, "path": path, "status": error.status, "class": type(error).__name__}
    logger.debug("call did not succeed", extra=facts)
    return error


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection within the time allowed"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name has no address"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not valid"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.strerror:
        return error.os_error.strerror
    return type(error).__name__


def _lost(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer within the time allowed from"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off in the middle, from"
    return "the connection broke before the answer, to"


def _retry_after_s(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which is a number of them or a date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, at.timestamp() - time.time())


def _host_of(location: str | None) -> str:
    if not location:
        return ""
    try:
        return URL(location).authority
    except ValueError:
        return ""
