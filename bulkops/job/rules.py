"""What the parts of a job demand of each other, beyond the grammar. Pure: a Job in, faults out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bulkops.errors import Fault
from bulkops.job.model import FieldSpec, Job, Step, StepAction
from bulkops.wording import did_you_mean, listed, shown


def rule_faults(job: Job) -> list[Fault]:
    """Every rule that is broken. Speaks only of keys that could be read."""
    faults = list(_names(job.steps))
    for number, step in enumerate(job.steps):
        faults += _match(step)
        faults += _delete(step)
        faults += _marker(step)
        for spec in step.specs().values():
            faults += _from(spec, step, job.steps[: number + 1], job.steps)
    return faults


def _names(steps: Iterable[Step]) -> Iterator[Fault]:
    """Folders are named after steps, and some systems ignore their case."""
    seen: dict[str, Step] = {}
    for step in steps:
        first = seen.setdefault(step.name.casefold(), step)
        if first is not step and step.name:
            message = f"the step name {shown(step.name)} stands here and in line {_line(first, 'name')}"
            yield Fault(where=step.where("name"), message=message, hint="Give each step its own name.")


def _line(step: Step, key: str) -> int:
    return step.lines.get(key, step.line)


def _match(step: Step) -> Iterator[Fault]:
    if "action" in step.lines and step.action is not StepAction.CREATE and "match" not in step.lines:
        hint = "Name the fields by which a record is found, such as match: [externalID]."
        yield Fault(where=step.where("action"), message=f"`{step.action}` needs `match`", hint=hint)
    specs = step.specs()
    if not specs:
        return
    mapped = {name.casefold() for name in specs}
    for name in step.match:
        if name.casefold() not in mapped:
            place = "udf" if name.casefold().startswith("udf:") else "fields"
            hint = did_you_mean(name, specs) or f"Say under `{place}` which column holds it."
            message = f"`match` names {shown(name)}, which is not mapped"
            yield Fault(where=step.where("match"), message=message, hint=hint)


def _delete(step: Step) -> Iterator[Fault]:
    """A delete writes no field, so one that is not matched would be ignored in silence."""
    if step.action is not StepAction.DELETE or not step.match:
        return
    matched = {name.casefold() for name in step.match}
    for name, spec in step.specs().items():
        if name.casefold() not in matched:
            message = f"`delete` takes only the fields of `match`, not {shown(name)}"
            yield Fault(
                where=spec.where, message=message, hint="Leave it out, and its column under `ignore`."
            )


def _marker(step: Step) -> Iterator[Fault]:
    if step.marker is None or step.action in (StepAction.CREATE, StepAction.UPSERT):
        return
    message = f"`marker` is for creates, and this step's action is `{step.action}`"
    yield Fault(where=step.where("marker"), message=message, hint="Leave it out.")


def _from(
    spec: FieldSpec, step: Step, reachable: tuple[Step, ...], steps: tuple[Step, ...]
) -> Iterator[Fault]:
    if not spec.from_:
        return
    found = [other for other in steps if other.name == spec.from_]
    if not found:
        names = [other.name for other in reachable if other.name]
        hint = did_you_mean(spec.from_, names) or (f"The steps so far are {listed(names)}." if names else "")
        yield Fault(
            where=spec.where, message=f"`from` names {shown(spec.from_)}, which is no step", hint=hint
        )
        return
    other = found[0]
    if all(other is not earlier for earlier in reachable):
        message = f"`from` names the step {shown(spec.from_)}, which comes later (line {other.line})"
        yield Fault(where=spec.where, message=message, hint=f"Move it above {shown(step.name)}.")
    if "match" not in other.lines:
        message = f"`from` needs a `match` in the step {shown(other.name)}, to know its records by"
        yield Fault(where=spec.where, message=message)
