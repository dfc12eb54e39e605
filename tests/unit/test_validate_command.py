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


CLOSE = """\
version: 1
name: t
tenant: nobody
close_projects:
  source: {file: projects.csv}
  match: [extProjectNumber]
  fields: {extProjectNumber: No}
  status: Complete
  open_tasks: refuse
"""


def test_the_rows_of_a_recipes_file_are_looked_at(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A project named twice, a row without a number, a row that is none: each with its line, and counted; in
    a file given in its place as well."""
    (tmp_path / "job.yaml").write_text(CLOSE)
    (tmp_path / "projects.csv").write_text("No,Name\nP-1,a\np-1,b\n,c\nP-2,d,e\nP-3,f\n")
    assert main(["validate", str(tmp_path / "job.yaml")]) == 4
    told = capfd.readouterr().out
    assert "projects.csv:3: column No 'p-1': projects.csv:2 has this key too" in told
    assert "projects.csv:4: column No: is empty, and extProjectNumber is a match key" in told
    assert "projects.csv:5: line 5 has 3 cells, the header has 2" in told
    assert "2 of 5 rows can be planned" in told
    (tmp_path / "other.csv").write_text("No\nP-1\n")
    given = f"projects={tmp_path / 'other.csv'}"
    assert main(["validate", str(tmp_path / "job.yaml"), "--source", given]) == 0
    assert "1 of 1 rows can be planned" in capfd.readouterr().out


def test_a_recipes_file_that_is_not_there_is_named_where_it_was_given(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the job, or on the command line."""
    (tmp_path / "job.yaml").write_text(CLOSE)
    assert main(["validate", str(tmp_path / "job.yaml")]) == 1
    assert "job.yaml:5: projects.csv: there is no such file" in capfd.readouterr().err
    assert main(["validate", str(tmp_path / "job.yaml"), "--source", "projects=nix.csv"]) == 1
    assert "--source projects: nix.csv: there is no such file" in capfd.readouterr().err


@pytest.mark.parametrize("recipe", [True, False])
def test_a_label_much_like_a_known_one_is_asked_about(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], *, recipe: bool
) -> None:
    """Offline a tenant's own label and a misspelt one look the same: what is much like a known one is asked
    about with its line, in groups and lists too; what is known, a number, or a tenant's own word is not."""
    where = "{op: or, items: [{field: status, op: in, value: [complete, 8, Compleet, On order]}]}"
    what = (
        f"reassign: {{from: a, to: [b], where: [{where}]}}\n"
        if recipe
        else "steps:\n  - {name: s, entity: Tasks, action: update, match: [id], fields: {id: id, title: "
        f"{{value: x}}}}, source: {{query: Tasks, where: [{where}]}}}}\n"
    )
    (tmp_path / "job.yaml").write_text(f"version: 1\nname: t\ntenant: nobody\n{what}")
    assert main(["validate", str(tmp_path / "job.yaml")]) == 0
    told = [line for line in capfd.readouterr().out.splitlines() if line.startswith("Warning")]
    assert len(told) == 1
    asked = "only the tenant knows whether status has a value `Compleet`. Did you mean `Complete`?"
    assert told[0].endswith(asked) and "job.yaml:" in told[0]
    assert main(["validate", str(tmp_path / "job.yaml"), "--json"]) == 0
    assert asked in capfd.readouterr().out
