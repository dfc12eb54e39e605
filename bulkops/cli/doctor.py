"""`bulkops doctor`: everything that would stop a run or hide rows, and what to do about it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bulkops.cli import exits
from bulkops.cli.app import ConfigOption, JsonOption, app, config_of, out, run_async


@app.command()
def doctor(
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Look at this tenant; default: at all of them.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> int:
    """Say what would stop a run or hide rows. Only reads."""
    from bulkops import doctor as clinic

    findings = run_async(partial(clinic.examine, config_of(config), tenant, folder=Path.cwd()))
    if as_json:
        out.json(clinic.as_json(findings))
    else:
        for line, style in clinic.as_lines(findings):
            out.print(line, style=style, markup=False)
    return exits.REFUSED if clinic.worst(findings) is clinic.Verdict.PROBLEM else exits.DONE
