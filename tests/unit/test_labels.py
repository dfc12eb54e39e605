"""Labels that are kept with a plan."""

from __future__ import annotations

from bulkops.labels import labels_of
from bulkops.schema import Entity, Field, FieldType, PicklistValue


def test_only_picklists_of_the_fields_in_use_are_kept() -> None:
    """By value, in the entity's own spelling of the field; other fields and unknown ones have none."""
    values = (PicklistValue(value="1", label="New"), PicklistValue(value="5", label="Complete"))
    fields = {
        "status": Field(name="status", type=FieldType.INTEGER, picklist=values),
        "priority": Field(name="priority", type=FieldType.INTEGER, picklist=values),
        "title": Field(name="title", type=FieldType.STRING),
    }
    entity = Entity(name="Tasks", singular="Task", can={}, is_queryable=True, fields=fields)
    assert labels_of(entity, ["Status", "title", "udf:x"]) == {"status": {"1": "New", "5": "Complete"}}
