"""What a process hands over to the program that takes its place: values as JSON, long bytes beside them, and
descriptors by their numbers; all in a file in memory.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from overseer.errors import OverseerError

FORMAT = 2
"""Of the state. A program reads the formats up to its own."""

VARIABLE = "OVERSEER_HANDOVER"
"""Says where the program before this one has written what it hands on: ``{"pid", "file"}`` as JSON."""

FIRST_STAGE = "overseer_first_stage"
"""As which the new program finds the module that has started it, ``upgrade/standalone/stage``."""

_NAME = "overseer-state"
_HEAD = b"overseer-state"
_BLOB = "\0blob"  # in place of bytes among values


class Outgoing:
    """Collects what is handed over beside the values."""

    def __init__(self) -> None:
        self.descriptors: list[int] = []
        self.pipes: list[int] = []  # those of them that tasks write to
        self.blobs: list[bytes] = []
        self._known: dict[int, int] = {}  # by identity, as many clients may be sent the same bytes

    def fd(self, number: int) -> int:
        """Hand over a descriptor."""
        if number >= 0:
            self.descriptors.append(number)
        return number

    def pipe(self, number: int) -> int:
        """Hand over a descriptor that a task writes to."""
        self.pipes.append(number)
        return self.fd(number)

    def blob(self, data: bytes) -> int:
        """Hand over bytes; returns their number. They must not be changed or dropped before the end."""
        index = self._known.get(id(data))
        if index is None or self.blobs[index] is not data:
            index = self._known[id(data)] = len(self.blobs)
            self.blobs.append(data)
        return index

    def with_blobs(self, value: Any) -> Any:
        """A value whose bytes are handed over beside it; :meth:`Incoming.with_bytes` has them again."""
        if isinstance(value, bytes):
            return {_BLOB: self.blob(value)}
        if isinstance(value, Mapping):
            return {name: self.with_blobs(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.with_blobs(each) for each in value]
        return value


class Incoming:
    """Gives out what came beside the values.

    Args:
        rehearsal: the descriptors are another process's: stand-ins are made for them.
        kept: see :meth:`kept`.
    """

    def __init__(
        self, blobs: list[bytes], *, rehearsal: bool = False, kept: Mapping[int, bytes] | None = None
    ) -> None:
        self._blobs = blobs
        self.rehearsal = rehearsal
        self._kept = kept or {}

    def kept(self, number: int) -> bytes:
        """What was read of a descriptor since the state was written."""
        return self._kept.get(number, b"")

    def blob(self, index: int) -> bytes:
        return self._blobs[index]

    def with_bytes(self, value: Any) -> Any:
        """What :meth:`Outgoing.with_blobs` was given."""
        if isinstance(value, dict):
            if value.keys() == {_BLOB}:
                return self.blob(value[_BLOB])
            return {name: self.with_bytes(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.with_bytes(each) for each in value]
        return value

    def fd(self, number: int) -> int:
        """A descriptor, which no program started from now on inherits.

        Raises:
            OSError: there is none of that number.
        """
        if number < 0:
            return -1
        if self.rehearsal:
            return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        os.set_inheritable(number, False)
        return number

    def socket(self, number: int) -> socket.socket:
        """A socket. Raises OSError: there is none of that number."""
        if self.rehearsal:
            return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.set_inheritable(number, False)
        return socket.socket(fileno=number)


def pack(values: Mapping[str, Any], blobs: Iterable[bytes] = (), *, form: int = FORMAT) -> bytes:
    """The state as bytes."""
    parts = list(blobs)
    data = json.dumps({**values, "blobs": [len(part) for part in parts]}, separators=(",", ":")).encode()
    return b"".join([b"%b %d %d\n" % (_HEAD, form, len(data)), data, *parts])


def unpack(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The values, and the bytes beside them.

    Raises:
        OverseerError: this is no state, or one that this program cannot read.
    """
    head, _, rest = data.partition(b"\n")
    try:
        name, form, size = head.split(b" ")
        number, length = int(form), int(size)
        if name != _HEAD:
            raise ValueError
    except ValueError:
        raise OverseerError("this is not a server's state") from None
    if not 1 <= number <= FORMAT:
        raise OverseerError(f"the state has format {number}, and this program reads formats up to {FORMAT}")
    try:
        values: dict[str, Any] = json.loads(rest[:length])
        sizes: list[int] = values.pop("blobs")
    except (ValueError, KeyError, AttributeError):
        raise OverseerError("the state is damaged") from None
    blobs, place = [], length
    for each in sizes:
        blobs.append(rest[place : place + each])
        place += each
    if place != len(rest):
        raise OverseerError("the state is incomplete")
    return values, blobs


def to_memory(data: bytes, name: str = _NAME) -> int:
    """A descriptor of a file in memory with these bytes, to be read from its beginning.

    Raises:
        OSError: it cannot be made.
    """
    fd = os.memfd_create(name)
    try:
        rest = memoryview(data)
        while rest:  # a file size limit may cause a short write
            rest = rest[os.write(fd, rest) :]
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd


def from_memory(fd: int) -> bytes:
    """All that such a file has. Raises OSError."""
    size = os.fstat(fd).st_size
    parts, place = [], 0
    while place < size:
        part = os.pread(fd, size - place, place)
        if not part:
            break
        parts.append(part)
        place += len(part)
    return b"".join(parts)
