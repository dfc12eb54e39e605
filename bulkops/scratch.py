"""Tables for what planning has to remember of every row: on disk once they grow, so that memory stays flat.

Keys are kept as digests, never as text. The file is SQLite's own temporary one: readable by nobody else, and
gone when it is closed or the process ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable
from hashlib import blake2b

DIGEST_BYTES = 16  # two of a billion keys agree by chance with less than one in 10**20


def open_scratch(*statements: str) -> sqlite3.Connection:
    """An empty temporary database in which `statements` were executed."""
    file = sqlite3.connect("", isolation_level=None)  # "": temporary, on disk once it grows
    file.execute("PRAGMA journal_mode = OFF")
    file.execute("PRAGMA synchronous = OFF")
    for statement in statements:
        file.execute(statement)
    # One transaction: at each commit SQLite would look through all that its cache has not written yet.
    file.execute("BEGIN")
    return file


def digest(key: Hashable) -> bytes:
    """What stands for `key`, which is told from others by its `repr`."""
    return blake2b(repr(key).encode(errors="backslashreplace"), digest_size=DIGEST_BYTES).digest()
