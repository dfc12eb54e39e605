"""What nobody outside the vendor knows for sure: one switch each, with the likeliest answer as the default.

The names and values are those of `--switch NAME=VALUE` and of `/_simulator/switches`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from bulkops.simulator.catalog import names, suggest

OnOff = Literal["on", "off"]
OffOn = Literal["off", "on"]
Chance = Annotated[float, (0.0, 1.0)]
Milliseconds = Annotated[float, (0.0, 600_000.0)]
Entities = Annotated[str, "names, commas between"]


@dataclass(slots=True, kw_only=True)
class Switches:
    """The switches and their defaults; assignable while the simulator runs."""

    thread_scope: Literal["child", "parent", "both"] = "child"  # whose slot a child path takes
    thread_status: Literal["429", "500"] = "429"  # a request above the thread limit
    thread_excess: Literal["refuse", "wait"] = "refuse"  # wait: what older integrations get
    hour_status: Literal["429", "500", "403"] = "429"  # a request above the hourly threshold
    retry_after: OffOn = "off"  # whether refusals carry the header
    refused_count: OnOff = "on"  # whether refused requests count to the hour
    zone_count: OffOn = "off"  # whether zoneInformation counts to the hour
    tier_half_ms: Milliseconds = 500.0  # what a request waits at 50 % of the threshold
    tier_three_quarters_ms: Milliseconds = 1000.0  # at 75 %
    unauthorized_body: Literal["message", "errors", "empty", "html"] = "message"
    not_found_body: Literal["message", "html"] = "message"  # a path or verb that is not there
    missing_get: Literal["200", "404"] = "200"  # 200: {"item": null}
    exact_page: Literal["null", "url"] = "null"  # nextPageUrl of a full page that is the last one
    empty_filter: Literal["all", "error"] = "all"
    unknown_operator: Literal["drop", "error"] = "drop"
    noteq_null: Literal["exclude", "include"] = "exclude"  # whether noteq and notIn find empty fields
    # "5" in a filter of a number field: no match in a long and a number elsewhere; never a match; a number.
    text_for_number: Literal["long", "never", "number"] = "long"
    in_limit: Literal["500", "off"] = "500"  # values of one `in`
    nesting: Literal["any", "flat"] = "any"  # flat: a group in a group is refused
    or_text: Literal["soap", "rest"] = "soap"  # how the refusal of 501 OR conditions begins
    udf_collection: Literal["omit", "empty"] = "omit"  # an answer in which no record has a UDF value
    parent_mismatch: Literal["path", "error"] = "path"  # another parent in the body than in the path
    foreign_parent: Literal["allow", "error"] = "allow"  # an update under a parent that is not the record's
    # The chance that a write is a deadlock's victim while another request of its entity is in flight.
    lock_failures: Chance = 0.0
    attachment_bytes: Literal["raw", "encoded"] = "raw"  # what counts to 10,000,000 bytes in five minutes
    # PATCH with the id in the path: the Swagger has it nowhere, live reports refuse it at the root, a public
    # client relies on it under a parent.
    id_in_path: Literal["child", "refuse", "any"] = "child"
    trim: OnOff = "on"  # whether the server trims text
    rich_text: Literal["literal", "plain"] = "literal"  # what becomes of markup that the API is sent
    # An update whose record refers to somebody inactive in a field that the body leaves alone.
    stored_references: Literal["unchecked", "checked"] = "unchecked"
    inferred: OnOff = "on"  # refusals of which the rules say INFER: no source states them
    baseline_create: Literal["allow", "refuse"] = "allow"  # a project that becomes a Baseline by the API
    # Whether the end of a project is held against its tasks at every update or when a date changes.
    project_dates: Literal["changed", "always"] = "changed"
    project_reopen: Literal["allow", "refuse"] = "allow"  # another status for a complete project
    # Another status for a complete task: with the remainingHours of the request, which stay 0, or not at all.
    task_reopen: Literal["hours", "frozen", "refuse"] = "hours"
    complete_project: Literal["open", "read_only"] = "open"  # the tasks and phases of a complete project
    task_beyond_project: Literal["allow", "refuse", "extend"] = "allow"  # a task that ends after its project
    predecessor_moves: Literal["create", "lag", "chain"] = "create"  # when a successor's start follows
    predecessor_end: Literal["clamp", "duration"] = "clamp"  # what becomes of the end of a moved task
    task_role: Literal["any", "department"] = "any"  # where the role of a task's resource is held
    task_department: Literal["default", "role"] = "default"  # which department of several a task gets
    ticket_role: Literal["queue", "service_desk", "any"] = "queue"  # what the role on a ticket takes
    ticket_queue: Literal["optional", "required"] = "optional"  # of a ticket that nobody is assigned to
    # Whether a ticket's contact and location may be cleared by the request that changes its company.
    ticket_company: Literal["merged", "stored"] = "merged"
    ticket_helpers: Literal["50", "off"] = "50"  # the most secondary resources of a ticket
    service_call_resource: Literal["any", "assigned"] = "any"  # who may be sent on a service call
    service_call_complete: Literal["linked", "apart"] = "linked"  # isComplete and the status Complete
    opportunity_dates: Literal["follow", "apart"] = "follow"  # closedDate, lostDate and the status
    # Entities of which the API user's security level shows some records only: no read shows odd ids.
    restricted: Entities = ""

    def is_restricted(self, entity: str) -> bool:
        return entity in self.restricted.split(",")

    def values(self) -> dict[str, Any]:
        return asdict(self)

    def set(self, name: str, value: object) -> None:
        """Raises ValueError with the allowed names or values."""
        kinds = _kinds()
        if name not in kinds:
            raise ValueError(
                f"there is no switch {name!r}{suggest(name, kinds)}; switches are {', '.join(kinds)}"
            )
        setattr(self, name, _read(name, kinds[name], value))

    def update(self, values: Mapping[str, object]) -> None:
        """All of them or, when one is wrong, none (ValueError)."""
        trial = Switches(**self.values())
        for name, value in values.items():
            trial.set(name, value)
        for field in fields(self):
            setattr(self, field.name, getattr(trial, field.name))


@lru_cache(maxsize=1)
def _kinds() -> dict[str, Any]:
    return get_type_hints(Switches, include_extras=True)


def _read(name: str, kind: Any, value: object) -> Any:
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        text = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
        text = "null" if value is None else text
        if text not in allowed:
            raise ValueError(f"the switch {name} is {' or '.join(allowed)}, not {text!r}")
        return text
    if get_args(kind)[0] is str:
        return ",".join(_entity(name, text.strip()) for text in str(value).split(",") if text.strip())
    low, high = get_args(kind)[1]
    try:
        number = float(str(value))
    except ValueError:
        number = -1.0
    if not low <= number <= high:
        raise ValueError(f"the switch {name} is a number from {low:g} to {high:g}, not {str(value)!r}")
    return number


def _entity(switch: str, name: str) -> str:
    found = names().get(name.casefold())
    if found is None:
        raise ValueError(f"the switch {switch}: there is no entity {name!r}{suggest(name, names().values())}")
    return found
