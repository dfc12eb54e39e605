"""The JSON that other programs read."""

from __future__ import annotations

from pathlib import Path

from bulkops.change import UNKNOWN, Action, Change, FieldDiff
from bulkops.plan.seal import Header, StepInfo
from bulkops.plan.view import PlanState, Status, StepStatus
from bulkops.record import Created
from bulkops.views import change_json, plan_json, status_json

HEADER = Header(
    job="legacy-tasks", tenant="acme", database="7", url="", reason="", created="", version="0.1.0",
    steps=(
        StepInfo(
            name="tasks", entity="Tasks", action="upsert", match=("externalID",), file="tasks.csv",
            columns=("Key",), read=120, dropped=20, rows=100,
        ),
    ),
    counts={"create": 60, "update": 20, "delete": 0, "unchanged": 15, "rejected": 5},
    calls_read=7, calls_write=80, estimate_s={"0.75": 62.0, "1.0": 58.0}, warnings=("…",),
)  # fmt: skip


def test_a_plan_is_shown_as_the_contract_says() -> None:
    """Every key of `plan --json`, and counts that add up to the rows."""
    shown = plan_json(HEADER, Path("x.plan"), "abc")
    assert shown == {
        "plan": "x.plan", "sha256": "abc", "job": "legacy-tasks", "tenant": "acme", "rows": 100,
        "counts": {"create": 60, "update": 20, "delete": 0, "unchanged": 15, "rejected": 5},
        "sources": [{"step": "tasks", "read": 120, "dropped": 20, "rows": 100}],
        "calls": {"read": 7, "write": 80}, "estimate_s": {"0.75": 62.0, "1.0": 58.0}, "warnings": ["…"],
    }  # fmt: skip
    assert sum(shown["counts"].values()) == shown["rows"]


def test_a_change_is_shown_as_the_contract_says() -> None:
    """Every key of a line of `show --json`; what is known after apply and what cannot be read have a form."""
    change = Change(
        n=18, step="tasks", entity="Tasks", action=Action.UPDATE, line=2, file="tasks.csv", id=31,
        key={"externalID": "T-1", "projectID": Created(change=17)},
        fields={
            "status": FieldDiff(before=1, after=5),
            "remainingHours": FieldDiff(before=UNKNOWN, after=2.0),
            "udf:Legacy ID": FieldDiff(before=None, after="L-1"),
            "phaseID": FieldDiff(before=None, after=Created(change=17)),
        },
        waits_for=(17,), barrier=3,
    )  # fmt: skip
    assert change_json(change) == {
        "change": 18, "row": {"file": "tasks.csv", "line": 2}, "step": "tasks", "entity": "Tasks",
        "action": "update", "id": 31, "key": {"externalID": "T-1", "projectID": {"change": 17}},
        "fields": {
            "status": {"before": 1, "after": 5},
            "remainingHours": {"before": {"unknown": True}, "after": 2.0},
            "udf:Legacy ID": {"before": None, "after": "L-1"},
            "phaseID": {"before": None, "after": {"change": 17}},
        },
        "waits_for": [17], "reason": None,
    }  # fmt: skip


def test_a_rejected_row_is_shown_with_its_reason() -> None:
    """Nothing is sent, and the line says why."""
    row = Change(n=1, step="s", entity="Tasks", action=Action.REJECTED, file="t.csv", reason="no such client")
    shown = change_json(row)
    assert (shown["action"], shown["fields"], shown["reason"]) == ("rejected", {}, "no such client")
    assert shown["row"] == {"file": "t.csv", "line": None}


def test_where_a_plan_stands_is_shown_as_the_contract_says() -> None:
    """Every key of `status --json` and `apply --json`; `waiting` is a sentence or null."""
    counts = {"applied": 79, "unchanged": 15, "rejected": 6, "held": 0, "pending": 0}
    status = Status(
        plan=Path("x.plan"), state=PlanState.FINISHED, rows=100, counts=counts,
        calls={"read": 3, "write": 81}, elapsed_s=61.34, waiting=None,
        steps=(StepStatus(step="tasks", entity="Tasks", counts=counts),),
    )  # fmt: skip
    assert status_json(status) == {
        "plan": "x.plan", "state": "finished", "rows": 100, "counts": counts,
        "calls": {"read": 3, "write": 81}, "elapsed_s": 61.3, "waiting": None,
        "steps": [{"step": "tasks", "entity": "Tasks", "counts": counts}],
    }  # fmt: skip
