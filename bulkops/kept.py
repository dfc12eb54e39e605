"""Where a plan that was applied is found once a new one got its name: `x.1.plan`, beside it. Only reads."""

from __future__ import annotations

import re
from pathlib import Path

from bulkops.errors import PlanError
from bulkops.plan import Plan


def applied_before(plan: Plan) -> Path | None:
    """The latest plan of the same job that had this plan's name, and of which something was applied.

    None where there is none, and where something of `plan` itself was applied.
    """
    if plan.progress()["applied"]:
        return None
    return next((path for path in _kept(plan.path) if _is_applied(path, plan)), None)


def kept_text(plan: Plan) -> str:
    """A sentence that points to it, or nothing."""
    kept = applied_before(plan)
    return f"It was planned anew since: the plan that was applied is kept as {kept}" if kept else ""


def _kept(path: Path) -> list[Path]:
    """Files with the names that `PlanWriter` gives to plans it keeps, the latest first."""
    named = re.compile(rf"{re.escape(path.stem)}\.([1-9][0-9]*){re.escape(path.suffix)}")
    try:
        found = [(int(match[1]), entry) for entry in path.parent.iterdir()
                 if (match := named.fullmatch(entry.name))]  # fmt: skip
    except OSError:
        return []
    return [entry for _, entry in sorted(found, reverse=True)]


def _is_applied(path: Path, plan: Plan) -> bool:
    try:
        other = Plan.open(path)
        is_same = (other.header.job, other.header.database) == (plan.header.job, plan.header.database)
        return is_same and other.progress()["applied"] > 0
    except PlanError:
        return False
