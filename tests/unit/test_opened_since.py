"""Tasks that somebody opened, or completed, or gave hours, between the plan and its way back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bulkops.progress import OnDrift
from bulkops.record import Scalar
from tests.unit.test_alongside import COMPLETED, DONE, OPEN, PROJECT, closed, firm, planned, sent, undone
from tests.unit.test_drift import apply


async def test_hours_come_back_also_where_somebody_opened_the_task(tmp_path: Path) -> None:
    """They are as the plan left them, as any field that goes back; the plan says that the status was so."""
    target = firm()
    step = COMPLETED.replace("status: State", "status: State, title: {value: x}")
    await apply(await planned(tmp_path, target, step), target)
    target.rows["Tasks"][3] |= {"status": 8, "remainingHours": 0.0}
    (back,) = (await undone(tmp_path, target)).changes()
    assert sent(back) == {"title": ("x", "T3"), "remainingHours": (0.0, 2.5)}
    assert back.notes[0] == "status is as it was already: remainingHours comes back without it"


async def test_a_project_that_is_complete_again_has_its_open_tasks_as_before(tmp_path: Path) -> None:
    """It was complete and had an open task when the plan opened it: the API completes that along with the way
    back, and a row after it opens it again.
    """
    target = firm()
    target.rows["Projects"][60]["status"] = 5
    target.rows["Tasks"][4] |= DONE
    step = PROJECT.replace("status: State", "status: {value: New}")
    step = step.replace("match: [id],", 'match: [id], ignore: "*",')
    await apply(await planned(tmp_path, target, step), target)
    undo = await undone(tmp_path, target)
    project, task = undo.changes()
    assert (project.entity, sent(project)) == ("Projects", {"status": (1, 5)})
    assert (task.entity, task.id, task.waits_for) == ("Tasks", 3, (1,))
    assert sent(task) == {"status": (5, 8), "remainingHours": (0, 2.5)}
    finish = target.update

    async def completing(entity: str, id: int, values: Mapping[str, Scalar], **more: Any) -> None:
        await finish(entity, id, values, **more)
        if entity == "Projects":  # what the API does with it
            target.rows["Tasks"][3] |= DONE

    target.update = completing  # type: ignore[method-assign]
    assert (await apply(undo, target)).counts["applied"] == 2
    assert {name: target.rows["Tasks"][3][name] for name in OPEN} == OPEN


async def test_hours_of_a_task_that_is_completed_again_are_held(tmp_path: Path) -> None:
    """Open when it was undone and done by the time that is applied: the API would ignore them in silence."""
    target = await closed(tmp_path, {3: OPEN}, {3: {"status": 8, "remainingHours": 0.0}})
    undo = await undone(tmp_path, target)
    target.rows["Tasks"][3] |= DONE
    assert (await apply(undo, target)).counts["held"] == 1
    assert "status was 8 and is 5 (Complete) now" in (undo.fate(2).reason or "")


@pytest.mark.parametrize("fields", [{"status": 8}, {}], ids=["opened before", "with the status"])
async def test_hours_that_somebody_set_are_not_overwritten(tmp_path: Path, fields: dict[str, Any]) -> None:
    """After the way back was planned: no query can ask for them, and they are looked at all the same."""
    target = await closed(tmp_path, {3: OPEN}, {3: {**DONE, **fields}})
    undo = await undone(tmp_path, target)
    target.rows["Tasks"][3]["remainingHours"] = 100.0
    assert (await apply(undo, target)).counts["held"] == 1
    assert "remainingHours was 0.0 and is 100.0 now" in (undo.fate(2).reason or "")
    assert target.rows["Tasks"][3]["remainingHours"] == 100.0


@pytest.mark.parametrize("status", [8, 5], ids=["opened again", "complete still"])
@pytest.mark.parametrize("hours", [{"remainingHours": 0.0}, {}], ids=["no hours", "hours that are not shown"])
async def test_hours_that_the_plan_did_not_take_stay(
    tmp_path: Path, status: int, hours: dict[str, Scalar]
) -> None:
    """Somebody had completed the task before it was applied, and maybe opened it again after: nothing of that
    is ours, and only what is goes back.
    """
    target = firm()
    plan = await planned(
        tmp_path, target, COMPLETED.replace("status: State", "status: State, title: {value: x}")
    )
    del target.rows["Tasks"][3]["remainingHours"]
    target.rows["Tasks"][3] |= {"status": 5, **hours}
    await apply(plan, target, OnDrift.OVERWRITE)
    target.rows["Tasks"][3]["status"] = status
    (back,) = (await undone(tmp_path, target)).changes()
    assert sent(back) == {"title": ("x", "T3")}
