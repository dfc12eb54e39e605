"""What a change rests on: it is written only while another record, or its own, holds what the plan saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bulkops.change import Action, Change, FieldDiff
from bulkops.plan import Plan
from bulkops.plan.encoding import change_from_json, change_to_json
from bulkops.progress import OnDrift
from bulkops.record import Premise, Scalar
from bulkops.targets.memory import MemoryTarget
from tests.unit.test_drift import apply, plan_of

OPEN: Mapping[str, Scalar] = {"status": 1, "endDateTime": "2026-01-31T00:00:00.000Z"}


def note(n: int, project: int, *, seen: Mapping[str, Scalar] = OPEN) -> Change:
    fields = {"title": FieldDiff(before=None, after="Closed")}
    return Change(
        n=n, step="notes", entity="ProjectNotes", action=Action.CREATE, line=n, file="x.csv", fields=fields,
        key={"title": f"Closed {n}"}, parent=project,
        premise=Premise(entity="Projects", id=project, values=seen),
    )  # fmt: skip


def closing(n: int, project: int, *, needs: int, seen: Mapping[str, Scalar] = OPEN) -> Change:
    return Change(
        n=n, step="projects", entity="Projects", action=Action.UPDATE, line=n, file="x.csv", id=project,
        fields={"status": FieldDiff(before=1, after=5)}, waits_for=(needs,), barrier=0,
        premise=Premise(entity="Projects", id=project, values=seen),
    )  # fmt: skip


def projects(count: int) -> MemoryTarget:
    return MemoryTarget(
        {"Projects": [{"id": n, "projectName": f"P{n}", **OPEN} for n in range(1, count + 1)]}
    )


def closed(folder: Path, count: int) -> Plan:
    """A note for each project, and then its status."""
    notes = [note(n, n) for n in range(1, count + 1)]
    return plan_of(folder, notes, [closing(count + n, n, needs=n) for n in range(1, count + 1)])


async def test_what_rests_on_a_record_that_changed_is_held_with_it(tmp_path: Path) -> None:
    """No note announces what will not come: record, field, both values and who are named."""
    target = projects(3)
    target.rows["Projects"][2] |= {"endDateTime": "2026-12-31T00:00:00Z", "lastActivityResourceID": 7}
    plan = closed(tmp_path, 3)
    status = await apply(plan, target)
    assert (status.counts["applied"], status.counts["held"]) == (4, 2)
    reasons = {fate.change.n: fate.reason or "" for fate in plan.fates() if fate.reason}
    assert reasons[2] == (
        "Projects 2: endDateTime was '2026-01-31T00:00:00.000Z' and is '2026-12-31T00:00:00Z' now: "
        "it was changed since the plan was made, last changed by resource 7"
    )
    assert reasons[5] == "row 2, which it needs, is held"
    assert len(target.rows["ProjectNotes"]) == 2
    assert [row["status"] for row in target.rows["Projects"].values()] == [5, 1, 5]


async def test_a_field_that_is_not_written_is_guarded_too(tmp_path: Path) -> None:
    """The record is changed between its note and its status: its status stays, and both fields are named."""
    target = projects(2)
    await apply(plan_of(tmp_path, [note(1, 1)]), target)
    target.rows["Projects"][1] |= {"status": 8, "endDateTime": None}
    (folder := tmp_path / "b").mkdir()
    plan = plan_of(folder, [note(1, 2)], [closing(2, 1, needs=1)])
    assert (await apply(plan, target)).counts["held"] == 1
    reason = plan.fate(2).reason or ""
    assert "status was 1 and is 8 now; endDateTime was '2026-01-31T00:00:00.000Z' and is empty now" in reason


async def test_what_is_so_already_needs_no_premise(tmp_path: Path) -> None:
    """Somebody has done the very same, whatever else they did: nothing is written, nothing is held."""
    target = projects(1)
    target.rows["Projects"][1] |= {"status": 5, "endDateTime": None}
    plan = plan_of(tmp_path, [replace(closing(1, 1, needs=1), waits_for=())])
    assert (await apply(plan, target)).counts["unchanged"] == 1
    assert target.writes == []


async def test_overwrite_and_stop_mean_premises_too(tmp_path: Path) -> None:
    """Who overwrites has no premise read; who stops stops before anything is written."""
    for on_drift, writes, reads in ((OnDrift.OVERWRITE, 4, 1), (OnDrift.STOP, 0, 2)):
        target = projects(2)
        target.rows["Projects"][2]["endDateTime"] = None
        (folder := tmp_path / on_drift.value).mkdir()
        status = await apply(closed(folder, 2), target, on_drift)
        assert (len(target.writes), target.calls.read) == (writes, reads), on_drift
        assert ("is empty now" in (status.waiting or "")) is (on_drift is OnDrift.STOP)


async def test_a_record_that_is_gone_is_the_apis_matter(tmp_path: Path) -> None:
    """Nothing is known of it, so nothing is said: the request is answered."""
    target = projects(1)
    del target.rows["Projects"][1]
    assert (await apply(plan_of(tmp_path, [note(1, 1)]), target)).counts["applied"] == 1


async def test_premises_cost_one_read_for_five_hundred_rows(tmp_path: Path) -> None:
    """Of the records that 1,000 rows rest on, and no second one for records that are changed themselves."""
    target = projects(1000)
    status = await apply(closed(tmp_path, 1000), target)
    assert status.counts["applied"] == 2000
    assert target.calls.read <= 2 + 2 + 2 + 1  # keys of notes, premises of notes, projects; a floor


def test_a_premise_is_kept_in_the_plan() -> None:
    """With its values, whatever they are."""
    change = note(3, 9, seen={"status": 1, "endDateTime": None, "udf:Big": 2**70, "name": 'a"\ud800'})
    assert change_from_json(3, change_to_json(change)) == change
