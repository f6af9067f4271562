"""The wheel has everything, and the one-file program needs nothing else."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.harness import ROOT
from tests.harness.interrupted import interrupted_at
from tests.packaging.support import LIMIT_S, bare_environment, build, checkout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = checkout(tmp_path_factory.mktemp("wheel") / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    subprocess.run(
        [*pip, "--no-build-isolation", "--no-index", "--wheel-dir", source / "out", source],
        check=True,
        timeout=LIMIT_S,
    )
    (built,) = (source / "out").glob("*.whl")
    return built


def test_the_wheel_has_every_source_and_data_file(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "overseer").rglob("*.py")}
    wanted |= {f"overseer/playground/{path.name}" for path in (ROOT / "playground").iterdir()}
    assert wanted | {"overseer/py.typed"} <= names
    assert "overseer/playground/index.html" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_wheel_declares_its_commands_and_its_driver(wheel: Path):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    text = archive.read(name).decode()
    wanted = {"sticky-overseer = overseer.__main__:main", "overseerctl = overseer.ctl:main"}
    assert wanted | {"[overseer.drivers]"} <= set(text.splitlines())


def names_of(text: str) -> set[str]:
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return {re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace("_", "-") for line in lines if line}


def test_the_lock_file_has_every_declared_dependency():
    setup = (ROOT / "setup.cfg").read_text()
    declared = setup.partition("install_requires =\n")[2].partition("\n\n")[0]
    assert names_of(declared) <= names_of((ROOT / "requirements.lock").read_text())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, with overseerctl beside it, as `make install` puts them."""
    return build(tmp_path_factory.mktemp("onefile"))


def test_it_runs_tasks_with_nothing_installed(program: Path, tmp_path: Path):
    environment = bare_environment(tmp_path)
    shutil.copy(ROOT / "config.yaml", tmp_path)
    with subprocess.Popen(
        [program], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            said = server.stderr.readline()
            assert "listening on " in said
            url = f"ws://{said.split()[-1]}/ws"
            done = subprocess.run(
                [program.parent / "overseerctl", "run", "report", "--url", url],
                env=environment,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert "kernel" in done.stdout
        finally:
            server.terminate()
        said = server.communicate(timeout=LIMIT_S)[1]
    assert server.returncode == 0, said
    assert "Traceback" not in said


def test_another_python_is_told_what_to_do(program: Path, tmp_path: Path):
    """The check itself, as that Python would run it."""
    with zipfile.ZipFile(program) as archive:
        check = archive.read("site-packages/bin/check_python.py").decode()
    other = f"import sys; sys.version_info = (3, 99, 0); sys.argv = ['prog']\n{check}"
    done = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 1
    assert "this is Python 3.99" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_it_unpacks_itself_or_loads_just_ends_it(program: Path, tmp_path: Path):
    environment = {"SHIV_ROOT": str(tmp_path / "shiv"), "PYTHONWARNINGS": "error"}
    for module in ("compileall", "overseer.supervisor.hub"):
        argv = [sys.executable, program, "--version"]
        assert interrupted_at(module, argv, tmp_path, **environment) == (-signal.SIGINT, "")


@pytest.mark.parametrize("variable", ["HOME", "SHIV_ROOT"])
def test_where_it_cannot_unpack_itself_it_says_what_to_do(program: Path, tmp_path: Path, variable: str):
    environment = {**bare_environment(tmp_path), variable: "/proc/nothing"}
    done = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.startswith("sticky-overseer: this file cannot unpack itself: ")
    assert second == "Have SHIV_ROOT name a directory that can be written to."


def test_it_names_no_place_it_was_built_at(program: Path):
    with zipfile.ZipFile(program) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert str(program.parents[1]).encode() not in everything
    assert str(ROOT).encode() not in everything
