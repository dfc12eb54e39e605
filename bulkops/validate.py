"""Checks a job offline: the job file, its sources, its mapping and every row, against the shipped catalog.

What only the tenant knows is left to planning: its own picklists, its user-defined fields, its records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bulkops.errors import Fault, RefusedError
from bulkops.job.model import Job
from bulkops.planner.precheck import ReadyStep, prepare
from bulkops.record import Record
from bulkops.schema import Entity
from bulkops.targets.autotask.catalog import Catalog, load_catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One step, its mapping compiled and its source open."""

    ready: ReadyStep

    def row_faults(self) -> Iterator[Fault]:
        """What is wrong with its rows, in the source's order; nothing is kept in memory."""
        source, mapper = self.ready.source, self.ready.mapper
        for row in source.rows():
            made = mapper.map(row)
            if isinstance(made, Record):
                continue
            where = f"{source.display}:{row.line}" if row.line is not None else source.display
            for error in made:
                yield Fault(where=where, message=str(error))


class _Shipped:
    """Describes entities as the catalog has them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def describe(self, entity: str) -> Entity:
        found = self._catalog.find(entity)
        if found is None:
            raise RefusedError(f"Autotask has no entity {entity!r}")
        return found


async def validate_job(job: Job) -> list[Checked]:
    """Every step ready to be read. Raises JobError with every fault of the job, SourceError for a source."""
    return [Checked(ready=ready) for ready in await prepare(job, _Shipped(load_catalog()))]
