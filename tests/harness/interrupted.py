"""Ctrl-C at a given moment of a program's start."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["interrupted_at"]

_HOOK = """\
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests
sys.meta_path.insert(0, Interrupt())
"""


def interrupted_at(
    module: str, argv: Sequence[str | Path], directory: Path, **environment: str
) -> tuple[int, str]:
    """Send SIGINT to a Python program when it is about to load a module; its status and its stderr.

    ``directory`` is for a file that does it, and comes first in PYTHONPATH.
    """
    (directory / "sitecustomize.py").write_text(_HOOK)
    path = ":".join(filter(None, [str(directory), environment.pop("PYTHONPATH", "")]))
    done = subprocess.run(
        argv,
        env={**os.environ, **environment, "PYTHONPATH": path, "INTERRUPT_AT": module},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.returncode, done.stderr
