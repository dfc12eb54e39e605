"""What Autotask would refuse, and what it does besides what a row says: told in the plan.

Written from the facts alone. The simulator has rules of its own, written apart from these; a test compares
what both say of random changes.
"""

from bulkops.targets.autotask.rules.case import Case
from bulkops.targets.autotask.rules.finding import Finding, Kind
from bulkops.targets.autotask.rules.judge import RULES, judge, own_fields
from bulkops.targets.autotask.rules.related import COUNTED, ENTITIES, READS, Planned, Related, Wanted

__all__ = [
    "COUNTED",
    "ENTITIES",
    "READS",
    "RULES",
    "Case",
    "Finding",
    "Kind",
    "Planned",
    "Related",
    "Wanted",
    "judge",
    "own_fields",
]
