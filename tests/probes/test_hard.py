"""What goes wrong around probes: storms of restarts, reloads, shutdowns, a server killed or frozen."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

from overseer.testing.leaks import wait_for_exit
from tests.faults.support import wait_until
from tests.harness import Daemon, shell
from tests.probes.targets import Target
from tests.probes.test_ready import begin

_FILE = {"parameters": {"file": {}}}
_SPIN = (
    "echo begin $$ >>[[.file]]; trap '' TERM; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; "
    "echo end $$ >>[[.file]]"
)


def test_no_two_probes_of_a_task_overlap_in_a_storm_of_restarts(tmp_path: Path) -> None:
    """Runs that last no longer than a probe, each of which is looked at from its first moment on."""
    names = "abcd"
    actions = {
        "storm": shell(
            "exec sleep 0.03",
            config=_FILE,
            health={"exec": ["sh", "-c", _SPIN], "interval": "1ms"},
            retry={"restart_on": "any", "restart_delay": "1ms"},
        )
    }
    with Daemon(actions=actions) as daemon, daemon.connect() as client:
        for name in names:
            begin(client, "storm", name, file=str(tmp_path / name))
        for name in names:
            client.expect("restarting", task_id=name, attempt=6, timeout=30)
            client.send("stop", task_id=name)
        client.settle()
        wait_until(
            lambda: not [each for each in daemon.processes().values() if each.startswith("sh -c echo")]
        )
    begun = 0
    for name in names:
        going = ""
        for line in (tmp_path / name).read_text().splitlines():
            what, pid = line.split()
            # One that was called off, with its run, says no end. It says nothing any more, either.
            if what == "begin":
                going = pid
                begun += 1
            else:
                assert pid == going, f"{pid} went on while another ran"
    assert begun > 20


def test_a_reload_leaves_runs_alone_and_counts_for_the_next_ones(tmp_path: Path) -> None:
    def actions(status: int) -> dict[str, Any]:
        health = {"exec": ["sh", "-c", f"exit {status}"], "interval": "20ms", "on_failure": "none"}
        return {
            "changed": shell("exec sleep 60", health=health),
            "same": shell("exec sleep 60", ready={"log": "[[.x]]", "http": "http://127.0.0.1:1/[[.x]]"},
                          config={"parameters": {"x": "y"}}),
        }  # fmt: skip

    with Daemon(actions=actions(0)) as daemon, daemon.connect() as client:
        begin(client, "changed", "old")
        client.expect("health", task_id="old", status="healthy")
        config = {"listen": "127.0.0.1:0", "actions": actions(7)}
        (daemon.directory / "config.yaml").write_text(json.dumps(config))
        reloaded = client.request("reload")
        assert reloaded["changed"] == ["changed"]
        begin(client, "changed", "new")
        told = client.expect("health", task_id="new")
        assert (told["status"], told["detail"]) == ("unhealthy", "exec sh: ended with status 7")
        assert client.info("old")["health"] == "healthy"
        client.send("restart", task_id="old")
        assert client.expect("health", task_id="old")["status"] == "unhealthy"


def test_a_shutdown_during_probes_is_prompt_and_leaves_nothing(tmp_path: Path) -> None:
    stubborn = "trap '' TERM; setsid sleep 77 & echo up >[[.file]]; sleep 66"
    with Target(None) as target:
        actions = {
            "program": shell("exec sleep 60", ready={"exec": ["sh", "-c", stubborn]}, config=_FILE),
            "page": shell("exec sleep 60", ready={"http": target.url, "interval": "1h"}),
        }  # fmt: skip
        with Daemon(actions=actions) as daemon, daemon.connect() as client:
            begin(client, "program", "a", file=str(tmp_path / "up"))
            begin(client, "page", "b")
            wait_until((tmp_path / "up").exists)
            target.wait_for(1)
            daemon.stop()  # in ten seconds, and nothing is left


def test_a_server_that_is_killed_leaves_no_probe(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    actions = {"a": shell("exec sleep 60", config=_FILE, ready={
        "exec": ["sh", "-c", "trap '' TERM; echo $$ >[[.file]]; while :; do sleep 0.01; done"]})}  # fmt: skip
    with Daemon(actions=actions) as daemon:
        with daemon.connect() as client:
            begin(client, "a", file=str(file))
            wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
            daemon.process.kill()
        assert wait_for_exit(int(file.read_text()), 10.0)
        daemon.kill()


def test_a_frozen_server_counts_what_has_come_meanwhile_for_passed() -> None:
    """The answer is there when it goes on, though the time for it is over."""
    with Target(None) as target:
        health = {
            "http": target.url,
            "interval": "1h",
            "timeout": "1s",
            "failures": 1,
            "on_failure": "none",
        }
        with (
            Daemon(actions={"a": shell("exec sleep 60", health=health)}) as daemon,
            daemon.connect() as client,
        ):
            begin(client, "a", "a")
            target.wait_for(1)
            daemon.freeze()
            target.reply(b"HTTP/1.1 200 OK\r\n\r\n")
            time.sleep(1.1)
            daemon.process.send_signal(signal.SIGCONT)
            assert client.expect("health", task_id="a")["status"] == "healthy"


def test_what_a_probe_uses_is_not_the_task_s(tmp_path: Path) -> None:
    spin = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done >>[[.file]]"
    health = {"exec": ["sh", "-c", spin], "interval": "1ms", "timeout": "30s"}
    actions = {"a": shell("exec sleep 60", config=_FILE, health=health)}
    with Daemon(actions=actions) as daemon, daemon.connect() as client:
        begin(client, "a", "a", file=str(tmp_path / "n"))
        client.expect("health", task_id="a", timeout=30)
        (usage,) = client.request("usage")["tasks"]
        assert usage["processes"] == 1
        client.send("stop", task_id="a")
        exited = client.expect("exited", task_id="a")
        assert exited["cpu_ms"] < 100


def test_a_task_that_depends_on_another_waits_until_it_is_ready_or_healthy(tmp_path: Path) -> None:
    (tmp_path / "sick").touch()
    actions = {
        "db": shell("read go; echo serving; exec sleep 60", config={"stdin": "pipe"},
                    ready={"log": "serving", "timeout": "100ms"},
                    health={"exec": ["test", "!", "-e", str(tmp_path / "sick")], "interval": "20ms",
                            "on_failure": "none"}),
        "web": shell("exec sleep 60"),
    }  # fmt: skip
    tasks = {
        "db": {"action": "db"},
        "web": {"action": "web", "depends_on": ["db"]},
        "careful": {"action": "web", "depends_on": {"db": "healthy"}},
    }
    with Daemon(actions=actions, tasks=tasks) as daemon, daemon.connect() as client:
        client.send("subscribe", task_id="db")
        for name in ("web", "careful"):
            client.send("start", task_id=name)
            assert client.expect("queued", task_id=name)["waiting_on"] == ["db"]
        client.expect("not_ready", task_id="db")
        assert client.info("web")["status"] == "waiting"
        client.request("input", task_id="db", data="\n")
        client.expect("started", task_id="web")
        assert client.info("db")["status"] == "ready"
        client.expect("health", task_id="db", status="unhealthy")
        assert client.info("careful")["status"] == "waiting"
        (tmp_path / "sick").unlink()
        client.expect("started", task_id="careful")


def test_a_run_that_ends_while_it_is_looked_at_ends_by_itself(tmp_path: Path) -> None:
    """The probe fails since the run has ended, and comes to that result at about the same time."""
    script = "echo $$ >[[.file]].new; mv [[.file]].new [[.file]]; echo up; sleep 0.05; exit 4"
    lives = "kill -0 $(cat [[.file]]) 2>/dev/null"
    actions = {
        "brief": shell(
            script,
            config=_FILE,
            ready={"log": "up"},
            health={"exec": ["sh", "-c", lives], "interval": "1ms", "failures": 1},
            retry={"restart_delay": "1ms", "error_threshold": 6},
        )
    }
    with Daemon(actions=actions) as daemon, daemon.connect() as client:
        begin(client, "brief", "b", file=str(tmp_path / "pid"))
        events = client.collect("errored", task_id="b", timeout=30)
        exits = [event for event in events if event["type"] == "exited"]
        assert {each["exit_code"] for each in exits} == {4}
        assert {each["reason"] for each in exits} == {"exited"}


def test_what_has_ended_was_not_stopped_for_its_health(tmp_path: Path) -> None:
    """Its last output is still to come when the look fails that would have it stopped."""
    script = "touch [[.file]]; echo up; sleep 0.1; rm [[.file]]; (exec sleep 1) & exit 0"
    actions = {
        "ends": shell(
            script,
            config=_FILE,
            kill_mode="leader",
            ready={"log": "up"},
            health={"exec": ["test", "-e", "[[.file]]"], "interval": "100ms"},
        )
    }
    with Daemon(actions=actions) as daemon, daemon.connect() as client:
        exited = client.run("ends", params={"file": str(tmp_path / "alive")})[2]
        assert (exited["reason"], exited["exit_code"]) == ("exited", 0)
        assert exited["duration_ms"] > 1000
        assert client.pending("health", status="unhealthy") == []
