"""Starting, finding and reaping processes."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from overseer.errors import SpawnError
from overseer.process.finder import finder
from overseer.process.policy import StopPolicy
from overseer.process.registry import registry
from overseer.process.standalone.tree import Process, Scanner, Snapshot, Tree, read_process
from overseer.workers.base import RunContext
from overseer.workers.config import WorkerConfig
from overseer.workers.starting import start_worker
from tests.workers.support import Recorder, in_process, run


@pytest.mark.parametrize(
    ("command", "args", "reason"),
    [
        ("no-such-program", [], "no such program in PATH"),
        ("/no/such/program", [], "no such file"),
        ("/etc/hostname/x", [], "no such file"),
        ("", [], "its name is empty"),
        ("/etc/passwd", [], "permission denied; is it executable?"),
        ("/tmp", [], "permission denied; is it executable?"),
        ("echo", ["a\0b"], "an argument contains a NUL character"),
        ("ec\0ho", [], "an argument contains a NUL character"),
        ("echo", ["\ud800"], "an argument contains a character that is not text"),
        ("echo", [5], "its arguments must be strings"),
        ("echo", None, "its arguments must be strings"),
        ("echo", 7, "its arguments must be strings"),
        ("echo", ["x" * 3_000_000], "its arguments and environment are too long"),
        ("x" * 5000, [], "its name is too long"),
    ],
)
def test_what_cannot_be_started_says_why_in_a_sentence(command: str, args: list[str], reason: str) -> None:
    with pytest.raises(SpawnError) as caught:
        start_worker(WorkerConfig("t", command, args), Recorder().callbacks)
    assert str(caught.value) == f"cannot start {command!r}: {reason}"
    assert registry.entries() == []


def test_a_file_that_is_no_program_says_so(tmp_path: Path) -> None:
    for name, content, reason in (
        ("binary", b"\x00\x01garbage", "neither a program for this machine nor a script with a #! line"),
        ("script", b"#!/no/such/interpreter\n", "its interpreter is missing"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(0o755)
        with pytest.raises(SpawnError, match=reason):
            run(str(path))


@pytest.mark.parametrize("cwd", ["/no/such/directory", "/etc/passwd"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_directory_that_is_none_says_so(cwd: str, kind: type) -> None:
    with pytest.raises(SpawnError, match=f"cwd: no such directory: '{cwd}'"):
        run("true", cwd=kind(cwd))


@pytest.mark.parametrize("kind", [str, Path])
def test_a_directory_that_can_be_none_says_so(kind: type) -> None:
    with pytest.raises(SpawnError, match="cwd: it contains a NUL character"):
        run("true", cwd=kind("/a\0b"))
    assert registry.entries() == []


def test_a_program_may_be_a_path() -> None:
    with pytest.raises(SpawnError, match="no such file"):
        run(Path("/no/such/program"))  # type: ignore[arg-type]


def test_running_out_of_file_descriptors_is_an_error_like_any_other() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    for spare in range(12):
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, hard))
        try:
            started, _ = run("sleep", "60", policy=StopPolicy(grace=0.3))
        except SpawnError as error:
            assert "too many open files" in str(error)  # noqa: PT017
            continue
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, hard))
        try:  # it must be possible to stop it, even with nothing left to look into /proc with
            started.stop()
            assert started.wait(30)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_running_out_of_threads_kills_what_was_just_started(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def limited(self: threading.Thread) -> None:
        if self.name == "run-t":
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(SpawnError, match="can't start new thread"):
        run("sleep", "60")


def test_an_error_of_fork_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", fail)
    with pytest.raises(SpawnError, match="cannot start 'true': the system allows no more processes"):
        run("true")


def test_whatever_goes_wrong_in_a_spawn_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(subprocess, "Popen", fail)
    with pytest.raises(MemoryError):
        run("true")
    assert registry.entries() == []


def test_a_process_that_may_not_be_killed_does_not_hold_up_the_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_room(pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    def refused(group: int, number: int) -> None:
        started.append(group)
        raise PermissionError(errno.EPERM, "Operation not permitted")  # as of a program that is setuid

    started: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "pidfd_open", no_room)
        patched.setattr(os, "killpg", refused)
        with pytest.raises(SpawnError, match="the server has too many open files"):
            run("sleep", "60")
    assert f"process {started[0]} failed to start properly" in caplog.text
    assert registry.entries() == []
    os.kill(started[0], signal.SIGKILL)
    os.waitpid(started[0], 0)


# The tree: `server` is this process, 100 the leader; a process is (pid, parent, group, session, run).
ME, HOME = 10, 1


def snapshot(*rows: tuple[int, int, int, int, str]) -> Snapshot:
    return Snapshot(Process(*row[:4], start=row[0], zombie=False, run=row[4]) for row in rows)


LEADER = (100, ME, 100, HOME, "r")


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([], [100]),
        ([(101, 100, 100, HOME, "r")], [100, 101]),
        ([(101, 100, 101, 101, "r")], [100, 101]),  # setsid
        ([(101, ME, 101, 101, "r")], [100, 101]),  # a double fork
        ([(101, 100, 101, 101, "")], [100, 101]),  # an emptied environment
        ([(101, ME, 101, 101, "r"), (102, ME, 102, 101, "")], [100, 101, 102]),  # its session is known
        ([(101, ME, 101, 101, "")], [100]),  # nothing is known of it
        ([(101, ME, 101, HOME, "other"), (102, 101, 101, HOME, "other")], [100]),  # another run
        ([(101, 100, 101, 101, ""), (102, 101, 102, 102, ""), (103, 102, 102, 102, "")], [*range(100, 104)]),
        ([(ME, 1, ME, HOME, "r"), (101, ME, ME, HOME, "")], [100]),  # never the server itself
    ],
)
def test_a_run_s_tree(others: list[tuple[int, int, int, int, str]], found: list[int]) -> None:
    tree = Tree("r", 100, "tree", HOME)
    assert sorted(process.pid for process in tree.find(snapshot(LEADER, *others), {ME})) == found


def test_one_that_was_found_stays_known_when_nothing_else_tells() -> None:
    tree = Tree("r", 100, "tree", HOME)
    assert len(tree.find(snapshot(LEADER, (101, 100, 101, 101, "")))) == 2
    orphaned = (101, 1, 101, 101, "")
    assert [process.pid for process in tree.find(snapshot(orphaned))] == [101]
    reused = Snapshot([Process(101, 1, 101, 101, 999, False)])
    assert tree.find(reused) == []


@pytest.mark.parametrize(
    ("mode", "found"), [("tree", [100, 101, 102]), ("group", [100, 101]), ("leader", [100])]
)
def test_the_mode_decides_what_belongs(mode: str, found: list[int]) -> None:
    tree = Tree("r", 100, mode, HOME)
    now = snapshot(LEADER, (101, 100, 100, HOME, "r"), (102, 100, 102, 102, "r"))
    assert sorted(process.pid for process in tree.find(now)) == found


def test_once_the_leader_is_reaped_its_number_may_be_another_s() -> None:
    tree = Tree("r", 100, "group", HOME)
    tree.group_over = True
    assert [process.pid for process in tree.find(snapshot((101, 1, 100, HOME, "r")))] == [101]
    assert tree.find(snapshot((100, 1, 100, HOME, ""), (101, 1, 100, HOME, ""))) == []


def test_an_unannounced_leader_is_recognised_by_its_run() -> None:
    tree = Tree("r", 0, "group", HOME)
    now = snapshot(LEADER, (101, 100, 100, HOME, ""), (102, 100, 102, 102, "r"))
    assert sorted(process.pid for process in tree.find(now)) == [100, 101]


def test_a_look_finds_this_process_and_nothing_older() -> None:
    me = read_process(os.getpid())
    assert me is not None
    assert (me.parent, me.group, me.session) == (os.getppid(), os.getpgrp(), os.getsid(0))
    found = Scanner("x", me.start).scan().processes
    assert os.getpid() in found
    assert all(process.start >= me.start for process in found.values())


def test_a_name_full_of_parentheses_and_an_environment_of_any_size() -> None:
    worker, recorder = run(
        "sh",
        "-c",
        "echo ') S 1 (x' > /proc/$$/comm; echo up; env | wc -c; read x < /dev/zero",
        env={f"BIG{number}": "x" * 100_000 for number in range(3)},
    )
    recorder.words(2)
    entry = next(entry for entry in registry.entries() if entry.pid == worker.pid)
    [process] = [process for process in finder.look().runs[entry.run] if process.pid == worker.pid]
    assert (process.parent, process.group) == (os.getpid(), worker.pid)
    worker.stop(0)
    assert worker.wait(30)


def test_orphans_are_adopted_found_and_reaped_but_nobody_else_s_children() -> None:
    # Orphaned and with an emptied environment, all that is left to tell it by is where it writes.
    answer = in_process(
        """
        import os, signal, subprocess, sys, threading, time
        from overseer.process.policy import StopPolicy
        from overseer.process.reaper import adopt_orphans, reap_orphans
        from overseer.process.standalone.tree import read_process
        from overseer.workers.base import *
        from overseer.workers.starting import *

        assert adopt_orphans()
        lines, came = [], threading.Event()
        callbacks = WorkerCallbacks(
            lambda batch: (lines.extend(batch.lines), came.set()), print, lambda *_: None
        )
        script = "(env -i setsid sh -c 'echo $$; exec sleep 60' &); sleep 60"
        worker = start_worker(WorkerConfig("t", "sh", ["-c", script]), callbacks)
        assert came.wait(30)
        deadline = time.monotonic() + 30
        while read_process(int(lines[0])).parent != os.getpid() and time.monotonic() < deadline:
            time.sleep(0.005)  # there is no event for an adoption
        worker.stop()
        assert worker.wait(30)
        print("escaped", os.path.exists(f"/proc/{lines[0]}"))

        # Children that other code started, in a group and in a session of their own.
        for own in ({"process_group": 0}, {"start_new_session": True}):
            child = subprocess.Popen(["sh", "-c", "exit 6"], **own)
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            reap_orphans()
            time.sleep(0.1)  # longer than between two looks
            reap_orphans()
            print("own", child.wait())

        # Another in this process's group, and, behind it, an orphan that nobody waits for.
        plain = subprocess.Popen(["sh", "-c", "exit 5"])
        lines.clear()
        policy = StopPolicy("leader")
        script = "setsid sh -c 'echo $$; sleep 0.05; exit 3' >&2 &"
        worker = start_worker(WorkerConfig("t", "sh", ["-c", script], stop=policy), callbacks)
        assert worker.wait(30)
        deadline = time.monotonic() + 30
        while os.path.exists(f"/proc/{lines[0]}") and time.monotonic() < deadline:
            reap_orphans()
            time.sleep(0.01)  # there is no signal loop here
        print("orphan", time.monotonic() > deadline - 8)
        print("plain", plain.wait(), reap_orphans())
        """
    )
    assert answer.splitlines() == ["escaped False", "own 6", "own 6", "orphan False", "plain 5 None"]


def test_orphans_of_unknown_origin_are_ended_and_nobody_else() -> None:
    answer = in_process(
        """
        import os, shutil, subprocess, sys, tempfile, time
        from overseer.process.guardian import guardian
        from overseer.process.policy import StopPolicy
        from overseer.process.reaper import adopt_orphans, end_orphans
        from overseer.workers.base import *
        from overseer.workers.starting import *

        assert adopt_orphans()
        lines = []
        callbacks = WorkerCallbacks(lambda batch: lines.extend(batch.lines), print, lambda *_: None)

        # Its pid, once it has let go of the pipes of the run that leaves it behind.
        def orphan(detach, script):
            lines.clear()
            there = os.path.join(place, str(time.monotonic_ns()))
            script = f"{detach} setsid -f sh -c 'echo $$; exec >/dev/null 2>&1; : >{there}; {script}'"
            wait = f"while [ ! -e {there} ]; do sleep 0.01; done"
            worker = start_worker(WorkerConfig("t", "sh", ["-c", f"{script}; {wait}"]), callbacks)
            assert worker.wait(30)
            return int(lines[0])

        # The second one ignores TERM and leaves a child behind, which is handed to this process only then.
        place = tempfile.mkdtemp()
        detached = orphan("env -i", "exec sleep 60")
        deaf = orphan("env -i", "trap : TERM; sleep 60; :")
        children = []
        while not children:  # it has yet to start one
            children = open(f"/proc/{deaf}/task/{deaf}/children").read().split()
        [child] = map(int, children)
        marked = orphan("", "exec sleep 60")
        shutil.rmtree(place)
        mine = subprocess.Popen(["sleep", "60"])
        running = start_worker(WorkerConfig("r", "sleep", ["60"]), callbacks)
        assert guardian.start()

        def lives(*pids):
            return [os.path.exists(f"/proc/{pid}") and open(f"/proc/{pid}/stat").read().split()[2] != "Z"
                    for pid in pids]

        print(lives(detached, deaf, child, marked))
        begun = time.monotonic()
        print(end_orphans(), time.monotonic() - begun < 30)
        print(lives(detached, deaf, child))
        print(lives(marked, mine.pid, running.pid, guardian.pid))
        print(end_orphans())
        running.stop()
        assert running.wait(30)
        guardian.stop()
        os.kill(marked, 9)
        mine.kill()
        mine.wait()
        """
    )
    assert answer.splitlines() == [
        "[True, True, True, True]",
        "True True",
        "[False, False, False]",
        "[True, True, True, True]",
        "True",
    ]


def test_a_raised_file_limit_is_not_the_children_s() -> None:
    answer = in_process(
        """
        import resource, subprocess, threading
        from overseer.process.forking import raise_file_limit
        from overseer.workers.base import *
        from overseer.workers.starting import *

        def busy():
            while True:
                sum(range(2000))

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (123, hard))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
        callbacks = WorkerCallbacks(lambda batch: print(batch.lines), print, lambda *_: None)
        threading.Thread(target=busy, daemon=True).start()
        for _ in range(20):
            worker = start_worker(WorkerConfig("t", "sh", ["-c", "ulimit -n"]), callbacks)
            assert worker.wait(30)
        print(subprocess.run(["sh", "-c", "ulimit -n"], capture_output=True, text=True).stdout, end="")
        try:
            subprocess.run(["/no/such/program"])
        except FileNotFoundError:
            print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
        """
    )
    assert answer == "['123']\n" * 20 + "123\nTrue\n"


def test_a_program_that_forks_itself_beside_starts_can_start_programs_in_the_copy() -> None:
    answer = in_process(
        """
        import os, resource, subprocess, threading
        from overseer.process.forking import raise_file_limit
        from overseer.process.reaper import adopt_orphans
        from overseer.process.spawn import spawn
        from overseer.workers.base import *
        from overseer.workers.starting import *

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (123, hard))
        raise_file_limit()
        adopt_orphans()
        over = threading.Event()

        def start():
            while not over.is_set():
                child = spawn("true", [], env={}, cwd=None, streams=[])
                os.waitpid(child.pid, 0)
                os.close(child.pidfd)

        starter = threading.Thread(target=start)
        starter.start()
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                raised = resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
                os._exit(subprocess.call(["true"]) + (not raised))
            assert os.waitpid(pid, 0)[1] == 0
        over.set()
        starter.join()
        """
    )
    assert answer == ""


@pytest.mark.parametrize("wrong", [{"kill_mode": "all"}, {"signal": "SIGNOPE"}])
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong.values()))):
        StopPolicy(**wrong)  # type: ignore[arg-type]


def test_a_run_id_must_fit_into_an_environment() -> None:
    with pytest.raises(ValueError, match="not a run id"):
        RunContext("t", "a b")
