"""A new program that is broken leaves the old one running, or comes back to it, with everything alive."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.harness import Daemon, shell
from tests.harness.client import WsClient
from tests.upgrade.support import Installed, assert_in_order, slow

_WAIT = 90.0
_ACTIONS = {
    "lone": shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"),
    "cat": shell("cat", config={"stdin": "pipe"}),
}
_GOES_ON = "        assert self._given is not None\n"
_TAKEOVER = "overseer/daemon/takeover.py"
_TAKES_OVER = "    standstill.close()\n    stderr.start()\n"


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path / "program")


@pytest.fixture
def daemon(installed: Installed) -> Iterator[Daemon]:
    with installed.daemon(actions=_ACTIONS) as daemon:
        yield daemon


@contextmanager
def _unharmed(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        client.request("start", action="lone", task_id="lone")
        client.request("start", action="cat", task_id="cat")
        yield client
        # Whatever became of the upgrade: nothing is lost, and all of it still works.
        client.request("input", _WAIT, task_id="cat", data="still there\n", eof=True)
        client.expect("output", _WAIT, task_id="cat", data="still there")
        assert client.expect("exited", _WAIT, task_id="cat")["exit_code"] == 0
        last = client.settle(_WAIT)
        assert last is not None
        assert assert_in_order(client.messages, "lone") > 0
        client.expect("output", _WAIT, task_id="lone")
        assert client.request("start", _WAIT, action="cat", task_id="new")["type"] == "started"


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with _unharmed(daemon) as client:
        yield client


class _Steady(NamedTuple):
    """A server that becomes no other program."""

    installed: Installed
    daemon: Daemon
    client: WsClient


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Steady]:
    installed = Installed(tmp_path_factory.mktemp("steady") / "program")
    with installed.daemon(actions=_ACTIONS) as daemon, _unharmed(daemon) as client:
        yield _Steady(installed, daemon, client)


def _refused(client: WsClient) -> str:
    answer = client.request("upgrade", _WAIT)
    assert answer["type"] == "error", answer
    return str(answer["message"])


@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    [
        ("overseer/daemon/cli.py", "def _run(", "def _run((", "SyntaxError"),
        ("sticky_overseer.py", "import sys\n", "import sys\nimport of_no_such_name\n", "of_no_such_name"),
        ("overseer/daemon/cli.py", "def run_cli(", "raise SystemExit(7)\ndef run_cli(", "status 7"),
        ("overseer/util/handover_format.py", "FORMAT = 2\n", "FORMAT = 1\n", "format 2"),
    ],
)
def test_a_program_that_cannot_take_over_is_not_executed(
    steady: _Steady, path: str, before: str, after: str, said: str
):
    steady.installed.change(path, before, after)
    message = _refused(steady.client)
    steady.installed.change(path, after, before)
    assert message.startswith("the new program cannot take over: ")
    assert said in message


def test_a_configuration_with_errors_is_a_reason_not_to_upgrade(steady: _Steady):
    file = steady.daemon.directory / "config.yaml"
    config = file.read_text()
    file.write_text("actions: {broken: {type: nonesuch}}\n")
    message = _refused(steady.client)
    file.write_text(config)
    assert "nonesuch" in message


@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    [
        (_TAKEOVER, _TAKES_OVER, _TAKES_OVER + "    raise ValueError('too bad')\n", "too bad"),
        pytest.param(
            _TAKEOVER, _TAKES_OVER, _TAKES_OVER + "    raise SystemExit(5)\n", "status 5", marks=slow
        ),
        ("overseer/daemon/daemon.py", _GOES_ON, _GOES_ON + "        raise OSError('no luck')\n", "no luck"),
        pytest.param(
            "overseer/daemon/daemon.py",
            _GOES_ON,
            _GOES_ON + "        threading.Event().wait()\n",
            "not taken over within",
            marks=slow,
        ),
    ],
)
def test_a_program_that_fails_after_all_is_gone_back_from(
    installed: Installed, daemon: Daemon, client: WsClient, path: str, before: str, after: str, said: str
):
    installed.change(path, before, after)
    message = _refused(client)
    assert message.startswith("the new program has failed: ")
    assert said in message
    # It is whole again: what is mended can follow.
    installed.change(path, after, before)
    assert client.request("upgrade", _WAIT)["type"] == "upgraded"


def test_the_old_program_comes_back_although_all_its_files_are_gone(
    installed: Installed, daemon: Daemon, client: WsClient
):
    installed.change(_TAKEOVER, _TAKES_OVER, _TAKES_OVER + "    raise ValueError('worse')\n")
    for file in ("overseer/supervisor/standing.py", "overseer/net/tls.py", "overseer/logs/search.py"):
        (installed.directory / file).write_text("# emptied\n" + (installed.directory / file).read_text())
    assert "worse" in _refused(client)
    assert client.request("pool_info")["type"] == "pool_info"


def test_a_migrated_database_is_as_it_was_when_the_old_program_comes_back(installed: Installed):
    migrations = ')\n"""Each migrates a database'
    fails = _GOES_ON + "        raise OSError('no luck')\n"
    with installed.daemon(actions=_ACTIONS, data_dir="data") as daemon, daemon.connect() as client:
        client.request("start", _WAIT, action="cat", task_id="cat")
        installed.change(
            "overseer/history/database.py", migrations, '    "CREATE TABLE later (a);",\n' + migrations
        )
        installed.change("overseer/daemon/daemon.py", _GOES_ON, fails)
        assert "no luck" in _refused(client)
        client.request("input", _WAIT, task_id="cat", data="", eof=True)
        client.expect("exited", _WAIT, task_id="cat")
        (run,) = client.request("runs", _WAIT)["runs"]
        assert run["status"] == "succeeded"
        installed.change("overseer/daemon/daemon.py", fails, _GOES_ON)
        assert client.request("upgrade", _WAIT)["type"] == "upgraded"
        assert client.request("runs", _WAIT)["runs"] == [run]
        assert "was migrated to version" in daemon.stderr


def test_another_python_that_cannot_run_it_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    binary = tmp_path / "venv/bin/python"
    binary.parent.mkdir(parents=True)
    binary.symlink_to(Path(sys.executable).resolve())
    (tmp_path / "venv/pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    places = tmp_path / f"venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    places.mkdir(parents=True)
    (places / "here.pth").write_text(f"{Path(yaml.__file__).parents[1]}\n")
    monkeypatch.setattr(sys, "executable", str(binary))
    with Daemon(actions=_ACTIONS, alone=True) as daemon, daemon.connect() as client:
        client.request("start", _WAIT, action="cat", task_id="cat")
        binary.unlink()
        assert "No such file" in _refused(client)
        for python, said in (
            ("exit 3", "status 3"),
            ("exit 0", "did not say"),
            ("exec python3 -S $@", "No module named"),
        ):
            binary.write_text(f"#!/bin/sh\n{python}\n")
            binary.chmod(0o755)
            assert said in _refused(client)
        assert client.info("cat")["status"] == "running"


def test_without_a_copy_of_the_program_to_go_back_to_nothing_is_executed(installed: Installed):
    made = "        sizes: list[tuple[str, int]] = []\n"
    installed.change("overseer/upgrade/package.py", made, f"        raise OSError(28, 'No space')\n{made}")
    with installed.daemon(actions=_ACTIONS) as daemon, daemon.connect() as client:
        client.request("start", _WAIT, action="cat", task_id="cat")
        daemon.wait_stderr("the server cannot be upgraded: no copy of its program could be kept", _WAIT)
        installed.change(
            "overseer/upgrade/package.py", f"        raise OSError(28, 'No space')\n{made}", made
        )
        assert "restart the server" in _refused(client)
        assert client.info("cat")["status"] == "running"
