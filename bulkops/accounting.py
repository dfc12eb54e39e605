"""The law of counting: every row ends in exactly one state, step by step and in all. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping

from bulkops.errors import AccountingError


def check_counts(counts: Mapping[str, int], rows: int, of: str) -> None:
    """AccountingError unless `counts` has each of the `rows` rows of `of` exactly once."""
    if sum(counts.values()) != rows or min(counts.values(), default=0) < 0:
        raise AccountingError(f"{of} has {rows:,} rows, and they are counted as {_text(counts)}")


def check_same(counts: Mapping[str, int], others: Mapping[str, int], of: str) -> None:
    """AccountingError unless two counts of `of`, each made in its own way, say the same."""
    if any(counts.get(state, 0) != others.get(state, 0) for state in {*counts, *others}):
        raise AccountingError(f"{of} is counted as {_text(counts)}, and in another way as {_text(others)}")


def _text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {state}" for state, number in counts.items()) or "nothing"
