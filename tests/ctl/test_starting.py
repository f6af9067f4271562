"""What is misspelled is said, with what was probably meant."""

from __future__ import annotations

import pytest

from tests.ctl.conftest import Ctl
from tests.ctl.test_terminal import terminal
from tests.harness import Daemon


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "cuont"], ["start", "cuont"], ["actions", "cuont"], ["pool", "cuont"],
        ["set-pool", "cuont", "--limit", "1"], ["list", "--action", "cuont"],
        ["stop", "--action", "cuont"], ["rm", "--action", "cuont"], ["logs", "--action", "cuont"],
    ],
)  # fmt: skip
def test_an_unknown_action_is_told_what_is_like_it(ctl: Ctl, arguments: list[str]):
    done = ctl(*arguments)
    assert done.status == 1
    assert done.err == (
        "overseerctl: unknown action: cuont; did you mean count? (overseerctl actions lists them)\n"
    )


def test_an_action_like_nothing_is_told_where_to_look(ctl: Ctl):
    assert ctl("run", "zzz").err == "overseerctl: unknown action: zzz (overseerctl actions lists them)\n"


@pytest.mark.parametrize("command", ["run", "start"])
def test_a_parameter_that_the_action_does_not_have_is_warned_of(ctl: Ctl, command: str):
    done = ctl(command, "count", "m=3")
    assert done.status == 0
    assert "overseerctl: m is ignored: count has no such parameter; it has n\n" in done.err
    assert "ignored" not in ctl(command, "both", "x=1").err  # its templates may know of it
    done = ctl(command, "count", "n=3")
    assert (done.status, done.err) == (0, "")


def test_one_like_it_is_named(ctl: Ctl):
    assert (
        "pth is ignored: named has no such parameter; did you mean path?"
        in ctl("run", "named", "pth=/tmp").err
    )


@pytest.mark.parametrize("command", ["run", "start"])
def test_on_a_terminal_it_is_asked_whether_that_was_meant(daemon: Daemon, ctl: Ctl, command: str):
    with terminal(daemon, command, "count", "m=3", "--id", "unmeant") as shown:
        asked = shown.wait_for(b"Start count all the same? [y/N] ")
        assert b"m is ignored: count has no such parameter; it has n" in asked
        shown.type(b"n\n")
        assert shown.wait() == 1
        assert b"cancelled" in shown.shown
    assert "unmeant" not in ctl("list").out
    with terminal(daemon, command, "count", "m=3", "--id", "meant", "--yes") as shown:
        assert shown.wait() == 0
        assert b"m is ignored" in shown.shown
        assert b"[y/N]" not in shown.shown
