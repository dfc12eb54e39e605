"""YAML as a tree of texts that know where they stand. Never types a scalar: `No`, `001`, `1e3` stay text.

Built from the parser's events, with a depth and a size that end an alias bomb before it grows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeGuard

from bulkops.errors import Fault, JobError
from bulkops.wording import did_you_mean

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_NODES = 100_000  # aliases counted as what they stand for

# Beside what YAML forbids, three signs that YAML 1.1 breaks lines at and everything else does not.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]")
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")  # what an escape can smuggle in and nothing can store
_BEYOND = re.compile(r"\\U(?!000|0010)[0-9a-fA-F]{8}")
NO_CHARACTER = "an escape in this text stands for no character"
_POSITION = re.compile(r":(\d+)(?::(\d+))?$")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Line and column, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    place: Place
    text: str
    style: str = ""  # "" for plain, else the sign it begins with: ' " | >

    @property
    def is_nothing(self) -> bool:
        """Nothing after the colon, or `~`. The word `null` is a text: cells are called NULL."""
        return not self.style and self.text in ("", "~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    key: Text
    value: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A mapping. No two entries have one key: the second was a fault."""

    place: Place
    entries: tuple[Entry, ...]


Node: TypeAlias = Text | Items | Table


class Faults:
    """What is wrong with one file, collected while it is read."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Fault] = []

    def where(self, place: Place) -> str:
        return f"{self.file}:{place.line}"

    def add(self, place: Place, message: str, hint: str = "") -> None:
        self.found.append(Fault(where=f"{self.where(place)}:{place.column}", message=message, hint=hint))

    def error(self) -> JobError:
        """All of them, each once, in the order of the file."""
        return JobError(sorted(dict.fromkeys(self.found), key=position))


def position(fault: Fault) -> tuple[int, int]:
    """Line and column of a fault for sorting; a fault without a line comes last, without a column first."""
    match = _POSITION.search(fault.where)
    return (int(match[1]), int(match[2] or 0)) if match else (1 << 31, 0)


def read_yaml(path: Path, faults: Faults) -> Node | None:
    """The one document of a file, or None where its text has no shape to go on with. UTF-8 or UTF-16.

    Never raises for what the file holds: what is wrong is added to `faults`.
    """
    text = _read_text(path, faults)
    if text is None:
        return None
    return parse_yaml(text, faults)


def parse_yaml(text: str, faults: Faults) -> Node | None:
    """As `read_yaml`, from text."""
    from ruamel.yaml import YAML

    bad = _FORBIDDEN.search(text)
    if bad:
        place = _place_of(text, bad.start())
        message = f"the character U+{ord(bad[0]):04X} cannot stand in a YAML file"
        faults.add(place, message, "If it belongs to a text, write it as an escape in double quotes.")
        return None
    with closing(YAML(typ="safe", pure=True).parse(text)) as events:
        try:
            return _Builder(events, faults, last_line=max(1, len(text.splitlines()))).document()
        except (ValueError, OverflowError):  # of chr(): the parser lets them through
            escape = _BEYOND.search(text)
            faults.add(_place_of(text, escape.start() if escape else 0), NO_CHARACTER)
            return None


def _read_text(path: Path, faults: Faults) -> str | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        faults.found.append(Fault(where=str(path), message="there is no such file", hint=_similar(path)))
        return None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        faults.found.append(Fault(where=str(path), message=f"the file cannot be read: {reason}"))
        return None
    if len(data) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES >> 20} MiB"
        faults.add(Place(line=1, column=1), message, "Data belongs into the source file.")
        return None
    return _decoded(data, faults)


def _similar(path: Path) -> str:
    try:
        names = [item.name for item in path.parent.iterdir() if item.suffix in (".yaml", ".yml")]
    except OSError:
        return ""
    return did_you_mean(path.name, names)


def _decoded(data: bytes, faults: Faults) -> str | None:
    is_utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 if is_utf16 else data[: error.start].count(b"\n") + 1
        message = f"byte 0x{data[error.start]:02X} is not {'UTF-16' if is_utf16 else 'UTF-8'} text"
        faults.add(Place(line=line, column=1), message, "Save the job file as UTF-8.")
        return None


def _place_of(text: str, index: int) -> Place:
    before = text[:index]
    return Place(line=before.count("\n") + 1, column=index - (before.rfind("\n") + 1) + 1)


class _StopReadingError(Exception):
    """What follows in the text cannot be read; the fault is noted."""


@dataclass(frozen=True, slots=True)
class _Marked:
    """What an anchor names, and how much an alias to it adds."""

    node: Node
    size: int
    height: int


class _Builder:
    """Turns parser events into nodes."""

    def __init__(self, events: Iterator[Any], faults: Faults, *, last_line: int) -> None:
        self.events = events
        self.faults = faults
        self.last_line = last_line
        self.anchors: dict[str, _Marked] = {}
        self.size = 0  # nodes so far
        self.deepest = 0  # of the node that is being built
        self.is_sound = True  # the tree says what the author meant, so that more can be said about it

    def document(self) -> Node | None:
        from ruamel.yaml.error import MarkedYAMLError

        root: Node | None = None
        try:
            for event in self.events:
                if type(event).__name__ == "DocumentStartEvent":
                    if root is not None:
                        self._stop(event, "a second document begins here", "A job file holds one document.")
                    root = self._node(next(self.events), 0)
        except _StopReadingError:
            return None
        except MarkedYAMLError as error:
            self._explain(error)
            return None
        if root is None or (isinstance(root, Text) and root.is_nothing):
            self.faults.add(Place(line=1, column=1), "the file is empty", "A job begins with `version: 1`.")
            return None
        return root if self.is_sound else None

    def _node(self, event: Any, depth: int) -> Node:
        self._grow(event, depth, 1)
        if type(event).__name__ == "AliasEvent":
            return self._alias(event, depth)
        size, deepest, self.deepest = self.size, self.deepest, depth
        node = self._new_node(event, depth)
        if event.tag is not None:
            hint = "Leave it out: values are text until their meaning is known."
            self.faults.add(self._place(event), f"the tag {event.tag} has no meaning in a job file", hint)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Marked(node, self.size - size, self.deepest - depth)
        self.deepest = max(deepest, self.deepest)
        return node

    def _new_node(self, event: Any, depth: int) -> Node:
        place, kind = self._place(event), type(event).__name__
        if kind == "SequenceStartEvent":
            return Items(place=place, items=tuple(self._items(depth)))
        if kind == "MappingStartEvent":
            return Table(place=place, entries=tuple(self._entries(depth)))
        return Text(place=place, text=self._whole(event.value, place), style=event.style or "")

    def _whole(self, text: str, place: Place) -> str:
        """The text with its escapes made good: JSON writes some characters as two of them."""
        if not _NO_CHARACTER.search(text):
            return text
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if "\0" in text or "\ufffd" in text:
            self.faults.add(place, NO_CHARACTER)
        return text

    def _alias(self, event: Any, depth: int) -> Node:
        marked = self.anchors.get(event.anchor)
        if marked is None:
            hint = "Put the text in quotes if the * belongs to it."
            self._stop(event, f"nothing above is marked &{event.anchor} for *{event.anchor} to repeat", hint)
        self._grow(event, depth + marked.height, marked.size)
        return marked.node

    def _grow(self, event: Any, depth: int, nodes: int) -> None:
        self.size += nodes
        self.deepest = max(self.deepest, depth)
        if depth > MAX_DEPTH:
            self._stop(event, f"values are nested more than {MAX_DEPTH} deep")
        if self.size > MAX_NODES:
            self._stop(event, f"with its aliases the file stands for more than {MAX_NODES:,} values")

    def _items(self, depth: int) -> Iterator[Node]:
        while type(event := next(self.events)).__name__ != "SequenceEndEvent":
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Iterator[Entry]:
        seen: dict[str, Text] = {}
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            key = self._node(event, depth + 1)
            value = self._node(next(self.events), depth + 1)
            if isinstance(value, Text) and not value.style and not value.text:
                value = replace(value, place=key.place)  # the parser places nothing where the next thing is
            if self._is_usable(key, seen):
                seen[key.text] = key
                yield Entry(key=key, value=value)

    def _is_usable(self, key: Node, seen: dict[str, Text]) -> TypeGuard[Text]:
        if not isinstance(key, Text):
            self.is_sound = False
            self.faults.add(key.place, "a key must be a text", 'Put a template in quotes: "{{ Name }}".')
            return False
        if key.is_nothing:
            self.faults.add(key.place, "a key is missing before the colon")
        elif key.text == "<<" and not key.style:
            self.faults.add(key.place, "`<<` merges nothing in YAML 1.2", "Write the keys out.")
        elif key.text in seen:
            first = seen[key.text].place.line
            message = f"the key `{key.text}` stands here and in line {first}"
            self.faults.add(key.place, message, "Leave one of them out.")
        else:
            return True
        return False

    def _place(self, event: Any) -> Place:
        return self._at(event.start_mark)

    def _at(self, mark: Any) -> Place:
        if mark is None:
            return Place(line=1, column=1)
        return Place(line=min(mark.line + 1, self.last_line), column=mark.column + 1)

    def _stop(self, event: Any, message: str, hint: str = "") -> NoReturn:
        self.faults.add(self._place(event), message, hint)
        raise _StopReadingError

    def _explain(self, error: Any) -> None:
        problem, context = str(error.problem or ""), str(error.context or "")
        mark = error.problem_mark or error.context_mark
        if "unexpected end of stream" in problem or "<stream end>" in problem:
            mark = error.context_mark or mark  # where it begins is where the author has to look
        message, hint = _in_our_words(_THE_END.sub("the end", problem), context)
        self.faults.add(self._at(mark), message, hint)


_THE_END = re.compile(r"<(?:stream|document) end>|'\\x00'")
_EXPLANATIONS = (
    (r"character '\\t'", "a tab cannot indent YAML", "Use spaces."),
    (r"found character '(.)' that", "a value cannot begin with {0}", "Put the value in quotes."),
    (r"expected alphabetic or numeric character", "a value cannot begin with a bare * or &",
     'Put it in quotes: "*".'),
    (r"mapping values are not allowed", "a second `: ` makes no sense here",
     "Put a text that holds `: ` in quotes, or look whether the indentation fits the line above."),
    (r"unexpected end of stream", "a quote is opened here and never closed", "Close it."),
    (r"unknown escape character '(.)'", "\\{0} means nothing between double quotes",
     "Use single quotes, or write the backslash twice."),
    (r"expected ',' or '(.)', but got '(.*)'", "a comma or {0} is missing before {1}",
     "Close what is open; put a text that holds [ ] {{ }} or , in quotes."),
    (r"<block end>", "this line does not belong to the lines above", "Look at its indentation."),
    (r"could not find expected ':'", "a colon is missing after this key", "Write `key: value`."),
    (r"expected the node content, but found '(.*)'", "a value is missing before {0}",
     "Put a text that begins with this sign in quotes."),
)  # fmt: skip


def _in_our_words(problem: str, context: str) -> tuple[str, str]:
    for pattern, message, hint in _EXPLANATIONS:
        match = re.search(pattern, problem)
        if match:
            return message.format(*match.groups()), hint.format()
    return f"this is not YAML: {context + ': ' if context else ''}{problem}", ""
