"""Which projects are closed: those that a query finds, or those that the rows of a file name. Only reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from bulkops.errors import Fault, JobError, SourceError
from bulkops.job.check import check_job
from bulkops.job.model import FieldSpec, FileSource, Job, Step, StepAction
from bulkops.job.recipes import CLOSED, CloseProjects
from bulkops.mapping import Mapper, read_mapping
from bulkops.planner.collision import Rules, key_text, reasons
from bulkops.planner.columns import unread_columns
from bulkops.recipes.base import Describer, Pile, described, suggest
from bulkops.record import Record, Row, RowError
from bulkops.references import References, candidates, find_by_key, key_of
from bulkops.schema import Entity
from bulkops.sources import Source, open_source
from bulkops.targets.base import Filter, RecordData, Target
from bulkops.where import Where, lookup_entities, read_where, resolved, where_text

BATCH = 500  # rows: as many keys as one query may ask for
_LONGEST = 200  # characters of a query's conditions in a plan

Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A row: its project, or why there is none. `cells` are those of the file."""

    line: int | None
    project: RecordData | None = None
    cells: tuple[str, ...] = ()
    fault: str = ""


class Choice(Protocol):
    """Where the projects come from. `faults` are known before anything is read."""

    faults: list[Fault]

    @property
    def file(self) -> str: ...

    @property
    def sheet(self) -> str: ...

    @property
    def display(self) -> str:
        """What it is called in messages and plans."""
        ...

    @property
    def source(self) -> Source | None:
        """The file, where it is one that could be opened."""
        ...

    async def resolve(self, references: References) -> list[Fault]:
        """Finds what it names."""
        ...

    def batches(self, target: Target, fields: Sequence[str], tell: Tell) -> AsyncIterator[list[Chosen]]:
        """Of each project `fields` are read. Raises SourceError where a file fails on the way."""
        ...


async def by_file(job: Job, recipe: CloseProjects, describer: Describer) -> ByFile | None:
    """The file of the job's projects by itself, as far as the entities that it names are there."""
    shapes = await described(describer, ("Projects",))
    if recipe.source is None or not recipe.source.display or "Projects" not in shapes:
        return None
    shape = shapes["Projects"]
    shapes |= await entities_of(recipe, shape, describer)
    return ByFile(recipe, recipe.source, job, shape, shapes)


async def entities_of(recipe: CloseProjects, shape: Entity, describer: Describer) -> dict[str, Entity]:
    """What lookups of the choice search."""
    names = [name for name in lookup_entities(recipe.where, shape) if name]
    for name, spec in recipe.fields.items():
        field = shape.find(name)
        if spec.lookup and (wanted := spec.entity or (field.reference if field else "")):
            names.append(wanted)
    return await described(describer, names)


class ByQuery:
    """Those for which all of `where` holds, by rising id."""

    file, sheet, source = "Projects", "", None

    def __init__(self, recipe: CloseProjects, shape: Entity, shapes: Mapping[str, Entity]) -> None:
        text = f"query of Projects where {where_text(recipe.where)}"
        self.display = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
        self.faults: list[Fault] = []
        self._where, self._asked = Where(), list[Filter]()
        if recipe.where:
            self._where, self.faults = read_where(recipe.where, shape, _finder(shapes), suggest)

    async def resolve(self, references: References) -> list[Fault]:
        self._asked, faults = await resolved(self._where, references)
        return faults

    async def batches(self, target: Target, fields: Sequence[str], tell: Tell) -> AsyncIterator[list[Chosen]]:
        pile, read = Pile(), 0
        try:
            for where in self._asked:
                async for record in target.read("Projects", where, fields=fields):
                    read += pile.add({name: record.get(name) for name in fields})
                    if read % BATCH == 0:
                        tell(read)
            tell(read)
            records = iter(pile)
            while batch := list(islice(records, BATCH)):
                yield [Chosen(line=int(one["id"] or 0), project=one) for one in batch]
        finally:
            pile.close()


class ByFile:
    """Those that the rows of a file name, each by its `match` fields, in the order of the file.

    `step` is the file as the source of a step, `mapper` what makes keys of its rows: None where it cannot.
    """

    def __init__(
        self, recipe: CloseProjects, file: FileSource, job: Job, shape: Entity, shapes: Mapping[str, Entity]
    ) -> None:
        self.faults: list[Fault] = []
        self.shape = shape
        self.step = _step(recipe, file)
        self.mapper: Mapper | None = None
        self._references: References | None = None
        self.match = tuple(found.name if (found := shape.find(name)) else name for name in recipe.match)
        self._rules = Rules(action=StepAction.UPDATE, entity=shape, match=self.match)
        self._named = file.display
        self.source = self._opened(job, file)
        said = check_job(Job(path=job.path, name=job.name, tenant=job.tenant, steps=(self.step,)),
                         _finder(shapes), suggest)  # fmt: skip
        if self.source is not None:
            self.mapper, wrong = read_mapping(
                self.step, shape, self.source.columns, missing=job.missing, file=self.display
            )
            told = {fault.where for fault in said}
            said += [fault for fault in wrong if fault.where not in told]
        self.faults += said

    def _opened(self, job: Job, file: FileSource) -> Source | None:
        """None, and a fault noted, where it cannot be read."""
        try:
            return open_source(
                file, missing=job.missing, unread=unread_columns(self.step), named=self.step.named()
            )
        except SourceError as error:
            place = f"--source {CLOSED}" if file.is_override else self.step.where("source")
            self.faults.append(Fault(where=place, message=str(error)))
        except JobError as error:
            self.faults += error.faults
        return None

    @property
    def file(self) -> str:
        return self.source.file if self.source else self._named

    @property
    def sheet(self) -> str:
        return self.source.sheet if self.source else ""

    @property
    def display(self) -> str:
        return self.source.display if self.source else self._named

    async def resolve(self, references: References) -> list[Fault]:
        self._references = references
        return []

    async def batches(self, target: Target, fields: Sequence[str], tell: Tell) -> AsyncIterator[list[Chosen]]:
        assert self.source is not None
        rows, read = iter(self.source.rows()), 0
        while batch := list(islice(rows, BATCH)):
            read += len(batch)
            yield await self._chosen(target, batch, fields)
            tell(read)

    async def _chosen(self, target: Target, rows: Sequence[Row], fields: Sequence[str]) -> list[Chosen]:
        assert self.mapper is not None and self._references is not None
        parts = [self.mapper.parts(row) for row in rows]
        found = await self._references.parts([record for record, _ in parts])
        faults = [
            self._fault(record, (*errors, *unfound))
            for (_, errors), (record, unfound) in zip(parts, found, strict=True)
        ]
        keys = {n: tuple(self._rules.key(record).values()) for n, (record, _) in enumerate(found)
                if not faults[n]}  # fmt: skip
        met = await find_by_key(target, self.shape, self.match, keys.values(), fields=fields)
        return [
            self._one(row, found[n][0], faults[n], met.get(key_of(keys[n]), ()) if n in keys else ())
            for n, row in enumerate(rows)
        ]

    def _fault(self, record: Record, errors: Sequence[RowError]) -> str:
        if errors:
            return reasons(list(dict.fromkeys(errors)))
        empty = self._rules.empty_part(self._rules.key(record))
        return f"{empty} is empty, and projects are found by it" if empty else ""

    def _one(self, row: Row, record: Record, fault: str, met: Sequence[RecordData]) -> Chosen:
        if not fault and len(met) != 1:
            key = key_text(self._rules.key(record))
            fault = f"no Projects record has {key}"
            if met:
                fault = f"{len(met)} Projects records have {key}: {candidates(self.shape, met)}"
        return Chosen(line=row.line, cells=row.cells, fault=fault, project=None if fault else met[0])


def _finder(shapes: Mapping[str, Entity]) -> Callable[[str], Entity | None]:
    known = {name.casefold(): shape for name, shape in shapes.items()}
    return lambda name: known.get(name.casefold())


def _step(recipe: CloseProjects, file: FileSource) -> Step:
    """The file as the source of a step: its keys are read as those of any step. A column has the name of its
    field, where `fields` does not say otherwise.
    """
    specs = {name.casefold(): spec for name, spec in recipe.fields.items()}
    keys = {name: specs.get(name.casefold()) or _column(name, recipe) for name in recipe.match}
    path, _, line = recipe.place("").rpartition(":")
    return Step(
        name=CLOSED,
        entity="Projects",
        action=StepAction.UPDATE,
        source=file,
        match=recipe.match,
        fields={name: spec for name, spec in keys.items() if not _is_udf(name)},
        udf={name[4:]: spec for name, spec in keys.items() if _is_udf(name)},
        ignore=("*",),
        file=path,
        line=_line(line),
        lines=dict(_lines(recipe.places)),
    )


def _column(name: str, recipe: CloseProjects) -> FieldSpec:
    return FieldSpec(column=name[4:] if _is_udf(name) else name, where=recipe.place("match"))


def _is_udf(name: str) -> bool:
    return name.casefold().startswith("udf:")


def _lines(places: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    for key, place in places.items():
        if key:
            yield key, _line(place.rpartition(":")[2])


def _line(text: str) -> int:
    return int(text) if text.isdecimal() else 0
