"""`bulkops demo`: the whole way through against a simulated tenant; needs nothing, ends by itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bulkops.cli import exits
from bulkops.cli.app import app, out, run_async
from bulkops.cli.apply import run_plan, tell, tenant_of
from bulkops.cli.plan import make_plan
from bulkops.errors import RefusedError

EXAMPLE = "legacy-clients"


@app.command()
def demo(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Where the files go; default: a new temporary folder."),
    ] = None,
) -> int:
    """Run an example migration against a simulated tenant."""
    from bulkops.plan import Plan
    from bulkops.render import print_plan
    from bulkops.report.results import write_results
    from bulkops.report.summary import files_text

    home = _prepare(folder)
    with _simulator() as url:
        config = _write_config(home, url)
        job = home / "job.yaml"
        first, second = home / f"{EXAMPLE}.plan", home / "again.plan"

        _headline("1. Plan: read the tenant, show what would change")
        plan = run_async(partial(make_plan, job, first, {}, config))
        print_plan(plan, out, most=8)

        _headline("2. Apply: exactly that, each row once")
        now = run_async(partial(run_plan, plan, tenant_of(plan, config, None)))
        tell(plan, now, as_json=False)

        _headline("3. Plan again: nothing is left to change")
        again = run_async(partial(make_plan, job, second, {}, config))
        counts = again.header.counts
        out.print(
            f"{counts['create'] + counts['update'] + counts['delete']} changes, "
            f"{counts['unchanged']} unchanged, {counts['rejected']} rejected as before"
        )

    _headline("4. The files")
    written = write_results(Plan.open(first), home / "results")
    out.print(f"{home}: the job, its data, the plan with its journal", markup=False)
    out.print(files_text(written), markup=False)
    is_well = now.state == "finished" and not now.counts["held"]
    return exits.DONE if is_well and not (counts["create"] + counts["update"]) else exits.WITH_ERRORS


def _headline(text: str) -> None:
    out.print()
    out.print(text, style="bold")


def _prepare(folder: Path | None) -> Path:
    """A folder with the example job and its data."""
    try:
        home = folder or Path(tempfile.mkdtemp(prefix="bulkops-demo-"))
        if home.is_dir() and any(home.iterdir()):
            raise RefusedError(f"{home} is not empty: name another folder, it will be made")
        shutil.copytree(examples() / EXAMPLE, home, dirs_exist_ok=True)
    except OSError as error:
        raise RefusedError(
            f"{error.filename} cannot be used: {error.strerror}. Name another folder"
        ) from error
    return home


def examples() -> Path:
    """The example jobs: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "examples"
    return installed if installed.is_dir() else package.parent / "jobs"


def _write_config(home: Path, url: str) -> Path:
    path = home / "bulkops.toml"
    path.write_text(
        "# The demo's tenant: a simulator that has ended by now. Start one with `bulkops simulate`.\n"
        f'[tenants.demo]\nurl = "{url}"\nusername = "api@demo.test"\n'
        'secret = "simulated"\nintegration_code = "simulated"\n',
        "utf-8",
    )
    return path


@contextmanager
def _simulator() -> Iterator[str]:
    """A simulator in a process of its own on a free loopback port; yields its URL."""
    process = subprocess.Popen([sys.executable, "-m", "bulkops.simulator"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RefusedError("the simulator did not start: try `bulkops simulate` to see why")
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()
