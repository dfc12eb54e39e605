"""Rich text: plain when it is read, plain after it was written."""

from __future__ import annotations

import html
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.simulator import loading, validation
from bulkops.simulator.query import Pages, Query
from bulkops.simulator.richtext import plain
from bulkops.simulator.store import Store
from bulkops.simulator.switches import Switches

EVERYTHING = Query(filter=[{"op": "gte", "field": "id", "value": 0}])
RICH = '<div>Steps:<ul><li>call <b>Ruth</b> &amp; ask</li></ul><img src="cid:1" alt="screen"></div>'
PLAIN = "Steps:\ncall Ruth & ask"
PIECES = [
    "<b>",
    "</b>",
    "<p>",
    "</p>",
    "<br/>",
    "&lt;",
    "&amp;",
    "<",
    ">",
    "a",
    " ",
    "\n",
    '<a href="x">',
    "</a>",
]


@pytest.fixture
def store() -> Store:
    """A ticket whose description was made in the interface."""
    made = Store(now=lambda: "2026-06-01T08:00:00.000Z", switches=Switches(), ci=1)
    loading.put_rows(made, "Tickets", [{"id": 1, "title": "<b>x</b>", "description": RICH}])
    return made


def shown(store: Store) -> dict[str, Any]:
    row: dict[str, Any] = Pages(store, "Tickets").page(EVERYTHING, None, link="")["items"][0]
    return row


def write(store: Store, text: str) -> None:
    """By the API."""
    table = store.table("Tickets")
    changes, errors = validation.check_update(
        store, "Tickets", table[1], {"description": text}, actor=4, impersonating=None
    )
    assert errors == []
    table.update(1, changes)
    validation.after_commit(store, "Tickets", "update", table[1], changes)


def test_reads_are_plain_and_change_nothing(store: Store) -> None:
    """_EntitiesOverview.htm: no markup, no images; what is kept stays rich, and other fields stay as sent."""
    assert shown(store)["description"] == PLAIN
    assert shown(store)["title"] == "<b>x</b>"
    assert store.table("Tickets")[1]["description"] == RICH


def test_writing_back_what_was_read_loses_the_formatting(store: Store) -> None:
    """_EntitiesOverview.htm: the plain text takes the place of the rich text; images are gone."""
    write(store, shown(store)["description"])
    assert store.table("Tickets")[1]["description"] == PLAIN


def test_markup_that_the_api_is_sent(store: Store) -> None:
    """INFER: text like any other until somebody edits it in the interface; or flattened: `rich_text`."""
    write(store, RICH)
    assert shown(store)["description"] == store.table("Tickets")[1]["description"] == RICH
    loading.edit_rows(store, "Tickets", [{"id": 1, "description": RICH + "<br>new"}])
    assert shown(store)["description"] == PLAIN + "\n\nnew"
    store.switches.update({"rich_text": "plain"})
    write(store, RICH)
    assert store.table("Tickets")[1]["description"] == PLAIN


@pytest.mark.parametrize(
    ("text", "flat"),
    [
        ("if a<b and c>d", "if a<b and c>d"),
        ("<ada@cobaltfreight.test> wrote &amp;", "<ada@cobaltfreight.test> wrote &amp;"),
        ("<P>one</P><p>two&nbsp;words</p>", "one\ntwo words"),
        ("<table><tr><td>a</td><td>b</td></tr></table>c", "a b\nc"),
        ("<style>p {color: red}</style><span style='x: y'>seen</span>", "seen"),
        ("&lt;b&gt;", "&lt;b&gt;"),
        ("<i></i>", ""),
    ],
)
def test_what_is_markup_and_what_is_not(text: str, flat: str) -> None:
    """Promises that text with `<` or `&` of its own stays to the letter."""
    assert plain(text) == flat


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_flattened_text_is_flat(text: str) -> None:
    """Flattening twice gives what flattening once gives."""
    assert plain(plain(text)) == plain(text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_escaped_text_comes_back(text: str) -> None:
    """Any text that an interface wrapped and escaped reads as it was, blanks at its ends apart."""
    wrapped = f"<p>{html.escape(text)}</p>"
    if plain(text) == text:
        assert plain(wrapped) == text.replace("\xa0", " ").strip()
