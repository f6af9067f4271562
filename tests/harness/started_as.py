"""Starts the server as odd as a starter may be: runs the Python in STARTED_AS, then becomes the server.

The code may change this process (descriptors, masks, limits) and ``environment``, ``options``, which are
Python's own, and ``arguments``.
"""

import os
import sys
from pathlib import Path

environment = dict(os.environ)
options: list[str] = []
arguments = sys.argv[1:]
exec(environment.pop("STARTED_AS"))
program = str(Path(__file__).parents[2] / "sticky_overseer.py")
os.execve(sys.executable, [sys.executable, *options, program, *arguments], environment)
