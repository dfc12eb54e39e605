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


def test_what_the_api_does_to_each_project_is_told_of_that_project(desk: Desk) -> None:
    """The plan names the projects with the most open tasks, each with its own number, and between what the
    others are; none has the first one's number beside it that is not its own. `show` has every one.
    """
    projects = load_projects(desk)
    some = next(row for row in desk.simulator.rows("Tasks") if row["status"] == 1)
    like = {key: value for key, value in some.items() if key not in ("id", "phaseID")}
    counts = {project: 2 + 7 * n % PROJECTS for n, project in enumerate(projects)}
    desk.simulator.load("Tasks", *({**like, "projectID": project, "remainingHours": 1.5}
                                   for project, count in counts.items() for _ in range(count)))  # fmt: skip
    desk.write("close.yaml", CLOSE)
    notes = [line for line in desk.run("plan", "close.yaml").out.splitlines() if "    note: " in line]
    told = [
        f'    note: {project} "Big {n}": completes {counts[project]} open tasks and sets '
        f"{counts[project] * 1.5:g} remaining hours to 0"
        for n, project in enumerate(projects)
    ]
    largest = sorted(range(PROJECTS), key=lambda n: -counts[projects[n]])[:10]
    assert notes == [
        *(told[n] for n in largest),
        "    note: and 15 more: completes between 2 and 16 open tasks and sets between 3 and 24 "
        "remaining hours to 0",
    ]
    every = [line.partition(": ")[2] for line in desk.run("show", "close.plan").out.splitlines()
             if "    note: " in line]  # fmt: skip
    assert every == [line.split('": ')[1] for line in told]
