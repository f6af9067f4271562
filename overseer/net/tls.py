"""TLS between a socket and HTTP, over memory buffers: an ``SSLSocket`` must not be read and written at once.

Every call into OpenSSL is short, never waits and is made under a lock; the socket is read and written outside
of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from overseer.config import Config
from overseer.errors import ConfigError
from overseer.net.bytestream import SocketStream
from overseer.net.chunks import Buffer
from overseer.util.awake_clock import AwakeTime
from overseer.util.files import read_small
from overseer.util.locks import Rank, lock

_MAX_FILE = 2**20  # bytes of a file with certificates
_RECEIVE = 32 * 1024
_SEAL = 256 * 1024  # bytes encrypted at once
_NOT_TLS = b"""HTTP/1.1 400 Bad Request\r
Content-Type: text/plain; charset=utf-8\r
Connection: close\r
\r
this port speaks TLS: use https:// or wss://
"""


class TlsStream:
    """An encrypted :class:`~overseer.net.bytestream.ByteStream` over a connected socket."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._raw = SocketStream(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        # Guards the three above: OpenSSL's object must not be entered by two threads.
        self._engine = lock(Rank.LEAF, "tls")
        self._sealed = memoryview(b"")  # the sender's own: encrypted, and not sent yet

    def open(self, deadline: AwakeTime) -> tuple[str, ...]:
        while True:
            try:
                with self._engine:
                    self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._send_sealed(deadline)
                self._feed(self._raw.receive(_RECEIVE, deadline))
            except ssl.SSLError as error:
                # The alert is in the outgoing buffer; a browser that came without TLS understands only HTTP.
                plain = getattr(error, "reason", "") == "HTTP_REQUEST"
                with contextlib.suppress(OSError):
                    if plain:
                        self._raw.send_all(_NOT_TLS, deadline)
                    else:
                        self._send_sealed(deadline)
                    self._raw.finish()
                    while plain and self._raw.receive(_RECEIVE, deadline):
                        pass
                raise
        self._send_sealed(deadline)
        with self._engine:
            return _names(self._tls.getpeercert() or {})

    portable = False  # its keys are in this program

    def wait(self, seconds: float) -> bool:
        return self._raw.wait(seconds)

    def peek(self, size: int) -> bytes:
        return b""

    @property
    def unsent(self) -> bool:
        return bool(self._sealed)

    def fileno(self) -> int:
        return self._raw.fileno()

    def receive(self, size: int, deadline: AwakeTime | None = None) -> bytes:
        while True:
            with self._engine:
                try:
                    return self._tls.read(size)
                except ssl.SSLWantReadError:
                    pass
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""
            self._feed(self._raw.receive(_RECEIVE, deadline))

    def send(self, buffers: Sequence[Buffer]) -> int:
        if not self._flush():
            return 0
        taken = 0
        with self._engine:
            for buffer in buffers:
                taken += self._tls.write(memoryview(buffer)[: _SEAL - taken])
                if taken == _SEAL:
                    break
            self._sealed = memoryview(self._outgoing.read())
        self._flush()
        return taken

    def send_all(self, data: bytes, deadline: AwakeTime) -> None:
        rest = memoryview(data)
        self._send_sealed(deadline)
        while rest:
            rest = rest[self.send([rest]) :]
            self._send_sealed(deadline)

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            with self._engine:
                with contextlib.suppress(ssl.SSLWantReadError):  # the peer's close_notify is not awaited
                    self._tls.unwrap()
                self._sealed = memoryview(bytes(self._sealed) + self._outgoing.read())
            self._flush()
        self._raw.finish()

    def abort(self) -> None:
        self._raw.abort()

    def close(self) -> None:
        self._raw.close()

    def _feed(self, data: bytes) -> None:
        with self._engine:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def _flush(self) -> bool:
        """Send what is encrypted, without waiting; whether that was all."""
        while self._sealed:
            sent = self._raw.send([self._sealed])
            if not sent:
                return False
            self._sealed = self._sealed[sent:]
        return True

    def _send_sealed(self, deadline: AwakeTime) -> None:
        """Send everything encrypted so far, waiting where necessary."""
        with self._engine:
            self._sealed = memoryview(bytes(self._sealed) + self._outgoing.read())
        self._raw.send_all(bytes(self._sealed), deadline)
        self._sealed = memoryview(b"")


@dataclass(frozen=True, slots=True)
class Certificates:
    """The server's certificate and key as they were read; equal when the files' contents were.

    ``transport`` depends only on whose certificates clients must present; the server's own may be renewed.
    """

    fingerprint: str
    transport: str
    _context: ssl.SSLContext = field(repr=False, compare=False)

    @classmethod
    def load(cls, config: Config) -> Certificates:
        """Read them. Raises ConfigError when they cannot be read or do not match."""
        contents = [_content(config, step) for step in ("cert", "key", "client_ca")]
        digests = [hashlib.sha256(content).hexdigest() for content in contents]
        transport = digests[-1] if config.tls.client_ca else "tls"
        return cls(" ".join(digests), transport, _context(config, *contents))

    def wrap(self, sock: socket.socket) -> TlsStream:
        """A stream over an accepted connection."""
        return TlsStream(sock, self._context)


def _content(config: Config, step: str) -> bytes:
    path = getattr(config.tls, step)
    try:
        content = read_small(path, _MAX_FILE).data if path else b""
        if len(content) > _MAX_FILE:
            raise ValueError(f"longer than {_MAX_FILE // 2**20} MiB")
        return content
    except (OSError, ValueError) as error:
        problem = ConfigError(f"{path} cannot be used: {_reason(error)}")
        raise config.placed(problem, "tls", step) from None


def _context(config: Config, cert: bytes, key: bytes, client_ca: bytes) -> ssl.SSLContext:
    """An SSLContext of these contents, whatever the files contain by now."""
    tls = config.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    step = "cert"
    try:
        # With a password given, OpenSSL does not ask the terminal for one.
        with _in_memory(cert) as cert_file, _in_memory(key) as key_file:
            context.load_cert_chain(cert_file, key_file if tls.key else None, password="")
        if tls.client_ca:
            step = "client_ca"
            context.verify_mode = ssl.CERT_REQUIRED
            with _in_memory(client_ca) as file:
                context.load_verify_locations(file)
    except (OSError, ValueError) as error:
        files = tls.client_ca if step == "client_ca" else " and ".join(filter(None, (tls.cert, tls.key)))
        problem = ConfigError(f"{files} cannot be used: {_reason(error)}")
        raise config.placed(problem, "tls", step) from None
    return context


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """The path of an in-memory file: OpenSSL loads certificates from files only."""
    with open(os.memfd_create("overseer-tls"), "wb") as file:  # noqa: PTH123
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        known = {
            "KEY_VALUES_MISMATCH": "the key is another certificate's",
            "NO_CERTIFICATE_OR_CRL_FOUND": "it contains no certificate",
            "NO_START_LINE": "it contains no PEM text, or an encrypted key",
        }
        return known.get(error.reason, str(error.reason or "it is not PEM, or is encrypted").lower())
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _names(certificate: dict[str, Any]) -> tuple[str, ...]:
    """Common name and alternative names of a certificate as getpeercert describes it."""
    subject = (pair for part in certificate.get("subject", ()) for pair in part)
    common = [value for kind, value in subject if kind == "commonName"]
    return (*common, *(value for _, value in certificate.get("subjectAltName", ())))
