"""`--allow KIND=N`: a kind that does not exist releases nothing, so it is refused and not ignored."""

from __future__ import annotations

import pytest

from bulkops.cli.app import UsageError
from bulkops.cli.apply import allowed
from bulkops.safety import KINDS, kind_fault
from bulkops.targets.autotask.catalog import load_catalog

TASKS = load_catalog().entities["Tasks"]
LABELS = {"Tasks": {"status": {"1": "New", "5": "Complete"}}}


@pytest.mark.parametrize(
    "kind",
    [
        *KINDS, "UPDATE", " delete ", "status=Complete", "Status = complete", "status=5", "priority=3",
        "departmentID=Support", "udf:Colour=red", "colour=red",
    ],
)  # fmt: skip
def test_a_kind_that_there_is_is_taken(kind: str) -> None:
    """Actions, labels and values of fields, whatever their case; and every limit that the plan has."""
    assert not kind_fault(kind, limits=["update", "colour=red"], entities=[TASKS], labels=LABELS)


@pytest.mark.parametrize(
    "kind", ["updates", "creat", "status", "status=", "=5", "status=Compleet", "colour=red"]
)
def test_a_kind_that_there_is_not_is_refused_with_those_there_are(kind: str) -> None:
    """One sentence that names what was said, and every kind, the plan's own limits among them."""
    told = kind_fault(kind, limits=["update", "status=Complete"], entities=[TASKS], labels=LABELS)
    assert told.startswith(f"there is no kind `{kind}`. ")
    assert told.endswith(
        "There are `create`, `update`, `delete` and `status=Complete`, "
        "and field=label such as status=Complete"
    )


def test_what_may_have_been_meant_is_asked() -> None:
    """The nearest kind stands in the message."""
    assert "Did you mean `update`?" in kind_fault("updaet")


@pytest.mark.parametrize("option", ["updates=3", "tasks=1", "status=Complete"])
def test_an_option_that_cannot_be_meant_is_a_usage_error(option: str) -> None:
    """Before any file is opened: exit 2."""
    with pytest.raises(UsageError):
        allowed([option])
    assert allowed(["update=3", "status=Complete=5"]) == {"update": 3, "status=Complete": 5}
