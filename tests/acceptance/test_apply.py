"""Applying through everything that happens to a run: each good row ends up in the tenant exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk, Simulator, Start

    OwnDesk = Callable[..., Desk]


def arrived(simulator: Simulator, count: int) -> None:
    """The tenant holds exactly the rows of the file, none twice, every value as written."""
    found = simulator.numbered()
    assert sorted(found) == [f"K-{n:04}" for n in range(1, count + 1)]
    for n in range(1, count + 1):
        row = found[f"K-{n:04}"]
        assert (row["companyName"], row["phone"], row["city"]) == (f"Customer {n}", f"555-{n:04}", "Łódź")


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    said = process.communicate(timeout=60)
    return process.returncode, "".join(said)


# --- stopped from outside ---


def test_kills_at_any_moment_lose_nothing_and_write_nothing_twice(own_desk: OwnDesk) -> None:
    """Three kill -9 in the middle of a run; the same command finishes it."""
    desk = own_desk("--latency-ms", "4")
    desk.plan(desk.customers(300))
    for committed in (1, 90, 200):
        run = desk.start("apply", "customers.plan", "--yes")
        desk.simulator.until(lambda stats, least=committed: stats["committed"]["create"] >= least)  # type: ignore[misc]
        run.kill()
        assert ended(run)[0] == -signal.SIGKILL
        assert desk.run("status", "customers.plan", "--json").json["state"] == "stopped"
    status = desk.apply("customers.plan")
    assert status["state"] == "finished" and status["counts"]["applied"] == 300
    arrived(desk.simulator, 300)
    assert status["calls"]["write"] <= desk.simulator.stats()["by_call"]["POST Companies"] <= 330


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that a parent can send to one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_in_good_order(own_desk: OwnDesk, number: signal.Signals) -> None:
    """Ctrl-C or SIGTERM once: what is in flight finishes, nothing stays in doubt, exit 6, and on it goes."""
    desk = own_desk("--latency-ms", "20")
    desk.plan(desk.customers(120))
    run = desk.start("apply", "customers.plan", "--yes", "--json")
    desk.simulator.until(lambda stats: stats["committed"]["create"] >= 10)
    run.send_signal(number)
    code, said = ended(run)
    assert code == 6, said
    status = desk.run("status", "customers.plan", "--json").json
    written = len(desk.simulator.numbered())
    assert status["state"] == "stopped"
    assert status["counts"]["applied"] == status["calls"]["write"] == written < 120
    assert ("Ctrl-C" if number is signal.SIGINT else "SIGTERM") in status["waiting"]
    desk.apply("customers.plan")
    arrived(desk.simulator, 120)
    assert desk.simulator.stats()["by_call"]["POST Companies"] == 120


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that a parent can send to one process")
def test_a_second_signal_ends_it_at_once(own_desk: OwnDesk) -> None:
    """Who presses Ctrl-C twice does not wait for a slow answer; what was in flight is in doubt."""
    desk = own_desk()
    desk.simulator.faults(
        {"method": "POST", "entity": "Companies", "when": {"nth": [5]}, "do": "delay", "ms": 9000}
    )
    desk.plan(desk.customers(20))
    run = desk.start("apply", "customers.plan", "--yes")
    desk.simulator.until(lambda stats: stats["by_call"].get("POST Companies") == 20)
    run.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(timeout=0.5)
    run.send_signal(signal.SIGINT)
    code, said = ended(run)
    assert code == 6, said
    assert "Traceback" not in said and "bulkops apply customers.plan" in said
    assert desk.run("status", "customers.plan", "--json").json["counts"]["pending"] == 1
    desk.apply("customers.plan")
    arrived(desk.simulator, 20)


def test_a_network_that_dies_stops_the_run_and_loses_nothing(
    own_desk: OwnDesk, simulate: Start, tmp_path: Path
) -> None:
    """The server goes away in the middle and comes back: exit 6 with the reason, then all arrives."""
    state = str(tmp_path / "tenant.state")
    desk = own_desk("--latency-ms", "10", "--state", state)
    desk.plan(desk.customers(150))
    run = desk.start("apply", "customers.plan", "--yes")
    desk.simulator.until(lambda stats: stats["committed"]["create"] >= 20)
    desk.simulator.kill()
    code, said = ended(run)
    assert code == 6, said
    assert "cannot be reached" in said and "bulkops apply customers.plan" in said
    again = simulate("--release-ms", "0", "--port", str(desk.simulator.port), "--state", state)
    assert desk.apply("customers.plan")["counts"]["applied"] == 150
    arrived(again, 150)


def test_a_network_that_comes_back_soon_needs_nobody(
    own_desk: OwnDesk, simulate: Start, tmp_path: Path
) -> None:
    """A server that is away for a moment is waited for; the run finishes by itself."""
    state = str(tmp_path / "tenant.state")
    desk = own_desk("--latency-ms", "10", "--state", state)
    desk.plan(desk.customers(100))
    run = desk.start("apply", "customers.plan", "--yes")
    desk.simulator.until(lambda stats: stats["committed"]["create"] >= 20)
    desk.simulator.kill()
    again = simulate("--release-ms", "0", "--port", str(desk.simulator.port), "--state", state)
    code, said = ended(run)
    assert code == 0, said
    arrived(again, 100)


def test_only_so_many_writes_are_sent_as_asked_for(desk: Desk) -> None:
    """`--stop-after N` sends exactly N writes, `--max-calls` makes no more calls; each is exit 6."""
    desk.plan(desk.customers(20))
    stopped = desk.apply("customers.plan", "--stop-after", "7", code=6)
    assert desk.simulator.writes() == 7
    assert stopped["state"] == "stopped" and stopped["counts"]["pending"] == 13
    assert "--stop-after" in stopped["waiting"]
    before = desk.simulator.stats()["requests"]
    stopped = desk.apply("customers.plan", "--max-calls", "6", code=6)
    assert desk.simulator.stats()["requests"] - before <= 6
    assert 7 < desk.simulator.writes() <= 13
    assert "--max-calls" in stopped["waiting"]
    assert desk.apply("customers.plan", "--stop-after", "0", code=6)["counts"]["pending"] >= 7
    desk.apply("customers.plan")
    assert desk.simulator.writes() == 20
    arrived(desk.simulator, 20)


def test_not_even_the_beginning_makes_more_calls_than_allowed(desk: Desk) -> None:
    """Asking how full the window is fails and is repeated: that counts, and the run ends before a write."""
    desk.plan(desk.customers(3))
    desk.simulator.faults({"call": "metadata", "entity": "ThresholdInformation", "do": "status", "code": 500})
    before = desk.simulator.stats()["requests"]
    ran = desk.run("apply", "customers.plan", "--yes", "--max-calls", "3", code=None)
    assert "--max-calls" in ran.out + ran.err
    assert ran.code in (1, 6)
    assert desk.simulator.stats()["requests"] - before <= 3
    assert desk.simulator.writes() == 0


def test_one_plan_is_applied_by_one_process(own_desk: OwnDesk) -> None:
    """A second apply is refused while the first one lives, and `status` says that it runs."""
    desk = own_desk()
    slow = {"method": "POST", "entity": "Companies", "when": {"nth": [20]}, "do": "delay", "ms": 60_000}
    desk.simulator.faults(slow)
    desk.plan(desk.customers(60))
    run = desk.start("apply", "customers.plan", "--yes")
    desk.simulator.until(lambda stats: stats["committed"]["create"] >= 1)
    said = desk.refused("apply", "customers.plan", "--yes")
    assert "another process" in said and str(run.pid) in said
    assert desk.run("status", "customers.plan", "--json").json["state"] == "running"
    run.kill()
    ended(run)
    desk.simulator.faults()
    desk.apply("customers.plan")
    arrived(desk.simulator, 60)


# --- a server that fails ---


def fault(do: str, when: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"method": "POST", "entity": "Companies", "when": when, "do": do, **more}


def test_what_is_stored_and_answered_503_is_found_and_not_sent_again(desk: Desk) -> None:
    """Every 10th create is stored and answered 503: 100 rows, 100 records, 100 creates sent."""
    desk.simulator.faults(fault("status_after_commit", {"every": 10}, code=503))
    desk.plan(desk.customers(100))
    status = desk.apply("customers.plan")
    assert status["counts"]["applied"] == 100
    arrived(desk.simulator, 100)
    assert desk.simulator.stats()["by_call"]["POST Companies"] == 100
    assert all(row["bulkops_id"] for row in desk.results("customers.plan")["applied"])


def test_a_zoo_of_failures_leaves_each_row_once(desk: Desk) -> None:
    """Connections closed before and after the commit, commits that come late, garbage, cut and foreign
    answers, limits: afterwards every row is there once, with its id known."""
    desk.tenant(settle_s=1.0)
    desk.simulator.faults(
        fault("drop", {"nth": [2, 9]}),
        fault("drop_after_commit", {"nth": [3, 15]}),
        fault("late_commit", {"nth": [4, 20]}, ms=700),
        fault("garbage", {"nth": [5, 25]}),
        fault("truncate", {"nth": [6, 30]}),
        fault("html_404", {"nth": [12]}),
        fault("thread_limit", {"nth": [14, 16]}),
        fault("status", {"nth": [18]}, code=502),
        fault("delay", {"nth": [22]}, ms=300),
    )
    desk.plan(desk.customers(60))
    status = desk.apply("customers.plan")
    assert status["counts"]["applied"] == 60, status
    arrived(desk.simulator, 60)
    assert all(row["bulkops_id"] for row in desk.results("customers.plan")["applied"])


def test_credentials_that_are_refused_on_the_way_stop_the_run(desk: Desk) -> None:
    """One 401 and nothing more is sent, before the account is locked; exit 6; then it goes on."""
    desk.tenant(budget_per_entity=1)
    desk.simulator.faults(fault("unauthorized", {"nth": [5]}))
    desk.plan(desk.customers(20))
    status = desk.apply("customers.plan", code=6)
    assert desk.simulator.writes() == 5  # one at a time, so nothing left before the answer was here
    assert status["counts"]["held"] == 0 and "401" in status["waiting"]
    desk.apply("customers.plan")
    arrived(desk.simulator, 20)


def test_a_row_that_the_tenant_refuses_is_told_with_its_text(desk: Desk) -> None:
    """The server's own sentence stands in the report, in the result files, and the exit code is 4."""
    text = "The value of Phone does not satisfy the tenant's own rule."
    desk.simulator.faults(fault("status", {"nth": [2]}, code=500, body={"errors": [text]}))
    desk.plan(desk.customers(5))
    ran = desk.run("apply", "customers.plan", "--yes", code=4)
    assert text in ran.out and "4 applied" in ran.out
    [rejected] = desk.results("customers.plan")["rejected"]
    assert text in rejected["bulkops_reason"]


def test_a_lost_create_without_match_is_known_by_what_was_sent(desk: Desk) -> None:
    """No key, no mark: it is recognised all the same, found or not, and nothing is held or made twice."""
    desk.customers(6, action="create")
    job = (desk.folder / "customers.yaml").read_text().replace("    match: [companyNumber]\n", "")
    desk.write("customers.yaml", job)
    desk.simulator.faults(fault("drop_after_commit", {"nth": [3]}), fault("drop", {"nth": [4]}))
    assert "match" in desk.run("plan", "customers.yaml").out
    assert desk.apply("customers.plan")["counts"]["applied"] == 6
    arrived(desk.simulator, 6)


def test_a_row_whose_fate_nobody_can_know_is_held(desk: Desk) -> None:
    """Its key appeared since the plan: it is not sent, and named with the record that has its key."""
    desk.customers(3)
    desk.plan("customers.yaml")
    [made] = desk.simulator.load("Companies", {"companyNumber": "k-0002", "companyName": "Theirs"})
    status = desk.apply("customers.plan", code=4)
    assert status["counts"]["held"] == 1 and status["counts"]["applied"] == 2
    [held] = desk.results("customers.plan")["held"]
    assert str(made) in held["bulkops_reason"] and "has its key by now" in held["bulkops_reason"]


# --- limits ---


def test_two_threads_are_never_exceeded(own_desk: OwnDesk) -> None:
    """Where another integration holds one of three threads, ours stay within the two that are left."""
    desk = own_desk("--threads", "2", "--release-ms", "50", budget_release_ms=60)
    desk.plan(desk.customers(40))
    desk.apply("customers.plan")
    stats = desk.simulator.stats()
    assert stats["refused"] == {"threads": 0, "hour": 0}
    assert stats["max_in_flight"]["Companies"] <= 2
    arrived(desk.simulator, 40)


def test_no_window_holds_more_calls_than_were_granted(own_desk: OwnDesk) -> None:
    """100 calls a window, others use 20, three quarters granted: the run waits, says why, and finishes."""
    desk = own_desk("--threshold", "100", "--window-s", "4", budget_window_s=4, budget_requests=100)
    desk.plan(desk.customers(90))
    desk.simulator.call("usage", {"requests": 20})
    run = desk.start("apply", "customers.plan", "--yes", "--json")
    said: list[str] = []
    while run.poll() is None and not said:
        said += [desk.run("status", "customers.plan", "--json").json["waiting"] or ""]
        said = [sentence for sentence in said if "goes on at" in sentence]
    assert said, "status never said what it waits for"
    assert ended(run)[0] == 0
    stats = desk.simulator.stats()
    assert stats["refused"]["hour"] == 0
    assert stats["busiest_window"] <= 75
    arrived(desk.simulator, 90)


def test_an_hour_that_others_used_up_is_waited_for(desk: Desk) -> None:
    """The server refuses for its hourly limit: nothing is sent until it says that there is room; no row is
    lost or given up."""
    desk.tenant(budget_window_s=10)
    desk.simulator.faults(fault("hour_limit", {"nth": [5, 6]}))
    desk.plan(desk.customers(30))
    status = desk.apply("customers.plan")
    assert status["counts"]["applied"] == 30
    arrived(desk.simulator, 30)
