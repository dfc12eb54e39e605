"""A large plan of a recipe, and the way back from it, fit on a screen: what is alike is told once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

PROJECTS = 25
CLOSE = """\
version: 1
name: close
tenant: acme
limits: {update: {percent: 100}}
close_projects:
  where: [{field: extProjectNumber, op: beginsWith, value: L-}]
  status: Complete
  open_tasks: complete
  note: {title: Closed, description: Year end}
"""


def load_projects(desk: Desk) -> list[int]:
    some = next(row for row in desk.simulator.rows("Projects") if row["extProjectNumber"] == "EXT-5")
    like = {key: value for key, value in some.items() if key != "id"}
    rows = ({**like, "projectName": f"Big {n}", "extProjectNumber": f"L-{n}", "status": 1}
            for n in range(PROJECTS))  # fmt: skip
    return desk.simulator.load("Projects", *rows)


def heads(text: str) -> list[str]:
    return [line for line in text.splitlines() if line[:2] in ("+ ", "~ ", "- ", "! ")]


def test_a_note_for_each_of_many_projects_is_told_once_there_and_back(desk: Desk) -> None:
    """The plan names what differs between the notes; the way back says once that none can be taken back,
    and advises nothing that a recipe could not have said; `show` has every row.
    """
    first, *_ = load_projects(desk)
    desk.write("close.yaml", CLOSE)
    note, project = heads(desk.run("plan", "close.yaml").out)
    assert note.startswith(f"+ ProjectNotes projectID={first} ")
    assert note.endswith(f" and {PROJECTS - 1} more like it but for `projectID`")
    assert project.startswith("~ Projects") and project.endswith(f"{PROJECTS - 1} more with the same change")
    assert len(heads(desk.run("show", "close.plan").out)) == 2 * PROJECTS
    desk.apply("close.plan", "--stop-after", "7", code=6)
    back = desk.run("undo", "close.plan").out
    (note,) = heads(back)
    assert note.startswith("! ProjectNotes ") and note.endswith(" and 6 more for the same reason")
    assert "can neither be deleted nor set inactive through the API: see to it in Autotask\n" in back
    assert len(heads(desk.run("show", "close.undo.plan").out)) == 7
