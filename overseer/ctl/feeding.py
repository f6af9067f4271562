"""Sending a task input from a file, a pipe or a keyboard."""

from __future__ import annotations

import os
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from overseer.client import Client, ClientError, RefusedError
from overseer.ctl.exit_status import EXIT_REFUSED, EXIT_USAGE
from overseer.ctl.terminal import counted, on_terminal, plain, print_json, say
from overseer.protocol import utf8
from overseer.util.threads import start_thread

_PIECE = 64 * 1024
_FIRST_S, _LAST_S = 0.02, 0.5  # between attempts while the task does not read


def give(client: Client, task_id: str, data: bytes, *, eof: bool = False) -> None:
    """Send a task input, and wait while it does not read. Raises ClientError."""
    delay = _FIRST_S
    while True:
        try:
            return client.input(task_id, data, eof=eof)
        except RefusedError as error:
            if error.code != "full":  # there is no room now
                raise
        time.sleep(delay)
        delay = min(2 * delay, _LAST_S)


def pieces(fd: int) -> Iterator[bytes]:
    """Whatever can be read from a file descriptor, as it comes. Raises OSError."""
    while data := os.read(fd, _PIECE):
        yield data


def feed(client: Client, task_id: str) -> threading.Thread:
    """Pass on stdin and its end, on a thread of its own."""
    return start_thread(partial(_feed, client, task_id), "feeder")


def _feed(client: Client, task_id: str) -> None:
    try:
        for data in pieces(0):
            give(client, task_id, data)
        give(client, task_id, b"", eof=True)
    except RefusedError as error:
        # How it ended says more. (Older servers call that a conflict.)
        if error.code != "not_running" and str(error) != "task is not running":
            say(str(error))
    except ClientError:
        pass  # the main thread reports it
    except OSError as error:
        say(f"cannot read stdin: {error.strerror}")


def give_input(client: Client, options: Namespace) -> int:
    """``overseerctl input``."""
    if options.file is not None and options.text:
        say("give TEXT or --file, not both; see overseerctl input --help")
        return EXIT_USAGE
    if options.file is None and not options.text and not options.eof:
        say("there is nothing to send: give TEXT, --file or --eof; see overseerctl input --help")
        return EXIT_USAGE
    size = 0
    if options.text:
        data = utf8(" ".join(options.text) + ("" if options.no_newline else "\n"))
        client.input(options.task, data, eof=options.eof)
        size = len(data)
    elif options.file is not None:
        try:
            for data in _content(options.file):
                give(client, options.task, data)
                size += len(data)
        except OSError as error:
            say(f"{plain(options.file)}: {error.strerror}")
            return EXIT_REFUSED
    if options.eof and not options.text:
        give(client, options.task, b"", eof=True)
    if options.json:
        print_json({"task_id": options.task, "bytes": size, "eof": options.eof})
    elif on_terminal():
        end = ", and the end of the input" if options.eof else ""
        say(f"{plain(options.task)}: sent {counted(size, 'byte')}{end}")
    return 0


def _content(path: str) -> Iterator[bytes]:
    """Raises OSError."""
    if path == "-":
        yield from pieces(0)
        return
    with Path(path).open("rb") as file:
        yield from pieces(file.fileno())
