"""What sharing a tenant with other processes costs a process that is alone: calls a second, with the ledger
and without.

    uv run python benchmarks/ledger.py [--calls 3000] [--rounds 5]

Both send the same creates through the same door to the same simulator (without limits, in a process of its
own), turn by turn. Prints one JSON document; a ratio of 1 means that the ledger costs nothing:

    ratio          calls a second with the ledger ÷ without it (median of the rounds)
    cpu_us_a_call  processor time of the client process, with and without
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bulkops.record import Scalar
from bulkops.secret import Secret
from bulkops.targets.autotask.session import connect
from bulkops.tenant import Budget, Tenant

CONCURRENCY = 3


@contextmanager
def simulator() -> Iterator[str]:
    """A simulator without limits in its own process; yields its URL."""
    options = ["--no-tiers", "--threshold", "100000000", "--threads", "1000", "--release-ms", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bulkops.simulator", *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait()


async def send(url: str, calls: int, *, alone: bool) -> tuple[float, float]:
    """Wall and processor seconds of `calls` creates."""
    budget = Budget(share=1.0, per_entity=CONCURRENCY, release_ms=0, alone=alone)
    tenant = Tenant(
        name="bench",
        url=url,
        username="bench",
        secret=Secret("s"),
        integration_code=Secret("c"),
        budget=budget,
    )
    values: dict[str, Scalar] = {"companyName": "New", "companyType": 1, "phone": "1", "ownerResourceID": 4}
    async with connect(tenant) as target:
        pending = iter(range(calls))

        async def work() -> None:
            for _ in pending:
                await target.create("Companies", values)

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in range(2 * CONCURRENCY)))
        return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    import uvloop

    ratios, shared, alone = [], [], []
    with simulator() as url, tempfile.TemporaryDirectory() as folder:
        os.environ["BULKOPS_STATE_DIR"] = folder
        uvloop.run(send(url, 300, alone=False))
        for _ in range(given.rounds):
            with_wall, with_cpu = uvloop.run(send(url, given.calls, alone=False))
            wall, cpu = uvloop.run(send(url, given.calls, alone=True))
            ratios.append(wall / with_wall)
            shared.append(with_cpu)
            alone.append(cpu)
    each = 1e6 / given.calls
    found = {
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "cpu_us_a_call": {
            "ledger": round(statistics.median(shared) * each, 1),
            "alone": round(statistics.median(alone) * each, 1),
        },
        "ratio_of_cpu": round(statistics.median(alone) / statistics.median(shared), 3),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
