"""Runs a document: its blocks one after the other, in a directory, as a reader would.

A block is run by its language: ``sh`` by bash, all of them by one and the same, ``python`` by Python;
``yaml`` is loaded as a configuration. ``text`` is not run. An HTML comment on the line before says more,
separated by semicolons::

    <!-- file: NAME -->      only written to this file (a yaml is loaded as well, unless ``file only:``)
    <!-- under: KEY -->      a yaml: what may stand below this key of a file
    <!-- check -->           a yaml: only its syntax and keys, for it names files that are not there
    <!-- expect: TEXT -->    what is said must contain TEXT
    <!-- status: N -->       the exit status; 0 unless said
    <!-- wait: TEXT -->      a server was started: go on when a ``*.log`` file or what it said has TEXT
    <!-- background: TEXT -->  the same for what does not return, in a terminal of its own
    <!-- arguments: ... -->  for a python block

The directory has what a reader's checkout has beside it: the shipped config.yaml and ``packaging``. The port
8080 is replaced by a free one. ``make``, ``sudo``, ``systemctl``, ``journalctl`` and ``docker``, which
would change the machine, are stood in for by programs that do nothing but ``make run``.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from jsonschema import Draft7Validator

from overseer.config import load_config
from overseer.config.jsonschema import config_schema
from overseer.config.yaml_tree import parse_yaml
from overseer.drivers.api import build_action_handlers
from overseer.schema.location import Report
from overseer.schema.nodes import to_value
from overseer.testing.leaks import wait_for_exit
from tests.harness import ROOT, marked_processes
from tests.harness.daemon import MARKER

__all__ = ["Block", "Session", "blocks_of"]

_BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LIMIT_S = 60
_STAND_INS = ("sudo", "systemctl", "journalctl", "docker")
_MAKE = """\
#!/bin/sh
[ "$1" != run ] || exec {python} {root}/sticky_overseer.py --config {root}/config.yaml
"""


@dataclass(frozen=True)
class Block:
    """One block of a document, with what the comment before it says."""

    number: int
    line: int
    language: str
    text: str
    said: dict[str, str] = field(default_factory=dict)


def blocks_of(document: Path) -> list[Block]:
    text = document.read_text("utf-8")
    found = []
    for number, match in enumerate(_BLOCK.finditer(text)):
        parts = [part.strip().partition(":") for part in (match[1] or "").split(";") if part.strip()]
        said = {name.strip(): value.strip() for name, _, value in parts}
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(number, line, match[2], match[3], said))
    assert len(found) == len(re.findall(r"^```\w+$", text, re.MULTILINE))
    return found


class Session:
    """A directory in which the blocks of one document are run; ends every process that they leave."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._marker = uuid.uuid4().hex
        self._servers: list[subprocess.Popen[bytes]] = []
        shutil.copy(ROOT / "config.yaml", directory)
        shutil.copytree(ROOT / "packaging", directory / "packaging")
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self._port = str(sock.getsockname()[1])
        (directory / "mycompany").mkdir()
        (directory / "mycompany/drivers.py").touch()  # somebody's own
        programs = directory / ".bin"
        programs.mkdir()
        python = shlex.quote(sys.executable)
        scripts = dict.fromkeys(_STAND_INS, "#!/bin/sh\n")
        scripts["make"] = _MAKE.format(python=python, root=ROOT)
        scripts["sticky-overseer"] = f'#!/bin/sh\nexec {python} {ROOT}/sticky_overseer.py "$@"\n'
        (directory / ".venv").mkdir()
        (directory / ".venv/bin").symlink_to(programs)
        scripts["overseerctl"] = f'#!/bin/sh\nexec {python} -m overseer.ctl "$@"\n'
        scripts["python3"] = scripts["python"] = f'#!/bin/sh\nexec {python} "$@"\n'
        for name, script in scripts.items():
            (programs / name).write_text(script)
            (programs / name).chmod(0o755)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OVERSEER_")},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(directory),
            "OVERSEER_URL": f"ws://127.0.0.1:{self._port}/ws",
            "OVERSEER_LISTEN": f"127.0.0.1:{self._port}",
            "OVERSEER_CHECK_LOCKS": os.environ["OVERSEER_CHECK_LOCKS"],
            MARKER: self._marker,
        }
        self._environment = environment
        # A reader has one, with its directory, its variables and its background jobs.
        self._shell = subprocess.Popen(
            ["bash", "-uo", "pipefail"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, block: Block) -> None:
        """Run one block and check what came of it."""
        text = block.text.replace("8080", self._port)
        if "file only" in block.said or "file" in block.said:
            path = self.directory / (block.said.get("file") or block.said["file only"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if block.language == "yaml" and "file only" not in block.said:
            under = f"{block.said['under']}:\n" if "under" in block.said else ""
            self._load(under + text, build="check" not in block.said)
        elif block.language == "sh":
            if "background" in block.said:
                self._start(block, text)
            else:
                self._type(block, text)
        elif block.language == "python" and "file" not in block.said:
            arguments = shlex.split(block.said.get("arguments", ""))
            self._call(block, [sys.executable, "-c", text, *arguments])

    def close(self) -> None:
        for pid in marked_processes(self._marker):
            os.kill(pid, signal.SIGTERM)
        for pid in marked_processes(self._marker):
            if not wait_for_exit(pid, 10.0):
                os.kill(pid, signal.SIGKILL)
        for server in self._servers:
            server.wait(10)
        if self._shell.stdin is not None:
            self._shell.stdin.close()
        self._shell.wait(10)

    def _load(self, text: str, *, build: bool) -> None:
        values = to_value(parse_yaml(text, Report("example")))  # type: ignore[arg-type]
        assert [error.message for error in Draft7Validator(config_schema()).iter_errors(values)] == []
        path = self.directory / ".example.yaml"
        path.write_text(text)
        config = load_config(path, {})
        assert config.warnings == ()
        if build:
            build_action_handlers(config)

    def _start(self, block: Block, text: str) -> None:
        """Run what does not return; go on when it has said what it is to say."""
        said = self._said(block)
        with said.open("wb") as file:
            self._servers.append(
                subprocess.Popen(
                    ["bash", "-euo", "pipefail", "-c", text],
                    cwd=self.directory,
                    env=self._environment,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            )
        self._wait(block.said["background"], said, block.text)

    def _type(self, block: Block, text: str) -> None:
        """Run a block in the reader's shell; its status is that of the first command in it that failed."""
        script, told = self.directory / f".block-{block.number}", self.directory / f".told-{block.number}"
        script.write_text(text)
        os.mkfifo(told)
        descriptor = os.open(told, os.O_RDWR | os.O_CLOEXEC)  # both, or its end would come with each writer's
        try:
            assert self._shell.stdin is not None
            self._shell.stdin.write(
                f"failed=0; trap 'last=$?; [ $failed != 0 ] || failed=$last' ERR; . {script} "
                f">{self._said(block)} 2>&1 </dev/null; trap - ERR; echo $failed >{told}\n".encode()
            )
            self._shell.stdin.flush()
            ready, _, _ = select.select([descriptor], [], [], _LIMIT_S)
            assert ready, f"line {block.line} does not return: {block.text}\n{self._said(block).read_text()}"
            status = int(os.read(descriptor, 16))
        finally:
            os.close(descriptor)
        self._check(block, status)

    def _call(self, block: Block, command: list[str]) -> None:
        with self._said(block).open("wb") as file:
            done = subprocess.run(
                command,
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=_LIMIT_S,
            )
        self._check(block, done.returncode)

    def _said(self, block: Block) -> Path:
        """What it says goes to a file: a server in the background would keep a pipe open."""
        return self.directory / f".said-{block.number}"

    def _check(self, block: Block, status: int) -> None:
        output = self._said(block).read_text()
        shown = f"line {block.line}: {block.text}\n{output}"
        assert status == int(block.said.get("status", 0)), shown
        assert block.said.get("expect", "") in output, shown
        if wanted := block.said.get("wait"):
            self._wait(wanted, self._said(block), shown)

    def _wait(self, wanted: str, said: Path, shown: str) -> None:
        deadline = time.monotonic() + _LIMIT_S
        while not any(wanted in path.read_text() for path in (said, *self.directory.rglob("*.log"))):
            assert time.monotonic() < deadline, shown
            time.sleep(0.02)  # a file tells nobody that it has grown
