"""Job files that say it wrong: every fault at once, each in one sentence with its place and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bulkops.errors import JobError
from bulkops.job import load_job

HEAD = "version: 1\nname: companies\ntenant: acme\n"
PLAIN = (
    HEAD
    + """steps:
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Id
"""
)
STEP = "  - {name: N, entity: Tasks, action: create, source: {file: a.csv}, fields: {a: b}}\n"
SHORT = HEAD + "steps:\n" + STEP

FaultsOf = Callable[[str], list[str]]


@pytest.fixture
def faults(tmp_path: Path) -> FaultsOf:
    """The faults of a job file, each as a user reads it, without the file's name."""

    def _faults(text: str) -> list[str]:
        path = tmp_path / "job.yaml"
        path.write_text(text, "utf-8")
        with pytest.raises(JobError) as caught:
            load_job(path)
        return [str(fault).removeprefix(f"{path}:") for fault in caught.value.faults]

    return _faults


def with_fields(*lines: str) -> str:
    return PLAIN + "".join(f"      {line}\n" for line in lines)


def fits(found: list[str], expected: str) -> bool:
    """Whether there is one fault, and it reads as expected; `…` stands for any words."""
    begin, *rest = expected.split("…")
    if len(found) != 1 or not found[0].startswith(begin):
        return False
    return found[0].endswith(rest[-1]) if rest else found[0] == expected


def test_all_faults_are_told_at_once_in_the_order_of_the_file(faults: FaultsOf) -> None:
    """A misspelt key, a wrong word, a rule between keys and a duplicate come together, each with its line."""
    text = (
        PLAIN.replace("entity:", "entitty:")
        .replace("upsert", "upsrt")
        .replace("version: 1", "version: 2")
        .replace("match: [companyNumber]", "match: [companyNo]")
    )
    assert faults(text + "      city: {column: City, value: Rome}\nname: again\n") == [
        "1:1: version `2` is not known. Write `version: 1`.",
        "6:5: a step has no key `entitty`. Did you mean `entity`?",
        "7:5: `action` must be `create`, `update`, `upsert` or `delete`, not `upsrt`. Did you mean `upsert`?",
        "9: `match` names `companyNo`, which is not mapped. Did you mean `companyNumber`?",
        "12:28: `column` and `value` exclude each other. A field has one source.",
        "13:1: the key `name` stands here and in line 2. Leave one of them out.",
    ]


ANY_SOURCE = "needs one of `column`, `columns`, `value` or `template`"
DATE_HINT = "For 31/12/2024 write %d/%m/%Y."
NULL_HINT = 'Write "null" for the word, or value: "" with empty: clear to clear the field.'
FAULTY_FIELDS = {
    "a: {}": f"12:10: a field {ANY_SOURCE}",
    "a: {default: x}": f"12:10: a field {ANY_SOURCE}",
    "a:": "12:7: the column name has no value",
    "a: ~": "12:10: the column name has no value. Put ~ in quotes if the sign is meant.",
    'a: ""': "12:10: the column name is empty",
    "a: [b]": "12:10: a field must be a column or a table of keys, not a list. Several columns are …",
    "a: {colunm: b}": "12:11: a field has no key `colunm`. Did you mean `column`?",
    "a: {column: b, template: c}": "12:22: `column` and `template` exclude each other. …",
    "a: {columns: [b, c]}": "12:11: `columns` needs `lookup` or `from` beside it",
    "a: {template: b, lookup: [c, d]}": "12:24: `lookup` names 2 fields for 1 text. …",
    "a: {column: b, lookup: [c, d]}": "12:22: `lookup` names 2 fields for 1 text. …",
    "a: {columns: [b, c], lookup: d}": "12:28: `lookup` names 1 field for 2 texts. …",
    "a: {column: b, entity: c}": "12:22: `entity` needs `lookup` beside it",
    "a: {value: b, labels: {c: d}}": "12:21: `labels` needs `column` beside it",
    "a: {column: b, labels: {}}": "12:30: `labels` is an empty table",
    "a: {column: b, labels: {c: null}}": f"12:34: a label is null, which is no value. {NULL_HINT}",
    "a: {value: null}": f"12:18: `value` is null, which is no value. {NULL_HINT}",
    "a: {value: b, default: c}": "12:21: `value` and `default` exclude each other",
    "a: {column: b, empty: skp}": "12:22: `empty` must be `skip`, … not `skp`. Did you mean `skip`?",
    "a: {column: b, lookup: c, from: companies}": "12:33: `lookup` and `from` exclude each other",
    "a: {column: b, lookup: c, date: '%d.%m.%Y'}": "12:33: `lookup` and `date` exclude each other",
    'a: {column: b, date: ""}': "12:28: `date` is empty",
    "a: {column: b, date: dd/mm/yyyy}": f"12:28: … does not say year, month and day. {DATE_HINT}",
    'a: {column: b, date: "%d/%m"}': f"12:28: … does not say year, month and day. {DATE_HINT}",
    'a: {column: b, date: "%m/%Y"}': f"12:28: … does not say year, month and day. {DATE_HINT}",
    'a: {column: b, date: "%Q %Y"}': f"12:28: … holds %Q, which means nothing. {DATE_HINT}",
    'a: {column: b, date: "%d/%m/%Y %"}': f"12:28: … holds %, which means nothing. {DATE_HINT}",
    'a: {column: b, date: "%x"}': f"12:28: … holds %x, which depends on the machine's language. {DATE_HINT}",
    'a: {column: b, date: "%Y-%m-%d %Z"}': f"12:28: … depends on the machine; use `timezone`. {DATE_HINT}",
    'a: {column: b, date: "%d%d/%m/%Y"}': f"12:28: … or two parts do not go together. {DATE_HINT}",
    "a: {column: b, timezone: europe/madird}": "12:32: … no time zone. Did you mean `Europe/Madrid`?",
    "a: {column: b, timezone: ../../etc/passwd}": "12:32: … no time zone. Write …",
    "a: {column: b, number: {}}": "12:30: `number` is empty. Name `decimal`, `thousands` or both.",
    "a: {column: b, number: {thousands: .}}": "12:31: `decimal` and `thousands` are both `.`. …",
    "a: {column: b, number: {decimal: comma}}": "12:31: `decimal` must be one sign, … not `comma`",
    "a: {column: b, number: ','}": "12:30: `number` must be a table of keys, not the text `,`",
    'a: {template: "{{ b "}': "12:21: the template is wrong: unexpected end of template…",
    'a: {template: "{{ b | uper }}"}': "12:21: the template uses the filter `uper`, … Did you mean `upper`?",
    'a: {template: "{{ b is odds }}"}': "12:21: the template uses the test `odds`, … Did you mean `odd`?",
    "a: {{ b }}": '12:11: a key must be a text. Put a template in quotes: "{{ Name }}".',
    "a: {{ row['b'] }}": "12:16: a comma or } is missing before [. …",
    "<<: b": "12:7: `<<` merges nothing in YAML 1.2. Write the keys out.",
    ": b": "12:7: a key is missing before the colon",
    "a: !!int 5": "12:10: the tag tag:yaml.org,2002:int has no meaning in a job file. …",
    "companynumber: b": "12:7: the field `companynumber` stands here and in line 11. Leave one of them out.",
    '"udf:A": b': "12:7: `udf:A` is a user-defined field. Write `A` under `udf`.",
    "a: {column: b, from: compnies}": "12: `from` names `compnies`, … Did you mean `companies`?",
}


@pytest.mark.parametrize("line", FAULTY_FIELDS)
def test_a_faulty_field_is_told_in_one_sentence(line: str, faults: FaultsOf) -> None:
    """One mistake is one fault: where, what, and what to do."""
    found = faults(with_fields(line))
    assert fits(found, FAULTY_FIELDS[line]), found


def test_a_template_fault_knows_its_line_inside_a_block(faults: FaultsOf) -> None:
    """In a literal block the line is that of the template's own text."""
    text = with_fields("a:", "  template: |", "    Hello", "    {% foo %}")
    assert faults(text) == ["15:1: the template is wrong: Encountered unknown tag 'foo'"]


@pytest.mark.parametrize("expression", ["(" * 3000, "9" * 5000])
def test_a_hostile_template_is_a_fault(expression: str, faults: FaultsOf) -> None:
    """A nest without end and an endless number are told, not followed."""
    found = faults(with_fields(f"a: {{template: '{{{{ {expression} }}}}'}}"))
    assert fits(found, "12:21: the template cannot be understood. …")


def test_a_template_is_not_computed_while_loading(tmp_path: Path) -> None:
    """A template is parsed only: one that would compute for ever loads at once."""
    path = tmp_path / "job.yaml"
    path.write_text(with_fields("a: {template: '{{ 10 ** 10 ** 10 }}'}"))
    assert load_job(path).steps[0].fields["a"].template == "{{ 10 ** 10 ** 10 }}"


TYPES = "`.csv`, `.tsv`, `.txt`, `.xlsx`, `.jsonl` or `.parquet`"
FAULTY_SOURCES = {
    "companies.csv": "8:13: a source must be a table of keys, … Write {file: companies.csv}.",
    "{}": "8:13: a source needs `file`",
    "{fil: a.csv}": "8:14: a source has no key `fil`. Did you mean `file`?",
    "{file: a.xls}": f"8:14: the file `a.xls` must end in {TYPES}. Save it as .xlsx.",
    "{file: a.csv, query: Tasks}": "8:14: `query` and `file` exclude each other. A step has one source.",
    "{file: a.csv, encoding: utf9}": "8:27: `utf9` is no encoding. Did you mean `utf-8`?",
    "{file: a.csv, encoding: hex}": "8:27: `hex` is no encoding. Common ones are …",
    "{file: a.csv, delimiter: ';;'}": "8:27: `delimiter` must be one character, not `;;`. …",
    "{file: a.csv, delimiter: }": "8:27: `delimiter` has no value…",
    "{file: a.csv, quote: ab}": "8:27: `quote` must be one character or none, not `ab`",
    "{file: a.csv, quote: ',', delimiter: ','}": "8:27: `quote` and `delimiter` are both `,`",
    "{file: a.csv, header_row: 0}": "8:27: `header_row` must be a whole number from 1 to 1,048,576, not `0`",
    "{file: a.csv, header_row: ٣}": "8:27: `header_row` must be a whole number … not `٣`",
    "{file: a.csv, columns: [A, A]}": "8:40: `columns` names `A` twice",
    "{file: a.csv, columns: [A], header_row: 2}": "8:27: `header_row` and `columns` exclude each other. …",
    "{file: a.csv, sheet: One}": "8:27: `sheet` means nothing for a .csv file. It is for `.xlsx`.",
    "{file: a.xlsx, delimiter: ','}": "8:28: `delimiter` means nothing for a .xlsx file. …",
    "{file: a.csv, distinct: {by: []}}": "8:42: `by` is an empty list. Name something, or leave it out.",
    "{file: a.csv, distinct: {keep: lst, by: [A]}}": "8:38: `keep` must be … Did you mean `last`?",
    "{query: Tasks, where: []}": "8:35: `where` is an empty list",
    "{query: Tasks, where: [{op: eq, value: 1}]}": "8:36: a condition needs `field`",
    "{query: Tasks, where: [{field: a, op: eq}]}": "8:36: a condition needs `value`",
    "{query: Tasks, where: [{field: a, op: beginswith, value: b}]}": "8:47: … Did you mean `beginsWith`?",
    "{query: Tasks, where: [{field: a, op: in, value: 3}]}": "8:62: `value` of `in` must be a list, … [3].",
    "{query: Tasks, where: [{field: a, op: eq, value: [3]}]}": "8:62: `eq` compares with one value, …",
    "{query: Tasks, where: [{field: a, op: exist, value: 3}]}": "8:58: `exist` takes no `value`",
    "{query: T, where: [{op: or, field: a, items: [{field: a, op: exist}]}]}": "8:41: `or` takes no `field`",
    "{query: Tasks, where: [{field: a, op: eq, value: {lookup: [b, c], key: d}}]}": "8:63: `lookup` …",
}


@pytest.mark.parametrize("source", FAULTY_SOURCES)
def test_a_faulty_source_is_told_in_one_sentence(source: str, faults: FaultsOf) -> None:
    """One mistake is one fault: where, what, and what to do."""
    found = faults(PLAIN.replace("{file: companies.csv}", source))
    assert fits(found, FAULTY_SOURCES[source]), found


REASSIGN = "reassign: {from: a, to: [{resource: b}], entities: [Tasks]}\n"
FAULTY_JOBS = {
    HEAD: "1:1: a job needs `steps`",
    HEAD + "steps:\n": "4:1: `steps` must be a list, not nothing. Begin each entry with `- `.",
    HEAD + "steps: []\n": "4:8: `steps` is an empty list",
    HEAD + "steps: [a]\n": "4:9: a step must be a table of keys, not the text `a`",
    SHORT.replace("acme", ""): "3:1: `tenant` has no value",
    SHORT.replace("companies", "a/b"): "2:1: `a/b` cannot be a name, because files are named after it. …",
    SHORT
    + STEP.replace("N", "n"): "6: the step name `n` stands here and in line 5. Give each step its own name.",
    SHORT.replace("create", "update"): "5: `update` needs `match`. …",
    SHORT.replace(", fields: {a: b}", ""): "5:5: a step needs `fields`",
    SHORT.replace("{a: b}", "{}"): "5:77: `fields` is an empty table",
    SHORT.replace("{a: b}", "{a: b}, match: a"): "5:92: `match` must be a list, … Write [a].",
    SHORT.replace("{a: b}", "{a: b}, match: [a, a]"): "5:96: `match` names `a` twice",
    SHORT.replace("{a: b}", "{a: b}, match: [id]"): "5: `match` names `id`, which is not mapped. …",
    SHORT.replace("{a: b}", "{a: b}, impersonate: {template: x}"): "5:85: `impersonate` takes …",
    SHORT + REASSIGN: "6:1: `steps` and `reassign` exclude each other. …",
    HEAD + REASSIGN.replace("from: a, ", ""): "4:11: `reassign` needs `from`",
    HEAD + REASSIGN.replace("{resource: b}", ""): "4:25: `to` is an empty list",
    HEAD + REASSIGN.replace("]}\n", "], divide: even}\n"): "4:61: `divide` must be …",
    HEAD + "close_projects: {status: C, open_tasks: refuse}\n": "4:17: … to say which projects",
    HEAD
    + "close_projects: {status: C, open_tasks: refuse, source: {file: a.csv}}\n": "4:17: … belong together",
    HEAD + "close_projects: {status: C, open_tasks: refuse, source: {file: a.csv}, match: [id], where: "
    "[{field: id, op: exist}]}\n": "4:49: `where` and `source` exclude each other",
    SHORT + "limits: {upsert: {count: 3}}\n": "6:10: `upsert` cannot be limited. … such as status=Complete.",
    SHORT + "limits: {updates: {count: 3}}\n": "6:10: `updates` cannot be limited. Did you mean `update`?",
    SHORT + "limits: {update: {percent: 101}}\n": "6:19: `percent` must be a number from 0 to 100, not `101`",
    SHORT + "limits: {update: {count: 1e3}}\n": "6:19: `count` must be a whole number … not `1e3`",
    SHORT + "limits: {create: {minimum: 5}}\n": "6:18: a limit needs `percent` or `count`",
    SHORT + "limits: {update: {}}\n": "6:18: a limit is empty. …",
    SHORT + "missing: NULL\n": "6:10: `missing` must be a list, not the text `NULL`. Write [NULL].",
    SHORT + "step: 3\n": "6:1: a job has no key `step`. Did you mean `steps`?",
    SHORT + "reason: [a]\n": "6:9: `reason` must be a text, not a list",
}


@pytest.mark.parametrize("text", FAULTY_JOBS)
def test_a_faulty_job_is_told_in_one_sentence(text: str, faults: FaultsOf) -> None:
    """One mistake is one fault: where, what, and what to do."""
    found = faults(text)
    assert fits(found, FAULTY_JOBS[text]), found


def test_delete_takes_only_the_match(faults: FaultsOf) -> None:
    """A field that a delete would ignore is refused, and so is a marker on what creates nothing."""
    text = with_fields("city: City").replace("upsert", "delete") + "    marker: fax\n"
    assert faults(text) == [
        "12: `delete` takes only the fields of `match`, not `city`. "
        "Leave it out, and its column under `ignore`.",
        "13: `marker` is for creates, and this step's action is `delete`. Leave it out.",
    ]


def test_from_cannot_name_a_later_step(faults: FaultsOf) -> None:
    """Steps run in the file's order; the one that is needed first has to stand first."""
    text = with_fields("parent: {column: P, from: later}") + STEP.replace("N", "later")
    assert faults(text) == [
        "12: `from` names the step `later`, which comes later (line 13). Move it above `companies`.",
        "12: `from` needs a `match` in the step `later`, to know its records by",
    ]


def test_a_fault_in_a_repeated_value_is_told_once(faults: FaultsOf) -> None:
    """What is wrong behind an alias is wrong where it is written."""
    text = with_fields("a: {column: A, number: &n {decimal: xx}}", "b: {column: B, number: *n}")
    assert faults(text) == ["12:34: `decimal` must be one sign, such as . or , and not `xx`"]


def test_what_a_message_quotes_is_short_and_printable(faults: FaultsOf) -> None:
    """A long text or one with terminal escapes is quoted in one harmless line."""
    found = faults(PLAIN.replace("upsert", '"\\e[31m' + "x" * 500 + '"'))
    assert fits(found, "7:5: `action` must be …...`")
    assert "\x1b" not in found[0]
    assert len(found[0]) < 200
