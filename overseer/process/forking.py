"""Hooks around every fork of :mod:`subprocess` in this process, the drivers' own included.

A child inherits the open-file limit in force at its fork, and nothing can change it before its exec. So the
limit that the server raised for itself is lowered for the fork. And each ``Popen`` is remembered until its
child has been waited for, which tells a driver's child from an adopted orphan.
"""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import weakref
from collections.abc import Callable
from functools import partial, wraps
from operator import call
from typing import Any

forking = threading.RLock()
"""Held across a fork, and by code that must not see the lowered file limit.

Unranked, since nothing forks with another lock held. The GIL is held across the fork and exec anyway, so this
adds no waiting.
"""

# os.fork takes it, too: otherwise a copy of this process could be born with the lock held for good.
os.register_at_fork(before=forking.acquire, after_in_parent=forking.release, after_in_child=forking.release)

_popens: weakref.WeakValueDictionary[int, subprocess.Popen[Any]] = weakref.WeakValueDictionary()
_remembering = False
_under_way = 0  # Popens being created; guarded by forking
_hand_forked = False


_given_limit: int | None = None


def given_file_limit() -> int:
    """The soft open-file limit that this process was given."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] if _given_limit is None else _given_limit


def raise_file_limit(given: int | None = None) -> None:
    """Raise this process's soft open-file limit to the hard one; its children keep the original limit.

    A task takes three descriptors, a client one, and the usual soft limit is 1024.

    Args:
        given: that limit, if a program before this one has raised it.
    """
    global _given_limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = _given_limit = soft if given is None else given
    fork: Callable[..., Any] | None = getattr(subprocess, "_fork_exec", None)
    if soft == hard or fork is None:
        return

    def fork_exec(*arguments: Any) -> Any:
        with forking:
            raised = resource.getrlimit(resource.RLIMIT_NOFILE)  # it may have been changed since
            if raised[0] <= soft:
                return fork(*arguments)
            restore = partial(resource.setrlimit, resource.RLIMIT_NOFILE, raised)
            steps: tuple[partial[Any], ...] = (
                partial(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, raised[1])),
                partial(fork, *arguments),
                restore,
            )
            try:
                # One C call makes all three without releasing the GIL, so no other Python thread can open
                # anything under the lowered limit.
                _, pid, _ = map(call, steps)
            except BaseException:
                restore()
                raise
        return pid

    subprocess._fork_exec = fork_exec  # type: ignore[attr-defined]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def remember_popens() -> None:
    """Register every Popen from now on, for :func:`is_popen_child`. Idempotent."""
    global _remembering
    if _remembering:
        return
    _remembering = True
    make = subprocess.Popen.__init__

    @wraps(make)
    def __init__(self: Any, *arguments: Any, **keywords: Any) -> None:
        global _under_way
        with forking:
            _under_way += 1
        try:
            make(self, *arguments, **keywords)
            _popens[self.pid] = self
        finally:
            with forking:
                _under_way -= 1

    def forked() -> None:
        global _hand_forked
        _hand_forked = True

    subprocess.Popen.__init__ = __init__  # type: ignore[method-assign]
    os.register_at_fork(after_in_parent=forked)


def is_popen_child(pid: int) -> bool:
    """Whether this zombie belongs to a Popen, or may belong to one being created."""
    if _under_way > 0:  # checked first: a Popen is remembered before it stops being under way
        return True
    popen = _popens.get(pid)
    return popen is not None and popen.returncode is None


def hand_forked() -> bool:
    """Whether other code in this process has forked without subprocess, so that any child may be its own."""
    return _hand_forked
