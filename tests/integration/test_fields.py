"""Every kind of field: from a job file to what the server holds, and planned again without a change."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openpyxl import Workbook

from bulkops.applier import apply_plan
from bulkops.change import UNKNOWN, Change, FieldDiff
from bulkops.errors import JobError
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner import build_plan
from bulkops.secret import Secret
from bulkops.simulator import Options, Running, running
from bulkops.targets.autotask.session import connect
from bulkops.targets.base import Target
from bulkops.tenant import Budget, Tenant

HEAD = "version: 1\nname: trial\ntenant: acme\nlimits: {update: {percent: 100}}\nsteps:\n"


class World:
    """A simulator, a target that is connected to it, and a folder for jobs and their files."""

    def __init__(self, simulator: Running, target: Target, folder: Path) -> None:
        self.simulator = simulator
        self.target = target
        self.folder = folder
        self.plans = 0

    async def plan(self, steps: str, **files: str) -> Plan:
        """`files` by name without their suffix."""
        for name, text in files.items():
            (self.folder / f"{name}.csv").write_text(text, "utf-8")
        job = self.folder / "job.yaml"
        job.write_text(HEAD + steps, "utf-8")
        self.plans += 1
        return await build_plan(load_job(job), self.target, self.folder / f"{self.plans}.plan")

    async def done(self, steps: str, **files: str) -> Plan:
        """Planned and applied to the end; planned again, nothing is left to do."""
        plan = await self.plan(steps, **files)
        status = await apply_plan(plan, self.target)
        fates = [
            (fate.state, fate.reason) for fate in plan.fates() if fate.state not in ("applied", "unchanged")
        ]
        assert (status.state, fates) == ("finished", [])
        again = await self.plan(steps)
        assert [change.fields for change in again.changes() if change.action.is_write] == []
        return plan

    def rows(self, entity: str) -> list[Mapping[str, Any]]:
        table = self.simulator.store.table(entity)
        return [table[row_id] for row_id in table.ids]

    def row(self, entity: str, **wanted: Any) -> Mapping[str, Any]:
        """The one row that holds these values."""
        found = [
            row for row in self.rows(entity) if all(row[name] == value for name, value in wanted.items())
        ]
        assert len(found) == 1, found
        return found[0]

    def udfs(self, entity: str, **wanted: Any) -> dict[str, str | None]:
        return {item["name"]: item["value"] for item in self.row(entity, **wanted)["userDefinedFields"]}


@asynccontextmanager
async def world(folder: Path, *, load: Mapping[str, Any] | None = None) -> AsyncIterator[World]:
    """The small firm, and what `load` brings."""
    given = None
    if load is not None:
        given = folder / "load.json"
        given.write_text(json.dumps(load), "utf-8")
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(running(Options(load=given, release_ms=0, tiers=False)))
        tenant = Tenant(
            name="acme",
            url=simulator.url,
            username="api@acme.test",
            secret=Secret("s"),
            integration_code=Secret("c"),
            settle_s=0.5,
            budget=Budget(release_ms=0),
        )
        yield World(simulator, await stack.enter_async_context(connect(tenant)), folder)


def reasons(plan: Plan) -> list[str]:
    return [change.reason or "" for change in plan.changes()]


def fields_of(plan: Plan) -> list[Mapping[str, FieldDiff]]:
    return [change.fields for change in plan.changes()]


def step(entity: str, action: str, match: str, fields: str, *more: str) -> str:
    """One step whose rows are in a.csv."""
    lines = [
        f"  - {{name: a, entity: {entity}, action: {action}, source: {{file: a.csv}}, match: {match},",
        f"     fields: {fields}" + "".join(f",\n     {item}" for item in more) + "}",
    ]
    return "\n".join(lines) + "\n"


# --- user-defined fields


async def test_user_defined_fields_by_name_typed_and_back(tmp_path: Path) -> None:
    """Text, list, number and date: found in any case, sent as text, compared by type, shown as udf:Name."""
    async with world(tmp_path) as here:
        udf = (
            "udf: {legacy id: Id, CUSTOMER RANKING: Rank, Reviewed On: {column: Day, date: '%d/%m/%Y'},"
            " Agreed Hours: {column: Hours, number: {decimal: ','}}}"
        )
        plan = await here.done(
            step("Companies", "update", "[companyNumber]", "{companyNumber: Number}", udf),
            a='Number,Id,Rank,Hours,Day\nC-1001,0017,silver,"12,50",29/02/2024\nC-1003,007,Golden,40,\n',
        )
        first, second = fields_of(plan)
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


async def test_a_before_value_of_a_number_is_a_number(tmp_path: Path) -> None:
    """On the wire it is text; people and programs that read the plan see what the field holds."""
    async with world(tmp_path) as here:
        udf = "udf: {Agreed Hours: {column: Hours, number: {decimal: '.'}}}"
        plan = await here.plan(
            step("Companies", "update", "[companyNumber]", "{companyNumber: Number}", udf),
            a="Number,Hours\nC-1003,41.5\n",
        )
        assert fields_of(plan) == [{"udf:Agreed Hours": FieldDiff(before=40, after=41.5)}]


async def test_records_are_matched_by_user_defined_fields(tmp_path: Path) -> None:
    """One alone, two together (the API filters by one, the other is compared here), one beside a field."""
    async with world(tmp_path) as here:
        one = step("Companies", "update", '["udf:LEGACY ID"]', "{fax: Fax}", "udf: {Legacy ID: Id}")
        plan = await here.plan(one, a="Id,Fax\n0017,1\n0023,2\n17,3\n")
        names = [here.row("Companies", id=c.id)["companyNumber"] for c in plan.changes() if c.id is not None]
        assert names == ["C-1001", "C-1002"]
        assert reasons(plan)[2] == "no Companies record has udf:Legacy ID '17'"
        two = step(
            "Companies", "update", '["udf:Legacy ID", "udf:Customer Ranking"]', "{fax: Fax}",
            "udf: {Legacy ID: Id, Customer Ranking: Rank}",
        )  # fmt: skip
        plan = await here.plan(two, a="Id,Rank,Fax\n0017,golden,1\n0017,Silver,2\n0023,Golden,3\n")
        assert [change.action.value for change in plan.changes()] == ["update", "rejected", "rejected"]
        both = step(
            "Companies", "update", '["udf:Customer Ranking", companyName]', "{companyName: Name, fax: Fax}",
            "udf: {Customer Ranking: Rank}",
        )  # fmt: skip
        plan = await here.plan(both, a="Rank,Name,Fax\nGolden,alder & finch dental group,1\n")
        assert [change.id for change in plan.changes()] == [
            here.row("Companies", companyNumber="C-1001")["id"]
        ]


async def test_a_number_and_a_date_can_be_keys(tmp_path: Path) -> None:
    """Asked for as what they are, whatever their text looks like."""
    async with world(tmp_path) as here:
        await here.done(
            step("Companies", "update", "[companyNumber]", "{companyNumber: N}",
                 "udf: {Agreed Hours: H, Reviewed On: D}"),
            a="N,H,D\nC-1001,7.50,2024-02-29\nC-1002,8,2024-03-01\n",
        )  # fmt: skip
        for name, cells in (("Agreed Hours", ("7.5", "8.0")), ("Reviewed On", ("2024-02-29", "2024-03-01"))):
            keyed = step("Companies", "update", f'["udf:{name}"]', "{fax: F}", f"udf: {{{name}: K}}")
            plan = await here.plan(keyed, a="K,F\n" + "".join(f"{cell},1\n" for cell in cells))
            numbers = [here.row("Companies", id=change.id)["companyNumber"] for change in plan.changes()]
            assert numbers == ["C-1001", "C-1002"]


async def test_a_user_defined_field_is_created_cleared_and_looked_up_by(tmp_path: Path) -> None:
    """Empty with `empty: clear` sends null; another entity's field finds the record that is referred to."""
    async with world(tmp_path) as here:
        cleared = step(
            "Companies", "update", "[companyNumber]", "{companyNumber: N}",
            "udf: {Customer Ranking: {column: R, empty: clear}}",
        )  # fmt: skip
        plan = await here.done(cleared, a="N,R\nC-1001,\nC-1002,\n")
        assert fields_of(plan) == [{"udf:Customer Ranking": FieldDiff(before="Golden", after=None)}, {}]
        fields = (
            "{externalID: K, title: T, status: {value: New}, priority: {value: Low}, queueID: {value: '8'},"
            " companyID: {column: C, lookup: 'udf:Legacy ID'}}"
        )
        await here.done(
            step("Tickets", "upsert", "[externalID]", fields, "udf: {Legacy ID: K}"),
            a="K,T,C\nX-1,Hello,0023\n",
        )
        made = here.row("Tickets", externalID="X-1")
        assert made["companyID"] == here.row("Companies", companyNumber="C-1002")["id"]
        assert here.udfs("Tickets", externalID="X-1")["Legacy ID"] == "X-1"


async def test_a_user_defined_field_that_is_not_there_is_one_fault(tmp_path: Path) -> None:
    """Named in `udf` and in `match`, told once, with the one that may have been meant."""
    async with world(tmp_path) as here:
        wrong = step(
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


async def test_dependent_picklists_inside_the_parents_value(tmp_path: Path) -> None:
    """The row's parent decides; where it says nothing, the record's; a wrong parent names the right ones."""
    async with world(tmp_path) as here:
        plan = await here.plan(
            step("Tickets", "update", "[externalID]", TICKET),
            a="Key,Issue,Sub\nLT-1,Network,Other\nLT-2,Account,Other\nLT-3,,Other\nLT-4,,Other\n"
            "LT-5,,Other\nLT-6,Computer,Wireless\nLT-7,,Wirelss\n",
        )
        after = [{name: diff.after for name, diff in fields.items()} for fields in fields_of(plan)]
        assert after[:4] == [
            {"issueType": 11, "subIssueType": 112},
            {"issueType": 12, "subIssueType": 122},
            {"subIssueType": 122},
            {"subIssueType": 112},
        ]
        under = "is no value of subIssueType where issueType is Computer (10), only where it is"
        known = "Hardware Failure, Slow, Does Not Start"
        assert reasons(plan)[4:] == [
            f"column Sub 'Other': {under} Network (11) or Account (12). Known: {known}",
            f"column Sub 'Wireless': {under} Network (11). Known: {known}",
            f"column Sub 'Wirelss': is no value of subIssueType. Is it 'Wireless'? Known: {known}, Wireless, "
            "Firewall, Other, Password Reset, New User, Installation, Error Message",
        ]
        status = await apply_plan(plan, here.target)
        assert status.counts["applied"] == 4


async def test_the_parent_is_read_where_the_job_does_not_name_it(tmp_path: Path) -> None:
    """A job may map the dependent field alone."""
    async with world(tmp_path) as here:
        await here.done(
            step("Tickets", "update", "[externalID]", "{externalID: Key, subIssueType: Sub}"),
            a="Key,Sub\nLT-1,slow\nLT-4,Firewall\n",
        )
        assert here.row("Tickets", externalID="LT-1")["subIssueType"] == 102
        assert here.row("Tickets", externalID="LT-4")["subIssueType"] == 111


async def test_inactive_values_may_stay_and_are_set_only_if_allowed(tmp_path: Path) -> None:
    """A new one is refused by name; where the record holds it already, nothing is written."""
    async with world(tmp_path) as here:
        table = here.simulator.store.table("Tickets")
        held = here.row("Tickets", externalID="LT-2")["id"]
        table.update(held, {"status": 24})
        rows = "Key,State\nLT-1,On Hold\nLT-2,on hold\n"
        plan = await here.plan(
            step("Tickets", "update", "[externalID]", "{externalID: Key, status: State}"), a=rows
        )
        assert [change.action.value for change in plan.changes()] == ["rejected", "unchanged"]
        assert reasons(plan)[0] == (
            "column State 'On Hold': is inactive in status; set `inactive: allow` to send it all the same"
        )
        allowed = step(
            "Tickets", "update", "[externalID]", "{externalID: Key, status: {column: State, inactive: allow}}"
        )
        plan = await here.plan(allowed, a=rows)
        assert fields_of(plan)[0]["status"].after == 24


# --- people and other records


async def test_people_who_differ(tmp_path: Path) -> None:
    """Inactive, unknown, of one name with another; by e-mail, by first and last name: each told as it is."""
    async with world(tmp_path) as here:
        by_mail = "{externalID: Key, assignedResourceID: {column: Who, lookup: email}}"
        plan = await here.plan(
            step("Tickets", "update", "[externalID]", by_mail),
            a="Key,Who\nLT-1,JONAS.WEBER@northgate.test\nLT-2,nobody@northgate.test\n"
            "LT-3,daniel.osei@northgate.test\n",
        )
        jonas = here.row("Resources", userName="jonas.weber")["id"]
        assert reasons(plan)[:2] == [
            f"column Who 'JONAS.WEBER@northgate.test': Resources {jonas} (Jonas Weber) is inactive; "
            "set `inactive: allow` to use it all the same",
            "column Who 'nobody@northgate.test': no Resources record has this email",
        ]
        assert [c.action.value for c in plan.changes()][2] == "update"
        by_name = (
            "{externalID: Key, assignedResourceID: {columns: [Last, First], lookup: [lastName, firstName]}}"
        )
        table = here.simulator.store.table("Resources")
        twins = [row["id"] for row in here.rows("Resources") if row["lastName"] == "Santos"]
        table.update(twins[1], {"isActive": False})
        plan = await here.plan(
            step("Tickets", "update", "[externalID]", by_name),
            a="Key,Last,First\nLT-1,santos,maria\nLT-2,Osei,Daniel\nLT-3,,Daniel\nLT-4,Osei,\n",
        )
        assert reasons(plan) == [
            f"column Last, First 'santos / maria': 2 Resources records have this lastName and firstName: "
            f"{twins[0]} (Maria Santos), {twins[1]} (Maria Santos, inactive)",
            "",
            "column Last, First: Last says nothing, and the key needs all of 2 columns",
            "",
        ]


@pytest.mark.parametrize(
    ("entity", "field", "lookup", "cell", "name"),
    [
        ("Tasks", "billingCodeID", "name", "Year 2000 Remediation", "BillingCodes"),
        ("Tasks", "assignedResourceRoleID", "name", "Consultant", "Roles"),
        ("Tickets", "contactID", "emailAddress", "olga.petrenko@alderfinch.test", "Contacts"),
        ("Tickets", "companyID", "companyName", "Fallow Field Farm", "Companies"),
        ("Tickets", "companyLocationID", "name", "Old Practice", "CompanyLocations"),
    ],
)
async def test_any_inactive_record_is_told_and_allowed_by_word(  # noqa: PLR0917
    tmp_path: Path, entity: str, field: str, lookup: str, cell: str, name: str
) -> None:
    """Whether the entity keeps it as true and false or, as contacts do, as 1 and 0."""
    key = "T-3" if entity == "Tasks" else "LT-1"
    rows = f"Key,Cell\n{key},{cell}\n"
    async with world(tmp_path) as here:
        asked = f"{{externalID: Key, {field}: {{column: Cell, lookup: {lookup}}}}}"
        plan = await here.plan(step(entity, "update", "[externalID]", asked), a=rows)
        assert f"column Cell '{cell}': {name} " in reasons(plan)[0]
        assert "is inactive; set `inactive: allow`" in reasons(plan)[0]
        allowed = asked.replace("}}", ", inactive: allow}}")
        plan = await here.plan(step(entity, "update", "[externalID]", allowed), a=rows)
        assert [change.action.value for change in plan.changes()] == ["update"]


async def test_who_is_inactive_may_keep_what_is_theirs(tmp_path: Path) -> None:
    """A row that says what the record says already is unchanged, however inactive the person is by now."""
    async with world(tmp_path) as here:
        row = here.row("Tickets", externalID="LT-2")
        here.simulator.store.table("Resources").update(row["assignedResourceID"], {"isActive": False})
        fields = "{externalID: Key, assignedResourceID: {column: Who, lookup: email}, title: Title}"
        plan = await here.plan(
            step("Tickets", "update", "[externalID]", fields),
            a="Key,Who,Title\nLT-2,tomas.lindqvist@northgate.test,New title\n"
            "LT-1,tomas.lindqvist@northgate.test,\n",
        )
        assert set(fields_of(plan)[0]) == {"title"}
        assert "(Tomas Lindqvist) is inactive" in reasons(plan)[1]


async def test_impersonate_sets_the_creator_row_by_row(tmp_path: Path) -> None:
    """On creates; an update goes without it, an empty cell means the API user, nobody else is guessed."""
    async with world(tmp_path) as here:
        fields = (
            "{externalID: Key, title: Key, status: {value: New}, priority: {value: Low},"
            " queueID: {value: '8'},"
            " companyID: {value: C-1001, lookup: companyNumber}}"
        )
        by = "impersonate: {column: Author, lookup: email}"
        plan = await here.plan(
            step("Tickets", "upsert", "[externalID]", fields, by),
            a="Key,Author\nX-1,priya.raman@northgate.test\nX-2,\nLT-1,priya.raman@northgate.test\n"
            "X-3,nobody\nX-4,jonas.weber@northgate.test\n",
        )
        priya = here.row("Resources", userName="priya.raman")["id"]
        assert [change.impersonate for change in plan.changes()] == [priya, None, None, None, None]
        assert reasons(plan)[3] == "column Author 'nobody': no Resources record has this email"
        assert "(Jonas Weber) is inactive" in reasons(plan)[4]
        status = await apply_plan(plan, here.target)
        assert (status.counts["applied"], status.counts["rejected"]) == (3, 2)
        api = here.row("Resources", userName="import.service")["id"]
        made = [here.row("Tickets", externalID=key) for key in ("X-1", "X-2")]
        assert [row["creatorResourceID"] for row in made] == [priya, api]
        assert [row["impersonatorCreatorResourceID"] for row in made] == [api, None]


async def test_impersonate_is_refused_where_it_has_no_effect(tmp_path: Path) -> None:
    """On entities that do not allow it and in steps that create nothing; its lookup is checked as others."""
    async with world(tmp_path) as here:
        for entity, action, by, message in (
            (
                "Tasks",
                "update",
                "{column: A, lookup: email}",
                "Tasks cannot be created in somebody else's name",
            ),
            ("Tickets", "update", "{column: A, lookup: email}", "this step's action is `update`"),
            ("Tickets", "update", "{column: A, lookup: mail}", "Resources has no field `mail`"),
        ):
            with pytest.raises(JobError, match=message):
                await here.plan(
                    step(
                        entity, action, "[externalID]", "{externalID: Key, title: Key}", f"impersonate: {by}"
                    ),
                    a="Key,A\nT-1,x\n",
                )


# --- numbers, yes and no, dates, texts


async def test_yes_and_no_one_and_zero_and_numbers(tmp_path: Path) -> None:
    """A boolean is true or false, `Contacts.isActive` 1 or 0, a decimal in its shortest form."""
    async with world(tmp_path) as here:
        fields = (
            "{companyID: {column: Firm, lookup: companyNumber}, emailAddress: Mail, firstName: First,"
            " lastName: Last, isActive: Active, receivesEmailNotifications: News}"
        )
        plan = await here.done(
            step("Contacts", "upsert", "[companyID, emailAddress]", fields),
            a="Firm,Mail,First,Last,Active,News\nC-1001,olga.petrenko@alderfinch.test,Olga,Petrenko,yes,true\n"
            "C-1002,new@bramblelane.test,Ana,New,0,No\n",
        )
        after = [{name: diff.after for name, diff in fields.items()} for fields in fields_of(plan)]
        assert after[0] == {"isActive": 1, "receivesEmailNotifications": True}
        assert (after[1]["isActive"], after[1]["receivesEmailNotifications"]) == (0, False)
        hours = await here.done(
            step("Tasks", "update", "[externalID]", "{externalID: K, estimatedHours: {column: H, number:"
                 " {decimal: ',', thousands: '.'}}}"),
            a='K,H\nT-1,"0,1"\nT-2,"1.234,30"\nT-3,16\n',
        )  # fmt: skip
        assert [f["estimatedHours"].after for f in fields_of(hours) if f] == [0.1, 1234.3]
        assert here.row("Tasks", externalID="T-1")["estimatedHours"] == 0.1


async def test_dates_keep_their_day_and_times_their_moment(tmp_path: Path) -> None:
    """A date-only field holds the day as written; elsewhere the zone says when it was; odd times are told."""
    async with world(tmp_path) as here:
        fields = (
            "{externalID: K, endDateTime: {column: End, date: '%d/%m/%Y %H:%M'},"
            " startDateTime: {column: Start, date: '%d/%m/%Y %H:%M', timezone: Europe/Madrid}}"
        )
        plan = await here.plan(
            step("Tasks", "update", "[externalID]", fields),
            a="K,End,Start\nT-4,31/03/2026 23:59,30/03/2026 01:30\nT-3,30/02/2026 00:00,29/03/2026 02:30\n"
            "T-5,24/04/2026 00:00,25/10/2026 02:30\n",
        )
        after = {name: diff.after for name, diff in fields_of(plan)[0].items()}
        assert after == {"endDateTime": "2026-03-31T00:00:00Z", "startDateTime": "2026-03-29T23:30:00Z"}
        assert reasons(plan)[1:] == [
            "column End '30/02/2026 00:00': is no date of the calendar; column Start '29/03/2026 02:30': "
            "never was in Europe/Madrid: the clocks were put forward over it",
            "column Start '25/10/2026 02:30': was twice in Europe/Madrid: the clocks were put back. "
            "Write it with its offset, such as 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00",
        ]


async def test_stored_numbers_and_dates_make_the_plan_that_their_texts_make(tmp_path: Path) -> None:
    """A sheet has no decimal sign and no date format, whatever the job says of the file that came before."""
    fields = (
        "{externalID: K, estimatedHours: {column: H, number: {decimal: ',', thousands: '.'}},"
        " endDateTime: {column: End, date: '%d/%m/%Y'},"
        " startDateTime: {column: Start, date: '%d/%m/%Y %H:%M', timezone: Europe/Madrid}}"
    )
    text = (
        'K,H,End,Start\nT-3,"1,125",20/03/2026,17/02/2026 09:30\n'
        'T-4,"1.234,5",31/12/2026,01/07/2026 00:15\nT-5,7,24/04/2026,\n'
    )
    rows: list[list[Any]] = [
        ["K", "H", "End", "Start"],
        ["T-3", 1.125, date(2026, 3, 20), datetime(2026, 2, 17, 9, 30)],  # noqa: DTZ001 - as sheets have it
        ["T-4", 1234.5, datetime(2026, 12, 31), "01/07/2026 00:15"],  # noqa: DTZ001
        ["T-5", "7", "24/04/2026", None],
    ]
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    book.save(tmp_path / "a.xlsx")
    async with world(tmp_path) as here:
        from_csv = await here.plan(step("Tasks", "update", "[externalID]", fields), a=text)
        sheet = step("Tasks", "update", "[externalID]", fields).replace("a.csv", "a.xlsx")
        from_sheet = await here.plan(sheet)
        assert reasons(from_csv) == reasons(from_sheet) == ["", "", ""]
        assert fields_of(from_csv) == fields_of(from_sheet)
        assert fields_of(from_sheet)[0]["estimatedHours"].after == 1.125
        assert fields_of(from_sheet)[1]["startDateTime"].after == "2026-06-30T22:15:00Z"


async def test_what_cannot_be_read_is_unknown_before_and_in_no_filter(tmp_path: Path) -> None:
    """A field that cannot be queried is sent by every update of its row, and never asked for."""
    async with world(tmp_path) as here:
        steps = step("Tasks", "update", "[externalID]", "{externalID: K, remainingHours: H}")
        plan = await here.plan(steps, a="K,H\nT-3,7.5\n")
        assert fields_of(plan) == [{"remainingHours": FieldDiff(before=UNKNOWN, after=7.5)}]
        assert any("remainingHours cannot be read" in warning for warning in plan.header.warnings)
        status = await apply_plan(plan, here.target)
        assert status.counts["applied"] == 1
        with pytest.raises(JobError, match=r"Tasks\.remainingHours cannot be queried"):
            await here.plan(step("Tasks", "update", "[remainingHours]", "{remainingHours: K, title: H}"))


async def test_rich_text_changes_only_where_its_words_do(tmp_path: Path) -> None:
    """Blanks and line ends are not words. Where it does change, the plan says what that costs."""
    async with world(tmp_path) as here:
        table = here.simulator.store.table("Tickets")
        held = here.row("Tickets", externalID="LT-1")["id"]
        table.update(held, {"description": "Drawer  2\r\nis   empty"})
        plan = await here.plan(
            step("Tickets", "update", "[externalID]", "{externalID: K, description: T}"),
            a='K,T\nLT-1,"Drawer 2\nis empty"\nLT-2,Disk full\n',
        )
        assert [change.action.value for change in plan.changes()] == ["unchanged", "update"]
        assert not any("description" in warning for warning in plan.header.warnings)
        table.update(here.row("Tickets", externalID="LT-2")["id"], {"description": "Disk"})
        plan = await here.plan(step("Tickets", "update", "[externalID]", "{externalID: K, description: T}"))
        assert any(
            "a: 1 update of description" in warning and "plain text" in warning
            for warning in plan.header.warnings
        )


async def test_what_is_empty_clears_only_where_the_job_says_so(tmp_path: Path) -> None:
    """`empty: clear` sends null and shows what goes; a required field cannot be cleared."""
    async with world(tmp_path) as here:
        fields = (
            "{companyNumber: N, city: C, webAddress: {column: W, empty: clear},"
            " companyName: {column: Name, empty: clear}}"
        )
        plan = await here.plan(
            step("Companies", "update", "[companyNumber]", fields),
            a="N,W,C,Name\nC-1001,,,Alder\nC-1002,,,\nC-1003,x,,Cobalt\n",
        )
        assert "webAddress" not in fields_of(plan)[0]
        assert reasons(plan)[1] == (
            "column Name: is empty, and companyName is required, so it cannot be cleared"
        )
        await here.done(
            step(
                "Companies",
                "update",
                "[companyNumber]",
                "{companyNumber: N, city: {column: C, empty: clear}}",
            ),
            a="N,C\nC-1001,\n",
        )
        assert here.row("Companies", companyNumber="C-1001")["city"] is None


# --- all that can be wrong with rows, in one plan


BAD_FIELDS = """{externalID: Key, title: Title, status: State, issueType: Issue, subIssueType: Sub,
     assignedResourceID: {column: Who, lookup: email}, estimatedHours: Hours,
     dueDateTime: {column: Due, date: '%d/%m/%Y %H:%M', timezone: Europe/Madrid}, contactID: {column: Contact,
     lookup: emailAddress, empty: reject}}"""

BAD: Sequence[tuple[str, str]] = [
    ("LT-1,{long},,,,,,,c", "column Title '{cut}': has 300 characters, the field takes 255"),
    ("LT-1,x,Opne,,,,,,c", "column State 'Opne': is no value of status. Known: New, Complete"),
    ("LT-3,x,On Hold,,,,,,c", "column State 'On Hold': is inactive in status"),
    ("LT-4,x,,Computer,Wireless,,,,c", "only where it is Network (11)"),
    ("LT-5,x,,,,jonas.weber@northgate.test,,,c", "(Jonas Weber) is inactive"),
    ("LT-1,x,,,,nobody@northgate.test,,,c", "column Who 'nobody@northgate.test': no Resources record has"),
    ("LT-1,x,,,,,many,,c", "column Hours 'many': is no number"),
    ("LT-1,x,,,,,\"1,5\",,c", "column Hours '1,5': is no number. If \",\" is its decimal sign"),
    ("LT-1,x,,,,,,31/06/2026 10:00,c", "column Due '31/06/2026 10:00': is no date of the calendar"),
    ("LT-1,x,,,,,,30.06.2026,c", "column Due '30.06.2026': is no date written as %d/%m/%Y %H:%M"),
    ("LT-1,x,,,,,,25/10/2026 02:30,c", "column Due '25/10/2026 02:30': was twice in Europe/Madrid"),
    ("LT-1,x,,,,,,29/03/2026 02:30,c", "column Due '29/03/2026 02:30': never was in Europe/Madrid"),
    ("LT-1,x,,,,,,,", "column Contact: is empty, which the job rejects for contactID"),
    (",x,,,,,,,c", "column Key: is empty, and externalID is a match key"),
    ("LT-99,x,,,,,,,c", "no Tickets record has externalID 'LT-99'"),
    ("LT-1,x,,,,", "has 6 cells, the header has 9"),
]  # fmt: skip


async def test_every_bad_row_is_told_in_one_plan(tmp_path: Path) -> None:
    """One message each, with column and text, at the line of the row; what is good is planned beside them."""
    header = "Key,Title,State,Issue,Sub,Who,Hours,Due,Contact\n"
    cells = [row.format(long="x" * 300).replace(",c", ",ruth.alder@alderfinch.test") for row, _ in BAD]
    good = "LT-2,Better,,,,,,,sam.finch@alderfinch.test"
    async with world(tmp_path) as here:
        plan = await here.plan(
            step("Tickets", "update", "[externalID]", BAD_FIELDS), a=header + "\n".join([*cells, good]) + "\n"
        )
        changes: list[Change] = list(plan.changes())
        assert [change.action.value for change in changes] == ["rejected"] * len(BAD) + ["update"]
        for line, (change, (_, message)) in enumerate(zip(changes, BAD, strict=False), 2):
            assert change.line == line
            assert message.format(cut="x" * 57 + "...") in (change.reason or ""), change.reason


async def test_all_that_is_wrong_with_a_row_is_told_at_once(tmp_path: Path) -> None:
    """Also what only the target can say: nobody corrects a row twice."""
    header = "Key,Title,State,Issue,Sub,Who,Hours,Due,Contact\n"
    async with world(tmp_path) as here:
        plan = await here.plan(
            step("Tickets", "update", "[externalID]", BAD_FIELDS),
            a=header
            + f"LT-1,{'x' * 300},On Hold,,,jonas.weber@northgate.test,many,,nobody@alderfinch.test\n",
        )
        (reason,) = reasons(plan)
        for part in (
            "has 300 characters", "is inactive in status", "(Jonas Weber) is inactive", "is no number",
            "no Contacts record has this emailAddress",
        ):  # fmt: skip
            assert reason.count(part) == 1, reason


# --- the tenant's metadata


async def test_the_tenants_own_lists_win_over_the_catalog(tmp_path: Path) -> None:
    """A label that only this tenant has is known; one that only the catalog has is refused, naming both."""
    labels = [{"value": "1", "label": "Neu"}, {"value": "5", "label": "Fertig"}]
    async with world(tmp_path, load={"picklists": {"Tickets": {"status": labels}}}) as here:
        plan = await here.plan(
            step("Tickets", "update", "[externalID]", "{externalID: K, status: S}"),
            a="K,S\nLT-2,neu\nLT-1,Complete\n",
        )
        assert fields_of(plan)[0] == {"status": FieldDiff(before=8, after=1)}
        assert reasons(plan)[1] == (
            "column S 'Complete': is no value of status in this tenant, though the shipped catalog has it. "
            "Known: Neu, Fertig"
        )


async def test_metadata_is_read_once_a_run(tmp_path: Path) -> None:
    """What the tenant says of an entity is asked for once, by however many steps, plans and lookups."""
    async with world(tmp_path) as here:
        fields = "{companyNumber: N, parentCompanyID: {column: P, lookup: companyNumber}}"
        one = step("Companies", "update", "[companyNumber]", fields)
        for _ in range(2):
            await here.plan(one + one.replace("name: a", "name: b"), a="N,P\nC-1005,C-1003\n")
        url = f"{here.simulator.control}/stats"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            calls = (await answer.json())["by_call"]
        base = "GET Companies/entityInformation"
        asked = {call: n for call, n in calls.items() if "entityInformation" in call}
        assert asked == {base: 1, f"{base}/fields": 1, f"{base}/userDefinedFields": 1}
