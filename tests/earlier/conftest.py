from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import Daemon, WsClient


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    """Of the module's server."""
    with daemon.connect() as client:
        yield client
