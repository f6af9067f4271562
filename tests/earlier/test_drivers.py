"""Drivers that were written by the guide of 0.1.0 work as they did, with their configuration; the tests are
those of today's guide."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.conftest import ENVIRONMENT
from tests.drivers.test_guide import (
    test_the_callbacks,
    test_the_function,
    test_the_process,
    test_the_service,
)
from tests.harness import Daemon

__all__ = ["test_the_callbacks", "test_the_function", "test_the_process", "test_the_service"]

WRITTEN = Path(__file__).parent / "v0_1_0"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(WRITTEN / "acme", project / "acme")
    program = shutil.copy(WRITTEN / "acme_overseer.py", project)
    config = (WRITTEN / "guide.yaml").read_text().replace(":8080", ":0")
    with Daemon(config, program=Path(program), environment=ENVIRONMENT) as daemon:
        assert "warning" not in daemon.stderr.lower()
        yield daemon
