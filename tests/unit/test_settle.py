"""Settling creates by what was sent: counted when rows are identical, held when nobody can say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops import breaker
from bulkops.change import UNKNOWN, Action, Change, FieldDiff
from bulkops.errors import RejectedError
from bulkops.journal import Entry, Journal, Kind
from bulkops.schema import Entity
from bulkops.settle import doubts, look
from bulkops.targets.base import CallCount
from bulkops.targets.memory import Commit, Failure, MemoryTarget, committing
from tests.unit.settling import (
    BILLING,
    ENTITIES,
    LANDED,
    LOST,
    NOTE,
    OTHERS,
    WORDS,
    apply,
    entity_rows,
    item,
    note,
    plan_of,
    reasons,
)


@settings(max_examples=60, deadline=None)
@given(
    titles=st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=9),
    lost=st.lists(st.sampled_from([None, LOST, LANDED]), max_size=9),
    per_entity=st.integers(1, 3),
)
async def test_identical_rows_end_as_one_record_each(
    tmp_path_factory: pytest.TempPathFactory,
    titles: list[str],
    lost: list[Failure | None],
    per_entity: int,
) -> None:
    """Whichever of their answers are lost, carried out or not: as many records as rows, none held."""
    target = MemoryTarget(failures={"create": lost}, per_entity=per_entity)
    target.load("TicketNotes", {"id": 3, "title": "a", "ticketID": 5})
    plan = plan_of(tmp_path_factory.mktemp("plan"), [note(n, text) for n, text in enumerate(titles, 1)])
    status = await apply(plan, target)
    assert status.counts["applied"] == len(titles)
    assert entity_rows(target) == sorted(["a", *titles])
    ids = [fate.id for fate in plan.fates()]
    assert len(set(ids)) == len(ids)
    assert [target.rows["TicketNotes"][i or 0]["title"] for i in ids] == titles


async def test_what_was_there_before_is_never_taken_for_ours(tmp_path: Path) -> None:
    """The very first create is lost, and a record just like it is older than the run."""
    target = MemoryTarget(failures={"create": [LOST]}, entities=ENTITIES)
    old = target.load("BillingCodes", {"name": "x", "billingCodeType": 2})
    plan = plan_of(tmp_path, [item(1)])
    await apply(plan, target)
    (fate,) = plan.fates()
    assert fate.state == "applied"
    assert fate.id != old
    assert len(target.rows["BillingCodes"]) == 2


async def test_what_others_created_meanwhile_is_not_ours(tmp_path: Path) -> None:
    """The same note by somebody else, at the same moment: told apart by who created it."""
    target = MemoryTarget(per_entity=1)

    def somebody_else(commit: Commit) -> int:
        target.load("TicketNotes", {**note(2).after(), "creatorResourceID": OTHERS})  # type: ignore[dict-item]
        raise LOST

    target.script("create", [None, somebody_else])
    plan = plan_of(tmp_path, [note(1), note(2)])
    status = await apply(plan, target)
    assert status.counts["applied"] == 2
    by_us = [r for r in target.rows["TicketNotes"].values() if r["creatorResourceID"] != OTHERS]
    assert {r["id"] for r in by_us} == {fate.id for fate in plan.fates()}


async def test_an_identical_record_of_others_holds_the_row_where_no_creator_tells(tmp_path: Path) -> None:
    """Two records for one row: nobody guesses, and from then on nothing is concluded from absence."""
    target = MemoryTarget(entities=ENTITIES, per_entity=1)

    def twice(commit: Commit) -> int:
        target.load("BillingCodes", {"name": "x", "billingCodeType": 2})
        commit()
        raise LOST

    target.script("create", [None, twice])
    plan = plan_of(tmp_path, [item(1, "first"), item(2)])
    status = await apply(plan, target)
    assert status.counts["held"] == 1
    assert "1001, 1002" in reasons(plan)
    assert "BillingCodes" in reasons(plan)


@pytest.mark.parametrize(
    "stored", ["A long title that the server cuts", "a  LONG title, that the server cuts off"]
)
async def test_a_record_that_is_nearly_ours_holds_the_row(tmp_path: Path, stored: str) -> None:
    """The server may have changed the text: sending it again might make a second one."""
    target = MemoryTarget(entities=ENTITIES, per_entity=1)

    def changed(commit: Commit) -> int:
        target.load("BillingCodes", {"name": stored, "billingCodeType": 2})
        raise LOST

    target.script("create", [None, changed])
    plan = plan_of(tmp_path, [item(1, "first"), item(2, "A long title that the server cuts off")])
    await apply(plan, target)
    assert "nearly it" in reasons(plan)
    assert "name" in reasons(plan)
    assert len(target.rows["BillingCodes"]) == 2


async def test_what_the_server_always_alters_is_learned_and_explained(tmp_path: Path) -> None:
    """It stores every name in capitals: our own records tell, and the lost one is found all the same."""

    class Capitals(MemoryTarget):
        @staticmethod
        def _stored(shape: Entity, values: Any, *, is_create: bool) -> Any:
            stored = MemoryTarget._stored(shape, values, is_create=is_create)
            return {**stored, "name": str(stored["name"]).upper()}

    target = Capitals(entities=ENTITIES, per_entity=1, failures={"create": [None, None, LANDED]})
    plan = plan_of(tmp_path, [item(n, f"name {n}") for n in range(1, 6)])
    status = await apply(plan, target)
    assert status.counts["applied"] == 5
    assert len(target.rows["BillingCodes"]) == 5


async def test_an_entity_that_cannot_be_read_is_written_one_at_a_time_and_held(tmp_path: Path) -> None:
    """Nothing can ever tell: one row at most is lost to a person, and the others go on."""
    hidden = Entity(
        name="BillingCodes", singular="BillingCode", can={"create": "root"}, is_queryable=False,
        fields=BILLING.fields,
    )  # fmt: skip
    target = MemoryTarget(
        entities={"BillingCodes": hidden}, per_entity=3, failures={"create": [None, LANDED]}
    )
    plan = plan_of(tmp_path, [item(n) for n in range(1, 6)])
    status = await apply(plan, target)
    assert status.counts["applied"] == 4
    assert status.counts["held"] == 1
    assert target.max_in_flight["BillingCodes"] == 1
    assert "cannot be read" in reasons(plan)


async def test_a_request_that_lands_too_late_is_seen_and_ends_all_conclusions(tmp_path: Path) -> None:
    """It landed after `settle_s`, when its row had been made again: the row is held with both ids."""

    class LandsLate(MemoryTarget):
        """The request for t2 is carried out when it is sent for the second time."""

        async def create(self, entity: str, values: Any, **more: Any) -> int:
            if values["title"] == "t2" and not self.late:
                self.script("create", [self.landing_late(LOST)])
            elif values["title"] == "t2":
                self.land()
            return await super().create(entity, values, **more)

    target = LandsLate(per_entity=1)
    plan = plan_of(tmp_path, [note(n, f"t{n}") for n in range(1, 6)])
    status = await apply(plan, target)
    assert status.counts["held"] == 1
    assert status.counts["applied"] == 4
    assert "both its records" in reasons(plan)


async def test_ids_that_do_not_rise_hold_what_is_lost(tmp_path: Path) -> None:
    """A floor says nothing where ids fall: found or not, nothing is concluded."""
    target = MemoryTarget(entities=ENTITIES, per_entity=1)

    def below(commit: Commit) -> int:
        number = commit()
        target.rows["BillingCodes"][7] = {**target.rows["BillingCodes"].pop(number), "id": 7}
        return 7

    target.script("create", [None, below, LANDED, LOST])
    plan = plan_of(tmp_path, [item(n, f"n{n}") for n in range(1, 6)])
    status = await apply(plan, target)
    assert status.counts["held"] == 2
    assert "do not rise" in reasons(plan) or "been there before" in reasons(plan)
    assert len(target.rows["BillingCodes"]) == 4


async def test_a_broken_assumption_is_said_once_also_where_nothing_is_held(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All rows are applied, and yet whoever reads the log knows that ids do not rise in this tenant."""
    target = MemoryTarget(entities=ENTITIES, per_entity=1)

    def below(commit: Commit) -> int:
        number = commit()
        fallen = 7 + len(target.rows["BillingCodes"])
        target.rows["BillingCodes"][fallen] = {**target.rows["BillingCodes"].pop(number), "id": fallen}
        return fallen

    target.script("create", [None, below, below])
    status = await apply(plan_of(tmp_path, [item(n, f"n{n}") for n in range(1, 5)]), target)
    assert status.counts["applied"] == 4
    (said,) = [record.getMessage() for record in caplog.records if "do not rise" in record.getMessage()]
    assert "held, not sent again" in said


@pytest.mark.parametrize("landed", [0, 1, 2, 3])
async def test_a_killed_run_is_settled_with_two_reads(tmp_path: Path, landed: int) -> None:
    """Intents without outcomes, some carried out: two reads tell, however many rows the job has."""
    target = MemoryTarget(settle_s=0.05)
    plan = plan_of(tmp_path, [note(n) for n in range(1, 9)])
    journal = Journal.open(plan.path)
    first = await target.create("TicketNotes", {"title": "same", **NOTE},
                                parent=5)  # fmt: skip
    await journal.intent(1, floors={1: 0})
    journal.note(Entry(kind=Kind.APPLIED, n=1, id=first))
    await journal.intent([2, 3, 4], floors=dict.fromkeys([2, 3, 4], first))
    for _ in range(landed):
        await target.create("TicketNotes", {"title": "same", **NOTE},
                            parent=5)  # fmt: skip
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0.0, waiting=None)
    target.calls = CallCount()
    status = await apply(plan, target)
    assert status.counts["applied"] == 8
    assert len(target.rows["TicketNotes"]) == 8
    assert target.calls.read <= (2 if landed == 3 else 4)


async def test_an_unknown_refusal_without_a_key_is_looked_up_too(tmp_path: Path) -> None:
    """Stored: applied. Not stored: rejected with the target's text."""
    unknown = RejectedError("strange", known=False)
    target = MemoryTarget(failures={"create": [committing(unknown), unknown]}, settle_s=60)
    plan = plan_of(tmp_path, [note(1, "a"), note(2, "b")])
    await apply(plan, target)
    assert [(fate.state.value, fate.reason) for fate in plan.fates()] == [
        ("applied", None),
        ("rejected", "strange"),
    ]


async def test_a_row_is_found_by_its_marker(tmp_path: Path) -> None:
    """The mark is unique, so one look tells, whatever else the server made of the record."""
    target = MemoryTarget(entities=ENTITIES, failures={"create": [LANDED, LOST]})
    plan = plan_of(tmp_path, [item(n, f"bulkops-1-{n}", marker="name") for n in range(1, 5)])
    status = await apply(plan, target)
    assert status.counts["applied"] == 4
    assert len(target.rows["BillingCodes"]) == 4


def _update(n: int, fields: dict[str, tuple[Any, Any]]) -> Change:
    diffs = {name: FieldDiff(before=before, after=after) for name, (before, after) in fields.items()}
    return Change(
        n=n, step="only", entity="TicketNotes", action=Action.UPDATE, id=3, parent=5, line=2, file="x.csv",
        fields=diffs,
    )  # fmt: skip


async def test_an_update_in_doubt_sends_only_what_still_differs(tmp_path: Path) -> None:
    """It is read first; what holds the wanted value by then is not sent again."""
    target = MemoryTarget()

    def half(commit: Commit) -> int:
        target.rows["TicketNotes"][3]["title"] = "new"  # somebody made the same change
        raise LOST

    target.load("TicketNotes", {"id": 3, "title": "old", "description": "old", "ticketID": 5})
    target.script("update", [half])
    plan = plan_of(tmp_path, [_update(1, {"title": ("old", "new"), "description": ("old", "new")})])
    assert (await apply(plan, target)).counts["applied"] == 1
    assert [write.values for write in target.writes] == [
        {"title": "new", "description": "new"},
        {"description": "new"},
    ]


async def test_an_update_in_doubt_that_others_changed_is_held(tmp_path: Path) -> None:
    """Neither what it was nor what was sent: it is not overwritten, and its value is told."""
    target = MemoryTarget()

    def theirs(commit: Commit) -> int:
        target.rows["TicketNotes"][3]["title"] = "theirs"
        raise LOST

    target.load("TicketNotes", {"id": 3, "title": "old", "ticketID": 5})
    target.script("update", [theirs])
    plan = plan_of(tmp_path, [_update(1, {"title": ("old", "new")})])
    assert (await apply(plan, target)).counts["held"] == 1
    assert "title is 'theirs' now" in reasons(plan)
    assert len(target.writes) == 1


async def test_an_update_in_doubt_whose_record_is_gone_is_rejected_by_the_server(tmp_path: Path) -> None:
    """Somebody deleted it meanwhile: nothing of it is there, and the server says so when asked again."""
    target = MemoryTarget()

    def gone(commit: Commit) -> int:
        del target.rows["TicketNotes"][3]
        raise LOST

    target.load("TicketNotes", {"id": 3, "title": "old", "ticketID": 5})
    target.script("update", [gone])
    plan = plan_of(tmp_path, [_update(1, {"title": ("old", "new")})])
    assert (await apply(plan, target)).counts["rejected"] == 1
    assert [fate.reason for fate in plan.fates()] == ["No matching records found."]


async def test_an_update_in_doubt_of_what_was_hidden_before_is_sent_again(tmp_path: Path) -> None:
    """What the field held when it was planned nobody could read, so nothing in it is somebody else's."""
    target = MemoryTarget(failures={"update": [LOST]})
    target.load("TicketNotes", {"id": 3, "title": "whatever", "ticketID": 5})
    plan = plan_of(tmp_path, [_update(1, {"title": (UNKNOWN, "new")})])
    assert (await apply(plan, target)).counts["applied"] == 1
    assert target.rows["TicketNotes"][3]["title"] == "new"


def keyed(n: int, text: str) -> Change:
    """A note that is known by its title."""
    return replace(note(n, text), key={"title": text})


async def test_a_key_that_only_others_have_holds_the_row(tmp_path: Path) -> None:
    """Somebody made a record with its key at the moment its own request was lost: that one is not ours."""
    target = MemoryTarget(per_entity=1)

    def theirs(commit: Commit) -> int:
        target.load("TicketNotes", {**note(2, "b").after(), "creatorResourceID": OTHERS})  # type: ignore[dict-item]
        raise LOST

    target.script("create", [None, theirs])
    plan = plan_of(tmp_path, [keyed(1, "a"), keyed(2, "b")])
    assert (await apply(plan, target)).counts["held"] == 1
    assert "was not made by it" in reasons(plan)


async def test_a_key_that_several_have_holds_the_row(tmp_path: Path) -> None:
    """Two records by us with its key: one too many, and nobody can say which is its."""
    target = MemoryTarget(per_entity=1)

    def twice(commit: Commit) -> int:
        commit()
        commit()
        raise LOST

    target.script("create", [None, twice])
    plan = plan_of(tmp_path, [keyed(1, "a"), keyed(2, "b")])
    assert (await apply(plan, target)).counts["held"] == 1
    assert "all have its key" in reasons(plan)


@pytest.mark.parametrize("place", [1, 2])
async def test_a_key_on_a_record_that_is_otherwise_different_holds_the_row(
    tmp_path: Path, place: int
) -> None:
    """No creator tells, and it is not what was sent, whether or not one of our own can be compared."""
    target = MemoryTarget(entities=ENTITIES, per_entity=1)

    def theirs(commit: Commit) -> int:
        target.load("BillingCodes", {"name": f"n{place}", "billingCodeType": 3})
        raise LOST

    target.script("create", [*[None] * (place - 1), theirs])
    plan = plan_of(tmp_path, [item(n, f"n{n}", key={"name": f"n{n}"}) for n in range(1, place + 1)])
    assert (await apply(plan, target)).counts["held"] == 1
    assert "differs in billingCodeType" in reasons(plan)


async def test_more_like_it_than_can_be_looked_through_hold_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a floor nor a fingerprint is worth anything then."""
    monkeypatch.setattr(look, "MOST", 3)
    target = MemoryTarget(entities=ENTITIES, per_entity=1, failures={"create": [LANDED]})
    for _ in range(9):
        target.load("BillingCodes", {"name": "other", "billingCodeType": 2})
    plan = plan_of(tmp_path, [item(1)])
    assert (await apply(plan, target)).counts["held"] == 1
    assert "more than 3" in reasons(plan)


async def test_without_a_floor_what_is_found_may_be_older(tmp_path: Path) -> None:
    """An intent of which nobody knows what was there before: found is not enough."""
    target = MemoryTarget(entities=ENTITIES)
    target.load("BillingCodes", {"name": "x", "billingCodeType": 2})
    plan = plan_of(tmp_path, [item(1)])
    journal = Journal.open(plan.path)
    await journal.intent(1)
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0.0, waiting=None)
    assert (await apply(plan, target)).counts["held"] == 1
    assert "may have been there before" in reasons(plan)


@pytest.mark.parametrize(("field", "state"), [("departmentID", "applied"), ("rate", "held")])
async def test_the_same_words_with_another_number_are_near_and_below_another_record_are_not(
    tmp_path: Path, field: str, state: str
) -> None:
    """The server may set a number of its own; to what a record belongs it leaves alone."""
    target = MemoryTarget(entities=ENTITIES, per_entity=1)

    def another(commit: Commit) -> int:
        target.load("BillingCodes", {"name": WORDS, "rate": 1.5, "departmentID": 3, field: 9})
        raise LOST

    target.script("create", [another])
    change = item(1, WORDS, rate=1.5, kind=None, department=3)
    plan = plan_of(tmp_path, [change])
    assert (await apply(plan, target)).counts[state] == 1
    assert len(target.rows["BillingCodes"]) == (2 if state == "applied" else 1)


async def test_a_status_that_the_server_sets_itself_is_learned(tmp_path: Path) -> None:
    """Every record is stored with another number than was sent: no row is made twice, none is held."""

    class Sets(MemoryTarget):
        @staticmethod
        def _stored(shape: Entity, values: Any, *, is_create: bool) -> Any:
            return {**MemoryTarget._stored(shape, values, is_create=is_create), "billingCodeType": 9}

    target = Sets(entities=ENTITIES, per_entity=1, failures={"create": [None, LANDED, None, LANDED]})
    plan = plan_of(tmp_path, [item(n, f"{WORDS} {n}") for n in range(1, 6)])
    assert (await apply(plan, target)).counts["applied"] == 5
    assert len(target.rows["BillingCodes"]) == 5


async def test_a_dead_server_that_cannot_be_looked_at_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The looks count as calls in vain too, and the run says what it waits for in the end."""
    monkeypatch.setattr(breaker, "PROBE_S", (0.01,) * 9)
    monkeypatch.setattr(doubts, "ASK_AGAIN_S", 0.01)
    target = MemoryTarget(failures={"create": [None, LOST], "read": [None, *[LOST] * 99]}, per_entity=1)
    status = await apply(plan_of(tmp_path, [note(1), note(2)]), target)
    assert status.counts["pending"] == 1
    assert "calls in a row" in (status.waiting or "")
