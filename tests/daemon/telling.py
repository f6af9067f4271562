"""The server, which tells once what it has loaded and which threads it has, to whoever reads the FIFO
``TELL``."""

import json
import os
import sys
import threading
from pathlib import Path

import overseer


def _tell() -> None:
    with Path(os.environ["TELL"]).open("w") as to:  # waits for a reader
        for each in threading.enumerate():
            if each.name.startswith("run-"):  # a client hears that a run is over before its thread ends
                each.join(30)
        json.dump({"modules": [*sys.modules], "threads": [each.name for each in threading.enumerate()]}, to)


threading.Thread(target=_tell, name="teller", daemon=True).start()

import overseer.drivers.exec  # noqa: E402 - registers itself

sys.exit(overseer.run_cli("1.0", ""))
