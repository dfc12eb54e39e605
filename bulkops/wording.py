"""The phrases that messages share: what was meant, what there is, what somebody wrote. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkops.schema import Entity

TENANT_COUNTS = "The shipped catalog says otherwise, but this tenant's own metadata is what counts"


def sentences(first: str, then: str) -> str:
    """Both, parted by one stop: a question has its own."""
    return f"{first}{' ' if first.endswith(('?', '.')) else '. '}{then}" if then else first


def nearest(word: str, choices: Iterable[str]) -> str:
    """The choice most like `word`, case ignored, or "" where none is."""
    by_folded = {choice.casefold(): choice for choice in choices}
    near = difflib.get_close_matches(word.casefold()[:200], by_folded, n=1)
    return by_folded[near[0]] if near else ""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A question with the nearest choice, or nothing."""
    near = nearest(word, choices)
    return f"Did you mean `{near}`?" if near else ""


def field_hint(entity: Entity, name: str, *, as_key: bool = False) -> str:
    """What to do about a name that is no field of `entity`: the field that may have been meant.

    `as_key`: where a job names user-defined fields with their prefix, in `match` and `lookup`.
    """
    meant = entity.meant(name)
    if meant is None:
        return f"{describe_command(entity)} lists them"
    is_udf_asked = name.casefold().startswith("udf:")
    if name.casefold()[4 * is_udf_asked :] == meant.soap_name.casefold():
        return f"That is the older API's name; here it is `{meant.name}`"
    if as_key:
        return f"Did you mean `{meant.name}`?"
    place = "" if is_udf_asked == meant.is_udf else ", under `udf`" if meant.is_udf else ", under `fields`"
    return f"Did you mean `{meant.name.removeprefix('udf:')}`{place}?"


def describe_command(entity: Entity) -> str:
    """The command that shows the fields of `entity`, those of its tenant where it is known."""
    tenant = f" --tenant {entity.tenant}" if entity.tenant else ""
    return f"`bulkops describe {entity.name}{tenant}`"


def listed(words: Sequence[str], joint: str = "or") -> str:
    """`a`, `b` or `c`."""
    quoted = [f"`{word}`" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {joint} {quoted[-1]}"


def shown(text: str) -> str:
    """A text of the file as a message shows it: short, on one line."""
    line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))
    return f"`{line if len(line) <= 60 else line[:57] + '...'}`"


def counted(number: int, word: str) -> str:
    """1 field, 2 fields."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
