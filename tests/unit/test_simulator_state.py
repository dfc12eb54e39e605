"""The tenant's state file: what was answered is there after a restart, whatever ended the simulator."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import orjson
import pytest

from bulkops.simulator.loading import LoadError
from bulkops.simulator.options import Options
from bulkops.simulator.store import Store
from bulkops.simulator.tenancy import Tenant


def begin(path: Path, *, empty: bool = True) -> Tenant:
    return Tenant(Options(empty=empty, state=path))


def everything(store: Store) -> dict[str, object]:
    return {
        "rows": {name: dict(table) for name, table in store.tables().items()},
        "next": {name: table.next_id for name, table in store.tables().items()},
        "rest": [store.ci, store.udfs, store.picklists, store.recipients, store.api_resource_id],
    }


def test_a_kill_loses_nothing_that_was_written(tmp_path: Path) -> None:
    """Promises rows, deletions, ids, definitions and ci from a file that nobody closed."""
    tenant = begin(tmp_path / "state", empty=False)
    table = tenant.store.table("ContactGroups")
    kept, gone = table.insert({"name": "Kept"}), table.insert({"name": "Gone"})
    table.update(kept, {"isActive": True})
    table.delete(gone)
    tenant.store.recipients[0] = {"contactRecipients": [5]}
    tenant.note_definitions()
    again = begin(tmp_path / "state")
    assert everything(again.store) == everything(tenant.store)
    assert again.store.table("ContactGroups").insert({"name": "Next"}) == gone + 1


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    """Promises every whole change before it."""
    path = tmp_path / "state"
    tenant = begin(path)
    kept = tenant.store.table("ContactGroups").insert({"name": "Kept"})
    with path.open("ab") as file:
        file.write(b'["ContactGroups",99,{"na')
    table = begin(path).store.table("ContactGroups")
    assert list(table) == [kept]


def test_what_follows_a_line_cut_short_is_kept(tmp_path: Path) -> None:
    """Promises that going on after a kill does not spoil the file."""
    path = tmp_path / "state"
    begin(path)
    with path.open("ab") as file:
        file.write(b'["ContactGroups",99,{"na')
    made = begin(path).store.table("ContactGroups").insert({"name": "Later"})
    assert list(begin(path).store.table("ContactGroups")) == [made]


def test_a_clean_end_leaves_a_file_without_history(tmp_path: Path) -> None:
    """Promises that the file does not grow with every run."""
    path = tmp_path / "state"
    tenant = begin(path)
    row_id = tenant.store.table("ContactGroups").insert({"name": "A"})
    for number in range(50):
        tenant.store.table("ContactGroups").update(row_id, {"name": f"A{number}"})
    tenant.close()
    assert path.read_bytes().count(b'"ContactGroups",') == 1
    assert everything(begin(path).store) == everything(tenant.store)


def test_a_reset_goes_back_to_the_start_in_the_file_too(tmp_path: Path) -> None:
    """Promises that a restart after a reset finds what the start found."""
    path = tmp_path / "state"
    tenant = begin(path)
    before = everything(tenant.store)
    tenant.store.table("ContactGroups").insert({"name": "A"})
    tenant.reset()
    assert everything(tenant.store) == before
    assert everything(begin(path).store) == before


@pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX")
def test_the_file_is_private(tmp_path: Path) -> None:
    """Promises mode 0600."""
    begin(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"hello\n", ":1: "),
        (b'{"rows": {}}\n', ":1: "),
        (b"no line end", ":1: "),
    ],
)
def test_a_file_that_is_no_state_is_refused_with_its_place(
    tmp_path: Path, content: bytes, place: str
) -> None:
    """Promises the file, the line and what is wrong, and the file left as it is."""
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(LoadError) as caught:
        begin(path)
    assert str(caught.value).startswith(f"{path}{place}")
    assert path.read_bytes() == content


def test_a_spoilt_line_is_refused_with_its_number(tmp_path: Path) -> None:
    """Promises that a damaged file is never half a tenant."""
    path = tmp_path / "state"
    begin(path)
    with path.open("ab") as file:
        file.write(orjson.dumps(["Colours", 1, {}]) + b"\n")
    lines = path.read_bytes().count(b"\n")
    with pytest.raises(LoadError, match=f":{lines}: "):
        begin(path)
