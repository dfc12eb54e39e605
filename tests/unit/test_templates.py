"""Templates: columns in, text out; known beforehand which columns, and never more than text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.mapping.templates import OUTPUT_LIMIT, Template

COLUMNS = {"Id": 0, "Notes": 1, "Due date": 2}


def render(text: str, *cells: str, missing: frozenset[str] = frozenset({""})) -> str:
    return Template(text).renderer(COLUMNS, missing)(cells or ("7", "hello", "soon"))


def test_columns_are_variables_and_row_has_all_of_them() -> None:
    """By name where that is an identifier, as row['Any name'] always."""
    assert (
        render("{{ row['Notes'] }} (was {{ Id }}), {{ row['Due date'] }} {{ row.Id }}")
        == "hello (was 7), soon 7"
    )


def test_missing_cells_are_empty_text() -> None:
    """A text that means no value does not end up in a description."""
    text = "{{ Notes }}|{% if Notes %}yes{% else %}no{% endif %}|{{ Id }}"
    assert render(text, "7", " NULL ", "", missing=frozenset({"", "NULL"})) == "|no|7"


def test_cells_are_put_in_as_they_are() -> None:
    """No HTML escaping, and a cell's own braces are text."""
    assert render("{{ Notes }}\n", "", "<b>&{{ Id }}{% x %}", "") == "<b>&{{ Id }}{% x %}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{{ Id }} {{ row['Due date'] }}", {"Id", "Due date"}),
        ("{{ row.Notes }}", {"Notes"}),
        ("{% set x = Id %}{{ x }}", {"Id"}),
        ("plain", set()),
        ("{% for k in row %}{{ k }}{% endfor %}", None),
        ("{{ row[Id] }}", None),
        ("{{ row.items() }}", None),
        ("{{ row }} {{ row['Id'] }}", None),
    ],
)
def test_the_columns_of_a_template_are_known_beforehand(text: str, names: set[str] | None) -> None:
    """None where it may use any of them."""
    assert Template(text).names == names


@pytest.mark.parametrize(
    "text", ["{{ Id", "{% if Id %}", "{{ Id|nosuchfilter }}", "\n{{ 1 + }}", "{{ " + "(" * 2000]
)
def test_a_template_that_makes_no_sense_is_refused_at_once(text: str) -> None:
    """Before any row, with the line in the template where it can be told."""
    with pytest.raises(ValueError, match="the template cannot be understood"):
        Template(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ row['No such'] }}{{ row[Id] }}",
        "{{ Id / 0 }}",
        "{{ Id.nothing }}",
        "{{ Id|int / 0 }}",
        "{{ Id.__class__.__mro__ }}",
        "{{ ''.__class__.__subclasses__() }}",
        "{{ 'x' * 1000000000 }}",
        "{{ 9 ** 999999999 }}",
        "{{ 999 ** 50 ** 50 }}",
        "{{ [1] * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
    ],
)
def test_what_a_template_cannot_or_may_not_do_is_an_error_of_the_row(text: str) -> None:
    """Undefined names, wrong types, the way out of the sandbox, and small things that grow."""
    with pytest.raises(ValueError, match="the template fails on this row"):
        render(text)


def test_a_template_cannot_make_endless_text() -> None:
    """A loop in a loop over a long cell stops at the limit."""
    text = "{% for a in Notes %}{% for b in Notes %}{{ Notes }}{% endfor %}{% endfor %}"
    with pytest.raises(ValueError, match=f"more than {OUTPUT_LIMIT} characters"):
        render(text, "", "x" * 1000, "")


def test_a_template_knows_nothing_but_the_row() -> None:
    """No global names: what is no column is found out beforehand."""
    assert Template("{{ range(5) }} {{ lipsum() }}").names == {"range", "lipsum"}


@given(st.text("{}% ridows'[]Id|_.()\n#-", max_size=25), st.text(max_size=5))
def test_any_template_is_text_or_a_sentence(text: str, cell: str) -> None:
    """Compiling and rendering fail in one way only."""
    try:
        assert isinstance(render(text, cell, cell, cell), str)
    except ValueError as error:
        assert str(error).startswith("the template")
