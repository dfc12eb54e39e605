"""The simulator as a process: what it prints, how it ends, what survives."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HEADERS = {"ApiIntegrationCode": "CODE", "UserName": "api@firm.test", "Secret": "s3cret"}
COMMAND = [sys.executable, "-m", "bulkops.simulator"]


@contextlib.contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A process that listens, and the line it printed."""
    command = [*COMMAND, "--empty", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()
            process.communicate()


def call(url: str, method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=HEADERS)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())


def create(url: str, name: str) -> int:
    return int(call(f"{url}/V1.0/ContactGroups", "POST", {"name": name, "isActive": True})["itemId"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_line_then_requests_then_a_clean_end(number: signal.Signals) -> None:
    """Promises one JSON line with both addresses, answers, exit code 0 and nothing more."""
    with started() as (process, line):
        assert set(line) == {"url", "control"}
        assert line["url"].startswith("http://127.0.0.1:")
        assert line["url"].endswith("/ATServicesRest")
        assert line["control"] == line["url"].replace("/ATServicesRest", "/_simulator")
        assert call(f"{line['url']}/V1.0/Companies/0")["item"]["id"] == 0
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)
        assert (process.returncode, output, errors) == (0, "", "")


def test_a_kill_loses_nothing_of_the_state(tmp_path: Path) -> None:
    """Promises that what was answered before a kill -9 is there after a restart, under the same ci."""
    state = str(tmp_path / "state")
    with started("--state", state, "--threads", "0") as (process, line):
        made = [create(line["url"], f"G{n}") for n in range(20)]
        zone = call(f"{line['url']}/V1.0/zoneInformation?user=x")
        process.kill()
        process.wait(10)
    with started("--state", state) as (_, line):
        rows = call(f"{line['control']}/rows/ContactGroups")["items"]
        assert [(row["id"], row["name"]) for row in rows] == [(n, f"G{i}") for i, n in enumerate(made)]
        assert call(f"{line['url']}/V1.0/zoneInformation?user=x")["ci"] == zone["ci"]
        assert create(line["url"], "Next") == made[-1] + 1


def test_a_kill_loses_no_picklist_value_that_a_department_brought(tmp_path: Path) -> None:
    """Promises that a department made before a kill -9 can be chosen after it."""
    state, fields = str(tmp_path / "state"), "/V1.0/Tasks/entityInformation/fields"
    with started("--state", state) as (process, line):
        place = {"items": [{"id": 1, "name": "Here"}]}
        call(f"{line['control']}/rows/InternalLocationWithBusinessHours", "POST", place)
        call(f"{line['url']}/V1.0/Departments", "POST", {"name": "Bridge", "primaryLocationID": 1})
        process.kill()
        process.wait(10)
    with started("--state", state) as (_, line):
        found = {field["name"]: field for field in call(line["url"] + fields)["fields"]}
        assert [value["label"] for value in found["departmentID"]["picklistValues"]] == ["Bridge"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_clean_end_leaves_a_whole_state(tmp_path: Path) -> None:
    """Promises a compact file, written to its place at one stroke."""
    state = tmp_path / "state"
    with started("--state", str(state)) as (process, line):
        made = create(line["url"], "Kept")
        process.terminate()
        process.communicate(timeout=10)
    assert os.listdir(tmp_path) == ["state"]  # noqa: PTH208
    with started("--state", str(state)) as (_, line):
        assert [row["id"] for row in call(f"{line['control']}/rows/ContactGroups")["items"]] == [made]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--port", "many"], 2, "--port"),
        (["--colour"], 2, "--colour"),
        (["--switch", "missing_get=maybe"], 2, "200 or 404"),
        (["--load", "absent.json"], 1, "absent.json: cannot be read"),
        (["--load", "wrong.json"], 1, "wrong.json:2:1: no JSON"),
        (
            ["--load", "rows.json"],
            1,
            "rows.json: rows.Tasks[0]: Tasks have no field 'titel', did you mean title?",
        ),
        (["--faults", "rows.json"], 1, "rows.json: a fault script is"),
        (["--state", "wrong.json"], 1, "wrong.json:1: "),
        (["--host", "203.0.113.1"], 1, "cannot listen on 203.0.113.1:0"),
    ],
)
def test_what_is_wrong_at_the_start_is_one_sentence(
    tmp_path: Path, options: list[str], code: int, words: str
) -> None:
    """Promises the exit code, one line that names file and place, and no traceback."""
    (tmp_path / "wrong.json").write_text("{\n")
    (tmp_path / "rows.json").write_text('{"rows": {"Tasks": [{"titel": "x"}]}}')
    project = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(
        [*COMMAND, *options],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
