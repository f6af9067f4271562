"""What nobody has configured is not loaded."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CODE = """
import sys
from overseer.daemon import cli

class Daemon:
    def __init__(self, *given):
        pass

    def run(self):
        print(*sorted({name.split(".")[0] for name in sys.modules}))
        return 0

cli.Daemon = Daemon
sys.exit(cli.run_cli("", ""))
"""
CONDITION = "output: {stdout: {condition: 'output.data%s'}}"


@pytest.mark.parametrize(
    ("more", "loaded"),
    [
        ("", set()),
        (CONDITION % ' == "x"', {"lark"}),
        (CONDITION % '.matches("x+")', {"lark", "re2"}),
    ],
)
def test_a_server_loads_what_its_configuration_needs(tmp_path: Path, more: str, loaded: set[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        textwrap.dedent(f"""\
        actions:
          run:
            type: exec
            config:
              entrypoint: /bin/echo
              command: ["[[.word]]"]
              parameters: {{word: {{}}}}
              {more}
        """)
    )
    done = subprocess.run(
        [sys.executable, "-c", CODE, "--config", str(config)], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
    heavy = {"asyncio", "celpy", "email", "html", "lark", "platform", "prometheus_client", "re2", "sqlite3"}
    assert heavy & set(done.stdout.split()) == loaded


def test_the_asyncio_half_of_simple_websocket_is_there_for_others() -> None:
    code = "import overseer.net.websocket; from simple_websocket.aiows import AioClient; print(AioClient)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.stdout.startswith("<class"), done.stderr
