"""What a file that loads gets wrong all the same: ``--check`` warns of each with its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT

GREET = """\
actions: {greet: {type: exec, config: {entrypoint: echo, command: [--, '[[.who]]'], parameters: %s}}}"""
OPEN = GREET % "{who: world}"
NEEDS = GREET % "{who: {}}"
CHANNEL = "data_dir: d\nchannels: {c: {exec: [%s]}}\nnotify: [{on: failure, to: c, actions: [%s]}]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"{OPEN}\ntasks: {{t: {{action: greet, autostart: last}}}}",
            "2: tasks.t.autostart: without a data_dir, what was running is not recorded: it is never started",
        ),
        (
            f"{NEEDS}\ntasks: {{t: {{action: greet}}}}",
            "2: tasks.t: greet needs the parameter who, which is not given here",
        ),
        (
            f"{OPEN}\ntasks: {{t: {{action: greet, params: {{woh: you}}}}}}",
            "2: tasks.t.params: greet has no parameter woh; did you mean who?",
        ),
        (f"{OPEN}\nstorage: {{runs: 5}}", "2: storage: nothing is stored without a data_dir"),
        (
            f"{OPEN}\n{CHANNEL % ('no-such-notifier', 'greet')}",
            "3: channels.c.exec: program not found: no-such-notifier",
        ),
        (
            f"{OPEN}\n{CHANNEL % ('cat', 'gret')}",
            "4: notify.0.actions: no action matches gret; did you mean greet?",
        ),
    ],
)
def test_it_is_warned_of_before_the_file_is_called_fine(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.yaml").write_text(f"{text}\nlisten: 127.0.0.1:0\n")
    command = [sys.executable, str(ROOT / "sticky_overseer.py"), "--check"]
    ended = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
    )
    assert ended.stdout.splitlines() == [
        f"warning: ./config.yaml:{said}",
        "./config.yaml: OK, 1 action",
    ]
    assert ended.returncode == 0
