"""What the doctor found: one value a check, and how findings are shown to people and programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any

from bulkops.wording import counted


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"  # a run goes, but is slow, or sees less than there is
    PROBLEM = "problem"  # a run would be stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check says. `hint`: what to do; `facts`: the same for programs; no `tenant`: the machine."""

    check: str
    verdict: Verdict
    message: str
    hint: str = ""
    tenant: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def ok(check: str, message: str, **facts: Any) -> Finding:
    return Finding(check=check, verdict=Verdict.OK, message=message, facts=facts)


def warning(check: str, message: str, hint: str, **facts: Any) -> Finding:
    return Finding(check=check, verdict=Verdict.WARNING, message=message, hint=hint, facts=facts)


def problem(check: str, message: str, hint: str = "", **facts: Any) -> Finding:
    return Finding(check=check, verdict=Verdict.PROBLEM, message=message, hint=hint, facts=facts)


def worst(findings: Iterable[Finding]) -> Verdict:
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.OK)


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """`doctor --json`: the worst verdict, and each finding with the keys of `Finding`."""
    return {
        "verdict": worst(findings).value,
        "findings": [
            {
                "tenant": finding.tenant,
                "check": finding.check,
                "verdict": finding.verdict.value,
                "message": finding.message,
                "hint": finding.hint,
                "facts": dict(finding.facts),
            }
            for finding in findings
        ],
    }


_STYLES = {Verdict.OK: None, Verdict.WARNING: "yellow", Verdict.PROBLEM: "red"}
_WIDTH = max(map(len, Verdict))


def as_lines(findings: Sequence[Finding]) -> Iterator[tuple[str, str | None]]:
    """Lines for a terminal with their styles: the machine, then each tenant, then what it comes to."""
    for tenant, group in groupby(findings, key=lambda finding: finding.tenant):
        yield "this machine" if tenant is None else f"tenant {tenant}", "bold"
        for finding in group:
            verdict = finding.verdict
            yield f"  {verdict:<{_WIDTH}}  {finding.check}: {finding.message}", _STYLES[verdict]
            if finding.hint:
                yield f"  {'':<{_WIDTH}}  → {finding.hint}", None
    yield _summary(findings), "bold"


def _summary(findings: Sequence[Finding]) -> str:
    problems = sum(finding.verdict is Verdict.PROBLEM for finding in findings)
    warnings = sum(finding.verdict is Verdict.WARNING for finding in findings)
    if problems:
        return f"{counted(problems, 'problem')} would stop a run; {counted(warnings, 'warning')}."
    return f"Nothing would stop a run; {counted(warnings, 'warning')}." if warnings else "All is well."
