"""What each type of value takes in the file and what it says to the rest."""

from __future__ import annotations

import pytest

from tests.config.conftest import Fails, Load

GO = 10**9  # nanoseconds a second


@pytest.mark.parametrize(
    "text",
    [
        "off",
        "12:30",
        "0x10",
        "1.10",
        "yes",
        "true",
        "5",
        "2024-01-01",
        '"x"',
        "'007'",
        "a b",
        "1e3",
        "=",
        "<<",
    ],
)
def test_text_is_what_the_file_says(load: Load, text: str) -> None:
    assert load(f"name: {text}\n").name == text.strip("\"'")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("5", 5),
        ("+5", 5),
        ("0x10", 16),
        ("0o17", 15),
        ("0b11", 3),
        ("1_000", 1000),
        ("5.0", 5),
        ("!!int 5", 5),
    ],
)
def test_a_whole_number(load: Load, text: str, number: int) -> None:
    assert load(f"task_pool: {{limit: {text}}}\n").task_pool.limit == number


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-1", "-1 is negative: the least is 0"),
        ("five", 'expected a whole number, found the text "five"'),
        ('"5"', 'expected a whole number, found the text "5" (without the quotes it would be a number)'),
        ("1.5", "expected a whole number, found the number 1.5"),
        ("1e3", "expected a whole number, found the number 1e3"),
        ("010", "010 could be octal or decimal: write it without the leading 0, or with 0o"),
        ("true", "expected a whole number, found the boolean true"),
        ("[5]", "expected a whole number, found a list"),
        ("{}", "expected a whole number, found a mapping"),
        ("0x", 'expected a whole number, found the text "0x"'),
        ("9999999999", "9999999999 is too large: the most is 2147483647"),
        ("9" * 5000, "9" * 40 + " is too large: the most is 2147483647"),
    ],
)
def test_what_is_no_whole_number(fails: Fails, text: str, says: str) -> None:
    assert fails(f"task_pool:\n  limit: {text}\n") == [f"c:2: task_pool.limit: {says}"]


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "yes", "on", "y"])
def test_a_boolean_that_is_true(load: Load, text: str) -> None:
    pool = load(f"task_pool: {{queue: {{enabled: {text}, displace: {text}}}}}\n").task_pool
    assert pool.queue is not None
    assert (pool.queue.enabled, pool.queue.displace) == (True, "true")


@pytest.mark.parametrize("text", ["false", "no", "Off", "n", ""])
def test_a_boolean_that_is_false(load: Load, text: str) -> None:
    pool = load(f"task_pool: {{queue: {{enabled: {text}, displace: {text}}}}}\n").task_pool
    assert pool.queue is not None
    assert (pool.queue.enabled, pool.queue.displace) == (False, "false")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("maybe", 'found the text "maybe"'),
        ('"true"', 'found the text "true" (leave out the quotes)'),
        ("1", "found the number 1"),
        ("[]", "found a list"),
    ],
)
def test_what_is_no_boolean(fails: Fails, text: str, says: str) -> None:
    assert fails(f"task_pool: {{queue: {{enabled: {text}}}}}\n") == [
        f"c:1: task_pool.queue.enabled: expected true or false, {says}"
    ]


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("30s", 30 * GO),
        ('"1m30s"', 90 * GO),
        ("1.5s", GO * 3 // 2),
        ("300ms", GO * 3 // 10),
        ("0", 0),
        ('""', None),
        ("", 0),
    ],
)
def test_a_duration(load: Load, fails: Fails, text: str, nanoseconds: int | None) -> None:
    file = f"retry: {{restart_delay: {text}}}\n"
    if nanoseconds is None:
        assert fails(file) == [
            'c:1: retry.restart_delay: expected a duration such as "30s", found empty text'
        ]
    else:
        assert load(file).retry.restart_delay == nanoseconds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("30", 'write "30s" for seconds'),
        ("1.5", 'write "1.5s" for seconds'),
        ("-5s", "negative"),
        ("5 seconds", "unknown unit"),
        ("soon", "not a duration"),
        ("[5s]", 'expected a duration such as "30s", found a list'),
    ],
)
def test_what_is_no_duration(fails: Fails, text: str, says: str) -> None:
    (line,) = fails(f"retry: {{restart_delay: {text}}}\n")
    assert line.startswith("c:1: retry.restart_delay: ")
    assert says in line


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1e2", 100),
        ("0", 0),
        ("30s", 30),
        ('"1m30s"', 90),
        ("24h", 86400),
    ],
)
def test_seconds_are_a_number_or_a_duration(load: Load, text: str, seconds: float) -> None:
    config = load(
        f"history: {{age: {text}}}\n"
        f"task_pool: {{queue: {{enabled: true, max_age: {text}}}, excess: {{grace: {text}}}}}\n"
        f"actions: {{a: {{type: exec, stop_grace: {text}}}}}\n"
    )
    pool = config.task_pool
    assert pool.queue is not None
    values = [config.history.age, config.actions["a"].stop_grace, pool.queue.max_age, pool.excess.grace]
    assert values == [seconds] * 4
    # These two go over the wire, where clients know whole seconds as 60, not 60.0.
    assert {type(value) for value in values[2:]} == {int if seconds == int(seconds) else float}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-1", "-1 is negative"),
        ("-1s", "negative"),
        ('"5"', 'write "5s" for seconds'),
        (".inf", "not a duration"),
        (".nan", "not a duration"),
        ("1e999", "1e999 seconds are too many"),
        ("1e10", "1e10 seconds are too many"),
        ("true", "not a duration"),
        ("{}", 'expected seconds or a duration such as "30s", found a mapping'),
    ],
)
def test_what_is_no_number_of_seconds(fails: Fails, text: str, says: str) -> None:
    (line,) = fails(f"history: {{age: {text}}}\n")
    assert line.startswith("c:1: history.age: ")
    assert says in line


@pytest.mark.parametrize("key", ["clients: {stall_timeout: 0}", "limits: {handshake_timeout: 0s}"])
def test_a_timeout_of_nothing_is_refused(fails: Fails, key: str) -> None:
    assert fails(key)[0].endswith("must be more than 0")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("65536", 65536),
        ("0x1000", 4096),
        ("8MiB", 8 * 2**20),
        ('"8 MiB"', 8 * 2**20),
        ("1MB", 10**6),
        ("1.5KiB", 1536),
        ("64kB", 64000),
        ("1gib", 2**30),
        ("5B", 5),
    ],
)
def test_a_size(load: Load, text: str, size: int) -> None:
    assert load(f"clients: {{buffer: {text}}}\n").clients.buffer == size


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0", "0 is too small: the least is 1"),
        ("-1", "-1 is negative"),
        ("0.1B", "too small"),
        ("9999GiB", "too large"),
        ("8M", '"M" is not a unit of size'),
        ("big", 'expected a size such as 65536 or "8MiB", found the text "big"'),
        ("1.5", "found the number 1.5"),
        ("[]", "found a list"),
    ],
)
def test_what_is_no_size(fails: Fails, text: str, says: str) -> None:
    (line,) = fails(f"clients: {{buffer: {text}}}\n")
    assert line.startswith("c:1: clients.buffer: ")
    assert says in line


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SIGINT", "SIGINT"),
        ("int", "SIGINT"),
        ("TERM", "SIGTERM"),
        ("15", "SIGTERM"),
        ("SigUsr1", "SIGUSR1"),
        ("9", "SIGKILL"),
    ],
)
def test_a_signal(load: Load, text: str, name: str) -> None:
    assert load(f"actions: {{a: {{type: exec, stop_signal: {text}}}}}\n").actions["a"].stop_signal == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SIGTREM", 'found the text "SIGTREM"; did you mean SIGTERM?'),
        ("xyzzy", 'found the text "xyzzy", such as SIGTERM'),
        ("0", "found the number 0"),
        ("999", "found the number 999"),
        ("-9", "found the number -9"),
        ("[TERM]", "found a list"),
    ],
)
def test_what_is_no_signal(fails: Fails, text: str, says: str) -> None:
    (line,) = fails(f"actions: {{a: {{type: exec, stop_signal: {text}}}}}\n")
    assert line.startswith("c:1: actions.a.stop_signal: expected the name of a signal, ")
    assert says in line


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (
            "task_pool: {queue: {order: frist}}",
            'queue.order: expected first or last, found the text "frist"; did you mean first?',
        ),
        (
            "task_pool: {queue: {displace: never}}",
            "queue.displace: expected false, true or prohibit, found the text",
        ),
        (
            "task_pool: {excess: {action: kill}}",
            'excess.action: expected stop or requeue, found the text "kill"',
        ),
        ("task_pool: {excess: {order: [first]}}", "excess.order: expected first or last, found a list"),
        ("clients: {on_lag: wait}", "clients.on_lag: expected block, drop or catch_up"),
        ("retry: {restart_on: success}", "retry.restart_on: expected any or failure"),
        ("actions: {a: {type: exec, kill_mode: all}}", "actions.a.kill_mode: expected tree, group or leader"),
    ],
)
def test_a_word_that_is_no_choice(fails: Fails, file: str, says: str) -> None:
    (line,) = fails(file)
    assert says in line


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("source", ("source",)),
        ("[a, b]", ("a", "b")),
        ('["a,b"]', ("a,b",)),
        ('"a, b"', ("a, b",)),
        ("[1.10, off]", ("1.10", "off")),
        ("[]", ()),
        ('""', ()),
        ("", ()),
    ],
)
def test_a_list_of_text_or_one(load: Load, text: str, items: tuple[str, ...]) -> None:
    assert load(f"actions: {{a: {{type: exec, dedupe_key: {text}}}}}").actions["a"].dedupe_key == items


def test_each_bad_item_of_a_list_is_reported(fails: Fails) -> None:
    assert fails(
        "actions:\n  a:\n    type: exec\n    dedupe_key:\n      - ok\n      - [x]\n      - ''\n      -\n"
    ) == [
        "c:6: actions.a.dedupe_key.1: expected text, found a list",
        "c:7: actions.a.dedupe_key.2: expected text, found empty text",
        "c:8: actions.a.dedupe_key.3: expected text, found nothing",
    ]
    assert fails("actions: {a: {type: exec, dedupe_key: {}}}") == [
        "c:1: actions.a.dedupe_key: expected text or list of text, found a mapping"
    ]
