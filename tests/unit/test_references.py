"""Natural keys to records and ids, in bulk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.errors import JobError, StopError
from bulkops.record import Created, FromStep, Lookup, Record, RowError, Scalar, Value
from bulkops.references import References, candidates, find_by_key, key_of, name_fields, query_value
from bulkops.schema import Field, FieldType, PicklistValue
from bulkops.targets.base import Filter, RecordData
from bulkops.targets.memory import MemoryTarget

Rows: TypeAlias = Sequence[Mapping[str, Scalar]]


class Listening(MemoryTarget):
    """A target that keeps every question, and cannot be written to."""

    def __init__(self, rows: Mapping[str, Sequence[Mapping[str, Scalar]]], **options: Any) -> None:
        super().__init__(rows, **options)
        self.asked: list[tuple[str, Filter]] = []

    def read(
        self, entity: str, where: Filter, *, fields: Sequence[str] | None = None
    ) -> AsyncIterator[RecordData]:
        self.asked.append((entity, where))
        return super().read(entity, where, fields=fields)

    async def _write(self, write: object, commit: object) -> int:
        raise AssertionError(f"planning wrote: {write}")


COMPANIES: Rows = [
    {"id": 0, "companyName": "Own Company"},
    {"id": 11, "companyName": "Acme"},
    {"id": 12, "companyName": "Ñandú S.A."},
    {"id": 13, "companyName": "Twice"},
    {"id": 14, "companyName": "TWICE"},
]
CONTACTS: Rows = [
    {"id": 21, "companyID": 11, "emailAddress": "jane@acme.test", "firstName": "Jane", "lastName": "Roe"},
    {"id": 22, "companyID": 12, "emailAddress": "jane@acme.test", "firstName": "Jane", "lastName": "Poe"},
]
CODES: Rows = [
    {"id": 31, "name": "Consulting", "billingCodeType": 0},
    {"id": 32, "name": "Consulting", "billingCodeType": 2},
]


def company(text: str) -> Record:
    return Record(
        values={
            "companyID": Lookup(entity="Companies", fields=("companyName",), values=(text,), column="Client")
        }
    )


def contact(company_id: str, mail: str) -> Record:
    lookup = Lookup(
        entity="Contacts",
        fields=("companyID", "emailAddress"),
        values=(company_id, mail),
        column="Firm, Mail",
    )
    return Record(values={"contactID": lookup})


async def resolved(target: MemoryTarget, *records: Record) -> list[Record | tuple[RowError, ...]]:
    return await References(target).resolve(records)


def value_of(answer: Record | tuple[RowError, ...], name: str) -> Value:
    assert isinstance(answer, Record)
    return answer.values[name]


def error_of(answer: Record | tuple[RowError, ...]) -> str:
    assert not isinstance(answer, Record)
    return "; ".join(str(error) for error in answer)


async def test_lookups_become_ids_in_one_read() -> None:
    """All distinct spellings of a batch are asked at once; case and blanks do not matter to what is found."""
    target = Listening({"Companies": COMPANIES})
    texts = ["Acme", " acme ", "ACME", "ñandú s.a.", "Own Company"]
    answers = await resolved(target, *(company(text) for text in texts))
    assert [value_of(answer, "companyID") for answer in answers] == [11, 11, 11, 12, 0]
    (asked,) = target.asked
    assert asked[0] == "Companies"
    assert set(asked[1]["value"]) == {"Acme", "acme", " acme", "ACME", "ñandú s.a.", "Own Company"}


async def test_500_values_take_one_call_and_501_take_two() -> None:
    """A query holds 500 conditions at most, and no row costs a call of its own."""
    rows: Rows = [{"id": n, "companyName": f"C{n}"} for n in range(1001, 1502)]
    for count, calls in ((500, 1), (501, 2)):
        target = Listening({"Companies": rows})
        answers = await resolved(target, *(company(f"C{n}") for n in range(1001, 1001 + count)))
        assert [value_of(answer, "companyID") for answer in answers] == list(range(1001, 1001 + count))
        assert len(target.asked) == calls
        assert all(len(where.get("value", "")) <= 500 for _, where in target.asked)


async def test_what_was_found_or_not_found_is_not_asked_again() -> None:
    """Answers are remembered over batches, absence and ambiguity too."""
    target = Listening({"Companies": COMPANIES})
    references = References(target)
    batch = [company("Acme"), company("Nobody"), company("Twice")]
    first = await references.resolve(batch)
    assert await references.resolve(batch) == first
    assert len(target.asked) == 1


async def test_memory_of_answers_is_bounded() -> None:
    """What was not used for longest is forgotten first; a batch larger than the memory still resolves."""
    rows: Rows = [{"id": n, "companyName": f"C{n}"} for n in range(1, 8)]
    target = Listening({"Companies": rows})
    references = References(target, remember=2)
    answers = await references.resolve([company(f"C{n}") for n in range(1, 8)])
    assert [value_of(answer, "companyID") for answer in answers] == list(range(1, 8))
    await references.resolve([company("C7"), company("C6")])
    assert len(target.asked) == 1
    await references.resolve([company("C1")])
    assert len(target.asked) == 2


async def test_every_spelling_of_a_key_is_asked_for() -> None:
    """A server that tells composed from decomposed letters still finds the record that is meant."""
    target = Listening({"Companies": [{"id": 15, "companyName": "Caf\u00e9"}]})
    answers = await resolved(target, company("cafe\u0301"), company("Caf\u00e9"))
    assert [value_of(answer, "companyID") for answer in answers] == [15, 15]


async def test_none_found_rejects_the_row_and_names_the_value() -> None:
    """The reason has the column, the text and what was looked for."""
    (answer,) = await resolved(Listening({"Companies": COMPANIES}), company("Acme Ltd"))
    assert error_of(answer) == "column Client 'Acme Ltd': no Companies record has this companyName"


async def test_several_found_rejects_the_row_and_names_them() -> None:
    """Nobody guesses: the candidates are told with id and name."""
    (answer,) = await resolved(Listening({"Companies": COMPANIES}), company("twice"))
    assert error_of(answer) == (
        "column Client 'twice': 2 Companies records have this companyName: 13 (Twice), 14 (TWICE)"
    )


PEOPLE: Rows = [
    {"id": 41, "email": "kim@acme.test", "firstName": "Kim", "lastName": "Lee", "isActive": True},
    {"id": 42, "email": "old@acme.test", "firstName": "Old", "lastName": "Lee", "isActive": False},
    {"id": 43, "email": "new@acme.test", "firstName": "Ann", "lastName": "Doe", "isActive": True},
    {"id": 44, "email": "gone@acme.test", "firstName": "Ann", "lastName": "Doe", "isActive": False},
    {"id": 45, "email": "nobody@acme.test", "firstName": "No", "lastName": "Word"},
]


def person(*texts: str, fields: tuple[str, ...] = ("email",), allows: bool = False) -> Record:
    lookup = Lookup(entity="Resources", fields=fields, values=texts, column="Who", allows_inactive=allows)
    return Record(values={"assignedResourceID": lookup})


async def test_who_is_inactive_is_found_and_doubted() -> None:
    """The id is there for a record that has it already; what speaks against writing it is told by name."""
    target = Listening({"Resources": PEOPLE})
    old, kim, silent, allowed = await resolved(
        target,
        person("OLD@acme.test"),
        person("kim@acme.test"),
        person("nobody@acme.test"),
        person("old@acme.test", allows=True),
    )
    assert isinstance(old, Record)
    assert old.values == {"assignedResourceID": 42}
    assert {name: str(doubt) for name, doubt in old.doubts.items()} == {
        "assignedResourceID": "column Who 'OLD@acme.test': Resources 42 (Old Lee) is inactive; "
        "set `inactive: allow` to use it all the same"
    }
    for answer, number in ((kim, 41), (silent, 45), (allowed, 42)):
        assert answer == Record(values={"assignedResourceID": number})
    assert len(target.asked) == 1


@pytest.mark.parametrize("held", [0, False])
async def test_records_that_keep_it_as_a_number_are_inactive_at_0(held: Scalar) -> None:
    """Contacts hold 1 and 0 where others hold true and false."""
    people: Rows = [{"id": 21, "emailAddress": "a@b.c", "isActive": held}]
    lookup = Lookup(entity="Contacts", fields=("emailAddress",), values=("a@b.c",))
    (answer,) = await resolved(Listening({"Contacts": people}), Record(values={"contactID": lookup}))
    assert isinstance(answer, Record)
    assert "Contacts 21 is inactive" in str(answer.doubts["contactID"])


async def test_several_are_several_even_if_one_alone_is_active() -> None:
    """Nobody guesses; those who are inactive are marked."""
    (answer,) = await resolved(
        Listening({"Resources": PEOPLE}), person("doe", "ANN", fields=("lastName", "firstName"))
    )
    assert error_of(answer) == (
        "column Who 'doe / ANN': 2 Resources records have this lastName and firstName: "
        "43 (Ann Doe), 44 (Ann Doe, inactive)"
    )


async def test_a_doubt_is_told_with_the_errors_of_the_row() -> None:
    """Who has to correct the row hears of everything."""
    record = Record(values={**person("old@acme.test").values, **company("Nobody").values})
    (answer,) = await resolved(Listening({"Resources": PEOPLE, "Companies": COMPANIES}), record)
    assert not isinstance(answer, Record)
    assert [error.field for error in answer] == ["companyID", "assignedResourceID"]


async def test_composite_keys_are_joined_here() -> None:
    """Two fields tell apart what one does not, and numbers are asked as numbers."""
    target = Listening({"Contacts": CONTACTS})
    answers = await resolved(target, contact("11", "JANE@acme.test"), contact("12", "jane@acme.test"))
    assert [value_of(answer, "contactID") for answer in answers] == [21, 22]
    ((_, where),) = target.asked
    assert {item["field"]: item["value"] for item in where["items"]} == {
        "companyID": [11, 12],
        "emailAddress": ["JANE@acme.test", "jane@acme.test"],
    }


async def test_text_where_a_number_stands_finds_nothing_and_says_why() -> None:
    """Text against a number field would silently find nothing: it is not even asked."""
    target = Listening({"Contacts": CONTACTS})
    lookup = Lookup(entity="Contacts", fields=("id", "emailAddress"), values=("Acme", "jane@acme.test"))
    (answer,) = await resolved(target, Record(values={"contactID": lookup}))
    assert error_of(answer).endswith("id holds a number")
    assert target.asked == []


async def test_a_label_stands_for_its_picklist_number_in_a_key() -> None:
    """A kind's label tells the two codes of one name apart as well as its number does."""
    target = Listening({"BillingCodes": CODES})
    lookups = [
        Lookup(entity="BillingCodes", fields=("name", "billingCodeType"), values=("Consulting", kind))
        for kind in ("0", "2", "normal", "Non-Billable")
    ]
    answers = await resolved(target, *(Record(values={"billingCodeID": lookup}) for lookup in lookups))
    assert [value_of(answer, "billingCodeID") for answer in answers] == [31, 32, 31, 32]


@pytest.mark.parametrize(
    "text",
    ["x" * 101, "x" * 1_000_000, "\ud800", "  ", "'; DROP TABLE Companies; --", "{{7*7}}", "\0", "🦄" * 50],
)
async def test_odd_texts_find_nothing_and_break_nothing(text: str) -> None:
    """A text no record can hold is not asked for; every other text is only ever compared."""
    target = Listening({"Companies": COMPANIES})
    (answer,) = await resolved(target, company(text))
    assert "no Companies record has this companyName" in error_of(answer)
    if len(text) > 100 or text in ("\ud800", "  "):
        assert target.asked == []


async def test_all_errors_of_a_row_are_told() -> None:
    """Two lookups that fail give two errors, and other rows are not touched."""
    both = Record(values={**company("Nobody").values, **contact("11", "no@where.test").values, "title": "T"})
    bad, good = await resolved(
        Listening({"Companies": COMPANIES, "Contacts": CONTACTS}), both, company("Acme")
    )
    assert not isinstance(bad, Record)
    assert [error.field for error in bad] == ["companyID", "contactID"]
    assert value_of(good, "companyID") == 11


async def test_records_without_lookups_pass_untouched() -> None:
    """Other values, references to created records among them, stay as they are and cost nothing."""
    record = Record(
        values={"title": "T", "projectID": Created(change=3), "phaseID": FromStep(step="p", key=("x",))}
    )
    target = Listening({})
    assert await resolved(target, record) == [record]
    assert target.calls.read == 0


async def test_who_acts_can_be_looked_up() -> None:
    """The person a row is written as is found like any reference, or rejects the row."""
    target = Listening(
        {"Resources": [{"id": 41, "email": "kim@acme.test", "firstName": "Kim", "lastName": "Lee"}]}
    )
    lookup = Lookup(entity="Resources", fields=("email",), values=("Kim@acme.test",), column="Author")
    nobody = Lookup(entity="Resources", fields=("email",), values=("x@acme.test",), column="Author")
    good, bad = await resolved(
        target, Record(values={"title": "T"}, impersonate=lookup), Record(values={}, impersonate=nobody)
    )
    assert good == Record(values={"title": "T"}, impersonate=41)
    assert error_of(bad) == "column Author 'x@acme.test': no Resources record has this email"


@pytest.mark.parametrize(
    ("entity", "name"), [("Companies", "sicCode"), ("Companies", "nothing"), ("Tasks", "udf:X")]
)
async def test_a_field_that_cannot_be_searched_is_refused(entity: str, name: str) -> None:
    """The job is told, instead of every row."""
    target = MemoryTarget()
    with pytest.raises(JobError, match=name):
        await find_by_key(target, await target.describe(entity), [name], [("x",)])


async def test_a_failing_read_is_not_taken_for_absence() -> None:
    """What the target raises passes through: nothing is concluded from a question that failed."""
    target = Listening({"Companies": COMPANIES}, failures={"read": [StopError("the network is gone")]})
    references = References(target)
    with pytest.raises(StopError):
        await references.resolve([company("Acme")])
    (answer,) = await references.resolve([company("Acme")])
    assert value_of(answer, "companyID") == 11


async def test_keys_are_found_by_id_and_by_date() -> None:
    """Id 0 is a record; a date is found in whatever form it is written."""
    phases: Rows = [{"id": 51, "projectID": 1, "title": "A", "startDate": "2024-03-01T10:00:00Z"}]
    target = Listening({"Companies": COMPANIES, "Phases": phases})
    shape = await target.describe("Companies")
    assert set(await find_by_key(target, shape, ["id"], [(0,), ("11",), (99,)])) == {(0,), ("11",)}
    phase = await target.describe("Phases")
    found = await find_by_key(target, phase, ["startDate"], [("2024-03-01T12:00:00+02:00",)])
    assert [record["id"] for record in found[("2024-03-01t12:00:00+02:00",)]] == [51]


async def test_a_record_that_two_questions_find_is_one_record() -> None:
    """Two spellings of one key, in two reads, do not make it ambiguous."""
    target = Listening({"Companies": COMPANIES})
    keys = [("Acme",), *((f"X{n}",) for n in range(499)), ("ACME",)]
    found = await find_by_key(target, await target.describe("Companies"), ["companyName"], keys)
    assert len(target.asked) == 2
    assert [record["id"] for record in found[("acme",)]] == [11]


async def test_a_key_with_more_records_than_anybody_reads_stays_small() -> None:
    """Of a key that thousands of records share, enough are kept to say that it is ambiguous."""
    rows: Rows = [{"id": n, "companyName": "Same"} for n in range(1, 1201)]
    target = Listening({"Companies": rows})
    found = await find_by_key(target, await target.describe("Companies"), ["companyName"], [("same",)])
    assert len(found[("same",)]) == 50
    assert candidates(await target.describe("Companies"), found[("same",)], shown=2) == (
        "1 (Same), 2 (Same) and 48 more"
    )


async def test_people_are_named_by_both_names() -> None:
    """A candidate is known by what people call it."""
    target = MemoryTarget()
    assert name_fields(await target.describe("Contacts")) == ["firstName", "lastName"]
    assert name_fields(await target.describe("Tasks")) == ["title"]
    assert candidates(
        await target.describe("Contacts"), [{"id": 1, "firstName": "Jane", "lastName": "Roe"}]
    ) == ("1 (Jane Roe)")


@pytest.mark.parametrize(
    ("kind", "value", "asked"),
    [
        (FieldType.LONG, "0012", 12),
        (FieldType.LONG, 12.0, 12),
        (FieldType.LONG, "12.5", None),
        (FieldType.LONG, 2**70, None),
        (FieldType.DOUBLE, "1.50", 1.5),
        (FieldType.DOUBLE, "nan", None),
        (FieldType.BOOLEAN, "TRUE", True),
        (FieldType.BOOLEAN, "maybe", None),
        (FieldType.STRING, 12, "12"),
        (FieldType.DATETIME, "2024-03-01", "2024-03-01T00:00:00.000Z"),
        (FieldType.DATETIME, "soon", None),
        (FieldType.LONG, Created(change=1), None),
        (FieldType.STRING, None, None),
    ],
)
def test_values_are_asked_for_in_the_type_of_the_field(kind: FieldType, value: Value, asked: Scalar) -> None:
    """A query spells a value as the field stores it; what it cannot store is not asked for."""
    found = query_value(Field(name="f", type=kind), value)
    assert found == asked
    assert type(found) is type(asked)


async def test_two_user_defined_fields_are_one_question_about_one_of_them() -> None:
    """The API filters by one at a time, so the other is compared here."""
    shape = await MemoryTarget().describe("Companies")
    udfs = {name: Field(name=name, type=FieldType.STRING) for name in ("udf:Legacy ID", "udf:System")}
    entity = replace(shape, fields={**shape.fields, **udfs})
    rows: Rows = [
        {"id": 1, "udf:Legacy ID": "7", "udf:System": "Old"},
        {"id": 2, "udf:Legacy ID": "7", "udf:System": "Older"},
        {"id": 3, "udf:Legacy ID": "8", "udf:System": "Old"},
    ]
    target = Listening({"Companies": rows}, entities={"Companies": entity})
    keys = [("7", "OLD"), ("8", "Older"), ("7", "older")]
    found = await find_by_key(target, entity, list(udfs), keys)
    assert {key: [record["id"] for record in records] for key, records in found.items()} == {
        ("7", "old"): [1],
        ("7", "older"): [2],
    }
    ((_, where),) = target.asked
    assert (where["op"], where["udf"]) == ("in", True)


def test_a_user_defined_list_is_asked_for_by_the_items_text() -> None:
    """Whether a row names the item by its text or by its number."""
    ranks = (PicklistValue(value="7", label="Golden"), PicklistValue(value="8", label="Silver"))
    shape = Field(name="udf:Rank", type=FieldType.STRING, picklist=ranks)
    assert [query_value(shape, text) for text in ("golden", "7", "Bronze")] == ["Golden", "Golden", "Bronze"]


def test_a_date_only_field_is_asked_for_by_its_midnight() -> None:
    """The calendar date as written, whatever time and zone stand behind it."""
    day = Field(name="f", type=FieldType.DATETIME, is_date_only=True)
    assert query_value(day, "2024-03-01T23:00:00-05:00") == "2024-03-01T00:00:00.000Z"


names = st.text(alphabet=st.sampled_from("aAbBßéÉ 1"), min_size=1, max_size=4)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(names, max_size=8), st.lists(names, min_size=1, max_size=8))
async def test_a_lookup_never_gives_an_id_that_another_record_could_have_had(
    stored: list[str], asked: list[str]
) -> None:
    """Whatever stands in the target: an id is given only where exactly one record has the key."""
    rows: Rows = [{"id": n, "companyName": text} for n, text in enumerate(stored)]
    target = Listening({"Companies": rows})
    for text, answer in zip(asked, await resolved(target, *(company(t) for t in asked)), strict=True):
        alike = [n for n, other in enumerate(stored) if key_of([other]) == key_of([text]) and text.strip()]
        if isinstance(answer, Record):
            assert alike == [answer.values["companyID"]]
        else:
            assert len(alike) != 1
