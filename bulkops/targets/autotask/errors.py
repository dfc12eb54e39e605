"""What an answer of the API means: decided by its body, since validation errors come as HTTP 500. Pure.

Sources: REST_Creating_Resources_POST.htm (errors come as 500 or 400 with `{"errors": [text]}`),
ThreadLimiting.htm, REST_BestPractices.htm (locks), texts that public clients captured live.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import orjson

from bulkops.errors import (
    CallError,
    InDoubtError,
    LockedError,
    MissingError,
    NoRouteError,
    RejectedError,
    StopError,
    ThrottledError,
)


class Kind(StrEnum):
    """What a request asks for: it decides which answer proves success."""

    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class CredentialsError(StopError):
    """Who we say we are is not believed here. Trying on locks the account (Define_API_User.htm)."""


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_THREADS = _any_of(
    r"thread threshold of \d+ threads? has been exceeded", r"thread threshold exceeded", r"itgenatr005"
)
# The text at 100 % of the hourly threshold is not known; these are the words of the help pages for it.
_HOUR = _any_of(
    r"request (threshold|limit)\b.{0,80}\b(exceeded|reached)",
    r"(exceeded|reached)\b.{0,80}\brequest (threshold|limit)",
    r"(exceeded|reached)\b.{0,40}\brequests?\b.{0,40}\bper hour",
    r"too many requests",
)
_LOCK = _any_of(
    r"deadlock",
    r"lock request time-?\s?out",
    r"lock time-?\s?out",
    r"(obtain|acquire|get) (a|the) lock",
    r"locked by another (process|user|transaction|session)",
    r"rerun the transaction",
)
_CREDENTIALS = _any_of(r"integration ?code is invalid", r"zone information could not be determined")
_MISSING = _any_of(r"no matching records found")
_VALUE = re.compile(r"\[[^\]]*\]")
_IN_BETWEEN = (408, 502, 503, 504)  # said by what stands before the application, which may be at work still
_PERMISSION = _any_of(
    r"does not have (the )?(adequate|required|sufficient) permission",
    r"not authorized",
    r"insufficient permission",
)
# Texts that say what is wrong with the row itself, so that sending it again cannot help.
_VALIDATION = _any_of(
    r"does not reference an existing entity",
    r"does not exist for the required field",
    r"missing required field",
    r"\b(does not exist or is|is) invalid",
    r"already exists",
    r"duplicate",
    r"\bmust (be|assign|have|match|contain|not)\b",
    r"(cannot|can not|may not|could not) (be|have)\b",
    r"(is|are) (required|read[- ]only|not allowed|not a valid|not valid|inactive)",
    r"unable to find .+ in the .+ entity",
    r"unexpected character encountered while parsing",
    r"(could not|cannot|unable to) convert|error converting value",
    r"exceeds? the maximum",
    r"queries are limited to",
    r"no matching records found",
)


def classify(  # noqa: PLR0911 - one line a class of answers, in the order in which they are told apart
    status: int,
    content_type: str,
    body: bytes,
    *,
    kind: Kind,
    retry_after_s: float | None = None,
    moved_to: str = "",
) -> CallError | None:
    """The error that an answer is, or None where it proves success.

    `retry_after_s` and `moved_to` (a host) are what the headers said. The body is never repeated in a
    message, the API's own error texts are.
    """
    data = parse(body)
    is_success = 200 <= status < 300
    if is_success and proves(data, kind):
        return None
    texts = error_texts(data)
    spoken = _without_values(texts)
    searched = spoken if texts or is_success else (body[:4096].decode("utf-8", "replace"),)
    if throttled := _throttled(status, searched, retry_after_s, texts):
        return throttled
    if 300 <= status < 400:
        return StopError(
            f"the server wants to send us to {moved_to or 'another address'} ({status}). Redirects are not "
            f"followed, since credentials go to one host: correct the tenant's url",
            status=status,
        )
    if status == 401 or _matches(_CREDENTIALS, spoken):
        return CredentialsError(
            f"the server refuses user name, secret or integration code ({status}). Check the three, and that "
            "the account is not locked",
            status=status,
            texts=texts,
        )
    if status in (404, 405) and not _matches(_VALIDATION, spoken):
        return NoRouteError(_no_route(status, data), status=status, texts=texts)
    if texts:
        return _by_text(status, texts, spoken, kind)
    if status == 403:
        return StopError(
            "the server forbids this to the API user (403). Check its security level", status=status
        )
    if 400 <= status < 500 and status != 408:
        return RejectedError(_unexplained(status, data), known=False, status=status)
    return InDoubtError(_doubtful(status, content_type, is_success), status=status)


def parse(body: bytes) -> Any:
    """The JSON of a body, or None where it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def proves(data: Any, kind: Kind) -> bool:
    """Whether parsed JSON is the answer that such a request gets when it succeeded."""
    if not isinstance(data, dict):
        return False
    if kind is Kind.READ:
        return not data.get("errors")
    return type(data.get("itemId")) is int


def error_texts(data: Any) -> tuple[str, ...]:
    """The texts of `{"errors": […]}`, unchanged; blank ones say nothing and are left out."""
    if not isinstance(data, dict):
        return ()
    errors = next((value for key, value in data.items() if key.lower() == "errors"), None)
    if isinstance(errors, str):
        errors = [errors]
    return tuple(str(text) for text in errors if str(text).strip()) if isinstance(errors, list) else ()


def _without_values(texts: Sequence[str]) -> tuple[str, ...]:
    """What the server says itself: it repeats a row's own values in brackets, and they may say anything."""
    return tuple(_VALUE.sub("[]", text) for text in texts)


def _matches(pattern: re.Pattern[str], texts: Sequence[str]) -> bool:
    return any(pattern.search(text) for text in texts)


def _throttled(
    status: int, searched: Sequence[str], wait_s: float | None, texts: tuple[str, ...]
) -> ThrottledError | None:
    if _matches(_THREADS, searched):
        message = "too many calls of this entity at once (the thread limit)"
        return ThrottledError(message, kind="threads", wait_s=wait_s, status=status, texts=texts)
    if status == 429 or _matches(_HOUR, searched):
        message = "the tenant's calls of this hour are used up"
        return ThrottledError(message, kind="hour", wait_s=wait_s, status=status, texts=texts)
    return None


def _by_text(status: int, texts: tuple[str, ...], spoken: Sequence[str], kind: Kind) -> CallError:
    message = "; ".join(text.strip() for text in texts)
    if kind in (Kind.UPDATE, Kind.DELETE) and _matches(_MISSING, spoken):
        return MissingError(message, status=status, texts=texts)
    if _matches(_LOCK, spoken):
        return LockedError(message, status=status, texts=texts)
    known = status == 403 or _matches(_PERMISSION, spoken) or _matches(_VALIDATION, spoken)
    if status in _IN_BETWEEN and not known:
        return InDoubtError(message, status=status, texts=texts)
    return RejectedError(message, known=known, status=status, texts=texts)


def _said(data: Any) -> str:
    message = data.get("Message") or data.get("message") if isinstance(data, dict) else None
    return str(message)[:200] if message else ""


def _no_route(status: int, data: Any) -> str:
    said = _said(data)
    return f"the API has no such route or verb ({status}{': ' + said if said else ''})"


def _unexplained(status: int, data: Any) -> str:
    said = _said(data)
    return (
        f"the server refused the request ({status}): {said}"
        if said
        else f"the server refused the request ({status})"
    )


def _doubtful(status: int, content_type: str, is_success: bool) -> str:
    if is_success:
        return f"the answer ({status}) cannot be read, so it does not say what happened"
    shown = content_type.partition(";")[0].strip() or "no content type"
    return f"the server failed ({status}, {shown}) without saying whether it did it"
