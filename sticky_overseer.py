"""Starts the server: ``python sticky_overseer.py --config config.yaml``.

A program with drivers of its own is the same few lines, with its own imports beside the exec driver's.
"""

import sys

import overseer
import overseer.drivers.exec  # registers itself, as every driver does

VERSION = overseer.__version__
COMMIT = ""

if __name__ == "__main__":
    sys.exit(overseer.run_cli(VERSION, COMMIT))
