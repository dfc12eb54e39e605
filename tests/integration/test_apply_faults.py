"""Seeded campaign: random jobs, faults and stops over real sockets; no row is lost and none is written twice.

Each seed makes a job of creates, updates, upserts and deletes, applies it in several runs (stopped, cut off
or killed in the middle) while the simulator does everything to it that its fault script can, and then
compares every record with the plan. A seed repeats the job, the faults and the stops; the moment at which
they strike is the machine's.
"""

from __future__ import annotations

import asyncio
import csv
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import bulkops
from bulkops.applier.sender import Sender
from bulkops.change import Action
from bulkops.job import load_job
from bulkops.plan import Fate, Plan, Status
from bulkops.settle import doubts
from bulkops.simulator import Options, Running, running
from bulkops.targets.autotask.session import connect
from bulkops.tenant import Tenant

SETTLE_S = 0.35
LATEST_MS = 250  # of a commit that comes late: sooner than SETTLE_S, as the engine assumes
ROUNDS = 8  # with faults; then the run must come to its end
PATIENCE_S = 12.0  # after which a run is believed to hang

JOB = """\
version: 1
name: campaign
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Number
      companyName: Name
      phone: Phone
      companyType: {value: Customer}
      ownerResourceID: {value: "4"}
  - name: contacts
    entity: Contacts
    action: create
    source: {file: contacts.csv}
    match: [companyID, emailAddress]
    fields:
      companyID: {column: Company, lookup: companyNumber}
      firstName: First
      lastName: Last
      emailAddress: Mail
      isActive: {value: "1"}
  - name: locations
    entity: CompanyLocations
    action: update
    source: {file: locations.csv}
    match: [name]
    fields: {name: Name, city: City}
  - name: groups
    entity: ContactGroups
    action: delete
    source: {file: groups.csv}
    match: [name]
    fields: {name: Name}
limits:
  update: {percent: 100, count: 1000, minimum: 10}
  delete: {percent: 100, count: 1000, minimum: 10}
"""

ENTITIES = ("Companies", "Contacts", "CompanyLocations", "ContactGroups")
NEWS = "Something new went wrong."
MEANT = re.compile(rf"{NEWS}|tried \d+ times")  # what a row may be rejected for
LOCK = "Transaction (Process ID 61) was deadlocked on lock resources and chosen as the deadlock victim."


class NoWait(random.Random):
    """Waits that are drawn at random are over at once."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


@dataclass
class World:
    """What there is before the job, and what its files say."""

    rng: random.Random
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, list[Sequence[str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, rng: random.Random) -> World:
        world = cls(rng)
        world._companies(old=rng.randrange(10, 25), new=rng.randrange(15, 40))
        world._contacts(rng.randrange(10, 30))
        world._locations(rng.randrange(5, 20))
        world._groups(rng.randrange(5, 20))
        return world

    def _companies(self, *, old: int, new: int) -> None:
        """Existing ones are updated or left as they are, new ones are created."""
        self.rows["Companies"] = [
            {"companyName": f"Old {n}", "companyNumber": f"O-{n}", "phone": "0", "companyType": 1,
             "ownerResourceID": 4, "isActive": True}
            for n in range(old)
        ]  # fmt: skip
        phones = ["0", "1", "+34 5"]
        lines = [(f"O-{n}", f"Old {n}", self.rng.choice(phones)) for n in range(old)]
        lines += [(self._spelled(n), f"Ñew {n}", self.rng.choice(phones)) for n in range(new)]
        self.rng.shuffle(lines)
        self.files["companies"] = [("Number", "Name", "Phone"), *lines]

    def _spelled(self, n: int) -> str:
        return self.rng.choice(["N-{}", " N-{}", "n-{}", "00{}", "N é {}", "{}\r\nN", "N[{}]"]).format(n)

    def _contacts(self, count: int) -> None:
        names = [row["companyNumber"] for row in self.rows["Companies"]]
        lines = [(self.rng.choice(names), f"F{n}", f"L{n}", f"m{n}@x.test") for n in range(count)]
        self.files["contacts"] = [("Company", "First", "Last", "Mail"), *lines]

    def _locations(self, count: int) -> None:
        self.rows["CompanyLocations"] = [
            {"name": f"Loc {n}", "companyID": 0, "city": "old", "isActive": True} for n in range(count)
        ]
        self.files["locations"] = [("Name", "City"), *((f"Loc {n}", f"new {n}") for n in range(count))]

    def _groups(self, count: int) -> None:
        self.rows["ContactGroups"] = [{"name": f"Group {n}", "isActive": True} for n in range(count)]
        gone = self.rng.sample(range(count), self.rng.randrange(1, count + 1))
        self.files["groups"] = [("Name",), *((f"Group {n}",) for n in sorted(gone))]

    def write(self, folder: Path) -> Path:
        for name, lines in self.files.items():
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(lines)
        (folder / "job.yaml").write_text(JOB, "utf-8")
        return folder / "job.yaml"

    def load(self, simulator: Running) -> None:
        for entity, rows in self.rows.items():
            table = simulator.store.table(entity)
            for row in rows:
                table.insert(row)


def some_faults(rng: random.Random) -> list[dict[str, Any]]:
    """A few faults of the whole menu, of writes mostly; some may refuse a row for good (`MEANT`)."""
    return [_fault(rng) for _ in range(rng.randrange(1, 7))]


def _fault(rng: random.Random) -> dict[str, Any]:
    call = rng.choice(["create"] * 4 + ["update"] * 2 + ["delete", "query", "query", "metadata"])
    when = rng.choice(
        [{"chance": rng.choice([0.03, 0.1, 0.3])}, {"every": rng.randrange(2, 12)},
         {"nth": rng.sample(range(1, 25), 3)}]
    )  # fmt: skip
    fault = {"call": call, "when": when, **_what(rng, call)}
    if call not in ("query", "metadata") and rng.random() < 0.3:
        fault.setdefault("entity", rng.choice(ENTITIES))
    return fault


def _what(rng: random.Random, call: str) -> dict[str, Any]:
    bare = rng.choice([500, 502, 503, 504])
    menu: list[dict[str, Any]] = [
        {"do": "status", "code": bare},
        {"do": "status", "code": 503, "body": {"errors": ["Service unavailable"]}},
        {"do": "status", "code": 500, "body": {"errors": [LOCK]}},
        {"do": "status_after_commit", "code": bare},
        {"do": "status_after_commit", "code": 400},
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
        menu += [{"do": "late_commit", "ms": rng.randrange(1, LATEST_MS)}] * 3
        menu += [{"do": "status", "code": 500, "body": {"errors": [NEWS]}}]
    if call == "update":
        menu += [{"do": "edit", "fields": {"fax": "somebody else"}, "entity": "Companies"}]
    return rng.choice(menu)


@dataclass
class Trial:
    """One seed."""

    seed: int
    folder: Path

    async def run(self) -> None:
        self.rng = random.Random(self.seed)
        world = World.of(self.rng)
        options = Options(
            seed=self.seed, tiers=False, release_ms=self.rng.choice([0, 5]), threshold=100_000, window_s=2.0,
            switches=self._switches(),
        )  # fmt: skip
        async with running(options) as simulator:
            world.load(simulator)
            self.simulator = simulator
            self.before = {name: self._rows(name) for name in ENTITIES}
            job = load_job(world.write(self.folder), only_supported=False)
            self.tenant = Tenant.model_validate(
                {"name": "acme", "url": simulator.url, "username": "u", "secret": "s",
                 "integration_code": "c", "settle_s": SETTLE_S,
                 "budget": {"per_entity": self.rng.randrange(1, 4), "release_ms": 10, "window_s": 2.0}}
            )  # fmt: skip
            async with connect(self.tenant, rng=NoWait()) as target:
                plan = await bulkops.build_plan(job, target, self.folder / "x.plan")
            await self._apply_until_done(plan)
            await self._install([])
            self._check(plan)
            async with connect(self.tenant, rng=NoWait()) as target:
                again = await bulkops.build_plan(job, target, self.folder / "y.plan")
            self._check_again(plan, again)

    def _switches(self) -> dict[str, object]:
        choices: dict[str, list[object]] = {
            "trim": ["on", "off"], "thread_status": ["429", "500"], "hour_status": ["429", "500", "403"],
            "retry_after": ["off"], "unauthorized_body": ["message", "errors", "empty", "html"],
            "thread_scope": ["child"], "lock_failures": [0.0, 0.0, 0.02],
        }  # fmt: skip
        return {name: self.rng.choice(values) for name, values in choices.items()}

    # --- runs ---

    async def _apply_until_done(self, plan: Plan) -> None:
        for attempt in range(60):
            await self._install(some_faults(self.rng) if attempt < ROUNDS else [])
            status = await self._one_run(plan, is_cut=attempt < ROUNDS)
            assert sum(status.counts.values()) == plan.total
            if status.state == "finished":
                return
        raise AssertionError(f"not finished: {plan.status()}")

    async def _install(self, faults: Sequence[Mapping[str, Any]]) -> None:
        async with aiohttp.ClientSession() as session:
            body = {"faults": list(faults)}
            async with session.post(f"{self.simulator.control}/faults", json=body) as response:
                assert response.status == 200, await response.text()

    async def _one_run(self, plan: Plan, *, is_cut: bool) -> Status:
        """Applies until it ends by itself, by a limit, by a stop, by being cancelled, or by a crash."""
        how = self.rng.choice(
            ["free", "free", "number", "calls", "stop", "cancel", "crash"] if is_cut else ["free"]
        )
        limits: dict[str, int] = {}
        if how == "number":
            limits["stop_after"] = self.rng.randrange(1, 30)
        if how == "calls":
            limits["max_calls"] = self.rng.randrange(3, 40)
        stop = bulkops.Stop()
        before = self.simulator.tenant.run.stats.requests
        task = asyncio.create_task(self._apply(plan, stop, limits))
        if how in ("stop", "cancel", "crash"):
            await asyncio.wait({task}, timeout=self.rng.uniform(0.0, 0.4))
            if how == "stop":
                stop("asked")
            elif how == "cancel":
                task.cancel()
            elif not task.done():
                with pytest.MonkeyPatch.context() as patch:  # a killed process withdraws nothing
                    patch.setattr(Sender, "withdraw", lambda _: None)
                    task.cancel()
                    await asyncio.wait({task})
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
        assert done, f"{how}: the run hangs: {plan.status()}"
        with suppress(asyncio.CancelledError, bulkops.TenantError):  # the first calls met a fault
            task.result()
        if how == "calls":
            assert self.simulator.tenant.run.stats.requests - before <= limits["max_calls"] + 1  # the zone
        return plan.status()

    async def _apply(self, plan: Plan, stop: bulkops.Stop, limits: Mapping[str, Any]) -> None:
        async with connect(self.tenant, rng=NoWait(), reconnect_s=(0.0,)) as target:
            await bulkops.apply_plan(plan, target, stop=stop, rng=NoWait(), **limits)

    # --- what came of it ---

    def _rows(self, entity: str) -> dict[int, dict[str, Any]]:
        table = self.simulator.store.table(entity)
        return {number: table[number] for number in table.ids}

    def _check(self, plan: Plan) -> None:
        expected = {
            name: {number: dict(row) for number, row in rows.items()} for name, rows in self.before.items()
        }
        creates: Counter[str] = Counter()
        for fate in plan.fates():
            assert fate.state not in ("held", "pending"), fate
            if fate.state == "rejected":
                assert fate.change.action is Action.REJECTED or MEANT.search(fate.reason or ""), fate.reason
            elif fate.change.action is Action.CREATE:
                creates[fate.change.entity] += 1
                self._check_created(fate)
            elif fate.change.action is Action.UPDATE:
                expected[fate.change.entity][fate.change.id or 0].update(fate.change.after())
            elif fate.change.action is Action.DELETE:
                del expected[fate.change.entity][fate.change.id or 0]
        for entity, rows in expected.items():
            now = self._rows(entity)
            assert len(now) == len(rows) + creates[entity], f"{entity}: {len(now)} records"
            for number, row in rows.items():
                assert _same(now[number], row), (entity, number)

    def _check_created(self, fate: Fate) -> None:
        """Exactly one record has its key: the one that the journal names; and it holds what was planned."""
        change = fate.change
        found = [row for row in self._rows(change.entity).values() if _has(row, change.key)]
        assert [row["id"] for row in found] == [fate.id], (change.n, change.key, found)
        assert fate.id not in self.before[change.entity]
        assert _has(found[0], change.after()), (change.n, found[0])

    def _check_again(self, plan: Plan, again: Plan) -> None:
        """Planned again, only what was refused is still to be done."""
        left = sum(again.counts[name] for name in ("create", "update", "delete"))
        refused = sum(fate.state == "rejected" for fate in plan.fates()) - plan.counts["rejected"]
        assert left == refused, again.counts


def _has(row: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(_kept(row[name]) == _kept(value) for name, value in values.items())


def _kept(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _same(row: Mapping[str, Any], planned: Mapping[str, Any]) -> bool:
    """But for what somebody else wrote, and what the server notes by itself."""
    return all(_kept(row[name]) == _kept(planned[name]) for name in _told(planned))


def _told(planned: Mapping[str, Any]) -> Iterator[str]:
    names = ("companyName", "companyNumber", "phone", "name", "city", "emailAddress", "companyID")
    return (name for name in names if name in planned)


async def trial(seed: int, folder: Path, name: str) -> None:
    try:
        await Trial(seed, folder).run()
    except BaseException as error:
        path = f"tests/integration/test_apply_faults.py::{name}[{seed}]"
        error.add_note(f"repeat with: uv run pytest -n 0 -m '' '{path}'")
        raise


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "ASK_AGAIN_S", 0.05)


@pytest.mark.parametrize("seed", range(10))
async def test_no_row_is_lost_and_none_is_written_twice(seed: int, tmp_path: Path) -> None:
    """Whatever goes wrong and however often it is stopped: the records are those of the plan."""
    await trial(seed, tmp_path, "test_no_row_is_lost_and_none_is_written_twice")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1300))
async def test_no_row_is_lost_and_none_is_written_twice_ever(seed: int, tmp_path: Path) -> None:
    """The same, longer."""
    await trial(seed, tmp_path, "test_no_row_is_lost_and_none_is_written_twice_ever")
