"""One seed of a journey: the work of a random tenant is handed over or its projects are closed, and taken
back, under faults and deaths, while others edit; then every field of every record is what it should be.

What others wrote stays. What nobody else touched is as it was before, unless the row that takes it back says
why not. Without others, nothing may be refused or held on either way.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import bulkops
from bulkops.change import Action
from bulkops.errors import JobError
from bulkops.job import load_job
from bulkops.plan import Fate, Plan, RowState
from bulkops.simulator import Options, Running, running
from bulkops.targets.autotask.session import connect
from bulkops.undo import build_undo
from tests.campaign.firm import COMPLETE, Firm, write_job
from tests.campaign.history import Breach, Finding, Rows
from tests.campaign.runs import NoWait, Played, Runner, tenant, told_of
from tests.campaign.trial import picture
from tests.campaign.trouble import INVALID, NEWS, some_faults, some_switches

LINKS: Mapping[str, str] = {
    "TaskSecondaryResources": "taskID",
    "TicketSecondaryResources": "ticketID",
    "ServiceCallTaskResources": "serviceCallTaskID",
    "ServiceCallTicketResources": "serviceCallTicketID",
}
"""Records that only say who is on what: known by that, whatever their ids."""

BY_THE_API = {"completedPercentage", "completedByResourceID", "completedByType", "taskCompletedByContactID"}
"""What the API writes by itself when something is completed, and nobody can write."""

Key = tuple[str, int]


def _is_clock(name: str) -> bool:
    return name.startswith("last") or name in {"completedDateTime", "statusDateTime", "resolvedDateTime"}


# --- others ---


@dataclass(slots=True)
class Others:
    """What others have done: fields with their latest values, links that they deleted, records they made."""

    fields: dict[Key, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    gone: set[Key] = field(default_factory=set)
    made: set[Key] = field(default_factory=set)

    def act(self, firm: Firm, rng: random.Random) -> None:
        """A few edits at one moment."""
        acts = [self._text, self._text, self._status, self._hours, self._person, self._out, self._new]
        for n in range(rng.randrange(1, 5)):
            with suppress(IndexError):  # there is none of that
                rng.choice(acts)(firm, rng, n)

    def _edit(self, firm: Firm, entity: str, id: int, **values: Any) -> None:
        now = firm.store.table(entity)[id]
        values = {name: value for name, value in values.items() if now[name] != value}
        firm.store.table(entity).update(id, values)
        self.fields[entity, id].update(values)

    def _some(self, firm: Firm, rng: random.Random, entity: str) -> dict[str, Any]:
        return rng.choice(firm.rows(entity))

    def _text(self, firm: Firm, rng: random.Random, n: int) -> None:
        entity, name = rng.choice(
            [
                ("Tasks", "title"),
                ("Tickets", "title"),
                ("Projects", "projectName"),
                ("Opportunities", "title"),
            ]
        )
        self._edit(
            firm, entity, self._some(firm, rng, entity)["id"], **{name: f"theirs {n} {rng.random():.6f}"}
        )

    def _status(self, firm: Firm, rng: random.Random, n: int) -> None:
        entity = rng.choice(["Tasks", "Tasks", "Tickets", "Projects"])
        status = rng.choice([1, 8, 9, COMPLETE] if entity != "Projects" else [1, 9])
        hours = {"remainingHours": 0.0} if (entity, status) == ("Tasks", COMPLETE) else {}
        self._edit(firm, entity, self._some(firm, rng, entity)["id"], status=status, **hours)

    def _hours(self, firm: Firm, rng: random.Random, n: int) -> None:
        self._edit(
            firm, "Tasks", self._some(firm, rng, "Tasks")["id"], remainingHours=100.0 + rng.randrange(9)
        )

    def _person(self, firm: Firm, rng: random.Random, n: int) -> None:
        who = firm.people["priya.raman"]
        self._edit(firm, "Projects", self._some(firm, rng, "Projects")["id"], projectLeadResourceID=who)

    def _out(self, firm: Firm, rng: random.Random, n: int) -> None:
        entity = rng.choice(list(LINKS))
        row = self._some(firm, rng, entity)
        firm.store.table(entity).delete(row["id"])
        self.gone.add((entity, row["id"]))

    def _new(self, firm: Firm, rng: random.Random, n: int) -> None:
        like = {name: value for name, value in self._some(firm, rng, "Tasks").items() if name != "id"}
        row = {**like, "title": f"Theirs {n}", "externalID": None, "status": 1, "remainingHours": 3.0}
        self.made.add(("Tasks", firm.store.table("Tasks").insert({"id": None, **row})))


# --- one seed ---


@dataclass(slots=True, kw_only=True)
class Journey(Played):
    """What came of one seed. `is_refused`: its job could not be planned at all."""

    seed: int
    is_refused: bool = False
    written: int = 0
    stuck: int = 0  # rows of the way back that did not go
    edits: int = 0


async def play_seed(seed: int, folder: Path) -> Journey:
    """What the engine raises where nothing is to be raised is a finding too."""
    journey = Journey(seed=seed)
    try:
        await _play(journey, random.Random(seed), folder)
    except Exception as error:
        journey.findings.append(Finding(breach=Breach.ERROR, text=told_of(error)))
    return journey


async def _play(journey: Journey, rng: random.Random, folder: Path) -> None:
    options = Options(seed=journey.seed, tiers=False, release_ms=0, window_s=2.0, switches=_switches(rng))
    async with running(options) as simulator:
        firm = Firm(simulator.store, rng)
        firm.load()
        write_job(firm, rng, folder)
        way = _Way(simulator, rng, journey, folder)
        others, is_alone = Others(), rng.random() < 0.4
        before = deepcopy(picture(simulator))
        try:
            plan = await way.planned()
        except JobError:
            journey.is_refused = True
            return
        _maybe(others, firm, rng, is_alone=is_alone)
        await way.gone(plan)
        there = deepcopy(picture(simulator))
        if not plan.progress()["applied"]:
            return
        _maybe(others, firm, rng, is_alone=is_alone)
        undo = await way.undo(plan)
        _maybe(others, firm, rng, is_alone=is_alone)
        await way.gone(undo)
        after = picture(simulator)
    journey.written = plan.progress()["applied"]
    journey.edits = len(others.fields) + len(others.gone) + len(others.made)
    judge = Judge((before, there, after), others, list(plan.fates()), list(undo.fates()))
    journey.stuck = len(judge.stuck_rows)
    journey.findings += [Finding(breach=Breach.WRONG, text=text) for text in judge.told(is_alone=is_alone)]


def _maybe(others: Others, firm: Firm, rng: random.Random, *, is_alone: bool) -> None:
    if rng.random() < 0.5 and not is_alone:
        others.act(firm, rng)


def _switches(rng: random.Random) -> dict[str, object]:
    mine = {
        "service_call_resource": ("any", "assigned"),
        "stored_references": ("unchecked", "checked"),
        "ticket_role": ("queue", "service_desk", "any"),
        "task_role": ("any", "department"),
        "project_dates": ("changed", "always"),
    }
    chosen = {name: rng.choice(values) for name, values in mine.items() if rng.random() < 0.5}
    return {**some_switches(rng), **chosen}


class _Way:
    """Plans and applies in one tenant, with all that can go wrong on the way."""

    def __init__(self, simulator: Running, rng: random.Random, journey: Journey, folder: Path) -> None:
        self._tenant = tenant(simulator, rng, window_s=2.0)
        self._folder = folder
        self._simulator = simulator
        self._runner = Runner(simulator, self._tenant, rng, journey, partial(_faults, rng))

    async def planned(self) -> Plan:
        job = load_job(self._folder / "trial.yaml")
        async with connect(self._tenant, rng=NoWait()) as target:
            return await bulkops.build_plan(job, target, self._folder / "there.plan")

    async def undo(self, plan: Plan) -> Plan:
        async with connect(self._tenant, rng=NoWait()) as target:
            return await build_undo(plan, target, self._folder / "back.plan")

    async def gone(self, plan: Plan) -> None:
        await self._runner.until_done(plan)
        self._simulator.tenant.run.faults.install([])


def _faults(rng: random.Random) -> list[dict[str, Any]]:
    """Without refusals that are none of the API's own."""
    drawn = some_faults(rng, too_late=False)
    return [one for one in drawn if not any(text in str(one.get("body")) for text in (INVALID, NEWS))]


# --- what it should be ---


class Judge:
    """Compares a tenant before, between the two ways, and after them."""

    def __init__(
        self, pictures: tuple[Rows, Rows, Rows], others: Others, forth: list[Fate], back: list[Fate]
    ) -> None:
        self._before, self._there, self._after = pictures
        self._others = others
        self._back = back
        ended = (RowState.REJECTED, RowState.HELD)
        self.stuck_rows = [fate for fate in back if fate.state in ended]
        self._not_gone = [
            fate for fate in forth if fate.state in ended and fate.change.action is not Action.REJECTED
        ]
        self._stuck = {(fate.change.entity, fate.id) for fate in self.stuck_rows}
        self._stuck_works = {
            (fate.change.entity, self._work(fate.change.entity, fate)) for fate in self.stuck_rows
        }

    def _work(self, entity: str, fate: Fate) -> Any:
        """What a link is about."""
        name = LINKS.get(entity, "")
        for rows in (self._there, self._before):
            row = rows.get(entity, {}).get(fate.id or 0)
            if row is not None:
                return row.get(name)
        return fate.change.key.get(name)

    def told(self, *, is_alone: bool) -> Iterator[str]:
        """What is not as it should be."""
        if is_alone:
            for fate in (*self._not_gone, *self.stuck_rows):
                if not _is_announced(fate):
                    yield f"alone, and {fate.change.entity} {fate.id} is {fate.state}: {fate.reason}"
        yield from self._untold()
        for entity in sorted({*self._before, *self._after}):
            if entity in LINKS:
                yield from self._links(entity)
            else:
                yield from self._records(entity)

    def _untold(self) -> Iterator[str]:
        """Rows that are said not to have gone, and did."""
        for fates, was, now in (
            (self._not_gone, self._before, self._there),
            (self.stuck_rows, self._there, self._after),
        ):
            for fate in fates:
                key = fate.change.entity, fate.change.id or 0
                is_theirs = key in self._others.fields or key in self._others.gone
                if not is_theirs and _is_done(fate, was) < _is_done(fate, now):
                    which = fate.id or dict(fate.change.key)
                    yield f"{fate.change.entity} {which} is as wanted, and {fate.state}"

    def _on_the_way(self, entity: str, id: int, name: str) -> Iterator[Any]:
        """What rows of the way back made of it that went, while others of the same record did not."""
        for fate in self._back:
            diff = fate.change.fields.get(name)
            if diff is not None and (fate.change.entity, fate.id, fate.state) == (
                entity,
                id,
                RowState.APPLIED,
            ):
                yield diff.after

    def _records(self, entity: str) -> Iterator[str]:
        was, between, now = (rows.get(entity, {}) for rows in (self._before, self._there, self._after))
        for id in now.keys() - was.keys() - {id for of, id in self._others.made if of == entity}:
            if (entity != "ProjectNotes" and (entity, id) not in self._stuck) or id not in between:
                yield f"{entity} {id} is new: {now[id]}"
        yield from (f"{entity} {id} is gone" for id in was.keys() - now.keys())
        for id in was.keys() & now.keys():
            theirs = self._others.fields.get((entity, id), {})
            for name, value in now[id].items():
                if _is_clock(name) or name in BY_THE_API or value == theirs.get(name, was[id].get(name)):
                    continue
                # What others wrote and the API then took away stays away where the row is stuck.
                is_theirs = name in theirs and between[id].get(name) == theirs[name]
                is_stuck = (entity, id) in self._stuck and not is_theirs
                if not is_stuck or value not in (between[id].get(name), *self._on_the_way(entity, id, name)):
                    text = f"was {was[id].get(name)!r}, {between[id].get(name)!r} between, {value!r} now"
                    yield f"{entity} {id} {name} {text}, theirs {theirs}"

    def _links(self, entity: str) -> Iterator[str]:
        was, between, now = (_by_work(entity, rows) for rows in (self._before, self._there, self._after))
        gone = {id for of, id in self._others.gone if of == entity}
        deleted = _by_work(entity, self._before, gone), _by_work(entity, self._there, gone)
        for work in {*was, *between, *now}:
            had, has = was.get(work, set()), now.get(work, set())
            theirs = deleted[0].get(work, set()) | deleted[1].get(work, set())
            if has == had:
                continue
            if not theirs and (entity, work) not in self._stuck_works:
                yield f"{entity} of {work} were {had}, {between.get(work)} between, {has} now"
            new = between.get(work, set()) - had
            if has - had - new:
                yield f"{entity} of {work}: nobody put {has - had - new} there"
            lost = had - has - theirs
            if lost and new and not (new & (has | theirs)):
                yield f"{entity} of {work}: {lost} are lost, and so are {new} who came instead"
            if lost and not new and (entity, work) not in self._stuck_works:
                yield f"{entity} of {work}: {lost} are lost"


def _is_announced(fate: Fate) -> bool:
    """What the plan itself doubted or rejected, and what needs that."""
    is_planned = fate.change.action is Action.REJECTED
    needs = (fate.reason or "").startswith("row ")
    is_given_up = "(tried " in (fate.reason or "")
    return (
        is_planned
        or needs
        or is_given_up
        or any(note.startswith("may be refused") for note in fate.change.notes)
    )


def _is_done(fate: Fate, rows: Rows) -> bool:
    """Whether the records hold what it was to write."""
    change = fate.change
    wanted = {name: diff.after for name, diff in change.fields.items()}
    records = rows.get(change.entity, {})
    if change.action is Action.CREATE:
        return any(all(row.get(name) == value for name, value in wanted.items()) for row in records.values())
    if change.action is Action.DELETE:
        return change.id not in records
    row = records.get(change.id or 0)
    return bool(wanted) and row is not None and all(row.get(name) == value for name, value in wanted.items())


def _by_work(entity: str, rows: Rows, only: Collection[int] | None = None) -> dict[Any, set[Any]]:
    """Who is on what."""
    found: dict[Any, set[Any]] = defaultdict(set)
    for id, row in rows.get(entity, {}).items():
        if only is None or id in only:
            found[row[LINKS[entity]]].add((row["resourceID"], row.get("roleID")))
    return found
