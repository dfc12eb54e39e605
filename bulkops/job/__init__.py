"""Jobs: what to do, for which tenant, from which sources. The door to job files and their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bulkops.errors import Fault
from bulkops.job.file import read_job
from bulkops.job.model import (
    Condition,
    Distinct,
    Empty,
    FieldSpec,
    FileSource,
    FrameSource,
    Inactive,
    Job,
    Keep,
    LookupValue,
    NumberSpec,
    Op,
    QuerySource,
    Source,
    Step,
    StepAction,
)
from bulkops.job.recipes import (
    CLOSED,
    Assignee,
    CloseProjects,
    DivideBy,
    Method,
    Note,
    OpenTasks,
    Reassign,
    Recipe,
)
from bulkops.job.rules import rule_faults
from bulkops.job.sources import file_type_fault
from bulkops.job.yamlfile import Faults, read_yaml
from bulkops.wording import did_you_mean, listed, shown

__all__ = [
    "Assignee",
    "CloseProjects",
    "Condition",
    "Distinct",
    "DivideBy",
    "Empty",
    "FieldSpec",
    "FileSource",
    "FrameSource",
    "Inactive",
    "Job",
    "Keep",
    "LookupValue",
    "Method",
    "Note",
    "NumberSpec",
    "Op",
    "OpenTasks",
    "QuerySource",
    "Reassign",
    "Recipe",
    "Source",
    "Step",
    "StepAction",
    "load_job",
]

NO_SOURCES: Mapping[str, Path] = {}


def load_job(
    path: Path,
    *,
    sources: Mapping[str, Path] = NO_SOURCES,
    keep_faults: bool = False,
) -> Job:
    """Reads a job file; `sources` maps a step's name to the file that it reads instead.

    Raises JobError with every fault of the file in its order, each with file:line. Says nothing about
    entities and columns.
    With `keep_faults` the job has them in its `faults` instead, so that the rest of it can be looked at
    too; only a text without any shape is raised.
    """
    faults = Faults(str(path))
    root = read_yaml(path, faults)
    if root is None:
        raise faults.error()
    job = read_job(root, path, faults)
    faults.found += rule_faults(job)
    job = _with_sources(job, sources, faults)
    if not faults.found:
        return job
    error = faults.error()
    if keep_faults:
        return replace(job, faults=error.faults)
    raise error


def _with_sources(job: Job, sources: Mapping[str, Path], faults: Faults) -> Job:
    names = [step.name for step in job.steps if step.name]
    recipe = job.recipe if isinstance(job.recipe, CloseProjects) and job.recipe.source else None
    names += [CLOSED] if recipe else []
    for name, file in sources.items():
        where = f"--source {name}"
        wrong = file_type_fault(str(file))
        if name not in names:
            hint = did_you_mean(name, names) or (f"The steps are {listed(names)}." if names else "")
            faults.found.append(Fault(where=where, message=f"there is no step {shown(name)}", hint=hint))
        elif wrong:
            faults.found.append(Fault(where=where, message=wrong[0], hint=wrong[1]))
    steps = [_reading(step, sources[step.name]) if step.name in sources else step for step in job.steps]
    if recipe is not None and recipe.source is not None and CLOSED in sources:
        recipe = replace(recipe, source=_in_place_of(recipe.source, sources[CLOSED]))
    return replace(job, steps=tuple(steps), recipe=recipe or job.recipe)


def _reading(step: Step, file: Path) -> Step:
    """The step with another file."""
    return replace(step, source=_in_place_of(step.source, file))


def _in_place_of(source: Source, file: Path) -> FileSource:
    """Another file, whose dialect is its own; what makes rows distinct is the source's."""
    old = source if isinstance(source, FileSource) else None
    return FileSource(
        file=file,
        display=str(file),
        usual_sheet=old.sheet if old and file.suffix.lower() == ".xlsx" else None,
        distinct=source.distinct,
        is_override=True,
        stands_for=old,
        is_of_query=isinstance(source, QuerySource),
    )
