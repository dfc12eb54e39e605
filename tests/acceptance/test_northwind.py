"""A real export that nobody here wrote: Northwind's customers, with unquoted commas in 24 of its rows."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

NORTHWIND = Path(__file__).resolve().parents[3] / "shared" / "data" / "northwind-customers.csv"

JOB = """
version: 1
name: northwind
tenant: acme
missing: ["NULL"]
steps:
  - name: customers
    entity: Companies
    action: upsert
    source: {file: northwind.csv}
    match: [companyNumber]
    fields:
      companyNumber: customerID
      companyName: companyName
      address1: address
      city: city
      state: region
      postalCode: postalCode
      phone: phone
      fax: fax
      additionalAddressInformation: contactName
      companyType: {value: Customer}
      ownerResourceID: {value: 4}
    ignore: [contactTitle, country]
"""
FIELDS = {
    "companyName": "companyName", "address": "address1", "city": "city", "region": "state",
    "postalCode": "postalCode", "phone": "phone", "fax": "fax", "contactName": "additionalAddressInformation",
}  # fmt: skip


@pytest.mark.skipif(not NORTHWIND.exists(), reason="the folder with published sample data is not here")
def test_northwind_arrives_to_the_letter(desk: Desk) -> None:
    """24 broken rows are rejected with their line, 67 arrive as written, leading zeros and accents included;
    a second plan changes nothing."""
    desk.write("northwind.csv", NORTHWIND.read_bytes())
    desk.write("northwind.yaml", JOB)
    with NORTHWIND.open(encoding="utf-8", newline="") as file:
        header, *records = list(csv.reader(file))
    good = [dict(zip(header, cells, strict=True)) for cells in records if len(cells) == len(header)]
    broken = {number for number, cells in enumerate(records, 2) if len(cells) != len(header)}
    assert (len(good), len(broken)) == (67, 24)

    offline = desk.run("validate", "northwind.yaml", code=4).out
    assert offline.count("northwind.csv:") == 24 and "67 of 91 rows" in offline
    plan = desk.plan("northwind.yaml")
    assert plan["counts"] == {"create": 67, "update": 0, "delete": 0, "unchanged": 0, "rejected": 24}
    rejected = [row for row in desk.run("show", "northwind.plan", "--json").rows if row["reason"]]
    assert {row["row"]["line"] for row in rejected} == broken
    assert all(f"line {row['row']['line']} has 12 cells" in row["reason"] for row in rejected)
    desk.apply("northwind.plan", code=4)

    found = {row["companyNumber"]: row for row in desk.simulator.rows("Companies") if row["companyNumber"]}
    assert set(found) >= {row["customerID"] for row in good}
    for row in good:
        made = found[row["customerID"]]
        for column, field in FIELDS.items():
            assert (made[field] or "NULL") == row[column], (row["customerID"], column)
    assert found["ANATR"]["postalCode"] == "05021"
    again = desk.plan("northwind.yaml")
    assert again["counts"] == {"create": 0, "update": 0, "delete": 0, "unchanged": 67, "rejected": 24}
