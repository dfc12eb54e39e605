"""What somebody meets who is new here: the right command is named, and nothing is said twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.render import command

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

TWO_STEPS = """\
version: 1
name: two
tenant: acme
steps:
  - name: customers
    entity: Companies
    action: upsert
    source: {file: customers.csv}
    match: [companyNumber]
    fields:
      companyNumber: No
      companyName: Name
      phone: Phone
      companyType: {value: Customer}
      ownerResourceID: {value: 4}
    ignore: "*"
  - name: contacts
    entity: Contacts
    action: upsert
    source: {file: customers.csv}
    match: [companyID, emailAddress]
    fields:
      companyID: {column: No, from: customers}
      firstName: Name
      lastName: Name
      emailAddress: {template: "{{ No }}@acme.test"}
      isActive: {value: "1"}
    ignore: [Phone, "*"]
"""


def two_steps(desk: Desk, *rows: tuple[str, str, str], encoding: str = "utf-8") -> None:
    """A job whose two steps read one file, with two columns that neither uses."""
    lines = ["No,Name,Phone,Colour,Size", *(",".join((*row, "red", "XL")) for row in rows)]
    desk.write("customers.csv", ("\n".join(lines) + "\n").encode(encoding))
    desk.write("two.yaml", TWO_STEPS)


# --- the wrong file ---


def test_every_command_on_plans_says_how_one_is_made(desk: Desk) -> None:
    """Where it is given a job; one process runs them all."""
    desk.customers(1)
    commands = [
        ["apply"], ["show"], ["status"], ["undo"], ["results", "--dir", "r"],
        ["resolve", "--row", "1", "--not-created"],
    ]  # fmt: skip
    script = "import json, sys; from bulkops.cli import main; [main(c) for c in json.loads(sys.argv[1])]"
    calls = json.dumps([[*words, "customers.yaml"] for words in commands])
    ran = subprocess.run(
        [sys.executable, "-c", script, calls], cwd=desk.folder, capture_output=True, text=True, check=True
    )
    said = "customers.yaml is not a plan file but a job. Plan it first: bulkops plan customers.yaml"
    assert ran.stderr.splitlines() == [said] * len(commands)


def test_a_plan_that_is_not_there_is_asked_about(desk: Desk) -> None:
    """A name that is nearly right is told; of others, how a plan is made. What is told can be typed."""
    desk.write("my customers.yml", "version: 1\n")
    desk.write("spring.plan", "")
    told = command("plan", Path("my customers.yml"))
    assert desk.refused("status", "my customers.yml").endswith(f"Plan it first: {told}\n")
    assert "there is no such plan file. Did you mean `spring.plan`?" in desk.refused("status", "sprng.plan")
    assert "A plan is made with: bulkops plan JOB" in desk.refused("status", "autumn/x.plan")


def test_a_command_on_jobs_says_what_to_do_with_a_plan(desk: Desk) -> None:
    """Whatever it is called; a job is still one."""
    desk.plan(desk.customers(1), "-o", "mine.yaml")
    for word in ("plan", "validate", "run"):
        said = desk.refused(word, "mine.yaml", *(("--yes",) if word == "run" else ()))
        assert "mine.yaml is not a job but a plan. Apply it with: bulkops apply mine.yaml" in said
    assert desk.apply("mine.yaml")["counts"]["applied"] == 1


# --- nothing to do ---


def test_with_nothing_to_change_nobody_is_told_to_apply(desk: Desk) -> None:
    """The plan is there all the same, and no empty lines stand for changes that are none."""
    desk.migrate(desk.customers(2), create=2)
    said = desk.run("plan", "customers.yaml", "-o", "again.plan").out
    assert said.endswith("\nNothing to change. Written to again.plan.\n")
    assert "\n\n\n" not in said and "Apply it" not in said
    desk.run("show", "again.plan")
    assert "Nothing to change" not in desk.run("plan", desk.customers(3), "-o", "more.plan").out


# --- columns and warnings ---


def test_columns_that_nothing_uses_are_counted_and_not_named(desk: Desk) -> None:
    """`ignore: "*"`: plan and validate say how many, once a step; so does `plan --json`."""
    two_steps(desk, ("K-1", "Ann", "5"))
    checked = desk.run("validate", "two.yaml").out
    planned = desk.run("plan", "two.yaml").out
    for said in (checked, planned):
        assert said.count('2 of 5 columns left out by ignore: "*"') == 2
    sources = desk.plan("two.yaml")["sources"]
    assert [source["left_out"] for source in sources] == [2, 2]
    assert "left_out" not in desk.plan(desk.customers(1))["sources"][0]


def test_a_file_that_two_steps_read_is_warned_of_once(desk: Desk) -> None:
    """In plan and validate, for people and for programs."""
    two_steps(desk, ("K-1", "Zoë", "5"), encoding="cp1252")
    for word in ("validate", "plan"):
        assert desk.run(word, "two.yaml").out.count("the encoding is a guess") == 1
        warnings = desk.run(word, "two.yaml", "--json").json["warnings"]
        assert Counter("the encoding is a guess" in text for text in warnings)[True] == 1


# --- feeding back ---


def test_a_second_row_that_is_fed_back_as_it_was_is_warned_of(desk: Desk) -> None:
    """It would overwrite the record that the first one made; given a key of its own it would not."""
    desk.customers(1)
    desk.write("customers.csv", "No,Name,Phone,City\nK-1,One,5,Rome\nK-1,Other,6,Oslo\n")
    desk.plan("customers.yaml")
    desk.apply("customers.plan", code=4)
    desk.run("results", "customers.plan", "--dir", "r")
    back = ("--source", "customers=r/rejected.csv")
    (told,) = desk.plan("customers.yaml", "-o", "rest.plan", *back)["warnings"]
    made = desk.simulator.numbered()["K-1"]
    assert "1 row was rejected because of another row with the same key" in told
    assert told.endswith(f"r/rejected.csv:2 (update Companies {made['id']})")
    rejected = desk.folder / "r" / "rejected.csv"
    rejected.write_bytes(rejected.read_bytes().replace(b"K-1,Other", b"K-2,Other"))
    assert desk.plan("customers.yaml", "-o", "rest.plan", *back)["warnings"] == []


def test_a_row_typed_into_an_empty_result_file_is_told_what_it_lacks(desk: Desk) -> None:
    """The file stays one with commas, and nothing is advised that no job can say of it."""
    desk.plan(desk.customers(1))
    desk.apply("customers.plan")
    desk.run("results", "customers.plan", "--dir", "r")
    with (desk.folder / "r" / "rejected.csv").open("a", encoding="utf-8") as file:
        file.write("K-9,Nine\n")
    said = desk.run("plan", "customers.yaml", "-o", "rest.plan", "--source", "customers=r/rejected.csv").out
    assert "line 2 has 2 cells, the header has 11: is it cut off?" in said


# --- hints ---


def test_a_hint_names_the_tenant_whose_fields_are_meant(desk: Desk) -> None:
    """User-defined fields are the tenant's own; a tenant that is misspelt is asked about in one sentence."""
    desk.customers(1)
    job = (desk.folder / "customers.yaml").read_text("utf-8")
    desk.write("customers.yaml", job + "    udf: {Shoe size: City}\n")
    assert "`bulkops describe Companies --tenant acme` lists them" in desk.refused("plan", "customers.yaml")
    desk.write("customers.yaml", job.replace("tenant: acme", "tenant: acne"))
    assert "did you mean 'acme'? It knows: acme\n" in desk.refused("plan", "customers.yaml")


# --- counts ---


def test_the_counts_of_a_migration_are_told_step_by_step(desk: Desk) -> None:
    """In `apply --json` and `status --json` they add up to the plan's; `status` has a line for each."""
    two_steps(desk, ("K-1", "Ann", "5"), ("K-2", "Bo", "5"), ("K-3", "x" * 300, "5"))
    desk.plan("two.yaml")
    desk.apply("two.plan", "--stop-after", "1", code=6)
    now = desk.run("status", "two.plan", "--json").json
    customers, contacts = (step["counts"] for step in now["steps"])
    assert [(step["step"], step["entity"]) for step in now["steps"]] == [
        ("customers", "Companies"), ("contacts", "Contacts"),
    ]  # fmt: skip
    assert customers == {"applied": 1, "unchanged": 0, "rejected": 1, "held": 0, "pending": 1}
    assert contacts == {"applied": 0, "unchanged": 0, "rejected": 1, "held": 0, "pending": 2}
    assert {state: customers[state] + contacts[state] for state in customers} == now["counts"]
    said = desk.run("status", "two.plan").out
    assert "\n  Companies (customers): 1 applied, 1 rejected, 1 pending\n" in said
    assert "\n  Contacts (contacts): 1 rejected, 2 pending\n" in said
    assert desk.apply("two.plan", code=4)["steps"] == desk.run("status", "two.plan", "--json").json["steps"]
