"""The server's side of the guardian: a small process that ends every run when the server is killed outright.

It is told of each run over a pipe: before the spawn, with the leader's pid, and when nothing of it is left.
When the pipe ends or the server's pidfd says that it is dead, it ends what it was told of (its own side is
:mod:`overseer.processes.guardian_main`). One thread here waits for the guardian to die and replaces it; the
new one is given the whole list.

What a run's threads say goes straight into the pipe, which never blocks; only when it is full, or while a
guardian is being replaced, it is kept in memory and passed on by that thread.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

from overseer.locks import Rank, assert_none_held, lock
from overseer.processes.children import Entry, registry

__all__ = ["Guardian", "guardian"]

_log = logging.getLogger(__name__)

_PROGRAM = """\
import sys
sys.path.insert(0, sys.argv[1])
import guardian_main
guardian_main.main(sys.argv[2:])
"""
_KEPT = 20_000  # lines kept for a guardian that does not read; then it is taken for stuck and replaced
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 60.0
_EXIT_S = 0.5  # to exit by itself; killing it does no harm, for a killed guardian ends nothing
# What a terminal, a service manager or a stop of everything in sight may send.
_BLOCKED = {
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGUSR1),
    *(signal.SIGUSR2, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGALRM),
}


class Guardian:
    """At most one for each server process. :meth:`start` and :meth:`stop` on one thread."""

    def __init__(self) -> None:
        # Guards what follows. A write to the pipe, which is non-blocking, is allowed under it: were the fd
        # used outside, it could be closed and mean another file by then.
        self._lock = lock(Rank.LEAF, "guardian")
        self._pipe = -1
        self._direct = False  # lines go straight into the pipe; else they are kept
        self._kept: list[bytes] = []
        self._stopping = False
        self._wake = -1  # eventfd: there are lines kept, or it is time to stop
        self._pid = 0
        # The thread's own: the guardian's pidfd, and what goes to it next, before all that is kept.
        self._pidfd = -1
        self._unsent = memoryview(b"")
        self._thread: threading.Thread | None = None
        self._restarts = 0

    @property
    def pid(self) -> int:
        """The guardian process, 0 when there is none."""
        return self._pid

    @property
    def restarts(self) -> int:
        """How often it died and was replaced."""
        return self._restarts

    def start(self) -> bool:
        """Start it; False, with a warning in the log, when it cannot be started. Not started twice."""
        assert_none_held("start of the guardian")
        if self._thread is not None:
            return True
        try:
            self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._launch()
            self._stopping = False
            # A daemon: a program that forgets stop() must still be able to end. Its guardian ends its tasks.
            thread = threading.Thread(target=self._run, name="guardian", daemon=True)
            thread.start()
        except (OSError, RuntimeError) as error:
            _log.warning("no guardian, so tasks will outlive a server that is killed outright: %s", error)
            self._kill()  # one that nobody watches would not hear of all
            if self._wake >= 0:
                os.close(self._wake)
                self._wake = -1
            return False
        self._thread = thread
        return True

    def stop(self) -> None:
        """Have it exit and leave everything alone; waits for that. Idempotent."""
        thread = self._thread
        if thread is None:
            return
        with self._lock:
            self._stopping = True
            os.eventfd_write(self._wake, 1)  # it never blocks
        thread.join()
        self._thread = None
        os.close(self._wake)
        self._wake = -1

    def entered(self, entry: Entry) -> None:
        """A run is about to be spawned."""
        self._tell(_entered(entry))

    def spawned(self, entry: Entry) -> None:
        """It has a leader."""
        self._tell(_spawned(entry))

    def left(self, entry: Entry) -> None:
        """Nothing of it is left to end."""
        self._tell(f"- {entry.run}\n".encode())

    def _tell(self, line: bytes) -> None:
        with self._lock:
            if self._pipe < 0:
                return  # the next one will find it in the list it is given
            if self._direct:
                try:
                    os.write(self._pipe, line)  # short, so all of it or nothing
                    return
                except OSError:  # full, or it is dead; either is the thread's to deal with
                    self._direct = False
                    os.eventfd_write(self._wake, 1)
            self._kept.append(line)
            if len(self._kept) == _KEPT:
                os.eventfd_write(self._wake, 1)

    # The thread

    def _run(self) -> None:
        pause = 0.0
        started = time.monotonic()
        try:
            while not self._watch():
                with self._lock:
                    self._restarts += 1
                _log.warning("the guardian died; starting another")
                if time.monotonic() - started > _LONGEST_PAUSE_S:
                    pause = 0.0
                while True:
                    if self._sleep(pause):
                        return
                    pause = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, pause * 2))
                    try:
                        self._launch()
                        break
                    except OSError as error:
                        _log.error("cannot start a guardian, trying again in %g s: %s", pause, error)
                started = time.monotonic()
        except BaseException:
            _log.exception("there is no guardian any more")
            self._kill()

    def _sleep(self, seconds: float) -> bool:
        """True when it is time to stop."""
        if _readable(self._wake, seconds):
            os.eventfd_read(self._wake)
        with self._lock:
            return self._stopping

    def _launch(self) -> None:
        """A new process, told of all there is. Raises OSError."""
        if not sys.executable or getattr(sys, "frozen", False):
            raise OSError("no Python interpreter to run it with")
        theirs, ours = os.pipe2(os.O_CLOEXEC)
        # It inherits this thread's mask and keeps it: no moment at which a stray signal could end it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        try:
            os.set_blocking(ours, False)
            program = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", "-c", _PROGRAM, os.path.dirname(__file__)),  # noqa: PTH120
                    *(str(os.getpid()), registry.server_id, str(os.getsid(0)), str(registry.since)),
                ],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
                start_new_session=True,
            )
            program.returncode = 0  # reaped here, not behind our back
            registry.add_child(program.pid)
        except BaseException:
            os.close(ours)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(theirs)
        try:
            self._pidfd = os.pidfd_open(program.pid)
        except OSError:
            os.close(ours)  # it knows of no run, so it just exits
            os.waitpid(program.pid, 0)
            registry.discard_child(program.pid)
            raise
        with self._lock:
            self._pid, self._pipe, self._direct, self._kept = program.pid, ours, False, []
        # From here on changes are kept, and come after the list they may be part of already.
        lines = []
        for entry in registry.entries():
            lines.append(_entered(entry))
            if entry.pid:
                lines.append(_spawned(entry))
        self._unsent = memoryview(b"".join(lines))

    def _watch(self) -> bool:
        """Pass on what is kept until the guardian is dead (False) or has been stopped (True)."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        poll.register(self._pipe, select.POLLOUT)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._wake in ready:
                os.eventfd_read(self._wake)
            with self._lock:
                stopping, kept = self._stopping, len(self._kept)
            if stopping:
                self._dismiss()
                return True
            if kept >= _KEPT:
                _log.warning("the guardian does not take what it is told")
            elif self._pidfd not in ready:
                self._pass_on()
                poll.modify(self._pipe, select.POLLOUT if self._unsent else 0)
                continue
            self._kill()
            return False

    def _pass_on(self) -> None:
        """Write what the pipe takes; when that is everything, lines go straight into it from now on."""
        while True:
            with self._lock:
                if not self._unsent:
                    self._unsent, self._kept = memoryview(b"".join(self._kept)), []
                    if not self._unsent:
                        self._direct = True
                        return
            try:
                self._unsent = self._unsent[os.write(self._pipe, self._unsent) :]
            except BlockingIOError:
                return
            except OSError:
                self._unsent = memoryview(b"")  # it is dead; its pidfd says so next
                return

    def _dismiss(self) -> None:
        """Have it exit; with a line cut off before it, "exit" would not be understood, so kill it then."""
        with self._lock:
            kept, self._kept, self._direct = b"".join(self._kept), [], False
        try:
            message = bytes(self._unsent) + kept + b"exit\n"
            told = os.write(self._pipe, message) == len(message)
        except OSError:
            told = False
        if told:
            _readable(self._pidfd, _EXIT_S)
        self._kill()

    def _kill(self) -> None:
        """See to it that it is dead, if there is one, and reap it."""
        if self._pidfd < 0:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        with self._lock:
            pid, self._pid = self._pid, 0
            self._direct = False
            os.close(self._pipe)
            self._pipe = -1
        os.close(self._pidfd)
        self._pidfd = -1
        registry.discard_child(pid)


def _readable(fd: int, seconds: float) -> bool:
    """Whether it becomes readable within that time."""
    poll = select.poll()  # select itself knows no descriptors above 1023
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _entered(entry: Entry) -> bytes:
    policy = entry.policy
    return f"+ {entry.run} {policy.kill_mode} {policy.signal_number:d} {policy.grace:.3f}\n".encode()


def _spawned(entry: Entry) -> bytes:
    return f"= {' '.join((entry.run, str(entry.pid), *entry.pipes))}\n".encode()


guardian = Guardian()
