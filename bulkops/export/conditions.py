"""`--where`: a job's `where` as JSON, read by the same grammar. Pure."""

from __future__ import annotations

from bulkops.errors import Fault, JobError
from bulkops.job.model import Condition
from bulkops.job.sources import conditions_of
from bulkops.job.yamlfile import Faults, Items, Node, Table, Text, parse_yaml

_EXAMPLE = """Write it like '[{"field": "status", "op": "eq", "value": "New"}]'."""


def read_conditions(text: str, where: str) -> tuple[Condition, ...]:
    """The conditions of a JSON list, or of one JSON object. `where` is what faults call their place.

    JSON is read as YAML, whose subset it is, so that every fault has its line and column. Raises JobError.
    """
    faults = Faults(where)
    if not text.strip():
        raise JobError([Fault(where=where, message="is empty", hint=_EXAMPLE)])
    node = parse_yaml(text, faults)
    if isinstance(node, Text):
        raise JobError([Fault(where=where, message="is no list of conditions", hint=_EXAMPLE)])
    found = () if node is None else conditions_of(node, faults)
    if node is not None:
        _refuse_nulls(node, faults)
    if faults.found:
        raise faults.error()
    return found


def _refuse_nulls(node: Node, faults: Faults) -> None:
    """In JSON `null` is nothing, and no text as it is in a job."""
    if isinstance(node, Text):
        if node.text == "null" and not node.style:
            hint = "`exist` and `notExist` ask whether a field holds something."
            faults.add(node.place, "null is no value to compare with", hint)
    elif isinstance(node, Items):
        for item in node.items:
            _refuse_nulls(item, faults)
    elif isinstance(node, Table):
        for entry in node.entries:
            _refuse_nulls(entry.value, faults)
