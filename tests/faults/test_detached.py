"""What tasks leave behind or get rid of: terminals, zombies, processes that pretend to be another run's."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.support import gone, listens, wait_until
from tests.faults.test_killed import guardian_of
from tests.harness import Daemon, WsClient, shell
from tests.harness.daemon import ROOT

ACTIONS = {
    "tty": shell("(echo x >/dev/tty) 2>/dev/null && echo written || echo none; ps -o sid= -p $$"),
    "sleep": shell("echo $$; exec sleep 60"),
    # A daemon that restarts itself for ever: an orphan in a session of its own, again and again.
    "orphans": shell("while :; do (setsid sh -c exit &); done", stop_grace="500ms"),
    "forged": shell(
        "(OVERSEER_RUN_ID=other setsid sh -c 'echo $$; exec sleep 60 [[.where]]' &); sleep 0.2; [[.then]]",
        config={"parameters": {"where": "", "then": "exec sleep 60"}},
    ),
}


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS) as daemon:
        yield daemon


def test_neither_a_child_nor_the_guardian_has_the_server_s_terminal(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    address = tmp_path / "socket"
    config.write_text(json.dumps({"listen": f"unix:{address}", "actions": ACTIONS}))
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, str(ROOT / "sticky_overseer.py"), "--config", str(config)])
    try:
        wait_until(lambda: listens(address), what="the server's socket")
        with WsClient(f"unix:{address}") as client:
            task = client.request("start", action="tty", task_id="t")
            assert client.expect("output", task_id="t")["data"] == "none"
            assert int(client.expect("output", task_id="t")["data"]) == task["pid"]
            client.request("start", action="sleep", task_id="s")
            child = int(client.expect("output", task_id="s")["data"])
            for each in (child, guardian_of(pid)):
                fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
                assert (int(fields[3]), int(fields[4])) == (each, 0), "its session, its terminal"
                links = [str(path.readlink()) for path in Path(f"/proc/{each}/fd").iterdir()]
                assert not [link for link in links if link.startswith("/dev/pts")]
    finally:
        os.close(terminal)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert gone(child)


def test_orphans_that_end_leave_no_zombies(daemon: Daemon) -> None:
    with daemon.connect() as client:
        # A leader that is a zombie for a while hides the others.
        client.request("start", action="orphans", task_id="t")
        most = seen = 0

        def many() -> bool:
            nonlocal most, seen
            children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
            zombies = [pid for pid in children if _is_zombie(pid)]
            most, seen = max(most, len(zombies)), seen + 1
            return seen > 100

        wait_until(many, timeout=30, what="100 looks")
        assert most < 200
        client.send("stop", task_id="t")
        client.expect("exited", task_id="t")


def _is_zombie(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def test_what_shows_another_run_is_ended_by_a_stop_while_it_writes_to_the_task(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.request("start", action="forged", task_id="t")
        pid = int(client.expect("output", task_id="t")["data"])
        wait_until(lambda: _parent(pid) == daemon.pid, what="its adoption")
        client.send("stop", task_id="t")
        client.expect("exited", task_id="t")
        assert gone(pid, timeout=0)


def test_what_shows_another_run_and_writes_elsewhere_is_ended_with_the_server(daemon: Daemon) -> None:
    with daemon.connect() as client:
        params = {"where": ">/dev/null 2>&1", "then": "exit"}
        client.request("start", action="forged", task_id="t", params=params)
        pid = int(client.expect("output", task_id="t")["data"])
        client.expect("exited", task_id="t")
        assert not gone(pid, timeout=0)
    daemon.stop()
    assert gone(pid, timeout=0)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _with(arguments: list[str], tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "c.yaml"
    config.write_text("listen: 127.0.0.1:0\nactions: {a: {type: exec, config: {entrypoint: 'true'}}}\n")
    program = [sys.executable, str(ROOT / "sticky_overseer.py"), "--config", str(config), *options]
    return subprocess.run([*arguments, *program], capture_output=True, text=True, timeout=90, check=False)


def test_without_proc_it_says_what_that_means(tmp_path: Path) -> None:
    hidden = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    if os.getuid() != 0 or subprocess.run([*hidden, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root may mount something over /proc")
    done = _with(hidden, tmp_path, "--check")
    assert done.returncode == 0
    assert "/proc shows no processes: a stop ends only the process group of its task" in done.stderr


def test_a_limit_that_leaves_no_room_for_threads_is_one_line(tmp_path: Path) -> None:
    done = _with(["prlimit", f"--data={30 << 20}"], tmp_path)
    assert done.returncode == 1
    said = "sticky-overseer: the system allows no more %s; see ulimit -a and the limits of its service"
    # Whatever comes first: a thread's stack, or what a module is loaded into.
    assert done.stderr.splitlines()[-1] in [said % what for what in ("threads", "memory")]
    assert "Traceback" not in done.stderr
