"""A simulated tenant from its options: the store as it begins, and the counters that a reset begins anew."""

from __future__ import annotations

import copy
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bulkops.simulator import firm, loading, picklists
from bulkops.simulator.faults import Fault, FaultError, FaultScript, read_faults
from bulkops.simulator.limits import Threads, Uploads, Window
from bulkops.simulator.loading import LoadError
from bulkops.simulator.options import Options
from bulkops.simulator.service import Service
from bulkops.simulator.state import StateFile
from bulkops.simulator.stats import Flights, Log, Stats
from bulkops.simulator.store import Store
from bulkops.simulator.switches import Switches


def utc_now() -> str:
    """`2026-11-21T20:00:00.123Z`"""
    return datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


@dataclass(slots=True, kw_only=True)
class Run:
    """What is counted and limited from a start or a reset on; a request keeps the run it began in."""

    window: Window
    threads: Threads
    service: Service
    faults: FaultScript
    rng: random.Random  # for what the fault script does not draw
    stats: Stats
    flights: Flights
    log: Log


class Tenant:
    """The store, the limits and the counters. Raises LoadError where a file of the options is at fault."""

    def __init__(
        self,
        options: Options,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], str] = utc_now,
    ) -> None:
        self.options = options
        self.switches = Switches()
        self.switches.update(options.switches)
        self.store = Store(now=now, switches=self.switches, ci=100_000 + secrets.randbelow(900_000))
        self.state = StateFile(options.state) if options.state else None
        self._clock = clock
        self._script = self._read_script()
        self._open()
        self._origin = self._picture()
        self.run = self._begin()

    def reset(self) -> None:
        """As after the start: rows, ids, switches, limits, counters, log, fault script."""
        self._restore(self._origin)
        self.switches.update({**Switches().values(), **self.options.switches})
        self.run = self._begin()
        if self.state:
            self.state.snapshot(self.store)
            self.state.follow(self.store)

    def note_definitions(self) -> None:
        """Picklists or recipients may have changed."""
        if self.state:
            self.state.note_head(self.store)

    def close(self) -> None:
        """Leaves a compact state behind."""
        if self.state:
            self.state.snapshot(self.store)

    def _read_script(self) -> list[Fault]:
        path = self.options.faults
        if path is None:
            return []
        try:
            return read_faults(loading.read_json(path))
        except FaultError as exc:
            raise LoadError(f"{path}: {exc}") from exc

    def _open(self) -> None:
        """A state that exists is what there is to begin with; else a firm is founded."""
        if self.state is None or not self.state.restore(self.store):
            self._found()
            if self.state:
                self.state.snapshot(self.store)
        if self.state:
            self.state.follow(self.store)

    def _found(self) -> None:
        picklists.load(self.store)
        firm.found(self.store, empty=self.options.empty)
        path = self.options.load
        if path is None:
            return
        try:
            loading.load(self.store, loading.read_json(path))
        except LoadError as exc:
            raise exc if str(exc).startswith(f"{path}:") else LoadError(f"{path}: {exc}") from exc

    def _begin(self) -> Run:
        options = self.options
        window = Window(threshold=options.threshold, window_s=options.window_s, clock=self._clock)
        faults = FaultScript(options.seed)
        faults.install(copy.deepcopy(self._script))
        return Run(
            window=window,
            threads=Threads(limit=options.threads, release_s=options.release_ms / 1000, clock=self._clock),
            service=Service(self.store, window, Uploads(clock=self._clock)),
            faults=faults,
            rng=random.Random(options.seed),
            stats=Stats(),
            flights=Flights(),
            log=Log(),
        )

    def _picture(self) -> dict[str, Any]:
        store = self.store
        return {
            "tables": {name: table.state() for name, table in store.tables().items()},
            "definitions": copy.deepcopy((store.udfs, store.picklists, store.recipients)),
        }

    def _restore(self, picture: dict[str, Any]) -> None:
        self.store.udfs, self.store.picklists, self.store.recipients = copy.deepcopy(picture["definitions"])
        for name, table in self.store.tables().items():
            table.restore(picture["tables"][name])
