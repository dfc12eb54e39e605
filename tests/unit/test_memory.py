"""The target in memory: what scripted failures do, and what is written down of each write."""

from __future__ import annotations

import asyncio

import pytest

from bulkops.errors import InDoubtError, LockedError, RefusedError
from bulkops.targets.memory import MemoryTarget, Write, committing

LOST = InDoubtError("the answer was lost")
TICKET = {"title": "x"}


async def titles(target: MemoryTarget) -> list[object]:
    return [record["title"] async for record in target.read("Tickets", {}, fields=["title"])]


async def test_failures_come_in_turn_and_end() -> None:
    """Each call of the kind takes the next of its script; entity by entity where the script says so."""
    target = MemoryTarget(failures={"create Tickets": [None, LockedError("busy")], "update": [LOST]})
    first = await target.create("Tickets", TICKET)
    with pytest.raises(LockedError):
        await target.create("Tickets", TICKET)
    await target.create("Projects", {"projectName": "p"})
    assert await target.create("Tickets", TICKET) > first
    with pytest.raises(InDoubtError):
        await target.update("Tickets", first, {"title": "y"})
    assert await titles(target) == ["x", "x"]


async def test_an_answer_can_be_lost_after_the_commit() -> None:
    """The caller sees the error, the target has the record."""
    target = MemoryTarget(failures={"create": [committing(LOST)]})
    with pytest.raises(InDoubtError):
        await target.create("Tickets", TICKET)
    assert await titles(target) == ["x"]


async def test_a_write_can_land_late() -> None:
    """The answer is lost, the record is not there yet, and then it is."""
    target = MemoryTarget()
    target.script("create", [target.landing_late(LOST)])
    with pytest.raises(InDoubtError):
        await target.create("Tickets", TICKET)
    assert await titles(target) == []
    target.land()
    assert await titles(target) == ["x"]


async def test_reads_can_fail() -> None:
    """A read fails where its script says so, and counts."""
    target = MemoryTarget({"Tickets": [TICKET]}, failures={"read": [LOST], "count": [None, LOST]})
    with pytest.raises(InDoubtError):
        await titles(target)
    assert await target.count("Tickets") == 1
    with pytest.raises(InDoubtError):
        await target.count("Tickets")
    assert await titles(target) == ["x"]
    assert target.calls.read == 4


async def test_each_write_is_written_down() -> None:
    """What was asked for, in order, whatever became of it; and how many were in flight at once."""
    target = MemoryTarget({"Tickets": [{"id": 5, "title": "old"}]}, failures={"update": [LOST]})
    with pytest.raises(InDoubtError):
        await target.update("Tickets", 5, {"title": "new"}, impersonate=9)
    await asyncio.gather(*(target.create("Contacts", {"companyID": 3}) for _ in range(3)))
    await target.delete("Contacts", 1000, parent=3)
    assert target.writes[0] == Write(
        action="update", entity="Tickets", id=5, values={"title": "new"}, impersonate=9
    )
    assert [(write.action, write.parent) for write in target.writes[1:]] == [("create", 3)] * 3 + [
        ("delete", 3)
    ]
    assert target.max_in_flight["Contacts"] == 3
    assert target.calls.write == 5


async def test_an_unknown_entity_is_refused() -> None:
    """As every target: a sentence, before any call."""
    target = MemoryTarget()
    with pytest.raises(RefusedError):
        await target.create("Holograms", {})
    assert target.calls.write == 0
