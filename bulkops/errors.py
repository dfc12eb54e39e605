"""Every error of bulkops, grouped by what the caller does next.

    BulkopsError
    ├── RefusedError        before the first write: fix the input, start again      exit 1
    │   ├── JobError        the job file or its mapping; carries every fault found
    │   ├── SourceError     a source that cannot be read
    │   ├── TenantError     configuration, secret, zone, credentials, network
    │   └── PlanError       a plan that is damaged, edited, copied, locked, for another database
    ├── LimitError          a safety limit refused the plan                          exit 5
    ├── JournalError        the journal cannot be written: stop, nothing more is sent
    ├── AccountingError     the counts do not add up: a bug of bulkops               exit 70
    └── CallError           one request to the target did not succeed
        ├── ThrottledError  refused before commit, the target is busy: wait, send again
        ├── LockedError     refused before commit, a lock in its way: wait a little, send again
        ├── RejectedError   the target refused this row for what it holds: give up on the row
        ├── InDoubtError    it may have happened or not: look first
        ├── MissingError    the record to change is not there
        ├── NoRouteError    404 or 405: it never happened, and the like will not either: stop the step
        ├── NotSentError    it never left this machine: no connection, or the run is stopping
        └── StopError       credentials, redirect, dead network: stop the run

Row errors are values (`record.RowError`), not exceptions: they are collected.
A message says what, where, and what to do. It never holds a secret or a whole body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bulkops.wording import sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong in a text somebody wrote: where (`jobs/x.yaml:12`), what, and what to do."""

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return sentences(text, self.hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsAtFault:
    """What is wrong with the rows of a job that is refused: for people, like ones told together."""

    read: int
    at_fault: int
    lines: tuple[str, ...] = ()


class BulkopsError(Exception):
    """The root. `str(error)` is what a user reads."""


class RefusedError(BulkopsError):
    """Refused before the first write."""


class JobError(RefusedError):
    """A job that cannot be planned. `faults` holds all that is wrong with it, in file order.

    `rows` tells what is wrong with its rows as well, where they were looked at.
    """

    def __init__(self, faults: Sequence[Fault], *, rows: RowsAtFault | None = None) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)
        self.rows = rows


class SourceError(RefusedError):
    """A source that cannot be read, or holds nothing."""


class TenantError(RefusedError):
    """The tenant cannot be reached as configured."""


class PlanError(RefusedError):
    """A plan file that must not be applied."""


class LimitError(BulkopsError):
    """A safety limit stands in the way; the message has the measured and the allowed number."""


class JournalError(BulkopsError):
    """What was tried can no longer be written down durably, so nothing more may be tried."""


class AccountingError(BulkopsError):
    """Rows are missing from the counts, or counted twice: the message has both numbers. A bug of bulkops."""


class CallError(BulkopsError):
    """One request did not succeed. `status` is the HTTP status, or None where no answer came."""

    def __init__(self, message: str, *, status: int | None = None, texts: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.texts = tuple(texts)  # the target's own error texts, unchanged


class ThrottledError(CallError):
    """Refused before commit because of a limit: `kind` is "threads" or "hour"; `wait_s` where it said so."""

    def __init__(self, message: str, *, kind: str, wait_s: float | None = None, status: int | None = None,
                 texts: Sequence[str] = ()) -> None:  # fmt: skip
        super().__init__(message, status=status, texts=texts)
        self.kind = kind
        self.wait_s = wait_s


class LockedError(CallError):
    """Refused before commit because of a lock or deadlock: the same request can succeed later."""


class RejectedError(CallError):
    """The target's application refused the row. `known` says whether the text is a known validation text."""

    def __init__(self, message: str, *, known: bool, status: int | None = None,
                 texts: Sequence[str] = ()) -> None:  # fmt: skip
        super().__init__(message, status=status, texts=texts)
        self.known = known


class MissingError(CallError):
    """The record to update or delete is not there (any more), or hidden from this user."""


class InDoubtError(CallError):
    """No answer that can be trusted: the write may have happened, may still happen, or never will."""


class NoRouteError(CallError):
    """404 or 405: the route or verb does not exist, so nothing happened."""


class StopError(CallError):
    """Nothing good can come of sending more: credentials, redirect, a network that is gone."""


class NotSentError(CallError):
    """The request never left this machine: no connection could be made, or the run is stopping."""
