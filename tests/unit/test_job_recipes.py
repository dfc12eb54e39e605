"""Recipes in a job file: what they say, and every misfit at its own line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from bulkops.errors import JobError
from bulkops.job import Assignee, CloseProjects, DivideBy, Method, Reassign, load_job
from bulkops.job.recipes import HANDED_OVER

HEAD = "version: 1\nname: leave\ntenant: acme\n"
Load: TypeAlias = Callable[[str], Reassign]


def write(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(HEAD + text, "utf-8")
    return path


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def read(text: str) -> Reassign:
        recipe = load_job(write(tmp_path, text)).recipe
        assert isinstance(recipe, Reassign)
        return recipe

    return read


def faults(folder: Path, text: str) -> list[str]:
    """Every fault as `line: message`."""
    with pytest.raises(JobError) as caught:
        load_job(write(folder, text))
    return [str(fault).removeprefix(f"{folder / 'job.yaml'}:") for fault in caught.value.faults]


def test_a_reassignment_is_short(load: Load) -> None:
    """Whose work and to whom is enough: in turn, and most of what there is; a colleague may stand alone."""
    recipe = load("reassign:\n  from: jane\n  to: [kim, {resource: lee, role: Engineer}]\n")
    assert recipe.to == (Assignee(resource="kim"), Assignee(resource="lee", role="Engineer"))
    assert (recipe.divide, recipe.entities, recipe.where) == (Method.ROUND_ROBIN, HANDED_OVER, ())
    assert "TaskSecondaryResources" in HANDED_OVER and "ServiceCalls" not in HANDED_OVER


def test_every_part_knows_its_line(load: Load) -> None:
    """Faults that only the tenant shows are told at the line that they are about."""
    recipe = load(
        "reassign:\n  from: jane\n  to:\n    - {resource: kim}\n    - lee\n"
        "  divide:\n    by: companyID\n    map:\n      Acme: kim\n      7: lee\n    default: kim\n"
    )
    assert isinstance(recipe.divide, DivideBy)
    lines = {key: where.rpartition(":")[2] for key, where in recipe.divide.places.items()}
    assert lines == {"by": "10", "default": "14", "Acme": "12", "7": "13"}
    assert recipe.place("from").endswith(":5") and recipe.place("divide").endswith(":9")
    assert recipe.place("where").endswith(":5"), "what is not there stands where the recipe begins"
    assert [one.where.rpartition(":")[2] for one in recipe.to] == ["7", "8"]


def test_a_map_names_its_people_by_itself(load: Load) -> None:
    """With a map `to` may be left out; names are taken whatever their case."""
    recipe = load("reassign: {from: a, entities: [tasks], divide: {by: COMPANYID, map: {Acme: kim}}}\n")
    assert recipe.to == () and recipe.entities == ("Tasks",)
    assert recipe.divide == DivideBy(by="companyID", map={"Acme": "kim"})


FAULTY = {
    "reassign: {from: a, to: [b], entities: [Tasks, Contracts]}\n": (
        "4:30: `reassign` cannot hand over `Contracts`. It takes `Tasks`, `Tickets`, `Projects`, "
        "`TaskSecondaryResources`, `TicketSecondaryResources`, `ServiceCalls`, `CompanyToDos` and "
        "`Opportunities`."
    ),
    "reassign: {from: a, to: [b], entities: [Task]}\n": (
        "4:30: `reassign` cannot hand over `Task`. Did you mean `Tasks`?"
    ),
    "reassign: {from: a, to: [b], entities: [Tasks, tasks]}\n": "4:30: `entities` names `tasks` twice",
    "reassign: {from: a}\n": "4:11: `reassign` needs `to`",
    "reassign: {from: a, to: [b], divide: {by: priority, map: {x: b}}}\n": (
        "4:39: `by` must be `companyID`, `queueID`, `projectID` or `phaseID`, not `priority`"
    ),
    "reassign: {from: a, to: [b], divide: {by: queueID}}\n": "4:38: `divide` needs `map`",
    "reassign: {from: a, to: [b], divide: {by: queueID, map: {x: [b]}}}\n": (
        "4:61: `map` must be a text, not a list"
    ),
    "reassign: {from: a, to: [{resouce: b}]}\n": (
        "4:27: an entry of `to` has no key `resouce`. Did you mean `resource`?"
    ),
    "reassign: {from: a, to: [{resource: ''}]}\n": "4:37: `resource` is empty",
    "reassign: {from: a, to: [b], where: [{field: status, op: like, value: x}]}\n": (
        "4:54: `op` must be `eq`, `noteq`"
    ),
    "close_projects: {status: C, open_tasks: keep, where: [{field: id, op: exist}]}\n": (
        "4:29: `open_tasks` must be `complete` or `refuse`, not `keep`"
    ),
    "close_projects: {status: C, open_tasks: refuse, where: [{field: id, op: exist}], note: {title: a}}\n": (
        "4:88: `note` needs `description`"
    ),
    "close_projects: {status: C, open_tasks: refuse, source: {file: a.csv}, match: [id], "
    "fields: {no: N}}\n": "4:85: `fields` names `no`, which `match` does not.",
}


@pytest.mark.parametrize("text", FAULTY)
def test_a_faulty_recipe_is_told_in_one_sentence(text: str, tmp_path: Path) -> None:
    """One mistake is one fault: where, what, and what to do."""
    found = faults(tmp_path, text)
    assert len(found) == 1, found
    assert found[0].startswith(FAULTY[text]), found


def test_all_faults_of_a_recipe_are_told_at_once(tmp_path: Path) -> None:
    """What is wrong in one key hides nothing of what is wrong in another."""
    found = faults(
        tmp_path, "reassign:\n  form: a\n  to: [{role: x}]\n  entities: [Taks]\n  divide: evenly\n"
    )
    assert [fault.partition(":")[0] for fault in found] == ["5", "6", "7", "8"]


def test_projects_are_found_by_columns_of_other_names(tmp_path: Path) -> None:
    """A file of projects need not call its columns as the fields are called."""
    text = (
        "close_projects: {status: Complete, open_tasks: refuse, source: {file: a.csv}, "
        "match: [extProjectNumber], fields: {extProjectNumber: No}}\n"
    )
    recipe = load_job(write(tmp_path, text)).recipe
    assert isinstance(recipe, CloseProjects)
    assert recipe.fields["extProjectNumber"].column == "No"
    assert recipe.place("status").endswith(":4")
