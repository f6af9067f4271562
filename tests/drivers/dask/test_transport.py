"""The ways to workers, without a cluster: what goes wrong on them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.cluster import needs_distributed


def test_a_connection_that_breaks_before_its_tls_begins_may_be_tried_again() -> None:
    needs_distributed()
    from overseer.drivers.dask.transport import Transport

    class Broken:
        async def overseer(self, **words: Any) -> Any:
            raise ValueError("IOStream is not idle; cannot convert to SSL")

    transport = Transport(None, lambda: None)
    pool = transport._pool
    try:
        transport._pool = lambda address: Broken()
        with pytest.raises(OSError, match="not idle"):
            transport.ask("tls://127.0.0.1:1", timeout=10.0)
    finally:
        transport._pool = pool
        transport.close()
