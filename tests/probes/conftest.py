"""A client that leaves the server idle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import end_all
from tests.harness import Daemon, WsClient


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client
        end_all(client)
