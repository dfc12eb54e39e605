"""What an answer means: decided by its body, for every text that is known and every way to break."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from bulkops.targets.autotask.errors import CredentialsError, Kind, classify

JSON = "application/json; charset=utf-8"
HTML = "text/html"
WRITES = (Kind.CREATE, Kind.UPDATE, Kind.DELETE)


def errors(*texts: str) -> bytes:
    return json.dumps({"errors": texts}).encode()


def meaning(status: int, body: bytes, kind: Kind = Kind.CREATE, content_type: str = JSON) -> CallError:
    error = classify(status, content_type, body, kind=kind)
    assert error is not None
    return error


VALIDATION = [  # captured live, or written in the vendor's help pages
    "A ContactGroup already exists with Name [X]. ContactGroup names must be unique.",
    "Value does not reference an existing entity for taskType . ",
    "Value does not reference an existing entity for contactID.",
    "Value does not exist for the required field AccountID. ; on record number [1].",
    "Value does not exist for the required field companyID. ; on record number [1].",
    "Missing Required Field: ParentType.",
    "Reference value on field: contactID of type: Contact does not exist or is invalid.",
    "contactID: Value 12345 does not exist or is invalid",
    "When assigning a Resource, you must assign both a assignedResourceID and assignedResourceRoleID.",
    "The companyLocationID[5] cannot be associated with the Ticket. The Ticket and CompanyLocation must have "
    "the same companyID.",
    "name must be less than or equal to 50 characters",
    "Unable to find projectID in the TimeEntry Entity",
    "maxCountOfRecordsToReturn must be between 1 and 500",
    "The logged in Resource does not have the adequate permissions to update this entity type.",
    "Invalid query syntax. Queries are limited to 500 or fewer 'OR' conditions.",
    "Role does not exist or is invalid",
    "TimeEntries for Tickets must have a roleID",
    "Unexpected character encountered while parsing value: t",
]


@pytest.mark.parametrize("text", VALIDATION)
@pytest.mark.parametrize("status", [500, 400, 409, 403, 200])
def test_a_known_text_rejects_the_row_at_any_status(text: str, status: int) -> None:
    """The row is refused for what it holds, and the text is kept to the letter."""
    error = meaning(status, errors(text, "Error updating entity for record number [1]."))
    assert isinstance(error, RejectedError)
    assert error.known
    assert error.texts == (text, "Error updating entity for record number [1].")
    assert text.strip() in str(error)


@pytest.mark.parametrize(
    "text", ["Something new went wrong.", "Object reference not set to an instance of an object.", "x"]
)
def test_an_unknown_text_is_not_trusted(text: str) -> None:
    """The application refused with a text nobody knows: rejected, but worth a look."""
    error = meaning(500, errors(text))
    assert isinstance(error, RejectedError)
    assert not error.known


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("status", [408, 502, 503, 504])
def test_a_text_of_something_in_between_leaves_it_in_doubt(status: int, kind: Kind) -> None:
    """A gateway may speak JSON too, while the application behind it is at work still."""
    assert isinstance(meaning(status, errors("Service unavailable"), kind), InDoubtError)
    assert isinstance(meaning(status, errors("Role does not exist or is invalid"), kind), RejectedError)


@pytest.mark.parametrize(
    "value",
    [
        "Too many requests",
        "deadlock",
        "thread threshold exceeded",
        "IntegrationCode is invalid",
        "is required",
    ],
)
def test_what_a_row_holds_is_not_what_the_server_says(value: str) -> None:
    """A refusal repeats the row's value in brackets: such a row is refused, and neither waits nor stops."""
    error = meaning(500, errors(f"A Company already exists with Name [{value}]. Names must be unique."))
    assert isinstance(error, RejectedError)
    assert error.known
    unknown = meaning(500, errors(f"Something new went wrong with [{value}]."))
    assert isinstance(unknown, RejectedError)
    assert not unknown.known


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("status", [429, 500, 403, 503])
@pytest.mark.parametrize(
    "text",
    [
        "The Autotask API thread threshold of 3 threads has been exceeded.",
        "Thread Threshold Exceeded. threshold of 3 threads has been exceeded. Method: Tickets",
        "Itgenatr005",
    ],
)
def test_the_thread_limit_is_known_by_its_text(text: str, status: int, kind: Kind) -> None:
    """At any status, as JSON or not: too many at once, send again soon."""
    for body in (errors(text), text.encode()):
        error = meaning(status, body, kind)
        assert isinstance(error, ThrottledError)
        assert error.kind == "threads"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, b""),
        (429, b"<html>Too Many Requests</html>"),
        (429, errors("anything")),
        (500, errors("The external request threshold of 10000 has been exceeded.")),
        (403, errors("You have exceeded the request limit of this database.")),
        (500, errors("You have exceeded the maximum number of 10000 requests allowed per hour.")),
    ],
)
def test_the_hourly_limit_is_every_other_refusal_for_number(status: int, body: bytes) -> None:
    """429 without the thread text, or words of the help pages for it."""
    error = meaning(status, body)
    assert isinstance(error, ThrottledError)
    assert error.kind == "hour"


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    """Retry-After travels with the error."""
    error = classify(429, JSON, b"", kind=Kind.CREATE, retry_after_s=17.0)
    assert isinstance(error, ThrottledError)
    assert error.wait_s == 17.0


@pytest.mark.parametrize(
    "text",
    [
        "Transaction (Process ID 61) was deadlocked on lock resources with another process and has been "
        "chosen as the deadlock victim. Rerun the transaction.",
        "Lock request time out period exceeded.",
        "The record is locked by another process.",
        "Could not obtain a lock on the table.",
    ],
)
def test_a_lock_may_be_gone_later(text: str) -> None:
    """Refused before commit because of a lock: the same request can succeed."""
    assert isinstance(meaning(500, errors(text)), LockedError)


def test_a_record_that_is_gone_is_missing() -> None:
    """Deleting or changing what is not there is told apart from a refusal."""
    text = (
        "No message. No matching records found. The logged in Resource may not have the required permissions "
        "to delete the data."
    )
    assert isinstance(meaning(500, errors(text), Kind.DELETE), MissingError)
    assert isinstance(meaning(500, errors(text), Kind.UPDATE), MissingError)
    assert isinstance(meaning(500, errors(text), Kind.CREATE), RejectedError)


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b"""{"Message":"The requested resource does not support http method 'GET'."}"""),
        (HTML, b"<html>404 - File or directory not found.</html>"),
        (HTML, b""),
    ],
)
def test_a_route_that_is_not_there_never_did_anything(status: int, content_type: str, body: bytes) -> None:
    """404 and 405, as JSON or as a page: nothing happened."""
    assert isinstance(meaning(status, body, content_type=content_type), NoRouteError)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("body", [b"", b'{"Message":"no"}', errors("Login failed."), b"<html></html>"])
def test_refused_credentials_stop_the_run(body: bytes, kind: Kind) -> None:
    """401 with whatever body; the same for the text of a wrong integration code."""
    assert isinstance(meaning(401, body, kind), CredentialsError)
    assert isinstance(meaning(500, errors("IntegrationCode is invalid."), kind), CredentialsError)


def test_a_forbidden_row_is_not_a_forbidden_user() -> None:
    """403 with the application's texts refuses the row; a bare one stops the run."""
    assert isinstance(meaning(403, errors("You may not edit this ticket")), RejectedError)
    assert isinstance(meaning(403, b"<html>Forbidden</html>"), StopError)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_stops_the_run_and_names_where_to(status: int) -> None:
    """Redirects are not followed; the host is named, so that a person can judge it."""
    error = classify(status, HTML, b"", kind=Kind.READ, moved_to="evil.test")
    assert isinstance(error, StopError)
    assert "evil.test" in str(error)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (500, JSON, b""),
        (502, HTML, b"<html>Bad Gateway</html>"),
        (503, HTML, b"<html>Service Unavailable</html>"),
        (504, "", b""),
        (500, JSON, b'{"Message":"An error has occurred."}'),
        (500, JSON, b'{"errors":[]}'),
        (408, HTML, b""),
        (200, JSON, b'{"itemId": 4'),
        (200, HTML, b"<html>ok</html>"),
        (200, JSON, b"[]"),
        (200, JSON, b""),
    ],
)
def test_what_says_nothing_leaves_it_in_doubt(
    status: int, content_type: str, body: bytes, kind: Kind
) -> None:
    """What does not say whether it happened is looked at before anything is repeated."""
    assert isinstance(meaning(status, body, kind, content_type), InDoubtError)


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("body", [b"{}", b'{"itemId": null}', b'{"itemId": "4"}', b'{"itemId": true}'])
def test_a_write_is_proven_by_its_id_only(body: bytes, kind: Kind) -> None:
    """An answer without the id of what was written proves nothing."""
    assert isinstance(meaning(200, body, kind), InDoubtError)


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("status", [200, 201])
def test_an_id_proves_a_write(kind: Kind, status: int) -> None:
    """`{"itemId": n}` is success, 0 included: ids begin there."""
    assert classify(status, JSON, b'{"itemId": 0}', kind=kind) is None


def test_a_record_may_hold_any_text() -> None:
    """A successful read whose records quote error texts is a success."""
    body = json.dumps(
        {"items": [{"id": 1, "title": "thread threshold of 3 threads has been exceeded"}]}
    ).encode()
    assert classify(200, JSON, body, kind=Kind.READ) is None


def test_a_refusal_without_texts_repeats_no_body() -> None:
    """What a 4xx says is told in short; a page is not copied into the message."""
    error = meaning(400, b"<html>" + b"x" * 5000)
    assert isinstance(error, RejectedError)
    assert not error.known
    assert len(str(error)) < 200
    assert "model state" in str(meaning(400, b'{"Message":"The model state is invalid"}'))


@given(
    st.integers(min_value=100, max_value=599),
    st.one_of(st.binary(max_size=200), st.lists(st.text()).map(lambda texts: errors(*texts))),
    st.sampled_from(Kind),
)
def test_every_answer_means_exactly_one_thing(status: int, body: bytes, kind: Kind) -> None:
    """No answer breaks the classification, and no write succeeds without an id."""
    error = classify(status, JSON, body, kind=kind)
    if error is None:
        assert 200 <= status < 300
        assert kind is Kind.READ or b"itemId" in body
    else:
        assert error.status == status
        assert str(error)
