"""Trying out, in a child, whether a program can take over a state."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import NamedTuple

from overseer.errors import OverseerError
from overseer.upgrade.reexec import invocation
from overseer.upgrade.standalone.stage import MESSAGE
from overseer.util.handover_format import VARIABLE, to_memory

_PATIENCE_S = 60.0
_SHOWN = 2000  # characters of what it says


class Rehearsed(NamedTuple):
    """A program that can take over.

    Attributes:
        compiled: descriptor of what it has compiled, for the second time.
    """

    version: str
    compiled: int


def rehearse(state: bytes, stage: int) -> Rehearsed:
    """Have the program that is installed now read the state.

    Args:
        stage: descriptor of the first stage, by which it is run as it would be in the server's place.

    Raises:
        OverseerError: it cannot, and why.
        OSError: it cannot be started.
    """
    fd, compiled, message = to_memory(state), -1, -1
    try:
        compiled = to_memory(b"", "overseer-compiled")
        how, option = invocation(sys.orig_argv[1:]), ["--check-handover", str(fd)]
        said = {
            **how._asdict(),
            "arguments": [*how.arguments, *option],
            "rest": [*how.rest, *option],
            "rehearsal": True,
            "compiled": compiled,
        }
        message = to_memory(json.dumps(said).encode(), MESSAGE)
        run = subprocess.run(
            [sys.executable, *how.options, f"/proc/self/fd/{stage}", *how.rest, *option],
            pass_fds=[fd, stage, compiled, message],
            env={**os.environ, VARIABLE: json.dumps({"file": message})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            errors="replace",
        )
        if run.returncode:
            raise OverseerError(f"the new program cannot take over: {_problem(run.stderr, run.returncode)}")
        version = run.stdout.strip()
        if not version:  # whatever ran was not that program
            raise OverseerError("the new program cannot take over: it did not say that it can")
        return Rehearsed(version, os.dup(compiled))
    except subprocess.TimeoutExpired:
        raise OverseerError(f"the new program has not read the state within {_PATIENCE_S:g} s") from None
    finally:
        for each in (fd, compiled, message):
            if each >= 0:
                os.close(each)


def _problem(said: str, status: int) -> str:
    """What is wrong, from what it wrote to stderr: of a traceback, the exception and its place."""
    said = said.strip()
    if not said:
        return f"it ended with status {status}"
    _, traceback, frames = said.rpartition("Traceback (most recent call last):\n")
    if not traceback:
        return said[-_SHOWN:]
    exception = next((line for line in reversed(frames.splitlines()) if line[:1].strip()), "")
    places = re.findall(r'^  File "(.*)", line (\d+)', frames, re.MULTILINE)
    return f"{exception} ({places[-1][0]}, line {places[-1][1]})" if places else exception


def say(version: str) -> None:
    """The answer of the child, which the first stage ends."""
    sys.stdout.write(f"{version}\n")
    sys.stdout.flush()
