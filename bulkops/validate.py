"""Looks at a job offline: the job file, its sources, its mapping and every row, against the shipped catalog.

What only the tenant knows is left to planning: its own picklists, its user-defined fields, its records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bulkops.errors import Fault, JobError, RefusedError
from bulkops.job.model import Condition, Job, Op, QuerySource
from bulkops.job.recipes import CloseProjects
from bulkops.planner.precheck import Examined, ReadyStep, examine
from bulkops.planner.rowcheck import refusal
from bulkops.recipes.chosen import by_file
from bulkops.recipes.work import KINDS
from bulkops.schema import Entity
from bulkops.targets.autotask.catalog import Catalog, load_catalog
from bulkops.wording import did_you_mean, shown

_NO_LABEL = (Op.BEGINS_WITH, Op.ENDS_WITH, Op.CONTAINS)


class _Shipped:
    """Describes entities as the catalog has them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def describe(self, entity: str) -> Entity:
        found = self._catalog.find(entity)
        if found is None:
            raise RefusedError(f"Autotask has no entity {entity!r}")
        return found


async def examine_offline(job: Job) -> Examined:
    """What is known of the job without a tenant: its faults, and the steps whose rows can be looked at."""
    shipped = _Shipped(load_catalog())
    examined = await examine(job, shipped)
    read = await _rows_of_recipe(job, shipped)
    if read is None:
        return examined
    steps = [read if ready.step.name == read.step.name else ready for ready in examined.steps]
    return replace(examined, steps=tuple(steps))


async def _rows_of_recipe(job: Job, shipped: _Shipped) -> ReadyStep | None:
    """The file of a recipe as a step whose rows can be looked at: its own steps have none before it has read
    the tenant.
    """
    recipe = job.recipe
    found = await by_file(job, recipe, shipped) if isinstance(recipe, CloseProjects) else None
    if found is None or found.source is None or found.mapper is None:
        return None
    return ReadyStep(
        step=found.step, source=found.source, entity=found.shape, mapper=found.mapper, match=found.match
    )


def unsure_labels(job: Job) -> list[str]:
    """The labels in a job's `where` that the catalog does not have, but for one that is written much like it:
    only the tenant knows whether there is such a value, so a misspelt one is found when the job is planned.
    """
    catalog, told = load_catalog(), dict[tuple[str, str], str]()
    for names, conditions in _wheres(job):
        shapes = [shape for name in names if (shape := catalog.find(name))]
        for condition, text in _texts(conditions):
            told.setdefault((condition.where, text), _unsure(condition, text, shapes))
    return [message for message in told.values() if message]


def _wheres(job: Job) -> Iterator[tuple[list[str], tuple[Condition, ...]]]:
    """Every `where`, with the entities that it is about."""
    for step in job.steps:
        if isinstance(step.source, QuerySource):
            yield [step.source.query], step.source.where
    if isinstance(job.recipe, CloseProjects):
        yield ["Projects"], job.recipe.where
    elif job.recipe is not None:
        kinds = [kind for kind in KINDS if kind.name in job.recipe.entities]
        yield list(dict.fromkeys(kind.work for kind in kinds)), job.recipe.where


def _texts(conditions: Iterable[Condition]) -> Iterator[tuple[Condition, str]]:
    """What conditions compare with, as far as it may be a label."""
    for condition in conditions:
        yield from _texts(condition.items)
        value = condition.value
        operands = value if isinstance(value, tuple) else () if value is None else (value,)
        for operand in operands:
            if isinstance(operand, str) and condition.op not in _NO_LABEL:
                yield condition, operand.strip()


def _unsure(condition: Condition, text: str, shapes: Iterable[Entity]) -> str:
    """A question where none of `shapes` has such a value, and one of them almost; else nothing."""
    fields = [field for shape in shapes if (field := shape.find(condition.field))]
    lists = [field.picklist for field in fields if field.picklist is not None]
    labels = [item.label for items in lists for item in items]
    if not lists or not text or text.lstrip("-").isdecimal() or text.casefold() in map(str.casefold, labels):
        return ""
    meant = did_you_mean(text, labels)
    told = f"{condition.where}: only the tenant knows whether {fields[0].name} has a value {shown(text)}"
    return f"{told}. {meant}" if meant else ""


async def told_with(job: Job, error: RefusedError) -> RefusedError:
    """`error`, for which no tenant could be asked, together with all that is wrong with the job anyway."""
    examined = await examine_offline(job)
    if not examined.faults or isinstance(error, JobError):
        return error
    return await refusal(examined, also=[Fault(where="", message=str(error))])
