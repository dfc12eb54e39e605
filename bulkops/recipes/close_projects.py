"""Close projects: by query or by file, the note first, the status last.

All of it is looked at first: so whoever closes a project knows how many open tasks the API completes with
it, and a project that cannot be closed gets no note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bulkops.change import Change, by_label, equal
from bulkops.errors import Fault, SourceError
from bulkops.job.model import FieldSpec, Job, MadeSource, Step, StepAction
from bulkops.job.recipes import CLOSED, CloseProjects, Note, OpenTasks
from bulkops.planner import again
from bulkops.recipes.base import Describer, Fields, Known, MadeRows, Progress, described, text_of
from bulkops.recipes.chosen import ByFile, ByQuery, Choice, Chosen, entities_of
from bulkops.recipes.inside import Inside, Insides
from bulkops.record import FromStep, Premise, Row, Tally
from bulkops.references import References, find_by_key, key_of, record_id
from bulkops.schema import Entity, Field
from bulkops.targets.autotask.rules import READS
from bulkops.targets.autotask.rules.people import values_of
from bulkops.targets.autotask.rules.places import COMPLETE, open_tasks
from bulkops.targets.base import RecordData, Target
from bulkops.where import asked_about
from bulkops.wording import counted, shown

NOTES, PROJECTS = "notes", CLOSED  # the steps
ID, NAME, TASKS, HOURS, LATE = "projectID", "projectName", "open_tasks", "open_hours", "ends_later"
"""Columns beside those of a file: for people, in results. `ends_later`: what ends after its project."""

_BESIDE = (ID, NAME, TASKS, HOURS, LATE)
_LOOKED_AT = ("id", *READS["Projects", "id"])
_GUARDED = ("status", "projectType", "startDateTime", "endDateTime")
"""What the plan looks at in any case, beside what the job chooses projects by."""

_INTERNAL, _NOTE = ("2", "internal users only"), ("5", "project notes")


class Closing:
    """Implements `recipes.Expansion`."""

    def __init__(self, job: Job, recipe: CloseProjects, shapes: Mapping[str, Entity]) -> None:
        self._recipe = recipe
        self._shapes = shapes
        self._target: Target | None = None
        self._insides: Insides | None = None
        self._known: dict[int, int | None] = {}  # projects that had a row, and in which line
        self._refused = Inside(ends=None)  # open tasks of projects that stay as they are, of all together
        self._refusals = 0
        self._noted = 0  # projects that have the note already
        self._choice = self._chosen_by(job)
        self.faults: list[Fault] = [*self._choice.faults, *self._blindness()]
        file = self._choice.source.columns if self._choice.source else ()
        if self._choice.source and self._choice.source.is_result and file[-len(_BESIDE) :] == _BESIDE:
            file = file[: -len(_BESIDE)]  # bulkops' own, of the time when it was written
        self._of_file = len(file)
        self._guarded = tuple(dict.fromkeys((*_GUARDED, *asked_about(recipe.where), *recipe.match)))
        self._names = {name: _free(name, file) for name in _BESIDE}
        self._rows = self._made([*file, *self._names.values()])
        self._notes = self._made([ID, NAME])
        self.steps = (*([self._note_step(recipe.note)] if recipe.note else []), self._status_step())

    @classmethod
    async def of(cls, job: Job, recipe: CloseProjects, describer: Describer) -> Closing:
        """Asks for the entities that it is about. Raises where the tenant cannot be asked."""
        shapes = await described(describer, ("Projects", "ProjectNotes", "Tasks", "Phases"))
        if "Projects" in shapes:
            shapes |= await entities_of(recipe, shapes["Projects"], describer)
        return cls(job, recipe, shapes)

    # --- what is known before anything is read ---

    def _chosen_by(self, job: Job) -> Choice:
        shape = self._shapes.get("Projects") or Entity(
            name="Projects", singular="", can={}, is_queryable=True
        )
        if self._recipe.source is not None and self._recipe.source.display:
            return ByFile(self._recipe, self._recipe.source, job, shape, self._shapes)
        return ByQuery(self._recipe, shape, self._shapes)

    def _blindness(self) -> Iterator[Fault]:
        """Only who sees all tasks can keep projects for open ones: of hidden ones the API asks nobody."""
        tasks = self._shapes.get("Tasks")
        if self._recipe.open_tasks is OpenTasks.REFUSE and (tasks is None or tasks.is_restricted):
            yield Fault(
                where=self._recipe.place("open_tasks"),
                message="this API user does not see all Tasks records, so nobody can tell which projects "
                "have no open tasks, and the API would complete the hidden ones",
                hint="Let it see all tasks, or write `open_tasks: complete`: that completes them unseen.",
            )

    def _made(self, columns: Sequence[str]) -> MadeRows:
        rows = MadeRows(self._choice.file, columns, display=self._choice.display)
        rows.sheet = self._choice.sheet
        return rows

    def _note_step(self, note: Note) -> Step:
        return self._step(
            NOTES,
            "ProjectNotes",
            StepAction.CREATE,
            MadeSource(rows=self._notes),
            match=("projectID", "title"),
            fields={
                "projectID": FieldSpec(column=ID),
                "title": _constant(note.title, self._recipe.place("note")),
                "description": _constant(note.description, self._recipe.place("note")),
                "noteType": FieldSpec(value=self._usual("noteType", *_NOTE)),
                "publish": FieldSpec(value=self._usual("publish", *_INTERNAL)),
                "isAnnouncement": FieldSpec(value="false"),
            },
        )

    def _usual(self, name: str, number: str, label: str) -> str:
        """The value of that label in this tenant, else the one that has its number, else any in use."""
        shape = self._shapes.get("ProjectNotes")
        field = shape.find(name) if shape is not None else None
        items = [item for item in (field.picklist if field else None) or () if item.is_active]
        named = [item.value for item in items if item.label.strip().casefold() == label]
        same = [item.value for item in items if item.value == number]
        return next(iter((*named, *same, *(item.value for item in items))), number)

    def _status_step(self) -> Step:
        needs = frozenset({NOTES}) if self._recipe.note else frozenset()
        return self._step(
            PROJECTS,
            "Projects",
            StepAction.UPDATE,
            MadeSource(rows=self._rows, needs=needs),
            match=("id",),
            fields={
                "id": FieldSpec(column=self._names[ID]),
                "status": _constant(self._recipe.status, self._recipe.place("status")),
            },
        )

    def _step(
        self,
        name: str,
        entity: str,
        action: StepAction,
        source: MadeSource,
        *,
        match: tuple[str, ...],
        fields: Mapping[str, FieldSpec],
    ) -> Step:
        file, _, line = self._recipe.place("").rpartition(":")
        return Step(
            name=name,
            entity=entity,
            action=action,
            source=source,
            match=match,
            fields=fields,
            file=file,
            line=int(line) if line.isdecimal() else 0,
        )

    # --- which projects, and what is in them ---

    async def resolve(self, target: Target, references: References) -> list[Fault]:
        self._target = target
        self._insides = Insides(target, self._shapes)
        return [] if self.faults else await self._choice.resolve(references)

    async def read(self, fields: Fields, progress: Progress | None) -> list[Fault]:
        assert self._target is not None
        shape = self._shapes["Projects"]
        names = [*_LOOKED_AT, *fields[PROJECTS]]
        found = [shape.find(name) for name in (*names, *self._guarded)]
        wanted = list(dict.fromkeys(one.name for one in found if one and one.is_queryable))

        def tell(read: int) -> None:
            if progress is not None:
                progress(self._choice.display, read)

        try:
            async for batch in self._choice.batches(self._target, wanted, tell):
                await self._take(batch)
        except SourceError as error:
            return [Fault(where=self._recipe.place("source"), message=str(error))]
        self._about_source()
        return []

    def _about_source(self) -> None:
        source = self._choice.source
        if source is not None:
            self._rows.warnings, self._rows.dropped = source.warnings, source.dropped
            self._rows.dialect = source.dialect

    async def _take(self, batch: Sequence[Chosen]) -> None:
        assert self._target is not None
        projects = {record_id(one.project): one.project for one in batch if one.project is not None}
        open_ = [one for one in projects.values() if one.get("status") != COMPLETE]
        inside = await self._insides.of(open_) if open_ and self._insides else {}
        noted = await self._with_note([record_id(one) for one in open_])
        for one in batch:
            id = record_id(one.project) if one.project is not None else None
            within = inside.get(id) if id is not None else None
            self._put(one, id, within, noted.get(id, ()) if id is not None else ())

    async def _with_note(self, ids: Sequence[int]) -> dict[int, Sequence[RecordData]]:
        """The notes of that title which projects have already."""
        shape, note = self._shapes.get("ProjectNotes"), self._recipe.note
        if shape is None or note is None or not ids:
            return {}
        assert self._target is not None
        found = await find_by_key(
            self._target,
            shape,
            ("projectID", "title"),
            [(id, note.title) for id in ids],
            fields=("title", "description"),
        )
        return {id: found.get(key_of((id, note.title)), ()) for id in ids}

    def _put(self, one: Chosen, id: int | None, inside: Inside | None, noted: Sequence[RecordData]) -> None:
        """The rows of one project: that of its note, where it is closed and has no such note, and its own."""
        fault = one.fault or self._hindered(one, inside, noted)
        needs = None
        if not fault and inside is not None and id is not None and self._recipe.note is not None:
            needs = self._put_note(one, id, inside, is_there=bool(noted))
        is_noted = needs is not None
        tally = inside.tally if inside is not None else None
        premise = self._premise(one.project, id, tally, is_touched=is_noted) if id is not None else None
        if id is not None:
            self._known.setdefault(id, one.line)
        first, surplus = self._as_written(one.cells)
        self._rows.put(
            self._cells(one.project, inside), line=one.line, fault=fault, found=one.project, needs=needs,
            premise=premise, first=first, surplus=surplus,
        )  # fmt: skip

    def _as_written(self, cells: Sequence[str]) -> tuple[Sequence[str], Sequence[str] | None]:
        """A file's own cells of a row, and those for which its header has no name: nothing of an uneven row
        may be lost in the results. Of a row that is too short there are only its own.
        """
        columns = self._choice.source.columns if self._choice.source else ()
        is_short = len(cells) < len(columns)
        return cells[: self._of_file], None if is_short else cells[len(columns) :]

    def _put_note(self, one: Chosen, id: int, inside: Inside, *, is_there: bool) -> FromStep | None:
        """What the project has to wait for."""
        if is_there:
            self._noted += 1
            return None
        name = text_of(one.project.get(NAME)) if one.project else ""
        tally = open_tasks(inside.open, keeps=())
        premise = self._premise(one.project, id, tally, is_touched=False)
        self._notes.put({ID: str(id), NAME: name}, line=one.line, premise=premise)
        return FromStep(step=NOTES, key=(str(id),))

    def _premise(
        self, project: RecordData | None, id: int, tally: Tally | None, *, is_touched: bool
    ) -> Premise:
        """What was looked at before it was chosen to be closed: its fields, and its open tasks where they
        matter.

        `is_touched`: by a note of this plan, after which what the API keeps by itself (when something was
        last done to it) is another.
        """
        shapes = [shape for name in self._guarded if (shape := self._shapes["Projects"].find(name))]
        names = [one.name for one in shapes if not (is_touched and one.is_read_only)]
        known = project or {}
        values = {name: known[name] for name in names if name in known}
        is_asked_for = "Tasks" in self._shapes and self._asks_for_tasks
        return Premise(entity="Projects", id=id, values=values, tally=tally if is_asked_for else None)

    @property
    def _asks_for_tasks(self) -> bool:
        """Whether the open tasks of a project were a reason to close it or not, or end with it."""
        return self._completes or self._recipe.open_tasks is OpenTasks.REFUSE

    def _cells(self, project: RecordData | None, inside: Inside | None) -> dict[str, str]:
        if project is None:
            return {}
        told = {ID: str(record_id(project)), NAME: text_of(project.get(NAME))}
        if inside is not None:
            told |= {TASKS: str(inside.tasks), HOURS: f"{inside.hours:.10g}", LATE: inside.late_text}
        return {self._names[name]: text for name, text in told.items()}

    def _hindered(self, one: Chosen, inside: Inside | None, noted: Sequence[RecordData]) -> str:
        """Why the project is not closed. Nothing where it is, or where it is complete already."""
        project = one.project
        if project is None:
            return ""
        id = record_id(project)
        if id in self._known:
            return f"{self._rows.display}:{self._known[id]} has the same project, {id}: {again.SECOND}"
        if inside is None:
            return "" if self._completes else self._would_open()
        if project.get("projectType") in values_of(self._shapes["Projects"], "projectType", "baseline"):
            return "the project is a Baseline, and the API keeps those as they are"
        if inside.tasks and self._recipe.open_tasks is OpenTasks.REFUSE:
            self._refusals += 1
            self._refused.tasks += inside.tasks
            self._refused.hours += inside.hours
            return f"it has {inside.amount}, and `open_tasks` says refuse"
        return self._other_note(noted)

    def _would_open(self) -> str:
        return f"it is complete already, and the status {shown(self._recipe.status)} would open it again"

    def _other_note(self, noted: Sequence[RecordData]) -> str:
        """A note is known by project and title: another one of that title stands in the way."""
        note, shape = self._recipe.note, self._shapes.get("ProjectNotes")
        if not noted or note is None or shape is None:
            return ""
        texts = {"title": note.title, "description": note.description}
        for one in noted:
            if all(equal(shape.find(name), one.get(name), text) for name, text in texts.items()):
                return ""
        return (
            f"it has a note {shown(note.title)} already (ProjectNotes {record_id(noted[0])}), with another "
            "description: give `note` a title of its own"
        )

    @property
    def _completes(self) -> bool:
        """Whether the status is Complete."""
        field = self._shapes["Projects"].find("status")
        return str(COMPLETE) in _values(field, self._recipe.status)

    # --- what it comes to ---

    def known(self) -> Sequence[Known]:
        return self._insides.known if self._insides else ()

    def note(self, row: Row, change: Change) -> None:
        """What its changes come to, the plan's own rules tell."""

    def warnings(self) -> list[str]:
        told = []
        if not self._known:
            told.append(f"the {self._choice.display} found no project, so there is nothing to close")
        if self._refusals:
            told.append(
                f"{counted(self._refusals, 'project')} with {self._refused.amount} "
                f"{'stays' if self._refusals == 1 else 'stay'} as they are: `open_tasks` says refuse"
            )
        if self._known and not self._completes and self._recipe.open_tasks is OpenTasks.COMPLETE:
            told.append(
                f"{shown(self._recipe.status)} is not the status Complete: the API completes no task with it"
            )
        if self._noted:
            told.append(
                f"{counted(self._noted, 'project')} with this very note: it is not added a second time"
            )
        return [f"close_projects: {text}" for text in told]

    def lasting(self) -> list[str]:
        return []

    def labels(self) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
        return {}

    def extra(self) -> Mapping[str, Any]:
        return {"fed_back": PROJECTS} if self._choice.source else {}

    def close(self) -> None:
        self._rows.close()
        self._notes.close()


def _constant(text: str, where: str) -> FieldSpec:
    """What could not be understood is told already."""
    return FieldSpec(value=text, where=where, is_broken=not text)


def _free(name: str, taken: Sequence[str]) -> str:
    """A column's name that the file does not have."""
    return f"{name} (Autotask)" if name in taken else name


def _values(field: Field | None, text: str) -> frozenset[str]:
    if field is None:
        return frozenset()
    return by_label(field, text) or frozenset({text.strip()})
