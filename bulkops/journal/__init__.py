"""What was tried and what happened (`journal`), made durable (`scribe`), begun by whom (`register`)."""

from bulkops.journal.journal import Entry, Journal, Kind

__all__ = ["Entry", "Journal", "Kind"]
