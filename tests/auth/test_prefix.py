"""Below a path prefix of a proxy's, with a real browser's idea of where cookies belong."""

from __future__ import annotations

import http.cookiejar
import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.auth.support import ACTIONS, TOKENS, token_of
from tests.browser.forwarder import Forwarder
from tests.harness import Daemon
from tests.net.rawclient import RawClient, upgrade_request

_PREFIX = "/ov"


class PrefixProxy(Forwarder):
    """Takes ``/ov`` off the path as nginx does (``location /ov/``), or leaves it and says so in a header."""

    def __init__(self, to: str, strips: bool) -> None:
        super().__init__(to)
        self._strips = strips

    def change(self, first: bytes) -> bytes:
        if self._strips:
            return first.replace(b" /ov/", b" /", 1)
        return first.replace(b"\r\n", b"\r\nX-Forwarded-Prefix: /ov\r\n", 1)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, auth={"tokens": TOKENS}) as daemon:
        yield daemon


@contextmanager
def _signed_in(proxy: Forwarder, name: str) -> Iterator[http.cookiejar.CookieJar]:
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    request = urllib.request.Request(
        f"http://{proxy.address}{_PREFIX}/session",
        method="POST",
        headers={"Authorization": f"Bearer {token_of(name)}", "Origin": f"http://{proxy.address}"},
    )
    with opener.open(request, timeout=30) as response:
        assert response.status == 204
    with opener.open(f"http://{proxy.address}{_PREFIX}/ws/manifest", timeout=30) as response:
        assert json.load(response)["session"]["name"] == name
    yield jar


@pytest.mark.parametrize("strips", [True, False], ids=["stripped", "left"])
def test_a_sign_in_below_a_prefix_is_for_what_is_below_it(daemon: Daemon, strips: bool) -> None:
    with PrefixProxy(daemon.address, strips) as proxy, _signed_in(proxy, "viewer-all") as jar:
        (cookie,) = jar
        assert cookie.path == _PREFIX
        host, _, port = proxy.address.rpartition(":")
        headers = [("Cookie", f"{cookie.name}={cookie.value}"), ("Origin", f"http://{proxy.address}")]
        page = urllib.request.urlopen(f"http://{proxy.address}{_PREFIX}/", timeout=30)
        with page:
            text = page.read().decode()
            assert page.status == 200
            assert not re.search('(href|src)="/', text), "it refers to nothing at the root"
        with RawClient((host, int(port)), upgrade=False) as client:
            client.send_raw(upgrade_request(f"{_PREFIX}/ws", host=proxy.address, headers=headers))
            assert client.read_reply().status == 101
            assert client.request(type="list", id="l")["tasks"] == []


def test_the_description_says_where_the_server_is_below(daemon: Daemon) -> None:
    headers = {
        "Authorization": f"Bearer {token_of('viewer-all')}",
        "X-Forwarded-Prefix": "/ov",
        "X-Forwarded-Proto": "https",
    }
    request = urllib.request.Request(f"http://{daemon.address}/asyncapi.json", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        server = json.load(response)["servers"]["this"]
    assert (server["pathname"], server["protocol"]) == ("/ov/", "wss")
