"""Recipes: jobs in the user's own words, as a job file says them. What they come to is `bulkops.recipes`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from bulkops.job.fields import read_field
from bulkops.job.model import Condition, FieldSpec, FileSource
from bulkops.job.sources import read_conditions, read_file_source
from bulkops.job.yamlfile import Faults, Node, Text
from bulkops.job.yamlform import Form, read_text
from bulkops.wording import did_you_mean, listed, shown

RECIPES = ("reassign", "close_projects")
HANDED_OVER = ("Tasks", "Tickets", "Projects", "TaskSecondaryResources", "TicketSecondaryResources")
"""What `reassign` is about where it does not say."""

ON_REQUEST = ("ServiceCalls", "CompanyToDos", "Opportunities")
CLOSED = "projects"  # the step of `close_projects` whose rows a file may hold
DIVIDED_BY = ("companyID", "queueID", "projectID", "phaseID")


class Method(StrEnum):
    """How work is divided among colleagues."""

    ROUND_ROBIN = "round_robin"
    LEAST_LOADED = "least_loaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class DivideBy:
    """Work goes to whom `map` names for the value of field `by`; what it does not name goes to `default`."""

    by: str
    map: Mapping[str, str]  # id, number or label → resource
    default: str | None = None
    places: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Where each key of `map` stands, and `by` and `default` as such: "jobs/x.yaml:12"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignee:
    """A colleague who is given work."""

    resource: str  # e-mail, user name, "Last, First" or id
    role: str | None = None
    where: str = field(default="", compare=False)  # "jobs/x.yaml:12"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassign:
    """The work of one resource goes to others. What could not be understood is empty, and a fault."""

    from_: str
    to: tuple[Assignee, ...]
    divide: Method | DivideBy
    entities: tuple[str, ...]
    where: tuple[Condition, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict, compare=False)  # where each key stands

    def place(self, key: str) -> str:
        """Where a key stands, or where the recipe begins."""
        return self.places.get(key, self.places.get("", ""))


class OpenTasks(StrEnum):
    """What happens to a project that still has open tasks."""

    COMPLETE = "complete"  # the target completes them by itself
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    title: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseProjects:
    """Projects, by query or by file, get their last status.

    Of a file the fields of `match` find its projects; `fields` say which column holds each, where that is
    not named like the field.
    """

    where: tuple[Condition, ...] = ()
    source: FileSource | None = None
    match: tuple[str, ...] = ()
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)
    status: str
    open_tasks: OpenTasks
    note: Note | None = None
    places: Mapping[str, str] = field(default_factory=dict, compare=False)  # where each key stands

    def place(self, key: str) -> str:
        """Where a key stands, or where the recipe begins."""
        return self.places.get(key, self.places.get("", ""))


Recipe: TypeAlias = Reassign | CloseProjects


def read_recipe(form: Form, folder: Path) -> Recipe | None:
    """The recipe of a job file, if it has one; files are named from `folder`."""
    faults = form.faults
    reassign = form.read("reassign", lambda node: _reassign(node, faults), None)
    close = form.read("close_projects", lambda node: _close_projects(node, folder, faults), None)
    return reassign or close


def _places(form: Form) -> dict[str, str]:
    """Where the form's keys stand; where it begins, under no name."""
    where = form.faults.where
    return {"": where(form.place), **{key: where(form.at(key)) for key in form.entries}}


# --- reassign ---


def _reassign(node: Node, faults: Faults) -> Reassign:
    with Form(node, "`reassign`", faults) as form:
        divide = form.node("divide")
        return Reassign(
            from_=form.text("from"),
            to=tuple(_assignee(item, faults) for item in form.rows("to", required=not _is_table(divide))),
            divide=Method.ROUND_ROBIN if divide is None else _divide(divide, form),
            entities=_entities(form),
            where=read_conditions(form, "where"),
            places=_places(form),
        )


def _is_table(node: Node | None) -> bool:
    """Whether `divide` is a map, which names colleagues by itself."""
    return node is not None and not isinstance(node, Text)


def _entities(form: Form) -> tuple[str, ...]:
    """Those asked for in their own spelling, each once; without a word, most of what there is."""
    texts = form.texts("entities")
    if not form.has("entities"):
        return HANDED_OVER
    known = (*HANDED_OVER, *ON_REQUEST)
    spelled = {name.casefold(): name for name in known}
    found: dict[str, None] = {}
    for text in texts:
        name = spelled.get(text.strip().casefold())
        if name is None:
            hint = did_you_mean(text, known) or f"It takes {listed(known, 'and')}."
            form.fault("entities", f"`reassign` cannot hand over {shown(text)}", hint)
        elif name in found:
            form.fault("entities", f"`entities` names {shown(text)} twice")
        else:
            found[name] = None
    return tuple(found)


def _assignee(node: Node, faults: Faults) -> Assignee:
    """A table, or the resource alone."""
    where = faults.where(node.place)
    if isinstance(node, Text):
        return Assignee(resource=read_text(node, "an entry of `to`", faults), where=where)
    with Form(node, "an entry of `to`", faults) as form:
        return Assignee(resource=form.text("resource"), role=form.optional_text("role"), where=where)


def _divide(node: Node, form: Form) -> Method | DivideBy:
    if isinstance(node, Text):
        return form.choice("divide", Method) or Method.ROUND_ROBIN
    with Form(node, "`divide`", form.faults) as inner:
        pairs = inner.pairs("map", required=True)
        texts = {entry.key.text: read_text(entry.value, "`map`", form.faults) for entry in pairs}
        where = form.faults.where
        return DivideBy(
            by=_by(inner),
            map=texts,
            default=inner.optional_text("default"),
            places={
                **{key: where(inner.at(key)) for key in ("by", "default")},
                **{entry.key.text: where(entry.key.place) for entry in pairs},
            },
        )


def _by(form: Form) -> str:
    text = form.text("by")
    name = {known.casefold(): known for known in DIVIDED_BY}.get(text.strip().casefold(), "")
    if text and not name:
        hint = did_you_mean(text, DIVIDED_BY)
        form.fault("by", f"`by` must be {listed(DIVIDED_BY)}, not {shown(text)}", hint)
    return name


# --- close_projects ---


def _close_projects(node: Node, folder: Path, faults: Faults) -> CloseProjects:
    with Form(node, "`close_projects`", faults) as form:
        recipe = CloseProjects(
            where=read_conditions(form, "where"),
            source=form.read("source", lambda item: read_file_source(item, folder, faults), None),
            match=form.texts("match"),
            fields=_fields(form),
            status=form.text("status"),
            open_tasks=form.choice("open_tasks", OpenTasks, required=True) or OpenTasks.REFUSE,
            note=form.read("note", lambda item: _note(item, faults), None),
            places=_places(form),
        )
        _check_which_projects(form, recipe)
    return recipe


def _fields(form: Form) -> dict[str, FieldSpec]:
    """Where the file has what `match` compares."""
    pairs = form.pairs("fields")
    return {entry.key.text: read_field(entry.value, entry.key.place, form.faults) for entry in pairs}


def _check_which_projects(form: Form, recipe: CloseProjects) -> None:
    given = form.given("where", "source")
    if not given and form.is_table:
        form.faults.add(form.place, "`close_projects` needs `where` or `source`, to say which projects")
    elif len(given) == 2:
        form.fault("source", "`where` and `source` exclude each other")
    elif form.has("source") != form.has("match"):
        form.fault("match", "`source` and `match` belong together")
    for name in recipe.fields:
        if name.casefold() not in {key.casefold() for key in recipe.match}:
            hint = did_you_mean(name, recipe.match) or "They say which columns hold what `match` compares."
            form.fault("fields", f"`fields` names {shown(name)}, which `match` does not", hint)


def _note(node: Node, faults: Faults) -> Note:
    with Form(node, "`note`", faults) as form:
        return Note(title=form.text("title"), description=form.text("description"))
