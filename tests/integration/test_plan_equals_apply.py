"""The plan is what happens: where nobody else writes, the changes made are those planned, and nothing else.

Random worlds (tests/campaign/worlds.py), compared record by record and field by field over all entities.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.history import check, is_write
from tests.campaign.plain import Played, play
from tests.campaign.values import same, value_of
from tests.campaign.worlds import World

# What the server fills in by itself when a record is made, though nobody asked for it.
NOTED = re.compile(r"id|last\w+|create(d|Date)\w*|creator\w+|(project|phase|task|ticket)Number").fullmatch
DEFAULTS: Mapping[str, frozenset[str]] = {
    "Companies": frozenset({"isActive"}),
    "CompanyLocations": frozenset({"isActive"}),
    "Tasks": frozenset(
        {"canClientPortalUserCompleteTask", "companyLocationID", "isVisibleInClientPortal", "priority"}
    ),
}
METHODS = {"create": "POST", "update": "PATCH", "delete": "DELETE"}


def _names(record: Mapping[str, Any]) -> set[str]:
    """The fields that hold something; `udf:Name` for user-defined ones."""
    udfs = record.get("userDefinedFields") or ()
    named = {f"udf:{item['name']}" for item in udfs if item["value"] is not None}
    return named | {
        name for name, value in record.items() if value is not None and name != "userDefinedFields"
    }


def _check_records(played: Played) -> None:
    """Created, changed and gone: each as planned, no record and no field more."""
    story, before, after = played.story, played.scene.before, played.scene.after
    updates = {(c.entity, c.id): c for c in story.changes.values() if c.action == "update"}
    gone = {(c.entity, c.id) for c in story.changes.values() if c.action == "delete"}
    made = {(c.entity, story.record_id(n)): c for n, c in story.changes.items() if c.action == "create"}
    now = {(entity, record_id) for entity, rows in after.items() for record_id in rows}
    was = {(entity, record_id) for entity, rows in before.items() for record_id in rows}
    assert now - was == {place for place, c in made.items() if story.state(c.n) == "applied"}
    assert was - now == gone
    for entity, record_id in was & now:
        old, new = before[entity][record_id], after[entity][record_id]
        changed = {n for n in _names(old) | _names(new) if not same(value_of(new, n), value_of(old, n))}
        change = updates.get((entity, record_id))
        planned = set(change.after) if change else set()
        assert {name for name in changed if not name.startswith("last")} == planned, (entity, record_id)
    for (entity, made_id), change in made.items():
        if made_id is not None:
            held = {name for name in _names(after[entity][made_id]) if not NOTED(name)}
            extra = held - set(change.after) - DEFAULTS.get(entity, frozenset())
            assert not extra, f"{entity} {made_id} has {extra}, which nobody planned"


def _check_requests(played: Played) -> None:
    """As many writes as planned, none of them sent twice or for anything else."""
    sent = Counter((e["method"], e["entity"]) for e in played.scene.log if is_write(e))
    planned = Counter(
        (METHODS[c.action], c.entity)
        for c in played.story.changes.values()
        if c.is_write and c.n in played.story.of
    )
    assert sent == planned


def _check_again(played: Played) -> None:
    """Planned again, only what has nothing to be known by is still to be done."""
    for n, change in played.again.changes.items():
        first = played.story.changes[n]
        if change.is_write:
            assert first.action == "create" and not first.key, (first, change)


@pytest.mark.parametrize(
    "seeds", [range(12), pytest.param(range(1000, 1200), marks=pytest.mark.slow)], ids=["few", "many"]
)
async def test_the_changes_made_are_those_of_the_plan(seeds: range, tmp_path: Path) -> None:
    """Planning writes nothing; applying makes exactly the planned changes; planning again finds nothing."""
    writes: Counter[str] = Counter()
    for seed in seeds:
        folder = tmp_path / f"{seed}"
        folder.mkdir()
        world = World.of(random.Random(seed), marker=True)
        played = await play(world, world.write(folder))
        try:
            assert played.planned == played.scene.before
            assert check(played.story, played.scene) == []
            _check_records(played)
            _check_requests(played)
            _check_again(played)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
        writes.update(change.action for change in played.story.changes.values())
    assert min(writes[action] for action in METHODS) > len(seeds) / 3
