"""JSON Lines: keys are columns, numbers stay as written, and a bad line is one row's matter."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.cells import RESULT_COLUMNS
from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.record import Row, is_absent
from bulkops.sources import Source, open_source
from bulkops.sources.jsonl import KEY_LIMIT, LINE_LIMIT

Opened: TypeAlias = Callable[[str | bytes], Source]


def open_path(path: Path) -> Source:
    return open_source(FileSource(file=path, display=path.name))


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def _opened(text: str | bytes) -> Source:
        path = tmp_path / "t.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return open_path(path)

    return _opened


@pytest.fixture
def refusal(opened: Opened) -> Callable[[str | bytes], str]:
    def _refusal(text: str | bytes) -> str:
        with pytest.raises(SourceError) as caught:
            list(opened(text).rows())
        return str(caught.value)

    return _refusal


def cells(source: Source) -> list[tuple[str, ...]]:
    return [row.cells for row in source.rows()]


def test_columns_are_all_keys_in_the_order_of_their_first_line(opened: Opened) -> None:
    """A key that a line has not is a cell without text in its row, told from null and from empty text."""
    source = opened('{"b": "1", "a": "2"}\n{"c": "3", "a": "4"}\n')
    assert source.columns == ("b", "a", "c")
    assert cells(source) == cells(source) == [("1", "2", ""), ("", "4", "3")]
    source = opened('{"a": null, "b": "", "c": 0}\n{"d": 1}\n')
    assert [[is_absent(cell) for cell in row] for row in cells(source)] == [
        [False, False, False, True], [True, True, True, False],
    ]  # fmt: skip


def test_numbers_are_text_to_the_letter(opened: Opened) -> None:
    """Also those that no float holds, at any depth."""
    numbers = ["007", "1.0", "1e5", "12345678901234567890123", "-0", "0.10000000000000000001"]
    source = opened("".join(f'{{"n": {n}, "l": [{n}]}}\n' for n in numbers if n != "007") + '{"n": "007"}\n')
    assert [row.cells[0] for row in source.rows()] == [*numbers[1:], "007"]
    assert [row.cells[1] for row in source.rows()] == [*(f"[{n}]" for n in numbers[1:]), ""]


def test_other_values_are_text_in_their_shortest_form(opened: Opened) -> None:
    """true, false and nothing; lists and tables as compact JSON; texts such as NA stay texts."""
    source = opened('{"a": true, "b": null, "c": {"é": [1, false, null, "x y"]}, "d": "NA", "e": ""}\n')
    assert cells(source) == [("true", "", '{"é":[1,false,null,"x y"]}', "NA", "")]


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_marks_line_ends_and_blank_lines_change_nothing(opened: Opened, codec: str) -> None:
    """Lines are numbered as an editor does."""
    source = opened('{"a": "Ñ"}\r\n\r\n   \r\n{"a": "2"}'.encode(codec))
    assert list(source.rows()) == [Row(cells=("Ñ",), line=1), Row(cells=("2",), line=4)]


BAD_LINES = {
    '{"a": 1': "line 2 is no JSON (Expecting ',' delimiter at character 8)",
    "a,b": "line 2 is no JSON (Expecting value at character 1)",
    '{"a": 1, "a": 2}': "line 2 holds the key `a` twice",
    '{"x": {"a": 1, "a": 1}}': "line 2 holds the key `a` twice",
    '{"a": 1} {"a": 2}': 'line 2 holds more than one value: `{"a": 2}` follows',
    "[1, 2]": "line 2 is no object but a list: each line is one object, {…}",
    "7": "line 2 is no object but `7`: each line is one object, {…}",
    '{"a": NaN}': "line 2 holds NaN, which is no JSON",
    r'{"a": "\ud83d"}': r"line 2 holds half a character (an escape such as \ud83d without its other half)",
    '{"a": ' + "[" * 100_000 + "}": "line 2 is nested too deeply",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_a_fault_of_its_row(opened: Opened, line: str) -> None:
    """The line stays what it is, one text, and says what is wrong; the others are read."""
    first, bad, last = opened(f'{{"a": 1, "b": 2}}\n{line}\n{{"a": 3}}\n').rows()
    assert (first.cells, last.cells) == (("1", "2"), ("3", ""))
    assert (bad.cells, bad.line) == ((line,), 2)
    assert bad.fault == BAD_LINES[line]


def test_a_whole_character_written_as_two_escapes_is_read(opened: Opened) -> None:
    """Two halves are one."""
    assert cells(opened(r'{"a": "\ud83d\ude00"}')) == [("😀",)]


REFUSALS = {
    "": "t.jsonl: holds no row",
    "\n \n": "t.jsonl: holds no row",
    "{}\n": "t.jsonl: holds no row",
    '[\n  {\n    "a": 1\n  }\n]': "no line is an object with a key: line 1 is no JSON",
    '[{"a": 1}, {"a": 2}]': "no line is an object with a key: line 1 is no object but a list",
    "PK\x03\x04": "is an Excel workbook or a zip archive",
}


@pytest.mark.parametrize("text", REFUSALS)
def test_a_file_without_any_object_is_refused(refusal: Callable[[str], str], text: str) -> None:
    """With what its first line is."""
    assert REFUSALS[text] in refusal(text)


def test_a_byte_that_is_no_text_is_told_with_its_line(refusal: Callable[[bytes], str]) -> None:
    """JSON is UTF-8."""
    said = refusal('{"a": "x"}\n{"a": "Höhe"}\n'.encode("cp1252"))
    assert said.startswith("t.jsonl:2: the byte at offset 19 (F6) is no utf-8 text. JSON Lines are written")


def test_keys_without_end_are_refused(refusal: Callable[[str], str]) -> None:
    """Where every line has other keys, they are data; memory stays bounded."""
    said = refusal("".join(f'{{"k{n}": 1}}\n' for n in range(KEY_LIMIT + 1)))
    assert said.startswith(f"t.jsonl:{KEY_LIMIT + 1}: has more than {KEY_LIMIT:,} different keys")


def test_a_line_without_end_is_refused(refusal: Callable[[bytes], str]) -> None:
    """One list of everything, all on one line, is not read into memory."""
    said = refusal(b'[{"a": 1},' * (LINE_LIMIT // 10 + 1))
    assert said == f"t.jsonl:1: is longer than {LINE_LIMIT:,} characters. Write one object a line"


def test_a_file_that_grows_another_key_meanwhile_is_refused(tmp_path: Path) -> None:
    """Both readings must see the same file."""
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1}\n')
    source = open_path(path)
    path.write_text('{"b": 1}\n')
    with pytest.raises(SourceError, match="was changed while it was read"):
        list(source.rows())


def test_corrected_results_come_back_as_json_lines(opened: Opened) -> None:
    """bulkops' own columns are left out whatever the file's type is, and guards are taken off."""
    row = {"Name": "'-5", "Note": "x", **dict.fromkeys(RESULT_COLUMNS, "?")}
    source = opened(json.dumps(row))
    assert source.columns == ("Name", "Note")
    assert cells(source) == [("-5", "x")]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Both readings are streams."""
    path = tmp_path / "t.jsonl"
    path.write_text((json.dumps({f"key {n}": f"value {n}" for n in range(10)}) + "\n") * 6_000)
    tracemalloc.start()
    count = sum(1 for _ in open_path(path).rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 6_000
    assert peak < 200_000


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
tables = st.lists(
    st.dictionaries(texts.filter(str.strip), texts, min_size=1, max_size=4), min_size=1, max_size=5
)


@settings(deadline=None)
@given(tables, st.booleans())
def test_any_texts_come_back_to_the_letter(rows: list[dict[str, str]], is_ascii: bool) -> None:
    """Whatever keys and texts hold, escaped or not."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "t.jsonl")
        path.write_bytes("\n".join(json.dumps(row, ensure_ascii=is_ascii) for row in rows).encode())
        source = open_path(path)
        keys = list(dict.fromkeys(key for row in rows for key in row))
        assert source.columns == tuple(key.strip() for key in keys)
        assert cells(source) == [tuple(row.get(key, "") for key in keys) for row in rows]


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=100) | st.text('{}[]":,a1\n\\u \r', max_size=40).map(str.encode))
def test_any_bytes_are_rows_or_one_sentence(data: bytes) -> None:
    """Never another exception."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "t.jsonl")
        path.write_bytes(data)
        try:
            source = open_path(path)
            rows: list[Any] = list(source.rows())
        except SourceError as error:
            assert str(error).startswith("t.jsonl")
        else:
            assert all(row.fault or len(row.cells) == len(source.columns) for row in rows)
