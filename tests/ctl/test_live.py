"""The unfinished line at the bottom of a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overseer.ctl.columns import columns_of
from overseer.ctl.live import Unfinished, cut_live
from tests.ctl.test_jobs import LIMIT_S, PROMPT, shell
from tests.ctl.test_terminal import terminal
from tests.harness import ROOT, Daemon

ERASE = "\r\x1b[K"


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("Continue? ", 20, "Continue? "),
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
        ("構築作業", 8, "構築作業"),
        ("構築作業", 7, "構築作…"),
        ("構築作業", 6, "構築…"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
        ("a\tb", 20, "a       b"),
        ("\x1b[31mred\x1b[0m!", 4, "\x1b[31mred\x1b[0m!\x1b[0m"),
        ("\x1b[31mred and long", 5, "\x1b[31mred …\x1b[0m"),
        ("a\x1b[2Jb\x1b[10;10Hc\x1b]0;title\x07d\x1b(Be\x1bPq\x1b\\f", 20, "abcdef"),
        ("50%\x1b[3", 20, "50%"),
        ("a\x00\x07\x08\x9b\u202e\u200bb\u3000c", 20, "ab\u3000c"),
    ],
)
def test_it_takes_one_line_of_the_terminal(text: str, columns: int, shown: str):
    assert cut_live(text, columns) == shown


@given(st.text(st.sampled_from("ab構\u0301\x1b[31m\t\r\n\x07;H\u202e🚀"), max_size=30), st.integers(0, 20))
def test_it_is_never_wider_and_never_moves_the_cursor(text: str, columns: int):
    shown = re.sub("\x1b\\[[0-9;:]*m", "", cut_live(text, columns))
    assert columns_of(shown) <= columns
    assert all(char.isprintable() or unicodedata.category(char) == "Zs" for char in shown)


def test_the_last_column_stays_free():
    line = Unfinished()
    line.put("a", "x" * 10)
    assert line.draw(10) == f"{ERASE}{'x' * 8}…"


def test_it_is_drawn_in_place_and_taken_away_for_what_is_written():
    line = Unfinished()
    assert line.draw(80) == line.clear() == ""
    line.put("a", "10%")
    assert line.draw(80) == f"{ERASE}10%"
    line.put("a", "20%")
    assert line.draw(80) == f"{ERASE}20%"
    assert line.clear() == ERASE
    assert line.clear() == ""
    assert line.draw(80) == f"{ERASE}20%"
    line.put("a", "")
    assert line.draw(80) == ERASE
    assert line.draw(80) == ""


def test_of_several_the_latest_is_shown():
    line = Unfinished()
    line.put("a", "one")
    line.put("b", "two")
    assert line.draw(80) == f"{ERASE}two"
    line.put("a", "three")
    assert line.draw(80) == f"{ERASE}three"
    line.put("a", "")
    assert line.draw(80) == f"{ERASE}two"


_PROGRAM = """
import sys
from overseer.ctl.live import LiveLine
from overseer.ctl.terminal import say, write_out
with LiveLine() as live:
    live.put("stdout", 1, "working " + "." * 100)
    live.draw()
    sys.stdin.readline()
    live.clear()
    write_out(b"a whole line\\n")
    live.put("stderr", 2, "\\u5f85 asking? ")
    live.draw()
    sys.stdin.readline()
    say("a remark")
    live.draw()
"""


def test_in_a_terminal_it_is_drawn_anew_after_a_stop_and_when_the_window_changes(
    daemon: Daemon, tmp_path: Path
):
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    with shell(daemon, tmp_path) as shown:
        shown.resize(24, 30)
        shown.run(b"stty -echo; " + f"{sys.executable} {program}".encode())
        shown.wait_for(f"{ERASE}working {'.' * 20}…".encode())
        shown.type(b"\x1a")
        shown.wait_for(PROMPT)
        shown.run(b"fg")
        shown.wait_for(f"{ERASE}working {'.' * 20}…".encode())
        shown.resize(24, 20)
        shown.wait_for(f"{ERASE}working {'.' * 10}…".encode())
        shown.type(b"\n")
        drawn = shown.wait_for("待 asking? ".encode())
        assert ERASE.encode() + b"a whole line\r\n" + ERASE.encode() in drawn
        shown.type(b"\n")
        shown.wait_for(ERASE.encode() + b"overseerctl: a remark\r\n" + f"{ERASE}待 asking? {ERASE}".encode())
        shown.wait_for(PROMPT)


def test_into_a_pipe_nothing_of_it_is_written(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=b"\n\n",
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=LIMIT_S,
    )
    assert (done.stdout, done.stderr) == (b"a whole line\n", b"overseerctl: a remark\n")


@pytest.mark.parametrize(
    "command", [["run", "prompt"], ["tail", "-f", "asks"], ["tail", "-f", "asks", "other"]]
)
def test_a_task_s_unfinished_line_is_shown_on_a_terminal(daemon: Daemon, command: list[str]):
    with daemon.connect() as client:
        if command[0] == "tail":
            for name in command[2:]:
                client.request("start", action="prompt", task_id=name)
        with terminal(daemon, *command, NO_COLOR="1") as shown:
            shown.wait_for(ERASE.encode() + (b"asks  | " if len(command) > 3 else b"") + b"Continue? ")
            shown.type(b"\x03")
            shown.wait()
        for name in command[2:]:
            client.send("stop", task_id=name)
            client.expect("exited", task_id=name)  # another case starts it anew
