"""Which paths exist, with which verbs, and what a request to one of them does.

Made once from the catalog; a request costs one look-up. Case, doubled and trailing slashes are ignored, as
live clients rely on. A path that is not here is a 404, a verb that is not on its path a 405.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import unquote

from bulkops.simulator.catalog import entries
from bulkops.simulator.faults import Call

ROOT = "atservicesrest"
VERSION = "v1.0"
INFORMATION = (("entityInformation", ""), ("fields", "/fields"), ("userDefinedFields", "/userDefinedFields"))


class Kind(Enum):
    """What stands at a path."""

    COLLECTION = auto()  # create, update; under a parent also the list of its children
    ITEM = auto()
    QUERY = auto()
    COUNT = auto()
    NEXT = auto()
    INFO = auto()
    FIELDS = auto()
    UDFS = auto()
    INVOICE_SETTINGS = auto()
    RECIPIENTS = auto()
    RECIPIENT = auto()
    MARKUP = auto()
    BALANCES = auto()  # of one year
    ZONE = auto()
    THRESHOLD = auto()
    ALL_INFO = auto()
    MODULES = auto()
    VERSION = auto()
    VERSIONS = auto()
    AUTHENTICATE = auto()


Path: TypeAlias = tuple[str, Kind, list[str]]  # what follows the base, what stands there, its verbs
METADATA = {Kind.INFO, Kind.FIELDS, Kind.UDFS}
WRITES = {"POST": Call.CREATE, "PATCH": Call.UPDATE, "PUT": Call.UPDATE, "DELETE": Call.DELETE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One path. `entity` is whom it counts for; `parent` is the entity before it in the path, if any."""

    entity: str
    kind: Kind
    methods: frozenset[str]
    parent: str = ""
    label: str = ""  # how calls are counted, after their verb
    tail: str = ""  # the path below the record, for records' own paths
    is_service: bool = False  # not an entity's: an endpoint of its own
    is_patched: bool = False  # a record's own path whose collection takes PATCH

    def takes(self, method: str, id_in_path: str) -> bool:
        """Whether the verb is there; `id_in_path` is the switch."""
        if method == "PATCH" and self.is_patched:
            return id_in_path == "any" or (id_in_path == "child" and bool(self.parent))
        return method in self.methods

    @property
    def is_open(self) -> bool:
        """Answered without credentials, so nobody's request and nobody's thread."""
        return self.kind in (Kind.ZONE, Kind.VERSIONS)

    def call(self, method: str) -> Call:
        """What the request does, in the words of the fault script."""
        if self.is_service or self.kind in METADATA:
            return Call.METADATA
        if self.kind is Kind.COUNT:
            return Call.COUNT
        if self.kind in (Kind.QUERY, Kind.NEXT):
            return Call.QUERY
        if method == "GET":
            return Call.QUERY if self.kind is Kind.COLLECTION else Call.GET
        if self.kind in (Kind.COLLECTION, Kind.ITEM):
            return WRITES[method]
        return Call.UPDATE  # invoice settings and their recipients belong to the company


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A route and the ids in the path: the parent's and the record's, as far as it has them."""

    route: Route
    ids: tuple[int, ...]


SERVICES = {
    "zoneInformation": Kind.ZONE,
    "ThresholdInformation": Kind.THRESHOLD,
    "EntityInformation": Kind.ALL_INFO,
    "Modules": Kind.MODULES,
    "Version": Kind.VERSION,
    "Authenticate": Kind.AUTHENTICATE,
}


def find(path: str) -> Found | None:
    """The route of a path as it stands in the request line, without its query; None is a 404."""
    if "%" in path:
        path = unquote(path)
    if "#" in path:
        return None
    parts = [part for part in path.lower().split("/") if part]
    ids = []
    for place, part in enumerate(parts):
        if part.isdecimal() and part.isascii():
            ids.append(int(part))
            parts[place] = "#"
    route = table().get("/".join(parts))
    if route is None or any(number >= 2**63 for number in ids):
        return None
    return Found(route=route, ids=tuple(ids))


@lru_cache(maxsize=1)
def table() -> dict[str, Route]:
    """Every path, lower case, ids as `#`."""
    return {path.lower(): replace(route, label=_label(path, route)) for path, route in _all()}


def _label(path: str, route: Route) -> str:
    """The path without ids; a child path counts as its own entity."""
    if not route.parent:
        return path.removeprefix(f"{ROOT}/").removeprefix(f"{VERSION}/").replace("/#", "")
    tails = dict(zip((Kind.INFO, Kind.FIELDS, Kind.UDFS), (tail for _, tail in INFORMATION), strict=True))
    return route.entity + (f"/entityInformation{tails[route.kind]}" if route.kind in tails else "")


def _all() -> Iterator[tuple[str, Route]]:
    versions = Route(entity="VersionInformation", kind=Kind.VERSIONS, methods=GET, is_service=True)
    yield f"{ROOT}/VersionInformation", versions
    for name, kind in SERVICES.items():
        yield f"{ROOT}/{VERSION}/{name}", Route(entity=name, kind=kind, methods=GET, is_service=True)
    for name, entry in entries().items():
        yield from _entity(name, entry)
        if "parent" in entry:
            yield from _child(name, entry)
    balances = Route(entity="ResourceTimeOffBalances", kind=Kind.BALANCES, methods=GET, parent="Resources")
    yield f"{ROOT}/{VERSION}/Resources/#/TimeOffBalances/#", balances


GET = frozenset({"GET"})


def _entity(name: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, Route]]:
    base = f"{ROOT}/{VERSION}/{name}"
    paths = [
        ("", Kind.COLLECTION, entry["root"]),
        ("/#", Kind.ITEM, entry["item"]),
        ("/query", Kind.QUERY, entry["query"]),
        ("/query/count", Kind.COUNT, entry["count"]),
        ("/query/next", Kind.NEXT, entry["query"]),
        *_information(entry),
    ]
    yield from _routes(name, base, paths)
    for tail, methods in entry.get("other", {}).items():
        path = "/".join("#" if part.startswith("{") else part for part in tail.split("/"))
        below = tail.removeprefix("{id}/")
        route = Route(entity=name, kind=_other_kind(tail), methods=frozenset(methods), tail=below)
        yield f"{base}/{path}", route


def _routes(name: str, base: str, paths: list[Path], parent: str = "") -> Iterator[tuple[str, Route]]:
    """Those of the paths that have a verb; the first is the collection's."""
    patches = "PATCH" in paths[0][2]
    for tail, kind, methods in paths:
        if methods:
            is_patched = patches and kind is Kind.ITEM
            route = Route(
                entity=name, kind=kind, methods=frozenset(methods), parent=parent, is_patched=is_patched
            )
            yield base + tail, route


def _information(entry: Mapping[str, Any]) -> list[Path]:
    missing = entry.get("noMetadata", ())
    kinds = (Kind.INFO, Kind.FIELDS, Kind.UDFS)
    return [
        (f"/entityInformation{tail}", kind, ["GET"])
        for (part, tail), kind in zip(INFORMATION, kinds, strict=True)
        if part not in missing
    ]


def _other_kind(tail: str) -> Kind:
    if tail.endswith("invoiceSettings"):
        return Kind.INVOICE_SETTINGS
    if tail.endswith("Recipients"):
        return Kind.RECIPIENTS
    return Kind.RECIPIENT if "Recipients/" in tail else Kind.MARKUP


def _child(name: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, Route]]:
    """The paths under the parent; attachments have no metadata there (operations of 2026)."""
    parent = entry["parent"]
    first, second = parent["path"]
    base = f"{ROOT}/{VERSION}/{first}/#/{second}"
    information = [] if name.endswith("Attachments") else _information(entry)
    paths = [("", Kind.COLLECTION, parent["collection"]), ("/#", Kind.ITEM, parent["item"]), *information]
    yield from _routes(name, base, paths, parent["entity"])
