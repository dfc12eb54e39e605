"""This process's seat at the ledger: what it holds there, what it has to report, what others have changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import anyio

from bulkops.errors import StopError
from bulkops.ledger.account import TERM_S, Account, Terms
from bulkops.ledger.book import Book, boot_id
from bulkops.ledger.slots import LeasedSlots
from bulkops.ledger.tokens import LeasedTokens

logger = logging.getLogger(__name__)

TICK_S = 0.02  # between two looks at what others have written, a read of some microseconds
RENEW_S = 5.0  # a term is renewed when so much of it is over
UNUSED_S = 10.0  # the end of a term in which nothing leaves: a connection may take so long
AUDIT_S = 0.5  # between two looks at who has died


class Waits(Protocol):
    """What waits for tokens, or for slots: the limiter and the pool of this process."""

    def look(self) -> None:
        """Something may have become free."""
        ...


class Seat:
    """One process among those that work on a tenant. All errors after `take` are StopErrors."""

    def __init__(self, book: Book, terms: Terms, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.name = book.name
        self.view: Account  # as of our last look; nothing of it is to be changed
        self.failure: StopError | None = None  # the ledger cannot be used any more
        self.tokens = LeasedTokens(self, terms)
        self.slots = LeasedSlots(self)
        self._book = book
        self._expires = 0.0
        self._audited = 0.0
        self._waits: tuple[Waits, ...] = ()

    @classmethod
    def take(
        cls, folder: Path, tenant: str, terms: Terms, *, clock: Callable[[], float] = time.monotonic,
        boot: str | None = None,
    ) -> Seat:  # fmt: skip
        """Joins those that work on `tenant`. `clock` is shared by all of them. TenantError: no ledger."""
        book = Book(folder, tenant, terms, clock=clock, boot=boot_id() if boot is None else boot)
        book.open()
        seat = cls(book, terms, clock)
        seat.view = book.glance()
        return seat

    # --- the page ------------------------------------------------------------------------------------------

    @contextmanager
    def page(self) -> Iterator[Account]:
        """The account, to be changed; what we have to report is in it already, and our term begins anew."""
        self.check()
        now = self.clock()
        with self._book.page(now) as account:
            account.renew(self.name, now)
            self.tokens.report(account, now)
            yield account
        self.tokens.reported()
        self.view = account
        self._expires = now + TERM_S

    def check(self) -> None:
        """StopError where the ledger has failed."""
        if self.failure is not None:
            raise StopError(str(self.failure))

    def is_current(self, now: float) -> bool:
        """Whether what we hold may be used without asking."""
        return now < self._expires - UNUSED_S

    # --- keeping up ----------------------------------------------------------------------------------------

    async def tend(self, *waits: Waits) -> None:
        """Keeps up with the others and tells those who wait, until it is cancelled or the ledger fails."""
        self._waits = waits
        while self.failure is None:
            await anyio.sleep(TICK_S)
            try:
                self.tick()
            except Exception as error:  # whatever it is, nobody must wait for ever
                logger.error("the ledger cannot be used any more", extra={"reason": str(error)})
                self.failure = StopError(str(error))
                self._tell()
                if not isinstance(error, StopError):
                    raise

    def tick(self) -> None:
        now = self.clock()
        self.refresh()
        if now - self._audited >= AUDIT_S:
            self._audit(now)
        if self.tokens.has_news(now) or self._is_term_over(now):
            with self.page():
                pass
        self._tell()

    def refresh(self) -> None:
        """Looks at what others have written, if they have."""
        if self._book.has_changed():
            self.view = self._book.glance()

    def _is_term_over(self, now: float) -> bool:
        """Whether we hold or want something, and have not said so for a while."""
        if now < self._expires - TERM_S + RENEW_S:
            return False
        me = self.view.members[self.name]
        return bool(me.calls or me.polls or any(me.slots.values()) or self.view.has_ticket(self.name))

    def _audit(self, now: float) -> None:
        self._audited = now
        if not self._book.is_in_place():
            raise StopError(
                f"{self._book.path} was taken away or replaced while it was in use, so what other bulkops "
                f"processes of this machine use of the tenant's hour is not known. Go on when they have ended"
            )
        dead = [name for name in self.view.members if name != self.name and not self._book.is_alive(name)]
        if dead:
            with self.page() as account:
                for name in account.members.keys() & dead:  # others may have seen it too
                    account.leave(name, now)

    def _tell(self) -> None:
        for each in self._waits:
            each.look()

    def leave(self) -> None:
        """The process ends. What is still under way may be at work on the server for a while."""
        try:
            with suppress(StopError), self.page() as account:
                self.tokens.put_back(account)
                account.leave(self.name, self.clock())
        finally:
            self._book.close()
