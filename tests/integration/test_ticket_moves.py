"""Tickets that change company: every point around the two requests of each, at which a run can die.

Applied again, the end is the same, and no record was written to more often than the plan said.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.campaign.runs import hurried
from tests.campaign.small import FIRM
from tests.campaign.worlds import Step, World
from tests.integration.test_crash_points import CLEAN_STOP, Stage, set_stage

PERSON = {"firstName": "P", "lastName": "Q", "isActive": True}
TICKET = {"companyID": 5000, "status": 1, "priority": 2, "queueID": 29683354, "title": "T"}
HELD = {"contactID": 5100, "companyLocationID": 5200}

MOVES = World(
    loaded={
        "Companies": [
            {"id": 5000, "companyName": "Old", "companyNumber": "O", **FIRM},
            {"id": 5001, "companyName": "New", "companyNumber": "N", **FIRM},
        ],
        "Contacts": [
            {"id": 5100, "companyID": 5000, "emailAddress": "old@m.test", **PERSON},
            {"id": 5101, "companyID": 5001, "emailAddress": "new@m.test", **PERSON},
        ],
        "CompanyLocations": [
            {"id": 5200, "companyID": 5000, "name": "Old site", "isActive": True},
            {"id": 5201, "companyID": 5001, "name": "New site", "isActive": True},
        ],
        "Tickets": [
            {"id": 7000, "externalID": "T-0", **TICKET, **HELD},
            {"id": 7001, "externalID": "T-1", **TICKET, **HELD},
            {"id": 7002, "externalID": "T-2", **TICKET},
            {"id": 7003, "externalID": "T-3", **TICKET, **HELD},
        ],
    },
    steps=[
        Step(
            name="companies", entity="Companies", action="upsert", match=["companyNumber"],
            fields={"companyNumber": "Number", "companyName": "Name", "phone": {"value": "1"},
                    "companyType": {"value": "Customer"}, "ownerResourceID": {"value": "4"}},
            columns=("Number", "Name"), rows=[("X", "Made by the plan"), ("N", "Renamed")],
        ),
        Step(
            name="tickets", entity="Tickets", action="upsert", match=["externalID"],
            fields={
                "externalID": "Key", "title": "Title", "status": {"value": "New"},
                "priority": {"value": "Medium"}, "queueID": {"value": "Post Sale"},
                "companyID": {"column": "Company", "from": "companies"},
                "contactID": {"column": "Contact", "lookup": "emailAddress"},
                "companyLocationID": {"column": "Site", "lookup": "name"},
            },
            columns=("Key", "Title", "Company", "Contact", "Site"),
            rows=[
                ("T-0", "T", "N", "", ""), ("T-1", "U", "N", "new@m.test", "New site"),
                ("T-2", "T", "N", "new@m.test", ""), ("T-3", "T", "X", "", ""),
            ],
        ),
    ],
)  # fmt: skip
COUNTS = {"create": 1, "update": 5, "delete": 0, "unchanged": 0, "rejected": 0}
WRITES = 2 + 3 * 2 + 1


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with hurried():
        yield


@pytest.fixture(params=["merged", "stored"])
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    async with set_stage(MOVES, COUNTS, tmp_path, monkeypatch, ticket_company=request.param) as stage:
        yield stage


async def test_a_death_at_any_point_of_a_move_changes_nothing(stage: Stage) -> None:
    """Nothing is lost, nothing twice, nothing held: what is empty in between is known as the plan's own."""
    expected, (life,) = await stage.play(name="whole")
    sent = [
        point
        for point in life.points
        if point.startswith(("send POST", "send PATCH")) and "query" not in point
    ]
    assert len(sent) == WRITES
    tickets = stage.simulator.store.table("Tickets")
    held = [
        (tickets[n]["companyID"], tickets[n]["contactID"], tickets[n]["companyLocationID"])
        for n in (7000, 7001, 7002)
    ]
    assert held == [(5001, None, None), (5001, 5101, 5201), (5001, 5101, None)]
    assert (tickets[7003]["contactID"], tickets[7003]["companyID"] > 7003) == (None, True)
    died = 0
    for point in range(1, len(life.points) + 1):
        found, lives = await stage.play(point, name=f"{point}")
        assert found == expected, f"died at {point}: {lives[0].points[-1]}"
        died += lives[0].is_dead
    assert died >= len(life.points) - CLEAN_STOP


@pytest.mark.parametrize("stage", ["stored"], indirect=True)
async def test_a_death_while_a_move_recovers_changes_nothing(stage: Stage) -> None:
    """Died around the requests, and again while the next run goes on; or cut off by a second Ctrl-C."""
    expected, (life,) = await stage.play(name="whole")
    for first in range(2, len(life.points) + 1, 9):
        found, lives = await stage.play(name=f"cut {first}", cut_off_at=first)
        assert found == expected, f"cut off at {first}"
        for second in range(1 + first % 5, len(lives[-1].points) + 1, 13):
            found, _ = await stage.play(first, second, name=f"{first}-{second}")
            assert found == expected, f"died at {first} and {second}"
