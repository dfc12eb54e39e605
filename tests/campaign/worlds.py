"""Random worlds: records that are there, a job, and its files. Everything is drawn from one random source.

A world has a few of ten steps over as many entities: at the root and under a parent, with a match of one or
two fields or of a user-defined one, with a marker or with nothing to know a record by, referring to what
earlier steps make, to other rows of the same step, or to what is there. Rows without a match may be the same
to the letter.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Fields = dict[str, Any]

SPELLINGS = ("N-{}", " N-{}", "n-{}", "00{}", "N é {}", "{}\r\nN", "N[{}]")
PHONES = ("0", "1", "+34 5", "555 'x'")
LIMITS = {"percent": "100", "count": "100000", "minimum": "10"}


@dataclass(kw_only=True)
class Step:
    """One step of the job, and the rows of its file."""

    name: str
    entity: str
    action: str
    match: list[str]
    fields: Fields
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    udf: Fields = field(default_factory=dict)
    marker: str = ""

    @property
    def known_by(self) -> str:
        """What a create of this step whose answer was lost is recognised by."""
        return "key" if self.match else "marker" if self.marker else "fingerprint"

    def definition(self, suffix: str = "csv") -> Fields:
        """The step as the job file has it."""
        optional = {"match": self.match, "udf": self.udf, "marker": self.marker}
        return {
            "name": self.name,
            "entity": self.entity,
            "action": self.action,
            "source": {"file": f"{self.name}.{suffix}"},
            "fields": self.fields,
            **{key: value for key, value in optional.items() if value},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A record that somebody else makes with the key of a row, otherwise different."""

    entity: str
    field: str
    key: str
    record: Fields


RIVALS: Mapping[tuple[str, str], Fields] = {
    ("Companies", "companyNumber"): {"companyName": "Rival", "companyType": 1, "phone": "9"},
    ("ContactGroups", "name"): {"isActive": False},
    ("Projects", "extProjectNumber"): {"projectName": "Rival", "companyID": 0},
    ("Tasks", "externalID"): {"title": "Rival", "projectID": 6000},
    ("Tickets", "externalID"): {"title": "Rival", "companyID": 0},
}


@dataclass(kw_only=True)
class World:
    """What there is before the job (`loaded`), and the job."""

    loaded: Mapping[str, Sequence[Fields]]
    steps: Sequence[Step]

    @classmethod
    def of(cls, rng: random.Random, *, marker: bool = False, size: int = 10) -> World:
        return _Maker(rng, marker=marker, size=size).world()

    def known_by(self) -> dict[str, str]:
        return {step.name: step.known_by for step in self.steps}

    def rivals(self, rng: random.Random) -> list[Rival]:
        """A few, of steps that create and know their records by one field."""
        found = []
        for step in self.steps:
            field = step.match[0] if len(step.match) == 1 else ""
            if step.action in ("create", "upsert") and (record := RIVALS.get((step.entity, field))):
                for row in rng.sample(step.rows, min(2, len(step.rows))):
                    if not row[0].startswith("O-"):  # else it is there already
                        made = {**record, field: row[0].strip()}
                        found.append(Rival(entity=step.entity, field=field, key=row[0], record=made))
        return found

    def job(self, suffix: str = "csv") -> str:
        """A job file. JSON is YAML."""
        return json.dumps(
            {
                "version": "1",
                "name": "campaign",
                "tenant": "acme",
                "steps": [step.definition(suffix) for step in self.steps],
                "limits": {"update": LIMITS, "delete": LIMITS},
            },
            ensure_ascii=False,
            indent=1,
        )

    def write(self, folder: Path) -> Path:
        """The job and its files; returns the job's path."""
        for step in self.steps:
            with (folder / f"{step.name}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([step.columns, *step.rows])
        (folder / "job.yaml").write_text(self.job(), "utf-8")
        return folder / "job.yaml"


class _Maker:
    """Draws a world. `size`: rows of a step, about."""

    def __init__(self, rng: random.Random, *, marker: bool, size: int) -> None:
        self._rng = rng
        self._marker = marker
        self._size = size
        self._steps: list[Step] = []
        self._firms = [f"O-{n}" for n in range(rng.randrange(4, 4 + size))]
        self._keys: dict[str, list[str]] = {}  # of earlier steps that can be referred to by `from`

    def world(self) -> World:
        makers: list[Callable[[], Step]] = [
            self._companies, self._contacts, self._locations, self._groups, self._projects, self._phases,
            self._tasks, self._tickets, self._notes, self._items,
        ]  # fmt: skip
        chosen = sorted(self._rng.sample(range(len(makers)), self._rng.randrange(2, 6)))
        for place in chosen:
            step = makers[place]()
            step.rows = self._rng.sample(step.rows, len(step.rows))
            self._steps.append(step)
        return World(loaded=self._loaded(), steps=self._steps)

    def _loaded(self) -> dict[str, list[Fields]]:
        n_old = range(self._size)
        return {
            "Companies": [
                {"id": 5000 + n, "companyName": f"Old {name}", "companyNumber": name, "phone": "0",
                 "companyType": 1, "ownerResourceID": 4, "isActive": True,
                 "userDefinedFields": [{"name": "Legacy ID", "value": name}]}
                for n, name in enumerate(self._firms)
            ],
            "CompanyLocations": [
                {"name": f"Loc {n}", "companyID": 0, "city": "old", "isActive": True} for n in n_old
            ],
            "ContactGroups": [{"name": f"Group {n}", "isActive": True} for n in n_old],
            "Projects": [
                {"id": 6000 + n, "projectName": f"Old {n}", "extProjectNumber": f"OP-{n}", "companyID": 0,
                 "projectType": 5, "status": 1, "startDateTime": "2026-01-01T00:00:00.000Z",
                 "endDateTime": "2026-12-31T00:00:00.000Z"}
                for n in range(4)
            ],
            "Tickets": [
                {"id": 7000 + n, "title": f"Old {n}", "externalID": f"OT-{n}", "companyID": 0, "status": 1,
                 "priority": 2}
                for n in range(4)
            ],
            "TicketChecklistItems": [
                {"ticketID": 7000 + n % 4, "itemName": f"Item {n}", "isImportant": False} for n in n_old
            ],
        }  # fmt: skip

    # --- what is drawn again and again ---

    def _how_many(self) -> range:
        return range(self._rng.randrange(1, self._size + 1))

    def _is(self, chance: float) -> bool:
        return self._rng.random() < chance

    def _creates(self, keys: Sequence[list[str]]) -> tuple[str, list[str], str]:
        """Action, match and marker of a step that creates; a third of them without anything to match."""
        if self._is(0.34):
            return "create", [], "externalID" if self._marker and self._is(0.5) else ""
        return self._rng.choice(["create", "upsert"]), self._rng.choice(keys), ""

    def _repeated(self, step: Step) -> Step:
        """Without a match rows may be the same to the letter."""
        if not step.match and not step.marker:
            step.rows = [*step.rows, *self._rng.choices(step.rows, k=self._rng.randrange(4))]
        return step

    def _reference(self, step: str, column: str, lookup: str) -> Fields:
        """To rows of an earlier step where that is possible, else to records that are there."""
        if self._keys.get(step):
            return {"column": column, "from": step}
        return {"column": column, "lookup": lookup}

    def _refers_to(self, step: str, there: Sequence[str]) -> str:
        return self._rng.choice(self._keys.get(step) or there)

    # --- the steps ---

    def _companies(self) -> Step:
        action, match, _ = self._creates([["companyNumber"], ["companyNumber"], ["udf:Legacy ID"]])
        if self._is(0.15):
            action, match = "update", ["companyNumber"]
        old = self._firms if action != "create" else []
        names = (
            [self._rng.choice(SPELLINGS).format(n) for n in self._how_many()] if action != "update" else []
        )
        parents = bool(match) and action != "update" and self._is(0.4)
        rows = []
        for place, name in enumerate([*old, *names]):
            above = self._rng.choice(names[: place - len(old)]) if place > len(old) and self._is(0.6) else ""
            phone = self._rng.choice(PHONES)
            rows.append((name, f"Ñame {name}", phone, name) + ((above,) if parents else ()))
        fields: Fields = {
            "companyNumber": "Number",
            "companyName": "Name",
            "phone": "Phone",
            "companyType": {"value": "Customer"},
            "ownerResourceID": {"value": "4"},
        }
        if parents:
            fields["parentCompanyID"] = {"column": "Parent", "from": "companies"}
        if match and action != "update":
            self._keys["companies"] = [*old, *names]
        return self._repeated(
            Step(
                name="companies", entity="Companies", action=action, match=match, fields=fields, rows=rows,
                columns=("Number", "Name", "Phone", "Legacy") + (("Parent",) if parents else ()),
                udf={"Legacy ID": "Legacy"},
            )
        )  # fmt: skip

    def _contacts(self) -> Step:
        action, match, _ = self._creates([["companyID", "emailAddress"], ["emailAddress"]])
        rows = [
            (self._refers_to("companies", self._firms), f"F{n}", f"L{n % 3}", f"m{n}@x.test")
            for n in self._how_many()
        ]
        fields = {
            "companyID": self._reference("companies", "Company", "companyNumber"),
            "firstName": "First",
            "lastName": "Last",
            "emailAddress": "Mail",
            "isActive": {"value": "1"},
        }
        return self._repeated(
            Step(
                name="contacts", entity="Contacts", action=action, match=match, fields=fields, rows=rows,
                columns=("Company", "First", "Last", "Mail"),
            )
        )  # fmt: skip

    def _locations(self) -> Step:
        if self._is(0.5):
            return Step(
                name="locations", entity="CompanyLocations", action="update", match=["name"],
                fields={"name": "Name", "city": "City"}, columns=("Name", "City"),
                rows=[(f"Loc {n}", f"new {n}") for n in self._how_many()],
            )  # fmt: skip
        action, match, _ = self._creates([["companyID", "name"]])
        rows = [
            (self._refers_to("companies", self._firms), f"Site {n}", f"Town {n}") for n in self._how_many()
        ]
        fields = {
            "companyID": self._reference("companies", "Company", "companyNumber"),
            "name": "Name",
            "city": "City",
        }
        return self._repeated(
            Step(
                name="locations", entity="CompanyLocations", action=action, match=match, fields=fields,
                columns=("Company", "Name", "City"), rows=rows,
            )
        )  # fmt: skip

    def _groups(self) -> Step:
        if self._is(0.5):
            gone = self._rng.sample(range(self._size), self._rng.randrange(1, self._size + 1))
            return Step(
                name="groups", entity="ContactGroups", action="delete", match=["name"],
                fields={"name": "Name"}, columns=("Name",), rows=[(f"Group {n}",) for n in gone],
            )  # fmt: skip
        action, match, _ = self._creates([["name"]])
        return self._repeated(
            Step(
                name="groups", entity="ContactGroups", action=action, match=match,
                fields={"name": "Name", "isActive": {"value": "true"}}, columns=("Name",),
                rows=[(f"Club {n}",) for n in self._how_many()],
            )
        )  # fmt: skip

    def _projects(self) -> Step:
        action, match, _ = self._creates([["extProjectNumber"]])
        names = [f"P-{n}" for n in self._how_many()]
        if match:
            self._keys["projects"] = names
        fields = {
            "extProjectNumber": "Key",
            "projectName": "Name",
            "companyID": self._reference("companies", "Company", "companyNumber"),
            "projectType": {"value": "Client"},
            "status": {"value": "New"},
            "startDateTime": "Start",
            "endDateTime": "End",
        }
        rows = [
            (name, f"Project {name}", self._refers_to("companies", self._firms), "2026-02-01",
             f"2026-{self._rng.randrange(3, 13):02}-28")
            for name in names
        ]  # fmt: skip
        return Step(
            name="projects", entity="Projects", action=action, match=match, fields=fields, rows=rows,
            columns=("Key", "Name", "Company", "Start", "End"),
        )  # fmt: skip

    def _phases(self) -> Step:
        action, match, _ = self._creates([["projectID", "title"]])
        rows = [(self._refers_to("projects", ["OP-0", "OP-1"]), f"Phase {n}") for n in self._how_many()]
        fields = {
            "projectID": self._reference("projects", "Project", "extProjectNumber"),
            "title": "Title",
        }
        return self._repeated(
            Step(
                name="phases", entity="Phases", action=action, match=match, fields=fields, rows=rows,
                columns=("Project", "Title"),
            )
        )  # fmt: skip

    def _tasks(self) -> Step:
        action, match, marker = self._creates([["externalID"]])
        fields: Fields = {
            "externalID": "Key",
            "projectID": self._reference("projects", "Project", "extProjectNumber"),
            "title": "Title",
            "status": {"value": "New"},
            "taskType": {"value": "FixedWork"},
            "estimatedHours": "Hours",
        }
        if not match:
            del fields["externalID"]
        rows = [
            ((f"TK-{n}",) if match else ())
            + (self._refers_to("projects", ["OP-0", "OP-1"]), f"Task {n % 4}", f"{n % 3}.25")
            for n in self._how_many()
        ]
        return self._repeated(
            Step(
                name="tasks", entity="Tasks", action=action, match=match, marker=marker, fields=fields,
                columns=(("Key",) if match else ()) + ("Project", "Title", "Hours"), rows=rows,
            )
        )  # fmt: skip

    def _tickets(self) -> Step:
        action, match, marker = self._creates([["externalID"], ["externalID"], ["udf:Legacy ID"]])
        names = [f"K-{n}" for n in self._how_many()]
        if match:
            self._keys["tickets"] = names
        fields: Fields = {
            "externalID": "Key",
            "companyID": self._reference("companies", "Company", "companyNumber"),
            "title": "Title",
            "status": {"value": "New"},
            "priority": {"value": "Medium"},
            "queueID": {"value": "Post Sale"},
        }
        if not match:
            del fields["externalID"]
        rows = [
            (name, self._refers_to("companies", self._firms), f"Ticket {n % 3}")
            for n, name in enumerate(names)
        ]
        udf = {"Legacy ID": "Key"} if not marker else {}
        return Step(
            name="tickets", entity="Tickets", action=action, match=match, marker=marker, fields=fields,
            udf=udf, columns=("Key", "Company", "Title"), rows=rows,
        ) if udf or match else Step(
            name="tickets", entity="Tickets", action=action, match=match, marker=marker, fields=fields,
            columns=("Company", "Title"), rows=[row[1:] for row in rows],
        )  # fmt: skip

    def _notes(self) -> Step:
        action, match, _ = self._creates([["ticketID", "title"]])
        rows = [
            (self._refers_to("tickets", ["OT-0", "OT-1", "OT-2"]), f"Note {n}", f"Said {n % 2}")
            for n in self._how_many()
        ]
        fields = {
            "ticketID": self._reference("tickets", "Ticket", "externalID"),
            "title": "Title",
            "description": "Text",
            "noteType": {"value": "Task Notes"},
            "publish": {"value": "All Autotask Users"},
        }
        return self._repeated(
            Step(
                name="notes", entity="TicketNotes", action=action, match=match, fields=fields,
                columns=("Ticket", "Title", "Text"), rows=rows,
            )
        )  # fmt: skip

    def _items(self) -> Step:
        if self._is(0.5):
            return Step(
                name="items", entity="TicketChecklistItems", action="delete", match=["itemName"],
                fields={"itemName": "Name"}, columns=("Name",),
                rows=[(f"Item {n}",) for n in self._how_many()],
            )  # fmt: skip
        fields = {
            "ticketID": self._reference("tickets", "Ticket", "externalID"),
            "itemName": "Name",
        }
        rows = [(self._refers_to("tickets", ["OT-0", "OT-1"]), f"Check {n % 3}") for n in self._how_many()]
        return self._repeated(
            Step(
                name="items", entity="TicketChecklistItems", action="create", match=[], fields=fields,
                columns=("Ticket", "Name"), rows=rows,
            )
        )  # fmt: skip
