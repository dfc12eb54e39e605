"""A ticket that changes company, part by part: what rules find, what is planned, sent and taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.applier import apply_plan
from bulkops.change import Action, Change, FieldDiff
from bulkops.errors import InDoubtError, LockedError, RejectedError, ThrottledError
from bulkops.job import load_job
from bulkops.plan import Plan, Status
from bulkops.plan.encoding import change_from_json, change_to_json
from bulkops.planner.build import build_plan
from bulkops.record import Created, Scalar
from bulkops.targets.autotask.rules import Finding, Kind
from bulkops.targets.base import RecordData
from bulkops.targets.memory import Commit, Failure, MemoryTarget, committing
from bulkops.undo import build_undo
from tests.unit.settling import NoWaits
from tests.unit.test_rules_verdicts import TICKET, findings

OLD, NEW, OTHER = 30, 32, 31
FIRM: Mapping[str, Sequence[Mapping[str, Scalar]]] = {
    "Companies": [
        {"id": OLD, "companyName": "Old", "companyNumber": "O"},
        {"id": NEW, "companyName": "New", "companyNumber": "N"},
    ],
    "Contacts": [
        {"id": 50, "companyID": OLD, "firstName": "Al", "lastName": "A", "emailAddress": "al", "isActive": 1},
        {"id": 51, "companyID": NEW, "firstName": "Bo", "lastName": "B", "emailAddress": "bo", "isActive": 1},
    ],
    "CompanyLocations": [{"id": 40, "companyID": OLD, "name": "Main", "isActive": True}],
}
HELD: Mapping[str, Scalar] = {
    "id": 85, "externalID": "T", "title": "T", "companyID": OLD, "contactID": 50, "companyLocationID": 40,
}  # fmt: skip
REFUSAL = "Value does not exist for the required field title."

JOB = """\
version: 1
name: moves
tenant: acme
limits: {{update: {{percent: 100}}}}
steps:
{before}
  - name: tickets
    entity: Tickets
    action: {action}
    source: {{file: tickets.csv}}
    match: [externalID]
    fields: {{externalID: Key, companyID: {company}, contactID: {contact}}}
"""
BY_NUMBER = "{column: Company, lookup: companyNumber}"
BY_MAIL = "{column: Contact, lookup: emailAddress}"


class Firm(MemoryTarget):
    """A tenant with the rule: a contact or location of another company, as stored, stops a move."""

    def __init__(self, *tickets: Mapping[str, Scalar], **more: Any) -> None:
        super().__init__({**FIRM, "Tickets": tickets or [HELD]}, **more)

    async def update(
        self, entity: str, id: int, values: Mapping[str, Scalar], *, parent: int | None = None,
        impersonate: int | None = None,
    ) -> None:  # fmt: skip
        held = self.rows[entity].get(id, {})
        if entity == "Tickets" and values.get("companyID", held.get("companyID")) != held.get("companyID"):
            for field, others in (("contactID", "Contacts"), ("companyLocationID", "CompanyLocations")):
                other = self.rows[others].get(int(held.get(field) or 0))
                if other is not None and other["companyID"] != values["companyID"]:
                    raise RejectedError(f"{field} is of another company", known=True)
        await super().update(entity, id, values, parent=parent, impersonate=impersonate)

    def reopen(self) -> None:
        self._is_drained = False

    @property
    def ticket(self) -> RecordData:
        return self.rows["Tickets"][85]

    def stands(self) -> tuple[Scalar, Scalar, Scalar]:
        return self.ticket["companyID"], self.ticket["contactID"], self.ticket["companyLocationID"]


async def apply(plan: Plan, target: Firm, **options: Any) -> Status:
    """In a run of its own."""
    target.reopen()
    return await apply_plan(Plan.open(plan.path), target, rng=NoWaits(), **options)


async def planned(
    folder: Path, target: MemoryTarget, *rows: str, action: str = "update", company: str = BY_NUMBER,
    contact: str = BY_MAIL, before: str = "",
) -> Plan:  # fmt: skip
    (folder / "tickets.csv").write_text("\n".join(["Key,Company,Contact", *rows]) + "\n", "utf-8")
    text = JOB.format(action=action, company=company, contact=contact, before=before)
    (folder / "job.yaml").write_text(text, "utf-8")
    return await build_plan(load_job(folder / "job.yaml"), target, folder / "x.plan")


# --- what the rules find ---


def cleared(
    fields: Mapping[str, Any], before: Mapping[str, Scalar] = TICKET, *, said: Sequence[str] = ()
) -> dict[str, Finding]:
    """By field, why it is cleared."""
    found = findings("Tickets", Action.UPDATE, fields, before, id=85, said=said)
    assert not any(one.kind is Kind.REJECT for one in found), found
    return {name: one for one in found for name in one.clears}


def test_what_is_of_another_company_is_cleared() -> None:
    """Named by the row or not; what the row itself empties is lost too; what is empty or stays is not."""
    assert set(cleared({"companyID": NEW})) == {"contactID", "companyLocationID"}
    assert cleared({"companyID": NEW})["contactID"].amounts == {"contact": 1, "location": 1}
    both = cleared({"companyID": NEW, "contactID": 51})
    assert (both["contactID"].amounts, both["companyLocationID"].amounts) == ({}, {"location": 1})
    assert cleared({"companyID": NEW, "contactID": None})["contactID"].amounts["contact"] == 1
    assert set(cleared({"companyID": NEW}, {**TICKET, "contactID": 51})) == {"companyLocationID"}
    assert cleared({"companyID": NEW}, {"companyID": OLD}) == {}
    assert cleared({"title": "x"}) == {}


def test_what_is_cleared_is_told_with_why() -> None:
    """What is lost, and what only makes room, are two things."""
    found = cleared({"companyID": NEW, "contactID": 51})
    assert found["companyLocationID"].text.startswith(
        "what is of the company that they leave is cleared first"
    )
    assert found["contactID"].text.endswith("then those of the row are set")


@pytest.mark.parametrize(
    ("fields", "held", "is_doubted"),
    [
        ({"issueType": 11}, 101, True), ({"issueType": None}, 101, True), ({"issueType": 11}, 111, False),
        ({"issueType": 11}, None, False), ({"issueType": 11}, 199, False),
        ({"issueType": 11, "subIssueType": 111}, 101, False),
    ],
)  # fmt: skip
def test_a_sub_issue_type_that_stays_behind_is_a_doubt(
    fields: Mapping[str, Any], held: Scalar, is_doubted: bool
) -> None:
    """Disk (101) is below issue type 10, Cable (111) below 11; of 199 nobody knows."""
    before = {"issueType": 10, "subIssueType": held}
    found = findings("Tickets", Action.UPDATE, fields, before, id=85)
    doubts = [one.text for one in found if one.kind is Kind.DOUBT]
    assert doubts == ["subIssueType is none of the new issueType"] * is_doubted


def test_nothing_can_be_of_a_company_that_the_plan_creates() -> None:
    """It is cleared without a look."""
    assert set(cleared({"companyID": Created(change=1)})) == {"contactID", "companyLocationID"}


def test_a_contact_of_the_parent_company_stays_unless_that_is_the_one_that_is_left() -> None:
    """31 is below 30: whether its contact may stay is not said, but what is of the old company may not."""
    assert cleared({"companyID": OTHER}, {"companyID": NEW, "contactID": 50}) == {}
    assert set(cleared({"companyID": OTHER}, {"companyID": OLD, "contactID": 50})) == {"contactID"}


@pytest.mark.parametrize(
    ("company", "text"),
    [
        (NEW, "contactID is 50 (Al Alder) of companyID 30, as"),
        (Created(change=3), "what row 3 creates while contactID"),
    ],
)
def test_a_row_that_asks_for_both_is_rejected(company: Any, text: str) -> None:
    """For its contact, with what to do."""
    before = {"companyID": OLD, "contactID": 50}
    (found,) = findings("Tickets", Action.UPDATE, {"companyID": company}, before, id=85, said=["contactID"])
    assert (found.kind, found.about) == (Kind.REJECT, "contactID")
    assert text in found.text and "leave contactID empty" in found.text


# --- what is planned ---


@pytest.mark.parametrize("action", ["update", "upsert"])
async def test_the_plan_shows_what_is_cleared_and_counts_both_requests(tmp_path: Path, action: str) -> None:
    """Before and after of each field, two writes, and the facts that apply needs to read them."""
    required = "" if action == "update" else ", title: Key, status: {value: 1}, priority: {value: 2}"
    plan = await planned(tmp_path, Firm(), "T,N,bo", action=action, contact=BY_MAIL + required)
    change = plan.change(1)
    assert change.cleared == ("companyLocationID", "contactID")
    assert change.fields["contactID"] == FieldDiff(before=50, after=51)
    assert change.fields["companyLocationID"] == FieldDiff(before=40, after=None)
    assert change.requests == plan.header.calls_write == 2
    assert {"contactID", "companyLocationID"} <= set(plan.header.entities["Tickets"]["fields"])
    assert change_from_json(1, change_to_json(change)) == change


async def test_of_a_rejected_row_nothing_is_cleared(tmp_path: Path) -> None:
    """Whatever else is wrong with it: it has no field, and costs no write."""
    target = Firm(HELD, {**HELD, "id": 86, "externalID": "U"})
    plan = await planned(tmp_path, target, "T,N,50", "U,N,", contact="{column: Contact}")
    assert [change.action for change in plan.changes()] == [Action.REJECTED, Action.UPDATE]
    assert (plan.change(1).fields, plan.change(1).cleared) == ({}, ())
    assert plan.header.calls_write == 2
    assert "1 update: what is of the company that they leave" in " ".join(plan.header.warnings)


async def test_tickets_go_to_a_company_that_the_plan_creates(tmp_path: Path) -> None:
    """Company first, then the ticket: emptied, then moved."""
    (tmp_path / "c.csv").write_text("No,Name\nX,Fresh\n", "utf-8")
    before = (
        "  - {name: companies, entity: Companies, action: create, source: {file: c.csv},"
        " match: [companyNumber], fields: {companyNumber: No, companyName: Name, phone: No,"
        " companyType: {value: 1}, ownerResourceID: {value: 1}}}"
    )
    target = Firm()
    plan = await planned(
        tmp_path, target, "T,X,", company="{column: Company, from: companies}", before=before
    )
    assert plan.header.calls_write == 3
    assert (await apply(plan, target)).counts["applied"] == 2
    assert target.stands() == (plan.fate(1).id, None, None)


# --- what is sent, and what is concluded ---

LOST = InDoubtError("the connection was closed before an answer came")
UNKNOWN = RejectedError("Nobody knows this text", known=False)
SCRIPTS: Mapping[str, Failure | None] = {
    "well": None,
    "lost": LOST,
    "landed": committing(LOST),
    "busy": ThrottledError("too many threads", kind="threads", wait_s=0.001),
    "locked": LockedError("deadlock"),
    "refused": RejectedError(REFUSAL, known=True),
    "strange": UNKNOWN,
    "strange, and done": committing(UNKNOWN),
}


@settings(max_examples=60, deadline=None)
@given(script=st.lists(st.sampled_from(sorted(SCRIPTS)), max_size=7), stops=st.booleans())
async def test_a_move_ends_well_or_says_how_far_it_came(
    tmp_path_factory: pytest.TempPathFactory, script: list[str], stops: bool
) -> None:
    """Whatever becomes of its requests, and wherever a run stops: applied whole, or rejected, saying whether
    something is cleared, and then undo restores it. Never held, and never more requests than answers ask for.
    """
    folder, target = tmp_path_factory.mktemp("plan"), Firm()
    plan = await planned(folder, target, "T,N,bo")
    target.script("update", [SCRIPTS[name] for name in script])
    status = await apply(plan, target, stop_after=1) if stops else await apply(plan, target)
    if stops and status.counts["pending"]:
        status = await apply(plan, target)
    fate = Plan.open(plan.path).fate(1)
    assert status.counts["held"] == status.counts["pending"] == 0
    if status.counts["applied"]:
        assert target.stands() == (NEW, 51, None)
        assert len(target.writes) <= len(script) + 2
        return
    assert target.ticket["companyID"] == OLD
    is_cleared = target.stands()[1:] == (None, None)
    assert target.stands()[1:] in ((None, None), (50, 40))
    assert ("are cleared already" in (fate.reason or "")) == is_cleared == fate.is_cleared
    if is_cleared:
        target.script("update", [])
        undo = await build_undo(Plan.open(plan.path), target, folder / "back.plan")
        assert (await apply(undo, target)).counts["applied"] == 1
        assert target.stands() == (OLD, 50, 40)


async def test_the_rest_goes_right_after_what_is_cleared(tmp_path: Path) -> None:
    """One ticket at a time is empty, not a lane full of them, and nothing is sent of what is so already."""
    tickets = [{**HELD, "id": 100 + n, "externalID": f"T{n}"} for n in range(20)]
    target = Firm(*tickets, per_entity=1)
    plan = await planned(tmp_path, target, *(f"T{n},N," for n in range(20)))
    assert (await apply(plan, target)).counts["applied"] == 20
    assert [write.id for write in target.writes] == [100 + n for n in range(20) for _ in range(2)]
    assert target.writes[0].values == {"companyLocationID": None, "contactID": None}
    assert target.writes[1].values == {"companyID": NEW}


@pytest.mark.parametrize("limit", [{"stop_after": 1}, {"max_calls": 2}])
async def test_a_stop_in_between_is_looked_at_first(tmp_path: Path, limit: Mapping[str, int]) -> None:
    """What somebody did since is not ours: held, naming it, and what is cleared by now."""
    target = Firm()
    plan = await planned(tmp_path, target, "T,N,bo")
    assert (await apply(plan, target, **limit)).counts["pending"] == 1
    assert plan.fate(1).is_cleared
    target.ticket["companyID"] = OTHER
    assert (await apply(plan, target)).counts["held"] == 1
    reason = plan.fate(1).reason or ""
    assert reason.startswith("it was stopped between its two requests, and companyID is 31 now")
    assert reason.endswith("companyLocationID and contactID are cleared already")
    assert len(target.writes) == 1


async def test_what_somebody_set_after_both_requests_is_not_emptied_again(tmp_path: Path) -> None:
    """The rest was carried out, its answer was lost: a location that is there since is somebody else's."""
    target = Firm()
    plan = await planned(tmp_path, target, "T,N,bo")

    def edited(commit: Commit) -> int:
        commit()
        target.ticket["companyLocationID"] = 77
        raise LOST

    target.script("update", [None, edited])
    assert (await apply(plan, target)).counts["held"] == 1
    assert "companyLocationID is 77 now, neither what it was nor what was sent" in (plan.fate(1).reason or "")
    assert target.stands() == (NEW, 51, 77)
    assert len(target.writes) == 2


# --- what takes it back ---


async def undone(folder: Path, target: Firm, plan: Plan) -> Change:
    undo = await build_undo(Plan.open(plan.path), target, folder / "back.plan")
    return undo.change(1)


async def test_the_way_back_clears_what_is_there_now(tmp_path: Path) -> None:
    """What the plan set goes first; where nothing is in the way, one request does."""
    target = Firm()
    plan = await planned(tmp_path, target, "T,N,bo")
    await apply(plan, target)
    back = await undone(tmp_path, target, plan)
    assert back.cleared == ("contactID",)
    assert {name: (diff.before, diff.after) for name, diff in back.fields.items()} == {
        "contactID": (51, 50), "companyID": (NEW, OLD), "companyLocationID": (None, 40),
    }  # fmt: skip
    assert (await apply(Plan.open(tmp_path / "back.plan"), target)).counts["applied"] == 1
    assert target.stands() == (OLD, 50, 40)


async def test_the_way_back_clears_what_others_set_in_a_field_the_plan_left_empty(tmp_path: Path) -> None:
    """The ticket had no contact, and has one of the new company by now: seen in the plan of the way back."""
    target = Firm({**HELD, "contactID": None, "companyLocationID": None})
    plan = await planned(tmp_path, target, "T,N,")
    await apply(plan, target)
    target.ticket["contactID"] = 51
    back = await undone(tmp_path, target, plan)
    assert (back.cleared, back.fields["contactID"]) == (("contactID",), FieldDiff(before=51, after=None))
    await apply(Plan.open(tmp_path / "back.plan"), target)
    assert target.stands() == (OLD, None, None)


async def test_what_somebody_set_in_a_field_of_the_plan_is_not_taken_back(tmp_path: Path) -> None:
    """As with any other field."""
    target = Firm()
    plan = await planned(tmp_path, target, "T,N,")
    await apply(plan, target)
    target.ticket["contactID"] = 51
    back = await undone(tmp_path, target, plan)
    assert back.action is Action.REJECTED
    assert "contactID was emptied and is 51 now" in (back.reason or "")
