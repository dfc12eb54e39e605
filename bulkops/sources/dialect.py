"""Finds how a text file is written: its encoding and its delimiter, from a bounded sample.

Certain signs come first (a byte order mark, strict UTF-8); what is left is a guess and is called one.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import BinaryIO

from bulkops.cells import is_result_file
from bulkops.errors import SourceError

SAMPLE_BYTES = 1 << 18
SAMPLE_RECORDS = 1000
DELIMITERS = (",", ";", "\t", "|")

_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_OTHER_KINDS = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF-", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
)
_WESTERN = ("cp1252", "cp1250", "cp850", "mac_roman")  # in this order where they read equally well
_IN_WORDS = "'’‘`´-–.·º°&"  # what stands between letters in names, besides letters


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    codec: str  # without the byte order mark
    skip: int  # bytes of the byte order mark
    found: str
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimiter:
    char: str
    found: str


def find_encoding(file: BinaryIO, *, given: str | None, display: str, can_set: bool = True) -> Encoding:
    """The encoding of a file opened at its start. Raises SourceError where it is no text.

    `can_set`: whether the job can say what it is, which it cannot of a file given on the command line.
    """
    head = file.read(SAMPLE_BYTES)
    refuse_other_kinds(head, display)
    mark = byte_order_mark(head)
    if given is not None:
        return _given(given, mark, display)
    if mark:
        return Encoding(codec=mark[1], skip=len(mark[0]), found="byte order mark")
    wide = _utf16_without_mark(head)
    if wide:
        return Encoding(
            codec=wide, skip=0, found="guessed: every second byte is 0",
            warning=f"{display}: the encoding is a guess, {wide}; "
            f"{'set `encoding:`' if can_set else 'save it as UTF-8'} to be sure",
        )  # fmt: skip
    sample, is_whole = _beyond_ascii(file, head)
    if not sample:
        return Encoding(codec="utf-8", skip=0, found="ASCII characters only")
    if (is_utf8 := _is_utf8(sample, is_whole)) or _is_damaged_utf8(sample):
        # Damaged is no reason to guess: reading it says which byte of which line is wrong.
        return Encoding(codec="utf-8", skip=0, found=f"{'valid' if is_utf8 else 'damaged'} UTF-8")
    if b"\0" in head:
        raise SourceError(
            f"{display}: is no text file: it holds bytes of 0 and is not UTF-16. Save it as CSV"
        )
    return _guess(sample, display, can_set=can_set)


def byte_order_mark(head: bytes) -> tuple[bytes, str] | None:
    """The mark at a file's start and the codec that it stands for."""
    return next(((mark, codec) for mark, codec in _MARKS if head.startswith(mark)), None)


def refuse_other_kinds(head: bytes, display: str) -> None:
    """Raises SourceError where a file's start is that of an archive, a workbook or a PDF."""
    for start, name in _OTHER_KINDS:
        if head.startswith(start):
            raise SourceError(f"{display}: is {name}, not a text file. Save the table as CSV in UTF-8")


def _given(name: str, mark: tuple[bytes, str] | None, display: str) -> Encoding:
    try:
        info = codecs.lookup(name.strip())
        "".encode(info.name)  # codecs like `hex` are known too, and are no text encodings
    except (LookupError, ValueError):
        raise SourceError(
            f"{display}: '{name}' is no known encoding. Use utf-8, utf-16, cp1252 (Windows, western Europe), "
            "latin-1, cp850 (DOS) or another name Python knows, or leave `encoding` out to have it found"
        ) from None
    codec = info.name.removesuffix("-sig")
    if mark and codec in (mark[1], mark[1].removesuffix("-le").removesuffix("-be")):
        return Encoding(codec=mark[1], skip=len(mark[0]), found="given")
    if mark:
        raise SourceError(
            f"{display}: `encoding: {name}` is set, but the file has the byte order mark of {mark[1]}. "
            "Take `encoding` out of the job"
        )
    return Encoding(codec=codec, skip=0, found="given")


def _utf16_without_mark(head: bytes) -> str:
    """UTF-16 text in any script has delimiters and line ends: bytes of 0, all on the same side."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    few = len(head) // 20 + 1  # a stray 0 in other text is no sign
    if odd > few and not even:
        return "utf-16-le"
    return "utf-16-be" if even > few and not odd else ""


def _beyond_ascii(file: BinaryIO, head: bytes) -> tuple[bytes, bool]:
    """A sample with the file's first byte beyond ASCII in its first line, and whether it is all the rest.

    Reads on through ASCII of any length in constant memory, so that one ü in the last line is seen.
    """
    chunk = head
    while chunk and chunk.isascii():
        chunk = file.read(SAMPLE_BYTES)
    beyond = next((n for n, byte in enumerate(chunk) if byte > 0x7F), len(chunk))
    start = chunk.rfind(b"\n", 0, beyond) + 1 if chunk else 0
    sample = chunk[start:] + file.read(start)
    return sample, not file.read(1)


def _is_utf8(sample: bytes, is_whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, is_whole)
    except UnicodeDecodeError:
        return False
    return True


def _is_damaged_utf8(sample: bytes) -> bool:
    """Most of what is beyond ASCII is UTF-8, which no other encoding's text is by chance."""
    text = sample.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = sum(not sign.isascii() for sign in text) - broken
    return whole > 4 * broken


def _guess(sample: bytes, display: str, *, can_set: bool) -> Encoding:
    lines = list(islice((line for line in sample.splitlines() if not line.isascii()), 200))
    text = b"\n".join(lines)[:16384]
    codec = (_other_script(text) if _runs(text) > 0.6 else "") or min(
        _WESTERN, key=lambda c: _oddness(text, c)
    )
    shown = _word(text.decode(codec, "replace"))
    advice = f"set `encoding: {codec}` if that is right, or the right one" if can_set else (
        "save it as UTF-8 if that is wrong"
    )  # fmt: skip
    return Encoding(
        codec=codec, skip=0, found="guessed: it is not UTF-8",
        warning=f"{display}: the encoding is a guess, {codec}, which reads '{shown}'; {advice}",
    )  # fmt: skip


def _runs(text: bytes) -> float:
    """The share of bytes beyond ASCII that follow another: high in scripts that are not Latin."""
    high = [byte > 0x7F for byte in text]
    return sum(a and b for a, b in pairwise(high)) / max(1, sum(high))


def _other_script(text: bytes) -> str:
    """charset-normalizer tells scripts apart well; among western code pages it is no better than chance."""
    from charset_normalizer import from_bytes

    best = from_bytes(text).best()
    return best.encoding if best else ""


def _oddness(text: bytes, codec: str) -> float:
    """How much of a reading cannot be words: signs and capitals in the middle of words, undefined bytes."""
    read = " " + text.decode(codec, "replace") + " "
    odd = 0.0
    for before, char, after in zip(read, read[1:], read[2:], strict=False):
        if char == "\N{REPLACEMENT CHARACTER}":
            odd += 2
        elif char > "\x7f" and (before.isalpha() or after.isalpha()):
            inside = before.isalpha() and after.isalpha()
            is_sign = not char.isalpha() and char not in _IN_WORDS
            odd += inside and (is_sign or (char.isupper() and before.islower()))
    return odd


def _word(text: str) -> str:
    """The first word with a character beyond ASCII in it."""
    words = (word.strip("\"';,|") for word in text.replace(",", " ").replace(";", " ").split())
    return next((word[:40] for word in words if not word.isascii()), "")


def result_delimiter(text: str, quote: str) -> Delimiter | None:
    """The delimiter of a result file of bulkops, which its header tells, whatever its rows are like."""
    for char in DELIMITERS:
        records = csv.reader(io.StringIO(text, newline=""), **reader_options(char, quote))  # type: ignore[arg-type]
        if is_result_file(name.strip() for name in next(_readable(records), ())):
            return Delimiter(char=char, found="found: the header is that of a result file")
    return None


def find_delimiter(text: str, *, is_whole: bool, quote: str, width: int | None, first: str) -> Delimiter:
    """The delimiter with which most records have as many cells as the header, or as `width`.

    `text` starts at the header. `first` is tried first, and stands where no other tells anything.
    """
    order = sorted(DELIMITERS, key=lambda char: char != first)
    scores = [_score(char, widths(text, char, quote, is_whole=is_whole), width) for char in order]
    best = max(scores, key=lambda score: score[0])
    return best[1]


def widths(text: str, delimiter: str, quote: str, *, is_whole: bool) -> list[int]:
    """How many cells each of the first records has; without the last one where it may be cut off."""
    records = csv.reader(io.StringIO(text, newline=""), **reader_options(delimiter, quote))  # type: ignore[arg-type]
    found = [len(cells) for cells in islice(_readable(records), SAMPLE_RECORDS) if cells]
    cut = not is_whole and len(found) < SAMPLE_RECORDS
    return found[:-1] if cut and len(found) > 2 else found


def _readable(records: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from records
    except csv.Error:  # the reading proper says what is wrong
        return


def _score(delimiter: str, widths: list[int], width: int | None) -> tuple[tuple[float, float], Delimiter]:
    wanted = width or (widths[0] if widths else 1)
    rows = widths if width else widths[1:]
    like = Counter(rows)[wanted]
    share = like / len(rows) if rows else 1.0
    found = f"found: {like} of the first {len(rows)} rows have {wanted} cells with it" if rows else "found"
    if wanted == 1:
        found = "nothing delimits: one column"
    # A delimiter that fits hardly any row stands in the header by chance.
    return (share * (wanted - 1) if share > 0.25 else 0.0, share), Delimiter(char=delimiter, found=found)


def reader_options(delimiter: str, quote: str) -> dict[str, object]:
    """What the standard library's reader takes for a delimiter and a quote; no quote: nothing is quoted."""
    if not quote:
        return {"delimiter": delimiter, "quoting": csv.QUOTE_NONE}
    return {"delimiter": delimiter, "quotechar": quote, "doublequote": True}
