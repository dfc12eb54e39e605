"""Rows that name other rows of their step as parents: any forest, any file order, any fault in it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.applier import apply_plan
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner import stepplan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.targets.memory import MemoryTarget

JOB = """
version: 1
name: forest
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Id
      companyName: Name
      companyType: {value: "1"}
      phone: {value: "1"}
      ownerResourceID: {value: "4"}
      parentCompanyID: {column: Parent, from: companies}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the file: a key, the key of its parent, and whether its name is too long."""

    key: str
    parent: str
    is_bad: bool

    def __str__(self) -> str:
        return f"{self.key},{'x' * 300 if self.is_bad else f'Name {self.key}'},{self.parent}\n"


@st.composite
def files(draw: st.DrawFn) -> list[Line]:
    """Mostly a forest in any order; some keys twice, some parents that are nowhere, some cycles."""
    count = draw(st.integers(1, 25))
    order = draw(st.permutations(range(count)))
    lines = []
    for at, n in enumerate(order):
        kind = draw(st.integers(0, 19))
        above = [f"K{m}" for m in range(n)]
        parent = draw(st.sampled_from(above)) if above and kind < 16 else ""
        if kind == 17:
            parent = draw(st.sampled_from([f"k{m}" for m in range(count)]))  # perhaps a cycle
        if kind == 18:
            parent = "nobody"
        key = f"K{n}" if kind != 19 else f"k{order[draw(st.integers(0, at))]}"
        lines.append(Line(key=key, parent=parent, is_bad=draw(st.integers(0, 15)) == 0))
    return lines


def expected(lines: Sequence[Line]) -> dict[int, bool]:
    """Whether each row is carried out, by the rules alone."""
    owner: dict[str, int] = {}
    for n, line in enumerate(lines, start=1):
        owner.setdefault(line.key.lower(), n)

    def is_good(n: int, below: frozenset[int]) -> bool:
        line = lines[n - 1]
        if line.is_bad or owner[line.key.lower()] != n or n in below:
            return False
        if not line.parent:
            return True
        parent = owner.get(line.parent.lower())
        return parent is not None and is_good(parent, below | {n})

    return {n: is_good(n, frozenset()) for n in range(1, len(lines) + 1)}


async def story(folder: Path, lines: Sequence[Line], there: Sequence[str], rng: random.Random) -> None:
    """Plans, applies, compares with the rules; plans again."""
    (folder / "job.yaml").write_text(JOB, "utf-8")
    (folder / "companies.csv").write_text("Id,Name,Parent\n" + "".join(map(str, lines)), "utf-8")
    fields: dict[str, Scalar] = {"companyType": 1, "phone": "1", "ownerResourceID": 4}
    records = [{"companyNumber": key, "companyName": f"Name {key}", **fields} for key in there]
    target = MemoryTarget({"Companies": records}, per_entity=rng.randint(1, 3))
    job = load_job(folder / "job.yaml")
    plan = await build_plan(job, target, folder / "x.plan")
    good = expected(lines)
    assert {c.n: c.action.value != "rejected" for c in plan.changes()} == good
    assert [c.line for c in plan.changes()] == [n + 1 for n in range(1, len(lines) + 1)]
    await apply_plan(plan, target, rng=rng)
    check(target, lines, good, there)
    again = await build_plan(job, target, folder / "again.plan")
    assert again.header.counts["unchanged"] == sum(good.values())
    assert again.header.calls_write == 0


def check(target: MemoryTarget, lines: Sequence[Line], good: dict[int, bool], there: Sequence[str]) -> None:
    """Every good row has one record, under the record of its parent; nothing else was made."""
    rows = list(target.rows["Companies"].values())
    ids = {str(row["companyNumber"]).lower(): row["id"] for row in rows}
    wanted = {line.key.lower(): line for n, line in enumerate(lines, start=1) if good[n]}
    assert len(rows) == len(ids) == len({*wanted, *(key.lower() for key in there)})
    for row in rows:
        line = wanted.get(str(row["companyNumber"]).lower())
        parent = ids[line.parent.lower()] if line and line.parent else None
        assert row.get("parentCompanyID") == parent


@settings(deadline=None, max_examples=20)  # the machine may be busy
@given(
    files(), st.lists(st.integers(0, 24), max_size=4, unique=True), st.randoms(), st.sampled_from([1, 3, 500])
)
def test_any_forest_becomes_what_the_file_says(
    lines: list[Line], there: list[int], rng: random.Random, batch: int
) -> None:
    """Parents first, each row once; what is rejected, and what hangs on it, left out; and again, nothing."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BULKOPS_STATE_DIR", folder)
        patch.setattr(stepplan, "BATCH", batch)
        asyncio.run(story(Path(folder), lines, [f"K{n}" for n in there], rng))


def plan_of(folder: Path, lines: Sequence[Line]) -> Plan:
    (folder / "job.yaml").write_text(JOB, "utf-8")
    (folder / "companies.csv").write_text("Id,Name,Parent\n" + "".join(map(str, lines)), "utf-8")
    return asyncio.run(build_plan(load_job(folder / "job.yaml"), MemoryTarget(), folder / "x.plan"))


def test_many_cycles_and_their_tails_are_told_apart(tmp_path: Path) -> None:
    """Each row of a ring names its ring, each row behind it the row it needs; no row of another ring."""
    lines = []
    for ring in range(60):
        for at in range(4):
            lines.append(Line(key=f"R{ring}-{at}", parent=f"R{ring}-{(at + 1) % 4}", is_bad=False))
        lines.append(Line(key=f"T{ring}", parent=f"R{ring}-2", is_bad=False))
    for change in plan_of(tmp_path, lines).changes():
        ring, at = divmod(change.n - 1, 5)
        reason = change.reason or ""
        if at == 4:
            assert reason.startswith(f"row {ring * 5 + 3} (companies.csv:{ring * 5 + 4}), which it needs")
        else:
            assert "in a cycle" in reason
            assert all(f"row {ring * 5 + i} (" in reason for i in range(1, 5))


def test_a_long_cycle_is_named_in_one_sentence(tmp_path: Path) -> None:
    """The first rows of it and how many more there are."""
    lines = [Line(key=f"C{n}", parent=f"C{(n + 1) % 1000}", is_bad=False) for n in range(1000)]
    plan = plan_of(tmp_path, lines)
    assert plan.header.counts["rejected"] == 1000
    reason = plan.change(500).reason or ""
    assert "and 990 more need each other in a cycle" in reason
    assert len(reason) < 500
