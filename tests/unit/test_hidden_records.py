"""What rules and recipes conclude where this API user sees only some records, or none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bulkops.change import Action, Change, FieldDiff
from bulkops.errors import RefusedError
from bulkops.record import Created, Scalar, Value
from bulkops.schema import Entity
from bulkops.targets.autotask.rules import Case, Finding, Kind, Related, judge, own_fields
from bulkops.targets.memory import MemoryTarget
from tests.unit.test_close_projects import SHAPES, Desk, fates, listed_as, project, task
from tests.unit.test_rules_verdicts import FIRM, TICKET, Nothing, live

NEW = 32  # TICKET and what it holds are of 30
ACTIVE: Mapping[str, Scalar] = {"projectType": 5, "status": 1}
CLEARED = "what is of the company that they leave is cleared first, in a request of its own"
CONCLUDED = f"{CLEARED}; what this API user cannot see is taken for that company's, and cleared as well"


class View:
    """What rules say of an update, to who sees no records of `hidden` and may not ask for `barred`."""

    def __init__(self, *, hidden: Collection[str] = (), barred: Collection[str] = ()) -> None:
        self._hidden = hidden
        self._barred = barred
        self._related = Related(Nothing())

    def of(
        self, entity: str, fields: Mapping[str, Value], before: Mapping[str, Scalar], *, said: str = ""
    ) -> list[Finding]:
        """Once all was read that they want, without what is always told."""
        case = self.case(entity, fields, before, said=said)
        found = judge(case)
        while wanted := self._related.take_wanted():
            for name in wanted.shapes:
                self._related.put_shape(replace(live(name), is_restricted=name in self._hidden))
            for question, ids in wanted.records.items():
                self._read(question, ids)
            found = judge(case)
        return [one for one in found if "workflow" not in one.text]

    def case(
        self, entity: str, fields: Mapping[str, Value], before: Mapping[str, Scalar], *, said: str = ""
    ) -> Case:
        written = {name: FieldDiff(before=before.get(name), after=value) for name, value in fields.items()}
        change = Change(n=1, step="a", entity=entity, action=Action.UPDATE, id=60, fields=written)
        shape = live(entity)
        record = {**dict.fromkeys(own_fields(shape, fields)), **before}
        return Case(entity=shape, change=change, before=record, related=self._related, said=said.split())

    def _read(self, question: tuple[str, str], ids: Collection[int]) -> None:
        name, field = question
        if name in self._barred:
            self._related.unreadable.add(name)
            return
        rows = () if name in self._hidden else FIRM.get(name, ())
        self._related.put(question, ids, [dict(row) for row in rows if row.get(field) in ids])


# --- projects whose tasks are hidden ---


def test_hidden_tasks_that_are_completed_are_told_and_stay() -> None:
    """Nobody knows how many they are, and undo opens none of them."""
    found = View(hidden=["Tasks"]).of("Projects", {"status": 5}, ACTIVE)
    (told,) = [one for one in found if "completes the hidden ones in it as well" in one.text]
    assert (told.kind, told.amounts, told.tally) == (Kind.EFFECT, {}, None)
    assert (
        told.stays == "in which the API completes open tasks that are hidden as well, and those stay complete"
    )


@pytest.mark.parametrize(("hidden", "status"), [([], 5), (["Tasks"], 8), (["Phases"], 5)])
def test_nothing_is_told_of_hidden_tasks_where_none_are_completed(hidden: list[str], status: int) -> None:
    """Who sees all of them is told how many; another status completes none."""
    found = View(hidden=hidden).of("Projects", {"status": status}, ACTIVE)
    assert not [one for one in found if "hidden" in one.text + one.stays]


class Tenant(MemoryTarget):
    """Two projects, one with an open task, and tasks as this API user is told of them."""

    def __init__(self, *, tasks: str) -> None:
        """`tasks`: "all", "some", or "none", which are not even described."""
        self._tasks = tasks
        shape = replace(listed_as("Tasks"), is_restricted=tasks == "some")
        rows = {"Projects": [project(7), project(8)], "Tasks": [task(1, 7)]}
        super().__init__(rows, entities={**SHAPES, "Tasks": shape})

    async def describe(self, entity: str) -> Entity:
        if entity == "Tasks" and self._tasks == "none":
            raise RefusedError("you may not ask for Tasks")
        return await super().describe(entity)


def desk(folder: Path, *, tasks: str) -> Desk:
    made = Desk(folder)
    made.target = Tenant(tasks=tasks)
    return made


@pytest.mark.parametrize("tasks", ["some", "none"])
async def test_refuse_is_refused_to_who_cannot_see_all_tasks(tmp_path: Path, tasks: str) -> None:
    """Where `open_tasks` stands, before any record is read: of no project it is known that none is open."""
    made = desk(tmp_path, tasks=tasks)
    (fault,) = await made.refused(open_tasks="refuse")
    assert fault.startswith("8: this API user does not see all Tasks records, so nobody can tell which")
    assert "`open_tasks: complete`" in fault
    assert made.target.calls.read == 0


async def test_refuse_keeps_only_projects_with_open_tasks_where_all_are_seen(tmp_path: Path) -> None:
    """The other one is closed."""
    plan = await desk(tmp_path, tasks="all").plan(open_tasks="refuse")
    assert [fates(plan)[id][0] for id in (7, 8)] == ["rejected", "update"]


@pytest.mark.parametrize(("tasks", "is_told"), [("some", True), ("all", False)])
async def test_the_plan_says_that_hidden_tasks_are_completed_and_stay(
    tmp_path: Path, tasks: str, is_told: bool
) -> None:
    """Once for all projects, and among what undo brings back otherwise than it was."""
    plan = await desk(tmp_path, tasks=tasks).plan(open_tasks="complete")
    warnings = [text for text in plan.header.warnings if "hidden" in text]
    assert len(warnings) == is_told
    stays = [text for text in plan.header.extra["altered"] if "hidden" in text]
    assert [text.partition(" in which ")[0] for text in stays] == ["2 Projects"] * is_told


# --- tickets whose contact or location is hidden ---


@pytest.mark.parametrize(
    ("hidden", "barred", "amounts"),
    [
        (["Contacts"], [], {"hidden contact": 1, "location": 1}),
        (["CompanyLocations"], [], {"contact": 1, "hidden location": 1}),
        (["Contacts", "CompanyLocations"], [], {"hidden contact": 1, "hidden location": 1}),
        ([], ["Contacts"], {"hidden contact": 1, "location": 1}),
    ],
)
def test_what_is_hidden_is_cleared_with_what_is_seen(
    hidden: list[str], barred: list[str], amounts: dict[str, float]
) -> None:
    """Never one of the two while the other is in the way; and the plan says what it concluded."""
    (found,) = View(hidden=hidden, barred=barred).of("Tickets", {"companyID": NEW}, TICKET)
    assert (found.kind, found.text) == (Kind.EFFECT, CONCLUDED)
    assert found.clears == ("contactID", "companyLocationID")
    assert found.amounts == amounts


def test_what_is_seen_is_told_without_a_conclusion() -> None:
    """Nor is anything concluded of a company that the plan creates: nobody is in it."""
    (found,) = View().of("Tickets", {"companyID": NEW}, TICKET)
    assert found.text == CLEARED
    (found,) = View(hidden=["Contacts"]).of("Tickets", {"companyID": Created(change=1)}, TICKET)
    assert (found.text, found.amounts) == (CLEARED, {"contact": 1, "location": 1})


def test_what_nobody_has_read_yet_is_not_hidden() -> None:
    """It is asked for first, and nothing is said of it until then."""
    view = View()
    case = view.case("Tickets", {"companyID": NEW}, TICKET)
    assert not [one for one in judge(case) if one.clears]
    assert case.related.missed
    assert {entity for entity, _ in case.related.take_wanted().records} >= {"Contacts", "CompanyLocations"}


@pytest.mark.parametrize("field", ["contactID", "companyLocationID"])
def test_a_row_that_keeps_what_is_hidden_is_rejected(field: str) -> None:
    """As one that keeps what is seen to be of the old company: nothing is cleared for it."""
    view = View(hidden=["Contacts", "CompanyLocations"])
    (found,) = view.of("Tickets", {"companyID": NEW}, TICKET, said=field)
    assert (found.kind, found.about) == (Kind.REJECT, field)
    assert f"{field} is {TICKET[field]}, which this API user cannot see, as the row says" in found.text
