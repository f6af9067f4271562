# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "cel-python >=0.5, <0.6",
#     "cronsim >=2.6, <3",
#     "google-re2 >=1.1.20240702",
#     "h11 >=0.14, <1",
#     "jinja2 >=3.1, <4",
#     "lark >=1.2.2, <2",
#     "prometheus-client >=0.21, <1",
#     "PyYAML >=6.0.2, <7",
#     "simple-websocket >=1.1, <2",
#     "tzdata",
#     "wsproto >=1.2, <2",
# ]
# ///
"""Starts the server: ``python sticky_overseer.py --config config.yaml``.

``pipx run`` and ``uv run`` start it as well, and fetch what it needs by the lines above.

A program with drivers of its own is the same few lines, with its own imports beside the exec driver's.
"""

import sys

import overseer
from overseer.util.interrupt import end_at_once

end_at_once()  # on Ctrl-C, until the server hears its signals itself

import overseer.drivers.exec  # noqa: E402 - registers itself, as every driver does

VERSION = overseer.__version__
COMMIT = ""

if __name__ == "__main__":
    sys.exit(overseer.run_cli(VERSION, COMMIT))
