"""One request as the service sees it: route, arguments, body, who asks."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from bulkops.simulator import lenient
from bulkops.simulator.catalog import Shape, shapes
from bulkops.simulator.routes import Route

GZIP = b"\x1f\x8b"


class BodyError(ValueError):
    """A body the service cannot read; `str(error)` is its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`origin` is the address the client used, up to and with `/ATServicesRest`."""

    method: str
    route: Route
    ids: tuple[int, ...]  # of the path
    query: str  # what follows `?`
    body: bytes
    origin: str
    impersonate: str | None = None  # the header's text

    @property
    def shape(self) -> Shape:
        return shapes()[self.route.entity]

    @property
    def parent_id(self) -> int | None:
        return self.ids[0] if self.route.parent else None

    def argument(self, name: str) -> str | None:
        """An argument of the query string, its name in any case."""
        for key, value in parse_qsl(self.query, keep_blank_values=True):
            if key.casefold() == name:
                return value
        return None

    def json(self) -> Any:
        """The body, in any spelling the service takes. Raises LenientError."""
        return lenient.read(self.body)


def unpacked(body: bytes, encoding: str, *, is_child: bool) -> bytes:
    """A body without its Content-Encoding. Raises BodyError.

    A plain body that claims to be packed is taken at the root and refused under a parent (live report).
    """
    if encoding.strip().casefold() not in ("gzip", "x-gzip", "deflate") or not body:
        return body
    if "gzip" in encoding.casefold() and not body.startswith(GZIP):
        if is_child:
            raise BodyError(
                "The magic number in GZip header is not correct. Make sure you are passing in a GZip stream."
            )
        return body
    try:
        return zlib.decompress(body, wbits=47)  # gzip or zlib, whichever it is
    except zlib.error as exc:
        raise BodyError("The archive entry was compressed using an unsupported compression method.") from exc


def key_of(body: Mapping[str, Any], name: str) -> str | None:
    """The key under which a body holds a field, in whatever case it is written."""
    if name in body:
        return name
    folded = name.casefold()
    return next((key for key in body if key.casefold() == folded), None)
