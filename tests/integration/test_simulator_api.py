"""The simulator's API over real sockets, called as live clients call it."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bulkops.simulator import Credentials, Options, Running, running

HEADERS = {"ApiIntegrationCode": "CODE", "UserName": "api@firm.test", "Secret": "s3cret"}
THRESHOLD_KEYS = {"externalRequestThreshold", "requestThresholdTimeframe", "currentTimeframeRequestCount"}
QUICK = {"threads": 0, "threshold": 0}  # no limits: these tests are about answers


class Api:
    """A client without any cleverness."""

    def __init__(self, simulator: Running, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.session = session

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Status and body (JSON where it is) of a call to V1.0."""
        url = path if path.startswith("http") else f"{self.simulator.url}/V1.0{path}"
        data = body if isinstance(body, str | bytes | io.BytesIO | None) else json.dumps(body)
        headers = more.pop("headers", HEADERS)
        async with self.session.request(method, url, data=data, headers=headers, **more) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(text) if is_json and text else text

    async def create(self, path: str, body: dict[str, Any], **more: Any) -> int:
        status, answer = await self.call("POST", path, body, **more)
        assert status == 200, answer
        return int(answer["itemId"])

    async def item(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.call("GET", path))[1]["item"]
        return found

    def load(self, entity: str, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            self.simulator.store.table(entity).insert(row)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with running(Options(**QUICK)) as simulator, aiohttp.ClientSession() as session:  # type: ignore[arg-type]
        yield Api(simulator, session)


def new_company(name: str = "Ebb & Flow", **more: Any) -> dict[str, Any]:
    return {"companyName": name, "companyType": 1, "ownerResourceID": 4, "phone": "555", **more}


async def test_a_company_is_created_read_changed_and_found(api: Api) -> None:
    """Promises the four everyday calls with the documented bodies."""
    company = await api.create("/Companies", {"id": 0, **new_company(city="Bath")})
    assert await api.call("PATCH", "/Companies", {"id": company, "city": None}) == (200, {"itemId": company})
    item = await api.item(f"/Companies/{company}")
    assert (item["companyName"], item["city"], item["phone"]) == ("Ebb & Flow", None, "555")
    found = {"filter": [{"op": "eq", "field": "companyName", "value": "ebb & flow"}]}
    _, answer = await api.call("POST", "/Companies/query", found)
    assert [row["id"] for row in answer["items"]] == [company]
    assert answer["pageDetails"] == {
        "count": 1,
        "requestCount": 500,
        "prevPageUrl": None,
        "nextPageUrl": None,
    }
    assert await api.call("POST", "/Companies/query/count", found) == (200, {"queryCount": 1})


async def test_a_child_is_written_under_its_parent_only(api: Api) -> None:
    """Promises create, list, read, update and delete through the parent's path, and its id on the record."""
    contact = await api.create("/Companies/0/Contacts", {"firstName": "Ada", "lastName": "L", "isActive": 1})
    assert (await api.item(f"/Contacts/{contact}"))["companyID"] == 0
    assert (await api.item(f"/Companies/0/Contacts/{contact}"))["firstName"] == "Ada"
    assert (await api.call("GET", f"/Companies/1/Contacts/{contact}"))[1] == {"item": None}
    _, listed = await api.call("GET", "/companies/0/contacts/")
    assert contact in [row["id"] for row in listed["items"]]
    assert listed["pageDetails"]["nextPageUrl"] is None
    patch = {"id": contact, "title": "Countess"}
    assert await api.call("PATCH", "/Companies/0/Contacts", patch) == (200, {"itemId": contact})
    assert (await api.item(f"/Contacts/{contact}"))["title"] == "Countess"
    assert await api.call("DELETE", f"/Companies/0/Contacts/{contact}") == (200, {"itemId": contact})
    status, answer = await api.call("DELETE", f"/Companies/0/Contacts/{contact}")
    assert (status, "No matching records found" in answer["errors"][0]) == (500, True)


async def test_put_empties_what_it_leaves_out_and_patch_does_not(api: Api) -> None:
    """Promises nulls for absent writable fields and UDFs, and untouched read-only ones."""
    udfs = [{"name": "Legacy ID", "value": "L-9"}]
    company = await api.create("/Companies", new_company(city="Bath", userDefinedFields=udfs))
    before = await api.item(f"/Companies/{company}")
    assert (await api.call("PATCH", "/Companies", {"id": company, "fax": "1"}))[0] == 200
    assert (await api.item(f"/Companies/{company}"))["city"] == "Bath"
    assert (await api.call("PUT", "/Companies", {"id": company, **new_company()}))[0] == 200
    after = await api.item(f"/Companies/{company}")
    assert (after["city"], after["fax"]) == (None, None)
    assert "userDefinedFields" not in after
    assert after["createDate"] == before["createDate"]


async def test_read_only_fields_in_a_body_are_ignored(api: Api) -> None:
    """Promises no error and no change."""
    company = await api.create(
        "/Companies", new_company(createDate="1999-01-01T00:00:00Z", surveyCompanyRating=5)
    )
    item = await api.item(f"/Companies/{company}")
    assert not item["createDate"].startswith("1999")
    assert item["surveyCompanyRating"] is None


@pytest.mark.parametrize(
    "body",
    [
        "{'filter':[{'op':'eq','field':'CompanyName','value':'Northgate Managed Services'}]}",
        '{"MAXRECORDS": "5", "Filter": [{"op": "EQ", "field": "ID", "value": 0}], }',
        '{filter: {"op": "eq", "field": "id", "value": 0}}',
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_queries_are_taken_in_the_spellings_of_live_clients(api: Api, method: str, body: str) -> None:
    """Promises single quotes, bare keys, any case, by GET and by POST."""
    if method == "GET":
        status, answer = await api.call("GET", "/companies/query/", params={"search": body})
    else:
        status, answer = await api.call("POST", "//Companies//query", body)
    assert (status, [row["id"] for row in answer["items"]]) == (200, [0])


async def test_a_cursor_works_with_the_verb_that_began(api: Api) -> None:
    """Promises both kinds of cursor, every row once, and 405 for the other verb."""
    api.load("Roles", [{"id": n, "name": f"R{n}"} for n in range(1000, 1012)])
    filters = [
        {"op": "beginsWith", "field": "name", "value": "R1"},
        {"op": "gte", "field": "id", "value": 1000},
    ]
    body = {"MaxRecords": 5, "filter": filters}
    for method in ("GET", "POST"):
        more = {"params": {"search": json.dumps(body)}} if method == "GET" else {}
        sent = None if method == "GET" else body
        _, page = await api.call(method, "/Roles/query", sent, **more)
        ids = [row["id"] for row in page["items"]]
        assert page["pageDetails"]["requestCount"] == 5
        while url := page["pageDetails"]["nextPageUrl"]:
            assert ("&search=" in url) == (method == "GET")
            other = "POST" if method == "GET" else "GET"
            assert await api.call(other, url, body if other == "POST" else None) == (
                405,
                {"Message": f"The requested resource does not support http method '{other}'."},
            )
            _, page = await api.call(method, url, sent)
            assert page["pageDetails"]["prevPageUrl"]
            ids += [row["id"] for row in page["items"]]
        assert ids == list(range(1000, 1012))


@pytest.mark.parametrize(("switch", "has_next"), [("null", False), ("url", True)])
async def test_a_full_last_page_ends_by_switch(api: Api, switch: str, has_next: bool) -> None:
    """Promises null, or one more page that is empty."""
    api.simulator.store.switches.set("exact_page", switch)
    api.load("TagGroups", [{"label": "a"}, {"label": "b"}])
    body = {"MaxRecords": 2, "filter": [{"op": "exist", "field": "id"}]}
    _, page = await api.call("POST", "/TagGroups/query", body)
    url = page["pageDetails"]["nextPageUrl"]
    assert (url is not None) == has_next
    if url:
        _, last = await api.call("POST", url, body)
        assert (last["items"], last["pageDetails"]["nextPageUrl"]) == ([], None)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"filter": [{"op": "eq", "field": "colour", "value": 1}]},
            "Unable to find colour in the Task Entity",
        ),
        ({"MaxRecords": 501, "filter": []}, "maxCountOfRecordsToReturn must be between 1 and 500"),
        ({"IncludeFields": ["nope"], "filter": []}, "Unable to find nope in the Task Entity"),
        ("this is no JSON", "Unexpected character encountered while parsing value: t"),
        ("[", "Unexpected end when reading JSON."),
        ("5", "A query must be an object"),
    ],
)
async def test_a_bad_query_is_a_500_with_errors(api: Api, body: Any, text: str) -> None:
    """Promises the service's own kind of refusal for whatever a client sends."""
    status, answer = await api.call("POST", "/Tasks/query", body)
    assert status == 500
    assert text in answer["errors"][0]


@pytest.mark.parametrize("body", ["", "null", "[]", '"x"', "{", b"\xff\xfe", "x" * 100_000])
async def test_a_bad_body_is_a_500_with_errors(api: Api, body: str | bytes) -> None:
    """Promises no crash and no half record."""
    before = len(api.simulator.store.table("Companies"))
    for method in ("POST", "PATCH", "PUT"):
        status, answer = await api.call(method, "/Companies", body)
        assert (status, list(answer)) == (500, ["errors"])
    assert len(api.simulator.store.table("Companies")) == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/Tasks", 404),
        ("PATCH", "/Contacts", 404),
        ("POST", "/TicketNotes", 404),
        ("POST", "/Tickets/1/TimeEntries", 404),
        ("GET", "/Nonsense/query", 404),
        ("GET", "/TicketAttachments/entityInformation/userDefinedFields", 404),
        ("GET", "/Companies", 405),
        ("PATCH", "/Companies/0", 405),
        ("PUT", "/Contacts/5", 405),
        ("DELETE", "/TicketSecondaryResources/5", 405),
        ("DELETE", "/Tickets/5", 405),
        ("PUT", "/Projects/5/Tasks/6", 405),
    ],
)
@pytest.mark.parametrize("kind", ["message", "html"])
async def test_what_is_not_there_is_404_or_405(
    api: Api, method: str, path: str, status: int, kind: str
) -> None:
    """Promises the status, and either of the two bodies that are seen."""
    api.simulator.store.switches.set("not_found_body", kind)
    answered, body = await api.call(method, path, {} if method != "GET" else None)
    assert answered == status
    assert ("<html" in body) if kind == "html" else ("Message" in body)
    if (kind, status) == ("message", 405):
        assert body == {"Message": f"The requested resource does not support http method '{method}'."}


@pytest.mark.parametrize(
    ("switch", "path", "status"),
    [
        ("child", "/Companies/0/Contacts/{}", 200),
        ("refuse", "/Companies/0/Contacts/{}", 405),
        ("any", "/Companies/0", 200),
    ],
)
async def test_patch_with_the_id_in_the_path_is_a_switch(
    api: Api, switch: str, path: str, status: int
) -> None:
    """Promises what one public client needs under a parent, and what live reports refuse at the root."""
    api.simulator.store.switches.set("id_in_path", switch)
    contact = await api.create("/Companies/0/Contacts", {"firstName": "A", "lastName": "B", "isActive": 1})
    body = {"title": "Boss"} if "{}" in path else {"city": "Rome"}
    assert (await api.call("PATCH", path.format(contact), body))[0] == status
    if switch == "child":
        assert (await api.item(f"/Contacts/{contact}"))["title"] == "Boss"


@pytest.mark.parametrize(("switch", "expected"), [("200", (200, {"item": None})), ("404", (404, None))])
async def test_a_missing_record_is_null_or_404_by_switch(
    api: Api, switch: str, expected: tuple[int, Any]
) -> None:
    """Promises both answers that sources report."""
    api.simulator.store.switches.set("missing_get", switch)
    status, body = await api.call("GET", "/Tasks/123456")
    assert status == expected[0]
    assert expected[1] is None or body == expected[1]


async def test_unsent_credentials_are_401_and_any_are_taken(api: Api) -> None:
    """Promises that all three headers are needed, in any case, and no particular ones."""
    for missing in HEADERS:
        headers = {name: value for name, value in HEADERS.items() if name != missing}
        assert (await api.call("GET", "/Companies/0", headers=headers))[0] == 401
    odd = {"APIIntegrationcode": "x", "username": "y", "SECRET": "z"}
    assert (await api.call("GET", "/Companies/0", headers=odd))[0] == 200


async def test_only_the_given_credentials_are_taken() -> None:
    """Promises 401 for any other, and an unknown user in zone information as a 500."""
    options = Options(credentials=Credentials("api@firm.test", "s3cret", "CODE"), threads=0)
    async with running(options) as simulator, aiohttp.ClientSession() as session:
        api = Api(simulator, session)
        assert (await api.call("GET", "/Companies/0"))[0] == 200
        for name in HEADERS:
            assert (await api.call("GET", "/Companies/0", headers={**HEADERS, name: "wrong"}))[0] == 401
        assert (await api.call("GET", "/zoneInformation?user=api%40firm.test", headers={}))[0] == 200
        status, body = await api.call("GET", "/zoneInformation?user=who@firm.test", headers={})
        assert (status, list(body)) == (500, ["errors"])


async def test_zone_information_points_back_and_needs_nobody(api: Api) -> None:
    """Promises the four keys, the address that was used with a slash behind it, no credentials."""
    status, zone = await api.call("GET", "/zoneInformation?user=a+b@firm.test", headers={})
    assert status == 200
    assert (set(zone), zone["url"]) == ({"zoneName", "url", "webUrl", "ci"}, api.simulator.url + "/")
    assert zone["ci"] == api.simulator.store.ci
    assert (await api.call("GET", "/zoneInformation", headers={}))[0] == 500


async def test_every_start_is_another_database() -> None:
    """Promises a new `ci`, so that a plan for one start is never applied to the next."""
    found = []
    for _ in range(2):
        async with running(Options(empty=True)) as simulator:
            found.append(simulator.store.ci)
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/ThresholdInformation", THRESHOLD_KEYS),
        ("/EntityInformation", {"entityDescriptions"}),
        ("/Modules", {"modules"}),
        ("/Version", {"majorVersion", "minorVersion", "build"}),
        ("/Tasks/entityInformation", {"info"}),
        ("/Projects/5/Tasks/entityInformation/fields", {"fields"}),
        ("/Tasks/entityInformation/userDefinedFields", {"fields"}),
        ("/Invoices/entityInformation/userDefinedFields", {"fields"}),
    ],
)
async def test_what_the_service_says_about_itself_has_the_vendors_shape(
    api: Api, path: str, keys: set[str]
) -> None:
    """Promises the keys of the Swagger."""
    status, answer = await api.call("GET", path)
    assert (status, set(answer)) == (200, keys)


async def test_versions_stand_above_the_version(api: Api) -> None:
    """Promises /VersionInformation beside /V1.0."""
    url = f"{api.simulator.url}/versioninformation"
    assert await api.call("GET", url, headers={}) == (200, {"apiVersions": ["V1.0"]})


async def test_fields_tell_types_and_picklists_as_text(api: Api) -> None:
    """Promises the documented shape of a field, values as text, singular names of references."""
    _, answer = await api.call("GET", "/tasks/entityinformation/fields")
    fields = {field["name"]: field for field in answer["fields"]}
    assert fields["status"]["isPickList"]
    assert {"value": "5", "label": "Complete"}.items() <= next(
        value for value in fields["status"]["picklistValues"] if value["value"] == "5"
    ).items()
    title, resource = fields["title"], fields["assignedResourceID"]
    assert (title["dataType"], title["length"], title["picklistValues"]) == ("string", 255, None)
    assert (resource["isReference"], resource["referenceEntityType"]) == (True, "Resource")
    assert not fields["remainingHours"]["isQueryable"]
    _, info = await api.call("GET", "/Tasks/entityInformation")
    assert info["info"]["name"] == "Tasks"
    assert (info["info"]["canCreate"], info["info"]["userAccessForDelete"]) == (True, "None")


async def test_every_entity_answers_queries_and_metadata(api: Api) -> None:
    """Promises that none of the 232 is forgotten."""
    for name, entry in api.simulator.store.entities.items():
        if entry["query"]:
            status, answer = await api.call("POST", f"/{name}/query", {"filter": [], "MaxRecords": 3})
            assert (status, set(answer)) == (200, {"items", "pageDetails"}), name
        status, answer = await api.call("GET", f"/{name}/entityInformation/fields")
        assert (status, bool(answer["fields"])) == (200, True), name


async def test_an_attachments_contents_come_by_one_path_only(api: Api) -> None:
    """Promises `data` in `items` under the parent, and null everywhere else."""
    data = base64.b64encode(b"hello").decode()
    body = {"attachmentType": "FILE_ATTACHMENT", "fullPath": "a.txt", "publish": 1, "title": "A"}
    made = await api.create("/Companies/0/Attachments", body | {"data": data})
    _, answer = await api.call("GET", f"/Companies/0/Attachments/{made}")
    assert answer["items"][0]["data"] == data
    assert (await api.item(f"/CompanyAttachments/{made}"))["data"] is None
    assert (await api.call("GET", "/Companies/0/Attachments/1"))[1] == {"items": []}
    sent = io.BytesIO(json.dumps(body | {"data": "A" * 9_600_000}).encode())
    status, refused = await api.call("POST", "/Companies/0/Attachments", sent)
    assert (status, "file size" in refused["errors"][0]) == (500, True)


async def test_impersonation_is_noted_on_create_where_it_may_be(api: Api) -> None:
    """Promises the impersonated creator, who impersonated, and an error where it is not allowed."""
    resource = api.simulator.store.table("Resources").find("email", "priya.raman@northgate.test")[0]["id"]
    headers = {**HEADERS, "ImpersonationResourceId": str(resource)}
    item = await api.item(f"/Companies/{await api.create('/Companies', new_company(), headers=headers)}")
    assert item["createdByResourceID"] == resource
    assert item["impersonatorCreatorResourceID"] == api.simulator.store.api_resource_id
    status, answer = await api.call("POST", "/Roles", {"name": "x"}, headers=headers)
    assert (status, list(answer)) == (500, ["errors"])
    wrong = {**HEADERS, "ImpersonationResourceId": "nobody"}
    assert (await api.call("POST", "/Companies", new_company(), headers=wrong))[0] == 500


async def test_a_parent_in_the_body_gives_way_to_the_path_or_is_an_error(api: Api) -> None:
    """Promises both readings of a mismatch, by switch."""
    company = await api.create("/Companies", new_company())
    body = {"firstName": "A", "lastName": "B", "isActive": 1, "companyID": company}
    contact = await api.create("/Companies/0/Contacts", body)
    assert (await api.item(f"/Contacts/{contact}"))["companyID"] == 0
    api.simulator.store.switches.set("parent_mismatch", "error")
    assert (await api.call("POST", "/Companies/0/Contacts", body))[0] == 500
    api.simulator.store.switches.set("foreign_parent", "error")
    change = {"id": str(contact), "title": "x"}
    assert (await api.call("PATCH", f"/Companies/{company}/Contacts", change))[0] == 500
    assert (await api.call("PATCH", "/Companies/0/Contacts", change))[0] == 200


async def test_a_packed_body_is_read_and_a_plain_one_that_claims_it_only_at_the_root(api: Api) -> None:
    """Promises what live reports say of Content-Encoding."""
    headers = {**HEADERS, "Content-Encoding": "gzip"}
    packed = gzip.compress(json.dumps(new_company()).encode())
    assert (await api.call("POST", "/Companies", packed, headers=headers))[0] == 200
    assert (await api.call("POST", "/Companies", new_company(), headers=headers))[0] == 200
    contact = {"firstName": "A", "lastName": "B", "isActive": 1}
    assert (await api.call("POST", "/Companies/0/Contacts", contact, headers=headers))[0] == 500


async def test_a_get_that_is_too_long_is_a_404(api: Api) -> None:
    """Promises what live reports say, so that clients cut over to POST."""
    search = json.dumps({"filter": [{"op": "in", "field": "id", "value": list(range(600))}]})
    status, body = await api.call("GET", "/Tasks/query", params={"search": search})
    assert (status, "<html" in body) == (404, True)


async def test_invoice_settings_and_markup_answer_sensibly(api: Api) -> None:
    """Promises settings that can be changed, recipients that can be added and removed, and a document."""
    _, before = await api.call("GET", "/Companies/0/invoiceSettings")
    assert before["item"]["contactRecipients"] == []
    assert (await api.call("PUT", "/Companies/0/invoiceSettings", {"taxID": "T-1"}))[0] == 200
    contact = await api.create("/Companies/0/Contacts", {"firstName": "A", "lastName": "B", "isActive": 1})
    recipients = "/Companies/0/invoiceSettings/contactRecipients"
    assert (await api.call("POST", recipients, {"contactID": contact}))[0] == 200
    assert (await api.call("POST", recipients, {"contactID": 1}))[0] == 500
    _, after = await api.call("GET", "/Companies/0/invoiceSettings")
    assert (after["item"]["taxID"], after["item"]["contactRecipients"]) == ("T-1", [contact])
    assert (await api.call("DELETE", f"{recipients}/{contact}"))[0] == 200
    api.load("Invoices", [{"id": 7, "invoiceNumber": "2026-7"}])
    assert "2026-7" in (await api.call("GET", "/Invoices/7/InvoiceMarkupHtml"))[1]["invoiceMarkup"]
    assert (await api.call("GET", "/Invoices/7/InvoicePdf"))[1].startswith("%PDF")


async def test_a_client_that_asks_before_it_sends_its_body_is_told_to_go_on(api: Api) -> None:
    """Promises an answer to `Expect: 100-continue`, which some platforms send with every body."""
    async with api.session.post(
        f"{api.simulator.url}/V1.0/Companies", data=json.dumps(new_company()), headers=HEADERS, expect100=True
    ) as response:
        assert response.status == 200
