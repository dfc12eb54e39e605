"""The mapping of a job: every fault at once, in the file's order, with its line and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bulkops.errors import JobError
from bulkops.job.model import Empty, FieldSpec, FileSource, Inactive, NumberSpec, Step, StepAction
from bulkops.mapping import Mapper, compile_mapping
from bulkops.record import Lookup, Record, Row
from bulkops.schema import Entity, Field, FieldType, Parent, PicklistValue


def field(name: str, kind: FieldType = FieldType.STRING, **more: Any) -> Field:
    return Field(name=name, type=kind, **more)


STATUS = (PicklistValue(value="1", label="New"), PicklistValue(value="5", label="Complete"))
FIELDS = (
    field("id", FieldType.LONG, is_required=True, is_read_only=True),
    field("title", is_required=True, label="Task Title"),
    field("projectID", FieldType.INTEGER, reference="Projects", is_required=True, is_read_only=True),
    field("status", FieldType.INTEGER, picklist=STATUS),
    field("description"),
    field("hours", FieldType.DOUBLE),
    field("startDateTime", FieldType.DATETIME),
    field("endDateTime", FieldType.DATETIME, is_date_only=True),
    field("isActive", FieldType.INTEGER),
    field("billingCodeID", FieldType.INTEGER, reference="BillingCodes", soap_name="AllocationCodeID"),
    field("otherID", FieldType.INTEGER),
    field("taskNumber", is_read_only=True),
    field("udf:Legacy ID"),
)


def entity(*, is_live: bool = True, parent: Parent | None = None, more: tuple[Field, ...] = ()) -> Entity:
    return Entity(
        name="Tasks", singular="Task", can={"create": "child" if parent else "root", "update": "root"},
        is_queryable=True, has_udfs=True, is_live=is_live, parent=parent,
        fields={item.name: item for item in (*FIELDS, *more)},
    )  # fmt: skip


LIVE = entity()


def compiled(
    fields: Mapping[str, FieldSpec | str],
    columns: str = "A B",
    *,
    shape: Entity = LIVE,
    action: StepAction = StepAction.UPDATE,
    match: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    udf: Mapping[str, FieldSpec] | None = None,
    by: FieldSpec | None = None,
) -> Mapper:
    """The mapping of a step whose fields stand in the lines from 10 on."""
    specs = {}
    for n, (name, given) in enumerate(fields.items()):
        asked = FieldSpec(column=given) if isinstance(given, str) else given
        specs[name] = replace(asked, where=f"job.yaml:{10 + n}")
    step = Step(
        name="tasks", entity="Tasks", action=action, source=FileSource(file=Path("t.csv"), display="t.csv"),
        match=match, fields=specs, udf=udf or {}, ignore=ignore, impersonate=by, file="job.yaml", line=3,
        lines={"fields": 9, "ignore": 90, "impersonate": 91},
    )  # fmt: skip
    return compile_mapping(step, shape, columns.split(), missing=("", "NULL"), file="t.csv")


def faults(fields: Mapping[str, FieldSpec | str], columns: str = "A B", **more: Any) -> list[str]:
    with pytest.raises(JobError) as caught:
        compiled(fields, columns, **more)
    return [str(fault) for fault in caught.value.faults]


def spec(column: str | None = "A", **more: Any) -> FieldSpec:
    return FieldSpec(column=column, **more)


def test_every_fault_is_told_at_once_in_the_files_order() -> None:
    """With the line of each, and what to do."""
    fields: dict[str, FieldSpec | str] = {
        "titel": "A",
        "hours": "Huors",
        "AllocationCodeID": FieldSpec(value="1"),
        "Task Title": FieldSpec(value="x"),
        "taskNumber": FieldSpec(value="x"),
        "id": FieldSpec(value="1"),
    }
    assert faults(fields, "A Hours Left Over") == [
        "job.yaml:10: Tasks has no field `titel`. Did you mean `title`?",
        "job.yaml:11: t.csv has no column `Huors`. Did you mean `Hours`?",
        "job.yaml:12: Tasks has no field `AllocationCodeID`. "
        "That is the older API's name; here it is `billingCodeID`",
        "job.yaml:13: Tasks has no field `Task Title`. Did you mean `title`?",
        "job.yaml:14: taskNumber is read-only. Take it out",
        "job.yaml:15: id is given by the server and cannot be written. "
        "Name it in `match` to find records by it",
        "job.yaml:90: 2 columns of t.csv are neither used nor ignored. "
        "Map them, or add them to `ignore`: [Left, Over]",
    ]


def test_a_column_neither_used_nor_ignored_is_a_fault() -> None:
    """Used in any way counts: column, composite, template."""
    fields = {
        "title": spec(),
        "otherID": FieldSpec(columns=("B", "C"), from_="x"),
        "description": FieldSpec(template="{{ D }}"),
    }
    compiled(fields, "A B C D E", ignore=("E", "not there"))
    assert faults(fields, "A B C D E")[0].startswith(
        "job.yaml:90: the column `E` of t.csv is neither used nor ignored"
    )


def test_a_template_over_the_whole_row_uses_every_column() -> None:
    """The author said: all of it."""
    compiled({"title": FieldSpec(template="{{ row.values()|join }}")}, "A B C")


def test_an_unknown_column_in_a_template_is_a_fault() -> None:
    """Before any row fails by it."""
    assert (
        "has no column `Notse`. Did you mean `Notes`?"
        in faults({"title": FieldSpec(template="{{ Notse }}")}, "Notes")[0]
    )
    assert "cannot be understood" in faults({"title": FieldSpec(template="{{ A")}, "A", ignore=("A",))[0]


def test_a_duplicate_column_is_a_fault_only_where_it_is_used() -> None:
    """With both positions; ignored, it does no harm."""
    compiled({"title": "A"}, "A B B", ignore=("B",))
    found = faults({"title": "A", "description": "B"}, "A B B")
    assert found == [
        "job.yaml:11: column `B` stands more than once in t.csv: as columns 2 and 3. "
        "Give each its own name in the header"
    ]


def test_a_field_mapped_twice_is_a_fault() -> None:
    """Also in another case, with both lines."""
    assert faults({"title": "A", "Title": "B"}) == ["job.yaml:11: title is mapped twice, also at job.yaml:10"]


@pytest.mark.parametrize("action", [StepAction.CREATE, StepAction.UPSERT])
def test_required_fields_must_be_mapped_where_records_are_made(action: StepAction) -> None:
    """A constant will do, and read-only ones are given once."""
    assert faults({"hours": "A"}, "A", action=action)[0].startswith(
        "job.yaml:9: title, projectID are required and not mapped"
    )
    compiled({"title": "A", "projectID": FieldSpec(value="1")}, "A", action=action)
    compiled({"hours": "A"}, "A", action=StepAction.UPDATE)


def test_a_childs_parent_must_be_mapped() -> None:
    """It is created through its parent's path, even where no flag says required."""
    parent = Parent(entity="Resources", path=("Resources", "Tasks"), field="ownerID",
                    methods=frozenset({"POST"}), item_methods=frozenset())  # fmt: skip
    fields: dict[str, FieldSpec | str] = {"title": "A", "projectID": "B"}
    shape = entity(parent=parent, more=(field("ownerID", FieldType.INTEGER),))
    assert "ownerID is required and not mapped" in faults(fields, shape=shape, action=StepAction.CREATE)[0]
    compiled(fields, shape=shape)
    in_path = entity(parent=parent, more=(field("ownerID", FieldType.INTEGER, is_path_only=True),))
    assert "ownerID is required and not mapped" in faults(fields, shape=in_path)[0]


def test_read_only_fields_may_be_keys_of_records_that_exist() -> None:
    """Found by number or id, never written by it."""
    for name, cell, value in (("taskNumber", "T1", "T1"), ("id", "7", 7)):
        mapper = compiled({name: "A"}, "A", match=(name,))
        assert mapper.map(Row(cells=(cell,))) == Record(values={name: value})
    assert (
        "an upsert creates"
        in faults(
            {"taskNumber": "A", "title": "B", "projectID": FieldSpec(value="1")},
            match=("taskNumber",),
            action=StepAction.UPSERT,
        )[0]
    )
    creates = {"id": spec(), "title": FieldSpec(value="x"), "projectID": FieldSpec(value="1")}
    assert (
        "cannot be written. Take it out" in faults(creates, "A", match=("id",), action=StepAction.CREATE)[0]
    )


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("title", spec(date="%Y-%m-%d"), "title is no date but text: `date` makes no sense"),
        (
            "status",
            spec(timezone="Europe/Madrid"),
            "status is no date but a picklist: `timezone` makes no sense",
        ),
        ("endDateTime", spec(timezone="Europe/Madrid"), "which no `timezone` can move"),
        ("title", spec(number=NumberSpec()), "title is no number but text"),
        ("title", spec(lookup=("name",)), "title holds no id but text: `lookup` makes no sense"),
        ("hours", spec(from_="x"), "hours holds no id but of type double"),
        ("isActive", spec(date="%Y-%m-%d"), "isActive is no date but yes or no"),
        ("otherID", spec(lookup=("name",)), "points to no entity, so `lookup` needs `entity:`"),
        ("startDateTime", spec(timezone="Nowhere"), "'Nowhere' is no time zone"),
        (
            "status",
            spec(None, value="Nwe"),
            "status: 'Nwe' is no value of status. Is it 'New'? Known: New, Complete",
        ),
        ("status", spec(labels={"x": "Nwe"}), "status: 'Nwe' is no value of status"),
        ("status", spec(default="Nwe"), "status: 'Nwe' is no value of status"),
        ("hours", spec(None, value="many"), "hours: 'many' is no number"),
        (
            "otherID",
            FieldSpec(columns=("A", "B"), from_="x", default="y"),
            "cannot stand for several columns",
        ),
    ],
)
def test_what_makes_no_sense_for_a_field_is_a_fault(name: str, asked: FieldSpec, message: str) -> None:
    """Found before the first row, once, with the line."""
    found = faults({name: asked}, ignore=("A", "B"))
    assert len(found) == 1
    assert found[0].startswith("job.yaml:10: ")
    assert message in found[0]


def test_offline_a_tenants_own_label_is_no_fault() -> None:
    """What only the tenant knows is checked when planning."""
    fields: dict[str, FieldSpec | str] = {"status": FieldSpec(value="Our own"), "title": "A"}
    record = compiled(fields, "A", shape=entity(is_live=False)).map(Row(cells=("x",)))
    assert record == Record(values={"status": "Our own", "title": "x"})


def test_offline_a_user_defined_field_is_taken_as_described() -> None:
    """The catalog knows none of a tenant's; the tenant knows all of its own."""
    udf = {
        "Rank": spec("A", number=NumberSpec()),
        "Since": spec("B", date="%d/%m/%Y"),
        "Owner": spec("C", lookup=("email",), entity="Resources"),
    }
    offline = compiled({}, "A B C", udf=udf, shape=entity(is_live=False))
    record = offline.map(Row(cells=("5", "29/02/2016", "a@b.c")))
    assert isinstance(record, Record)
    assert record.values == {
        "udf:Rank": 5.0,
        "udf:Since": "2016-02-29T00:00:00Z",
        "udf:Owner": Lookup(entity="Resources", fields=("email",), values=("a@b.c",), column="C"),
    }
    assert faults({}, "A", udf={"Legacy id": spec(), "Rank": spec()}) == [
        "Tasks has no user-defined field `Rank`. `bulkops describe Tasks` lists them"
    ]


def test_a_user_defined_field_under_fields_is_told_where_it_belongs() -> None:
    """The commonest place to look for it."""
    assert faults({"Legacy ID": "A"}, "A") == [
        "job.yaml:10: Tasks has no field `Legacy ID`. Did you mean `Legacy ID`, under `udf`?"
    ]


def test_an_unknown_column_without_a_likeness_gets_the_columns_named() -> None:
    """Some of them, where there are hundreds."""
    columns = " ".join(f"Column{n}" for n in range(30))
    found = faults({"title": "xyz"}, columns, ignore=tuple(columns.split()))
    assert found[0].endswith("`Column18`, `Column19` and 10 more")


# User-defined fields.


def test_a_user_defined_field_that_the_tenant_has_not_is_one_fault() -> None:
    """With the one that may have been meant, and also where a key names it."""
    found = faults({}, "A", udf={"Legcay ID": spec(where="job.yaml:30")}, match=("udf:Legcay ID",))
    assert found == ["job.yaml:30: Tasks has no user-defined field `Legcay ID`. Did you mean `Legacy ID`?"]


def test_a_field_under_udf_is_told_where_it_belongs() -> None:
    """As a user-defined field under `fields` is."""
    assert faults({}, "A", udf={"Title": spec(where="job.yaml:30")}) == [
        "job.yaml:30: Tasks has no user-defined field `Title`. Did you mean `title`, under `fields`?"
    ]


def test_the_tenants_spelling_of_a_user_defined_field_wins() -> None:
    """Case is ignored in the job, in `match` and in `udf`; offline the job's own spelling stands."""
    live = compiled({}, "A", udf={"legacy id": spec()}, match=("UDF:LEGACY ID",))
    assert live.fields == ("udf:Legacy ID",)
    offline = compiled(
        {}, "A", udf={"Rank": spec(number=NumberSpec())}, match=("UDF:rank",), shape=entity(is_live=False)
    )
    assert offline.fields == ("udf:Rank",)
    assert "is a match key" in str(offline.map(Row(cells=("",))))


def test_a_user_defined_field_is_typed_by_the_tenant() -> None:
    """Number, date, list: converted and checked as other fields are."""
    ranks = (PicklistValue(value="1", label="Golden"), PicklistValue(value="2", label="Silver"))
    more = (
        field("udf:Hours", FieldType.DOUBLE),
        field("udf:Since", FieldType.DATETIME, is_date_only=True),
        field("udf:Rank", picklist=ranks),
        field("udf:Code", length=3),
    )
    udf = {"hours": spec("A"), "since": spec("B", date="%d/%m/%Y"), "rank": spec("C"), "code": spec("D")}
    mapper = compiled({}, "A B C D", udf=udf, shape=entity(more=more))
    assert mapper.map(Row(cells=("1.50", "29/02/2016", "golden", "007"))) == Record(
        values={
            "udf:Hours": 1.5,
            "udf:Since": "2016-02-29T00:00:00Z",
            "udf:Rank": "Golden",
            "udf:Code": "007",
        }
    )
    found = mapper.map(Row(cells=("many", "30/02/2016", "Bronze", "0007")))
    assert [str(error) for error in found] == [  # type: ignore[union-attr]
        "column A 'many': is no number",
        "column B '30/02/2016': is no date of the calendar",
        "column D '0007': has 4 characters, the field takes 3",
        "column C 'Bronze': is no value of udf:Rank. Known: Golden, Silver",  # it may stand there already
    ]


def test_a_user_defined_reference_cannot_be_mapped() -> None:
    """The API neither reads nor writes those."""
    more = (field("udf:Owner", FieldType.LONG, reference="Contacts"),)
    found = faults({}, "A", udf={"Owner": spec(where="job.yaml:30")}, shape=entity(more=more))
    assert found == [
        "job.yaml:30: Owner points to other records. "
        "The API can neither read nor write such user-defined fields"
    ]


# What cannot be meant.


def test_what_is_true_or_false_cannot_be_cleared() -> None:
    """The API takes no null there."""
    more = (field("isVisible", FieldType.BOOLEAN),)
    found = faults({"isVisible": spec(empty=Empty.CLEAR)}, "A", shape=entity(more=more))
    assert found == [
        "job.yaml:10: isVisible is true or false: it cannot be cleared. "
        "Take `empty: clear` out, or give a `default`"
    ]


def test_inactive_is_asked_of_picklists_and_lookups_only() -> None:
    """Nothing that a job says is ignored in silence."""
    allow = {"inactive": Inactive.ALLOW}
    compiled({"status": spec(**allow), "billingCodeID": spec(lookup=("name",), **allow)}, "A")
    for name, kind in (("title", "text"), ("billingCodeID", "of type integer")):
        assert faults({name: spec(**allow)}, "A") == [
            f"job.yaml:10: {name} is {kind}: `inactive` makes no sense. "
            "It goes with picklists, and with `lookup`"
        ]
    compiled({}, "A", udf={"Rank": spec(**allow)}, shape=entity(is_live=False))


@pytest.mark.parametrize(
    ("can", "action", "by", "message"),
    [
        (False, StepAction.CREATE, spec(), "Tasks cannot be created in somebody else's name"),
        (True, StepAction.UPDATE, spec(), "this step's action is `update`. Take it out"),
        (True, StepAction.CREATE, spec(empty=Empty.CLEAR), "there is nothing to clear"),
        (True, StepAction.CREATE, spec("C"), "t.csv has no column `C`"),
    ],
)
def test_impersonate_is_for_creates_of_some_entities(
    can: bool, action: StepAction, by: FieldSpec, message: str
) -> None:
    """The header has an effect nowhere else, so it is refused there."""
    shape = replace(entity(), can_impersonate=can)
    fields: dict[str, FieldSpec | str] = {"title": "A", "projectID": FieldSpec(value="1")}
    found = faults(fields, "A", shape=shape, action=action, by=replace(by, where="job.yaml:91"))
    assert len(found) == 1
    assert found[0].startswith("job.yaml:91: ")
    assert message in found[0]


# Where the tenant says otherwise than the shipped catalog.


def contradicted(shipped: Field, live: Field | None, asked: FieldSpec, **more: Any) -> list[str]:
    """The faults, or the row's errors, where the tenant has `live` and the catalog `shipped`."""
    catalog = entity(is_live=False, more=(shipped,))
    shape = replace(entity(more=(live,) if live else ()), shipped=catalog)
    try:
        mapper = compiled({shipped.name: asked}, "A", shape=shape, **more)
    except JobError as error:
        return [str(fault) for fault in error.faults]
    made = mapper.map(Row(cells=("a" * 60,)))
    return [] if isinstance(made, Record) else [str(error).partition(": ")[2] for error in made]


COUNTS = "The shipped catalog says otherwise, but this tenant's own metadata is what counts"


@pytest.mark.parametrize(
    ("shipped", "live", "asked", "message"),
    [
        (field("note"), None, spec(), f"job.yaml:10: Tasks has no field `note` in this tenant. {COUNTS}"),
        (
            field("note"),
            field("note", is_read_only=True),
            spec(),
            f"job.yaml:10: note is read-only. {COUNTS}",
        ),
        (
            field("note", length=100),
            field("note", length=50),
            spec(),
            "has 60 characters, the field takes 50 in this tenant (the shipped catalog says 100)",
        ),
        (
            field("when", FieldType.DATETIME),
            field("when"),
            spec(date="%Y-%m-%d"),
            "job.yaml:10: when is no date but text: `date` makes no sense. Take `date` out. "
            "In this tenant when is of type string, by the shipped catalog of type datetime",
        ),
    ],
)
def test_both_sides_are_named_where_the_tenant_says_otherwise(
    shipped: Field, live: Field | None, asked: FieldSpec, message: str
) -> None:
    """Who wrote the job by the documentation learns that the tenant differs, and in what."""
    assert contradicted(shipped, live, asked) == [message]


def test_what_only_the_tenant_requires_is_said_to_be_so() -> None:
    """The field is named once among those that miss, and once more as the tenant's own wish."""
    catalog = entity(is_live=False, more=(field("queueID", FieldType.INTEGER),))
    live = entity(more=(field("queueID", FieldType.INTEGER, is_required=True),))
    shape = replace(live, shipped=catalog)
    (found,) = faults({"title": "A"}, "A", shape=shape, action=StepAction.CREATE)
    assert found == (
        "job.yaml:9: projectID, queueID are required and not mapped. `create` of Tasks needs a value for "
        "each: a column, or a constant. This tenant requires `queueID`, the shipped catalog does not"
    )


def test_the_tenant_is_not_contradicted_where_both_agree() -> None:
    """A fault of the job alone says nothing of catalogs."""
    shape = replace(entity(), shipped=entity(is_live=False))
    assert "catalog" not in " ".join(faults({"title": spec(number=NumberSpec()), "x": "B"}, shape=shape))
