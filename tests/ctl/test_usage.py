"""Wrong usage is one line that says what is wrong and where to look, and status 2."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import overseer
from tests.ctl.conftest import Ctl
from tests.harness import Daemon


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run --frce job", "unknown option --frce; did you mean --force?"),
        (
            "run job --secs=3",
            "unknown option --secs; a parameter of the action is written secs=3",
        ),
        ("list --sinc x", "unknown option --sinc; did you mean --since?"),
        ("logs -u web", "unknown option -u; did you mean overseerctl logs TASK?"),
        ("logs --unit=web", "unknown option --unit; did you mean overseerctl logs TASK?"),
        ("logs web --no-color", "unknown option --no-color; did you mean --color never?"),
        ("tail web --tail 5", "unknown option --tail; did you mean --lines?"),
        ("history --lines 5", "unknown option --lines; did you mean --limit?"),
        ("list --to 1h", "unknown option --to"),
        ("run job --name x", "unknown option --name; did you mean --id?"),
        ("run", "the following arguments are required: ACTION"),
        ("run named /tmp", "a parameter is written KEY=VALUE, not '/tmp'; did you mean path=/tmp?"),
        ("run both x", "a parameter is written KEY=VALUE, not 'x'; both has none"),
        ("list x", "unexpected argument x"),
        ("lits", "unknown command lits; did you mean list?"),
        ("kill x", "unknown command kill; did you mean stop?"),
        ("follow x", "unknown command follow; did you mean logs -f?"),
        ("shutdown", "unknown command shutdown"),
        (
            "list --status runing",
            "argument --status: unknown status 'runing'; did you mean running?",
        ),
        ("signal web HUP", "argument SIGNAL: unknown signal web"),
        ("help blorb", "unknown command blorb"),
        (
            "list --since x",
            "a time is written like 10m (ago), 14:30, yesterday, '2026-03-14 09:26' (local time) or "
            "2026-03-14T09:26:53Z, not 'x'",
        ),
    ],
)
def test_a_mistake_is_one_line(ctl: Ctl, line: str, words: str):
    done = ctl(*line.split())
    see = "See" if words.endswith("?") else "see"
    command = f" {line.split()[0]}" if "option" in words or line.startswith(("run", "list", "signal")) else ""
    text = f"overseerctl: {words}{' ' if see == 'See' else '; '}{see} overseerctl{command} --help\n"
    assert (done.status, done.out, done.err) == (2, "", text)


def test_a_mistake_in_the_file_is_one_line_too(ctl: Ctl, tmp_path: Path):
    (tmp_path / "overseerctl.yaml").write_text("urk: x\n")
    done = ctl("check")
    assert done.status == 2
    assert done.err == (
        f"overseerctl: {tmp_path}/overseerctl.yaml: urk is not a setting; the settings are "
        "url, token, ca, cert, key\n"
    )


def test_help_and_the_version_can_be_asked_for_in_any_way(ctl: Ctl):
    assert ctl("--version").out == f"overseerctl {overseer.__version__}\n"
    assert ctl("help").out == ctl("--help").out
    assert "__complete" not in ctl("help").out
    text = ctl("help", "run").out
    assert text == ctl("run", "--help").out
    assert text.index("--force") < text.index("--url")
    assert text.startswith("usage: overseerctl run [-h] [--json] [--id TASK] [--force]")


EMPTY = [
    "stop ''", "stop a ''", "reset ''", "wait ''", "tail ''", "replay ''", "events ''", "run ''",
    "start ''", "run both --id ''", "actions ''", "pool ''", "set-pool '' --limit 3", "purge ''",
    "metrics ''", "metrics --task ''", "check --url ''", "check --url=", "--url '' check",
    "check --token ''", "check --ca ''", "check --cert ''", "check --key ''", "check --reconnect ''",
    "list --since ''", "tail x -n ''", "wait x --timeout ''", "run both ''", "run both =x",
]  # fmt: skip


@pytest.mark.parametrize("line", EMPTY)
def test_what_is_empty_is_not_taken_for_not_given(ctl: Ctl, line: str):
    done = ctl(*shlex.split(line))
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("overseerctl: ")


def test_a_parameter_may_be_empty(ctl: Ctl):
    assert ctl("run", "named", "path=").out == "\n"


def test_a_variable_that_is_empty_counts_as_not_set(
    ctl: Ctl, daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("TOKEN", "CA", "CERT", "KEY"):
        monkeypatch.setenv(f"OVERSEER_{name}", "")
    assert ctl("check").status == 0
    (tmp_path / "overseerctl.yaml").write_text(f"url: {daemon.url}\n")
    monkeypatch.setenv("OVERSEER_URL", "")
    monkeypatch.setenv("OVERSEERCTL_CONFIG", "")
    assert ctl("check").status == 0
    assert "An empty variable counts as not set." in ctl("check", "--help").out


def test_settings_of_no_use_are_told_of(ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "overseerctl.yaml"
    file.write_text("token:\n")
    done = ctl("check")
    assert (done.status, done.err) == (2, f"overseerctl: {file}: token is empty; leave it out\n")
    file.unlink()
    assert ctl("check", "--key", "k.pem").status == 2
    monkeypatch.setenv("OVERSEERCTL_CONFIG", f"{tmp_path}/none.yaml")
    done = ctl("check")
    assert (done.status, done.err) == (
        2,
        f"overseerctl: {tmp_path}/none.yaml: no such file (named by OVERSEERCTL_CONFIG)\n",
    )


def test_bytes_that_are_no_utf_8_are_refused_rather_than_changed(ctl: Ctl):
    for arguments in (
        ["run", "named", "path=/\udcff"],
        ["stop", "\udcff"],
        ["run", "both", "--id", "\udcff"],
    ):
        done = ctl(*arguments)
        assert (done.status, "UTF-8" in done.err) == (2, True)


def test_every_queue_is_emptied_only_when_that_is_asked_for(ctl: Ctl):
    for name in ("p1", "p2"):
        ctl("start", "one", "--id", name)
    done = ctl("purge")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "overseerctl: one of the arguments ACTION --all is required; see overseerctl purge --help\n"
    )
    assert ctl("purge", "one", "--all").status == 2
    assert ctl("pool", "one", "--json").json["queue_depth"] == 1
    assert ctl("purge", "--all", "--yes").out == "removed 1 task from the queue\n"
    ctl("stop", "p1", "--wait")


@pytest.mark.parametrize("command", ["stop", "reset", "restart", "rm", "wait"])
def test_what_is_for_tasks_needs_some(ctl: Ctl, command: str):
    done = ctl(command)
    assert (done.status, "TASK" in done.err or "name tasks" in done.err) == (2, True)


def test_times_may_be_written_as_durations(ctl: Ctl):
    ctl("run", "both", "--id", "just-now")
    assert "just-now" in ctl("list", "--since", "1h").out
    assert ctl("replay", "just-now", "--since", "1h").out == "to stdout\n"
    assert ctl("wait", "just-now", "--timeout", "1m30s").status == 0
    assert ctl("wait", "just-now", "--timeout", "-5s").status == 2
