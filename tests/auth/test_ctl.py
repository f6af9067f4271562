"""overseerctl presents tokens and certificates, and says what a server wants that it does not have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from overseer.ctl.command import main
from tests.auth.conftest import Certificates
from tests.auth.support import TOKENS, token_of
from tests.harness import Daemon, shell


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


Ctl = Callable[..., Ended]


@pytest.fixture
def ctl(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ctl:
    """``ctl(*arguments, **environment)``: what overseerctl does."""

    def run(*arguments: str, **environment: str) -> Ended:
        with monkeypatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            try:
                status = main(arguments)
            except SystemExit as end:
                status = int(end.code or 0)
        return Ended(status, *capfd.readouterr())

    return run


def test_a_token_is_presented_and_its_lack_is_said(ctl: Ctl) -> None:
    with Daemon(actions={"mine": shell("echo hi")}, auth={"tokens": TOKENS}) as daemon:
        url = daemon.url
        assert ctl("run", "mine", "--url", url, OVERSEER_TOKEN=token_of("operator-all")).stdout == "hi\n"
        assert ctl("run", "mine", "--url", url, "--token", token_of("operator-mine")).stdout == "hi\n"
        refused = ctl("run", "mine", "--url", url, OVERSEER_TOKEN=token_of("viewer-all"))
        assert (refused.returncode, "needs the role operator" in refused.stderr) == (1, True)
        without = ctl("list", "--url", url)
        assert (without.returncode, "requires a token (401): set OVERSEER_TOKEN" in without.stderr) == (
            125,
            True,
        )
        wrong = ctl("list", "--url", url, "--token", "wrong-0123456789")
        assert (wrong.returncode, "does not accept this token (401)" in wrong.stderr) == (125, True)
        assert "wrong-0123456789" not in wrong.stderr


@pytest.mark.parametrize("token", ["a b", "a\nb", "é"])
def test_what_is_no_token_is_refused_at_once(ctl: Ctl, token: str) -> None:
    ended = ctl("list", "--token", token)
    assert ended.returncode == 2
    assert "the token contains spaces" in ended.stderr


def test_certificates(ctl: Ctl, certificates: Certificates) -> None:
    path = certificates.path
    tls = {"cert": path("server.crt"), "key": path("server.key"), "client_ca": path("ca.crt")}
    with Daemon(actions={}, tls=tls) as daemon:
        url = f"wss://localhost:{daemon.address.rpartition(':')[2]}/ws"
        presented = {"OVERSEER_CERT": path("nobody.crt"), "OVERSEER_KEY": path("nobody.key")}
        assert ctl("list", "--json", "--url", url, "--ca", path("ca.crt"), **presented).stdout == "[]\n"
        unknown = ctl("list", "--url", url, **presented)
        assert (unknown.returncode, "TLS failed" in unknown.stderr) == (125, True)
        strangers = ctl("list", "--url", url, "--ca", path("strangers.crt"), **presented)
        assert (strangers.returncode, "TLS failed" in strangers.stderr) == (125, True)
    missing = ctl("list", "--url", "wss://localhost/ws", "--ca", "/not/there")
    assert missing.returncode == 2
    assert "cannot use /not/there: No such file or directory" in missing.stderr


def test_the_wrong_scheme_is_told_from_a_broken_server(ctl: Ctl, certificates: Certificates) -> None:
    tls = {"cert": certificates.path("server.crt"), "key": certificates.path("server.key")}
    with Daemon(actions={}) as plain, Daemon(actions={}, tls=tls) as secured:
        ended = ctl("check", "--url", f"wss://{plain.address}/ws")
        text = f"wss://{plain.address}/ws: it does not speak TLS: try ws://{plain.address}/ws"
        assert (ended.returncode, ended.stderr) == (125, f"overseerctl: cannot connect to {text}\n")
        ended = ctl("check", "--url", f"ws://{secured.address}/ws")
        text = f"ws://{secured.address}/ws: it speaks TLS: try wss://{secured.address}/ws"
        assert (ended.returncode, ended.stderr) == (125, f"overseerctl: cannot connect to {text}\n")
