"""`distinct`: one row for each key, the first or the last, and every other one counted."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulkops.errors import JobError, SourceError
from bulkops.job import Distinct, FileSource, Keep, load_job
from bulkops.sources import Source, open_source

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the folder ../shared/data is not there")

Opened: TypeAlias = Callable[..., Source]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def _opened(text: str, *by: str, keep: Keep = Keep.LAST, missing: tuple[str, ...] = ("",)) -> Source:
        path = tmp_path / "t.csv"
        path.write_text(text, "utf-8")
        distinct = Distinct(by=by, keep=keep, where="jobs/x.yaml:9")
        return open_source(FileSource(file=path, display="t.csv", distinct=distinct), missing=missing)

    return _opened


def lines(source: Source) -> list[int | None]:
    return [row.line for row in source.rows()]


EVENTS = "Nr,State\n1,New\n2,New\n1,Open\n3,New\n1,Done\n2,Done\n"


def test_the_last_row_of_a_key_is_its_last_state(opened: Opened) -> None:
    """Kept rows stand in the file's order, with their own lines and cells; the others are counted."""
    source = opened(EVENTS, "Nr")
    assert [(row.line, row.cells) for row in source.rows()] == [
        (5, ("3", "New")), (6, ("1", "Done")), (7, ("2", "Done")),
    ]  # fmt: skip
    assert source.dropped == 3


def test_the_first_row_of_a_key_can_be_kept(opened: Opened) -> None:
    """In the order of their first appearance."""
    source = opened(EVENTS, "Nr", keep=Keep.FIRST)
    assert lines(source) == [2, 3, 5]
    assert source.dropped == 3


def test_a_source_is_read_again_as_often_as_asked(opened: Opened) -> None:
    """Also after a reading that was left half way."""
    source = opened(EVENTS, "Nr")
    next(source.rows())
    assert source.dropped == 3
    assert lines(source) == lines(source) == [5, 6, 7]


def test_keys_of_several_columns_agree_only_as_a_whole(opened: Opened) -> None:
    """(1, 12) is not (11, 2), and an empty part is a part."""
    source = opened("a,b\n1,12\n11,2\n1,12\n1,\n,1\n1,\n", "a", "b")
    assert lines(source) == [3, 4, 6, 7]


def test_keys_are_compared_as_match_compares_them(opened: Opened) -> None:
    """Trimmed and without case, so that none of the rest collides with another; 7 is not 007."""
    source = opened("Nr\nA-1\n a-1 \n7\n007\nÉ\nE\u0301\né\n", "Nr")
    assert [row.cells[0] for row in source.rows()] == [" a-1 ", "7", "007", "é"]


def test_rows_without_a_key_are_all_kept(opened: Opened) -> None:
    """They are not alike, and each must be seen; so are the texts that the job calls missing."""
    source = opened("Nr,x\n?,1\n ,2\n?,3\n,4\n1,5\n1,6\n", "Nr", missing=("", "?"))
    assert lines(source) == [2, 3, 4, 5, 7]
    assert source.dropped == 1


def test_rows_that_could_not_be_read_whole_are_all_kept(opened: Opened) -> None:
    """Which of their cells is the key is not known."""
    source = opened('Nr,x\n1,a\n1,a,b\n1,a,b\n1,"a" b\n1,c\n', "Nr")
    assert [(row.line, bool(row.fault)) for row in source.rows()] == [
        (3, True),
        (4, True),
        (5, True),
        (6, False),
    ]
    assert source.dropped == 1


def test_a_column_that_is_not_there_is_a_fault_of_the_job(opened: Opened) -> None:
    """At the job's own line, with the column that may have been meant; all of them at once."""
    with pytest.raises(JobError) as caught:
        opened("Number,Name,Name\n1,2,3\n", "Numbr", "Name", "Colour")
    assert [str(fault) for fault in caught.value.faults] == [
        "jobs/x.yaml:9: `by` names `Numbr`, and t.csv has no such column. Did you mean `Number`?",
        "jobs/x.yaml:9: `by` names `Name`, and t.csv has 2 columns of that name. "
        "Give each its own name in the header",
        "jobs/x.yaml:9: `by` names `Colour`, and t.csv has no such column. "
        "Its columns are `Number`, `Name` and `Name`",
    ]  # fmt: skip


def test_a_job_says_where_its_distinct_stands(tmp_path: Path) -> None:
    """The line of `by`, also where another file is read instead."""
    path = tmp_path / "job.yaml"
    path.write_text(
        "version: 1\nname: a\ntenant: b\nsteps:\n  - name: t\n    entity: Tickets\n    action: create\n"
        "    source:\n      file: a.csv\n      distinct:\n        keep: last\n        by: [Nr]\n"
        "    fields: {title: A}\n"
    )
    for sources in ({}, {"t": Path("b.csv")}):
        source = load_job(path, sources=sources).steps[0].source
        assert isinstance(source, FileSource)
        assert source.distinct is not None
        assert source.distinct.where == f"{path}:12"


def test_a_file_that_changed_meanwhile_is_refused(opened: Opened, tmp_path: Path) -> None:
    """Both readings must see the same rows."""
    source = opened(EVENTS, "Nr")
    lines(source)
    (tmp_path / "t.csv").write_text(EVENTS + "9,New\n")
    with pytest.raises(SourceError, match=r"^t\.csv: was changed while it was read\. Try again$"):
        lines(source)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """One bit a row, whatever the keys are."""
    path = tmp_path / "t.csv"
    path.write_text("Nr\n" + "".join(f"key {n % 10_000}\n" for n in range(15_000)))
    source = open_source(FileSource(file=path, display="t.csv", distinct=Distinct(by=("Nr",))))
    tracemalloc.start()
    count = sum(1 for _ in source.rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, source.dropped) == (10_000, 5_000)
    assert peak < 400_000


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcAB "), st.sampled_from(["x", "y", ""])), min_size=1, max_size=40)
)
@example([("a", "x")] * 17)
def test_kept_and_dropped_rows_always_add_up(table: list[tuple[str, str]]) -> None:
    """For any rows: one of each key, every keyless row, in order; `first` and `last` keep equally many."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in table))
        spec = FileSource(file=path, display="t.csv", distinct=Distinct(by=("a",)))
        expected: dict[Keep, list[int]] = {Keep.FIRST: [], Keep.LAST: []}
        keys = [a.strip().lower() for a, _ in table]
        for n, key in enumerate(keys):
            if not key or key not in keys[:n]:
                expected[Keep.FIRST].append(n + 2)
            if not key or key not in keys[n + 1 :]:
                expected[Keep.LAST].append(n + 2)
        for keep in Keep:
            source = open_source(replace(spec, distinct=Distinct(by=("a",), keep=keep)))
            found = lines(source)
            assert found == expected[keep]
            assert len(found) + source.dropped == len(table)


@needs_data
def test_the_incident_log_gives_the_last_state_of_each_number() -> None:
    """890 tickets in 5,998 rows, all of them closed in the end, each at the line of its last event."""
    spec = FileSource(file=DATA / "servicenow-incident-events.csv", display="events.csv")
    events = [(row.cells[0], row.line) for row in open_source(spec).rows()]
    source = open_source(replace(spec, distinct=Distinct(by=("number",))), missing=("", "?"))
    rows = list(source.rows())
    state = source.columns.index("incident_state")
    assert (len(events), len(rows), source.dropped) == (5998, 890, 5108)
    assert {row.cells[state] for row in rows} == {"Closed"}
    assert {(row.cells[0], row.line) for row in rows} == set(dict(events).items())
