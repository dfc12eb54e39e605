"""How the simulator is started: options, switches, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops.simulator.options import Credentials, HelpShown, Options, OptionsError, parse
from bulkops.simulator.switches import Switches


def test_no_options_are_the_documented_defaults() -> None:
    """Promises the defaults of the command line for in-process use too."""
    assert parse([]) == Options()
    defaults = Options()
    assert (defaults.host, defaults.port, defaults.seed, defaults.threshold) == ("127.0.0.1", 0, 1, 10_000)
    assert (defaults.window_s, defaults.threads, defaults.release_ms, defaults.latency_ms) == (3600, 3, 50, 0)
    assert defaults.tiers


def test_every_option_is_read() -> None:
    """Promises each option of the contract, and switches."""
    text = (
        "--host 0.0.0.0 --port 8765 --seed 7 --load a.json --empty --threshold 50 --window-s 2.5 --threads 2 "
        "--release-ms 10 --latency-ms 5 --no-tiers --faults f.json --state s --credentials u@x:se:cret:CODE "
        "--switch missing_get=404 --switch lock_failures=0.5"
    )
    assert parse(text.split()) == Options(
        host="0.0.0.0", port=8765, seed=7, load=Path("a.json"), empty=True, threshold=50, window_s=2.5,
        threads=2, release_ms=10, latency_ms=5, tiers=False, faults=Path("f.json"), state=Path("s"),
        credentials=Credentials("u@x", "se:cret", "CODE"),
        switches={"missing_get": "404", "lock_failures": "0.5"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--port", "x"], ["--port", "65535"]),
        (["--threads", "-1"], ["--threads"]),
        (["--credentials", "u:s"], ["USER:SECRET:CODE"]),
        (["--tresh", "5"], ["--tresh"]),
        (["--switch", "missing_get"], ["NAME=VALUE"]),
        (["--switch", "missing_gt=404"], ["did you mean missing_get?", "thread_scope"]),
        (["--switch", "missing_get=500"], ["200 or 404"]),
        (["--switch", "lock_failures=2"], ["from 0 to 1"]),
    ],
)
def test_wrong_options_get_one_sentence(argv: list[str], words: list[str]) -> None:
    """Promises what is wrong and what is allowed, in one line."""
    with pytest.raises(OptionsError) as caught:
        parse(argv)
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


def test_help_names_every_option_and_switch(capsys: pytest.CaptureFixture[str]) -> None:
    """Promises that nothing has to be looked up elsewhere."""
    with pytest.raises(HelpShown):
        parse(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("--release-ms", "--state", "--switch", *Switches().values()))


def test_a_secret_is_never_shown() -> None:
    """Promises that options can be printed."""
    assert "hunter2" not in repr(Options(credentials=Credentials("u", "hunter2", "CODE")))


def test_a_wrong_switch_changes_none() -> None:
    """Promises all of a change or nothing of it."""
    switches = Switches()
    with pytest.raises(ValueError, match="no switch"):
        switches.update({"missing_get": "404", "colour": "red"})
    assert switches.missing_get == "200"
