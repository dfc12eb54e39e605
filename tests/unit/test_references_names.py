"""Keys of several parts in which a record is named where its id belongs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from bulkops.record import Lookup, Record, RowError, Scalar
from bulkops.references import References
from bulkops.targets.base import Filter, RecordData
from bulkops.targets.memory import MemoryTarget

ROWS: Mapping[str, Sequence[Mapping[str, Scalar]]] = {
    "Companies": [
        {"id": 11, "companyName": "Acme"},
        {"id": 12, "companyName": "Ñandú S.A."},
        {"id": 13, "companyName": "Twice"},
        {"id": 14, "companyName": "TWICE", "isActive": False},
        {"id": 15, "companyName": "12"},
    ],
    "Contacts": [
        {"id": 21, "companyID": 11, "emailAddress": "jane@x.test", "firstName": "Jane", "lastName": "Roe"},
        {"id": 22, "companyID": 12, "emailAddress": "jane@x.test", "firstName": "Jane", "lastName": "Poe"},
    ],
    "Projects": [{"id": 31, "projectName": "Move", "companyID": 11}],
    "Phases": [{"id": 41, "projectID": 31, "title": "Plan"}, {"id": 42, "projectID": 32, "title": "Plan"}],
}


class Listening(MemoryTarget):
    """A target that keeps which entities were asked."""

    def __init__(self) -> None:
        super().__init__(ROWS)
        self.asked: list[str] = []

    def read(
        self, entity: str, where: Filter, *, fields: Sequence[str] | None = None
    ) -> AsyncIterator[RecordData]:
        self.asked.append(entity)
        return super().read(entity, where, fields=fields)


def contact(firm: str, mail: str = "jane@x.test") -> Record:
    lookup = Lookup(
        entity="Contacts", fields=("companyID", "emailAddress"), values=(firm, mail), column="Firm, Mail"
    )
    return Record(values={"contactID": lookup})


async def resolved(target: MemoryTarget, *records: Record) -> list[Record | tuple[RowError, ...]]:
    return await References(target).resolve(records)


def fate(answer: Record | tuple[RowError, ...]) -> object:
    """The id, or the sentences."""
    return next(iter(answer.values.values())) if isinstance(answer, Record) else "; ".join(map(str, answer))


async def test_a_company_may_be_named_where_its_id_belongs() -> None:
    """By its name, however spelled, and by its id; all names of a batch cost one read together."""
    target = Listening()
    answers = await resolved(target, contact("11"), contact(" acme "), contact("ÑANDÚ s.a."), contact("12"))
    assert [fate(answer) for answer in answers] == [21, 21, 22, 22]
    assert target.asked == ["Companies", "Contacts"]


async def test_a_number_is_always_an_id() -> None:
    """A company called 12 is not meant by 12: nobody guesses between the two."""
    (answer,) = await resolved(Listening(), contact("12"))
    assert fate(answer) == 22


@pytest.mark.parametrize(
    ("firm", "told"),
    [
        ("Nobody", "companyID 'Nobody': no Companies record has this companyName"),
        (
            "Twice",
            "companyID 'Twice': 2 Companies records have this companyName: 13 (Twice), 14 (TWICE, inactive)",
        ),
    ],
)
async def test_a_name_that_none_or_several_have_rejects_the_row(firm: str, told: str) -> None:
    """With the candidates, and without asking for contacts of nobody."""
    target = Listening()
    (answer,) = await resolved(target, contact(firm))
    assert fate(answer) == f"column Firm, Mail '{firm} / jane@x.test': {told}"
    assert target.asked == ["Companies"]


async def test_one_bad_name_of_a_batch_leaves_the_others_alone() -> None:
    """Each row has its own answer, also when the same question comes again."""
    target = Listening()
    references = References(target)
    for _ in range(2):
        answers = await references.resolve([contact("Nobody"), contact("Acme"), contact("Acme", "no@x.test")])
        assert [isinstance(answer, Record) for answer in answers] == [False, True, False]
        assert fate(answers[1]) == 21
        assert str(fate(answers[2])).endswith("no Contacts record has this companyID and emailAddress")
    assert target.asked == ["Companies", "Contacts"]


async def test_a_project_may_be_named_in_the_key_of_its_phase() -> None:
    """Any reference goes by the name field of what it points to."""
    lookup = Lookup(entity="Phases", fields=("projectID", "title"), values=("Move", "Plan"))
    (answer,) = await resolved(Listening(), Record(values={"phaseID": lookup}))
    assert fate(answer) == 41


async def test_people_have_no_one_name_so_their_id_is_needed() -> None:
    """First and last name are two fields: a person stands there as a number, and the text says so."""
    lookup = Lookup(entity="Projects", fields=("projectLeadResourceID",), values=("Iris Calloway",))
    (answer,) = await resolved(Listening(), Record(values={"projectID": lookup}))
    assert str(fate(answer)).endswith("projectLeadResourceID holds a number")
