"""Reads a step's source: a file with its dialect, or a query with its conditions."""

from __future__ import annotations

import codecs
from pathlib import Path, PurePath

from bulkops.job.fields import lookup_mismatch
from bulkops.job.model import (
    Condition,
    Distinct,
    FileSource,
    Keep,
    LookupValue,
    Op,
    Operand,
    QuerySource,
    Source,
    WrittenAs,
)
from bulkops.job.yamlfile import Faults, Items, Node, Table, Text
from bulkops.job.yamlform import Form, read_text, read_texts
from bulkops.wording import did_you_mean, listed, shown

_TEXT_KEYS = ("encoding", "delimiter", "quote", "header_row", "columns")
_KEYS_BY_TYPE = {
    ".csv": _TEXT_KEYS,
    ".tsv": _TEXT_KEYS,
    ".txt": _TEXT_KEYS,
    ".xlsx": ("sheet", "header_row", "columns"),
    ".jsonl": (),
    ".parquet": (),
}
_DIALECT_KEYS = (*_TEXT_KEYS, "sheet")
_COMMON_ENCODINGS = ("utf-8", "utf-16", "cp1252", "latin-1", "cp437", "cp850", "mac-roman", "shift-jis")
_NAMED_SIGNS = {"tab": "\t", "\\t": "\t"}
NO_FILE: Source = FileSource(file=Path(), display="")  # stands in for a source that could not be read
_LAST_ROW = 1_048_576  # of a sheet


def file_type_fault(file: str) -> tuple[str, str] | None:
    """Message and hint where a file is of a type that is not read."""
    suffix = PurePath(file).suffix.lower()
    if suffix in _KEYS_BY_TYPE:
        return None
    hint = "Save it as .xlsx." if suffix in (".xls", ".xlsm", ".xlsb", ".ods") else ""
    return f"the file {shown(file)} must end in {listed(list(_KEYS_BY_TYPE))}", hint


def read_source(node: Node, folder: Path, faults: Faults) -> Source:
    """A source; the path of a file is taken from `folder` unless it is absolute."""
    if isinstance(node, Text) and not node.is_nothing:
        faults.add(node.place, f"a source must be a table of keys, not the text {shown(node.text)}",
                   f"Write {{file: {node.text}}}." if len(node.text) < 60 else "")  # fmt: skip
        return NO_FILE
    with Form(node, "a source", faults) as form:
        if form.has("query"):
            if form.has("file"):
                form.node("file")
                form.fault("file", "`query` and `file` exclude each other", "A step has one source.")
            return QuerySource(
                query=form.text("query"),
                where=read_conditions(form, "where"),
                distinct=form.read("distinct", lambda node: _distinct(node, form.faults), None),
            )
        return _file(form, folder)


def read_file_source(node: Node, folder: Path, faults: Faults) -> FileSource:
    """A source that must be a file."""
    with Form(node, "a source", faults) as form:
        return _file(form, folder)


def _file(form: Form, folder: Path) -> FileSource:
    file = form.text("file")
    wrong = file_type_fault(file) if file else None
    if wrong:
        form.fault("file", *wrong)
    elif file:
        _check_keys_fit(form, PurePath(file).suffix.lower())
    if form.has("columns") and form.has("header_row"):
        hint = "`columns` is for a file without a header; leave it out to take the names from the header."
        form.fault("columns", "`header_row` and `columns` exclude each other", hint)
    return FileSource(
        file=folder / file,
        display=file,
        encoding=_encoding(form),
        delimiter=_delimiter(form),
        quote=_quote(form),
        header_row=form.whole("header_row", 1, _LAST_ROW) or 1,
        columns=form.texts("columns") or None,
        sheet=form.optional_text("sheet"),
        exported=form.choice("exported", WrittenAs),
        distinct=form.read("distinct", lambda node: _distinct(node, form.faults), None),
    )


def _check_keys_fit(form: Form, suffix: str) -> None:
    for key in form.given(*_DIALECT_KEYS):
        if key not in _KEYS_BY_TYPE[suffix]:
            fitting = [kind for kind, keys in _KEYS_BY_TYPE.items() if key in keys]
            form.fault(key, f"`{key}` means nothing for a {suffix} file", f"It is for {listed(fitting)}.")


def _encoding(form: Form) -> str | None:
    name = form.optional_text("encoding")
    if name and not _is_encoding(name):
        hint = did_you_mean(name, _COMMON_ENCODINGS) or "Common ones are utf-8, cp1252 and utf-16."
        form.fault("encoding", f"{shown(name)} is no encoding", hint)
    return name


def _is_encoding(name: str) -> bool:
    """Whether text can be read in it: the codecs also know compressions and ciphers of bytes."""
    try:
        codecs.lookup(name)
        return b"a\x00".decode(name, "replace") is not None
    except (LookupError, ValueError):
        return False


def _delimiter(form: Form) -> str | None:
    text = form.optional_text("delimiter", may_be_empty=True)
    if text is None:
        return None
    sign = _NAMED_SIGNS.get(text.lower(), text)
    if _is_given(form, "delimiter") and (len(sign) != 1 or sign in "\r\n"):
        hint = 'Write it as "," ";" "|" or tab.'
        form.fault("delimiter", f"`delimiter` must be one character, not {shown(text)}", hint)
    return sign


def _quote(form: Form) -> str | None:
    text = form.optional_text("quote", may_be_empty=True)
    if text is None:
        return None
    sign = "" if text.lower() == "none" else text
    if _is_given(form, "quote") and (len(sign) > 1 or sign in ("\r", "\n")):
        form.fault("quote", f"`quote` must be one character or none, not {shown(text)}")
    elif sign and sign == form.optional_text("delimiter", may_be_empty=True):
        form.fault("quote", f"`quote` and `delimiter` are both {shown(sign)}")
    return sign


def _is_given(form: Form, key: str) -> bool:
    """Whether a text stands there; where none does, that was a fault already."""
    node = form.node(key)
    return isinstance(node, Text) and not node.is_nothing


def _distinct(node: Node, faults: Faults) -> Distinct:
    with Form(node, "`distinct`", faults) as form:
        return Distinct(
            by=form.texts("by", required=True),
            keep=form.choice("keep", Keep) or Keep.LAST,
            where=faults.where(form.at("by")),
        )


def read_conditions(form: Form, key: str, *, required: bool = False) -> tuple[Condition, ...]:
    """A list of conditions, all of which must hold."""
    return tuple(_condition(node, form.faults) for node in form.rows(key, required=required))


def conditions_of(node: Node, faults: Faults) -> tuple[Condition, ...]:
    """Conditions that stand in no job: a list of them, or one."""
    nodes = node.items if isinstance(node, Items) else (node,)
    return tuple(_condition(item, faults) for item in nodes)


def _condition(node: Node, faults: Faults) -> Condition:
    with Form(node, "a condition", faults) as form:
        where = faults.where(form.place)
        op = form.choice("op", Op, required=True)
        for key in ("field", "value", "items"):
            form.node(key)  # known keys, whatever the operator is
        if op is None:
            return Condition(op=Op.EQ, where=where)
        _check_operands(form, op)
        if op.is_group:
            return Condition(op=op, items=read_conditions(form, "items", required=True), where=where)
        value = _operand(form, op) if op.takes_value else None
        return Condition(op=op, field=form.text("field"), value=value, where=where)


def _check_operands(form: Form, op: Op) -> None:
    unfit = ("field", "value") if op.is_group else ("items",) if op.takes_value else ("items", "value")
    for key in form.given(*unfit):
        form.fault(key, f"`{op}` takes no `{key}`")


def _operand(form: Form, op: Op) -> Operand | tuple[Operand, ...] | None:
    node, faults = form.node("value", required=True), form.faults
    if node is None:
        return None
    if op.takes_list:
        return _operands(node, f"`value` of `{op}`", faults)
    if isinstance(node, Table):
        return _lookup_value(node, faults)
    if isinstance(node, Items):
        faults.add(node.place, f"`{op}` compares with one value, not with a list", "Use `in` or `notIn`.")
        return None
    return read_text(node, "`value`", faults, may_be_empty=True)


def _operands(node: Node, what: str, faults: Faults) -> tuple[Operand, ...]:
    """A list of texts and of records to be looked up, none of them twice."""
    if isinstance(node, Items) and not node.items:
        faults.add(node.place, f"{what} is an empty list", "Name something, or leave the condition out.")
    if not isinstance(node, Items) or not any(isinstance(item, Table) for item in node.items):
        return read_texts(node, what, faults)
    found = [
        _lookup_value(item, faults)
        if isinstance(item, Table)
        else read_text(item, f"an entry of {what}", faults)
        for item in node.items
    ]
    return tuple(dict.fromkeys(found))


def _lookup_value(node: Node, faults: Faults) -> LookupValue:
    with Form(node, "a value", faults) as form:
        form.node("lookup", required=True)
        form.node("key", required=True)
        value = LookupValue(
            lookup=form.one_or_more("lookup"),
            key=form.one_or_more("key"),
            entity=form.optional_text("entity"),
        )
        if value.lookup and value.key and len(value.lookup) != len(value.key):
            form.fault("lookup", *lookup_mismatch(len(value.lookup), len(value.key)))
    return value
