"""A whole migration in one job against the simulator: eight entities, each record once, whatever happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

import bulkops
from bulkops.plan import Plan, Status
from bulkops.simulator import Options, Running, running

JOB = """
version: 1
name: migration
tenant: here
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Id
      companyName: Name
      companyType: {value: Customer}
      phone: {value: "555"}
      ownerResourceID: {value: "4"}
      parentCompanyID: {column: Parent, from: companies}
  - name: locations
    entity: CompanyLocations
    action: upsert
    source: {file: locations.csv}
    match: [companyID, name]
    fields:
      companyID: {column: Company, from: companies}
      name: Name
      city: City
  - name: contacts
    entity: Contacts
    action: upsert
    source: {file: contacts.csv}
    match: [companyID, emailAddress]
    fields:
      companyID: {column: Company, from: companies}
      companyLocationID: {columns: [Company, Location], from: locations}
      firstName: First
      lastName: Last
      emailAddress: Mail
      isActive: {value: "1"}
  - name: projects
    entity: Projects
    action: upsert
    source: {file: projects.csv}
    match: [extProjectNumber]
    fields:
      extProjectNumber: No
      projectName: Name
      companyID: {column: Company, from: companies}
      projectType: {value: Client}
      status: {value: New}
      startDateTime: {value: "2026-01-01"}
      endDateTime: {value: "2026-12-31"}
  - name: phases
    entity: Phases
    action: upsert
    source: {file: phases.csv}
    match: [projectID, title]
    fields:
      projectID: {column: Project, from: projects}
      title: Phase
      parentPhaseID: {columns: [Project, Under], from: phases}
  - name: tasks
    entity: Tasks
    action: upsert
    source: {file: tasks.csv}
    match: [externalID]
    fields:
      externalID: Key
      projectID: {column: Project, from: projects}
      phaseID: {columns: [Project, Phase], from: phases}
      title: Title
      status: {value: New}
      taskType: {value: FixedWork}
  - name: tickets
    entity: Tickets
    action: upsert
    source: {file: tickets.csv}
    match: [externalID]
    fields:
      externalID: Key
      companyID: {column: Company, from: companies}
      contactID: {columns: [Company, Mail], from: contacts}
      title: Title
      status: {value: New}
      priority: {value: Medium}
      queueID: {value: Post Sale}
  - name: notes
    entity: TicketNotes
    action: upsert
    source: {file: notes.csv}
    match: [ticketID, title]
    fields:
      ticketID: {column: Ticket, from: tickets}
      title: Title
      description: Text
      noteType: {value: Task Notes}
      publish: {value: All Autotask Users}
"""
PHASES_OF_TASKS = tuple(enumerate(("Dig", "Build", "")))
SMALL = 6  # companies; everything else grows with them


def data(firms: int) -> dict[str, list[str]]:
    """Files by name. Children stand above their parents, names are unique only where they must be."""
    return {
        "companies.csv": [
            "Id,Name,Parent", *(f"F{n},Firm {n},{f'F{n + 1}' if n % 3 else ''}" for n in range(firms)),
            f"F{firms},The Last,",
        ],
        "locations.csv": ["Company,Name,City", *(f"f{n},Main,Town {n}" for n in range(firms))],
        "contacts.csv": [
            "Company,Location,First,Last,Mail",
            *(f"F{n},{'Main' if n % 2 else ''},Ann,N{n},ann@f{n}.test" for n in range(firms)),
        ],
        "projects.csv": ["No,Name,Company", *(f"P{n},Project {n},F{n}" for n in range(firms))],
        "phases.csv": [
            "Project,Phase,Under",
            *(f"P{n},{phase}" for n in range(firms) for phase in ("Dig,Build", "Build,All", "All,")),
        ],
        "tasks.csv": [
            "Key,Project,Phase,Title",
            *(f"Work {n}-{i},P{n},{phase},Task {i}" for n in range(firms) for i, phase in PHASES_OF_TASKS),
        ],
        "tickets.csv": [
            "Key,Company,Mail,Title",
            *(f"Call {n},F{n},{f'ann@f{n}.test' if n % 2 else ''},Ticket {n}" for n in range(firms)),
        ],
        "notes.csv": ["Ticket,Title,Text", *(f"Call {n},Note,Text {n}" for n in range(firms))],
    }  # fmt: skip


@dataclass(kw_only=True)
class Desk:
    """The files of a migration and the simulator it goes to. Every call opens a connection of its own."""

    folder: Path
    simulator: Running
    plans: int = 0

    def write(self, files: Mapping[str, Sequence[str]]) -> None:
        (self.folder / "job.yaml").write_text(JOB, "utf-8")
        for name, lines in files.items():
            (self.folder / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")

    def tenant(self) -> Any:
        path = self.folder / "bulkops.toml"
        path.write_text(
            f'[tenants.here]\nurl = "{self.simulator.url}"\nusername = "a"\nsecret = "b"\n'
            'integration_code = "c"\nsettle_s = 0.2\n[tenants.here.budget]\nrelease_ms = 0\n'
        )
        return bulkops.load_tenant("here", path)

    async def plan(self) -> Plan:
        self.plans += 1
        job = bulkops.load_job(self.folder / "job.yaml")
        async with bulkops.connect(self.tenant()) as target:
            return await bulkops.build_plan(job, target, self.folder / f"{self.plans}.plan")

    async def apply(self, plan: Plan, **options: Any) -> Status:
        async with bulkops.connect(self.tenant()) as target:
            return await bulkops.apply_plan(plan, target, **options)

    async def control(self, path: str, body: Any = None) -> Any:
        async with aiohttp.ClientSession() as session:
            method = "GET" if body is None else "POST"
            async with session.request(method, f"{self.simulator.control}/{path}", json=body) as answer:
                return await answer.json()

    async def committed(self) -> int:
        return int((await self.control("stats"))["committed"]["create"])

    def rows(self, entity: str) -> list[dict[str, Any]]:
        table = self.simulator.store.table(entity)
        return [table[row_id] for row_id in table]

    def by(self, entity: str, field: str, first: str) -> dict[str, dict[str, Any]]:
        """Rows of the migration by a field that begins with `first`. Fails where two have the same."""
        rows = [row for row in self.rows(entity) if str(row.get(field) or "").startswith(first)]
        found = {str(row[field]): row for row in rows}
        assert len(found) == len(rows), f"{entity} made twice"
        return found


def check(desk: Desk, firms: int) -> None:
    """Every record of the migration is there once, and hangs where its row says."""
    companies = desk.by("Companies", "companyNumber", "F")
    assert len(companies) == firms + 1
    for n in range(firms):
        parent = companies[f"F{n + 1}"]["id"] if n % 3 else None
        assert companies[f"F{n}"].get("parentCompanyID") == parent
    numbers = {row["id"]: number for number, row in companies.items()}
    places = {row["companyID"]: row for row in desk.rows("CompanyLocations") if row["companyID"] in numbers}
    people = desk.by("Contacts", "emailAddress", "ann@f")
    projects = desk.by("Projects", "extProjectNumber", "P")
    assert len(people) == len(projects) == firms
    for n in range(firms):
        person, firm = people[f"ann@f{n}.test"], companies[f"F{n}"]["id"]
        assert person["companyID"] == projects[f"P{n}"]["companyID"] == firm
        assert person.get("companyLocationID") == (places[firm]["id"] if n % 2 else None)
    phases = {(row["projectID"], row["title"]): row for row in desk.rows("Phases")}
    tasks = desk.by("Tasks", "externalID", "Work ")
    assert len(tasks) == 3 * firms
    for n in range(firms):
        project = projects[f"P{n}"]["id"]
        dig, build, whole = (phases[project, title] for title in ("Dig", "Build", "All"))
        assert (dig["parentPhaseID"], build["parentPhaseID"]) == (build["id"], whole["id"])
        places_of = [tasks[f"Work {n}-{i}"].get("phaseID") for i in range(3)]
        assert places_of == [dig["id"], build["id"], None]
        assert {tasks[f"Work {n}-{i}"]["projectID"] for i in range(3)} == {project}
    tickets = desk.by("Tickets", "externalID", "Call ")
    assert len(tickets) == firms
    notes = {row["ticketID"]: row for row in desk.rows("TicketNotes") if row["title"] == "Note"}
    for n in range(firms):
        ticket = tickets[f"Call {n}"]
        assert ticket["companyID"] == companies[f"F{n}"]["id"]
        assert ticket.get("contactID") == (people[f"ann@f{n}.test"]["id"] if n % 2 else None)
        assert notes[ticket["id"]]["description"] == f"Text {n}"


def total(firms: int) -> int:
    return sum(len(lines) - 1 for lines in data(firms).values())


@asynccontextmanager
async def desk_of(folder: Path, *, firms: int = SMALL) -> AsyncIterator[Desk]:
    async with running(Options(release_ms=0, tiers=False)) as simulator:
        desk = Desk(folder=folder, simulator=simulator)
        desk.write(data(firms))
        yield desk


async def test_eight_entities_in_one_job_are_made_once(tmp_path: Path) -> None:
    """Planned, applied, planned again: nothing to do; counts add up over the steps."""
    async with desk_of(tmp_path) as desk:
        plan = await desk.plan()
        assert plan.header.counts["create"] == plan.total == total(SMALL)
        assert sum(step.rows for step in plan.header.steps) == plan.total
        status = await desk.apply(plan)
        assert status.counts["applied"] == total(SMALL)
        check(desk, SMALL)
        again = await desk.plan()
        assert again.header.counts["unchanged"] == total(SMALL)
        assert again.header.calls_write == 0


async def test_cut_off_again_and_again_it_is_finished_once(tmp_path: Path) -> None:
    """Cancelled in the middle of what is in flight, answers lost on the way: no record lost, none twice."""
    async with desk_of(tmp_path) as desk:
        plan = await desk.plan()
        lost = {"method": "POST", "call": "create", "when": {"every": 7}, "do": "drop_after_commit"}
        await desk.control("faults", {"faults": [lost]})
        for share in (1, 3, 5):
            task = asyncio.ensure_future(desk.apply(plan))
            while not task.done() and await desk.committed() < total(SMALL) * share // 7:  # noqa: ASYNC110
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        status = await desk.apply(plan)
        assert status.counts["applied"] == total(SMALL)
        assert await desk.committed() == total(SMALL)
        check(desk, SMALL)


async def test_what_hangs_on_a_refused_record_falls_and_can_be_fed_back(tmp_path: Path) -> None:
    """A project that the target refuses takes its phases and tasks with it; put right, all of it is made."""
    async with desk_of(tmp_path) as desk:
        plan = await desk.plan()
        refusal = {"method": "POST", "entity": "Projects", "call": "create", "when": {"nth": [1]}}
        text = '{"errors": ["The project number must be unique."]}'
        fault = {**refusal, "do": "status", "code": 500, "body": text}
        await desk.control("faults", {"faults": [fault]})
        status = await desk.apply(plan)
        fallen = [fate for fate in plan.fates() if fate.state == "rejected"]
        steps = Counter(fate.change.step for fate in fallen)
        assert steps == {"projects": 1, "phases": 3, "tasks": 3}
        (project,) = (fate.change.n for fate in fallen if fate.change.step == "projects")
        reasons = [fate.reason or "" for fate in fallen if fate.change.step != "projects"]
        assert all("which it needs, was rejected" in reason for reason in reasons)
        assert sum(reason.startswith(f"row {project}") for reason in reasons) >= 4
        assert status.counts["applied"] == total(SMALL) - 7
        again = await desk.plan()
        assert (again.header.counts["create"], again.header.counts["unchanged"]) == (7, total(SMALL) - 7)
        await desk.apply(again)
        check(desk, SMALL)


async def test_entities_are_written_at_the_same_time(tmp_path: Path) -> None:
    """What is ready runs, whatever step it is of: a ticket is made before the last company."""
    async with desk_of(tmp_path, firms=30) as desk:
        await desk.apply(await desk.plan())
        log = (await desk.control("log"))["entries"]
        creates = [e["entity"] for e in log if e["method"] == "POST" and "query" not in e["path"]]
        last_company = len(creates) - creates[::-1].index("Companies")
        assert {"CompanyLocations", "Projects", "Phases"} <= set(creates[:last_company])
        check(desk, 30)
