"""`bulkops doctor` on the command line: exit codes, text, JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk


def test_a_healthy_tenant_is_exit_0(desk: Desk) -> None:
    """Each check in a line of its own, the machine first; nothing on standard error."""
    ran = desk.run("doctor", "--tenant", "acme")
    assert ran.err == ""
    lines = ran.out.splitlines()
    assert lines[0] == "this machine" and "tenant acme" in lines
    assert any(line.startswith("  ok       zone: ") for line in lines)
    assert "problem" not in ran.out
    assert {path.name for path in desk.folder.iterdir()} == {"bulkops.toml"}, (
        "the doctor left something behind"
    )


def test_json_is_one_object(desk: Desk) -> None:
    """Programs get the verdict and each finding, and nothing else on standard output."""
    said = desk.run("doctor", "--json").json
    assert said["verdict"] in ("ok", "warning")
    assert {"tenant", "check", "verdict", "message", "hint", "facts"} == set(said["findings"][0])
    assert {"zone", "credentials", "usage", "clock", "access"} <= {item["check"] for item in said["findings"]}


def test_what_would_stop_a_run_is_exit_1(desk: Desk) -> None:
    """A missing secret is told with what to do."""
    desk.tenant(secret="env:NO_SUCH_SECRET")
    ran = desk.run("doctor", code=1)
    assert "NO_SUCH_SECRET" in ran.out and "1 problem would stop a run" in ran.out


def test_a_missing_or_wrong_tenants_file_is_exit_1(desk: Desk) -> None:
    """What is wrong is among the findings, with its line; nothing is a traceback."""
    desk.write("wrong.toml", "[tenants.acme]\nusername = 1\n")
    ran = desk.run("doctor", "--config", "wrong.toml", code=1)
    assert "wrong.toml:" in ran.out and ran.err == ""


def test_warnings_stop_nothing(desk: Desk) -> None:
    """Hidden records and a window that others fill: exit 0, and both are named with what to do."""
    desk.simulator.call("switches", {"restricted": "Contacts"})
    desk.simulator.call("usage", {"requests": 6000})
    ran = desk.run("doctor")
    assert "  warning  access: this API user sees some records only of Contacts" in ran.out
    assert "  warning  usage: 6,0" in ran.out and "Nothing would stop a run" in ran.out
