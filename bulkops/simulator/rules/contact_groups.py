"""ContactGroups: names are unique."""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, changed
from bulkops.simulator.store import Row, Store


class ContactGroupRules(Rules):
    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        return _unique(store, row["name"])

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        if not changed(row, changes, "name"):
            return []
        return [text for other, text in _others(store, changes["name"]) if other != row["id"]]


def _unique(store: Store, name: str) -> list[str]:
    return [text for _, text in _others(store, name)][:1]


def _others(store: Store, name: str) -> list[tuple[int, str]]:
    """DOC (REST_Creating_Resources_POST.htm): the text, to the letter."""
    text = f"A ContactGroup already exists with Name [{name}]. ContactGroup names must be unique."
    return [(row_id, text) for row_id in store.table("ContactGroups").ids_of("name", name)]
