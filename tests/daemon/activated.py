"""Starts the server as a service manager does that listens for it: ``activated.py --config ...``.

TEST_LISTEN in the environment says what to pass: ``tcp``, ``tcp tcp``, ``unix:PATH``, ``file`` (no socket).
"""

import os
import socket
import sys
from pathlib import Path

program = str(Path(__file__).resolve().parents[2] / "sticky_overseer.py")
wanted = os.environ.pop("TEST_LISTEN").split()
opened: list[int] = []
for each in wanted:
    if each == "file":
        opened.append(os.open(os.devnull, os.O_RDONLY))
        continue
    path = each.removeprefix("unix:")
    family = socket.AF_INET if path == "tcp" else socket.AF_UNIX
    sock = socket.socket(family, socket.SOCK_STREAM)
    if not Path(path).exists():
        sock.bind(("127.0.0.1", 0) if path == "tcp" else path)
    sock.listen()
    opened.append(sock.detach())
for place, fd in enumerate(opened, start=3):
    os.dup2(fd, place + 50)
for place in range(3, 3 + len(opened)):
    os.dup2(place + 50, place, inheritable=True)
    os.close(place + 50)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(opened)), LISTEN_FDNAMES="a:b")
os.execv(sys.executable, [sys.executable, program, *sys.argv[1:]])
