"""The Autotask PSA REST API as a target: `connect` opens a tenant."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkops.targets.autotask.client import AutotaskTarget
    from bulkops.tenant import Tenant


def connect(tenant: Tenant) -> AbstractAsyncContextManager[AutotaskTarget]:
    """The tenant's target, open as long as the context. TenantError where it cannot be reached."""
    from bulkops.targets.autotask import session  # the catalog is wanted without HTTP, too

    return session.connect(tenant)
