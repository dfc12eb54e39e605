"""What the parts of a job demand of each other, beyond the grammar. Pure: a Job in, faults out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bulkops.errors import Fault
from bulkops.job.model import FieldSpec, Job, Step, StepAction
from bulkops.wording import did_you_mean, listed, shown


def rule_faults(job: Job) -> list[Fault]:
    """Every rule that is not kept. Speaks only of keys that could be read."""
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
    needs_match = "action" in step.lines and step.action is not StepAction.CREATE
    if needs_match and "match" not in step.lines and not {"action", "match"} & step.broken:
        hint = "Name the fields by which a record is found, such as match: [externalID]."
        yield Fault(where=step.where("action"), message=f"`{step.action}` needs `match`", hint=hint)
    specs = step.specs()
    if not specs or {"fields", "udf"} & step.broken:
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
    """The mark of a create has its field for itself: no row's value, and no key, stands there."""
    if step.marker is None:
        return
    where, name = step.where("marker"), step.marker.casefold()
    if step.action not in (StepAction.CREATE, StepAction.UPSERT):
        message = f"`marker` is for creates, and this step's action is `{step.action}`"
        yield Fault(where=where, message=message, hint="Leave it out.")
    if name in {mapped.casefold() for mapped in (*step.specs(), *step.match)}:
        message = f"`marker` names {shown(step.marker)}, which the step fills from its rows"
        yield Fault(where=where, message=message, hint="Name a text field that is free.")


def _from(
    spec: FieldSpec, step: Step, reachable: tuple[Step, ...], steps: tuple[Step, ...]
) -> Iterator[Fault]:
    if not spec.from_:
        return
    found = [other for other in steps if other.name == spec.from_]
    if not found:
        names = [other.name for other in reachable if other.name]
        if not all(other.name for other in steps) and not did_you_mean(spec.from_, names):
            return  # it may be the one whose name could not be read
        hint = did_you_mean(spec.from_, names) or (f"The steps so far are {listed(names)}." if names else "")
        yield Fault(
            where=spec.where, message=f"`from` names {shown(spec.from_)}, which is no step", hint=hint
        )
        return
    other = found[0]
    if all(other is not earlier for earlier in reachable):
        yield _later(spec, step, other, steps)
    if "match" not in other.lines and "match" not in other.broken:
        message = f"`from` needs a `match` in the step {shown(other.name)}, to know its records by"
        yield Fault(where=spec.where, message=message)


def _later(spec: FieldSpec, step: Step, other: Step, steps: tuple[Step, ...]) -> Fault:
    message = f"`from` names the step {shown(other.name)}, which comes later (line {other.line})"
    way = _way(other, step, steps)
    if not way:
        return Fault(where=spec.where, message=message, hint=f"Move it above {shown(step.name)}.")
    cycle = " → ".join([step.name, *way])
    hint = "Take one of these references out, and set it in a further step that updates the records."
    return Fault(where=spec.where, message=f"{message} and needs this one: a cycle, {cycle}", hint=hint)


def _way(start: Step, goal: Step, steps: tuple[Step, ...]) -> list[str]:
    """The names of the steps from `start` to `goal`, each of which needs the next; none: it is not needed."""
    by_name = {step.name: step for step in steps}
    ways = {start.name: [start.name]}
    for name in (found := [start.name]):
        for needed in dict.fromkeys(spec.from_ for spec in by_name[name].specs().values()):
            if needed in by_name and needed not in ways:
                ways[needed] = [*ways[name], needed]
                found.append(needed)
    return ways.get(goal.name, [])
