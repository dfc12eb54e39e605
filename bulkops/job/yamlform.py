"""Reads a YAML table key by key into typed values; what was never asked for is an unknown key.

Not pydantic: a model stops at its first wrong key, and here every fault of a file is to be told at once,
at its own line. A reading that fails notes the fault and returns a harmless value of the right type.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import TypeVar

from bulkops.job.yamlfile import Entry, Faults, Items, Node, Place, Table, Text
from bulkops.wording import did_you_mean, listed, nearest, shown

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


_PLACES = {
    "a source": (
        ("file", "query", "where", "encoding", "delimiter", "quote", "header_row", "columns", "sheet",
         "distinct"),
        "It belongs into the step's `source`.",
    ),
    "a field": (
        ("labels", "default", "date", "timezone", "number", "lookup", "empty", "inactive"),
        "It belongs to a single field, as in `startDateTime: {{column: Start, {}: …}}`.",
    ),
    "a step": (
        ("entity", "action", "source", "match", "fields", "udf", "ignore", "impersonate", "marker", "undo"),
        "It belongs into a step, beside `entity`.",
    ),
    "a job": (
        ("version", "tenant", "reason", "missing", "limits", "steps"),
        "It belongs to the job as a whole, beside `steps`.",
    ),
}  # fmt: skip
"""Keys that are known, but somewhere else, and what to say of them there."""


def read_text(node: Node, what: str, faults: Faults, *, may_be_empty: bool = False) -> str:
    """The text of a scalar to the letter. A fault where there is none."""
    if not isinstance(node, Text):
        faults.add(node.place, f"{what} must be a text, not {kind_of(node)}")
    elif node.is_nothing:
        hint = "Put ~ in quotes if the sign is meant." if node.text else 'Write "" for an empty text.'
        faults.add(node.place, f"{what} has no value", hint if node.text or may_be_empty else "")
    elif not node.text.strip() and not may_be_empty:
        faults.add(node.place, f"{what} is empty")
    else:
        return node.text
    return ""


def read_texts(node: Node, what: str, faults: Faults, *, may_be_empty: bool = False) -> tuple[str, ...]:
    """A list of texts, no text twice."""
    if not isinstance(node, Items):
        example = f"Write [{node.text}]." if isinstance(node, Text) and not node.is_nothing else ""
        faults.add(node.place, f"{what} must be a list, not {kind_of(node)}", example)
        return ()
    texts: dict[str, None] = {}
    for item in node.items:
        before = len(faults.found)
        text = read_text(item, f"an entry of {what}", faults, may_be_empty=may_be_empty)
        if text in texts:
            faults.add(item.place, f"{what} names {shown(text)} twice")
        elif len(faults.found) == before:
            texts[text] = None
    return tuple(texts)


def kind_of(node: Node) -> str:
    if isinstance(node, Text):
        return "nothing" if node.is_nothing else f"the text {shown(node.text)}"
    return "a list" if isinstance(node, Items) else "a table of keys"


class Form:
    """One table of the file. A context manager: leaving it tells unknown and missing keys."""

    def __init__(self, node: Node, what: str, faults: Faults) -> None:
        self.what = what  # with article, for messages: "a step"
        self.faults = faults
        self.place = node.place
        self.entries: dict[str, Entry] = {}
        self.is_table = isinstance(node, Table)
        self.broken: set[str] = set()  # keys under which something is wrong, or that are missing
        self._asked: dict[str, None] = {}
        self._missing: list[str] = []
        if isinstance(node, Table):
            self.entries = {entry.key.text: entry for entry in node.entries}
        else:
            faults.add(node.place, f"{what} must be a table of keys, not {kind_of(node)}")
        self._reading, self._noted = "", len(faults.found)

    def __enter__(self) -> Form:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._blame()
        meant = set()  # a required key that is merely misspelt is one fault, not two
        for name in self.unknown():
            hint = self._elsewhere(name)
            near = "" if hint else nearest(name, self._asked)
            meant.add(near)
            self.broken.add(near)
            hint = hint or (f"Did you mean `{near}`?" if near else f"It takes {listed(list(self._asked))}.")
            self.fault(name, f"{self.what} has no key {shown(name)}", hint)
        for key in self._missing:
            if key not in meant:
                self.faults.add(self.place, f"{self.what} needs `{key}`")
        self.broken.update(self._missing)

    def _elsewhere(self, name: str) -> str:
        """Where a key belongs that is known in another table; nothing where it is not."""
        if self.what not in _PLACES:
            return ""
        return next((hint.format(name) for keys, hint in _PLACES.values() if name in keys), "")

    def _blame(self) -> None:
        """What was noted since a key was asked for is wrong with that key."""
        if len(self.faults.found) > self._noted:
            self.broken.add(self._reading)
        self.pardon()

    def pardon(self) -> None:
        """What was noted since then is known by the values themselves: the key as a whole is sound."""
        self._noted = len(self.faults.found)

    def unknown(self) -> list[str]:
        """The keys that nobody asked for so far."""
        return [name for name in self.entries if name not in self._asked]

    def has(self, key: str) -> bool:
        return key in self.entries

    def given(self, *keys: str) -> list[str]:
        """Those of `keys` that stand here."""
        return [key for key in keys if key in self.entries]

    def at(self, key: str) -> Place:
        """Where a key stands; where the table begins if it does not."""
        return self.entries[key].key.place if key in self.entries else self.place

    def fault(self, key: str, message: str, hint: str = "") -> None:
        self._blame()
        self.faults.add(self.at(key), message, hint)
        self.broken.add(key)
        self.pardon()

    def node(self, key: str, *, required: bool = False) -> Node | None:
        """What stands under a key, unread."""
        self._blame()
        self._reading = key
        self._asked[key] = None
        if not self.is_table:
            self.broken.add(key)
        entry = self.entries.get(key)
        if entry is None and required and self.is_table:
            self._missing.append(key)
        return entry.value if entry else None

    def read(self, key: str, reader: Callable[[Node], T], default: T, *, required: bool = False) -> T:
        """What stands under a key, read by `reader`; `default` where nothing does."""
        node = self.node(key, required=required)
        return default if node is None else reader(node)

    def text(self, key: str) -> str:
        """A text that must be there."""
        return self.optional_text(key, required=True) or ""

    def optional_text(self, key: str, *, required: bool = False, may_be_empty: bool = False) -> str | None:
        node = self.node(key, required=required)
        if node is None:
            return None
        return read_text(node, f"`{key}`", self.faults, may_be_empty=may_be_empty)

    def texts(self, key: str, *, required: bool = False, may_be_empty: bool = False) -> tuple[str, ...]:
        """A list of different texts; with `may_be_empty` the texts may be."""
        node = self.node(key, required=required)
        if node is None:
            return ()
        if isinstance(node, Items) and not node.items and not may_be_empty:
            self.faults.add(node.place, f"`{key}` is an empty list", "Name something, or leave it out.")
        return read_texts(node, f"`{key}`", self.faults, may_be_empty=may_be_empty)

    def one_or_more(self, key: str) -> tuple[str, ...]:
        """A text, or a list of texts."""
        if isinstance(node := self.node(key), Text):
            return (read_text(node, f"`{key}`", self.faults),)
        return self.texts(key)

    def whole(self, key: str, low: int, high: int) -> int | None:
        """A whole number from `low` to `high`, written in digits."""
        number = self.number(key, low, high, whole=True)
        return None if number is None else int(number)

    def number(self, key: str, low: int, high: int, *, whole: bool = False) -> float | None:
        """A number from `low` to `high`, written in digits with at most one point."""
        text = self.optional_text(key)
        if not text:
            return None
        digits = text if whole else text.replace(".", "", 1)
        if digits.isascii() and digits.isdigit() and len(text) < 16 and low <= float(text) <= high:
            return float(text)
        kind = "a whole number" if whole else "a number"
        self.fault(key, f"`{key}` must be {kind} from {low} to {high:,}, not {shown(text)}")
        return None

    def choice(self, key: str, kind: type[E], *, required: bool = False) -> E | None:
        """One of the words of an enumeration."""
        text = self.optional_text(key, required=required)
        if not text:
            return None
        words = [member.value for member in kind]
        if text in words:
            return kind(text)
        hint = did_you_mean(text, words)
        self.fault(key, f"`{key}` must be {listed(words)}, not {shown(text)}", hint)
        return None

    def rows(self, key: str, *, required: bool = False) -> tuple[Node, ...]:
        """A list of anything, not empty where required."""
        node = self.node(key, required=required)
        if node is None:
            return ()
        if not isinstance(node, Items):
            self.faults.add(
                node.place, f"`{key}` must be a list, not {kind_of(node)}", "Begin each entry with `- `."
            )
            return ()
        if not node.items:
            self.faults.add(node.place, f"`{key}` is an empty list")
        return node.items

    def pairs(self, key: str, *, required: bool = False) -> tuple[Entry, ...]:
        """A table whose keys are the author's own, not empty."""
        node = self.node(key, required=required)
        if node is None:
            return ()
        if not isinstance(node, Table):
            self.faults.add(node.place, f"`{key}` must be a table of keys, not {kind_of(node)}")
            return ()
        if not node.entries:
            self.faults.add(node.place, f"`{key}` is an empty table")
        return node.entries
