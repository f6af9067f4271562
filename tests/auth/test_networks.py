"""Trusted networks."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from overseer.auth import networks as trust
from overseer.auth.networks import AutomaticTrust, is_trusted, local_networks, plain_address


def networks(*texts: str) -> list[trust.Network]:
    return [ipaddress.ip_network(text) for text in texts]


@pytest.mark.parametrize(
    ("address", "inside", "trusted"),
    [
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("11.1.2.3", ["10.0.0.0/8"], False),
        ("11.1.2.3", ["10.0.0.0/8", "11.1.2.3/32"], True),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("::ffff:10.1.2.3", ["::/0"], False),
        ("fe80::1%eth0", ["fe80::/64"], True),
        ("fd00::2", ["fd00::/64"], True),
        ("fd00:1::2", ["fd00::/64"], False),
        ("10.1.2.3", ["::/0"], False),
        ("10.1.2.3", [], False),
        ("", ["0.0.0.0/0", "::/0"], False),
        ("/run/socket", ["0.0.0.0/0", "::/0"], False),
    ],
)
def test_an_address_is_trusted_when_a_network_holds_it(
    address: str, inside: list[str], trusted: bool
) -> None:
    assert is_trusted(address, networks(*inside)) is trusted


@pytest.mark.parametrize(
    ("raw", "plain"),
    [("1.2.3.4", "1.2.3.4"), ("::ffff:1.2.3.4", "1.2.3.4"), ("fe80::1%3", "fe80::1"), ("::1", "::1")],
)
def test_addresses_are_made_plain(raw: str, plain: str) -> None:
    assert plain_address(raw) == plain


def test_the_local_networks_hold_loopback_and_this_machines_own_addresses() -> None:
    found = local_networks()
    assert is_trusted("127.0.0.1", found)
    assert is_trusted("::1", found)
    assert all(network.prefixlen > 0 for network in found)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; picks the interface
        except OSError:
            pytest.skip("no route")
        assert is_trusted(probe.getsockname()[0], found)
    assert not is_trusted("8.8.8.8", found)


def test_without_netlink_loopback_is_trusted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(trust.socket, "socket", refuse)
    assert [str(network) for network in local_networks()] == ["127.0.0.0/8", "::1/128"]
    assert "trusting loopback only" in caplog.text


def test_a_stranger_makes_it_look_again_but_not_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(trust.time, "monotonic", lambda: now)
    reads: list[float] = []
    current = networks("10.0.0.0/8")

    def read() -> list[trust.Network]:
        reads.append(now)
        return current

    trusted = AutomaticTrust(read)
    assert trusted("10.0.0.1")
    assert not trusted("172.17.0.2")
    current = networks("10.0.0.0/8", "172.17.0.0/16")
    assert not trusted("172.17.0.2")
    now += 6
    assert trusted("172.17.0.2")
    assert not trusted("8.8.8.8")
    assert reads == [100.0, 106.0]
