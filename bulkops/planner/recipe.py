"""The recipe of a job while it is planned: its rows are read before the first step, and see every change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from bulkops.change import Change
from bulkops.errors import Fault
from bulkops.labels import Labels
from bulkops.planner.precheck import Examined
from bulkops.planner.stepplan import Reads, fields_to_read
from bulkops.recipes.base import Known, Progress
from bulkops.record import Row


class RecipeRows:
    """Does nothing for a job that has steps of its own. Leaving the context gives the rows' disk back."""

    def __init__(self, examined: Examined, reads: Reads) -> None:
        self._expansion = examined.expansion
        self._steps = examined.steps
        self._reads = reads

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._expansion is not None:
            self._expansion.close()

    async def resolve(self) -> list[Fault]:
        """Finds whom and what the recipe names. A fault for each that cannot be found."""
        if self._expansion is None:
            return []
        return await self._reads.timed(self._expansion.resolve(self._reads.target, self._reads.references))

    async def read(self, progress: Progress | None) -> list[Fault]:
        """Makes the rows of all steps, or tells why they cannot be made."""
        if self._expansion is None:
            return []
        fields = {ready.step.name: fields_to_read(ready) for ready in self._steps}
        return await self._reads.timed(self._expansion.read(fields, progress))

    def known(self) -> Sequence[Known]:
        return self._expansion.known() if self._expansion is not None else ()

    def note(self, row: Row, change: Change) -> None:
        if self._expansion is not None:
            self._expansion.note(row, change)

    def warnings(self) -> list[str]:
        return self._expansion.warnings() if self._expansion is not None else []

    def lasting(self) -> list[str]:
        return self._expansion.lasting() if self._expansion is not None else []

    def labelled(self, labels: Labels) -> Labels:
        """The labels of picklists, and those of people and the like."""
        if self._expansion is None:
            return labels
        also = self._expansion.labels()
        return {entity: {**labels.get(entity, {}), **also.get(entity, {})} for entity in {**labels, **also}}

    def extra(self) -> Mapping[str, Any]:
        """`is_recipe`: its rows come from no file that could be corrected and fed back, but for those of the
        step that `fed_back` names.
        """
        return {"is_recipe": True, **self._expansion.extra()} if self._expansion is not None else {}
