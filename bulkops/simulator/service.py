"""The service behind the network: one admitted request in, one answer out. It waits for nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from bulkops.simulator import answers, lenient, metadata
from bulkops.simulator.answers import Answer
from bulkops.simulator.asked import Asked
from bulkops.simulator.filters import QueryError
from bulkops.simulator.invoices import Invoices
from bulkops.simulator.lenient import LenientError
from bulkops.simulator.limits import Uploads, Window
from bulkops.simulator.query import Cursor, Pages, after_page, read_cursor, read_query
from bulkops.simulator.routes import VERSION, Kind
from bulkops.simulator.rules import hidden
from bulkops.simulator.store import Row, Store
from bulkops.simulator.writes import Writer

LONGEST_QUERY = 2048  # characters of a query string; beyond it the web server answers 404 (live report)
CANONICAL_VERSION = VERSION.upper()


class Service:
    """Everything the API does with a request once it is let in."""

    def __init__(self, store: Store, window: Window, uploads: Uploads) -> None:
        self.store = store
        self.window = window
        self.writer = Writer(store, uploads)
        self.invoices = Invoices(store)
        self._reads: Mapping[Kind, Callable[[Asked], Answer]] = {
            Kind.QUERY: self._query,
            Kind.COUNT: self._count,
            Kind.NEXT: self._next,
            Kind.ITEM: self._item,
            Kind.COLLECTION: self._children,
            Kind.BALANCES: self._children,
            Kind.INFO: lambda asked: answers.ok(metadata.information(self.store, asked.route.entity)),
            Kind.FIELDS: lambda asked: answers.ok(metadata.fields(self.store, asked.route.entity)),
            Kind.UDFS: lambda asked: answers.ok(metadata.user_defined_fields(self.store, asked.route.entity)),
            Kind.ALL_INFO: lambda _: answers.ok(metadata.all_information(self.store)),
            Kind.THRESHOLD: lambda _: answers.ok(metadata.threshold(self.window)),
            Kind.MODULES: lambda _: answers.ok(metadata.modules()),
            Kind.VERSION: lambda _: answers.ok(metadata.version()),
            Kind.AUTHENTICATE: lambda _: answers.ok({"isAuthenticated": True}),
        }
        self._writes: Mapping[str, Callable[[Asked], Answer]] = {
            "POST": self.writer.create,
            "PATCH": self.writer.update,
            "PUT": self.writer.update,
            "DELETE": self.writer.delete,
        }

    def answer(self, asked: Asked) -> Answer:
        """The answer to a request whose path and verb exist."""
        if len(asked.query) > LONGEST_QUERY and asked.method == "GET":
            return answers.page(answers.NOT_FOUND_PAGE, 404)
        try:
            return self._handler(asked)(asked)
        except (QueryError, LenientError) as exc:
            return answers.errors(str(exc))

    def _handler(self, asked: Asked) -> Callable[[Asked], Answer]:
        kind = asked.route.kind
        if kind in (Kind.INVOICE_SETTINGS, Kind.RECIPIENTS, Kind.RECIPIENT, Kind.MARKUP):
            return self.invoices.answer
        if kind in (Kind.COLLECTION, Kind.ITEM) and asked.method != "GET":
            return self._writes[asked.method]
        return self._reads[kind]

    def _query(self, asked: Asked) -> Answer:
        return self._page(asked, None)

    def _next(self, asked: Asked) -> Answer:
        """A cursor of GET carries its search and takes GET only, one of POST takes POST only."""
        if (asked.argument("search") is not None) != (asked.method == "GET"):
            return answers.wrong_verb(self.store.switches, asked.method)
        return self._page(asked, read_cursor(asked.argument("paging") or ""))

    def _page(self, asked: Asked, cursor: Cursor | None) -> Answer:
        body, search = self._body(asked)
        query = read_query(body, empty_filter=self.store.switches.empty_filter)
        link = f"{asked.origin}/{CANONICAL_VERSION}/{asked.route.entity}/query/next"
        return answers.ok(Pages(self.store, asked.route.entity).page(query, cursor, link=link, search=search))

    def _count(self, asked: Asked) -> Answer:
        query = read_query(self._body(asked)[0], empty_filter=self.store.switches.empty_filter)
        return answers.ok({"queryCount": Pages(self.store, asked.route.entity).count(query)})

    def _body(self, asked: Asked) -> tuple[Any, str]:
        """What a query asks, and what the link to its next page carries of it."""
        if asked.method != "GET":
            return asked.json(), ""
        search = asked.argument("search")
        if search is None:
            raise QueryError("The search argument is required.")
        return lenient.read(search), "&search=" + quote(search, safe="")

    def _item(self, asked: Asked) -> Answer:
        entity, row_id = asked.route.entity, asked.ids[-1]
        row = self._visible(asked, row_id)
        pages = Pages(self.store, entity)
        if asked.route.parent and asked.shape.files:  # the one path that shows a file's contents
            return answers.ok({"items": [] if row is None else [self.store.table(entity)[row_id]]})
        if row is None:
            if self.store.switches.missing_get == "404":
                return answers.message("No matching records found.", 404)
            return answers.ok({"item": None})
        return answers.ok({"item": pages.items([row_id])[0]})

    def _visible(self, asked: Asked, row_id: int) -> Row | None:
        row: Row | None = self.store.table(asked.route.entity).get(row_id)
        if row is None or hidden(self.store, asked.route.entity, row):
            return None
        if asked.route.parent and row.get(asked.shape.parent_field) != asked.parent_id:
            return None
        return row

    def _children(self, asked: Asked) -> Answer:
        """All children of a parent, by pages as queries are; there is no filter."""
        entity = asked.route.entity
        paging = asked.argument("paging")
        cursor = Cursor() if paging is None else read_cursor(paging)
        pages = Pages(self.store, entity)
        held = pages.table.ids_of(asked.shape.parent_field, asked.ids[0])
        ids, more = after_page(pages.visible(held), cursor.after, cursor.size)
        first, second = asked.shape.entry["parent"]["path"]
        link = f"{asked.origin}/{CANONICAL_VERSION}/{first}/{asked.ids[0]}/{second}"
        details = pages.details(ids, cursor, more=more, is_first=paging is None, link=link, search="")
        return answers.ok({"items": pages.items(ids), "pageDetails": details})
