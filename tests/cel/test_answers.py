"""A table of expressions and cel-go's answers, held against the oracle where the two references agree."""

from __future__ import annotations

import pytest

from overseer.cel.values import type_name

from . import cases_functions, cases_texts, cases_values
from .oracle import ERROR, REFUSED, comparable, ours, theirs

TABLES: dict[str, dict[str, object]] = {
    name: getattr(module, name)
    for module in (cases_values, cases_functions, cases_texts)
    for name in module.__all__
}

# Where the oracle, which is C++, differs from cel-go in its default environment, and why ours is right.
DIFFERENCES = {
    "refused at start-up, for it can never be evaluated": [
        "{1.5: 'a'}",
        "{null: 1}",
        "dyn",
        "'abc'.matches('(')",
        "'abc'.matches('a(?=b)')",
        "'aa'.matches('(a)\\\\1')",
    ],
    "protobuf messages and enums have no use here": [
        "google.protobuf.Int64Value{value: 1}",
        "google.protobuf.Duration{seconds: 1}",
        "google.protobuf.NullValue.NULL_VALUE",
    ],
    "cel-go has fields in backquotes as an option only": ["m.`a`"],
    "cel-go has this newer spelling": ["[1,2].existsOne(x, x==2)"],
    "cel-go lets the last of two equal keys win": ["{1: 'a', 1: 'b'}"],
    "Go's strconv is stricter, or more lenient, than absl": [
        "1e400",
        "int(' 5')",
        "int('5 ')",
        "uint('+5')",
        "double('1e400')",
        "double(' 1')",
        "double('1_0')",
        "double('0x10')",
    ],
    "Go's way to write them": [
        "string(1.0/0.0)",
        "string(-1.0/0.0)",
        "string(0.0/0.0)",
        "string(timestamp('2009-02-13T23:31:30.5Z'))",
        "string(duration('1.5s'))",
    ],
    "a timestamp keeps the offset it was written with; UTC is an option of cel-go's": [
        "string(timestamp('2009-02-13T23:31:30+05:00'))",
        "timestamp('2009-02-13T23:31:30+05:00').getHours()",
    ],
    "cel-go refuses to order NaN": ["0.0/0.0<1.0", "1.0<0.0/0.0"],
    "cel-go compares int and double exactly": [
        "dyn(9007199254740993) == 9007199254740992.0",
        "dyn(9007199254740993) > 9007199254740992.0",
        "dyn(9223372036854775807) < 9223372036854775808.0",
        "dyn(9223372036854775807) == 9223372036854775808.0",
        "dyn(18446744073709551615u) == 18446744073709551616.0",
    ],
    "cel-go's has() is false for what has no fields at all": [
        "has(m.s.k)",
        "has(m.a.k)",
        "has(m.n.k)",
        "has(d.a)",
    ],
    "nothing of that type is a key": ["dyn([1]) in {1:2}"],
    "cel-go has no such overload": ["int(dyn(true))"],
    "cel-go has this overload": [
        "int(duration('1s'))",
        "duration(5)",
        "duration(5000000000)",
        "-dyn(duration('1s'))",
    ],
    "RFC 3339 as Go's time.Parse reads it": [
        "timestamp('2009-02-13t23:31:30z')",
        "timestamp('2009-02-13T23:31:60Z')",
    ],
    "a duration is 64 bits of ns in Go, read by time.ParseDuration": [
        "duration('1µs')",
        "duration('2562048h')",
    ],
    "cel-go counts the whole duration": ["duration('1h30m5.5s').getMilliseconds()"],
    "in a raw string a backslash is nothing special": ['r"\\"', "r'a\\'"],
}
DIFFERENT = {expression for expressions in DIFFERENCES.values() for expression in expressions}


@pytest.mark.parametrize("table", TABLES)
def test_the_answers_are_cel_gos(table: str) -> None:
    answers = {expression: _exact(ours(expression)) for expression in TABLES[table]}
    assert answers == {expression: _exact(answer) for expression, answer in TABLES[table].items()}


@pytest.mark.parametrize("table", TABLES)
def test_the_oracle_agrees_but_for_the_noted_differences(table: str) -> None:
    answers = {expression: comparable(answer) for expression, answer in TABLES[table].items()}
    differing = {expression for expression, answer in answers.items() if answer != theirs(expression)}
    assert differing == DIFFERENT.intersection(TABLES[table])


def test_every_noted_difference_is_in_a_table() -> None:
    assert DIFFERENT.issubset(expression for table in TABLES.values() for expression in table)


def _exact(answer: object) -> object:
    """With its type, for 1 == 1.0 == True in Python, and NaN equal to itself."""
    if answer in (ERROR, REFUSED):
        return answer
    return type_name(answer), repr(answer)
