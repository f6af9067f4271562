from __future__ import annotations

from ipaddress import ip_network

import pytest

from overseer.config import Listen, parse_cidrs, parse_listen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stdio", Listen("stdio")),
        ("STDIO", Listen("stdio")),
        (" Stdio ", Listen("stdio")),
        ("/run/o.sock", Listen("unix", path="/run/o.sock")),
        ("./o.sock", Listen("unix", path="./o.sock")),
        ("unix:o.sock", Listen("unix", path="o.sock")),
        ("unix:/run/o.sock", Listen("unix", path="/run/o.sock")),
        ("unix:///run/o.sock", Listen("unix", path="/run/o.sock")),
        ("/path:8080", Listen("unix", path="/path:8080")),
        ("8080", Listen("tcp", port=8080)),
        ("0", Listen("tcp", port=0)),
        (":8080", Listen("tcp", port=8080)),
        ("*:8080", Listen("tcp", port=8080)),
        (":0", Listen("tcp", port=0)),
        (":65535", Listen("tcp", port=65535)),
        ("localhost:80", Listen("tcp", host="localhost", port=80)),
        ("0.0.0.0:80", Listen("tcp", host="0.0.0.0", port=80)),
        ("build-1.example.org:80", Listen("tcp", host="build-1.example.org", port=80)),
        ("[::1]:8080", Listen("tcp", host="::1", port=8080)),
        ("[::]:8080", Listen("tcp", host="::", port=8080)),
        ("[fe80::1%eth0]:80", Listen("tcp", host="fe80::1%eth0", port=80)),
    ],
)
def test_an_address_is_understood(text: str, expected: Listen) -> None:
    assert parse_listen(text) == expected
    assert parse_listen(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no port"),
        ("localhost", "no port"),
        ("-1", "no port"),
        (":", "not a port number"),
        (":http", "not a port number"),
        (":-1", "not a port number"),
        (":٣", "not a port number"),
        ("65536", "up to 65535"),
        (":99999999999999999999", "up to 65535"),
        ("::1:8080", "brackets"),
        ("[::1]", "no port"),
        ("[nope]:80", "not an IPv6 address"),
        ("[]:80", "not an IPv6 address"),
        ("http://localhost:80", "not a URL"),
        ("a b:80", "not a host name"),
        ("host/x:80", "not a host name"),
        ("unix:", "must name a file"),
        ("/run/", "must name a file"),
        ("/a\0b", "NUL"),
        ("/" + "a" * 107, "at most 107 bytes"),
        ("/" + "é" * 54, "at most 107 bytes"),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_listen(text)


def test_a_socket_path_may_be_as_long_as_the_system_takes() -> None:
    assert parse_listen("/" + "a" * 106).path == "/" + "a" * 106


def test_networks_and_bare_addresses_are_networks() -> None:
    assert parse_cidrs(["10.1.2.3/8", " 192.168.0.7 ", "::1", "fd00::/8"]) == (
        ip_network("10.0.0.0/8"),
        ip_network("192.168.0.7/32"),
        ip_network("::1/128"),
        ip_network("fd00::/8"),
    )
    assert parse_cidrs([]) == ()


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0/33", "10.0.0", "example.org", "10.0.0.0/-1", "1.2.3.4,5.6.7.8"]
)
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="neither a network") as caught:
        parse_cidrs(["10.0.0.0/8", text])
    assert f'"{text}"' in str(caught.value)
