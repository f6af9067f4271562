"""Which IP addresses are trusted."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import struct
import time
from collections.abc import Callable, Sequence

_log = logging.getLogger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_REFRESH = 5.0  # seconds between reads of the interfaces

# linux/rtnetlink.h
_RTM_GETADDR, _RTM_NEWADDR = 22, 20
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST_DUMP = 0x301
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_ATTRIBUTE = struct.Struct("=HH")  # rtattr


def plain_address(address: str) -> str:
    """An IP address without its zone; an IPv4-mapped IPv6 address becomes IPv4."""
    address = address.partition("%")[0]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def is_trusted(address: str, networks: Sequence[Network]) -> bool:
    """Whether the text is an IP address in one of the networks."""
    try:
        parsed = ipaddress.ip_address(plain_address(address))
    except ValueError:
        return False
    return any(parsed in network for network in networks)


class AutomaticTrust:
    """Trusts loopback and the subnets of every local interface.

    Interfaces come and go (containers' networks, a laptop's), so an untrusted address makes it read them
    again, at most every few seconds.
    """

    def __init__(self, read: Callable[[], Sequence[Network]] | None = None) -> None:
        self._read = read or local_networks
        # Replaced as a whole, so that two threads may refresh at the same time.
        self._networks = tuple(self._read())
        self._read_at = time.monotonic()

    def __call__(self, address: str) -> bool:
        if is_trusted(address, self._networks):
            return True
        if time.monotonic() - self._read_at < _REFRESH:
            return False
        self._read_at = time.monotonic()
        self._networks = tuple(self._read())
        return is_trusted(address, self._networks)


def local_networks() -> tuple[Network, ...]:
    """Loopback and the subnets of every local interface; loopback alone when they cannot be read."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            # The kernel answers at once or, in a sandbox, never; and this holds up accepting connections.
            sock.settimeout(0.25)
            request = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
            head = _HEADER.pack(_HEADER.size + len(request), _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0)
            sock.send(head + request)
            networks: list[Network] = list(_LOOPBACK)
            while _parse(sock.recv(1 << 16), networks):
                pass
    except OSError as error:
        _log.warning("cannot read the local interfaces (%s): trusting loopback only", error.strerror or error)
        return _LOOPBACK
    return tuple(dict.fromkeys(networks))


def _parse(data: bytes, networks: list[Network]) -> bool:
    """Add the subnets in one datagram of the answer; False when it was the last one."""
    position = 0
    while position + _HEADER.size <= len(data):
        size, kind, _, _, _ = _HEADER.unpack_from(data, position)
        if kind == _NLMSG_DONE or size < _HEADER.size:
            return False
        if kind == _NLMSG_ERROR:
            code = struct.unpack_from("=i", data, position + _HEADER.size)[0]
            raise OSError(-code, os.strerror(-code))
        if kind == _RTM_NEWADDR:
            network = _subnet(data[position + _HEADER.size : position + size])
            if network is not None:
                networks.append(network)
        position += (size + 3) & ~3
    return True


def _subnet(message: bytes) -> Network | None:
    family, prefix, _, _, _ = _ADDRESS.unpack_from(message)
    if family not in (socket.AF_INET, socket.AF_INET6) or prefix == 0:
        return None  # an empty prefix would be the whole internet
    addresses: dict[int, bytes] = {}
    position = _ADDRESS.size
    while position + _ATTRIBUTE.size <= len(message):
        size, kind = _ATTRIBUTE.unpack_from(message, position)
        if size < _ATTRIBUTE.size:
            break
        addresses[kind] = message[position + _ATTRIBUTE.size : position + size]
        position += (size + 3) & ~3
    # On a point-to-point link ADDRESS is the other end's.
    raw = addresses.get(_IFA_LOCAL) or addresses.get(_IFA_ADDRESS)
    if raw is None or len(raw) not in (4, 16):
        return None
    return ipaddress.ip_network((raw, prefix), strict=False)
