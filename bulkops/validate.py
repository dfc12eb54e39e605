"""Looks at a job offline: the job file, its sources, its mapping and every row, against the shipped catalog.

What only the tenant knows is left to planning: its own picklists, its user-defined fields, its records.
"""

from __future__ import annotations

from bulkops.errors import Fault, JobError, RefusedError
from bulkops.job.model import Job
from bulkops.planner.precheck import Examined, examine
from bulkops.planner.rowcheck import refusal
from bulkops.schema import Entity
from bulkops.targets.autotask.catalog import Catalog, load_catalog


class _Shipped:
    """Describes entities as the catalog has them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def describe(self, entity: str) -> Entity:
        found = self._catalog.find(entity)
        if found is None:
            raise RefusedError(f"Autotask has no entity {entity!r}")
        return found


async def examine_offline(job: Job) -> Examined:
    """What is known of the job without a tenant: its faults, and the steps whose rows can be looked at."""
    return await examine(job, _Shipped(load_catalog()))


async def told_with(job: Job, error: RefusedError) -> RefusedError:
    """`error`, for which no tenant could be asked, together with all that is wrong with the job anyway."""
    examined = await examine_offline(job)
    if not examined.faults or isinstance(error, JobError):
        return error
    return await refusal(examined, also=[Fault(where="", message=str(error))])
