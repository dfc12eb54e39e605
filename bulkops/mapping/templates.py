"""Templates of job files: Jinja in a sandbox, with the columns of a row as its only names. Pure.

Each column is a variable where its name is an identifier, and `row['Any name']` always. A cell that means
"no value" is empty text. A name that is no column is a fault of the job, found before the first row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUTPUT_LIMIT = 1_000_000  # characters; no text field takes more than 32,000
ROW = "row"


class _Environment(ImmutableSandboxedEnvironment):
    """No globals, so loops run over cells only, and no operator that makes much of little."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, str | bytes | list | tuple) or isinstance(right, str | bytes | list | tuple):
            raise SecurityError(f"'{operator}' works on numbers only; use ~ to join texts")
        if operator == "**" and (abs(left) > 1_000_000 or abs(right) > 50):
            raise SecurityError("a power of a number above 1,000,000, or above 50")
        return super().call_binop(context, operator, left, right)


_ENVIRONMENT = _Environment(undefined=StrictUndefined, autoescape=False, optimized=False)
_ENVIRONMENT.globals.clear()


class Template:
    """A template that is known to be well formed. `names` are the columns it uses, None: any of them."""

    def __init__(self, text: str) -> None:
        """Raises ValueError with the line in the template where it cannot be understood."""
        try:
            tree = _ENVIRONMENT.parse(text)
            self._template = _ENVIRONMENT.from_string(text)
        except TemplateSyntaxError as error:
            raise ValueError(
                f"the template cannot be understood in its line {error.lineno}: {error.message}"
            ) from None
        except (TemplateError, RecursionError, SyntaxError) as error:
            raise ValueError(f"the template cannot be understood: {error}") from None
        free = meta.find_undeclared_variables(tree)
        keys = _row_keys(tree) if ROW in free else set()
        self.names = None if keys is None else (free - {ROW}) | keys

    def renderer(
        self, cells_of: Mapping[str, int], missing: frozenset[str]
    ) -> Callable[[tuple[str, ...]], str]:
        """Cells to text, where `cells_of` tells in which cell each column stands.

        Raises ValueError with a sentence: an undefined name, a filter that does not fit, too much text.
        """
        places = tuple(cells_of.items())

        def render(cells: tuple[str, ...]) -> str:
            row = {name: "" if (cell := cells[n]).strip() in missing else cell for name, n in places}
            return self._text({**row, ROW: row})

        return render

    def _text(self, variables: Mapping[str, object]) -> str:
        parts: list[str] = []
        size = 0
        try:
            for part in self._template.generate(variables):
                parts.append(part)
                size += len(part)
                if size > OUTPUT_LIMIT:
                    raise SecurityError(f"more than {OUTPUT_LIMIT} characters")
        except Exception as error:  # whatever the job's own text does with a row's text
            raise ValueError(f"the template fails on this row: {error}") from None
        return "".join(parts)


def _row_keys(tree: nodes.Template) -> set[str] | None:
    """The columns named as row['Name'] or row.Name; None where `row` is used in another way."""
    keys: set[str] = set()
    plain = 0
    for node in tree.find_all(nodes.Name):
        plain += node.name == ROW
    for getitem in tree.find_all(nodes.Getitem):
        if _is_row(getitem.node) and isinstance(getitem.arg, nodes.Const):
            keys.add(str(getitem.arg.value))
            plain -= 1
    for getattr_ in tree.find_all(nodes.Getattr):
        if _is_row(getattr_.node) and not hasattr(dict, getattr_.attr):
            keys.add(getattr_.attr)
            plain -= 1
    return None if plain else keys


def _is_row(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == ROW
