"""`bulkops init`: what it says is literally true, and it never takes anything away."""

from __future__ import annotations

import os
import re
import shlex
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulkops.cli import main

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk, Simulator, Start

FILES = {"bulkops.toml", "migration.yaml", "companies.csv", "contacts.csv", "projects.xlsx", "README.md"}
ROWS = 34


def commands(text: str) -> list[list[str]]:
    """Every command line of a text, in its order, as words; comments left out."""
    lines = [line.strip() for line in text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("bulkops ", "cd "))]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_what_init_says_next_is_true(desk: Desk, simulate: Start) -> None:
    """The printed commands, run as they stand in their order: all end well, every row is applied, and the
    second plan has nothing to change. The README names the same ones."""
    said = desk.run("init", "first steps").out
    home = desk.folder / "first steps"
    assert {path.name for path in home.iterdir()} == FILES
    assert all(name in said for name in FILES)
    [start, change_folder, *rest] = commands(said)
    assert change_folder == ["cd", "first steps"]
    assert commands((home / "README.md").read_text("utf-8")) == [start, *rest]
    assert start[:3] == ["bulkops", "simulate", "--port"]
    port = start[3]
    config = home / "bulkops.toml"
    assert re.findall(r"127\.0\.0\.1:(\d+)", config.read_text("utf-8")) == [port]
    if not is_free(int(port)):  # somebody on this machine practises right now
        port = "0"
    simulator = simulate("--port", port, "--release-ms", "0", "--no-tiers")
    config.write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{simulator.port}", config.read_text("utf-8")))

    assert f"{ROWS} of {ROWS} rows" in desk.run("validate", "migration.yaml", cwd=home).out
    for words in rest:
        yes = ["--yes"] if words[1] == "apply" else []  # on a terminal it asks
        last = desk.run(*words[1:], *yes, cwd=home)
    assert f"0 to create, 0 to update, 0 to delete, {ROWS} unchanged, 0 rejected" in last.out
    check_records(simulator)


def check_records(simulator: Simulator) -> None:
    """Names, owners, dates, and phases inside their projects arrived as the files have them, each once."""
    committed = simulator.stats()["committed"]
    assert (committed["create"], committed["update"]) == (ROWS - 1, 1)
    companies = {row["companyNumber"]: row for row in simulator.rows("Companies")}
    projects = {row["extProjectNumber"]: row for row in simulator.rows("Projects")}
    phases = {row["id"]: row for row in simulator.rows("Phases")}
    tasks = {row["externalID"]: row for row in simulator.rows("Tasks")}
    assert companies["M-004"]["companyName"] == "Thistle, Thorn & Sons"
    assert companies["C-1002"]["phone"] == "555-0199"
    assert projects["OLD-12"]["endDateTime"].startswith("2026-12-18")
    task = tasks["OLD-T9"]
    assert task["projectID"] == projects["OLD-12"]["id"] and task["estimatedHours"] == 16
    assert phases[task["phaseID"]]["title"] == "Move"
    assert phases[task["phaseID"]]["projectID"] == projects["OLD-12"]["id"]


@pytest.mark.parametrize("name", sorted(FILES))
def test_init_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A file that is there is named, left as it is, and nothing is written beside it; exit 1."""
    (tmp_path / name).write_text("mine")
    assert main(["init", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert name in said.err and "exists already" in said.err and said.out == ""
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_init_goes_beside_other_files(tmp_path: Path) -> None:
    """A folder that holds something else is no obstacle."""
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["init", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "notes.txt"}


@pytest.mark.skipif(os.name == "nt", reason="links and file modes are a matter of POSIX")
def test_the_tenants_file_is_for_its_owner_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Secrets will stand in it: nobody else reads it from its first moment on, and no link leads it away."""
    assert main(["init", str(tmp_path / "home")]) == 0
    assert stat.S_IMODE((tmp_path / "home" / "bulkops.toml").stat().st_mode) == 0o600
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "bulkops.toml").symlink_to(tmp_path / "gone")
    assert main(["init", str(tmp_path / "other")]) == 1
    assert "bulkops.toml" in capsys.readouterr().err and not (tmp_path / "gone").exists()


def test_a_folder_that_cannot_be_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in its place, or above it, is named; exit 1, no traceback."""
    (tmp_path / "taken").write_text("")
    for folder in ("taken", "taken/below"):
        assert main(["init", str(tmp_path / folder)]) == 1
        said = capsys.readouterr().err
        assert "taken" in said and "Traceback" not in said and "bug" not in said


def test_another_tenants_file_in_the_environment_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With BULKOPS_CONFIG set, the printed commands would use that one: init says so."""
    assert main(["init", str(tmp_path / "home")]) == 0
    assert "BULKOPS_CONFIG" not in capsys.readouterr().out
    monkeypatch.setenv("BULKOPS_CONFIG", "other.toml")
    assert main(["init", str(tmp_path / "home2")]) == 0
    assert "other.toml" in capsys.readouterr().out
