"""Parquet files: every type as text in its shortest form, in blocks, nothing invented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.record import Row
from bulkops.sources import Source, open_source
from bulkops.sources.parquet import BATCH

Opened: TypeAlias = Callable[[Mapping[str, Any]], Source]


def open_path(path: Path) -> Source:
    return open_source(FileSource(file=path, display=path.name))


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def _opened(columns: Mapping[str, Any]) -> Source:
        path = tmp_path / "t.parquet"
        parquet.write_table(pa.table(columns), path)
        return open_path(path)

    return _opened


def column(source: Source) -> list[str]:
    return [row.cells[0] for row in source.rows()]


DAY = datetime(2016, 2, 29, 1, 16, tzinfo=UTC)
COLUMNS: list[tuple[Any, list[str]]] = [
    (pa.array(["007", " x ", "NA", None, ""]), ["007", " x ", "NA", "", ""]),
    (pa.array([1, None, 2**62]), ["1", "", str(2**62)]),
    (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
    (pa.array([1.0, 0.1, None, float("nan")]), ["1", "0.1", "", ""]),
    (pa.array([0.1, 1e10, None, float("nan")], pa.float32()), ["0.1", "10000000000", "", ""]),
    (pa.array([Decimal("1.10"), None], pa.decimal128(20, 2)), ["1.1", ""]),
    (pa.array([True, None, False]), ["true", "", "false"]),
    (pa.array([date(2016, 2, 29), None]), ["2016-02-29", ""]),
    (pa.array([DAY], pa.timestamp("ms")), ["2016-02-29T01:16:00"]),
    (pa.array([DAY.replace(hour=0, minute=0)], pa.timestamp("us")), ["2016-02-29"]),
    (pa.array([1], pa.timestamp("ns")), ["1970-01-01T00:00:00.000000001"]),
    (pa.array([DAY], pa.timestamp("s", tz="Europe/Madrid")), ["2016-02-29T02:16:00+01:00"]),
    (pa.array([time(8, 30)]), ["08:30:00"]),
    (pa.array([timedelta(hours=26)]), ["26:00:00"]),
    (pa.array(["a", None, "a"]).dictionary_encode(), ["a", "", "a"]),
    (pa.array([[1, None], []]), ["[1,null]", "[]"]),
    (pa.array([{"a": date(2016, 2, 29)}]), ['{"a":"2016-02-29"}']),
    (pa.array([b"caf\xc3\xa9"]), ["café"]),
    (pa.nulls(2), ["", ""]),
]


@pytest.mark.parametrize(("values", "texts"), COLUMNS, ids=[str(values.type) for values, _ in COLUMNS])
def test_every_type_has_a_text(opened: Opened, values: Any, texts: list[str]) -> None:
    """Whole numbers stay whole beside missing ones, and nothing becomes NaN."""
    assert column(opened({"a": values})) == texts


def test_a_row_is_known_by_its_number(opened: Opened) -> None:
    """Over the borders of blocks, and read anew at each call."""
    source = opened({"n": list(range(BATCH + 2)), " m ": ["x"] * (BATCH + 2), "": [None] * (BATCH + 2)})
    assert source.columns == ("n", "m", "column 3")
    assert list(source.rows()) == list(source.rows())
    rows = list(source.rows())
    assert [row.line for row in rows] == list(range(1, BATCH + 3))
    assert rows[-1] == Row(cells=(str(BATCH + 1), "x", ""), line=BATCH + 2)


def test_a_cell_without_a_text_is_a_fault_of_its_row(opened: Opened) -> None:
    """The others are read."""
    good, bad, both = opened({"a": [b"x", b"\xff", b"\xfe"], "b": [1.5, 1.5, float("inf")]}).rows()
    assert (good.cells, good.fault) == (("x", "1.5"), "")
    assert (bad.cells, bad.fault) == (("", "1.5"), "row 2: column a holds bytes that are no UTF-8 text")
    assert both.fault == "row 3: column a holds bytes that are no UTF-8 text"


@pytest.mark.parametrize("columns", [{}, {"a": pa.array([], pa.int64())}])
def test_a_file_without_rows_is_refused(opened: Opened, columns: Mapping[str, Any]) -> None:
    """Nothing to read is told."""
    with pytest.raises(SourceError, match=r"^t\.parquet: holds no row$"):
        opened(columns)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no Parquet file. Save the table as Parquet or as CSV"),
        (b"a,b\n1,2\n", "is no Parquet file. Save the table as Parquet or as CSV"),
        (b"PAR1 and no more", "is damaged or cut off, and cannot be read as Parquet. Save it again"),
    ],
)
def test_what_is_no_parquet_file_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    """With what to do."""
    path = tmp_path / "t.parquet"
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        open_path(path)
    assert said in str(caught.value)


def test_a_file_that_is_damaged_inside_is_refused_where_it_is_read(tmp_path: Path) -> None:
    """Its end can be whole while its pages are not."""
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"a": ["x" * 50] * 1000}), path, compression="snappy", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[4:200] = b"\xff" * 196
    path.write_bytes(data)
    with pytest.raises(SourceError, match="is damaged or cut off"):
        list(open_path(path).rows())


@settings(deadline=None, max_examples=50)
@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1))
def test_any_texts_come_back_to_the_letter(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str | None]
) -> None:
    """Whatever they hold; a missing one is an empty cell."""
    path = tmp_path_factory.mktemp("p") / "t.parquet"
    parquet.write_table(pa.table({"a": pa.array(texts, pa.string())}), path)
    assert column(open_path(path)) == [text or "" for text in texts]
