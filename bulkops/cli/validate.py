"""`bulkops validate JOB`: offline, every fault of the job, its sources and its rows at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulkops.cli import exits
from bulkops.cli.app import JsonOption, app, err, out, run_async
from bulkops.cli.display import LiveLine
from bulkops.cli.files import JobArgument, must_be_job
from bulkops.cli.jobs import SourceOption, sources_of

if TYPE_CHECKING:
    from bulkops.grouping import Grouped
    from bulkops.job import Job
    from bulkops.planner.precheck import ReadyStep
    from bulkops.planner.rowcheck import RowFault


@app.command()
def validate(
    job_path: JobArgument,
    source: SourceOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check a job offline: its file, its sources, every row. Like faults are told as one; --json has each."""
    from bulkops.job import load_job

    sources = sources_of(source)
    must_be_job(job_path)
    job = load_job(job_path, sources=sources, keep_faults=True)
    return run_async(partial(_as_json if as_json else _as_text, job, job_path))


async def _as_text(job: Job, path: Path) -> int:
    from bulkops.grouping import Grouped
    from bulkops.planner.rowcheck import RowCheck, refusal
    from bulkops.render import printable
    from bulkops.validate import examine_offline, unsure_labels

    examined = await examine_offline(job)
    with LiveLine(err) as line:
        if examined.faults:
            raise await refusal(examined, progress=line.checking)
        check = RowCheck(examined, progress=line.checking)
        found = {ready.step.name: Grouped() for ready in examined.steps}
        async for fault in check.found():
            found[fault.step].add(str(fault.place), str(fault.error))
        if check.faults:
            raise await refusal(examined, progress=line.checking)
    told: set[str] = set()
    for ready in examined.steps:
        _print_step(ready, found[ready.step.name], told)
    for text in unsure_labels(job):
        out.print(printable(f"Warning: {text}"), markup=False)
    good = check.rows - check.at_fault
    is_asked = [ready for ready in examined.steps if ready.query is not None]
    has_none = bool(is_asked) or examined.expansion is not None
    rows = f"; {good:,} of {check.rows:,} rows can be planned" if check.rows or not has_none else ""
    out.print(f"{path} is valid{rows}.", markup=False)
    for ready in is_asked:
        out.print(f"The rows of step {ready.step.name} are the tenant's: they are read by `bulkops plan`.")
    if any(grouped.is_shortened for grouped in found.values()):
        out.print(f"Every fault of every row: bulkops validate {path} --json", markup=False)
    out.print("What only the tenant knows (its picklists, its records) is checked by `bulkops plan`.")
    return exits.WITH_ERRORS if check.at_fault else exits.DONE


def _print_step(ready: ReadyStep, found: Grouped, told: set[str]) -> None:
    """`told`: warnings of steps before; what two steps read is warned of once."""
    from bulkops.render import left_out_text, printable

    source = ready.source
    facts = [source.display]
    if source.dialect:
        facts.append(str(source.dialect))
    if ready.left_out:
        facts.append(left_out_text(ready.left_out, len(source.columns)))
    out.print(f"step {ready.step.name}: {', '.join(facts)}", markup=False)
    for warning in _warnings(ready):
        if warning not in told:
            told.add(warning)
            out.print(printable(f"  Warning: {warning}"), markup=False)
    for line in found.lines():
        out.print(printable(f"  {line}"), markup=False)


def _warnings(ready: ReadyStep) -> list[str]:
    """What the user should know of a step whose rows were looked at."""
    from bulkops.planner.precheck import utc_warnings

    return [*ready.source.warnings, *ready.warnings, *utc_warnings(ready)]


async def _as_json(job: Job, path: Path) -> int:
    """One object, written as it comes, since its rows can be many: nothing of them is kept."""
    from bulkops.job.yamlfile import position
    from bulkops.plan.encoding import dump
    from bulkops.planner.rowcheck import RowCheck
    from bulkops.validate import examine_offline, unsure_labels

    examined = await examine_offline(job)
    check = RowCheck(examined)
    out.pieces([f'{{"job":{dump(str(path))},"row_faults":['])
    comma = ""
    async for fault in check.found():
        out.pieces([comma, dump(_row_json(fault))])
        comma = ","
    faults = sorted({*examined.faults, *check.faults}, key=position)
    warnings = [warning for ready in examined.steps for warning in _warnings(ready)]
    rest = {
        "faults": [{"where": f.where, "message": f.message, "hint": f.hint} for f in faults],
        "warnings": list(dict.fromkeys([*warnings, *unsure_labels(job)])),
        "rows": check.rows,
        "rows_at_fault": check.at_fault,
        "valid": not faults,
    }
    out.pieces(["],", dump(rest)[1:], "\n"])
    if faults:
        return exits.REFUSED
    return exits.WITH_ERRORS if check.at_fault else exits.DONE


def _row_json(fault: RowFault) -> dict[str, Any]:
    error, place = fault.error, fault.place
    sheet = {"sheet": place.sheet} if place.sheet else {}
    return {
        "step": fault.step,
        "row": {"file": place.file, "line": place.line, **sheet},
        "column": error.column or None,
        "value": error.value,
        "field": error.field or None,
        "message": error.message,
    }
