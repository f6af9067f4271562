"""What is said of keys in the wrong place, and of other programs' names."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from overseer.config import key_hints
from overseer.config.foreign_keys import ANYWHERE, BY_LEVEL
from tests.config.conftest import Load
from tests.harness import ROOT

_FILES = {
    "action": "actions: {{a: {{type: exec, {0}: 1}}}}\n",
    "task": "actions: {{a: {{type: exec}}}}\ntasks: {{t: {{action: a, {0}: 1}}}}\n",
    "top": "{0}: 1\n",
    "retry": "retry: {{{0}: 1}}\n",
    "pool": "task_pool: {{{0}: 1}}\n",
    "schedule": (
        "actions: {{a: {{type: exec}}}}\ntasks: {{t: {{action: a, schedule: {{every: 1h, {0}: 1}}}}}}\n"
    ),
    "ready": "actions: {{a: {{type: exec, ready: {{after: 1s, {0}: 1}}}}}}\n",
    "health": "actions: {{a: {{type: exec, health: {{tcp: ':80', {0}: 1}}}}}}\n",
}


def said(load: Load, level: str, key: str) -> str:
    """What is said of a key at a level of the file."""
    (warning,) = [line for line in load(_FILES[level].format(key)).warnings if f"{key}: unknown key" in line]
    return warning.partition("unknown key")[2].lstrip("; ")


@pytest.mark.parametrize(
    ("level", "key", "words"),
    [
        ("action", "env", "it belongs under `config`"),
        ("action", "command", "it belongs under `config`"),
        ("action", "user", "it belongs under `config`"),
        ("action", "autostart", "it belongs to a standing task, under `tasks`"),
        ("action", "depends_on", "it belongs to a standing task, under `tasks`"),
        ("action", "listen", "it belongs at the top level"),
        ("task", "health", "it belongs to the action, under `actions`"),
        ("task", "command", "it belongs to the action, under its `config`"),
        ("top", "cwd", "it belongs under an action's `config`"),
        ("top", "depends_on", "it belongs to a standing task, under `tasks`"),
        ("top", "stop_grace", "it belongs to an action, under `actions`"),
        ("action", "User", "`user` belongs under `config`"),
        ("action", "error_window", "it belongs under `retry`"),
        ("action", "queue", "it belongs under `task_pool`"),
        ("action", "timezone", "it belongs under a task's `schedule`"),
        ("action", "choices", "it belongs to a parameter, under `parameters`"),
        ("retry", "success_codes", "it belongs to the action, beside `retry`"),
        ("schedule", "autostart", "it belongs to the task, beside `schedule`"),
        ("health", "env", "it belongs to the action, under its `config`"),
    ],
)
def test_a_known_key_in_the_wrong_place_is_said_to_belong_elsewhere(
    load: Load, level: str, key: str, words: str
) -> None:
    assert said(load, level, key) == words


@pytest.mark.parametrize("level", ["top", "action", "task"])
@pytest.mark.parametrize(
    ("key", "ours"),
    [
        ("restart", "`retry`"),
        ("restart_policy", "`retry`"),
        ("autorestart", "`retry`"),
        ("working_dir", "`cwd`"),
        ("directory", "`cwd`"),
        ("environment", "`env`"),
        ("numprocs", "`tasks`"),
        ("instances", "`tasks`"),
        ("stdout_logfile", "`data_dir`"),
        ("script", "`entrypoint`"),
        ("exec_mode", "no counterpart"),
        ("programs", "`actions`"),
        ("processes", "`tasks`"),
        ("services", "`actions`"),
        ("healthcheck", "`health`"),
        ("stop_grace_period", "`stop_grace`"),
        ("stopwaitsecs", "`stop_grace`"),
        ("livenessProbe", "`health`"),
        ("max-restarts", "`error_threshold`"),
        ("exitcodes", "`success_codes`"),
        ("startsecs", "`restart_reset`"),
        ("priority", "`depends_on`"),
        ("env_production", "`env_file`"),
        ("cron_restart", "`schedule: {cron: …}`"),
        ("max_memory_restart", "`cgroup: {memory_max"),
        ("exp_backoff_restart_delay", "`restart_factor`"),
        ("availability", "`retry`"),
        ("ready_log_line", "`ready: {log: REGEX}`"),
        ("readiness_probe", "`ready`"),
        ("namespace", "`group`"),
        ("parallel", "`task_pool`"),
        ("dependencies", "`depends_on`"),
        ("stashed", "`schedule: {at: …}`"),
        ("catch_up", "`missed`"),
        ("chain_error", "`then`"),
        ("max_children", "`task_pool`"),
        ("maxConcurrent", "`task_pool`"),
        ("execOnStartup", "`autostart`"),
        ("entities", "entities become"),
        ("ExecStart", "`entrypoint`"),
        ("ExecStartPre", "no hooks"),
        ("TimeoutStopSec", "`stop_grace`"),
        ("WatchdogSec", "place of a watchdog"),
        ("MemoryMax", "`cgroup: {memory_max"),
        ("OnCalendar", "`schedule: {cron: …}`"),
    ],
)
def test_other_programs_names_are_answered_by_ours(load: Load, level: str, key: str, ours: str) -> None:
    assert ours in said(load, level, key)


def test_the_driver_says_it_of_its_own_config(tmp_path: Path) -> None:
    text = "actions: {a: {type: exec, config: {entrypoint: x, working_dir: /, timeout: 5s}}}\n"
    (tmp_path / "config.yaml").write_text(text)
    command = [sys.executable, str(ROOT / "sticky_overseer.py"), "--check"]
    err = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60).stderr
    assert "config.working_dir: unknown key; the directory is `cwd`, under an action's `config`" in err
    assert "config.timeout: unknown key; it belongs to the action, beside `config`" in err


@pytest.mark.parametrize(
    ("level", "key", "ours"),
    [
        ("action", "name", "its name is its key"),
        ("action", "Group", "`group`, under an action's `config`"),
        ("retry", "max_restarts", "`error_threshold`"),
        ("retry", "delay", "`restart_delay`"),
        ("pool", "parallel", "`limit`"),
        ("schedule", "OnCalendar", "`cron`"),
        ("schedule", "concurrencyPolicy", "`overlap`"),
        ("ready", "initial_delay_seconds", "`ready` needs none"),
        ("ready", "failureThreshold", "`failures`, of `health`"),
        ("health", "http_get", "`http: http://HOST:PORT/PATH`"),
        ("health", "command", "`exec: [PROGRAM, ARGUMENT, …]`"),
    ],
)
def test_a_word_may_mean_something_of_its_own_at_a_level(
    load: Load, level: str, key: str, ours: str
) -> None:
    assert ours in said(load, level, key)


def test_no_word_has_two_answers_at_a_level() -> None:
    for table in (ANYWHERE, *BY_LEVEL.values()):
        words = [key_hints._plain(word) for each in table.values() for word in each.split()]
        assert sorted(words) == sorted(set(words))


def test_answers_name_keys_and_commands_that_there_are() -> None:
    known = set(chain.from_iterable(level.values() for level in key_hints._levels.values()))
    others = {"config", "env_file", "size", "enabled", "max_age", "merge", "bwrap", "no"}
    for text in chain(ANYWHERE, *BY_LEVEL.values()):
        for quoted in re.findall(r"`([^`]+)`", text):
            assert quoted.startswith("overseerctl ") or re.match(r"\w+", quoted)[0] in known | others, text
