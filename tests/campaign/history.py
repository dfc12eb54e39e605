"""The history checker: was anything lost, done twice, or told wrong?

It reads the plan file (`story`), the simulator's log and the simulator's records before and after, and
nothing else; it shares no code with bulkops. What the words mean here:

- *lost*: the journal calls a row applied and no record shows it; or a row of a finished plan has no end.
- *twice*: a record that no row accounts for; two rows with one record; a change sent again after it
  succeeded.
- *wrong verdict*: rejected, and the record is there; an id that is not that row's record; gone or changed
  where nobody was to touch it. Held is never wrong.
- *unannounced*: a write left without an intent before it, or after the row's last word.
- *out of order*: a row was tried before what it waits for was settled well.
- *story*: the journal contradicts itself, or its counts do not add up.

A campaign adds *error*: bulkops raised what it never should, or came to no end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeAlias

from tests.campaign.story import SETTLED, WORDS, Line, Planned, Story
from tests.campaign.values import field_names, same, value_of

Rows: TypeAlias = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Entity → id → record."""

SLACK_S = 0.02  # two clocks of one machine, read at slightly different moments
WRITES = ("POST", "PATCH", "PUT", "DELETE")
LEGAL = {
    "": ("intent", "held", "rejected", "unchanged"),
    "intent": ("intent", "doubt", "withdrawn", *SETTLED),
    "doubt": ("intent", "doubt", "withdrawn", *SETTLED),
    "withdrawn": ("intent", "held", "rejected", "unchanged"),
    "held": ("applied", "withdrawn"),  # settled by hand
    "applied": ("held",),  # taken back: an assumption was seen broken
    "unchanged": (),
    "rejected": ("held",),  # taken back too: what was refused when it was sent again had landed before
}


class Breach(StrEnum):
    LOST = "lost"
    TWICE = "twice"
    WRONG = "wrong verdict"
    UNANNOUNCED = "unannounced"
    ORDER = "out of order"
    STORY = "story"
    ERROR = "error"  # bulkops failed with what is no error of its own, or came to no end


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A promise that was broken, and by what."""

    breach: Breach
    text: str

    def __str__(self) -> str:
        return f"{self.breach}: {self.text}"


@dataclass(slots=True, kw_only=True)
class Others:
    """What somebody else did meanwhile, which no row is to answer for."""

    created: set[tuple[str, int]] = field(default_factory=set)
    deleted: set[tuple[str, int]] = field(default_factory=set)
    edited: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    everywhere: set[tuple[str, str]] = field(default_factory=set)  # entity and field: of any record


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the simulator can tell: its records before and after, and every request."""

    before: Rows
    after: Rows
    log: Sequence[Mapping[str, Any]]
    others: Others = field(default_factory=Others)


def check(story: Story, scene: Scene, *, is_finished: bool = True, is_assumed: bool = True) -> list[Finding]:
    """Every promise that was broken.

    `is_finished`: the plan claims to have come to its end. `is_assumed`: the assumptions held. Where they did
    not, a row may have been taken back, and what is held may have more than one record.
    """
    checker = _Checker(story, scene, is_finished, is_assumed)
    return [
        *checker.story_findings(),
        *checker.order_findings(),
        *checker.created_findings(),
        *checker.record_findings(),
        *checker.log_findings(),
    ]


class _Checker:
    def __init__(self, story: Story, scene: Scene, is_finished: bool, is_assumed: bool) -> None:
        self._story = story
        self._scene = scene
        self._is_finished = is_finished
        self._is_assumed = is_assumed
        self._changes = [change for change in story.changes.values() if change.is_write]
        self._made: dict[tuple[str, int], int] = {}  # a record that a row says it created

    # --- the journal by itself ---

    def story_findings(self) -> Iterator[Finding]:
        yield from self._sequence()
        for n, lines in self._story.of.items():
            yield from self._transitions(n, lines)
        counts = self._story.counts()
        if not sum(counts.values()) == len(self._story.changes) == self._story.rows:
            yield _finding(Breach.STORY, f"{self._story.rows} rows, and the counts say {counts}")
        if self._is_finished and counts["pending"]:
            open_ones = [n for n in self._story.changes if self._story.state(n) == "pending"]
            yield _finding(Breach.LOST, f"the plan is finished and rows {open_ones[:5]} have no end")

    def _sequence(self) -> Iterator[Finding]:
        lines = self._story.lines
        if [line.seq for line in lines] != list(range(1, len(lines) + 1)):
            yield _finding(Breach.STORY, "the journal has a gap")
        for earlier, later in pairwise(lines):
            if (later.run, later.at + SLACK_S) < (earlier.run, earlier.at):
                yield _finding(Breach.STORY, f"line {later.seq} is older than the one before it")

    def _transitions(self, n: int, lines: Sequence[Line]) -> Iterator[Finding]:
        if n not in self._story.changes or not self._story.changes[n].is_write:
            yield _finding(Breach.STORY, f"the journal speaks of row {n}, of which there is nothing to do")
            return
        before = ""
        for line in lines:
            if line.word not in WORDS:
                yield _finding(Breach.STORY, f"row {n}: nobody knows the word {line.word!r}")
                return
            if before in ("applied", "rejected") and line.word == "held" and self._is_assumed:
                yield _finding(Breach.WRONG, f"row {n}: {before}, and taken back: {line.reason}")
            if line.word not in LEGAL[before]:
                twice = line.word in SETTLED and before in SETTLED
                what = f"row {n}: {line.word!r} after {before or 'nothing'!r}"
                yield _finding(Breach.TWICE if twice else Breach.STORY, what)
            before = line.word
        if lines[-1].word == "applied" and self._story.record_id(n) is None:
            yield _finding(Breach.LOST, f"row {n} is applied and nobody knows its record")

    # --- the plan's order ---

    def order_findings(self) -> Iterator[Finding]:
        ends = {
            n: next(line.seq for line in lines if line.word in SETTLED)
            for n, lines in self._story.of.items()
            if lines[-1].word in SETTLED
        }  # nothing is tried again after its end, which `_transitions` holds
        for change in self._changes:
            starts = [line.seq for line in self._story.of.get(change.n, ()) if line.word == "intent"]
            if starts:
                yield from self._too_early(change, starts[0], ends)

    def _too_early(self, change: Planned, start: int, ends: Mapping[int, int]) -> Iterator[Finding]:
        for needed in change.waits_for:
            words = {line.word for line in self._story.of.get(needed, ())} if not self._is_assumed else ()
            # Where an assumption is broken, what was applied may be taken back once that is seen.
            is_well = self._story.state(needed) in ("applied", "unchanged") or "applied" in words
            if not is_well or ends.get(needed, 0) > start:
                state = self._story.state(needed)
                yield _finding(
                    Breach.ORDER, f"row {change.n} was tried before row {needed} was there ({state})"
                )
        for n in range(1, change.barrier + 1):
            if self._story.changes[n].is_write and ends.get(n, start + 1) > start:
                yield _finding(Breach.ORDER, f"row {change.n} was tried before row {n}, its barrier")

    # --- what was created ---

    def created_findings(self) -> Iterator[Finding]:
        creates = [change for change in self._changes if change.action == "create"]
        for change in creates:
            if self._story.state(change.n) == "applied":
                yield from self._created(change)
        yield from self._unclaimed(creates)

    def _created(self, change: Planned) -> Iterator[Finding]:
        record_id = self._story.record_id(change.n)
        if record_id is None:
            return  # told by `_transitions`
        place = (change.entity, record_id)
        if place in self._made:
            yield _finding(
                Breach.TWICE,
                f"rows {self._made[place]} and {change.n} both have {change.entity} {record_id}",
            )
        self._made.setdefault(place, change.n)
        record = self._scene.after.get(change.entity, {}).get(record_id)
        if record_id in self._scene.before.get(change.entity, {}) or place in self._scene.others.created:
            yield _finding(
                Breach.WRONG, f"row {change.n}: {change.entity} {record_id} is not what it created"
            )
        elif record is None:
            if not self._is_deleted(place):
                yield _finding(Breach.LOST, f"row {change.n}: there is no {change.entity} {record_id}")
        elif differing := self._differing(change, record, self._later(change)):
            yield _finding(
                Breach.WRONG, f"row {change.n}: {change.entity} {record_id} holds another {differing}"
            )

    def _is_deleted(self, place: tuple[str, int]) -> bool:
        return place in self._scene.others.deleted or any(
            change.action == "delete" and (change.entity, self._story.record_id(change.n)) == place
            for change in self._changes
        )

    def _later(self, change: Planned) -> set[str]:
        """Fields that later changes of the same record may have set."""
        made = self._story.record_id(change.n)
        return {
            name
            for other in self._changes
            if other.action == "update" and other.entity == change.entity and other.n > change.n
            if self._story.resolved(other.id) == made
            for name in other.after
        }

    def _unclaimed(self, creates: Iterable[Planned]) -> Iterator[Finding]:
        """Records that no applied row made: at most one for each row that is held or still in doubt."""
        open_ones = defaultdict(list)
        for change in creates:
            open_ones[change.entity].append(change)
        for entity, rows in self._scene.after.items():
            for record_id, record in rows.items():
                place = (entity, record_id)
                is_old = record_id in self._scene.before.get(entity, {})
                if not is_old and place not in self._made and place not in self._scene.others.created:
                    yield from self._explain(place, record, open_ones[entity])

    def _explain(
        self, place: tuple[str, int], record: Mapping[str, Any], creates: list[Planned]
    ) -> Iterator[Finding]:
        alike = [change for change in creates if not self._differing(change, record)]
        alike.sort(key=lambda change: _PATIENCE.index(self._story.state(change.n)))
        shown = f"{place[0]} {place[1]}"
        if not alike:
            yield _finding(Breach.TWICE, f"{shown} is no row's and nobody else's")
            return
        change = alike[0]
        state = self._story.state(change.n)
        if state in ("held", "pending") and self._story.was_tried(change.n):
            if self._is_assumed:  # else the row is held because it has several
                creates.remove(change)
        elif state in ("held", "pending"):
            yield _finding(Breach.UNANNOUNCED, f"{shown} is row {change.n}'s, which was never tried")
        elif state == "applied":
            own = self._story.record_id(change.n)
            yield _finding(Breach.TWICE, f"row {change.n} made {shown} and {own}")
        else:
            yield _finding(Breach.WRONG, f"row {change.n} is {state}, and {shown} is there")

    def _differing(
        self, change: Planned, record: Mapping[str, Any], besides: Iterable[str] = ()
    ) -> str | None:
        """The first field that the record does not hold as planned, but for what others may have changed."""
        skipped = {*besides, *self._scene.others.edited.get((change.entity, record["id"]), ())}
        for name, value in change.after.items():
            if name in skipped or (change.entity, name) in self._scene.others.everywhere:
                continue
            if not same(value_of(record, name), self._story.resolved(value)):
                return name
        return None

    # --- what was there before ---

    def record_findings(self) -> Iterator[Finding]:
        by_record: dict[tuple[str, Any], list[Planned]] = defaultdict(list)
        for change in self._changes:
            if change.action != "create":
                by_record[change.entity, self._story.resolved(change.id)].append(change)
        for entity, rows in self._scene.before.items():
            for record_id, old in rows.items():
                yield from self._old_record(entity, record_id, old, by_record.get((entity, record_id), ()))

    def _old_record(
        self, entity: str, record_id: int, old: Mapping[str, Any], changes: Sequence[Planned]
    ) -> Iterator[Finding]:
        now = self._scene.after.get(entity, {}).get(record_id)
        deletes = [change for change in changes if change.action == "delete"]
        is_done = any(self._story.state(change.n) in ("applied", "unchanged") for change in deletes)
        may_be = any(self._is_open(change) for change in deletes)
        shown = f"{entity} {record_id}"
        if now is None:
            if not (is_done or may_be or (entity, record_id) in self._scene.others.deleted):
                yield _finding(Breach.WRONG, f"{shown} is gone, and no row says so")
        elif is_done:
            yield _finding(Breach.LOST, f"{shown} is still there, and row {deletes[0].n} deleted it")
        else:
            updates = [change for change in changes if change.action == "update"]
            if updates or now != old:
                yield from self._fields(shown, entity, old, now, updates)

    def _is_open(self, change: Planned) -> bool:
        """Whether it may have happened, as far as the journal says."""
        return self._story.state(change.n) in ("held", "pending") and self._story.was_tried(change.n)

    def _fields(
        self,
        shown: str,
        entity: str,
        old: Mapping[str, Any],
        now: Mapping[str, Any],
        updates: Sequence[Planned],
    ) -> Iterator[Finding]:
        foreign = self._scene.others.edited.get((entity, now["id"]), ())
        for name in field_names(now, old):
            if name in foreign or (entity, name) in self._scene.others.everywhere or _is_servers(name):
                continue
            allowed = self._allowed(name, value_of(old, name), updates)
            if not any(same(value_of(now, name), value) for value in allowed):
                blamed = [change for change in updates if name in change.after]
                is_lost = blamed and same(value_of(now, name), value_of(old, name))
                breach = Breach.LOST if is_lost else Breach.WRONG
                rows = f"rows {[change.n for change in blamed]}" if blamed else "no row"
                yield _finding(breach, f"{shown}: {name} is {value_of(now, name)!r}, says {rows}")

    def _allowed(self, name: str, old: Any, updates: Sequence[Planned]) -> list[Any]:
        """What a field may hold: what the last applied change gave it, or one that nobody knows of."""
        values = [old]
        for change in sorted(updates, key=self._end_of):
            if name in change.after:
                after = self._story.resolved(change.after[name])
                if self._story.state(change.n) == "applied":
                    values = [after]
                elif self._is_open(change):
                    values.append(after)
                if name in change.cleared and self._story.state(change.n) != "applied":
                    values.append(None)  # the second of its requests came to nothing, or is still to come
        return values

    def _end_of(self, change: Planned) -> int:
        last = self._story.last(change.n)
        return 0 if last is None else last.seq

    # --- the requests ---

    def log_findings(self) -> Iterator[Finding]:
        sent: Counter[tuple[str, str, int]] = Counter()
        gone: dict[str, float] = {}
        for entry in self._scene.log:
            if not is_write(entry):
                continue
            if entry["method"] == "DELETE":
                yield from self._too_late(entry, gone)
            changes = self._behind(entry)
            if not any(self._is_announced(change, entry["t"]) for change in changes):
                yield _finding(
                    Breach.UNANNOUNCED, f"{entry['method']} {entry['path']} at {entry['t']:.3f} by no row"
                )
            if entry["item_id"] is not None and entry["method"] != "POST":
                sent[entry["method"], entry["entity"], entry["item_id"]] += 1
        for (method, entity, record_id), times in sent.items():
            yield from self._too_often(method, entity, record_id, times)

    def _too_late(self, entry: Mapping[str, Any], gone: dict[str, float]) -> Iterator[Finding]:
        """A record is not deleted again once it is. `gone`: since when, by the path."""
        path = entry["path"]
        if entry["t"] > gone.get(path, entry["t"]) and self._is_assumed:  # else the first one came late
            yield _finding(Breach.TWICE, f"DELETE {path} again, after it had succeeded")
        if entry["item_id"] is not None:
            gone.setdefault(path, entry["t"])

    def _behind(self, entry: Mapping[str, Any]) -> list[Planned]:
        """The changes that may have sent a request: by its record where that is known, else by its kind."""
        action = {"POST": "create", "DELETE": "delete"}.get(entry["method"], "update")
        alike = [c for c in self._changes if c.action == action and c.entity == entry["entity"]]
        record_id = int(entry["path"].rsplit("/", 1)[1]) if action == "delete" else entry["item_id"]
        if record_id is None:
            return alike
        if action == "create":
            own = self._made.get((entry["entity"], record_id))
            # Which of two rows that are the same to the letter made a record, nobody can know.
            return alike if own is None else _twins(self._story.changes[own], alike)
        return [change for change in alike if self._story.resolved(change.id) == record_id]

    def _is_announced(self, change: Planned, at: float) -> bool:
        """Whether a request of this change may have arrived at that moment."""
        is_open = False
        for line in self._story.of.get(change.n, ()):
            if line.word == "intent":
                is_open = is_open or line.at <= at + SLACK_S
            elif line.word in (*SETTLED, "withdrawn") and line.at + SLACK_S < at:
                is_open = False
        return is_open

    def _too_often(self, method: str, entity: str, record_id: int, times: int) -> Iterator[Finding]:
        """The server did it more often than rows asked for it, and nobody changed it in between."""
        action = "delete" if method == "DELETE" else "update"
        asked = [
            change
            for change in self._changes
            if change.action == action and change.entity == entity
            if self._story.resolved(change.id) == record_id
        ]
        foreign = self._scene.others.edited.get((entity, record_id), set())
        is_same = not self._is_assumed  # what was given up landed after all, and did what was done again
        due = sum(2 if change.cleared else 1 for change in asked)
        if times > due and not is_same and not any(foreign & set(change.after) for change in asked):
            rows = [change.n for change in asked]
            yield _finding(Breach.TWICE, f"{entity} {record_id}: {action}d {times} times for rows {rows}")


_PATIENCE = ("held", "pending", "rejected", "unchanged", "applied")  # whose a record without a row may be


def _twins(change: Planned, changes: Iterable[Planned]) -> list[Planned]:
    """The changes that are the same in everything that is sent, this one included."""
    return [c for c in changes if (c.parent, c.after) == (change.parent, change.after)]


def is_write(entry: Mapping[str, Any]) -> bool:
    path = entry["path"].partition("?")[0].rstrip("/").lower()
    return entry["method"] in WRITES and not path.endswith(("/query", "/query/count", "/query/next"))


def _is_servers(name: str) -> bool:
    """What the server notes by itself when a record, or one beside it, changes."""
    return name.startswith("last")


def _finding(breach: Breach, text: str) -> Finding:
    return Finding(breach=breach, text=text)
