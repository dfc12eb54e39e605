"""What goes back to a client: status and body, and the texts of refusals that no entity's rules decide.

Bodies: `{"errors": [text]}` from the application, `{"Message": text}` from the web server in front of it,
an HTML page where some zones answer with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from bulkops.simulator.faults import Call
from bulkops.simulator.switches import Switches

JSON = "application/json; charset=utf-8"
HTML = "text/html"
NOT_FOUND_PAGE = (
    b'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" '
    b'"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\r\n'
    b"<html><head><title>404 - File or directory not found.</title></head>\r\n"
    b"<body><h2>404 - File or directory not found.</h2>\r\n"
    b"<h3>The resource you are looking for might have been removed, had its name changed, "
    b"or is temporarily unavailable.</h3></body></html>\r\n"
)
UNAUTHORIZED_PAGE = (
    b"<html><head><title>401 - Unauthorized</title></head><body><h2>401 - Unauthorized</h2></body></html>"
)
DENIED = "Authorization has been denied for this request."
HOUR_TEXT = "The Autotask API request threshold of {limit} requests per {minutes} minutes has been exceeded."
THREAD_TEXT = "The Autotask API thread threshold of {limit} threads has been exceeded."
DEADLOCK_TEXT = (
    "Transaction (Process ID 57) was deadlocked on lock resources with another process and has been chosen "
    "as the deadlock victim. Rerun the transaction."
)
NULL_TEXT = "Object reference not set to an instance of an object."
MISSING_DELETE_TEXT = (
    "No message. No matching records found. The logged in Resource may not have the required permissions "
    "to delete the data."
)
MISSING_UPDATE_TEXT = MISSING_DELETE_TEXT.replace("delete", "update")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, status 0 where there is none. `committed` says what it changed, `item_id` which record."""

    status: int
    body: bytes
    content_type: str = JSON
    item_id: int | None = None
    committed: Call | None = None
    retry_after_s: int | None = None


CLOSED = Answer(status=0, body=b"")  # the connection is closed instead


def ok(value: Any) -> Answer:
    return Answer(status=200, body=orjson.dumps(value))


def done(item_id: int, committed: Call) -> Answer:
    """A write that happened: always 200, never 201, and only the id."""
    return Answer(status=200, body=b'{"itemId":%d}' % item_id, item_id=item_id, committed=committed)


def errors(texts: Sequence[str] | str, status: int = 500) -> Answer:
    """The application's refusal. A validation error is a 500 too (REST_Creating_Resources_POST.htm)."""
    listed = [texts] if isinstance(texts, str) else list(texts)
    return Answer(status=status, body=orjson.dumps({"errors": listed}))


def message(text: str, status: int) -> Answer:
    return Answer(status=status, body=orjson.dumps({"Message": text}))


def page(body: bytes, status: int) -> Answer:
    return Answer(status=status, body=body, content_type=HTML)


def not_found(switches: Switches, url: str) -> Answer:
    """No such path."""
    if switches.not_found_body == "html":
        return page(NOT_FOUND_PAGE, 404)
    return message(f"No HTTP resource was found that matches the request URI '{url}'.", 404)


def wrong_verb(switches: Switches, method: str) -> Answer:
    """The path is there, the verb is not."""
    if switches.not_found_body == "html":
        return page(NOT_FOUND_PAGE.replace(b"404", b"405"), 405)
    return message(f"The requested resource does not support http method '{method}'.", 405)


def unauthorized(switches: Switches) -> Answer:
    kind = switches.unauthorized_body
    if kind == "html":
        return page(UNAUTHORIZED_PAGE, 401)
    if kind == "errors":
        return errors(DENIED, 401)
    return Answer(status=401, body=b"") if kind == "empty" else message(DENIED, 401)


def too_many_threads(switches: Switches, limit: int) -> Answer:
    return _refused(THREAD_TEXT.format(limit=limit), int(switches.thread_status), switches, wait_s=1)


def too_many_requests(switches: Switches, *, limit: int, minutes: int, wait_s: float) -> Answer:
    text = HOUR_TEXT.format(limit=limit, minutes=minutes)
    return _refused(text, int(switches.hour_status), switches, wait_s=max(1, round(wait_s)))


def _refused(text: str, status: int, switches: Switches, *, wait_s: int) -> Answer:
    answer = errors(text, status)
    if switches.retry_after == "off":
        return answer
    return Answer(status=answer.status, body=answer.body, retry_after_s=wait_s)
