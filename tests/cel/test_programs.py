"""Programs as ``validate`` uses them: evaluation, long values, threads, the cost of importing."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from overseer.cel import compile_cel, compile_condition, eval_cel_bool
from overseer.cel.statictypes import BOOL, BYTES, DURATION, DYN, INT, TIMESTAMP, UINT, map_of
from overseer.cel.values import UInt
from overseer.errors import CelError
from tests.harness import allowed


@pytest.mark.parametrize(
    ("expression", "value", "expected"),
    [
        ('value in ["480", "720", "1080"]', "720", True),
        ('value in ["480", "720", "1080"]', "721", False),
        ("value != ''", "", False),
        ("value.matches('^[a-z]+$') && value.size() < 5", "abc", True),
        ("int(value) > 0 && int(value) <= 100", "100", True),
        ("value == '' || int(value) > 0", "", True),
        ("duration(value) < duration('1h')", "90s", True),
        ("timestamp(value) < timestamp('2030-01-01T00:00:00Z')", "2024-05-06T07:08:09Z", True),
        ("value.startsWith('https://') ? value.size() > 8 : false", "https://a", True),
        ("value.matches('\\\\.git$')", "x.git", True),
        (r"value.matches(r'\.git$')", "xgit", False),
    ],
)
def test_a_value_is_judged(expression: str, value: str, expected: bool) -> None:
    assert eval_cel_bool(compile_cel(expression), value) is expected


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("int(value) > 0", "type conversion error from string to int"),
        ("[1][size(value)] == 1", "index out of bounds: 3"),
        ("{'a': true}[value]", "no such key: abc"),
        ("1 / (size(value) - 3) == 1", "division by zero"),
        ("9223372036854775807 + size(value) > 0", "int overflow"),
        ("value.matches(value + '(')", "bad regular expression"),
        ("dyn(value)", "the expression did not give a bool"),
        ("timestamp(0).getHours(value) == 0", "unknown time zone 'abc'"),
    ],
)
def test_an_error_of_the_evaluation_is_a_cel_error(expression: str, words: str) -> None:
    program = compile_cel(expression)
    with pytest.raises(CelError) as caught:
        eval_cel_bool(program, "abc")
    assert words in str(caught.value)


def test_values_of_other_types_come_from_python() -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=timezone(timedelta(hours=2)))
    program = compile_cel(
        "t == timestamp('2024-05-06T05:08:09.123456Z') && t.getHours() == 7 && d == duration('1.5s')"
        " && u == 5u && b == b'x' && m.a[0] == 1 && m['n'] == null && i + 1 == 2 && ok",
        variables={
            "t": TIMESTAMP,
            "d": DURATION,
            "u": UINT,
            "b": BYTES,
            "m": map_of(DYN, DYN),
            "i": INT,
            "ok": BOOL,
        },
    )
    values = {
        "t": moment,
        "d": timedelta(seconds=1.5),
        "u": UInt(5),
        "b": b"x",
        "m": {"a": (1,), "n": None},
        "i": 1,
        "ok": True,
    }
    assert eval_cel_bool(program, values)
    assert not eval_cel_bool(program, {**values, "t": moment.astimezone(UTC) + timedelta(microseconds=1)})


@pytest.mark.parametrize("value", [object(), 1 << 63, datetime(2024, 1, 1), {1: object()}])
def test_a_value_that_the_language_lacks_is_refused(value: object) -> None:
    with pytest.raises(CelError):
        eval_cel_bool(compile_cel("v == 1", variables={"v": DYN}), value)


@pytest.mark.parametrize("value", [5, None, b"x", ["x"]])
def test_a_value_of_another_type_than_declared_is_refused(value: object) -> None:
    with pytest.raises(CelError, match="value must be a string, not a"):
        eval_cel_bool(compile_cel("value.contains('x')"), value)


def test_a_missing_value_is_refused() -> None:
    with pytest.raises(CelError, match="no value for b"):
        eval_cel_bool(compile_cel("a || b", variables={"a": BOOL, "b": BOOL}), {"a": True})


def test_a_bool_key_is_not_the_number_one() -> None:
    program = compile_cel("{1: 'int', true: 'bool'}[true] == 'bool' && {1: 'a', true: 'b'}.size() == 2")
    assert eval_cel_bool(program, "")
    given = compile_cel("v.a[true] == 2 && !(1 in v.a) && v.a.all(k, k)", variables={"v": DYN})
    assert eval_cel_bool(given, {"a": {True: 2}})


HOSTILE = [
    ("value.matches('^(a+)+$')", "a" * 1_000_000 + "b"),
    ("value.matches('(x+x+)+y')", "x" * 1_000_000),
    ("value.matches('(.*)(.*)(.*)(.*)(.*)[0-9]')", "a" * 1_000_000),
    ("value.contains('aaaaaaaaab')", "a" * 1_000_000),
    ("value in ['a', 'b'] || value.startsWith('b') || value.endsWith('c')", "a" * 1_000_000),
    ("int(value) > 0", "1" * 1_000_000),
    ("double(value) > 0.0", "1" * 1_000_000),
    ("double(value) > 0.0", "1_" * 500_000),
    ("duration(value) > duration('0s')", "1h" * 500_000),
    ("duration(value) > duration('0s')", "1" * 1_000_000),
    ("timestamp(value) > timestamp(0)", "2" * 1_000_000),
    ("bytes(value).size() == size(value) && string(bytes(value)) == value", "\ud800" * 1_000_000),
    ("(value + value + value).size() == 3 * value.size()", "é" * 1_000_000),
]


@pytest.mark.parametrize(("expression", "value"), HOSTILE, ids=[expression for expression, _ in HOSTILE])
def test_a_long_value_costs_no_more_than_its_length(expression: str, value: str) -> None:
    program = compile_cel(expression)
    started = time.monotonic()
    with contextlib.suppress(CelError):
        eval_cel_bool(program, value)
    assert time.monotonic() - started < allowed(5)  # anything worse than linear takes hours


def test_programs_may_run_on_many_threads_at_once() -> None:
    program = compile_cel("[1, 2, 3].map(x, value + string(x)).exists(y, y == value + '2') && value != 'no'")
    condition = compile_condition("output.json.list.map(x, x * 2.0).exists(y, y == output.json.twice)")
    start = threading.Barrier(8)
    wrong: list[object] = []

    def work(number: int) -> None:
        lines = [json_line(number, twice) for twice in (2 * number, 2 * number + 1)]
        start.wait(10)
        for _ in range(300):
            if not eval_cel_bool(program, f"value {number}") or eval_cel_bool(program, "no"):
                wrong.append(number)
            if condition.filter("stdout", lines) != lines[:1]:
                wrong.append(number)

    def json_line(number: int, twice: int) -> str:
        return f'{{"list": [{number}, -1], "twice": {twice}}}'

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(n,), name=f"cel-{n}") for n in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_the_first_expressions_may_be_compiled_on_many_threads_at_once() -> None:
    code = (
        "import threading\n"
        "from overseer.cel import compile_cel, eval_cel_bool\n"
        "right = []\n"
        "def work(n): right.append(eval_cel_bool(compile_cel(f'value == \"{n}\"'), str(n)))\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "assert right == [True] * 8, right\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_nothing_heavy_is_loaded_before_an_expression_is_compiled_and_celpy_never() -> None:
    code = (
        "import sys, overseer.cel\n"
        "assert not {'lark', 're2', 'celpy', 'overseer.cel.program'} & set(sys.modules)\n"
        "overseer.cel.compile_cel('value == \"\"')\n"
        "assert 'lark' in sys.modules\n"
        "assert not {'celpy', 'pendulum', 'jmespath'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
