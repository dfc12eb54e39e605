"""The README's five minutes, run as they stand there: what it shows is what is printed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pandas import DataFrame

from tests.acceptance.console import play

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

    OwnDesk = Callable[..., Desk]

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"


def test_what_the_readme_shows_is_what_is_printed(own_desk: OwnDesk) -> None:
    """Every command of the tour, in its order, against a simulator as anybody starts it. Seconds, database
    and numbers of reads may differ; `…` stands for lines left out."""
    desk = own_desk()
    shutil.copytree(ROOT / "jobs" / "legacy-clients", desk.folder, dirs_exist_ok=True)
    config = desk.folder / "bulkops.toml"
    config.write_text(config.read_text("utf-8").replace("8765", str(desk.simulator.port)), "utf-8")
    minutes = README.read_text("utf-8").partition("## Five minutes")[2].partition("### Commands")[0]
    assert play(desk, minutes) == ["validate", "plan", "apply", "apply", "results", "plan"]


def test_the_job_of_the_readme_is_one(own_desk: OwnDesk) -> None:
    """The reference says nothing that no job can say: with files that have its columns it is valid."""
    desk = own_desk()
    text = README.read_text("utf-8").partition("### A job\n")[2]
    desk.write("job.yaml", re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[0])
    desk.write("clients.csv", "Id;Name;Phone;Kind;Manager;Colour;Size\n1;Ann;5;Client;a@b.test;red;XL\n")
    frame = {
        "No": "7", "Client": "1", "Last": "Noe", "First": "Ann", "Subject": "It", "Text": "burns",
        "Urgent": "Yes", "Hours": "1,5", "Due": "31/01/2026 12:00", "Author": "a@b.test",
    }  # fmt: skip
    DataFrame([frame]).to_excel(desk.folder / "tickets.xlsx", sheet_name="Open", index=False)
    said = desk.run("validate", "job.yaml").out
    assert "job.yaml is valid; 2 of 2 rows can be planned." in said


def test_every_room_is_on_the_map() -> None:
    """The table of the design names what there is, and nothing that is gone."""
    table = README.read_text("utf-8").partition("| room | holds |\n")[2].partition("\n\n")[0]
    rooms = "".join(line.split("|")[1] for line in table.splitlines())
    named = re.findall(r"`([\w/]+)`", rooms)
    package = ROOT / "bulkops"
    files = [path.stem for path in package.glob("[!_]*.py")]
    folders = {f"{path.parent.name}/" for path in package.glob("*/*") if path.parent.name != "__pycache__"}
    assert sorted(named) == sorted([*files, *folders])
