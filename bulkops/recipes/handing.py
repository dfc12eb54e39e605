"""One kind of work being handed over: a row for each piece that goes, and for what cannot, with the reason.

Who gets it is decided by `division`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

from bulkops.errors import Fault
from bulkops.recipes.base import text_of
from bulkops.recipes.cast import Cast
from bulkops.recipes.division import Division, Nobody, Piece
from bulkops.recipes.gather import Entry, Gathered
from bulkops.recipes.people import Colleague
from bulkops.recipes.work import FOLLOWED, HOURS, ROLE, TO, Stage, hours_of, number, step_of
from bulkops.record import FromStep, Premise, Scalar
from bulkops.targets.base import RecordData

Hinder = Callable[[Colleague], str]
Value = Callable[[Stage, Gathered, RecordData], Hashable]


class Handing:
    """Of one stage. `owners`: who got what, by entity and record; `staying`: what nobody gets, and why;
    `faults`: which role nobody can tell.

    `guarded`: the fields of the work for which it is handed over, and to whom.
    """

    def __init__(
        self,
        one: Stage,
        held: Gathered,
        cast: Cast,
        division: Division,
        *,
        value: Value,
        owners: dict[str, dict[int, int]],
        staying: dict[str, dict[int, str]],
        guarded: Sequence[str] = (),
    ) -> None:
        self.faults: dict[Fault, None] = {}
        self._one = one
        self._held = held
        self._cast = cast
        self._division = division
        self._value = value
        self._owners = owners
        self._staying = staying
        self._guarded = guarded
        self._dropped = 0

    def over(self) -> None:
        owners = self._owners.setdefault(self._one.kind.entity, {})
        for record in self._held.pile or ():
            taker = self._record(record)
            if taker is not None:
                owners[int(record["id"] or 0)] = taker.id
        for entry in self._held.entries:
            self._entry(entry)

    def told(self) -> Iterator[str]:
        if self._dropped:
            yield (
                f"{self._dropped:,} {self._one.kind.entity} of {self._cast.giver} are only taken out: "
                "everybody who could have them is on that work already"
            )

    def _premise(self, work: RecordData, *also: str) -> Premise:
        """What makes the work one that is handed over: what is done by then, or elsewhere, stays."""
        values = {name: work[name] for name in (*self._guarded, *also) if name in work}
        return Premise(entity=self._one.work.name, id=int(work["id"] or 0), values=values)

    def _about(self, work: RecordData, id: int) -> dict[str, str]:
        return {"id": str(id), **{name: text_of(work.get(name)) for name in self._one.names}}

    def _given(self, taker: Colleague, before: int | None) -> dict[str, str]:
        """The cells that say who gets it, in which role. What role cannot be told is a fault of the job."""
        kind = self._one.kind
        cells = {TO: taker.person.name, kind.person: str(taker.id)}
        if kind.role:
            role = self._cast.roles.pick(taker, kind, before)
            if isinstance(role, str):
                self.faults[Fault(where=taker.where, message=role)] = None
            else:
                cells |= {ROLE: self._cast.roles.names.get(role, ""), kind.role: str(role)}
        return cells

    # --- records ---

    def _record(self, record: RecordData) -> Colleague | None:
        kind, id = self._one.kind, int(record["id"] or 0)
        hours = hours_of(kind, record)
        piece = Piece(
            hours=hours, value=self._value(self._one, self._held, record), hinders=self._secondary(id)
        )
        cells = self._about(record, id) | ({HOURS: f"{hours:.10g}"} if hours is not None else {})
        taker = self._division.give(piece)
        if isinstance(taker, Nobody):
            self._staying.setdefault(kind.entity, {})[id] = taker.reason
            self._one.rows.put(cells, line=id, fault=taker.reason, found=record)
            return None
        cells |= self._given(taker, number(record.get(kind.role)))
        self._one.rows.put(cells, line=id, found=record, premise=self._premise(record, kind.role))
        return taker

    def _secondary(self, id: int) -> Hinder:
        def hinders(one: Colleague) -> str:
            if (id, one.id) not in self._held.on_it:
                return ""
            entries = self._one.kind.also_on.entity if self._one.kind.also_on else ""
            return f"{one.person} is a secondary resource of it already: take them out of {entries} first"

        return hinders

    # --- entries ---

    def _entry(self, entry: Entry) -> None:
        """Another entry is made and this one deleted; only deleted, where all who could have it are on it."""
        kind, id = self._one.kind, int(entry.record["id"] or 0)
        follows, row = self._followed(entry)
        piece = Piece(
            value=self._value(self._one, self._held, entry.work), follows=follows, hinders=self._on_it(entry)
        )
        cells = self._about(entry.work, id) | {kind.link: str(entry.link)}
        if told := self._stays(entry):
            self._one.rows.put(cells, line=id, fault=told)
            return
        taker = self._division.give(piece)
        if isinstance(taker, Nobody):
            if taker.is_hindered:
                self._dropped += 1
                self._gone(entry, cells, needs=row)
            else:
                self._staying.setdefault(kind.entity, {})[entry.link] = taker.reason
                self._one.rows.put(cells, line=id, fault=taker.reason)
            return
        self._held.on_it.add((entry.link, taker.id))
        self._owners.setdefault(kind.entity, {})[entry.link] = taker.id
        given = cells | self._given(taker, number(entry.record.get(kind.role)))
        premise = replace(self._premise(entry.work), beside=self._instead_of(entry))
        # On a call goes who has the work: not before that is theirs, and not where it stays.
        needs = row if taker.id == follows else None
        self._one.rows.put(given, line=id, premise=premise, needs=needs)
        made = FromStep(step=self._one.steps[0].name, key=(str(entry.link), str(taker.id)))
        self._gone(entry, cells | {TO: taker.person.name}, needs=made)

    def _stays(self, entry: Entry) -> str:
        """Why somebody stays on a call: with the work that stays theirs."""
        for led in FOLLOWED.get(self._one.kind.entity, ()):
            if reason := self._staying.get(led.entity, {}).get(entry.leads or 0):
                which = f"{led.entity} of {led.field} {entry.leads}"
                return f"{which} stay with {self._cast.giver}, who stays on the call as well: {reason}"
        return ""

    def _followed(self, entry: Entry) -> tuple[int | None, FromStep | None]:
        """Who gets the work with which it goes, or the giver's place beside that; and in which row."""
        for led in FOLLOWED.get(self._one.kind.entity, ()):
            taker = self._owners.get(led.entity, {}).get(entry.leads or 0)
            if taker is not None:
                step = step_of(led.entity)
                key = (str(entry.leads),) if step == led.entity else (str(entry.leads), str(taker))
                return taker, FromStep(step=step, key=key)
        return None, None

    def _instead_of(self, entry: Entry) -> dict[str, Scalar]:
        """The key of the giver's own entry: who is on it no longer has nothing to hand over."""
        return {
            self._one.kind.link: entry.link,
            self._one.kind.person: entry.record.get(self._one.kind.person),
        }

    def _gone(self, entry: Entry, cells: Mapping[str, str], *, needs: FromStep | None) -> None:
        """The old entry goes only once there is the new one, or the work is somebody else's; where there is
        neither, it rests on the work.
        """
        assert self._one.gone is not None
        premise = None if needs else self._premise(entry.work)
        id = int(entry.record["id"] or 0)
        self._one.gone.put(cells, line=id, found=dict(entry.record), needs=needs, premise=premise)

    def _on_it(self, entry: Entry) -> Hinder:
        def hinders(one: Colleague) -> str:
            is_primary = number(entry.work.get("assignedResourceID")) == one.id
            is_on_it = is_primary or (entry.link, one.id) in self._held.on_it
            return f"{one.person} is on it already" if is_on_it else ""

        return hinders
