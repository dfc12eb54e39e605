"""The commands as a new user meets them: help, configuration, JSON, exit codes, questions."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk, Start

COMMANDS = (
    "demo", "init", "doctor", "describe", "export", "validate", "plan", "show", "apply", "run", "status",
    "results", "resolve", "undo", "simulate",
)  # fmt: skip
README = Path(__file__).resolve().parents[2] / "README.md"
COUNTS = {"applied", "unchanged", "rejected", "held", "pending"}
ACTIONS = {"create", "update", "delete", "unchanged", "rejected"}


# --- help ---


def test_help_names_every_command(desk: Desk) -> None:
    """Who types `bulkops --help` sees all there is, each in a line, in the order in which it is used."""
    lines = desk.run("--help").out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert not [line for line in lines if line.endswith("...")], "a line is cut off"


def test_the_readme_names_every_command() -> None:
    """Its table has the commands of `--help`, in the same order."""
    table = README.read_text("utf-8").partition("### Commands")[2].partition("\n\nExit codes")[0]
    assert re.findall(r"^\| `bulkops (\w+)", table, re.MULTILINE) == list(COMMANDS)


def test_each_command_has_help(desk: Desk) -> None:
    """`bulkops COMMAND --help` explains it and exits with 0."""
    script = "import sys; from bulkops.cli import main; print([main([c, '--help']) for c in sys.argv[1:]])"
    done = subprocess.run(
        [sys.executable, "-c", script, *COMMANDS], cwd=desk.folder, capture_output=True, text=True, check=True
    )
    for command in COMMANDS:
        assert f"sage: bulkops {command} [" in done.stdout
    assert done.stdout.endswith(f"{[0] * len(COMMANDS)}\n")


def test_help_is_there_at_once(desk: Desk) -> None:
    """It takes less than half a second of processor time and loads none of the heavy libraries."""
    script = (
        "import sys, time; import bulkops.cli; bulkops.cli.main(['--help']);"
        "heavy = {'pandas', 'numpy', 'aiohttp', 'jinja2', 'pydantic', 'ruamel.yaml', 'openpyxl'};"
        "sys.stderr.write(f'{sorted(heavy & set(sys.modules))} {time.process_time()}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=desk.folder, capture_output=True, text=True, check=True
    )
    loaded, _, seconds = done.stderr.rpartition(" ")
    assert loaded == "[]"
    assert float(seconds) < 0.5


def test_the_version_is_told(desk: Desk) -> None:
    """`bulkops --version` says which one this is."""
    assert desk.run("--version").out.startswith("bulkops ")


@pytest.mark.parametrize(
    "words",
    [("plan",), ("plna", "x.yaml"), ("plan", "x.yaml", "--jsno"), ("apply", "x.plan", "--allow", "update")],
)
def test_a_wrong_call_is_exit_2(desk: Desk, words: tuple[str, ...]) -> None:
    """Usage errors say what is wrong in a few lines, and are told from every other failure."""
    ran = desk.run(*words, code=2)
    assert ran.out == ""
    assert 1 <= len(ran.err.splitlines()) <= 5


# --- describe ---


def test_describe_lists_every_entity_in_full(desk: Desk) -> None:
    """232 entities, their names never cut, so that they can be copied and searched for."""
    lines = desk.run("describe").out.splitlines()
    names = [line.split()[0] for line in lines if line]
    assert "ConfigurationItemBillingProductAssociations" in names
    assert len(names) >= 233
    assert "…" not in "".join(lines)


def test_describe_shows_what_a_job_must_know(desk: Desk) -> None:
    """The parent and its path, the required fields, what cannot be queried, older names."""
    said = desk.run("describe", "Tasks").out
    assert "as shipped" in said
    assert "parent: Projects" in said and "Projects/{id}/Tasks" in said
    assert "required on create: projectID, status, taskType, title" in said
    assert "cannot be queried: remainingHours" in said
    assert "AllocationCodeID" in said and "canClientPortalUserCompleteTask" in said


def test_describe_suggests_what_was_meant(desk: Desk) -> None:
    """A mistyped entity is refused with its likely name."""
    assert "Tasks" in desk.refused("describe", "Taks")


def test_describe_asks_the_tenant_for_its_picklists(desk: Desk) -> None:
    """With --tenant the labels and numbers of this very tenant are shown."""
    said = desk.run("describe", "Tasks", "--tenant", "acme").out
    assert "as the tenant says now" in said
    assert "5 Complete" in said


# --- configuration ---


def test_the_tenants_file_is_found_in_four_ways(desk: Desk) -> None:
    """--config before or after the command, BULKOPS_CONFIG, or bulkops.toml in the current folder."""
    (desk.folder / "bulkops.toml").rename(desk.folder / "other.toml")
    ask = ("describe", "Tasks", "--tenant", "nobody")
    elsewhere = {"BULKOPS_CONFIG": "elsewhere.toml"}
    assert "bulkops.toml: there is no such file" in desk.refused(*ask)
    assert "elsewhere.toml: there is no such file" in desk.refused(*ask, env=elsewhere)
    assert "other.toml: there is no tenant 'nobody'" in desk.refused(
        *ask, env={"BULKOPS_CONFIG": "other.toml"}
    )
    assert "other.toml: there is no tenant 'nobody'" in desk.refused(
        "--config", "other.toml", *ask, env=elsewhere
    )
    assert "other.toml: there is no tenant 'nobody'" in desk.refused(
        *ask, "--config", "other.toml", env=elsewhere
    )


# --- JSON ---


def test_json_is_what_the_contract_says(desk: Desk) -> None:
    """Every key and type of plan, show, apply and status; counts add up; the seal never changes."""
    desk.customers(4)
    desk.write("customers.csv", (desk.folder / "customers.csv").read_bytes() + b"K-9,,555,Rome\n")
    desk.simulator.load("Companies", {"companyNumber": "K-0002", "companyName": "Old", "phone": "1"})
    plan = desk.plan("customers.yaml", "-o", "x.plan")
    assert {key: type(value) for key, value in plan.items()} == {
        "plan": str, "sha256": str, "job": str, "tenant": str, "rows": int, "counts": dict,
        "sources": list, "calls": dict, "estimate_s": dict, "warnings": list, "undo": dict,
    }  # fmt: skip
    assert plan["undo"] == {"lasting": [], "altered": ["3 created Companies, which are set inactive"]}
    assert (plan["plan"], plan["job"], plan["tenant"], plan["rows"]) == ("x.plan", "customers", "acme", 5)
    assert plan["counts"] == {"create": 3, "update": 1, "delete": 0, "unchanged": 0, "rejected": 1}
    assert plan["sources"] == [{"step": "customers", "read": 5, "dropped": 0, "rows": 5}]
    assert plan["calls"]["write"] == 4 and plan["calls"]["read"] > 0
    assert {"0.75", "1.0"} <= set(plan["estimate_s"])
    assert all(type(seconds) is float for seconds in plan["estimate_s"].values())

    rows = desk.run("show", "x.plan", "--json").rows
    assert [list(row) for row in rows] == [
        ["change", "row", "step", "entity", "action", "id", "key", "fields", "waits_for", "reason"]
    ] * 5
    assert [row["change"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[1]["row"] == {"file": "customers.csv", "line": 3}
    assert rows[1]["key"] == {"companyNumber": "K-0002"}
    assert rows[1]["fields"]["companyName"] == {"before": "Old", "after": "Customer 2"}
    assert isinstance(rows[1]["id"], int) and rows[0]["id"] is None
    assert rows[4]["action"] == "rejected" and "Name" in rows[4]["reason"]

    _check_status(desk.run("status", "x.plan", "--json").json, "planned", pending=4, rejected=1)
    applied = desk.apply("x.plan", code=4)
    _check_status(applied, "finished", applied=4, rejected=1)
    assert applied["calls"]["write"] == 4
    assert applied == desk.run("status", "x.plan", "--json").json
    assert rows == desk.run("show", "x.plan", "--json").rows
    assert plan["sha256"] == _seal(desk.folder / "x.plan")


def _check_status(status: dict[str, Any], state: str, **counts: int) -> None:
    assert {key: type(value) for key, value in status.items()} == {
        "plan": str, "state": str, "rows": int, "counts": dict, "calls": dict, "elapsed_s": float,
        "waiting": type(status["waiting"]), "steps": list,
    }  # fmt: skip
    assert status["state"] == state
    assert status["counts"] == {**dict.fromkeys(COUNTS, 0), **counts}
    assert sum(status["counts"].values()) == status["rows"] == 5
    assert status["steps"] == [{"step": "customers", "entity": "Companies", "counts": status["counts"]}]
    assert set(status["calls"]) == {"read", "write"}
    assert status["waiting"] is None


def _seal(plan: Path) -> str:
    from bulkops.plan import Plan

    return Plan.open(plan).sha256


# --- exit codes and questions ---


def test_a_plan_with_changes_is_exit_3_when_asked_for(desk: Desk) -> None:
    """`--detailed-exitcode` tells a plan that would change something from one that would not."""
    desk.customers(2)
    desk.run("plan", "customers.yaml", "--detailed-exitcode", code=3)
    desk.apply("customers.plan")
    desk.run("plan", "customers.yaml", "-o", "again.plan", "--detailed-exitcode", code=0)


def test_off_a_terminal_nothing_is_written_without_yes(desk: Desk) -> None:
    """`apply` and `run` end with 2 before anything is sent, and the plan stays as it was."""
    desk.customers(2)
    desk.plan("customers.yaml")
    before = (desk.folder / "customers.plan").read_bytes()
    assert "--yes" in desk.refused("apply", "customers.plan", code=2)
    assert "--yes" in desk.run("run", "customers.yaml", code=2).err
    assert desk.simulator.writes() == 0
    assert (desk.folder / "customers.plan").read_bytes() == before


def test_run_plans_and_applies(desk: Desk) -> None:
    """`run --yes` does both; again it finds nothing to do."""
    desk.customers(3)
    first = desk.run("run", "customers.yaml", "--yes")
    assert "3 to create" in first.out and "3 applied" in first.out
    assert "companyType      1 (Customer)" in first.out
    assert len(desk.simulator.numbered()) == 3
    assert "0 to create" in desk.run("run", "customers.yaml", "--yes").out


def test_a_finished_plan_needs_nobody(desk: Desk) -> None:
    """Applying it again asks nothing, sends nothing and says so, even when the tenant is gone."""
    desk.customers(1)
    desk.plan("customers.yaml")
    desk.apply("customers.plan")
    desk.tenant(url="http://127.0.0.1:9/ATServicesRest")
    again = desk.run("apply", "customers.plan", "--json").json
    assert again["state"] == "finished" and again["calls"]["write"] == 1


def test_a_bug_is_exit_70_and_says_that_nothing_is_lost(desk: Desk, tmp_path: Path) -> None:
    """What nobody foresaw (here: a library that cannot be loaded) is told from what a user did wrong."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "charset_normalizer.py").write_text("raise ZeroDivisionError\n")
    (broken / "jinja2.py").write_text("raise ZeroDivisionError\n")
    desk.customers(1)
    ran = desk.run("plan", "customers.yaml", code=70, env={"PYTHONPATH": str(broken)})
    assert "bug in bulkops" in ran.err and "ZeroDivisionError" in ran.err
    assert ran.out == ""


def test_a_reader_that_has_seen_enough_is_no_error(desk: Desk) -> None:
    """`bulkops show PLAN | head -1` ends quietly."""
    desk.customers(300)
    desk.plan("customers.yaml")
    showing = desk.start("show", "customers.plan", "--json")
    assert showing.stdout is not None and showing.stderr is not None
    showing.stdout.readline()
    showing.stdout.close()
    said = showing.stderr.read()
    showing.stderr.close()
    assert showing.wait(timeout=20) in (0, 141)
    assert said == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written_is_no_success(desk: Desk) -> None:
    """A full disk behind `>` is said in a sentence, and the exit code is not 0."""
    desk.plan(desk.customers(1))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            desk.command("show", "customers.plan", "--json"), cwd=desk.folder, env=desk.env(), stdout=full,
            stderr=subprocess.PIPE, encoding="utf-8", check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "standard output" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that a parent can send to one process")
@pytest.mark.parametrize("is_background", [False, True])
def test_planning_can_be_ended_at_any_time(own_desk: Callable[..., Desk], is_background: bool) -> None:
    """SIGTERM, also where a shell has told the process to ignore Ctrl-C: exit 1, and no half plan is left."""
    desk = own_desk("--latency-ms", "20000")

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN if is_background else signal.SIG_DFL)

    planning = desk.start("plan", desk.customers(3), preexec_fn=ignore)
    desk.simulator.until(lambda stats: stats["requests"] >= 1)
    planning.terminate()
    said = "".join(planning.communicate(timeout=20))
    assert planning.returncode == 1
    assert "nothing was written" in said and "Traceback" not in said
    assert not [path.name for path in desk.folder.iterdir() if "plan" in path.name]


# --- terminals ---

pty = pytest.importorskip("pty", reason="this system has no pseudo terminals")


def on_terminal(
    desk: Desk, *words: str, answer: str = "", env: dict[str, str] | None = None
) -> tuple[int, str]:
    """Runs a command on a terminal 100 columns wide; returns its exit code and what the terminal showed."""
    import fcntl
    import struct
    import termios

    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    shown = {**desk.env(env), "TERM": "xterm-256color"}
    for name in ("NO_COLOR", "CI", "FORCE_COLOR"):
        if env is None or name not in env:
            shown.pop(name, None)
    process = subprocess.Popen(
        desk.command(*words), cwd=desk.folder, env=shown, stdin=side, stdout=side, stderr=side
    )
    os.close(side)
    said = b""
    try:
        while part := os.read(main, 4096):
            said += part
            if answer and b"[y/N]" in said:
                os.write(main, answer.encode())
                answer = ""
    except OSError:  # Linux: the other side was closed
        pass
    os.close(main)
    return process.wait(timeout=30), said.decode()


def test_on_a_terminal_apply_asks_first(desk: Desk) -> None:
    """The question names plan, counts and tenant; anything but yes writes nothing."""
    desk.customers(2)
    desk.plan("customers.yaml")
    code, said = on_terminal(desk, "apply", "customers.plan", answer="n\n")
    assert code == 1 and "create 2" in said and "acme" in said
    assert desk.simulator.writes() == 0
    code, said = on_terminal(desk, "apply", "customers.plan", answer="y\n")
    assert code == 0 and "2 applied" in said
    assert desk.simulator.writes() == 2


def test_colour_is_for_terminals_that_want_it(desk: Desk) -> None:
    """A plan is coloured on a terminal, not with NO_COLOR, and never in a pipe."""
    desk.customers(1)
    colour = "\x1b[3"
    assert colour not in desk.run("plan", "customers.yaml").out
    assert colour in on_terminal(desk, "show", "customers.plan")[1]
    assert colour not in on_terminal(desk, "show", "customers.plan", env={"NO_COLOR": "1"})[1]


def test_simulate_ends_well(simulate: Start) -> None:
    """It says in one JSON line where it listens, answers there, and a signal ends it with 0."""
    simulator = simulate()
    assert simulator.url.startswith("http://127.0.0.1:")
    simulator.process.terminate()
    assert simulator.process.wait(timeout=20) == 0
