"""The queries of a plan: what `where` looks up is found first, then each is read when its step begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from bulkops.errors import Fault
from bulkops.job.model import QuerySource, StepAction
from bulkops.planner.precheck import ReadyStep
from bulkops.planner.stepplan import Reads, fields_to_read
from bulkops.targets.base import Filter
from bulkops.where import asked_about, resolved

_CHANGE_TOGETHER = (
    ("Project", "Phase", "Task", "Ticket", "TimeEntr", "ServiceCall"),  # work: its dates, hours and status
    ("Compan", "Contact"),  # who and what is the primary one
)
"""How the names of entities begin of which the API changes one along with another."""


class Queries:
    """The steps that take their rows from the tenant. Leaving the context gives their disk back."""

    def __init__(self, steps: Sequence[ReadyStep], reads: Reads) -> None:
        self._steps = [ready for ready in steps if ready.query is not None]
        self._reads = reads
        self._fresh = _untouched(steps)
        self._questions: dict[str, list[Filter]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for ready in self._steps:
            if ready.query is not None:
                ready.query.rows.close()

    async def resolve(self) -> list[Fault]:
        """Looks up what the conditions name. A fault for each that names no record, or several."""
        faults: list[Fault] = []
        for ready in self._steps:
            if ready.query is not None:
                filters, wrong = await resolved(ready.query.where, self._reads.references)
                self._questions[ready.step.name] = filters
                faults += wrong
        return faults

    async def fetch(self, ready: ReadyStep, progress: Callable[[str, int], None] | None) -> None:
        """Reads the step's rows, if they are the tenant's. Raises what the target's reads raise."""
        if ready.query is None:
            return
        rows, are_records = ready.query.rows, is_about_records(ready)
        reading = rows.fetch(
            self._reads.target,
            self._questions[ready.step.name],
            also=fields_to_read(ready) if are_records else None,
            guarded=asked(ready) if are_records and ready.step.name in self._fresh else (),
            progress=lambda read: progress(rows.display, read) if progress else None,
        )
        await self._reads.timed(reading)


def asked(ready: ReadyStep) -> list[str]:
    """The fields for which a record is among the rows: apply looks at them again before it is written."""
    where = ready.step.source.where if isinstance(ready.step.source, QuerySource) else ()
    shapes = [ready.entity.find(name) for name in asked_about(where)]
    return list(dict.fromkeys(one.name for one in shapes if one is not None and one.is_queryable))


def is_about_records(ready: ReadyStep) -> bool:
    """Whether each row is the very record that it is about: then nothing has to be read a second time."""
    spec = {name.casefold(): spec for name, spec in ready.step.specs().items()}.get("id")
    is_plain = spec is not None and spec.column == "id" and not (spec.labels or spec.lookup or spec.from_)
    same = ready.query is not None and ready.query.rows.file == ready.entity.name
    return same and is_plain and ready.match == ("id",) and ready.step.action is not StepAction.CREATE


def _untouched(steps: Sequence[ReadyStep]) -> frozenset[str]:
    """The steps whose records nothing of the plan changes before, nor the API along with it: what is other
    there when they are written is somebody else's doing. Creates wait for no step, so all of them count.
    """
    creating = (StepAction.CREATE, StepAction.UPSERT)
    fresh: set[str] = set()
    written = {_kin(ready.entity.name) for ready in steps if ready.step.action in creating}
    for ready in steps:
        if (kin := _kin(ready.entity.name)) not in written:
            fresh.add(ready.step.name)
        written.add(kin)
    return frozenset(fresh)


def _kin(entity: str) -> str:
    """What one name stands for here: entities of which one may change with another."""
    return next((" ".join(names) for names in _CHANGE_TOGETHER if entity.startswith(names)), entity)
