"""DataFrames as sources: from Python, without a file, and without anything that pandas invents."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bulkops.errors import JobError, SourceError
from bulkops.job import Distinct, FrameSource, load_job
from bulkops.record import Row
from bulkops.sources import Source, open_source
from bulkops.sources.frame import BLOCK

JOB = """\
version: 1
name: frames
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: none.csv, distinct: {by: [Nr]}}
    match: [companyNumber]
    fields: {companyNumber: Nr, companyName: Name}
"""


def opened(frame: Any) -> Source:
    return open_source(FrameSource(frame=frame, display="my frame"))


MOMENTS = pd.Series(pd.to_datetime(["2016-02-29 01:16", "", "2016-02-29 00:00"]))
COLUMNS: list[tuple[Any, list[str]]] = [
    (pd.Series([1, 2, None]), ["1", "2", ""]),
    (pd.Series(["NA", None, "null", "007", ""]), ["NA", "", "null", "007", ""]),
    (pd.Series([1, None, 2**62], dtype="Int64"), ["1", "", str(2**62)]),
    (pd.Series([0.1, np.nan], dtype="float32"), ["0.1", ""]),
    (pd.Series([True, None, False], dtype="boolean"), ["true", "", "false"]),
    (pd.Series([True, None, False], dtype=object), ["true", "", "false"]),
    (pd.Series(["a", None, "b"], dtype="category"), ["a", "", "b"]),
    (pd.Series([1, None], dtype="int64[pyarrow]"), ["1", ""]),
    (MOMENTS, ["2016-02-29T01:16:00", "", "2016-02-29"]),
    (MOMENTS.dt.tz_localize("Europe/Madrid"), ["2016-02-29T01:16:00+01:00", "", "2016-02-29T00:00:00+01:00"]),
    (pd.Series(pd.to_timedelta(["26:30:00", None])), ["26:30:00", ""]),
    (pd.Series([Decimal("1.10"), Decimal("NaN"), None], dtype=object), ["1.1", "", ""]),
    (pd.Series([date(2016, 2, 29), pd.NaT, pd.NA], dtype=object), ["2016-02-29", "", ""]),
    (pd.Series([np.int64(5), np.float64(0.5), [1, "é"]], dtype=object), ["5", "0.5", '[1,"é"]']),
    (pd.Series([{"a": None}], dtype=object), ['{"a":null}']),
]  # fmt: skip


@pytest.mark.parametrize(("values", "texts"), COLUMNS, ids=[str(values.dtype) for values, _ in COLUMNS])
def test_every_type_has_a_text(values: Any, texts: list[str]) -> None:
    """Missing values of every kind are empty; whole numbers beside them are whole again."""
    assert [row.cells[0] for row in opened(pd.DataFrame({"a": values})).rows()] == texts


def test_a_row_is_known_by_its_place(tmp_path: Path) -> None:
    """From 1, over the borders of blocks; the index is not read, and names may be anything."""
    frame = pd.DataFrame({7: range(BLOCK + 1), " b ": "x", "": None}, index=range(100, BLOCK + 101))
    source = opened(frame)
    assert source.columns == ("7", "b", "column 3")
    assert (source.file, source.display, source.sheet) == ("my frame", "my frame", "")
    assert list(source.rows())[-1] == Row(cells=(str(BLOCK), "x", ""), line=BLOCK + 1)
    assert len(list(source.rows())) == BLOCK + 1


def test_a_cell_without_a_text_is_a_fault_of_its_row() -> None:
    """What stands there is named."""
    bad, good = opened(pd.DataFrame({"a": [1j, "x"]}, dtype=object)).rows()
    assert bad.fault == "row 1: column a holds a complex, which is no text, number or date"
    assert good == Row(cells=("x",), line=2)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ([{"a": 1}], "my frame: is a list, not a pandas.DataFrame"),
        (pd.DataFrame({"a": []}), "my frame: holds no row"),
        (pd.DataFrame({("a", "b"): [1]}), "my frame: its columns have 2 levels. Give each one name"),
    ],
    ids=["no frame", "no row", "levels"],
)
def test_what_is_no_table_is_refused(frame: Any, said: str) -> None:
    """With what it is."""
    with pytest.raises(SourceError) as caught:
        opened(frame)
    assert str(caught.value) == said


def test_a_job_takes_a_frame_for_a_step(tmp_path: Path) -> None:
    """The step's own file is not looked for; what makes its rows distinct stays."""
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    frame = pd.DataFrame({"Nr": ["1", "2", "1"], "Name": ["old", "b", "new"]})
    source = load_job(path).with_frame("companies", frame).steps[0].source
    assert source == FrameSource(frame=frame, display="frame of companies", distinct=Distinct(by=("Nr",)))
    assert isinstance(source, FrameSource)
    assert [row.cells for row in open_source(source).rows()] == [("2", "b"), ("1", "new")]
    named = load_job(path).with_frame("companies", frame, name="export").steps[0].source
    assert isinstance(named, FrameSource)
    assert named.display == "export"


def test_a_frame_for_a_step_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With the step that may have been meant."""
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    with pytest.raises(JobError, match=r"there is no step `compnies`\. Did you mean `companies`\?"):
        load_job(path).with_frame("compnies", pd.DataFrame({"a": [1]}))
