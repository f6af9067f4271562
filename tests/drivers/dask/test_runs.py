"""Runs on a cluster: they are like those of exec, and say where they are."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

from tests.drivers.dask.conftest import far, run, start
from tests.harness import Daemon, WsClient, wait_for_exit
from tests.harness.cluster import Cluster, wait_until

HOST = re.compile(r"w[01] \(tcp://127\.0\.0\.1:\d+\)")

pytestmark = pytest.mark.timeout(300)  # processes of a cluster start slowly on a busy machine


def actions(address: str) -> dict[str, Any]:
    return {
        "say": far(address, "echo out; echo err >&2; exit [[.code]]", parameters={"code": 0}),
        "lines": far(address, "seq [[.count]]", parameters={"count": {}}),
        "both": far(address, "for n in $(seq 5000); do echo $n; echo $n >&2; done", output={"merge": True}),
        "env": far(address, 'echo "$GREETING $OVERSEER_TASK_ID"; pwd', env={"GREETING": "hello"}, cwd="/"),
        "tree": far(address, "trap '' TERM; sleep 1000 & setsid sleep 1000 & echo $! $$; wait; wait")
        | {"stop_grace": "300ms"},
        "burns": far(address, "while :; do :; done & echo $!; wait"),
        "sleep": far(address, "echo $$; exec sleep 1000"),
        "late": far(address, "sleep 1000") | {"timeout": "300ms"},
        "picky": far(address, "echo here", cluster={"workers": ["w1*"]}),
        "nobody's": far(address, "echo here", cluster={"workers": ["gpu-*"]}),
        "missing": {
            "type": "dask",
            "config": {"entrypoint": "no-such-program", "cluster": {"address": address}},
        },
        "dies": far(address, "kill -SEGV $$"),
        "bytes": far(address, r"printf '\377\n\nx\0y\nno end'"),
        "cat": far(address, "exec cat", stdin="pipe"),
        "tty": far(address, "stty size; read line; echo got $line", stdin="pty"),
        "secret": far(
            address, 'echo "it is $KEY"', env={"KEY": "[[.key]]"}, parameters={"key": {"type": "secret"}}
        ),
        "traps": far(address, "trap 'echo usr1; exit 7' USR1; echo ready; while :; do sleep 0.05; done"),
        "pair": far(address, "sleep 1000") | {"task_pool": {"limit": 1, "queue": {"enabled": True}}},
        "hands on": far(address, 'echo "answer=42" >> "$OVERSEER_OUTPUT"')
        | {"then": {"success": [{"action": "told", "params": {"answer": "[[.output.answer]]"}}]}},
        "told": far(address, "echo the answer is [[.answer]]", parameters={"answer": {}}),
    }


def test_a_run_says_its_host_and_ends_like_any_other(client: WsClient) -> None:
    started, lines, exited = run(client, "say", params={"code": "3"})
    assert HOST.fullmatch(started["host"])
    assert started["pid"] > 0
    assert sorted((line["stream"], line["data"]) for line in lines) == [("stderr", "err"), ("stdout", "out")]
    assert {line["pid"] for line in lines} == {started["pid"]}
    assert (exited["exit_code"], exited["reason"], exited["host"]) == (3, "exited", started["host"])
    assert exited["cpu_ms"] >= 0
    info = client.info(started["task_id"])
    assert (info["status"], info["host"]) == ("failed", started["host"])
    (row,) = client.request("runs", task_id=started["task_id"])["runs"]
    assert (row["status"], row["exit_code"], row["host"]) == ("failed", 3, started["host"])


def test_a_hundred_thousand_lines_come_in_order_and_once(client: WsClient) -> None:
    _, lines, exited = run(client, "lines", params={"count": "100000"}, timeout=60)
    assert exited["exit_code"] == 0
    assert [line["data"] for line in lines] == [str(number) for number in range(1, 100_001)]
    assert [line["seq"] for line in lines] == list(range(1, 100_001))


def test_merged_streams_keep_their_order(client: WsClient) -> None:
    _, lines, _ = run(client, "both", timeout=60)
    assert [line["data"] for line in lines] == [str(n) for number in range(1, 5001) for n in (number, number)]


def test_what_is_said_of_the_machine_is_said_of_the_workers(client: WsClient) -> None:
    started, lines, _ = run(client, "env")
    assert [line["data"] for line in lines] == [f"hello {started['task_id']}", "/"]


def test_lines_are_cut_and_decoded_as_those_of_a_near_process(client: WsClient) -> None:
    _, lines, _ = run(client, "bytes")
    assert [line["data"] for line in lines] == ["\ufffd", "", "x\0y", "no end"]


def test_a_stop_ends_the_whole_tree_on_the_worker(client: WsClient) -> None:
    started = start(client, "tree")
    line = client.expect("output", timeout=30, task_id=started["task_id"])
    pids = [int(pid) for pid in line["data"].split()]
    client.send("stop", task_id=started["task_id"])
    exited = client.expect("exited", timeout=30, task_id=started["task_id"])
    assert (exited["reason"], exited["signal"], exited["intentional"]) == ("stopped", "SIGKILL", True)
    assert all(wait_for_exit(pid, 5) for pid in pids)


def test_a_run_that_takes_too_long_is_ended(client: WsClient) -> None:
    _, _, exited = run(client, "late", timeout=30)
    assert (exited["reason"], exited["intentional"]) == ("timeout", False)


def test_a_signal_that_ends_it_has_its_name(client: WsClient) -> None:
    _, _, exited = run(client, "dies")
    assert (exited["exit_code"], exited["signal"], exited["reason"]) == (-1, "SIGSEGV", "signal")


def test_what_cannot_be_started_there_is_an_error_that_says_why(client: WsClient) -> None:
    answer = client.request("start", action="missing")
    assert (answer["type"], answer["code"]) == ("error", "failed")
    assert answer["message"] == "cannot start 'no-such-program': no such program in PATH"


def test_a_pattern_chooses_the_workers(client: WsClient) -> None:
    for _ in range(3):
        started, _, _ = run(client, "picky")
        assert started["host"].startswith("w1 ")


def test_what_no_worker_can_take_is_active_and_waits_for_the_cluster(client: WsClient) -> None:
    queued = client.request("start", action="nobody's")
    assert (queued["type"], queued["position"], queued["waiting_on"]) == ("queued", 0, ["cluster"])
    info = client.info(queued["task_id"])
    assert (info["state"], info["status"], info["waiting_on"]) == ("active", "waiting", ["cluster"])
    assert "current_pid" not in info
    client.send("stop", task_id=queued["task_id"])
    assert client.expect("dequeued", task_id=queued["task_id"])["reason"] == "stopped"
    assert client.info(queued["task_id"])["status"] == "stopped"


def test_starts_of_one_client_do_not_wait_for_one_another(client: WsClient) -> None:
    for number in range(5):
        client.send("start", action="nobody's", task_id=f"n{number}")
    client.send("start", action="picky", task_id="here")
    started = client.expect("started", task_id="here", timeout=60)
    for number in range(5):
        queued = client.expect("queued", task_id=f"n{number}", timeout=60)
        assert started["ts"] < queued["ts"]
        client.send("stop", task_id=f"n{number}")
        client.expect("dequeued", task_id=f"n{number}", timeout=60)


def test_what_a_run_uses_is_measured_where_it_is(client: WsClient) -> None:
    started = start(client, "burns")
    task = started["task_id"]
    pid = int(client.expect("output", timeout=60, task_id=task)["data"])

    def row() -> dict[str, Any] | None:
        rows: list[dict[str, Any]] = client.request("usage", task_id=task, timeout=60)["tasks"]
        return rows[0] if rows else None

    wait_until("it is known", lambda: (row() or {}).get("cpu", 0) > 0)
    known = row()
    assert known is not None
    assert (known["processes"], known["threads"]) == (2, 2)  # its shell is one
    assert known["rss"] > 1 << 20
    client.request("subscribe", task_id=task, usage=True)
    pushed = client.expect("usage", timeout=60)
    assert [each["task_id"] for each in pushed["tasks"]] == [task]
    client.send("stop", task_id=task)
    exited = client.expect("exited", timeout=60, task_id=task)
    assert exited["cpu_ms"] > 0
    assert exited["max_rss"] > 1 << 20
    assert wait_for_exit(pid, 30)


def test_it_takes_input(client: WsClient) -> None:
    started = start(client, "cat")
    task = started["task_id"]
    assert client.request("input", task_id=task, data="hello\n")["bytes"] == 6
    assert client.expect("output", timeout=30, task_id=task)["data"] == "hello"
    client.request("input", task_id=task, data="bye\n", eof=True)
    assert client.expect("exited", timeout=30, task_id=task)["exit_code"] == 0
    assert [line["data"] for line in client.outputs(task)] == ["bye"]


def test_it_has_a_terminal(client: WsClient) -> None:
    started = start(client, "tty")
    task = started["task_id"]
    assert client.expect("output", timeout=30, task_id=task)["data"] == "24 80"
    client.request("input", task_id=task, data="well\n")
    client.expect("output", timeout=30, task_id=task, data="got well")
    assert client.expect("exited", timeout=30, task_id=task)["exit_code"] == 0


def test_a_secret_is_masked_before_it_leaves_the_worker(client: WsClient) -> None:
    _, lines, _ = run(client, "secret", params={"key": "open sesame"})
    assert [line["data"] for line in lines] == ["it is ***"]


def test_it_can_be_sent_a_signal(client: WsClient) -> None:
    started = start(client, "traps")
    client.expect("output", timeout=30, task_id=started["task_id"], data="ready")
    assert client.request("signal", task_id=started["task_id"], signal="SIGUSR1")["type"] == "signaled"
    assert client.expect("exited", timeout=30, task_id=started["task_id"])["exit_code"] == 7


def test_a_pool_limits_far_tasks(client: WsClient) -> None:
    first = start(client, "pair")
    second = client.request("start", action="pair")
    assert (first["type"], second["type"], second["position"]) == ("started", "queued", 1)
    client.send("stop", task_id=first["task_id"])
    assert client.expect("started", timeout=30, task_id=second["task_id"])["host"]
    client.send("stop", task_id=second["task_id"])
    client.expect("exited", timeout=30, task_id=second["task_id"])


def test_values_are_handed_on(client: WsClient) -> None:
    client.request("watch", output=True)
    run(client, "hands on")
    assert client.expect("output", data="the answer is 42", timeout=20)


def test_a_restart_finds_a_place_again(client: WsClient) -> None:
    started = start(client, "sleep", task_id="again")
    pid = int(client.expect("output", timeout=30, task_id="again")["data"])
    restarted = client.request("restart", task_id="again", timeout=20)
    assert (restarted["type"], restarted["restart_of"]) == ("started", started["pid"])
    assert wait_for_exit(pid, 5)
    client.send("stop", task_id="again")
    wait_until("it is stopped", lambda: client.info("again")["status"] == "stopped")


def test_the_cluster_can_be_seen(client: WsClient, daemon: Daemon, cluster: Cluster) -> None:
    started = start(client, "sleep", task_id="seen")
    (info,) = client.request("cluster")["clusters"]
    assert (info["address"], info["connected"], info["waiting"]) == (cluster.address, True, [])
    assert "sleep" in info["actions"]
    assert [(worker["name"], worker["state"], worker["threads"]) for worker in info["workers"]] == [
        ("w0", "running", 8),
        ("w1", "running", 8),
    ]
    where = next(worker for worker in info["workers"] if worker["tasks"])
    assert (where["tasks"], f"{where['name']} ({where['address']})") == (["seen"], started["host"])
    with urllib.request.urlopen(f"http://{daemon.address}/metrics", timeout=20) as answer:
        metrics = answer.read().decode()
    assert f'overseer_cluster_up{{cluster="{cluster.address}"}} 1.0' in metrics
    assert f'overseer_host_tasks{{cluster="{cluster.address}",host="{started["host"]}"}} 1.0' in metrics
    shown = subprocess.run(
        [sys.executable, "-m", "overseer.ctl", "--url", daemon.url, "cluster"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    assert "w0" in shown.stdout
    assert "seen" in shown.stdout
    client.send("stop", task_id="seen")
    client.expect("exited", timeout=30, task_id="seen")
