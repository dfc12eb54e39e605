"""What other programs see of a plan and of its applying: the shapes of `--json`. Decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bulkops.change import Action, Change
from bulkops.plan.encoding import encode
from bulkops.plan.seal import Header, StepInfo
from bulkops.plan.view import PlanState, Status
from bulkops.workload import KEY, NOTES


def plan_json(header: Header, path: Path, sha256: str) -> dict[str, Any]:
    """`plan --json`: what the plan would do and what it costs. `counts` adds up to `rows`.

    `undo`, only where it is not all of it just as it was: what undo could not take back, and what it could,
    but otherwise; phrases.
    """
    return {
        "plan": str(path),
        "sha256": sha256,
        "job": header.job,
        "tenant": header.tenant,
        "rows": sum(header.counts.values()),
        "counts": {action.value: header.counts.get(action.value, 0) for action in Action},
        "sources": [_source_json(step) for step in header.steps],
        "calls": {"read": header.calls_read, "write": header.calls_write},
        "estimate_s": dict(header.estimate_s),
        "warnings": list(header.warnings),
        **{key: header.extra[key] for key in (KEY, NOTES) if key in header.extra},
        **_undo_json(header),
    }


def _undo_json(header: Header) -> dict[str, Any]:
    told = {name: list(header.extra.get(name, ())) for name in ("lasting", "altered")}
    return {"undo": told} if any(told.values()) else {}


def _source_json(step: StepInfo) -> dict[str, Any]:
    """`left_out`, the columns that nobody named, only where there are any."""
    rows = {"step": step.name, "read": step.read, "dropped": step.dropped, "rows": step.rows}
    return {**rows, "left_out": step.left_out} if step.left_out else rows


def change_json(change: Change) -> dict[str, Any]:
    """One line of `show --json`: one row's fate, field by field; `notes` only where there are any.

    `cleared`, where a request of its own empties fields before the rest is sent, names them.
    """
    told = {"cleared": list(change.cleared)} if change.cleared else {}
    told |= {"notes": list(change.notes)} if change.notes else {}
    return {
        "change": change.n,
        "row": _row_json(change),
        "step": change.step,
        "entity": change.entity,
        "action": change.action.value,
        "id": change.id,
        "key": {name: encode(value) for name, value in change.key.items()},
        "fields": {
            name: {"before": encode(diff.before), "after": encode(diff.after)}
            for name, diff in change.fields.items()
        },
        "waits_for": list(change.waits_for),
        "reason": change.reason,
        **told,
    }


def _row_json(change: Change) -> dict[str, Any]:
    """Where the row stands; the sheet only where it stands in one."""
    row = {"file": change.file, "line": change.line}
    return {**row, "sheet": change.sheet} if change.sheet else row


def status_json(now: Status) -> dict[str, Any]:
    """`status --json` and `apply --json`: where a plan stands, over all its runs."""
    return {
        "plan": str(now.plan),
        "state": now.state.value,
        "rows": now.rows,
        "counts": dict(now.counts),
        "calls": dict(now.calls),
        "elapsed_s": round(now.elapsed_s, 1),
        "waiting": None if now.state is PlanState.FINISHED else now.waiting,  # nothing is to come
        "steps": [{"step": one.step, "entity": one.entity, "counts": dict(one.counts)} for one in now.steps],
    }
