"""Where rows come from. One file a kind of source; `open_source` picks the right one."""

from bulkops.sources.base import Dialect, Source
from bulkops.sources.opening import open_source

__all__ = ["Dialect", "Source", "open_source"]
