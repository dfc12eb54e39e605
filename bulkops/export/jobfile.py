"""The job that brings an exported file back as an update: all fields that can be written, by id. Pure.

A cell that was not edited says what the record holds, so it costs no write. One that was emptied clears its
field, or rejects its row where the field must hold something. Columns that are only to be read are ignored,
and `exported` in the source lets the plan tell what was edited there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from bulkops.export.columns import Column
from bulkops.job.model import WrittenAs
from bulkops.mapping.values import is_flag
from bulkops.schema import Entity, Field, FieldType

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.()-]*(?: [A-Za-z0-9_.()-]+)*").fullmatch
_NO_NAME = re.compile(r"[^\w .()-]")
_WIDTH = 100  # characters of a line of ignored columns

_HEAD = """\
# Brings {file} back. Edit its cells, then: bulkops plan {job}
# A cell that was not edited costs no write; an emptied one clears its field. Records are known by their id.
# Columns under `ignore` are only to be read: nothing of them is written, and the plan tells of cells that say
# something else than the record (not of who changed it last, and when: every write moves that).
# `exported` says what the file was written as{guards}.
"""

_GUARDS = ": the ' before = + - @ ' guards a cell and is taken away on reading"


def why_not(entity: Entity) -> str:
    """Why records of the entity cannot be brought back; empty where they can."""
    if "update" not in entity.can:
        return f"{entity.name} cannot be updated, so there is no job that brings the file back"
    parent = entity.parent and entity.find(entity.parent.field)
    if entity.parent and parent and parent.is_path_only:
        return (
            f"{entity.name} are written through their {entity.parent.entity} record, which they do not name, "
            "so there is no job that brings the file back"
        )
    return ""


def job_text(
    entity: Entity, columns: Sequence[Column], empty: Collection[str], *, file: Path, job: Path, tenant: str
) -> str:
    """The job file's text. `empty` are the columns in which a cell was empty."""
    written_as = WrittenAs(file.suffix.lower().removeprefix("."))
    written = [column for column in columns if not column.is_only_read]
    plain = [column for column in written if not column.shape.is_udf]
    udfs = [column for column in written if column.shape.is_udf]
    lines = [
        _HEAD.format(file=file.name, job=job.name, guards=_GUARDS if written_as is WrittenAs.CSV else ""),
        "version: 1",
        f"name: {_text(_name(job))}",
        f"tenant: {_text(tenant)}",
        "steps:",
        f"  - name: {entity.name}",
        f"    entity: {entity.name}",
        "    action: update",
        f"    source: {{file: {_text(_beside(file, job))}, exported: {written_as}}}",
        "    match: [id]",
        "    fields:",
        *(f"      {column.shape.name}: {_spec(column, empty)}" for column in plain),
        *(["    udf:"] if udfs else []),
        *(f"      {_text(column.shape.name[4:])}: {_spec(column, empty)}" for column in udfs),
    ]
    ignored = [column.header for column in columns if column not in written]
    return "\n".join([*lines, *_ignore(ignored)]) + "\n"


def _spec(column: Column, empty: Collection[str]) -> str:
    shape, name = column.shape, _text(column.header.strip())
    what = _when_empty(shape, is_empty_somewhere=column.header in empty)
    return f"{{column: {name}, empty: {what}}}" if what else name


def _when_empty(shape: Field, *, is_empty_somewhere: bool) -> str:
    """What an empty cell means; nothing: leave the field alone, as where a record holds nothing there."""
    if shape.name == "id" or shape.is_read_only or shape.is_fixed:
        return ""
    if shape.is_required or shape.type is FieldType.BOOLEAN or is_flag(shape):
        return "" if is_empty_somewhere else "reject"
    return "clear"


def _ignore(names: Sequence[str]) -> Iterator[str]:
    """The list of ignored columns, in lines that can be read."""
    if not names:
        return
    line = "    ignore: ["
    for n, name in enumerate(names):
        item = _text(name.strip()) + ("," if n < len(names) - 1 else "]")
        if len(line) + len(item) > _WIDTH:
            yield line.rstrip()
            line = "      "
        line += item + " "
    yield line.rstrip()


def _name(job: Path) -> str:
    """The name of the job file, as far as a job may have it."""
    name = _NO_NAME.sub("-", job.stem)[:80].strip(" .-_()")
    return name or "export"


def _beside(file: Path, job: Path) -> str:
    """The file as seen from the job's folder."""
    try:
        return Path(os.path.relpath(file.absolute(), job.absolute().parent)).as_posix()
    except ValueError:  # on another drive
        return file.absolute().as_posix()


def _text(text: str) -> str:
    """A text as YAML holds it."""
    return text if _PLAIN(text) else json.dumps(text, ensure_ascii=not text.isprintable())
