"""Which closed clients count as stalled."""

from __future__ import annotations

from pathlib import Path

import pytest

from overseer.config import load_config
from overseer.supervisor.clients import Client
from overseer.supervisor.hub import Hub
from overseer.util.websocket_frame import CloseCode
from tests.supervisor.output.test_publisher import _Held
from tests.supervisor.output.test_publisher import outbox as outbox


@pytest.mark.parametrize(
    ("code", "ending", "counted"),
    [
        (CloseCode.TRY_AGAIN_LATER, False, 1),
        (CloseCode.TRY_AGAIN_LATER, True, 0),
        (CloseCode.NORMAL, False, 0),
    ],
)
def test_a_client_closed_for_not_reading_counts_but_at_the_end(
    tmp_path: Path, outbox: _Held, code: int, ending: bool, counted: int
) -> None:
    (tmp_path / "config.yaml").write_text("actions: {}\n")
    hub = Hub(load_config(tmp_path / "config.yaml"), {})
    client = Client(outbox)
    hub.connect(client)
    if ending:
        hub.shutdown()
    outbox.close(code)
    hub.disconnect(client)
    assert hub.metrics_view.figures().stalled_clients == counted
    hub.close()
