"""Handing over at scale: reads, memory and what is printed, measured by the benchmark."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "reassign.py"


@pytest.mark.slow
@pytest.mark.parametrize("divide", ["round_robin", "least_loaded"])
def test_fifty_thousand_tasks_are_planned_in_few_reads_and_little_memory(divide: str) -> None:
    """At most one read per 400 tasks, under 300 MB, and a plan that a person can read."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--tasks", "50000", "--divide", divide],
        check=True,
        capture_output=True,
        timeout=900,
    )
    told = json.loads(done.stdout)
    assert told["tasks"] >= 50_000
    assert told["tasks_a_read"] >= 400
    assert told["peak_mb"] is None or told["peak_mb"] < 300
    assert told["lines"] < 60
