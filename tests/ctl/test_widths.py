"""What is shown fits into the terminal, whatever it is called."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest

from overseer.ctl.columns import columns_of, cut_middle, fit
from overseer.ctl.listing import actions_table, pool_lines, tasks_table
from overseer.ctl.terminal import Style, say
from overseer.ctl.toptable import Answer, screen_lines
from overseer.protocol import ActionInfo, PoolConfig, PoolInfo, QueueItem
from tests.ctl.conftest import Ctl
from tests.ctl.test_listing import NOW, PLAIN, task
from tests.ctl.test_terminal import Terminal, terminal
from tests.harness import Daemon

NAMES = [
    "short", "x" * 78, "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "構築作業タスク番号1-本番環境", "한국어" * 9,
    "e\u0301" * 30, "🚀" * 20,
]  # fmt: skip

ENDED = task(status="succeeded", last_exit_code=0)


def wide(text: str) -> int:
    """Plainly: what a terminal takes for it."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("columns", [1, 2, 7, 20, 39, 40, 80])
def test_a_name_is_cut_to_columns_not_to_characters(name: str, columns: int):
    for cut in (fit, cut_middle):
        assert wide(cut(name, columns)) <= columns
        assert (cut(name, columns) == name) == (wide(name) <= columns)
    assert columns_of(name) == wide(name)


@pytest.mark.parametrize("columns", [36, 40, 60, 80, 120])
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_the_state_and_the_action_of_a_task_stay_whatever_its_id(name: str, columns: int):
    tasks = [task(task_id=name, action="build", state="errored", last_exit_code=3), ENDED]
    for style in (PLAIN, Style("always", None)):
        lines = [re.sub("\x1b\\[\\d*m", "", line) for line in tasks_table(tasks, NOW, style, columns)]
        assert max(map(wide, lines)) <= columns
        assert re.search("build +errored", lines[1])
        assert wide(lines[1].partition("errored")[0]) == wide(lines[2].partition("succeeded")[0])


def test_ids_are_told_apart_at_both_ends():
    uuids = ["1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bee"]
    lines = tasks_table(
        [task(task_id=each, status="succeeded", last_exit_code=0) for each in uuids], NOW, PLAIN, 40
    )
    assert [line.split()[0] for line in lines[1:]] == ["1b9d6b…bd4bed", "1b9d6b…bd4bee"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("columns", [20, 40, 80])
def test_so_do_actions_pools_and_the_live_view(name: str, columns: int):
    params = {f"{name}{number}": None for number in range(9)}
    actions = [ActionInfo(name, "exec", name * 5, params), ActionInfo("a", "exec", "", {}, PoolConfig())]
    item = QueueItem(name, name, NOW, 0, False)
    tasks = (task(task_id=name, action=name),)
    shown = [
        *actions_table(actions, columns),
        *pool_lines("", PoolInfo(1, 1, 1, (item,)), NOW, columns)[1:],
        *screen_lines(Answer(tasks, PoolInfo(1, 1, 1), None, {}), tasks, PLAIN, columns, 24),
    ]
    assert max(map(wide, shown)) <= columns


def test_in_a_terminal_no_line_wraps(daemon: Daemon):
    with daemon.connect() as client:
        for name in NAMES:
            client.run("count", task_id=name)
    for command in (["list"], ["actions"]):
        with terminal(daemon, *command, size=(24, 40), NO_COLOR="1") as shown:
            assert shown.wait() == 0
            lines = shown.shown.decode().splitlines()
            assert max(map(wide, lines)) <= 40
            if command == ["list"]:
                assert all(" ✓ succeeded" in line for line in lines[1:])


def test_the_line_of_a_wait_takes_the_width_of_the_terminal_it_is_on(daemon: Daemon):
    name = "待" * 60
    with daemon.connect() as client:
        client.request("start", action="sleep", task_id=name)
        script = f"{sys.executable} -m overseer.ctl wait {name} | cat"
        with Terminal(["/bin/sh", "-c", script], daemon.url, (24, 40)) as shown:
            waiting = shown.wait_for(b" s)").decode().removeprefix("\r\x1b[K")
            assert re.fullmatch(r"waiting for task 待+… \(\d+ s\)", waiting)
            assert wide(waiting) < 40
            client.send("stop", task_id=name)
            shown.wait()


def test_controls_of_a_stranger_reach_no_terminal(daemon: Daemon, ctl: Ctl, capfd):
    with daemon.connect() as client:
        client.request("start", action="count", task_id="evil", params={"n": "1", "x": "\x9b2J\x7f"})
    out = ctl("list", "--json").out
    assert "\x9b" not in out
    assert "\x7f" not in out
    assert "\\u009b2J\\u007f" in out
    capfd.readouterr()
    say("the server says\x9b2J: no\nand why")
    assert capfd.readouterr().err == "overseerctl: the server says\\u009b2J: no\nand why\n"
