"""The plan file: written once and sealed (`writer`, `seal`), read with what happened since (`view`).

How changes are spelled is in `encoding`; the SQLite file, its lease and its errors are in `storage`; whether
the file alone is the whole truth is in `openmark`.
"""

from bulkops.plan.fate import Fate, RowState
from bulkops.plan.seal import Header, StepInfo
from bulkops.plan.view import Plan, PlanState, Status, StepStatus
from bulkops.plan.writer import PlanWriter, check_overwrite

__all__ = [
    "Fate",
    "Header",
    "Plan",
    "PlanState",
    "PlanWriter",
    "RowState",
    "Status",
    "StepInfo",
    "StepStatus",
    "check_overwrite",
]
