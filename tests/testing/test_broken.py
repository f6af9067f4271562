"""Drivers that break the contract are found out, each by the check for what it breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import overseer
from overseer.testing import Broken, Script
from overseer.testing.contract import CLAUSES, Clause
from tests.testing.broken import BROKEN, clean_up
from tests.testing.own import Factory, Handler, OwnContract


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    Handler.over.clear()
    yield
    Handler.over.set()
    clean_up()


class Contract(OwnContract):
    held_up = 0.5

    def __init__(self, kind: type, waits: bool) -> None:
        self._kind = kind
        self.patience = 1.5 if waits else 10.0

    def driver(self) -> overseer.ActionHandlerFactory:
        kind = self._kind
        if issubclass(kind, Factory):
            return kind()
        return Factory(handler=kind) if issubclass(kind, Handler) else Factory(worker=kind)

    def dies(self) -> Script | None:
        return Script({"do": "dies"}) if hasattr(self._kind, "dies") else None


@pytest.mark.parametrize(
    ("clause", "check", "kind", "waits"),
    BROKEN,
    ids=[f"{each[2].__name__}-{each[1]}" for each in BROKEN],
)
def test_a_broken_driver_is_found_out(clause: Clause, check: str, kind: type, waits: bool) -> None:
    with pytest.raises(Broken) as caught:
        getattr(Contract(kind, waits), check)()
    assert caught.value.clause == clause, str(caught.value)
    for said in (clause.name, clause.text, caught.value.seen):
        assert said in str(caught.value)


def test_each_clause_has_a_driver_that_breaks_it() -> None:
    assert {each[0] for each in BROKEN} == set(CLAUSES)


def test_each_check_finds_out_a_driver() -> None:
    checks = {name for name in dir(OwnContract) if name.startswith("test_")}
    assert {each[1] for each in BROKEN} == checks
