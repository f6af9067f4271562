"""Programs that print a secret: their whole tree ends, and none takes longer or writes more than allowed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from overseer.errors import SpawnError
from overseer.process.registry import registry
from overseer.secrets import command
from overseer.secrets.command import MOST, output_of
from overseer.testing.leaks import Snapshot
from tests.harness import allowed
from tests.workers.support import gone


def sh(script: str, *arguments: str) -> bytes:
    return output_of(["sh", "-c", script, "sh", *arguments], "x")


def test_it_is_what_it_writes_byte_for_byte() -> None:
    assert sh("printf 'a\\r\\n\\377 b\\n\\n'") == b"a\r\n\xff b\n\n"
    assert sh("head -c 65536 /dev/zero") == bytes(MOST)


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    before = Snapshot.take()
    daemon = """(setsid sh -c 'echo $$ >"$1"; exec sleep 60' sh "$1" &)"""
    script = f'{daemon}; until [ -s "$1" ]; do :; done; echo secret'
    started = time.monotonic()
    assert sh(script, str(tmp_path / "pid")) == b"secret\n"
    assert time.monotonic() - started < allowed(5), "what holds its stdout is not waited for"
    assert gone((tmp_path / "pid").read_text())
    assert not before.leaks(5.0)
    assert registry.entries() == []


def test_one_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_PATIENCE_S", 0.5)
    with pytest.raises(SpawnError, match=r"^it took longer than 0.5 s$"):
        sh("trap '' TERM; echo half-a-secret; echo $$ >\"$1\"; exec sleep 60", str(tmp_path / "pid"))
    assert gone((tmp_path / "pid").read_text())
    assert registry.entries() == []


@pytest.mark.parametrize("flood", ["yes secret", "yes secret >&2"])
def test_one_that_writes_too_much_is_ended(flood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_PATIENCE_S", 1.0)
    with pytest.raises(SpawnError, match=r"^it is larger than 64 KiB$|^it took longer than 1 s: secret"):
        sh(flood)


def test_what_it_complains_of_is_told_without_what_it_printed() -> None:
    with pytest.raises(SpawnError) as caught:
        sh("echo hunter2-hunter2; echo 'no: hunter2-hunter2 is  old' >&2; exit 3")
    assert str(caught.value) == "sh ended with status 3: no: *** is old"
    with pytest.raises(SpawnError, match=r"^sh ended with SIGKILL$"):
        sh("echo hunter2-hunter2; kill -9 $$")


def test_one_that_does_not_exist_is_named() -> None:
    with pytest.raises(SpawnError, match="cannot start '/nowhere/vault': no such file"):
        output_of(["/nowhere/vault", "read"], "x")
    assert registry.entries() == []
