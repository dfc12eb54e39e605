"""What is advised where somebody wrote the right thing in the wrong place, or the wrong thing altogether."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import Fault, JobError
from bulkops.job import load_job
from bulkops.schema import Entity
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.wording import field_hint, sentences

JOB = """version: 1
name: a
tenant: acme
JOBLEVEL
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: c.csv, SOURCELEVEL}
    match: [companyNumber]
    STEPLEVEL
    fields:
      companyNumber: {column: No, FIELDLEVEL}
"""
LEVELS = ("JOBLEVEL", "SOURCELEVEL", "STEPLEVEL", "FIELDLEVEL")


def hints(folder: Path, level: str, key: str) -> list[str]:
    text = JOB.replace(level, f"{key}: x")
    for other in LEVELS:
        text = text.replace(f", {other}", "").replace(other, "")
    path = folder / "job.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(JobError) as caught:
        load_job(path)
    return [f"{fault.message}. {fault.hint}" for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("level", "key", "told"),
    [
        (
            "STEPLEVEL",
            "timezone",
            "It belongs to a single field, as in `startDateTime: {column: Start, timezone: …}`.",
        ),
        (
            "STEPLEVEL",
            "empty",
            "It belongs to a single field, as in `startDateTime: {column: Start, empty: …}`.",
        ),
        ("STEPLEVEL", "encoding", "It belongs into the step's `source`."),
        ("STEPLEVEL", "missing", "It belongs to the job as a whole, beside `steps`."),
        ("JOBLEVEL", "match", "It belongs into a step, beside `entity`."),
        ("FIELDLEVEL", "delimiter", "It belongs into the step's `source`."),
        ("SOURCELEVEL", "ignore", "It belongs into a step, beside `entity`."),
        ("STEPLEVEL", "ignroe", "Did you mean `ignore`?"),
    ],
)
def test_a_key_in_another_place_is_told_where_it_belongs(
    tmp_path: Path, level: str, key: str, told: str
) -> None:
    """Rather than which key of this place looks like it."""
    (said,) = hints(tmp_path, level, key)
    assert said.endswith(f"has no key `{key}`. {told}")


def test_a_command_that_shows_the_fields_asks_the_tenant_that_was_asked() -> None:
    """Of user-defined fields only the tenant knows: without it the command would show none."""
    shipped: Entity = load_catalog().entities["Companies"]
    assert field_hint(shipped, "udf:qqqq") == "`bulkops describe Companies` lists them"
    live = replace(shipped, is_live=True, tenant="acme")
    assert field_hint(live, "udf:qqqq") == "`bulkops describe Companies --tenant acme` lists them"


@given(first=st.text(min_size=1).filter(lambda text: text[-1] not in "?."), then=st.text(min_size=1))
def test_two_sentences_have_one_stop_between_them(first: str, then: str) -> None:
    """Whatever the first one ends with."""
    assert sentences(first, then) == f"{first}. {then}"
    assert sentences(f"{first}?", then) == f"{first}? {then}"
    assert sentences(f"{first}.", then) == f"{first}. {then}"
    assert sentences(first, "") == first
    assert str(Fault(where="x:1", message=f"{first}?", hint=then)) == f"x:1: {first}? {then}"
