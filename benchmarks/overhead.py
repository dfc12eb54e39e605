"""What planning, journalling and exactly-once cost: `apply` against a bare aiohttp loop, and memory.

    uv run python benchmarks/overhead.py [--rows 10000] [--memory-rows 200000] [--rounds 3]

Both sides send the same creates with the same concurrency to the same simulator (without limits, in a
process of its own), in one run, turn by turn. Prints one JSON document:

    ratio          calls a second of apply ÷ calls a second of the bare loop (median of the rounds)
    cpu_us_a_row   processor time of the client process, bare and apply
    peak_mb        peak memory of `plan` and `apply` at --rows and at --memory-rows
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
from pathlib import Path
from typing import Any

CONCURRENCY = 3
HEADERS = {"UserName": "bench", "Secret": "bench", "ApiIntegrationCode": "bench"}
JOB = """\
version: 1
name: bench
tenant: bench
steps:
  - name: companies
    entity: Companies
    action: create
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Number
      companyName: Name
      companyType: {value: 1}
      phone: Phone
      ownerResourceID: Owner
      address1: Street
      city: City
"""


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


def owner_of(url: str) -> int:
    """An active resource of the simulated firm."""
    import urllib.request

    control = url.replace("/ATServicesRest", "/_simulator")
    with urllib.request.urlopen(f"{control}/rows/Resources") as answer:
        rows = json.load(answer)["items"]
    return next(int(row["id"]) for row in rows if row["isActive"] and row["licenseType"] == 1)


def write_input(folder: Path, url: str, rows: int, tag: str) -> None:
    """A job, its data and its tenant."""
    owner = owner_of(url)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.yaml").write_text(JOB)
    (folder / "bulkops.toml").write_text(
        f'[tenants.bench]\nurl = "{url}"\nusername = "bench"\nsecret = "bench"\nintegration_code = "bench"\n'
        f"[tenants.bench.budget]\nshare = 1.0\nper_entity = {CONCURRENCY}\nrelease_ms = 0\n"
    )
    with (folder / "companies.csv").open("w") as out:
        out.write("Number,Name,Phone,Owner,Street,City\n")
        for i in range(rows):
            out.write(f"{tag}-{i:07d},Company {tag} {i},030-{i:07d},{owner},{i} Mill Lane,Leeds\n")


def bulkops(folder: Path, *arguments: str) -> dict[str, float]:
    """Runs one command in `folder`; wall seconds, processor seconds, peak megabytes of the process."""
    before = os.times()
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "bulkops", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        env={**os.environ, "BULKOPS_STATE_DIR": str(folder / "state")},
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode:
        raise SystemExit(f"bulkops {' '.join(arguments)} ended with {process.returncode}: {output.decode()}")
    _ = before
    answer: dict[str, Any] = json.loads(output)
    return {
        "wall_s": float(answer.get("elapsed_s", time.perf_counter() - started)),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
    }


async def bare_loop(url: str, bodies: list[bytes]) -> float:
    """Seconds to send all bodies with `CONCURRENCY` workers and nothing else."""
    import aiohttp

    pending = iter(bodies)
    target = f"{url}/V1.0/Companies"

    async def work(session: aiohttp.ClientSession) -> None:
        for body in pending:
            async with session.post(target, data=body) as answer:
                assert answer.status == 200
                json.loads(await answer.read())["itemId"]

    headers = {**HEADERS, "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        started = time.perf_counter()
        await asyncio.gather(*(work(session) for _ in range(CONCURRENCY)))
        return time.perf_counter() - started


def bare(url: str, rows: int, tag: str) -> dict[str, float]:
    """The bare loop in this process, on the loop that bulkops uses."""
    import uvloop

    owner = owner_of(url)
    bodies = [
        json.dumps(
            {
                "companyNumber": f"{tag}-{i:07d}",
                "companyName": f"Company {tag} {i}",
                "companyType": 1,
                "phone": f"030-{i:07d}",
                "ownerResourceID": owner,
                "address1": f"{i} Mill Lane",
                "city": "Leeds",
            }
        ).encode()
        for i in range(rows)
    ]
    cpu = time.process_time()
    wall_s = uvloop.run(bare_loop(url, bodies))
    return {"wall_s": wall_s, "cpu_s": time.process_time() - cpu}


def throughput(folder: Path, url: str, rows: int, rounds: int) -> dict[str, Any]:
    """Bare loop and apply turn by turn, their ratio and processor time a row."""
    measured = []
    for n in range(rounds):
        plain = bare(url, rows, f"B{n}")
        home = folder / f"round{n}"
        write_input(home, url, rows, f"A{n}")
        bulkops(home, "plan", "job.yaml", "--json")
        applied = bulkops(home, "apply", "bench.plan", "--yes", "--json")
        measured.append((plain, applied))
    ratios = [plain["wall_s"] / applied["wall_s"] for plain, applied in measured]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "calls_a_second": {
            "bare": round(rows / statistics.median(plain["wall_s"] for plain, _ in measured)),
            "apply": round(rows / statistics.median(applied["wall_s"] for _, applied in measured)),
        },
        "cpu_us_a_row": {
            "bare": round(1e6 * statistics.median(plain["cpu_s"] for plain, _ in measured) / rows),
            "apply": round(1e6 * statistics.median(applied["cpu_s"] for _, applied in measured) / rows),
        },
    }


def memory(folder: Path, url: str, rows: int) -> dict[str, float]:
    """Peak memory of planning and applying `rows` rows."""
    home = folder / f"memory{rows}"
    write_input(home, url, rows, f"M{rows}")
    planned = bulkops(home, "plan", "job.yaml", "--json")
    applied = bulkops(home, "apply", "bench.plan", "--yes", "--json")
    return {"plan": round(planned["peak_mb"], 1), "apply": round(applied["peak_mb"], 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--memory-rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with simulator() as url:
            result = {"rows": options.rows, "concurrency": CONCURRENCY}
            result |= throughput(folder, url, options.rows, options.rounds)
        sizes = [size for size in (options.rows, options.memory_rows) if size]
        peaks = {}
        for size in sizes:
            with simulator() as url:
                peaks[str(size)] = memory(folder, url, size)
        result["peak_mb"] = peaks
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
