"""Slots that several processes share: borrowed from the ledger, and given back to it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bulkops.errors import StopError
from bulkops.ledger.account import Keys

if TYPE_CHECKING:
    from bulkops.ledger.seat import Seat


class LeasedSlots:
    """The slots of one process. Implements `pool.Slots`."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._name = seat.name

    def borrow(self, keys: Keys, short: Keys) -> bool:
        seat, now = self._seat, self._seat.clock()
        seat.check()
        waits = len(keys) == len(short) and seat.view.is_waiting(self._name, keys)
        if waits and not seat.view.may_borrow(self._name, keys, short, now):
            return False
        with seat.page() as account:
            return account.borrow(self._name, keys, short, now)

    def confirm(self, now: float) -> None:
        if not self._seat.is_current(now):
            with self._seat.page():
                pass

    def give(self, key: str, free_at: float) -> None:
        with suppress(StopError), self._seat.page() as account:  # who waits for slots will be told
            account.give(self._name, key, free_at)

    def withdraw(self, keys: Keys) -> None:
        if self._seat.view.is_waiting(self._name, keys):
            with suppress(StopError), self._seat.page() as account:
                account.withdraw(self._name, keys)

    def is_wanted(self, key: str, now: float) -> bool:
        return self._seat.view.is_wanted(self._name, key, now)

    def has_rival(self, key: str, now: float) -> bool:
        return self._seat.view.has_rival(self._name, key, now)

    def free_again_at(self, key: str, now: float) -> float:
        return self._seat.view.free_again_at(self._name, key, now)
