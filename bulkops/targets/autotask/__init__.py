"""The Autotask PSA REST API as a target: `connect` opens a tenant."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkops.targets.autotask.client import AutotaskTarget
    from bulkops.tenant import Tenant


def connect(tenant: Tenant, *, max_calls: int | None = None) -> AbstractAsyncContextManager[AutotaskTarget]:
    """The tenant's target, open as long as the context. TenantError where it cannot be reached.

    `max_calls`: what opening it may cost at most, for a run that may make no more.
    """
    from bulkops.targets.autotask import session  # the catalog is wanted without HTTP, too

    return session.connect(tenant, max_calls=max_calls)
