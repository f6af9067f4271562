"""Who is no longer let in by a reload is not let in by the new program either."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tests.faults.support import address_of, wait_until
from tests.harness import Daemon, shell
from tests.net.rawclient import Closed, RawClient, http_request
from tests.upgrade.support import Installed

_WAIT = 60.0
_APPLIED = '                _log.info("configuration reloaded: %s", summary(changes))\n'
_LATE = "                time.sleep(30.0)\n"


def _bearer(name: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {name * 32}"


def _auth(*names: str) -> dict[str, object]:
    return {"tokens": [{"name": name, "token": name * 32, "role": "admin"} for name in names]}


def _connect(daemon: Daemon, name: str) -> RawClient:
    return RawClient(address_of(daemon), timeout=_WAIT, headers=[_bearer(name)])


def _closed(client: RawClient) -> int | None:
    """The code with which it was closed."""
    try:
        while True:
            client.receive()
    except Closed as end:
        return end.code


def test_clients_whose_token_is_gone_are_closed_though_the_reload_has_not_come_so_far(tmp_path: Path):
    installed = Installed(tmp_path / "program")
    installed.change("overseer/daemon/reload.py", _APPLIED, _LATE + _APPLIED)
    settings = {"listen": "127.0.0.1:0", "actions": {"real": shell("sleep 60")}}
    with installed.daemon(**settings, auth=_auth("a", "b")) as daemon:
        gone, stays = _connect(daemon, "a"), _connect(daemon, "b")
        (daemon.directory / "config.yaml").write_text(json.dumps({**settings, "auth": _auth("b")}))
        daemon.process.send_signal(signal.SIGHUP)

        def is_refused() -> bool:
            return http_request(address_of(daemon), "/metrics", headers=[_bearer("a")]).status == 401

        wait_until(is_refused, _WAIT, "the reload")
        assert stays.request(type="upgrade", id="1", timeout=_WAIT)["type"] == "upgraded"
        assert _closed(gone) == 1008
        assert stays.request(type="list", id="2", timeout=_WAIT)["type"] == "tasks"
        gone.close()
        stays.close()
