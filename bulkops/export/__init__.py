"""Records to a file that a job can read back: ids and labels, each of which comes back as what it was."""

from bulkops.export.export import Exported, Wanted, export

__all__ = ["Exported", "Wanted", "export"]
