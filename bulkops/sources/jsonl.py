"""JSON Lines: one object a line; its keys are the columns, and numbers stay as the file writes them.

A key that an object does not have is no empty cell but `ABSENT`; null is an empty cell.

Two readings, each in constant memory: the first collects the keys, the second gives the rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.record import ABSENT, Row, StoredText
from bulkops.sources.base import Table
from bulkops.sources.dialect import byte_order_mark, refuse_other_kinds
from bulkops.sources.files import must_be_file, open_text, read_head
from bulkops.wording import shown

LINE_LIMIT = 1 << 26  # characters: beyond this it is no line
KEY_LIMIT = 16_384  # columns, as many as a sheet has: with more, the keys are data

_text = partial(open_text, hint="JSON Lines are written in UTF-8: save the file so")


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLines(Table):
    """A file of objects whose keys are known. Every `rows()` opens it anew."""

    path: Path
    codec: str
    skip: int  # bytes of the byte order mark
    places: Mapping[str, int]  # key → cell

    def rows(self) -> Iterator[Row]:
        width = len(self.columns)
        for line, text in _lines(self.path, self.codec, self.skip, self.file):
            try:
                pairs = _object(text)
                cells: list[str] = [ABSENT] * width
                for key, value in pairs.items():
                    cells[self.places[key]] = _cell(value)
            except ValueError as error:
                yield Row(cells=(text,), line=line, fault=f"line {line} {error}")
            except KeyError:
                raise SourceError(f"{self.file}: was changed while it was read. Try again") from None
            else:
                yield Row(cells=tuple(cells), line=line)


def open_jsonl(spec: FileSource) -> JsonLines:
    """Reads the file once for its keys. Raises SourceError where no line is an object with a key."""
    must_be_file(spec.file, spec.display)
    head = read_head(spec.file, spec.display, 4096)
    refuse_other_kinds(head, spec.display)
    mark, codec = byte_order_mark(head) or (b"", "utf-8")
    skip = len(mark)
    keys: dict[str, int] = {}
    first_fault = ""
    for line, text in _lines(spec.file, codec, skip, spec.display):
        try:
            for key in _object(text):
                keys.setdefault(key, len(keys))
        except ValueError as error:
            first_fault = first_fault or f"line {line} {error}"
        if len(keys) > KEY_LIMIT:
            raise SourceError(
                f"{spec.display}:{line}: has more than {KEY_LIMIT:,} different keys, so they are no columns. "
                "Write one object a line, with the same keys in each"
            )
    if not keys:
        why = (
            f"no line is an object with a key: {first_fault}. Write one object a line" if first_fault else ""
        )
        raise SourceError(f"{spec.display}: {why or 'holds no row'}")
    names = tuple(key.strip() or f"column {n}" for key, n in zip(keys, range(1, len(keys) + 1), strict=True))
    return JsonLines(
        file=spec.display,
        columns=names,
        dialect=None,
        path=spec.file,
        codec=codec,
        skip=skip,
        places=keys,
    )


def _lines(path: Path, codec: str, skip: int, display: str) -> Iterator[tuple[int, str]]:
    """Every line that is not blank, with its number."""
    with _text(path, codec, skip, display) as file:
        for line, text in enumerate(iter(partial(file.readline, LINE_LIMIT), ""), start=1):
            if len(text) == LINE_LIMIT:
                raise SourceError(
                    f"{display}:{line}: is longer than {LINE_LIMIT:,} characters. Write one object a line"
                )
            if stripped := text.strip():
                yield line, stripped


def _object(text: str) -> dict[str, Any]:
    """The object of a line, whose numbers are `StoredText`. ValueError with what is wrong with the line."""
    try:
        value, end = _decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON ({error.msg} at character {error.pos + 1})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if end != len(text):
        raise ValueError(f"holds more than one value: {shown(text[end:])} follows")
    if type(value) is not dict:
        kind = "a list" if isinstance(value, list) else shown(text)
        raise ValueError(f"is no object but {kind}: each line is one object, {{…}}")
    if "\\u" in text:
        _must_be_characters(text, value)
    return value


def _must_be_characters(text: str, value: dict[str, Any]) -> None:
    r"""`\ud83d` alone is half a character, which no text can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError(
            r"holds half a character (an escape such as \ud83d without its other half)"
        ) from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for n, key in enumerate(keys) if key in keys[:n])
        raise ValueError(f"holds the key {shown(twice)} twice")
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"holds {name}, which is no JSON")


_decode = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=StoredText, parse_int=StoredText, parse_constant=_no_constant
).raw_decode


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else _compact(value)


def _compact(value: Any) -> str:
    """JSON without blanks, numbers as they were written."""
    if type(value) is StoredText:
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(key)}:{_compact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    return _quoted(value)


_quoted = json.JSONEncoder(ensure_ascii=False).encode
