"""By what people know the records that others refer to: read 500 a call, and remembered for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from bulkops.errors import NoRouteError, RefusedError, RejectedError
from bulkops.references import VALUES_A_CALL, name_fields, name_of, record_id
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.base import Target

REMEMBERED = 100_000  # names, over all entities


def have_names(entity: str) -> bool:
    """Whether records of the entity can be read and have a name."""
    known = load_catalog().entities.get(entity)
    return known is not None and known.is_queryable and bool(name_fields(known))


class Names:
    """Names by entity and id. `warnings` tell of entities that this user may not read."""

    def __init__(self, target: Target, *, remember: int = REMEMBERED) -> None:
        self.warnings: list[str] = []
        self._target = target
        self._remember = remember
        self._known: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._closed: set[str] = set()  # entities that cannot be read

    def is_closed(self, entity: str) -> bool:
        """Whether this user may not read the entity."""
        return entity in self._closed

    async def find(self, entity: str, ids: Iterable[int]) -> dict[int, str]:
        """The names of these records; of those that are gone or hidden there is none."""
        wanted = dict.fromkeys(ids)
        unknown = [number for number in wanted if (entity, number) not in self._known]
        if entity not in self._closed:
            for start in range(0, len(unknown), VALUES_A_CALL):
                await self._read(entity, unknown[start : start + VALUES_A_CALL])
        found = {number: self._known.get((entity, number), "") for number in wanted}
        while len(self._known) > self._remember:
            self._known.popitem(last=False)
        return {number: name for number, name in found.items() if name}

    async def _read(self, entity: str, ids: Sequence[int]) -> None:
        shape = load_catalog().entities[entity]
        where = {"op": "in", "field": "id", "value": list(ids)}
        for number in ids:
            self._known[entity, number] = ""
        try:
            async for record in self._target.read(entity, where, fields=name_fields(shape)):
                self._known[entity, record_id(record)] = name_of(shape, record)
        except (RejectedError, NoRouteError, RefusedError) as error:
            self._closed.add(entity)
            self.warnings.append(f"the names of {entity} are left empty, they cannot be read: {error}")
