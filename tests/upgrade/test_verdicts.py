"""What a server has found out about a run, and not told yet when it is replaced, is told by the new program.

The thread that finds it out is held until the server is brought to rest for good, and a moment longer.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.harness import shell
from tests.upgrade.support import Installed

_WAIT = 90.0
_HOLD = '''

def hold(path):
    """Whoever comes first, once the new program has been tried, is held until all are to rest."""
    import os, time
    if not os.path.exists("tried"):
        return
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    while not standstill.closed:
        time.sleep(0.005)
    time.sleep(1.0)

def await_file(path):
    import os, time
    while not os.path.exists(path):
        time.sleep(0.01)
'''
_HELD = "__import__('overseer.util.standstill').util.standstill.hold('held')\n"
_WAIT_FOR_HELD = "__import__('overseer.util.standstill').util.standstill.await_file('held')\n"
_TRY = "open('tried', 'w').close()\n"
_NOTIFY = """
import os, socket, time
while not os.path.exists("tried"): time.sleep(0.05)
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.sendto(b"READY=1", "\\0" + os.environ["NOTIFY_SOCKET"][1:])
time.sleep(60)
"""


class _Case(NamedTuple):
    """An action, where the thread is held that finds something out about its run, and what is to be told."""

    action: dict[str, Any]
    file: str
    line: str
    event: dict[str, Any]


def _probe(status: str) -> dict[str, Any]:
    """A program that ends with this status, once the new program has been tried."""
    waits = "while [ ! -e tried ]; do sleep 0.05; done; exit $0"
    return {"exec": ["sh", "-c", waits, status], "interval": "100ms"}


_CASES = {
    "unhealthy": _Case(
        shell("sleep 60", health={
            **_probe("1"), "timeout": "60s", "failures": 1, "on_failure": "restart",
        }),
        "probes/watch.py", "                status = self._verdict.status\n",
        {"type": "exited", "reason": "unhealthy"},
    ),
    "ready": _Case(
        shell("sleep 60", ready={**_probe("0"), "timeout": "80s"}),
        "probes/watch.py", "            wanted = self._go_on(",
        {"type": "ready"},
    ),
    "not ready": _Case(
        shell("sleep 60", ready={"log": "never", "timeout": "8s"}),
        "probes/watch.py", "        with standstill:  # what is found is told by the same program\n",
        {"type": "not_ready"},
    ),
    "late enough": _Case(
        shell("sleep 60", ready={"after": "8s"}),
        "probes/watch.py", "        with self._lock:\n            self._awaited.discard(what)\n",
        {"type": "ready"},
    ),
    "notified": _Case(
        {"type": "exec", "config": {"entrypoint": sys.executable, "command": ["-c", _NOTIFY]},
         "ready": {"notify": True, "timeout": "80s"}},
        "probes/notify.py", '            if self._told or b"READY=1"',
        {"type": "ready"},
    ),
}  # fmt: skip


def _installed(directory: Path, file: str, line: str) -> Installed:
    installed = Installed(directory / "program")
    module = installed.directory / "overseer/util/standstill.py"
    module.write_text(module.read_text() + _HOLD)
    indent = " " * (len(line) - len(line.lstrip(" ")))
    installed.change(f"overseer/{file}", line, indent + _HELD + line)
    # Whoever is to be replaced waits for what is to be found out.
    drain = "                parts.server.drain("
    installed.change("overseer/daemon/upgrade.py", drain, " " * 16 + _TRY + " " * 16 + _WAIT_FOR_HELD + drain)
    return installed


@pytest.mark.parametrize("name", list(_CASES))
def test_what_was_found_out_is_told(tmp_path: Path, name: str):
    case = _CASES[name]
    installed = _installed(tmp_path, case.file, case.line)
    with installed.daemon(actions={"watched": case.action}) as daemon, daemon.connect() as client:
        client.request("start", action="watched", task_id="watched")
        client.request("subscribe", task_id="watched")
        upgraded = client.send("upgrade")
        client.expect("upgraded", _WAIT, id=upgraded)
        client.expect(task_id="watched", timeout=_WAIT, **case.event)
