from __future__ import annotations

import pytest

from overseer.client.address import DEFAULT_URL, Address, parse_url
from overseer.errors import OverseerError


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "path", "host_header"),
    [
        (DEFAULT_URL, "localhost", 8080, False, "/ws", "localhost:8080"),
        ("ws://farm", "farm", 80, False, "/ws", "farm"),
        ("ws://farm/", "farm", 80, False, "/ws", "farm"),
        ("http://farm:8080", "farm", 8080, False, "/ws", "farm:8080"),
        ("https://farm", "farm", 443, True, "/ws", "farm"),
        ("wss://farm:444/deep/ws?token=a", "farm", 444, True, "/deep/ws?token=a", "farm:444"),
        ("ws://[::1]:9/ws", "::1", 9, False, "/ws", "[::1]:9"),
        ("WS://FARM:9", "farm", 9, False, "/ws", "farm:9"),
    ],
)
def test_a_url_says_where_the_server_is(url, host, port, tls, path, host_header):
    address = parse_url(url)
    assert address == Address(url, host, port, tls, path)
    assert address.host_header == host_header


@pytest.mark.parametrize(
    ("url", "path"),
    [("unix:/run/o.sock", "/run/o.sock"), ("unix:o.sock", "o.sock"), ("unix:///run/o.sock", "/run/o.sock")],
)
def test_unix_is_a_path(url, path):
    assert parse_url(url).unix_path == path
    assert parse_url(url).host_header == "localhost"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("localhost:8080", "ws://localhost:8080/ws"),
        (":8080", "ws://"),
        ("ftp://farm/ws", "ws://localhost:8080/ws"),
        ("ws://", "ws://localhost:8080/ws"),
        ("", "ws://localhost:8080/ws"),
        ("unix:", "unix:/run/overseer.sock"),
        ("ws://farm:port/ws", "port"),
        ("ws://farm:99999/ws", "65535"),
        ("ws://farm:0/ws", "port 0"),
        ("ws://[::1/ws", "Invalid IPv6"),
    ],
)
def test_what_is_no_url_is_refused_with_one_that_is(url, hint):
    with pytest.raises(OverseerError) as caught:
        parse_url(url)
    assert hint in str(caught.value)
