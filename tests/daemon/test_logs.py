"""What the server says on stderr, and what it finds wrong before it starts."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from overseer.util.logs import _Formatter
from tests.auth.support import address_of, bearer, token_of
from tests.harness import ROOT, Daemon, run_program, shell
from tests.net.rawclient import RawClient

COMMAND = [sys.executable, str(ROOT / "sticky_overseer.py")]


def test_the_journal_gets_the_priority_of_each_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("nmae: x\nlisten: 127.0.0.1:0\nactions: {a: {type: none}}")
    file = (tmp_path / "stderr").open("w+")
    with file:
        found = os.fstat(file.fileno())
        for stream, before in ((f"{found.st_dev}:{found.st_ino}", "<4>warning: "), ("1:1", "warning: ")):
            file.seek(0)
            file.truncate()
            subprocess.run(
                COMMAND, cwd=tmp_path, stderr=file, env={**os.environ, "JOURNAL_STREAM": stream}, timeout=30
            )
            file.seek(0)
            assert file.readline().startswith(f"{before}./config.yaml:1: nmae: unknown key")


def test_what_the_start_would_stumble_over_is_found_by_the_check(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "listen: unix:none/socket\nsocket_group: no-such-group\nlog_file: none/log\naudit_file: .\n"
    )
    for arguments in (["--check"], []):
        ended = run_program(*arguments, cwd=tmp_path)
        assert ended.returncode == 1
        assert ended.stderr.splitlines() == [
            "sticky-overseer: ./config.yaml:3: log_file: no such directory none",
            "./config.yaml:4: audit_file: . is a directory",
            "./config.yaml:1: listen: no such directory none",
            "./config.yaml:2: socket_group: no such group no-such-group",
        ]
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_who_is_closed_for_not_reading_is_named() -> None:
    tokens = [{"name": "slow", "role": "operator", "token": token_of("slow")}]
    flood = {"flood": shell("exec yes 0123456789012345678901234567890123456789")}
    with Daemon(
        actions=flood, auth={"tokens": tokens}, clients={"buffer": "64KiB", "stall_timeout": "200ms"}
    ) as daemon:
        with RawClient(address_of(daemon), headers=[bearer("slow")], receive_buffer=4096) as client:
            client.send_json(type="start", id="s", action="flood", task_id="t")
            said = daemon.wait_stderr("did not read")
        assert said == "warning: closed a client that did not read its messages: 127.0.0.1 (slow)"


@pytest.mark.parametrize("value", ["secret # the new one", "secret\n", "a token"])
def test_a_token_with_blanks_in_it_is_doubted(value: str) -> None:
    with Daemon(actions={}, environment={"OVERSEER_TOKEN": value}) as daemon:
        assert "OVERSEER_TOKEN: this token contains spaces" in daemon.wait_stderr("spaces")


def test_what_others_write_does_nothing_to_a_terminal_nor_looks_like_an_entry(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        '"nm\\e[2Jae\\u202e\\nerror: forged": x\n'
        'auth: {tokens: [{name: a, role: viewer, token_file: "/none\\e[2J\\nerror: forged"}]}\n'
    )
    ended = subprocess.run([*COMMAND, "--check"], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert all(line.isprintable() for line in ended.stderr.splitlines())
    assert "token_file: /none\\x1b[2J" in ended.stderr


def test_further_lines_of_an_entry_are_set_in(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.makeLogRecord(
        {"levelno": logging.ERROR, "levelname": "ERROR", "msg": "a\x1b\nb\tc\u202e"}
    )
    assert _Formatter(journal=False).format(record) == "error: a\\x1b\n  b\tc\\u202e"
    assert _Formatter(journal=True).format(record) == "<3>error: a\\x1b\n<3>  b\tc\\u202e"
