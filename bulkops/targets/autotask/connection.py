"""The way to one tenant's server: the first call goes alone, and a refusal of the credentials is final.

Autotask locks an account after repeated wrong logins (Define_API_User.htm), so what is refused once with
401 is never tried on: the zone is read once more, and if the database moved, calls go on there.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack

import anyio

from bulkops.errors import CallError, StopError, TenantError
from bulkops.targets.autotask.errors import CredentialsError, Kind
from bulkops.targets.autotask.zone import Zone, ask_zone
from bulkops.tenant import Tenant
from bulkops.transport import TOTAL_S, Answer, Transport

logger = logging.getLogger(__name__)


class MovedError(CallError):
    """Refused before commit because the database moved to another zone: send the same again, once."""


class Connection:
    """A transport that can move to another zone once. Use it as an async context manager."""

    def __init__(self, tenant: Tenant, zone: Zone, *, rng: random.Random, total_s: float = TOTAL_S) -> None:
        self.zone = zone
        self._tenant = tenant
        self._credentials = tenant.credentials()
        self._rng = rng
        self._total_s = total_s
        self._transport: Transport
        self._stack = AsyncExitStack()
        self._first_call = anyio.Lock()
        self._is_proven = False  # that the credentials are good
        self._moving = anyio.Lock()
        self._has_asked_again = False
        self._refusal: StopError | None = None

    async def __aenter__(self) -> Connection:
        self._transport = await self._open(self.zone)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _open(self, zone: Zone) -> Transport:
        transport = Transport(zone.url, self._credentials, total_s=self._total_s)
        return await self._stack.enter_async_context(transport)

    @property
    def host(self) -> str:
        return self._transport.host

    async def send(
        self,
        method: str,
        path: str,
        *,
        kind: Kind,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends once, alone until one call has succeeded. Raises as `Transport.send`, and MovedError."""
        if not self._is_proven:
            async with self._first_call:
                if not self._is_proven:
                    return await self._send(method, path, kind, body, headers)
        return await self._send(method, path, kind, body, headers)

    async def _send(
        self, method: str, path: str, kind: Kind, body: bytes | None, headers: Mapping[str, str] | None
    ) -> Answer:
        if self._refusal is not None:
            raise StopError(str(self._refusal), status=self._refusal.status)
        transport = self._transport
        try:
            answer = await transport.send(method, path, kind=kind, body=body, headers=headers)
        except CredentialsError as error:
            raise await self._after_refusal(error, transport) from error
        self._is_proven = True
        return answer

    async def _after_refusal(self, error: CredentialsError, transport: Transport) -> CallError:
        """What a refusal of the credentials leads to: MovedError, or the end of the run."""
        async with self._moving:
            if self._transport is not transport:  # another call has found the new zone meanwhile
                return MovedError(str(error), status=error.status)
            if await self._moves():
                return MovedError(str(error), status=error.status)
            self._refusal = StopError(self._explained(error), status=error.status, texts=error.texts)
            return self._refusal

    async def _moves(self) -> bool:
        if self._has_asked_again or self._tenant.url is not None:
            return False
        self._has_asked_again = True
        try:
            zone = await ask_zone(self._tenant, rng=self._rng)
        except TenantError:
            return False
        if zone.url == self.zone.url or zone.ci != self.zone.ci:
            return False
        logger.warning("the database moved to another zone", extra={"host": zone.url})
        self.zone = zone
        self._transport = await self._open(zone)
        return True

    def _explained(self, error: CredentialsError) -> str:
        named = self.zone.named_url
        hint = f" Zone information names {named} for this user: is the tenant's url right?"
        return f"{error}." + (hint if named not in ("", self.zone.url) else "")
