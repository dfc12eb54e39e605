"""The mapping of rows: the right record, or every error of the row at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.errors import JobError
from bulkops.job.model import Empty, FieldSpec, FileSource, Inactive, NumberSpec, Step, StepAction
from bulkops.mapping import Mapper, compile_mapping
from bulkops.record import FromStep, Lookup, Record, Row, RowError, Scalar, Value
from bulkops.schema import Entity, Field, FieldType, Parent, PicklistValue
from bulkops.sources import open_source
from bulkops.targets.autotask.catalog import load_catalog

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the folder ../shared/data is not there")


def field(name: str, kind: FieldType = FieldType.STRING, **more: Any) -> Field:
    return Field(name=name, type=kind, **more)


STATUS = (PicklistValue(value="1", label="New"), PicklistValue(value="5", label="Complete"),
          PicklistValue(value="9", label="Old", is_active=False))  # fmt: skip
SUBISSUES = (
    PicklistValue(value="10", label="Other", parent="1"),
    PicklistValue(value="20", label="Other", parent="5"),
)
FIELDS = (
    field("id", FieldType.LONG, is_required=True, is_read_only=True),
    field("title", length=20, is_required=True, label="Task Title"),
    field("projectID", FieldType.INTEGER, reference="Projects", is_required=True, is_read_only=True),
    field("status", FieldType.INTEGER, picklist=STATUS),
    field("subStatus", FieldType.INTEGER, picklist=SUBISSUES, picklist_parent="Status"),
    field("description"),
    field("hours", FieldType.DOUBLE),
    field("priority", FieldType.INTEGER),
    field("startDateTime", FieldType.DATETIME),
    field("endDateTime", FieldType.DATETIME, is_date_only=True),
    field("isActive", FieldType.INTEGER),
    field("isVisible", FieldType.BOOLEAN),
    field("billingCodeID", FieldType.INTEGER, reference="BillingCodes", soap_name="AllocationCodeID"),
    field("assignedResourceID", FieldType.INTEGER, reference="Resources"),
    field("otherID", FieldType.INTEGER),
    field("taskNumber", is_read_only=True),
    field("udf:Legacy ID"),
)


def entity(*, is_live: bool = True, parent: Parent | None = None, more: tuple[Field, ...] = ()) -> Entity:
    return Entity(
        name="Tasks", singular="Task", can={"create": "child" if parent else "root", "update": "root"},
        is_queryable=True, has_udfs=True, can_impersonate=True, is_live=is_live, parent=parent,
        fields={item.name: item for item in (*FIELDS, *more)},
    )  # fmt: skip


LIVE = entity()
MISSING = ("", "NULL")


def step_of(
    fields: Mapping[str, FieldSpec | str],
    *,
    action: StepAction = StepAction.UPDATE,
    match: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    udf: Mapping[str, FieldSpec] | None = None,
    by: FieldSpec | None = None,
) -> Step:
    """A step whose fields stand in the lines from 10 on."""
    specs = {}
    for n, (name, spec) in enumerate(fields.items()):
        given_ = FieldSpec(column=spec) if isinstance(spec, str) else spec
        specs[name] = FieldSpec(
            **{k: getattr(given_, k) for k in FieldSpec.__slots__} | {"where": f"job.yaml:{10 + n}"}
        )
    return Step(
        name="tasks", entity="Tasks", action=action, source=FileSource(file=Path("t.csv"), display="t.csv"),
        match=match, fields=specs, udf=udf or {}, ignore=ignore, impersonate=by, file="job.yaml", line=3,
        lines={"fields": 9, "match": 8, "ignore": 90, "impersonate": 91},
    )  # fmt: skip


def compiled(
    fields: Mapping[str, FieldSpec | str], columns: str = "A B", *, shape: Entity = LIVE, **more: Any
) -> Mapper:
    return compile_mapping(step_of(fields, **more), shape, columns.split(), missing=MISSING, file="t.csv")


def record_of(fields: Mapping[str, FieldSpec | str], *cells: str, **more: Any) -> Record:
    columns = " ".join("ABCDEFGH"[: len(cells)])
    record = compiled(fields, columns, **more).map(Row(cells=cells, line=2))
    assert isinstance(record, Record), record
    return record


def mapped(fields: Mapping[str, FieldSpec | str], *cells: str, **more: Any) -> Mapping[str, Value]:
    """The record of one row whose columns are A, B, … and which has no error."""
    record = record_of(fields, *cells, **more)
    assert not record.choices
    return record.values


def errors(fields: Mapping[str, FieldSpec | str], *cells: str, **more: Any) -> list[str]:
    columns = " ".join("ABCDEFGH"[: len(cells)])
    found = compiled(fields, columns, **more).map(Row(cells=cells, line=2))
    assert isinstance(found, tuple), found
    return [str(error) for error in found]


A = FieldSpec(column="A")


def spec(column: str | None = "A", **more: Any) -> FieldSpec:
    return FieldSpec(column=column, **more)


# Rows to records.


def test_columns_become_typed_fields() -> None:
    """Each by the type of its field; text to the letter."""
    fields: dict[str, FieldSpec | str] = {
        "title": "A", "status": "B", "hours": "C", "isVisible": "D", "isActive": "E", "endDateTime": "F",
        "projectID": "G", "description": "H",
    }  # fmt: skip
    values = mapped(fields, " 007 ", "complete", "1.5", "yes", "TRUE", "2016-02-29", "12", "a\r\n b")
    assert values == {
        "title": " 007 ", "status": 5, "hours": 1.5, "isVisible": True, "isActive": 1,
        "endDateTime": "2016-02-29T00:00:00Z", "projectID": 12, "description": "a\r\n b",
    }  # fmt: skip


def test_field_names_are_found_in_any_case_and_spelled_as_the_entity_does() -> None:
    """The API ignores the case of names; records do not mix spellings."""
    assert mapped({"TITLE": "A"}, "x") == {"title": "x"}


@pytest.mark.parametrize("cell", ["", "  ", "NULL", " NULL "])
def test_a_cell_that_says_nothing_leaves_its_field_alone(cell: str) -> None:
    """Absent from the record, so neither compared nor sent."""
    assert mapped({"title": "A", "hours": "B"}, "x", cell) == {"title": "x"}


def test_missing_texts_count_to_the_letter() -> None:
    """`null` is a name unless the job says otherwise."""
    assert mapped({"title": "A"}, "null") == {"title": "null"}


def test_a_blank_cell_says_nothing_whatever_the_job_lists() -> None:
    """No field can hold an empty text, so one is never sent; clearing is said with `empty: clear`."""
    mapper = compile_mapping(step_of({"title": "A"}), LIVE, ["A"], missing=("NULL",), file="t.csv")
    assert mapper.map(Row(cells=(" ",))) == Record(values={})


def test_an_empty_cell_clears_or_rejects_as_declared() -> None:
    """`empty: clear` is None, `empty: reject` an error that names the field."""
    assert mapped({"hours": spec(empty=Empty.CLEAR)}, "NULL") == {"hours": None}
    assert errors({"hours": spec(empty=Empty.REJECT)}, "") == [
        "column A: is empty, which the job rejects for hours"
    ]


def test_a_default_stands_where_there_is_no_value() -> None:
    """In the field's own terms: not translated by `labels`, and before `empty` is asked."""
    status = spec(labels={"open": "New"}, default="Complete", empty=Empty.REJECT)
    assert mapped({"status": status}, "") == {"status": 5}
    assert mapped({"status": status}, "open") == {"status": 1}


def test_a_default_date_may_be_iso_whatever_the_sources_format_is() -> None:
    """The job's author writes it, not the other system."""
    end = spec(date="%d/%m/%Y", default="2026-01-31")
    assert mapped({"endDateTime": end}, "") == {"endDateTime": "2026-01-31T00:00:00Z"}
    assert mapped({"endDateTime": spec(date="%d/%m/%Y", default="31/01/2026")}, "") == mapped(
        {"endDateTime": end}, ""
    )


def test_a_constant_is_in_every_record() -> None:
    """A label, a number or a text; an empty one with `clear` clears the field."""
    fields = {
        "status": spec(None, value="Complete"),
        "title": A,
        "hours": spec(None, value="", empty=Empty.CLEAR),
    }
    assert mapped(fields, "x") == {"status": 5, "title": "x", "hours": None}


def test_labels_translate_the_sources_words() -> None:
    """Trimmed, in any case where that is unambiguous; also for texts that else mean nothing."""
    status = spec(labels={"Open": "New", "Done ": "5", "NULL": "Complete", "-": ""})
    for cell, value in (("Open", 1), (" open ", 1), ("DONE", 5), ("NULL", 5)):
        assert mapped({"status": status}, cell) == {"status": value}
    assert mapped({"status": status}, "-") == {}


def test_a_word_that_labels_do_not_have_is_an_error() -> None:
    """Never passed on as it is, and never replaced by the default."""
    status = spec(labels={"Open": "New", "Done": "Complete"}, default="New")
    assert errors({"status": status}, "Opne") == [
        "column A 'Opne': is not among the `labels` of the job. Is it 'Open'? Known: Open, Done"
    ]


def test_labels_that_differ_by_case_are_told_apart() -> None:
    """As written; in another case nobody knows."""
    status = spec(labels={"a": "New", "A": "Complete"})
    assert mapped({"status": status}, "A") == {"status": 5}
    assert mapped({"title": spec(labels={"b": "x", "B": "y"})}, "b") == {"title": "x"}
    assert "not among" in errors({"title": spec(labels={"bc": "x", "BC": "y"})}, "Bc")[0]


def test_templates_join_columns() -> None:
    """A text that comes out blank says nothing, and missing cells are empty in it."""
    fields = {"description": FieldSpec(template="{{ row['A'] }}{% if B %} ({{ B }}){% endif %}")}
    assert mapped(fields, "x", "NULL") == {"description": "x"}
    assert mapped(fields, "x", "y") == {"description": "x (y)"}
    assert mapped(fields, "", "NULL") == {}


def test_what_a_template_makes_is_typed_and_shown_where_it_does_not_fit() -> None:
    """It stands in no cell, so the message says what it was."""
    fields = {"hours": FieldSpec(template="{{ A }}.{{ B }}")}
    assert mapped(fields, "1", "5") == {"hours": 1.5}
    assert errors(fields, "1", "x") == ["hours: '1.x', made by the template, is no number"]


def test_dates_and_numbers_are_read_as_the_job_says() -> None:
    """Format, zone, decimal sign."""
    fields = {
        "startDateTime": spec(date="%d-%m-%Y %H:%M", timezone="Europe/Madrid"),
        "hours": spec("B", number=NumberSpec(decimal=",", thousands=".")),
    }
    assert mapped(fields, "01-07-2016 00:30", "1.234,5") == {
        "startDateTime": "2016-06-30T22:30:00Z",
        "hours": 1234.5,
    }


def test_lookups_become_references_with_the_texts_of_the_key() -> None:
    """Trimmed, since keys are compared so; the entity is the field's, or the one named."""
    fields = {
        "assignedResourceID": spec(lookup=("email",)),
        "otherID": FieldSpec(columns=("A", "B"), lookup=("companyID", "email"), entity="Contacts"),
        "billingCodeID": FieldSpec(value="Work", lookup=("name",)),
    }
    assert mapped(fields, " a@b.c ", "x") == {
        "assignedResourceID": Lookup(entity="Resources", fields=("email",), values=("a@b.c",), column="A"),
        "otherID": Lookup(
            entity="Contacts", fields=("companyID", "email"), values=("a@b.c", "x"), column="A, B"
        ),
        "billingCodeID": Lookup(entity="BillingCodes", fields=("name",), values=("Work",)),
    }


def test_from_becomes_a_reference_to_another_step() -> None:
    """With the source's texts, one or several."""
    fields = {"projectID": spec(from_="projects"), "otherID": FieldSpec(columns=("A", "B"), from_="phases")}
    assert mapped(fields, " P-1", "x ") == {
        "projectID": FromStep(step="projects", key=("P-1",), column="A"),
        "otherID": FromStep(step="phases", key=("P-1", "x"), column="A, B"),
    }


def test_a_composite_key_says_nothing_or_everything() -> None:
    """Its last column empty: no value (a project is named, a phase is not). Another one: an error."""
    fields = {"otherID": FieldSpec(columns=("A", "B"), lookup=("x", "y"), entity="Contacts")}
    assert mapped(fields, "", "NULL") == {}
    assert mapped(fields, "a", "NULL") == {}
    assert errors(fields, "", "b") == ["column A, B: A says nothing, and the key needs all of 2 columns"]


def test_a_dependent_picklist_is_read_inside_its_parents_value() -> None:
    """Whichever of the two the job names first, and however the parent is spelled."""
    fields = {"subStatus": "B", "status": "A"}
    assert mapped(fields, "Complete", "Other") == {"status": 5, "subStatus": 20}
    assert mapped(fields, "New", "Other") == {"status": 1, "subStatus": 10}
    assert mapped({"status": "A", "subStatus": FieldSpec(value="Other")}, "5") == {
        "status": 5,
        "subStatus": 20,
    }


def test_inactive_values_pass_only_where_allowed() -> None:
    """`inactive: allow` is the author's word for it; a record that holds one already may keep it."""
    create = {"title": FieldSpec(value="x"), "projectID": FieldSpec(value="1"), "status": A}
    assert errors(create, "Old", action=StepAction.CREATE) == [
        "column A 'Old': is inactive in status; set `inactive: allow` to send it all the same"
    ]
    record = compiled({"status": "A"}, "A").map(Row(cells=("Old",)))
    assert isinstance(record, Record)
    assert record.values == {"status": 9}
    assert "is inactive" in str(record.doubts["status"])
    assert record_of({"status": spec(inactive=Inactive.ALLOW)}, "Old") == Record(values={"status": 9})


def test_a_doubt_is_told_with_the_errors_of_its_row() -> None:
    """A row that is lost anyway is not told one thing at a time."""
    assert errors({"status": "A", "hours": "B"}, "Old", "many") == [
        "column B 'many': is no number",
        "column A 'Old': is inactive in status; set `inactive: allow` to send it all the same",
    ]


def test_what_can_be_told_of_a_faulty_row_is_told() -> None:
    """So that its references can be looked for as well, and all that is wrong is heard of at once."""
    mapper = compiled({"hours": "A", "billingCodeID": spec("B", lookup=("name",))})
    record, told = mapper.parts(Row(cells=("many", "Work")))
    assert list(record.values) == ["billingCodeID"]
    assert [str(error) for error in told] == ["column A 'many': is no number"]


# Choices that wait for the record.


def test_a_label_without_its_parents_value_waits_for_the_record() -> None:
    """On an update the record's own value decides; the parent is read for that."""
    mapper = compiled({"subStatus": "A"}, "A")
    assert mapper.needs == ("status",)
    record = mapper.map(Row(cells=(" other",)))
    assert isinstance(record, Record)
    assert record.values == {}
    for status, value in ((1, 10), (5, 20)):
        chosen = mapper.chosen(record, {"status": status})
        assert isinstance(chosen, Record)
        assert (chosen.values, chosen.choices) == ({"subStatus": value}, {})


@pytest.mark.parametrize(
    ("current", "message"),
    [
        ({"status": 9}, "where status is Old (9), only where it is New (1) or Complete (5)"),
        ({"status": None}, "where status is empty, only where it is New (1) or Complete (5)"),
        ({}, "where status is empty, only where it is New (1) or Complete (5)"),
    ],
)
def test_a_label_under_another_parent_than_the_records_is_refused(
    current: dict[str, Scalar], message: str
) -> None:
    """With column and text, as any other error of the row."""
    mapper = compiled({"subStatus": "A"}, "A")
    record = mapper.map(Row(cells=("Other",)))
    assert isinstance(record, Record)
    (error,) = mapper.chosen(record, current)  # type: ignore[misc]
    assert str(error) == f"column A 'Other': is no value of subStatus {message}"


def test_a_label_of_no_parent_is_refused_without_a_record() -> None:
    """In a cell as an error, in the job as a fault."""
    assert "is no value of subStatus. Is it 'Other'?" in errors({"subStatus": "A"}, "Otehr")[0]
    with pytest.raises(JobError, match="'Otehr' is no value of subStatus"):
        compiled({"subStatus": FieldSpec(value="Otehr")}, ignore=("A", "B"))


def test_a_new_record_has_no_other_parents_value_than_the_rows() -> None:
    """Where the row does not say it, nothing can be chosen inside it."""
    create = {"title": FieldSpec(value="x"), "projectID": FieldSpec(value="1"), "subStatus": A}
    assert errors(create, "Other", action=StepAction.CREATE) == [
        "column A 'Other': is no value of subStatus where status is empty, "
        "only where it is New (1) or Complete (5)"
    ]


def test_a_cleared_parent_has_no_values_inside() -> None:
    """The row itself says so: nothing of the record is asked."""
    fields = {"status": spec(empty=Empty.CLEAR), "subStatus": spec("B")}
    assert "where status is empty" in errors(fields, "", "Other")[0]


# Who creates.


def test_impersonate_is_read_row_by_row_and_is_no_field() -> None:
    """By lookup or as an id; a row that names nobody is created by the API user."""
    made: dict[str, Any] = {"action": StepAction.CREATE}
    fields: dict[str, FieldSpec | str] = {"title": "A", "projectID": FieldSpec(value="1")}
    values: dict[str, Value] = {"title": "x", "projectID": 1}
    by = spec("B", lookup=("email",))
    lookup = Lookup(entity="Resources", fields=("email",), values=("a@b.c",), column="B")
    assert record_of(fields, "x", "a@b.c", by=by, **made) == Record(values=values, impersonate=lookup)
    assert record_of(fields, "x", "", by=by, **made) == Record(values=values)
    assert record_of(fields, "x", "29683", by=spec("B"), **made) == Record(values=values, impersonate=29683)
    assert errors(fields, "x", "Jane", by=spec("B"), **made) == [
        "column B 'Jane': is no id. To find the record by another field, set `lookup`"
    ]
    assert errors(fields, "x", "", by=spec("B", empty=Empty.REJECT), **made) == [
        "column B: is empty, which the job rejects for impersonate"
    ]


def test_user_defined_fields_are_keyed_by_their_prefix() -> None:
    """From `udf`; offline, a field that is not known is taken as described."""
    udf = {"Legacy ID": A, "Rank": spec("B", number=NumberSpec())}
    assert mapped({}, "x", "5", udf=udf, shape=entity(is_live=False)) == {
        "udf:Legacy ID": "x",
        "udf:Rank": 5.0,
    }


# Errors of rows.


def test_all_errors_of_a_row_are_told_at_once() -> None:
    """With column and text each."""
    fields: dict[str, FieldSpec | str] = {"title": "A", "hours": "B", "status": "C"}
    assert errors(fields, "x" * 21, "many", "Nwe") == [
        f"column A '{'x' * 21}': has 21 characters, the field takes 20",
        "column B 'many': is no number",
        "column C 'Nwe': is no value of status. Is it 'New'? Known: New, Complete",
    ]


def test_an_error_has_its_parts() -> None:
    """For the result files: column, text and field apart from the message."""
    (error,) = compiled({"hours": "A", "title": "B"}).map(Row(cells=("x", "y")))  # type: ignore[misc]
    assert error == RowError(message="is no number", column="A", value="x", field="hours")


def test_a_row_of_another_width_is_one_error() -> None:
    """Reading by position would put the country into the phone column."""
    mapper = compiled({"title": "A", "hours": "B"})
    assert mapper.map(Row(cells=("a",), line=7)) == (
        RowError(message="line 7 has 1 cells, the header has 2"),
    )
    assert mapper.map(Row(cells=("a", "1"), line=7, fault="line 7 is odd")) == (
        RowError(message="line 7 is odd"),
    )


def test_a_required_field_must_have_a_value_on_create() -> None:
    """On an update it is merely left alone; clearing it is an error in any action."""
    fields = {"title": A, "projectID": FieldSpec(value="1")}
    assert errors(fields, "", action=StepAction.CREATE) == ["column A: is empty, and title is required"]
    assert mapped(fields, "") == {"projectID": 1}
    cleared = {"title": spec(empty=Empty.CLEAR), "projectID": FieldSpec(value="1")}
    assert "cannot be cleared" in errors(cleared, "")[0]


@pytest.mark.parametrize("action", [StepAction.CREATE, StepAction.UPDATE, StepAction.UPSERT])
def test_an_empty_match_key_is_an_error(action: StepAction) -> None:
    """Whatever `empty` says: nothing can be found by nothing."""
    fields = {
        "description": spec(empty=Empty.CLEAR),
        "title": FieldSpec(value="x"),
        "projectID": FieldSpec(value="1"),
    }
    assert errors(fields, "", action=action, match=("description",)) == [
        "column A: is empty, and description is a match key"
    ]


# Always.

TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "NULL",
        "1",
        "-1",
        "1e400",
        "12.0",
        "yes",
        "New",
        "Other",
        "2016-02-29",
        "29/02/2016",
        "\0",
        "x" * 30,
        "٣",
    ]
)
EVERYTHING: dict[str, FieldSpec | str] = {
    "title": "A", "projectID": "B", "status": "C", "subStatus": "D",
    "description": FieldSpec(template="{{ A }}{{ row['B'] | upper }}{{ C[3] }}"),
    "hours": spec("D", number=NumberSpec(decimal=",", thousands=".")), "priority": "E",
    "startDateTime": spec("E", date="%d/%m/%Y", timezone="Europe/Madrid"),
    "endDateTime": spec("F", empty=Empty.CLEAR),
    "isActive": spec("F", default="no"), "isVisible": spec("G", labels={"1": "true", "yes": "no"}),
    "billingCodeID": spec("G", lookup=("name",)),
    "assignedResourceID": FieldSpec(columns=("A", "H"), lookup=("a", "b")), "otherID": spec("H", from_="x"),
}  # fmt: skip
MAPPER = compiled(EVERYTHING, "A B C D E F G H", action=StepAction.CREATE)


@settings(max_examples=300)
@given(st.lists(TEXTS, min_size=7, max_size=9))
def test_any_row_is_a_record_or_all_its_errors(cells: list[str]) -> None:
    """Mapping never raises, whatever the cells hold."""
    result = MAPPER.map(Row(cells=tuple(cells), line=2))
    if isinstance(result, Record):
        assert set(result.values) <= set(MAPPER.fields)
    else:
        assert result
        assert all(str(error) for error in result)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_text_reaches_the_record_to_the_letter(text: str) -> None:
    """Or says nothing, when it is blank or a missing text."""
    values = mapped({"title": "A"}, text)
    assert values == ({} if text.strip() in MISSING else {"title": text})


# A real file.


@needs_data
def test_northwind_as_companies() -> None:
    """67 rows arrive to the letter; 24 are rejected with a reason that names the line."""
    source = open_source(FileSource(file=DATA / "northwind-customers.csv", display="northwind.csv"))
    fields: dict[str, FieldSpec | str] = {
        "companyNumber": "customerID", "companyName": "companyName", "address1": "address", "city": "city",
        "state": "region", "postalCode": "postalCode", "phone": "phone", "fax": "fax",
        "companyType": FieldSpec(value="Customer"), "ownerResourceID": FieldSpec(value="29683"),
    }  # fmt: skip
    step = step_of(fields, action=StepAction.CREATE, ignore=("contactName", "contactTitle", "country"))
    companies = load_catalog().find("Companies")
    assert companies
    mapper = compile_mapping(step, companies, source.columns, missing=MISSING, file="northwind.csv")
    rows = list(source.rows())
    results = [mapper.map(row) for row in rows]
    records = [item for item in results if isinstance(item, Record)]
    assert len(records) == 67
    for row, result in zip(rows, results, strict=True):
        if isinstance(result, Record):
            assert result.values["address1"] == row.cells[4]
            assert result.values.get("state", "NULL") == row.cells[6]
        else:
            assert f"line {row.line} has 12 cells, the header has 11" in str(result[0])
    assert records[1].values["postalCode"] == "05021"
    assert records[1].values["city"] == "México D.F."
    assert records[1].values["companyType"] == 1
