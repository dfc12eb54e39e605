"""Whatever a job file holds: it loads, or every fault has a line inside the file; and no text is changed."""

from __future__ import annotations

import copy
import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bulkops.errors import JobError
from bulkops.job import FieldSpec, Job, load_job
from bulkops.safety import Limit

VALID: dict[str, Any] = {
    "version": "1",
    "name": "legacy",
    "tenant": "acme",
    "missing": ["", "NULL"],
    "steps": [
        {
            "name": "projects",
            "entity": "Projects",
            "action": "upsert",
            "source": {"file": "a.csv", "encoding": "cp1252", "delimiter": ";", "header_row": "2"},
            "match": ["extProjectNumber", "udf:Old"],
            "fields": {
                "extProjectNumber": "Id",
                "companyID": {"columns": ["Client", "City"], "lookup": ["companyName", "city"]},
                "status": {"column": "State", "labels": {"Open": "New"}, "default": "New"},
                "startDateTime": {"column": "Start", "date": "%d/%m/%Y", "empty": "reject"},
                "description": {"template": "{{ row['Notes'] }} ({{ Id }})"},
                "hours": {"column": "Hours", "number": {"decimal": ",", "thousands": "."}},
                "parentID": {"columns": ["Parent", "Old"], "from": "projects"},
            },
            "udf": {"Old": {"value": "x"}},
            "ignore": ["Colour"],
            "impersonate": {"column": "Author", "lookup": "email"},
        },
        {
            "name": "tasks",
            "entity": "Tasks",
            "action": "update",
            "source": {
                "query": "Tasks",
                "where": [
                    {"field": "status", "op": "in", "value": ["1", "2"]},
                    {"op": "or", "items": [{"field": "a", "op": "eq", "value": {"lookup": "b", "key": "c"}}]},
                ],
            },
            "match": ["id"],
            "fields": {"id": "Id"},
        },
    ],
    "limits": {"update": {"percent": "25", "count": "500"}, "status=Complete": {"count": "3"}},
}
RECIPES: list[dict[str, Any]] = [
    {
        "version": "1",
        "name": "leave",
        "tenant": "acme",
        "reassign": {
            "from": "jane",
            "to": [{"resource": "kim", "role": "Engineer"}],
            "divide": {"by": "companyID", "map": {"Acme": "kim"}},
            "entities": ["Tasks"],
            "where": [{"field": "status", "op": "noteq", "value": "Complete"}],
        },
    },
    {
        "version": "1",
        "name": "close",
        "tenant": "acme",
        "close_projects": {
            "source": {"file": "a.csv"},
            "match": ["id"],
            "status": "Complete",
            "open_tasks": "refuse",
            "note": {"title": "a", "description": "b"},
        },
    },
]
JUNK: tuple[Any, ...] = (
    None,
    "",
    "x",
    "~",
    "\t",
    "é{{",
    "-1",
    "*a",
    "1" * 5000,
    "{% x",
    "%Y%",
    [],
    ["x"],
    {},
    {"x": "y"},
    [[["x"]]],
)
KEYS = ("file", "query", "column", "lookup", "from", "steps", "reassign", "match", "<<", "", "udf:x", "x: y")
PIECES = (
    *"\"'[]{}:,-&*!|>%@`#?~\0\ud800\u2028\x85 é\n",
    '"\\UFFFFFFFF"',
    "<<: ",
    "&a ",
    "*a ",
    "!!x ",
    "---\n",
)
SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "job.yaml"


def dump(data: Any, *, flow: bool | None = False, quote: str | None = None) -> str:
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    yaml.default_style = quote
    yaml.width = 4096
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


def load(path: Path, text: str) -> Job | None:
    """The job, or None with the promise kept: only JobError, each fault at a line that the file has."""
    data = text.encode("utf-8", "surrogatepass")
    path.write_bytes(data)
    lines = max(1, len(data.decode("utf-8", "replace").splitlines()))
    try:
        return load_job(path)
    except JobError as error:
        assert error.faults
        found = []
        for fault in error.faults:
            match = re.fullmatch(re.escape(str(path)) + r":(\d+)(?::\d+)?", fault.where)
            assert match, fault
            assert "\n" not in fault.message + fault.hint
            found.append(int(match[1]))
        assert found == sorted(found)
        assert 1 <= found[0] <= found[-1] <= lines
        return None


def containers(node: Any) -> list[Any]:
    """Every non-empty list and table inside, the node itself first."""
    if not isinstance(node, (dict, list)) or not node:
        return []
    children = node.values() if isinstance(node, dict) else node
    return [node, *(inner for child in children for inner in containers(child))]


def mutate(draw: st.DrawFn, root: dict[str, Any]) -> None:
    """One change to one place: drop, rename, replace, insert, wrap."""
    node = draw(st.sampled_from(containers(root)))
    key = draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
    what = draw(st.sampled_from(("drop", "junk", "rename", "insert", "wrap", "move")))
    if what == "drop":
        del node[key]
    elif what == "junk":
        node[key] = copy.deepcopy(draw(st.sampled_from(JUNK)))
    elif what == "wrap":
        node[key] = [node[key]]
    elif what == "move":
        node[key] = copy.deepcopy(draw(st.sampled_from(containers(root))))
    elif isinstance(node, list):
        node.insert(key, copy.deepcopy(draw(st.sampled_from(JUNK))))
    elif what == "rename":
        node[draw(st.sampled_from((*KEYS, str(key)[1:], str(key).upper())))] = node.pop(key)
    else:
        node[draw(st.sampled_from(KEYS))] = copy.deepcopy(draw(st.sampled_from(JUNK)))


@st.composite
def mutated_jobs(draw: st.DrawFn) -> str:
    root = copy.deepcopy(draw(st.sampled_from([VALID, VALID, *RECIPES])))
    for _ in range(draw(st.integers(1, 4))):
        if containers(root):
            mutate(draw, root)
    return dump(root, flow=draw(st.sampled_from((True, False, None))))


@st.composite
def mutated_texts(draw: st.DrawFn) -> str:
    """A valid file with lines dropped, doubled, shifted, and characters put in."""
    lines = dump(VALID).splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(("drop", "double", "indent", "tab", "cut", "put")))
        line = lines[index]
        at = draw(st.integers(0, len(line) - 1)) if line else 0
        lines[index] = {
            "drop": "",
            "double": line * 2,
            "indent": " " + line,
            "tab": "\t" + line,
            "cut": line[:at],
            "put": line[:at] + draw(st.sampled_from(PIECES)) + line[at:],
        }[what]
    return "".join(lines)


def test_the_jobs_to_be_changed_are_valid(path: Path) -> None:
    """Otherwise the properties below would say little."""
    assert all(load(path, dump(root)) for root in (VALID, *RECIPES))


@SETTINGS
@given(text=mutated_jobs())
def test_a_job_with_wrong_parts_never_crashes(path: Path, text: str) -> None:
    """Dropped, renamed, mistyped, misplaced parts end in a job or in faults inside the file."""
    load(path, text)


@SETTINGS
@given(text=mutated_texts())
def test_a_damaged_text_never_crashes(path: Path, text: str) -> None:
    """Neither does a file that an editor, or a cat on the keyboard, damaged."""
    load(path, text)


@SETTINGS
@given(data=st.binary(max_size=200))
def test_bytes_never_crash(path: Path, data: bytes) -> None:
    """Nor one that is no job at all."""
    path.write_bytes(data)
    with pytest.raises(JobError):
        load_job(path)


characters = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\x85\u2028\u2029"), min_size=1, max_size=12
)
texts = characters.filter(str.strip)
LIKE_VALUES = (
    "No",
    "001",
    "2026-01-01",
    "1e3",
    "~",
    "null",
    "true",
    "0x1F",
    "1_000",
    "12:30:45",
    "=",
    "<<",
    "- a",
)
cells = st.one_of(texts, st.sampled_from(LIKE_VALUES))


@SETTINGS
@given(
    lists=st.tuples(
        st.lists(cells, unique=True, max_size=4), st.lists(cells, unique=True, min_size=2, max_size=4)
    ),
    labels=st.dictionaries(cells, cells, min_size=1, max_size=4),
    words=st.tuples(cells, cells),
    style=st.tuples(st.sampled_from((True, False)), st.sampled_from(("'", '"'))),
)
def test_every_text_arrives_to_the_letter(
    path: Path, lists: tuple[list[str], list[str]], labels: dict[str, str], words: tuple[str, str],
    style: tuple[bool, str],
) -> None:  # fmt: skip
    """What a job says is neither typed, trimmed, folded nor normalised, however it is quoted."""
    (missing, columns), (value, reason) = lists, words
    step = {
        "name": "s",
        "entity": "Tasks",
        "action": "create",
        "source": {"file": "a.csv"},
        "fields": {
            "a": columns[0],
            "b": {"columns": columns, "lookup": columns},
            "c": {"column": columns[1], "labels": labels, "default": value},
            "d": {"value": value},
        },
        "ignore": columns,
    }
    root = {
        "version": "1", "name": "j", "tenant": value, "reason": reason, "missing": missing, "steps": [step],
        "limits": {f"x={value}": {"count": "3"}},
    }  # fmt: skip
    job = load(path, dump(root, flow=style[0], quote=style[1]))
    assert job is not None
    assert (job.tenant, job.reason, job.missing) == (value, reason, tuple(missing))
    fields = job.steps[0].fields
    assert isinstance(fields["a"], FieldSpec)
    assert fields["a"].column == columns[0]
    assert fields["b"].columns == fields["b"].lookup == tuple(columns) == job.steps[0].ignore
    assert (fields["c"].labels, fields["c"].default) == (labels, value)
    assert fields["d"].value == value
    assert job.limits[f"x={value}"] == Limit(count=3)
