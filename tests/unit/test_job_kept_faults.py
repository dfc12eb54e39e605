"""A job whose faults are kept: it can be looked at further, and nothing follows from what is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops.errors import JobError
from bulkops.job import Job, load_job

STEP = """\
  - name: {name}
    entity: Companies
    action: upsert
    source: {{file: a.csv}}
    match: [companyNumber]
    fields:
      companyNumber: {{column: No{from_}}}
      companyName: {{column: Name}}
"""


def step(name: str, from_: str = "") -> str:
    return STEP.format(name=name, from_=f", from: {from_}" if from_ else "")


def load(folder: Path, *steps: str) -> Job:
    path = folder / "job.yaml"
    path.write_text("version: 1\nname: t\ntenant: acme\nsteps:\n" + "".join(steps), "utf-8")
    return load_job(path, keep_faults=True)


def messages(job: Job) -> list[str]:
    return [str(fault).partition("job.yaml:")[2] for fault in job.faults]


def test_what_could_be_read_of_a_faulty_job_is_there(tmp_path: Path) -> None:
    """Its faults, and which keys of which steps they stand under: the others can be believed."""
    job = load(
        tmp_path, step("a").replace("upsert", "upsrt"), step("b").replace("{column: Name}", "{column: }")
    )
    assert [fault.where.rpartition("job.yaml:")[2] for fault in job.faults] == ["7:5", "20:21"]
    first, second = job.steps
    assert first.broken == {"action"} and not second.broken
    assert [spec.is_broken for spec in second.fields.values()] == [False, True]
    assert not any(spec.is_broken for spec in first.fields.values())


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        ("    match: [companyNumber]\n", "    mtach: [companyNumber]\n", {"match", "mtach"}),
        ("    entity: Companies\n", "", {"entity"}),
        ("    entity: Companies\n", "    entity: []\n", {"entity"}),
        ("{file: a.csv}", "{file: a.csv, delimiter: xx}", {"source"}),
        ("{file: a.csv}", "a.csv", {"source"}),
        ("match: [companyNumber]", "match: [companyNumber, companyNumber]", {"match"}),
        ("    match:", "    marker: []\n    match:", {"marker"}),
        ("    match:", "    ignore: [A]\n    ignore: [B]\n    match:", {"fields", "udf", "ignore", "match"}),
        ("    match:", "    impersonate: {lookup: email}\n    match:", {"impersonate"}),
    ],
    ids=lambda value: value.strip() if isinstance(value, str) else "",
)
def test_each_fault_stands_under_its_own_key(tmp_path: Path, old: str, new: str, broken: set[str]) -> None:
    """Also one of a nested table, of a key that is missing or misspelt, and of an entry that YAML lost."""
    job = load(tmp_path, step("a"), step("b").replace(old, new, 1), step("c"))
    assert len(job.faults) == 1
    assert [item.broken for item in job.steps] == [set(), broken, set()]


def test_a_text_without_any_shape_is_raised_all_the_same(tmp_path: Path) -> None:
    """There is nothing to look at."""
    with pytest.raises(JobError, match=r"job\.yaml:5"):
        load(tmp_path, "  - name: [\n")
    with pytest.raises(JobError, match="no such file"):
        load_job(tmp_path / "none.yaml", keep_faults=True)


def test_a_step_that_is_no_table_hides_nothing_of_the_others(tmp_path: Path) -> None:
    """Of itself nothing is known, and nothing is said but that."""
    job = load(tmp_path, "  - just a text\n", step("b").replace("upsert", "upsrt"))
    assert [text.partition(": ")[2][:30] for text in messages(job)] == [
        "a step must be a table of keys",
        "`action` must be `create`, `up",
    ]


def test_a_cycle_of_steps_is_told_as_one(tmp_path: Path) -> None:
    """Once, where it begins, with the way around: moving a step would not help."""
    job = load(tmp_path, step("a", "c"), step("b", "a"), step("c", "b"), step("d", "c"))
    assert messages(job) == [
        "11: `from` names the step `c`, which comes later (line 21) and needs this one: "
        "a cycle, a → c → b → a. Take one of these references out, and set it in a further step that updates "
        "the records."
    ]


def test_a_later_step_that_needs_nothing_of_this_one_can_be_moved(tmp_path: Path) -> None:
    """Its own references to itself and to others make no cycle."""
    job = load(tmp_path, step("a", "c"), step("b"), step("c", "c"))
    assert messages(job) == ["11: `from` names the step `c`, which comes later (line 21). Move it above `a`."]


def test_a_step_without_a_name_may_be_the_one_that_is_meant(tmp_path: Path) -> None:
    """Unless the name is nearly that of another step, which is more likely."""
    job = load(tmp_path, step("a").replace("name: a", "name: []"), step("phases", "projects"))
    assert len(job.faults) == 1
    job = load(tmp_path, step("a").replace("name: a", "name:"), step("projects"), step("c", "project"))
    assert "Did you mean `projects`?" in messages(job)[1]
