"""What the server gets from whoever starts it: it is the same server, or says in one line why it is none."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from overseer.auth.peer import Peer
from overseer.auth.throttle import Warnings
from overseer.config import load, load_config
from overseer.errors import ConfigError
from tests.auth.support import address_of
from tests.daemon.support import get
from tests.faults.support import listens, wait_until
from tests.harness import ROOT, Daemon, WsClient, shell
from tests.net.rawclient import RawClient

STARTER = ROOT / "tests/harness/started_as.py"
TOKEN = "0123456789abcdef0123456789abcdef"
AUTH = {"tokens": [{"name": "a", "token_env": "MYTOK", "role": "admin"}]}


def started_as(code: str, *, environment: dict[str, str] | None = None, **top_level: Any) -> Daemon:
    return Daemon(program=STARTER, environment={"STARTED_AS": code, **(environment or {})}, **top_level)


def run(tmp_path: Path, code: str, *arguments: str, timeout: float = 30.0, **environment: str) -> list[str]:
    """What a server that must not start says; it ends with status 1."""
    ended = subprocess.run(
        [sys.executable, str(STARTER), *arguments],
        cwd=tmp_path,
        env={**os.environ, **environment, "STARTED_AS": code},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    said = ended.stderr.decode().splitlines()
    assert ended.returncode == 1, said
    assert ended.stdout == b""
    return said


# -- a configuration that can be read once

PIPED = """
read, write = os.pipe()
os.write(write, Path("config.yaml").read_bytes())
os.close(write)
os.dup2(read, {number})
arguments = ["--config", "{path}"]
"""


@pytest.mark.parametrize(("path", "number"), [("/dev/fd/9", 9), ("/dev/stdin", 0), ("/proc/self/fd/9", 9)])
def test_a_config_out_of_a_pipe_keeps_its_tokens(path: str, number: int) -> None:
    code = PIPED.format(path=path, number=number)
    with started_as(code, environment={"MYTOK": TOKEN}, auth=AUTH, actions={"a": shell("true")}) as daemon:
        daemon.wait_stderr("1 action")
        assert get(daemon, "/metrics")[0] == 401
        assert b"MYTOK" not in Path(f"/proc/{daemon.pid}/environ").read_bytes()
        daemon.process.send_signal(signal.SIGHUP)
        said = daemon.wait_stderr("was not reloaded")
        assert "cannot be read a second time" in said
        authorization = ("Authorization", f"Bearer {TOKEN}")
        assert "overseer_log_lines_dropped_total 0.0" in get(daemon, "/metrics", **dict([authorization]))[2]
        with RawClient(address_of(daemon), headers=[authorization]) as client:
            client.send_json(type="reload", id="r")
            assert "not a regular file" in client.receive_json()["message"]
        assert get(daemon, "/metrics")[0] == 401


def test_a_config_out_of_a_socket_is_read(tmp_path: Path) -> None:
    code = """
import socket
ours, theirs = socket.socketpair()
theirs.sendall(Path("config.yaml").read_bytes())
theirs.close()
os.dup2(ours.fileno(), 0)
arguments = ["--config", "/dev/stdin"]
"""
    with started_as(code, environment={"MYTOK": TOKEN}, auth=AUTH, actions={}) as daemon:
        assert get(daemon, "/metrics")[0] == 401


def test_what_counts_is_the_file_that_named_the_tokens() -> None:
    # The file is emptied between the first reading and the program's starting over.
    code = """
options = ["-c", '''
import sys
sys.argv = ["sticky_overseer.py", "--config", "config.yaml"]
import overseer.util.startup, os
from overseer.daemon import cli
real = os.execve
def emptied(*given):
    open("config.yaml", "w").close()
    real(*given)
os.execve = emptied
sys.exit(cli.run_cli("1", ""))
''']
environment["PYTHONPATH"] = str(Path(__file__).parents[2])
"""
    with started_as(code, environment={"MYTOK": TOKEN}, auth=AUTH, actions={"a": shell("true")}) as daemon:
        daemon.wait_stderr("1 action")
        assert get(daemon, "/metrics")[0] == 401
        (daemon.directory / "config.yaml").write_text("{}")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('environment["OVERSEER_HANDED_ON"] = f"{os.getpid()}:99"', "cannot re-execute"),
        ('environment["OVERSEER_HANDED_ON"] = f"{os.getpid()}:0"', "cannot re-execute"),
        ('environment["OVERSEER_TOKEN"] = ""', "OVERSEER_TOKEN is empty"),
        (
            'arguments = ["--config", "/dev/fd/77"]',
            "/dev/fd/77: cannot be read: the server was started without",
        ),
        (
            'os.symlink("nowhere", "link"); arguments = ["--config", "link"]',
            "link: cannot be read: it is a dangling link",
        ),
        ('arguments = ["--config", "."]', ".: cannot be read: it is a directory"),
        (
            'environment["LISTEN_PID"] = str(os.getpid()); environment["LISTEN_FDS"] = "two"',
            "LISTEN_FDS is no",
        ),
        (
            'environment["LISTEN_PID"] = str(os.getpid()); environment["LISTEN_FDS"] = "9" * 9000',
            "LISTEN_FDS is",
        ),
        ('Path("config.yaml").write_text("auht: {tokens: []}")', "auht: unknown key; did you mean auth?"),
        (
            'Path("config.yaml").write_text("auth: {tokns: []}")',
            "auth.tokns: unknown key; did you mean tokens?",
        ),
    ],
)
def test_it_does_not_start_open_or_otherwise_than_it_was_told(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "config.yaml").write_text('listen: "127.0.0.1:0"')
    *_, last = run(tmp_path, code)
    assert said in last


def test_a_limit_on_files_does_not_take_the_tokens_away() -> None:
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))"
    with started_as(code, environment={"MYTOK": TOKEN}, auth=AUTH, actions={}) as daemon:
        assert "File too large" in daemon.wait_stderr("cannot be removed from")
        assert get(daemon, "/metrics")[0] == 401


def test_a_pipe_that_nobody_writes_to_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_PATIENCE", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="it did not end"):
        load.load_config(tmp_path / "pipe", {})


# -- texts

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"}


def test_everything_is_utf8_whatever_the_locale_says(tmp_path: Path) -> None:
    program = tmp_path / "prögräm"
    program.write_text('#!/bin/sh\nprintf "%s|%s\\n" "$1" "$OVERSEER_TASK_ID"; printenv\n', "utf-8")
    program.chmod(0o755)
    action = {
        "type": "exec",
        "config": {"entrypoint": str(program), "command": ["[[.text]]"], "parameters": {"text": None}},
    }
    log_file = tmp_path / "ereignisse-ü"
    with Daemon(
        actions={"é": action, "env": {"type": "exec", "config": {"entrypoint": "printenv"}}},
        log_file=str(log_file),
        environment={**ASCII, "ÜMLAUT": "ß\N{SNOWMAN}"},
    ) as daemon:
        with daemon.connect() as client:
            _, outputs, _ = client.run("é", task_id="täsk", params={"text": "ü\N{SNOWMAN}"})
            (first, *_) = [output["data"] for output in outputs]
            assert first == "ü\N{SNOWMAN}|täsk"
            environment = [output["data"] for output in client.run("env")[1]]
            assert "ÜMLAUT=ß\N{SNOWMAN}" in environment
            assert set(environment) >= {f"{name}={value}" for name, value in ASCII.items()}
            (daemon.directory / "config.yaml").write_text("actions: {ü: {}}", "utf-8")
            assert "ü" in client.request("reload")["message"]
        wait_until(lambda: "ü" in daemon.stderr)
        wait_until(lambda: log_file.exists() and "täsk" in log_file.read_text("utf-8"))
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "overseer.ctl",
                "--url",
                daemon.url,
                "run",
                "é",
                "text=ö\N{SNOWMAN}",
                "--id",
                "ü",
            ],
            env={**os.environ, **ASCII},
            cwd=ROOT,
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stdout.decode().splitlines()[0]) == (0, "ö\N{SNOWMAN}|ü")


def test_a_bare_environment_stays_bare_for_children() -> None:
    code = 'environment = {name: environment[name] for name in ("PATH", "OVERSEER_TEST_MARKER")}'
    with started_as(code, actions={"env": shell("exec env")}) as daemon, daemon.connect() as client:
        _, outputs, _ = client.run("env")
        names = {output["data"].partition("=")[0] for output in outputs}
        own = {"OVERSEER_TASK_ID", "OVERSEER_RUN_ID", "OVERSEER_SERVER_ID"}
        assert names - {"PWD", "_", "SHLVL"} == own | {"PATH", "OVERSEER_TEST_MARKER"}


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(lambda text: text.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(lambda text: b"\xef\xbb\xbf" + text.encode(), id="BOM"),
        pytest.param(lambda text: text.encode("utf-16"), id="UTF-16"),
        pytest.param(lambda text: b"\xfe\xff" + text.encode("utf-16-be"), id="UTF-16 big-endian"),
        pytest.param(lambda text: text.encode("utf-32"), id="UTF-32"),
    ],
)
def test_json_by_other_programs_is_a_configuration(tmp_path: Path, encoded: Any) -> None:
    given = {
        "name": "\N{SNOWMAN}\N{PILE OF POO}",
        "actions": {"\N{PILE OF POO}": {"type": "exec", "config": {"a": "\\/\t"}}},
    }
    text = json.dumps(given, indent="\t")  # which escapes what is no ASCII, in surrogate pairs
    assert "\\ud83d" in text
    (tmp_path / "c.json").write_bytes(encoded(text))
    config = load_config(tmp_path / "c.json", {})
    assert (config.name, config.warnings) == (given["name"], ())
    assert config.actions["\N{PILE OF POO}"].config == {"a": "\\/\t"}


# -- the process

SIGNALS = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
"""


def test_signals_that_were_blocked_or_ignored_are_heard_here_and_by_children() -> None:
    with started_as(SIGNALS, actions={"s": shell("grep -E 'Sig(Blk|Ign)' /proc/self/status")}) as daemon:
        with daemon.connect() as client:
            _, outputs, exited = client.run("s")
        assert exited["exit_code"] == 0
        # 32 and 33 are the C library's own, which ignores them in what posix_spawn starts, as make does.
        ours = [int(output["data"].split()[1], 16) & ~(0b11 << 31) for output in outputs]
        assert ours == [0, 0], outputs
    # SIGTERM was heard: it ended with 0.


STACK = "import resource; resource.setrlimit(resource.RLIMIT_STACK, ({}, resource.RLIM_INFINITY))"
NO_DIRECTORY = """
os.mkdir("gone")
config = os.path.abspath("config.yaml")
os.chdir("gone")
os.rmdir("../gone")
arguments = ["--config", config]
"""


# Several at once where none hides another: most of what one takes is a start.
@pytest.mark.parametrize(
    "oddities",
    [
        ["os.close(0); os.close(1)", "os.umask(0o777)", STACK.format(256 * 1024)],
        [
            "os.dup2(os.open('/dev/null', os.O_RDONLY), 1)",
            "os.umask(0)",
            STACK.format("resource.RLIM_INFINITY"),
            "environment.update(PYTHONOPTIMIZE='2', PYTHONDONTWRITEBYTECODE='1', PYTHONSAFEPATH='1')",
        ],
        [
            "os.dup2(os.open('/dev/full', os.O_RDWR), 1)",
            "environment.pop('HOME', None); environment['TZ'] = 'No/Such:Zone'",
            "environment['NOTIFY_SOCKET'] = 'nonsense'; environment['WATCHDOG_USEC'] = '9' * 9000",
            "environment.update(PYTHONINSPECT='1', PYTHONSTARTUP='/none', PYTHONUNBUFFERED='1')",
        ],
        [
            NO_DIRECTORY,
            "environment.update(PYTHONWARNINGS='error', PYTHONDEVMODE='1', PYTHONASYNCIODEBUG='1')",
        ],
    ],
    ids=["closed", "read-only", "full", "no-directory"],
)
def test_it_works_however_it_is_started(oddities: list[str]) -> None:
    actions = {"echo": shell("echo hi; echo no >&2")}
    with started_as("\n".join(oddities), actions=actions) as daemon, daemon.connect() as client:
        _, outputs, exited = client.run("echo")
        said = [output["data"] for output in outputs if not output["data"].startswith("sh: 0: getcwd()")]
        assert sorted(said) == ["hi", "no"]
        assert exited["exit_code"] == 0
        assert get(daemon, "/asyncapi.json")[0] == 200


@pytest.mark.parametrize(("umask", "mode"), [("0o777", 0o600), ("0", 0o600)])
def test_the_sockets_file_has_its_mode_whatever_the_umask(tmp_path: Path, umask: str, mode: int) -> None:
    path = tmp_path / "s"
    with started_as(f"os.umask({umask})", listen=f"unix:{path}", actions={}):
        assert path.stat().st_mode & 0o777 == mode


def test_without_any_of_the_three_it_still_serves(tmp_path: Path) -> None:
    path = tmp_path / "s"
    (tmp_path / "config.yaml").write_text(
        json.dumps({"listen": f"unix:{path}", "actions": {"a": shell("echo hi")}})
    )
    process = subprocess.Popen(
        [sys.executable, str(STARTER)], cwd=tmp_path, env={**os.environ, "STARTED_AS": "os.closerange(0, 3)"}
    )
    try:
        wait_until(lambda: listens(path))
        with WsClient(f"unix:{path}") as client:
            _, outputs, _ = client.run("a")
            assert [output["data"] for output in outputs] == ["hi"]
        links = {os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)}  # noqa: PTH115
        assert links == {"/dev/null"}
    finally:
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("flag", "redirected", "status", "said"),
    [
        ("--schema", ">/dev/full", 1, "No space left on device"),
        ("--schema", ">&-", 1, "it is closed"),
        ("--schema", "</dev/null 1</dev/null", 1, "Bad file descriptor"),
        ("--schema", "| true", 0, ""),
        ("--help", ">/dev/full", 1, "No space left on device"),
        ("--help", ">&-", 1, "it is closed"),
    ],
)
def test_what_was_asked_for_and_cannot_be_printed_is_no_success(
    flag: str, redirected: str, status: int, said: str
) -> None:
    program = f"{sys.executable} {ROOT / 'sticky_overseer.py'}"
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program} {flag} {redirected}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    complaint = f"sticky-overseer: cannot write to stdout: {said}\n" if said else ""
    assert (ended.returncode, ended.stderr) == (status, complaint)


# -- stderr


STUCK = """
import fcntl
read, write = os.pipe()
fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
os.set_blocking(write, False)
os.write(write, b"x" * 4096)
os.set_blocking(write, True)
os.dup2(write, 2)
os.set_inheritable(read, True)
"""
GONE = "read, write = os.pipe(); os.dup2(write, 2); os.close(read); os.close(write)"


@pytest.mark.parametrize("code", [STUCK, GONE, "os.close(2)"], ids=["stuck", "gone", "closed"])
def test_a_stderr_that_nobody_reads_holds_up_nothing(tmp_path: Path, code: str) -> None:
    path = tmp_path / "s"
    action = shell("trap '' TERM; exec sleep 60", stop_grace=60)
    config = {"listen": f"unix:{path}", "nmae": 1, "actions": {"a": action}}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    process = subprocess.Popen(
        [sys.executable, str(STARTER)], cwd=tmp_path, env={**os.environ, "STARTED_AS": code}
    )
    try:
        wait_until(lambda: listens(path))
        with WsClient(f"unix:{path}") as client:
            client.request("start", action="a", task_id="t")
            for _ in range(20):
                assert client.request("reload")["type"] == "reloaded"
            process.terminate()
            wait_until(lambda: client.request("start", action="a")["type"] == "error")
    finally:  # a second signal, which ends the grace
        process.terminate()
        assert process.wait(30) == 0


def test_who_must_not_start_ends_also_when_stderr_is_stuck(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("listen: [")
    environment = {**os.environ, "STARTED_AS": STUCK}
    ended = subprocess.run(
        [sys.executable, str(STARTER)], cwd=tmp_path, env=environment, timeout=30, check=False
    )
    assert ended.returncode == 1


def test_what_strangers_bring_about_is_said_seldom() -> None:
    tokens = [{"name": "a", "role": "admin", "token": TOKEN}]
    with Daemon(actions={}, auth={"tokens": tokens}) as daemon:
        for _ in range(50):
            assert get(daemon, "/metrics")[0] == 401
        for _ in range(30):
            assert get(daemon, "/metrics", Authorization="Bearer wrong")[0] in (401, 429)
        daemon.wait_stderr(" (49 refusals before this one were not logged)")
        assert daemon.stderr.count("presented no token") == 1
        assert daemon.stderr.count("presented an unknown token") == 1
    with Daemon(actions={}, trusted_cidrs=["192.0.2.0/24"]) as daemon:
        for _ in range(50):
            assert get(daemon, "/metrics")[0] == 403
        daemon.wait_stderr("not in trusted_cidrs")
        assert daemon.stderr.count("not in trusted_cidrs") == 1


def test_any_number_of_addresses_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    warnings = Warnings(together=5)
    for number in range(100):
        warnings.refused(Peer("tcp", f"10.0.0.{number}"), "no")
    assert [record.getMessage() for record in caplog.records] == [f"refused 10.0.0.{n}: no" for n in range(5)]


TERMINAL = """
import fcntl, os, pty, subprocess, sys, termios
os.setsid()
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
mode = termios.tcgetattr(slave)
mode[3] |= termios.TOSTOP
termios.tcsetattr(slave, termios.TCSANOW, mode)
process = subprocess.Popen([sys.executable, sys.argv[1]], stderr=slave, process_group=0)
said = b""
while b"the page" not in said:
    said += os.read(master, 1000)
process.terminate()
sys.exit(process.wait(10))
"""


def test_a_terminal_that_stops_who_writes_in_the_background_does_not_stop_the_server(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text('listen: "127.0.0.1:0"')
    command = [sys.executable, "-c", TERMINAL, str(ROOT / "sticky_overseer.py")]
    process = subprocess.Popen(command, cwd=tmp_path)
    try:
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


SAYING = """
import fcntl, logging, os, sys, threading, time
sys.path.insert(0, {root!r})
from overseer.util.logs import lines_dropped, set_up_logging
read, write = os.pipe()
os.dup2(write, 2)
stderr = set_up_logging()
log = logging.getLogger()
stderr.start()
for number in range(5000):
    log.warning("%04d %s", number, "x" * 100)
dropped = lines_dropped()
assert 3000 < dropped < 5000, dropped
data, unsaid = b"", 0
while unsaid < dropped:
    data += os.read(read, 65536)
    *lines, rest = data.decode().split("\\n")
    unsaid = sum(int(line.split()[1]) for line in lines if "were dropped" in line)
assert (unsaid, rest) == (dropped, "")
expected = 0
for line in lines:  # what is missing is missing where that is said
    number = int(line.split()[1])
    if "were dropped" in line:
        expected += number
    else:
        assert number == expected, line
        expected += 1
assert expected == 5000
log.warning("again")
print("printed", file=sys.stderr)
stderr.end()
assert os.read(read, 65536) == b"warning: again\\nprinted\\n"
"""


def test_lines_without_room_are_dropped_and_counted() -> None:
    subprocess.run([sys.executable, "-c", SAYING.format(root=str(ROOT))], timeout=30, check=True)


# -- threads

FAILING = """
options = ["-c", '''
import sys, threading
sys.argv = ["sticky_overseer.py", "--config", "config.yaml"]
from overseer.daemon import cli
{patch}
sys.exit(cli.run_cli("1", ""))
''']
environment["PYTHONPATH"] = str(Path(__file__).parents[2])
"""
ACCEPT = """
import overseer.net.listeners as l
def accept(self, ready):
    {raised}
l.Listener.accept = accept
"""
NEXT = """
import overseer.util.timers as t, time
real = t.Timers._next
def failing(self):
    if self._name == "{name}":
        time.sleep(0.2)
        {raised}
    return real(self)
t.Timers._next = failing
"""


@pytest.mark.parametrize(
    ("thread", "patch"),
    [
        ("net-accept", ACCEPT.format(raised="raise SystemExit(3)")),
        ("net-accept", ACCEPT.format(raised="raise OSError(9, 'gone')")),
        ("timers", NEXT.format(name="timers", raised="raise MemoryError")),
        ("net-timers", NEXT.format(name="net-timers", raised="raise SystemExit")),
    ],
)
def test_a_server_without_a_thread_that_everybody_needs_ends(thread: str, patch: str) -> None:
    daemon = started_as(
        FAILING.format(patch=patch), actions={"a": shell("true")}, environment={"PYTHONWARNINGS": "default"}
    )
    daemon.start()
    try:
        if thread == "net-accept":
            with suppress(ConnectionError):
                socket.create_connection(address_of(daemon), 10).close()
        said = daemon.wait_stderr("cannot go on without it")
        assert said == f"critical: the thread {thread} failed: the server cannot go on without it"
        assert daemon.process.wait(30) == 1
        daemon.wait_stderr("shutting down")
    finally:
        daemon.kill()
