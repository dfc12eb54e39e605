"""Numbers, yes and no, dates, texts; and all that can be wrong with rows, in one plan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pytest
from openpyxl import Workbook

from bulkops.applier import apply_plan
from bulkops.change import UNKNOWN, Change, FieldDiff
from bulkops.errors import JobError


async def test_yes_and_no_one_and_zero_and_numbers(here: Any) -> None:
    """A boolean is true or false, `Contacts.isActive` 1 or 0, a decimal in its shortest form."""
    fields = (
        "{companyID: {column: Firm, lookup: companyNumber}, emailAddress: Mail, firstName: First,"
        " lastName: Last, isActive: Active, receivesEmailNotifications: News}"
    )
    plan = await here.done(
        here.step("Contacts", "upsert", "[companyID, emailAddress]", fields),
        a="Firm,Mail,First,Last,Active,News\nC-1001,olga.petrenko@alderfinch.test,Olga,Petrenko,yes,true\n"
        "C-1002,new@bramblelane.test,Ana,New,0,No\n",
    )
    after = [{name: diff.after for name, diff in fields.items()} for fields in here.diffs(plan)]
    assert after[0] == {"isActive": 1, "receivesEmailNotifications": True}
    assert (after[1]["isActive"], after[1]["receivesEmailNotifications"]) == (0, False)
    hours = await here.done(
        here.step("Tasks", "update", "[externalID]", "{externalID: K, estimatedHours: {column: H, number:"
             " {decimal: ',', thousands: '.'}}}"),
        a='K,H\nT-1,"0,1"\nT-2,"1.234,30"\nT-3,16\n',
    )  # fmt: skip
    assert [f["estimatedHours"].after for f in here.diffs(hours) if f] == [0.1, 1234.3]
    assert here.row("Tasks", externalID="T-1")["estimatedHours"] == 0.1


async def test_dates_keep_their_day_and_times_their_moment(here: Any) -> None:
    """A date-only field holds the day as written; elsewhere the zone says when it was; odd times are told."""
    fields = (
        "{externalID: K, endDateTime: {column: End, date: '%d/%m/%Y %H:%M'},"
        " startDateTime: {column: Start, date: '%d/%m/%Y %H:%M', timezone: Europe/Madrid}}"
    )
    plan = await here.plan(
        here.step("Tasks", "update", "[externalID]", fields),
        a="K,End,Start\nT-4,31/03/2026 23:59,30/03/2026 01:30\nT-3,30/02/2026 00:00,29/03/2026 02:30\n"
        "T-5,24/04/2026 00:00,25/10/2026 02:30\n",
    )
    after = {name: diff.after for name, diff in here.diffs(plan)[0].items()}
    assert after == {"endDateTime": "2026-03-31T00:00:00Z", "startDateTime": "2026-03-29T23:30:00Z"}
    assert here.reasons(plan)[1:] == [
        "column End '30/02/2026 00:00': is no date of the calendar; column Start '29/03/2026 02:30': "
        "never was in Europe/Madrid: the clocks were put forward over it",
        "column Start '25/10/2026 02:30': was twice in Europe/Madrid: the clocks were put back. "
        "Write it with its offset, such as 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00",
    ]


async def test_stored_numbers_and_dates_make_the_plan_that_their_texts_make(here: Any) -> None:
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
    book.save(here.folder / "a.xlsx")
    from_csv = await here.plan(here.step("Tasks", "update", "[externalID]", fields), a=text)
    sheet = here.step("Tasks", "update", "[externalID]", fields).replace("a.csv", "a.xlsx")
    from_sheet = await here.plan(sheet)
    assert here.reasons(from_csv) == here.reasons(from_sheet) == ["", "", ""]
    assert here.diffs(from_csv) == here.diffs(from_sheet)
    assert here.diffs(from_sheet)[0]["estimatedHours"].after == 1.125
    assert here.diffs(from_sheet)[1]["startDateTime"].after == "2026-06-30T22:15:00Z"


async def test_what_cannot_be_read_is_unknown_before_and_in_no_filter(here: Any) -> None:
    """A field that cannot be queried is sent by every update of its row, and never asked for."""
    steps = here.step("Tasks", "update", "[externalID]", "{externalID: K, remainingHours: H}")
    plan = await here.plan(steps, a="K,H\nT-3,7.5\n")
    assert here.diffs(plan) == [{"remainingHours": FieldDiff(before=UNKNOWN, after=7.5)}]
    assert any("remainingHours cannot be read" in warning for warning in plan.header.warnings)
    status = await apply_plan(plan, here.target)
    assert status.counts["applied"] == 1
    with pytest.raises(JobError, match=r"Tasks\.remainingHours cannot be queried"):
        await here.plan(here.step("Tasks", "update", "[remainingHours]", "{remainingHours: K, title: H}"))


async def test_rich_text_changes_only_where_its_words_do(here: Any) -> None:
    """Blanks and line ends are not words. Where it does change, the plan says what that costs."""
    table = here.simulator.store.table("Tickets")
    held = here.row("Tickets", externalID="LT-1")["id"]
    table.update(held, {"description": "Drawer  2\r\nis   empty"})
    plan = await here.plan(
        here.step("Tickets", "update", "[externalID]", "{externalID: K, description: T}"),
        a='K,T\nLT-1,"Drawer 2\nis empty"\nLT-2,Disk full\n',
    )
    assert [change.action.value for change in plan.changes()] == ["unchanged", "update"]
    assert not any("description" in warning for warning in plan.header.warnings)
    table.update(here.row("Tickets", externalID="LT-2")["id"], {"description": "Disk"})
    plan = await here.plan(here.step("Tickets", "update", "[externalID]", "{externalID: K, description: T}"))
    assert any(
        "a: 1 update of description" in warning and "plain text" in warning
        for warning in plan.header.warnings
    )


async def test_what_is_empty_clears_only_where_the_job_says_so(here: Any) -> None:
    """`empty: clear` sends null and shows what goes; a required field cannot be cleared."""
    fields = (
        "{companyNumber: N, city: C, webAddress: {column: W, empty: clear},"
        " companyName: {column: Name, empty: clear}}"
    )
    plan = await here.plan(
        here.step("Companies", "update", "[companyNumber]", fields),
        a="N,W,C,Name\nC-1001,,,Alder\nC-1002,,,\nC-1003,x,,Cobalt\n",
    )
    assert "webAddress" not in here.diffs(plan)[0]
    assert here.reasons(plan)[1] == (
        "column Name: is empty, and companyName is required, so it cannot be cleared"
    )
    await here.done(
        here.step(
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


async def test_every_bad_row_is_told_in_one_plan(here: Any) -> None:
    """One message each, with column and text, at the line of the row; what is good is planned beside them."""
    header = "Key,Title,State,Issue,Sub,Who,Hours,Due,Contact\n"
    cells = [row.format(long="x" * 300).replace(",c", ",ruth.alder@alderfinch.test") for row, _ in BAD]
    good = "LT-2,Better,,,,,,,sam.finch@alderfinch.test"
    plan = await here.plan(
        here.step("Tickets", "update", "[externalID]", BAD_FIELDS),
        a=header + "\n".join([*cells, good]) + "\n",
    )
    changes: list[Change] = list(plan.changes())
    assert [change.action.value for change in changes] == ["rejected"] * len(BAD) + ["update"]
    for line, (change, (_, message)) in enumerate(zip(changes, BAD, strict=False), 2):
        assert change.line == line
        assert message.format(cut="x" * 57 + "...") in (change.reason or ""), change.reason


async def test_all_that_is_wrong_with_a_row_is_told_at_once(here: Any) -> None:
    """Also what only the target can say: nobody corrects a row twice."""
    header = "Key,Title,State,Issue,Sub,Who,Hours,Due,Contact\n"
    plan = await here.plan(
        here.step("Tickets", "update", "[externalID]", BAD_FIELDS),
        a=header + f"LT-1,{'x' * 300},On Hold,,,jonas.weber@northgate.test,many,,nobody@alderfinch.test\n",
    )
    (reason,) = here.reasons(plan)
    for part in (
        "has 300 characters", "is inactive in status", "(Jonas Weber) is inactive", "is no number",
        "no Contacts record has this emailAddress",
    ):  # fmt: skip
        assert reason.count(part) == 1, reason
