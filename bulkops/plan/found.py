"""What records held just before they were written, where that was not what the plan saw. Only reads.

An intent's text in the journal tells it: it is durable before the request leaves. Undo restores it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

from bulkops.change import OTHERS, Before, Change, Unknown
from bulkops.plan.encoding import decoded, dump, encoded, load
from bulkops.record import Held, Value

OVERWRITTEN = "overwritten"  # how a reason begins
Line: TypeAlias = tuple[str, int | None, Before]  # kind, id, what an intent tells


def before_to_json(before: Before) -> str:
    """As an intent keeps it."""
    return dump(encoded(before))


def lines_found(connection: sqlite3.Connection, first: int, last: int) -> dict[int, list[Line]]:
    """The journal's lines of those changes from `first` to `last` of which an intent tells such a thing.

    ValueError where one of them is none of ours.
    """
    found: dict[int, list[Line]] = defaultdict(list)
    for n, kind, id, reason in connection.execute(_LINES, (first, last, first, last)):
        found[n].append((kind, id, _before(reason) if kind == "intent" and reason else {}))
    return found


def _before(text: str) -> Before:
    try:
        return decoded(load(text))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(text) from error


_LINES = """SELECT n, kind, id, reason FROM journal WHERE n BETWEEN ? AND ? AND n IN
                (SELECT n FROM journal WHERE n BETWEEN ? AND ? AND kind = 'intent' AND reason IS NOT NULL)
            ORDER BY n, seq"""


def found_before(change: Change, lines: Sequence[Line]) -> Before:
    """What the record held before the first request that may have reached it.

    What a later look saw counts where it cannot be our own: the first request may have written half of it.
    An intent that was withdrawn at once never left, so nothing of it counts.
    """
    found: dict[str, Value | Unknown | Held] = {}
    is_intended = may_have_left = False
    last = ""
    for kind, id, told in lines:
        if kind == "intent":
            may_have_left, is_intended = may_have_left or is_intended, True
            found |= {
                name: value
                for name, value in told.items()
                if not (may_have_left and _is_own(change, name, value))
            }
        elif kind == "withdrawn" and last == "intent" and id is None and not may_have_left:
            found, is_intended = {}, False
        else:
            may_have_left = may_have_left or is_intended
        last = kind
    return found


def overwritten(change: Change, found: Before) -> str | None:
    """What somebody had changed, and was written over: `overwritten: phone was '5', and not '4'`."""
    texts = [
        f"{name} was {_shown(found[name])}, and not {_shown(diff.before)}"
        for name, diff in change.fields.items()
        if name in found and found[name] != diff.after and not isinstance(diff.before, Unknown)
    ]
    if isinstance(others := found.get(OTHERS), str):
        texts.append(others)
    return f"{OVERWRITTEN}: {'; '.join(texts)}" if texts else None


def _shown(value: object) -> str:
    return "empty" if value is None else repr(value)


def _is_own(change: Change, name: str, value: Value | Unknown | Held) -> bool:
    diff = change.fields.get(name)
    if diff is None:  # emptied by the API, along with what is written: not while that is still to be sent
        return False
    return value == diff.after or (name in change.cleared and value is None)
