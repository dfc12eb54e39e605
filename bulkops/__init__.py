"""Plans and applies bulk changes to Autotask PSA: seen first, applied exactly once, resumed after a kill.

    job = bulkops.load_job(Path("job.yaml"))
    tenant = bulkops.load_tenant(job.tenant, Path("bulkops.toml"))
    async with bulkops.connect(tenant) as target:
        plan = await bulkops.build_plan(job, target, "x.plan")
        status = await bulkops.apply_plan(plan, target)

Names are loaded when they are first used, so that importing the package stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bulkops.applier import apply_plan as apply_plan
    from bulkops.errors import BulkopsError as BulkopsError
    from bulkops.errors import CallError as CallError
    from bulkops.errors import JobError as JobError
    from bulkops.errors import JournalError as JournalError
    from bulkops.errors import LimitError as LimitError
    from bulkops.errors import PlanError as PlanError
    from bulkops.errors import RefusedError as RefusedError
    from bulkops.errors import SourceError as SourceError
    from bulkops.errors import TenantError as TenantError
    from bulkops.job import load_job as load_job
    from bulkops.plan import Plan as Plan
    from bulkops.planner.build import build_plan as build_plan
    from bulkops.progress import Stop as Stop
    from bulkops.targets.autotask import connect as connect
    from bulkops.tenant import load_tenant as load_tenant
    from bulkops.tenant import load_tenants as load_tenants

__version__ = "0.1.0"

_ROOMS = {
    "apply_plan": "applier",
    "BulkopsError": "errors",
    "CallError": "errors",
    "JobError": "errors",
    "JournalError": "errors",
    "LimitError": "errors",
    "PlanError": "errors",
    "RefusedError": "errors",
    "SourceError": "errors",
    "TenantError": "errors",
    "load_job": "job",
    "Plan": "plan",
    "build_plan": "planner.build",
    "Stop": "progress",
    "connect": "targets.autotask",
    "load_tenant": "tenant",
    "load_tenants": "tenant",
}

__all__ = [*_ROOMS, "__version__"]  # noqa: PLE0604  # the names are strings


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
