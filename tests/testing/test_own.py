"""A driver with a worker of its own make keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testing.own import Handler, OwnContract


class TestOwn(OwnContract):
    @pytest.fixture(autouse=True)
    def _ends(self) -> Iterator[None]:
        Handler.over.clear()
        yield
        Handler.over.set()
