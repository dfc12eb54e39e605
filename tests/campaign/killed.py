"""Real processes, really killed: `bulkops apply` again and again, each forked, each with an exact end.

    python tests/campaign/killed.py FOLDER CONTROL DEATHS

FOLDER holds a tenants file and `x.plan`, made of the small job; CONTROL is the simulator's. DEATHS is JSON: a
list of plays, each a list of points at which one apply after the other sends itself a SIGKILL, before one
goes on to the end. Prints one JSON line a play.

Forking from one process that has everything imported takes a twentieth of a second; starting Python, half a
second. What is forked is the command line, from its arguments to its exit code.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:  # as a script, this folder is the first place, and not the project
    sys.path.insert(0, str(ROOT))

from bulkops.applier import apply_plan  # noqa: E402 - after the path
from bulkops.cli import entry  # noqa: E402
from bulkops.targets.autotask.session import connect  # noqa: E402
from tests.campaign.crash import Life, living, watched  # noqa: E402
from tests.campaign.endstate import end_state  # noqa: E402
from tests.campaign.history import Rows, Scene, check  # noqa: E402
from tests.campaign.small import ENTITIES, SMALL  # noqa: E402
from tests.campaign.story import read_story  # noqa: E402

IMPORTED = (apply_plan, connect)  # by the command line only once it needs them


class Killer:
    """Plays in `folder`, against the simulator whose controls are at `control`."""

    def __init__(self, folder: Path, control: str) -> None:
        self._folder = folder
        self._control = control

    def play(self, number: int, deaths: Sequence[int]) -> dict[str, Any]:
        """From the beginning; what came of it."""
        self._call("reset", {})
        load(self._control)
        before = self._rows()
        here = self._folder / f"{number}"
        here.mkdir()
        path = Path(shutil.copy(self._folder / "x.plan", here / "x.plan"))
        ends = [self._apply(path, point) for point in (*deaths, None)]
        story = read_story(path)
        after = self._rows()
        scene = Scene(before=before, after=after, log=self._call("log")["entries"])
        return {
            "deaths": deaths,
            "killed": sum(os.WIFSIGNALED(end) for end in ends[:-1]),
            "code": os.waitstatus_to_exitcode(ends[-1]),
            "counts": story.counts(),
            "findings": [str(finding) for finding in check(story, scene)],
            "end": {entity: sorted(texts.elements()) for entity, texts in end_state(before, after).items()},
            "points": len(json.loads((here / "points").read_text("utf-8"))),
            "said": (here / "said").read_text("utf-8")[-2000:],
        }

    def _apply(self, path: Path, dies_at: int | None) -> int:
        """How the process ended, as `os.waitpid` says it."""
        child = os.fork()
        if child:
            return os.waitpid(child, 0)[1]
        try:
            self._be_killed(path, dies_at)
        except SystemExit as end:
            os._exit(int(end.code or 0))
        except BaseException:
            traceback.print_exc()
        os._exit(99)

    def _be_killed(self, path: Path, dies_at: int | None) -> None:
        here = path.parent
        said = os.open(here / "said", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.environ["BULKOPS_STATE_DIR"] = str(here / "state")
        os.environ["BULKOPS_CONFIG"] = str(self._folder / "bulkops.toml")
        sys.argv = ["bulkops", "apply", str(path), "--yes", "--json"]
        life = Life(dies_at=dies_at, is_real=True)
        try:
            with watched(), living(life):
                entry()
        finally:
            (here / "points").write_text(json.dumps(life.points), "utf-8")

    def _rows(self) -> Rows:
        return {
            entity: {row["id"]: row for row in self._call(f"rows/{entity}")["items"]} for entity in ENTITIES
        }

    def _call(self, path: str, body: Any = None) -> Any:
        return call(self._control, path, body)


def load(control: str) -> None:
    """The small world's records."""
    for entity, rows in SMALL.loaded.items():
        call(control, f"rows/{entity}", {"items": list(rows)})


def call(control: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{control}/{path}", data=data), timeout=20) as answer:
        return json.load(answer)


def main() -> None:
    killer = Killer(Path(sys.argv[1]), sys.argv[2])
    for number, deaths in enumerate(json.loads(sys.argv[3])):
        sys.stdout.write(json.dumps(killer.play(number, deaths)) + "\n")
        sys.stdout.flush()  # before the next fork, which would have it twice


if __name__ == "__main__":
    main()
