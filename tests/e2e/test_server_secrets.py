"""The server's own secrets: commands get them, nothing that is said shows them, and no file is left."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from overseer.ctl import main
from overseer.process.standalone.private import PREFIX
from tests.faults.support import wait_until
from tests.harness import Daemon, WsClient, run_program, shell

FILE = "file-hunter2/+<é>\"'\\-end"
ENV = "environment-hunter2"
LINES = (
    "-----BEGIN PRIVATE KEY-----",
    "MIIEvQIBADANBgkqhkiG9w0BAQ",
    "EFAASCBKcwggSjAgEAAoIBAQC7",
    "-----END KEY-----",
)
COMMAND = "\n".join(LINES)
PARAM = "param-hunter2-$x"
VALUES = (FILE, ENV, *LINES[1:3], PARAM)
SHAPES = (
    *("file-hunter2", "environment-h", "param-hunter"),  # however the rest is written
    *VALUES,
    *(json.dumps(each)[1:-1] for each in VALUES),
    *(base64.b64encode(each.encode()).decode()[:-4] for each in (*VALUES, COMMAND)),
)
# Prints what it got in every way, in pieces too, and fails.
PRINTS = """
import base64, fcntl, json, os, sys, termios
values = [os.environ[name] for name in ("F", "E", "P")] + [open(os.environ["C"]).read()]
for value in values:
    print("plain", value)
    print(json.dumps({"value": value}), json.dumps(value, ensure_ascii=False), repr(value))
    print(base64.b64encode(value.encode()).decode(), base64.b64encode(b"me:" + value.encode()).decode())
    print(base64.encodebytes(value.encode()).decode())
    print(value, file=sys.stderr)
    for piece in (value[:5], value[5:9], value[9:], "\\n"):
        sys.stdout.write(piece)
        sys.stdout.flush()
        while fcntl.ioctl(1, termios.FIONREAD, bytes(4)) != bytes(4): pass  # until it has been read
print("x" * 9990 + values[0])
sys.exit(1)
"""
GIVEN: dict[str, Any] = {
    "env": {"F": {"secret": "file"}, "E": {"secret": "env"}, "P": "[[.password]]"},
    "secret_files": {"C": "command"},
    "parameters": {"password": {"type": "secret"}},
}
ACTIONS: dict[str, Any] = {
    "prints": {
        "type": "exec",
        "retry": {"error_threshold": 1},
        "config": {"entrypoint": sys.executable, "command": ["-c", PRINTS], **GIVEN},
    },
    "holds": shell('cat "$C"; echo; exec sleep 60', config=GIVEN),
    "as_nobody": shell(
        'cat "$C"; echo; stat -c "%a %U" "$C" "${C%/*}"', config={**GIVEN, "user": "nobody"}
    ),
    "filtered": shell(
        'echo "$E"; echo other',
        config={**GIVEN, "output": {"stdout": {"condition": f"!output.data.contains('{ENV}')"}}},
    ),
    "asks": shell('printf "password: $E"; exec sleep 60', config=GIVEN),
    "broken": {"type": "exec", "config": {"entrypoint": "/nowhere/none", **GIVEN}},
    "astray": shell("true", config={**GIVEN, "cwd": "/nowhere/[[.where]]", "parameters": {
        **GIVEN["parameters"], "where": {"type": "secret", "allow_in_argv": True, "default": ""}
    }}),
    "missing": shell("true", config={"env": {"M": {"secret": "missing"}}}),
    "failing": shell("true", config={"env": {"M": {"secret": "failing"}}}),
    "nul": shell("true", config={"env": {"M": {"secret": "nul"}}}),
    "other": shell("echo ready; exec sleep 60"),
}  # fmt: skip


def secrets(directory: Path) -> dict[str, Any]:
    (directory / "file").write_text(FILE + "\n")
    (directory / "command").write_text(COMMAND + "\n")
    (directory / "nul").write_text(f"{FILE}\0")
    for path in directory.iterdir():
        path.chmod(0o600)
    return {
        "file": {"file": str(directory / "file")},
        "env": {"env": "MY_SECRET"},
        "command": {"command": ["cat", str(directory / "command")]},
        "missing": {"file": str(directory / "no such file")},
        "failing": {"command": ["sh", "-c", f"cat {directory}/file; cat {directory}/file >&2; exit 9"]},
        "nul": {"file": str(directory / "nul")},
    }


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(
        actions=ACTIONS,
        secrets=secrets(tmp_path_factory.mktemp("secrets")),
        environment={"MY_SECRET": ENV},
        audit_file="audit.jsonl",
        log_file="events.jsonl",
        data_dir="data",
        limits={"max_line": 10_000},
    ) as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client


def end(client: WsClient, task_id: str) -> None:
    client.send("stop", task_id=task_id)
    client.expect("exited", task_id=task_id, reason="stopped")


def variables(pid: int) -> dict[str, str]:
    """The environment of a process."""
    texts = Path(f"/proc/{pid}/environ").read_bytes().decode().rstrip("\0").split("\0")
    return dict(each.partition("=")[::2] for each in texts)


def left(server_id: str) -> list[Path]:
    """Directories of a server's private files."""
    return list(Path("/dev/shm").glob(f"{PREFIX}{server_id}-*"))


def everything(daemon: Daemon, client: WsClient, capfd: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Whatever somebody might be shown by the server, by where it is shown."""
    said = {}
    for request in ("list", "describe", "manifest", "metrics", "pool_info", "usage", "runs", "reload"):
        said[request] = json.dumps(client.request(request), ensure_ascii=False)
    for path in ("metrics", "openapi.json", "asyncapi.json", "ws/manifest"):
        with urllib.request.urlopen(f"http://{daemon.address}/{path}", timeout=30) as answer:
            said[path] = answer.read().decode()
    for name in ("audit.jsonl", "events.jsonl"):
        said[name] = (daemon.directory / name).read_text("utf-8")
    for path in filter(Path.is_file, (daemon.directory / "data").rglob("*")):
        said[str(path)] = path.read_bytes().decode("utf-8", "replace")
    assert any(place.endswith("overseer.db") for place in said)
    assert any(place.endswith(".log") for place in said)
    said["stderr"] = daemon.stderr
    for command in (("list",), ("history",), ("actions",), ("describe", "prints")):
        capfd.readouterr()
        main(["--url", daemon.url, *command])
        said[f"overseerctl {' '.join(command)}"] = "".join(capfd.readouterr())
    return said


def test_nothing_that_the_server_says_or_writes_shows_one(
    daemon: Daemon, client: WsClient, capfd: pytest.CaptureFixture[str]
) -> None:
    params = {"password": PARAM}
    other = client.request("start", action="other", task_id="other", params={})
    client.expect("output", task_id="other")
    client.request("start", action="prints", task_id="p", params=params, partial=True)
    client.expect("errored", task_id="p")
    client.request("start", action="holds", task_id="h", params=params)
    refused = [
        client.request("start", action=action, params=given)
        for action, given in (
            ("broken", params),
            ("astray", {**params, "where": PARAM}),
            ("missing", {}),
            ("failing", {}),
            ("nul", {}),
            ("prints", {"password": "***"}),
        )
    ]
    assert [each["type"] for each in refused] == ["error"] * 6
    requests = [
        client.request("signal", task_id="h", signal="SIGCONT"),
        client.request("reset", task_id="p"),
        client.expect("errored", task_id="p"),
        client.request("restart", task_id="h"),
        client.request("subscribe", task_id="p"),
    ]
    client.send("replay", task_id="p", since_seq=0)
    held = requests[3]
    client.expect("output", task_id="h", pid=held["pid"], data=LINES[3])  # by then cat is over
    processes = {
        f"/proc/{pid}/{name}": Path(f"/proc/{pid}/{name}").read_bytes().decode("utf-8", "replace")
        for pid in daemon.processes()
        if os.getsid(pid) != held["pid"]
        for name in ("cmdline", "environ")
    }
    assert f"/proc/{other['pid']}/environ" in processes
    assert ENV in Path(f"/proc/{held['pid']}/environ").read_text()
    assert ENV not in Path(f"/proc/{held['pid']}/cmdline").read_text()
    for task in ("h", "other"):
        end(client, task)
    heard = json.dumps([*client.settle(), *client.pending(), *refused, *requests], ensure_ascii=False)
    said = everything(daemon, client, capfd) | processes | {"messages": heard}
    assert {(place, shape) for place, text in said.items() for shape in SHAPES if shape in text} == set()
    assert heard.count("***") > 50


def test_output_is_masked_line_by_line_before_anything_else(client: WsClient) -> None:
    params = {"password": PARAM}
    _, outputs, _ = client.run("filtered", params=params)
    assert [each["data"] for each in outputs] == ["***", "other"], "the filter sees what clients would"
    started = client.request("start", action="holds", params=params)
    lines = [client.expect("output", task_id=started["task_id"])["data"] for _ in range(2)]
    assert lines == [LINES[0], "***"]
    client.request("start", action="asks", params=params, task_id="asks", partial=True)
    assert client.expect("partial", task_id="asks")["data"] == "password: ***"
    for task in (started["task_id"], "asks"):
        end(client, task)


def test_errors_name_the_secret_and_what_is_wrong(client: WsClient) -> None:
    params = {"password": PARAM}
    for action, message in (
        ("missing", "the secret 'missing' cannot be read: "),
        ("failing", "the secret 'failing' cannot be read: sh ended with status 9: ***"),
        ("nul", "cannot start a task: the variable 'M' contains a NUL character"),
        ("astray", "cannot start '/bin/sh': cwd: no such directory: '/nowhere/***'"),
    ):
        more = {"where": "abcdefgh"} if action == "astray" else {}
        given = {**params, **more} if action == "astray" else {}
        assert client.request("start", action=action, params=given)["message"].startswith(message)


def test_describe_shows_names(daemon: Daemon, client: WsClient, capfd: pytest.CaptureFixture[str]) -> None:
    (action,) = client.request("describe", action="holds")["actions"]
    assert action["settings"]["env"] == "F (secret file), E (secret env), P"
    assert action["settings"]["secret_files"] == "C (secret command)"
    assert main(["--url", daemon.url, "describe", "holds"]) == 0
    assert "C (secret command)" in capfd.readouterr().out


def test_a_file_is_there_for_its_run_alone(client: WsClient) -> None:
    params = {"password": PARAM}
    _, outputs, _ = client.run("prints", params=params)
    assert outputs
    assert client.request("start", action="broken", params=params)["type"] == "error"
    started = client.request("start", action="holds", params=params)
    found = variables(started["pid"])
    path = Path(found["C"])
    assert path.read_text() == COMMAND
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o400, 0o700)
    assert left(found["OVERSEER_SERVER_ID"]) == [path.parent]
    end(client, started["task_id"])
    assert left(found["OVERSEER_SERVER_ID"]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run something as another user")
def test_a_file_is_readable_for_the_user_that_its_run_has(client: WsClient) -> None:
    _, outputs, exited = client.run("as_nobody", params={"password": PARAM})
    assert [each["data"] for each in outputs] == [
        LINES[0],
        "***",
        "***",
        LINES[3],
        "400 nobody",
        "700 nobody",
    ]
    assert exited["exit_code"] == 0


@pytest.mark.parametrize("how", ["end", "kill"])
def test_files_do_not_outlive_the_server(how: str, tmp_path: Path) -> None:
    with (
        Daemon(actions=ACTIONS, secrets=secrets(tmp_path), environment={"MY_SECRET": ENV}) as daemon,
        daemon.connect() as client,
    ):
        started = client.request("start", action="holds", params={"password": PARAM})
        wait_until(lambda: "C" in variables(started["pid"]))
        made = Path(variables(started["pid"])["C"]).parent
        if how == "end":
            daemon.stop()
        else:
            os.kill(daemon.pid, signal.SIGKILL)
            daemon.process.wait()
        wait_until(lambda: not made.exists())
        if how == "kill":
            daemon.kill()


def test_a_reload_takes_the_new_set_and_keeps_what_was_in_the_environment(tmp_path: Path) -> None:
    shows = shell("echo ${#A} ${#B}", config={"env": {"A": {"secret": "a"}, "B": {"secret": "b"}}})
    with (
        Daemon(
            actions={"shows": shows},
            secrets={"a": {"env": "MY_SECRET"}, "b": {"command": ["echo", "12345"]}},
            environment={"MY_SECRET": ENV},
        ) as daemon,
        daemon.connect() as client,
    ):

        def lengths() -> str:
            _, (output,), _ = client.run("shows")
            return str(output["data"])

        def reload(**secrets: object) -> dict[str, Any]:
            config = json.loads((daemon.directory / "config.yaml").read_text())
            (daemon.directory / "config.yaml").write_text(json.dumps({**config, "secrets": secrets}))
            return client.request("reload")

        assert lengths() == f"{len(ENV)} 5"
        (tmp_path / "file").write_text("1234567")
        answer = reload(a={"env": "MY_SECRET"}, b={"file": str(tmp_path / "file")})
        assert answer["settings"] == ["secrets"]
        assert lengths() == f"{len(ENV)} 7"
        (tmp_path / "file").write_text("12345678")
        assert lengths() == f"{len(ENV)} 8", "read at each start"
        refused = reload(a={"env": "MY_SECRET"}, c={"env": "MY_SECRET"})
        assert refused["type"] == "error"
        assert 'actions.shows.config.env.B.secret: no secret "b" at the top level' in refused["message"]
        assert lengths() == f"{len(ENV)} 8"


def test_check_names_what_is_not_there(tmp_path: Path) -> None:
    config = {
        "secrets": {"db": {"file": "/nowhere/db"}, "api": {"env": "UNSET_VARIABLE"}},
        "actions": {
            "a": shell(
                "true", config={"env": {"A": {"secret": "dbs"}}, "secret_files": {"B": "x", "A": "db"}}
            )
        },
    }
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps(config, indent=1))
    done = run_program("--check", "--config", str(path), cwd=tmp_path)
    assert done.returncode == 1
    assert "actions.a.config.secret_files.A: A is in env as well: a variable has one value" in done.stderr
    del config["actions"]["a"]["config"]["secret_files"]["A"]  # type: ignore[index]
    path.write_text(json.dumps(config, indent=1))
    done = run_program("--check", "--config", str(path), cwd=tmp_path)
    assert done.returncode == 1
    for line, fault in (
        (21, 'env.A.secret: no secret "dbs" at the top level; did you mean db?'),
        (25, 'secret_files.B: no secret "x" at the top level'),
    ):
        assert f"c.yaml:{line}: actions.a.config.{fault}" in done.stderr
    config["actions"] = {}
    path.write_text(json.dumps(config, indent=1))
    done = run_program("--check", "--config", str(path), cwd=tmp_path)
    assert done.returncode == 0
    assert "secrets.db: /nowhere/db: No such file or directory" in done.stderr
    assert "secrets.api: the environment has no UNSET_VARIABLE" in done.stderr
