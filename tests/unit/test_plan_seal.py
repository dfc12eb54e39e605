"""The seal: whatever is edited, rotten or no plan at all is refused in a sentence, and never applied."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bulkops.change import Action, Change, FieldDiff
from bulkops.errors import PlanError
from bulkops.plan import Header, Plan, PlanWriter
from bulkops.plan.seal import entry_bytes
from bulkops.plan.storage import FORMAT
from bulkops.record import Row


def make(path: Path, count: int) -> Path:
    """A plan with changes of every kind."""
    actions = [list(Action)[n % 5] for n in range(count)]
    with PlanWriter(path) as writer:
        for n, action in enumerate(actions, 1):
            fields = {"title": FieldDiff(before=None, after=f"Title {n}")}
            change = Change(n=n, step="s", entity="Tasks", action=action, line=n + 1, fields=fields)
            writer.add(Row(cells=(f"T-{n}", "Grüße, 你好"), line=n + 1), change)
        writer.seal(
            Header(
                job="j", tenant="t", database="1", url="", reason="", created="", version="", steps=(),
                counts={action.value: actions.count(action) for action in Action}, calls_read=0,
                calls_write=0, estimate_s={},
            )
        )  # fmt: skip
    return path


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


SEALED = {
    "header": ("json", "sha256"),
    "rows": ("n", "line", "cells"),
    "changes": ("n", "change"),
    "chunks": ("first", "last", "actions", "sha256"),
}
CELL = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary(max_size=8)
)


def read_all(path: Path) -> list[tuple[Change, Row]]:
    return list(Plan.open(path).items())


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("sealed") / "x.plan", 1100)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_edit_of_any_sealed_cell_is_always_refused(
    sealed: Path, tmp_path: Path, data: st.DataObject
) -> None:
    """Whatever an editor does to a cell of header, rows, changes or chunks, the plan is not applied."""
    table = data.draw(st.sampled_from(sorted(SEALED)))
    column = data.draw(st.sampled_from(SEALED[table]))
    path = tmp_path / "edited.plan"
    shutil.copy(sealed, path)
    with sqlite3.connect(path) as connection:
        row = data.draw(st.integers(0, connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] - 1))
        rowid, old = connection.execute(
            f"SELECT rowid, {column} FROM {table} LIMIT 1 OFFSET ?", (row,)
        ).fetchone()
        variant = st.sampled_from(
            [str(old), str(old) + " ", str(old)[:-1], str(old).encode(), 0, 1, None, ""]
        )
        new = data.draw(CELL | variant)
        try:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, rowid))
        except sqlite3.Error:
            return  # SQLite itself does not let this in
        same = connection.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (rowid,)).fetchone()
    connection.close()
    if same is not None and type(same[0]) is type(old) and same[0] == old:
        assert read_all(path) == read_all(sealed)  # what was put in is what was there
        return
    with pytest.raises(PlanError):
        read_all(path)


ENTRY = st.tuples(st.integers(1, 30), CELL, st.text(max_size=4), st.text(max_size=4))


@given(ENTRY, ENTRY)
@example((1, 2, "ab", "c"), (1, 2, "a", "bc"))
@example((1, None, "", ""), (1, "None", "", ""))
@example((1, 2, "", ""), (1, "2", "", ""))
def test_two_different_entries_are_never_sealed_alike(first: Any, second: Any) -> None:
    """No text can move from a row into its change, and no empty line passes for a text."""
    assert (entry_bytes(*first) == entry_bytes(*second)) == (repr(first) == repr(second))


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM changes WHERE n = 1100",
        "DELETE FROM changes WHERE n = 7; DELETE FROM rows WHERE n = 7",
        "INSERT INTO changes VALUES (1101, '{}'); INSERT INTO rows VALUES (1101, 1, '[]')",
        "INSERT INTO rows VALUES (0, 1, '[]')",
        "DELETE FROM chunks WHERE first = 1001",
        "INSERT INTO chunks VALUES (1101, 1101, 'c', 'x')",
        "INSERT INTO header SELECT * FROM header",
        "DELETE FROM header",
        "UPDATE changes SET change = (SELECT change FROM changes WHERE n = 2) WHERE n = 1",
        "ALTER TABLE rows RENAME TO old; CREATE TABLE rows (n INTEGER PRIMARY KEY, line, cells);"
        "INSERT INTO rows SELECT n, line, NULL FROM old",
        "DROP TABLE rows",
        "DROP TABLE mark",
        "DELETE FROM mark",
        "UPDATE mark SET state = 'whatever'",
    ],
)
def test_rows_cannot_be_added_removed_or_exchanged(sealed: Path, tmp_path: Path, edit: str) -> None:
    """The seal covers how many changes there are and which is which."""
    path = tmp_path / "edited.plan"
    shutil.copy(sealed, path)
    connection = sqlite3.connect(path)
    connection.executescript(edit)
    connection.close()
    with pytest.raises(PlanError, match=r"edited\.plan"):
        read_all(path)


def test_a_chunk_is_verified_before_it_is_given_out(sealed: Path, tmp_path: Path) -> None:
    """An edit far behind lets the plan open at once, and stops it before anything of that chunk is given."""
    path = tmp_path / "edited.plan"
    shutil.copy(sealed, path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE rows SET cells = '[]' WHERE n = 1050")
    connection.close()
    plan = Plan.open(path)
    given_out = []
    with pytest.raises(PlanError, match="changes 1001 to 1100"):
        for change in plan.changes():
            given_out.append(change.n)
    assert given_out == list(range(1, 1001))
    for read in (plan.verify, lambda: plan.change(1001), lambda: list(plan.fates())):
        with pytest.raises(PlanError, match="changes 1001 to 1100"):
            read()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing(
    sealed: Path, tmp_path: Path, place: int, bit: int
) -> None:
    """A rotten disk ends in one sentence, never in a traceback and never in another change."""
    path = tmp_path / "rotten.plan"
    content = bytearray(sealed.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        found = read_all(path)
    except PlanError:
        return
    assert found == read_all(sealed)


def test_what_is_no_plan_is_named(tmp_path: Path) -> None:
    """A missing file, a text, another database, a folder: each gets a sentence; nothing is put beside."""
    text, other = tmp_path / "text.plan", tmp_path / "other.plan"
    text.write_text("Id,Name\n1,Jane\n" * 100)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    before = names(tmp_path)
    with pytest.raises(PlanError, match="there is no such plan file"):
        Plan.open(tmp_path / "none.plan")
    with pytest.raises(PlanError, match="there is no such plan file"):
        Plan.open(tmp_path)
    for path in (text, other):
        with pytest.raises(PlanError, match="is not a plan file of bulkops"):
            Plan.open(path)
    assert names(tmp_path) == before


def test_a_plan_of_a_newer_bulkops_says_so(tmp_path: Path) -> None:
    """An older bulkops does not guess at a newer format."""
    make(tmp_path / "x.plan", 3)
    with sqlite3.connect(tmp_path / "x.plan") as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    with pytest.raises(PlanError, match="newer bulkops"):
        Plan.open(tmp_path / "x.plan")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Where a plan cannot be written, planning says so before it begins."""
    with pytest.raises(PlanError, match="cannot be written"):
        PlanWriter(tmp_path / "none" / "x.plan")
