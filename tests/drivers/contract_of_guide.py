"""The guide's other drivers and the contract; the guide's test copies it beside them and runs it there."""

import pathlib

import pytest
from acme.archive import ArchiveFactory
from acme.inbox import InboxFactory
from acme.tidy import TidyFactory

from overseer.testing import DriverContract, Script, ShellContract


class TestTidy(ShellContract):
    held_up = 0.5

    @pytest.fixture(autouse=True)
    def _sooner(self, monkeypatch):
        monkeypatch.setattr("overseer.workers.os_process._READ_OUT_S", self.held_up)

    def driver(self):
        return TidyFactory()

    def script(self, text):
        return Script(config={"script": text})

    def prints(self, lines):  # it drops empty ones
        shown = [line for line in lines if line]
        return Script(config=super().prints(lines).config, lines=shown)

    def exits(self, code):  # 3 is a success
        return Script(config=super().exits(code).config, code=0 if code == 3 else code)

    def unusable(self):
        return [({"script": ["a", "list"]}, ())]


class TestArchive(DriverContract):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path):
        self._source = tmp_path / "source"
        self._source.mkdir()
        (self._source / "letter.txt").write_text("Dear reader,\n")
        self._target = tmp_path / "archives"

    def driver(self):
        return ArchiveFactory()

    def config(self):
        return {"target": str(self._target)}

    def prints(self, lines):
        return Script({"source": str(self._source)}, lines=["./", "./letter.txt"])

    def fails_to_start(self):
        return Script({"source": "/no/such/directory"})

    def refused(self):
        return [{"source": "/", "level": "11"}]

    def unusable(self):
        return [({"target": ["a", "list"]}, ("target",))]


class TestInbox(DriverContract):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path):
        self._inbox = tmp_path / "inbox"

    def driver(self):
        return InboxFactory()

    def config(self):
        return {"directory": str(self._inbox), "action": "pack", "interval": 0.01}

    def exits(self, code):
        pathlib.Path(self._inbox).mkdir(exist_ok=True)
        return Script(code=0)

    def unusable(self):
        return [({"action": ""}, ("action",)), ({"directory": ""}, ("directory",))]
