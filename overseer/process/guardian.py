"""The server's side of the guardian: a small process that ends every run if the server is killed by SIGKILL.

The two share a memfd with a slot for each run, written before the spawn, updated with the leader's pid, and
cleared when nothing of the run is left. The guardian reads it only when the server's pidfd reports its death
(its own side is ``standalone.guardian``), so it misses nothing if it is frozen, or dies and is replaced. One
thread here waits for it to die and replaces it.
"""

from __future__ import annotations

import logging
import mmap
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from overseer.process.private_files import bases
from overseer.process.registry import Entry, registry
from overseer.process.standalone.guardian import SLOT
from overseer.process.standalone.terminate import signal_name
from overseer.util.locks import Rank, assert_held, assert_none_held, lock
from overseer.util.standstill import standstill
from overseer.util.threads import start_thread
from overseer.util.wakeup import Wakeup

_log = logging.getLogger(__name__)

_FOLDER = str(Path(__file__).parent / "standalone")
_PROGRAM = """\
import sys
sys.path.insert(0, sys.argv[1])
import guardian
guardian.main(sys.argv[2:])
"""
_SLOTS = 1024  # to begin with
_FIRST_PAUSE_S = 0.1  # before the second replacement in a row; the first is immediate
_LONGEST_PAUSE_S = 2.0
_WELL_S = 10.0  # one that lived this long ends the row
# What a terminal, a service manager or a careless kill may send.
_BLOCKED = {
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGUSR1,
    signal.SIGUSR2, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGALRM,
}  # fmt: skip


class Guardian:
    """At most one per server process. :meth:`start` and :meth:`stop` are called on one thread.

    Attributes:
        pid: the guardian's, or 0.
        restarts: how often it has been replaced.
    """

    def __init__(self) -> None:
        # Guards the fields below. Writing to the memfd is allowed under it.
        self._lock = lock(Rank.LEAF, "guardian")
        self._runs = -1
        self._map: mmap.mmap | None = None  # of the whole file
        self._slots: dict[str, int] = {}  # run id to its slot's number
        self._free: list[int] = []
        self._complained = False
        self._stopping = False
        self.restarts = 0
        self._wake: Wakeup | None = None  # set when it is time to stop
        # Used by the thread alone, once it runs.
        self.pid = 0
        self._pidfd = -1
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Start it; False, with a warning in the log, if that fails. Idempotent."""
        assert_none_held("start of the guardian")
        if self._thread is not None:
            return True
        try:
            self._wake = Wakeup()
            self._open()
            self._launch()
            self._stopping = False
            # If a program forgets stop(), the guardian ends its tasks.
            self._thread = start_thread(self._run, "guardian")
        except (OSError, RuntimeError) as error:
            _log.warning("cannot start the guardian, so tasks will outlive a killed server: %s", error)
            self._kill()
            self._close()
            return False
        return True

    def stop(self) -> None:
        """Kill it, which leaves all tasks alone, and wait for its end. Idempotent."""
        thread = self._thread
        if thread is None:
            return
        with self._lock:
            self._stopping = True
        assert self._wake is not None
        self._wake.set()
        thread.join()
        self._thread = None
        self._close()

    def _open(self) -> None:
        runs = os.memfd_create("overseer-runs", os.MFD_CLOEXEC)
        os.ftruncate(runs, _SLOTS * SLOT)
        with self._lock:
            self._runs = runs
            self._map = mmap.mmap(runs, _SLOTS * SLOT)
        for entry in registry.entries():
            self.tell(entry)
        # A run listed above may have left before its slot was written.
        living = {entry.run for entry in registry.entries()}
        with self._lock:
            gone = self._slots.keys() - living
        for run in gone:
            self.forget(run)

    def _close(self) -> None:
        with self._lock:
            runs, self._runs = self._runs, -1
            if self._map is not None:
                self._map.close()
                self._map = None
            self._slots.clear()
            self._free.clear()
        if runs >= 0:
            os.close(runs)
        if self._wake is not None:
            self._wake.close()
            self._wake = None

    def tell(self, entry: Entry) -> None:
        """Tell it of a run as it is now, before or after it is spawned."""
        with self._lock:
            if self._runs < 0:
                return
            slot = self._slots.get(entry.run)
            if slot is None:
                slot = self._free.pop() if self._free else len(self._slots)
                self._slots[entry.run] = slot
            self._write_locked(slot, _line(entry))

    def forget(self, run: str) -> None:
        """Nothing of the run is left to end."""
        with self._lock:
            slot = self._slots.pop(run, None)
            if slot is not None:
                self._free.append(slot)
                if self._map is not None:  # without a system call, so that many ends at once stay cheap
                    self._map[slot * SLOT] = 0

    def _write_locked(self, slot: int, line: bytes) -> None:
        assert_held(self._lock)
        try:
            if self._map is not None and (slot + 1) * SLOT > len(self._map):
                self._map.resize(2 * len(self._map))  # the file, too
            # In one copy, so that no kill leaves half of it.
            os.pwrite(self._runs, line.ljust(SLOT, b"\0"), slot * SLOT)
        except OSError as error:
            if not self._complained:
                self._complained = True
                _log.warning("the guardian cannot be told of every task: %s", error)

    # The thread

    def _run(self) -> None:
        pause = 0.0
        assert self._wake is not None
        try:
            while True:
                started = time.monotonic()
                if self._watch():
                    return
                with standstill:  # the one that is handed over must be the one there is
                    how = self._kill()
                with self._lock:
                    self.restarts += 1
                if time.monotonic() - started > _WELL_S:
                    pause = 0.0
                when = f"in {pause:g} s" if pause else "now"
                _log.warning("the guardian died (%s); starting another %s", how, when)
                while True:
                    self._wake.wait(pause)
                    if self._stopping:
                        return
                    pause = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, pause * 2))
                    try:
                        with standstill:
                            self._launch()
                        break
                    except OSError as error:
                        _log.error("cannot start a guardian, trying again in %g s: %s", pause, error)
        except BaseException:
            _log.exception("the guardian's thread failed; tasks would outlive a killed server")
            self._kill()

    def _launch(self) -> None:
        """Start a new guardian process. Raises OSError."""
        if not sys.executable or getattr(sys, "frozen", False):
            raise OSError("no Python interpreter to run it with")
        # It inherits this thread's signal mask and keeps it, so at no moment can such a signal end it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        arguments = [str(os.getpid()), registry.server_id, str(os.getsid(0)), str(registry.since), *bases()]
        try:
            program = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, _FOLDER, *arguments],
                stdin=self._runs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
                start_new_session=True,
            )
            # In this order, so that it never looks like an orphan.
            registry.add_child(program.pid)
            program.returncode = 0  # reaped here, not behind our back
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            self._pidfd = os.pidfd_open(program.pid)
        except OSError:
            os.kill(program.pid, signal.SIGKILL)
            os.waitpid(program.pid, 0)
            registry.discard_child(program.pid)
            raise
        self.pid = program.pid

    def _watch(self) -> bool:
        """Wait until the guardian dies (False), or until stop is called and it has been killed (True)."""
        assert self._wake is not None
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        ready = {fd for fd, _ in poll.poll()}
        if self._wake.fileno() in ready:
            self._kill()
            return True
        return False

    def _kill(self) -> str:
        """Kill it if it still lives, reap it, and return what ended it. A killed guardian ends no tasks."""
        if self._pidfd < 0:
            return ""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        how = "cause unknown"
        with suppress(ChildProcessError):
            status = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
            if status is not None and status.si_code == os.CLD_EXITED:
                how = f"status {status.si_status}"
            elif status is not None:
                how = signal_name(status.si_status)
        os.close(self._pidfd)
        self._pidfd = -1
        pid, self.pid = self.pid, 0
        registry.discard_child(pid)
        return how


def _line(entry: Entry) -> bytes:
    policy = entry.policy
    fixed = (entry.run, entry.kill_mode, f"{policy.signal_number:d}", f"{policy.grace:.3f}", str(entry.pid))
    return " ".join((*fixed, *entry.pipes)).encode()


guardian = Guardian()
