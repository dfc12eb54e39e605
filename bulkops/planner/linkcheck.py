"""What is wrong with the references between rows, as far as the job's own files tell. Asks no tenant.

`from` means rows of the job, so a row that refers to none is at fault whatever the tenant has. Whether the
row it refers to can be carried out, only planning knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from bulkops.errors import Fault
from bulkops.planner.kinship import Kinship, Place, cycle_text
from bulkops.planner.links import Links
from bulkops.planner.precheck import ReadyStep
from bulkops.record import Record, Row

BATCH = 500  # rows at a time


def reference_faults(steps: Sequence[ReadyStep]) -> Iterator[Fault]:
    """Every row that refers to no row, and every row of a cycle, with file and line. Reads the sources."""
    with Links() as links:
        before = 0
        for ready in steps:
            count = 0
            for rows in _batches(ready, before):
                links.note_open(ready, [(row, n) for n, row in rows])
                count += len(rows)
            if any(spec.from_ for spec in ready.step.specs().values()):
                yield from _faults(links, ready, before)
            before += count


def _faults(links: Links, ready: ReadyStep, before: int) -> Iterator[Fault]:
    order = Kinship(links.file, ready.step.name)
    for rows in _batches(ready, before):
        mapped = [((n, row.line), ready.mapper.map(row)) for n, row in rows]
        records = [(place, record) for place, record in mapped if isinstance(record, Record)]
        linked = links.resolve([record for _, record in records])
        for (place, _), one in zip(records, linked, strict=True):
            for error in one.errors:
                yield _fault(ready, place, str(error))
        if ready.is_kin:
            order.ask(records)
    order.close()
    while True:
        while ns := order.ready(BATCH):
            order.settle(ns)
        if not (ring := order.cycle()):
            return
        for place in ring:
            yield _fault(ready, place, cycle_text(ring, ready.source.display))
        order.settle(n for n, _ in ring)


def _batches(ready: ReadyStep, before: int) -> Iterator[list[tuple[int, Row]]]:
    rows = enumerate(ready.source.rows(), start=before + 1)
    while batch := list(islice(rows, BATCH)):
        yield batch


def _fault(ready: ReadyStep, place: Place, message: str) -> Fault:
    _, line = place
    where = ready.source.display if line is None else f"{ready.source.display}:{line}"
    return Fault(where=where, message=message)
