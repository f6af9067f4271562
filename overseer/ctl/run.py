"""``overseerctl run``: start a task, show its output, end as it ends."""

from __future__ import annotations

import signal
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from overseer.ctl.link import Link, LinkLostError
from overseer.ctl.terminal import say, silence

__all__ = ["EXIT_INTERRUPTED", "EXIT_LOST", "EXIT_REFUSED", "run"]

EXIT_REFUSED = 1  # the server would not start it, or took it out of its queue
EXIT_LOST = 125  # how the task ends cannot be known: no connection, or none any more
EXIT_INTERRUPTED = 128 + signal.SIGINT  # left by a second Ctrl-C, or stopped before it ran

Message = dict[str, Any]


def run(link: Link, action: str, params: Mapping[str, str], task_id: str, force: bool) -> int:
    """Run a task in the foreground; returns the exit status for the shell.

    Ctrl-C, SIGTERM and SIGHUP stop the task, and so does a stdout that nobody reads any more; the second
    signal leaves at once, the third one is not even handled.
    """
    # An id of our own, so that a stop can be sent before the server's first answer has come.
    task_id = task_id or str(uuid.uuid4())
    request: Message = {"type": "start", "id": "start", "action": action, "task_id": task_id}
    request |= {"params": params, "force": force}
    follower = _Follower(link, task_id)
    with _stops_passed_on(follower):
        try:
            link.send(request)
            return follower.follow()
        except LinkLostError as error:
            return follower.lost(str(error))


class _Follower:
    """Follows one task from its start to its end."""

    def __init__(self, link: Link, task_id: str) -> None:
        self._link = link
        self._task_id = task_id
        self._stops_wanted = 0  # counted up by signals, acted upon by the loop
        self._stop_sent = False
        self._last_exit: Message | None = None
        self._ending = False  # it has exited, and the server is asked whether that was the end
        streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._outs = {name: stream.buffer for name, stream in streams.items() if stream is not None}
        self._written = ""  # the stream written last, whose buffer goes out before the other one is written

    def want_stop(self) -> int:
        """A signal came: make the loop act; how many that makes. Safe in a signal handler."""
        self._stops_wanted += 1
        self._link.wake()
        return self._stops_wanted

    def follow(self) -> int:
        """Handle messages until the task has ended; the exit status."""
        while True:
            message = self._link.receive()
            status = self._stop() if message is None else self._handle(message)
            if status is not None or not self._link.has_message:
                self._flush()
            if status is not None:
                return status

    def lost(self, why: str) -> int:
        """The connection is gone; the exit status."""
        if self._ending:  # a server that shuts down ends the task, and does not answer any more
            self._flush()
            return self._exit_status()
        self._say(f"{why}. Task {self._task_id} may still be running; overseerctl list shows it.")
        return EXIT_LOST

    def _say(self, text: str) -> None:
        """A remark, after the output that came before it."""
        self._flush()
        say(text)

    def _stop(self) -> int | None:
        if not self._stop_sent:
            self._stop_sent = True
            self._link.send({"type": "stop", "id": "stop", "task_id": self._task_id})
            self._say("stopping the task (Ctrl-C leaves without waiting for it)")
            return None
        if self._stops_wanted == 1:
            return None
        self._say(f"left while task {self._task_id} is being stopped; overseerctl list shows how it ends")
        return EXIT_INTERRUPTED

    def _handle(self, message: Message) -> int | None:
        """Act on a message; the exit status when it was the last one."""
        kind, id = message.get("type"), message.get("id")
        if kind == "error" and id in ("start", "stop"):
            return self._refused(message)
        if id == "ended":
            return self._ended(message)
        if message.get("task_id") == self._task_id:
            match kind:
                case "output":
                    self._show(message)
                case "exited":
                    self._exited(message)
                case "restarting":
                    delay = message.get("restart_delay", "0s")
                    self._say(f"{self._exit_words()}; restart {message.get('attempt')} in {delay}")
                case "queued":
                    self._say(f"queued at position {message.get('position')} as task {self._task_id}")
                case "gap":
                    self._say("output was skipped here, because it came faster than it could be shown")
                case "dequeued":
                    return self._dequeued(message)
                case "errored" if self._last_exit is None:
                    return self._gave_up("")  # not even its restarts could be spawned
        return None

    def _refused(self, message: Message) -> int:
        text = str(message.get("message", "refused"))
        existing = message.get("existing_task_id", "")
        self._say(text if existing in text else f"{text} (task {existing})")
        return EXIT_REFUSED

    def _exited(self, message: Message) -> None:
        self._last_exit = message
        if not message.get("will_restart"):
            # It may have been put back into its queue, or given up. The list knows, and is true by now.
            self._ending = True
            self._link.send({"type": "list", "id": "ended", "since": message["ts"]})

    def _ended(self, reply: Message) -> int | None:
        self._ending = False
        tasks = reply.get("tasks", ())  # an error instead: the server is shutting down
        task = next((task for task in tasks if task["task_id"] == self._task_id), None)
        if task is not None and (task["state"] == "queued" or task.get("worker_state") == "running"):
            return None
        if task is not None and task["state"] == "errored":
            return self._gave_up(task.get("error_message", ""))
        return self._exit_status()

    def _dequeued(self, message: Message) -> int:
        if not self._stop_sent:
            self._say(f"taken out of the queue: {message.get('reason')}")
            return EXIT_REFUSED
        return EXIT_INTERRUPTED if self._last_exit is None else self._exit_status()

    def _gave_up(self, why: str) -> int:
        self._say(f"{self._exit_words()}; given up after too many failures{': ' if why else ''}{why}")
        return self._exit_status() or 1

    def _exit_words(self) -> str:
        if self._last_exit is None:
            return "it could not be started"
        name = self._last_exit.get("signal")
        return f"ended by {name}" if name else f"exited with {self._last_exit.get('exit_code')}"

    def _exit_status(self) -> int:
        """What a shell would make of the last exit: the code, or 128 + the signal's number."""
        if self._last_exit is None:
            return EXIT_REFUSED
        name = self._last_exit.get("signal", "")
        if name in signal.Signals.__members__:
            return 128 + signal.Signals[name]
        return int(self._last_exit.get("exit_code", -1)) & 0xFF

    def _show(self, message: Message) -> None:
        name = message.get("stream", "")
        if name != self._written:
            self._flush()  # the two may go to the same terminal, where order matters
            self._written = name
        if (out := self._outs.get(name)) is None:
            return
        try:
            out.write(message.get("data", "").encode("utf-8", "replace") + b"\n")
        except OSError as error:
            self._cannot_write(name, error)

    def _flush(self) -> None:
        if (out := self._outs.get(self._written)) is None:
            return
        try:
            out.flush()
        except OSError as error:
            self._cannot_write(self._written, error)

    def _cannot_write(self, name: str, error: OSError) -> None:
        """Nobody reads it any more (``| head``), or the disk is full: the task has no more to run for."""
        silence(self._outs.pop(name))
        if not isinstance(error, BrokenPipeError):
            say(f"cannot write to {name}: {error.strerror}")
        if not self._stop_sent:
            self.want_stop()


@contextmanager
def _stops_passed_on(follower: _Follower) -> Iterator[None]:
    def handle(number: int, _frame: FrameType | None) -> None:
        if follower.want_stop() > 1:
            signal.signal(number, signal.SIG_DFL)  # for a terminal that blocks what we write

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup means what it says
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
