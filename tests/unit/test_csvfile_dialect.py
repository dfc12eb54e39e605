"""What a delimited file is written in is given, or found and said; what is no such file is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.sources import Source, open_source
from bulkops.sources.csvfile import CELL_LIMIT


def spec_of(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    quote: str | None = None,
    header_row: int = 1,
) -> FileSource:
    return FileSource(
        file=path,
        display=path.name,
        encoding=encoding,
        delimiter=delimiter,
        quote=quote,
        header_row=header_row,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


def opened(path: Path, text: str | bytes) -> Source:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return open_source(spec_of(path))


def cells(source: Source) -> list[tuple[str, ...]]:
    return [row.cells for row in source.rows()]


def refusal(path: Path, text: str | bytes | None = None) -> str:
    """What is said when the file is opened and read to its end."""
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(SourceError) as caught:
        list(open_source(spec_of(path)).rows())
    return str(caught.value)


# Encodings.


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_believed_and_is_no_text(path: Path, codec: str) -> None:
    """It names the encoding, and the first column has its own name."""
    source = opened(path, "Größe,b\n1,ü\n".encode(codec))
    assert source.columns == ("Größe", "b")
    assert source.dialect and source.dialect.encoding_found == "byte order mark"
    assert not source.dialect.warning


def test_a_given_encoding_may_have_its_mark(path: Path) -> None:
    """`utf-8` and `utf-16` given for a file with a mark of that kind: the mark is still no text."""
    for given_, codec in (("utf-8", "utf-8-sig"), ("UTF-16", "utf-16"), ("utf-8-sig", "utf-8")):
        path.write_bytes("é,b\n1,2\n".encode(codec))
        assert open_source(spec_of(path, encoding=given_)).columns == ("é", "b")


def test_a_given_encoding_against_the_mark_is_refused(path: Path) -> None:
    """Two contradicting statements are not weighed."""
    path.write_bytes("é,b\n1,2\n".encode("utf-8-sig"))
    with pytest.raises(SourceError, match=r"t\.csv: `encoding: cp1252` .* utf-8"):
        open_source(spec_of(path, encoding="cp1252"))


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13"])
def test_an_encoding_nobody_knows_is_refused(path: Path, name: str) -> None:
    """Codecs that are no encodings of text count as unknown."""
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=f"'{name}' is no known encoding"):
        open_source(spec_of(path, encoding=name))


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_found_and_said(path: Path, codec: str) -> None:
    """Every second byte is 0; that is a guess all the same."""
    source = opened(path, "Name,Größe\nMüller,1\n".encode(codec))
    assert cells(source) == [("Müller", "1")]
    assert source.dialect and source.dialect.encoding == codec
    assert "guess" in source.dialect.warning


GERMAN = "Name;Straße\nMüller;Größe\nJäger;Höhe\n"
GUESSES = {
    "cp1252": GERMAN + "“Zitat”;5 €\nO’Neil;Peña\n",
    "cp1250": "Město;Ulice\nŁódź;Żółta\nGdańsk;Święta\n",
    "cp850": GERMAN,
    "cp1251": "Город;Улица\nМосква;Тверская\nКазань;Баумана\n",
    "cp1253": "Πόλη;Οδός\nΑθήνα;Σταδίου\nΠάτρα;Κορίνθου\n",
    "cp932": "都市;会社\n東京;株式会社です\n大阪;有限会社です\n",
}


@pytest.mark.parametrize("codec", list(GUESSES))
def test_other_encodings_are_guessed_and_said_with_a_word_to_check(path: Path, codec: str) -> None:
    """A guess reads the text right, and shows what it reads so that a person sees when it does not."""
    text = GUESSES[codec]
    source = opened(path, (text * 5).encode(codec))
    assert [source.columns, *cells(source)][:3] == [tuple(line.split(";")) for line in text.splitlines()[:3]]
    assert source.dialect
    assert f"the encoding is a guess, {source.dialect.encoding}, which reads '" in source.dialect.warning
    assert "set `encoding:" in source.dialect.warning


def test_one_letter_far_behind_is_seen_before_reading(path: Path) -> None:
    """A million ASCII characters do not make a file ASCII."""
    path.write_bytes(b"a,b\n" + b"x,y\n" * 250_000 + "x,ü\n".encode("cp1252"))
    source = open_source(spec_of(path))
    assert source.dialect and source.dialect.encoding == "cp1252"
    assert [row.cells for row in source.rows()][-1] == ("x", "ü")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_byte_that_is_no_text_is_named_by_line_and_offset(path: Path, end: str) -> None:
    """Found late, in a file that began as UTF-8: where it is, and what to do."""
    good = f"é,b{end}" + f"é,y{end}" * 150_000
    path.write_bytes(good.encode() + b"x,caf\xe9" + end.encode())
    message = refusal(path)
    assert message.startswith(f"t.csv:150002: the byte at offset {len(good.encode()) + 5} (E9) is no utf-8")
    assert "`encoding`" in message


def test_a_given_encoding_that_does_not_fit_is_refused(path: Path) -> None:
    """The job's word is taken, and its fault is told at the byte that shows it."""
    path.write_bytes("a,b\n1,ü\n".encode("cp1252"))
    with pytest.raises(SourceError, match=r"t\.csv:2: the byte at offset 6 \(FC\) is no utf-8"):
        open_source(spec_of(path, encoding="utf-8"))


def test_utf16_that_ends_in_half_a_character_is_refused(path: Path) -> None:
    """A file cut in the middle is not read as if it were whole."""
    assert "is no utf-16-le text" in refusal(path, "a,b\n1,2\n".encode("utf-16") + b"\x41")


# Delimiters.


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(path: Path, sign: str) -> None:
    """By the number of cells, whatever other signs the cells hold."""
    text = "\n".join(
        [sign.join(["Id", "Name", "Text"]), sign.join(["1", "A B", "x. y"]), sign.join(["2", "C", "z"])]
    )
    source = opened(path, text)
    assert source.dialect and source.dialect.delimiter == sign
    assert "2 of the first 2 rows have 3 cells with it" in source.dialect.delimiter_found


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("Id;Name;Sum\n1;A;1,5\n2;B;2,5\n", 3),
        ("Id;Sum, net;Sum, gross\n1;1,5;2,5\n2;3,5;4,5\n", 3),
        ("Id,Note; long\n1,a\n2,b\n", 2),
        ("Name\nSmith, John\nDoe, Jane\n", 1),
        ("Name\n", 0),
        ('a,b\n"x;y;z",1\n"p;q;r",2\n', 2),
        ("a,b,c\n1,2,3\n1,2,3\n1,2,3,4\n", 3),
    ],
)
def test_the_delimiter_is_the_one_most_rows_agree_with(path: Path, text: str, columns: int) -> None:
    """Decimal commas, notes and names with commas do not mislead."""
    if columns:
        assert len(opened(path, text).columns) == columns
    else:
        assert "holds no row after the header" in refusal(path, text)


def test_a_given_delimiter_is_taken(path: Path) -> None:
    """Even where another one would fit."""
    path.write_text("a,b:c\n1,2:3\n")
    source = open_source(spec_of(path, delimiter=":"))
    assert cells(source) == [("1,2", "3")]
    assert "delimiter : (given)" in str(source.dialect)


# Refusals.


@pytest.mark.parametrize("text", ["", "\n\n\r\n", "\ufeff", "\ufeff\n", "\x1a"])
def test_an_empty_file_is_refused(path: Path, text: str) -> None:
    """Nothing in it, or nothing but line ends and a mark."""
    assert "t.csv: is empty" in refusal(path, text)


def test_a_file_without_rows_is_refused(path: Path) -> None:
    """A header alone is no source."""
    assert "t.csv: holds no row after the header" in refusal(path, "a,b\n\n")


def test_a_header_row_behind_the_end_is_refused(path: Path) -> None:
    """The message names the setting that is wrong."""
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"is empty from line 9 on \(`header_row`\)"):
        open_source(spec_of(path, header_row=9))


def test_a_missing_file_is_refused_with_the_name_that_was_meant(path: Path) -> None:
    """A slip of the pen is recognised; a missing folder is told apart."""
    (path.parent / "customers.csv").write_text("a\n1\n")
    assert "Is it 'customers.csv'?" in refusal(path.parent / "custmers.csv")
    assert "there is no folder" in refusal(path.parent / "nowhere" / "t.csv")


def test_a_folder_is_refused(path: Path) -> None:
    """A folder that ends in .csv is no file."""
    path.mkdir()
    assert "is a folder" in refusal(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_one_may_not_read_is_refused(path: Path) -> None:
    """With what to do about it."""
    path.write_text("a\n1\n")
    path.chmod(0)
    assert "cannot be read" in refusal(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such files")
def test_what_can_be_read_only_once_is_refused(path: Path) -> None:
    """A pipe would be empty the second time, and would hang the first."""
    os.mkfifo(path)
    assert "is not a regular file" in refusal(path)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"PK\x03\x04rest", "Excel"),
        (b"\xd0\xcf\x11\xe0rest", "Excel"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b\x08", "gzip"),
    ],
)
def test_other_kinds_of_files_are_called_by_their_name(path: Path, data: bytes, name: str) -> None:
    """A workbook named .csv is a common slip."""
    assert name in refusal(path, data)


def test_binary_data_is_refused(path: Path) -> None:
    """Bytes of 0 that are no UTF-16."""
    assert "is no text file" in refusal(path, bytes(range(256)) * 4)


def test_a_file_of_one_endless_line_is_refused(path: Path) -> None:
    """It would not fit into memory, and is no table."""
    assert "no line end" in refusal(path, "a" * 300_000)


def test_a_quote_that_is_never_closed_names_the_line_where_it_opens(path: Path) -> None:
    """Not the end of the file, where a reader notices it, nor the record's first line."""
    message = refusal(path, 'a,b\n1,2\n"x\ny","never closed\n4,5\n6,7\n')
    assert message.startswith("t.csv:4: a quote opened in this line is never closed")


def test_a_cell_beyond_every_limit_is_refused(path: Path) -> None:
    """An unclosed quote in a large file ends in a message, not in a full memory."""
    line = "x" * 1023 + "\n"
    path.write_text('a,b\n1,"' + line * (CELL_LIMIT // len(line) + 2))
    assert refusal(path).startswith("t.csv:2: a cell that begins in this record holds more than")


def test_a_header_that_cannot_be_read_is_refused(path: Path) -> None:
    """A file without a good header has no columns."""
    assert "t.csv:1: the header cannot be read" in refusal(path, '"a" x,b\n1,2\n')


def test_other_suffixes_are_refused(path: Path) -> None:
    """With what to do."""
    with pytest.raises(SourceError, match=r"t\.ods: '\.ods' files cannot be read\. "):
        open_source(spec_of(path.with_suffix(".ods")))


def test_a_path_the_system_refuses_is_a_refusal(path: Path) -> None:
    """A name longer than any file's."""
    assert "cannot be read" in refusal(path.parent / ("x" * 300 + ".csv"))


def test_a_dialect_that_cannot_be_is_refused(path: Path) -> None:
    """Also where no job file was checked before."""
    path.write_text("a,b\n1,2\n")
    wrong = [spec_of(path, delimiter=sign) for sign in ("", ";;", '"')] + [spec_of(path, quote="''")]
    for spec in wrong:
        with pytest.raises(SourceError, match="Give one character"):
            open_source(spec)


def test_a_stray_byte_does_not_turn_a_utf8_file_into_another_encoding(tmp_path: Path) -> None:
    """One byte that is not UTF-8 among much that is: refused with its line, never read as mojibake."""
    lines = [f"{n},Ïnstitut Müller".encode() for n in range(200)]
    lines[2] = b"2,Institut M\xfcller"
    path = tmp_path / "x.csv"
    path.write_bytes(b"Nr,Name\n" + b"\n".join(lines) + b"\n")
    with pytest.raises(SourceError, match=r"x\.csv:4"):
        list(open_source(FileSource(file=path, display="x.csv")).rows())
