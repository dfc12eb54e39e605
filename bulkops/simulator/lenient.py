"""JSON as the service's parser takes it: single quotes, bare keys, trailing commas and comments as well.

The vendor's own sample requests use them. Strict JSON is read by the fast parser; this one reads the rest.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

MAX_DEPTH = 100
BLANK = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
NUMBER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")
WORD = re.compile(r"[A-Za-z_$][\w$]*")
WORDS = {"true": True, "false": False, "null": None, "undefined": None}
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class LenientError(ValueError):
    """No JSON in any spelling; `str(error)` is the service's text."""


def read(data: bytes | str) -> Any:
    """The value of a whole body, or None where it is empty. Raises LenientError."""
    if not data.strip():
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff")
        return _Reader(text).whole()
    except UnicodeDecodeError as exc:
        raise LenientError("The request body is not valid UTF-8.") from exc
    except LenientError:
        raise
    except ValueError as exc:  # a number of thousands of digits
        raise LenientError("JSON number is too large.") from exc


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def whole(self) -> Any:
        value = self.value()
        if self.peek():
            raise self.unexpected("Additional text encountered after finished reading JSON content")
        return value

    def peek(self) -> str:
        """The next character that counts; empty at the end."""
        found = BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def unexpected(self, what: str = "Unexpected character encountered while parsing value") -> LenientError:
        character = self.text[self.at : self.at + 1]
        if not character:
            return LenientError("Unexpected end when reading JSON.")
        line = self.text.count("\n", 0, self.at) + 1
        column = self.at - (self.text.rfind("\n", 0, self.at) + 1)
        return LenientError(f"{what}: {character}. Path '', line {line}, position {column}.")

    def value(self) -> Any:
        character = self.peek()
        if character == "{":
            return self.nested(self.members)
        if character == "[":
            return self.nested(self.elements)
        if character in ("'", '"') and character:
            return self.quoted(character)
        number = NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            return _number(number[0])
        word = WORD.match(self.text, self.at)
        if word and word[0] in WORDS:
            self.at = word.end()
            return WORDS[word[0]]
        raise self.unexpected()

    def nested(self, read: Any) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise LenientError("The reader's MaxDepth has been exceeded.")
        self.at += 1
        value = read()
        self.at += 1
        self.depth -= 1
        return value

    def members(self) -> dict[str, Any]:
        found = {}
        while self.peek() != "}":
            name = self.name()
            if self.peek() != ":":
                raise self.unexpected("Invalid character after parsing property name. Expected ':' but got")
            self.at += 1
            found[name] = self.value()
            self.separator("}")
        return found

    def elements(self) -> list[Any]:
        found = []
        while self.peek() != "]":
            found.append(self.value())
            self.separator("]")
        return found

    def separator(self, end: str) -> None:
        character = self.peek()
        if character == ",":
            self.at += 1
        elif character != end:
            raise self.unexpected("After parsing a value an unexpected character was encountered")

    def name(self) -> str:
        character = self.peek()
        if character in ("'", '"') and character:
            return self.quoted(character)
        word = WORD.match(self.text, self.at)
        if word is None:
            raise self.unexpected("Invalid property identifier character")
        self.at = word.end()
        return word[0]

    def quoted(self, quote: str) -> str:
        parts = []
        self.at += 1
        while (character := self.text[self.at : self.at + 1]) != quote:
            if not character:
                raise LenientError("Unterminated string. Expected delimiter: " + quote + ".")
            self.at += 1
            parts.append(self.escaped() if character == "\\" else character)
        self.at += 1
        return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # joins \\u pairs

    def escaped(self) -> str:
        character = self.text[self.at : self.at + 1]
        self.at += 1
        if character != "u":
            return ESCAPES.get(character, character)
        digits = self.text[self.at : self.at + 4]
        self.at += 4
        if not re.fullmatch(r"[0-9a-fA-F]{4}", digits):
            raise LenientError(f"Invalid Unicode escape sequence: \\u{digits}.")
        return chr(int(digits, 16))


def _number(text: str) -> int | float:
    if text.lower().startswith(("0x", "-0x")):
        return int(text, 16)
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
