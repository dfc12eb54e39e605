"""What the doctor makes of usage, access, budgets, secrets and folders, and how it says so. No sockets."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.doctor import Finding, Verdict, as_json, as_lines, examine, worst
from bulkops.doctor.access import LOOKED_UP, WRITTEN, examine_access
from bulkops.doctor.finding import ok, problem, warning
from bulkops.doctor.machine import examine_machine, network_of
from bulkops.doctor.server import examine_usage
from bulkops.doctor.tenants import examine_budget, examine_config, examine_secrets
from bulkops.secret import Secret
from bulkops.targets.autotask.access import Access, Reach, read_access
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.autotask.door import Threshold
from bulkops.tenant import Budget, Tenant

CATALOG = load_catalog()
ALL = Access(query=Reach.ALL, create=Reach.ALL, update=Reach.ALL, delete=Reach.ALL)
EVERYTHING = dict.fromkeys((*WRITTEN, *LOOKED_UP), ALL)


def only(findings: list[Finding]) -> Finding:
    [finding] = findings
    return finding


# --- usage ---


@pytest.mark.parametrize(
    ("count", "verdict", "words"),
    [
        (0, Verdict.OK, "7,500 are left for us"),
        (1240, Verdict.OK, "1,240 of the 10,000 calls that an hour holds are used"),
        (5000, Verdict.WARNING, "back by half a second"),
        (6900, Verdict.WARNING, "600 are left"),
        (7500, Verdict.WARNING, "back by a second"),
        (9999, Verdict.WARNING, "0 are left"),
    ],
)
def test_usage_says_how_much_is_left(count: int, verdict: Verdict, words: str) -> None:
    """All integrations' calls against our share of the window; slow tiers and an empty share are warnings."""
    said = Threshold(count=count, requests=10_000, window_s=3600)
    finding = only(examine_usage(said, Budget()))
    assert finding.verdict is verdict and words in finding.message
    assert bool(finding.hint) is (verdict is not Verdict.OK)
    assert finding.facts["left"] == max(0, 7500 - count)


@given(count=st.integers(0, 30_000), requests=st.integers(1, 20_000), share=st.floats(0.01, 1))
def test_what_is_left_never_breaks_the_share(count: int, requests: int, share: float) -> None:
    """Whatever the tenant says: never less than nothing, and with what is used never above the share."""
    finding = examine_usage(Threshold(count=count, requests=requests), Budget(share=share))[0]
    left = finding.facts["left"]
    assert left >= 0 and (left == 0 or left + count <= share * requests)


def test_a_share_of_less_than_a_call_stops_a_run() -> None:
    """It is a problem, in the words in which a run would refuse it."""
    finding = only(examine_usage(Threshold(count=0, requests=10), Budget(share=0.05)))
    assert finding.verdict is Verdict.PROBLEM and "not one call" in finding.message


def test_a_budget_above_the_tenants_own_is_named() -> None:
    """More requests or a shorter window than the tenant says: its server would refuse everybody."""
    said = Threshold(count=0, requests=10_000, window_s=3600)
    findings = examine_usage(said, Budget(requests=20_000, window_s=60))
    named = [finding.message for finding in findings if finding.verdict is Verdict.WARNING]
    assert [message.split()[0] for message in named] == ["requests", "window_s"]
    assert "10,000" in named[0] and "3600" in named[1]


def test_a_silent_threshold_is_a_warning() -> None:
    """Where the tenant does not say how many calls were made, the doctor says so and claims nothing."""
    assert only(examine_usage(Threshold(), Budget())).verdict is Verdict.WARNING


# --- access ---


def described(**access: Any) -> dict[str, Any]:
    info = {"name": "Contacts", "canQuery": True, "canCreate": True, "canUpdate": True, "canDelete": False}
    return {"entityDescriptions": [{"info": {**info, **access}}]}


@pytest.mark.parametrize("said", ["Restricted", "restricted", "2", 2])
def test_access_is_understood_as_word_and_as_number(said: object) -> None:
    """The help page documents numbers, live tenants say words; both mean the same."""
    found = read_access(described(userAccessForQuery=said, userAccessForCreate=1), CATALOG)
    assert found["Contacts"].query is Reach.RESTRICTED
    assert found["Contacts"].create is Reach.ALL
    assert found["Contacts"].update is Reach.UNKNOWN
    assert found["Contacts"].delete is Reach.NONE


@pytest.mark.parametrize(
    "data", [{}, {"entityDescriptions": None}, {"entityDescriptions": [{}, 3, {"info": 1}]}]
)
def test_an_answer_of_another_shape_is_no_access(data: dict[str, Any]) -> None:
    """It is left out, and the doctor says that the tenant does not tell."""
    assert read_access(data, CATALOG) == {}
    assert "does not say" in only(examine_access({}, CATALOG)).message


def test_older_names_of_entities_are_known() -> None:
    """A tenant that says Contact means Contacts."""
    assert set(read_access(described(name="Contact"), CATALOG)) == {"Contacts"}


def test_full_access_is_well() -> None:
    """Nothing hidden and nothing forbidden is one ok."""
    finding = only(examine_access(EVERYTHING, CATALOG))
    assert finding.verdict is Verdict.OK and "line of business" in finding.message


def test_hidden_records_are_a_warning_that_names_the_entities() -> None:
    """Restricted queries are named with what they lead to: a record created twice."""
    hidden = Access(query=Reach.RESTRICTED, create=Reach.ALL, update=Reach.ALL, delete=Reach.ALL)
    finding = only(examine_access({**EVERYTHING, "Contacts": hidden, "Roles": hidden}, CATALOG))
    assert finding.verdict is Verdict.WARNING
    assert "Contacts, Roles" in finding.message and "create it again" in finding.message
    assert finding.facts["restricted"] == ["Contacts", "Roles"]


def test_forbidden_reads_and_writes_are_named_by_action() -> None:
    """What cannot be read is told once; what cannot be created or updated, action by action."""
    blind = Access(query=Reach.NONE, create=Reach.NONE, update=Reach.NONE, delete=Reach.NONE)
    reader = Access(query=Reach.ALL, create=Reach.NONE, update=Reach.RESTRICTED, delete=Reach.NONE)
    unread, unwritten = examine_access({**EVERYTHING, "Tasks": blind, "Tickets": reader}, CATALOG)
    assert "cannot read Tasks:" in unread.message
    assert unwritten.message.endswith("create Tickets; update Tickets")


def test_what_the_api_itself_cannot_do_is_no_finding() -> None:
    """Nobody can update a task's predecessor: that says nothing about this API user."""

    def allowed(name: str, action: str) -> Reach:
        return Reach.ALL if action in CATALOG.entities[name].can else Reach.NONE

    unable = {
        name: replace(ALL, create=allowed(name, "create"), update=allowed(name, "update"))
        for name in EVERYTHING
    }
    assert any(access.update is Reach.NONE for access in unable.values())
    assert only(examine_access(unable, CATALOG)).verdict is Verdict.OK


def test_every_entity_the_doctor_asks_for_exists() -> None:
    """The lists hold the API's own names."""
    assert all(name in CATALOG.entities for name in EVERYTHING)


# --- settings and secrets ---


def test_all_threads_for_one_program_is_a_warning() -> None:
    """3 of 3 leaves no slot for another program with the same integration code."""
    assert only(examine_budget(Budget())).verdict is Verdict.OK
    assert only(examine_budget(Budget(per_entity=3))).verdict is Verdict.WARNING


def tenant(secret: str, *, folder: Path = Path()) -> Tenant:
    made = Secret(secret, folder=folder)
    return Tenant(name="acme", username="api@acme.test", secret=made, integration_code=Secret("env:NO_SUCH"))


def test_each_missing_secret_is_a_problem_of_its_own(tmp_path: Path) -> None:
    """Both are told at once, with where they should be."""
    first, second = examine_secrets(tenant("file:gone.txt", folder=tmp_path), tmp_path / "bulkops.toml")
    assert {first.verdict, second.verdict} == {Verdict.PROBLEM}
    assert "gone.txt" in first.message and "NO_SUCH" in second.message


@pytest.mark.skipif(os.name == "nt", reason="file modes are a matter of POSIX")
@pytest.mark.parametrize(("mode", "exposed"), [(0o644, True), (0o604, True), (0o640, False), (0o600, False)])
def test_a_secret_that_everybody_can_read_is_a_warning(tmp_path: Path, mode: int, exposed: bool) -> None:
    """The file is named with the command that closes it; the secret is not shown."""
    file = tmp_path / "secret.txt"
    file.write_text("hunter2")
    file.chmod(mode)
    findings = examine_secrets(tenant("file:secret.txt", folder=tmp_path), tmp_path / "bulkops.toml")
    warned = [finding for finding in findings if finding.verdict is Verdict.WARNING]
    assert [finding.hint for finding in warned] == [f"chmod 600 {file}"] * exposed
    assert "hunter2" not in str(findings)


def test_every_fault_of_the_tenants_file_is_told(tmp_path: Path) -> None:
    """Each with its line, as a problem of its own, and no tenant is looked at."""
    path = tmp_path / "bulkops.toml"
    path.write_text('[tenants.acme]\nusername = "a"\nsecrt = "env:S"\n')
    findings, tenants, _ = examine_config(path, None)
    assert tenants == [] and len(findings) >= 3
    assert all(finding.verdict is Verdict.PROBLEM and str(path) in finding.message for finding in findings)


def test_the_starters_own_tenant_is_right_once_it_is_no_comment(tmp_path: Path) -> None:
    """Who takes away the comment signs of the file that `bulkops init` writes has a valid configuration."""
    starter = Path(__file__).parents[2] / "bulkops" / "starter" / "bulkops.toml"
    head, _, commented = starter.read_text("utf-8").partition("in the job.\n")
    lines = [head + "in the job.", *(line.removeprefix("#")[1:] for line in commented.splitlines())]
    path = tmp_path / "bulkops.toml"
    path.write_text("\n".join(lines), "utf-8")
    assert set(tomllib.loads(path.read_text("utf-8"))["tenants"]) == {"practice", "acme"}
    findings, tenants, _ = examine_config(path, None)
    assert only(findings).verdict is Verdict.OK and len(tenants) == 2
    assert tenants[1].budget == Budget() and tenants[1].settle_s == 310


# --- this machine ---


def test_a_healthy_folder_is_left_as_it_was(tmp_path: Path, state_dir: Path) -> None:
    """All is well, and the trial leaves nothing behind."""
    assert worst(examine_machine(tmp_path)) is not Verdict.PROBLEM
    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_that_cannot_be_used_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Applying would be refused there, so the doctor names the folder and the variable."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BULKOPS_STATE_DIR", str(tmp_path / "file"))
    [state] = [finding for finding in examine_machine(tmp_path) if finding.check == "state folder"]
    assert state.verdict is Verdict.PROBLEM and "BULKOPS_STATE_DIR" in state.message + state.hint


def test_a_damaged_register_is_a_problem(tmp_path: Path, state_dir: Path) -> None:
    """It says which plans were begun; apply refuses without it, so the doctor does too."""
    (state_dir / "plans.json").write_text("{")
    assert worst(examine_machine(tmp_path)) is Verdict.PROBLEM


def test_a_folder_without_room_for_plans_is_a_problem(tmp_path: Path) -> None:
    """Where no plan can be kept, it says so in a sentence, and what to do."""
    found = {finding.check: finding for finding in examine_machine(tmp_path / "gone")}
    assert found["plans"].verdict is Verdict.PROBLEM and found["plans"].hint


@pytest.mark.parametrize(
    ("kind", "network"),
    [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False), ("tmpfs", False)],
)
def test_network_folders_are_known_by_their_mount(tmp_path: Path, kind: str, network: bool) -> None:
    """The nearest mount decides, and a mount elsewhere does not matter."""
    folder = tmp_path.resolve() / "my share" / "plans"
    folder.mkdir(parents=True)
    mounts = (
        f"/dev/sda / ext4 rw 0 0\nhost:/ {str(folder.parent).replace(' ', chr(92) + '040')} {kind} rw 0 0\n"
    )
    assert bool(network_of(folder, mounts)) is network
    assert network_of(tmp_path, mounts) == ""
    assert network_of(folder, "") == ""


# --- how it is said ---

FINDINGS = [
    ok("disk", "is large"),
    replace(problem("zone", "is wrong", "put it right"), tenant="acme"),
    replace(warning("usage", "is high", "wait"), tenant="acme"),
]


def test_lines_group_by_tenant_and_add_up() -> None:
    """The machine first, then the tenant; each hint under its finding; the sum at the end."""
    assert [line for line, _ in as_lines(FINDINGS)] == [
        "this machine",
        "  ok       disk: is large",
        "tenant acme",
        "  problem  zone: is wrong",
        "           → put it right",
        "  warning  usage: is high",
        "           → wait",
        "1 problem would stop a run; 1 warning.",
    ]


@pytest.mark.parametrize(
    ("findings", "verdict", "last"),
    [
        ([], "ok", "All is well."),
        ([ok("a", "b")], "ok", "All is well."),
        ([ok("a", "b"), warning("a", "b", "c")], "warning", "Nothing would stop a run; 1 warning."),
        ([problem("a", "b"), warning("a", "b", "c")], "problem", "1 problem would stop a run; 1 warning."),
    ],
)
def test_the_worst_finding_is_the_verdict(findings: list[Finding], verdict: str, last: str) -> None:
    """A warning stops nothing; one problem does, whatever else is well."""
    assert as_json(findings)["verdict"] == verdict
    assert list(as_lines(findings))[-1][0] == last


def test_json_holds_every_finding_whole() -> None:
    """Programs get what people see, with the keys named."""
    assert as_json(FINDINGS)["findings"][1] == {
        "tenant": "acme",
        "check": "zone",
        "verdict": "problem",
        "message": "is wrong",
        "hint": "put it right",
        "facts": {},
    }


async def test_no_configuration_is_a_problem_and_the_machine_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says where it looked and how to make one."""
    monkeypatch.chdir(tmp_path)
    findings = await examine(None, None, folder=tmp_path)
    [config] = [finding for finding in findings if finding.verdict is Verdict.PROBLEM]
    assert "bulkops init" in config.message
    assert {finding.check for finding in findings} >= {"program", "plans", "disk", "state folder"}
