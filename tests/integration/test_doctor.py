"""The doctor and a tenant's server: what it finds, and how few calls it takes to find it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bulkops.doctor import Finding, Verdict, as_lines, examine, worst
from bulkops.simulator import Credentials, Options, Running, running
from bulkops.targets.autotask.session import connect
from bulkops.tenant import load_tenants

SECRET = "hunter2-and-more"


def config(folder: Path, url: str | None, *, secret: str = SECRET, budget: str = "", **keys: object) -> Path:
    """A tenants file with the tenant `acme`, its secret in a file of its own."""
    kept = folder / "acme.secret"
    kept.write_text(secret)
    kept.chmod(0o600)
    table = {"url": url, "username": "api@acme.test", "secret": "file:acme.secret", "integration_code": "c"}
    lines = [f"{key} = {json.dumps(value)}" for key, value in {**table, **keys}.items() if value is not None]
    path = folder / "bulkops.toml"
    path.write_text("[tenants.acme]\n" + "\n".join(lines) + f"\n[tenants.acme.budget]\n{budget}\n")
    path.chmod(0o600)
    return path


async def diagnosis(path: Path, **more: Any) -> dict[str, Finding]:
    """What is said of the tenant, by check (of several, the worst)."""
    findings = await examine(path, None, folder=path.parent, **more)
    assert SECRET not in str(findings), "a secret was shown"
    assert SECRET not in "".join(line for line, _ in as_lines(findings))
    by_check: dict[str, Finding] = {}
    for finding in findings:
        known = by_check.get(finding.check)
        by_check[finding.check] = finding if known is None or worst([known]) is Verdict.OK else known
    return by_check


@asynccontextmanager
async def simulator(**options: Any) -> AsyncIterator[Running]:
    options = {"empty": True, "release_ms": 0, "tiers": False, **options}
    async with running(Options(**options)) as started:
        yield started


async def control(started: Running, what: str, body: Any = None) -> Any:
    async with aiohttp.ClientSession() as session:
        method = "GET" if body is None else "POST"
        async with session.request(method, f"{started.control}/{what}", json=body) as response:
            assert response.status == 200
            return await response.json()


async def calls(started: Running) -> Mapping[str, int]:
    stats: dict[str, Any] = await control(started, "stats")
    return {name: number for name, number in stats["by_call"].items() if "zoneInformation" not in name}


async def test_a_healthy_tenant_is_ok_in_two_calls(tmp_path: Path) -> None:
    """Every check says ok, and nothing but usage and access was asked of the server."""
    async with simulator() as started:
        found = await diagnosis(config(tmp_path, started.url))
        assert {finding.verdict for check, finding in found.items() if check != "disk"} == {Verdict.OK}
        assert set(found) >= {"zone", "credentials", "usage", "clock", "access", "threads", "secrets"}
        assert await calls(started) == {"GET ThresholdInformation": 1, "GET EntityInformation": 1}
        assert found["zone"].facts["database"] == str(started.store.ci)
        assert found["usage"].facts["left"] == 7499


async def test_refused_credentials_are_a_problem_after_one_call(tmp_path: Path) -> None:
    """The server is asked once: a second wrong login could lock the account."""
    right = Credentials("api@acme.test", "right", "c")
    async with simulator(credentials=right) as started:
        found = await diagnosis(config(tmp_path, started.url))
        assert found["credentials"].verdict is Verdict.PROBLEM
        assert "integration code" in found["credentials"].message and "once" in found["credentials"].hint
        assert found["zone"].verdict is Verdict.OK
        assert sum((await calls(started)).values()) == 1


async def test_an_unknown_user_is_told_before_anything_is_refused(tmp_path: Path) -> None:
    """Zone information knows no such user: no credentials are sent at all."""
    async with simulator(credentials=Credentials("other@acme.test", SECRET, "c")) as started:
        found = await diagnosis(config(tmp_path, started.url))
        assert found["zone"].verdict is Verdict.PROBLEM and "api@acme.test" in found["zone"].message
        assert await calls(started) == {}


async def test_a_dead_server_is_a_problem(tmp_path: Path) -> None:
    """Nobody listens: a sentence with the address, and no finding that claims to know more."""
    async with simulator() as started:
        url = started.url
    found = await diagnosis(config(tmp_path, url))
    assert found["zone"].verdict is Verdict.PROBLEM and "cannot be reached" in found["zone"].message
    assert not {"credentials", "usage", "access"} & set(found)


async def test_a_missing_secret_sends_nothing(tmp_path: Path) -> None:
    """The zone is still looked at, since that needs no secret."""
    async with simulator() as started:
        path = config(tmp_path, started.url)
        (tmp_path / "acme.secret").unlink()
        found = await diagnosis(path)
        assert found["secrets"].verdict is Verdict.PROBLEM and found["zone"].verdict is Verdict.OK
        assert await calls(started) == {}


async def test_a_window_that_others_filled_is_a_warning(tmp_path: Path) -> None:
    """Beyond our share not one call more is made than the one that asked, and the doctor says what waits."""
    async with simulator(threshold=1000) as started:
        await control(started, "usage", {"requests": 800})
        found = await diagnosis(config(tmp_path, started.url))
        assert found["usage"].verdict is Verdict.WARNING and found["usage"].facts["used"] == 801
        assert "801 of the 1,000" in found["usage"].message and "0 are left" in found["usage"].message
        assert found["access"].verdict is Verdict.WARNING and "not asked" in found["access"].message
        assert await calls(started) == {"GET ThresholdInformation": 1}


async def test_a_full_window_is_a_warning_since_a_run_waits(tmp_path: Path) -> None:
    """The server refuses every call; that stops no run, it makes it wait."""
    async with simulator(threshold=100) as started:
        await control(started, "usage", {"requests": 100})
        found = await diagnosis(config(tmp_path, started.url))
    assert found["usage"].verdict is Verdict.WARNING and "refuses every call" in found["usage"].message
    assert "credentials" not in found


@pytest.mark.parametrize("share", [0.6, 1.0])
async def test_the_doctors_calls_count_like_those_of_a_run(tmp_path: Path, share: float) -> None:
    """While a run uses all that is granted: what both ask is together never above the grant, and the doctor
    does not wait for the window to go by."""
    budget = f"share = {share}\nwindow_s = 2"
    async with simulator(threshold=20, window_s=2) as started:
        path = config(tmp_path, started.url, budget=budget, settle_s=0.3)
        async with connect(load_tenants(path)["acme"]) as target:
            calls = [asyncio.create_task(target.count("Companies")) for _ in range(60)]
            while "used up" not in (target.usage().waiting or ""):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
            begun = time.monotonic()
            found = await diagnosis(path)
            assert time.monotonic() - begun < 1.5
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        assert started.tenant.run.window.busiest_own <= 20 * share
    assert found["usage"].verdict is Verdict.WARNING
    assert found["access"].verdict is Verdict.WARNING and "not asked" in found["access"].message


async def test_a_share_of_nothing_is_a_problem_before_anything_is_asked(tmp_path: Path) -> None:
    """The budget leaves not one call: a run would be refused, and so is the doctor's question."""
    async with simulator() as started:
        found = await diagnosis(config(tmp_path, started.url, budget="share = 0.05\nrequests = 10"))
        assert found["usage"].verdict is Verdict.PROBLEM and "not one call" in found["usage"].message
        assert await calls(started) == {}


async def test_a_ledger_that_cannot_be_kept_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run would be refused, so the doctor says why, and asks the server nothing that it could not count."""
    (tmp_path / "state").write_text("no folder")
    monkeypatch.setenv("BULKOPS_STATE_DIR", str(tmp_path / "state"))
    async with simulator() as started:
        found = await diagnosis(config(tmp_path, started.url))
        assert found["ledger"].verdict is Verdict.PROBLEM
        assert await calls(started) == {}


async def test_hidden_records_are_named(tmp_path: Path) -> None:
    """An API user who sees only some contacts is warned of, and still nothing stops."""
    async with simulator(switches={"restricted": "Contacts,Tickets"}) as started:
        found = await diagnosis(config(tmp_path, started.url))
    assert found["access"].facts["restricted"] == ["Contacts", "Tickets"]
    assert worst(found.values()) is Verdict.WARNING


@pytest.mark.parametrize("fault", [{"do": "status", "code": 500}, {"do": "html_404"}, {"do": "drop"}])
async def test_access_that_cannot_be_read_is_a_warning(tmp_path: Path, fault: dict[str, Any]) -> None:
    """Whatever goes wrong with that one answer, the rest of the diagnosis stands."""
    script = {
        "method": "GET",
        "call": "metadata",
        "entity": "EntityInformation",
        "when": {"nth": [1]},
        **fault,
    }
    async with simulator() as started:
        await control(started, "faults", {"faults": [script]})
        found = await diagnosis(config(tmp_path, started.url))
    assert found["credentials"].verdict is Verdict.OK
    assert found["access"].verdict is Verdict.WARNING and "does not say" in found["access"].message


async def test_every_tenant_is_looked_at_unless_one_is_named(tmp_path: Path) -> None:
    """One that is well and one that is not: both are told, in the order of the file."""
    async with simulator() as started:
        path = config(tmp_path, started.url)
        more = f'[tenants.beta]\nurl = "{started.url}"\nusername = "b"\nsecret = "env:NO_SUCH_SECRET"\n'
        path.write_text(more + 'integration_code = "c"\n' + path.read_text())
        findings = await examine(path, None, folder=tmp_path)
        assert list(dict.fromkeys(f.tenant for f in findings if f.tenant)) == ["beta", "acme"]
        assert worst(findings) is Verdict.PROBLEM
        assert worst(await examine(path, "acme", folder=tmp_path)) is not Verdict.PROBLEM
    unknown = await examine(path, "acne", folder=tmp_path)
    [refusal] = [finding.message for finding in unknown if finding.verdict is Verdict.PROBLEM]
    assert "did you mean 'acme'" in refusal


# --- servers that say something else ---


@asynccontextmanager
async def server(
    *, url: str | None = None, date: str | None = None, status: int = 200, said: Any = None
) -> AsyncIterator[tuple[str, list[str]]]:
    """A stub tenant whose zone names `url` (its own by default); `said`: what ThresholdInformation is."""
    seen: list[str] = []
    base = ""
    threshold = {"externalRequestThreshold": 10_000, "requestThresholdTimeframe": 60,
                 "currentTimeframeRequestCount": 5}  # fmt: skip

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.path.rpartition("/")[2])
        headers = {"Date": date} if date else {}
        if seen[-1] == "zoneInformation":
            return web.json_response({"url": (url or base) + "/", "ci": 30595}, headers=headers)
        if seen[-1] == "EntityInformation":
            return web.json_response({"entityDescriptions": []}, headers=headers)
        return web.json_response(threshold if said is None else said, status=status, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}/ATServicesRest"
    try:
        yield base, seen
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("ahead_s", "verdict", "words"),
    [
        (0, Verdict.OK, "agrees"),
        (50, Verdict.OK, "agrees"),
        (-90, Verdict.WARNING, "1 min 30 s ahead of"),
        (7200, Verdict.WARNING, "2 h 0 min behind"),
    ],
)
async def test_a_clock_that_is_wrong_is_a_warning(
    tmp_path: Path, ahead_s: int, verdict: Verdict, words: str
) -> None:
    """The server's Date against ours; more than a minute apart is named with its direction."""
    now = 1_795_000_000.0
    stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now + ahead_s))
    async with server(date=stamp) as (url, _):
        found = await diagnosis(config(tmp_path, url), wall=lambda: now)
    assert found["clock"].verdict is verdict and words in found["clock"].message
    assert found["clock"].facts["ahead_s"] == ahead_s


async def test_a_clock_that_cannot_be_read_is_not_compared(tmp_path: Path) -> None:
    """A date in another form is no reason to warn."""
    async with server(date="yesterday") as (url, _):
        found = await diagnosis(config(tmp_path, url))
    assert found["clock"].verdict is Verdict.OK and "not compared" in found["clock"].message


async def test_a_zone_that_names_another_address_is_a_warning(tmp_path: Path) -> None:
    """A configured url that is not the user's zone hides records or is refused."""
    named = "https://webservices5.autotask.net/ATServicesRest"
    async with server(url=named) as (url, _):
        found = await diagnosis(config(tmp_path, url))
        assert found["zone"].verdict is Verdict.WARNING and named in found["zone"].message
    async with server(url="https://elsewhere.example") as (url, _):
        found = await diagnosis(config(tmp_path, url))
        assert found["zone"].verdict is Verdict.WARNING and "elsewhere" not in found["zone"].message
    async with server() as (url, _):
        assert (await diagnosis(config(tmp_path, url.upper().replace("HTTP", "http"))))[
            "zone"
        ].verdict is Verdict.OK


@pytest.mark.parametrize(
    ("status", "said", "check", "verdict", "asked"),
    [
        (401, {"errors": ["no"]}, "credentials", Verdict.PROBLEM, 1),
        (500, {"errors": ["The integration code is invalid."]}, "credentials", Verdict.PROBLEM, 1),
        (403, {}, "server", Verdict.PROBLEM, 1),
        (503, {}, "server", Verdict.PROBLEM, 1),
        (
            429,
            {"errors": ["The thread threshold of 3 threads has been exceeded"]},
            "usage",
            Verdict.WARNING,
            1,
        ),
        (500, {"errors": ["You are not authorized to do this"]}, "usage", Verdict.WARNING, 2),
        (404, {}, "usage", Verdict.WARNING, 2),
    ],
)
async def test_each_refusal_of_the_first_call_is_told_apart(
    tmp_path: Path, *, status: int, said: dict[str, Any], check: str, verdict: Verdict, asked: int
) -> None:
    """What stops a run is a problem, what slows one is a warning; nothing is asked twice."""
    async with server(status=status, said=said) as (url, seen):
        found = await diagnosis(config(tmp_path, url))
    assert found[check].verdict is verdict
    assert found[check].hint or "Check " in found[check].message
    assert [path for path in seen if path != "zoneInformation"].count("ThresholdInformation") == 1
    assert len([path for path in seen if path != "zoneInformation"]) == asked
