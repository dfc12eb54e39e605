"""The doctor: everything that would stop a run or hide rows, said before one begins. It changes nothing.

Reads only; what it tries on this machine (a file where plans would stand) is gone when it has answered. Its
calls to a tenant are written down where all processes of this machine do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio

from bulkops.doctor.finding import Finding, Verdict, as_json, as_lines, worst
from bulkops.doctor.machine import examine_machine
from bulkops.doctor.server import examine_server
from bulkops.doctor.tenants import examine_budget, examine_config, examine_secrets
from bulkops.tenant import Tenant

__all__ = ["Finding", "Verdict", "as_json", "as_lines", "examine", "worst"]


async def examine(
    config: Path | None, tenant: str | None, *, folder: Path, wall: Callable[[], float] = time.time
) -> list[Finding]:
    """Looks at this machine, and at the tenant of that name or at all of the configuration.

    `folder`: where plans would be written; `wall`: our clock. Raises nothing for what it finds.
    """
    said, tenants, path = examine_config(config, tenant)
    found: dict[str, list[Finding]] = {one.name: [] for one in tenants}

    async def look_at(one: Tenant, path: Path) -> None:
        findings = [
            *examine_secrets(one, path),
            *examine_budget(one.budget),
            *await examine_server(one, wall=wall),
        ]
        found[one.name] = [replace(finding, tenant=one.name) for finding in findings]

    async with anyio.create_task_group() as group:
        for one in tenants:
            assert path is not None
            group.start_soon(look_at, one, path)
    of_tenants = [finding for findings in found.values() for finding in findings]
    return [*examine_machine(folder), *said, *of_tenants]
