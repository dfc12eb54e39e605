"""What every target promises: one suite, run in memory and against the simulator over real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.change import equal
from bulkops.errors import MissingError, NotSentError, RefusedError, RejectedError
from bulkops.record import Scalar
from bulkops.schema import Field, FieldType
from bulkops.secret import Secret
from bulkops.simulator import Options, running
from bulkops.simulator.catalog import shapes
from bulkops.simulator.filters import compile_filter
from bulkops.simulator.query import matching
from bulkops.simulator.store import Table
from bulkops.simulator.switches import Switches
from bulkops.targets.autotask import connect
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.base import Filter, RecordData, Target
from bulkops.targets.matching import matcher
from bulkops.targets.memory import MemoryTarget
from bulkops.tenant import Budget, Tenant

Rows: TypeAlias = Mapping[str, Sequence[Mapping[str, Scalar]]]

OWNER = 4
FIRM: Rows = {
    "Companies": [
        {"id": 0, "companyName": "Own", "companyType": 1, "phone": "1", "ownerResourceID": OWNER},
        {
            "id": 175,
            "companyName": "Alpha GmbH",
            "companyType": 1,
            "phone": "030 1",
            "ownerResourceID": OWNER,
        },
        {"id": 176, "companyName": " alpha gmbh ", "companyType": 3, "phone": "007", "city": "Köln"},
        {"id": 177, "companyName": "Beta", "companyType": 3, "city": None, "isActive": True},
        {"id": 178, "companyName": "Gamma & Söhne", "companyType": 5, "isActive": False, "city": "KÖLN"},
        {"id": 179, "companyName": "Delta", "createDate": "2026-03-01T12:00:00Z", "city": ""},
        {"id": 180, "companyName": "Epsilon", "createDate": "2026-03-02T00:00:00.000Z", "phone": "030 12"},
    ],
    "Resources": [
        {"id": OWNER, "firstName": "Ada", "lastName": "Ott", "isActive": True, "email": "ada@own.test"}
    ],
}


def in_memory() -> MemoryTarget:
    """With the user-defined fields that the simulator gets."""
    companies = load_catalog().entities["Companies"]
    udfs = (
        Field(name="udf:Legacy ID", type=FieldType.STRING),
        Field(name="udf:Hours", type=FieldType.DOUBLE),
        Field(name="udf:Since", type=FieldType.DATETIME, is_date_only=True),
    )
    fields = {**companies.fields, **{udf.name: udf for udf in udfs}}
    return MemoryTarget(FIRM, entities={"Companies": replace(companies, fields=fields)})


@asynccontextmanager
async def over_sockets(folder: Path) -> AsyncIterator[Target]:
    load = folder / "load.json"
    udfs = [
        {"name": "Legacy ID", "type": "string"},
        {"name": "Hours", "type": "number"},
        {"name": "Since", "type": "date"},
    ]
    load.write_text(json.dumps({"rows": FIRM, "udf": {"Companies": udfs}}), "utf-8")
    options = Options(empty=True, load=load, release_ms=0, tiers=False)
    async with running(options) as simulator:
        tenant = Tenant(
            name="acme",
            url=simulator.url,
            username="api@acme.test",
            secret=Secret("s"),
            integration_code=Secret("c"),
            budget=Budget(release_ms=0),
        )
        async with connect(tenant) as target:
            yield target


@pytest.fixture(params=["memory", "simulator"])
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Target]:
    if request.param == "memory":
        yield in_memory()
    else:
        async with over_sockets(tmp_path) as opened:
            yield opened


async def all_of(target: Target, entity: str, where: Filter, **knobs: Any) -> list[RecordData]:
    return [record async for record in target.read(entity, where, **knobs)]


async def the_one(target: Target, entity: str, id: int, **knobs: Any) -> RecordData:
    (record,) = await all_of(target, entity, {"op": "eq", "field": "id", "value": id}, **knobs)
    return record


def company(name: str, **values: Scalar) -> dict[str, Scalar]:
    return {"companyName": name, "companyType": 1, "phone": "1", "ownerResourceID": OWNER, **values}


async def test_identity_is_a_name_that_stays(target: Target) -> None:
    """The database has a name, the same one each time."""
    assert await target.identity()
    assert await target.identity() == await target.identity()


async def test_describe_says_what_an_entity_is(target: Target) -> None:
    """Shape with routes and fields, as of the tenant, by any of its names; unknown ones are refused."""
    contacts = await target.describe("contact")
    assert contacts.name == "Contacts"
    assert contacts.is_live
    assert contacts.parent is not None
    assert (contacts.parent.entity, contacts.parent.field) == ("Companies", "companyID")
    assert contacts.fields["firstName"].is_required
    assert (await target.describe("Projects")).fields["endDateTime"].is_date_only
    with pytest.raises(RefusedError):
        await target.describe("Hologram")


async def test_a_created_record_is_there(target: Target) -> None:
    """Create returns the id under which the record is read back; ids rise."""
    first = await target.create("Companies", company("New One", city="Bonn"))
    second = await target.create("Companies", company("New Two"))
    assert 180 < first < second
    record = await the_one(target, "Companies", first)
    assert (record["companyName"], record["city"], record["companyType"]) == ("New One", "Bonn", 1)
    assert record["fax"] is None


async def test_a_child_is_created_under_its_parent(target: Target) -> None:
    """The parent's id comes from the call or from the record; company 0 is a parent as well."""
    person: dict[str, Scalar] = {"firstName": "Bo", "lastName": "Lu", "isActive": 1}
    one = await target.create("Contacts", person, parent=0)
    two = await target.create("Contacts", {**person, "companyID": 175})
    assert (await the_one(target, "Contacts", one))["companyID"] == 0
    assert (await the_one(target, "Contacts", two))["companyID"] == 175
    with pytest.raises(RejectedError, match="companyID"):
        await target.create("Contacts", person)


async def test_an_update_changes_what_it_names(target: Target) -> None:
    """Other fields stay; None clears; what is read-only is left as it is."""
    before = await the_one(target, "Companies", 176)
    await target.update("Companies", 176, {"phone": "9", "city": None, "createDate": "1999-01-01"})
    after = await the_one(target, "Companies", 176)
    assert (after["phone"], after["city"]) == ("9", None)
    assert after["companyName"] == before["companyName"]
    assert after["createDate"] == before["createDate"]


async def test_udfs_are_text_wherever_they_are(target: Target) -> None:
    """Written in any type, read as text, found by the filter of user-defined fields."""
    id = await target.create("Companies", {**company("With UDFs"), "udf:Legacy ID": "007", "udf:Hours": 3})
    await target.update("Companies", 175, {"udf:Legacy ID": "x"})
    record = await the_one(target, "Companies", id)
    assert (record["udf:Legacy ID"], float(record["udf:Hours"] or 0)) == ("007", 3.0)
    assert isinstance(record["udf:Hours"], str)
    where = {"op": "in", "field": "Legacy ID", "udf": True, "value": ["007", "008"]}
    found = await all_of(target, "Companies", where, fields=["companyName", "udf:Legacy ID"])
    assert found == [{"id": id, "companyName": "With UDFs", "udf:Legacy ID": "007"}]


async def test_udfs_have_the_tenants_types(target: Target) -> None:
    """Numbers are compared by value and dates by day, in whatever spelling they are stored."""
    companies = await target.describe("Companies")
    shapes = [companies.fields[f"udf:{name}"] for name in ("Legacy ID", "Hours", "Since")]
    assert [shape.type for shape in shapes] == [FieldType.STRING, FieldType.DOUBLE, FieldType.DATETIME]
    assert shapes[2].is_date_only
    since = "2024-02-29T00:00:00Z"
    udfs: dict[str, Scalar] = {"udf:Legacy ID": "7", "udf:Hours": "12.50", "udf:Since": since}
    id = await target.create("Companies", {**company("Typed"), **udfs})
    for name, value in (("Hours", 12.5), ("Hours", 12.50), ("Since", "2024-02-29T00:00:00.000Z")):
        where = {"op": "eq", "field": name, "udf": True, "value": value}
        assert [record["id"] for record in await all_of(target, "Companies", where)] == [id]
    where = {"op": "eq", "field": "Legacy ID", "udf": True, "value": "7.0"}
    assert await all_of(target, "Companies", where) == []
    record = await the_one(target, "Companies", id)
    assert all(equal(shape, record[shape.name], udfs[shape.name]) for shape in shapes)
    await target.update("Companies", id, {"udf:Since": None})
    assert (await the_one(target, "Companies", id)).get("udf:Since") is None


async def test_a_deleted_record_is_gone(target: Target) -> None:
    """Deleted once; the second time it is missing."""
    id = await target.create("Contacts", {"firstName": "A", "lastName": "B", "isActive": 1}, parent=0)
    await target.delete("Contacts", id, parent=0)
    assert await all_of(target, "Contacts", {"op": "eq", "field": "id", "value": id}) == []
    with pytest.raises(MissingError):
        await target.delete("Contacts", id, parent=0)


@pytest.mark.parametrize(
    ("entity", "action"), [("Companies", "delete"), ("AttachmentInfo", "create"), ("BillingCodes", "update")]
)
async def test_what_the_api_cannot_do_is_refused(target: Target, entity: str, action: str) -> None:
    """An action without a route is a rejected row with a sentence, and no call."""
    before = target.calls.write
    with pytest.raises(RejectedError, match=f"cannot {action} {entity}") as caught:
        if action == "delete":
            await target.delete(entity, 175)
        elif action == "create":
            await target.create(entity, {})
        else:
            await target.update(entity, 1, {})
    assert caught.value.known
    assert target.calls.write == before


async def test_a_text_too_long_rejects_the_row(target: Target) -> None:
    """The target's own text comes back, known as a fault of the row."""
    with pytest.raises(RejectedError, match="less than or equal to 100 characters") as caught:
        await target.create("Companies", company("x" * 101))
    assert caught.value.known
    assert caught.value.texts


async def test_dates_without_time_are_midnight(target: Target) -> None:
    """On date-only fields the date is kept as written, the time is not."""
    id = await target.create(
        "Projects",
        {
            "projectName": "P",
            "companyID": 0,
            "projectType": 5,
            "status": 1,
            "startDateTime": "2026-03-01T23:30:00Z",
            "endDateTime": "2026-03-31",
        },
    )
    record = await the_one(target, "Projects", id)
    assert str(record["startDateTime"]).startswith("2026-03-01T00:00:00")
    assert str(record["endDateTime"]).startswith("2026-03-31T00:00:00")


async def test_reading_brings_all_by_rising_id(target: Target) -> None:
    """More than two pages, each record once, only what was asked for and the id."""
    ids = [await target.create("Companies", company(f"N{n}")) for n in range(1100)]
    records = await all_of(
        target, "Companies", {"op": "gt", "field": "id", "value": 180}, fields=["companyName"]
    )
    assert records == [{"id": id, "companyName": f"N{n}"} for n, id in enumerate(ids)]
    reads = target.calls.read
    wanted = {"op": "in", "field": "companyName", "value": [f"N{n}" for n in range(500)]}
    assert len(await all_of(target, "Companies", wanted)) == 500
    assert target.calls.read == reads + 1


async def test_counting_counts(target: Target) -> None:
    """With a filter those that pass, without one all."""
    assert await target.count("Companies") == 7
    assert await target.count("Companies", {"op": "eq", "field": "companyType", "value": 3}) == 2


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ({"op": "eq", "field": "companyName", "value": "ALPHA GmbH"}, [175, 176]),
        ({"op": "in", "field": "city", "value": ["köln", "Bonn"]}, [176, 178]),
        ({"op": "noteq", "field": "city", "value": "köln"}, [179]),
        ({"op": "exist", "field": "city"}, [176, 178, 179]),
        ({"op": "notExist", "field": "phone"}, [177, 178, 179]),
        ({"op": "beginsWith", "field": "phone", "value": "030 1"}, [175, 180]),
        ({"op": "contains", "field": "companyName", "value": "SÖ"}, [178]),
        ({"op": "endsWith", "field": "companyName", "value": "ta"}, [177, 179]),
        ({"op": "gte", "field": "companyType", "value": 3}, [176, 177, 178]),
        ({"op": "eq", "field": "isActive", "value": False}, [178]),
        ({"op": "lt", "field": "createDate", "value": "2026-03-02"}, [179]),
        ({"op": "eq", "field": "createDate", "value": "2026-03-02T00:00:00"}, [180]),
        ({"op": "eq", "field": "id", "value": "175"}, []),
        (
            {
                "op": "and",
                "items": [
                    {"op": "exist", "field": "id"},
                    {
                        "op": "or",
                        "items": [
                            {"op": "eq", "field": "ID", "value": 0},
                            {"op": "notIn", "field": "companyName", "value": ["own", "beta"]},
                        ],
                    },
                    {"op": "lte", "field": "id", "value": 176},
                ],
            },
            [0, 175, 176],
        ),
    ],
    ids=lambda value: value["op"] if isinstance(value, dict) else "",
)
async def test_filters_find_what_the_server_finds(target: Target, where: Filter, ids: list[int]) -> None:
    """Operators, nesting, and comparison as the server does it: trimmed, without case, dates as moments."""
    assert [record["id"] for record in await all_of(target, "Companies", where, fields=["id"])] == ids


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ({"op": "eq", "field": "hologram", "value": 1}, RejectedError),
        ({"op": "ne", "field": "id", "value": 1}, RefusedError),
    ],
)
async def test_wrong_questions_are_refused(target: Target, where: Filter, error: type[Exception]) -> None:
    """A field that is not there, an operator that nobody knows."""
    with pytest.raises(error):
        await all_of(target, "Companies", where)


async def test_what_cannot_be_queried_is_refused(target: Target) -> None:
    """A field that the API does not search, an entity that it does not list."""
    with pytest.raises(RejectedError, match="surveyOptOut"):
        await all_of(target, "Contacts", {"op": "eq", "field": "surveyOptOut", "value": True})
    with pytest.raises(RefusedError):
        await target.count("TimeOffRequestsApprove")


async def test_a_drained_target_sends_nothing_more(target: Target) -> None:
    """After `drain` every call says that it was not sent."""
    before = (target.calls.read, target.calls.write)
    target.drain()
    with pytest.raises(NotSentError):
        await target.create("Companies", company("Late"))
    with pytest.raises(NotSentError):
        await target.count("Companies")
    assert (target.calls.read, target.calls.write) == before


async def test_usage_tells_what_is_known(target: Target) -> None:
    """Nothing waits, nothing is in flight; the window has a length."""
    usage = target.usage()
    assert usage.waiting is None
    assert not usage.in_flight
    assert usage.window_s > 0


# --- the filter in memory is the server's ----------------------------------------------------------------

TEXTS = st.one_of(st.none(), st.sampled_from(["", " ", "Köln", "KÖLN ", "a", "ab", "b", "030"]))
CLAUSES = st.one_of(
    st.builds(
        lambda op, field, value: {"op": op, "field": field, "value": value},
        st.sampled_from(["eq", "noteq", "gt", "lte", "beginsWith", "endsWith", "contains"]),
        st.sampled_from(["companyName", "city"]),
        TEXTS.filter(bool),
    ),
    st.builds(
        lambda op, field, value: {"op": op, "field": field, "value": value},
        st.sampled_from(["eq", "noteq", "gt", "gte", "lt", "lte"]),
        st.sampled_from(["id", "companyType"]),
        st.integers(min_value=-1, max_value=5),
    ),
    st.builds(
        lambda op, value: {"op": op, "field": "city", "value": value},
        st.sampled_from(["in", "notIn"]),
        st.lists(TEXTS.filter(bool), max_size=3),
    ),
    st.builds(
        lambda op, field: {"op": op, "field": field},
        st.sampled_from(["exist", "notExist"]),
        st.sampled_from(["companyType", "city"]),
    ),
)
FILTERS = st.recursive(
    CLAUSES,
    lambda inner: st.builds(
        lambda op, items: {"op": op, "items": items},
        st.sampled_from(["and", "or"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "companyName": TEXTS,
            "city": TEXTS,
            "companyType": st.one_of(st.none(), st.integers(min_value=0, max_value=4)),
        }
    ),
    max_size=5,
)
SHAPE = load_catalog().entities["Companies"]


@settings(max_examples=200, deadline=None)
@given(RECORDS, FILTERS)
def test_memory_filters_as_the_simulator_does(records: list[dict[str, Scalar]], where: Filter) -> None:
    """For any records and any filter both find the same ones."""
    table = Table(shapes()["Companies"], lambda: (), first_id=1)
    rows = [{**record, "id": id} for id, record in enumerate(records)]
    for row in rows:
        table.insert(row)
    expected = list(matching(table, compile_filter([where], table, (), Switches())))
    passes = matcher(where, SHAPE)
    assert [row["id"] for row in rows if passes(row)] == expected
