"""Modules that are loaded only when something of them is used."""

from __future__ import annotations

import threading
from types import ModuleType, SimpleNamespace

import pytest

from overseer.util import hashes


def test_two_threads_may_use_one_for_the_first_time_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    later = hashes._Later("some")
    other = threading.Thread(target=later.leave)

    class Modules(dict[str, ModuleType]):
        def get(self, name: str, default: object = None) -> object:  # type: ignore[override]
            found = super().get(name, default)
            if other.ident is None:
                other.start()
                other.join(0.2)  # it would be quick if it did not wait
            return found

    modules = Modules(some=later)
    monkeypatch.setattr(hashes, "sys", SimpleNamespace(modules=modules))
    later.leave()
    other.join(30)
    assert not modules
