"""Whole files: what users write, what is warned of, what the environment changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from overseer.config import Config, ConfigErrors, load_config
from overseer.errors import ConfigError
from overseer.protocol import ExcessConfig, PoolConfig, QueueConfig, RetryPolicy
from tests.config.conftest import Fails, Load
from tests.harness.recorder import RECORDER


def test_a_file_as_users_write_it_loads_unchanged(load: Load) -> None:
    config = load(RECORDER)
    assert config.warnings == ()
    assert (config.name, config.listen, config.db, config.trusted_cidrs) == (
        "recorder",
        ":8080",
        "/data/overseer.db",
        None,
    )
    assert config.task_pool == PoolConfig(limit=8, queue=QueueConfig(enabled=True, size=100))
    action = config.actions["record"]
    assert (action.name, action.type, action.dedupe_key) == ("record", "exec", ("source",))
    assert action.retry == config.retry_for("record") == RetryPolicy(restart_delay=30 * 10**9)
    assert action.config == {
        "entrypoint": "recorder",
        "command": [
            "-s",
            "[[.source]]",
            "-r",
            "[[.resolution]]",
            "-c",
            "[[.cookies]]",
            "-o",
            "/data/{{.Name}}/{{.Year}}-{{.Month}}",
        ],
        "parameters": {
            "source": {},
            "resolution": {"default": "1080", "validate": 'value in ["480", "720", "1080"]'},
            "cookies": {"default": ""},
        },
        "output": {"stdout": {"condition": "has(output.json.event)"}, "stderr": {"condition": "false"}},
    }


def test_the_defaults(load: Load) -> None:
    config = load("actions: {a: {type: exec}}\n")
    assert (config.name, config.listen, config.db, config.log_file) == ("sticky-overseer", ":8080", "", "")
    assert (config.task_pool, config.retry) == (PoolConfig(), RetryPolicy())
    assert (config.clients.buffer, config.clients.stall_timeout, config.clients.on_lag) == (
        8 * 2**20,
        30.0,
        "",
    )
    assert (config.history.tasks, config.history.age) == (1000, 86400.0)
    limits = config.limits
    assert (limits.max_message, limits.max_line, limits.handshake_timeout) == (2**20, 10 * 2**20, 10.0)
    assert limits.message_limits().params == limits.max_params
    assert limits.message_limits().param_value == limits.max_param
    action = config.actions["a"]
    assert (action.config, action.description, action.task_pool, action.dedupe_key) == ({}, "", None, ())
    assert (action.retry, action.kill_mode, action.stop_signal, action.stop_grace) == (
        RetryPolicy(),
        "tree",
        "SIGTERM",
        5.0,
    )


def test_a_key_with_nothing_after_it_counts_as_absent(load: Load) -> None:
    config = load(
        "name:\nlisten: ~\ntask_pool:\n  limit:\n  queue:\nretry:\n"
        "actions:\n  a: {type: exec, config: , retry: }\n"
    )
    assert config == load("actions: {a: {type: exec}}\n")


def test_empty_text_means_the_default_address_and_the_automatic_trust(load: Load) -> None:
    for text in ('""', "[]", '" , "'):
        config = load(f'listen: ""\ntrusted_cidrs: {text}\n')
        assert (config.listen, config.trusted_cidrs) == (":8080", None)


@pytest.mark.parametrize("text", ["[10.0.0.0/8, '::1']", '"10.0.0.0/8, ::1"', '"10.0.0.0/8,::1,"'])
def test_trusted_networks_are_a_list_or_one_text(load: Load, text: str) -> None:
    assert load(f"trusted_cidrs: {text}\n").trusted_cidrs == ("10.0.0.0/8", "::1")


def test_an_address_may_be_a_number(load: Load) -> None:
    assert load("listen: 9090\n").listen == "9090"


@pytest.mark.parametrize(
    ("file", "says"),
    [("listen: nowhere\n", "listen: no port"), ("trusted_cidrs: [1.2.3]\n", "trusted_cidrs.0: ")],
)
def test_bad_addresses_are_refused(fails: Fails, file: str, says: str) -> None:
    (line,) = fails(file)
    assert line.startswith(f"c:1: {says}")


def test_a_description_may_stand_in_meta(load: Load) -> None:
    config = load(
        "actions:\n  a: {type: exec, meta: {description: A}}\n"
        "  b: {type: exec, description: B, meta: {description: C}}\n"
    )
    assert [action.description for action in config.actions.values()] == ["A", "B"]


@pytest.mark.parametrize(
    "name", ["off", "1.10", "12:30", "yes", "a b", "Übung", "x" * 256, "null", "~", "a.b"]
)
def test_an_action_may_be_called_anything_printable(load: Load, name: str) -> None:
    assert list(load(f"actions:\n  {name}: {{type: exec}}\n").actions) == [name]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ('""', 'actions."": a name cannot be empty'),
        ("' '", "actions. : a name cannot be empty"),
        ('"a\\nb"', r'actions."a\nb": "a\nb" contains an unprintable character'),
        ('"\\x1b[2J"', r'actions."\x1b[2J": "\x1b[2J" contains an unprintable character'),
        ("x" * 257, "at most 256 characters"),
    ],
)
def test_other_names_are_refused(fails: Fails, name: str, says: str) -> None:
    (line,) = fails(f"actions:\n  ? {name}\n  : {{type: exec}}\n")
    assert line.startswith("c:2: ")
    assert says in line


@pytest.mark.parametrize("body", ["", "{}", "~", "{type: }", "{type: ''}", "{config: {}}"])
def test_an_action_needs_a_type(fails: Fails, body: str) -> None:
    assert fails(f"actions:\n  a: {body}\n") == [
        'c:2: actions.a: type is missing: say which driver runs this action, for example "type: exec"'
    ]


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (
            "actions: [a]",
            "c:1: actions: expected a mapping of names, found a list; names are keys, as in NAME: …",
        ),
        ("actions: {a: exec}", 'c:1: actions.a: expected a mapping, found the text "exec"'),
        ("actions: {a: {type: [exec]}}", "c:1: actions.a.type: expected text, found a list"),
        (
            "actions: {a: {type: exec, config: [x]}}",
            "c:1: actions.a.config: expected a mapping, found a list",
        ),
        (
            "actions: {a: {type: exec, config: x}}",
            'c:1: actions.a.config: expected a mapping, found the text "x"',
        ),
        (
            "task_pool: 5",
            "c:1: task_pool: expected a mapping, found the number 5; its keys: limit, queue, excess, size, "
            "queue_size, queue_timeout",
        ),
        (
            "actions: {a: {type: exec}}\ntasks: {t: {action: a, schedule: 30 2 * * *}}",
            'c:2: tasks.t.schedule: expected a mapping, found the text "30 2 * * *"; its keys: cron, every, '
            "at, timezone, overlap, missed, jitter, enabled",
        ),
        (
            "actions: {a: {type: exec}}\ntasks: {t: {action: a, depends_on: {t: service_healthy}}}",
            "c:2: tasks.t.depends_on.t: expected started, ready, healthy, succeeded or ended, found the text "
            '"service_healthy"; did you mean healthy?',
        ),
        (
            "actions: {a: {type: exec, retry: {restart_on: always}}}",
            "c:1: actions.a.retry.restart_on: expected any or failure, found the text "
            '"always"; here it is any',
        ),
        ('name: "a\\0b"', "c:1: name: text here cannot hold a NUL character"),
    ],
)
def test_wrong_shapes_say_what_was_found_and_expected(fails: Fails, file: str, says: str) -> None:
    assert fails(file) == [says]


def test_everything_wrong_is_reported_at_once_in_the_files_order(fails: Fails) -> None:
    text = """\
listen: nowhere
task_pool:
  limit: -1
  queue:
    size: two
actions:
  one:
    stop_signal: SIGTREM
  two: {type: exec, retry: {restart_delay: 5}}
name: x
name: y
"""
    assert [line.split(": ")[:2] for line in fails(text)] == [
        ["c:1", "listen"],
        ["c:3", "task_pool.limit"],
        ["c:5", "task_pool.queue.size"],
        ["c:7", "actions.one"],
        ["c:8", "actions.one.stop_signal"],
        ["c:9", "actions.two.retry.restart_delay"],
        ["c:11", "name"],
    ]


@pytest.mark.parametrize(
    ("file", "warning"),
    [
        ("lisen: x", "lisen: unknown key; did you mean listen?"),
        ("Listen: x", "Listen: unknown key; did you mean listen?"),
        ("listen_addr: x", "listen_addr: unknown key; did you mean listen?"),
        ("zzz: x", "zzz: unknown key (keys that begin with x- are yours, for anchors and notes)"),
        ("task_pool: {queue: {sise: 5}}", "task_pool.queue.sise: unknown key; did you mean size?"),
        ("retry: {restart_dealy: 5}", "retry.restart_dealy: unknown key; did you mean restart_delay?"),
        ("actions: {a: {type: exec, retyr: {}}}", "actions.a.retyr: unknown key; did you mean retry?"),
        (
            "actions: {a: {type: exec, entrypoint: x}}",
            "actions.a.entrypoint: unknown key; it belongs under `config`",
        ),
        ('"a\\nb": x', '"a\\nb": unknown key (keys that begin with x- are yours, for anchors and notes)'),
    ],
)
def test_an_unknown_key_is_warned_of_with_the_nearest_known_one(load: Load, file: str, warning: str) -> None:
    config = load(file)
    assert config.warnings == (f"{config.file}:1: {warning}",)


def test_keys_of_the_users_own_and_of_drivers_are_not_warned_of(load: Load) -> None:
    assert load("x-note: hi\nactions: {a: {type: exec, x-me: 1, config: {lisen: 1}}}\n").warnings == ()


def test_the_environment_beats_the_file(load: Load) -> None:
    text = "listen: ':1'\ndb: a\nlog_file: b\ntrusted_cidrs: [10.0.0.0/8]\n"
    env = {
        "OVERSEER_LISTEN": "stdio",
        "OVERSEER_DB": "off",
        "OVERSEER_LOG_FILE": "0x10",
        "OVERSEER_TRUSTED_CIDRS": "::1, 192.168.0.0/16",
    }
    config = load(text, env)
    assert (config.listen, config.db, config.log_file) == ("stdio", "off", "0x10")
    assert config.trusted_cidrs == ("::1", "192.168.0.0/16")
    assert load(text, dict.fromkeys(env, "")) == load(text)


def test_a_bad_value_in_the_environment_is_named(fails: Fails) -> None:
    lines = fails("name: [x]\n", {"OVERSEER_LISTEN": "nowhere", "OVERSEER_TRUSTED_CIDRS": "10.0.0.0/8,here"})
    assert lines[0].startswith("OVERSEER_LISTEN: no port in it")
    assert lines[1] == 'OVERSEER_TRUSTED_CIDRS: "here" is neither a network like 10.0.0.0/8 nor an IP address'
    assert lines[2].startswith("c:1: name: ")


def test_the_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERSEER_LISTEN", "127.0.0.1:7")
    assert load_config(tmp_path / "none").listen == "127.0.0.1:7"


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        ("{limit: 4}", PoolConfig(limit=4)),
        ("{size: 4}", PoolConfig(limit=4)),
        ("{size: 4, queue_size: 20}", PoolConfig(limit=4, queue=QueueConfig(enabled=True, size=20))),
        ("{queue_size: 0}", PoolConfig(queue=QueueConfig(enabled=False, size=0))),
        (
            "{size: 4, queue_size: 20, queue_timeout: 60}",
            PoolConfig(limit=4, queue=QueueConfig(enabled=True, size=20, max_age=60)),
        ),
        (
            "{queue: {enabled: true}, queue_timeout: 1.5s}",
            PoolConfig(queue=QueueConfig(enabled=True, max_age=1.5)),
        ),
        (
            "{queue: {enabled: true, order: last, max_age: 5, displace: prohibit}}",
            PoolConfig(queue=QueueConfig(enabled=True, order="last", max_age=5, displace="prohibit")),
        ),
        (
            "{excess: {action: requeue, order: last, grace: 2}}",
            PoolConfig(excess=ExcessConfig(action="requeue", order="last", grace=2)),
        ),
        ("{limit: 4, size: 4}", PoolConfig(limit=4)),
        ("{limit: 0, size: 0}", PoolConfig()),
    ],
)
def test_both_spellings_of_a_pool(load: Load, text: str, pool: PoolConfig) -> None:
    config = load(f"task_pool: {text}\nactions: {{a: {{type: exec, task_pool: {text}}}}}\n")
    assert config.warnings == ()
    assert config.task_pool == config.actions["a"].task_pool == pool


@pytest.mark.parametrize(
    ("text", "pool", "warning"),
    [
        (
            "{limit: 4, size: 5}",
            PoolConfig(limit=4),
            "limit (4) and size (5) mean the same: limit wins",
        ),
        (
            "{limit: 0, size: 5}",
            PoolConfig(limit=0),
            "limit (0) and size (5) mean the same: limit wins",
        ),
        (
            "{queue: {enabled: true, size: 5}, queue_size: 6}",
            PoolConfig(queue=QueueConfig(enabled=True, size=5)),
            "queue and queue_size mean the same: queue wins",
        ),
        (
            "{queue: {enabled: true, max_age: 5}, queue_timeout: 6}",
            PoolConfig(queue=QueueConfig(enabled=True, max_age=5)),
            "queue.max_age and queue_timeout mean the same: queue.max_age wins",
        ),
        (
            "{queue_timeout: 6}",
            PoolConfig(),
            "queue_timeout does nothing without a queue or queue_size beside it",
        ),
    ],
)
def test_a_pool_that_contradicts_itself_is_warned_of(
    load: Load, text: str, pool: PoolConfig, warning: str
) -> None:
    config = load(f"task_pool: {text}\n")
    assert config.task_pool == pool
    assert config.warnings == (f"{config.file}:1: task_pool: {warning}",)


def test_a_queue_with_a_size_that_is_not_enabled_is_warned_of(load: Load) -> None:
    (warning,) = load("task_pool:\n  queue: {size: 5}\n").warnings
    assert warning.endswith(
        ":2: task_pool.queue: the queue is not enabled: add `enabled: true`, or nothing ever waits in it"
    )


def test_an_action_has_the_servers_queue_unless_it_has_its_own(load: Load) -> None:
    config = load(
        """
task_pool: {limit: 8, queue_size: 9, excess: {grace: 1}}
actions:
  none: {type: exec}
  limit: {type: exec, task_pool: {limit: 2}}
  queue: {type: exec, task_pool: {limit: 2, queue_size: 0}}
"""
    )
    inherited = QueueConfig(enabled=True, size=9)
    assert config.pool_for("none") == PoolConfig(limit=0, queue=inherited, excess=ExcessConfig(grace=1))
    assert config.pool_for("limit") == PoolConfig(limit=2, queue=inherited)
    assert config.pool_for("queue") == PoolConfig(limit=2, queue=QueueConfig())
    with pytest.raises(KeyError):
        config.pool_for("other")


def test_an_actions_retry_is_merged_over_the_servers(load: Load) -> None:
    config = load(
        """
retry: {restart_delay: 5s, restart_jitter: 1s, error_threshold: 3}
actions:
  none: {type: exec}
  some: {type: exec, retry: {restart_delay: 1m, error_threshold: 0, error_window: 10m, restart_on: any}}
"""
    )
    assert config.retry_for("none") == config.retry
    assert config.retry_for("some") == RetryPolicy(
        restart_delay=60 * 10**9,
        restart_jitter=10**9,
        error_window=600 * 10**9,
        error_threshold=3,
        restart_on="any",
    )
    with pytest.raises(KeyError):
        config.retry_for("other")


@pytest.fixture
def recorder(load: Load) -> Config:
    return load(RECORDER)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("listen",), 2),
        (("actions", "record"), 8),
        (("actions", "record", "config", "command"), 14),
        (("actions", "record", "config", "command", 3), 14),
        (("actions", "record", "config", "command", 99), 14),
        (("actions", "record", "config", "parameters", "resolution", "validate"), 17),
        (("actions", "record", "config", "parameters", "other", "validate"), 15),
        (("actions", "record", "config", "output", "stderr", "condition"), 21),
        (("nothing", "of", "it"), 1),
    ],
)
def test_every_key_has_a_line(recorder: Config, path: tuple[str | int, ...], line: int) -> None:
    assert recorder.line_of(path) == line


def test_a_drivers_error_is_placed(recorder: Config) -> None:
    prefix = ("actions", "record", "config")
    one = recorder.placed(ConfigError("bad", path=("output", "stdout", "condition")), *prefix)
    assert str(one) == f"{recorder.file}:20: actions.record.config.output.stdout.condition: bad"
    several = recorder.placed(
        ConfigErrors([ConfigError("x", path=("command", 1)), ConfigError("y")]), *prefix
    )
    assert str(several).split("\n") == [
        f"{recorder.file}:14: actions.record.config.command.1: x",
        f"{recorder.file}:12: actions.record.config: y",
    ]


def test_items_of_a_list_and_merged_keys_have_the_lines_where_they_stand(load: Load) -> None:
    config = load(
        "x-a: &a\n  one:\n    - x\n    - y\n"
        "actions:\n  a:\n    type: exec\n    config:\n      <<: *a\n      two: z\n"
    )
    assert config.line_of(("actions", "a", "config", "one", 1)) == 4
    assert config.line_of(("actions", "a", "config", "two")) == 10


def test_keys_that_belong_elsewhere_say_where(load: Load) -> None:
    text = "actions: {a: {type: exec, schedule: {every: 5s}}}\ntasks: {t: {action: a, ready: {after: 1s}}}\n"
    assert [warning.partition(": ")[2] for warning in load(text).warnings] == [
        "actions.a.schedule: unknown key; it belongs to a standing task, under `tasks`",
        "tasks.t.ready: unknown key; it belongs to the action, under `actions`",
    ]


def test_unknown_keys_follow_the_errors_that_they_may_be_the_cause_of(fails: Fails) -> None:
    assert fails("actions:\n  a: {type: exec, ready: {htp: 'http://x/'}}\n") == [
        "c:2: actions.a.ready: no condition is given: log, http, tcp, exec, notify or after",
        "c:2: actions.a.ready.htp: unknown key; did you mean http?",
    ]


def test_keys_that_do_not_go_together_are_reported_where_they_stand(fails: Fails) -> None:
    file = """\
actions:
  a:
    type: exec
    health:
      http: http://127.0.0.1/
      tcp: ":80"
channels:
  ops:
    webhook: https://example.org/
    headers:
      Accept: "*/*"
      Host: example.org
secrets:
  key:
    env: "A=B"
"""
    assert [line.partition(": ")[0] for line in fails(file)] == ["c:6", "c:12", "c:15"]


def test_an_entry_that_cannot_be_read_is_not_said_to_be_missing(fails: Fails) -> None:
    file = """\
actions: {a: 5}
channels: {ops: 6}
secrets: {key: 7}
tasks:
  one: 8
  two: {action: a, depends_on: [one]}
notify: [{on: failure, to: ops}]
webhooks:
  hook: {action: a, scheme: github, secret: {secret: key}}
"""
    assert fails(file) == [
        "c:1: actions.a: expected a mapping, found the number 5",
        "c:2: channels.ops: expected a mapping",
        "c:3: secrets.key: expected a mapping",
        "c:5: tasks.one: expected a mapping, found the number 8; its keys: action, params, retry, autostart, "
        "depends_on, schedule",
    ]
