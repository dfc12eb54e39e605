"""What is known to be impossible before any row is read, and what the user should know. Only reads metadata.

The tenant's own metadata decides. Everything that is wrong with a job, its sources and its mapping is
collected: what is wrong with one step, or with one field of it, hides nothing of what is wrong elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bulkops.errors import Fault, JobError, RefusedError, SourceError, TenantError
from bulkops.job.check import check_job
from bulkops.job.model import REST, FieldSpec, FileSource, Job, MadeSource, QuerySource, Step, StepAction
from bulkops.job.yamlfile import position
from bulkops.mapping import Mapper, check_columns, read_mapping
from bulkops.planner.asking import Query, is_of_query, read_query
from bulkops.planner.columns import left_out, unread_columns
from bulkops.planner.linkage import Linkable, key_columns, link_faults, needed_steps
from bulkops.planner.sourcefaults import about_stand_in, no_row_at_all, source_place, strange_columns
from bulkops.recipes import Expansion, expand
from bulkops.record import Row, Scalar
from bulkops.safety import label_kind
from bulkops.schema import Entity
from bulkops.sources import Source, open_source
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.where import lookup_entities
from bulkops.wording import shown

_TOLD_BY_THE_JOB = ("which is no step above", "which `match` names")
"""How what reading a job file has told in other words ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyStep:
    """A step with all that planning its rows needs."""

    step: Step
    source: Source
    entity: Entity
    mapper: Mapper
    match: tuple[str, ...]  # in the entity's own spelling
    warnings: tuple[str, ...] = ()
    aside: Mapping[str, Scalar] = field(default_factory=dict)  # what `undo` sets where it cannot delete
    query: Query | None = None  # where its rows are the tenant's: there are none before it was asked
    key_cells: tuple[int, ...] = ()  # the cells by which `from` knows its rows; none where no `from` names it
    is_kin: bool = False  # its rows need other rows of it
    left_out: int = 0  # columns that `ignore: "*"` leaves out

    @property
    def has_key(self) -> bool:
        """Whether the rows' own `match` key can be told: none of its fields is at fault."""
        is_whole = len(self.match) == len(self.step.match) and "match" not in self.step.broken
        return is_whole and bool(self.match) and set(self.match) <= set(self.mapper.fields)

    @property
    def is_fed_back(self) -> bool:
        """Its rows are what an earlier run left over: what that run made or found is in no row."""
        given = self.step.source
        return isinstance(given, FileSource) and given.is_override and self.source.is_result


class Describer(Protocol):
    """Who knows entities: a target, or the shipped catalog where there is no tenant to ask."""

    async def describe(self, entity: str) -> Entity:
        """RefusedError where there is none of that name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What is known of a job before any row of it is read.

    Where there are faults, `steps` are those whose rows can be looked at all the same, without the fields
    that are at fault. `lost` are the steps of whose rows nothing is known that `from` could find.
    """

    steps: tuple[ReadyStep, ...]
    faults: tuple[Fault, ...] = ()  # in the job's order
    lost: frozenset[str] = frozenset()
    expansion: Expansion | None = None  # of its recipe, where it has one


async def prepare(job: Job, target: Describer) -> list[ReadyStep]:
    """Every step ready to be planned. Raises JobError with every fault, and what the target's reads raise."""
    examined = await examine(job, target)
    if examined.faults:
        raise JobError(examined.faults)
    return list(examined.steps)


async def examine(job: Job, target: Describer) -> Examined:
    """Opens the sources, asks for the entities, reads the mappings. Raises what the target's reads raise."""
    expansion = await expand(job, target)
    if expansion is not None:
        job = replace(job, steps=expansion.steps)
    checks = _Checks(job, target)
    for step in job.steps:
        await checks.learn(step)
    sources = [checks.source(step) for step in job.steps]
    steps = [checks.step(step, source) for step, source in zip(job.steps, sources, strict=True)]
    linkable = [checks.linkable(step, source) for step, source in zip(job.steps, sources, strict=True)]
    wrong = expansion.faults if expansion is not None else []
    found = [*wrong, *checks.faults, *link_faults(linkable), *_limit_faults(job, checks.entities())]
    found += no_row_at_all(job, sources)
    faults = sorted(dict.fromkeys([*job.faults, *_news(found, job)]), key=position)
    examined = _examined(job, [made for made in steps if made], tuple(faults))
    return replace(examined, expansion=expansion)


def _news(found: Iterable[Fault], job: Job) -> Iterator[Fault]:
    told = {fault.where for fault in job.faults}
    is_sure = all(step.name for step in job.steps)  # else `from` may name the step without a name
    for fault in found:
        is_known = fault.where in told or not is_sure
        if not (is_known and fault.message.endswith(_TOLD_BY_THE_JOB)):
            yield fault


def _examined(job: Job, steps: Sequence[ReadyStep], faults: tuple[Fault, ...]) -> Examined:
    if "missing" in job.broken:  # nobody knows which cells say nothing
        steps = ()
    needed = needed_steps(job.steps)
    places = {re.sub(r"(:\d+):\d+$", r"\1", fault.where) for fault in faults}
    ready: dict[str, ReadyStep] = {}
    for made in steps:
        ready.setdefault(made.step.name, _linked(_sound(made, places), needed))
    known = {name for name, made in ready.items() if made.key_cells and made.query is None}
    lost = frozenset(needed - known)
    return Examined(steps=tuple(ready.values()), faults=faults, lost=lost)


def _sound(ready: ReadyStep, places: Collection[str]) -> ReadyStep:
    """The step without the fields at whose places there are faults."""
    wrong = [name for name, spec in _specs(ready.step).items() if spec.where in places]
    if not wrong:
        return ready
    names = {shape.name for name in wrong if (shape := ready.entity.find(name))} | set(wrong)
    return replace(ready, mapper=ready.mapper.without(names))


def _linked(ready: ReadyStep, needed: Collection[str]) -> ReadyStep:
    """The step with what `from` has to know of its rows."""
    step, columns = ready.step, ready.source.columns
    names = key_columns(step, columns) if step.name in needed and ready.has_key else ()
    return replace(
        ready,
        key_cells=tuple(columns.index(name) for name in names),
        is_kin=any(spec.from_ == step.name for spec in step.specs().values()),
    )


def _specs(step: Step) -> dict[str, FieldSpec]:
    return {**step.specs(), **({"impersonate": step.impersonate} if step.impersonate else {})}


class _Checks:
    """The entities of a job as the tenant describes them, and all that is wrong with the job so far."""

    def __init__(self, job: Job, target: Describer) -> None:
        self.faults: list[Fault] = []
        self._job = job
        self._target = target
        self._found: dict[str, Entity] = {}
        self._queries: dict[str, Query] = {}  # by step
        self._unsure: set[str] = set()  # steps of which nobody knows which rows are theirs

    def source(self, step: Step) -> Source | None:
        """The source, opened; None, and a fault noted, where it cannot be read."""
        if isinstance(step.source, QuerySource):
            return self._asked(step, step.source)
        if "source" in step.broken:
            return None
        if isinstance(step.source, MadeSource):
            return step.source.rows
        unread, named = unread_columns(step), step.named() | (set(step.ignore) - {REST})
        try:
            return open_source(step.source, missing=self._job.missing, unread=unread, named=named)
        except SourceError as error:
            self.faults.append(Fault(where=source_place(step), message=str(error)))
            return None
        except JobError as error:  # its `distinct` does not fit; its columns are known all the same
            self.faults += error.faults
            self._unsure.add(step.name)
            return open_source(replace(step.source, distinct=None), unread=unread)

    def _asked(self, step: Step, source: QuerySource) -> Source | None:
        """The rows of a query, which are not there yet; its faults are noted."""
        asked = read_query(step, source, self._find, load_catalog().suggest)
        self.faults += asked.faults
        if asked.query is not None:
            self._queries[step.name] = asked.query
        if not asked.is_sure:
            self._unsure.add(step.name)
        return asked.source

    async def learn(self, step: Step) -> None:
        """Asks for the step's entity, for the one it queries, and for those its lookups search."""
        await self._ask(step.entity)
        if isinstance(step.source, QuerySource):
            await self._ask(step.source.query)
            queried = self._find(step.source.query)
            for name in lookup_entities(step.source.where, queried) if queried else ():
                await self._ask(name)
        shape = self._find(step.entity)
        for name, spec in _specs(step).items() if shape else ():
            wanted = "" if spec.is_broken or shape is None else looked_up(shape, name, spec)
            if wanted:
                await self._ask(wanted)

    async def _ask(self, name: str) -> None:
        """What is no entity stays unknown, and `check` says so with a suggestion."""
        if not name or self._find(name) is not None:
            return
        try:
            shape = await self._target.describe(name)
        except TenantError:
            raise
        except RefusedError:
            return
        if shape.is_live:
            shipped = load_catalog().entities.get(shape.name)
            shape = replace(shape, shipped=shipped, tenant=self._job.tenant)
        self._found[name.casefold()] = self._found[shape.name.casefold()] = shape

    def _find(self, name: str) -> Entity | None:
        return self._found.get(name.casefold())

    def entities(self) -> list[Entity]:
        """Those of the steps; none where one of them is not known."""
        found = [self._find(step.entity) for step in self._job.steps]
        return [shape for shape in found if shape] if all(found) else []

    def linkable(self, step: Step, source: Source | None) -> Linkable:
        """How many columns `from` compares can be told only where all of `match` could be understood."""
        matched = {name.casefold() for name in step.match}
        specs = [spec for name, spec in step.specs().items() if name.casefold() in matched]
        is_known = source is not None and len(specs) == len(step.match) and "match" not in step.broken
        is_known = is_known and not any(spec.is_broken for spec in specs)
        columns = source.columns if source is not None and is_known else None
        return Linkable(step=step, entity=self._find(step.entity), columns=columns)

    def step(self, step: Step, source: Source | None) -> ReadyStep | None:
        """The step with the mapping of all fields that are in order; None where its rows tell nothing.

        Notes every fault of entity, fields and columns.
        """
        if source is not None and (strange := strange_columns(step, source)):
            self.faults.append(strange)
            source = None
        shape, columns = self._find(step.entity), source.columns if source else None
        said = check_job(replace(self._job, steps=(step,)), self._find, load_catalog().suggest)
        mapper, file, missing = None, source.display if source else "", self._job.missing
        if columns is not None and is_of_query(step):
            step, missing = replace(step, ignore=(*step.ignore, *columns)), ("",)
        if shape is not None:
            mapper, wrong = read_mapping(step, shape, columns, missing=missing, file=file)
            # Both rooms look at action and match: once is enough.
            told = {step.where("action"), step.where("match")} & {fault.where for fault in said}
            said += [fault for fault in wrong if fault.where not in told]
        elif columns is not None:
            said += check_columns(step, columns, file=file)
        aside: Mapping[str, Scalar] = {}
        if shape is not None and step.undo:
            aside, wrong = _aside(step, shape)
            said += wrong
        self.faults += [*said, *about_stand_in(step, source if said else None)]
        if shape is None or mapper is None or source is None or step.name in self._unsure:
            return None
        searched = [self._find(looked_up(shape, name, spec)) for name, spec in _specs(step).items()]
        return ReadyStep(
            step=step,
            source=source,
            entity=shape,
            mapper=mapper,
            query=self._queries.get(step.name),
            left_out=left_out(step, source.columns),
            aside=aside,
            match=tuple(_spelled(step.match, shape, mapper)),
            warnings=tuple(_warnings(step, shape, [other for other in searched if other])),
        )


def _aside(step: Step, entity: Entity) -> tuple[dict[str, Scalar], list[Fault]]:
    """The constants under `undo`, as an update would send them."""
    hint = "Write a constant, as in `status: {value: Inactive}`."
    said = "`undo` is for whole steps, so it takes constants only"
    if faults := [
        Fault(where=s.where, message=said, hint=hint) for s in step.undo.values() if s.value is None
    ]:
        return {}, faults
    update = replace(
        step, action=StepAction.UPDATE, fields=step.undo, udf={}, match=(), ignore=(), impersonate=None
    )
    mapper, faults = read_mapping(update, entity, (), missing=(), file="")
    if faults:
        return {}, faults
    record, errors = mapper.parts(Row(cells=()))
    values: dict[str, Scalar] = {
        name: v for name, v in record.values.items() if isinstance(v, str | int | float | bool)
    }
    if errors or len(values) < len(step.undo):
        message = "; ".join(map(str, errors)) or said
        return {}, [Fault(where=step.where("undo"), message=message, hint=hint)]
    return values, []


def _spelled(match: Iterable[str], entity: Entity, mapper: Mapper) -> Iterator[str]:
    """The match fields as records spell them. Offline a user-defined field is known by the mapping alone."""
    mapped = {name.casefold(): name for name in mapper.fields}
    for name in match:
        field = entity.find(name)
        if field is not None or name.casefold() in mapped:
            yield field.name if field else mapped[name.casefold()]


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
        if (
            "=" in kind
            and entities
            and "limits" not in job.broken
            and not any(_knows(entity, kind) for entity in entities)
        ):
            names = " or ".join(dict.fromkeys(entity.name for entity in entities))
            message = f"the limit {kind} names no field and label of {names}"
            yield Fault(where=job.where("limits"), message=message)


def _knows(entity: Entity, kind: str) -> bool:
    """Offline the tenant's own labels are not known, so a field that is there is enough."""
    is_field = entity.find(kind.partition("=")[0].strip()) is not None
    return is_field if not entity.is_live else label_kind(kind, entity) is not None


def _warnings(step: Step, entity: Entity, looked_up: Sequence[Entity]) -> Iterator[str]:
    if step.action is StepAction.CREATE and not step.match:
        yield f"{step.name}: without `match`, {_lost(step, entity)}planning again creates everything again"
    seen = {other.name: other.is_restricted for other in (entity, *looked_up)}
    for restricted in (name for name, is_restricted in seen.items() if is_restricted):
        what = f"{step.name}: this API user sees only some {restricted} records"
        yield from (f"{what}; {means}" for means in _unseen(step, entity, restricted, looked_up))
    if step.action in (StepAction.UPDATE, StepAction.UPSERT):
        blind = [name for name in step.specs() if _is_blind(entity, name)]
        if blind:
            yield f"{step.name}: {', '.join(blind)} cannot be read, so every update sends it again"


def _lost(step: Step, entity: Entity) -> str:
    """What becomes of rows without a key when their answer is lost, as the beginning of a sentence."""
    if not entity.is_queryable:
        return (
            f"and since {entity.name} cannot be read, rows whose answer is lost are held for you to settle; "
        )
    if step.marker:
        return ""
    return (
        "rows whose answer is lost are recognised by all that was sent, and those that stay ambiguous are "
        "held; "
    )


def _unseen(step: Step, entity: Entity, restricted: str, looked_up: Sequence[Entity]) -> Iterator[str]:
    """What it means for the step that it does not see all records of the entity `restricted`."""
    creates = step.action in (StepAction.CREATE, StepAction.UPSERT)
    if restricted == entity.name and step.match:
        fate = "could be created a second time" if creates else "its row is rejected"
        yield f"one that it does not see counts as missing, and {fate}"
    if restricted == entity.name and creates:
        yield "a create whose answer is lost is held where its record is not seen"
    if any(other.name == restricted for other in looked_up):
        yield "rows that name one that it does not see are rejected"


def utc_warnings(ready: ReadyStep) -> Iterator[str]:
    """What the rows that were mapped so far show: times of which nobody says where they were written."""
    specs = {name.casefold(): spec for name, spec in ready.step.specs().items()}
    for name, text in ready.mapper.read_as_utc().items():
        columns = ", ".join(specs[name.casefold()].source_columns) if name.casefold() in specs else ""
        place = f" (column {columns})" if columns else ""
        yield (
            f"{ready.step.name}: {name}{place}: {shown(text)} has no offset, so it and its like are read as "
            "UTC; where they were written elsewhere, say it in the field, such as `timezone: Europe/Madrid`"
        )


def _is_blind(entity: Entity, name: str) -> bool:
    shape = entity.find(name)
    return shape is not None and not (shape.is_queryable or shape.is_read_only or shape.is_path_only)
