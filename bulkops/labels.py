"""The labels of picklist values: kept with a plan, so that people read words where the API has numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from bulkops.schema import Entity

Labels: TypeAlias = Mapping[str, Mapping[str, Mapping[str, str]]]  # entity → field → value → label


def labels_of(entity: Entity, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Field → value → label, for those of `names` that have a picklist; fields in the entity's spelling."""
    shapes = [entity.find(name) for name in names]
    return {
        shape.name: {item.value: item.label for item in shape.picklist}
        for shape in shapes
        if shape is not None and shape.picklist
    }
