"""Lost answers over real sockets: whatever a key holds, a record that was stored is found by it."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import aiohttp
import pytest

import bulkops
from bulkops.simulator import Options, Running, running
from bulkops.targets.autotask.session import connect
from bulkops.tenant import Tenant

Case: TypeAlias = tuple[str, str, str, str, Sequence[str]]
"""Entity, the fields it needs, the match field, how it is filled, and its keys."""

COMPANY = "companyName: Name\n      companyType: {value: Customer}\n      phone: {value: '1'}"
COMPANY += "\n      ownerResourceID: {value: '4'}"
TICKET = (
    "title: Name\n      companyID: {value: '0'}\n      status: {value: '1'}\n      priority: {value: '1'}"
)
PROJECT = "projectName: Name\n      companyID: {value: '0'}\n      projectType: {value: Client}"
PROJECT += "\n      status: {value: '1'}\n      endDateTime: {value: '2031-01-01'}"

ODD = (
    "  in front", "behind  ", "a\nb", "c\r\nd", "E\u0301", "nbsp\u00a0", "\u2003em", "Łódź", "0012", "1e5",
    "ß", "100%", "O'Hara", "[x]", "N/A", "true", "😀",
)  # fmt: skip
CASES: dict[str, Case] = {
    "text": ("Companies", COMPANY, "companyNumber", "Key", ODD),
    "rich text": ("Tickets", TICKET, "description", "Key", ("a  b", "c\nd", "e\r\n  f ", "<b>g</b>")),
    "moment": (
        "Tickets", TICKET, "dueDateTime", "Key",
        ("2026-02-01T10:00:00.123Z", "2026-02-02", "2026-02-03T10:00:00+02:00"),
    ),
    "date": ("Projects", PROJECT, "startDateTime", "Key", ("2030-02-01", "2030-02-03T23:30:00-05:00")),
    "fraction": ("Tickets", TICKET, "estimatedHours", "Key", ("0.1", "0.333333333333", "7", "1e2")),
    "boolean": ("Companies", COMPANY, "isTaxExempt", "Key", ("true", "no")),
    "reference": (
        "Companies", COMPANY, "parentCompanyID", "{column: Key, lookup: companyName}", ("  ACME ",),
    ),
}  # fmt: skip


class NoWait(random.Random):
    """Waits that are drawn at random are over at once."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


def write_job(folder: Path, case: Case) -> Path:
    entity, fields, match, spec, keys = case
    with (folder / "x.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("Name", "Key"), *((f"Name {n}", key) for n, key in enumerate(keys))])
    (folder / "job.yaml").write_text(
        f"version: 1\nname: keys\ntenant: acme\nmissing: ['']\nsteps:\n  - name: only\n    entity: {entity}\n"
        f"    action: upsert\n    source: {{file: x.csv, encoding: utf-8}}\n    match: [{match}]\n"
        f"    fields:\n      {fields}\n      {match}: {spec}\n",
        "utf-8",
    )
    return folder / "job.yaml"


def tenant(simulator: Running) -> Tenant:
    return Tenant.model_validate(
        {"name": "acme", "url": simulator.url, "username": "u", "secret": "s", "integration_code": "c",
         "settle_s": 0.1, "budget": {"release_ms": 0}}
    )  # fmt: skip


@pytest.mark.parametrize("trim", ["on", "off"])
@pytest.mark.parametrize("case", CASES)
async def test_a_record_whose_answer_was_lost_is_found_by_its_key(
    case: str, trim: str, tmp_path: Path
) -> None:
    """Every answer is lost: each row is applied once, and planning again finds them all."""
    entity, _, _, _, keys = CASES[case]
    options = Options(release_ms=0, tiers=False, switches={"trim": trim})
    async with running(options) as simulator:
        table = simulator.store.table(entity)
        if entity == "Companies":
            table.insert({"companyName": "Acme", "companyType": 1, "phone": "1", "isActive": True})
        before = set(table.ids)
        job = bulkops.load_job(write_job(tmp_path, CASES[case]))
        async with connect(tenant(simulator), rng=NoWait()) as target:
            plan = await bulkops.build_plan(job, target, tmp_path / "x.plan")
            async with aiohttp.ClientSession() as session:
                faults = {"faults": [{"method": "POST", "entity": entity, "do": "drop_after_commit"}]}
                await session.post(f"{simulator.control}/faults", json=faults)
            status = await bulkops.apply_plan(plan, target, rng=NoWait())
            again = await bulkops.build_plan(job, target, tmp_path / "y.plan")
        assert plan.counts["create"] == len(keys)
        assert status.counts["applied"] == len(keys)
        assert {fate.id for fate in plan.fates()} == set(table.ids) - before
        assert len(set(table.ids) - before) == len(keys)
        assert again.counts["unchanged"] == len(keys)
