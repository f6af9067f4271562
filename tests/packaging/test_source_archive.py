"""The source archive has everything and builds a whole wheel; the one file says what it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.harness import ROOT

LIMIT_S = 50


def checkout() -> set[str]:
    """Every file that is not ignored."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    if done.returncode:
        pytest.skip("this is no checkout")
    return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("sdist") / "source"
    for name in checkout():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name, follow_symlinks=False)
    build(source, "build_sdist")
    (built,) = source.glob("*.tar.gz")
    return built


def build(source: Path, what: str) -> None:
    code = f"from setuptools import build_meta; build_meta.{what}('.')"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr


def test_everything_in_a_checkout_is_in_the_archive(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert checkout() - names - {".gitignore"} - {f for f in checkout() if f.startswith(".github")} == set()


def test_a_wheel_built_from_the_archive_is_whole(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    build(source, "build_wheel")
    (wheel,) = source.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    files = checkout()
    wanted = {name for name in files if re.fullmatch(r"overseer/.*\.(py|typed)", name)}
    wanted |= {f"overseer/{name}" for name in files if name.startswith("playground/")}
    assert wanted <= names
    shared = {name.partition(".data/data/")[2] for name in names if ".data/data/" in name}
    assert {
        "share/doc/sticky-overseer/OPERATIONS.md",
        "share/doc/sticky-overseer/config.schema.json",
        "share/doc/sticky-overseer/examples/nightly.yaml",
        "share/doc/sticky-overseer/grafana-dashboard.json",
        "share/sticky-overseer/sticky-overseer.service",
    } <= shared


def test_the_one_file_declares_what_the_package_needs() -> None:
    text = (ROOT / "sticky_overseer.py").read_text()
    # The regular expression of the standard itself.
    (match,) = re.finditer(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$", text)
    lines = match["content"].splitlines()
    header = tomllib.loads("\n".join(line[2:] for line in lines))
    setup = (ROOT / "setup.cfg").read_text()
    declared = setup.partition("install_requires =\n")[2].partition("\n\n")[0].splitlines()
    assert match["type"] == "script"
    assert header["dependencies"] == [line.strip() for line in declared]
    assert f"python_requires = {header['requires-python']}" in setup
