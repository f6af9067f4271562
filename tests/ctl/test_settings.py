"""Whose the token of the file is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from overseer.ctl import settings
from tests.auth.support import TOKENS, token_of
from tests.ctl.conftest import Ctl
from tests.harness import Daemon, shell


@pytest.fixture(scope="module")
def closed() -> Iterator[Daemon]:
    with Daemon(actions={"mine": shell("true")}, auth={"tokens": TOKENS}) as daemon:
        yield daemon


def write(tmp_path: Path, text: str) -> None:
    (tmp_path / "overseerctl.yaml").write_text(text)
    (tmp_path / "overseerctl.yaml").chmod(0o600)


def test_the_token_of_the_file_goes_to_the_servers_of_the_file_only(
    closed: Daemon, ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OVERSEER_URL")
    token = token_of("operator-all")
    write(tmp_path, f"url: {closed.url}\ntoken: {token}\n")
    assert ctl("check").status == 0
    assert ctl("check", "--url", closed.url.replace("ws://", "http://").removesuffix("/ws")).status == 0
    write(tmp_path, f"url: wss://builds.example.org/ws\ntoken: {token}\n")
    done = ctl("check", "--url", closed.url)
    assert done.status == 125
    assert "requires a token (401): set OVERSEER_TOKEN, or give one with --token" in done.err
    assert f"(the one in {tmp_path}/overseerctl.yaml is for wss://builds.example.org/ws)" in done.err
    monkeypatch.setenv("OVERSEER_URL", closed.url)
    assert ctl("check").status == 125
    assert ctl("check", "--token", token).status == 0


def test_a_token_without_a_url_is_for_the_default_server(
    closed: Daemon, ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OVERSEER_URL")
    write(tmp_path, f"token: {token_of('operator-all')}\n")
    done = ctl("check", "--url", closed.url)
    assert (done.status, "is for ws://localhost:8080/ws" in done.err) == (125, True)


def test_who_has_no_home_has_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "OVERSEERCTL_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    assert settings._file()[1] == {}


@pytest.mark.parametrize("url", ["builds:8080", "ftp://builds", "ws://h:port", "unix:"])
def test_a_url_that_is_none_is_wrong_usage(ctl: Ctl, url: str):
    done = ctl("check", "--url", url)
    assert done.status == 2
    assert "URL" in done.err or "socket" in done.err
