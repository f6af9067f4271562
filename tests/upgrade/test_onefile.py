"""The one-file program, of which another build is put in its place; no package is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from uuid import uuid4

import pytest

import overseer
from tests.harness import Daemon, shell
from tests.harness.client import WsClient
from tests.packaging.support import bare_environment, build
from tests.upgrade.support import assert_in_order, slow

_WAIT = 150.0
_VERSION = "site-packages/overseer/__init__.py", f'"{overseer.__version__}"', '"9.9.9"'
_BEGINS = "        assert self._given is not None\n"
_BROKEN = "site-packages/overseer/daemon/daemon.py", _BEGINS, f"        raise ValueError('oh')\n{_BEGINS}"
pytestmark = [slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("onefile"))


class _Place:
    """Where the program is installed, and what it says there."""

    def __init__(self, built: Path, directory: Path) -> None:
        self.program = directory / "sticky-overseer"
        shutil.copy(built, self.program)
        shutil.copy(built.parent / "overseerctl", directory)
        self.environment = bare_environment(directory)
        self._launcher = directory / "launcher.py"
        self._launcher.write_text(f"import os, sys\nos.execv({str(self.program)!r}, sys.argv)\n")

    def daemon(self) -> Daemon:
        actions = {"lone": shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")}
        return Daemon(program=self._launcher, environment=self.environment, actions=actions)

    def install(self, *changes: tuple[str, str, str]) -> None:
        """Put another build in its place, whose files have other texts."""
        new = self.program.with_name("new")
        with zipfile.ZipFile(self.program) as old, new.open("wb") as file:
            file.write(self.program.read_bytes().partition(b"\n")[0] + b"\n")
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for each in old.infolist():
                    archive.writestr(each, _changed(each.filename, old.read(each), changes))
        new.chmod(0o755)
        new.replace(self.program)

    def ctl(self, daemon: Daemon, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [self.program.parent / "overseerctl", *arguments, "--url", daemon.url],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_WAIT,
        )
        return done.returncode, done.stdout + done.stderr


def _changed(name: str, data: bytes, changes: tuple[tuple[str, str, str], ...]) -> bytes:
    if name == "environment.json":
        return json.dumps({**json.loads(data), "build_id": uuid4().hex}).encode()
    for path, before, after in changes:
        if path == name:
            assert before.encode() in data
            data = data.replace(before.encode(), after.encode())
    return data


@pytest.fixture
def place(built: Path, tmp_path: Path) -> _Place:
    return _Place(built, tmp_path)


def _goes_on(client: WsClient, pid: int) -> None:
    client.send("stop", task_id="lone")
    assert client.expect("exited", _WAIT, task_id="lone")["pid"] == pid
    assert assert_in_order(client.messages, "lone") > 0


def test_the_new_file_takes_over(place: _Place) -> None:
    with place.daemon() as daemon, daemon.connect() as client:
        pid = client.request("start", _WAIT, action="lone", task_id="lone")["pid"]
        place.install(_VERSION)
        status, said = place.ctl(daemon, "upgrade")
        wanted = f"upgraded: {overseer.__version__} to 9.9.9; 1 running task and 2 clients went on"
        assert (status, said.startswith(wanted)) == (0, True), said
        status, said = place.ctl(daemon, "upgrade", "--check")
        assert (status, said.startswith("the server can be upgraded: 9.9.9;")) == (0, True), said
        _goes_on(client, pid)


def test_where_it_fails_the_old_one_comes_back_out_of_its_own_file(place: _Place) -> None:
    with place.daemon() as daemon, daemon.connect() as client:
        pid = client.request("start", _WAIT, action="lone", task_id="lone")["pid"]
        place.install(_VERSION, _BROKEN)
        status, said = place.ctl(daemon, "upgrade")
        assert (status, "the new program has failed: ValueError: oh" in said) == (1, True), said
        _goes_on(client, pid)
