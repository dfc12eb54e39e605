"""Applies a plan: `apply` is one run, `feed` its order, `sender` its writes, `lane` one entity's work."""

from bulkops.applier.apply import apply_plan

__all__ = ["apply_plan"]
