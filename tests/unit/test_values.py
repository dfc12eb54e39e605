"""Text to typed value: exactly what the text says, or a sentence that says why not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.job.model import NumberSpec
from bulkops.mapping.values import plain_converter
from bulkops.record import Scalar, StoredText
from bulkops.schema import Field, FieldType


def convert(
    kind: FieldType, text: str, number: NumberSpec | None = None, *, name: str = "x", length: int = 0,
    reference: str = "",
) -> Scalar:  # fmt: skip
    return plain_converter(Field(name=name, type=kind, length=length, reference=reference), number)(text)


def refusal(kind: FieldType, text: str, number: NumberSpec | None = None, *, name: str = "x",
            length: int = 0, reference: str = "") -> str:  # fmt: skip
    with pytest.raises(ValueError) as caught:
        convert(kind, text, number, name=name, length=length, reference=reference)
    return str(caught.value)


WHOLE = (FieldType.SHORT, FieldType.INTEGER, FieldType.LONG)


@pytest.mark.parametrize(
    ("text", "value"), [("12", 12), (" -3 ", -3), ("+7", 7), ("12.0", 12), ("007", 7), ("5.", 5)]
)
def test_whole_numbers_are_read(text: str, value: int) -> None:
    """Blanks around, a sign, leading zeros, and the .0 that spreadsheets put behind."""
    result = convert(FieldType.INTEGER, text)
    assert result == value
    assert type(result) is int


@pytest.mark.parametrize("text", ["12.5", "1e3", "1_000", "٣", "0x10", "twelve", "1 000", "--1", "", "1.0.0"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    """Nothing is rounded, and no digits are guessed."""
    assert "is no whole number" in refusal(FieldType.INTEGER, text)


@pytest.mark.parametrize(
    ("kind", "bits"), [(FieldType.SHORT, 15), (FieldType.INTEGER, 31), (FieldType.LONG, 63)]
)
def test_whole_numbers_stay_in_their_range(kind: FieldType, bits: int) -> None:
    """The largest and the smallest pass, the next ones and monsters do not."""
    assert convert(kind, str(2**bits - 1)) == 2**bits - 1
    assert convert(kind, str(-(2**bits))) == -(2**bits)
    for text in (str(2**bits), str(-(2**bits) - 1), "9" * 5000):
        assert f"is outside {-(2**bits)} to {2**bits - 1}" in refusal(kind, text)


@given(st.sampled_from(WHOLE), st.integers(-(2**15), 2**15 - 1))
def test_every_whole_number_reads_as_itself(kind: FieldType, number: int) -> None:
    """Writing a number and reading it changes nothing."""
    assert convert(kind, str(number)) == number


def test_a_name_in_an_id_field_is_told_of_lookup() -> None:
    """The commonest slip: a company's name where its id is wanted."""
    message = refusal(FieldType.INTEGER, "Acme", reference="Companies")
    assert message == "is no id. To find the record by another field, set `lookup`"


@given(st.floats(-1e15, 1e15, allow_nan=False))
def test_every_fraction_reads_as_itself(number: float) -> None:
    """The shortest text of a number gives the same number."""
    assert convert(FieldType.DOUBLE, repr(number)) == number


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1,5", "1.5 h", "€5", "1e", "."])
def test_what_is_no_fraction_is_refused(text: str) -> None:
    """JSON has no NaN, and a unit is no part of a number."""
    assert "is no number" in refusal(FieldType.DECIMAL, text)


def test_a_comma_in_a_number_is_asked_about() -> None:
    """1,234 is one number in Madrid and another in New York."""
    assert 'number: {decimal: ","}' in refusal(FieldType.DOUBLE, "1,234")


@pytest.mark.parametrize("text", ["9007199254740992", "1e999", "-1e300"])
def test_numbers_that_would_lose_digits_are_refused(text: str) -> None:
    """What JSON numbers cannot tell apart is not sent."""
    assert "too large" in refusal(FieldType.DOUBLE, text)


GERMAN = NumberSpec(decimal=",", thousands=".")


@pytest.mark.parametrize(
    ("spec", "text", "value"),
    [
        (GERMAN, "1.234.567,89", 1234567.89),
        (GERMAN, "1234,5", 1234.5),
        (GERMAN, "-1.500", -1500.0),
        (NumberSpec(decimal=","), "0,5", 0.5),
        (NumberSpec(decimal=",", thousands=" "), "1\u202f234\u00a0567,5", 1234567.5),
        (NumberSpec(thousands="'"), "12'345.5", 12345.5),
        (NumberSpec(thousands=","), "1,234", 1234.0),
    ],
)
def test_numbers_are_read_as_the_job_says(spec: NumberSpec, text: str, value: float) -> None:
    """Decimal sign and groups of thousands; every kind of space groups where a space does."""
    assert convert(FieldType.DOUBLE, text, spec) == value


@given(st.integers(-(2**31), 2**31 - 1) | st.floats(-1e9, 1e9, allow_nan=False))
def test_a_stored_number_is_itself_however_the_source_writes_numbers(number: float) -> None:
    """What a sheet holds as a number has no decimal sign: 1.125 is no eleven hundred."""
    text = StoredText(Decimal(repr(number)).normalize().__format__("f"))
    assert convert(FieldType.DOUBLE, text, GERMAN) == number
    assert convert(FieldType.DOUBLE, StoredText("1.125"), GERMAN) == 1.125
    assert convert(FieldType.DOUBLE, "1.125", GERMAN) == 1125


def test_no_minus_is_sent_before_nothing() -> None:
    """-0 is 0."""
    assert str(convert(FieldType.DOUBLE, "-0.0")) == "0.0"


@pytest.mark.parametrize("text", ["0.125", "1.5", "12.34.567", "1,5,5", "1 234", ",", "1.23,4"])
def test_numbers_written_in_another_way_are_refused(text: str) -> None:
    """1.5 with thousands grouped by points is a mistake, not fifteen."""
    assert "is no number" in refusal(FieldType.DOUBLE, text, GERMAN)


def test_number_applies_to_whole_fields() -> None:
    """Grouped whole numbers, and the ,0 behind them."""
    assert convert(FieldType.INTEGER, "1.234,00", GERMAN) == 1234


@given(st.floats(-1e9, 1e9, allow_nan=False).map(lambda number: round(number, 3)))
def test_every_german_number_reads_as_itself(number: float) -> None:
    """Written with groups and a decimal comma, read back the same."""
    text = f"{number:,.3f}".translate(str.maketrans(",.", ".,"))
    assert convert(FieldType.DOUBLE, text, GERMAN) == number


@pytest.mark.parametrize(
    ("text", "value"),
    [("TRUE", True), ("yes", True), ("1", True), ("False", False), (" No ", False), ("0", False)],
)
def test_booleans_are_read(text: str, value: bool) -> None:
    """Three words each, in any case."""
    assert convert(FieldType.BOOLEAN, text) is value


@pytest.mark.parametrize("text", ["x", "ja", "2", "t"])
def test_other_words_are_no_booleans(text: str) -> None:
    """The way out is named."""
    assert "need `labels`" in refusal(FieldType.BOOLEAN, text)


@pytest.mark.parametrize(("text", "value"), [("true", 1), ("No", 0), ("1", 1), ("0", 0)])
def test_flags_in_integer_fields_are_1_and_0(text: str, value: int) -> None:
    """Contacts.isActive is an integer: true on the wire is an error there."""
    result = convert(FieldType.INTEGER, text, name="isActive")
    assert result == value
    assert type(result) is int


def test_only_names_with_is_are_flags() -> None:
    """issueType begins with the same letters and is a number."""
    assert convert(FieldType.INTEGER, "7", name="issueType") == 7
    assert "neither true" in refusal(FieldType.INTEGER, "7", name="isActive")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_text_is_sent_to_the_letter(text: str) -> None:
    """Blanks at the ends, line ends and every character as they stand."""
    assert convert(FieldType.STRING, text) == text


def test_text_too_long_says_how_long_and_how_long_it_may_be() -> None:
    """And whether blanks at its ends are to blame."""
    assert convert(FieldType.STRING, "x" * 10, length=10) == "x" * 10
    assert refusal(FieldType.STRING, "x" * 11, length=10) == "has 11 characters, the field takes 10"
    assert "12 characters (2 of them blanks at its ends)" in refusal(
        FieldType.STRING, " " + "x" * 10 + " ", length=10
    )


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_no_request_can_carry_is_refused(text: str) -> None:
    """NUL and halves of characters are told, not sent."""
    assert "holds" in refusal(FieldType.STRING, text)


def test_bytes_must_be_base64() -> None:
    """That is how they travel."""
    assert convert(FieldType.BYTES, " aGVsbG8= ") == "aGVsbG8="
    assert "no base64" in refusal(FieldType.BYTES, "hello!")


@given(
    st.sampled_from([kind for kind in FieldType if kind is not FieldType.DATETIME]),
    st.text(),
    st.sampled_from([None, GERMAN]),
)
def test_any_text_is_a_value_or_a_sentence(kind: FieldType, text: str, number: NumberSpec | None) -> None:
    """Conversion never fails in another way."""
    try:
        value = convert(kind, text, number)
    except ValueError as error:
        assert str(error).split()[0] in ("is", "has", "holds")
    else:
        assert isinstance(value, str | int | float)
