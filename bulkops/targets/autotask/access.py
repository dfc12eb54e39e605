"""What the API user may do, entity by entity: the one answer of `EntityInformation` about all of them. Pure.

Sources: REST_EntityInformationCall.htm, which documents 0 (None), 1 (All), 2 (Restricted); live captures say
the words. Restricted means: some records only, decided row by row by the security level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bulkops.targets.autotask.catalog import Catalog
from bulkops.targets.autotask.route import VERSION

ACCESS_PATH = f"{VERSION}/EntityInformation"


class Reach(StrEnum):
    """How many of an entity's records an action reaches."""

    ALL = "all"
    RESTRICTED = "restricted"
    NONE = "none"
    UNKNOWN = "unknown"  # the tenant does not say


_REACHES = {
    "none": Reach.NONE, "0": Reach.NONE,
    "all": Reach.ALL, "1": Reach.ALL,
    "restricted": Reach.RESTRICTED, "2": Reach.RESTRICTED,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the API user may do with one entity."""

    query: Reach
    create: Reach
    update: Reach
    delete: Reach


def read_access(data: Mapping[str, Any], catalog: Catalog) -> dict[str, Access]:
    """`{"entityDescriptions": [{"info": …}]}` by entity name; what the catalog does not know is left out."""
    found: dict[str, Access] = {}
    descriptions = data.get("entityDescriptions")
    for description in descriptions if isinstance(descriptions, list) else ():
        info = description.get("info") if isinstance(description, Mapping) else None
        entity = catalog.find(str(info.get("name"))) if isinstance(info, Mapping) else None
        if isinstance(info, Mapping) and entity is not None:
            found[entity.name] = Access(
                query=_reach(info, "Query"),
                create=_reach(info, "Create"),
                update=_reach(info, "Update"),
                delete=_reach(info, "Delete"),
            )
    return found


def _reach(info: Mapping[str, Any], action: str) -> Reach:
    if info.get(f"can{action}") is False:
        return Reach.NONE
    return _REACHES.get(str(info.get(f"userAccessFor{action}", "")).casefold(), Reach.UNKNOWN)
