"""Which columns of its source a step uses: told from the job alone, before the source is opened. Pure."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from bulkops.job.model import Step
from bulkops.mapping.templates import Template


def named_columns(step: Step) -> list[str] | None:
    """The columns that the step names, those in templates too; None where a template may name any."""
    names = list(step.named())
    for spec in (*step.specs().values(), *([step.impersonate] if step.impersonate else [])):
        if spec.template is None:
            continue
        try:
            used = Template(spec.template).names
        except ValueError:  # told where the template is compiled
            continue
        if used is None:
            return None
        names += sorted(used)
    return list(dict.fromkeys(names))


def unread_columns(step: Step) -> Container[str]:
    """The columns that are ignored and that nothing uses: what they hold is nobody's matter."""
    used = named_columns(step)
    if used is None:
        return frozenset()
    return _AllBut(frozenset(used)) if step.ignores_rest else frozenset(step.ignore) - set(used)


def left_out(step: Step, columns: Sequence[str]) -> int:
    """How many columns are ignored without being named."""
    used = named_columns(step)
    if used is None or not step.ignores_rest:
        return 0
    return len({*columns}.difference(used, step.ignore))


@dataclass(frozen=True, slots=True)
class _AllBut:
    names: frozenset[str]

    def __contains__(self, name: object) -> bool:
        return name not in self.names
