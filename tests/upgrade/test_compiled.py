"""What the trial of a new program has compiled is not compiled again when everybody waits for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from overseer.upgrade.standalone import stage
from overseer.util.handover import to_memory

_TRY = """
import sys
sys.path[:0] = [DIRECTORY, STAGE]
from stage import Compiled
compiled = Compiled({}, {})
compiled.record()
import some.module
compiled.write(FILE)
"""
_USE = """
import json, sys
sys.path[:0] = [DIRECTORY, STAGE]
from stage import Compiled
texts = []
sys.addaudithook(lambda event, args: texts.append(str(args[0])) if event == "compile" else None)
compiled = Compiled.read(FILE)
compiled.use()
import some.module as module
compiled.drop()
print(json.dumps([len(texts), repr(module.Data(module.VALUE)), module.__file__, module.__package__]))
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "some").mkdir()
    (tmp_path / "some/__init__.py").touch()
    module = tmp_path / "some/module.py"
    module.write_text("import dataclasses\n@dataclasses.dataclass\nclass Data:\n    a: int\nVALUE = 1\n")
    return module


@pytest.fixture
def compiled() -> Iterator[int]:
    fd = to_memory(b"")
    yield fd
    os.close(fd)


def _run(script: str, module: Path, file: int) -> str:
    places = (
        f"DIRECTORY, STAGE, FILE = {str(module.parents[1])!r}, {str(Path(stage.__file__).parent)!r}, {file}"
    )
    return subprocess.run(
        [sys.executable, "-B", "-c", places + script],
        pass_fds=[file],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
        text=True,
    ).stdout


def test_modules_and_dataclasses_are_taken_as_they_were_compiled(module: Path, compiled: int):
    _run(_TRY, module, compiled)
    assert json.loads(_run(_USE, module, compiled)) == [0, "Data(a=1)", str(module), "some"]


def test_a_file_that_has_changed_since_is_compiled(module: Path, compiled: int):
    _run(_TRY, module, compiled)
    module.write_text(module.read_text().replace("VALUE = 1", "VALUE = 22"))
    assert json.loads(_run(_USE, module, compiled)) == [1, "Data(a=22)", str(module), "some"]


@pytest.mark.parametrize("data", [b"", b"other", b"\xe9\x01"])
def test_without_it_all_is_compiled(module: Path, data: bytes):
    file = to_memory(data)
    try:
        count, *found = json.loads(_run(_USE, module, file))
    finally:
        os.close(file)
    assert count > 1
    assert found == ["Data(a=1)", str(module), "some"]
