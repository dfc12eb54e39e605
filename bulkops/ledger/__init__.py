"""The ledger: one tenant, shared by all bulkops processes of this machine and user.

The law, and why:

1. **One bucket, one set of slots.** Each process keeps its own configuration, but takes its tokens from the
   same `bucket` and its slots from the same lanes. So what `bucket` promises for one process holds for all
   of them: no rolling window of the server holds more of our calls than the grant.
2. **Tokens are leased in blocks, slots until somebody else wants them**, so a call costs the ledger nothing.
   A block is at most 1/64 of the grant; what is not used goes back within a second, at once if others wait.
   A slot goes back when its lane is idle, or after a turn (0.3 s) to a process that has fewer of them.
3. **First come, first served**, by tickets: whoever is refused gets one, and nobody who comes later is served
   before it. Who needs slots of two entities takes both or none.
4. **The operating system says who is alive**: each process holds a lock on a file of its own, which a kill
   frees. Neither a heartbeat nor a process number can tell a paused process from a dead one. What a process
   holds is its own for a *term* only (20 s, renewed while it runs; the last 10 s, as long as a connection may
   take, are not used), which says nothing about its life but bounds when it let its last call go.
5. **Tokens of a dead process** were sent, for all we know, at the end of its term or when its death was seen,
   whichever came first. They may land `settle_s` later and are free a window after that, or as soon as a
   count of the server was made that must have them in it. What it had reported comes back as ever.
6. **Slots of a dead process** are free `GONE_S` (30 s) after that moment, at most `settle_s`: the server may
   still be at work on a call whose client is gone. Public clients give an answer up after 30 s
   (REST-FACTS 4.4). To wait out the server's own limit (300 s) would stop every run for five minutes after
   a kill, and what it would save is one refusal before commit, which is sent again.
7. **Time** is the monotonic clock, which all processes of a machine share and which no change of the wall
   clock moves. It starts again with the machine, so the ledger knows which boot it was written in: after
   another boot only the calls that were under way count, and the server's own count stands for the rest.
8. **Nothing here survives a power cut for sure**, and need not: see 7. A ledger that is damaged is replaced
   by an empty one when nobody else uses it: then, too, the server's own count stands for what was used. A
   ledger that cannot be kept refuses the run: the grant could not be promised. The tenant's budget can say
   `alone = true`, where nothing else of this machine uses the tenant.
"""

from bulkops.ledger.account import Terms
from bulkops.ledger.seat import Seat

__all__ = ["Seat", "Terms"]
