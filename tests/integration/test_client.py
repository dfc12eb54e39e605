"""The Autotask target against a server that misbehaves on purpose: zones, secrets, pages, lost networks."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from bulkops.errors import (
    InDoubtError,
    NotSentError,
    RefusedError,
    RejectedError,
    StopError,
    TenantError,
    ThrottledError,
)
from bulkops.secret import Secret
from bulkops.targets.autotask.client import AutotaskTarget
from bulkops.targets.autotask.session import connect
from bulkops.tenant import Budget, Tenant

Answer = Callable[["Stub", web.Request, Any], "web.StreamResponse | None"]


class NoWait(random.Random):
    """Waits that are drawn at random are over at once."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


class Stub:
    """A server with zone and usage information; all else is answered by `answer`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.url = ""
        self.port = 0
        self.zone_url = ""  # what zone information names; "": this server
        self.ci = 7
        self.threshold: dict[str, Any] = {
            "externalRequestThreshold": 10_000,
            "requestThresholdTimeframe": 60,
            "currentTimeframeRequestCount": 3,
        }
        self.refuses = False  # 401 to whatever has credentials
        self.calls: list[tuple[str, str, Any]] = []  # method, path below the version, body
        self.seen: Counter[str] = Counter()
        self.alone: list[int] = []  # calls under way when each call came
        self.under_way = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.partition("/V1.0/")[2]
        body = await request.json() if request.can_read_body else None
        self.calls.append((request.method, path, body))
        self.seen[f"{request.method} {path}"] += 1
        self.under_way += 1
        self.alone.append(self.under_way)
        try:
            await asyncio.sleep(0.001)  # so that calls can overlap
            return self.reply(request, path, body)
        finally:
            self.under_way -= 1

    def reply(self, request: web.Request, path: str, body: Any) -> web.StreamResponse:
        if path == "zoneInformation":
            return web.json_response({"url": f"{self.zone_url or self.url}/", "ci": self.ci})
        if self.refuses:
            return web.Response(status=401)
        if path == "ThresholdInformation":
            return web.json_response(self.threshold)
        found = self.answer(self, request, body)
        return web.json_response({"itemId": 4}) if found is None else found


def nothing_special(stub: Stub, request: web.Request, body: Any) -> web.StreamResponse | None:
    return None


@asynccontextmanager
async def serving(
    answer: Answer = nothing_special, *, kind: type[Stub] = Stub, port: int = 0
) -> AsyncIterator[Stub]:
    stub = kind(answer)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", stub.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    stub.port = runner.addresses[0][1]
    stub.url = f"http://127.0.0.1:{stub.port}/ATServicesRest"
    try:
        yield stub
    finally:
        await runner.cleanup()


async def until(holds: Callable[[], object]) -> None:
    """Lets others work until it holds."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - a state of the target, which tells nobody
            await asyncio.sleep(0.001)


def tenant(url: str | None, *, zone_url: str | None = None, **budget: Any) -> Tenant:
    return Tenant(
        name="acme",
        url=url,
        zone_url=zone_url,
        username="api@acme.test",
        secret=Secret("s3cret"),
        integration_code=Secret("c0de"),
        settle_s=5,
        budget=Budget(**{"release_ms": 0, **budget}),
    )


def opened(who: Tenant, **knobs: Any) -> AbstractAsyncContextManager[AutotaskTarget]:
    return connect(who, rng=NoWait(), **{"reconnect_s": (), **knobs})


async def all_of(target: AutotaskTarget, entity: str = "Tickets", **knobs: Any) -> list[Any]:
    return [record async for record in target.read(entity, {"op": "exist", "field": "id"}, **knobs)]


# --- who and where ---------------------------------------------------------------------------------------


async def test_the_zone_is_asked_and_followed() -> None:
    """Without a url the zone says where to go; identity is the database it names."""
    async with serving() as here, serving() as there:
        here.zone_url = there.url
        async with opened(tenant(None, zone_url=here.url)) as target:
            assert await target.identity() == "7"
            assert await target.create("Tickets", {"title": "x"}) == 4
    assert [path for _, path, _ in here.calls] == ["zoneInformation"]
    assert [path for _, path, _ in there.calls] == ["ThresholdInformation", "Tickets"]


async def test_a_url_that_is_given_is_kept() -> None:
    """With a url the zone is asked for the database only."""
    async with serving() as here, serving() as there:
        here.zone_url = there.url
        async with opened(tenant(here.url)) as target:
            assert await target.identity() == "7"
    assert there.calls == []


async def test_a_zone_elsewhere_is_refused() -> None:
    """A zone on a foreign host gets nothing: no call, no credentials."""
    async with serving() as here:
        here.zone_url = "https://evil.test"
        with pytest.raises(TenantError, match=r"would send the credentials to evil\.test"):
            async with opened(tenant(None, zone_url=here.url)):
                pass
    assert here.seen == {"GET zoneInformation": 1}


async def test_an_unknown_user_is_a_sentence() -> None:
    """Zone information answers HTTP 500 for an unknown user: the sentence names the user."""

    class Unknown(Stub):
        def reply(self, request: web.Request, path: str, body: Any) -> web.StreamResponse:
            return web.json_response({"errors": ["Zone information could not be determined"]}, status=500)

    async with serving(kind=Unknown) as here:
        with pytest.raises(TenantError, match=r"knows no API user api@acme\.test"):
            async with opened(tenant(here.url)):
                pass


async def test_a_dead_server_is_a_sentence() -> None:
    """Nobody listens: told in a moment, with the host and what to check."""
    async with serving() as here:
        pass
    with pytest.raises(TenantError, match=r"127\.0\.0\.1:\d+ cannot be reached.*Check the network"):
        async with opened(tenant(here.url)):
            pass


async def test_wrong_credentials_are_tried_once() -> None:
    """A 401 on the first call ends it there: one call, so that the account is not locked."""
    async with serving() as here:
        here.refuses = True
        with pytest.raises(TenantError, match="user name, secret or integration code") as caught:
            async with opened(tenant(here.url)):
                pass
    assert here.seen == {"GET zoneInformation": 1, "GET ThresholdInformation": 1}
    assert "s3cret" not in str(caught.value)


async def test_a_wrong_zone_is_hinted_at() -> None:
    """Refused at the url that is written down, while zone information names another one: it is told."""
    async with serving() as here:
        here.refuses, here.zone_url = True, "https://webservices5.autotask.net/ATServicesRest"
        with pytest.raises(TenantError, match=r"names https://webservices5\.autotask\.net"):
            async with opened(tenant(here.url)):
                pass


async def test_a_redirect_at_the_start_is_a_sentence() -> None:
    """Another host is named and never asked."""

    class Elsewhere(Stub):
        def reply(self, request: web.Request, path: str, body: Any) -> web.StreamResponse:
            if path == "zoneInformation":
                return super().reply(request, path, body)
            return web.Response(status=302, headers={"Location": "https://evil.test/login"})

    async with serving(kind=Elsewhere) as here:
        with pytest.raises(TenantError, match=r"tenant acme: .*evil\.test.*not\s+followed"):
            async with opened(tenant(here.url)):
                pass


async def test_a_refusal_on_the_way_ends_the_run() -> None:
    """Once refused with 401, no call leaves any more; each says why."""
    async with serving() as here, opened(tenant(here.url)) as target:
        here.refuses = True
        with pytest.raises(StopError, match="401"):
            await target.create("Tickets", {"title": "x"})
        here.refuses = False
        for entity in ("Tickets", "Projects"):
            with pytest.raises(StopError, match="401"):
                await target.create(entity, {"title": "x"})
    assert here.seen["POST Tickets"] == 1
    assert here.seen["POST Projects"] == 0


async def test_a_database_that_moved_is_followed_once() -> None:
    """401 where the zone was: it is asked once more, and the same call goes to where the database is now."""
    async with serving() as zones, serving() as old, serving() as new:
        zones.zone_url = old.url
        async with opened(tenant(None, zone_url=zones.url)) as target:
            zones.zone_url, old.refuses = new.url, True
            assert await target.create("Tickets", {"title": "x"}) == 4
            assert target.calls.write == 2
            new.refuses = True
            with pytest.raises(StopError):
                await target.create("Tickets", {"title": "y"})
    assert (old.seen["POST Tickets"], new.seen["POST Tickets"]) == (1, 2)
    assert zones.seen["GET zoneInformation"] == 2


async def test_all_calls_of_a_moment_follow_a_database_that_moved() -> None:
    """Several calls are refused at once: the zone is asked once, and all go on there."""
    async with serving() as zones, serving() as old, serving() as new:
        zones.zone_url = old.url
        async with opened(tenant(None, zone_url=zones.url)) as target:
            await target.create("Tickets", {})
            zones.zone_url, old.refuses = new.url, True
            entities = ("Tickets", "Projects", "Companies")
            assert await asyncio.gather(*(target.create(entity, {}) for entity in entities)) == [4, 4, 4]
    assert zones.seen["GET zoneInformation"] == 2
    assert sum(new.seen.values()) == 3


async def test_a_zone_that_cannot_be_asked_again_ends_the_run() -> None:
    """Refused, and the zone's server is gone: the refusal is what is told."""
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(serving())
        async with serving() as zones:
            zones.zone_url = old.url
            target = await stack.enter_async_context(opened(tenant(None, zone_url=zones.url)))
        old.refuses = True
        with pytest.raises(StopError, match="401"):
            await target.create("Tickets", {})


async def test_another_database_is_not_followed() -> None:
    """The zone now names another database: the run ends, nothing is written there."""
    async with serving() as zones, serving() as old, serving() as new:
        zones.zone_url = old.url
        async with opened(tenant(None, zone_url=zones.url)) as target:
            zones.zone_url, zones.ci, old.refuses = new.url, 8, True
            with pytest.raises(StopError):
                await target.create("Tickets", {"title": "x"})
    assert new.calls == []


async def test_the_first_call_goes_alone() -> None:
    """However many calls are asked for at once, the credentials are tried by one call."""
    async with serving() as here, opened(tenant(here.url, per_entity=3)) as target:
        entities = ("Tickets", "Projects", "Companies", "TimeEntries")
        await asyncio.gather(*(target.create(entity, {}) for entity in entities))
    assert here.alone[:2] == [1, 1]  # zone information and the first call with credentials
    assert max(here.alone) > 1


@pytest.mark.parametrize(
    ("status", "text"),
    [(404, "{}"), (500, '{"errors": ["Something new."]}'), (429, '{"errors": ["Itgenatr005"]}')],
    ids=["no route", "refused", "thread limit"],
)
async def test_usage_that_cannot_be_read_is_no_obstacle(status: int, text: str) -> None:
    """Without ThresholdInformation calls go one at a time, and go."""

    class Mute(Stub):
        def reply(self, request: web.Request, path: str, body: Any) -> web.StreamResponse:
            if path == "ThresholdInformation":
                return web.Response(status=status, text=text, content_type="application/json")
            return super().reply(request, path, body)

    async with serving(kind=Mute) as here, opened(tenant(here.url)) as target:
        await asyncio.gather(*(target.create(entity, {}) for entity in ("Tickets", "Projects", "Roles")))
    assert sum(count for path, count in here.seen.items() if path.startswith("POST")) == 3


@pytest.mark.parametrize(("failures", "opens"), [(2, True), (99, False)])
async def test_a_server_that_is_ill_at_the_start_gets_some_tries(failures: int, opens: bool) -> None:
    """A few bare 503 are outlived; a server that stays ill is a sentence."""

    class Ill(Stub):
        def reply(self, request: web.Request, path: str, body: Any) -> web.StreamResponse:
            if path == "ThresholdInformation" and self.seen["GET ThresholdInformation"] <= failures:
                return web.Response(status=503)
            return super().reply(request, path, body)

    async with serving(kind=Ill) as here:
        if opens:
            async with opened(tenant(here.url)) as target:
                assert target.calls.read == 4
        else:
            with pytest.raises(TenantError, match="503"):
                async with opened(tenant(here.url)):
                    pass


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ('{"url": "http://127.0.0.1:1/"}', "names no zone or no database"),
        ('{"ci": 3}', "names no zone or no database"),
        ("<html>", "cannot be read"),
    ],
)
async def test_zone_information_without_a_zone_is_a_sentence(zone: str, said: str) -> None:
    """An answer that is no zone information ends it before anything is sent with credentials."""

    class Odd(Stub):
        def reply(self, request: web.Request, path: str, body: Any) -> web.StreamResponse:
            return web.Response(text=zone, content_type="application/json")

    async with serving(kind=Odd) as here:
        with pytest.raises(TenantError, match=said):
            async with opened(tenant(here.url)):
                pass
    assert set(here.seen) == {"GET zoneInformation"}


async def test_a_full_hour_at_the_start_is_waited_out() -> None:
    """Refused for the hour before anything is known: the target opens, waits, and says why."""

    class Full(Stub):
        def reply(self, request: web.Request, path: str, body: Any) -> web.StreamResponse:
            if path == "ThresholdInformation":
                return web.json_response({"errors": ["The request threshold has been exceeded."]}, status=429)
            return super().reply(request, path, body)

    async with serving(kind=Full) as here, opened(tenant(here.url)) as target:
        call = asyncio.create_task(target.create("Tickets", {}))
        await until(lambda: target.usage().waiting)
        target.drain()
        with pytest.raises(NotSentError):
            await call
    assert here.seen["POST Tickets"] == 0


# --- reading ---------------------------------------------------------------------------------------------


def paged(*pages: list[int], says_next: bool | None = None) -> Answer:
    """Answers queries with these ids in turn. `says_next`: what nextPageUrl says; None: no such key."""
    left = list(pages)

    def answer(stub: Stub, request: web.Request, body: Any) -> web.StreamResponse:
        items = [{"id": number, "title": f"t{number}"} for number in left.pop(0)]
        details = {} if says_next is None else {"nextPageUrl": "more" if says_next and left else None}
        return web.json_response({"items": items, "pageDetails": details})

    return answer


async def test_pages_go_on_after_the_last_id() -> None:
    """Own loop, no cursor: the filter is kept and `id` above the last one is added."""
    first = list(range(500))
    async with serving(paged(first, [500, 777])) as here, opened(tenant(here.url)) as target:
        records = await all_of(target, fields=["title"])
    assert [record["id"] for record in records] == [*first, 500, 777]
    bodies = [body for method, path, body in here.calls if path == "Tickets/query"]
    exist = {"op": "exist", "field": "id"}
    assert bodies == [
        {"MaxRecords": 500, "Filter": [exist], "IncludeFields": ["id", "title"]},
        {
            "MaxRecords": 500,
            "Filter": [exist, {"op": "gt", "field": "id", "value": 499}],
            "IncludeFields": ["id", "title"],
        },
    ]


async def test_a_full_last_page_costs_no_further_call() -> None:
    """Where the server says that nothing follows, nothing is asked."""
    answer = paged(list(range(500)), says_next=False)
    async with serving(answer) as here, opened(tenant(here.url)) as target:
        assert len(await all_of(target)) == 500
    assert here.seen["POST Tickets/query"] == 1


async def test_a_short_page_with_a_next_one_is_not_the_end() -> None:
    """A server may cut pages shorter than asked."""
    answer = paged([1, 2], [3], says_next=True)
    async with serving(answer) as here, opened(tenant(here.url)) as target:
        assert [record["id"] for record in await all_of(target)] == [1, 2, 3]


@pytest.mark.parametrize(
    "pages",
    [
        [[1, 3, 2]],
        [[1, 1]],
        [list(range(500)), list(range(500))],
        [list(range(500)), [499, 500]],
    ],
    ids=["falling", "twice", "same page again", "overlapping"],
)
async def test_pages_that_could_lose_rows_stop_the_reading(pages: list[list[int]]) -> None:
    """A server that ignores the order or the filter is an error, never a silent loss."""
    async with serving(paged(*pages)) as here, opened(tenant(here.url)) as target:
        with pytest.raises(StopError, match="by rising id"):
            await all_of(target)


async def test_udfs_come_flat_and_as_they_are() -> None:
    """User-defined fields are `udf:Name`; asked by name, only those asked for are given."""

    def answer(stub: Stub, request: web.Request, body: Any) -> web.StreamResponse:
        udfs = [{"name": "Legacy ID", "value": "007"}, {"name": "Other", "value": None}]
        item = {"id": 1, "title": "x", "userDefinedFields": udfs, "nested": {"a": 1}}
        return web.json_response({"items": [item], "pageDetails": {}})

    async with serving(answer) as here, opened(tenant(here.url)) as target:
        everything = await all_of(target)
        asked = await all_of(target, fields=["udf:Legacy ID"])
    assert everything == [{"id": 1, "title": "x", "udf:Legacy ID": "007", "udf:Other": None}]
    assert asked == [{"id": 1, "udf:Legacy ID": "007"}]


async def test_reads_persist_until_they_are_answered() -> None:
    """A read that failed in passing is sent again: 503, garbage, a lock, the thread limit."""
    hiccups = [
        web.Response(status=503),
        web.Response(text="<html>", content_type="text/html"),
        web.json_response({"errors": ["Lock request time out period exceeded."]}, status=500),
        web.json_response(
            {"errors": ["The Autotask API thread threshold of 3 threads has been exceeded."]}, status=429
        ),
    ]

    def answer(stub: Stub, request: web.Request, body: Any) -> web.StreamResponse:
        return hiccups.pop(0) if hiccups else web.json_response({"queryCount": 12})

    async with serving(answer) as here, opened(tenant(here.url)) as target:
        assert await target.count("Tickets") == 12
        assert target.calls.read == 7  # zone, usage, five times the count
    assert here.seen["POST Tickets/query/count"] == 5


async def test_reads_give_up_with_a_sentence() -> None:
    """A server that never gives a usable answer stops the run after some tries, and it is not in doubt."""

    def answer(stub: Stub, request: web.Request, body: Any) -> web.StreamResponse:
        return web.Response(status=502)

    async with serving(answer) as here, opened(tenant(here.url)) as target:
        with pytest.raises(StopError, match=r"502.*asked \d times"):
            await target.count("Tickets")
    assert 2 <= here.seen["POST Tickets/query/count"] <= 10


async def test_a_refused_read_is_not_repeated() -> None:
    """A known refusal is final at once."""

    def answer(stub: Stub, request: web.Request, body: Any) -> web.StreamResponse:
        return web.json_response({"errors": ["Unable to find x in the Ticket Entity"]}, status=500)

    async with serving(answer) as here, opened(tenant(here.url)) as target:
        with pytest.raises(RejectedError, match="Unable to find x"):
            await all_of(target)
    assert here.seen["POST Tickets/query"] == 1


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ({"op": "ne", "field": "status", "value": 5}, RefusedError),
        ({"op": "eq", "value": 5}, RefusedError),
        (
            {
                "op": "and",
                "items": [
                    {"op": "eq", "field": "A", "udf": True, "value": "1"},
                    {"op": "eq", "field": "B", "udf": True, "value": "1"},
                ],
            },
            RefusedError,
        ),
        ({"op": "in", "field": "id", "value": list(range(501))}, ValueError),
    ],
    ids=["unknown operator", "no field", "two UDFs", "too many values"],
)
async def test_what_the_api_answers_wrongly_is_not_asked(where: Any, error: type[Exception]) -> None:
    """An unknown operator would be dropped and everything returned: such filters never leave."""
    async with serving() as here, opened(tenant(here.url)) as target:
        with pytest.raises(error):
            await target.count("Tickets", where)
        with pytest.raises(RefusedError, match="cannot query TimeOffRequestsApprove"):
            await target.count("TimeOffRequestsApprove")
        with pytest.raises(RefusedError, match="Did you mean Tickets"):
            await target.count("Tickts")
    assert not [path for path in here.seen if "query" in path]


async def test_metadata_is_read_once_however_many_ask() -> None:
    """Concurrent callers share one reading of an entity's metadata."""

    def answer(stub: Stub, request: web.Request, body: Any) -> web.StreamResponse:
        if request.path.endswith("/entityInformation"):
            return web.json_response({"info": {"canCreate": True, "canUpdate": False}})
        return web.json_response({"fields": [{"name": "title", "dataType": "string", "length": 9}]})

    async with serving(answer) as here, opened(tenant(here.url)) as target:
        shapes = await asyncio.gather(*(target.describe(name) for name in ("Tickets", "tickets", "Ticket")))
    assert all(shape is shapes[0] for shape in shapes)
    assert shapes[0].is_live
    assert set(shapes[0].can) == {"create"}
    assert set(shapes[0].fields) == {"title", "udf:title"}
    assert [count for path, count in here.seen.items() if "entityInformation" in path] == [1, 1, 1]


async def test_an_entity_that_the_tenant_hides_is_a_sentence() -> None:
    """No metadata for this API user: refused with the entity and what to check."""

    def answer(stub: Stub, request: web.Request, body: Any) -> web.StreamResponse:
        return web.json_response({"Message": "No HTTP resource was found."}, status=404)

    async with serving(answer) as here, opened(tenant(here.url)) as target:
        with pytest.raises(TenantError, match=r"does not show Tickets to this API user.*security level"):
            await target.describe("Tickets")


# --- writing ---------------------------------------------------------------------------------------------


async def test_a_write_is_one_attempt() -> None:
    """What may have happened is not sent again here: who applies decides."""

    def answer(stub: Stub, request: web.Request, body: Any) -> web.StreamResponse:
        return web.Response(status=503)

    async with serving(answer) as here, opened(tenant(here.url)) as target:
        with pytest.raises(InDoubtError):
            await target.create("Tickets", {"title": "x"})
        with pytest.raises(InDoubtError):
            await target.update("Tickets", 5, {"title": "x"})
        with pytest.raises(InDoubtError):
            await target.delete("TimeEntries", 5)
        assert target.calls.write == 3
    assert [call for call in here.calls if "Ti" in call[1]] == [
        ("POST", "Tickets", {"title": "x"}),
        ("PATCH", "Tickets", {"title": "x", "id": 5}),
        ("DELETE", "TimeEntries/5", None),
    ]


async def test_children_go_through_their_parents() -> None:
    """Create, update and delete of a child take the parent's path; without a parent nothing leaves."""
    async with serving() as here, opened(tenant(here.url)) as target:
        await target.create("Contacts", {"firstName": "A"}, parent=0)
        await target.update("Contacts", 5, {"firstName": "B"}, parent=0)
        await target.delete("Contacts", 5, parent=0)
        with pytest.raises(RejectedError, match="companyID"):
            await target.update("Contacts", 5, {"firstName": "B"})
    assert here.calls[2:] == [
        ("POST", "Companies/0/Contacts", {"firstName": "A", "companyID": 0}),
        ("PATCH", "Companies/0/Contacts", {"firstName": "B", "id": 5}),
        ("DELETE", "Companies/0/Contacts/5", None),
    ]


async def test_impersonation_is_a_header_of_the_write() -> None:
    """The row's resource wins over the tenant's, which stands in on creates of entities that know it."""
    seen = []

    def answer(stub: Stub, request: web.Request, body: Any) -> web.StreamResponse | None:
        seen.append((request.method, request.headers.get("ImpersonationResourceId")))
        return None

    async with serving(answer) as here:
        who = tenant(here.url).model_copy(update={"impersonate": 29})
        async with opened(who) as target:
            await target.create("Tickets", {})
            await target.create("Tickets", {}, impersonate=30)
            await target.create("Roles", {})
            await target.update("Tickets", 1, {})
            await target.update("Tickets", 1, {}, impersonate=31)
    assert seen == [("POST", "29"), ("POST", "30"), ("POST", None), ("PATCH", None), ("PATCH", "31")]


async def test_a_network_that_comes_back_loses_nothing() -> None:
    """A write that never left is sent as soon as the server can be reached again."""
    async with AsyncExitStack() as stack:
        async with serving() as here:
            target = await stack.enter_async_context(opened(tenant(here.url), reconnect_s=(0.01,) * 500))
        call = asyncio.create_task(target.create("Tickets", {"title": "x"}))
        await until(lambda: target.usage().waiting)
        again = await stack.enter_async_context(serving(port=here.port))
        assert await call == 4
        assert target.calls.write == 1
        assert again.seen == {"POST Tickets": 1}


async def test_a_network_that_stays_away_stops_the_run() -> None:
    """Nothing left this machine: a write says so, and a read says that the run cannot go on."""
    async with AsyncExitStack() as stack:
        async with serving() as here:
            target = await stack.enter_async_context(opened(tenant(here.url), reconnect_s=(0.0,)))
        await asyncio.sleep(0.01)  # the closed connection is noticed
        with pytest.raises(NotSentError, match="cannot be reached"):
            await target.create("Tickets", {})
        with pytest.raises(StopError, match="cannot be reached"):
            await target.count("Tickets")
        assert target.calls.write == 0


# --- the door --------------------------------------------------------------------------------------------


async def test_tokens_tell_answers_from_silence() -> None:
    """An hour's refusal holds everything back until the server says that there is room again."""

    def answer(stub: Stub, request: web.Request, body: Any) -> web.StreamResponse | None:
        text = "The request threshold of 10000 has been exceeded."
        return web.json_response({"errors": [text]}, status=429) if request.method == "PATCH" else None

    async with serving(answer) as here, opened(tenant(here.url)) as target:
        before = target.usage()
        assert (before.granted, before.used, before.others) == (7498, 1, 2)  # one was the poll
        await target.create("Tickets", {})
        assert target.usage().used == 2
        with pytest.raises(ThrottledError):
            await target.update("Tickets", 1, {})
        waiting = asyncio.create_task(target.create("Tickets", {}))
        await until(lambda: target.usage().waiting)
        assert "used up" in (target.usage().waiting or "")
        target.drain()
        with pytest.raises(NotSentError):
            await waiting
    assert here.seen["POST Tickets"] == 1


async def test_draining_sends_waiting_calls_home_and_lets_the_rest_finish() -> None:
    """What is in flight ends as it ends; what waits and what comes raises NotSentError."""

    class Slow(Stub):
        release = asyncio.Event()

        async def handle(self, request: web.Request) -> web.StreamResponse:
            if request.method == "POST":
                await self.release.wait()
            return await super().handle(request)

    async with serving(kind=Slow) as here, opened(tenant(here.url)) as target:
        calls = [asyncio.create_task(target.create("Tickets", {"title": str(n)})) for n in range(5)]
        await until(lambda: target.usage().in_flight == {"Tickets": 2})
        target.drain()
        Slow.release.set()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(NotSentError):
            await target.count("Tickets")
    assert ends[:2] == [4, 4]
    assert [type(end) for end in ends[2:]] == [NotSentError] * 3
    assert here.seen["POST Tickets"] == 2


async def test_a_cancelled_call_gives_its_slot_back_and_keeps_its_token() -> None:
    """A write that was cancelled on the way may still land: its token stays out, its slot does not."""

    class Silent(Stub):
        release = asyncio.Event()

        async def handle(self, request: web.Request) -> web.StreamResponse:
            if request.method == "POST":
                await self.release.wait()
            return await super().handle(request)

    async with serving(kind=Silent) as here, opened(tenant(here.url, per_entity=1)) as target:
        lost = asyncio.create_task(target.create("Tickets", {}))
        await until(lambda: target.calls.write)
        lost.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lost
        assert target.usage().used == 2  # one was the poll
        Silent.release.set()
        assert await target.create("Tickets", {}) == 4
        assert target.usage().used == 3


async def test_no_more_than_allowed_are_in_flight() -> None:
    """However many calls are asked for, the server never sees more of one entity at once."""
    async with serving() as here, opened(tenant(here.url, per_entity=2)) as target:
        await asyncio.gather(*(target.create("Tickets", {"title": str(n)}) for n in range(50)))
    assert max(here.alone) == 2
    assert here.seen["POST Tickets"] == 50
