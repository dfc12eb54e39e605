"""A job against the shapes of entities: what cannot be done with them is told before anything is read."""

from __future__ import annotations

from pathlib import Path

from bulkops.job import FieldSpec, FileSource, Job, Step, StepAction
from bulkops.job.check import check_job
from bulkops.schema import Entity, Field, FieldType


def shape(name: str, *fields: Field, can: str = "create update", queryable: bool = True, live: bool = False,
          udfs: bool = False) -> Entity:  # fmt: skip
    return Entity(
        name=name,
        singular=name.removesuffix("s"),
        can=dict.fromkeys(can.split(), "root"),
        is_queryable=queryable,
        is_live=live,
        has_udfs=udfs,
        fields={field.name: field for field in (text("id"), *fields)},
    )


def text(name: str, *, queryable: bool = True, reference: str = "", soap: str = "") -> Field:
    return Field(
        name=name, type=FieldType.STRING, is_queryable=queryable, reference=reference, soap_name=soap
    )


CATALOG = {
    entity.name: entity
    for entity in (
        shape(
            "Tasks",
            text("externalID"),
            text("title"),
            text("notes", queryable=False),
            text("billingCodeID", reference="BillingCodes", soap="AllocationCodeID"),
            text("hiddenID", reference="Hidden"),
            text("brokenID", reference="Gone"),
            udfs=True,
        ),
        shape("BillingCodes", text("name"), text("secret", queryable=False), can=""),
        shape("Hidden", text("name"), queryable=False),
        shape("Notes", text("title"), can="create delete"),
    )
}


def faults(
    *,
    entity: str = "Tasks",
    action: StepAction = StepAction.UPSERT,
    match: tuple[str, ...] = (),
    udf: dict[str, FieldSpec] | None = None,
    catalog: dict[str, Entity] = CATALOG,
    **fields: FieldSpec,
) -> list[str]:
    """What is told of a step whose keys stand in lines 1 to 4 and whose fields in line 9."""
    step = Step(
        name="s",
        entity=entity,
        action=action,
        source=FileSource(file=Path("a.csv"), display="a.csv"),
        match=match,
        fields=fields,
        udf=udf or {},
        file="j.yaml",
        line=1,
        lines={"name": 1, "entity": 2, "action": 3, "match": 4},
    )
    job = Job(path=Path("j.yaml"), name="j", tenant="t", steps=(step,))
    found = check_job(job, catalog.get, lambda name: ["Tasks"] if name == "Task" else [])
    return [str(fault) for fault in found]


def lookup(*names: str, entity: str | None = None) -> FieldSpec:
    return FieldSpec(column="C", lookup=names, entity=entity, where="j.yaml:9")


def test_a_step_that_can_be_done_has_no_fault() -> None:
    """Known entity, possible action, queryable keys, a lookup into a queryable entity."""
    assert faults(match=("externalID", "id"), billingCodeID=lookup("name"), title=FieldSpec(column="T")) == []


def test_names_are_found_whatever_their_case() -> None:
    """The API ignores the case of field names, and so does the check."""
    assert faults(match=("EXTERNALID",), BillingCodeId=lookup("NAME")) == []


def test_an_unknown_entity_is_told_with_what_may_have_been_meant() -> None:
    """The suggestion is the catalog's; without one, the way to the list."""
    assert faults(entity="Task") == ["j.yaml:2: `Task` is no entity. Did you mean `Tasks`?"]
    assert faults(entity="Zebras") == ["j.yaml:2: `Zebras` is no entity. `bulkops describe` lists them."]


def test_an_impossible_action_says_what_is_possible() -> None:
    """Each action the entity lacks is named, an upsert's two as well. What is created and never updated can
    be upserted: made where it is not there, unchanged where it is.
    """
    assert faults(action=StepAction.DELETE) == [
        "j.yaml:3: Tasks cannot be deleted, which `delete` needs. It allows `create` and `update`."
    ]
    assert faults(entity="Notes") == []
    assert faults(entity="Notes", action=StepAction.UPDATE) == [
        "j.yaml:3: Notes cannot be updated, which `update` needs. It allows `create` and `delete`."
    ]
    assert faults(entity="BillingCodes") == [
        "j.yaml:3: BillingCodes cannot be created or updated, which `upsert` needs. It can only be read."
    ]


def test_match_fields_must_exist_and_be_queryable() -> None:
    """A key by which nothing can be found is refused; the older API's names are known."""
    assert faults(match=("externalId", "titel", "notes")) == [
        "j.yaml:4: Tasks has no field `titel`, which `match` names. Did you mean `title`?",
        "j.yaml:4: Tasks.notes cannot be queried, so `match` cannot name it. "
        "`bulkops describe Tasks` shows what can be.",
    ]
    assert faults(match=("AllocationCodeID",)) == [
        "j.yaml:4: Tasks has no field `AllocationCodeID`, which `match` names. "
        "That is the older API's name; here it is `billingCodeID`"
    ]
    assert faults(entity="Hidden", match=("name",)) == [
        "j.yaml:4: Hidden cannot be queried, so no record can be matched"
    ]


def test_user_defined_fields_are_left_to_the_tenant() -> None:
    """Offline only their impossibility is known; with the tenant's metadata each of them."""
    assert faults(match=("udf:Legacy",)) == []
    assert faults(entity="Hidden", match=()) == []
    no_udfs = {"Tasks": shape("Tasks")}
    assert faults(match=("udf:Legacy",), catalog=no_udfs) == [
        "j.yaml:4: Tasks has no user-defined fields, and `match` names `udf:Legacy`"
    ]
    live = {"Tasks": shape("Tasks", text("udf:Legacy ID"), udfs=True, live=True)}
    assert faults(match=("udf:Legacy",), catalog=live) == [
        "j.yaml:4: Tasks has no field `udf:Legacy`, which `match` names. Did you mean `udf:Legacy ID`?"
    ]


def test_lookups_need_an_entity_and_queryable_fields() -> None:
    """Where to look and by what is checked; `entity` stands in for a missing reference."""
    assert faults(title=lookup("name")) == [
        "j.yaml:9: `title` refers to no entity. Name the entity to look in: `entity: …`."
    ]
    assert faults(title=lookup("name", entity="BillingCodes")) == []
    assert faults(udf={"Code": lookup("name")}) == [
        "j.yaml:9: `udf:Code` refers to no entity. Name the entity to look in: `entity: …`."
    ]
    assert faults(billingCodeID=lookup("nmae")) == [
        "j.yaml:9: BillingCodes has no field `nmae`, which `lookup` names. Did you mean `name`?"
    ]
    assert faults(billingCodeID=lookup("secret")) == [
        "j.yaml:9: BillingCodes.secret cannot be queried, so `lookup` cannot name it. "
        "`bulkops describe BillingCodes` shows what can be."
    ]
    assert faults(hiddenID=lookup("name")) == [
        "j.yaml:9: Hidden cannot be queried, so no record can be looked up"
    ]
    assert faults(brokenID=lookup("name")) == [
        "j.yaml:9: `Gone` is no entity. `bulkops describe` lists them."
    ]


def test_an_unknown_field_is_left_to_the_mapping() -> None:
    """One mistake is told once: that a field does not exist is the mapping's to say."""
    assert faults(nonsenseID=lookup("name")) == []
