"""The paths of companies and invoices that are no entity: invoice settings, their recipients, markup.

No public source shows their bodies beyond the markup's (Swagger: `invoiceMarkup`); the settings here are the
company's own invoice fields and the two lists of recipients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bulkops.simulator import answers
from bulkops.simulator.answers import Answer
from bulkops.simulator.asked import Asked, key_of
from bulkops.simulator.faults import Call
from bulkops.simulator.routes import Kind
from bulkops.simulator.rules.base import dangling
from bulkops.simulator.store import Row, Store
from bulkops.simulator.writes import exact

SETTINGS = (
    "billToAddressToUse", "billToAttention", "billToCompanyLocationID", "billToAdditionalAddressInformation",
    "billingAddress1", "billingAddress2", "billToCity", "billToState", "billToZipCode", "billToCountryID",
    "invoiceEmailMessageID", "invoiceMethod", "invoiceNonContractItemsToParentCompany", "invoiceTemplateID",
    "isTaxExempt", "purchaseOrderTemplateID", "taxID", "taxRegionID",
)  # fmt: skip
RECIPIENTS = {
    "contactrecipients": ("contactRecipients", "Contacts"),
    "resourcerecipients": ("resourceRecipients", "Resources"),
}
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)


class Invoices:
    """Answers for the paths below a company or an invoice."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def answer(self, asked: Asked) -> Answer:
        table = self.store.table(asked.route.entity)
        row = table.get(asked.ids[0])
        if row is None:
            return answers.errors("No matching records found.")
        if asked.route.kind is Kind.MARKUP:
            return self.markup(asked, row)
        if asked.route.kind is Kind.INVOICE_SETTINGS:
            return self.settings(asked, row)
        return self.recipient(asked, row)

    def markup(self, asked: Asked, invoice: Row) -> Answer:
        if asked.route.tail == "InvoicePdf":
            return Answer(status=200, body=PDF, content_type="application/pdf")
        number = invoice.get("invoiceNumber") or invoice["id"]
        html = f"<html><body><h1>Invoice {number}</h1></body></html>"
        xml = f'<?xml version="1.0"?><invoice><number>{number}</number></invoice>'
        return answers.ok({"invoiceMarkup": html if asked.route.tail == "InvoiceMarkupHtml" else xml})

    def settings(self, asked: Asked, company: Row) -> Answer:
        if asked.method == "GET":
            lists = self.store.recipients.get(company["id"], {})
            item = {"id": company["id"], **{name: company.get(name) for name in SETTINGS}}
            item |= {name: sorted(lists.get(name, ())) for name, _ in RECIPIENTS.values()}
            return answers.ok({"item": item})
        body = asked.json()
        if not isinstance(body, Mapping):
            return answers.errors(answers.NULL_TEXT)
        table = self.store.table("Companies")
        facts = table.shape.fields
        changes = {
            name: value
            for name, value in exact(table.shape, body).items()
            if name in SETTINGS and not facts[name].get("readOnly")
        }
        table.update(company["id"], changes)
        return answers.done(company["id"], Call.UPDATE)

    def recipient(self, asked: Asked, company: Row) -> Answer:
        name, entity = RECIPIENTS[asked.route.tail.split("/")[1].casefold()]
        held = self.store.recipients.setdefault(company["id"], {}).setdefault(name, [])
        if asked.method == "DELETE":
            if asked.ids[-1] not in held:
                return answers.errors(answers.MISSING_DELETE_TEXT)
            held.remove(asked.ids[-1])
            return answers.done(asked.ids[-1], Call.UPDATE)
        kind = entity.removesuffix("s")
        recipient = recipient_id(asked.json(), f"{kind}ID")
        if recipient is None or recipient not in self.store.table(entity):
            return answers.errors(dangling(f"{kind.lower()}ID", kind))
        if recipient not in held:
            held.append(recipient)
        return answers.done(recipient, Call.UPDATE)


def recipient_id(body: Any, field: str) -> int | None:
    """The contact or resource in a body: an object with its id, or the id alone."""
    if isinstance(body, Mapping):
        key = key_of(body, field) or key_of(body, "id")
        body = None if key is None else body[key]
    return body if isinstance(body, int) and not isinstance(body, bool) else None
