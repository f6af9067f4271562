"""Secrets in what a terminal is sent."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

from tests.harness import ROOT, Daemon, shell

ACTIONS = {
    "terminal": shell(
        'printf "one $KEY two "; printf "${KEY%%-*}"; sleep 0.02; printf "%s three\\n" "-${KEY#*-}"; '
        'printf "Password: "; sleep 60',
        config={"stdin": "pty", "parameters": {"key": {"type": "secret"}}, "env": {"KEY": "[[.key]]"}},
    )
}


def test_who_reads_a_terminal_as_it_is_sees_no_secret_and_every_prompt() -> None:
    program = Path(__file__).parent / "patient_masks.py"
    environment = {"PYTHONPATH": str(ROOT)}
    with (
        Daemon(actions=ACTIONS, program=program, environment=environment) as daemon,
        daemon.connect() as client,
    ):
        client.request("start", action="terminal", task_id="t", params={"key": "correct-horse"}, raw=True)
        seen = b""
        while not seen.endswith(b"Password: "):
            seen += b64decode(client.expect("data", task_id="t")["data"])
        assert seen == b"one *** two *** three\r\nPassword: "
        assert client.expect("output", task_id="t")["data"] == "one *** two *** three"
