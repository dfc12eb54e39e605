"""User-defined fields and picklists: from a job file to what the server holds, and what the tenant says."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from bulkops.applier import apply_plan
from bulkops.change import FieldDiff
from bulkops.errors import JobError

# --- user-defined fields


async def test_user_defined_fields_by_name_typed_and_back(here: Any) -> None:
    """Text, list, number and date: found in any case, sent as text, compared by type, shown as udf:Name."""
    udf = (
        "udf: {legacy id: Id, CUSTOMER RANKING: Rank, Reviewed On: {column: Day, date: '%d/%m/%Y'},"
        " Agreed Hours: {column: Hours, number: {decimal: ','}}}"
    )
    plan = await here.done(
        here.step("Companies", "update", "[companyNumber]", "{companyNumber: Number}", udf),
        a='Number,Id,Rank,Hours,Day\nC-1001,0017,silver,"12,50",29/02/2024\nC-1003,007,Golden,40,\n',
    )
    first, second = here.diffs(plan)
    assert first == {
        "udf:Customer Ranking": FieldDiff(before="Golden", after="Silver"),
        "udf:Agreed Hours": FieldDiff(before=None, after=12.5),
        "udf:Reviewed On": FieldDiff(before=None, after="2024-02-29T00:00:00Z"),
    }
    assert second == {
        "udf:Legacy ID": FieldDiff(before=None, after="007"),
        "udf:Customer Ranking": FieldDiff(before="Silver", after="Golden"),
    }
    assert here.udfs("Companies", companyNumber="C-1001") == {
        "Legacy ID": "0017",
        "Customer Ranking": "Silver",
        "Agreed Hours": "12.5",
        "Reviewed On": "2024-02-29T00:00:00.000Z",
    }


async def test_a_before_value_of_a_number_is_a_number(here: Any) -> None:
    """On the wire it is text; people and programs that read the plan see what the field holds."""
    udf = "udf: {Agreed Hours: {column: Hours, number: {decimal: '.'}}}"
    plan = await here.plan(
        here.step("Companies", "update", "[companyNumber]", "{companyNumber: Number}", udf),
        a="Number,Hours\nC-1003,41.5\n",
    )
    assert here.diffs(plan) == [{"udf:Agreed Hours": FieldDiff(before=40, after=41.5)}]


async def test_records_are_matched_by_user_defined_fields(here: Any) -> None:
    """One alone, two together (the API filters by one, the other is compared here), one beside a field."""
    one = here.step("Companies", "update", '["udf:LEGACY ID"]', "{fax: Fax}", "udf: {Legacy ID: Id}")
    plan = await here.plan(one, a="Id,Fax\n0017,1\n0023,2\n17,3\n")
    names = [here.row("Companies", id=c.id)["companyNumber"] for c in plan.changes() if c.id is not None]
    assert names == ["C-1001", "C-1002"]
    assert here.reasons(plan)[2] == "no Companies record has udf:Legacy ID '17'"
    two = here.step(
        "Companies", "update", '["udf:Legacy ID", "udf:Customer Ranking"]', "{fax: Fax}",
        "udf: {Legacy ID: Id, Customer Ranking: Rank}",
    )  # fmt: skip
    plan = await here.plan(two, a="Id,Rank,Fax\n0017,golden,1\n0017,Silver,2\n0023,Golden,3\n")
    assert [change.action.value for change in plan.changes()] == ["update", "rejected", "rejected"]
    both = here.step(
        "Companies", "update", '["udf:Customer Ranking", companyName]', "{companyName: Name, fax: Fax}",
        "udf: {Customer Ranking: Rank}",
    )  # fmt: skip
    plan = await here.plan(both, a="Rank,Name,Fax\nGolden,alder & finch dental group,1\n")
    assert [change.id for change in plan.changes()] == [here.row("Companies", companyNumber="C-1001")["id"]]


async def test_a_number_and_a_date_can_be_keys(here: Any) -> None:
    """Asked for as what they are, whatever their text looks like."""
    await here.done(
        here.step("Companies", "update", "[companyNumber]", "{companyNumber: N}",
             "udf: {Agreed Hours: H, Reviewed On: D}"),
        a="N,H,D\nC-1001,7.50,2024-02-29\nC-1002,8,2024-03-01\n",
    )  # fmt: skip
    for name, cells in (("Agreed Hours", ("7.5", "8.0")), ("Reviewed On", ("2024-02-29", "2024-03-01"))):
        keyed = here.step("Companies", "update", f'["udf:{name}"]', "{fax: F}", f"udf: {{{name}: K}}")
        plan = await here.plan(keyed, a="K,F\n" + "".join(f"{cell},1\n" for cell in cells))
        numbers = [here.row("Companies", id=change.id)["companyNumber"] for change in plan.changes()]
        assert numbers == ["C-1001", "C-1002"]


async def test_a_user_defined_field_is_created_cleared_and_looked_up_by(here: Any) -> None:
    """Empty with `empty: clear` sends null; another entity's field finds the record that is referred to."""
    cleared = here.step(
        "Companies", "update", "[companyNumber]", "{companyNumber: N}",
        "udf: {Customer Ranking: {column: R, empty: clear}}",
    )  # fmt: skip
    plan = await here.done(cleared, a="N,R\nC-1001,\nC-1002,\n")
    assert here.diffs(plan) == [{"udf:Customer Ranking": FieldDiff(before="Golden", after=None)}, {}]
    fields = (
        "{externalID: K, title: T, status: {value: New}, priority: {value: Low}, queueID: {value: '8'},"
        " companyID: {column: C, lookup: 'udf:Legacy ID'}}"
    )
    await here.done(
        here.step("Tickets", "upsert", "[externalID]", fields, "udf: {Legacy ID: K}"),
        a="K,T,C\nX-1,Hello,0023\n",
    )
    made = here.row("Tickets", externalID="X-1")
    assert made["companyID"] == here.row("Companies", companyNumber="C-1002")["id"]
    assert here.udfs("Tickets", externalID="X-1")["Legacy ID"] == "X-1"


async def test_a_create_whose_answer_is_lost_is_found_by_its_user_defined_key(here: Any) -> None:
    """What was made is recognised by the key of the tenant's own, and made once."""
    fields = (
        "{title: T, status: {value: New}, priority: {value: Low}, queueID: {value: '8'},"
        " companyID: {value: C-1001, lookup: companyNumber}}"
    )
    fault = {"method": "POST", "entity": "Tickets", "call": "create", "when": {"nth": [1, 3]}}
    faults = {"faults": [{**fault, "do": "drop_after_commit"}]}
    url = f"{here.simulator.control}/faults"
    async with aiohttp.ClientSession() as session, session.post(url, json=faults) as answer:
        assert answer.status == 200
    steps = here.step("Tickets", "create", '["udf:Legacy ID"]', fields, "udf: {Legacy ID: K}")
    plan = await here.plan(steps, a="K,T\nX-1,One\nX-2,Two\nX-3,Three\n")
    status = await apply_plan(plan, here.target)
    assert status.counts["applied"] == 3
    made = [row for row in here.rows("Tickets") if row["title"] in ("One", "Two", "Three")]
    assert sorted(fate.id for fate in plan.fates()) == [row["id"] for row in made]


async def test_a_user_defined_field_that_is_not_there_is_one_fault(here: Any) -> None:
    """Named in `udf` and in `match`, told once, with the one that may have been meant."""
    wrong = here.step(
        "Companies", "update", '["udf:Legcy ID"]', "{fax: F}", "udf: {Legcy ID: I, Agreed Hours: H}"
    )
    with pytest.raises(JobError) as caught:
        await here.plan(wrong, a="I,H,F\n1,2,3\n")
    (fault,) = caught.value.faults
    assert str(fault).endswith(
        "job.yaml:8: Companies has no user-defined field `Legcy ID`. Did you mean `Legacy ID`?"
    )


# --- picklists


TICKET = "{externalID: Key, issueType: Issue, subIssueType: Sub}"


async def test_dependent_picklists_inside_the_parents_value(here: Any) -> None:
    """The row's parent decides; where it says nothing, the record's; a wrong parent names the right ones."""
    plan = await here.plan(
        here.step("Tickets", "update", "[externalID]", TICKET),
        a="Key,Issue,Sub\nLT-1,Network,Other\nLT-2,Account,Other\nLT-3,,Other\nLT-4,,Other\n"
        "LT-5,,Other\nLT-6,Computer,Wireless\nLT-7,,Wirelss\n",
    )
    after = [{name: diff.after for name, diff in fields.items()} for fields in here.diffs(plan)]
    assert after[:4] == [
        {"issueType": 11, "subIssueType": 112},
        {"issueType": 12, "subIssueType": 122},
        {"subIssueType": 122},
        {"subIssueType": 112},
    ]
    under = "is no value of subIssueType where issueType is Computer (10), only where it is"
    known = "Hardware Failure, Slow, Does Not Start"
    assert here.reasons(plan)[4:] == [
        f"column Sub 'Other': {under} Network (11) or Account (12). Known: {known}",
        f"column Sub 'Wireless': {under} Network (11). Known: {known}",
        f"column Sub 'Wirelss': is no value of subIssueType. Is it 'Wireless'? Known: {known}, Wireless, "
        "Firewall, Other, Password Reset, New User, Installation, Error Message",
    ]
    status = await apply_plan(plan, here.target)
    assert status.counts["applied"] == 4


async def test_the_parent_is_read_where_the_job_does_not_name_it(here: Any) -> None:
    """A job may map the dependent field alone."""
    await here.done(
        here.step("Tickets", "update", "[externalID]", "{externalID: Key, subIssueType: Sub}"),
        a="Key,Sub\nLT-1,slow\nLT-4,Firewall\n",
    )
    assert here.row("Tickets", externalID="LT-1")["subIssueType"] == 102
    assert here.row("Tickets", externalID="LT-4")["subIssueType"] == 111


async def test_inactive_values_may_stay_and_are_set_only_if_allowed(here: Any) -> None:
    """A new one is refused by name; where the record holds it already, nothing is written."""
    table = here.simulator.store.table("Tickets")
    held = here.row("Tickets", externalID="LT-2")["id"]
    table.update(held, {"status": 24})
    rows = "Key,State\nLT-1,On Hold\nLT-2,on hold\n"
    plan = await here.plan(
        here.step("Tickets", "update", "[externalID]", "{externalID: Key, status: State}"), a=rows
    )
    assert [change.action.value for change in plan.changes()] == ["rejected", "unchanged"]
    assert here.reasons(plan)[0] == (
        "column State 'On Hold': is inactive in status; set `inactive: allow` to send it all the same"
    )
    allowed = here.step(
        "Tickets", "update", "[externalID]", "{externalID: Key, status: {column: State, inactive: allow}}"
    )
    plan = await here.plan(allowed, a=rows)
    assert here.diffs(plan)[0]["status"].after == 24


# --- the tenant's metadata


GERMAN = [{"value": "1", "label": "Neu"}, {"value": "5", "label": "Fertig"}]


@pytest.mark.parametrize("here", [{"picklists": {"Tickets": {"status": GERMAN}}}], indirect=True)
async def test_the_tenants_own_lists_win_over_the_catalog(here: Any) -> None:
    """A label that only this tenant has is known; one that only the catalog has is refused, naming both."""
    plan = await here.plan(
        here.step("Tickets", "update", "[externalID]", "{externalID: K, status: S}"),
        a="K,S\nLT-2,neu\nLT-1,Complete\n",
    )
    assert here.diffs(plan)[0] == {"status": FieldDiff(before=8, after=1)}
    assert here.reasons(plan)[1] == (
        "column S 'Complete': is no value of status in this tenant, though the shipped catalog has it. "
        "Known: Neu, Fertig"
    )


async def test_metadata_is_read_once_a_run(here: Any) -> None:
    """What the tenant says of an entity is asked for once, by however many steps, plans and lookups."""
    fields = "{companyNumber: N, parentCompanyID: {column: P, lookup: companyNumber}}"
    one = here.step("Companies", "update", "[companyNumber]", fields)
    for _ in range(2):
        await here.plan(one + one.replace("name: a", "name: b"), a="N,P\nC-1005,C-1003\n")
    url = f"{here.simulator.control}/stats"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        calls = (await answer.json())["by_call"]
    base = "GET Companies/entityInformation"
    asked = {call: n for call, n in calls.items() if "entityInformation" in call}
    assert asked == {base: 1, f"{base}/fields": 1, f"{base}/userDefinedFields": 1}
