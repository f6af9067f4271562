"""Wrong usage is one line that says what is wrong and where to look, and status 2."""

from __future__ import annotations

from pathlib import Path

import pytest

import overseer
from tests.ctl.conftest import Ctl


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run --frce job", "there is no option --frce; did you mean --force?"),
        (
            "run job --secs=3",
            "there is no option --secs; a parameter of the action is written secs=3",
        ),
        ("list --sinc x", "there is no option --sinc; did you mean --since?"),
        ("run", "the following arguments are required: ACTION"),
        ("run named /tmp", "a parameter is written KEY=VALUE, not '/tmp'; did you mean path=/tmp?"),
        ("run both x", "a parameter is written KEY=VALUE, not 'x'; both has none"),
        ("list x", "x is one argument too many"),
        ("lits", "there is no command lits; did you mean list?"),
        ("ps", "there is no command ps; did you mean list?"),
        ("logs", "there is no command logs; did you mean tail?"),
        (
            "restart x",
            "there is no restart: stop --wait and start do that, and reset starts an errored task again",
        ),
        ("help blorb", "there is no command blorb"),
        ("list --since x", "a time is written like 2026-03-14T09:26:53Z, not 'x'"),
    ],
)
def test_a_mistake_is_one_line(ctl: Ctl, line: str, words: str):
    done = ctl(*line.split())
    see = "See" if words.endswith("?") else "see"
    command = f" {line.split()[0]}" if line.startswith(("run", "list")) else ""
    text = f"overseerctl: {words}{' ' if see == 'See' else '; '}{see} overseerctl{command} --help\n"
    assert (done.status, done.out, done.err) == (2, "", text)


def test_a_mistake_in_the_file_is_one_line_too(ctl: Ctl, tmp_path: Path):
    (tmp_path / "overseerctl.yaml").write_text("urk: x\n")
    done = ctl("check")
    assert done.status == 2
    assert done.err == (
        f"overseerctl: {tmp_path}/overseerctl.yaml: urk is not known; there are url, token, ca, cert, key\n"
    )


def test_help_and_the_version_can_be_asked_for_in_any_way(ctl: Ctl):
    assert ctl("--version").out == f"overseerctl {overseer.__version__}\n"
    assert ctl("help").out == ctl("--help").out
    assert "__complete" not in ctl("help").out
    text = ctl("help", "run").out
    assert text == ctl("run", "--help").out
    assert text.index("--force") < text.index("--url")
    assert text.startswith("usage: overseerctl run [-h] [--json] [--id TASK_ID] [--force]")
