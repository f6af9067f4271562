"""What a process inherits from its parent, normalised before anything else."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Mapping

_STACK = 8 * 2**20  # bytes for a thread, where the inherited limit is unreasonable
_STACKS = (2**20, 64 * 2**20)
# Options of mallopt.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_FREE = 16 * 2**20  # bytes at the end of the heap
_APART = 8 * 2**20  # bytes from which on an allocation gets a mapping of its own


def settle(*, unblock: bool = True) -> None:
    """Normalise what can be changed in a running process. To be called first, on the main thread.

    Args:
        unblock: False: signals stay blocked until they have handlers.
    """
    _fill_descriptors()
    if unblock:
        # A blocked SIGTERM would never be delivered, neither here nor in children, which inherit the mask.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _forget_coerced_locale()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever PYTHONIOENCODING says
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    # PYTHONWARNINGS=error is for testing libraries: a deprecation must not make a task fail.
    warnings.filters[:] = [  # type: ignore[index]
        ("default", *rest) if action == "error" else (action, *rest) for action, *rest in warnings.filters
    ]
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    if not _STACKS[0] <= soft <= _STACKS[1]:  # a thread would get as much
        threading.stack_size(_STACK)
    _share_one_heap()


def _share_one_heap() -> None:
    """Have all threads allocate from one heap, which saves 3 kB a task: with the GIL they do not contend.

    By default that heap returns its end to the system after each batch of a flood, and takes the page faults
    again with the next one: a third of the processor time that a line costs. So it keeps some free.
    """
    with contextlib.suppress(AttributeError, OSError):  # not glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
        mallopt(_M_MMAP_THRESHOLD, _APART)


def speak_utf8() -> str:
    """Use UTF-8 for all texts, including paths, arguments and variables, whatever the locale.

    Python chooses when it starts; if it chose another encoding, this re-executes the program and does not
    return.

    Returns:
        Why that is impossible, or "" if it is unnecessary.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8":
        return ""
    problem = re_execute(os.environb, "-X", "utf8=1")
    taken_for = sys.getfilesystemencoding()
    return f"texts are read as {taken_for} rather than UTF-8 (set PYTHONUTF8=1): {problem}"


def re_execute(environment: Mapping[bytes, bytes], *options: str) -> str:
    """Re-execute this program with additional Python options; returns why that is impossible.

    To be called before there is a second thread and before anything is opened.
    """
    if not sys.executable:
        return "the path of Python is unknown"
    if threading.active_count() > 1:
        return "this program already has threads"
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    try:
        os.execve(sys.executable, [sys.orig_argv[0], *options, *sys.orig_argv[1:]], environment)
    except OSError as error:
        return str(error)


def _fill_descriptors() -> None:
    """Open closed ones among stdin, stdout and stderr, or the next file opened would take their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Gets the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _forget_coerced_locale() -> None:
    """Undo PEP 538: Python sets LC_CTYPE in a bare environment, which children would inherit."""
    if os.environ.get("LC_CTYPE") not in ("C.UTF-8", "C.utf8", "UTF-8"):
        return
    try:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123
            given = file.read().split(b"\0")
    except OSError:
        return
    if not any(each.startswith(b"LC_CTYPE=") for each in given):
        del os.environ["LC_CTYPE"]
