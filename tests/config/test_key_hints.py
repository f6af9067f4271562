"""What is said of keys in the wrong place, and of other programs' names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.config.conftest import Load
from tests.harness import ROOT

_FILES = {
    "action": "actions: {{a: {{type: exec, {0}: 1}}}}\n",
    "task": "actions: {{a: {{type: exec}}}}\ntasks: {{t: {{action: a, {0}: 1}}}}\n",
    "top": "{0}: 1\n",
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
