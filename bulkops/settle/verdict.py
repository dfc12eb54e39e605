"""What a look at the target says about a write whose outcome is not known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bulkops.change import Change

LOST = "the answer to its create was lost"


class Seen(Enum):
    """What reading the target says about one write."""

    DONE = "done"  # its effect is there
    ABSENT = "absent"  # its effect is not there now
    LATER = "later"  # a like write is in flight: what is there may be its effect
    HELD = "held"  # a person has to decide: several records, a near one, or nothing to recognise it by


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`id` of its record, where it is done; `left`: the fields of an update that still differ; `cleared`:
    those that it empties first and that are empty.

    LATER with a `reason` is held with it once there is nothing more to come.
    """

    seen: Seen
    id: int | None = None
    reason: str = ""
    left: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()


ABSENT = Verdict(seen=Seen.ABSENT)
LATER = Verdict(seen=Seen.LATER)


@dataclass(slots=True, kw_only=True, eq=False)
class Doubt:
    """A write in doubt. `change` holds ids where the plan held references."""

    change: Change
    floor: int | None = None  # the highest id of its entity that was known before it could leave
    refusal: str | None = None  # the target's text, while a read decides whether it can be believed
    is_earlier: bool = False  # sent by an earlier run, whose API user may have been another
    is_sure: bool = False  # nothing of it can still land: only how far it came is not known
    ask_at: float = 0.0  # monotonic time of the next look
    absent_at: float = 0.0  # monotonic time from which absence is final
    looks: int = 0  # that ended with "later"

    @property
    def n(self) -> int:
        return self.change.n


def listed(ids: list[int]) -> str:
    """`12, 13 and 4 more`."""
    shown = ", ".join(str(i) for i in ids[:5])
    return f"{shown} and {len(ids) - 5} more" if len(ids) > 5 else shown
