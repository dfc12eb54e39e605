"""The history checker can fail: each promise, broken once by hand, is told; and a good history is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.history import Breach, Others, Scene, check
from tests.campaign.story import Line, Planned, Story, read_story
from tests.campaign.values import same

OLD = {"id": 7, "phone": "0", "lastActivityDate": "x"}
GROUP = {"id": 8, "name": "old"}


def create(n: int, name: str, **more: Any) -> Planned:
    return Planned(n=n, step="s", entity="Companies", action="create", after={"companyName": name}, **more)


UPDATE = Planned(
    n=2, step="s", entity="Companies", action="update", id=7, before={"phone": "0"}, after={"phone": "1"}
)
DELETE = Planned(n=3, step="s", entity="ContactGroups", action="delete", id=8, key={"name": "old"})


def lines(*told: tuple[int, str] | tuple[int, str, int | None]) -> list[Line]:
    """Row, word and id; one after the other, a second apart."""
    return [
        Line(n=n, seq=seq, run=1, word=word, at=float(seq), id=more[0] if more else None)
        for seq, (n, word, *more) in enumerate(told, 1)
    ]


def story(changes: Sequence[Planned], told: Sequence[Line]) -> Story:
    return Story(changes={change.n: change for change in changes}, lines=told, runs=1, rows=len(changes))


def sent(t: float, method: str, path: str, item_id: int | None, entity: str = "Companies") -> dict[str, Any]:
    return {
        "t": t, "method": method, "path": f"/V1.0/{path}", "entity": entity, "status": 200,
        "item_id": item_id,
    }  # fmt: skip


TOLD = lines(
    (1, "intent"), (1, "applied", 20), (2, "intent"), (2, "applied", 7), (3, "intent"), (3, "applied", 8)
)
LOG = [
    sent(1.5, "POST", "Companies", 20),
    sent(3.5, "PATCH", "Companies", 7),
    sent(5.5, "DELETE", "ContactGroups/8", 8, "ContactGroups"),
    sent(5.6, "POST", "Companies/query", None),
]
GOOD = story([create(1, "New"), UPDATE, DELETE], TOLD)
SCENE = Scene(
    before={"Companies": {7: OLD}, "ContactGroups": {8: GROUP}},
    after={"Companies": {7: {**OLD, "phone": "1"}, 20: {"id": 20, "companyName": "New "}}},
    log=LOG,
)


def after(**companies: Mapping[str, Any] | None) -> Scene:
    """The good scene, with these companies (`c20=…`) otherwise, or gone."""
    rows = dict(SCENE.after["Companies"])
    for name, row in companies.items():
        number = int(name[1:])
        rows.pop(number, None)
        if row is not None:
            rows[number] = {"id": number, **row}
    return replace(SCENE, after={"Companies": rows})


def told(history: Story, scene: Scene = SCENE, **how: bool) -> set[Breach]:
    return {finding.breach for finding in check(history, scene, **how)}


def test_a_good_history_is_good() -> None:
    """A create, an update and a delete, each done once: nothing to tell."""
    assert check(GOOD, SCENE) == []


LOST = {
    "a created record is not there": (GOOD, after(c20=None)),
    "an update changed nothing": (GOOD, after(c7=OLD)),
    "a deleted record is still there": (
        GOOD,
        replace(SCENE, after={**SCENE.after, "ContactGroups": {8: GROUP}}),
    ),
    "a row has no end": (story([*GOOD.changes.values(), create(4, "More")], TOLD), SCENE),
    "a row's record is not known": (
        story([create(1, "New")], lines((1, "intent"), (1, "applied", None))),
        Scene(before={}, after={}, log=[]),
    ),
}
TWICE = {
    "a row has two records": (GOOD, after(c21={"companyName": "New"})),
    "a record is nobody's": (GOOD, after(c21={"companyName": "Never heard of"})),
    "two rows have one record": (
        story(
            [create(1, "New"), create(4, "New"), UPDATE, DELETE],
            [*TOLD, *(replace(line, seq=line.seq + 6, at=line.at + 6, n=4) for line in TOLD[:2])],
        ),
        SCENE,
    ),
    "a row is settled twice": (
        story(list(GOOD.changes.values()), [*TOLD, Line(n=1, seq=7, run=1, word="rejected", at=7.0)]),
        SCENE,
    ),
    "an update was made twice": (GOOD, replace(SCENE, log=[*LOG[:2], sent(3.6, "PATCH", "Companies", 7)])),
    "a delete was sent again": (
        GOOD,
        replace(SCENE, log=[*LOG, sent(5.7, "DELETE", "ContactGroups/8", None, "ContactGroups")]),
    ),
}
WRONG = {
    "rejected, and it is there": (
        story([create(1, "New"), UPDATE, DELETE], [replace(TOLD[1], word="rejected"), *TOLD[2:]]),
        SCENE,
    ),
    "the id is another record's": (GOOD, after(c20={"companyName": "Somebody else"})),
    "the id was there before": (
        GOOD,
        replace(SCENE, before={**SCENE.before, "Companies": {7: OLD, 20: {"id": 20, "companyName": "New"}}}),
    ),
    "a record nobody speaks of was changed": (GOOD, after(c7={**OLD, "phone": "1", "fax": "?"})),
    "a record nobody speaks of is gone": (
        GOOD,
        replace(SCENE, before={**SCENE.before, "Contacts": {1: {"id": 1}}}),
    ),
    "an update wrote something else": (GOOD, after(c7={**OLD, "phone": "2"})),
    "an applied row was taken back": (
        story(list(GOOD.changes.values()), [*TOLD, Line(n=1, seq=7, run=1, word="held", at=7.0)]),
        SCENE,
    ),
}
UNANNOUNCED = {
    "sent before its intent": (GOOD, replace(SCENE, log=[{**LOG[0], "t": 0.5}])),
    "sent after its end": (GOOD, replace(SCENE, log=[{**LOG[0], "t": 3.0}])),
    "sent after it was withdrawn": (
        story([create(1, "New")], lines((1, "intent"), (1, "withdrawn"))),
        Scene(before={}, after={}, log=[sent(3.0, "POST", "Companies", None)]),
    ),
    "sent by no row at all": (GOOD, replace(SCENE, log=[sent(1.5, "DELETE", "Companies/7", None)])),
    "made by a row that was never tried": (
        story([create(1, "New"), UPDATE, DELETE, create(4, "More")], [*TOLD, Line(
            n=4, seq=7, run=1, word="held", at=7.0
        )]),
        after(c21={"companyName": "More"}),
    ),
}  # fmt: skip
ORDER = {
    "before what it waits for": (
        story([create(1, "New", waits_for=(2,)), UPDATE, DELETE], TOLD),
        SCENE,
    ),
    "after what it waits for was rejected": (
        story(
            [create(1, "New"), replace(UPDATE, waits_for=(1,)), DELETE],
            [*lines((1, "intent"), (1, "rejected")), *TOLD[2:]],
        ),
        SCENE,
    ),
    "before its barrier": (story([create(1, "New"), UPDATE, DELETE, create(4, "More", barrier=3)], [*lines(
        (4, "intent"), (4, "applied", 21)
    ), *(replace(line, seq=line.seq + 2, at=line.at + 2) for line in TOLD)]), SCENE),
}  # fmt: skip
STORY = {
    "a gap": (story(list(GOOD.changes.values()), [*TOLD[:2], *TOLD[3:]]), SCENE),
    "an end without a beginning": (story([create(1, "New")], lines((1, "applied", 20))), SCENE),
    "a word nobody knows": (story([create(1, "New")], lines((1, "intent"), (1, "perhaps"))), SCENE),
    "an older line after a newer one": (
        story(list(GOOD.changes.values()), [*TOLD[:-1], replace(TOLD[-1], at=1.0)]),
        SCENE,
    ),
    "rows and changes that do not add up": (replace(GOOD, rows=4), SCENE),
}


@pytest.mark.parametrize(
    ("breach", "case"),
    [
        (breach, case)
        for breach, cases in (
            (Breach.LOST, LOST),
            (Breach.TWICE, TWICE),
            (Breach.WRONG, WRONG),
            (Breach.UNANNOUNCED, UNANNOUNCED),
            (Breach.ORDER, ORDER),
            (Breach.STORY, STORY),
        )
        for case in cases.items()
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_broken_promise_is_told(breach: Breach, case: tuple[str, tuple[Story, Scene]]) -> None:
    """Each way of breaking each promise."""
    history, scene = case[1]
    assert breach in told(history, scene)


def test_held_is_never_wrong() -> None:
    """A held row may have a record or none, of a create, an update and a delete alike; but not two."""
    held = lines((1, "intent"), (1, "held"), (2, "intent"), (2, "held"), (3, "intent"), (3, "held"))
    history = story([create(1, "New"), UPDATE, DELETE], held)
    assert told(history) == set()
    assert told(history, replace(SCENE, after=SCENE.before, log=[])) == set()
    assert told(history, after(c21={"companyName": "New"})) == {Breach.TWICE}


def test_rows_that_are_the_same_are_counted() -> None:
    """Three identical rows, two applied and one held: two or three records, not one and not four."""
    changes = [create(n, "Same") for n in (1, 2, 3)]
    history = story(
        changes,
        lines(
            (1, "intent"), (1, "applied", 21), (2, "intent"), (2, "applied", 22), (3, "intent"), (3, "held")
        ),
    )
    records = {n: {"id": n, "companyName": "Same"} for n in (21, 22, 23, 24)}
    for ids, breaches in (((21, 22), set()), ((21, 22, 23), set()), ((21,), {Breach.LOST})):
        rows = {n: records[n] for n in ids}
        assert told(history, Scene(before={}, after={"Companies": rows}, log=[])) == breaches
    assert told(history, Scene(before={}, after={"Companies": records}, log=[])) == {Breach.TWICE}


def test_what_others_did_is_nobodys_fault() -> None:
    """Records that others made, changed or deleted are told of no row."""
    scene = replace(
        after(c7={**OLD, "phone": "theirs"}, c20=None, c21={"companyName": "Theirs"}),
        others=Others(
            created={("Companies", 21)}, deleted={("Companies", 20)}, edited={("Companies", 7): {"phone"}}
        ),
    )
    assert told(GOOD, scene) == set()


def test_what_is_under_way_is_not_lost() -> None:
    """A plan that claims no end may have rows without one, and records of rows in doubt."""
    history = story([create(1, "New"), UPDATE, DELETE], lines((1, "intent"), (2, "intent"), (3, "intent")))
    assert told(history, is_finished=False) == set()
    assert told(history) == {Breach.LOST}


def test_taking_back_is_right_where_an_assumption_was_broken() -> None:
    """Applied and then held is a finding only where nothing gave cause for it."""
    history = story(list(GOOD.changes.values()), [*TOLD, Line(n=1, seq=7, run=1, word="held", at=7.0)])
    assert told(history) == {Breach.WRONG}
    assert told(history, is_assumed=False) == set()


def test_references_are_followed() -> None:
    """A record must refer to what the row it waits for made, whatever its id became."""
    child = Planned(
        n=2, step="s", entity="Contacts", action="create", after={"companyID": {"change": 1}}, waits_for=(1,)
    )
    history = story(
        [create(1, "New"), child], lines((1, "intent"), (1, "applied", 20), (2, "intent"), (2, "applied", 30))
    )
    for company, breaches in ((20, set()), (19, {Breach.WRONG})):
        rows: dict[str, Any] = {
            "Companies": {20: {"id": 20, "companyName": "New"}},
            "Contacts": {30: {"id": 30, "companyID": company}},
        }
        assert told(history, Scene(before={}, after=rows, log=[])) == breaches


@pytest.mark.parametrize(
    ("stored", "planned", "expected"),
    [
        (" N-1 ", "N-1", True), ("n-1", "N-1", False), ("003", "3", False), (3, "3", True), (3.0, 3, True),
        (True, 1, True), ("a\r\nb", "a\nb", True), ("", None, True), (None, 0, False),
        ("2026-01-05T00:00:00.000Z", "2026-01-05", True), ("2026-01-05T00:00:00Z", "2026-01-06", False),
    ],
)  # fmt: skip
def test_two_values_are_the_same_where_the_server_keeps_them_so(
    stored: object, planned: object, expected: bool
) -> None:
    """Trimmed text, numbers by value, moments by instant; nothing more is forgiven."""
    assert same(stored, planned) is expected


def test_a_plan_file_is_read_as_it_is(tmp_path: Path) -> None:
    """Planned values, references, and lines in their order, from the tables that a plan has."""
    path = tmp_path / "x.plan"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            CREATE TABLE changes (n, change); CREATE TABLE rows (n); CREATE TABLE runs (number);
            CREATE TABLE journal (n, seq, run, kind, at, id, reason, more);
            INSERT INTO rows VALUES (1); INSERT INTO runs VALUES (1);
            INSERT INTO changes VALUES (1, '{"step": "s", "entity": "E", "action": "create",
                "fields": {"a": [null, {"change": 17}]}, "waits_for": [17]}');
            INSERT INTO journal VALUES (1, 2, 1, 'applied', 2.0, 5, NULL, 0);
            INSERT INTO journal VALUES (1, 1, 1, 'intent', 1.0, 4, '', 0);
            """
        )
    connection.close()
    found = read_story(path)
    assert found.changes[1].after == {"a": {"change": 17}}
    assert [line.word for line in found.lines] == ["intent", "applied"]
    assert (found.state(1), found.record_id(1), found.rows, found.runs) == ("applied", 5, 1, 1)
    assert list(found.changes[1].waits_for) == [17]
