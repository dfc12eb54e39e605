"""Job files: what they can say, and what of it this version runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bulkops.errors import Fault, JobError
from bulkops.job import (
    Assignee,
    CloseProjects,
    Condition,
    Distinct,
    DivideBy,
    Empty,
    FieldSpec,
    FileSource,
    Inactive,
    Job,
    Keep,
    LookupValue,
    Method,
    Note,
    NumberSpec,
    Op,
    OpenTasks,
    QuerySource,
    Reassign,
    StepAction,
    load_job,
)
from bulkops.safety import Limit

CONTRACT = r"""version: 1
name: legacy-tasks
tenant: acme
reason: Migration from the old tool        # kept in the plan
missing: ["", "NULL", "?", "N/A"]          # cells that mean "no value"; default: the empty cell
steps:
  - name: projects
    entity: Projects
    action: upsert                          # create | update | upsert | delete
    source: {file: projects.csv}            # .csv .tsv .txt .xlsx .jsonl .parquet
    match: [extProjectNumber]               # the natural key
    fields:
      extProjectNumber: Id                  # a column
      projectName: Name
      companyID: {column: Client, lookup: companyName}
      status: {column: State, labels: {Open: New, Done: Complete}, default: New}
      projectType: {value: Client}          # a picklist label or its number
      startDateTime: {column: Start, date: "%d/%m/%Y"}
      endDateTime: {column: End, date: "%d/%m/%Y"}
      description: {template: "{{ row['Notes'] }} (was {{ Id }})"}
    udf:
      Legacy ID: Id
    ignore: [Colour]                        # a column neither used nor ignored is an error
  - name: tasks
    entity: Tasks
    action: create
    source: {file: tasks.xlsx, sheet: Tasks}
    match: [externalID]                     # create with match: a key that exists is rejected
    fields:
      externalID: Key
      projectID: {column: Project, from: projects}        # the record that step made or found
      title: Summary
      status: {value: New}
      taskType: {value: 1}
      estimatedHours: {column: Hours, number: {decimal: ",", thousands: "."}}
      assignedResourceID: {column: Assignee, lookup: email, empty: skip}
      assignedResourceRoleID: {column: Role, lookup: name}
      billingCodeID: {column: Work type, lookup: name}
limits:                                     # refused by apply before its first write
  update: {percent: 25, count: 500, minimum: 10}
"""

PLAIN = """version: 1
name: companies
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Id
"""

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a job file and returns its path."""

    def _write(text: str | bytes) -> Path:
        path = tmp_path / "job.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


@pytest.fixture
def load(write: Write) -> Callable[[str], Job]:
    """Loads a job, whatever this version runs."""
    return lambda text: load_job(write(text))


Load = Callable[[str], Job]


def field(job: Job, name: str) -> FieldSpec:
    return job.steps[0].fields[name]


def with_fields(*lines: str) -> str:
    return PLAIN + "".join(f"      {line}\n" for line in lines)


def with_source(source: str) -> str:
    return PLAIN.replace("{file: companies.csv}", source)


# --- what job files can say


def test_the_example_of_the_contract_is_read_in_full(load: Load) -> None:
    """Every key of the documented example arrives where it belongs."""
    job = load(CONTRACT)
    folder = job.path.parent
    assert (job.version, job.name, job.tenant) == (1, "legacy-tasks", "acme")
    assert job.reason == "Migration from the old tool"
    assert job.missing == ("", "NULL", "?", "N/A")
    projects, tasks = job.steps
    assert (projects.name, projects.entity, projects.action) == ("projects", "Projects", StepAction.UPSERT)
    assert projects.source == FileSource(file=folder / "projects.csv", display="projects.csv")
    assert projects.match == ("extProjectNumber",)
    assert list(projects.fields) == [
        "extProjectNumber", "projectName", "companyID", "status", "projectType", "startDateTime",
        "endDateTime", "description",
    ]  # fmt: skip
    where = str(job.path)
    assert projects.fields["projectName"] == FieldSpec(column="Name", where=f"{where}:14")
    assert projects.fields["companyID"] == FieldSpec(
        column="Client", lookup=("companyName",), where=f"{where}:15"
    )
    assert projects.fields["status"] == FieldSpec(
        column="State", labels={"Open": "New", "Done": "Complete"}, default="New", where=f"{where}:16"
    )
    assert projects.fields["projectType"] == FieldSpec(value="Client", where=f"{where}:17")
    assert projects.fields["endDateTime"] == FieldSpec(column="End", date="%d/%m/%Y", where=f"{where}:19")
    assert projects.fields["description"].template == "{{ row['Notes'] }} (was {{ Id }})"
    assert projects.udf == {"Legacy ID": FieldSpec(column="Id", where=f"{where}:22")}
    assert projects.ignore == ("Colour",)
    assert tasks.source == FileSource(file=folder / "tasks.xlsx", display="tasks.xlsx", sheet="Tasks")
    assert tasks.fields["projectID"].from_ == "projects"
    assert tasks.fields["taskType"].value == "1"
    assert tasks.fields["estimatedHours"].number == NumberSpec(decimal=",", thousands=".")
    assert tasks.fields["assignedResourceID"].empty is Empty.SKIP
    assert job.limits["update"] == Limit(percent=25, count=500, minimum=10)


def test_the_example_of_the_contract_is_run(write: Write) -> None:
    """Nothing in it waits for a later version."""
    load_job(write(CONTRACT))


def test_scalars_stay_text(load: Load) -> None:
    """What YAML would take for a boolean, a number, a date or null means what it says."""
    job = load(
        with_fields(
            "a: No", "b: 001", "c: {value: 2026-01-01}", "d: {value: 1e3}", "e: {column: a, labels: {y: No}}"
        )
        + "missing: [NULL, null, 0x10, .5, off]\n"
    )
    assert [field(job, name).column for name in "ab"] == ["No", "001"]
    assert [field(job, name).value for name in "cd"] == ["2026-01-01", "1e3"]
    assert field(job, "e").labels == {"y": "No"}
    assert job.missing == ("NULL", "null", "0x10", ".5", "off")


def test_what_is_left_out_has_a_default(load: Load) -> None:
    """A short job means what the contract says of the keys it does not give."""
    job = load(PLAIN)
    assert job.missing == ("",)
    assert job.limits == {"update": Limit(percent=25, count=500), "delete": Limit(percent=25, count=500)}
    assert job.steps[0].source == FileSource(
        file=job.path.parent / "companies.csv", display="companies.csv", header_row=1
    )
    assert job.recipe is None


def test_every_field_key_is_read(load: Load) -> None:
    """Composite lookups, zones, dates, numbers, defaults, empty, inactive and multi-column references."""
    job = load(
        with_fields(
            "contactID: {columns: [Client, Mail], lookup: [companyID, emailAddress]}",
            "phaseID: {columns: [Project], from: companies}",
            "due: {column: Due, date: '%Y-%m-%d %H:%M', timezone: Europe/Madrid, empty: reject}",
            "person: {value: jane@acme.test, lookup: email, entity: Resources, inactive: allow}",
            "hours: {column: Hours, number: {thousands: ' '}, empty: clear, default: 8}",
            'note: {value: "", empty: clear}',
            'city: {template: "{{ City | upper }}{% if Zip is defined %} {{ Zip }}{% endif %}"}',
        )
    )
    assert field(job, "contactID").columns == ("Client", "Mail")
    assert field(job, "contactID").lookup == ("companyID", "emailAddress")
    assert field(job, "phaseID").from_ == "companies"
    assert (field(job, "due").timezone, field(job, "due").empty) == ("Europe/Madrid", Empty.REJECT)
    assert field(job, "person").entity == "Resources"
    assert field(job, "person").inactive is Inactive.ALLOW
    assert field(job, "hours").number == NumberSpec(decimal=".", thousands=" ")
    assert field(job, "hours").default == "8"
    assert (field(job, "note").value, field(job, "note").empty) == ("", Empty.CLEAR)


def test_a_file_dialect_is_read(load: Load) -> None:
    """Encoding, delimiter, quote, columns and distinct arrive, a tab by any of its names."""
    source = load(
        with_source(
            "{file: a.txt, encoding: cp1252, delimiter: tab, quote: \"'\", columns: [A, B],"
            " distinct: {by: [A], keep: first}}"
        )
    ).steps[0].source  # fmt: skip
    assert isinstance(source, FileSource)
    assert (source.encoding, source.delimiter, source.quote) == ("cp1252", "\t", "'")
    assert source.columns == ("A", "B")
    assert source.distinct == Distinct(by=("A",), keep=Keep.FIRST)
    for written in (r"\t", r'"\t"', r"'\t'", "TAB"):
        source = (
            load(with_source(f"{{file: a.csv, delimiter: {written}, header_row: 3, quote: none}}"))
            .steps[0]
            .source
        )
        assert isinstance(source, FileSource)
        assert (source.delimiter, source.header_row, source.quote) == ("\t", 3, "")


def test_relative_files_stand_beside_the_job(load: Load, tmp_path: Path) -> None:
    """A job can be started from any folder; an absolute path stays as it is."""
    relative = load(with_source("{file: data/a.csv}")).steps[0].source
    assert relative == FileSource(file=tmp_path / "data" / "a.csv", display="data/a.csv")
    absolute = tmp_path / "elsewhere" / "a.csv"
    found = load(with_source(f"{{file: '{absolute}'}}")).steps[0].source
    assert isinstance(found, FileSource)
    assert found.file == absolute


def test_a_query_source_is_read(load: Load) -> None:
    """Conditions nest, compare with lists and with looked-up records, and know their line."""
    job = load(
        with_source(
            """
      query: Tasks
      where:
        - {field: status, op: noteq, value: Complete}
        - {field: assignedResourceID, op: eq, value: {lookup: email, key: jane@acme.test}}
        - op: or
          items:
            - {field: priority, op: in, value: [1, 2]}
            - {field: title, op: exist}"""
        )
    )
    where = f"{job.path}:"
    assert job.steps[0].source == QuerySource(
        query="Tasks",
        where=(
            Condition(op=Op.NOTEQ, field="status", value="Complete", where=f"{where}11"),
            Condition(
                op=Op.EQ,
                field="assignedResourceID",
                value=LookupValue(lookup=("email",), key=("jane@acme.test",)),
                where=f"{where}12",
            ),
            Condition(
                op=Op.OR,
                items=(
                    Condition(op=Op.IN, field="priority", value=("1", "2"), where=f"{where}15"),
                    Condition(op=Op.EXIST, field="title", where=f"{where}16"),
                ),
                where=f"{where}13",
            ),
        ),
    )


def test_step_extras_are_read(load: Load) -> None:
    """Impersonation row by row, the marker, and a match on a user-defined field."""
    step = load(
        PLAIN.replace("[companyNumber]", '[companyNumber, "udf:Legacy ID"]')
        + "    udf: {Legacy ID: Old}\n    impersonate: {column: Author, lookup: email}\n    marker: fax\n"
    ).steps[0]
    assert step.match == ("companyNumber", "udf:Legacy ID")
    assert step.marker == "fax"
    assert step.impersonate is not None
    assert (step.impersonate.column, step.impersonate.lookup) == ("Author", ("email",))
    assert list(step.specs()) == ["companyNumber", "udf:Legacy ID"]


def test_limits_keep_the_default_of_what_they_do_not_say(load: Load) -> None:
    """A limit that names only its count keeps its percentage; label limits and creates have no default."""
    limits = load(
        PLAIN + "limits:\n  update: {count: 9000}\n  create: {count: 10}\n  status=Complete: {percent: 2.5}\n"
    ).limits
    assert limits == {
        "update": Limit(percent=25, count=9000),
        "delete": Limit(percent=25, count=500),
        "create": Limit(count=10),
        "status=Complete": Limit(percent=2.5),
    }


def test_recipes_are_read(load: Load) -> None:
    """A job in the user's own words: both recipes of the contract."""
    head = "version: 1\nname: leave\ntenant: acme\n"
    reassign = load(
        head
        + """reassign:
  from: jane@acme.test
  to: [{resource: kim@acme.test, role: Engineer}, {resource: lee@acme.test}]
  divide: round_robin
  entities: [Tasks, Tickets, Projects]
  where: [{field: status, op: noteq, value: Complete}]
"""
    ).recipe
    assert isinstance(reassign, Reassign)
    assert reassign.from_ == "jane@acme.test"
    assert reassign.to == (
        Assignee(resource="kim@acme.test", role="Engineer"), Assignee(resource="lee@acme.test"),
    )  # fmt: skip
    assert reassign.divide is Method.ROUND_ROBIN
    assert reassign.entities == ("Tasks", "Tickets", "Projects")
    assert [condition.op for condition in reassign.where] == [Op.NOTEQ]
    mapped = load(
        head + "reassign: {from: a, to: [{resource: b}], entities: [Tasks],"
        " divide: {by: companyID, map: {Acme: b, 001: c}}}\n"
    ).recipe  # fmt: skip
    assert isinstance(mapped, Reassign)
    assert mapped.divide == DivideBy(by="companyID", map={"Acme": "b", "001": "c"})
    close = load(
        head
        + """close_projects:
  where: [{field: endDateTime, op: lt, value: 2026-01-01}]
  status: Complete
  open_tasks: complete
  note: {title: Closed, description: Year end clean-up}
"""
    ).recipe
    assert isinstance(close, CloseProjects)
    assert close.where[0].value == "2026-01-01"
    assert (close.status, close.open_tasks) == ("Complete", OpenTasks.COMPLETE)
    assert close.note == Note(title="Closed", description="Year end clean-up")


def test_an_anchor_repeats_what_it_marks(load: Load) -> None:
    """Labels that several fields share are written once."""
    job = load(with_fields("a: {column: A, labels: &states {Open: New}}", "b: {column: B, labels: *states}"))
    assert field(job, "b").labels == field(job, "a").labels == {"Open": "New"}


def test_a_byte_order_mark_changes_nothing(write: Write) -> None:
    """Editors on Windows write UTF-8 with a mark, or UTF-16."""
    for data in (b"\xef\xbb\xbf" + PLAIN.encode(), PLAIN.replace("\n", "\r\n").encode("utf-16")):
        assert load_job(write(data)).name == "companies"


# --- --source


def test_source_override_replaces_file_and_dialect(write: Write) -> None:
    """`--source STEP=FILE` reads another file by its own dialect, even where the step's own is not run."""
    path = write(with_source("{file: a.xlsx, sheet: One, header_row: 4}"))
    step = load_job(path, sources={"companies": Path("out/rejected.csv")}).steps[0]
    file = Path("out/rejected.csv")
    assert step.source == FileSource(file=file, display=str(file), is_override=True)


def test_source_override_keeps_distinct(write: Write) -> None:
    """What makes rows distinct belongs to the step, not to the file."""
    path = write(with_source("{file: a.csv, distinct: {by: [A]}}"))
    source = load_job(path, sources={"companies": Path("b.csv")}).steps[0].source
    assert isinstance(source, FileSource)
    assert source.distinct == Distinct(by=("A",), keep=Keep.LAST)


def test_source_override_of_an_unknown_step_is_a_fault(write: Write) -> None:
    """A step that is not there is told with the one that may have been meant, and a wrong type too."""
    with pytest.raises(JobError) as caught:
        load_job(write(PLAIN), sources={"compnies": Path("a.csv"), "companies": Path("a.docx")})
    assert caught.value.faults[0] == Fault(
        where="--source compnies", message="there is no step `compnies`", hint="Did you mean `companies`?"
    )
    assert "must end in" in caught.value.faults[1].message


@pytest.mark.parametrize(
    "text",
    [
        PLAIN + "limits: {update: {percent: 5}, status=Complete: {count: 3}}\n",
        with_source("{file: a.jsonl}"),
        with_source("{file: a.parquet}"),
        with_source("{file: a.csv, distinct: {by: [A]}}"),
        with_fields("parentCompanyID: {column: Parent, from: companies}"),
        with_fields("status: {column: State, inactive: allow}"),
        PLAIN.replace("[companyNumber]", '["udf:A"]') + "    udf: {A: B}\n",
        PLAIN + "    impersonate: {column: Author, lookup: email}\n",
        PLAIN + "    marker: fax\n",
    ],
)
def test_what_is_run_is_not_refused(text: str, write: Write) -> None:
    """A job that says no more than this version does passes."""
    load_job(write(text))
