"""What is known to be impossible before any row is read, and what the user should know. Only reads metadata.

The tenant's own metadata decides. Everything that is wrong with a job is collected and raised together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bulkops.errors import Fault, JobError, RefusedError, SourceError, TenantError
from bulkops.job.check import check_job
from bulkops.job.model import FieldSpec, Job, QuerySource, Step, StepAction
from bulkops.job.yamlfile import position
from bulkops.mapping import Mapper, compile_mapping
from bulkops.planner.linkage import Linkable, key_columns, link_faults, needed_steps
from bulkops.safety import label_kind
from bulkops.schema import Entity
from bulkops.sources import Source, open_source
from bulkops.targets.autotask.catalog import load_catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyStep:
    """A step with all that planning its rows needs."""

    step: Step
    source: Source
    entity: Entity
    mapper: Mapper
    match: tuple[str, ...]  # in the entity's own spelling
    warnings: tuple[str, ...] = ()
    key_cells: tuple[int, ...] = ()  # the cells by which `from` knows its rows; none where no `from` names it
    is_kin: bool = False  # its rows need other rows of it


class Describer(Protocol):
    """Who knows entities: a target, or the shipped catalog where there is no tenant to ask."""

    async def describe(self, entity: str) -> Entity:
        """RefusedError where there is none of that name."""
        ...


async def prepare(job: Job, target: Describer) -> list[ReadyStep]:
    """Opens the sources, asks for the entities, compiles the mappings.

    Raises JobError with every fault, SourceError for a source that cannot be read, and what the target's
    reads raise.
    """
    _raise(_not_yet(job))
    checks = _Checks(job, target)
    sources = checks.sources()
    for step in job.steps:
        await checks.learn(step)
    opened = [(step, source) for step, source in zip(job.steps, sources, strict=True) if source]
    steps = [made for step, source in opened if (made := checks.step(step, source))]
    linkable = [checks.linkable(step, source) for step, source in zip(job.steps, sources, strict=True)]
    faults = [*checks.faults, *link_faults(linkable), *_limit_faults(job, [made.entity for made in steps])]
    _raise(sorted(faults, key=position))
    return [_linked(made, needed_steps(job.steps)) for made in steps]


def _linked(ready: ReadyStep, needed: Collection[str]) -> ReadyStep:
    """The step with what `from` has to know of its rows."""
    step, columns = ready.step, ready.source.columns
    names = key_columns(step, columns) if step.name in needed else ()
    return replace(
        ready,
        key_cells=tuple(columns.index(name) for name in names),
        is_kin=any(spec.from_ == step.name for spec in step.specs().values()),
    )


def _raise(faults: Iterable[Fault]) -> None:
    found = list(dict.fromkeys(faults))
    if found:
        raise JobError(found)


def _not_yet(job: Job) -> Iterator[Fault]:
    """What a job may say and this version cannot plan: refused, never left out."""
    if job.recipe is not None:
        yield _later(job.where(), "a recipe")
    for step in job.steps:
        if isinstance(step.source, QuerySource):
            yield _later(step.where("source"), "a query as source")
        if step.marker is not None:
            yield _later(step.where("marker"), "`marker`")


def _later(where: str, what: str) -> Fault:
    return Fault(where=where, message=f"{what} cannot be planned yet by this version of bulkops")


def _specs(step: Step) -> dict[str, FieldSpec]:
    return {**step.specs(), **({"impersonate": step.impersonate} if step.impersonate else {})}


class _Checks:
    """The entities of a job as the tenant describes them, and all that is wrong with the job so far."""

    def __init__(self, job: Job, target: Describer) -> None:
        self.faults: list[Fault] = []
        self._job = job
        self._target = target
        self._found: dict[str, Entity] = {}

    def sources(self) -> list[Source | None]:
        """The sources, opened; None, and faults noted, where `distinct` does not fit.

        Raises SourceError with all that cannot be read.
        """
        opened, unreadable = [], []
        for step in self._job.steps:
            source = None
            try:
                source = self._opened(step)
            except SourceError as error:
                unreadable.append(str(error))
            except JobError as error:
                self.faults += error.faults
            opened.append(source)
        if unreadable:
            raise SourceError("\n".join(dict.fromkeys(unreadable)))
        return opened

    def _opened(self, step: Step) -> Source:
        assert not isinstance(step.source, QuerySource)
        return open_source(step.source, missing=self._job.missing, unread=step.unread())

    async def learn(self, step: Step) -> None:
        """Asks for the step's entity, and for those its lookups search."""
        try:
            shape = await self._ask(step.entity)
        except TenantError:
            raise
        except RefusedError as error:
            self.faults.append(Fault(where=step.where("entity"), message=str(error)))
            return
        for name, spec in _specs(step).items():
            wanted = looked_up(shape, name, spec)
            if wanted:
                await self._ask_quietly(wanted)

    async def _ask_quietly(self, name: str) -> None:
        """What is no entity stays unknown, and `check` says so with a suggestion."""
        try:
            await self._ask(name)
        except TenantError:
            raise
        except RefusedError:
            return

    async def _ask(self, name: str) -> Entity:
        if (found := self._find(name)) is not None:
            return found
        shape = await self._target.describe(name)
        if shape.is_live:
            shape = replace(shape, shipped=load_catalog().entities.get(shape.name))
        self._found[name.casefold()] = self._found[shape.name.casefold()] = shape
        return shape

    def _find(self, name: str) -> Entity | None:
        return self._found.get(name.casefold())

    def linkable(self, step: Step, source: Source | None) -> Linkable:
        columns = source.columns if source else None
        return Linkable(step=step, entity=self._find(step.entity), columns=columns)

    def step(self, step: Step, source: Source) -> ReadyStep | None:
        """The step with its mapping; None, and faults noted, where entity or columns do not allow it."""
        shape = self._find(step.entity)
        if shape is None:
            return None
        said = check_job(replace(self._job, steps=(step,)), self._find, load_catalog().suggest)
        try:
            mapper = compile_mapping(
                step, shape, source.columns, missing=self._job.missing, file=source.display
            )
        except JobError as error:
            # Both rooms look at action and match: once is enough.
            told = {step.where("action"), step.where("match")} & {fault.where for fault in said}
            said.extend(fault for fault in error.faults if fault.where not in told)
        self.faults.extend(said)
        if said:
            return None
        searched = [self._find(looked_up(shape, name, spec)) for name, spec in _specs(step).items()]
        return ReadyStep(
            step=step,
            source=source,
            entity=shape,
            mapper=mapper,
            match=tuple(field.name for name in step.match if (field := shape.find(name))),
            warnings=tuple(_warnings(step, shape, [other for other in searched if other])),
        )


def looked_up(entity: Entity, name: str, spec: FieldSpec) -> str:
    """The entity that a field's lookup searches; nothing where it has none, or where none is known."""
    if not spec.lookup:
        return ""
    if name == "impersonate":
        return spec.entity or "Resources"
    shape = entity.find(name)
    return spec.entity or (shape.reference if shape else "")


def _limit_faults(job: Job, entities: Sequence[Entity]) -> Iterator[Fault]:
    """A limit on `field=label` that no entity of the job understands would never hold."""
    for kind in job.limits:
        if "=" in kind and entities and not any(_knows(entity, kind) for entity in entities):
            names = " or ".join(dict.fromkeys(entity.name for entity in entities))
            message = f"the limit {kind} names no field and label of {names}"
            yield Fault(where=job.where("limits"), message=message)


def _knows(entity: Entity, kind: str) -> bool:
    """Offline the tenant's own labels are not known, so a field that is there is enough."""
    is_field = entity.find(kind.partition("=")[0].strip()) is not None
    return is_field if not entity.is_live else label_kind(kind, entity) is not None


def _warnings(step: Step, entity: Entity, looked_up: Sequence[Entity]) -> Iterator[str]:
    if step.action is StepAction.CREATE and not step.match:
        yield (
            f"{step.name}: without `match`, a create whose answer is lost cannot be recognised: such rows "
            "are held for you to settle, and planning again creates everything again"
        )
    searched = [entity] if step.match else []
    for restricted in dict.fromkeys(e.name for e in (*searched, *looked_up) if e.is_restricted):
        yield (
            f"{step.name}: this API user sees only some {restricted} records; one that it does not see "
            "counts as missing, and could be created a second time"
        )
    if step.action in (StepAction.UPDATE, StepAction.UPSERT):
        blind = [name for name in step.specs() if _is_blind(entity, name)]
        if blind:
            yield f"{step.name}: {', '.join(blind)} cannot be read, so every update sends it again"


def _is_blind(entity: Entity, name: str) -> bool:
    shape = entity.find(name)
    return shape is not None and not (shape.is_queryable or shape.is_read_only or shape.is_path_only)
