"""A client of the server that a module's fixture ``daemon`` has started."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import Daemon
from tests.harness.client import WsClient


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client
