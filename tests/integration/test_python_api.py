"""The package as a library: the three lines of the documentation."""

from __future__ import annotations

from pathlib import Path

import bulkops
from bulkops.simulator import Options, running

JOB = """\
version: 1
name: api
tenant: here
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Number
      companyName: Name
      companyType: {value: Customer}
      phone: Phone
      ownerResourceID: {value: "4"}
"""


async def test_the_three_lines_of_the_documentation_migrate_a_file(tmp_path: Path) -> None:
    """connect, build_plan, apply_plan: the records are there, and planning again finds nothing to do."""
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "companies.csv").write_text("Number,Name,Phone\n007,Łódź Tkaniny,555\n008,Weiß & Söhne,556\n")
    async with running(Options(release_ms=0)) as simulator:
        (tmp_path / "bulkops.toml").write_text(
            f'[tenants.here]\nurl = "{simulator.url}"\nusername = "a"\nsecret = "b"\nintegration_code = "c"\n'
        )
        job = bulkops.load_job(tmp_path / "job.yaml")
        tenant = bulkops.load_tenant(job.tenant, tmp_path / "bulkops.toml")
        async with bulkops.connect(tenant) as target:
            plan = await bulkops.build_plan(job, target, tmp_path / "x.plan")
            status = await bulkops.apply_plan(plan, target)
            again = await bulkops.build_plan(job, target, tmp_path / "y.plan")
        names = {row.get("companyName") for row in simulator.store.table("Companies").values()}
    assert status.counts["applied"] == 2
    assert {"Łódź Tkaniny", "Weiß & Söhne"} <= names
    assert again.counts["unchanged"] == 2


def test_every_public_name_is_there() -> None:
    """What `__all__` promises can be had, and nothing else."""
    for name in bulkops.__all__:
        assert getattr(bulkops, name) is not None
    assert not hasattr(bulkops, "nothing_like_that")
