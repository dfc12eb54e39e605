"""The README's five minutes, run as they stand there: what it shows is what is printed."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

    OwnDesk = Callable[..., Desk]

ROOT = Path(__file__).resolve().parents[2]
ANYTHING = "…"  # a line of its own: any lines may stand there
CHANGING = (r"\d+(?=\.\d+ s\b| s\b| calls? to read)", r"(?<=database )\d+", r"(?<=\.)\d+(?= s\b)")


def tour() -> Iterator[tuple[str, list[str]]]:
    """Commands of the section with the lines below each, up to the next one or the end of its block."""
    text = (
        (ROOT / "README.md").read_text("utf-8").partition("## Five minutes")[2].partition("### Commands")[0]
    )
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.splitlines()
            yield command, lines


def steady(line: str) -> str:
    """A line without what differs from run to run: seconds, databases, reads for other reasons than rows."""
    for pattern in CHANGING:
        line = re.sub(pattern, "N", line)
    return line.rstrip()


def fits(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether `printed` is what is shown, with any lines where `…` stands."""
    if not shown:
        return not printed
    if shown[0].strip() == ANYTHING:
        return any(fits(shown[1:], printed[n:]) for n in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and fits(shown[1:], printed[1:])


def test_what_the_readme_shows_is_what_is_printed(own_desk: OwnDesk) -> None:
    """Every command of the tour, in its order, against a simulator as anybody starts it. Seconds, database
    and numbers of reads may differ; `…` stands for lines left out."""
    desk = own_desk()
    shutil.copytree(ROOT / "jobs" / "legacy-clients", desk.folder, dirs_exist_ok=True)
    config = desk.folder / "bulkops.toml"
    config.write_text(config.read_text("utf-8").replace("8765", str(desk.simulator.port)), "utf-8")
    ran = []
    for command, lines in tour():
        words = shlex.split(command)[1:]
        if command.startswith("cd ") or words[0] == "simulate":
            continue
        said = desk.run(*words, code=None)
        shown, printed = ([steady(line) for line in part] for part in (lines, said.out.splitlines()))
        ran.append(words[0])
        assert not shown or fits(shown, printed), f"{command}\n{said.out}{said.err}"
    assert ran == ["validate", "plan", "apply", "apply", "results", "plan"]
