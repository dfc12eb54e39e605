"""What an earlier run made: found in the target where a `from` names a step whose rejected rows are fed back.

The file that is fed back holds the rows that were left over, so a key that none of them has is that of a
record which was made, changed or found before. It is looked up as the step itself would: by its `match`, with
the values that its own mapping makes of the key. Only reads; one read for 500 keys, and each key once.

Where the step has its ordinary source nothing is looked up: there a missing row is an error in the data.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bulkops.planner.belonging import Belonging
from bulkops.planner.collision import key_text, reasons
from bulkops.planner.draft import Draft
from bulkops.planner.links import Links
from bulkops.planner.precheck import ReadyStep
from bulkops.record import FromStep, Record, Row, Value
from bulkops.references import References, candidates, find_by_key, key_of, record_id, shown_fields
from bulkops.targets.base import Target


class Earlier:
    """Puts into the links what the target has for keys that no row has."""

    def __init__(self, target: Target, references: References, links: Links) -> None:
        self._target = target
        self._references = references
        self._links = links

    async def find(self, records: Sequence[Record], *, later: Collection[str] = ()) -> None:
        """For all that these records refer to, but to the steps `later`. Raises what reading raises."""
        for ready, refs in self._links.unknown(records, later=later):
            await self._look(ready, refs)

    async def _look(self, ready: ReadyStep, refs: Sequence[FromStep]) -> None:
        keys: dict[FromStep, Mapping[str, Value]] = {}
        for ref, draft in zip(refs, await self._keyed(ready, refs), strict=True):
            if draft.record is None or draft.errors:
                self._links.note_absent(ref, f"it cannot be looked up: {reasons(draft.errors)}")
            else:
                keys[ref] = {name: draft.record.values.get(name) for name in ready.match}
        await self._ask(ready, keys)

    async def _keyed(self, ready: ReadyStep, refs: Sequence[FromStep]) -> list[Draft]:
        """The key of each as the step's own mapping makes it, with the ids of what it refers to."""
        mapper = ready.mapper.only(ready.match)
        belonging = Belonging(self._target, self._references, ready.entity.name, ready.match)
        drafts = [Draft(n=0, row=_row(ready, ref.key)) for ref in refs]
        parts = [mapper.parts(draft.row) for draft in drafts]
        records = [record for record, _ in parts]
        found = await self._references.parts(records, but=belonging.fields)
        await self.find(records)  # a key may be made of records of other steps
        linked = self._links.resolve(records)
        for draft, (_, errors), (record, unfound), link in zip(drafts, parts, found, linked, strict=True):
            draft.errors += (*errors, *unfound, *link.errors)
            draft.record = replace(record, values={**record.values, **link.values})
        await belonging.resolve(drafts, are_met=False)
        return drafts

    async def _ask(self, ready: ReadyStep, keys: Mapping[FromStep, Mapping[str, Value]]) -> None:
        entity = ready.entity
        values = [tuple(key.values()) for key in keys.values()]
        found = await find_by_key(self._target, entity, ready.match, values, fields=shown_fields(entity))
        for ref, key in keys.items():
            records = found.get(key_of(key.values()), ())
            if len(records) == 1:
                self._links.note_found(ref, record_id(records[0]))
            elif records:
                shown = candidates(entity, records)
                self._links.note_absent(
                    ref, f"{len(records)} {entity.name} records have {key_text(key)}: {shown}"
                )
            else:
                self._links.note_absent(ref, f"no {entity.name} record has {key_text(key)}")


def _row(ready: ReadyStep, key: Sequence[str]) -> Row:
    """The row that would have this key, empty otherwise."""
    cells = [""] * len(ready.source.columns)
    for at, text in zip(ready.key_cells, key, strict=True):
        cells[at] = text
    return Row(cells=tuple(cells))
