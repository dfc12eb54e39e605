"""Commands as processes that are forked from one that has everything imported.

Starting Python and importing the program takes half a second, and the tests run a thousand commands. What is
forked is the command line, from its arguments to its exit code.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Consoles see at their import whether they speak to a terminal; `pytest -s` leaves them one.
IS_POSSIBLE = "forkserver" in multiprocessing.get_all_start_methods() and not os.isatty(1)
IMPORTED = (
    "tests.acceptance.forked",
    *(f"bulkops.cli.{path.stem}" for path in Path(__file__).parents[2].glob("bulkops/cli/[a-z]*.py")),
    "bulkops.planner",
    "bulkops.applier",
    "bulkops.report",
    "bulkops.recipes",
    "bulkops.undo",
    "bulkops.validate",
    "bulkops.targets.autotask.session",
)


@functools.cache
def _server() -> multiprocessing.context.ForkServerContext:
    """What to fork from; it starts with the first command."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    return context


def run(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """`bulkops WORDS`, as `subprocess.run` would."""
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder, name) for name in ("out", "err")]
        process = _server().Process(target=command, args=(list(words), str(cwd), dict(env), *map(str, said)))
        process.start()
        process.join(timeout_s)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(words), timeout_s)
        out, err = (path.read_bytes().decode("utf-8") for path in said)
    assert process.exitcode is not None  # it was joined
    return subprocess.CompletedProcess(list(words), process.exitcode, out, err)


def command(words: Sequence[str], cwd: str, env: Mapping[str, str], out: str, err: str) -> None:
    """In the forked process: no input, its own files for what it says."""
    for number, path in enumerate((os.devnull, out, err)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["bulkops", *words]
    from bulkops.cli import entry

    entry()
