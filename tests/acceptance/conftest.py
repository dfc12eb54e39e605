"""A desk to work at: the real command line as processes, against a real simulator process."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import forked

TIMEOUT_S = 60.0
OWNER = 4  # the resource that every simulated tenant has

QUICK = ("--release-ms", "0", "--no-tiers")


@dataclass(kw_only=True)
class Simulator:
    """A simulated tenant in a process of its own, and its controls."""

    process: subprocess.Popen[str]
    url: str
    control: str

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])

    def call(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.control}/{path}", data=data)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def stats(self) -> dict[str, Any]:
        return dict(self.call("stats"))

    def writes(self) -> int:
        """How many writes were asked for, whatever became of them."""
        calls: dict[str, int] = self.stats()["by_call"]
        return sum(n for call, n in calls.items() if call.split()[0] != "GET" and "/query" not in call)

    def rows(self, entity: str) -> list[dict[str, Any]]:
        return list(self.call(f"rows/{entity}")["items"])

    def numbered(self) -> dict[str, dict[str, Any]]:
        """The companies that a test made, by number. Fails where two have the same."""
        rows = [row for row in self.rows("Companies") if str(row.get("companyNumber") or "").startswith("K-")]
        found = {row["companyNumber"]: row for row in rows}
        assert len(found) == len(rows), "a record was created twice"
        return found

    def load(self, entity: str, *items: Mapping[str, Any]) -> list[int]:
        return list(self.call(f"rows/{entity}", {"items": items})["ids"])

    def staff(self, *people: Mapping[str, Any]) -> list[int]:
        """Loads people who may be assigned to tasks and tickets as Engineer; returns their ids."""
        some = next(row for row in self.rows("Resources") if row["firstName"] == "Daniel")
        like = {key: value for key, value in some.items() if key != "id"}
        ids = self.load("Resources", *({**like, **person} for person in people))
        role = next(row["id"] for row in self.rows("Roles") if row["name"] == "Engineer")
        place = self.rows("Departments")[0]["id"]
        pairs = [{"resourceID": person, "roleID": role, "isActive": True} for person in ids]
        self.load("ResourceRoleDepartments", *({**pair, "departmentID": place} for pair in pairs))
        self.load("ResourceRoles", *({**pair, "queueID": 29683354} for pair in pairs))
        return ids

    def faults(self, *faults: Mapping[str, Any]) -> None:
        self.call("faults", {"faults": faults})

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> None:
        """Returns when its statistics say that something has happened."""
        ends = time.monotonic() + 30
        while not holds(self.stats()):
            assert time.monotonic() < ends, f"it never happened: {self.stats()}"

    def log(self) -> list[dict[str, Any]]:
        return list(self.call("log")["entries"])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=20)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output; fails where there is anything else."""
        assert self.out.count("\n") == 1, self
        return dict(json.loads(self.out))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


Start = Callable[..., Simulator]


@pytest.fixture(scope="session", autouse=True)
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A hundred processes start here: compiled modules are kept for them, outside the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.getbasetemp().parent / "bytecode"))
        yield


def launch(*options: str) -> Simulator:
    process = subprocess.Popen(
        [sys.executable, "-m", "bulkops.simulator", *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the simulator did not start with {options}"
    return Simulator(process=process, **json.loads(line))


def close(simulator: Simulator) -> None:
    simulator.process.kill()
    simulator.process.wait(timeout=20)
    if simulator.process.stdout is not None:
        simulator.process.stdout.close()


@pytest.fixture
def simulate() -> Iterator[Start]:
    """Starts simulators of the test's own making; they end with the test."""
    started: list[Simulator] = []

    def start(*options: str) -> Simulator:
        started.append(launch(*options))
        return started[-1]

    yield start
    for simulator in started:
        close(simulator)


@pytest.fixture(scope="session")
def shared(bytecode: None) -> Iterator[Simulator]:
    simulator = launch(*QUICK)
    yield simulator
    close(simulator)


@pytest.fixture
def simulator(shared: Simulator) -> Simulator:
    """A quick simulator as after its start, kept from test to test: starting one takes a second."""
    shared.call("reset", {})
    return shared


JOB = """\
version: 1
name: {name}
tenant: acme
steps:
  - name: customers
    entity: Companies
    action: {action}
    source: {{file: {file}}}
    match: [companyNumber]
    fields:
      companyNumber: No
      companyName: Name
      phone: Phone
      city: City
      companyType: {{value: Customer}}
      ownerResourceID: {{value: {owner}}}
"""


@dataclass(kw_only=True)
class Desk:
    """A folder with a tenants file, and the commands that are run in it."""

    folder: Path
    simulator: Simulator
    environ: dict[str, str] = field(default_factory=dict)

    def tenant(
        self, simulator: Simulator | None = None, *, name: str = "bulkops.toml", **changed: Any
    ) -> Path:
        """Writes the tenants file; `changed` replaces keys, `budget_` ones in the budget; None drops one."""
        keys = {
            "url": (simulator or self.simulator).url,
            "username": "api@acme.test",
            "secret": "simulated",
            "integration_code": "simulated",
            "settle_s": 0.5,
            **{key: value for key, value in changed.items() if not key.startswith("budget_")},
        }
        budget = {
            "release_ms": 0,
            **{key.removeprefix("budget_"): v for key, v in changed.items() if key.startswith("budget_")},
        }
        tables = {"tenants.acme": keys, "tenants.acme.budget": budget}
        lines = []
        for table, values in tables.items():
            lines.append(f"[{table}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
        return self.write(name, "\n".join(lines) + "\n")

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        data = textwrap.dedent(content).encode() if isinstance(content, str) else content
        path.write_bytes(data)
        return path

    def table(self, name: str, header: Iterable[str], *rows: Iterable[object]) -> Path:
        """A CSV file."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([list(header), *map(list, rows)])
        return self.write(name, text.getvalue().encode())

    def customers(
        self, count: int, *, action: str = "upsert", name: str = "customers", first: int = 1
    ) -> str:
        """A job with `count` good rows; returns its file's name. Row n becomes the company K-000n."""
        rows = [(f"K-{n:04}", f"Customer {n}", f"555-{n:04}", "Łódź") for n in range(first, first + count)]
        self.table(f"{name}.csv", ("No", "Name", "Phone", "City"), *rows)
        self.write(f"{name}.yaml", JOB.format(name=name, action=action, file=f"{name}.csv", owner=OWNER))
        return f"{name}.yaml"

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "bulkops", *map(str, words)]

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**os.environ, **self.environ, **(more or {})}

    def run(
        self,
        *words: object,
        code: int | None = 0,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        **more: Any,
    ) -> Ran:
        """Runs a command without a terminal; fails where it ends otherwise than with `code`."""
        place = cwd or self.folder
        is_for_python = any(name.startswith("PYTHON") for name in env or ())  # which reads them at its start
        if forked.IS_POSSIBLE and not more and not is_for_python:
            done = forked.run(
                [str(word) for word in words], cwd=place, env=self.env(env), timeout_s=TIMEOUT_S
            )
        else:
            done = subprocess.run(
                self.command(*words),
                cwd=place,
                env=self.env(env),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                timeout=TIMEOUT_S,
                check=False,
                **more,
            )
        ran = Ran(code=done.returncode, out=done.stdout, err=done.stderr)
        assert code is None or ran.code == code, f"{words}: {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def start(self, *words: object, **more: Any) -> subprocess.Popen[str]:
        """The same, while it runs."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            **more,
        )

    def plan(self, job: str, *words: object, code: int = 0) -> dict[str, Any]:
        return self.run("plan", job, "--json", *words, code=code).json

    def apply(self, plan: str, *words: object, code: int = 0) -> dict[str, Any]:
        return self.run("apply", plan, "--yes", "--json", *words, code=code).json

    def refused(self, *words: object, code: int = 1, **more: Any) -> str:
        """Runs a command that must be refused; returns the message: a sentence or a few, no traceback."""
        ran = self.run(*words, code=code, **more)
        assert ran.out == "", ran
        assert "Traceback" not in ran.err and "bug" not in ran.err, ran.err
        assert 0 < len(ran.err.splitlines()) <= 4, ran.err
        return ran.err

    def migrate(self, job: str, *, create: int, rejected: int = 0) -> None:
        """Plans, applies, plans again: all of it is made, and then nothing is left to do."""
        nothing = {"create": 0, "update": 0, "delete": 0, "unchanged": 0, "rejected": rejected}
        assert self.plan(job)["counts"] == {**nothing, "create": create}
        plan = Path(job).with_suffix(".plan").name
        done = self.apply(plan, code=4 if rejected else 0)["counts"]
        assert done == {"applied": create, "unchanged": 0, "rejected": rejected, "held": 0, "pending": 0}
        assert self.plan(job)["counts"] == {**nothing, "unchanged": create}

    def made(self, entity: str, key: str, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The records with these keys. Fails where one is missing, or there twice."""
        keys = set(wanted)
        rows = [row for row in self.simulator.rows(entity) if row.get(key) in keys]
        found = {row[key]: row for row in rows}
        assert len(rows) == len(found) == len(keys)
        return found

    @staticmethod
    def ignoring(columns: Iterable[str], *used: str) -> str:
        """The `ignore` list of a step that uses these columns only; JSON is YAML."""
        return json.dumps([name for name in columns if name not in used], ensure_ascii=False)

    @staticmethod
    def differences(row: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """The fields that are not as expected; `udf:Name` is a user-defined one."""
        udfs = {f"udf:{item['name']}": item["value"] for item in row.get("userDefinedFields") or ()}
        held = {**row, **udfs}
        return {name: (held.get(name), value) for name, value in expected.items() if held.get(name) != value}

    def results(self, plan: str) -> dict[str, list[dict[str, str]]]:
        """The five result files of a plan with one step, by state."""
        folder = self.folder / f"{plan}.results"
        self.run("results", plan, "--dir", folder)
        found = {}
        for path in folder.iterdir():
            with path.open(encoding="utf-8-sig", newline="") as file:
                found[path.stem] = list(csv.DictReader(file))
        return found


@pytest.fixture
def desk(tmp_path: Path, simulator: Simulator) -> Desk:
    """A desk with a tenant `acme`, which is the shared simulator."""
    made = Desk(folder=tmp_path, simulator=simulator)
    made.tenant()
    return made


@pytest.fixture
def own_desk(tmp_path: Path, simulate: Start) -> Callable[..., Desk]:
    """A desk with a simulator of its own, started with these options."""

    def make(*options: str, **tenant: Any) -> Desk:
        made = Desk(folder=tmp_path, simulator=simulate(*QUICK, *options))
        made.tenant(**tenant)
        return made

    return make
