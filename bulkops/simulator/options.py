"""How the simulator is started: its options, from the command line or in-process."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

from bulkops.simulator.switches import Switches

STATE_HELP = "keeps the tenant over restarts; one that exists is begun with, whatever --load and --empty say"


class OptionsError(ValueError):
    """Options that cannot be understood; the message is the sentence to show."""


class HelpShown(Exception):  # noqa: N818  # not an error
    """Help was asked for and printed."""


class Credentials(NamedTuple):
    """What a client must send. Never printed."""

    user: str
    secret: str
    code: str

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The defaults are those of the command line."""

    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one
    seed: int = 1
    load: Path | None = None
    empty: bool = False
    threshold: int = 10_000  # requests a window; 0: no limit
    window_s: float = 3600.0
    threads: int = 3  # 0: no limit
    release_ms: float = 50.0
    latency_ms: float = 0.0
    tiers: bool = True
    faults: Path | None = None
    state: Path | None = None
    credentials: Credentials | None = None
    switches: Mapping[str, object] = field(default_factory=dict)


def parse(argv: Sequence[str]) -> Options:
    """Raises OptionsError with one sentence, or HelpShown."""
    given = vars(_parser().parse_args(list(argv)))
    given["switches"] = _switches(given.pop("switch"))
    return Options(**given)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise OptionsError(message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise HelpShown


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="bulkops simulate",
        description="A simulated Autotask tenant on a loopback port. Prints one JSON line when it listens.",
        allow_abbrev=False,
    )
    usual = Options()
    add = parser.add_argument
    add("--host", default=usual.host, help="address to listen on (default: this machine only)")
    add("--port", type=_port, default=usual.port, help="default: any free one")
    add("--seed", type=int, default=usual.seed, help="of chances (default: %(default)s)")
    add("--load", type=Path, metavar="FILE.json", help='{"rows": …, "udf": …, "picklists": …} to begin with')
    add("--empty", action="store_true", help="only the tenant's own company and one resource")
    add("--threshold", type=_whole, default=usual.threshold, help="requests a window, 0: any (%(default)s)")
    add("--window-s", type=_seconds, default=usual.window_s, help="the rolling window (%(default)s)")
    add("--threads", type=_whole, default=usual.threads, help="in flight an entity, 0: any (%(default)s)")
    add(
        "--release-ms",
        type=_milliseconds,
        default=usual.release_ms,
        help="a slot is free so late (%(default)s)",
    )
    add(
        "--latency-ms", type=_milliseconds, default=usual.latency_ms, help="answers are so late (%(default)s)"
    )
    add("--tiers", action=argparse.BooleanOptionalAction, default=True, help="slower from 50 %% and 75 %% on")
    add("--faults", type=Path, metavar="FILE.json", help='{"faults": […]}: what goes wrong')
    add("--state", type=Path, metavar="FILE", help=STATE_HELP)
    add(
        "--credentials",
        type=_credentials,
        metavar="USER:SECRET:CODE",
        help="the only ones taken (default: any)",
    )
    add("--switch", action="append", default=[], metavar="NAME=VALUE", help=_switch_help())
    return parser


def _switch_help() -> str:
    shown = ", ".join(f"{name}={value}" for name, value in Switches().values().items())
    return f"what nobody knows for sure, repeatable; defaults: {shown}"


def _switches(given: Sequence[str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for item in given:
        name, separator, value = item.partition("=")
        if not separator:
            raise OptionsError(f"--switch {item}: give NAME=VALUE")
        values[name.strip()] = value.strip()
    try:
        Switches().update(values)
    except ValueError as exc:
        raise OptionsError(f"--switch: {exc}") from exc
    return values


def _credentials(text: str) -> Credentials:
    user, _, rest = text.partition(":")
    secret, _, code = rest.rpartition(":")
    if not (user and secret and code):
        raise argparse.ArgumentTypeError("give USER:SECRET:CODE")
    return Credentials(user, secret, code)


def _port(text: str) -> int:
    return int(_between(text, 0, 65535))


def _whole(text: str) -> int:
    return int(_between(text, 0, 2**31 - 1))


def _milliseconds(text: str) -> float:
    return _between(text, 0, 3_600_000, whole=False)


def _seconds(text: str) -> float:
    return _between(text, 0.001, 10_000_000, whole=False)


def _between(text: str, low: float, high: float, *, whole: bool = True) -> float:
    try:
        number: float = int(text) if whole else float(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}")
    return number
