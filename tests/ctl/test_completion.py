"""What completion puts into a line are names that strangers chose."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.auth.support import TOKENS, token_of
from tests.ctl.conftest import Ctl
from tests.ctl.test_terminal import Terminal, on_path
from tests.harness import Daemon, shell


@pytest.fixture
def bash(tmp_path: Path, daemon: Daemon):
    """An interactive bash in tmp_path that completes overseerctl's lines."""
    with on_path(tmp_path) as path:
        shown = Terminal(
            [shutil.which("bash") or "bash", "--norc", "-i"],
            daemon.url,
            (24, 200),
            PATH=path,
            PS1="> ",
            HOME=str(tmp_path),
            HISTFILE="",
        )
        with shown:
            shown.type(f"cd {tmp_path}\n".encode())
            shown.type(b'bind "set enable-bracketed-paste off"; bind "set bell-style none"\n')
            shown.type(b'eval "$(overseerctl completion bash)"; echo done\n')
            shown.wait_for(b"done\r\n")
            yield shown
            shown.type(b"\x15exit\n")
            shown.wait()


@pytest.mark.parametrize(
    ("task_id", "typed"),
    [
        ("zz;touch${IFS}PWNED;", "zz"),
        ("$(touch PWNED)", r"\$"),
        ("`touch PWNED`", r"\`"),
        ("a:b;touch PWNED", "a:"),
        ("a:b;touch PWNED", r"a:b\;to"),
        ("x' \"|touch PWNED", "x"),
        ("k=v&touch PWNED", "k=v"),
        ("& touch PWNED", ""),
        ("two words >PWNED", r"two\ w"),
        ("höhe\\;touch PWNED", "h"),
    ],
)
def test_an_id_is_completed_as_a_text_whatever_it_holds(
    daemon: Daemon, bash: Terminal, tmp_path: Path, task_id: str, typed: str
):
    with daemon.connect() as client:
        client.request("start", action="sleep", task_id=task_id)
        # The whole line at once: readline reads on when the completion is done.
        bash.type(f"overseerctl stop {typed}\t\necho en''d\n".encode())
        shown = bash.wait_for(b"end\r\n").decode()
        assert [path.name for path in tmp_path.iterdir()] == ["overseerctl"], shown
        assert client.pending("exited") or client.expect("exited", 2.0), shown


def test_an_id_that_looks_like_an_option_is_not_offered(daemon: Daemon, ctl: Ctl):
    with daemon.connect() as client:
        for task_id in ("--url=ws://elsewhere", "-plain"):
            client.request("start", action="sleep", task_id=task_id)
            assert ctl("__complete", "--", "stop", "").out == ""
            assert ctl("__complete", "--", "metrics", "--task", "").out.count(task_id) == 0
            client.send("stop", task_id=task_id)


@pytest.mark.parametrize(
    "words", ["--url URL run hop", "run --url=URL hop", "run --url 'URL' --color never hop"]
)
def test_the_server_that_the_line_names_is_asked(daemon: Daemon, ctl: Ctl, monkeypatch, words: str):
    monkeypatch.setenv("OVERSEER_URL", "unix:/nowhere")
    assert ctl("__complete", "--", *words.replace("URL", daemon.url).split()).out == "hopeless\n"
    assert ctl("__complete", "--", "run", "hop").out == ""


@pytest.mark.parametrize("start", ["", "./", "../here/", "HERE/"])
def test_files_are_completed_as_they_were_begun(
    ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
):
    here = tmp_path / "here"
    (here / "certs").mkdir(parents=True)
    for name in ("ca.pem", "[c]"):
        (here / name).touch()
    monkeypatch.chdir(here)
    start = start.replace("HERE", str(here))
    assert ctl("__complete", "--", "--ca", f"{start}c").out == f"{start}ca.pem\n{start}certs/\n"
    assert ctl("__complete", "--", "--ca", f"{start}[").out == f"{start}[c]\n"


def test_and_with_the_token_that_the_line_gives(ctl: Ctl):
    with Daemon(actions={"mine": shell("true")}, auth={"tokens": TOKENS}) as closed:
        line = ["--url", closed.url, "--token", token_of("operator-all"), "run", ""]
        assert ctl("__complete", "--", *line).out == "mine\n"
        assert ctl("__complete", "--", *line[:2], *line[4:]).out == ""
