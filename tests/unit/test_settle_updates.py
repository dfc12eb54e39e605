"""Settling updates of fields that no query can ask for: remainingHours comes where all fields are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulkops.change import UNKNOWN, Action, Change, FieldDiff
from bulkops.errors import RejectedError
from bulkops.targets.memory import Commit, Failure, MemoryTarget, committing
from tests.unit.settling import LANDED, LOST, apply, plan_of

STRANGE = RejectedError(
    "strange", known=False
)  # a text that nobody knows: believed once its effect is not there
BOTH: dict[str, tuple[Any, Any]] = {"status": (5, 8), "remainingHours": (0.0, 2.5)}
HOURS: dict[str, tuple[Any, Any]] = {"remainingHours": (0.0, 2.5)}
UNSEEN: dict[str, tuple[Any, Any]] = {"status": (5, 8), "remainingHours": (UNKNOWN, 2.5)}


def task(fields: dict[str, tuple[Any, Any]]) -> Change:
    diffs = {name: FieldDiff(before=before, after=after) for name, (before, after) in fields.items()}
    return Change(
        n=1, step="only", entity="Tasks", action=Action.UPDATE, id=3, parent=60, line=2, file="x.csv",
        fields=diffs,
    )  # fmt: skip


def tenant(failure: Failure) -> MemoryTarget:
    target = MemoryTarget(failures={"update": [failure]}, settle_s=0.05)
    target.load("Tasks", {"id": 3, "title": "T", "projectID": 60, "status": 5, "remainingHours": 0.0})
    return target


@pytest.mark.parametrize("fields", [BOTH, HOURS, UNSEEN], ids=["with another", "alone", "unknown before"])
@pytest.mark.parametrize(
    ("failure", "ends", "requests"),
    [
        (committing(STRANGE), "applied", 1),
        (STRANGE, "rejected", 1),
        (LANDED, "applied", 1),
        (LOST, "applied", 2),
    ],
    ids=["refused and done", "refused", "lost and done", "lost"],
)  # fmt: skip
async def test_what_no_query_can_ask_for_is_looked_at(
    tmp_path: Path, fields: dict[str, tuple[Any, Any]], failure: Failure, ends: str, requests: int
) -> None:
    """Done is applied and not sent again, whatever the answer was; what is not done is told as it is."""
    target = tenant(failure)
    plan = plan_of(tmp_path, [task(fields)])
    assert (await apply(plan, target)).counts[ends] == 1
    assert len(target.writes) == requests
    held = target.rows["Tasks"][3]["remainingHours"]
    assert held == (0.0 if ends == "rejected" else 2.5)
    assert plan.fate(1).reason == ("strange" if ends == "rejected" else None)


@pytest.mark.parametrize("fields", [BOTH, UNSEEN], ids=["known before", "unknown before"])
async def test_what_is_not_shown_at_all_goes_with_what_is(
    tmp_path: Path, fields: dict[str, tuple[Any, Any]]
) -> None:
    """A request is done as a whole: the status is there, so the hours are, though nobody can see them."""
    target = tenant(STRANGE)

    def unshown(commit: Commit) -> int:
        commit()
        del target.rows["Tasks"][3]["remainingHours"]
        raise STRANGE

    target.script("update", [unshown])
    plan = plan_of(tmp_path, [task(fields)])
    assert (await apply(plan, target)).counts["applied"] == 1
    assert len(target.writes) == 1


async def test_what_is_not_shown_is_sent_once_more_where_the_answer_was_lost(tmp_path: Path) -> None:
    """Nobody refused it: the status is there, and the hours go once more, which does no harm."""
    target = tenant(LOST)

    def unshown(commit: Commit) -> int:
        commit()
        del target.rows["Tasks"][3]["remainingHours"]
        raise LOST

    target.script("update", [unshown])
    plan = plan_of(tmp_path, [task(BOTH)])
    assert (await apply(plan, target)).counts["applied"] == 1
    assert [dict(write.values) for write in target.writes[1:]] == [{"remainingHours": 2.5}]


async def test_a_refusal_of_what_is_not_shown_is_believed(tmp_path: Path) -> None:
    """Nothing else tells whether it was done."""
    target = tenant(STRANGE)
    del target.rows["Tasks"][3]["remainingHours"]
    plan = plan_of(tmp_path, [task({"remainingHours": (UNKNOWN, 2.5)})])
    assert (await apply(plan, target)).counts["rejected"] == 1


async def test_hours_that_somebody_changed_meanwhile_hold_the_row(tmp_path: Path) -> None:
    """Neither what they were nor what was sent."""
    target = tenant(LOST)

    def theirs(commit: Commit) -> int:
        target.rows["Tasks"][3]["remainingHours"] = 7.0
        raise LOST

    target.script("update", [theirs])
    plan = plan_of(tmp_path, [task(BOTH)])
    assert (await apply(plan, target)).counts["held"] == 1
    assert "remainingHours is 7.0 now, neither what it was nor what was sent" in (plan.fate(1).reason or "")
    assert len(target.writes) == 1
