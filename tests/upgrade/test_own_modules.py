"""What a program imports only in an upgrade is its own, whatever an installation has made of the file."""

from __future__ import annotations

from pathlib import Path

from tests.harness import shell
from tests.upgrade.support import Installed

_WAIT = 90.0


def test_a_program_whose_insides_have_other_names_takes_over(tmp_path: Path) -> None:
    installed = Installed(tmp_path / "installed")
    pool = {"limit": 1, "queue": {"enabled": True}}
    daemon = installed.daemon(actions={"sleep": shell("exec sleep 60")}, task_pool=pool)
    with daemon, daemon.connect() as client:
        for task_id in ("runs", "first", "second"):
            client.request("start", action="sleep", task_id=task_id)
        pid = client.info("runs")["current_pid"]
        installed.change("overseer/supervisor/pool/pool.py", "self._queues", "self._lines")
        installed.change("overseer/supervisor/handover/pools.py", "pools._queues", "pools._lines")
        answer = client.request("upgrade", _WAIT, check=True)
        assert answer["type"] == "upgraded", answer
        answer = client.request("upgrade", _WAIT)
        assert answer["type"] == "upgraded", answer
        assert client.info("runs")["current_pid"] == pid
        waiting = client.request("pool_info")["pool"]["queue_items"]
        assert [item["task_id"] for item in waiting] == ["first", "second"]
        # The new program has its own as well.
        installed.change("overseer/supervisor/pool/pool.py", "self._lines", "self._rows")
        installed.change("overseer/supervisor/handover/pools.py", "pools._lines", "pools._rows")
        assert client.request("upgrade", _WAIT)["type"] == "upgraded"
