"""Faults of one part of a job hide none of another part, and make none that are not there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.job import load_job
from bulkops.planner.precheck import Examined
from bulkops.planner.rowcheck import RowCheck
from bulkops.validate import examine_offline

JOB = """\
version: 1
name: all
tenant: acme
missing: ["", "-"]
limits: {update: {percent: 25}}
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv, encoding: utf-8}
    match: [companyNumber]
    fields:
      companyNumber: Id
      companyName: Name
      phone: {column: Phone, empty: reject}
      companyType: {value: Customer}
      ownerResourceID: {value: 4}
    ignore: [Colour]
  - name: contacts
    entity: Contacts
    action: create
    source: {file: contacts.csv}
    match: [companyID, emailAddress]
    fields:
      companyID: {column: Client, from: companies}
      emailAddress: Mail
      firstName: First
      lastName: {template: "{{ Last }}"}
      isActive: {value: 1}
      title: {column: Title, labels: {Dr: Doctor}}
  - name: tasks
    entity: Tasks
    action: update
    source: {file: tasks.csv, distinct: {by: [Key, Title]}}
    match: [externalID]
    fields:
      externalID: Key
      title: Title
      startDateTime: {column: Start, date: "%d/%m/%Y %H:%M", timezone: Europe/Madrid}
      estimatedHours: {column: Hours, number: {decimal: ","}}
      assignedResourceID: {column: Who, lookup: email}
"""
FILES = {
    "companies.csv": "Id,Name,Phone,Colour\nA,Alder,1,red\nB,Beta,,red\nC,Cern,-,red\nD,Delta,1,\na,Ay,2,\n",
    "contacts.csv": "Client,Mail,First,Last,Title\nA,a@x,Al,Aal,Dr\nZ,z@x,Zo,Zet,Dr\nA,b@x,Bo,Ball,Sir\n"
    f"A,A@X,Al,Twice,Dr\nD,d@x,{'d' * 51},Dee,Dr\n",
    "tasks.csv": "Key,Title,Start,Hours,Who\nT1,One,25/10/2026 02:30,1,a@x\nT2,Two,31/02/2026 00:00,x,\n"
    "T3,Three,01/03/2026 10:00,\"1,5\",\nT3,Other,01/03/2026 10:00,2,\n",
}  # fmt: skip
STEPS: dict[str, Sequence[tuple[str, str]]] = {
    "": [
        ("tenant: acme", "tenant:"),
        ("tenant: acme", "tenannt: acme"),
        ("percent: 25", "percent: 250"),
    ],
    "companies": [
        ("entity: Companies", "entity: Compnies"),
        ("entity: Companies", "entity:"),
        ("action: upsert", "action: upsrt"),
        ("action: upsert", "actoin: upsert"),
        ("companies.csv", "company.csv"),
        ("companies.csv", "companies.xls"),
        ("encoding: utf-8", "encoding: utf-99"),
        ("match: [companyNumber]", "match: [companyNr]"),
        ("match: [companyNumber]", "match: companyNumber"),
        ("match: [companyNumber]", "mtach: [companyNumber]"),
        ("companyNumber: Id", "companyNumber: {colum: Id}"),
        ("companyNumber: Id", "companyNumber: Ids"),
        ("companyName: Name", "companyNmae: Name"),
        ("companyName: Name", "companyName: Nam"),
        ("empty: reject", "empty: rejct"),
        ("{value: Customer}", "{value: Customer, default: 1}"),
        ("      phone: {", "      companyNumber: {"),
        ("ignore: [Colour]", "ignore: []"),
        ("ignore: [Colour]", "ignroe: [Colour]"),
        ("    fields:\n      companyNumber", "    feilds:\n      companyNumber"),
    ],
    "contacts": [
        ("entity: Contacts", "entity: Contcts"),
        ("action: create", "action: {}"),
        ("contacts.csv}", "contact.csv}"),
        ("contacts.csv}", "contacts.csv, sheet: A}"),
        ("contacts.csv}", 'contacts.csv, delimiter: ";"}'),
        ("from: companies", "from: company"),
        ("from: companies", "from: tasks"),
        ("from: companies", "from: [companies]"),
        ("emailAddress: Mail", "emailAddress: Male"),
        ("firstName: First", "firstname2: First"),
        ("{{ Last }}", "{{ Last"),
        ("{{ Last }}", "{{ Lsat }}"),
        ("labels: {Dr: Doctor}", "labels: [Dr]"),
        ("isActive: {value: 1}", "isActive: {value: maybe}"),
        ("title: {", "lastActivityDate: {"),
    ],
    "tasks": [
        ("action: update", "action: Update"),
        ("tasks.csv, distinct: {by: [Key, Title]}", "tasks.csv, distinct: {by: [Kye, Title]}"),
        ("tasks.csv, distinct", "nothing.csv, distinct"),
        ("Europe/Madrid", "Europe/Madird"),
        ("%d/%m/%Y %H:%M", "%d/%m %H:%M"),
        ('decimal: ","', 'decimal: "?,"'),
        ("lookup: email", "lookup: e-mail"),
        ("lookup: email", "lookup: [email, id]"),
        ("startDateTime: {", "endDateTime: {"),
        ("estimatedHours: {", "taskNumber: {"),
    ],
}


def seen(text: str, folder: Path) -> tuple[set[str], set[str]]:
    """All that is told of the job, and of its rows."""
    path = folder / "job.yaml"
    path.write_text(text, "utf-8")

    async def look() -> tuple[Examined, list[str]]:
        examined = await examine_offline(load_job(path, keep_faults=True))
        check = RowCheck(examined)
        rows = [str(fault) async for fault in check.found()]
        assert not check.faults
        return examined, rows

    examined, rows = anyio.run(look)
    assert len(set(examined.faults)) == len(examined.faults)
    return {str(fault) for fault in examined.faults}, set(rows)


def changed(*changes: tuple[str, str]) -> str:
    text = JOB
    for old, new in changes:
        assert old in text, (old, new)
        text = text.replace(old, new, 1)
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("together")
    for name, text in FILES.items():
        (made / name).write_text(text, "utf-8")
    return made


NAMES = [("- name: tasks", "- name: t/asks"), ("- name: tasks", "- nmae: tasks")]  # others may name them
ALL = [*NAMES, *(change for changes in STEPS.values() for change in changes)]


@pytest.mark.parametrize("change", ALL, ids=[new.strip().splitlines()[0] for _, new in ALL])
def test_one_mistake_is_one_fault_and_accuses_no_row(folder: Path, change: tuple[str, str]) -> None:
    """Nothing follows from what could not be understood, neither for the job nor for its rows."""
    _, rows = seen(JOB, folder)
    faults, told = seen(changed(change), folder)
    assert len(faults) == 1, faults
    assert told <= rows, told - rows


def test_the_rows_of_a_good_job_are_all_told(folder: Path) -> None:
    """What the others are measured by: each of these rows is at fault, and no other."""
    faults, rows = seen(JOB, folder)
    assert not faults
    assert {row.partition(": ")[0] for row in rows} == {
        "companies.csv:3", "companies.csv:4", "companies.csv:6",
        "contacts.csv:3", "contacts.csv:4", "contacts.csv:5", "contacts.csv:6",
        "tasks.csv:2", "tasks.csv:3", "tasks.csv:5",
    }  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(picked=st.tuples(*(st.sampled_from([*changes, None]) for changes in STEPS.values())))
def test_faults_of_one_step_hide_none_of_the_others(
    folder: Path, picked: tuple[tuple[str, str] | None, ...]
) -> None:
    """All together tell what each tells alone, neither less nor more."""
    changes = [change for change in picked if change]
    together, _ = seen(changed(*changes), folder)
    assert together == {fault for change in changes for fault in _alone(change, folder)}


@cache
def _alone(change: tuple[str, str], folder: Path) -> frozenset[str]:
    return frozenset(seen(changed(change), folder)[0])
