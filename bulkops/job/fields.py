"""Reads one field of a step: where its value comes from, and how the text is to be understood."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from bulkops.job.model import Empty, FieldSpec, Inactive, NumberSpec
from bulkops.job.yamlfile import Faults, Items, Node, Place, Text
from bulkops.job.yamlform import Form, read_text
from bulkops.wording import counted, did_you_mean, listed, shown

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

_SOURCES = ("column", "columns", "value", "template")
_NEEDS = {
    "columns": ("lookup", "from"),
    "labels": ("column",),
    "lookup": _SOURCES,
    "entity": ("lookup",),
    "from": _SOURCES,
}
"""A key, and the keys of which one must stand beside it."""

_CONFLICTS = (
    ("value", "default"),
    ("lookup", "from"),
    ("date", "number"),
    ("number", "timezone"),
    *((reference, reading) for reference in ("lookup", "from") for reading in ("date", "number", "timezone")),
)
_DIRECTIVES = frozenset("aAbBdfGHIjmMpSuUVwWyYz%")
_MADE_BY_LANGUAGE = frozenset("cxX")
_MADE_BY_MACHINE = frozenset("Z")
_SAMPLE = datetime(2019, 11, 23, 14, 35, 42, tzinfo=UTC)  # day, month and year cannot be mistaken


def read_field(node: Node, place: Place, faults: Faults) -> FieldSpec:
    """The field whose key stands at `place`. A plain text names a column."""
    where = faults.where(place)
    if isinstance(node, Text):
        return FieldSpec(column=read_text(node, "the column name", faults), where=where)
    if isinstance(node, Items):
        hint = "Several columns are {columns: [a, b], lookup: [c, d]}."
        faults.add(node.place, "a field must be a column or a table of keys, not a list", hint)
        return FieldSpec(where=where)
    with Form(node, "a field", faults) as form:
        spec = FieldSpec(
            column=form.optional_text("column"),
            columns=form.texts("columns"),
            value=_written(form, "value"),
            template=form.read("template", lambda node: _template(node, faults), None),
            labels=_labels(form),
            default=_written(form, "default"),
            date=form.read("date", lambda node: _date(node, faults), None),
            timezone=form.read("timezone", lambda node: _timezone(node, faults), None),
            number=form.read("number", lambda node: _number(node, faults), None),
            lookup=form.one_or_more("lookup"),
            entity=form.optional_text("entity"),
            from_=form.optional_text("from"),
            empty=form.choice("empty", Empty) or Empty.SKIP,
            inactive=form.choice("inactive", Inactive),
            where=where,
        )
        if form.is_table:
            _check_together(form, spec)
    return spec


def _written(form: Form, key: str) -> str | None:
    """A text that would be written to the target as it stands, so the word `null` is asked about."""
    return form.read(key, lambda node: _not_null(node, f"`{key}`", form.faults), None)


def _not_null(node: Node, what: str, faults: Faults) -> str:
    if isinstance(node, Text) and not node.style and node.text.lower() == "null":
        hint = 'Write "null" for the word, or value: "" with empty: clear to clear the field.'
        faults.add(node.place, f"{what} is null, which is no value", hint)
        return ""
    return read_text(node, what, faults, may_be_empty=True)


def _labels(form: Form) -> dict[str, str]:
    pairs = form.pairs("labels")
    return {entry.key.text: _not_null(entry.value, "a label", form.faults) for entry in pairs}


def _check_together(form: Form, spec: FieldSpec) -> None:
    """What keys demand of each other."""
    given = form.given(*_SOURCES)
    if not given and not form.unknown():
        form.faults.add(form.place, f"a field needs one of {listed(_SOURCES)}")
    for key in given[1:]:
        form.fault(key, f"`{given[0]}` and `{key}` exclude each other", "A field has one source.")
    for key, others in _NEEDS.items():
        if form.has(key) and not form.given(*others) and (given or key in _SOURCES):
            form.fault(key, f"`{key}` needs {listed(others)} beside it")
    for first, second in _CONFLICTS:
        if form.has(first) and form.has(second):
            form.fault(second, f"`{first}` and `{second}` exclude each other")
    if spec.lookup and given and len(spec.lookup) != max(1, len(spec.columns)):
        form.fault("lookup", *lookup_mismatch(len(spec.lookup), max(1, len(spec.columns))))


def lookup_mismatch(fields: int, texts: int) -> tuple[str, str]:
    """Message and hint where a lookup compares more or fewer fields than there are texts."""
    message = f"`lookup` names {counted(fields, 'field')} for {counted(texts, 'text')}"
    return message, "Each text is compared with one field."


def _date(node: Node, faults: Faults) -> str:
    text = read_text(node, "`date`", faults)
    wrong = _wrong_date_format(text) if text else None
    if wrong:
        faults.add(node.place, f"the date format {shown(text)} {wrong}", "For 31/12/2024 write %d/%m/%Y.")
    return text


def _wrong_date_format(text: str) -> str | None:
    directives = re.findall(r"%(.?)", text, re.DOTALL)
    for directive in directives:
        if directive in _MADE_BY_LANGUAGE:
            return f"holds %{directive}, which depends on the machine's language"
        if directive in _MADE_BY_MACHINE:
            return f"holds %{directive}, which depends on the machine; use `timezone`"
        if directive not in _DIRECTIVES:
            return f"holds %{directive}, which means nothing"
    if not {"y", "Y", "G"} & set(directives):  # asked first: reading a day without a year warns
        return "does not say year, month and day"
    return _fails_on_a_sample(text)


def _fails_on_a_sample(text: str) -> str | None:
    try:
        read = datetime.strptime(_SAMPLE.strftime(text), text)  # noqa: DTZ007 - only the date is compared
    except (ValueError, re.error):
        return "cannot be read back: a part stands twice, or two parts do not go together"
    return None if read.date() == _SAMPLE.date() else "does not say year, month and day"


@cache
def _zones() -> frozenset[str]:
    from zoneinfo import available_timezones

    return frozenset(available_timezones())


def _timezone(node: Node, faults: Faults) -> str:
    text = read_text(node, "`timezone`", faults)
    if text and text not in _zones():
        nothing = "This machine has no time zone data: install the package tzdata."
        hint = did_you_mean(text, _zones()) or "Write a name such as Europe/Madrid." if _zones() else nothing
        faults.add(node.place, f"{shown(text)} is no time zone", hint)
    return text


def _number(node: Node, faults: Faults) -> NumberSpec:
    with Form(node, "`number`", faults) as form:
        spec = NumberSpec(decimal=_sign(form, "decimal") or ".", thousands=_sign(form, "thousands"))
        if form.is_table and not form.entries:
            faults.add(form.place, "`number` is empty", "Name `decimal`, `thousands` or both.")
        if spec.decimal == spec.thousands:
            hint = "`decimal` is a point where it is left out."
            form.fault("thousands", f"`decimal` and `thousands` are both {shown(spec.decimal)}", hint)
    return spec


def _sign(form: Form, key: str) -> str | None:
    text = form.optional_text(key, may_be_empty=True)
    node = form.node(key)
    is_read = isinstance(node, Text) and not node.is_nothing
    if text is not None and is_read and (len(text) != 1 or text.isalnum() or text in "+-\r\n"):
        form.fault(key, f"`{key}` must be one sign, such as . or , and not {shown(text)}")
        return None
    return text or None


def _template(node: Node, faults: Faults) -> str:
    text = read_text(node, "`template`", faults)
    if text:
        for line, message, hint in _wrong_in_template(text):
            # A literal block keeps its lines, and begins on the one below its sign.
            shift = line if isinstance(node, Text) and node.style == "|" else 0
            place = Place(line=node.place.line + shift, column=1) if shift else node.place
            faults.add(place, message, hint)
    return text


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment()


def _wrong_in_template(text: str) -> list[tuple[int, str, str]]:
    """Line in the template, message and hint of each fault. Parsed, never compiled: compiling computes."""
    from jinja2 import TemplateSyntaxError, nodes

    environment = _environment()
    try:
        tree = environment.parse(text)
    except TemplateSyntaxError as error:
        return [(error.lineno, f"the template is wrong: {(error.message or '').rstrip('.')}", "")]
    except (RecursionError, ValueError, ArithmeticError):
        return [(1, "the template cannot be understood", "Is it nested deeply, or is a number very long?")]
    faults = []
    for kind, known in ((nodes.Filter, environment.filters), (nodes.Test, environment.tests)):
        for used in tree.find_all(kind):
            if used.name not in known:
                word = kind.__name__.lower()
                message = f"the template uses the {word} {shown(used.name)}, which does not exist"
                faults.append((used.lineno, message, did_you_mean(used.name, known)))
    return faults
