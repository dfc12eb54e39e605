"""How fast sources are read, and in how much memory: the same table as every type of file.

    uv run python benchmarks/sources.py [--rows 100000]

Each is opened and read to its end in a process of its own. Prints one JSON document, by type of file:

    rows_a_second  rows ÷ processor time of opening and reading, twelve columns each
    peak_mb        peak memory of the process
    ratio          of .xlsx: its processor time ÷ that of the bare reader, without faults and texts
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

KINDS = ("csv", "xlsx", "jsonl", "parquet")
COLUMNS = [f"Column {n}" for n in range(12)]


def table(rows: int) -> list[list[Any]]:
    start = datetime(2024, 1, 1)  # noqa: DTZ001 - cells have no zone
    return [
        [f"T-{n}", f"Summary of task {n}", "New", n, n / 4, start + timedelta(minutes=n), date(2024, 1, 1),
         "jane@acme.test", None, n % 2 == 0, "x" * 50, "Engineer"]
        for n in range(rows)
    ]  # fmt: skip


def write(folder: Path, rows: list[list[Any]]) -> None:
    import pandas as pd
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Tasks")
    for row in (COLUMNS, *rows):
        sheet.append(row)
    book.save(folder / "t.xlsx")
    pd.DataFrame(rows, columns=COLUMNS).to_parquet(folder / "t.parquet")
    with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    with (folder / "t.jsonl").open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(dict(zip(COLUMNS, row, strict=True)), default=str) + "\n" for row in rows)


def read(path: Path) -> dict[str, float]:
    """Reads one file, in this process."""
    from bulkops.job.model import FileSource
    from bulkops.sources import open_source

    bare = bare_s(path) if path.suffix == ".xlsx" else 0.0
    started = time.process_time()
    rows = sum(1 for _ in open_source(FileSource(file=path, display=path.name)).rows())
    seconds = time.process_time() - started
    found = {"rows_a_second": round(rows / seconds), "peak_mb": round(peak_mb(), 1)}
    return {**found, "ratio": round(seconds / bare, 2)} if bare else found


def bare_s(path: Path) -> float:
    """Processor time of the Excel reader alone."""
    from python_calamine import CalamineWorkbook

    started = time.process_time()
    with CalamineWorkbook.from_path(path) as book:
        for _ in book.get_sheet_by_index(0).iter_rows():
            pass
    return time.process_time() - started


def peak_mb() -> float:
    try:
        import resource
    except ImportError:  # not on Windows
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << (20 if sys.platform == "darwin" else 10)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write(options.write, table(options.rows))
        return
    if options.read:
        print(json.dumps(read(options.read)))
        return
    with tempfile.TemporaryDirectory() as folder:
        # This process stays small: a child's peak memory begins with that of its parent.
        run("--write", folder, "--rows", str(options.rows))
        found = {kind: json.loads(run("--read", str(Path(folder, f"t.{kind}")))) for kind in KINDS}
    print(json.dumps({"rows": options.rows, **found}))


def run(*arguments: str) -> bytes:
    """This script in a process of its own; what it prints."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


if __name__ == "__main__":
    main()
