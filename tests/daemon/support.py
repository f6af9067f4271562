"""HTTP requests to a daemon."""

from __future__ import annotations

import http.client
import json
from typing import Any

from tests.harness import Daemon

__all__ = ["get", "get_json"]


def get(daemon: Daemon, path: str, **headers: str) -> tuple[int, str, str]:
    """The status, content type and body that a path answers."""
    connection = http.client.HTTPConnection(daemon.address, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()
    finally:
        connection.close()


def get_json(daemon: Daemon, path: str) -> Any:
    status, content_type, body = get(daemon, path)
    assert (status, content_type) == (200, "application/json")
    return json.loads(body)
