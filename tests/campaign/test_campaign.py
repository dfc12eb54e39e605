"""A few dozen seeds of the campaign; the command `tests/campaign/run.py` plays thousands.

What is asserted is the promise: nothing lost, nothing twice, no wrong verdict, nothing unannounced. How many
rows in doubt were settled without a person is measured, and asserted where thousands are played.
"""

from __future__ import annotations

import pytest

from tests.campaign.batch import play
from tests.campaign.run import COMMAND, knobs_of, main, parser, repeat
from tests.campaign.tally import tallied
from tests.campaign.trial import Knobs


def _played(first: int, count: int, knobs: Knobs) -> None:
    """Plays the seeds and fails with the line that repeats each one that broke a promise."""
    tally = tallied(play(range(first, first + count), knobs, side_by_side=16))
    told = [
        f"{finding}\n  repeat with: {repeat(outcome.seed, knobs)}"
        for outcome in tally.failed
        for finding in outcome.findings
    ]
    assert not told, "\n".join(told)
    assert tally.deaths > count / 2  # a campaign in which little goes wrong shows little
    assert sum(tally.faults.values()) > 5 * count
    assert sum(tally.in_doubt.values()) > count


def test_no_row_is_lost_and_none_is_written_twice() -> None:
    """Whatever goes wrong and wherever the process dies: each row is written once, and told as it is."""
    _played(0, 48, Knobs())


@pytest.mark.parametrize(
    "knobs",
    [
        Knobs(),
        Knobs(marker=False, size=3),
        Knobs(strangers=False, too_late=True),
        Knobs(meddling=True, size=25),
    ],
)
def test_the_line_that_repeats_a_seed_repeats_it(knobs: Knobs) -> None:
    """It is a command of ours, and means the same seed under the same conditions."""
    line = repeat(4711, knobs)
    given = parser().parse_args(line.removeprefix(COMMAND).split())
    assert (given.seed, knobs_of(given)) == (4711, knobs)


def test_the_command_tells_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """One seed from the command line: exit code 0, and what it came to."""
    assert main(["--seed", "3", "--size", "4", "--jobs", "1"]) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (told["seeds"], told["lost"], told["twice"], told["story"]) == ("1", "0", "0", "0")


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100_000, 103_000, 250))
def test_no_row_is_lost_and_none_is_written_twice_ever(first: int) -> None:
    """The same, longer."""
    _played(first, 250, Knobs())
