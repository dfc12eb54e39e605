"""Create, update, delete: what comes before and after the rules that decide.

The id in the body chooses the record of an update; PUT empties every writable field that is absent
(REST_Updating_Data_PUT.htm).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from bulkops.simulator import answers, validation
from bulkops.simulator.answers import Answer
from bulkops.simulator.asked import Asked, key_of
from bulkops.simulator.catalog import UDFS, Shape
from bulkops.simulator.faults import Call
from bulkops.simulator.lenient import LenientError
from bulkops.simulator.limits import Uploads
from bulkops.simulator.routes import Kind
from bulkops.simulator.store import Row, Store, Table


class Writer:
    """Applies writes to the store, each at once and whole."""

    def __init__(self, store: Store, uploads: Uploads) -> None:
        self.store = store
        self.uploads = uploads

    def create(self, asked: Asked) -> Answer:
        body = asked.json()
        if not isinstance(body, dict):
            return answers.errors(answers.NULL_TEXT)
        size = self._upload_size(asked.shape, body)
        refusal = self.uploads.refuse(size) if size else None
        if refusal:
            return answers.errors(refusal)
        entity = asked.route.entity
        row, texts = validation.check_create(
            self.store,
            entity,
            body,
            parent_id=asked.parent_id,
            actor=self.store.api_resource_id,
            impersonating=impersonated(asked.impersonate),
        )
        if texts:
            return answers.errors(texts)
        table = self.store.table(entity)
        row["id"] = None  # whatever the body said: the next one
        row_id = table.insert(row)
        if size:
            self.uploads.add(size)
        validation.after_commit(self.store, entity, "create", table[row_id], {})
        return answers.done(row_id, Call.CREATE)

    def update(self, asked: Asked) -> Answer:
        body = asked.json()
        if not isinstance(body, dict):
            return answers.errors(answers.NULL_TEXT)
        table = self.store.table(asked.route.entity)
        row = table.get(asked.ids[-1] if asked.route.kind is Kind.ITEM else body_id(body))
        refusal = self._row_refusal(asked, row, answers.MISSING_UPDATE_TEXT)
        if row is None or refusal:
            return answers.errors(refusal or answers.MISSING_UPDATE_TEXT)
        if asked.method == "PUT":
            body = completed(body, table, self.store.udfs.get(asked.route.entity, ()))
        changes, texts = validation.check_update(
            self.store, asked.route.entity, row, body, actor=self.store.api_resource_id, impersonating=None
        )
        if texts:
            return answers.errors(texts)
        table.update(row["id"], changes)
        validation.after_commit(self.store, asked.route.entity, "update", table[row["id"]], changes)
        return answers.done(row["id"], Call.UPDATE)

    def delete(self, asked: Asked) -> Answer:
        entity, row_id = asked.route.entity, asked.ids[-1]
        table = self.store.table(entity)
        row = table.get(row_id)
        refusal = self._row_refusal(asked, row, answers.MISSING_DELETE_TEXT)
        if row is None or refusal:
            return answers.errors(refusal or answers.MISSING_DELETE_TEXT)
        texts = validation.check_delete(self.store, entity, row)
        if texts:
            return answers.errors(texts)
        table.delete(row_id)
        validation.after_commit(self.store, entity, "delete", row, {})
        return answers.done(row_id, Call.DELETE)

    def edit(self, asked: Asked, fields: Mapping[str, Any]) -> None:
        """Somebody else changes the record a request is about, without rules; nothing where there is none."""
        table = self.store.table(asked.route.entity)
        row_id = asked.ids[-1] if len(asked.ids) > bool(asked.route.parent) else None
        if row_id is None and asked.method != "POST":
            with contextlib.suppress(LenientError):
                body = asked.json()
                row_id = body_id(body) if isinstance(body, dict) else None
        if row_id is not None and row_id in table:
            validation.edit(self.store, asked.route.entity, row_id, exact(table.shape, fields))

    def _row_refusal(self, asked: Asked, row: Row | None, missing: str) -> str | None:
        if row is None:
            return missing
        if not asked.route.parent or self.store.switches.foreign_parent == "allow":
            return None
        return None if row.get(asked.shape.parent_field) == asked.parent_id else missing

    def _upload_size(self, shape: Shape, body: Mapping[str, Any]) -> int:
        """Bytes that count to the attachment limit; 0 where the entity holds no files."""
        key = key_of(body, shape.files[0]) if shape.files else None
        size = len(body[key]) if key is not None and isinstance(body[key], str) else 0
        return size if self.store.switches.attachment_bytes == "encoded" else size * 3 // 4


def impersonated(header: str | None) -> int | None:
    """Whom ImpersonationResourceId names; noted on a create only. What is no id is nobody's: -1."""
    text = (header or "").strip()
    if not text:
        return None
    return int(text) if text.isdecimal() and len(text) < 19 else -1


def body_id(body: Mapping[str, Any]) -> int | None:
    """The id in an update's body; text is taken too."""
    key = key_of(body, "id")
    value = None if key is None else body[key]
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def completed(body: Mapping[str, Any], table: Table, udfs: Any) -> dict[str, Any]:
    """A PUT's body with null for every writable field and UDF it leaves out."""
    given = {key.casefold() for key in body}
    whole = dict(body)
    for name, facts in table.shape.fields.items():
        kept = facts.get("readOnly") or facts.get("fixed") or name in table.shape.hidden
        if not kept and name.casefold() not in given:
            whole[name] = None
    if not table.shape.has_udfs:
        return whole
    key = key_of(whole, UDFS) or UDFS
    listed = [item for item in whole.get(key) or () if isinstance(item, Mapping)]
    named = {str(item.get("name")).casefold() for item in listed}
    absent = [
        {"name": item["name"], "value": None} for item in udfs if str(item["name"]).casefold() not in named
    ]
    return {**whole, key: [*listed, *absent]}


def exact(shape: Shape, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields under their exact names; those the entity does not have are left out."""
    named = {shape.folded.get(key.casefold(), UDFS if key.casefold() == UDFS.casefold() else ""): value
             for key, value in fields.items()}  # fmt: skip
    return {key: value for key, value in named.items() if key and key != "id"}
