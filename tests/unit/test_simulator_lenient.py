"""Bodies the service reads although they are no proper JSON, and what it says about those it cannot read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.simulator.lenient import LenientError, _Reader, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'filter':[{'op':'exist','field':'id'}]}", {"filter": [{"op": "exist", "field": "id"}]}),
        ('{ TicketID: 7865, "Title": "x" }', {"TicketID": 7865, "Title": "x"}),
        ('{"title": "x",}', {"title": "x"}),
        ("[1, 2, ]", [1, 2]),
        ('{"a": 1} // said', {"a": 1}),
        (
            "{/* a */ 'it': 'isn\\'t', b: -1.5e2, c: null, d: true}",
            {"it": "isn't", "b": -150.0, "c": None, "d": True},
        ),
        ("{'u': '\\u00e9\\ud83d\\ude00'}", {"u": "é😀"}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ("", None),
        ("  ", None),
    ],
)
def test_the_spellings_of_real_clients_are_read(text: str, value: Any) -> None:
    """Promises what the vendor's own samples and live clients send."""
    assert read(text.encode()) == value


@pytest.mark.parametrize(
    "text", ["{", "[1", "{'a'", "{'a':", "tru", "{a b}", "'x", "{} {}", "[" * 200, "\\", "{'a':'\\uZZ'}", '"']
)
def test_what_is_no_json_is_refused_with_a_text(text: str) -> None:
    """Promises an error of ours, never a crash."""
    with pytest.raises(LenientError):
        read(text)


def test_bytes_that_are_no_utf8_are_refused() -> None:
    """Promises a text for a body in another encoding."""
    with pytest.raises(LenientError, match="UTF-8"):
        read(b'{"a": "\xff"}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_proper_json_is_always_read_as_it_is(value: Any) -> None:
    """Promises that the lenient reader agrees with JSON wherever the text is JSON."""
    import json

    assert _Reader(json.dumps(value)).whole() == value


@given(st.text(max_size=30))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    """Promises that nothing a client sends breaks the reader."""
    try:
        read(text.encode("utf-8", "surrogatepass"))
    except LenientError as error:
        assert str(error)
