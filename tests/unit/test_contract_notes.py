"""Notes of contracts, whose contract the metadata of live tenants calls a text."""

from __future__ import annotations

from pathlib import Path

from bulkops.applier import apply_plan
from bulkops.change import Action
from bulkops.job import load_job
from bulkops.planner.build import build_plan
from bulkops.targets.memory import MemoryTarget

JOB = """\
version: 1
name: notes
tenant: acme
limits: {update: {percent: 100}}
steps:
  - name: notes
    entity: ContractNotes
    action: upsert
    source: {file: notes.csv}
    match: [contractID, title]
    fields: {contractID: Contract, title: Title, description: Text}
"""


async def test_notes_of_contracts_are_found_and_made_under_their_contract(tmp_path: Path) -> None:
    """One is there and is changed, one is not and is made, whatever the contract's number is called."""
    (tmp_path / "notes.csv").write_text("Contract,Title,Text\n7,There,new\n7,Not there,new\n", "utf-8")
    (tmp_path / "job.yaml").write_text(JOB, "utf-8")
    note: dict[str, str | int] = {"id": 90, "contractID": 7, "title": "There", "description": "old"}
    target = MemoryTarget({"Contracts": [{"id": 7, "contractName": "C"}], "ContractNotes": [note]})
    plan = await build_plan(load_job(tmp_path / "job.yaml"), target, tmp_path / "x.plan")
    assert [(one.action, one.id, one.parent) for one in plan.changes()] == [
        (Action.UPDATE, 90, 7), (Action.CREATE, None, 7),
    ]  # fmt: skip
    assert (await apply_plan(plan, target)).counts["applied"] == 2
    held = {
        (row["contractID"], row["title"], row["description"]) for row in target.rows["ContractNotes"].values()
    }
    assert held == {(7, "There", "new"), (7, "Not there", "new")}
