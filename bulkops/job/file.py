"""The grammar of job files: a tree of texts becomes a Job, and every misfit a fault at its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bulkops.job.fields import read_field
from bulkops.job.model import (
    REST,
    FieldSpec,
    Job,
    Source,
    Step,
    StepAction,
)
from bulkops.job.recipes import RECIPES, read_recipe
from bulkops.job.sources import NO_FILE, read_source
from bulkops.job.yamlfile import Entry, Faults, Node, Text, position
from bulkops.job.yamlform import Form
from bulkops.safety import DEFAULTS, Limit
from bulkops.wording import did_you_mean, listed, shown

_LIMITED = ("create", "update", "delete")
_NAME = re.compile(r"\w(?:[\w .()-]{0,78}[\w)])?")  # it becomes part of file names
_MOST_ROWS = 10**9


def read_job(root: Node, path: Path, faults: Faults) -> Job:
    """The job in `root`. It may be planned only if `faults` stayed empty."""
    before = [position(fault) for fault in faults.found]
    with Form(root, "a job", faults) as form:
        _check_version(form)
        missing = form.texts("missing", may_be_empty=True)
        job = Job(
            path=path,
            name=_name(form, "name"),
            tenant=form.text("tenant"),
            reason=form.optional_text("reason", may_be_empty=True) or "",
            missing=missing if form.has("missing") else ("",),
            steps=_steps(form, path, before),
            limits=_limits(form),
            recipe=read_recipe(form, path.parent),
            lines={key: entry.key.place.line for key, entry in form.entries.items()},
        )
        kinds = form.given("steps", *RECIPES)
        for key in kinds[1:]:
            hint = "A job has steps, or one recipe; write a second job."
            form.fault(key, f"`{kinds[0]}` and `{key}` exclude each other", hint)
    return replace(job, broken=frozenset(form.broken))


def _steps(form: Form, path: Path, misread: Sequence[tuple[int, int]]) -> tuple[Step, ...]:
    """The steps. `misread`: line and column of faults in the text itself, where an entry may be missing."""
    nodes = form.rows("steps", required=_is_plain(form))
    starts = [node.place.line for node in nodes]
    ends = [*starts, 1 << 31][1:]
    steps = []
    for node, start, end in zip(nodes, starts, ends, strict=True):
        step = _step(node, path, form.faults)
        if any(start <= line < end and column >= node.place.column for line, column in misread):
            step = replace(step, broken=step.broken | {"fields", "udf", "ignore", "match"})
        steps.append(step)
    return tuple(steps)


def _check_version(form: Form) -> None:
    version = form.text("version")
    if version and version != "1":
        form.fault("version", f"version {shown(version)} is not known", "Write `version: 1`.")


def _is_plain(form: Form) -> bool:
    """Whether the job has to have steps."""
    return not form.given(*RECIPES)


def _name(form: Form, key: str) -> str:
    text = form.text(key)
    if text and not _NAME.fullmatch(text):
        hint = (
            "Use letters, digits, spaces and _ - . ( ), at most 80 of them, beginning with a letter or digit."
        )
        form.fault(key, f"{shown(text)} cannot be a name, because files are named after it", hint)
    return text


def _step(node: Node, path: Path, faults: Faults) -> Step:
    with Form(node, "a step", faults) as form:
        form.node("fields", required=not form.has("udf"))
        step = Step(
            name=_name(form, "name"),
            entity=form.text("entity"),
            # Of all actions an update demands the least of its fields.
            action=form.choice("action", StepAction, required=True) or StepAction.UPDATE,
            source=form.read("source", lambda item: _source(item, path, faults), NO_FILE, required=True),
            match=form.texts("match"),
            fields=_fields(form, "fields"),
            udf=_fields(form, "udf"),
            ignore=_ignore(form),
            impersonate=_impersonate(form),
            marker=form.optional_text("marker"),
            undo=_fields(form, "undo"),
            file=faults.file,
            line=form.place.line,
            lines={key: entry.key.place.line for key, entry in form.entries.items()},
        )
    return replace(step, broken=frozenset(form.broken))


def _ignore(form: Form) -> tuple[str, ...]:
    """Columns by name, and `*` for all that nothing uses, which may stand alone."""
    node = form.node("ignore")
    if isinstance(node, Text) and node.text == REST:
        return (REST,)
    return form.texts("ignore", may_be_empty=True)


def _source(node: Node, path: Path, faults: Faults) -> Source:
    return read_source(node, path.parent, faults)


def _fields(form: Form, key: str) -> dict[str, FieldSpec]:
    """A table of fields. The target ignores the case of field names, so two that differ in it are one."""
    specs: dict[str, FieldSpec] = {}
    seen: dict[str, Entry] = {}
    for entry in form.pairs(key):
        name, told = entry.key.text, len(form.faults.found)
        first = seen.setdefault(name.casefold(), entry)
        if first is not entry:
            message = f"the field {shown(name)} stands here and in line {first.key.place.line}"
            form.faults.add(entry.key.place, message, "Leave one of them out.")
        if name.casefold().startswith("udf:"):
            hint = f"Write {shown(name[4:])} under `udf`."
            form.faults.add(entry.key.place, f"{shown(name)} is a user-defined field", hint)
        spec = read_field(entry.value, entry.key.place, form.faults)
        specs[name] = replace(spec, is_broken=len(form.faults.found) > told)
        form.pardon()
    return specs


def _impersonate(form: Form) -> FieldSpec | None:
    node, told = form.node("impersonate"), len(form.faults.found)
    if node is None:
        return None
    spec = read_field(node, form.at("impersonate"), form.faults)
    if spec.template is not None or spec.from_ is not None:
        form.fault("impersonate", "`impersonate` takes `column` or `value`, with `lookup`")
    return replace(spec, is_broken=len(form.faults.found) > told)


def _limits(form: Form) -> dict[str, Limit]:
    """Every limit in force: the defaults, and what the job says instead."""
    limits = dict(DEFAULTS)
    for entry in form.pairs("limits"):
        kind = entry.key.text
        field, equals, label = kind.partition("=")
        if kind not in _LIMITED and not (equals and field.strip() and label.strip()):
            known = f"A limit is for {listed(_LIMITED)}, or for field=label such as status=Complete."
            hint = did_you_mean(kind, _LIMITED) or known
            form.faults.add(entry.key.place, f"{shown(kind)} cannot be limited", hint)
        limits[kind] = _limit(entry.value, DEFAULTS.get(kind, Limit()), form.faults)
    return limits


def _limit(node: Node, default: Limit, faults: Faults) -> Limit:
    with Form(node, "a limit", faults) as form:
        percent = form.number("percent", 0, 100)
        count = form.whole("count", 0, _MOST_ROWS)
        minimum = form.whole("minimum", 0, _MOST_ROWS)
        if form.is_table and not form.entries:
            faults.add(form.place, "a limit is empty", "Give it `percent`, `count` or both.")
        limit = Limit(
            percent=default.percent if percent is None else percent,
            count=default.count if count is None else count,
            minimum=default.minimum if minimum is None else minimum,
        )
        if form.is_table and not form.given("percent", "count") and limit.percent is limit.count is None:
            faults.add(form.place, "a limit needs `percent` or `count`")
    return limit
