"""Recipes: what jobs in the user's own words come to. Each expands into ordinary steps, and only reads.

An expansion knows its steps before anything is read, so the ordinary checks see them, offline too. Then it
finds whom and what the job names (`resolve`), reads the records and makes the rows (`read`); from there on
its steps are planned, limited, guarded, applied and undone like any others. `note` sees every change as it
is planned, so that the plan can tell what the whole of it comes to.
"""

from __future__ import annotations

from bulkops.job.model import Job
from bulkops.job.recipes import CloseProjects, Reassign
from bulkops.recipes.base import Describer, Expansion

__all__ = ["Expansion", "expand"]


async def expand(job: Job, describer: Describer) -> Expansion | None:
    """The steps of the job's recipe. None where it has none that can be planned."""
    if isinstance(job.recipe, Reassign):
        from bulkops.recipes.reassign import Reassignment

        return await Reassignment.of(job, job.recipe, describer)
    if isinstance(job.recipe, CloseProjects):
        from bulkops.recipes.close_projects import Closing

        return await Closing.of(job, job.recipe, describer)
    return None
