"""What the trial of a new program has compiled is not compiled again when everybody waits for it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from overseer.upgrade.standalone import compiled as compiled_module
from overseer.util.handover_format import to_memory

_TRY = """
import sys
sys.path[:0] = [DIRECTORY, STAGE]
from compiled import Compiled
compiled = Compiled()
compiled.record()
import some.module
compiled.findings["about", "it"] = [1, "found"]
compiled.write(FILE)
"""
_USE = """
import json, re, sys
sys.path[:0] = [DIRECTORY, STAGE]
from compiled import Compiled
texts = []
sys.addaudithook(lambda event, args: texts.append(str(args[0])) if event == "compile" else None)
parsed, parse = [], re._parser.parse
re._parser.parse = lambda *args: (parsed.append(args), parse(*args))[1]
compiled = Compiled.read(FILE)
compiled.use()
found = compiled.findings
import some.module as module
compiled.drop()
assert module.PATTERN.fullmatch("xxyz").groupdict() == {"last": "z", "none": None}
assert (module.PATTERN.flags, module.PATTERN.groups) == (re.compile("(?i)é").flags, 3)
assert not compiled.findings
made = len(texts), len(parsed) - 1, list(found.values()), repr(module.Data(module.VALUE))
print(json.dumps([*made, module.__file__, module.__cached__, module.__package__]))
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "some").mkdir()
    (tmp_path / "some/__init__.py").touch()
    module = tmp_path / "some/module.py"
    module.write_text(
        "import dataclasses, re, _json\n@dataclasses.dataclass\nclass Data:\n    a: int\nVALUE = 1\n"
        "PATTERN = re.compile('(?i)x+(y)(?P<last>[z-ž])(?P<none>a)?')\n"
        "NONE = re._compiler.compile('n', re.NOFLAG)\n"  # as Python 3.13 does itself
    )
    return module


def _expected(module: Path, value: int = 1) -> list[str]:
    return [f"Data(a={value})", str(module), importlib.util.cache_from_source(str(module)), "some"]


@pytest.fixture
def compiled() -> Iterator[int]:
    fd = to_memory(b"")
    yield fd
    os.close(fd)


def _run(script: str, module: Path, file: int) -> str:
    stage = Path(compiled_module.__file__).parent
    places = f"DIRECTORY, STAGE, FILE = {str(module.parents[1])!r}, {str(stage)!r}, {file}"
    return subprocess.run(
        [sys.executable, "-B", "-c", places + script],
        pass_fds=[file],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
        text=True,
    ).stdout


def test_modules_dataclasses_and_expressions_are_taken_as_they_were_compiled(module: Path, compiled: int):
    _run(_TRY, module, compiled)
    assert json.loads(_run(_USE, module, compiled)) == [0, 0, [[1, "found"]], *_expected(module)]


def test_a_file_that_has_changed_since_is_compiled_and_what_was_found_does_not_hold(
    module: Path, compiled: int
):
    _run(_TRY, module, compiled)
    module.write_text(module.read_text().replace("VALUE = 1", "VALUE = 22"))
    assert json.loads(_run(_USE, module, compiled)) == [1, 0, [], *_expected(module, 22)]


@pytest.mark.parametrize("data", [b"", b"other", b"\xe9\x01"])
def test_without_it_all_is_compiled(module: Path, data: bytes):
    file = to_memory(data)
    try:
        texts, patterns, findings, *made = json.loads(_run(_USE, module, file))
    finally:
        os.close(file)
    assert texts > 1
    assert (patterns, findings, made) == (2, [], _expected(module))
