"""`bulkops validate`, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops.cli import main

JOB = """\
version: 1
name: t
tenant: nobody
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Number
      companyName: Name
      companyType: {value: "1"}
      phone: {value: "1"}
      ownerResourceID: {value: "4"}
  - name: contacts
    entity: Contacts
    action: upsert
    source: {file: contacts.csv}
    match: [companyID, emailAddress]
    fields:
      companyID: {column: Company, from: companies}
      emailAddress: Mail
      firstName: First
      lastName: Last
      isActive: {value: "1"}
"""


def test_a_row_that_refers_to_no_row_is_told_offline(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With its line, its step and its key, before any tenant is asked; and it is counted."""
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "companies.csv").write_text("Number,Name\nA,Alder\n")
    (tmp_path / "contacts.csv").write_text("Company,Mail,First,Last\nA,a@x.test,Ann,Lee\nB,b@x.test,Bo,Day\n")
    assert main(["validate", str(tmp_path / "job.yaml")]) == 4
    told = capfd.readouterr().out
    assert "contacts.csv:3: column Company 'B': no row of the step companies" in told
    assert "2 of 3 rows can be planned" in told
