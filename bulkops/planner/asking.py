"""A step whose rows are the tenant's own records: what it asks for, before anything is read. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bulkops.errors import Fault, JobError
from bulkops.job.check import unknown_entity
from bulkops.job.model import FileSource, MadeSource, QuerySource, Step
from bulkops.planner.columns import named_columns
from bulkops.schema import Entity
from bulkops.sources.base import Source
from bulkops.sources.distinct import DistinctRows
from bulkops.sources.query import QueryRows, query_columns
from bulkops.where import Where, read_where, where_text

LONGEST = 200  # characters of a query's conditions in a plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A step's query: its rows, which are there once they were fetched, and which records they are."""

    rows: QueryRows
    where: Where
    said: str  # for people: `query of Tasks where status noteq Complete`


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is known of a step's query. Without a `source` nothing is."""

    source: Source | None = None  # the query's rows, those that are kept
    query: Query | None = None
    faults: tuple[Fault, ...] = ()
    is_sure: bool = True  # whether it is known which rows are the step's


def read_query(
    step: Step,
    asked: QuerySource,
    find_entity: Callable[[str], Entity | None],
    suggest: Callable[[str], list[str]],
) -> Asked:
    """Checks entity, `where` and `distinct`, and tells every fault of them."""
    entity, place = find_entity(asked.query), step.where("source")
    if not asked.query:  # told where the job was read
        return Asked()
    if entity is None:
        return Asked(faults=(unknown_entity(place, asked.query, suggest),))
    if not entity.is_queryable:
        return Asked(faults=(Fault(where=place, message=f"{entity.name} cannot be queried"),))
    where, faults = read_where(asked.where, entity, find_entity, suggest)
    rows = QueryRows(entity, query_columns(entity, named_columns(step)), step=step.name)
    query = Query(rows=rows, where=where, said=_said(rows.display, asked))
    if asked.distinct is None:
        return Asked(source=rows, query=query, faults=tuple(faults))
    try:
        source = DistinctRows(rows, asked.distinct, missing=("",))
    except JobError as error:
        return Asked(source=rows, query=query, faults=(*faults, *error.faults), is_sure=False)
    return Asked(source=source, query=query, faults=tuple(faults))


def _said(display: str, asked: QuerySource) -> str:
    text = f"{display} where {where_text(asked.where)}" if asked.where else display
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def is_of_query(step: Step) -> bool:
    """Whether its rows have columns that nobody has to name, and cells that mean what they hold."""
    return isinstance(step.source, QuerySource | MadeSource) or (
        isinstance(step.source, FileSource) and step.source.is_of_query
    )
