"""Zone information: where a tenant's database lives and which one it is. Asked without credentials.

Sources: the vendor's Postman collection (needs no authentication, `ci` is the database), ThreadLimiting.htm
(exempt from thread limits). An unknown user is answered with HTTP 500.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from urllib.parse import quote

from bulkops.errors import CallError, NoRouteError, NotSentError, RejectedError, TenantError
from bulkops.targets.autotask.again import persist
from bulkops.targets.autotask.errors import Kind
from bulkops.targets.autotask.route import VERSION
from bulkops.tenant import Tenant, accept_url
from bulkops.transport import Answer, Transport

GENERAL_URL = "https://webservices.autotask.net/atservicesrest"
TOTAL_S = 30.0
ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    url: str  # base URL of all other calls, one of those that credentials may go to
    ci: str  # the database, as text
    named_url: str = ""  # what zone information says, where the configuration says otherwise


async def ask_zone(tenant: Tenant, *, rng: random.Random) -> Zone:
    """The tenant's zone, asked at its `zone_url`, else its `url`, else the vendor's general host.

    TenantError: unreachable, unknown user, or an answer that must not be followed.
    """
    asked = tenant.zone_url or tenant.url or GENERAL_URL
    path = f"{VERSION}/zoneInformation?user={quote(tenant.username, safe='')}"
    async with Transport(asked, total_s=TOTAL_S) as transport:
        try:
            answer = await persist(
                lambda: transport.send("GET", path, kind=Kind.READ), rng=rng, attempts=ATTEMPTS
            )
        except CallError as error:
            raise TenantError(f"tenant {tenant.name}: {_why(error, tenant, transport.host)}") from error
        return _zone(answer, tenant, transport.host)


def _zone(answer: Answer, tenant: Tenant, host: str) -> Zone:
    url, ci = answer.data.get("url"), answer.data.get("ci")
    if not isinstance(url, str) or ci is None:
        raise TenantError(
            f"tenant {tenant.name}: the zone information of {host} names no zone or no database"
        )
    if tenant.url is not None:
        return Zone(url=tenant.url, ci=str(ci), named_url=_plain(url))
    try:
        return Zone(url=accept_url(url), ci=str(ci))
    except ValueError as error:
        raise TenantError(f"tenant {tenant.name}: the zone that {host} names {error}") from None


def _plain(url: str) -> str:
    try:
        return accept_url(url)
    except ValueError:
        return ""


def _why(error: CallError, tenant: Tenant, host: str) -> str:
    if isinstance(error, NotSentError):
        return f"{error}. Check the network and the tenant's url"
    if isinstance(error, RejectedError) or error.status == 500:
        return f"{host} knows no API user {tenant.username}. Check username"
    if isinstance(error, NoRouteError):
        return f"{host} has no zone information where it was asked. Check the tenant's url"
    return str(error)
