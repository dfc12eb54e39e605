"""Settles writes in doubt by reading the target: when (`doubts`) and how (`look`, `fingerprint`).

What a run knows of an entity, and whether the assumptions still hold, is in `knowledge`; what a look says is
a `verdict`.
"""

from bulkops.settle.doubts import Doubts
from bulkops.settle.knowledge import Knowledge
from bulkops.settle.look import Looker
from bulkops.settle.verdict import Doubt, Seen, Verdict

__all__ = ["Doubt", "Doubts", "Knowledge", "Looker", "Seen", "Verdict"]
