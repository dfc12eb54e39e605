"""One request over the network: is it let in, what goes wrong with it, when is it answered, what is noted.

Order: path, credentials, verb, hour, threads, fault script, service. A write is done as soon as its request
is let in; latency and `delay` hold back the answer (and its thread slot), never the write. Only
`late_commit` makes a write late.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from aiohttp import web

from bulkops.simulator import answers, metadata, routes
from bulkops.simulator.answers import Answer
from bulkops.simulator.asked import Asked, BodyError, unpacked
from bulkops.simulator.faults import Call, Do, Fault
from bulkops.simulator.limits import ThreadKey
from bulkops.simulator.options import Credentials
from bulkops.simulator.routes import Found, Kind, Route
from bulkops.simulator.stats import Entry
from bulkops.simulator.tenancy import Run, Tenant

ROOT = "/ATServicesRest"
HOST = re.compile(r"[\w.\-]+(:\d+)?|\[[0-9A-Fa-f:]+\](:\d+)?")
GARBAGE = b"<<< Server Error in '/ATServicesRest' Application >>>\x00{itemId:"
SETTINGS = (Kind.RECIPIENTS, Kind.RECIPIENT)  # kept beside the records
UNCOMMITTED = (Do.STATUS, Do.DROP, Do.HTML_404, Do.UNAUTHORIZED, Do.THREAD_LIMIT, Do.HOUR_LIMIT)
LOCKING = (Call.CREATE, Call.UPDATE, Call.DELETE)
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Visit:
    """One request on its way through, and the run that counts it."""

    run: Run
    method: str
    path: str  # as received, with its query
    entity: str
    arrived: float  # epoch seconds
    in_flight: int = 0
    hold_s: float = 0.0  # how late the answer is
    log_number: int = 0


class Exchange:
    """Takes requests for the API. `address` is where it listens, as `host:port`."""

    def __init__(
        self, tenant: Tenant, *, address: str = "127.0.0.1", wall: Callable[[], float] = time.time
    ) -> None:
        self.tenant = tenant
        self.address = address
        self._wall = wall
        self._late: set[asyncio.TimerHandle] = set()

    def forget_late(self) -> None:
        """Writes that were to come late never come."""
        for handle in self._late:
            handle.cancel()
        self._late.clear()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = request.raw_path
        path, _, query = target.partition("?")
        found = routes.find(path)
        entity = found.route.entity if found else ""
        visit = Visit(self.tenant.run, request.method, target, entity, self._wall())
        label = found.route.label if found else "(no such path)"
        visit.run.stats.note_call(f"{request.method} {label}")
        if found is None:
            answer = answers.not_found(self.tenant.switches, f"{self._origin(request)}{path}")
        elif found.route.is_open:
            answer = await self._open(visit, request, found, query)
        else:
            answer = await self._guarded(visit, request, found, query)
        return self._close(visit, request, answer)

    async def _open(self, visit: Visit, request: web.BaseRequest, found: Found, query: str) -> Answer:
        """What needs no credentials and takes no thread: zone and versions."""
        if request.method not in found.route.methods:
            return answers.wrong_verb(self.tenant.switches, request.method)
        if self.tenant.switches.zone_count == "on":
            visit.run.window.admit()
        return await self._perform(visit, request, found, query)

    async def _guarded(self, visit: Visit, request: web.BaseRequest, found: Found, query: str) -> Answer:
        switches, run, route = self.tenant.switches, visit.run, found.route
        if not authorized(request, self.tenant.options.credentials):
            return answers.unauthorized(switches)
        if not route.takes(request.method, switches.id_in_path):
            return answers.wrong_verb(switches, request.method)
        code = request.headers["ApiIntegrationCode"]
        used = run.window.used()
        visit.in_flight = run.flights.counts.get((code, route.entity), 0)
        if used >= run.window.threshold:
            return self._hour_refusal(run)
        keys = thread_keys(code, route, switches.thread_scope)
        if not run.threads.enter(keys):
            if switches.thread_excess == "refuse":
                return self._thread_refusal(run)
            run.threads.force(keys)
            visit.hold_s += 1.0
        visit.hold_s += self._tier_s(used / run.window.threshold)
        run.window.admit()
        visit.in_flight = run.flights.enter((code, route.entity))
        run.stats.note_in_flight(route.entity, visit.in_flight)
        try:
            if self._loses_lock(run, route.call(request.method), visit.in_flight):
                return answers.errors(answers.DEADLOCK_TEXT)
            return await self._perform(visit, request, found, query)
        finally:
            run.flights.leave((code, route.entity))
            run.threads.leave(keys)

    async def _perform(self, visit: Visit, request: web.BaseRequest, found: Found, query: str) -> Answer:
        method, route = request.method, found.route
        body = await request.read() if request.can_read_body else b""
        try:
            body = unpacked(body, request.headers.get("Content-Encoding", ""), is_child=bool(route.parent))
        except BodyError as exc:
            return answers.errors(str(exc))
        asked = Asked(
            method=method,
            route=route,
            ids=found.ids,
            query=query,
            body=body,
            origin=self._origin(request) + ROOT,
            impersonate=request.headers.get("ImpersonationResourceId"),
        )
        fault = visit.run.faults.choose(method, route.entity, route.call(method))
        if fault is None:
            answer = self._answer(visit.run, asked)
        else:
            answer = self._go_wrong(visit, request, asked, fault)
        hold_s = visit.hold_s + self.tenant.options.latency_ms / 1000
        if hold_s > 0 and answer.status:
            await asyncio.sleep(hold_s)
        return answer

    def _answer(self, run: Run, asked: Asked) -> Answer:
        """What the service says; a bug of the rules is logged here and answered as the real service's are."""
        if asked.route.kind is Kind.ZONE:
            return self._zone(asked)
        if asked.route.kind is Kind.VERSIONS:
            return answers.ok(metadata.versions())
        try:
            answer = run.service.answer(asked)
        except Exception:
            logger.exception("the simulator failed", extra={"entity": asked.route.entity})
            return answers.errors(answers.NULL_TEXT)
        if answer.committed is not None and run is self.tenant.run:
            run.stats.committed[answer.committed] += 1
            if asked.route.kind in SETTINGS or asked.route.entity == "Departments":
                self.tenant.note_definitions()
        return answer

    def _zone(self, asked: Asked) -> Answer:
        user = (asked.argument("user") or "").strip()
        wanted = self.tenant.options.credentials
        plus_kept = user.replace(" ", "+")  # "+" in an address that was not encoded
        if not user or (wanted and wanted.user.casefold() not in (user.casefold(), plus_kept.casefold())):
            return answers.errors("Zone information could not be determined")
        return answers.ok(metadata.zone(asked.origin + "/", self.tenant.store.ci))

    def _go_wrong(self, visit: Visit, request: web.BaseRequest, asked: Asked, fault: Fault) -> Answer:
        if fault.do in UNCOMMITTED:
            return self._refused(visit.run, request, fault)
        if fault.do is Do.LATE_COMMIT:
            self._commit_late(visit, asked, fault.ms / 1000)
            return hang_up(request)
        if fault.do is Do.EDIT:
            visit.run.service.writer.edit(asked, fault.fields or {})
        answer = self._answer(visit.run, asked)
        if fault.do is Do.DELAY:
            visit.hold_s += fault.ms / 1000
        elif fault.do is Do.STATUS_AFTER_COMMIT:
            return replaced(answer, scripted(fault))
        elif fault.do is Do.GARBAGE:
            return replaced(answer, Answer(status=200, body=GARBAGE))
        elif fault.do is Do.TRUNCATE:
            cut_short(request, answer)
        elif fault.do is Do.DROP_AFTER_COMMIT:
            return replaced(answer, hang_up(request))
        return answer

    def _refused(self, run: Run, request: web.BaseRequest, fault: Fault) -> Answer:
        """What goes wrong before anything is committed."""
        if fault.do is Do.DROP:
            return hang_up(request)
        if fault.do is Do.HTML_404:
            return answers.page(answers.NOT_FOUND_PAGE, 404)
        if fault.do is Do.UNAUTHORIZED:
            return answers.unauthorized(self.tenant.switches)
        if fault.do is Do.THREAD_LIMIT:
            return self._thread_refusal(run, counts=False)  # it was let in, so it is counted already
        return self._hour_refusal(run, counts=False) if fault.do is Do.HOUR_LIMIT else scripted(fault)

    def _commit_late(self, visit: Visit, asked: Asked, after_s: float) -> None:
        def commit() -> None:
            self._late.discard(handle)
            answer = self._answer(visit.run, asked)
            visit.run.log.note_item(visit.log_number, answer.item_id)

        handle = asyncio.get_running_loop().call_later(after_s, commit)
        self._late.add(handle)

    def _hour_refusal(self, run: Run, *, counts: bool = True) -> Answer:
        run.stats.refused["hour"] += 1
        self._count_refusal(run, counts)
        window = run.window
        return answers.too_many_requests(
            self.tenant.switches, limit=window.threshold, minutes=window.minutes(), wait_s=window.window_s
        )

    def _thread_refusal(self, run: Run, *, counts: bool = True) -> Answer:
        run.stats.refused["threads"] += 1
        self._count_refusal(run, counts)
        return answers.too_many_threads(self.tenant.switches, run.threads.limit)

    def _count_refusal(self, run: Run, counts: bool) -> None:
        if counts and self.tenant.switches.refused_count == "on":
            run.window.refuse()

    def _tier_s(self, share: float) -> float:
        """REST_Thresholds_Limits.htm: slower from half of the threshold on, and slower still from 75 %."""
        if not self.tenant.options.tiers or share < 0.5:
            return 0.0
        switches = self.tenant.switches
        return (switches.tier_half_ms if share < 0.75 else switches.tier_three_quarters_ms) / 1000

    def _loses_lock(self, run: Run, call: Call, in_flight: int) -> bool:
        chance = self.tenant.switches.lock_failures
        if chance <= 0 or call not in LOCKING or in_flight < 2:
            return False
        return run.rng.random() < chance

    def _origin(self, request: web.BaseRequest) -> str:
        """The address the client used, or ours where it is none."""
        host = request.headers.get("Host", "")
        return f"http://{host if HOST.fullmatch(host) else self.address}"

    def _close(self, visit: Visit, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        """Notes the request and makes the response."""
        visit.log_number = visit.run.log.add(
            Entry(
                visit.arrived,
                visit.method,
                visit.path,
                visit.entity,
                answer.status or None,
                visit.in_flight,
                answer.item_id,
            )
        )
        if not answer.status:
            return web.Response(status=503)  # never sent: the connection is closed
        headers = {"Content-Type": answer.content_type}
        if answer.retry_after_s is not None:
            headers["Retry-After"] = str(answer.retry_after_s)
        return web.Response(status=answer.status, body=answer.body, headers=headers)


def authorized(request: web.BaseRequest, wanted: Credentials | None) -> bool:
    """All three headers, and where credentials are given, those."""
    headers = request.headers
    given = [headers.get(name, "") for name in ("UserName", "Secret", "ApiIntegrationCode")]
    if not all(given):
        return False
    if wanted is None:
        return True
    pairs = zip((given[0].casefold(), *given[1:]), (wanted.user.casefold(), *wanted[1:]), strict=True)
    return all(hmac.compare_digest(one.encode(), other.encode()) for one, other in pairs)


def thread_keys(code: str, route: Route, scope: str) -> list[ThreadKey]:
    """Whose slots a request takes (ThreadLimiting.htm: per tracking identifier and endpoint)."""
    if not route.parent or scope == "child":
        return [(code, route.entity)]
    return [(code, route.parent)] if scope == "parent" else [(code, route.parent), (code, route.entity)]


def scripted(fault: Fault) -> Answer:
    """The answer a fault prescribes; a body of text is HTML where it looks like it."""
    if fault.body is None:
        return Answer(status=fault.code, body=b"", content_type=answers.HTML)
    if isinstance(fault.body, str):
        kind = answers.HTML if fault.body.lstrip().startswith("<") else "text/plain; charset=utf-8"
        return Answer(status=fault.code, body=fault.body.encode(), content_type=kind)
    return Answer(status=fault.code, body=orjson.dumps(fault.body))


def replaced(real: Answer, shown: Answer) -> Answer:
    """What is shown instead of the real answer; the log still knows the record."""
    return Answer(status=shown.status, body=shown.body, content_type=shown.content_type, item_id=real.item_id)


def hang_up(request: web.BaseRequest) -> Answer:
    """Closes the connection; nothing is answered."""
    if request.transport is not None:
        request.transport.close()
    return answers.CLOSED


def cut_short(request: web.BaseRequest, answer: Answer) -> None:
    """The head promises the whole body; the connection closes in the middle of it."""
    transport = request.transport
    if transport is not None:
        head = f"HTTP/1.1 {answer.status} OK\r\nContent-Type: {answer.content_type}\r\n"
        head += f"Content-Length: {len(answer.body)}\r\n\r\n"
        with contextlib.suppress(ConnectionError):
            transport.write(head.encode() + answer.body[: len(answer.body) // 2])
        transport.close()
