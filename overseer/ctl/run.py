"""``overseerctl run``: start a task, show its output, exit as it does."""

from __future__ import annotations

import signal
import sys
import uuid
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress

from overseer.client import (
    Client,
    ClientError,
    ConnectFailedError,
    ConnectionLostError,
    RefusedError,
    ReplyTimeoutError,
    Task,
    TaskGoneError,
)
from overseer.ctl.exit_status import EXIT_INTERRUPTED, EXIT_LOST, EXIT_REFUSED, of_exit, words_of
from overseer.ctl.feeding import feed
from overseer.ctl.finding import refusal
from overseer.ctl.interrupts import Interrupts
from overseer.ctl.live import LiveLine
from overseer.ctl.settings import Settings
from overseer.ctl.starting import look_at_action, start
from overseer.ctl.terminal import OutputError, Progress, json_line, say, silence
from overseer.ctl.times import rounded
from overseer.protocol import (
    Dequeued,
    Errored,
    Event,
    Exited,
    Gap,
    Health,
    NotReady,
    Output,
    Partial,
    Queued,
    Ready,
    Restarting,
    Started,
)


def run(settings: Settings, options: Namespace, *, interactive: bool = False) -> int:
    """Run a task in the foreground; returns the exit status for the shell. ``interactive``: stdin is
    passed on to the task.

    Ctrl-C, SIGTERM and SIGHUP stop the task, and so does a stdout whose reader is gone; a second signal
    leaves at once.
    """
    # Our own id, so that a stop can be sent before the server has answered.
    task_id = options.id or str(uuid.uuid4())
    with Interrupts() as interrupts:
        try:
            with settings.connect() as client:
                # Meanwhile a signal just ends overseerctl.
                params = look_at_action(client, options, feeds=interactive)
                runner = _Runner(client, task_id, options.json, interactive)
                return runner.run(interrupts, options, params)
        except ConnectFailedError as error:
            say(str(error))
            return EXIT_LOST


def run_interactive(settings: Settings, options: Namespace) -> int:
    """Run a task with the terminal's or stdin's input."""
    action, tty = options.action, options.tty
    with settings.connect() as client:
        (info,) = client.actions(action)
        stdin = info.settings.get("stdin", "none")
        if stdin == "pty" and not options.json:
            from overseer.ctl.attach import Session

            params = look_at_action(client, options)
            task = start(client, options, action, params, task_id=options.id, on_lag="drop", raw=True)
            return Session(client, task, stops=True).run()
    if stdin == "none" or (tty and stdin != "pty"):
        what = "have no terminal" if tty else "take no input"
        raise RefusedError(f"tasks of {action} {what} (stdin: {stdin})")
    return run(settings, options, interactive=True)


class _Runner:
    """Follows one task from its start to its end."""

    def __init__(self, client: Client, task_id: str, as_json: bool, interactive: bool) -> None:
        self._interactive = interactive  # stdin has not been passed on yet
        self._client = client
        self._task_id = task_id
        self._as_json = as_json
        self._live = LiveLine(wanted=not as_json)
        self._stopping = False
        self._left = False
        self._failed = False  # writing failed
        self._waiting_for = ""
        self._interrupts: Interrupts | None = None
        streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._exit: Exited | None = None
        self._outs = {name: stream.buffer for name, stream in streams.items() if stream is not None}
        self._written = ""  # the stream written last, whose buffer goes out before the other one is written

    def run(self, interrupts: Interrupts, options: Namespace, params: Mapping[str, str]) -> int:
        self._interrupts = interrupts
        interrupts.first, interrupts.again = self._stop, self._leave
        try:
            given = {"task_id": self._task_id, "partial": self._live.on}
            task = start(self._client, options, options.action, params, **given)
            if self._stopping:  # the stop came before the start
                task.stop()
            self._follow(task)
            status = self._status(task)
            if (end := task.exit) is not None:
                odd = end.signal or end.reason in ("timeout", "oom", "unhealthy")
                # The status alone could be the task's own.
                told = interrupts.heard is not None if self._stopping else odd and task.state != "errored"
                if told:
                    self._say(words_of(end))
            return EXIT_REFUSED if self._failed and not status else status
        except RefusedError as error:
            self._say(refusal(error, action=options.action))
            return EXIT_REFUSED
        except (ConnectionLostError, TaskGoneError, ReplyTimeoutError) as error:
            if self._left:
                return EXIT_INTERRUPTED
            self._say(f"{error}. Task {self._task_id} may still be running; overseerctl list shows it.")
            return EXIT_LOST

    # -- on the interrupts' threads

    def _stop(self) -> None:
        self._stopping = True
        by_hand = self._interrupts is None or self._interrupts.heard in (None, signal.SIGINT)
        say(f"stopping the task{' (Ctrl-C leaves without waiting for it)' if by_hand else ''}")
        with suppress(ClientError):  # not started yet, or not connected: the main thread handles both
            self._client.stop(self._task_id)

    def _leave(self) -> None:
        self._left = True
        say(f"left task {self._task_id} while it is being stopped; overseerctl list shows how it ends")
        self._client.close()  # which ends the main thread's wait

    # -- on the main thread

    def _follow(self, task: Task) -> None:
        with Progress(lambda: self._waiting_for) as progress, self._live:
            for events in task.batches():
                self._waiting_for = ""
                progress.clear()
                for event in events:
                    self._handle(event)
                self._flush()
                self._live.draw()

    def _status(self, task: Task) -> int:
        if self._left:
            return EXIT_INTERRUPTED
        if task.state == "errored":
            return of_exit(task.exit) or 1
        if task.dequeued and not self._stopping:
            return EXIT_REFUSED
        if task.exit is None and self._stopping:
            return EXIT_INTERRUPTED
        return of_exit(task.exit)

    def _say(self, text: str) -> None:
        """A remark, after all output so far."""
        self._flush()
        say(text)

    def _handle(self, event: Event) -> None:
        if self._interactive and isinstance(event, Started):
            self._interactive = False
            feed(self._client, self._task_id)
        if self._as_json:
            self._write("stdout", json_line(event))
            return
        if isinstance(event, Output):
            self._show(event)
            return
        match event:
            case Partial():
                self._live.put(event.stream, event.stream, event.data)
            case Exited():
                self._exit = event
            case Restarting():
                delay = rounded(event.restart_delay)
                self._say(f"{words_of(self._exit)}; restart {event.attempt} in {delay}")
                self._waiting_for = "waiting for the restart"
            case Ready():
                self._say("ready")
            case NotReady():
                self._say(event.detail)
            case Health():
                self._say(f"{event.status}: {event.detail}" if event.detail else event.status)
            case Queued():
                self._say(f"queued at position {event.position} as task {self._task_id}")
                self._waiting_for = "waiting in the queue"
            case Gap():
                lost = f"{event.from_seq} to {event.to_seq}"
                why = "they came faster than they could be shown, or while there was no connection"
                self._say(f"lines {lost} are missing here: {why}")
            case Dequeued() if not self._stopping:
                self._say(f"removed from the queue: {event.reason}")
            case Errored():
                self._say(f"{words_of(self._exit)}; given up after too many failures")

    def _show(self, line: Output) -> None:
        name = line.stream
        self._live.put(name, name, "")
        if name != self._written:
            self._flush()  # the two may go to the same terminal, where order matters
        self._write(name, line.data.encode("utf-8", "replace") + b"\n")

    def _write(self, name: str, data: bytes) -> None:
        self._live.clear()
        self._written = name
        if (out := self._outs.get(name)) is None:
            return
        try:
            out.write(data)
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
        """The reader is gone (``| head``), or the disk is full: stop the task."""
        silence(self._outs.pop(name))
        if not isinstance(error, BrokenPipeError):
            say(str(OutputError(name, error)))
            self._failed = True
        if not self._stopping:
            self._stop()
