"""Opening the sockets that clients connect to; errors are one plain line."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import logging
import os
import socket
import stat
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from overseer.auth.networks import plain_address
from overseer.auth.peer import Peer
from overseer.config.listen import Listen
from overseer.errors import OverseerError
from overseer.util.handover_format import Incoming, Outgoing

_log = logging.getLogger(__name__)

_BACKLOG = 512
_LOCK_TIMEOUT = 2.0  # seconds to wait for another server that is opening a socket in the same directory
_EVERYWHERE = ("0.0.0.0", "::")
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EADDRNOTAVAIL)


class Listener:
    """One or several listening sockets that belong together.

    ``address`` is what a client on this machine connects to: (host, port), or the Unix socket's path.
    ``own``: a Unix socket's file was made here, and is removed on close.
    """

    def __init__(
        self, sockets: list[socket.socket], address: tuple[str, int] | str, *, own: bool = True
    ) -> None:
        self.sockets = sockets
        self.address = address
        self._path = Path(address).absolute() if isinstance(address, str) else None
        self._identity = _identity(self._path) if self._path and own else None

    @classmethod
    def restored(cls, data: Mapping[str, Any], given: Incoming) -> Listener:
        """The one that another program has exported. Raises OSError: its sockets are not there."""
        sockets = [given.socket(number) for number in data["sockets"]]
        for each in sockets:
            each.setblocking(False)
        address = data["address"]
        return cls(sockets, address if isinstance(address, str) else tuple(address), own=data["own"])

    def export(self, out: Outgoing) -> dict[str, Any]:
        """What another program has to know to listen with these sockets."""
        return {
            "sockets": [out.fd(each.fileno()) for each in self.sockets],
            "address": self.address if isinstance(self.address, str) else list(self.address),
            "own": self._identity is not None,
        }

    @property
    def everywhere(self) -> bool:
        """Whether it listens on every interface."""
        return self._path is None and any(sock.getsockname()[0] in _EVERYWHERE for sock in self.sockets)

    def accept(self, ready: socket.socket) -> tuple[socket.socket, Peer]:
        """Accept a connection on one of the sockets. Raises BlockingIOError when there is none."""
        connected, address = ready.accept()
        connected.setblocking(True)
        if self._path is not None:
            credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            _, uid, _ = struct.unpack("3i", credentials)
            return connected, Peer("unix", str(self._path), uid)
        # A lone message must not wait for the acknowledgement of the previous one.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected, Peer("tcp", plain_address(address[0]))

    def close(self) -> None:
        """Stop listening, and remove the Unix socket's file if it is still the one made here. Idempotent."""
        for sock in self.sockets:
            sock.close()
        if self._path is not None and self._identity is not None and _identity(self._path) == self._identity:
            with contextlib.suppress(OSError):
                self._path.unlink()
        self._identity = None


def open_listener(listen: Listen) -> Listener:
    """Listen on TCP or a Unix socket.

    Raises:
        OverseerError: it cannot be done; the text says why.
    """
    if listen.kind == "unix":
        return _open_unix(listen.path, listen.mode, listen.group)
    try:
        if listen.host in ("", "::"):
            return _open_everywhere(listen.port)
        return _open_tcp(listen.host, listen.port)
    except (socket.gaierror, UnicodeError):
        raise OverseerError(f"cannot listen on {listen}: {listen.host} is not a known host") from None
    except OSError as error:
        raise OverseerError(f"cannot listen on {listen}: {_reason(error, listen.port)}") from None


def adopt_listener(sockets: Sequence[socket.socket]) -> Listener:
    """Take over sockets that listen already, all TCP or all Unix sockets.

    Raises:
        OverseerError: they are not; all have been closed.
    """
    kinds = {"unix" if sock.family == socket.AF_UNIX else "tcp" for sock in sockets}
    known = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
    if len(kinds) > 1 or any(sock.family not in known or sock.type != socket.SOCK_STREAM for sock in sockets):
        _close_all(sockets)
        raise OverseerError("cannot use the sockets passed: all must be TCP, or all Unix stream sockets")
    for sock in sockets:
        sock.setblocking(False)
    name = sockets[0].getsockname()
    if kinds == {"unix"}:
        return Listener(list(sockets), os.fsdecode(name), own=False)
    host = "127.0.0.1" if name[0] in _EVERYWHERE else name[0]
    return Listener(list(sockets), (host, name[1]))


# -- TCP -------------------------------------------------------------------------------------------------


def _open_tcp(host: str, port: int) -> Listener:
    # As bytes, an ordinary name is looked up without the codec for others, which takes half a megabyte.
    name = host.encode() if host.isascii() else host
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            # All addresses of a name get one port, also where the kernel picks it.
            chosen = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_bind(family, (address[0], chosen, *address[2:]), dual=False))
            except OSError as error:
                if error.errno not in _NO_IPV6:
                    raise
                failure = error  # a name may have addresses of a family that this machine lacks
    except OSError:
        _close_all(sockets)
        raise
    if failure is not None and not sockets:
        raise failure
    own = sockets[0].getsockname()
    return Listener(sockets, (own[0], own[1]))


def _open_everywhere(port: int) -> Listener:
    """Listen on every interface, with one socket for IPv6 and IPv4, or for IPv4 where there is no IPv6."""
    try:
        sock = _bind(socket.AF_INET6, ("::", port), dual=True)
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
        sock = _bind(socket.AF_INET, ("", port), dual=False)
    return Listener([sock], ("127.0.0.1", sock.getsockname()[1]))


def _bind(family: int, address: tuple[object, ...], *, dual: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart must not wait for connections in TIME_WAIT; a port in use is refused all the same.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _reason(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use by another program; name another one (listen, OVERSEER_LISTEN)"
    if error.errno == errno.EACCES and 0 < port < 1024:
        return f"port {port} needs root or CAP_NET_BIND_SERVICE"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    return (error.strerror or str(error)).lower()


def _close_all(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


# -- Unix sockets ----------------------------------------------------------------------------------------


def _open_unix(text: str, mode: int, group: str) -> Listener:
    path = Path(text)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        gid = group_id(group)
        check_socket_path(text)
        # Linux gives the file the descriptor's mode: only this user may connect until owner and mode are set.
        os.fchmod(sock.fileno(), 0o600)
        with _only_server_in(path.parent):
            _remove_stale(path)
            sock.bind(text)
            if gid >= 0:
                os.chown(path, -1, gid, follow_symlinks=False)
            path.chmod(mode)  # also where it is the same: the umask has been applied
            sock.listen(_BACKLOG)
        sock.setblocking(False)
        return Listener([sock], text)
    except (OSError, OverseerError) as error:
        sock.close()
        reason = str(error)
        if isinstance(error, OSError):
            reason = (error.strerror or reason).lower()
            if error.errno in (errno.EACCES, errno.EPERM):
                reason = f"no permission to write in {path.parent}"
        raise OverseerError(f"cannot listen on {path}: {reason}") from None
    except BaseException:
        sock.close()
        raise


def group_id(name: str) -> int:
    """A group's number, given its name or number; -1 for ``""``. Raises OverseerError when there is none."""
    try:
        if name.isascii() and name.isdigit():
            return int(name)
        return grp.getgrnam(name).gr_gid if name else -1
    except KeyError:
        raise OverseerError(f"no such group {name}") from None


def check_socket_path(text: str) -> None:
    """Raise OverseerError when there is no directory for a Unix socket, or something else is in its place."""
    path = Path(text)
    if not path.parent.is_dir():
        raise OverseerError(f"no such directory {path.parent}")
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OverseerError(f"{path} exists and is not a socket")


def _remove_stale(path: Path) -> None:
    """Remove the socket of a server that is gone; anything else stays, and is an error."""
    if not os.path.lexists(path):
        return
    check_socket_path(str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a live server with a full backlog says EAGAIN
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()  # nobody listens
            return
        except FileNotFoundError:
            return
        except PermissionError:
            raise OverseerError("the socket belongs to another user") from None
        except OSError:
            pass
    raise OverseerError("another server listens there")


@contextlib.contextmanager
def _only_server_in(directory: Path) -> Iterator[None]:
    """Keep other servers from replacing a socket in this directory.

    Testing for a stale socket and replacing it are two steps: of two servers that start at once, both could
    find it stale, and the second would remove the first one's. Waits for a bounded time only.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    # Anybody who can read the directory can hold its lock; that must not keep a server down.
                    _log.warning("%s is locked by another program; going on without a lock", directory)
                    break
                time.sleep(0.01)  # flock has no timeout
        yield
    finally:
        os.close(fd)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def written(address: tuple[str, int] | str) -> str:
    """An address, for people."""
    if isinstance(address, str):
        return address if address == "stdio" else f"unix:{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
