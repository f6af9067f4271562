"""A disk that is slow, hangs or fails on command: a FUSE file system over a directory.

Run as a program by :func:`sick_disk`. It is told on stdin what is wrong with it, and unmounts at the end of
that. It takes no library: only a descriptor, and some structures of linux/fuse.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_IN = struct.Struct("<IIQQIIIHH")
_OUT = struct.Struct("<IiQ")
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_BUFFER = 2**20 + 4096
_DETACH = 2  # of umount2
_NOSUID_NODEV = 2 | 4
_BIG_WRITES = 1 << 5
_PLUS_FH = 1 << 6  # of setattr: a file handle is given

# What changes something, and what waits for it to be durable.
_WRITES = frozenset({"SETATTR", "MKDIR", "UNLINK", "RMDIR", "RENAME", "RENAME2", "WRITE", "FSYNC", "FSYNCDIR",
                     "CREATE", "FALLOCATE"})  # fmt: skip
_NAMES = {
    1: "LOOKUP", 2: "FORGET", 3: "GETATTR", 4: "SETATTR", 9: "MKDIR", 10: "UNLINK", 11: "RMDIR", 12: "RENAME",
    14: "OPEN", 15: "READ", 16: "WRITE", 17: "STATFS", 18: "RELEASE", 20: "FSYNC", 25: "FLUSH", 26: "INIT",
    27: "OPENDIR", 28: "READDIR", 29: "RELEASE", 30: "FSYNCDIR", 35: "CREATE", 36: "INTERRUPT", 42: "FORGET",
    43: "FALLOCATE", 45: "RENAME2",
}  # fmt: skip
_ALWAYS = frozenset({"INIT", "FORGET", "INTERRUPT", "FLUSH", "RELEASE"})
_FROM_CACHE = 1  # of write: of a page in memory. Whoever exits would wait for it, as for no local disk.


class SickDisk:
    """The test's end of it. ``path``: where it is mounted."""

    def __init__(self, path: Path, process: subprocess.Popen[str]) -> None:
        self.path = path
        self._process = process

    def hangs(self, what: str = "all") -> None:
        """From now on nothing is answered, or no ``writes``."""
        self._tell(f"hang {what}")

    def is_slow(self, seconds: float) -> None:
        """From now on each write takes so long."""
        self._tell(f"slow {seconds}")

    def fails(self, error: int) -> None:
        """From now on writes fail."""
        self._tell(f"fail {error}")

    def is_well(self) -> None:
        """What has hung is done now."""
        self._tell("well")

    def _tell(self, what: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def sick_disk(directory: Path) -> Iterator[SickDisk]:
    """A disk that is well to begin with, if this user may mount one."""
    backing, path = directory / "backing", directory / "disk"
    backing.mkdir()
    path.mkdir()
    with subprocess.Popen(
        [sys.executable, __file__, str(backing), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        if said != "mounted":
            pytest.skip(f"no disk can be mounted here: {said}")
        try:
            yield SickDisk(path, process)
        finally:
            process.stdin.close()
            process.wait(30)


class _FileSystem:
    """Answers the kernel's requests. An inode is a descriptor that names a file below ``backing``."""

    def __init__(self, backing: str) -> None:
        self._inodes = {1: os.open(backing, os.O_PATH)}
        self._numbers: dict[tuple[int, int], int] = {}  # of inodes, by device and inode there
        self._listings: dict[int, list[str]] = {}

    def answer(self, name: str, node: int, body: bytes) -> bytes | None:
        """The answer to a request, None if it takes none. Raises OSError."""
        handler: Callable[[int, bytes], bytes | None] | None = getattr(self, f"_{name.lower()}", None)
        if handler is None:
            raise OSError(errno.ENOSYS, name)
        return handler(node, body)

    def _init(self, node: int, body: bytes) -> bytes:
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, 65536, _BIG_WRITES, 16, 12, 65536, 1, 0, 0, 0)

    def _lookup(self, node: int, body: bytes) -> bytes:
        return self._entry(node, _string(body))

    def _entry(self, parent: int, name: str) -> bytes:
        file = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self._inodes[parent])
        status = os.fstat(file)
        key = status.st_dev, status.st_ino
        if key in self._numbers:
            os.close(file)
        else:
            self._numbers[key] = number = len(self._inodes) + 1
            self._inodes[number] = file
        return struct.pack("<QQQQII", self._numbers[key], 0, 0, 0, 0, 0) + _attributes(status)

    def _forget(self, node: int, body: bytes) -> None:
        return None

    def _getattr(self, node: int, body: bytes) -> bytes:
        return bytes(16) + _attributes(os.fstat(self._inodes[node]))

    def _setattr(self, node: int, body: bytes) -> bytes:
        valid, _, _, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, _, _, _, _ = struct.unpack_from(
            "<IIQQQQQQIIIIIIII", body
        )
        path = self._path(node)
        if valid & 1:
            os.chmod(path, mode & 0o7777)  # noqa: PTH101
        if valid & 8:
            os.truncate(path, size)
        if valid & (16 | 32):
            status = os.stat(path)  # noqa: PTH116
            now = time.time_ns()
            times = [
                now if valid & at_once else seconds * 10**9 + rest if valid & given else old
                for given, at_once, seconds, rest, old in (
                    (16, 128, atime, atime_ns, status.st_atime_ns),
                    (32, 256, mtime, mtime_ns, status.st_mtime_ns),
                )
            ]
            os.utime(path, ns=(times[0], times[1]))
        return self._getattr(node, body)

    def _mkdir(self, node: int, body: bytes) -> bytes:
        mode, umask = struct.unpack_from("<II", body)
        name = _string(body[8:])
        os.mkdir(name, mode & ~umask, dir_fd=self._inodes[node])
        return self._entry(node, name)

    def _unlink(self, node: int, body: bytes) -> bytes:
        os.unlink(_string(body), dir_fd=self._inodes[node])
        return b""

    def _rmdir(self, node: int, body: bytes) -> bytes:
        os.rmdir(_string(body), dir_fd=self._inodes[node])
        return b""

    def _rename(self, node: int, body: bytes, skip: int = 8) -> bytes:
        (to,) = struct.unpack_from("<Q", body)
        old, new = body[skip:].split(b"\0")[:2]
        os.rename(old, new, src_dir_fd=self._inodes[node], dst_dir_fd=self._inodes[to])
        return b""

    def _rename2(self, node: int, body: bytes) -> bytes:
        return self._rename(node, body, 16)

    def _open(self, node: int, body: bytes) -> bytes:
        (flags,) = struct.unpack_from("<I", body)
        # The kernel reads what it is to append to or to write a part of a page of.
        flags = flags & ~(os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_ACCMODE | os.O_NOFOLLOW) | os.O_RDWR
        return struct.pack("<QII", os.open(self._path(node), flags), 0, 0)

    def _create(self, node: int, body: bytes) -> bytes:
        flags, mode, umask = struct.unpack_from("<III", body)
        name = _string(body[16:])
        flags = flags & ~(os.O_APPEND | os.O_ACCMODE) | os.O_RDWR | os.O_CREAT
        file = os.open(name, flags, mode & ~umask, dir_fd=self._inodes[node])
        return self._entry(node, name) + struct.pack("<QII", file, 0, 0)

    def _read(self, node: int, body: bytes) -> bytes:
        file, offset, size = struct.unpack_from("<QQI", body)
        return os.pread(file, size, offset)

    def _write(self, node: int, body: bytes) -> bytes:
        file, offset, size = struct.unpack_from("<QQI", body)
        return struct.pack("<II", os.pwrite(file, body[40 : 40 + size], offset), 0)

    def _statfs(self, node: int, body: bytes) -> bytes:
        found = os.fstatvfs(self._inodes[1])
        return struct.pack(
            "<QQQQQIIII24x",
            *(found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree),
            *(found.f_bsize, found.f_namemax, found.f_frsize, 0),
        )

    def _release(self, node: int, body: bytes) -> bytes:
        (file,) = struct.unpack_from("<Q", body)
        self._listings.pop(file, None)
        os.close(file)
        return b""

    def _flush(self, node: int, body: bytes) -> bytes:
        return b""

    _fsync = _fsyncdir = _flush

    def _fallocate(self, node: int, body: bytes) -> bytes:
        raise OSError(errno.EOPNOTSUPP, "fallocate")

    def _opendir(self, node: int, body: bytes) -> bytes:
        file = os.open(self._path(node), os.O_RDONLY | os.O_DIRECTORY)
        self._listings[file] = os.listdir(file)  # noqa: PTH208
        return struct.pack("<QII", file, 0, 0)

    def _readdir(self, node: int, body: bytes) -> bytes:
        file, offset, size = struct.unpack_from("<QQI", body)
        found = b""
        for place, name in enumerate(self._listings[file][offset:], offset + 1):
            text = name.encode("utf-8", "surrogateescape")
            entry = struct.pack("<QQII", 1, place, len(text), 0) + text
            entry += bytes(-len(entry) % 8)
            if len(found) + len(entry) > size:
                break
            found += entry
        return found

    def _path(self, node: int) -> str:
        return f"/proc/self/fd/{self._inodes[node]}"


def _string(body: bytes) -> str:
    return body[: body.index(b"\0")].decode("utf-8", "surrogateescape")


def _attributes(status: os.stat_result) -> bytes:
    times = [status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns]
    return _ATTR.pack(
        *(status.st_ino, status.st_size, status.st_blocks, *(each // 10**9 for each in times)),
        *(each % 10**9 for each in times),
        *(status.st_mode, status.st_nlink, status.st_uid, status.st_gid, 0, status.st_blksize, 0),
    )


class _Held(tuple[float, int, str, int, bytes]):
    """A request: when it is answered, its number, name, inode and body."""

    __slots__ = ()


class _Server:
    def __init__(self, device: int, files: _FileSystem) -> None:
        self._device = device
        self._files = files
        self._held: list[_Held] = []
        self._hangs = ""
        self._delay = 0.0
        self._error = 0

    def run(self) -> None:
        """Until stdin has ended."""
        said = b""
        while True:
            next_one = min((each[0] for each in self._held), default=float("inf"))
            wait = None if next_one == float("inf") else max(0.0, next_one - time.monotonic())
            ready, _, _ = select.select([0, self._device], [], [], wait)
            if 0 in ready:
                if not (more := os.read(0, 4096)):
                    return
                *commands, said = (said + more).split(b"\n")
                for command in commands:
                    self._obey(command.decode().split())
            if self._device in ready:
                self._take()
            due = [each for each in self._held if each[0] <= time.monotonic()]
            self._held = [each for each in self._held if each not in due]
            for each in due:
                self._answer(*each[1:])

    def _obey(self, command: list[str]) -> None:
        self._hangs, self._delay, self._error = "", 0.0, 0
        match command:
            case ["hang", what]:
                self._hangs = what
            case ["slow", seconds]:
                self._delay = float(seconds)
            case ["fail", number]:
                self._error = int(number)
        held, self._held = self._held, []
        for each in held:
            self._begin(*each[1:])
        os.write(1, b"done\n")

    def _take(self) -> None:
        try:
            data = os.read(self._device, _BUFFER)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):  # it was called off
                return
            raise
        _, code, number, node, *_ = _IN.unpack_from(data)
        name, body = _NAMES.get(code, str(code)), data[_IN.size :]
        if name == "INTERRUPT":  # of who is killed while it waits
            (which,) = struct.unpack_from("<Q", body)
            for each in [each for each in self._held if each[1] == which]:
                self._held.remove(each)
                self._reply(which, errno.EINTR, b"")
            return
        self._begin(number, name, node, body)

    def _begin(self, number: int, name: str, node: int, body: bytes) -> None:
        writes = name in _WRITES
        if name in _ALWAYS or (name == "WRITE" and struct.unpack_from("<I", body, 20)[0] & _FROM_CACHE):
            self._answer(number, name, node, body)
        elif self._hangs == "all" or (self._hangs == "writes" and writes):
            self._held.append(_Held((float("inf"), number, name, node, body)))
        elif writes and self._delay:
            self._held.append(_Held((time.monotonic() + self._delay, number, name, node, body)))
        elif writes and self._error:
            self._reply(number, self._error, b"")
        else:
            self._answer(number, name, node, body)

    def _answer(self, number: int, name: str, node: int, body: bytes) -> None:
        try:
            answer = self._files.answer(name, node, body)
        except OSError as error:
            self._reply(number, error.errno or errno.EIO, b"")
        else:
            if answer is not None:
                self._reply(number, 0, answer)

    def _reply(self, number: int, error: int, body: bytes) -> None:
        try:
            os.write(self._device, _OUT.pack(_OUT.size + len(body), -error, number) + body)
        except OSError as problem:
            if problem.errno not in (errno.ENOENT, errno.EINVAL):  # nobody waits for it any more
                raise


def _main(backing: str, path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}".encode()
        if libc.mount(b"sick", path.encode(), b"fuse.sick", _NOSUID_NODEV, options):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    except OSError as error:
        print(error, flush=True)
        return
    print("mounted", flush=True)
    try:
        _Server(device, _FileSystem(backing)).run()
    finally:
        os.close(device)  # whoever hangs fails
        libc.umount2(path.encode(), _DETACH)


if __name__ == "__main__":
    _main(*sys.argv[1:])
