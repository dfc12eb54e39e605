"""Who is sent on a service call follows the work: who gets it goes, and whose it stays stays."""

from __future__ import annotations

from tests.unit.test_reassign import (
    ENGINEER,
    JANE,
    KIM,
    LEE,
    Reassigned,
    Rows,
    changes,
    given,
    job,
    reassigned,
    ticket,
)

__all__ = ["reassigned"]  # the fixture

IN, OUT = "ServiceCallTicketResources in", "ServiceCallTicketResources out"


def calls(*people: int) -> Rows:
    """One open call about ticket 5, on which these are sent."""
    return {
        "ServiceCalls": [{"id": 201, "companyID": 70, "isComplete": 0, "status": 1}],
        "ServiceCallTickets": [{"id": 300, "serviceCallID": 201, "ticketID": 5}],
        "ServiceCallTicketResources": [
            {"id": 400 + n, "serviceCallTicketID": 300, "resourceID": person}
            for n, person in enumerate(people)
        ],
    }


def helping(*people: int) -> Rows:
    return {
        "TicketSecondaryResources": [
            {"id": 90 + n, "ticketID": 5, "resourceID": person, "roleID": ENGINEER}
            for n, person in enumerate(people)
        ]
    }


async def test_who_helps_with_the_ticket_now_goes_on_its_call(reassigned: Reassigned) -> None:
    """And only once they do: who takes the giver's place beside the ticket takes the one on the call."""
    others = {"Tickets": [ticket(5, assignedResourceID=KIM, assignedResourceRoleID=ENGINEER)]}
    recipe = job("kim13", "lee14", entities="[ServiceCalls, TicketSecondaryResources]")
    plan = await reassigned.plan({**others, **helping(JANE), **calls(JANE)}, recipe)
    (beside,) = changes(plan, "TicketSecondaryResources in")
    (made,) = changes(plan, IN)
    assert made.after() == {"serviceCallTicketID": 300, "resourceID": LEE}
    assert made.waits_for == (beside.n,)


async def test_who_keeps_the_work_stays_on_its_call(reassigned: Reassigned) -> None:
    """Nobody can have the ticket: the call is not left without them, and both rows say why."""
    rows = {"Tickets": [ticket(5)], **helping(LEE), **calls(JANE)}
    plan = await reassigned.plan(rows, job("lee14", entities="[ServiceCalls, Tickets]"))
    assert plan.counts["rejected"] == 2 and not plan.has_changes
    (row,) = changes(plan, IN)
    assert row.reason is not None
    assert row.reason.startswith(
        "Tickets of ticketID 5 stay with Jane Doe (12), who stays on the call as well:"
    )
    assert "Lee Fox (14) is a secondary resource of it already" in row.reason


async def test_nobody_leaves_the_call_before_the_work_is_somebody_elses(reassigned: Reassigned) -> None:
    """Who gets the ticket is on its call already, so the giver only leaves it: after the ticket."""
    rows = {"Tickets": [ticket(5)], **calls(JANE, LEE)}
    plan = await reassigned.plan(rows, job("lee14", entities="[ServiceCalls, Tickets]"))
    assert given(plan) == {5: LEE}
    (work,) = changes(plan, "Tickets")
    (out,) = changes(plan, OUT)
    assert (out.id, out.waits_for) == (400, (work.n,))
