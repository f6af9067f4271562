"""overseerctl presents tokens and certificates, and says what a server wants that it does not have."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.harness import ROOT, Daemon, shell
from tests.security.conftest import Certificates
from tests.security.support import TOKENS, token_of


def _ctl(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OVERSEER_")}
    return subprocess.run(
        [sys.executable, "-m", "overseer.ctl", *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_token_is_presented_and_its_lack_is_said() -> None:
    with Daemon(actions={"mine": shell("echo hi")}, auth={"tokens": TOKENS}) as daemon:
        url = daemon.url
        assert _ctl("run", "mine", "--url", url, OVERSEER_TOKEN=token_of("operator-all")).stdout == "hi\n"
        assert _ctl("run", "mine", "--url", url, "--token", token_of("operator-mine")).stdout == "hi\n"
        refused = _ctl("run", "mine", "--url", url, OVERSEER_TOKEN=token_of("viewer-all"))
        assert (refused.returncode, "needs the role operator" in refused.stderr) == (1, True)
        without = _ctl("list", "--url", url)
        assert (without.returncode, "wants a token (401): set OVERSEER_TOKEN" in without.stderr) == (
            125,
            True,
        )
        wrong = _ctl("list", "--url", url, "--token", "wrong-0123456789")
        assert (wrong.returncode, "does not know this token (401)" in wrong.stderr) == (125, True)
        assert "wrong-0123456789" not in wrong.stderr


@pytest.mark.parametrize("token", ["a b", "a\nb", "é"])
def test_what_is_no_token_is_refused_at_once(token: str) -> None:
    ended = _ctl("list", "--token", token)
    assert ended.returncode == 2
    assert "characters that no token has" in ended.stderr


def test_certificates(certificates: Certificates) -> None:
    path = certificates.path
    tls = {"cert": path("server.crt"), "key": path("server.key"), "client_ca": path("ca.crt")}
    with Daemon(actions={}, tls=tls) as daemon:
        url = f"wss://localhost:{daemon.address.rpartition(':')[2]}/ws"
        presented = {"OVERSEER_CERT": path("nobody.crt"), "OVERSEER_KEY": path("nobody.key")}
        assert _ctl("list", "--json", "--url", url, "--ca", path("ca.crt"), **presented).stdout == "[]\n"
        unknown = _ctl("list", "--url", url, **presented)
        assert (unknown.returncode, "TLS failed" in unknown.stderr) == (125, True)
        strangers = _ctl("list", "--url", url, "--ca", path("strangers.crt"), **presented)
        assert (strangers.returncode, "TLS failed" in strangers.stderr) == (125, True)
    missing = _ctl("list", "--url", "wss://localhost/ws", "--ca", "/not/there")
    assert missing.returncode == 2
    assert "cannot use /not/there: No such file or directory" in missing.stderr
