"""Whatever a user gives: one clear message (what, where, what to do), the right exit code, nothing lost."""

from __future__ import annotations

import http.server
import os
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk, Start

    OwnDesk = Callable[..., Desk]

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def untouched(desk: Desk) -> Iterator[Desk]:
    """A desk with a good job, whose tenant must see no write and whose folder no plan."""
    desk.customers(3)
    yield desk
    assert desk.simulator.writes() == 0
    assert not list(desk.folder.glob("*.plan*"))
    assert not list(desk.folder.glob("*.tmp*"))


# --- job files ---

FAULTY_JOBS = [
    ("action: upsert", "action: upserd", ["customers.yaml:7", "upserd", "upsert"]),
    ("entity: Companies", "entity: Compnies", ["customers.yaml:6", "Compnies", "Companies"]),
    ("phone: Phone", "phone: Phon", ["customers.yaml:13", "Phon", "Phone"]),
    ("phone: Phone", "fone: Phone", ["customers.yaml:13", "fone", "phone"]),
    ("phone: Phone", "AccountName: Phone", ["customers.yaml:13", "AccountName", "companyName"]),
    ("      city: City\n", "", ["City", "ignore"]),
    ("match: [companyNumber]", "match: [companyNr]", ["customers.yaml:9", "companyNr", "companyNumber"]),
    ("    match: [companyNumber]\n", "", ["customers.yaml:", "match"]),
    ("steps:", "stpes:", ["customers.yaml:4", "stpes", "steps"]),
    ("tenant: acme", "tenant: acne", ["bulkops.toml", "acne", "acme"]),
    ("{value: Customer}", "{value: Custmer}", ["customers.yaml:15", "Custmer", "Customer"]),
    ("file: customers.csv", "file: customer.csv", ["customer.csv", "customers.csv"]),
    ("city: City", "city: City\n      phone: City", ["customers.yaml:15", "phone"]),
    ("city: City", "createDate: City", ["customers.yaml:14", "createDate", "read"]),
    ("version: 1", "version: [1", ["customers.yaml:2", "]"]),
    ("version: 1", "version: 9", ["customers.yaml:1", "9", "1"]),
]

TOLD_BY_THE_TENANT = ("tenant: acne", "{value: Custmer}", "entity: Compnies", "fone: Phone")


@pytest.mark.parametrize(
    ("old", "new", "told"), FAULTY_JOBS, ids=[new.strip() or old for old, new, _ in FAULTY_JOBS]
)
def test_a_faulty_job_is_told_with_its_place(untouched: Desk, old: str, new: str, told: list[str]) -> None:
    """File and line, what is wrong, and what was probably meant; exit 1; nothing is planned.

    What the catalog knows is told offline as well, by the same words.
    """
    desk = untouched
    job = (desk.folder / "customers.yaml").read_text()
    assert old in job
    desk.write("customers.yaml", job.replace(old, new, 1))
    command = "plan" if new in TOLD_BY_THE_TENANT else "validate"
    said = desk.refused(command, "customers.yaml")
    for part in told:
        assert part in said


def test_the_older_apis_field_names_are_known(desk: Desk) -> None:
    """Who writes AllocationCodeID is told that it is billingCodeID now."""
    desk.table("tasks.csv", ("Key", "Code"), ("T-1", "Engineering"))
    desk.write(
        "tasks.yaml",
        """
        version: 1
        name: tasks
        tenant: acme
        steps:
          - name: tasks
            entity: Tasks
            action: update
            source: {file: tasks.csv}
            match: [externalID]
            fields: {externalID: Key, AllocationCodeID: {column: Code, lookup: name}}
        """,
    )
    said = desk.refused("validate", "tasks.yaml")
    assert "AllocationCodeID" in said and "billingCodeID" in said and "tasks.yaml:11" in said


def test_every_fault_of_a_job_is_told_at_once(untouched: Desk) -> None:
    """Three mistakes, three lines, in the order of the file; `validate` says the same offline."""
    desk = untouched
    job = (desk.folder / "customers.yaml").read_text()
    for old, new in (("phone: Phone", "fone: Phone"), ("city: City", "citty: City"), ("Name", "Nmae")):
        job = job.replace(old, new, 1)
    desk.write("customers.yaml", job)
    said = desk.run("plan", "customers.yaml", code=1).err.splitlines()
    places = [line.split(":")[1] for line in said if line.startswith("customers.yaml:")]
    assert len(places) >= 3 and places == sorted(places, key=int)
    offline = desk.run("validate", "customers.yaml", code=1, env={"BULKOPS_CONFIG": "none"}).err
    assert [line for line in said if "fone" in line] == [
        line for line in offline.splitlines() if "fone" in line
    ]


# --- sources ---


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"No,Name,Phone,City\n", "customers.csv"),
        (b"No,Name,Phone\nK-1,A,5\n", "City"),
        (b"\x00\x01\x02\xff\xfe\x00" * 200, "customers.csv"),
        (b"PK\x03\x04" + bytes(200), "customers.csv"),
        (b'No,Name,Phone,City\nK-1,A,5,Rome\nK-2,"A,5,Rome\nK-3,A,5,Rome\n', "customers.csv:3"),
        (b"No,Name,Phone,City,No\nK-1,A,5,Rome,K-2\n", "No"),
    ],
    ids=["empty", "header only", "a column less", "binary", "a zip", "an open quote", "a column twice"],
)
def test_a_file_that_cannot_be_used_is_told(untouched: Desk, content: bytes, told: str) -> None:
    """Which file, what is wrong with it; exit 1."""
    untouched.write("customers.csv", content)
    said = untouched.refused("plan", "customers.yaml")
    assert told in said and "customers.csv" in said


def test_a_folder_instead_of_a_file_is_told(untouched: Desk) -> None:
    """As a job, as a source, as the tenants file, as a plan."""
    (untouched.folder / "folder").mkdir()
    for words in (
        ("plan", "folder"),
        ("plan", "customers.yaml", "--source", "customers=folder"),
        ("plan", "customers.yaml", "--config", "folder"),
        ("status", "folder"),
    ):
        assert "folder" in untouched.refused(*words)


@pytest.mark.skipif(IS_ROOT or os.name == "nt", reason="root reads and writes everything")
def test_what_may_not_be_read_or_written_is_told(untouched: Desk) -> None:
    """A source without permission, and a folder in which no plan can be written."""
    source = untouched.folder / "customers.csv"
    source.chmod(0)
    assert "customers.csv" in untouched.refused("plan", "customers.yaml")
    source.chmod(0o600)
    locked = untouched.folder / "locked"
    locked.mkdir(mode=0o500)
    assert "locked" in untouched.refused("plan", "customers.yaml", "-o", "locked/x.plan")


def test_a_plan_file_that_cannot_be_written_is_told(untouched: Desk) -> None:
    """Its folder does not exist; it is a folder; the results' folder is a file."""
    assert "nowhere" in untouched.refused("plan", "customers.yaml", "-o", "nowhere/x.plan")
    (untouched.folder / "folder").mkdir()
    assert "folder" in untouched.refused("plan", "customers.yaml", "-o", "folder")


# --- tenants ---


def test_a_tenants_file_that_is_wrong_is_told_with_its_line(untouched: Desk) -> None:
    """No TOML, unknown keys, a URL that would leak credentials, a literal secret, nothing at all."""
    rest = 'username = "x"\nsecret = "env:S"\nintegration_code = "env:C"\n'
    for content, told in (
        ("[tenants.acme\n", ":1"),
        ('[tenants.acme]\nuser = "x"\n', "user"),
        (f'[tenants.acme]\nurl = "http://evil.test"\n{rest}', ":2"),
        ('[tenants.acme]\nusername = "x"\nsecret = "hunter2"\nintegration_code = "env:C"\n', "env:NAME"),
        ("", "no tenant"),
    ):
        untouched.write("bulkops.toml", content)
        said = untouched.run("describe", "Tasks", "--tenant", "acme", code=1).err
        assert told in said and "bulkops.toml" in said and "hunter2" not in said and "Traceback" not in said


def test_a_secret_that_is_not_there_is_told(untouched: Desk) -> None:
    """Which variable, for which tenant; with it set, the same command works."""
    untouched.tenant(secret="env:ACME_TEST_SECRET")
    said = untouched.refused("plan", "customers.yaml", env={"ACME_TEST_SECRET": ""})
    assert "ACME_TEST_SECRET" in said and "acme" in said
    untouched.run("validate", "customers.yaml", env={"ACME_TEST_SECRET": "x"})


def test_a_wrong_secret_is_told_and_tried_once(own_desk: OwnDesk) -> None:
    """The account must not be locked: one call with it, exit 1, the secret never shown."""
    desk = own_desk(
        "--credentials", "api@acme.test:right:code", secret="wrong-secret", integration_code="code"
    )
    desk.customers(1)
    said = desk.refused("plan", "customers.yaml")
    assert "acme" in said and "wrong-secret" not in said
    assert desk.simulator.stats()["by_call"].get("GET ThresholdInformation") == 1


def test_a_dead_server_is_told_soon(untouched: Desk) -> None:
    """The address that cannot be reached, and where it is written."""
    untouched.tenant(url="http://127.0.0.1:9/ATServicesRest")
    said = untouched.refused("plan", "customers.yaml")
    assert "127.0.0.1:9" in said and "acme" in said


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """Sends everybody to another host."""

    def do_GET(self) -> None:
        self.server.seen.append(self.path)  # type: ignore[attr-defined]
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.2:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_a_redirect_is_not_followed(untouched: Desk) -> None:
    """Credentials go to one host: the run ends with a sentence that names the redirect."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    server.seen = []  # type: ignore[attr-defined]
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        untouched.tenant(url=f"http://127.0.0.1:{server.server_port}/ATServicesRest")
        said = untouched.refused("plan", "customers.yaml")
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
    assert "Redirects are not followed" in said and "127.0.0.2" in said
    assert server.seen  # type: ignore[attr-defined]


# --- disks ---


def test_a_full_disk_while_planning_leaves_nothing(untouched: Desk) -> None:
    """The message says that the disk does not take it; no half plan stays behind."""
    said = untouched.refused("plan", untouched.customers(1000), **_file_size_limit(200_000))
    assert "customers.plan" in said


def test_a_disk_that_takes_nothing_at_all_is_told_at_once(untouched: Desk) -> None:
    """What all processes share is written before the plan, so that is named; nothing stays behind."""
    said = untouched.refused("plan", "customers.yaml", **_file_size_limit(20_000))
    assert len(said.splitlines()) == 1 and "cannot be used" in said


def test_a_full_disk_while_applying_stops_before_anything_is_unknown(desk: Desk) -> None:
    """What cannot be written down is not sent: exit 6 or 1, and with room again each row arrives once."""
    desk.plan(desk.customers(400))
    size = (desk.folder / "customers.plan").stat().st_size
    ran = desk.run("apply", "customers.plan", "--yes", code=None, **_file_size_limit(size + 40_000))
    assert ran.code == 6, ran
    assert "Traceback" not in ran.err and "customers.plan" in ran.err
    assert 0 < len(desk.simulator.numbered()) < 400
    desk.apply("customers.plan")
    assert len(desk.simulator.numbered()) == 400


def _file_size_limit(size: int) -> dict[str, Any]:
    """For the child: a file that would grow beyond `size` bytes gets an error, as on a full disk. It caches
    no modules: Python would cut those files short, and every process after it would fail.
    """
    resource = pytest.importorskip("resource", reason="this system cannot limit a file's size")
    import signal

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return {"preexec_fn": limit, "env": {"PYTHONDONTWRITEBYTECODE": "1"}}


# --- plans ---


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Filled by `planned`: making a plan takes a second."""
    return {}


@pytest.fixture
def planned(desk: Desk, sealed: dict[str, bytes]) -> Desk:
    """A desk with a plan of three creates."""
    if not sealed:
        desk.plan(desk.customers(3))
        sealed["plan"] = (desk.folder / "customers.plan").read_bytes()
    desk.customers(3)
    desk.write("customers.plan", sealed["plan"])
    return desk


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE changes SET change = replace(change, 'Customer 2', 'Customer 9')",
        "UPDATE rows SET cells = replace(cells, 'Customer 2', 'Customer 9')",
        "UPDATE header SET json = replace(json, '\"acme\"', '\"beta\"')",
        "DELETE FROM changes WHERE n = 2",
    ],
)
def test_an_edited_plan_is_refused(planned: Desk, change: str) -> None:
    """Whatever was changed in the sealed part: exit 1, and nothing of it is sent."""
    with sqlite3.connect(planned.folder / "customers.plan") as connection:
        connection.execute(change)
    connection.close()
    assert "edited" in planned.refused("apply", "customers.plan", "--yes")
    assert planned.simulator.writes() == 0


def test_what_is_no_plan_is_refused(planned: Desk) -> None:
    """Missing, empty, cut short, text, another SQLite file: by `apply`, `show`, `status` and `results`."""
    plan = planned.folder / "customers.plan"
    planned.write("empty.plan", b"")
    planned.write("cut.plan", plan.read_bytes()[:20_000])
    planned.write("text.plan", "Not a plan.\n" * 100)
    with sqlite3.connect(planned.folder / "other.plan") as connection:
        connection.execute("CREATE TABLE header (json, sha256)")
    connection.close()
    for name in ("missing.plan", "empty.plan", "cut.plan", "text.plan", "other.plan"):
        assert name in planned.refused("apply", name, "--yes")
    assert "text.plan" in planned.refused("show", "text.plan")
    assert "text.plan" in planned.refused("results", "text.plan", "--dir", "r")
    assert not (planned.folder / "r").exists()
    assert planned.simulator.writes() == 0


def test_a_plan_for_another_database_is_refused(planned: Desk, simulate: Start) -> None:
    """The tenant's name now leads to another database: exit 1 before anything is written there."""
    other = simulate()
    planned.tenant(other)
    said = planned.refused("apply", "customers.plan", "--yes")
    assert "database" in said and "plan" in said
    assert other.writes() == 0


def test_a_copy_of_a_begun_plan_is_refused(planned: Desk) -> None:
    """Applied elsewhere it would write rows twice: refused, with the place of the one to apply."""
    shutil.copy(planned.folder / "customers.plan", planned.folder / "before.plan")
    planned.apply("customers.plan", "--stop-after", "1", code=6)
    shutil.copy(planned.folder / "customers.plan", planned.folder / "after.plan")
    for name in ("before.plan", "after.plan"):
        said = planned.refused("apply", name, "--yes")
        assert "copy" in said and "customers.plan" in said
    planned.apply("customers.plan")
    assert planned.simulator.writes() == 3


def test_an_unfinished_plan_is_not_overwritten(planned: Desk) -> None:
    """Neither by `plan` nor by `run`; a finished one may be replaced."""
    planned.apply("customers.plan", "--stop-after", "1", code=6)
    before = planned.run("status", "customers.plan", "--json").json
    for words in (("plan", "customers.yaml"), ("run", "customers.yaml", "--yes")):
        said = planned.refused(*words)
        assert "customers.plan" in said and "Apply it again" in said
    assert planned.run("status", "customers.plan", "--json").json == before
    planned.apply("customers.plan")
    assert planned.plan("customers.yaml")["counts"]["unchanged"] == 3


def test_a_folder_that_cannot_keep_the_register_is_told(planned: Desk) -> None:
    """Without a register nobody could tell a copy: exit 1, with the variable that names another folder."""
    said = planned.refused(
        "apply", "customers.plan", "--yes", env={"BULKOPS_STATE_DIR": str(planned.folder / "customers.csv")}
    )
    assert "BULKOPS_STATE_DIR" in said
    assert planned.simulator.writes() == 0


def test_odd_terminals_are_no_bug(planned: Desk) -> None:
    """An encoding that lacks letters, no locale at all: the plan is shown all the same."""
    env = {"PYTHONIOENCODING": "ascii", "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"}
    assert "Łódź" in planned.run("show", "customers.plan", env=env).out
    assert sys.executable and Path(sys.executable).exists()
