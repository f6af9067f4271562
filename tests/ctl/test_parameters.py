"""Parameters on the command line: explained, completed, and what is wrong with one said."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import termios

import pytest

from tests.ctl.conftest import Ctl
from tests.ctl.test_terminal import Terminal, terminal
from tests.harness import Daemon, shell
from tests.harness.forking import CTL

ACTIONS = {
    "convert": shell(
        'echo "$@"',
        description="Make a smaller picture",
        config={
            "command": ["-c", 'echo "$@"', "sh", "[[.source]]", "[[.size]]", "[[.format]]", "[[.keep]]"],
            "parameters": {
                "source": {"type": "path", "description": "The picture,\nor a folder of them"},
                "size": {
                    "type": "integer",
                    "min": 1,
                    "max": 100,
                    "default": "50",
                    "description": "In percent",
                },
                "format": {"choices": ["png", {"value": "jpg", "title": "JPEG, for photographs"}]},
                "keep": {"type": "boolean", "default": "false"},
                "album": {"pattern": "[a-z]+", "default": "new"},
                "tag": {"validate": "size(value) < 9", "message": "At most 8 letters.", "default": ""},
                "even": {"validate": "int(value) % 2 == 0", "default": "2"},
            },
        },
    ),
    "login": shell(
        "echo ${#1}",
        config={
            "command": ["-c", "echo ${#1}", "sh", "[[.password]]"],
            "parameters": {
                "password": {"type": "secret", "allow_in_argv": True},
                "pin": {"type": "secret", "default": ""},
            },
        },
    ),
    "ship": shell(
        "true", title="Ship it", icon="🚀", group="Delivery", confirm="Ship to production?", hidden=True
    ),
}


@pytest.mark.parametrize("command", ["describe", "actions"])
def test_an_action_is_explained(ctl: Ctl, command: str) -> None:
    assert ctl(command, "convert").out.splitlines() == [
        "convert (exec)",
        "  Make a smaller picture",
        "  source: a path, required",
        "      The picture,",
        "      or a folder of them",
        "  size: a whole number from 1 to 100, default 50",
        "      In percent",
        "  format: required",
        "      png",
        "      jpg  JPEG, for photographs",
        "  keep: true or false, default false",
        '  album: default "new"',
        "      must match [a-z]+",
        '  tag: default ""',
        "      At most 8 letters.",
        '  even: default "2", must satisfy: int(value) % 2 == 0',
        "  pool: no limit",
    ]


def test_how_an_action_is_shown_is_said_too(ctl: Ctl) -> None:
    assert ctl("describe", "ship").out.splitlines()[1:6] == [
        "  title: Ship it",
        "  icon: 🚀",
        "  group: Delivery",
        "  confirm: Ship to production?",
        "  the page does not offer it",
    ]


def test_describe_needs_an_action_and_has_json(ctl: Ctl) -> None:
    assert ctl("describe").status == 2
    assert ctl("describe", "convrt").err.startswith(
        "overseerctl: unknown action: convrt; did you mean convert?"
    )
    (info,) = ctl("describe", "convert", "--json").json
    assert info["params"]["size"] == {
        "default": "50", "description": "In percent", "type": "integer", "min": 1, "max": 100,
    }  # fmt: skip


@pytest.mark.parametrize("command", ["run", "start"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["source=a", "format=jgp"],
            'parameter \'format\' must be "png" or "jpg", not "jgp"; did you mean jpg?',
        ),
        (
            ["source=a", "format=png", "size=0"],
            "parameter 'size' must be a whole number from 1 to 100, not \"0\"",
        ),
        (["source=a", "format=png", "tag=verylongtag"], "parameter 'tag': At most 8 letters."),
        (["format=png"], "missing required parameter 'source'"),
    ],
)
def test_a_refusal_says_what_is_wanted_and_where_to_look(
    ctl: Ctl, command: str, given: list[str], said: str
) -> None:
    done = ctl(command, "convert", *given)
    assert (done.status, done.out) == (1, "")
    assert done.err == f"overseerctl: {said} (overseerctl describe convert explains it)\n"


def test_a_start_that_fits_runs(ctl: Ctl) -> None:
    assert ctl("run", "convert", "source=-", "format=jpg").status == 1
    assert ctl("run", "convert", "source=./-", "format=jpg", "keep=true").out == "./- 50 jpg true\n"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["run", "convert", "f"], ["format="]),
        (["run", "convert", "format="], ["format=png", "format=jpg"]),
        (["start", "convert", "size=3", "format=j"], ["format=jpg"]),
        (["start", "convert", "keep="], ["keep=true", "keep=false"]),
        (["start", "convert", "size="], []),
        (["start", "convert", "nosuch="], []),
        (["describe", "c"], ["convert"]),
        (["describe", "convert", ""], []),
        (["des"], ["describe"]),
    ],
)
def test_choices_and_booleans_are_completed(ctl: Ctl, words: list[str], found: list[str]) -> None:
    assert ctl("__complete", "--", *words).out.split() == found


@pytest.mark.parametrize("command", ["run", "start"])
@pytest.mark.parametrize(
    ("typed", "status"),
    [
        *((b"\x03", 130), (b"\x04", 1), (b"\xff\n", 1), (b"\x1c", -3)),
        *((signal.SIGTERM, -15), (signal.SIGHUP, -1), (signal.SIGQUIT, -3)),
    ],
)
def test_who_does_not_give_it_has_the_terminal_as_before(
    daemon: Daemon, command: str, typed: bytes | signal.Signals, status: int
) -> None:
    with terminal(daemon, command, "login") as shown:
        before = termios.tcgetattr(shown.fd)[3]
        # The terminal would be reset when its last user goes.
        tty = os.open(os.readlink(f"/proc/{shown.pid}/fd/0"), os.O_RDWR | os.O_NOCTTY)  # noqa: PTH115
        try:
            shown.wait_for(b"password: ")
            assert termios.tcgetattr(shown.fd)[3] != before
            if isinstance(typed, bytes):
                shown.type(typed)
                if typed not in (b"\x03", b"\x1c"):
                    shown.wait_for(b"overseerctl: cancelled")
            else:
                os.kill(shown.pid, typed)
                status = 130 if command == "run" and typed != signal.SIGQUIT else status
            shown.status = os.waitstatus_to_exitcode(os.waitpid(shown.pid, 0)[1])
            assert shown.status == status
            assert termios.tcgetattr(shown.fd)[3] == before
        finally:
            os.close(tty)


@pytest.mark.parametrize("command", ["run", "start"])
def test_ctrl_z_gives_the_terminal_back_and_later_hides_what_is_typed_again(
    daemon: Daemon, command: str
) -> None:
    sh = [shutil.which("dash") or "/bin/sh", "-i"]  # bash would put the modes back by itself
    with Terminal(sh, daemon.url, PS1="") as shown:
        before = termios.tcgetattr(shown.fd)[3]
        shown.type(f"{shlex.join(CTL)} {command} login\n".encode())
        shown.wait_for(b"password: ")
        assert termios.tcgetattr(shown.fd)[3] == before & ~termios.ECHO
        shown.type(b"\x1a")
        shown.wait_for(b"Stopped")
        assert termios.tcgetattr(shown.fd)[3] == before
        shown.type(b"fg\n")
        shown.wait_for(b"password: ")
        assert termios.tcgetattr(shown.fd)[3] == before & ~termios.ECHO
        shown.type(b"hunter2\n")
        shown.wait_for(b"\r\n")  # what is typed before that is thrown away
        shown.type(b"echo it gave $?; exit\n")
        assert b"hunter2" not in shown.wait_for(b"it gave 0\r\n")
        shown.wait()


def test_a_secret_that_lacks_is_asked_for_on_a_terminal_and_not_shown(daemon: Daemon) -> None:
    command = [*CTL, "run", "login"]
    with Terminal(command, daemon.url) as shown:
        shown.wait_for(b"password: ")
        shown.type(b"hunter2\n")
        assert b"hunter2" not in shown.wait_for(b"7\r\n")
        assert shown.wait() == 0


def test_a_signal_that_is_ignored_does_not_end_the_question(daemon: Daemon) -> None:
    command = ["/bin/sh", "-c", f"trap '' HUP; exec {shlex.join([*CTL, 'run', 'login'])}"]
    with Terminal(command, daemon.url) as shown:
        shown.wait_for(b"password: ")
        os.kill(shown.pid, signal.SIGHUP)
        shown.type(b"hunter2\n")
        shown.wait_for(b"7\r\n")
        assert shown.wait() == 0


def test_elsewhere_it_has_to_be_given(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    assert "missing required parameter 'password'" in ctl("run", "login").err
    assert ctl("run", "login", "password=hunter2").out == "7\n"
    assert "password=***" in ctl("list").out
    assert ctl("describe", "login").out.splitlines()[1:3] == [
        "  password: a secret, required",
        '  pin: a secret, default ""',
    ]
