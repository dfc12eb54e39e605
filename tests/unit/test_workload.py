"""The table of who has how much, as people read it."""

from __future__ import annotations

from typing import Any

from bulkops.workload import workload_lines


def row(entity: str, name: str, now: int | None, change: int, hours: float | None = None) -> dict[str, Any]:
    def part(count: int | None, times: float) -> dict[str, Any]:
        return {"count": count, **({} if hours is None else {"hours": hours * times})}

    then = None if now is None else now + change
    return {
        "entity": entity, "id": len(name), "name": name,
        "now": part(now, 2), "change": part(change, -1), "then": part(then, 1),
    }  # fmt: skip


def test_amounts_stand_below_each_other_with_their_signs() -> None:
    """An entity is named once; hours only where there are any; a dash where nobody counted."""
    rows = [
        row("Tasks", "Jane Doe", 1_500, -1_500, 750.25),
        row("Tasks", "Kim", 0, 0, 0.0),
        row("Projects", "Jane Doe", 2, -1),
        row("ServiceCallTaskResources", "Kim", None, 1),
    ]
    assert list(workload_lines(rows)) == [
        "                                                      now             change         then",
        "Tasks                     Jane Doe (8)  1,500 (1,500.5 h)  -1,500 (-750.2 h)  0 (750.2 h)",
        "                          Kim (3)                 0 (0 h)            0 (0 h)      0 (0 h)",
        "Projects                  Jane Doe (8)                  2                 -1            1",
        "ServiceCallTaskResources  Kim (3)                       –                 +1            –",
    ]


def test_without_rows_there_is_no_table() -> None:
    """A plan that hands nothing over has no heads either."""
    assert list(workload_lines([])) == []
