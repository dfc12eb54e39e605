"""Reads records and writes them to a file, page by page, in flat memory. Only reads the tenant.

The file grows beside its place, for its owner only, and takes it when it is whole: there is no half a file.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TypeAlias

from bulkops.errors import Fault, JobError, RefusedError, TenantError
from bulkops.export.columns import Column, columns_of, field_faults
from bulkops.export.jobfile import job_text, why_not
from bulkops.export.names import Names, have_names
from bulkops.export.writers import WRITERS, Writer
from bulkops.job.model import Condition
from bulkops.record import Scalar
from bulkops.references import References, record_id
from bulkops.report.workbook import create_private
from bulkops.schema import Entity
from bulkops.sources.query import records, seen_in_part
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.base import Filter, RecordData, Target
from bulkops.where import lookup_entities, read_where, resolved
from bulkops.wording import listed, shown

PAGE = 500  # records

Progress: TypeAlias = Callable[[int, int], None]
"""Called after every page with how many records were written, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be exported, and where to. Without `fields` all that can be read."""

    entity: str
    path: Path
    fields: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()
    job: Path | None = None  # where the job goes that brings the edited file back
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    entity: str
    records: int
    calls: int  # reads of the tenant, metadata included
    warnings: tuple[str, ...] = ()


def check_paths(wanted: Wanted) -> None:
    """Before anything is asked: RefusedError for a kind of file that is not written, or one that exists."""
    suffix = wanted.path.suffix.lower()
    if suffix not in WRITERS:
        raise RefusedError(f"{wanted.path}: the file must end in {listed(list(WRITERS))}")
    if wanted.job is not None and wanted.job.suffix.lower() not in (".yaml", ".yml"):
        raise RefusedError(f"{wanted.job}: a job file ends in `.yaml` or `.yml`")
    for path in filter(None, (wanted.path, wanted.job)):
        if path.is_dir():
            raise RefusedError(f"{path}: is a folder: name a file")
        if path.exists() and not wanted.overwrite:
            raise RefusedError(f"{path}: exists already. Name another file, or add --force to replace it")


async def export(
    target: Target, wanted: Wanted, *, tenant: str, progress: Progress = lambda done, of: None
) -> Exported:
    """Writes the records, and the job that brings them back as an update where one is wanted.

    `tenant` is what that job calls the tenant. Raises RefusedError (JobError with every fault of fields and
    conditions) where it cannot be done, and what the target's reads raise: then there is no new file.
    """
    check_paths(wanted)
    before = target.calls.read
    entity, asked = await _understood(target, wanted)
    names = Names(target)
    columns = columns_of(entity, wanted.fields, have_names)
    total = sum([await target.count(entity.name, question) for question in asked])
    seen = _Seen(columns)
    with _new_file(wanted.path) as file:
        writer = WRITERS[wanted.path.suffix.lower()](file, columns, entity.name)
        with _finished(writer, wanted.path):
            async for page in _pages(target, entity, asked, columns):
                writer.write(seen.noted(await _rows(page, columns, names)))
                progress(seen.records, total)
    if wanted.job is not None:
        text = job_text(entity, columns, seen.empty, file=wanted.path, job=wanted.job, tenant=tenant)
        with _new_file(wanted.job) as file:
            file.write(text.encode())
    return Exported(
        entity=entity.name,
        records=seen.records,
        calls=target.calls.read - before,
        warnings=(*([seen_in_part(entity)] if entity.is_restricted else []), *names.warnings),
    )


async def _understood(target: Target, wanted: Wanted) -> tuple[Entity, list[Filter]]:
    """The entity, and the queries that find its records. JobError with all that is wrong."""
    entity = await _described(target, wanted.entity)
    if entity is None or not entity.is_queryable:
        name = entity.name if entity else wanted.entity
        why = "cannot be queried" if entity else "is no entity"
        near = [] if entity else load_catalog().suggest(name)
        hint = f". Did you mean {listed(near)}?" if near else ""
        raise RefusedError(f"{shown(name)} {why}{hint}")
    found = {}
    for name in lookup_entities(wanted.where, entity):
        found[name.casefold()] = await _described(target, name) if name else None
    where, faults = read_where(
        wanted.where, entity, lambda name: found.get(name.casefold()), load_catalog().suggest
    )
    faults = [*field_faults(entity, wanted.fields, "--fields"), *faults]
    if wanted.job is not None and (why := why_not(entity)):
        faults.append(Fault(where="--job", message=why, hint="Leave --job out."))
    asked, lost = await resolved(where, References(target))
    if faults or lost:
        raise JobError([*faults, *lost])
    return entity, asked


async def _described(target: Target, name: str) -> Entity | None:
    try:
        entity = await target.describe(name)
    except TenantError:
        raise
    except RefusedError:
        return None
    return replace(entity, shipped=load_catalog().entities.get(entity.name)) if entity.is_live else entity


async def _pages(
    target: Target, entity: Entity, asked: Sequence[Filter], columns: Sequence[Column]
) -> AsyncIterator[list[RecordData]]:
    """The records by pages. Several queries may find one record, which is given once."""
    fields = [column.shape.name for column in columns if not column.is_name]
    parents = [column.shape.picklist_parent for column in columns if column.shape.picklist_parent]
    fields += [shape.name for name in parents if (shape := entity.find(name))]
    given: set[int] = set()
    page: list[RecordData] = []
    async for record in records(target, entity.name, asked, fields):
        if len(asked) > 1:
            if record_id(record) in given:
                continue
            given.add(record_id(record))
        page.append(record)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


async def _rows(page: Sequence[RecordData], columns: Sequence[Column], names: Names) -> list[list[Scalar]]:
    """The cells of a page, with the names of all that its records refer to."""
    wanted: dict[str, dict[int, None]] = {}
    for column in columns:
        if column.is_name:
            ids = (record.get(column.shape.name) for record in page)
            wanted.setdefault(column.shape.reference, {}).update(
                (number, None) for number in ids if isinstance(number, int)
            )
    found = {entity: await names.find(entity, ids) for entity, ids in wanted.items()}
    cells = [column.cell for column in columns]
    return [[cell(record, found) for cell in cells] for record in page]


class _Seen:
    """How many records were written, and which columns had empty cells among them."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.records = 0
        self.empty: set[str] = set()
        self._headers = [column.header for column in columns]

    def noted(self, rows: list[list[Scalar]]) -> list[list[Scalar]]:
        self.records += len(rows)
        for n, header in enumerate(self._headers):
            if header not in self.empty and any(cells[n] is None or cells[n] == "" for cells in rows):
                self.empty.add(header)
        return rows


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its place when all went well. RefusedError where it cannot be written."""
    part = path.with_name(f".{path.name}.part")
    try:
        try:
            with os.fdopen(create_private(part), "wb") as file:
                yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RefusedError(f"{path} cannot be written: {reason}. Name another file") from error


@contextmanager
def _finished(writer: Writer, path: Path) -> Iterator[None]:
    try:
        yield
        writer.finish()
    except RefusedError as error:
        writer.abandon()
        raise RefusedError(f"{path}: {error}") from error
    except BaseException:
        writer.abandon()
        raise
