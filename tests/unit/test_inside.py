"""What is in projects, in words."""

from __future__ import annotations

import pytest

from bulkops.recipes.inside import Inside


@pytest.mark.parametrize(
    ("tasks", "hours", "told"),
    [
        (1, 12.5, "1 open task (12.5 hours)"),
        (2_250, 329_320.25, "2,250 open tasks (329,320.25 hours)"),
        (9, 1_234_567.5, "9 open tasks (1,234,567.5 hours)"),
        (0, 0.0, "0 open tasks (0 hours)"),
    ],
)
def test_hours_are_told_to_the_last_digit(tasks: int, hours: float, told: str) -> None:
    """However many they are."""
    assert Inside(ends=None, tasks=tasks, hours=hours).amount == told
