"""Exit codes, as the contract has them."""

from __future__ import annotations

DONE = 0
REFUSED = 1  # before the first write
USAGE = 2
CHANGES = 3  # plan --detailed-exitcode
WITH_ERRORS = 4  # finished, some rows rejected or held
LIMIT = 5
STOPPED = 6  # after writes began
BUG = 70
