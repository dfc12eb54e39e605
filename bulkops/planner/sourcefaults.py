"""What is wrong with a step's source as a whole: it is another table than is meant, or it holds nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bulkops.errors import Fault
from bulkops.job.model import FileSource, Job, Step
from bulkops.sources import Source
from bulkops.sources.opening import TEXT_SUFFIXES
from bulkops.sources.standin import advice
from bulkops.wording import listed, nearest, sentences

SEVERAL, MANY = 3, 10  # columns in a message


def source_place(step: Step) -> str:
    """Where the source is named: in the job, or on the command line."""
    is_given = isinstance(step.source, FileSource) and step.source.is_override
    return f"--source {step.name}" if is_given else step.where("source")


def strange_columns(step: Step, source: Source) -> Fault | None:
    """One fault instead of one a column, where the source is no table of the kind that the step reads."""
    named = sorted(step.named())
    if len(named) < SEVERAL or any(name in source.columns or nearest(name, source.columns) for name in named):
        return None
    message = (
        f"{source.display} has none of the {len(named)} columns that the step names, such as "
        f"{listed(named[:SEVERAL], 'and')}. Its columns are {listed(source.columns[:MANY], 'and')}"
        f"{' and others' if len(source.columns) > MANY else ''}"
    )
    return Fault(where=source_place(step), message=message, hint=_what_else(step))


def _what_else(step: Step) -> str:
    """What may be the matter, and what can be done about it with a source of that kind."""
    given = step.source
    if not isinstance(given, FileSource) or given.file.suffix.lower() not in (*TEXT_SUFFIXES, ".xlsx"):
        return "Is it another table?"
    if not given.is_override:
        return "Is it another file, or does its header stand in another line (`header_row`)?"
    told = advice(given) or "The header of a file given with --source must stand in line 1"
    return sentences("Is it another file, or do lines stand above its header?", told)


def no_row_at_all(job: Job, sources: Sequence[Source | None]) -> Iterator[Fault]:
    """Only what is fed back can be empty: nothing was left over of its step, but then of another one."""
    known = [source for source in sources if source and source.is_result]
    if known and len(known) == len(sources) and all(next(iter(s.rows()), None) is None for s in known):
        names = " and ".join(source.display for source in known)
        verb = "holds" if len(known) == 1 else "hold"
        message = f"{names}: {verb} no row after the header, so there is nothing to plan"
        yield Fault(where=source_place(job.steps[0]), message=message)


def about_stand_in(step: Step, source: Source | None) -> Iterator[Fault]:
    """A file given on the command line is not read as the job says of its own: it may be that."""
    given = step.source
    if source and not source.is_result and isinstance(given, FileSource) and (told := advice(given)):
        yield Fault(where=f"--source {step.name}", message=told)
