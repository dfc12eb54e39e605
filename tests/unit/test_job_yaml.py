"""YAML with line numbers: whatever bytes a file holds, the answer is a tree or a sentence with a line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bulkops.errors import JobError
from bulkops.job import load_job
from bulkops.job.yamlfile import MAX_BYTES, Faults, Items, Table, Text, parse_yaml


def faults_of(tmp_path: Path, data: bytes) -> list[str]:
    path = tmp_path / "job.yaml"
    path.write_bytes(data)
    with pytest.raises(JobError) as caught:
        load_job(path)
    return [str(fault).removeprefix(f"{path}:") for fault in caught.value.faults]


CHARACTER_HINT = "If it belongs to a text, write it as an escape in double quotes."
ALIAS_HINT = "Put the text in quotes if the * belongs to it."
ESCAPE_HINT = "Use single quotes, or write the backslash twice."
NO_JOBS = {
    b"": "1:1: the file is empty. A job begins with `version: 1`.",
    b"# only a comment\n": "1:1: the file is empty. A job begins with `version: 1`.",
    b"---\n...\n": "1:1: the file is empty. A job begins with `version: 1`.",
    b"- a\n- b\n": "1:1: a job must be a table of keys, not a list",
    b"hello": "1:1: a job must be a table of keys, not the text `hello`",
    b"a\n\x00b": f"2:1: the character U+0000 cannot stand in a YAML file. {CHARACTER_HINT}",
    b"PK\x03\x04": f"1:3: the character U+0003 cannot stand in a YAML file. {CHARACTER_HINT}",
    b"a: b\nc: \xe9t\xe9\n": "2:1: byte 0xE9 is not UTF-8 text. Save the job file as UTF-8.",
    b"\xff\xfe\x00\xd8": "1:1: byte 0x00 is not UTF-16 text. Save the job file as UTF-8.",
    b"a:\n\tb: c\n": "2:1: a tab cannot indent YAML. Use spaces.",
    b"a: 'x\nb: c\n": "1:4: a quote is opened here and never closed. Close it.",
    b"a: @x\n": "1:4: a value cannot begin with @. Put the value in quotes.",
    b"a: 1\n---\nb: 2\n": "2:1: a second document begins here. A job file holds one document.",
    b"a: *b\n": f"1:4: nothing above is marked &b for *b to repeat. {ALIAS_HINT}",
    b"a: &a [*a]\n": f"1:8: nothing above is marked &a for *a to repeat. {ALIAS_HINT}",
    b'a: "\\q"\n': f"1:6: \\q means nothing between double quotes. {ESCAPE_HINT}",
    b"[" * 50_000: "1:42: values are nested more than 40 deep",
    b"- " * 50_000: "1:83: values are nested more than 40 deep",
}  # fmt: skip


@pytest.mark.parametrize("data", NO_JOBS, ids=[repr(data[:20]) for data in NO_JOBS])
def test_what_is_no_job_is_told_in_one_sentence(data: bytes, tmp_path: Path) -> None:
    """Empty, binary, tabbed, nested without end: one sentence with a line, in no time."""
    assert faults_of(tmp_path, data) == [NO_JOBS[data]]


SYNTAX = {
    b"a: b: c\n": "1:5: a second `: ` makes no sense here",
    b"a: {b: [1, 2}\n": "1:13: a comma or ] is missing before }",
    b"a: [1, 2\n": "1:4: a comma or ] is missing before the end",
    b"- a\nb: c\n": "2:1: this line does not belong to the lines above",
    b"a: ]\n": "1:4: a value is missing before ]",
    b"a\nb: c\n": "2:2: a second `: ` makes no sense here",
    b"a\nb\n: c": "",
    b"%YAML 9\n---\na": "",
    b"a: *": '1:5: a value cannot begin with a bare * or &. Put it in quotes: "*".',
    b"a: |x\n": "1:5: this is not YAML: while scanning a block scalar",
}  # fmt: skip


@pytest.mark.parametrize("data", SYNTAX, ids=repr)
def test_broken_yaml_is_explained_where_it_breaks(data: bytes, tmp_path: Path) -> None:
    """A syntax error is one fault in words that tell what to look at."""
    found = faults_of(tmp_path, data)
    assert len(found) == 1
    assert found[0].startswith(SYNTAX[data])
    assert "\n" not in found[0]


def test_an_alias_bomb_ends_before_it_grows(tmp_path: Path) -> None:
    """Nine levels of ten aliases each stand for a billion values; they are counted, not made."""
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for last, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]\n"
    assert faults_of(tmp_path, bomb.encode())[0].endswith("stands for more than 100,000 values")


def test_aliases_cannot_nest_deeper_than_brackets(tmp_path: Path) -> None:
    """A chain of aliases, each one deeper than the last, ends at the same depth."""
    chain = "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))
    assert faults_of(tmp_path, chain.encode()) == ["41:12: values are nested more than 40 deep"]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """A data file given as a job is told from its size."""
    assert faults_of(tmp_path, b"a" * (MAX_BYTES + 1)) == [
        "1:1: the file is larger than 1 MiB. Data belongs into the source file."
    ]


def test_escapes_that_are_no_characters_are_faults(tmp_path: Path) -> None:
    """A lone surrogate or a NUL could be stored nowhere later."""
    found = faults_of(tmp_path, b'reason: "\\ud800"\nname: "a\\0"\n')
    assert "1:9: an escape in this text stands for no character" in found
    assert "2:7: an escape in this text stands for no character" in found
    for beyond in (b"\\U00110000", b"\\U80000000", b"\\UFFFFFFFF"):
        assert faults_of(tmp_path, b'name: a\nreason: "b ' + beyond + b'"\n') == [
            "2:12: an escape in this text stands for no character"
        ]


def test_line_separators_of_old_yaml_are_faults(tmp_path: Path) -> None:
    """U+2028 pasted into a text would be folded into a space in silence."""
    assert faults_of(tmp_path, 'reason: "a\u2028b"\n'.encode()) == [
        f"1:11: the character U+2028 cannot stand in a YAML file. {CHARACTER_HINT}"
    ]


def test_json_is_yaml(tmp_path: Path) -> None:
    """A job written by a program as JSON is read, with the pairs of escapes that JSON makes."""
    step = {"name": "s", "entity": "Tasks", "action": "create", "source": {"file": "a.csv"}}
    root = {"version": 1, "name": "j", "tenant": "t", "reason": "\U0001f600 \x85 \u2028 \n é"}
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(root | {"steps": [step | {"fields": {"title": "Title"}}]}))
    assert load_job(path).reason == root["reason"]


def test_an_unreadable_file_is_a_sentence(tmp_path: Path) -> None:
    """Missing (with what may have been meant), a folder, an impossible name."""
    (tmp_path / "tasks.yaml").write_text("a: b")
    cases = {
        tmp_path / "task.yaml": "there is no such file. Did you mean `tasks.yaml`?",
        tmp_path / "none" / "x.yaml": "there is no such file",
        tmp_path: "the file cannot be read: ",
        tmp_path / "a\0b": "the file cannot be read: ",
    }
    for path, message in cases.items():
        with pytest.raises(JobError) as caught:
            load_job(path)
        assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a mode that refuses")
def test_a_forbidden_file_is_a_sentence(tmp_path: Path) -> None:
    """No right to read is told as such."""
    path = tmp_path / "job.yaml"
    path.write_text("a: b")
    path.chmod(0)
    with pytest.raises(JobError, match="the file cannot be read: Permission denied"):
        load_job(path)


def test_every_node_knows_its_place() -> None:
    """Keys, values and lists carry the line and column where they begin."""
    root = parse_yaml("a: 1\nb:\n  - x\n  - {c: ~}\n", Faults("f"))
    assert isinstance(root, Table)
    (a, b) = root.entries
    assert (a.key.place.line, a.key.place.column, a.value.place.column) == (1, 1, 4)
    assert isinstance(b.value, Items)
    assert [item.place.line for item in b.value.items] == [3, 4]
    inner = b.value.items[1]
    assert isinstance(inner, Table)
    value = inner.entries[0].value
    assert isinstance(value, Text)
    assert value.is_nothing
    assert (value.place.line, value.place.column) == (4, 9)


def test_quoted_nothing_is_a_text() -> None:
    """`~` and the empty text in quotes are what they say."""
    root = parse_yaml("a: '~'\nb: \"\"\nc: null\n", Faults("f"))
    assert isinstance(root, Table)
    for entry, text in zip(root.entries, ("~", "", "null"), strict=True):
        assert isinstance(entry.value, Text)
        assert (entry.value.text, entry.value.is_nothing) == (text, False)
