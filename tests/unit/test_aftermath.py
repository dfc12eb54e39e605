"""Two steps on one record: the later one is planned from what the earlier one leaves."""

from __future__ import annotations

import random
from pathlib import Path

from bulkops.applier import apply_plan
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.targets.memory import MemoryTarget

STEP = """
  - name: {name}
    entity: {entity}
    action: {action}
    source: {{file: {name}.csv}}
    match: [{match}]
    fields: {{{fields}}}
"""
COMPANY: dict[str, Scalar] = {"phone": "1", "city": "old"}
COMPANIES = [{"id": n, "companyNumber": f"C{n}", "companyName": f"N{n}", **COMPANY} for n in range(1, 21)]


def job_of(folder: Path, *steps: tuple[str, str, str]) -> Path:
    """Each step: action, fields, and its file. All are on the same companies."""
    texts = []
    for number, (action, fields, cells) in enumerate(steps, 1):
        name = f"s{number}"
        (folder / f"{name}.csv").write_text(cells, "utf-8")
        texts.append(
            STEP.format(name=name, entity="Companies", action=action, match="companyNumber", fields=fields)
        )
    head = "version: 1\nname: two\ntenant: acme\nlimits: {update: {percent: 100}}\nsteps:"
    path = folder / "job.yaml"
    path.write_text(head + "".join(texts), "utf-8")
    return path


async def planned(path: Path, target: MemoryTarget) -> Plan:
    return await build_plan(load_job(path), target, path.with_suffix(".plan"))


async def test_a_later_step_starts_from_what_an_earlier_one_leaves(tmp_path: Path) -> None:
    """Its before is the earlier after, and what is so by then is unchanged; applied, nothing has drifted."""
    path = job_of(
        tmp_path,
        ("update", "companyNumber: K, phone: P", "K,P\nC1,2\nC2,2\n"),
        ("update", "companyNumber: K, phone: P, city: T", "K,P,T\nc1,3,old\nC2,2,old\nC3,1,new\n"),
    )
    target = MemoryTarget({"Companies": COMPANIES})
    plan = await planned(path, target)
    changes = list(plan.changes())
    assert [str(change.action) for change in changes] == [*["update"] * 3, "unchanged", "update"]
    assert (changes[2].fields["phone"].before, changes[2].fields["phone"].after) == ("2", "3")
    assert "city" not in changes[2].fields
    status = await apply_plan(plan, target, rng=random.Random(1))
    assert status.counts["applied"] == 4
    left = [(row["phone"], row["city"]) for row in target.rows["Companies"].values()]
    assert left[:3] == [("3", "old"), ("2", "old"), ("1", "new")]


async def test_what_an_earlier_step_deletes_is_not_touched_again(tmp_path: Path) -> None:
    """The row is rejected and names the one that deletes the record."""
    entries: list[dict[str, Scalar]] = [
        {"id": n, "externalID": f"E{n}", "summaryNotes": "a"} for n in range(1, 21)
    ]
    target = MemoryTarget({"Companies": COMPANIES, "TimeEntries": entries})
    (tmp_path / "gone.csv").write_text("K\n3\n", "utf-8")
    (tmp_path / "kept.csv").write_text("K,N\n3,b\n4,b\n", "utf-8")
    steps = [
        STEP.format(name="gone", entity="TimeEntries", action="delete", match="id", fields="id: K"),
        STEP.format(
            name="kept", entity="TimeEntries", action="update", match="id", fields="id: K, summaryNotes: N"
        ),
    ]
    path = tmp_path / "job.yaml"
    path.write_text("version: 1\nname: two\ntenant: acme\nsteps:" + "".join(steps), "utf-8")
    plan = await planned(path, target)
    changes = list(plan.changes())
    assert [change.action.value for change in changes] == ["delete", "rejected", "update"]
    assert changes[1].reason == "row 1 deletes TimeEntries 3"
