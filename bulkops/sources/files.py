"""Files that hold rows: whether one is there and can be read, and its text to the letter."""

from __future__ import annotations

import codecs
import difflib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TextIO

from bulkops.errors import SourceError
from bulkops.sources.dialect import SAMPLE_BYTES

BREAK = re.compile(r"\r\n|\r|\n")


def must_be_file(path: Path, display: str) -> None:
    """Raises SourceError, naming a file that may have been meant, unless `path` is a regular file."""
    try:
        if path.is_file():
            return
        if path.is_dir():
            raise SourceError(f"{display}: is a folder. Name the file in it")
        if path.exists():
            raise SourceError(f"{display}: is not a regular file, and a source is read more than once")
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else None
    except OSError as error:
        raise unreadable(display, error) from error
    folder = path.parent.absolute()
    if names is None:
        raise SourceError(f"{display}: there is no folder {folder}. Paths are relative to the job file")
    near = difflib.get_close_matches(path.name, names, n=1)
    hint = f"Is it '{near[0]}'?" if near else "Paths are relative to the job file"
    raise SourceError(f"{display}: there is no such file in {folder}. {hint}")


def unreadable(display: str, error: OSError) -> SourceError:
    why = error.strerror or type(error).__name__
    return SourceError(f"{display}: cannot be read ({why}). See that this user may read it, and try again")


def read_head(path: Path, display: str, size: int) -> bytes:
    """The first `size` bytes."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise unreadable(display, error) from error


@contextmanager
def open_text(path: Path, codec: str, skip: int, display: str, *, hint: str) -> Iterator[TextIO]:
    """The file as text with its line ends as they are, after `skip` bytes of a byte order mark.

    A byte that is no text becomes a SourceError that ends with `hint`.
    """
    try:
        with path.open("rb") as binary:
            binary.seek(skip)
            with io.TextIOWrapper(binary, encoding=codec, errors="strict", newline="") as file:
                yield file
    except UnicodeError as error:
        raise _undecodable(path, codec, skip, display, hint) from error
    except OSError as error:
        raise unreadable(display, error) from error


def _undecodable(path: Path, codec: str, skip: int, display: str, hint: str) -> SourceError:
    """Reads once more in chunks, since the reader above does not know where in the file it was."""
    decoder = codecs.getincrementaldecoder(codec)()
    offset, line, last, byte = skip, 1, "", ""
    with path.open("rb") as binary:
        binary.seek(skip)
        for chunk in chain(iter(partial(binary.read, SAMPLE_BYTES), b""), (b"",)):
            held = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line += breaks(last, error.object[: error.start].decode(codec, "replace"))
                offset += error.start - held
                byte = f" ({error.object[error.start]:02X})"
                break
            line, last = line + breaks(last, text), text[-1:] or last
            offset += len(chunk)
    return SourceError(f"{display}:{line}: the byte at offset {offset}{byte} is no {codec} text. {hint}")


def breaks(last: str, text: str) -> int:
    """Line ends in `text`, which follows `last`; one that is cut in two (\\r, \\n) counts once."""
    cut = last == "\r" and text.startswith("\n")
    return len(BREAK.findall(text)) - cut
