"""``storage.compress: zstd``, whose module is loaded where it is asked for, and nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from overseer.logs import retention
from overseer.logs.search import Searches, SearchQuery
from overseer.logs.standalone import segments
from overseer.logs.standalone.segments import list_segments
from overseer.logs.store import Logs
from tests.harness import ROOT
from tests.harness.daemon import run_program
from tests.logs.conftest import MakeLogs, Script, all_of

needs_zstd = pytest.mark.skipif(not segments.can_zstd(), reason="there is no zstd module")


@pytest.fixture
def script(make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setattr(retention, "SETTLED_S", 0.0)
    logs = make_logs(segment=3000, compress="zstd")
    script = Script(logs.log_of("t"))
    for number in range(20):
        script.write(*(f"{number} {each} ü" for each in range(10)))
    logs._retention._keep(logs.directory_of("t"))
    return script


@pytest.fixture
def logs(make_logs: MakeLogs) -> Logs:
    return make_logs(segment=3000, compress="zstd")


@needs_zstd
def test_lines_are_read_searched_and_read_without_their_index(script: Script, logs: Logs) -> None:
    directory = logs.directory_of("t")
    kinds = [segment.packed for segment in list_segments(directory)]
    assert kinds == ["zst"] * (len(kinds) - 1) + [""]
    assert all_of(logs.reader_of("t")) == script.stored
    found = Searches(logs.root).search(SearchQuery(" 7 ü", False, 1000)).matches
    assert [match.data for match in found] == [f"{number} 7 ü" for number in reversed(range(20))]
    for path in Path(directory).glob("*.idx"):
        path.unlink()
    assert all_of(logs.reader_of("t")) == script.stored


@needs_zstd
def test_without_the_module_what_was_compressed_is_an_error_that_says_so(
    script: Script, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ImportError

    monkeypatch.setattr(segments, "zstd", missing)
    with pytest.raises(OSError, match="pip install"):
        all_of(logs.reader_of("t"))


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python has the module itself")
def test_a_configuration_that_asks_for_it_in_vain_is_refused(tmp_path: Path) -> None:
    (tmp_path / "backports").mkdir()  # hides what is installed
    (tmp_path / "backports" / "__init__.py").write_text("")
    config = {"listen": "127.0.0.1:0", "data_dir": "data", "storage": {"compress": "zstd"}}
    (tmp_path / "config.yaml").write_text(json.dumps(config, indent=1))
    for arguments in ((), ("--check",)):
        done = run_program(*arguments, "--config", "config.yaml", cwd=tmp_path, PYTHONPATH=str(tmp_path))
        assert done.returncode == 1
        assert "storage.compress: zstd needs Python 3.14, or the package backports.zstd" in done.stderr


def test_it_is_not_loaded_where_nobody_asks(tmp_path: Path) -> None:
    code = (
        "import sys, overseer.daemon.daemon, overseer.logs.store, overseer.logs.sealing\n"
        "print([name for name in sys.modules if 'zstd' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
