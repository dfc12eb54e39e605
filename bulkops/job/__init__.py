"""Jobs: what to do, for which tenant, from which sources. The door to job files and their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from bulkops.errors import Fault
from bulkops.job.file import read_job
from bulkops.job.model import (
    Assignee,
    CloseProjects,
    Condition,
    Distinct,
    DivideBy,
    Empty,
    FieldSpec,
    FileSource,
    FrameSource,
    Inactive,
    Job,
    Keep,
    LookupValue,
    Method,
    Note,
    NumberSpec,
    Op,
    OpenTasks,
    QuerySource,
    Reassign,
    Recipe,
    Source,
    Step,
    StepAction,
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
    "unsupported",
]

NO_SOURCES: Mapping[str, Path] = {}


def load_job(
    path: Path,
    *,
    sources: Mapping[str, Path] = NO_SOURCES,
    only_supported: bool = True,
    keep_faults: bool = False,
) -> Job:
    """Reads a job file; `sources` maps a step's name to the file that it reads instead.

    Raises JobError with every fault of the file in its order, each with file:line, and with what this
    version does not run yet unless `only_supported` is off. Says nothing about entities and columns.
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
    if only_supported:
        faults.found += unsupported(job)
    if not faults.found:
        return job
    error = faults.error()
    if keep_faults:
        return replace(job, faults=error.faults)
    raise error


def _with_sources(job: Job, sources: Mapping[str, Path], faults: Faults) -> Job:
    names = [step.name for step in job.steps if step.name]
    for name, file in sources.items():
        where = f"--source {name}"
        wrong = file_type_fault(str(file))
        if name not in names:
            hint = did_you_mean(name, names) or (f"The steps are {listed(names)}." if names else "")
            faults.found.append(Fault(where=where, message=f"there is no step {shown(name)}", hint=hint))
        elif wrong:
            faults.found.append(Fault(where=where, message=wrong[0], hint=wrong[1]))
    steps = [_reading(step, sources[step.name]) if step.name in sources else step for step in job.steps]
    return replace(job, steps=tuple(steps))


def _reading(step: Step, file: Path) -> Step:
    """The step with another file, whose dialect is its own; what makes rows distinct is the step's."""
    old = step.source if isinstance(step.source, FileSource) else None
    source = FileSource(
        file=file,
        display=str(file),
        usual_sheet=old.sheet if old and file.suffix.lower() == ".xlsx" else None,
        distinct=step.source.distinct,
        is_override=True,
        stands_for=old,
        is_of_query=isinstance(step.source, QuerySource),
    )
    return replace(step, source=source)


Finder = Callable[[Job], Iterable[str]]
"""The places of a job where something is used."""


def _in_steps(key: str, uses: Callable[[Step], bool]) -> Finder:
    return lambda job: (step.where(key) for step in job.steps if uses(step))


def _as_recipe(key: str, kind: type[Recipe]) -> Finder:
    return lambda job: [job.where(key)] if isinstance(job.recipe, kind) else []


UNSUPPORTED: tuple[tuple[str, Finder], ...] = (
    ("the recipe `reassign`", _as_recipe("reassign", Reassign)),
    ("the recipe `close_projects`", _as_recipe("close_projects", CloseProjects)),
)  # fmt: skip
"""What job files can say and this version does not do: taken out line by line as it comes to life."""


def unsupported(job: Job) -> list[Fault]:
    """A fault for every use of what this version does not do, so that nothing is ignored in silence."""
    return [
        Fault(where=where, message=f"{what} is not supported yet in this version of bulkops")
        for what, find in UNSUPPORTED
        for where in find(job)
    ]
