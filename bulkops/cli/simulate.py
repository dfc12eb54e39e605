"""`bulkops simulate`: the simulator; its own program parses the rest."""

from __future__ import annotations

import typer

from bulkops.cli.app import app


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def simulate(context: typer.Context) -> int:
    """Start a simulated Autotask on this machine."""
    from bulkops.simulator.__main__ import main

    return main(context.args)
