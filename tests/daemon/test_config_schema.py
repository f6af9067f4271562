"""The JSON Schema of the configuration says what the loader says, as far as JSON Schema can."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from overseer.config import load_config
from overseer.config.jsonschema import config_schema, schema_text
from overseer.config.yaml_tree import parse_yaml
from overseer.drivers.api import build_action_handlers
from overseer.errors import ConfigError
from overseer.schema.location import Report
from overseer.schema.nodes import to_value
from tests.harness import ROOT

CHECK = Draft7Validator(config_schema())


def as_an_editor_reads(text: str) -> Any:
    """The file's values as YAML 1.2 has them."""
    tree = parse_yaml(text, Report("c"))
    return {} if tree is None else to_value(tree)


def warnings_of(file: Path) -> list[str]:
    """The warnings about a file, those of ``exec`` about unknown keys included; raises ConfigError."""
    config = load_config(file, {})
    unknown: list[str] = []
    build_action_handlers(config, lambda error: unknown.append(str(error)))
    return [*config.warnings, *unknown]


@pytest.fixture
def loads(tmp_path: Path) -> Callable[[str], bool]:
    """Whether the loader takes a file, without a word about unknown keys."""

    def loads(text: str) -> bool:
        file = tmp_path / "c.yaml"
        file.write_text(text)
        try:
            return not any("unknown key" in warning for warning in warnings_of(file))
        except ConfigError:
            return False

    return loads


ACTION = "actions: {a: {type: exec, config: {entrypoint: /bin/true}, %s}}"
EXEC = "actions: {a: {type: exec, config: {entrypoint: /bin/true, %s}}}"
GOOD = [
    "",
    "name: 12\nversion: 1.10\ndb: off",
    "name: null\nactions: null\ntask_pool:",
    "x-anchors: {anything: [1]}\nlisten: 8080",
    "trusted_cidrs: 10.0.0.0/8, ::1",
    "trusted_cidrs: [10.0.0.0/8]",
    "task_pool: {limit: 3, queue: {enabled: yes, size: 0, max_age: 1.5, displace: true}}",
    "task_pool: {limit: 3, queue: {enabled: TRUE, displace: prohibit, max_age: 1h30m}}",
    "task_pool: {size: 2, queue_size: 4, queue_timeout: 90s, excess: {action: requeue, grace: 0}}",
    "retry: {restart_delay: 30s, restart_jitter: 0, error_window: 1.5h, error_threshold: 4}",
    "retry: {restart_delay: .5s, restart_on: any}",
    "retry: {restart_delay: 1s, restart_factor: 1.5, restart_max_delay: 1m, restart_reset: 5m}",
    "clients: {buffer: 8MiB, stall_timeout: 0.1, on_lag: drop}",
    "clients: {buffer: 1.5 kB}",
    "limits: {max_line: 65536}",
    ACTION % "stop_signal: sigint, stop_grace: 1s, kill_mode: group",
    EXEC % "command: [-c, 1, true, null], parameters: {a: , b: {}, c: 80, d: {default: x, validate: 'true'}}",
    EXEC % "output: {stdout: {condition: 'true'}, stderr: , merge: yes}, stderr_condition: 'true', x-a: [b]",
    ACTION % "timeout: 90, success_codes: 0",
    ACTION % "timeout: 1m30s, success_codes: [0, 3]",
    ACTION % "stop_signal: 15, dedupe_key: x, meta: {description: y}, strict_params: on",
    ACTION % "dedupe_key: [x, 1], retry: {}, task_pool: {limit: 1}, x-note: mine",
    "auth: {tokens: [{name: a, token_env: T, role: viewer, actions: [b*]}], unix: {root: admin}}",
    "socket_mode: 0660",
    "tls: {cert: c.pem}",
]
BAD = [
    "[]",
    "nmae: x",
    "name: [x]",
    "name: {x: y}",
    "trusted_cidrs: {a: b}",
    "task_pool: 3",
    "task_pool: {limit: -1}",
    "task_pool: {limit: eight}",
    "task_pool: {limit: '8'}",
    "task_pool: {limit: 1.5}",
    "task_pool: {limit: 99999999999}",
    "task_pool: {queue: {enabled: maybe}}",
    "task_pool: {queue: {enabled: 1}}",
    "task_pool: {queue: {displace: never}}",
    "task_pool: {queue: {max_age: -1}}",
    "task_pool: {queue: {max_age: soon}}",
    "task_pool: {excess: {order: middle}}",
    "retry: {restart_delay: 30}",
    "retry: {restart_delay: '30'}",
    "retry: {restart_delay: -1s}",
    "retry: {restart_on: never}",
    "retry: {restart_factor: 0.5}",
    "retry: {restart_factor: 2x}",
    "retry: {restart_max_delay: 5}",
    ACTION % "timeout: -1",
    ACTION % "success_codes: []",
    ACTION % "success_codes: [-1]",
    ACTION % "success_codes: all",
    "clients: {buffer: 0}",
    "clients: {buffer: 8XB}",
    "clients: {stall_timeout: 0}",
    "limits: {max_connections: 0}",
    "actions: []",
    "actions: {a: }",
    "actions: {a: {}}",
    "actions: {a: {type: }}",
    "actions: {' ': {type: exec}}",
    "actions: {a: {type: exec, config: [x]}}",
    "actions: {a: {type: exec, config: {}}}",
    "actions: {a: {type: exec, config: {entrypoint: [x]}}}",
    EXEC % "comand: [x]",
    EXEC % "command: x",
    EXEC % "command: [[x]]",
    EXEC % "parameters: [x]",
    EXEC % "parameters: {a: {defualt: x}}",
    EXEC % "parameters: {a: {default: [x]}}",
    EXEC % "output: {merge: 1}",
    EXEC % "output: {stdout: 'true'}",
    EXEC % "output: {stdout: {condition: {}}}",
    EXEC % "stdout_condition: []",
    ACTION % "stop_signal: SIGTREM",
    ACTION % "stop_signal: 99",
    ACTION % "kill_mode: all",
    ACTION % "command: x",
    ACTION % "dedupe_key: {a: b}",
    ACTION % "dedupe_key: [[x]]",
    "auth: {tokens: {name: a}}",
    "auth: {tokens: [{name: a}]}",
    "auth: {tokens: [{name: a, role: boss}]}",
    "auth: {unix: {root: boss}}",
]
# Where the loader knows more: addresses, files of octal digits, quotes around what should have none.
ONLY_THE_LOADER = [
    "listen: nowhere:at:all",
    "trusted_cidrs: [10.0.0.0/99]",
    "socket_mode: 9",
    "task_pool: {queue: {enabled: 'yes'}}",
    "auth: {tokens: [{name: a, role: viewer, token: x, token_env: Y}]}",
    "tls: {key: k.pem}",
]


@pytest.mark.parametrize("text", GOOD)
def test_both_take_it(loads: Callable[[str], bool], text: str) -> None:
    assert [error.message for error in CHECK.iter_errors(as_an_editor_reads(text))] == []
    assert loads(text)


@pytest.mark.parametrize("text", BAD)
def test_both_refuse_it(loads: Callable[[str], bool], text: str) -> None:
    assert not CHECK.is_valid(as_an_editor_reads(text))
    assert not loads(text)


@pytest.mark.parametrize("text", ONLY_THE_LOADER)
def test_the_loader_knows_more(loads: Callable[[str], bool], text: str) -> None:
    assert CHECK.is_valid(as_an_editor_reads(text))
    assert not loads(text)


def test_it_is_a_schema_whose_every_key_says_what_it_means() -> None:
    Draft7Validator.check_schema(config_schema())
    top = config_schema()["properties"]
    assert all(key["description"] for key in top.values())
    assert top["actions"]["additionalProperties"]["required"] == ["type"]


def test_the_shipped_config_and_the_documents_examples_are_valid() -> None:
    texts = [(ROOT / "config.yaml").read_text()]
    texts += re.findall(
        r"^```yaml\n(.*?)^```", (ROOT / "docs/CONFIG.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert len(texts) > 5
    for text in texts:
        assert [error.message for error in CHECK.iter_errors(as_an_editor_reads(text))] == []


def test_the_file_in_docs_is_up_to_date() -> None:
    stored = (ROOT / "docs/config.schema.json").read_text("utf-8")
    assert stored == schema_text(), "run: python -m overseer.config.jsonschema docs/config.schema.json"


def test_the_command_prints_it() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "sticky_overseer.py", "--schema"], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == config_schema()


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70000),
    st.sampled_from(
        [1.5, 10**12, "", "x", "5s", "1.5h", "-1s", "8MiB", "exec", "last", "SIGINT", "true", "10.0.0.0/8"]
    ),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("x"), inner, max_size=1)
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a value, itself included."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


WHOLE = [{**as_an_editor_reads(text)} for text in GOOD]


@hypothesis.given(st.sampled_from(WHOLE), st.data())
def test_nothing_that_the_schema_refuses_passes_the_loader_unsaid(
    whole: dict[str, Any], data: st.DataObject
) -> None:
    """Whatever is put anywhere into a good file: --check says something wherever an editor would."""
    path = data.draw(st.sampled_from(places(whole)))
    changed = put(whole, path, data.draw(VALUES))
    if isinstance(changed, dict) and data.draw(st.booleans()):
        changed = {**changed, "another": 1}
    hypothesis.assume(not CHECK.is_valid(changed))
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "c.yaml"
        file.write_text(json.dumps(changed))
        with contextlib.suppress(ConfigError):
            assert warnings_of(file)
