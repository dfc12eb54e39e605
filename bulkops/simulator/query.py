"""Queries: what a request asks for, the page of records that answers it, and the cursors between pages.

Pages are cut by id, ascending. A cursor works with the verb of the call that began: by GET its link carries
the search, by POST the same body is sent again (REST_Advanced_Query_Features.htm and live reports).
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from bulkops.simulator.catalog import UDFS
from bulkops.simulator.filters import Node, QueryError, compile_filter
from bulkops.simulator.richtext import plain
from bulkops.simulator.rules import hidden, hides
from bulkops.simulator.store import Row, Store, Table

MAX_PAGE = 500
BEFORE_ALL = -1  # ids begin with 0: the vendor's own company


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a page begins: after the id `after`; `previous` is where the page before it began."""

    size: int = MAX_PAGE
    after: int = BEFORE_ALL
    previous: int = BEFORE_ALL

    def encoded(self) -> str:
        paging = {"pageSize": self.size, "previousIds": [self.previous], "nextIds": [self.after]}
        return quote(orjson.dumps(paging).decode(), safe="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query's body as it is understood."""

    filter: Any
    include: tuple[str, ...] = ()  # IncludeFields, as written
    size: int = MAX_PAGE


def read_query(body: Any, *, empty_filter: str) -> Query:
    """Keys are taken in any case. Raises QueryError."""
    if not isinstance(body, Mapping):
        raise QueryError("A query must be an object with a filter.")
    keys = {str(key).casefold(): value for key, value in body.items()}
    filter_ = keys.get("filter")
    if not filter_:
        if empty_filter == "error":
            raise QueryError("A query must have at least one filter.")
        filter_ = []
    include = keys.get("includefields") or ()
    if not isinstance(include, list | tuple):
        raise QueryError("IncludeFields must be an array of field names.")
    return Query(filter=filter_, include=tuple(map(str, include)), size=_size(keys.get("maxrecords")))


def read_cursor(text: str) -> Cursor:
    """The `paging` argument of a cursor's link. Raises QueryError."""
    try:
        paging = orjson.loads(text)
        size, (after, *_), (previous, *_) = paging["pageSize"], paging["nextIds"], paging["previousIds"]
        return Cursor(size=_size(size), after=int(after), previous=int(previous))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
        raise QueryError("The paging argument is invalid.") from exc


def _size(value: Any) -> int:
    if value is None:
        return MAX_PAGE
    try:
        size = int(value)
    except (TypeError, ValueError):
        size = 0
    if not 1 <= size <= MAX_PAGE:
        raise QueryError("maxCountOfRecordsToReturn must be between 1 and 500")
    return size


def matching(table: Table, node: Node, after: int = BEFORE_ALL) -> Iterator[int]:
    """The ids of the records that pass, above `after`, ascending, found one by one."""
    low = max(after + 1, after + 1 if node.low is None else node.low)
    for row_id in _candidates(table, node, low):
        if node.high is not None and row_id > node.high:
            return
        stored = table.stored(row_id)
        if stored is not None and node.test(stored):
            yield row_id


def _candidates(table: Table, node: Node, low: int) -> Iterator[int]:
    if node.lists is None:
        return _from(table.ids, low)
    if len(node.lists) == 1:
        return _from(node.lists[0], low)
    return _once(heapq.merge(*(_from(ids, low) for ids in node.lists)))


def _from(ids: Sequence[int], low: int) -> Iterator[int]:
    return (ids[place] for place in range(bisect_left(ids, low), len(ids)))


def _once(ids: Iterable[int]) -> Iterator[int]:
    last = None
    for row_id in ids:
        if row_id != last:
            yield row_id
        last = row_id


class Pages:
    """Answers queries of one entity from the store."""

    def __init__(self, store: Store, entity: str) -> None:
        self.store = store
        self.table = store.table(entity)
        self.udfs = store.udfs.get(entity, [])

    def compiled(self, query: Query) -> Node:
        node = compile_filter(query.filter, self.table, self.udfs, self.store.switches)
        if hides(self.store, self.table.shape.name):
            test, entity = node.test, self.table.shape.name
            node.test = lambda row: test(row) and not hidden(self.store, entity, dict(row))
        return node

    def visible(self, ids: Sequence[int]) -> Sequence[int]:
        """Ids without those of records that no read shows."""
        entity = self.table.shape.name
        if not hides(self.store, entity):
            return ids
        return [row_id for row_id in ids if not hidden(self.store, entity, self.table[row_id])]

    def count(self, query: Query) -> int:
        return sum(1 for _ in matching(self.table, self.compiled(query)))

    def page(self, query: Query, cursor: Cursor | None, *, link: str, search: str = "") -> dict[str, Any]:
        """`{items, pageDetails}`. `link` is the URL up to `?paging=`, `search` what follows the cursor."""
        node, shown = self.compiled(query), self.fields(query.include)
        start = cursor or Cursor(size=query.size)
        ids: list[int] = []
        more = False
        for row_id in matching(self.table, node, start.after):
            if len(ids) == start.size:
                more = True
                break
            ids.append(row_id)
        if len(ids) == start.size and self.store.switches.exact_page == "url":
            more = True
        return {
            "items": self.items(ids, shown),
            "pageDetails": self.details(
                ids, start, more=more, is_first=cursor is None, link=link, search=search
            ),
        }

    def details(
        self, ids: Sequence[int], start: Cursor, *, more: bool, is_first: bool, link: str, search: str
    ) -> dict[str, Any]:
        following = Cursor(size=start.size, after=ids[-1], previous=start.after) if more else None
        before = (
            None if is_first or start.after == BEFORE_ALL else Cursor(size=start.size, after=start.previous)
        )
        return {
            "count": len(ids),
            "requestCount": start.size,
            "prevPageUrl": None if before is None else f"{link}?paging={before.encoded()}{search}",
            "nextPageUrl": None if following is None else f"{link}?paging={following.encoded()}{search}",
        }

    def fields(self, include: Sequence[str]) -> tuple[tuple[str, ...], frozenset[str]] | None:
        """IncludeFields as exact field names and UDF names; None for all. Raises QueryError."""
        if not include:
            return None
        udfs = {str(item["name"]).casefold(): str(item["name"]) for item in self.udfs}
        fields, chosen = [], set()
        for name in include:
            exact = self.table.shape.find(name)
            if exact is not None:
                fields.append(exact)
            elif name.casefold() == UDFS.casefold():
                chosen |= set(udfs.values())
            elif name.casefold() in udfs:
                chosen.add(udfs[name.casefold()])
            else:
                raise QueryError(f"Unable to find {name} in the {self.table.shape.singular} Entity")
        return tuple(fields), frozenset(chosen)

    def items(
        self, ids: Sequence[int], shown: tuple[tuple[str, ...], frozenset[str]] | None = None
    ) -> list[Row]:
        """Records as answers hold them: rich text plain, no file contents, no UDFs where none has a value."""
        if shown is not None and not shown[1]:  # most queries: no need to fill up whole records
            return [self._plain(row_id, self._some(row_id, shown[0])) for row_id in ids]
        rows = [self._plain(row_id, self.table[row_id]) for row_id in ids]
        if self.table.shape.has_udfs:
            self._settle_udfs(rows)
        for row in rows:
            for name in self.table.shape.hidden:
                del row[name]
        return rows if shown is None else [_narrowed(row, *shown) for row in rows]

    def _some(self, row_id: int, fields: Sequence[str]) -> Row:
        stored = self.table.stored(row_id) or {}
        return {name: stored.get(name) for name in fields}

    def _plain(self, row_id: int, row: Row) -> Row:
        """The row, changed: without file contents, rich text as plain text."""
        for name in self.table.shape.files:
            if name in row:
                row[name] = None
        for name in self.table.shape.rich:
            if row.get(name) and (row_id, name) not in self.table.literal:
                row[name] = plain(row[name])
        return row

    def _settle_udfs(self, rows: Sequence[Row]) -> None:
        if any(item["value"] is not None for row in rows for item in row[UDFS]):
            return
        for row in rows:
            if self.store.switches.udf_collection == "omit":
                del row[UDFS]
            else:
                row[UDFS] = []


def _narrowed(row: Row, fields: Sequence[str], udfs: frozenset[str]) -> Row:
    narrow = {name: row[name] for name in fields}
    if udfs and UDFS in row:
        narrow[UDFS] = [item for item in row[UDFS] if item["name"] in udfs]
    return narrow


def after_page(ids: Sequence[int], after: int, size: int) -> tuple[Sequence[int], bool]:
    """The page of a list of ids that begins after an id, and whether more follow."""
    start = bisect_right(ids, after)
    return list(ids[start : start + size]), len(ids) > start + size
