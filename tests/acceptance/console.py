"""Console blocks of a README: the commands in them, and whether what they show is what is printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

ANYTHING = "…"  # a line of its own: any lines may stand there
CHANGING = (r"\d+(?=\.\d+ s\b| s\b| calls? to read)", r"(?<=database )\d+", r"(?<=\.)\d+(?= s\b)")


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Commands of a text with the lines below each, up to the next one or the end of its block."""
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


def play(desk: Desk, text: str) -> list[str]:
    """Runs the commands of a text where the desk is; fails where another thing is printed than it shows. What
    has no lines below it may print anything. Returns the names of the commands.
    """
    ran = []
    for command, lines in commands(text):
        words = shlex.split(command)[1:]
        if command.startswith("cd ") or words[0] == "simulate":
            continue
        said = desk.run(*words, code=None)
        printed = [*said.out.splitlines(), *(said.err.splitlines() if not said.out else ())]
        ran.append(words[0])
        is_told = not lines or fits([*map(steady, lines)], [*map(steady, printed)])
        assert is_told, f"{command}\n{said.out}{said.err}"
    return ran
