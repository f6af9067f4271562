"""The daemon under a user of its own, for limits that do not bind root. As root it needs setpriv."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROGRAM = str(Path(__file__).resolve().parents[2] / "sticky_overseer.py")
NOBODY = ["setpriv", "--reuid=54321", "--clear-groups"] if os.getuid() == 0 else []
# May read what root may, for Python itself may be root's; but has no capability that lifts the limit.
READING = ["--inh-caps=-all,+dac_override", "--ambient-caps=+dac_override"] if NOBODY else []

if __name__ == "__main__":
    command = [*NOBODY, *READING, sys.executable, PROGRAM, *sys.argv[1:]]
    os.execvp(command[0], command)
