"""A query's filter: the vendor's operators as one test for a record, and where to look for records that pass.

Semantics: REST_Basic_Query_Calls.htm, REST_Advanced_Query_Features.htm and live reports; which operator goes
with which type: the older API's QueryXML.htm, which says it of the same engine.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bulkops.simulator.catalog import Shape
from bulkops.simulator.index import Stored, moment
from bulkops.simulator.store import Table, getter

Test: TypeAlias = Callable[[Stored], bool]
Compare: TypeAlias = Callable[[Any, Any], bool]

MAX_OR = 500  # REST_Thresholds_Limits.htm, SOAP_Thresholds_Limits.htm
MAX_DEPTH = 50  # ours: a filter nested deeper than any real one
ORDER: dict[str, Compare] = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
TEXT: dict[str, Compare] = {
    "beginswith": str.startswith,
    "endswith": str.endswith,
    "contains": operator.contains,
}
NUMBERS = frozenset({"integer", "long", "short", "decimal", "double"})
PROPER = {
    "noteq": "noteq",
    "notexist": "notExist",
    "notin": "notIn",
    "beginswith": "beginsWith",
    "endswith": "endsWith",
}
LEAVES = {"eq", "noteq", "exist", "notexist", "in", "notin", *ORDER, *TEXT}


class QueryError(Exception):
    """A query the service refuses; `str(error)` is its text."""


@dataclass(slots=True, kw_only=True)
class Node:
    """A compiled filter. `lists` together hold the ids of all records that can pass; None: any can.

    `low` and `high` bound the id, both included. What is found there still has to pass `test`.
    """

    test: Test
    lists: Sequence[Sequence[int]] | None = None
    low: int | None = None
    high: int | None = None
    equal: tuple[str, Callable[[Stored], Any], Hashable] | None = (
        None  # field, its value as compared, what it is
    )

    def size(self) -> int:
        assert self.lists is not None
        return sum(map(len, self.lists))


class Never:
    """The value of a clause that no record can pass."""


NEVER = Never()


def compile_filter(items: Any, table: Table, udfs: Sequence[Mapping[str, Any]], switches: Any) -> Node:
    """Raises QueryError. `items` is the `filter` of a query: an array whose elements are joined by `and`."""
    compiler = _Compiler(table, udfs, switches)
    if isinstance(items, Mapping):
        items = [items]
    if not isinstance(items, list):
        raise QueryError("The filter of a query must be an array of filter objects.")
    return compiler.every([node for node in map(compiler.node, items) if node is not None])


class _Compiler:
    def __init__(self, table: Table, udfs: Sequence[Mapping[str, Any]], switches: Any) -> None:
        self.table = table
        self.shape: Shape = table.shape
        self.udfs = {str(item["name"]).casefold(): item for item in udfs} if table.shape.has_udfs else {}
        self.switches = switches
        self.or_conditions = 0
        self.udf_used = ""
        self.depth = 0
        self.in_or = 0

    def node(self, item: Any) -> Node | None:
        """None where the clause is dropped."""
        if not isinstance(item, Mapping):
            raise QueryError("A filter must be an object with op, field and value.")
        clause = {str(key).casefold(): value for key, value in item.items()}
        op = str(clause.get("op") or "").casefold()
        if op in ("and", "or"):
            return self.group(op, clause.get("items"))
        if op not in LEAVES:
            if self.switches.unknown_operator == "error":
                raise QueryError(f"The operator '{clause.get('op')}' is not supported.")
            return None
        if self.in_or:
            self.or_conditions += 1
            if self.or_conditions > MAX_OR:
                raise QueryError(self.too_many())
        return self.leaf(op, clause)

    def too_many(self) -> str:
        text = "Queries are limited to 500 or fewer 'OR' conditions."
        return f"Invalid query syntax. {text}" if self.switches.or_text == "soap" else text

    def group(self, op: str, items: Any) -> Node | None:
        if self.depth >= (1 if self.switches.nesting == "flat" else MAX_DEPTH):
            raise QueryError("Invalid query syntax. Conditions are nested too deeply.")
        self.depth += 1
        self.in_or += op == "or"
        nodes = [
            node for node in map(self.node, items if isinstance(items, list) else ()) if node is not None
        ]
        self.in_or -= op == "or"
        self.depth -= 1
        if not nodes:
            return None
        return self.any(nodes) if op == "or" else self.every(nodes)

    def every(self, nodes: Sequence[Node]) -> Node:
        if len(nodes) == 1:
            return nodes[0]
        tests = tuple(node.test for node in nodes)
        listed = [node for node in nodes if node.lists is not None]
        lows = [node.low for node in nodes if node.low is not None]
        highs = [node.high for node in nodes if node.high is not None]
        return Node(
            test=lambda row: all(test(row) for test in tests),
            lists=min(listed, key=Node.size).lists if listed else None,
            low=max(lows, default=None),
            high=min(highs, default=None),
        )

    def any(self, nodes: Sequence[Node]) -> Node:
        if len(nodes) == 1:
            return nodes[0]
        tests = _any_of(nodes)
        lists: list[Sequence[int]] | None = []
        for node in nodes:
            lists = None if lists is None or node.lists is None else [*lists, *node.lists]
        return Node(test=lambda row: any(test(row) for test in tests), lists=lists)

    def leaf(self, op: str, clause: Mapping[str, Any]) -> Node:
        key, kind = self.field(
            str(clause.get("field") or ""), udf=str(clause.get("udf")).casefold() == "true"
        )
        get = getter(key)
        if op == "exist":
            return Node(test=lambda row: get(row) is not None)
        if op == "notexist":
            return Node(test=lambda row: get(row) is None)
        value = clause.get("value")
        if op in ("in", "notin"):
            return self.member(op, key, kind, value)
        if isinstance(value, list | dict):
            raise QueryError(f"The value of the operator '{op}' on {key} must be a single value.")
        if op in ("eq", "noteq"):
            return self.equal(op, key, kind, value)
        if op in TEXT:
            return self.text(op, key, kind, value)
        return self.ordered(op, key, kind, value)

    def field(self, name: str, *, udf: bool) -> tuple[str, str]:
        """A field's key in the store (`udf:Name` for a UDF) and its type."""
        unknown = QueryError(f"Unable to find {name} in the {self.shape.singular} Entity")
        if udf:
            definition = self.udfs.get(name.casefold())
            if definition is None:
                raise unknown
            if self.udf_used not in ("", definition["name"]):
                raise QueryError("You can only query by one user-defined field at a time.")
            self.udf_used = definition["name"]
            return f"udf:{definition['name']}", udf_kind(definition)
        exact = self.shape.find(name)
        if exact is None:
            raise unknown
        if self.shape.fields[exact].get("queryable") is False:
            raise QueryError(f"The field {exact} of the {self.shape.singular} Entity is not queryable.")
        return exact, self.shape.kinds[exact]

    def equal(self, op: str, key: str, kind: str, value: Any) -> Node:
        get, read = getter(key), self.reader(kind)
        wanted = self.operand(key, kind, value)
        if wanted is NEVER:
            return nothing()
        if wanted is None:  # compared with null: is it empty
            return Node(
                test=(lambda row: get(row) is None) if op == "eq" else (lambda row: get(row) is not None)
            )
        if op == "noteq":
            empty = self.switches.noteq_null == "include"
            return Node(test=lambda row: empty if (found := get(row)) is None else read(found) != wanted)
        if key == "id":
            return Node(test=lambda row: row["id"] == wanted, lists=[[wanted]])

        def compared(row: Stored) -> Any:
            return None if (found := get(row)) is None else read(found)

        return Node(
            test=lambda row: compared(row) == wanted,
            lists=[self.ids_of(key, kind, value, wanted)] if is_indexed(key, kind) else None,
            equal=(key, compared, wanted),
        )

    def ids_of(self, key: str, kind: str, value: Any, wanted: Any) -> Sequence[int]:
        return self.table.ids_of(key, value if kind == "datetime" else wanted)

    def member(self, op: str, key: str, kind: str, value: Any) -> Node:
        values = value if isinstance(value, list) else [value]
        if len(values) > MAX_OR and self.switches.in_limit == "500":
            raise QueryError(self.too_many())
        get, read = getter(key), self.reader(kind)
        read_values = [(item, self.operand(key, kind, item)) for item in values]
        wanted: set[Hashable] = {
            found for _, found in read_values if found is not None and found is not NEVER
        }
        if op == "notin":
            empty = self.switches.noteq_null == "include"
            return Node(test=lambda row: empty if (found := get(row)) is None else read(found) not in wanted)
        test: Test = lambda row: (found := get(row)) is not None and read(found) in wanted  # noqa: E731
        if key == "id":
            return Node(test=test, lists=[sorted(found for found in wanted if isinstance(found, int))])
        if not is_indexed(key, kind):
            return Node(test=test)
        postings = [self.ids_of(key, kind, item, found) for item, found in read_values if found in wanted]
        single = sorted({ids[0] for ids in postings if len(ids) == 1})
        return Node(test=test, lists=[single, *_distinct(ids for ids in postings if len(ids) > 1)])

    def ordered(self, op: str, key: str, kind: str, value: Any) -> Node:
        if kind == "boolean":
            raise self.unsupported(op, key, kind)
        get, read, compare = getter(key), self.reader(kind), ORDER[op]
        wanted = self.operand(key, kind, value)
        if wanted is NEVER or wanted is None:
            return nothing()
        node = Node(test=lambda row: (found := get(row)) is not None and compare(read(found), wanted))
        if key == "id" and isinstance(wanted, int):
            if op in ("gt", "gte"):
                node.low = wanted + (op == "gt")
            else:
                node.high = wanted - (op == "lt")
        return node

    def text(self, op: str, key: str, kind: str, value: Any) -> Node:
        if kind != "string":
            raise self.unsupported(op, key, kind)
        get, read, compare = getter(key), self.reader(kind), TEXT[op]
        if value is None:
            return nothing()
        wanted = str(value).casefold()  # blanks at its ends are part of what is looked for
        return Node(test=lambda row: (found := get(row)) is not None and compare(read(found), wanted))

    def unsupported(self, op: str, key: str, kind: str) -> QueryError:
        return QueryError(f"The operator '{PROPER.get(op, op)}' is not supported on the {kind} field {key}.")

    def reader(self, kind: str) -> Callable[[Any], Any]:
        """Turns a stored value into what an operand of the type is compared with."""
        if kind == "datetime":
            return lambda value: (moment(value) if isinstance(value, str) else None) or moment("0001-01-01")
        if kind in NUMBERS:
            return lambda value: value if isinstance(value, int | float) else _number(value, 0)
        return (lambda value: value) if kind == "boolean" else self.comparable

    def comparable(self, value: Any) -> str:
        text = value if isinstance(value, str) else str(value)
        return (text.strip() if self.switches.trim == "on" else text.rstrip()).casefold()

    def operand(self, key: str, kind: str, value: Any) -> Any:
        """The filter's value as its field compares: None for null, NEVER where nothing can be equal."""
        if kind == "boolean":
            return _truth(key, value)
        if value is None:
            return None
        if kind == "datetime":
            found = moment(value) if isinstance(value, str) else None
            if found is None:
                raise QueryError(f"The value '{value}' of the field {key} is not a date.")
            return found
        if kind in NUMBERS:
            return self.number(kind, value)
        return self.comparable({True: "true", False: "false"}[value] if isinstance(value, bool) else value)

    def number(self, kind: str, value: Any) -> Any:
        if isinstance(value, int | float):
            return value + 0  # true is 1: Contacts.isActive is a number
        never = {"long": kind == "long", "never": True, "number": False}[self.switches.text_for_number]
        return NEVER if never else _number(value, NEVER)


def _any_of(nodes: Sequence[Node]) -> tuple[Test, ...]:
    """The tests of an `or`; many equalities of one field are one test."""
    tests: list[Test] = [node.test for node in nodes if node.equal is None]
    wanted: dict[str, set[Hashable]] = {}
    for node in nodes:
        if node.equal is None:
            continue
        key, compared, value = node.equal
        if key not in wanted:
            wanted[key] = set()
            tests.append(_is_among(compared, wanted[key]))
        wanted[key].add(value)
    return tuple(tests)


def _is_among(compared: Callable[[Stored], Any], values: set[Hashable]) -> Test:
    return lambda row: compared(row) in values


def nothing() -> Node:
    return Node(test=lambda _row: False, lists=[])


def is_indexed(key: str, kind: str) -> bool:
    """Numbers and dates of UDFs are kept as text, in more than one spelling."""
    return kind == "string" or not key.startswith("udf:")


def udf_kind(definition: Mapping[str, Any]) -> str:
    """A UDF's type as the types of fields; its values are text all the same."""
    kind = str(definition.get("type") or "string").casefold()
    if kind in NUMBERS or kind in ("number", "numeric"):
        return "double"
    return "datetime" if kind in ("date", "datetime") else "string"


def _truth(key: str, value: Any) -> bool:
    """REST_Basic_Query_Calls.htm: any other value is an error; live clients send the two as text as well."""
    if isinstance(value, bool):
        return value
    text = value.casefold() if isinstance(value, str) else ""
    if text not in ("true", "false"):
        raise QueryError(f"The value of the boolean field {key} must be true or false.")
    return text == "true"


def _number(value: Any, otherwise: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return otherwise


def _distinct(lists: Any) -> list[Sequence[int]]:
    """Each list once: two values of an `in` may be equal as the server compares."""
    return list({id(ids): ids for ids in lists}.values())
