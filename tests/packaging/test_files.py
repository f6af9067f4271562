"""Unit, Dockerfile and compose file: what can be checked of them without a manager or an engine."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from overseer.daemon.cli import _parser
from tests.harness import ROOT, Daemon

PACKAGING = ROOT / "packaging"
UNITS = ("sticky-overseer.service", "sticky-overseer.socket")
DOCKERFILE = (PACKAGING / "Dockerfile").read_text().replace("\\\n", " ")


def instructions(name: str) -> list[str]:
    return re.findall(rf"^\s*{name} +(.*)$", DOCKERFILE, re.MULTILINE)


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    for name in UNITS:
        # Where it is installed there is such a program.
        text = (PACKAGING / name).read_text().replace("/usr/local/bin/sticky-overseer", sys.executable)
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name in UNITS)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_calls_the_program_as_it_wants_to_be_called() -> None:
    lines = (PACKAGING / "sticky-overseer.service").read_text().splitlines()
    calls = [
        shlex.split(line.partition("=")[2]) for line in lines if line.startswith(("ExecStart", "ExecReload"))
    ]
    ours = [call for call in calls if call[0].endswith("sticky-overseer")]
    assert len(ours) == 2
    for call in ours:
        assert _parser().parse_args(call[1:]).config == "/etc/sticky-overseer/config.yaml"
    assert ["/bin/kill", "-HUP", "$MAINPID"] in calls


def test_the_unit_leaves_the_ending_of_tasks_to_the_server() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(PACKAGING / "sticky-overseer.service")
    service = unit["Service"]
    assert (service["Type"], service["KillMode"], service["User"]) == ("notify", "mixed", "overseer")
    assert service["NoNewPrivileges"] == "yes"


def test_the_image_copies_what_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    sources = [
        word for line in instructions("COPY") if not line.startswith("--from") for word in line.split()[:-1]
    ]
    assert {"overseer", "playground", "setup.cfg"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_the_image_runs_our_command_as_nobody_special() -> None:
    assert instructions("USER")[-1] != "root"
    (entry,) = map(json.loads, instructions("ENTRYPOINT"))
    (arguments,) = [json.loads(line) for line in instructions("CMD") if "--config" in line]
    scripts = (ROOT / "setup.cfg").read_text()
    assert f"\n    {entry[0]} = " in scripts
    _parser().parse_args(arguments)
    base = re.search(r"^FROM python:(\S+?)-slim$", DOCKERFILE, re.MULTILINE)
    assert base is not None
    assert tuple(map(int, base[1].split("."))) >= (3, 11)


def test_the_images_healthcheck_tells_a_server_from_none() -> None:
    (line,) = instructions("HEALTHCHECK")
    command: list[str] = json.loads(line.partition("CMD ")[2])
    with Daemon() as daemon:
        assert check(command, daemon.address) == 0
        address = daemon.address
    assert check(command, address) != 0


def check(command: list[str], address: str) -> int:
    call = [sys.executable, *(word.replace("127.0.0.1:8080", address) for word in command[1:])]
    return subprocess.run(call, stderr=subprocess.DEVNULL, timeout=30).returncode


def test_the_compose_file_names_what_is_there() -> None:
    compose: dict[str, Any] = yaml.safe_load((PACKAGING / "compose.yaml").read_text())
    service = compose["services"]["overseer"]
    context = PACKAGING / service["build"]["context"]
    assert (context / service["build"]["dockerfile"]).resolve() == PACKAGING / "Dockerfile"
    for volume in service["volumes"]:
        source, target = volume.split(":")[:2]
        assert source in compose["volumes"] or (PACKAGING / source).resolve().exists()
        assert target in DOCKERFILE
    assert set(service["secrets"]) == set(compose["secrets"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
