"""Attachments of every kind: what the server knows by itself about the file."""

from __future__ import annotations

import base64
import binascii
import mimetypes

from bulkops.simulator.rules.base import Rules
from bulkops.simulator.store import Row, Store


class AttachmentRules(Rules):
    """The vendor's sample request gives type, path, title, publish and data (base64), and no parent type."""

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        try:
            size = len(base64.b64decode(row.get("data") or "", validate=True))
        except (binascii.Error, ValueError):
            return ["The data of the attachment is not valid Base64."]  # our wording: no source has the text
        row["fileSize"] = size
        row["contentType"] = mimetypes.guess_type(row["fullPath"])[0] or "application/octet-stream"
        return []
