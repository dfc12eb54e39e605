"""What goes wrong in a campaign: the simulator's whole menu of faults, its switches, and other people.

Nothing here breaks one of the three assumptions of the promise, unless it is asked to: what comes late comes
sooner than `settle_s`, what is refused is not done all the same, and nobody else makes an identical record.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from bulkops.simulator import Running
from bulkops.simulator.faults import Call, Fault, FaultScript
from tests.campaign.history import Others

FIRST_NEW = 10_000  # ids below it are of records that a world began with
LATEST_MS = 150  # of a commit that comes late
SETTLE_S = 0.25
NEWS = "Something new went wrong."
INVALID = "Reference value on field: phone of type: Phone does not exist or is invalid."
LOCK = "Transaction (Process ID 61) was deadlocked on lock resources and chosen as the deadlock victim."
EDITED = ("Companies", "CompanyLocations")  # whose fax the fault `edit` changes
ENDLESS = ("thread_limit", "hour_limit")  # waited for as long as they last

SWITCHES: Mapping[str, tuple[object, ...]] = {
    "trim": ("on", "off"),
    "thread_status": ("429", "500"),
    "hour_status": ("429", "500", "403"),
    "thread_scope": ("child", "parent", "both"),
    "refused_count": ("on", "off"),
    "zone_count": ("on", "off"),
    "unauthorized_body": ("message", "errors", "empty", "html"),
    "not_found_body": ("message", "html"),
    "missing_get": ("200", "404"),
    "exact_page": ("null", "url"),
    "empty_filter": ("all", "error"),
    "unknown_operator": ("drop", "error"),
    "noteq_null": ("exclude", "include"),
    "text_for_number": ("long", "never", "number"),
    "in_limit": ("500", "off"),
    "or_text": ("soap", "rest"),
    "udf_collection": ("omit", "empty"),
    "parent_mismatch": ("path", "error"),
    "foreign_parent": ("allow", "error"),
    "id_in_path": ("child", "refuse", "any"),
    "lock_failures": (0.0, 0.0, 0.02),
}


def some_switches(rng: random.Random) -> dict[str, object]:
    """A few of what nobody knows for sure, otherwise than usual."""
    names = rng.sample(sorted(SWITCHES), rng.randrange(0, 8))
    return {name: rng.choice(SWITCHES[name]) for name in names}


def some_faults(rng: random.Random, *, too_late: bool) -> list[dict[str, Any]]:
    """A few faults, of writes mostly. `too_late`: some commits land after they were given up."""
    faults = _some_faults(rng)
    for fault in faults:
        if too_late and fault["do"] == "late_commit":
            fault["ms"] = 1000 * SETTLE_S + rng.randrange(10, 300)
    return faults


def _some_faults(rng: random.Random) -> list[dict[str, Any]]:
    faults = [_fault(rng) for _ in range(rng.randrange(2, 8))]
    return [_edit(rng), *faults] if rng.random() < 0.3 else faults


def _edit(rng: random.Random) -> dict[str, Any]:
    """Somebody else changes a record just before we do; in the log it looks like any other request."""
    what = {"do": "edit", "fields": {"fax": "theirs"}, "entity": rng.choice(EDITED)}
    return {"call": "update", "when": {"chance": 0.5}, **what}


def _fault(rng: random.Random) -> dict[str, Any]:
    call = rng.choice(["create"] * 6 + ["update"] * 2 + ["delete", "query", "query", "metadata"])
    what = _what(rng, call)
    when: dict[str, Any] = rng.choice(
        [{"chance": rng.choice([0.1, 0.25, 0.5])}, {"every": rng.randrange(2, 7)},
         {"nth": rng.sample(range(1, 20), 6)}]
    )  # fmt: skip
    if what["do"] in ENDLESS:
        when = {"nth": rng.sample(range(1, 20), 3)}
    return {"call": call, "when": when, **what}


def _what(rng: random.Random, call: str) -> dict[str, Any]:
    bare = rng.choice([500, 502, 503, 504])
    menu: list[dict[str, Any]] = [
        {"do": "status", "code": bare},
        {"do": "status", "code": 503, "body": {"errors": ["Service unavailable"]}},
        {"do": "status", "code": 500, "body": {"errors": [LOCK]}},
        {"do": "status", "code": 500, "body": {"errors": [INVALID]}},
        {"do": "status_after_commit", "code": bare},
        {"do": "status_after_commit", "code": 400},
        {"do": "status_after_commit", "code": 503, "body": {"errors": ["Service unavailable"]}},
        {"do": "drop"},
        {"do": "drop_after_commit"},
        {"do": "delay", "ms": rng.randrange(1, 60)},
        {"do": "garbage"},
        {"do": "truncate"},
        {"do": "html_404"},
        {"do": "unauthorized"},
        {"do": "thread_limit"},
        {"do": "hour_limit"},
    ]
    if call not in ("query", "metadata"):
        menu += [{"do": "late_commit", "ms": rng.randrange(1, LATEST_MS)}] * 4
        menu += [{"do": "drop_after_commit"}] * 2
        menu += [{"do": "status", "code": 500, "body": {"errors": [NEWS]}}]
        menu += [{"do": "status_after_commit", "code": 500, "body": {"errors": [NEWS]}}]
    return rng.choice(menu)


class CountedFaults(FaultScript):
    """A fault script that counts what it did, by kind."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.done: Counter[str] = Counter()

    def choose(self, method: str, entity: str, call: Call) -> Fault | None:
        fault = super().choose(method, entity, call)
        if fault is not None:
            self.done[fault.do.value] += 1
        return fault


class Strangers:
    """Other people and other integrations, at work on the same tenant while a plan is applied."""

    def __init__(self, simulator: Running, rng: random.Random, *, meddling: bool) -> None:
        """`meddling`: they change what the plan writes also in records that it has only just made."""
        self._simulator = simulator
        self._rng = rng
        self._meddling = meddling
        self.others = Others()
        self.others.everywhere |= {(entity, "fax") for entity in EDITED}
        self.acts = 0

    async def work(self) -> None:
        """Until it is cancelled."""
        acts = [self._edit, self._edit_planned, self._create, self._delete, self._burn]
        while True:
            await asyncio.sleep(self._rng.uniform(0.002, 0.03))
            self._rng.choice(acts)()
            self.acts += 1

    def _some_company(self) -> int:
        return self._rng.choice(self._simulator.store.table("Companies").ids)

    def _edit(self) -> None:
        self._change(self._some_company(), "city")

    def _edit_planned(self) -> None:
        """What the plan changes too: whoever comes last is right."""
        company = self._some_company()
        if self._meddling or company < FIRST_NEW:
            self._change(company, "phone")

    def _change(self, company: int, name: str) -> None:
        self._simulator.store.table("Companies").update(company, {name: f"others {self.acts}"})
        self.others.edited["Companies", company].add(name)

    def _create(self) -> None:
        entity, row = self._rng.choice(
            [
                ("Companies", {"companyName": "Theirs", "companyNumber": f"X-{self.acts}", "companyType": 1}),
                ("Contacts", {"companyID": 0, "firstName": "X", "lastName": "X", "isActive": 1}),
                ("Tickets", {"title": "Theirs", "externalID": f"X-{self.acts}", "companyID": 0}),
                ("TicketNotes", {"ticketID": 7000, "title": "Theirs", "description": "X"}),
            ]
        )
        self.others.created.add((entity, self._simulator.store.table(entity).insert(row)))

    def _delete(self) -> None:
        entity = self._rng.choice(["ContactGroups", "TicketChecklistItems"])
        ids = [n for n in self._simulator.store.table(entity).ids if self._rng.random() < 0.1]
        for gone in ids[:1]:
            self._simulator.store.table(entity).delete(gone)
            self.others.deleted.add((entity, gone))

    def _burn(self) -> None:
        self._simulator.tenant.run.window.others(self._rng.randrange(1, 6))
