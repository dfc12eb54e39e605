"""What the ledger knows of one tenant, as arithmetic: who holds which tokens and slots, and who waits.

Times in, numbers out; it reads no file and no clock. The law is in the package's docstring.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from bulkops.bucket import Bucket, grant

TERM_S = 20.0  # what a process holds is its own that long after it last said so
GONE_S = 30.0  # the server works on a call whose client is gone at most that long
GROUPS = 256  # of answers in a window: a token comes back up to 14 s of an hour late, and a page stays small
SPREAD = 4  # a lease takes at most that part of what is free, so that the next one finds some too
MOST_LEASED = 64  # tokens of one lease, also the part of the grant: what a kill may cost

Keys: TypeAlias = tuple[str, ...]  # the entities of which a call needs a slot each
TOKEN: Keys = ()  # what a ticket for a token is for


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the configuration of one process says."""

    share: float
    requests: int  # in a window; where it is not pinned, what the server said to any process counts
    window_s: float  # likewise
    pin_requests: bool = False
    pin_window: bool = False
    settle_s: float
    per_entity: int

    @property
    def gone_s(self) -> float:
        return min(self.settle_s, GONE_S)


@dataclass(slots=True, kw_only=True)
class Member:
    """A process that works on the tenant, and what it holds."""

    settle_s: float
    gone_s: float
    window_s: float
    expires: float  # it lets nothing go after that
    calls: int = 0  # tokens: not used yet, under way, or answered and not reported yet
    polls: int = 0  # likewise, of the reserve
    slots: dict[str, int] = field(default_factory=dict)  # by entity


class Ticket(NamedTuple):
    member: str
    keys: Keys


class Account:
    """One tenant, as one process sees it: the facts are everybody's, the terms its own."""

    def __init__(self, terms: Terms) -> None:
        """TenantError where the terms leave no call."""
        self.terms = terms
        self.requests: int | None = None  # what the server said last
        self.window_s: float | None = None
        self.members: dict[str, Member] = {}
        self.lagging: dict[str, list[float]] = {}  # by entity: when slots that nobody holds become free
        self.queue: list[Ticket] = []  # oldest first
        self.bucket = self._new_bucket()

    def _new_bucket(self) -> Bucket:
        terms = self.terms
        return Bucket(
            share=terms.share, requests=self._known_requests(), window_s=self._known_window(),
            settle_s=terms.settle_s, groups=GROUPS,
        )  # fmt: skip

    def _known_requests(self) -> int:
        return self.terms.requests if self.terms.pin_requests else self.requests or self.terms.requests

    def _known_window(self) -> float:
        return self.terms.window_s if self.terms.pin_window else self.window_s or self.terms.window_s

    def _fit(self) -> None:
        """The window is the longest that a process believes in: a shorter one could break its promise."""
        windows = [member.window_s for member in self.members.values()]
        self.bucket.resize(self._known_requests(), max(windows, default=self._known_window()))

    # --- who is here ---------------------------------------------------------------------------------------

    def join(self, name: str, now: float) -> None:
        if not self.members and now - self.bucket.learned_at > self.bucket.poll_gap_s:
            self.bucket.learned = False  # nobody has asked since: others may have used much
        self.members[name] = Member(
            settle_s=self.terms.settle_s, gone_s=self.terms.gone_s, window_s=self._known_window(),
            expires=now + TERM_S,
        )  # fmt: skip
        self._fit()

    def leave(self, name: str, now: float) -> None:
        """The process ends, or is dead: what it still holds may be under way (law, 5 and 6)."""
        member = self.members.pop(name)
        last = min(now, member.expires)
        self.bucket.calls.doubtful(last + member.settle_s, member.calls)
        self.bucket.polls.doubtful(last + member.settle_s, member.polls)
        for key, count in member.slots.items():
            self.lagging.setdefault(key, []).extend([last + member.gone_s] * count)
        self.queue = [ticket for ticket in self.queue if ticket.member != name]

    def after_boot(self, earlier: Account, now: float) -> None:
        """What an empty account must know of one that was written before the machine was started again."""
        self.requests, self.window_s = earlier.requests, earlier.window_s
        under_way = sum(member.calls + member.polls for member in earlier.members.values())
        self.bucket = self._new_bucket()
        self.bucket.calls.assume(now + self.terms.settle_s, under_way)

    def renew(self, name: str, now: float) -> None:
        self.members[name].expires = now + TERM_S

    # --- tokens --------------------------------------------------------------------------------------------

    def lease(self, name: str, now: float) -> int:
        """Tokens for calls to come; 0: none, and the process has a ticket now."""
        room = self._room(name, now)
        if room < 1:
            self._wait(name, TOKEN)
            return 0
        self.withdraw(name, TOKEN)
        most = min(MOST_LEASED, self.bucket.total // MOST_LEASED, room // (SPREAD * len(self.members)))
        count = max(1, most)
        self.bucket.take(now, count)
        self.members[name].calls += count
        return count

    def may_lease(self, name: str, now: float) -> bool:
        return self._room(name, now) >= 1

    def _room(self, name: str, now: float) -> int:
        """Free tokens but one for each that waits longer."""
        return self.bucket.free(now) - sum(1 for _ in self._ahead(name, TOKEN, now))

    def lease_poll(self, name: str, now: float) -> bool:
        """A token of the reserve, where there is one."""
        if self.bucket.poll_free_at(now) > now:
            return False
        self.bucket.take_poll(now)
        self.members[name].polls += 1
        return True

    def learn(
        self, name: str, now: float, *, count: int, asked: float | None, requests: int | None,
        window_s: float | None,
    ) -> None:  # fmt: skip
        """What the server said, as `Bucket.learn`. TenantError where it leaves no call, nothing changed."""
        if not self.terms.pin_requests:
            said = requests or self._known_requests()
            grant(self.terms.share, said)
            self.requests = said
        if not self.terms.pin_window:
            self.window_s = window_s or self.window_s
        self.members[name].window_s = self._known_window()
        self._fit()
        self.bucket.learn(now, count=count, asked=asked)

    # --- slots ---------------------------------------------------------------------------------------------

    def borrow(self, name: str, keys: Keys, short: Keys, now: float) -> bool:
        """One slot more of each of `short`, for a call that needs `keys`. False: none, and the process has a
        ticket now, and does not hold the others of `keys` any more: who waits with a slot in his hand may
        wait for somebody who waits for that slot.
        """
        if not self.may_borrow(name, keys, short, now):
            for key in keys:
                if key not in short:
                    self.give(name, key, now)
            self._wait(name, keys)
            return False
        self.withdraw(name, keys)
        slots = self.members[name].slots
        for key in short:
            slots[key] = slots.get(key, 0) + 1
        return True

    def may_borrow(self, name: str, keys: Keys, short: Keys, now: float) -> bool:
        taken = {key for ticket in self._ahead(name, keys, now) for key in ticket.keys}
        return all(key not in taken and self.used(key, now) < self.terms.per_entity for key in short)

    def used(self, key: str, now: float) -> int:
        """Slots that are held or not free yet."""
        held = sum(member.slots.get(key, 0) for member in self.members.values())
        return held + sum(at > now for at in self.lagging.get(key, ()))

    def give(self, name: str, key: str, free_at: float) -> None:
        slots = self.members[name].slots
        slots[key] -= 1
        self.lagging.setdefault(key, []).append(free_at)

    def is_wanted(self, name: str, key: str, now: float) -> bool:
        """Whether another process waits for a slot of `key`."""
        return any(key in ticket.keys for ticket in self._others(name, now))

    def has_rival(self, name: str, key: str, now: float) -> bool:
        """Whether one that has fewer of them than we have waits for a slot of `key`."""
        ours = self._held(name, key)
        return any(
            key in ticket.keys and self._held(ticket.member, key) < ours for ticket in self._others(name, now)
        )

    def _held(self, name: str, key: str) -> int:
        return self.members[name].slots.get(key, 0)

    def free_again_at(self, name: str, key: str, now: float) -> float:
        """When a slot is free that is not now: inf where another process has to give it back first."""
        if self.used(key, now) < self.terms.per_entity:
            return -math.inf
        if any(member.slots.get(key) for other, member in self.members.items() if other != name):
            return math.inf
        return min((at for at in self.lagging.get(key, ()) if at > now), default=-math.inf)

    # --- who waits -----------------------------------------------------------------------------------------

    def is_waiting(self, name: str, keys: Keys) -> bool:
        return Ticket(name, keys) in self.queue

    def has_ticket(self, name: str) -> bool:
        return any(ticket.member == name for ticket in self.queue)

    def withdraw(self, name: str, keys: Keys) -> None:
        if self.is_waiting(name, keys):
            self.queue.remove(Ticket(name, keys))

    def others_want_tokens(self, name: str, now: float) -> bool:
        return any(ticket.keys == TOKEN for ticket in self._others(name, now))

    def _wait(self, name: str, keys: Keys) -> None:
        if not self.is_waiting(name, keys):
            self.queue.append(Ticket(name, keys))

    def _others(self, name: str, now: float) -> Iterator[Ticket]:
        """Tickets of others; not of those that are paused or dead, who must not stop everybody."""
        for ticket in self.queue:
            if ticket.member != name and self.members[ticket.member].expires > now:
                yield ticket

    def _ahead(self, name: str, keys: Keys, now: float) -> Iterator[Ticket]:
        """Tickets of others for the like that come before ours."""
        ours = Ticket(name, keys)
        place = self.queue.index(ours) if ours in self.queue else len(self.queue)
        before = self.queue[:place]
        for ticket in self._others(name, now):
            if ticket in before and (ticket.keys == TOKEN) == (keys == TOKEN):
                yield ticket

    # --- on paper ------------------------------------------------------------------------------------------

    def facts(self, now: float) -> dict[str, Any]:
        """All that everybody must know, as JSON can hold it."""
        coming = {key: [at for at in times if at > now] for key, times in self.lagging.items()}
        return {
            "requests": self.requests,
            "window_s": self.window_s,
            "bucket": self.bucket.facts(),
            "members": self.members,
            "lagging": {key: times for key, times in coming.items() if times},
            "queue": [(ticket.member, ticket.keys) for ticket in self.queue],
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any], terms: Terms) -> Account:
        """The account as `facts` has it. KeyError, TypeError or ValueError where they are no facts."""
        account = cls(terms)
        account.requests, account.window_s = facts["requests"], facts["window_s"]
        account.members = {name: Member(**member) for name, member in facts["members"].items()}
        account.lagging = dict(facts["lagging"])
        account.queue = [Ticket(member, tuple(keys)) for member, keys in facts["queue"]]
        account._fit()
        account.bucket.recall(facts["bucket"])
        return account
