"""The shipped catalog and its generator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulkops.data.generate import OUTPUT, generate, write

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "autotask"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the vendor's documents are not beside this checkout")
def test_the_shipped_catalog_is_what_the_script_generates(tmp_path: Path) -> None:
    """Nobody edits the facts by hand: generating again gives the file that is shipped, byte for byte."""
    write(generate(SHARED), tmp_path / "catalog.json")
    assert (tmp_path / "catalog.json").read_bytes() == OUTPUT.read_bytes()


def test_every_reference_and_parent_is_an_entity_with_a_field_to_hold_it() -> None:
    """Nothing in the catalog points to what is not there."""
    entities = json.loads(OUTPUT.read_text("utf-8"))["entities"]
    assert len(entities) == 232
    for name, entity in entities.items():
        for field_name, field in entity["fields"].items():
            assert field.get("ref", name) in entities, (name, field_name)
        if "parent" in entity:
            assert entity["parent"]["field"] in entity["fields"], name


def test_what_can_be_created_has_a_route_for_it() -> None:
    """`can` and the listed methods agree."""
    verbs = {"create": "POST", "update": "PATCH"}
    for name, entity in json.loads(OUTPUT.read_text("utf-8"))["entities"].items():
        for action, verb in verbs.items():
            where = entity["can"].get(action, "")
            if "root" in where:
                assert verb in entity["root"], name
            if "child" in where:
                assert verb in entity["parent"]["collection"], name
