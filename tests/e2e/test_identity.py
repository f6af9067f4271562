"""Whom a task runs as, and within which limits: as root, and as anybody else."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import as_nobody
from tests.faults.support import gone
from tests.harness import ROOT, Daemon, WsClient, run_program

_ME = os.getuid() or 54321  # whom as_nobody makes of root
_SHOW = "id -un; id -gn; id -G; echo $HOME $USER $LOGNAME; ulimit -Sn; ulimit -Hn; nice"

_LIMITS = "ulimit -Sn; ulimit -Hn; ulimit -v; nice"


def _action(script: str, **config: Any) -> dict[str, Any]:
    return {"type": "exec", "config": {"entrypoint": "/bin/sh", "command": ["-c", script], **config}}


_ACTIONS = {
    "all": _action(_SHOW, user="daemon", nice=3, rlimits={"nofile": "100:200", "core": 0}),
    "group": _action("id -un; id -gn", user="daemon", group="bin"),
    "numbers": _action("id -u; id -G; echo $HOME $USER", user=34567, group=45678),
    "variables": _action("echo $HOME $USER", user="daemon", env={"HOME": "/mine"}),
    "none": _action("grep Cap /proc/self/status", user="daemon"),
    "limits": _action(_LIMITS, nice=4, rlimits={"nofile": 64, "as": "1GiB"}),
    "self": _action("id -u; echo $HOME $USER", user=_ME),
    "no user": _action("true", user="nobody-of-that-name"),
    "no group": _action("true", group="none-of-that-name"),
    "no entry": _action("true", user=34567),
    "no number": _action("true", user=4294967295),
    "closed": _action("true", user="daemon", cwd="/closed"),
    "high": _action("true", rlimits={"nofile": 2**31 - 1}),
    "urgent": _action("nice", nice=-5),
    "crowded": _action("echo; exec sleep 1000", user=34568, group=34568, rlimits={"nproc": 0}),
    "root": _action("true", user="root"),
}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for its owner alone."""
    folder = tmp_path_factory.mktemp("closed")
    folder.chmod(0o700)
    return folder


@pytest.fixture(scope="module")
def privileged(closed: Path) -> Iterator[Daemon]:
    if os.getuid() != 0:
        pytest.skip("takes root")
    actions = json.loads(json.dumps(_ACTIONS).replace("/closed", str(closed)))
    with Daemon(actions=actions) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def ordinary() -> Iterator[Daemon]:
    with Daemon(actions=_ACTIONS, program=Path(as_nobody.__file__)) as daemon:
        yield daemon


def _output(client: WsClient, action: str) -> list[str]:
    _, outputs, exited = client.run(action)
    assert exited["exit_code"] == 0
    return [output["data"] for output in outputs]


def _refusal(client: WsClient, action: str) -> str:
    reply = client.request("start", action=action, task_id="refused")
    assert reply["type"] == "error", reply
    assert "refused" not in [task["task_id"] for task in client.request("list")["tasks"]]
    return str(reply["message"])


def test_root_s_tasks_run_as_the_user_with_its_groups_variables_and_limits(privileged: Daemon) -> None:
    daemon = pwd.getpwnam("daemon")
    groups = " ".join(map(str, os.getgrouplist("daemon", daemon.pw_gid)))
    with privileged.connect() as client:
        user, group, ids, variables, *limits = _output(client, "all")
        assert (user, group) == ("daemon", "daemon")
        assert sorted(ids.split()) == sorted(groups.split())
        assert variables == f"{daemon.pw_dir} daemon daemon"
        assert limits == ["100", "200", "3"]
        assert _output(client, "group") == ["daemon", "bin"]
        assert _output(client, "numbers") == ["34567", "45678", "/ 34567"]
        assert _output(client, "variables") == ["/mine daemon"]
        assert _capabilities(client) == 0


def _capabilities(client: WsClient) -> int:
    """Those that a task of another user has; but for those that it could inherit from files."""
    lines = dict(line.split() for line in _output(client, "none"))
    return int(lines["CapPrm:"], 16) | int(lines["CapEff:"], 16) | int(lines["CapAmb:"], 16)


_SWITCH = ("setuid", "setgid", "kill")


def _list(*capabilities: str) -> str:
    return ",".join(["-all", *(f"+{name}" for name in capabilities)])


@pytest.mark.skipif(os.getuid() != 0, reason="takes root")
@pytest.mark.parametrize(
    "options",
    [
        # As docs/OPERATIONS.md has it for the unit.
        [
            f"--bounding-set={_list(*_SWITCH, 'sys_ptrace', 'chown', 'dac_override')}",
            *("--no-new-privs", "--groups=4,6"),
        ],
        # Of no privilege but these, which its tasks would inherit.
        [
            *("--reuid=54321", "--clear-groups"),
            *(f"--{kind}-caps={_list(*_SWITCH, 'dac_override')}" for kind in ("inh", "ambient")),
        ],
    ],
    ids=["root", "ambient"],
)
def test_what_it_takes_to_become_somebody_is_not_handed_on(options: list[str]) -> None:
    become = ["setpriv", *options, sys.executable, str(ROOT / "sticky_overseer.py")]
    started_as = f"os.execvpe('setpriv', [*{become!r}, *arguments], environment)"
    actions = {
        "none": _ACTIONS["none"],
        "groups": _action("id -G", user="daemon"),
        "forks": _action("setsid sleep 60 & echo $!; wait", user="daemon"),
    }
    with (
        Daemon(
            actions=actions,
            program=ROOT / "tests/harness/started_as.py",
            environment={"STARTED_AS": started_as},
        ) as daemon,
        daemon.connect() as client,
    ):
        assert "config.user" not in daemon.stderr
        assert _capabilities(client) == 0
        (groups,) = _output(client, "groups")
        assert set(map(int, groups.split())) == set(os.getgrouplist("daemon", pwd.getpwnam("daemon").pw_gid))
        client.request("start", action="forks", task_id="forks")
        detached = client.expect("output", task_id="forks")["data"]
        client.send(type="stop", task_id="forks")
        assert client.expect("exited", task_id="forks")["reason"] == "stopped"
        assert gone(detached)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("no user", "user: no such user 'nobody-of-that-name'"),
        ("no group", "group: no such group 'none-of-that-name'"),
        ("no entry", "user: no account has the number 34567, so a group is needed"),
        ("no number", "user: 4294967295 is too large: the most is 4294967294"),
    ],
)
def test_who_does_not_exist_is_a_refusal_of_the_start_and_a_warning_before(
    privileged: Daemon, action: str, reason: str
) -> None:
    with privileged.connect() as client:
        assert _refusal(client, action) == reason
    key, _, text = reason.partition(": ")
    assert f"actions.{action}.config.{key}: {text}" in privileged.stderr


def test_more_processes_than_the_user_may_have_are_refused_by_the_limit(privileged: Daemon) -> None:
    with privileged.connect() as client:
        client.request("start", action="crowded", task_id="first")
        client.expect("output", task_id="first")
        assert _refusal(client, "crowded") == "rlimits.nproc: the user already has that many processes"
        client.send(type="stop", task_id="first")
        client.expect("exited", task_id="first")


def test_a_directory_is_looked_for_as_the_user(privileged: Daemon, closed: Path) -> None:
    with privileged.connect() as client:
        reason = f"cwd: permission denied: '{closed}'"
        assert _refusal(client, "closed") == f"cannot start '/bin/sh': {reason}"


def test_an_ordinary_user_may_lower_limits_and_stand_back(ordinary: Daemon) -> None:
    with ordinary.connect() as client:
        assert _output(client, "limits") == ["64", "64", "1048576", "4"]


@pytest.mark.parametrize(
    ("action", "key", "words"),
    [
        ("all", "user", "may not become 'daemon'"),
        ("root", "user", "may not become 'root'"),
        ("urgent", "nice", "-5 needs a privilege that the server lacks"),
        ("high", "rlimits.nofile", "2147483647 is above the hard limit"),
    ],
)
def test_what_an_ordinary_user_has_no_right_to_is_refused_by_its_key_and_warned_of_before(
    ordinary: Daemon, action: str, key: str, words: str
) -> None:
    with ordinary.connect() as client:
        message = _refusal(client, action)
    assert message.startswith(f"{key}: ")
    assert words in message
    assert f"actions.{action}.config.{message}" in ordinary.stderr


def test_to_be_oneself_takes_no_right(ordinary: Daemon) -> None:
    with ordinary.connect() as client:
        assert _output(client, "self")[0] == str(_ME)


def test_describe_shows_them(ordinary: Daemon) -> None:
    with ordinary.connect() as client:
        shown = {each["name"]: each["settings"] for each in client.request("describe")["actions"]}
    assert shown["all"] == {"nice": "3", "rlimits": "nofile 100:200, core 0", "user": "daemon"}
    assert shown["limits"]["rlimits"] == "nofile 64, as 1GiB"
    assert shown["numbers"] == {"user": "34567", "group": "45678"}


_NONSENSE: list[tuple[str, Any, str]] = [
    ("nice", 20, "nice: expected a number from -20 to 19, found the number 20"),
    ("nice", "low", 'nice: expected a number from -20 to 19, found the text "low"'),
    ("user", ["a"], "user: expected text, found a list"),
    ("rlimits", 4096, "rlimits: expected a mapping of limits, found the number 4096"),
    ("rlimits", {"nofile": "many"}, 'rlimits.nofile: expected a whole number, found the text "many"'),
    ("rlimits", {"nofile": -1}, "rlimits.nofile: -1 is negative: the least is 0"),
    ("rlimits", {"nofile": "200:100"}, "rlimits.nofile: the soft limit 200 is above the hard one, 100"),
    ("rlimits", {"as": "unlimited:2GB"}, "rlimits.as: the soft limit unlimited is above the hard one, 2GB"),
    ("rlimits", {"as": "2XB"}, 'rlimits.as: "XB" is not a unit of size: B, kB, MB, GB, KiB, MiB or GiB'),
    ("rlimits", {"nofile": "1:2:3"}, "rlimits.nofile: expected a limit, SOFT:HARD or unlimited"),
    ("rlimits", {"nofiles": 1}, 'rlimits.nofiles: no such limit "nofiles"; did you mean nofile?'),
    ("cgroup", {"memory_max": "lots"}, 'cgroup.memory_max: expected a size such as 65536 or "8MiB"'),
    ("cgroup", {"cpu_max": 0}, "cgroup.cpu_max: expected a number of CPUs from 0.01 up"),
    ("cgroup", {"pids_max": 0}, "cgroup.pids_max: 0 is too small: the least is 1"),
    ("cgroup", {"require": "maybe"}, "cgroup.require: expected"),
]


def test_nonsense_is_an_error_of_check_with_its_key(tmp_path: Path) -> None:
    actions = {f"a{n}": _action("true", **{key: value}) for n, (key, value, _) in enumerate(_NONSENSE)}
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"listen": "127.0.0.1:0", "actions": actions}, indent=1))
    checked = run_program("--check", "--config", str(config), cwd=tmp_path)
    assert checked.returncode == 1
    for number, (_, _, error) in enumerate(_NONSENSE):
        assert f"actions.a{number}.config.{error}" in checked.stderr
