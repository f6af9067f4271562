"""overseerctl in a real terminal, a real pipe and real shells."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from tests.ctl.conftest import Ctl
from tests.harness import ROOT, Daemon, allowed
from tests.harness.forking import CTL, ctls

LIMIT_S = 30


class Terminal:
    """A program in a pty of its own; ``size`` is (rows, columns)."""

    def __init__(
        self, argv: list[str], url: str, size: tuple[int, int] = (24, 80), **environment: str
    ) -> None:
        full = {**os.environ, "OVERSEER_URL": url, "PYTHONPATH": str(ROOT), "TERM": "xterm", **environment}
        if tuple(argv[: len(CTL)]) == CTL and ctls.fits(full):
            self.fd, theirs = pty.openpty()
            try:
                self.pid = ctls.fork(argv, full, Path.cwd(), [theirs] * 3, session=True)
            finally:
                os.close(theirs)
        else:
            self.pid, self.fd = pty.fork()
            if self.pid == 0:
                os.execve(argv[0], argv, full)
        self.shown = b""
        self.status: int | None = None
        self.resize(*size)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self.fd, text)

    def wait_for(self, text: bytes, count: int = 1) -> bytes:
        """Until it was shown so often; what was shown up to now, which is forgotten."""
        deadline = time.monotonic() + LIMIT_S
        while self.shown.count(text) < count:
            assert select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0], self.shown
            try:
                self.shown += os.read(self.fd, 65536)
            except OSError:
                raise AssertionError(f"ended without {text!r}: {self.shown!r}") from None
        shown, self.shown = self.shown, b""
        return shown

    def wait_connected(self) -> None:
        """Until it has a socket; for what says nothing when it begins to wait."""
        deadline = time.monotonic() + LIMIT_S
        while not self._has_socket():
            assert time.monotonic() < deadline, self.shown
            time.sleep(0.005)

    def _has_socket(self) -> bool:
        root = Path(f"/proc/{self.pid}")
        # Before it is the program, it may be a copy of this process, with this one's sockets.
        if (root / "cmdline").read_bytes() == Path("/proc/self/cmdline").read_bytes():
            return False
        with suppress(FileNotFoundError):  # closed meanwhile
            return any(str(path.readlink()).startswith("socket:") for path in (root / "fd").iterdir())
        return False

    def wait(self) -> int:
        """Its exit status, its last words read."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            ready = select.select([self.fd], [], [], 0.05)[0]
            try:
                self.shown += os.read(self.fd, 65536) if ready else b""
            except OSError:
                break
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def terminal(
    daemon: Daemon, *arguments: str, size: tuple[int, int] = (24, 80), **environment: str
) -> Terminal:
    return Terminal([*CTL, *arguments], daemon.url, size, **environment)


def test_ctrl_c_stops_and_the_end_is_waited_for(daemon: Daemon):
    with terminal(daemon, "run", "sleep") as shown:
        shown.wait_for(b"ready")
        shown.type(b"\x03")
        shown.wait_for(b"stopping the task")
        assert shown.wait() == 128 + signal.SIGTERM
        assert b"overseerctl: ended by SIGTERM after " in shown.shown


def test_on_a_terminal_what_was_done_is_confirmed(daemon: Daemon, ctl: Ctl):
    ctl("start", "sleep", "--id", "told")
    for arguments, words in (
        (["signal", "CONT", "told"], b"told: was sent SIGCONT"),
        (["restart", "told"], b"told: started again"),
        (["stop", "--wait", "told"], b"told: ended by SIGTERM after "),
        (["rm", "told"], b"told: forgotten"),
    ):
        with terminal(daemon, *arguments) as shown:
            shown.wait_for(b"overseerctl: " + words)
            assert shown.wait() == 0


def test_a_second_ctrl_c_leaves(daemon: Daemon):
    with terminal(daemon, "run", "stubborn", "--id", "hard") as shown:
        shown.wait_for(b"ready")
        shown.type(b"\x03")
        shown.wait_for(b"stopping the task")
        began = time.monotonic()
        shown.type(b"\x03")
        assert shown.wait() == 130
        assert time.monotonic() - began < allowed(2.0)
        assert b"left task hard while" in shown.shown


def test_ctrl_c_leaves_other_commands(daemon: Daemon):
    with daemon.connect() as client:
        client.request("start", action="sleep", task_id="watched")
        for command in (["tail", "-f", "watched"], ["wait", "watched"], ["events", "watched"]):
            with terminal(daemon, *command) as shown:
                if command[0] == "tail":
                    shown.wait_for(b"ready")
                else:
                    shown.wait_connected()
                shown.type(b"\x03")
                assert shown.wait() == 130
                assert b"Traceback" not in shown.shown
        client.send("stop", task_id="watched")


def test_a_long_wait_shows_that_it_goes_on_and_clears_that_away(daemon: Daemon):
    with daemon.connect() as client, terminal(daemon, "run", "one", "--id", "behind") as first:
        first.wait_for(b"ready")
        with terminal(daemon, "run", "one", size=(24, 30)) as second:
            second.wait_for(b"queued at position 1")
            shown = second.wait_for(b"waiting in the queue (")
            assert max(map(len, shown.split(b"\x1b[K")[1:])) < 30
            client.send("stop", task_id="behind")
            assert b"\r\x1b[K" in second.wait_for(b"ready")
            second.type(b"\x03")
            assert second.wait() == 128 + signal.SIGTERM
        assert first.wait() == 128 + signal.SIGTERM


def test_colours_are_for_terminals(daemon: Daemon):
    with terminal(daemon, "list") as shown:
        assert shown.wait() == 0
        assert b"\x1b[1mID" in shown.shown
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        with terminal(daemon, "list", **environment) as shown:
            assert shown.wait() == 0
            assert b"\x1b" not in shown.shown


@pytest.mark.parametrize("columns", [20, 7])
def test_a_table_is_cut_to_a_narrow_window(daemon: Daemon, columns: int):
    with terminal(daemon, "list", size=(10, columns), NO_COLOR="1", COLUMNS=str(columns)) as shown:
        assert shown.wait() == 0
        assert max(len(line) for line in shown.shown.decode().splitlines()) <= columns


def test_top_follows_the_window_and_leaves_the_terminal_as_it_was(daemon: Daemon):
    with terminal(daemon, "top", "--interval", "30", size=(24, 80), NO_COLOR="1") as shown:
        first = shown.wait_for(b"\x1b[J")
        assert first.startswith(b"\x1b[?1049h\x1b[?25l")
        shown.resize(5, 12)
        lines = (
            shown.wait_for(b"\x1b[J").decode().removeprefix("\x1b[H").removesuffix("\x1b[J").split("\x1b[K")
        )
        assert max(len(line.strip("\r\n")) for line in lines) <= 12
        assert len(lines) <= 6
        shown.type(b"q")
        assert shown.wait() == 0
        assert shown.shown.endswith(b"\x1b[?25h\x1b[?1049l")


def test_top_ends_on_ctrl_c(daemon: Daemon):
    with terminal(daemon, "top") as shown:
        shown.wait_for(b"\x1b[J")
        shown.type(b"\x03")
        assert shown.wait() in (0, 130)
        assert shown.shown.endswith(b"\x1b[?25h\x1b[?1049l")


def test_a_pipe_that_closes_is_no_error(daemon: Daemon):
    for command in ("list", "actions"):
        script = (
            f"{sys.executable} -m overseer.ctl {command} | head -n 1 > /dev/null; exit ${{PIPESTATUS[0]}}"
        )
        done = subprocess.run(
            ["bash", "-c", script],
            env={**os.environ, "OVERSEER_URL": daemon.url, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=LIMIT_S,
        )
        assert (done.returncode, done.stderr) == (0, b"")


@contextmanager
def on_path(directory: Path) -> Iterator[str]:
    """A PATH with an overseerctl first that runs this checkout's."""
    script = directory / "overseerctl"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m overseer.ctl "$@"\n')
    script.chmod(0o755)
    yield f"{directory}:{os.environ['PATH']}"


class TestCompletion:
    def test_in_bash(self, daemon: Daemon, tmp_path: Path):
        with daemon.connect() as client:
            client.run("count", task_id="complete-me")
            client.run("count", task_id="with:colon")
        lines = {
            "overseerctl ru": ["run"],
            "overseerctl run co": ["count"],
            "overseerctl run count ": ["n="],
            "overseerctl --color ne": ["never"],
            "overseerctl --color never wait complete": ["complete-me"],
            "overseerctl wait with:co": ["colon"],
            "overseerctl set-pool one --excess r": ["requeue"],
            "overseerctl tail --fo": ["--follow"],
            "overseerctl completion z": ["zsh"],
            "overseerctl nothing ": [],
        }
        script = 'eval "$(overseerctl completion bash)"\ncomplete -p overseerctl >&2\n' + "".join(
            # As readline splits a line: at blanks, = and :, which are words of their own.
            f"COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({split(line)}); "
            "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); compopt() { :; }; _overseerctl; "
            'echo "${COMPREPLY[*]}"\n'
            for line in lines
        )
        with on_path(tmp_path) as path:
            done = subprocess.run(
                ["bash", "--norc", "-c", script],
                env={**os.environ, "PATH": path, "OVERSEER_URL": daemon.url, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
            )
        assert done.stderr == "complete -F _overseerctl overseerctl\n"
        assert [line.split() for line in done.stdout.splitlines()] == list(lines.values())

    def test_in_an_interactive_bash(self, daemon: Daemon, tmp_path: Path):
        with on_path(tmp_path) as path:
            shown = Terminal(
                [shutil.which("bash") or "bash", "--norc", "-i"],
                daemon.url,
                PATH=path,
                PS1="> ",
                HOME=str(tmp_path),
            )
            with shown:
                shown.type(b'bind "set enable-bracketed-paste off"\n')
                shown.type(b'eval "$(overseerctl completion bash)"; echo done\n')
                shown.wait_for(b"done\r\n")
                shown.type(b"overseerctl run hop\t")
                shown.wait_for(b"run hopeless ")
                shown.type(b"\x15overseerctl run count \t")
                shown.wait_for(b"count n=")
                shown.type(b"\x15exit\n")
                shown.wait()

    @pytest.mark.parametrize("shell", ["zsh", "fish"])
    def test_in_other_shells(self, daemon: Daemon, tmp_path: Path, shell: str):
        if shutil.which(shell) is None:
            pytest.skip(f"there is no {shell} here to try it in")
        script = {
            "zsh": "autoload -U compinit; compinit -u; "
            'eval "$(overseerctl completion zsh)"; print ${_comps[overseerctl]}',
            "fish": "overseerctl completion fish | source; complete -C 'overseerctl run hop'",
        }[shell]
        with on_path(tmp_path) as path:
            done = subprocess.run(
                [shell, "-c", script],
                env={**os.environ, "PATH": path, "OVERSEER_URL": daemon.url, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
            )
        assert done.stdout.split()[0] in ("_overseerctl", "hopeless")

    def test_without_a_server_it_is_silent(self, tmp_path: Path):
        done = subprocess.run(
            [sys.executable, "-m", "overseer.ctl", "__complete", "--", "run", ""],
            env={**os.environ, "OVERSEER_URL": "unix:/nowhere", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=LIMIT_S,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def split(line: str) -> str:
    words: list[str] = []
    for word in line.replace(":", " : ").split():
        words.append(f"'{word}'")
    if line.endswith(" "):
        words.append("''")
    return " ".join(words)
