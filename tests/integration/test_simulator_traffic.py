"""The simulator's limits, faults and controls over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bulkops.simulator import Options, Running, running

HEADERS = {"ApiIntegrationCode": "CODE", "UserName": "api@firm.test", "Secret": "s3cret"}
THREADS_TEXT = "The Autotask API thread threshold of {} threads has been exceeded."
ALL = {"filter": [{"op": "exist", "field": "id"}]}


class Client:
    """Calls the API and the controls, and knows no retry."""

    def __init__(self, simulator: Running, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.session = session

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        url = f"{self.simulator.url}/V1.0{path}"
        data = None if body is None else json.dumps(body)
        async with self.session.request(method, url, data=data, headers=HEADERS | headers) as response:
            return response.status, await response.text()

    async def create(self, name: str = "Group") -> tuple[int, str]:
        return await self.send("POST", "/ContactGroups", {"name": name, "isActive": True})

    async def control(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"{self.simulator.control}{path}"
        async with self.session.request(
            method, url, data=None if body is None else json.dumps(body)
        ) as response:
            return response.status, json.loads(await response.text())

    async def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.control("GET", "/stats"))[1]
        return found

    async def log(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = (await self.control("GET", "/log?after=0"))[1]["entries"]
        return entries

    async def script(self, **fault: Any) -> None:
        """A script of one fault for creates of contact groups."""
        fault = {"method": "POST", "entity": "ContactGroups", **fault}
        assert (await self.control("POST", "/faults", {"faults": [fault]}))[0] == 200

    def names(self) -> list[str]:
        return [row["name"] for row in self.simulator.store.table("ContactGroups").values()]


@contextlib.asynccontextmanager
async def client(**options: Any) -> AsyncIterator[Client]:
    options = {"threads": 0, "empty": True, **options}
    async with running(Options(**options)) as simulator, aiohttp.ClientSession() as session:
        yield Client(simulator, session)


@pytest.fixture
async def free() -> AsyncIterator[Client]:
    """A simulator without limits."""
    async with client(threshold=0) as found:
        yield found


async def test_the_fourth_request_at_a_time_is_refused_and_counted() -> None:
    """Promises three in flight per entity, 429 with the known text, and what the statistics say of it."""
    async with client(threads=3, latency_ms=60, release_ms=0) as free:
        answers = await asyncio.gather(
            *(free.send("POST", "/Roles/query", ALL) for _ in range(4)), free.create()
        )
        assert sorted(status for status, _ in answers) == [200, 200, 200, 200, 429]
        refused = next(text for status, text in answers if status == 429)
        assert json.loads(refused) == {"errors": [THREADS_TEXT.format(3)]}
        stats = await free.stats()
        assert stats["refused"] == {"threads": 1, "hour": 0}
        assert stats["max_in_flight"] == {"Roles": 3, "ContactGroups": 1}
        assert stats["requests"] == 5
        assert (await free.send("POST", "/Roles/query", ALL))[0] == 200


async def test_a_slot_is_free_only_some_time_after_its_answer() -> None:
    """Promises the late release, which does not count as in flight."""
    async with client(threads=1, release_ms=80) as one:
        assert (await one.create("first"))[0] == 200
        assert (await one.create("second"))[0] == 429
        await asyncio.sleep(0.09)
        assert (await one.create("second"))[0] == 200
        assert (await one.stats())["max_in_flight"] == {"ContactGroups": 1}


@pytest.mark.parametrize(("scope", "refused"), [("child", False), ("parent", True), ("both", True)])
async def test_a_child_path_takes_the_slot_the_switch_says(scope: str, refused: bool) -> None:
    """Promises the child's slot by default, and the parent's where that is what is tried."""
    async with client(threads=1, release_ms=10_000, switches={"thread_scope": scope}) as one:
        assert (await one.send("GET", "/Companies/0"))[0] == 200
        assert ((await one.send("GET", "/Companies/0/Contacts"))[0] == 429) == refused


@pytest.mark.parametrize(
    ("switches", "status", "header"),
    [
        ({}, 429, None),
        ({"hour_status": "500"}, 500, None),
        ({"hour_status": "403", "retry_after": "on"}, 403, "600"),
    ],
)
async def test_the_window_refuses_everybody_when_it_is_full(
    switches: dict[str, str], status: int, header: str | None
) -> None:
    """Promises the refusal of every call, whoever used it up, with the status of the switch."""
    async with client(threshold=5, window_s=600, tiers=False, switches=switches) as full:
        await full.control("POST", "/usage", {"requests": 3})
        assert [(await full.create(f"G{n}"))[0] for n in range(3)] == [200, 200, status]
        url = f"{full.simulator.url}/V1.0/Companies/0"
        async with full.session.get(url, headers=HEADERS) as response:
            assert response.headers.get("Retry-After") == header
        stats = await full.stats()
        assert stats["refused"] == {"threads": 0, "hour": 2}
        assert (stats["busiest_window"], stats["busiest_own"]) == (5, 2)


async def test_the_window_rolls_on() -> None:
    """Promises room again one window after the requests that took it."""
    async with client(threshold=2, window_s=0.3, tiers=False, switches={"refused_count": "off"}) as short:
        assert [(await short.create(f"G{n}"))[0] for n in range(3)] == [200, 200, 429]
        await asyncio.sleep(0.32)
        assert (await short.create("later"))[0] == 200


@pytest.mark.parametrize(("tiers", "expected"), [(True, [0, 0, 1, 2]), (False, [0, 0, 0, 0])])
async def test_requests_are_slower_from_half_and_from_three_quarters(
    tiers: bool, expected: list[int]
) -> None:
    """Promises both tiers, none below half, none at all without tiers."""
    switches = {"tier_half_ms": "60", "tier_three_quarters_ms": "120"}
    async with client(threshold=4, tiers=tiers, switches=switches) as slow:
        steps = []
        for number in range(4):
            before = time.perf_counter()
            assert (await slow.create(f"G{number}"))[0] == 200
            steps.append(int((time.perf_counter() - before) / 0.055))
        assert [min(step, 2) for step in steps] == expected


async def test_threshold_information_counts_itself_and_zone_information_counts_nothing() -> None:
    """Promises the numbers a client may rely on."""
    async with client(threshold=100, window_s=300, threads=1, release_ms=60_000) as counted:
        await counted.send("GET", "/zoneInformation?user=x")
        await counted.send("GET", "/zoneInformation?user=x")
        await counted.create()
        _, text = await counted.send("GET", "/ThresholdInformation")
        assert json.loads(text) == {
            "externalRequestThreshold": 100,
            "requestThresholdTimeframe": 5,
            "currentTimeframeRequestCount": 2,
        }
        assert (await counted.send("GET", "/ThresholdInformation"))[0] == 429


@pytest.mark.parametrize(
    ("fault", "status", "committed"),
    [
        ({"do": "status", "code": 503}, 503, False),
        ({"do": "status", "code": 500, "body": {"errors": ["Deadlock"]}}, 500, False),
        ({"do": "status_after_commit", "code": 503}, 503, True),
        ({"do": "drop"}, None, False),
        ({"do": "drop_after_commit"}, None, True),
        ({"do": "delay", "ms": 80}, 200, True),
        ({"do": "garbage"}, 200, True),
        ({"do": "truncate"}, None, True),
        ({"do": "html_404"}, 404, False),
        ({"do": "unauthorized"}, 401, False),
        ({"do": "thread_limit"}, 429, False),
        ({"do": "hour_limit"}, 429, False),
        ({"do": "edit", "fields": {"name": "x"}}, 200, True),
    ],
)
async def test_each_fault_does_what_it_says(
    free: Client, fault: dict[str, Any], status: int | None, committed: bool
) -> None:
    """Promises what the client sees of the third create, and whether its record is there, once."""
    await free.script(when={"nth": [3]}, **fault)
    seen: list[int | None] = []
    started = time.perf_counter()
    for number in range(4):
        try:
            seen.append((await free.create(f"G{number}"))[0])
        except aiohttp.ClientError:
            seen.append(None)
    assert seen == [200, 200, status, 200]
    assert free.names() == ["G0", "G1", *(["G2"] if committed else []), "G3"]
    assert (await free.stats())["committed"]["create"] == (4 if committed else 3)
    entry = (await free.log())[2]
    whole = fault["do"] in ("truncate",)  # the log says what was meant to be answered
    assert entry["status"] == (200 if whole else status)
    assert (entry["item_id"] is not None) == committed
    assert (time.perf_counter() - started >= 0.08) or fault["do"] != "delay"


async def test_what_a_fault_answers_is_as_broken_as_it_says(free: Client) -> None:
    """Promises a body that is no JSON, HTML where a page is meant, nothing where no body is given."""
    await free.script(do="garbage")
    _, text = await free.create("a")
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    await free.script(do="html_404")
    assert "<html" in (await free.create("b"))[1]
    await free.script(do="status", code=502, body="<html>bad gateway</html>")
    assert await free.create("c") == (502, "<html>bad gateway</html>")
    await free.script(do="status", code=503)
    assert await free.create("d") == (503, "")


async def test_a_late_commit_lands_after_its_connection_closed(free: Client) -> None:
    """Promises a closed connection first, the record that much later, and its id in the log then."""
    await free.script(do="late_commit", ms=120)
    with pytest.raises(aiohttp.ClientError):
        await free.create("late")
    assert free.names() == []
    assert (await free.log())[0]["item_id"] is None
    await asyncio.sleep(0.2)
    assert free.names() == ["late"]
    assert (await free.log())[0]["item_id"] == next(iter(free.simulator.store.table("ContactGroups")))
    assert (await free.stats())["committed"]["create"] == 1


async def test_a_reset_forgets_late_commits(free: Client) -> None:
    """Promises that nothing of before a reset lands after it."""
    await free.script(do="late_commit", ms=60)
    with pytest.raises(aiohttp.ClientError):
        await free.create("late")
    assert (await free.control("POST", "/reset"))[0] == 200
    await asyncio.sleep(0.1)
    assert free.names() == []


async def test_somebody_else_edits_just_before_an_update(free: Client) -> None:
    """Promises that the foreign change is there, and the client's change on top of it."""
    made = json.loads((await free.create("mine"))[1])["itemId"]
    fault = {"method": "PATCH", "entity": "ContactGroups", "do": "edit", "fields": {"Name": "theirs"}}
    await free.control("POST", "/faults", {"faults": [fault]})
    assert (await free.send("PATCH", "/ContactGroups", {"id": made, "isActive": False}))[0] == 200
    row = free.simulator.store.table("ContactGroups")[made]
    assert (row["name"], row["isActive"]) == ("theirs", False)


async def test_faults_reach_queries_counts_reads_and_metadata(free: Client) -> None:
    """Promises every call of the script's words."""
    calls = {
        "query": ("POST", "/ContactGroups/query", ALL),
        "count": ("POST", "/ContactGroups/query/count", ALL),
        "get": ("GET", "/ContactGroups/5", None),
        "metadata": ("GET", "/ContactGroups/entityInformation/fields", None),
    }
    for call in calls:
        fault = {"entity": "ContactGroups", "call": call, "do": "status", "code": 502}
        await free.control("POST", "/faults", {"faults": [fault]})
        seen = {name: (await free.send(*arguments))[0] for name, arguments in calls.items()}
        assert seen == {name: 502 if name == call else 200 for name in calls}


async def test_parallel_writes_lose_locks_by_switch() -> None:
    """Promises refusals before commit, only beside another request of the entity, only where switched on."""
    async with client(threshold=0, latency_ms=30, release_ms=0, switches={"lock_failures": "1"}) as locked:
        answers = await asyncio.gather(*(locked.create(f"G{n}") for n in range(3)))
        assert sorted(status for status, _ in answers) == [200, 500, 500]
        assert sum("deadlock" in text for _, text in answers) == 2
        assert len(locked.names()) == 1
        assert (await locked.create("alone"))[0] == 200


async def test_reads_and_writes_one_after_the_other_lose_no_locks() -> None:
    """Promises that a query is never a deadlock's victim, nor a write beside a slot that is only late."""
    switches = {"lock_failures": "1"}
    async with client(threshold=0, latency_ms=30, release_ms=60_000, switches=switches) as calm:
        path = "/ContactGroups/query"
        answers = await asyncio.gather(*(calm.send("POST", path, ALL) for _ in range(3)))
        assert {status for status, _ in answers} == {200}
        assert [(await calm.create(f"G{n}"))[0] for n in range(3)] == [200] * 3


async def test_statistics_count_calls_by_their_own_entity(free: Client) -> None:
    """Promises the documented keys, a child path under its entity, and controls nowhere."""
    contact = {"firstName": "A", "lastName": "B", "isActive": 1}
    await free.send("POST", "/Companies/0/Contacts", contact)
    await free.send("POST", "/Contacts/query", ALL)
    await free.send("GET", "/Companies/0/Contacts")
    await free.send("POST", "/Tasks", {})
    stats = await free.stats()
    assert set(stats) == {
        "requests", "by_call", "refused", "max_in_flight", "busiest_window", "busiest_own", "committed",
    }  # fmt: skip
    assert stats["requests"] == 4
    assert {"POST Contacts": 1, "POST Contacts/query": 1, "GET Contacts": 1}.items() <= stats[
        "by_call"
    ].items()
    assert stats["committed"] == {"create": 1, "update": 0, "delete": 0}


async def test_the_log_tells_each_request_from_a_number_on(free: Client) -> None:
    """Promises n from 1, epoch seconds, the record, and only what is newer than asked for."""
    before = time.time()
    await free.create("a")
    await free.send("GET", "/ContactGroups/77")
    entries = await free.log()
    assert [entry["n"] for entry in entries] == [1, 2]
    first = entries[0]
    assert set(first) == {"n", "t", "method", "path", "entity", "status", "in_flight", "item_id"}
    assert before <= first["t"] <= time.time()
    assert (first["method"], first["entity"], first["status"], first["in_flight"]) == (
        "POST",
        "ContactGroups",
        200,
        1,
    )
    assert first["path"].endswith("/V1.0/ContactGroups")
    assert (await free.control("GET", "/log?after=1"))[1]["entries"] == entries[1:]
    assert (await free.control("GET", "/log"))[1]["entries"] == entries


async def test_rows_are_loaded_read_and_edited_without_rules(free: Client) -> None:
    """Promises rows as they are, every field of them, and no trace in the statistics."""
    rows = [{"id": 31, "title": "x", "status": 999}, {"title": "y"}]
    status, answer = await free.control("POST", "/rows/tasks", {"items": rows})
    assert (status, answer["ids"][0], len(answer["ids"])) == (200, 31, 2)
    assert (await free.control("POST", "/edit/Tasks", {"items": [{"id": 31, "Title": "z"}]}))[0] == 200
    _, found = await free.control("GET", "/rows/Tasks")
    assert [row["title"] for row in found["items"]] == ["z", "y"]
    assert (found["items"][0]["status"], found["items"][0]["phaseID"]) == (999, None)
    assert "remainingHours" in found["items"][0]
    assert (await free.stats())["requests"] == 0


async def test_many_rows_are_read_back_whole(free: Client) -> None:
    """Promises that the stream of rows is one JSON object, however many there are."""
    rows = [{"id": n, "title": f"T{n}"} for n in range(2501)]
    await free.control("POST", "/rows/Tasks", {"items": rows})
    _, found = await free.control("GET", "/rows/Tasks")
    assert [row["id"] for row in found["items"]] == list(range(2501))
    assert await free.control("GET", "/rows/Tickets") == (200, {"items": []})


async def test_a_reset_is_the_start_again() -> None:
    """Promises rows, ids, switches, counts, log, faults and window as after the start, and the same ci."""
    async with client(threshold=3, tiers=False, switches={"missing_get": "404"}) as used:
        ci, first = used.simulator.store.ci, json.loads((await used.create("a"))[1])["itemId"]
        await used.script(do="drop")
        await used.control("POST", "/usage", {"requests": 5})
        await used.control("POST", "/switches", {"missing_get": "200", "trim": "off"})
        assert (await used.control("POST", "/reset"))[0] == 200
        assert (await used.stats())["requests"] == 0
        assert await used.log() == []
        assert (await used.control("GET", "/switches"))[1]["missing_get"] == "404"
        assert (await used.control("GET", "/switches"))[1]["trim"] == "on"
        status, text = await used.create("a")
        assert (status, json.loads(text)["itemId"]) == (200, first)
        assert used.simulator.store.ci == ci


@pytest.mark.parametrize(
    ("call", "body", "status", "words"),
    [
        ("GET /nonsense", None, 404, "controls are"),
        ("GET /rows/Taskz", None, 400, "did you mean Tasks?"),
        ("POST /rows/Tasks", {"rows": []}, 400, "'items'"),
        ("POST /rows/Tasks", {"items": [{"titel": 1}]}, 400, "did you mean title?"),
        ("POST /edit/Tasks", {"items": [{"id": 5}]}, 400, "no Tasks with the id 5"),
        ("POST /faults", {"faults": [{"do": "nothing"}]}, 400, "faults[0].do"),
        ("POST /usage", {"requests": "many"}, 400, "requests"),
        ("POST /switches", {"missing_get": "maybe"}, 400, "200 or 404"),
        ("GET /log?after=x", None, 400, "after"),
    ],
)
async def test_a_wrong_control_is_answered_with_a_sentence(
    free: Client, call: str, body: Any, status: int, words: str
) -> None:
    """Promises what is wrong and what is allowed."""
    method, path = call.split()
    answered, answer = await free.control(method, path, body)
    assert answered == status
    assert words in answer["errors"][0]


async def test_a_script_and_rows_can_be_given_at_the_start(tmp_path: Path) -> None:
    """Promises --faults and --load."""
    faults, load = tmp_path / "faults.json", tmp_path / "load.json"
    faults.write_text(json.dumps({"faults": [{"entity": "ContactGroups", "do": "status", "code": 418}]}))
    load.write_text(json.dumps({"rows": {"ContactGroups": [{"id": 5, "name": "Loaded"}]}}))
    async with client(faults=faults, load=load) as begun:
        assert begun.names() == ["Loaded"]
        assert (await begun.create())[0] == 418


async def test_a_client_that_hangs_up_breaks_nothing(free: Client) -> None:
    """Promises that half a request, or no HTTP at all, leaves the simulator as it was."""
    host, port = free.simulator.url.removeprefix("http://").partition("/")[0].split(":")
    for sent in (
        b"POST /ATServicesRest/V1.0/ContactGroups HTTP/1.1\r\nContent-Length: 99\r\n\r\n{",
        b"\x16\x03\x01\r\n\r\n",
    ):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await free.create("after"))[0] == 200
    assert free.names() == ["after"]
