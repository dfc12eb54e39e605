"""`bulkops results PLAN --dir DIR`: the five result files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bulkops.cli.app import app, out
from bulkops.cli.files import PlanArgument, open_plan


class Format(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"


@app.command()
def results(
    plan_path: PlanArgument,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where the files go.")],
    file_format: Annotated[
        Format, typer.Option("--format", help="csv, or one workbook a step.")
    ] = Format.CSV,
) -> None:
    """Write where each row ended to files that a job can read back."""
    from bulkops.kept import kept_text
    from bulkops.report.results import write_results
    from bulkops.report.summary import counts_text, feed_back_text, files_text, print_steps

    plan = open_plan(plan_path)
    written = write_results(plan, folder, as_workbook=file_format is Format.XLSX)
    out.print(counts_text(plan.progress()))
    print_steps(plan, out)
    out.print(files_text(written), markup=False)
    if told := kept_text(plan):
        out.print(told, markup=False)
    if told := feed_back_text(plan, written):
        out.print(told, markup=False)
