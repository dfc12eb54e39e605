"""What `from` needs of the step it names, before any row is read. Pure.

A row is known to `from` by its cells in the columns that the fields of its step's `match` are made of, in
their order: a template stands for the columns it names, a constant for none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bulkops.errors import Fault
from bulkops.job.model import FieldSpec, MadeSource, Step, StepAction
from bulkops.mapping.templates import Template
from bulkops.schema import Entity
from bulkops.wording import counted, listed, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkable:
    """A step as far as `from` goes. None: no such entity, no such source."""

    step: Step
    entity: Entity | None
    columns: tuple[str, ...] | None


def key_columns(step: Step, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns by which the rows of a step are known to `from`; each once."""
    specs = {name.casefold(): spec for name, spec in step.specs().items()}
    matched = [specs[name.casefold()] for name in step.match if name.casefold() in specs]
    return tuple(dict.fromkeys(name for spec in matched for name in _columns(spec, columns)))


def _columns(spec: FieldSpec, columns: Sequence[str]) -> Sequence[str]:
    """Those in a template come in the order of the file: in the template one may stand twice."""
    if spec.template is None:
        return spec.source_columns
    try:
        names = Template(spec.template).names
    except ValueError:  # the mapping says so
        return ()
    return [name for name in columns if names is None or name in names]


def needed_steps(steps: Sequence[Step]) -> set[str]:
    """The names of the steps that a `from` names, or whose rows those of a recipe need."""
    named = {spec.from_ for step in steps for spec in step.specs().values() if spec.from_}
    made = [step.source for step in steps if isinstance(step.source, MadeSource)]
    return named.union(*(source.needs for source in made))


def link_faults(steps: Sequence[Linkable]) -> Iterator[Fault]:
    """Every `from` that cannot work: it names no step above, another entity, or too few or many columns."""
    for number, one in enumerate(steps):
        reachable = {other.step.name: other for other in steps[: number + 1]}
        for name, spec in one.step.specs().items():
            if spec.from_:
                yield from _faults(one, name, spec, reachable.get(spec.from_))


def _faults(one: Linkable, name: str, spec: FieldSpec, other: Linkable | None) -> Iterator[Fault]:
    if other is None:
        yield Fault(
            where=spec.where, message=f"`from` names {shown(spec.from_ or '')}, which is no step above"
        )
        return
    step = other.step
    if step.action is StepAction.DELETE:
        message = f"`from` names the step {shown(step.name)}, which deletes its records"
        yield Fault(where=spec.where, message=message)
        return
    field = one.entity.find(name) if one.entity else None
    if field and field.reference and other.entity and field.reference != other.entity.name:
        message = (
            f"{field.name} refers to {field.reference}, and the step {shown(step.name)}, which `from` names, "
            f"makes {other.entity.name}"
        )
        yield Fault(where=spec.where, message=message, hint=f"Name a step of {field.reference}.")
    if step is one.step and name.casefold() in {key.casefold() for key in step.match}:
        message = (
            f"{name} refers to rows of its own step, which are found by `match`, and `match` names {name}"
        )
        yield Fault(where=spec.where, message=message, hint="Match by other fields.")
    elif other.columns is not None:
        yield from _count_faults(spec, step, key_columns(step, other.columns))


def _count_faults(spec: FieldSpec, step: Step, names: Sequence[str]) -> Iterator[Fault]:
    """As many texts must be given as are needed to know a row."""
    is_made = spec.value is not None or spec.template is not None  # one text, whatever it is made of
    texts = 1 if is_made else len(spec.source_columns)
    if not names:
        message = (
            f"`match` of the step {shown(step.name)} reads no column, so `from` cannot tell its rows apart"
        )
        yield Fault(where=spec.where, message=message)
    elif texts and texts != len(names):
        given = counted(texts, "text" if is_made else "column")
        message = (
            f"`from` compares {given} with the {counted(len(names), 'column')} that "
            f"`match` of the step {shown(step.name)} reads"
        )
        yield Fault(where=spec.where, message=message, hint=f"Give one for each of {listed(names, 'and')}.")
