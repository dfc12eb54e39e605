"""Which records a lookup may find: a task's phase is one of its own project, a ticket's contact one of its
company. A name that is unique in its project or company finds many all over the tenant, or the wrong one.

So a lookup is narrowed by what its row belongs to, where that is known: from the row itself, or from the
record that the row meets. Where it is not known, the lookup stands as it is. Only reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bulkops.planner.draft import Draft
from bulkops.record import Created, Lookup, Record, Value
from bulkops.references import HOMES, Answer, Found, Missing, References, home_fields, row_error
from bulkops.targets.base import RecordData, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Bond:
    """A field must find a record with the same home as its own record.

    `own` is the field that holds the home; `through` is the entity that `own` names, where not that record
    is the home but the one that it belongs to (a task's location is one of its project's company).
    """

    own: str
    through: str = ""


BONDS: Mapping[str, Mapping[str, Bond]] = {
    "Contacts": {"companyLocationID": Bond(own="companyID")},  # as for tickets (REST-FACTS 8.1.2)
    "ConfigurationItems": {"companyLocationID": Bond(own="companyID")},  # likewise
    "Phases": {"parentPhaseID": Bond(own="projectID")},  # PhasesEntity.htm: a sub-phase stays in its project
    "ServiceCalls": {"companyLocationID": Bond(own="companyID")},  # as for tickets
    "TaskPredecessors": {  # TaskPredecessorsEntity.htm: both tasks in the same project
        "predecessorTaskID": Bond(own="successorTaskID", through="Tasks"),
    },
    "Tasks": {
        "phaseID": Bond(own="projectID"),  # the only hierarchy below a project
        "companyLocationID": Bond(own="projectID", through="Projects"),  # TasksEntity.htm
    },
    "TicketAdditionalContacts": {  # TicketAdditionalContactsEntity.htm
        "contactID": Bond(own="ticketID", through="Tickets"),
    },
    "Tickets": {  # both refused by live tenants otherwise (REST-FACTS 4.3)
        "contactID": Bond(own="companyID"),
        "companyLocationID": Bond(own="companyID"),
    },
}
"""Entity → field → bond: what the API demands of references beyond that the record exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A lookup that is to be narrowed by `home`. None: nobody knows it; Created: it is not there yet.

    `is_blind`: the row is rejected before its home is known, so only what is nowhere can be told.
    """

    draft: Draft
    name: str
    lookup: Lookup
    bond: Bond
    home: int | Created | None
    is_blind: bool = False


class Belonging:
    """The bonds of one step's entity."""

    def __init__(self, target: Target, references: References, entity: str, match: Sequence[str]) -> None:
        self._target = target
        self._references = references
        self._bonds = BONDS.get(entity, {})
        self._match = match
        self.fields = frozenset(self._bonds)

    async def resolve(self, drafts: Sequence[Draft], *, are_met: bool) -> None:
        """Puts ids in place of these fields' lookups, or notes why not.

        At first what the rows themselves say counts; `are_met`: what they meet is known, the rest follows.
        """
        opened = [one for draft in drafts for one in self._open(draft, are_met=are_met)]
        if not opened:
            return
        found = await self._homes(opened)
        narrowed = [await self._narrowed(one) for one in found]
        answers = await self._references.ask(narrowed)
        lost = [isinstance(answers[asked], Missing) for asked in narrowed]
        anywhere = await self._references.ask(
            one.lookup for one, is_lost in zip(found, lost, strict=True) if is_lost
        )
        for one, asked, is_lost in zip(found, narrowed, lost, strict=True):
            if is_lost and asked is not one.lookup:
                self._put_other(one, anywhere[one.lookup])
            else:
                self._put(one, answers[asked])

    def _open(self, draft: Draft, *, are_met: bool) -> Iterator[_Open]:
        """The lookups of a row whose turn it is."""
        if draft.record is None or (are_met and not draft.is_open):
            return
        for name, bond in self._bonds.items():
            lookup = draft.record.values.get(name)
            if isinstance(lookup, Lookup):
                home = _home(draft.record, bond, draft.found if are_met else ())
                # A key is needed before anything can be met.
                is_due = home is not None or are_met or name in self._match
                if is_due or draft.errors:
                    is_blind = not is_due
                    yield _Open(
                        draft=draft, name=name, lookup=lookup, bond=bond, home=home, is_blind=is_blind
                    )

    async def _homes(self, opened: Sequence[_Open]) -> list[_Open]:
        """Where the row names not its home but a record with the same home, that one's."""
        steps = {
            n: Lookup(entity=one.bond.through, fields=("id",), values=(one.home,))
            for n, one in enumerate(opened)
            if one.bond.through and isinstance(one.home, int)
        }
        answers = await self._references.ask(steps.values())
        found = []
        for n, one in enumerate(opened):
            answer = answers[steps[n]] if n in steps else None
            home = answer.home if isinstance(answer, Found) else None
            found.append(replace(one, home=home) if one.bond.through else one)
        return found

    async def _narrowed(self, one: _Open) -> Lookup:
        lookup, home = one.lookup, one.home
        fields = home_fields(await self._target.describe(lookup.entity))
        named = {field.casefold() for field in lookup.fields}
        if not isinstance(home, int) or not fields or fields[0].casefold() in named:
            return lookup
        return replace(lookup, fields=(*lookup.fields, fields[0]), values=(*lookup.values, home))

    def _put(self, one: _Open, answer: Answer) -> None:
        """The answer to a lookup, as far as it could be narrowed."""
        record, lookup = one.draft.record, one.lookup
        assert record is not None
        if one.is_blind and not isinstance(answer, Missing):
            return
        if not isinstance(answer, Found):
            self._reject(one, answer + (_none(one) if isinstance(one.home, Created) else ""), answer)
        elif one.home is not None and answer.home is not None and answer.home != one.home:
            self._put_other(one, answer)
        else:
            doubts = dict(record.doubts)
            if answer.inactive and not lookup.allows_inactive:
                doubts[one.name] = row_error(one.name, lookup, answer.inactive)
            one.draft.record = replace(record, values={**record.values, one.name: answer.id}, doubts=doubts)

    def _put_other(self, one: _Open, answer: Answer) -> None:
        """What there is has another home."""
        if isinstance(answer, Found):
            home = HOMES.get(one.lookup.entity, "")
            self._reject(one, f"{answer.shown} is of {home} {answer.home}, {_own(one)}", Missing())
        elif isinstance(answer, Missing):
            self._reject(one, answer, answer)
        else:
            self._reject(one, answer + _none(one), Missing())

    def _reject(self, one: _Open, message: str, answer: Answer) -> None:
        hint = self._references.hint(one.lookup, answer)
        one.draft.errors.append(row_error(one.name, one.lookup, message + hint))


def _own(one: _Open) -> str:
    """`and the row's projectID is 9`, `and the row's projectID is of companyID 4`."""
    if isinstance(one.home, Created):
        return f"and the row's {one.bond.own} is what row {one.home.change} creates"
    of = f"of {HOMES[one.bond.through]} " if one.bond.through else ""
    return f"and the row's {one.bond.own} is {of}{one.home}"


def _none(one: _Open) -> str:
    if isinstance(one.home, Created):
        return f"; none of them is of what row {one.home.change} creates"
    return f"; none of them is of {HOMES.get(one.lookup.entity, '')} {one.home}"


def _home(record: Record, bond: Bond, met: Sequence[RecordData]) -> int | Created | None:
    """What the row says, else what the one record has that it meets."""
    said: Value = record.values.get(bond.own)
    if said is None and bond.own not in record.values and len(met) == 1:
        said = met[0].get(bond.own)
    return said if isinstance(said, int | Created) else None
