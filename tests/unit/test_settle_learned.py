"""What is learned from our own records, and what must not be concluded while it is not known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bulkops.change import Action, Change, FieldDiff
from bulkops.errors import InDoubtError, RejectedError
from bulkops.journal import Entry, Journal, Kind
from bulkops.record import Created
from bulkops.schema import Entity, Field, FieldType
from bulkops.settle import doubts
from bulkops.targets.memory import Commit, MemoryTarget
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

LATER_USER = 99  # another API user, by whom a run goes on


class Keeps(MemoryTarget):
    """Stores `name` in another way than it was sent."""

    stored_name: Any = None

    def _stored(self, shape: Entity, values: Any, *, is_create: bool) -> Any:  # type: ignore[override]
        stored = MemoryTarget._stored(shape, values, is_create=is_create)
        return {**stored, "name": self.stored_name or str(stored["name"])[:9]}


@pytest.mark.parametrize("stored", [None, "always this"])
async def test_a_mark_that_the_server_does_not_keep_is_not_relied_on(tmp_path: Path, stored: Any) -> None:
    """It is cut, or something else stands there: the lost row is known by what else was sent."""
    target = Keeps(entities=ENTITIES, per_entity=1, failures={"create": [*[None] * 11, LANDED, LOST]})
    target.stored_name = stored
    rows = [item(n, f"bulkops-00000000-{n}", rate=float(n), marker="name") for n in range(1, 15)]
    plan = plan_of(tmp_path, rows)
    assert (await apply(plan, target)).counts["applied"] == 14
    assert len(target.rows["BillingCodes"]) == 14


async def test_a_key_that_the_server_does_not_keep_is_not_relied_on(tmp_path: Path) -> None:
    """The same with the key of a `match`: held where nobody noted what was there before."""
    target = Keeps(entities=ENTITIES, per_entity=1, failures={"create": [None, LANDED, *[None] * 9, LANDED]})
    rows = [item(n, f"a long key {n}", rate=float(n), key={"name": f"a long key {n}"}) for n in range(1, 15)]
    plan = plan_of(tmp_path, rows)
    counts = (await apply(plan, target)).counts
    assert (counts["applied"], counts["held"]) == (13, 1)
    assert len(target.rows["BillingCodes"]) == 14


async def test_what_could_not_be_learned_is_not_taken_for_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read of our own records failed: a number that the server sets itself must not hide the record."""
    monkeypatch.setattr(doubts, "ASK_AGAIN_S", 0.01)
    target = Sets(
        entities=ENTITIES, per_entity=1,
        failures={"create": [None, None, LANDED], "read": [None, InDoubtError("no answer")]},
    )  # fmt: skip
    plan = plan_of(tmp_path, [item(n, f"name {n}") for n in range(1, 5)])
    assert (await apply(plan, target)).counts["applied"] == 4
    assert len(target.rows["BillingCodes"]) == 4


class Sets(MemoryTarget):
    """Every record is stored with another number than was sent, and with one where none was."""

    @staticmethod
    def _stored(shape: Entity, values: Any, *, is_create: bool) -> Any:
        return {**MemoryTarget._stored(shape, values, is_create=is_create), "billingCodeType": 9}


async def test_a_number_that_was_never_seen_to_be_kept_hides_no_record(tmp_path: Path) -> None:
    """The rows before sent no such number: nobody knows what the server makes of it, and it sets its own."""
    target = Sets(entities=ENTITIES, per_entity=1, failures={"create": [*[None] * 9, LANDED]})
    rows = [item(n, f"{WORDS} {n}", kind=2 if n == 10 else None) for n in range(1, 12)]
    plan = plan_of(tmp_path, rows)
    await apply(plan, target)
    assert len(target.rows["BillingCodes"]) == 11
    assert "billingCodeType" in reasons(plan)


async def test_absence_proves_nothing_where_our_own_records_are_hidden(tmp_path: Path) -> None:
    """The API user does not see what it creates: the lost row is held, and never sent again."""

    class Hides(MemoryTarget):
        def _page(self, shape: Entity, passes: Any, last: int | None) -> list[Any]:
            return []

    target = Hides(entities=ENTITIES, per_entity=1, failures={"create": [None, None, LANDED]})
    plan = plan_of(tmp_path, [item(n, f"n{n}") for n in range(1, 5)])
    assert (await apply(plan, target)).counts["held"] == 1
    assert "cannot be read back" in reasons(plan)
    assert len(target.rows["BillingCodes"]) == 4


async def test_records_that_somebody_deleted_are_not_hidden(tmp_path: Path) -> None:
    """Those that were to be read back are gone, and a later one of ours is seen: absence counts again."""
    target = MemoryTarget(entities=ENTITIES, per_entity=1, settle_s=0.1)

    def gone(commit: Commit) -> int:
        target.rows["BillingCodes"].clear()
        raise LOST

    target.script("create", [None, None, gone])
    plan = plan_of(tmp_path, [item(n, f"n{n}") for n in range(1, 6)])
    assert (await apply(plan, target)).counts["applied"] == 5
    assert len(target.rows["BillingCodes"]) == 3


async def test_absence_proves_nothing_where_some_records_are_hidden(tmp_path: Path) -> None:
    """The tenant says that this API user sees some records only: what it sees is found, the rest is held."""
    shape = replace(BILLING, is_restricted=True)
    target = MemoryTarget(
        entities={"BillingCodes": shape}, per_entity=1, failures={"create": [None, LANDED, LOST]}
    )
    plan = plan_of(tmp_path, [item(n, f"n{n}") for n in range(1, 5)])
    counts = (await apply(plan, target)).counts
    assert (counts["applied"], counts["held"]) == (3, 1)
    assert "sees only some BillingCodes records" in reasons(plan)


async def test_a_run_that_goes_on_as_another_user_knows_its_own_records(tmp_path: Path) -> None:
    """The first run's records name another creator: what this run's user made is ours all the same."""

    class Another(MemoryTarget):
        async def create(self, entity: str, values: Any, **more: Any) -> int:
            return await super().create(entity, values, **{**more, "impersonate": LATER_USER})

    target = Another(settle_s=0.05, per_entity=1)
    plan = plan_of(tmp_path, [note(n, f"t{n}") for n in range(1, 7)])
    journal = Journal.open(plan.path)
    for n in (1, 2, 3):
        made = await MemoryTarget.create(target, "TicketNotes", {"title": f"t{n}", **NOTE}, parent=5)
        await journal.intent(n)
        journal.note(Entry(kind=Kind.APPLIED, n=n, id=made))
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0.0, waiting=None)
    target.script("create", [LANDED])
    assert (await apply(plan, target)).counts["applied"] == 6
    assert entity_rows(target) == [f"t{n}" for n in range(1, 7)]


async def test_ids_that_fell_in_an_earlier_run_are_not_forgotten(tmp_path: Path) -> None:
    """A row in doubt has a record below its floor: it is not sent again because it is not seen above."""
    target = MemoryTarget(entities=ENTITIES, per_entity=1)
    plan = plan_of(tmp_path, [item(n, f"n{n}") for n in range(1, 4)])
    journal = Journal.open(plan.path)
    await journal.intent(1, floors={1: 500})
    journal.note(Entry(kind=Kind.APPLIED, n=1, id=600))
    target.load("BillingCodes", {"id": 600, "name": "n1", "billingCodeType": 2})
    await journal.intent(2, floors={2: 600})
    journal.note(Entry(kind=Kind.APPLIED, n=2, id=70))
    target.load("BillingCodes", {"id": 70, "name": "n2", "billingCodeType": 2})
    await journal.intent(3, floors={3: 600})
    target.load("BillingCodes", {"id": 71, "name": "n3", "billingCodeType": 2})
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0.0, waiting=None)
    assert (await apply(plan, target)).counts["held"] == 1
    assert len(target.rows["BillingCodes"]) == 3


async def test_a_row_is_told_by_a_number_in_a_user_defined_field(tmp_path: Path) -> None:
    """It is compared here: the row is settled and no read is refused."""
    number = Field(name="udf:Number", type=FieldType.INTEGER)
    shape = Entity(
        name="BillingCodes", singular="BillingCode", can={"create": "root"}, is_queryable=True,
        has_udfs=True, fields={**BILLING.fields, "udf:Number": number},
    )  # fmt: skip
    target = MemoryTarget(
        entities={"BillingCodes": shape}, per_entity=1, failures={"create": [None, None, LANDED, LOST]}
    )
    rows = [item(n, f"n{n}", besides={"udf:Number": n}) for n in range(1, 6)]
    plan = plan_of(tmp_path, rows)
    assert (await apply(plan, target)).counts["applied"] == 5
    assert len(target.rows["BillingCodes"]) == 5


async def test_a_record_of_another_entity_has_its_own_ids(tmp_path: Path) -> None:
    """What one row made is no reason to take the same id of another entity for that row's record."""
    target = MemoryTarget(entities=ENTITIES)
    plan = plan_of(tmp_path, [item(1), note(2, "lost")])
    journal = Journal.open(plan.path)
    await journal.intent([1, 2], floors={1: 0, 2: 0})
    journal.note(Entry(kind=Kind.APPLIED, n=1, id=2000))
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0.0, waiting=None)
    target.load("BillingCodes", {"id": 2000, "name": "x", "billingCodeType": 2})
    target.load("TicketNotes", {"id": 2000, "title": "lost", **NOTE, "ticketID": 5})
    assert (await apply(plan, target)).counts["applied"] == 2
    assert [fate.id for fate in plan.fates()] == [2000, 2000]
    assert target.writes == []


class LandsLate(MemoryTarget):
    """The request for t2 is carried out when it is sent for the second time, which is refused."""

    async def create(self, entity: str, values: Any, **more: Any) -> int:
        if values["title"] == "t2" and not self.late:
            self.script("create", [self.landing_late(LOST)])
        elif values["title"] == "t2":
            self.land()
            self.script("create", [RejectedError("invalid", known=True)])
        return await super().create(entity, values, **more)


@pytest.mark.parametrize("key", [False, True])
async def test_a_row_refused_when_it_was_sent_again_is_held_once_its_first_request_landed(
    tmp_path: Path, key: bool
) -> None:
    """It landed after `settle_s`: the row is not rejected, since its record is there."""
    target = LandsLate(per_entity=1)
    rows = [note(n, f"t{n}", key={"title": f"t{n}"} if key else {}) for n in range(1, 5)]
    plan = plan_of(tmp_path, rows)
    counts = (await apply(plan, target)).counts
    assert (counts["applied"], counts["held"], counts["rejected"]) == (3, 1, 0)
    assert "TicketNotes 1003 is its record" in reasons(plan)


@pytest.mark.parametrize("key", [False, True])
async def test_a_request_that_landed_too_late_is_seen_by_the_next_run_as_well(
    tmp_path: Path, key: bool
) -> None:
    """The run that sent the row again was killed before it could look: the row is held with both ids, one
    that was withdrawn in between and made once is not."""
    target = MemoryTarget(per_entity=1)
    plan = plan_of(tmp_path, [note(n, f"t{n}", key={"title": f"t{n}"} if key else {}) for n in (1, 2, 3)])
    journal = Journal.open(plan.path)
    await journal.intent([1, 2], floors={1: 5, 2: 5})
    journal.note(Entry(kind=Kind.DOUBT, n=1), Entry(kind=Kind.WITHDRAWN, n=2))
    ids = [await target.create("TicketNotes", {"title": t, **NOTE}, parent=5) for t in ("t1", "t2", "t1")]
    await journal.intent([1, 2], floors={1: 5, 2: 5})
    journal.note(*(Entry(kind=Kind.APPLIED, n=n, id=ids[n - 1]) for n in (1, 2)))
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0.0, waiting=None)
    counts = (await apply(plan, target)).counts
    assert (counts["applied"], counts["held"]) == (2, 1)
    assert f"{ids[0]}, {ids[2]} are both its records" in reasons(plan)


async def test_what_others_make_is_no_late_record_of_a_row_that_was_sent_again(tmp_path: Path) -> None:
    """The same note by another creator: the row that was sent again stays applied."""
    target = MemoryTarget(per_entity=1)

    def theirs(commit: Commit) -> int:
        target.load("TicketNotes", {**note(2, "t2").after(), "creatorResourceID": OTHERS})  # type: ignore[dict-item]
        raise LOST

    target.script("create", [None, theirs])
    plan = plan_of(tmp_path, [note(n, f"t{n}") for n in range(1, 4)])
    assert (await apply(plan, target)).counts["applied"] == 3


async def test_a_row_in_doubt_below_a_row_that_was_taken_back_is_settled(tmp_path: Path) -> None:
    """Its parent was applied, then held when its first request landed late, and the run ended: the child is
    looked for below the record that it was sent for, and the counts add up."""
    target = MemoryTarget(settle_s=0.01)
    child = Change(
        n=2, step="only", entity="TicketNotes", action=Action.CREATE, line=3, file="x.csv", waits_for=(1,),
        fields={**note(2, "child").fields, "ticketID": FieldDiff(before=None, after=Created(change=1))},
        parent=Created(change=1),
    )  # fmt: skip
    plan = plan_of(tmp_path, [note(1), child])
    journal = Journal.open(plan.path)
    await journal.intent(1)
    journal.note(Entry(kind=Kind.APPLIED, n=1, id=5))
    await journal.intent(2, floors={2: 5})
    journal.note(Entry(kind=Kind.HELD, n=1, id=5, reason="5 and 6 are both its records"))
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0.0, waiting=None)
    made = await target.create("TicketNotes", {"title": "child", **NOTE}, parent=5)
    counts = (await apply(plan, target)).counts
    assert (counts["applied"], counts["held"]) == (1, 1)
    assert [fate.id for fate in plan.fates()] == [5, made]


async def test_a_row_in_doubt_whose_parent_is_not_known_any_more_is_held(tmp_path: Path) -> None:
    """Somebody said of its parent that it was not created: nothing tells below what it was made."""
    target = MemoryTarget(settle_s=0.01)
    child = Change(
        n=2, step="only", entity="TicketNotes", action=Action.CREATE, line=3, file="x.csv", waits_for=(1,),
        fields={**note(2, "child").fields, "ticketID": FieldDiff(before=None, after=Created(change=1))},
        parent=Created(change=1),
    )  # fmt: skip
    plan = plan_of(tmp_path, [note(1), child])
    journal = Journal.open(plan.path)
    await journal.intent([1, 2])
    journal.note(Entry(kind=Kind.WITHDRAWN, n=1, reason="by hand: it was not created"))
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0.0, waiting=None)
    counts = (await apply(plan, target)).counts
    assert (counts["applied"], counts["held"]) == (1, 1)
    assert "row 1, which it needs" in reasons(plan)
